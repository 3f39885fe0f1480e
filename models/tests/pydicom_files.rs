//! The MR files that pydicom's wheel carries: one image in seven encodings by several programs, one cut short.
//! `SIALOSCOPE_PYDICOM` names their folder (tests/run sets it); without it each test says that it is skipped.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use models::mr::{Scan, scan};
use ndarray::Array3;

fn scanned(name: &str) -> Option<Scan> {
    let Some(folder) = std::env::var_os("SIALOSCOPE_PYDICOM").map(PathBuf::from) else {
        eprintln!("skipped: {name} (SIALOSCOPE_PYDICOM names no folder)");
        return None;
    };
    Some(scan(&[folder.join(name)]))
}

fn voxels(name: &str) -> Option<Array3<f32>> {
    let scan = scanned(name)?;
    let [series] = &scan.series[..] else {
        panic!("{name}: {:?}", scan.refused)
    };
    let [volume] = &series.volumes[..] else {
        panic!("{name}: {:?}", series.refused)
    };
    Some(volume.voxels().unwrap_or_else(|e| panic!("{name}: {}", e.text)))
}

#[test]
fn one_image_in_seven_encodings_has_the_same_voxels() {
    let Some(plain) = voxels("MR_small.dcm") else {
        return;
    };
    assert_eq!(plain.dim(), (1, 64, 64));
    let highest = plain.iter().copied().fold(0.0, f32::max);
    assert!(highest > 500.0, "{highest}");
    for name in [
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_padded.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ] {
        assert_eq!(voxels(name).unwrap(), plain, "{name}");
    }
}

#[test]
fn a_file_that_ends_early_and_a_packed_one_are_refused() {
    for (name, code) in [("MR_truncated.dcm", "truncated"), ("zipMR.gz", "not_dicom")] {
        let Some(scan) = scanned(name) else { return };
        assert!(scan.series.is_empty());
        assert_eq!(scan.refused[0].reason.code, code, "{name}");
    }
}
