//! DICOM objects that hold masks, from bytes to elements.
//!
//! Elements are found by [`models::mr::DataSet`], the parser that the appliance reads foreign files with: it
//! copies nothing, believes no length and nests no deeper than its limits.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use flate2::read::DeflateDecoder;
use models::findings::Reason;
use models::mr::{Broken, DataSet, Syntax};

use super::{limited, refused};
use crate::limits::MAX_INFLATED_MASK_BYTES;

const PREAMBLE: usize = 128;
/// Preamble, `DICM`, and (0002,0000) with its value: 8 bytes of head, 4 of value.
const META: usize = PREAMBLE + 4 + 12;

/// Whether bytes begin as a DICOM file (PS3.10 7.1).
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(PREAMBLE..PREAMBLE + 4) == Some(b"DICM")
}

/// An object that may hold a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Segmentation(Form),
    Contours,
}

/// How the frames of a segmentation are to be read (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One bit a pixel.
    Binary,
    /// One byte a pixel: a share.
    Fractional,
    /// The number of a segment in each pixel.
    LabelMap,
}

/// The bytes of an object, inflated.
pub(super) struct Object<'b> {
    data: Cow<'b, [u8]>,
    syntax: Syntax,
    sop_class: String,
}

impl<'b> Object<'b> {
    /// Reads the file meta information and makes the data set readable.
    pub fn parse(bytes: &'b [u8]) -> Result<Object<'b>, Reason> {
        let broken = || refused("mask_form", "The DICOM object is damaged or ends too early.");
        let head = bytes.get(PREAMBLE + 4..META).ok_or_else(broken)?;
        // (0002,0000) UL of four bytes: how long the rest of the group is.
        let [0x02, 0x00, 0x00, 0x00, b'U', b'L', 0x04, 0x00, length @ ..] = head else {
            return Err(refused(
                "mask_form",
                "The DICOM object begins without file meta information.",
            ));
        };
        let length: [u8; 4] = length.try_into().map_err(|_| broken())?;
        let start = META
            .checked_add(u32::from_le_bytes(length) as usize)
            .ok_or_else(broken)?;
        let meta =
            DataSet::parse(bytes.get(META..start).ok_or_else(broken)?, Syntax::EXPLICIT).map_err(damaged)?;
        let transfer_syntax = meta.text(tags::TRANSFER_SYNTAX_UID).unwrap_or_default();
        let rest = bytes.get(start..).ok_or_else(broken)?;
        let mut data = Cow::Borrowed(rest);
        let syntax = match transfer_syntax.as_str() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => Syntax::IMPLICIT,
            uids::EXPLICIT_VR_LITTLE_ENDIAN => Syntax::EXPLICIT,
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => {
                let inflated = limited(DeflateDecoder::new(rest), MAX_INFLATED_MASK_BYTES);
                data = Cow::Owned(inflated.map_err(|_| broken())??);
                Syntax::EXPLICIT
            }
            other => {
                let text = format!(
                    "Transfer syntax {other}: masks are read in little endian, uncompressed or deflated."
                );
                return Err(refused("mask_form", text));
            }
        };
        Ok(Object {
            sop_class: meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID).unwrap_or_default(),
            data,
            syntax,
        })
    }

    /// Its elements.
    pub fn set(&self) -> Result<DataSet<'_>, Reason> {
        DataSet::parse(&self.data, self.syntax).map_err(damaged)
    }

    /// What it is.
    pub fn kind(&self) -> Result<Kind, Reason> {
        match self.sop_class.as_str() {
            uids::RT_STRUCTURE_SET_STORAGE => Ok(Kind::Contours),
            uids::SEGMENTATION_STORAGE | LABEL_MAP => self.form().map(Kind::Segmentation),
            other => {
                let text = format!("The object is no segmentation and no structure set but {other}.");
                Err(refused("mask_form", text))
            }
        }
    }

    fn form(&self) -> Result<Form, Reason> {
        let words = self.set()?.words(tags::SEGMENTATION_TYPE);
        match words.first().map(String::as_str) {
            Some("BINARY") => Ok(Form::Binary),
            Some("FRACTIONAL") => Ok(Form::Fractional),
            Some("LABELMAP") => Ok(Form::LabelMap),
            _ => Err(refused(
                "mask_form",
                "The segmentation states no type (0062,0001) that is read.",
            )),
        }
    }
}

/// Label Map Segmentation Storage (Supplement 243).
const LABEL_MAP: &str = "1.2.840.10008.5.1.4.1.1.66.7";

fn damaged(why: Broken) -> Reason {
    match why {
        Broken::TooLarge => refused(
            "mask_too_large",
            "The DICOM object has more elements than are read.",
        ),
        _ => refused("mask_form", "The DICOM object is damaged or ends too early."),
    }
}

/// What a SEG or RTSTRUCT was drawn on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Series Instance UIDs of the images it names.
    pub series: BTreeSet<String>,
    /// Study Instance UIDs that it names, its own included.
    pub studies: BTreeSet<String>,
    /// (0020,0052), or (3006,0024) of its regions.
    pub frames: BTreeSet<String>,
}

/// Reads which images a DICOM mask belongs to.
///
/// # Errors
/// As [`super::open`].
pub fn references(path: &Path) -> Result<References, Reason> {
    let bytes = super::read(path)?;
    if !is_dicom(&bytes) {
        return Err(refused("mask_form", "It is no DICOM object."));
    }
    let object = Object::parse(&bytes)?;
    object.kind()?;
    let set = object.set()?;
    let mut found = References::default();
    let add = |to: &mut BTreeSet<String>, set: &DataSet, tag: Tag| to.extend(set.text(tag));
    add(&mut found.studies, &set, tags::STUDY_INSTANCE_UID);
    add(&mut found.frames, &set, tags::FRAME_OF_REFERENCE_UID);
    for series in set.items(tags::REFERENCED_SERIES_SEQUENCE) {
        add(&mut found.series, series, tags::SERIES_INSTANCE_UID);
    }
    for region in set.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        add(&mut found.frames, region, tags::REFERENCED_FRAME_OF_REFERENCE_UID);
    }
    for frame in set.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
        add(&mut found.frames, frame, tags::FRAME_OF_REFERENCE_UID);
        for study in frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE) {
            add(&mut found.studies, study, tags::REFERENCED_SOP_INSTANCE_UID);
            for series in study.items(tags::RT_REFERENCED_SERIES_SEQUENCE) {
                add(&mut found.series, series, tags::SERIES_INSTANCE_UID);
            }
        }
    }
    Ok(found)
}
