//! The answer about one examination, and its JSON form.
//!
//! One schema serves the worker process, the screen, the report and the command line.
//! All positions are millimetres in the DICOM patient frame (LPS: x to the patient's left, y to
//! posterior, z to the head; PS3.3 C.7.6.2.1.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mr::{Confidence, Contrast, Grid};

/// The version of this JSON schema; raised when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// The line that stands on every page, object and file that shows a finding.
pub const NOTICE: &str = "Research use only, not for diagnosis";

/// Whose fault it is; decides DICOM status, LED, retry and wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The system on the other end of the network.
    Peer,
    /// The images or files themselves.
    Data,
    /// What somebody wrote into a settings file or on the command line.
    Configuration,
    /// Disk, memory, display, clock.
    Hardware,
    /// Sialoscope itself.
    Us,
}

/// A named reason: a stable code for programs, a sentence for people, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stable, lower-case, for example `missing_contrast`.
    pub code: String,
    /// Whose fault.
    pub fault: Fault,
    /// One sentence in English, without patient data.
    pub text: String,
}

impl Reason {
    /// A reason from its three parts.
    pub fn new(code: &str, fault: Fault, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            fault,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether the box gives an answer. A tumour-free examination is an answer without lesions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The model ran on valid input; `lesions` holds what it found, possibly nothing.
    Answered,
    /// No number may be shown; `reasons` say why.
    CannotAnswer,
}

/// Everything the appliance has to say about one examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// [`SCHEMA`].
    pub schema: u32,
    /// [`NOTICE`].
    pub notice: String,
    /// Answered or not.
    pub outcome: Outcome,
    /// Why there is no answer; empty when answered.
    pub reasons: Vec<Reason>,
    /// Whose examination.
    pub study: StudyIdentity,
    /// What was found, the most suspicious first.
    pub lesions: Vec<Lesion>,
    /// The contrasts that were used, each with the reason why it was taken for that contrast.
    pub contrasts: Vec<ContrastUse>,
    /// The contrasts that the model knows but the examination lacks.
    pub missing: Vec<MissingContrast>,
    /// Files and series that were not used, each with its reason.
    pub refused: Vec<RefusedInput>,
    /// What a reader should know about the quality of the images.
    pub quality: Vec<Reason>,
    /// The model that answered; none when no model could be loaded.
    pub model: Option<ModelIdentity>,
    /// Version of the appliance software.
    pub software_version: String,
    /// Wall time of each step.
    pub timings: Vec<Timing>,
}

impl Findings {
    /// No answer yet, and no reason for that: what findings begin with.
    pub fn blank(software_version: &str) -> Self {
        Self {
            schema: SCHEMA,
            notice: NOTICE.to_owned(),
            outcome: Outcome::CannotAnswer,
            reasons: Vec::new(),
            study: StudyIdentity::default(),
            lesions: Vec::new(),
            contrasts: Vec::new(),
            missing: Vec::new(),
            refused: Vec::new(),
            quality: Vec::new(),
            model: None,
            software_version: software_version.to_owned(),
            timings: Vec::new(),
        }
    }
}

/// Identity of the examination as its images state it. Patient data: never written to logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyIdentity {
    /// (0020,000D).
    pub study_instance_uid: String,
    /// (0010,0010), decoded to Unicode.
    pub patient_name: String,
    /// (0010,0020).
    pub patient_id: String,
    /// (0008,0020), `YYYYMMDD` or empty.
    pub study_date: String,
    /// (0008,0050).
    pub accession_number: String,
    /// (0008,1030).
    pub description: String,
}

/// Side of the patient, never of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
}

/// One lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// 1, 2, …; 1 is the one with the highest detection score.
    pub number: u32,
    /// Which parotid gland.
    pub side: Side,
    /// Axis-aligned box around the mask, patient millimetres.
    pub box_mm: BoxMm,
    /// Largest in-plane diameter of the mask in one slice, millimetres.
    pub long_axis_mm: f64,
    /// Volume of the mask, millilitres.
    pub volume_ml: f64,
    /// Mean ADC in the mask, 1e-3 mm²/s, when an ADC map was there.
    pub mean_adc: Option<f64>,
    /// Highest locator probability inside, 0 to 1.
    pub detection: f64,
    /// Index of the slice of `mask.grid` on which the lesion is largest.
    pub largest_slice: usize,
    /// The voxels.
    pub mask: Mask,
    /// One answer per task of the model.
    pub tasks: Vec<TaskAnswer>,
}

/// An axis-aligned box in patient millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxMm {
    /// Smallest x, y, z.
    pub min: [f64; 3],
    /// Largest x, y, z.
    pub max: [f64; 3],
}

impl BoxMm {
    /// Whether both boxes share a volume (touching is not sharing).
    pub fn overlaps(&self, other: &BoxMm) -> bool {
        (0..3).all(|a| self.min[a] < other.max[a] && other.min[a] < self.max[a])
    }
}

/// Voxels of a lesion as runs over a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// Where the voxels are.
    pub grid: Grid,
    /// Half-open ranges `[start, end)` of voxel indices, counted slice by slice, row by row.
    pub runs: Vec<[usize; 2]>,
}

/// The answer to one question about one lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskAnswer {
    /// `malignancy` or `subtype`.
    pub task: String,
    /// In the order of the model's manifest; probabilities sum to 1.
    pub labels: Vec<LabelProbability>,
}

/// A probability never goes without its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProbability {
    /// For example `malignant` or `Warthin tumour`.
    pub label: String,
    /// Calibrated, 0 to 1.
    pub probability: f64,
    /// 95 % interval over the ensemble of heads.
    pub interval: [f64; 2],
}

/// A contrast that went into the answer or is shown beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContrastUse {
    /// Which one.
    pub contrast: Contrast,
    /// s/mm², for diffusion.
    pub b_value: Option<f64>,
    /// (0020,000E).
    pub series_instance_uid: String,
    /// (0020,0011).
    pub series_number: Option<i64>,
    /// (0008,103E).
    pub description: String,
    /// Why the series was taken for this contrast.
    pub reason: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// Whether the model read it (else it is only shown).
    pub used_by_model: bool,
    /// How it was aligned, where it lies in another frame of reference than the other contrasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registration>,
    /// Whether it was computed here from other series, since the study brings none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub computed: bool,
    /// When it was acquired by the scanner's clock, `YYYYMMDDHHMMSS`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquired: Option<String>,
}

/// A contrast that was aligned to the others by its content.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// The angle of the turn.
    pub rotation_degrees: f64,
    /// How far the middle of the head was moved, mm.
    pub shift_mm: f64,
    /// How much better the images fit there than 24 mm beside it: the gain in normalised mutual
    /// information, 0 none to 1 identical ([`crate::limits::MIN_REGISTRATION_GAIN`]).
    pub quality: f64,
    /// How far apart two independent runs ended, mm, anywhere within 80 mm of the middle
    /// ([`crate::limits::MAX_REGISTRATION_DISAGREEMENT_MM`]).
    pub disagreement_mm: f64,
}

/// A contrast that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingContrast {
    /// Which one.
    pub contrast: Contrast,
    /// Whether the model cannot answer without it.
    pub required: bool,
}

/// A file or series that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedInput {
    /// File name, or series number and description; no patient data, no folder.
    pub input: String,
    /// Why.
    pub reason: Reason,
}

/// Which model gave the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name of the package.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// SHA-256 of its manifest, which holds the hashes of all other files.
    pub sha256: String,
    /// What it was trained on, in words for the screen.
    pub trained_on: String,
}

/// Wall time of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// `read`, `align`, `locate`, `classify`, `views`.
    pub step: String,
    /// Milliseconds.
    pub milliseconds: f64,
}

pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map_err(D::Error::custom)
    }
}
