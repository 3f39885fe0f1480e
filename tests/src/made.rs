//! Data sets in Explicit VR Little Endian, element by element, as wrong as a test wants them.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of tests: it fails by panicking"
)]

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;

/// The file (PS3.10 7.1) of a data set of an MR image.
pub fn file(sop_instance: &str, data_set: &[u8]) -> Vec<u8> {
    let mut file = [&[0; 128][..], b"DICM"].concat();
    FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(sop_instance)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .build()
        .unwrap()
        .write(&mut file)
        .unwrap();
    file.extend_from_slice(data_set);
    file
}

/// An element with its true length, padded to an even one.
pub fn element(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len().next_multiple_of(2)).unwrap();
    let mut bytes = header(tag, vr, length);
    bytes.extend_from_slice(value);
    if value.len() % 2 == 1 {
        bytes.push(if vr == b"UI" { 0 } else { b' ' });
    }
    bytes
}

/// The header of an element with any length (PS3.5 7.1.2).
pub fn header(Tag(group, number): Tag, vr: &[u8; 2], length: u32) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend_from_slice(vr);
    if [b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"].contains(&vr) {
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&length.to_le_bytes());
    } else {
        bytes.extend_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
    }
    bytes
}

/// The numbers of an item and of the two delimiters, in group FFFE.
pub const ITEM: u16 = 0xE000;
pub const ITEM_DELIMITATION: u16 = 0xE00D;
pub const SEQUENCE_DELIMITATION: u16 = 0xE0DD;
pub const UNDEFINED: u32 = u32::MAX;

/// An item or a delimiter: FFFE, its number, a length of four bytes.
pub fn item_header(number: u16, length: u32) -> Vec<u8> {
    [
        &0xFFFE_u16.to_le_bytes()[..],
        &number.to_le_bytes(),
        &length.to_le_bytes(),
    ]
    .concat()
}

/// A slice of a T2-weighted series in Explicit VR Little Endian, its elements in ascending order.
#[derive(Clone)]
pub struct Slice(BTreeMap<Tag, Vec<u8>>);

impl Slice {
    pub const SIDE: u16 = 64;

    /// Slice `number` of series STUDY.1; its SOP Instance UID is STUDY.1.NUMBER.
    pub fn new(study: &str, number: usize) -> Self {
        let series = format!("{study}.1");
        let pixels: Vec<u8> = (0..2 * usize::from(Self::SIDE).pow(2))
            .map(|at| (at * (number + 3) % 251) as u8)
            .collect();
        Self(BTreeMap::new())
            .put(tags::SOP_CLASS_UID, b"UI", uids::MR_IMAGE_STORAGE.as_bytes())
            .put(
                tags::SOP_INSTANCE_UID,
                b"UI",
                format!("{series}.{number}").as_bytes(),
            )
            .put(tags::MODALITY, b"CS", b"MR")
            .put(tags::PATIENT_NAME, b"PN", b"Test^Patient")
            .put(tags::PATIENT_ID, b"LO", b"1")
            .put(tags::SCANNING_SEQUENCE, b"CS", b"SE")
            .put(tags::MR_ACQUISITION_TYPE, b"CS", b"2D")
            .put(tags::SLICE_THICKNESS, b"DS", b"5")
            .put(tags::REPETITION_TIME, b"DS", b"4000")
            .put(tags::ECHO_TIME, b"DS", b"90")
            .put(tags::STUDY_INSTANCE_UID, b"UI", study.as_bytes())
            .put(tags::SERIES_INSTANCE_UID, b"UI", series.as_bytes())
            .put(tags::INSTANCE_NUMBER, b"IS", number.to_string().as_bytes())
            .put(
                tags::IMAGE_POSITION_PATIENT,
                b"DS",
                format!("-100\\-100\\{}", number * 5).as_bytes(),
            )
            .put(tags::IMAGE_ORIENTATION_PATIENT, b"DS", b"1\\0\\0\\0\\1\\0")
            .put(tags::FRAME_OF_REFERENCE_UID, b"UI", b"1.2.3")
            .number(tags::SAMPLES_PER_PIXEL, 1)
            .put(tags::PHOTOMETRIC_INTERPRETATION, b"CS", b"MONOCHROME2")
            .number(tags::ROWS, Self::SIDE)
            .number(tags::COLUMNS, Self::SIDE)
            .put(tags::PIXEL_SPACING, b"DS", b"3\\3")
            .number(tags::BITS_ALLOCATED, 16)
            .number(tags::BITS_STORED, 12)
            .number(tags::HIGH_BIT, 11)
            .number(tags::PIXEL_REPRESENTATION, 0)
            .put(tags::PIXEL_DATA, b"OW", &pixels)
    }

    pub fn put(self, tag: Tag, vr: &[u8; 2], value: &[u8]) -> Self {
        self.raw(tag, element(tag, vr, value))
    }

    pub fn number(self, tag: Tag, value: u16) -> Self {
        self.put(tag, b"US", &value.to_le_bytes())
    }

    /// Any bytes in the place of an element.
    pub fn raw(mut self, tag: Tag, bytes: Vec<u8>) -> Self {
        self.0.insert(tag, bytes);
        self
    }

    /// Encapsulated pixel data (PS3.5 A.4): an empty offset table and one fragment.
    pub fn fragment(self, bytes: &[u8]) -> Self {
        let fragment = item_header(ITEM, bytes.len() as u32);
        let parts = [
            header(tags::PIXEL_DATA, b"OB", UNDEFINED),
            item_header(ITEM, 0),
            [&fragment[..], bytes].concat(),
            item_header(SEQUENCE_DELIMITATION, 0),
        ];
        self.raw(tags::PIXEL_DATA, parts.concat())
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.values().flatten().copied().collect()
    }
}
