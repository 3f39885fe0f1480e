//! Enhanced images and mosaics made in code.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::{COLUMNS, ROWS, Slice, decimals, strings};

pub fn item(elements: Vec<DataElement<InMemDicomObject>>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

pub fn element(tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, value.into())
}

pub fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// What one frame of an enhanced image says for itself.
pub struct Frame {
    pub z: f64,
    pub value: u16,
    pub b: Option<f64>,
    pub direction: Option<[f64; 3]>,
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
                        PrimitiveValue::F64(v.to_vec().into()),
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
pub fn enhanced(frames: &[Frame], echo: (f64, f64)) -> Slice {
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
    slice.pixels = PrimitiveValue::U16(pixels.into());
    slice
}

pub const TILE: (usize, usize) = (2, 3);

/// Five slices of 2 × 3 pixels in a mosaic of 3 × 3 tiles; slice n has the value 10 · (n + 1).
pub fn mosaic() -> Slice {
    let mut slice = Slice::diffusion(0.0, 0);
    let (rows, columns) = (3 * TILE.0, 3 * TILE.1);
    let pixels: Vec<u16> = (0..rows * columns)
        .map(|i| {
            let tile = i / columns / TILE.0 * 3 + i % columns / TILE.1;
            if tile < 5 { 10 * (tile as u16 + 1) } else { 0 }
        })
        .collect();
    slice.pixels = PrimitiveValue::U16(pixels.into());
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
pub fn csa(normal: [&str; 3]) -> Vec<u8> {
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
