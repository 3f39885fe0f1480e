//! Drawn tumours, in whatever form they were drawn, as voxels with lesion numbers.
//!
//! | form | read | numbers |
//! |---|---|---|
//! | NIfTI-1, `.nii` or compressed | [`nifti`] | values of the voxels |
//! | DICOM SEG: binary, fractional, label map | [`segmentation`] | segment numbers |
//! | DICOM RTSTRUCT | [`contours`] | ROI numbers |
//! | corners in a table of labels | [`boxes`] | rows of the table |
//!
//! A file's form is told by its content, never by its name. Codes of the reasons, all stable:
//!
//! | code | means |
//! |---|---|
//! | `mask_unreadable` | the disk says no |
//! | `mask_too_large` | beyond a limit of [`crate::limits`] |
//! | `mask_form` | none of the forms above, or broken |
//! | `mask_geometry` | its voxels have no place, or lie on no even grid |
//! | `mask_number` | a lesion number outside 1 to 255 |
//! | `mask_overlap` | two wanted lesions share a voxel |
//! | `mask_reference` | contours whose series is not in the examination |

mod boxes;
mod contours;
mod nifti;
mod object;
mod segmentation;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use models::findings::{Fault, Reason, Side};
use models::mr::{Grid, Scan};
use ndarray::Array3;

pub use self::boxes::{Corners, of_boxes};
pub use self::object::{References, references};
use crate::limits::{MAX_INFLATED_MASK_BYTES, MAX_MASK_BYTES, MAX_MASK_VOXELS};

/// Voxels with lesion numbers and where they are.
#[derive(Debug, Clone)]
pub struct Mask {
    /// Where the voxels are, patient millimetres.
    pub grid: Grid,
    /// (slice, row, column); 0 outside, else the number of a lesion.
    pub voxels: Array3<u8>,
    /// What the file calls its lesions, by number; empty where it has no names.
    pub names: BTreeMap<u8, String>,
    /// (0020,0052) of a DICOM object.
    pub frame_of_reference_uid: Option<String>,
}

/// What a mask says about one lesion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// How many voxels.
    pub voxels: usize,
    /// Mean of the voxels' centres, patient millimetres.
    pub centroid: [f64; 3],
}

impl Extent {
    /// The patient's side: x grows to the left (PS3.3 C.7.6.2.1.1).
    pub fn side(&self) -> Side {
        if self.centroid[0] > 0.0 {
            Side::Left
        } else {
            Side::Right
        }
    }
}

impl Mask {
    /// Every lesion of the mask, by number.
    pub fn extents(&self) -> BTreeMap<u8, Extent> {
        let mut sums: BTreeMap<u8, (usize, [f64; 3])> = BTreeMap::new();
        for ((s, r, c), number) in self.voxels.indexed_iter().filter(|(_, n)| **n != 0) {
            let place = self.grid.position(s as f64, r as f64, c as f64);
            let (count, sum) = sums.entry(*number).or_default();
            *count += 1;
            (0..3).for_each(|a| sum[a] += place[a]);
        }
        let extent = |(voxels, sum): (usize, [f64; 3])| Extent {
            voxels,
            centroid: sum.map(|s| s / voxels as f64),
        };
        sums.into_iter().map(|(n, sum)| (n, extent(sum))).collect()
    }

    /// 1 where a voxel belongs to one of these lesions, else 0.
    pub fn inside(&self, numbers: &BTreeSet<u8>) -> Array3<f32> {
        self.voxels.mapv(|n| if numbers.contains(&n) { 1.0 } else { 0.0 })
    }

    /// The share of the voxels of all lesions whose centres lie in a grid; 0 without any voxel.
    pub fn share_within(&self, other: &Grid) -> f64 {
        let within = |(s, r, c): (usize, usize, usize)| {
            let index = other.index_of(self.grid.position(s as f64, r as f64, c as f64));
            (0..3).all(|a| (-0.5..=other.shape[a] as f64 - 0.5).contains(&index[a]))
        };
        let lesions = self.voxels.indexed_iter().filter(|(_, n)| **n != 0);
        let (mut inside, mut all) = (0usize, 0usize);
        for (place, _) in lesions {
            all += 1;
            inside += usize::from(within(place));
        }
        inside as f64 / all.max(1) as f64
    }
}

/// Reads a mask. `wanted` are the lesions that matter, all by default: others may overlap them and are left
/// out, as a gland drawn around its tumour. `study` is the examination that contours were drawn on.
///
/// # Errors
/// A reason with one of the codes above.
pub fn open(
    path: &Path,
    wanted: Option<&BTreeSet<u8>>,
    study: impl FnOnce() -> Scan,
) -> Result<Mask, Reason> {
    let bytes = read(path)?;
    if object::is_dicom(&bytes) {
        let object = object::Object::parse(&bytes)?;
        return match object.kind()? {
            object::Kind::Segmentation(form) => segmentation::read(&object.set()?, form, wanted),
            object::Kind::Contours => contours::read(&object.set()?, wanted, &study()),
        };
    }
    nifti::parse(&bytes, wanted)
}

/// The bytes of a file, inflated where it is compressed.
fn read(path: &Path) -> Result<Vec<u8>, Reason> {
    let unreadable = |e: std::io::Error| {
        let text = format!("The mask cannot be read: {}.", e.kind());
        Reason::new("mask_unreadable", Fault::Data, text)
    };
    // Asked before opening: to open a named pipe is to wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(refused("mask_unreadable", "The mask is no regular file."));
    }
    let file = File::open(path).map_err(unreadable)?;
    let bytes = limited(file, MAX_MASK_BYTES).map_err(unreadable)??;
    if bytes.starts_with(&[0x1F, 0x8B]) {
        return limited(MultiGzDecoder::new(&bytes[..]), MAX_INFLATED_MASK_BYTES)
            .map_err(|_| refused("mask_form", "The compressed mask is damaged or ends too early."))?;
    }
    Ok(bytes)
}

/// All bytes of a source, refused beyond a limit.
fn limited(source: impl Read, limit: u64) -> std::io::Result<Result<Vec<u8>, Reason>> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("The mask is larger than {} MiB.", limit >> 20);
        return Ok(Err(Reason::new("mask_too_large", Fault::Data, text)));
    }
    Ok(Ok(bytes))
}

fn refused(code: &str, text: impl Into<String>) -> Reason {
    Reason::new(code, Fault::Data, text.into())
}

fn number(of: f64) -> Result<u8, Reason> {
    if (1.0..=255.0).contains(&of) && of.fract() == 0.0 {
        return Ok(of as u8);
    }
    let text = format!("The mask holds the lesion number {of}; 1 to 255 are read.");
    Err(refused("mask_number", text))
}

/// Voxels of a shape, all outside.
fn blank(shape: [usize; 3]) -> Result<Array3<u8>, Reason> {
    let count = shape[0]
        .checked_mul(shape[1])
        .and_then(|n| n.checked_mul(shape[2]));
    match count {
        Some(0) => Err(refused("mask_form", "The mask has no voxels.")),
        Some(n) if n <= MAX_MASK_VOXELS => Ok(Array3::zeros(shape)),
        _ => {
            let text = format!("The mask has more than {MAX_MASK_VOXELS} voxels.");
            Err(refused("mask_too_large", text))
        }
    }
}

/// Puts a lesion's number into a voxel.
fn paint(voxel: &mut u8, number: u8) -> Result<(), Reason> {
    if *voxel != 0 && *voxel != number {
        let text = format!(
            "Lesions {voxel} and {number} share a voxel; the column “lesion” of the labels says which ones are meant."
        );
        return Err(refused("mask_overlap", text));
    }
    *voxel = number;
    Ok(())
}

/// Refuses a grid whose steps are not finite or do not span space.
fn checked(grid: Grid) -> Result<Grid, Reason> {
    let numbers = [grid.origin, grid.slice_step, grid.row_step, grid.column_step];
    let far = models::limits::MAX_POSITION_MM * 2.0;
    let finite = numbers
        .as_flattened()
        .iter()
        .all(|n| n.is_finite() && n.abs() <= far);
    // A thousandth of the volume of a voxel with right angles: steps that nearly lie in one plane.
    let edges: f64 = grid.spacing().iter().product();
    if !finite || edges < 1e-6 || grid.voxel_volume() < 1e-3 * edges {
        return Err(refused(
            "mask_geometry",
            "The voxels of the mask have no place in space.",
        ));
    }
    Ok(grid)
}
