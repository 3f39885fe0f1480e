//! What DICOM objects about a study repeat of it, and which images they refer to.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::data_set::DataSet;
use super::extent;
use super::stored::StoredFile;
use super::{Contrast, Grid, Part, Series, SliceSource, VolumeIndex};
use crate::findings::base64_bytes;
use crate::limits::MAX_ATTRIBUTE_BYTES;

/// What is repeated: of the patient, the study and the scanner (PS3.3 C.7.1, C.7.2, C.7.5.1), and how texts
/// are written.
const REPEATED: [Tag; 26] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::MANUFACTURER,
    tags::INSTITUTION_NAME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STATION_NAME,
    tags::STUDY_DESCRIPTION,
    tags::MANUFACTURER_MODEL_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
];

/// What objects about a study are made from besides its findings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of the first image; none where no image could be read.
    pub attributes: Vec<Attribute>,
    /// The volumes that went into the answer or are shown beside it.
    pub sources: Vec<Source>,
    /// The contrast in whose frame of reference all positions are.
    pub anchor: Option<Contrast>,
}

impl Evidence {
    /// An attribute as it is written; none where the image has none.
    pub fn attribute(&self, tag: Tag) -> Option<&[u8]> {
        let tag = (tag.group(), tag.element());
        let found = self.attributes.iter().find(|attribute| attribute.tag == tag);
        found.map(|attribute| &attribute.value[..])
    }

    /// The volume in whose frame of reference all positions are.
    pub fn anchor(&self) -> Option<&Source> {
        let anchor = self.anchor?;
        self.sources.iter().find(|source| source.contrast == anchor)
    }
}

/// An attribute as it is written, in the character set of its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Group and element.
    pub tag: (u16, u16),
    /// Without padding.
    #[serde(with = "base64_bytes")]
    pub value: Vec<u8>,
}

/// A volume as the scanner made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Which contrast.
    pub contrast: Contrast,
    /// (0020,000E).
    pub series_instance_uid: String,
    /// (0020,0052).
    pub frame_of_reference_uid: Option<String>,
    /// Where its voxels are, in its own frame of reference.
    pub grid: Grid,
    /// (0018,0050), mm.
    pub slice_thickness_mm: Option<f64>,
    /// One per slice, in slice order.
    pub images: Vec<ImageReference>,
    /// Those of further diffusion directions.
    pub further_images: Vec<ImageReference>,
}

/// An image, or a frame of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReference {
    /// (0008,0016).
    pub sop_class_uid: String,
    /// (0008,0018).
    pub sop_instance_uid: String,
    /// Counted from 1; none where the object is one image, or the slice a tile of it.
    pub frame: Option<u32>,
}

/// The attributes of a file; none where it is no longer readable.
pub(super) fn attributes(file: &StoredFile) -> Vec<Attribute> {
    let Some(header) = header_of(file) else {
        return Vec::new();
    };
    let Ok(set) = DataSet::parse(&header.header, header.syntax) else {
        return Vec::new();
    };
    let written = |tag: &Tag| {
        let value = set.get(*tag)?.trimmed();
        let fits = !value.is_empty() && value.len() <= MAX_ATTRIBUTE_BYTES;
        fits.then(|| Attribute {
            tag: (tag.group(), tag.element()),
            value: value.to_owned(),
        })
    };
    REPEATED.iter().filter_map(written).collect()
}

fn header_of(file: &StoredFile) -> Option<extent::Extent> {
    let opened = std::fs::File::open(&file.path).ok()?;
    let length = opened.metadata().ok()?.len();
    extent::walk(opened, length).ok()
}

impl Source {
    /// A volume of a series as the headers describe it; none where it is none of our contrasts.
    pub(crate) fn of(series: &Series, index: &VolumeIndex) -> Option<Self> {
        Some(Self {
            contrast: index.contrast?,
            series_instance_uid: series.uid.clone(),
            frame_of_reference_uid: index.frame_of_reference_uid.clone(),
            grid: index.grid.clone(),
            slice_thickness_mm: index.slice_thickness_mm,
            images: index.slices.iter().map(SliceSource::reference).collect(),
            further_images: index
                .further_directions
                .iter()
                .flatten()
                .map(SliceSource::reference)
                .collect(),
        })
    }
}

impl SliceSource {
    fn reference(&self) -> ImageReference {
        ImageReference {
            sop_class_uid: self.file.sop_class_uid.clone(),
            sop_instance_uid: self.file.sop_instance_uid.clone(),
            frame: match self.part {
                Part::Frame(number) => u32::try_from(number + 1).ok(),
                Part::Whole | Part::Tile { .. } => None,
            },
        }
    }
}
