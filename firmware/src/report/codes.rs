//! The coded concepts of the objects.
//!
//! | scheme | is |
//! |---|---|
//! | `DCM` | PS3.16 Annex D |
//! | `SCT` | SNOMED CT, as PS3.16 uses it |
//! | `UCUM` | units |
//! | `99SIALO` | our own, where no standard has the concept; listed in docs/private-codes.md |

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::set::Set;

/// Our own coding scheme.
pub const PRIVATE_SCHEME: &str = "99SIALO";

/// A coded concept (PS3.3 8.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// (0008,0100).
    pub value: &'static str,
    /// (0008,0102).
    pub scheme: &'static str,
    /// (0008,0104), ASCII.
    pub meaning: &'static str,
}

const fn code(value: &'static str, scheme: &'static str, meaning: &'static str) -> Code {
    Code {
        value,
        scheme,
        meaning,
    }
}

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    code(value, "DCM", meaning)
}

const fn sct(value: &'static str, meaning: &'static str) -> Code {
    code(value, "SCT", meaning)
}

const fn own(value: &'static str, meaning: &'static str) -> Code {
    code(value, PRIVATE_SCHEME, meaning)
}

impl Code {
    pub(super) fn item(&self) -> Set {
        Set::new()
            .text(tags::CODE_VALUE, VR::SH, self.value)
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.scheme)
            .text(tags::CODE_MEANING, VR::LO, self.meaning)
    }
}

pub(super) const IMAGING_MEASUREMENT_REPORT: Code = dcm("126000", "Imaging Measurement Report");
pub(super) const LANGUAGE: Code = dcm("121049", "Language of Content Item and Descendants");
pub(super) const ENGLISH: Code = code("en", "RFC5646", "English");
pub(super) const COUNTRY: Code = dcm("121046", "Country of Language");
pub(super) const UNITED_STATES: Code = code("US", "ISO3166_1", "United States");
pub(super) const OBSERVER_TYPE: Code = dcm("121005", "Observer Type");
pub(super) const DEVICE: Code = dcm("121007", "Device");
pub(super) const DEVICE_UID: Code = dcm("121012", "Device Observer UID");
pub(super) const DEVICE_NAME: Code = dcm("121013", "Device Observer Name");
pub(super) const DEVICE_MANUFACTURER: Code = dcm("121014", "Device Observer Manufacturer");
pub(super) const DEVICE_MODEL: Code = dcm("121015", "Device Observer Model Name");
pub(super) const DEVICE_SERIAL: Code = dcm("121016", "Device Observer Serial Number");
pub(super) const PROCEDURE_REPORTED: Code = dcm("121058", "Procedure reported");
pub(super) const MULTIPARAMETRIC_MRI: Code = dcm("126020", "Multiparametric MRI");
pub(super) const IMAGE_LIBRARY: Code = dcm("111028", "Image Library");
pub(super) const IMAGE_LIBRARY_GROUP: Code = dcm("126200", "Image Library Group");
pub(super) const MODALITY: Code = dcm("121139", "Modality");
pub(super) const MAGNETIC_RESONANCE: Code = dcm("MR", "Magnetic Resonance");
pub(super) const TARGET_REGION: Code = dcm("123014", "Target Region");
pub(super) const HEAD_AND_NECK: Code = sct("774007", "Head and Neck");
pub(super) const FRAME_OF_REFERENCE: Code = dcm("112227", "Frame of Reference UID");
pub(super) const SOURCE: Code = sct("260753009", "Source");
pub(super) const IMAGING_MEASUREMENTS: Code = dcm("126010", "Imaging Measurements");
pub(super) const MEASUREMENT_GROUP: Code = dcm("125007", "Measurement Group");
pub(super) const TRACKING_IDENTIFIER: Code = dcm("112039", "Tracking Identifier");
pub(super) const TRACKING_UID: Code = dcm("112040", "Tracking Unique Identifier");
pub(super) const FINDING: Code = dcm("121071", "Finding");
pub(super) const NEOPLASM: Code = sct("108369006", "Neoplasm");
pub(super) const FINDING_SITE: Code = sct("363698007", "Finding Site");
pub(super) const PAROTID_GLAND: Code = sct("45289007", "Parotid gland");
pub(super) const LATERALITY: Code = sct("272741003", "Laterality");
pub(super) const LEFT: Code = sct("7771000", "Left");
pub(super) const RIGHT: Code = sct("24028007", "Right");
pub(super) const REFERENCED_SEGMENT: Code = dcm("121191", "Referenced Segment");
pub(super) const SOURCE_SERIES_FOR_SEGMENTATION: Code = dcm("121232", "Source series for segmentation");
pub(super) const LONG_AXIS: Code = sct("103339001", "Long Axis");
pub(super) const VOLUME: Code = sct("118565006", "Volume");
pub(super) const ADC: Code = dcm("113041", "Apparent Diffusion Coefficient");
pub(super) const DERIVATION: Code = dcm("121401", "Derivation");
pub(super) const MEAN: Code = sct("373098007", "Mean");
pub(super) const ALGORITHM_NAME: Code = dcm("111001", "Algorithm Name");
pub(super) const ALGORITHM_VERSION: Code = dcm("111003", "Algorithm Version");
pub(super) const ALGORITHM_PARAMETERS: Code = dcm("111002", "Algorithm Parameters");
pub(super) const ARTIFICIAL_INTELLIGENCE: Code = dcm("123110", "Artificial Intelligence");
pub(super) const QUALITATIVE_EVALUATIONS: Code = code("C0034375", "UMLS", "Qualitative Evaluations");
pub(super) const CONCLUSION: Code = dcm("121077", "Conclusion");
pub(super) const COMMENT: Code = dcm("121106", "Comment");
pub(super) const MORPHOLOGICALLY_ALTERED: Code = sct("49755003", "Morphologically Altered Structure");
pub(super) const SEGMENTATION: Code = dcm("113076", "Segmentation");
pub(super) const SOURCE_IMAGE: Code = dcm("121322", "Source image for image processing operation");
pub(super) const ACQUISITION_EQUIPMENT: Code = dcm("109101", "Acquisition Equipment");

pub(super) const MILLIMETRE: Code = code("mm", "UCUM", "mm");
pub(super) const MILLILITRE: Code = code("ml", "UCUM", "ml");
pub(super) const SQUARE_MILLIMETRES_PER_SECOND: Code = code("mm2/s", "UCUM", "mm2/s");
pub(super) const PERCENT: Code = code("%", "UCUM", "Percent");

pub(super) const OUTCOME: Code = own("OUTCOME", "Outcome of the analysis");
pub(super) const LESIONS_FOUND: Code = own("FOUND", "Parotid tumour found");
pub(super) const NO_LESION: Code = own("NONE", "No parotid tumour found");
pub(super) const CANNOT_ANSWER: Code = own("CANNOT", "Cannot answer");
pub(super) const REASON: Code = own("REASON", "Reason why there is no answer");
pub(super) const NOTICE: Code = own("NOTICE", "Notice");
pub(super) const DETECTION: Code = own("DETECTION", "Detection score");

/// A probability and the limits of its 95 % interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probability {
    label: &'static str,
    pub value: Code,
    pub low: Code,
    pub high: Code,
}

macro_rules! probability {
    ($label:literal, $code:literal, $of:literal) => {
        Probability {
            label: $label,
            value: own(concat!("P_", $code), concat!("Probability of ", $of)),
            low: own(
                concat!("P_", $code, "_LOW"),
                concat!("Lower 95% limit, ", $of, " probability"),
            ),
            high: own(
                concat!("P_", $code, "_HIGH"),
                concat!("Upper 95% limit, ", $of, " probability"),
            ),
        }
    };
}

/// None of the standard schemes has them but for cancer, and that one belongs to breast imaging. The limits are
/// measurements beside the probability and not its properties (TID 310): validators take every number below
/// a number for what it was inferred from (TID 1419 row 13), and viewers do not show them.
const PROBABILITIES: [Probability; 5] = [
    probability!("benign", "BENIGN", "benign tumour"),
    probability!("malignant", "MALIGNANT", "malignant tumour"),
    probability!("pleomorphic adenoma", "PA", "pleomorphic adenoma"),
    probability!("Warthin tumour", "WARTHIN", "Warthin tumour"),
    probability!("basal cell adenoma", "BCA", "basal cell adenoma"),
];

/// The concepts for a label of a model; none for a label that this version does not know.
pub(super) fn probability_of(label: &str) -> Option<Probability> {
    PROBABILITIES.into_iter().find(|known| known.label == label)
}

/// Every concept of our own.
pub fn private_codes() -> impl Iterator<Item = Code> {
    let fixed = [
        OUTCOME,
        LESIONS_FOUND,
        NO_LESION,
        CANNOT_ANSWER,
        REASON,
        NOTICE,
        DETECTION,
    ];
    fixed
        .into_iter()
        .chain(PROBABILITIES.into_iter().flat_map(|p| [p.value, p.low, p.high]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_in_docs_are_those_of_the_code() {
        let docs = include_str!("../../../docs/reports.md");
        let table = docs.split_once("## Our own codes").map_or("", |(_, after)| after);
        let table = table.split_once("\n## ").map_or("", |(table, _)| table);
        let listed: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        let known: Vec<String> = private_codes()
            .map(|code| format!("| `{}` | {} |", code.value, code.meaning))
            .collect();
        assert_eq!(listed, known);
        for code in private_codes() {
            assert!(code.value.len() <= 16 && code.meaning.len() <= 64, "{code:?}");
        }
    }
}
