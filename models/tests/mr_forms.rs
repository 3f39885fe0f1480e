//! The other forms in which one MR volume is stored: enhanced multi-frame and mosaics.

#![allow(clippy::unwrap_used)]

mod made;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use made::{COLUMNS, EXPLICIT, ROWS, Slice, decimals, strings};
use models::mr::{Contrast, Scan, VolumeIndex, scan};
use tempfile::tempdir;

fn item(elements: Vec<DataElement<InMemDicomObject>>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn element(
    tag: Tag,
    vr: VR,
    value: impl Into<dicom_core::PrimitiveValue>,
) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, value.into())
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// What one frame of an enhanced image says for itself.
struct Frame {
    z: f64,
    value: u16,
    b: Option<f64>,
    direction: Option<[f64; 3]>,
}

impl Frame {
    fn groups(&self) -> InMemDicomObject {
        let mut groups = vec![sequence(
            tags::PLANE_POSITION_SEQUENCE,
            vec![item(vec![element(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                decimals(&[-10.0, -20.0, self.z]),
            )])],
        )];
        if let Some(b) = self.b {
            let mut diffusion = vec![element(tags::DIFFUSION_B_VALUE, VR::FD, b)];
            let directionality = match self.direction {
                Some(v) => {
                    let gradient = item(vec![element(
                        tags::DIFFUSION_GRADIENT_ORIENTATION,
                        VR::FD,
                        dicom_core::PrimitiveValue::F64(v.to_vec().into()),
                    )]);
                    diffusion.push(sequence(
                        tags::DIFFUSION_GRADIENT_DIRECTION_SEQUENCE,
                        vec![gradient],
                    ));
                    "DIRECTIONAL"
                }
                None if b > 0.0 => "ISOTROPIC",
                None => "NONE",
            };
            diffusion.push(element(tags::DIFFUSION_DIRECTIONALITY, VR::CS, directionality));
            groups.push(sequence(tags::MR_DIFFUSION_SEQUENCE, vec![item(diffusion)]));
        }
        item(groups)
    }
}

/// An enhanced image: spin echo, frames of 4 × 6 pixels, 4 mm apart.
fn enhanced(frames: &[Frame], echo: (f64, f64)) -> Slice {
    let mut slice = Slice::new(0.0, 0);
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::SLICE_THICKNESS,
        tags::SCANNING_SEQUENCE,
        tags::REPETITION_TIME,
        tags::ECHO_TIME,
    ] {
        slice.without(tag);
    }
    slice
        .set(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE)
        .set(tags::ECHO_PULSE_SEQUENCE, VR::CS, "SPIN")
        .set(tags::NUMBER_OF_FRAMES, VR::IS, frames.len().to_string());
    if frames.iter().any(|f| f.b.is_some()) {
        slice.set(tags::ECHO_PLANAR_PULSE_SEQUENCE, VR::CS, "YES");
    }
    let measures = item(vec![
        element(tags::PIXEL_SPACING, VR::DS, strings(&["0.5", "0.75"])),
        element(tags::SLICE_THICKNESS, VR::DS, "4"),
    ]);
    let orientation = item(vec![element(
        tags::IMAGE_ORIENTATION_PATIENT,
        VR::DS,
        strings(&["1", "0", "0", "0", "1", "0"]),
    )]);
    let values = item(vec![
        element(tags::RESCALE_SLOPE, VR::DS, "2"),
        element(tags::RESCALE_INTERCEPT, VR::DS, "-1"),
    ]);
    let timing = item(vec![element(tags::REPETITION_TIME, VR::DS, echo.0.to_string())]);
    let echo = item(vec![element(tags::EFFECTIVE_ECHO_TIME, VR::FD, echo.1)]);
    let shared = item(vec![
        sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]),
        sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]),
        sequence(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![values]),
        sequence(tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE, vec![timing]),
        sequence(tags::MR_ECHO_SEQUENCE, vec![echo]),
    ]);
    slice
        .data
        .put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    slice.data.put(sequence(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        frames.iter().map(Frame::groups).collect(),
    ));
    let pixels: Vec<u16> = frames
        .iter()
        .flat_map(|f| std::iter::repeat_n(f.value, ROWS * COLUMNS))
        .collect();
    slice.pixels = dicom_core::PrimitiveValue::U16(pixels.into());
    slice
}

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
    let [series] = &scan.series[..] else { panic!("{scan:?}") };
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

const TILE: (usize, usize) = (2, 3);

/// Five slices of 2 × 3 pixels in a mosaic of 3 × 3 tiles; slice n has the value 10 · (n + 1).
fn mosaic() -> Slice {
    let mut slice = Slice::diffusion(0.0, 0);
    let (rows, columns) = (3 * TILE.0, 3 * TILE.1);
    let pixels: Vec<u16> = (0..rows * columns)
        .map(|i| {
            let tile = i / columns / TILE.0 * 3 + i % columns / TILE.1;
            if tile < 5 { 10 * (tile as u16 + 1) } else { 0 }
        })
        .collect();
    slice.pixels = dicom_core::PrimitiveValue::U16(pixels.into());
    slice
        .set(tags::MANUFACTURER, VR::LO, "SIEMENS")
        .set(tags::ROWS, VR::US, rows as u16)
        .set(tags::COLUMNS, VR::US, columns as u16)
        .set(tags::SPACING_BETWEEN_SLICES, VR::DS, "5")
        .set(
            tags::IMAGE_TYPE,
            VR::CS,
            strings(&["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "MOSAIC"]),
        )
        .private("SIEMENS MR HEADER", Tag(0x0019, 0x100A), VR::US, 5u16)
        .private("SIEMENS MR HEADER", Tag(0x0019, 0x100C), VR::IS, "1000");
    slice
}

/// A CSA header with the slice normal.
fn csa(normal: [&str; 3]) -> Vec<u8> {
    let mut out = b"SV10\x04\x03\x02\x01".to_vec();
    out.extend(1u32.to_le_bytes());
    out.extend(77u32.to_le_bytes());
    let mut name = b"SliceNormalVector".to_vec();
    name.resize(64, 0);
    out.extend(name);
    out.extend([0; 12]);
    out.extend(3u32.to_le_bytes());
    out.extend(77u32.to_le_bytes());
    for value in normal {
        let length = value.len() as u32 + 1;
        for number in [length, length, 77, length] {
            out.extend(number.to_le_bytes());
        }
        out.extend(value.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
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
    let (_folder, scan) = scanned(&slice);
    let volume = &scan.series[0].volumes[0];
    assert_eq!(volume.grid.shape, [5, TILE.0, TILE.1]);
    assert_eq!(volume.grid.origin, [1.0, 2.0, 4.0]);
    assert_eq!(levels(volume), [50.0, 40.0, 30.0, 20.0, 10.0]);
}
