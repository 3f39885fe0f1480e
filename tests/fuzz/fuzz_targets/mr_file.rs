//! Any bytes as one MR file: headers, and the voxels of whatever volume they make.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::mr;

fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("mr_file.{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the input");
    let path = folder.join("input.dcm");
    std::fs::write(&path, bytes).expect("the input as a file");
    for volume in mr::scan(&[path]).series.iter().flat_map(|s| &s.volumes) {
        // Refused or read; never a panic, never more memory than the limits allow.
        let _ = volume.voxels();
    }
});
