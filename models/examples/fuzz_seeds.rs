//! Writes the seeds of the fuzz targets: `cargo run -p models --example fuzz_seeds -- tests/fuzz/seeds`.

#![allow(
    clippy::unwrap_used,
    unused_imports,
    reason = "shares the small files of the tests"
)]

#[path = "../tests/made/mod.rs"]
mod made;

use std::path::PathBuf;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use made::forms::{Frame, csa, enhanced, mosaic};
use made::{EXPLICIT, Slice};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |slice: &Slice, name: &str, syntax: &str| {
        slice.write(&folder, &format!("{name}.dcm"), syntax);
    };
    write(&Slice::new(0.0, 100), "t1", EXPLICIT);

    let mut t2 = Slice::new(4.0, 200);
    t2.set(tags::REPETITION_TIME, VR::DS, "4460")
        .set(tags::ECHO_TIME, VR::DS, "78");
    write(&t2, "t2", made::IMPLICIT);

    let mut dwi = Slice::diffusion(0.0, 50);
    dwi.set(tags::DIFFUSION_B_VALUE, VR::FD, 1000.0);
    write(&dwi, "dwi", EXPLICIT);

    let frame = |z: f64, b: f64| Frame {
        z,
        value: 10,
        b: Some(b),
        direction: (b > 0.0).then_some([1.0, 0.0, 0.0]),
    };
    let frames = [
        frame(0.0, 0.0),
        frame(0.0, 1000.0),
        frame(4.0, 0.0),
        frame(4.0, 1000.0),
    ];
    write(&enhanced(&frames, (3600.0, 65.0)), "enhanced", EXPLICIT);

    let mut tiles = mosaic();
    tiles.private(
        "SIEMENS CSA HEADER",
        Tag(0x0029, 0x1010),
        VR::OB,
        csa(["0.0", "0.0", "1.0"]),
    );
    write(&tiles, "mosaic", EXPLICIT);

    // Two segments of one run each: every pixel is 0x0107.
    let mut segments = vec![0u8; 64];
    segments[..12].copy_from_slice(&[2, 0, 0, 0, 64, 0, 0, 0, 66, 0, 0, 0]);
    segments.extend([(257 - 24) as u8, 1, (257 - 24) as u8, 7]);
    let mut rle = Slice::new(8.0, 0);
    rle.compressed(vec![segments]);
    write(&rle, "rle", uids::RLE_LOSSLESS);
}
