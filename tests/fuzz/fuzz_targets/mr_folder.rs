//! A folder of MR files that was good, with edits: what tells series, volumes, slices and directions apart.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use models::mr;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Which seed each file starts from.
    files: Vec<u8>,
    edits: Vec<Edit>,
}

#[derive(Arbitrary, Debug)]
struct Edit {
    file: u8,
    at: u16,
    with: Vec<u8>,
}

const MAX_FILES: usize = 24;

/// Small classic, enhanced and mosaic images; see tests/fuzz/README.md.
const SEEDS: [&[u8]; 6] = [
    include_bytes!("../seeds/t1.dcm"),
    include_bytes!("../seeds/t2.dcm"),
    include_bytes!("../seeds/dwi.dcm"),
    include_bytes!("../seeds/enhanced.dcm"),
    include_bytes!("../seeds/mosaic.dcm"),
    include_bytes!("../seeds/rle.dcm"),
];

fuzz_target!(|input: Input| {
    let folder = std::env::temp_dir().join(format!("mr_folder.{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the input");
    let chosen = input.files.iter().take(MAX_FILES);
    let mut files: Vec<Vec<u8>> = chosen
        .map(|n| SEEDS[usize::from(*n) % SEEDS.len()].to_vec())
        .collect();
    for edit in &input.edits {
        let count = files.len().max(1);
        let Some(file) = files.get_mut(usize::from(edit.file) % count) else {
            continue;
        };
        let at = usize::from(edit.at).min(file.len());
        let end = (at + edit.with.len()).min(file.len());
        file[at..end].copy_from_slice(&edit.with[..end - at]);
    }
    for (n, bytes) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("{n:02}.dcm")), bytes).expect("the input as a file");
    }
    for volume in mr::scan(&[folder]).series.iter().flat_map(|s| &s.volumes) {
        let _ = volume.voxels();
    }
});
