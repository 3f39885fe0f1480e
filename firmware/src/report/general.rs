//! What all objects have: whose they are, which study they belong to, which device made them.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::header::Tag;
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use models::findings::Findings;
use models::mr::Evidence;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use super::codes::{ACQUISITION_EQUIPMENT, PRIVATE_SCHEME};
use super::device::{Device, MANUFACTURER, MODEL};
use super::set::Set;
use crate::dicom::Uid;

/// Which object of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The structured report.
    Report,
    /// The segmentation.
    Segmentation,
    /// The picture of the result page.
    Capture,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Report, Kind::Segmentation, Kind::Capture];

    /// What its file is called.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Report => "sr.dcm",
            Self::Segmentation => "seg.dcm",
            Self::Capture => "sc.dcm",
        }
    }

    /// (0008,0016).
    pub fn sop_class(self) -> &'static str {
        match self {
            Self::Report => uids::COMPREHENSIVE3_DSR_STORAGE,
            Self::Segmentation => uids::SEGMENTATION_STORAGE,
            Self::Capture => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        }
    }

    /// (0020,0011): far above what scanners count up to, and always the same.
    pub fn series_number(self) -> &'static str {
        match self {
            Self::Report => "97001",
            Self::Segmentation => "97002",
            Self::Capture => "97003",
        }
    }

    /// What it is called in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Segmentation => "segmentation",
            Self::Capture => "capture",
        }
    }

    /// (0008,0060).
    pub fn modality(self) -> &'static str {
        match self {
            Self::Report => "SR",
            Self::Segmentation => "SEG",
            Self::Capture => "OT",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Report => "Sialoscope report - RESEARCH USE ONLY",
            Self::Segmentation => "Sialoscope segments - RESEARCH USE ONLY",
            Self::Capture => "Sialoscope page - RESEARCH USE ONLY",
        }
    }
}

/// What is the same for all objects of one result.
pub(super) struct Context<'a> {
    pub findings: &'a Findings,
    pub evidence: &'a Evidence,
    pub device: &'a Device,
    pub made: OffsetDateTime,
    /// Tells this result from others about the study.
    pub result: String,
}

/// Attributes of the scanner, which stand in the objects as those of the equipment that contributed.
const OF_SCANNER: [Tag; 6] = [
    tags::MANUFACTURER,
    tags::INSTITUTION_NAME,
    tags::STATION_NAME,
    tags::MANUFACTURER_MODEL_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
];

/// Attributes that must be there, be it without a value (PS3.3 C.7.1.1, C.7.2.1).
const REQUIRED: [Tag; 9] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
];

impl Context<'_> {
    /// (0020,000D).
    pub fn study(&self) -> &str {
        &self.findings.study.study_instance_uid
    }

    pub fn series_uid(&self, kind: Kind) -> Uid {
        Uid::derived(&["series", self.study(), kind.name(), &self.device.serial_number])
    }

    pub fn instance_uid(&self, kind: Kind) -> Uid {
        Uid::derived(&["instance", self.study(), kind.name(), &self.result])
    }

    /// Patient, study, series, equipment, and the object itself.
    pub fn general(&self, kind: Kind) -> Set {
        let (date, time) = self.date_and_time();
        self.study_attributes()
            .text(tags::SOP_CLASS_UID, VR::UI, kind.sop_class())
            .text(tags::SOP_INSTANCE_UID, VR::UI, self.instance_uid(kind).as_str())
            .text(tags::MODALITY, VR::CS, kind.modality())
            .text(tags::SERIES_INSTANCE_UID, VR::UI, self.series_uid(kind).as_str())
            .text(tags::SERIES_NUMBER, VR::IS, kind.series_number())
            .text(tags::SERIES_DESCRIPTION, VR::LO, kind.description())
            .text(tags::SERIES_DATE, VR::DA, &date)
            .text(tags::SERIES_TIME, VR::TM, &time)
            .text(tags::INSTANCE_NUMBER, VR::IS, "1")
            .text(tags::INSTANCE_CREATION_DATE, VR::DA, &date)
            .text(tags::INSTANCE_CREATION_TIME, VR::TM, &time)
            .text(tags::CONTENT_DATE, VR::DA, &date)
            .text(tags::CONTENT_TIME, VR::TM, &time)
            .text(tags::CONTENT_QUALIFICATION, VR::CS, "RESEARCH")
            .and(self.equipment())
            .some_items(
                tags::CONTRIBUTING_EQUIPMENT_SEQUENCE,
                self.scanner().into_iter().collect(),
            )
    }

    /// Our scheme, for objects that use its codes (PS3.3 C.12.1.1.7).
    pub fn coding_schemes() -> Set {
        let item = Set::new()
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, PRIVATE_SCHEME)
            .text(tags::CODING_SCHEME_NAME, VR::ST, "Sialoscope private codes")
            .text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, MANUFACTURER);
        Set::new().items(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, [item])
    }

    /// Name, version and package of the model that answered.
    pub fn algorithm(&self) -> (String, String, String) {
        match &self.findings.model {
            Some(model) => (
                model.name.clone(),
                model.version.clone(),
                format!(
                    "package SHA-256 {}, trained on {}",
                    model.sha256, model.trained_on
                ),
            ),
            None => (
                MODEL.to_owned(),
                self.findings.software_version.clone(),
                "no model".to_owned(),
            ),
        }
    }

    fn equipment(&self) -> Set {
        let software = &self.findings.software_version;
        let model = self.findings.model.as_ref();
        let model = model.map(|model| format!("{} {}", model.name, model.version));
        let versions: Vec<&str> = std::iter::once(software.as_str())
            .chain(model.as_deref())
            .collect();
        Set::new()
            .text(tags::MANUFACTURER, VR::LO, MANUFACTURER)
            .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, MODEL)
            .text(tags::STATION_NAME, VR::SH, &self.device.station_name)
            .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &self.device.serial_number)
            .texts(tags::SOFTWARE_VERSIONS, VR::LO, &versions)
    }

    /// Patient and study as the images have them, in their character set.
    fn study_attributes(&self) -> Set {
        let mut set = REQUIRED
            .iter()
            .fold(Set::new(), |set, tag| set.text(*tag, vr(*tag), ""));
        for attribute in &self.evidence.attributes {
            let tag = Tag(attribute.tag.0, attribute.tag.1);
            if !OF_SCANNER.contains(&tag) {
                set = set.written(tag, vr(tag), &attribute.value);
            }
        }
        set.text(tags::STUDY_INSTANCE_UID, VR::UI, self.study())
    }

    /// Who acquired the images; none where they do not say.
    fn scanner(&self) -> Option<Set> {
        self.evidence.attribute(tags::MANUFACTURER)?;
        let set = OF_SCANNER
            .iter()
            .fold(Set::new(), |set, tag| match self.evidence.attribute(*tag) {
                Some(value) => set.written(*tag, vr(*tag), value),
                None => set,
            });
        Some(set.items(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            [ACQUISITION_EQUIPMENT.item()],
        ))
    }

    /// In the time zone that the images name, else in UTC.
    fn date_and_time(&self) -> (String, String) {
        let zone = self.evidence.attribute(tags::TIMEZONE_OFFSET_FROM_UTC);
        let made = zone
            .and_then(offset)
            .map_or(self.made, |offset| self.made.to_offset(offset));
        // Both formats hold nothing that can fail for a date of four digits.
        let date = made.format(format_description!("[year][month][day]"));
        let time = made.format(format_description!("[hour][minute][second]"));
        (date.unwrap_or_default(), time.unwrap_or_default())
    }
}

/// `&ZZXX` of (0008,0201).
fn offset(value: &[u8]) -> Option<time::UtcOffset> {
    let text = std::str::from_utf8(value).ok()?;
    let (sign, digits) = text.split_at_checked(1)?;
    let sign = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits.len() == 4)
        .then(|| digits.split_at_checked(2))
        .flatten()?;
    let number = |text: &str| text.parse::<i8>().ok().map(|number| sign * number);
    time::UtcOffset::from_hms(number(hours)?, number(minutes)?, 0).ok()
}

fn vr(tag: Tag) -> VR {
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}
