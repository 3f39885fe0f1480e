//! MR DICOM files → series → volumes with geometry.
//!
//! Reading goes in two steps. [`scan`] reads headers only, groups files by Series Instance UID,
//! splits each series into volumes and says for each which contrast it is, and why; what cannot be
//! used is refused by name. [`VolumeIndex::load`] then reads the voxels of one volume.
//!
//! Codes of the reasons, all stable:
//!
//! | code | of | means |
//! |---|---|---|
//! | `not_dicom` | file | no preamble with `DICM` |
//! | `malformed` | file | the header cannot be parsed |
//! | `wrong_transfer_syntax` | file | not written as its file meta information says |
//! | `truncated` | file | it ends before its image is complete |
//! | `too_large` | file | beyond a limit of [`crate::limits`] |
//! | `too_many_files` | scan | more than [`crate::limits::MAX_FILES`], or folders too deep |
//! | `unreadable` | file | the disk says no, or it is no regular file |
//! | `missing_uid`, `invalid_uid` | file | a UID is absent, or has other characters than digits and dots |
//! | `conflicting_duplicate` | file | another image with the same SOP Instance UID came first |
//! | `unsupported_transfer_syntax` | file, load | an encoding that is not read |
//! | `not_mr` | series | another modality |
//! | `invalid_frames` | file | Enhanced MR whose frames are not described one by one |
//! | `invalid_mosaic` | file | a mosaic without a number of slices, or of another size than its tiles fill |
//! | `mosaic_without_normal` | file | a Siemens mosaic whose slice order is lost with its CSA header |
//! | `multi_frame` | series | several frames in an object that describes none of them |
//! | `no_pixels` | series | objects without an image |
//! | `not_grayscale` | series | colour images |
//! | `unsupported_pixels` | series | other depths than 8 or 16 bits, or an impossible layout |
//! | `missing_geometry`, `invalid_geometry` | series | position, orientation or spacing absent or impossible |
//! | `mixed_orientation`, `mixed_size` | volume | slices that differ in orientation, matrix or spacing |
//! | `duplicate_slices`, `missing_slices`, `uneven_spacing` | volume | slices that leave no even stack |
//! | `tilted_gantry` | volume | slices not stacked along their normal |
//! | `too_few_slices` | volume | two slices whose distance nothing confirms |
//! | `localizer` | volume | a scout in several orientations |
//! | `single_direction` | volume | diffusion directions beside their own trace-weighted volume |
//! | `too_many_directions` | volume | more than [`crate::limits::MAX_DIRECTIONS`] |
//! | `no_contrast` | load | the volume is none of our contrasts |
//! | `changed` | load | a file is not the one that was scanned |
//! | `undecodable` | load | the pixels cannot be decompressed |
//! | `adc_unit_unknown` | load | values that fit no unit of ADC |

mod codec;
mod csa;
mod data_set;
mod diffusion;
mod element;
mod enhanced;
mod evidence;
mod extent;
mod files;
mod fragments;
mod geometry;
mod header;
mod mosaic;
mod pixels;
mod private;
mod recognition;
mod series;
mod stored;
mod words;

use std::sync::Arc;

use ndarray::Array3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::codec::reads;
pub use self::data_set::{DataSet, Element};
pub use self::element::Syntax;
pub use self::evidence::{Attribute, Evidence, ImageReference, Source};
pub use self::extent::Broken;
use self::header::Image;
pub use self::series::{MR_IMAGES, scan};
use self::stored::StoredFile;
use crate::findings::{RefusedInput, StudyIdentity};

/// The contrasts that Sialoscope knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Contrast {
    /// T1-weighted without contrast agent.
    T1,
    /// T2-weighted.
    T2,
    /// T1-weighted after a gadolinium contrast agent.
    #[serde(rename = "CE-T1")]
    CeT1,
    /// Diffusion-weighted series, b = 0.
    #[serde(rename = "DWI-b0")]
    DwiB0,
    /// Diffusion-weighted, high b; the b-value stands beside it.
    #[serde(rename = "DWI")]
    Dwi,
    /// Apparent diffusion coefficient.
    #[serde(rename = "ADC")]
    Adc,
}

impl Contrast {
    /// All of them, in the order of the screen.
    pub const ALL: [Contrast; 6] = [
        Contrast::T1,
        Contrast::T2,
        Contrast::CeT1,
        Contrast::DwiB0,
        Contrast::Dwi,
        Contrast::Adc,
    ];

    /// The name in JSON, manifests and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Contrast::T1 => "T1",
            Contrast::T2 => "T2",
            Contrast::CeT1 => "CE-T1",
            Contrast::DwiB0 => "DWI-b0",
            Contrast::Dwi => "DWI",
            Contrast::Adc => "ADC",
        }
    }
}

impl std::fmt::Display for Contrast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How sure a recognition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// From words in a description only.
    Low,
    /// From vendor's tags or several weak signs.
    Medium,
    /// From the physics of the sequence or a standard tag.
    High,
}

/// Where the voxels of a volume are: an affine map from voxel indices to patient millimetres (LPS).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Grid {
    /// Centre of voxel (slice 0, row 0, column 0), mm.
    pub origin: [f64; 3],
    /// From one slice to the next, mm.
    pub slice_step: [f64; 3],
    /// From one row to the next (down a column), mm.
    pub row_step: [f64; 3],
    /// From one column to the next (along a row), mm.
    pub column_step: [f64; 3],
    /// Slices, rows, columns.
    pub shape: [usize; 3],
}

/// One volume as found in the headers.
#[derive(Debug, Clone)]
pub struct VolumeIndex {
    /// Which contrast; none when it was recognised as none of ours or not at all.
    pub contrast: Option<Contrast>,
    /// s/mm², for diffusion.
    pub b_value: Option<f64>,
    /// Where its voxels are; slices ordered by position.
    pub grid: Grid,
    /// (0020,0052).
    pub frame_of_reference_uid: Option<String>,
    /// Why it is this contrast, or why it is none.
    pub reason: String,
    /// How sure.
    pub confidence: Confidence,
    /// One per slice, in slice order.
    pub slices: Vec<SliceSource>,
    /// Further diffusion directions of the same b-value, each in slice order: the voxels are the
    /// geometric mean over `slices` and all of these, which is the trace-weighted image.
    pub further_directions: Vec<Vec<SliceSource>>,
    /// Acquired slice thickness (0018,0050), mm.
    pub slice_thickness_mm: Option<f64>,
    /// When its first slice was acquired, `YYYYMMDDHHMMSS` by the scanner's clock: (0008,002A), or
    /// (0008,0022) and (0008,0032).
    pub acquired: Option<String>,
}

/// Where the pixels of one slice are, and what they mean.
#[derive(Debug, Clone)]
pub struct SliceSource {
    file: Arc<StoredFile>,
    part: Part,
    image: Image,
}

/// Which part of a file's pixel data one slice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of it: classic images.
    Whole,
    /// One frame, from 0: enhanced images.
    Frame(usize),
    /// One tile of a mosaic, by the pixel of its upper left corner, from 0.
    Tile { row: usize, column: usize },
}

/// One series.
#[derive(Debug, Clone)]
pub struct Series {
    /// (0020,000E).
    pub uid: String,
    /// (0020,000D).
    pub study_uid: String,
    /// (0020,0011).
    pub number: Option<i64>,
    /// (0008,103E).
    pub description: String,
    /// (0008,0060).
    pub modality: String,
    /// How many files.
    pub files: usize,
    /// Its volumes.
    pub volumes: Vec<VolumeIndex>,
    /// What in this series was refused, and why.
    pub refused: Vec<RefusedInput>,
}

/// All that the headers of a set of files say.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// By series number, then UID.
    pub series: Vec<Series>,
    /// Files that belong to no series: not DICOM, truncated, without UIDs.
    pub refused: Vec<RefusedInput>,
    /// The studies seen, each once.
    pub studies: Vec<StudyIdentity>,
    /// What objects about the first study repeat.
    pub attributes: Vec<Attribute>,
}

/// Voxels with geometry.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Which contrast.
    pub contrast: Contrast,
    /// s/mm², for diffusion.
    pub b_value: Option<f64>,
    /// Where the voxels are.
    pub grid: Grid,
    /// (slice, row, column); rescaled to the modality's unit, ADC in 1e-3 mm²/s.
    pub voxels: Array3<f32>,
}
