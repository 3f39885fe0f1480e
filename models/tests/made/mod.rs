//! Small MR files made in code.

#![allow(clippy::unwrap_used, dead_code)]

pub mod forms;

use std::path::{Path, PathBuf};

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
pub const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;
/// Explicit VR Big Endian, retired but still met.
pub const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub const ROWS: usize = 4;
pub const COLUMNS: usize = 6;

/// One axial slice of a T1-weighted spin echo at height `z`, all pixels `value`; set what differs.
#[derive(Clone)]
pub struct Slice {
    pub data: InMemDicomObject,
    pub pixels: PrimitiveValue,
}

impl Slice {
    pub fn new(z: f64, value: u16) -> Slice {
        let mut slice = Slice {
            data: InMemDicomObject::new_empty(),
            pixels: PrimitiveValue::U16(vec![value; ROWS * COLUMNS].into()),
        };
        slice
            .set(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
            .set(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE)
            .set(tags::MODALITY, VR::CS, "MR")
            .set(tags::MANUFACTURER, VR::LO, "Nobody")
            .set(tags::PATIENT_NAME, VR::PN, "Test^Patient")
            .set(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3")
            .set(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1")
            .set(tags::SERIES_NUMBER, VR::IS, "1")
            .set(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9")
            .set(tags::IMAGE_TYPE, VR::CS, strings(&["ORIGINAL", "PRIMARY", "M"]))
            .set(tags::SCANNING_SEQUENCE, VR::CS, "SE")
            .set(tags::REPETITION_TIME, VR::DS, "600")
            .set(tags::ECHO_TIME, VR::DS, "10")
            .set(tags::SLICE_THICKNESS, VR::DS, "4")
            .set(tags::PIXEL_SPACING, VR::DS, strings(&["0.5", "0.75"]))
            .set(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                strings(&["1", "0", "0", "0", "1", "0"]),
            )
            .set(tags::SAMPLES_PER_PIXEL, VR::US, 1u16)
            .set(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
            .set(tags::ROWS, VR::US, ROWS as u16)
            .set(tags::COLUMNS, VR::US, COLUMNS as u16)
            .set(tags::BITS_ALLOCATED, VR::US, 16u16)
            .set(tags::BITS_STORED, VR::US, 16u16)
            .set(tags::HIGH_BIT, VR::US, 15u16)
            .set(tags::PIXEL_REPRESENTATION, VR::US, 0u16)
            .at([-10.0, -20.0, z]);
        slice
    }

    /// A diffusion-weighted echo-planar slice, without any b-value yet.
    pub fn diffusion(z: f64, value: u16) -> Slice {
        let mut slice = Slice::new(z, value);
        slice
            .set(tags::SCANNING_SEQUENCE, VR::CS, strings(&["EP", "SE"]))
            .set(tags::REPETITION_TIME, VR::DS, "3600")
            .set(tags::ECHO_TIME, VR::DS, "65");
        slice
    }

    pub fn set(&mut self, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> &mut Slice {
        self.data.put(DataElement::new(tag, vr, value.into()));
        self
    }

    pub fn private(
        &mut self,
        creator: &str,
        tag: Tag,
        vr: VR,
        value: impl Into<PrimitiveValue>,
    ) -> &mut Slice {
        self.set(Tag(tag.group(), tag.element() >> 8), VR::LO, creator)
            .set(tag, vr, value)
    }

    /// Pixel data in compressed fragments behind an empty offset table (PS3.5 A.4).
    pub fn compressed(&mut self, fragments: Vec<Vec<u8>>) -> &mut Slice {
        let pixels = PixelFragmentSequence::new(vec![], fragments);
        self.data.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
        self
    }

    pub fn without(&mut self, tag: Tag) -> &mut Slice {
        self.data.remove_element(tag);
        self
    }

    pub fn at(&mut self, position: [f64; 3]) -> &mut Slice {
        self.set(tags::IMAGE_POSITION_PATIENT, VR::DS, decimals(&position))
    }

    /// Writes the file; its SOP Instance UID comes from its name unless set before.
    pub fn write(&self, folder: &Path, name: &str, transfer_syntax: &str) -> PathBuf {
        let mut slice = self.clone();
        if slice.data.get(tags::SOP_INSTANCE_UID).is_none() {
            let tail: String = name.bytes().map(|b| b.to_string()).collect();
            slice.set(
                tags::SOP_INSTANCE_UID,
                VR::UI,
                format!("1.2.3.4.{}", &tail[..tail.len().min(50)]),
            );
        }
        let empty = slice.pixels.calculate_byte_len() == 0;
        if !empty && slice.data.get(tags::PIXEL_DATA).is_none() {
            let vr = if matches!(slice.pixels, PrimitiveValue::U8(_)) {
                VR::OB
            } else {
                VR::OW
            };
            slice
                .data
                .put(DataElement::new(tags::PIXEL_DATA, vr, slice.pixels));
        }
        let meta = FileMetaTableBuilder::new().transfer_syntax(transfer_syntax);
        let path = folder.join(name);
        slice.data.with_meta(meta).unwrap().write_to_file(&path).unwrap();
        path
    }
}

pub fn strings(values: &[&str]) -> PrimitiveValue {
    PrimitiveValue::Strs(values.iter().map(|v| (*v).to_owned()).collect())
}

pub fn decimals(values: &[f64]) -> PrimitiveValue {
    PrimitiveValue::Strs(
        values
            .iter()
            .map(|v| {
                // DS has 16 characters (PS3.5 table 6.2-1).
                let text = format!("{v:.10}");
                text[..text.len().min(16)].to_owned()
            })
            .collect(),
    )
}

/// `count` slices 4 mm apart, with value 100, 101, …; named so that files sort by time, not by height.
pub fn stack(count: usize) -> Vec<Slice> {
    (0..count)
        .map(|i| Slice::new(4.0 * i as f64, 100 + i as u16))
        .collect()
}

pub fn write_all(folder: &Path, prefix: &str, slices: &[Slice]) {
    for (i, slice) in slices.iter().enumerate() {
        slice.write(folder, &format!("{prefix}{i:03}.dcm"), EXPLICIT);
    }
}
