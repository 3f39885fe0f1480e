//! Motion: the ghosts that it leaves in the air beside the head, along the phase direction.
//!
//! The measure is the percent signal ghosting of the American College of Radiology's phantom test
//! (Phantom Test Guidance for the ACR MRI Accreditation Program): the air before and behind the
//! object against the air beside it, over the signal of the object. Noise is in both and cancels;
//! ghosts are in one only, whichever direction was encoded by phase. Where a scanner sets the air to
//! zero there is nothing to measure and nothing is said.

use ndarray::{ArrayView2, Axis, s};

use crate::findings::{Fault, Reason};
use crate::limits::MAX_GHOSTING;
use crate::mr::{Contrast, Volume};
use crate::study::image::{Reduced, quantile};

/// Between the head and the air that is measured, pixels: blurred skin and chemical shift.
const GAP_PIXELS: usize = 4;
/// Strips of air are at least this wide, pixels.
const MIN_STRIP_PIXELS: usize = 6;

/// Ghost signal over tissue signal, median over the slices in which it can be measured; none when
/// that are fewer than a third.
pub(super) fn ghosting(volume: &Volume, reduced: &Reduced) -> Option<f64> {
    let (level, threshold) = (reduced.tissue_level(), reduced.tissue_threshold());
    let slices = volume.voxels.len_of(Axis(0));
    let measured: Vec<f32> = volume
        .voxels
        .outer_iter()
        .filter_map(|slice| in_slice(slice, threshold))
        .map(|difference| difference / level)
        .collect();
    let ghosting = (3 * measured.len() >= slices).then(|| f64::from(quantile(measured, 0.5)));
    tracing::debug!(ghosting, contrast = volume.contrast.name(), "ghosts");
    ghosting
}

/// Mean signal in the two strips of air along one direction minus that along the other.
fn in_slice(slice: ArrayView2<f32>, threshold: f32) -> Option<f32> {
    let (rows, columns) = slice.dim();
    // A line belongs to the head where an eighth of it is tissue: bright ghosts are thinner.
    let head = |axis: usize| {
        let of = slice.len_of(Axis(1 - axis)) / 8;
        let is_head = |line: ArrayView2<f32>| line.iter().filter(|v| **v > threshold).count() > of;
        let lines = slice.len_of(Axis(axis));
        let at = |i: usize| match axis {
            0 => is_head(slice.slice(s![i..i + 1, ..])),
            _ => is_head(slice.slice(s![.., i..i + 1])),
        };
        let first = (0..lines).find(|i| at(*i))?;
        let last = (0..lines).rev().find(|i| at(*i))?;
        Some((first, last))
    };
    let ((top, bottom), (left, right)) = (head(0)?, head(1)?);
    let strip = |r: std::ops::Range<usize>, c: std::ops::Range<usize>| -> Option<f32> {
        let wide = r.len().min(c.len()) >= MIN_STRIP_PIXELS;
        wide.then(|| slice.slice(s![r, c]).mean()).flatten()
    };
    let mean = |a: Option<f32>, b: Option<f32>| match (a, b) {
        (Some(a), Some(b)) => Some((a + b) / 2.0),
        (one, other) => one.or(other),
    };
    let along_rows = mean(
        strip(top..bottom + 1, 0..left.saturating_sub(GAP_PIXELS)),
        strip(top..bottom + 1, (right + 1 + GAP_PIXELS).min(columns)..columns),
    )?;
    let along_columns = mean(
        strip(0..top.saturating_sub(GAP_PIXELS), left..right + 1),
        strip((bottom + 1 + GAP_PIXELS).min(rows)..rows, left..right + 1),
    )?;
    Some((along_rows - along_columns).abs())
}

/// A remark when ghosts are strong.
pub(super) fn remark(volume: &Volume, reduced: &Reduced) -> Option<Reason> {
    if volume.contrast == Contrast::Adc {
        return None;
    }
    let share = ghosting(volume, reduced).filter(|share| *share > MAX_GHOSTING)?;
    let text = format!(
        "The {} shows ghosts in the air beside the head, as from motion: {:.0} % of the tissue's signal, at most {:.0} % is usual.",
        volume.contrast,
        100.0 * share,
        100.0 * MAX_GHOSTING
    );
    Some(Reason::new("motion_ghosts", Fault::Data, text))
}
