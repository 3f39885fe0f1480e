//! The other forms in which one MR volume is stored: enhanced multi-frame and mosaics.

#![allow(clippy::unwrap_used)]

mod made;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use made::forms::{Frame, TILE, csa, element, enhanced, item, mosaic, sequence};
use made::{COLUMNS, EXPLICIT, IMPLICIT, ROWS, Slice, decimals};
use models::limits;
use models::mr::{Contrast, Scan, VolumeIndex, scan};
use tempfile::tempdir;

fn scanned(slice: &Slice) -> (tempfile::TempDir, Scan) {
    let folder = tempdir().unwrap();
    slice.write(folder.path(), "one.dcm", EXPLICIT);
    let scan = scan(&[folder.path().to_owned()]);
    (folder, scan)
}

/// The value of each slice, from the lowest.
fn levels(volume: &VolumeIndex) -> Vec<f32> {
    let voxels = volume.voxels().unwrap();
    voxels.outer_iter().map(|slice| slice[[0, 0]]).collect()
}

fn plain(z: f64, value: u16) -> Frame {
    Frame {
        z,
        value,
        b: None,
        direction: None,
    }
}

#[test]
fn enhanced_frames_are_slices_by_position() {
    let (_folder, scan) = scanned(&enhanced(
        &[plain(8.0, 30), plain(0.0, 10), plain(4.0, 20)],
        (600.0, 10.0),
    ));
    let [series] = &scan.series[..] else {
        panic!("{scan:?}")
    };
    let [volume] = &series.volumes[..] else {
        panic!("{series:?}")
    };
    assert_eq!((series.files, volume.contrast), (1, Some(Contrast::T1)));
    assert_eq!(volume.grid.shape, [3, ROWS, COLUMNS]);
    assert_eq!(volume.grid.spacing(), [4.0, 0.5, 0.75]);
    assert_eq!(levels(volume), [19.0, 39.0, 59.0]);
}

#[test]
fn one_enhanced_file_may_hold_several_volumes() {
    let at = |z: f64, value, b, direction| Frame {
        z,
        value,
        b: Some(b),
        direction,
    };
    let mut frames = Vec::new();
    for n in 0..3 {
        let z = 4.0 * f64::from(n);
        frames.push(at(z, 200, 0.0, None));
        frames.push(at(z, 40, 1000.0, Some([1.0, 0.0, 0.0])));
        frames.push(at(z, 90, 1000.0, Some([0.0, 1.0, 0.0])));
    }
    let (_folder, scan) = scanned(&enhanced(&frames, (3600.0, 65.0)));
    let volumes = &scan.series[0].volumes;
    let found: Vec<_> = volumes.iter().map(|v| (v.contrast, v.b_value)).collect();
    assert_eq!(
        found,
        [
            (Some(Contrast::DwiB0), Some(0.0)),
            (Some(Contrast::Dwi), Some(1000.0))
        ]
    );
    // 79 and 179 after rescaling; the trace is their geometric mean.
    let expected = (79.0f32 * 179.0).sqrt();
    assert!(levels(&volumes[1]).iter().all(|v| (v - expected).abs() < 0.01));
}

#[test]
fn frames_that_are_not_described_are_refused() {
    let mut slice = enhanced(&[plain(0.0, 10), plain(4.0, 20)], (600.0, 10.0));
    slice.set(tags::NUMBER_OF_FRAMES, VR::IS, "3");
    slice.pixels = dicom_core::PrimitiveValue::U16(vec![0; 3 * ROWS * COLUMNS].into());
    let (_folder, scan) = scanned(&slice);
    assert_eq!(scan.refused[0].reason.code, "invalid_frames");

    slice.without(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let (_folder, scan) = scanned(&slice);
    assert_eq!(scan.series[0].refused[0].reason.code, "multi_frame");
}

#[test]
fn a_mosaic_unfolds_along_the_normal_of_its_csa_header() {
    for (normal, lowest, order) in [
        (["0.0", "0.0", "1.0"], 0.0, [10.0, 20.0, 30.0, 40.0, 50.0]),
        (["0.0", "0.0", "-1.0"], -20.0, [50.0, 40.0, 30.0, 20.0, 10.0]),
    ] {
        let mut slice = mosaic();
        slice.private("SIEMENS CSA HEADER", Tag(0x0029, 0x1010), VR::OB, csa(normal));
        let (_folder, scan) = scanned(&slice);
        let volume = &scan.series[0].volumes[0];
        assert_eq!(
            (volume.contrast, volume.b_value),
            (Some(Contrast::Dwi), Some(1000.0))
        );
        assert_eq!(volume.grid.shape, [5, TILE.0, TILE.1]);
        // The corner moves in by half of what the mosaic is larger: 3 columns of 0.75 mm, 2 rows of 0.5 mm.
        assert_eq!(volume.grid.origin, [-10.0 + 2.25, -20.0 + 1.0, lowest]);
        assert_eq!(levels(volume), order);
    }
}

#[test]
fn a_mosaic_that_lost_its_csa_header_is_refused() {
    let (_folder, scan) = scanned(&mosaic());
    assert_eq!(scan.refused[0].reason.code, "mosaic_without_normal");
}

#[test]
fn a_mosaic_of_unknown_or_impossible_tiles_is_refused() {
    let siemens = |count| {
        move |s: &mut Slice| {
            s.private("SIEMENS MR HEADER", Tag(0x0019, 0x100A), VR::US, count);
        }
    };
    let cases: [&dyn Fn(&mut Slice); 4] = [
        &|s| {
            s.without(Tag(0x0019, 0x100A));
        },
        &siemens(0u16),
        &siemens(limits::MAX_TILES as u16 + 1),
        // Four by four tiles do not fill 6 rows.
        &siemens(13u16),
    ];
    for change in cases {
        let mut slice = mosaic();
        slice.private(
            "SIEMENS CSA HEADER",
            Tag(0x0029, 0x1010),
            VR::OB,
            csa(["0", "0", "1"]),
        );
        change(&mut slice);
        let (_folder, scan) = scanned(&slice);
        assert_eq!(scan.refused[0].reason.code, "invalid_mosaic");
    }
}

/// United Imaging states where each tile lies; two rows of tiles are enough for five.
#[test]
fn a_united_imaging_mosaic_unfolds_by_stated_positions() {
    let mut slice = mosaic();
    let rows = 2 * TILE.0;
    let dicom_core::PrimitiveValue::U16(pixels) = &slice.pixels else {
        unreachable!("made of 16 bits")
    };
    let pixels: Vec<u16> = pixels[..rows * 3 * TILE.1].to_vec();
    slice.pixels = dicom_core::PrimitiveValue::U16(pixels.into());
    slice
        .set(tags::MANUFACTURER, VR::LO, "UIH")
        .set(tags::ROWS, VR::US, rows as u16)
        .private("Image Private Header", Tag(0x0065, 0x1050), VR::DS, "5")
        .private("Image Private Header", Tag(0x0065, 0x1009), VR::FD, 1000.0);
    slice.data.put(sequence(
        Tag(0x0065, 0x1051),
        (0..5)
            .map(|n| {
                let position = decimals(&[1.0, 2.0, 20.0 - 4.0 * f64::from(n)]);
                item(vec![element(tags::IMAGE_POSITION_PATIENT, VR::DS, position)])
            })
            .collect(),
    ));
    // Nothing names the private sequence as one in implicit syntax.
    for syntax in [EXPLICIT, IMPLICIT] {
        let folder = tempdir().unwrap();
        slice.write(folder.path(), "f", syntax);
        let scan = scan(&[folder.path().to_owned()]);
        let volume = &scan.series[0].volumes[0];
        assert_eq!(volume.grid.shape, [5, TILE.0, TILE.1]);
        assert_eq!(volume.grid.origin, [1.0, 2.0, 4.0]);
        assert_eq!(levels(volume), [50.0, 40.0, 30.0, 20.0, 10.0]);
    }
}
