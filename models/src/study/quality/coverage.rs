//! Whether the images reach the parotid glands.
//!
//! Nobody here knows where a gland is before a lesion is found in it. But the glands lie under the
//! skin of both cheeks, and at a known depth below the top of the head; both can be seen.

use super::outline::{EDGE_MM, Outline, Toward};
use crate::findings::{Fault, Reason};
use crate::limits::{
    MAX_CUT_SLICES, MIN_SHARED_TISSUE, MIN_STACK_MM, PAROTID_BOTTOM_BELOW_VERTEX_MM,
    PAROTID_TOP_BELOW_VERTEX_MM,
};
use crate::mr::{Contrast, Volume};

use super::head::CUT_MM;

/// Slices with less of a body than this are no part of the head, cm².
const MIN_AREA_CM2: f64 = 10.0;

/// How much of the glands a contrast covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coverage {
    /// The share of the slices in which the field of view cuts the patient's right side off.
    pub right_cut: f64,
    /// The same for the left side.
    pub left_cut: f64,
    /// From the top of the head to the lowest slice, mm; none when the top is not in the images.
    pub below_vertex_mm: Option<f64>,
    /// From the lowest to the highest slice with a body, edges included, mm.
    pub height_mm: f64,
}

/// None when there is nothing to be covered.
pub(super) fn coverage(outline: &Outline) -> Option<Coverage> {
    let slices = outline.slices(MIN_AREA_CM2);
    let (bottom, top) = (*slices.first()?, *slices.last()?);
    let cut = |toward: Toward| {
        let touching = slices.iter().filter(|z| outline.cut_mm(**z, toward) >= CUT_MM);
        touching.count() as f64 / slices.len() as f64
    };
    // The top of the head is seen where air lies above it in the same images.
    let above = (top + 3).min(outline.grid.shape[0]);
    let seen = top + 2 < outline.grid.shape[0] && {
        let [rows, columns] = [outline.grid.shape[1], outline.grid.shape[2]];
        let highest = outline.body.index_axis(ndarray::Axis(0), top);
        (0..rows)
            .all(|y| (0..columns).all(|x| !highest[[y, x]] || (top..above).all(|z| outline.known[[z, y, x]])))
    };
    let coverage = Coverage {
        right_cut: cut(Toward::Right),
        left_cut: cut(Toward::Left),
        below_vertex_mm: seen.then_some((top - bottom + 1) as f64 * EDGE_MM),
        height_mm: (top - bottom + 1) as f64 * EDGE_MM,
    };
    tracing::debug!(?coverage, "coverage");
    Some(coverage)
}

impl Coverage {
    /// Why no gland can be in the images; none when one can.
    pub fn refusal(&self, contrast: Contrast) -> Option<Reason> {
        let below = self
            .below_vertex_mm
            .filter(|mm| *mm < PAROTID_TOP_BELOW_VERTEX_MM)?;
        let text = format!(
            "The {contrast} ends {below:.0} mm below the top of the head; the parotid glands begin at about {PAROTID_TOP_BELOW_VERTEX_MM:.0} mm."
        );
        Some(Reason::new("parotids_not_covered", Fault::Data, text))
    }

    /// What a reader should know.
    pub fn remarks(&self, contrast: Contrast) -> Vec<Reason> {
        let mut remarks = Vec::new();
        let mut remark = |code: &str, text: String| remarks.push(Reason::new(code, Fault::Data, text));
        for (side, share) in [("right", self.right_cut), ("left", self.left_cut)] {
            if share > MAX_CUT_SLICES {
                remark(
                    "side_cut_off",
                    format!(
                        "The field of view of the {contrast} cuts off the patient's {side} side in {:.0} % of the slices; that parotid gland may be incomplete.",
                        100.0 * share
                    ),
                );
            }
        }
        match self.below_vertex_mm {
            Some(below) if below < PAROTID_BOTTOM_BELOW_VERTEX_MM => remark(
                "parotids_partly_covered",
                format!(
                    "The {contrast} ends {below:.0} mm below the top of the head; the parotid glands reach down to about {PAROTID_BOTTOM_BELOW_VERTEX_MM:.0} mm."
                ),
            ),
            _ if self.height_mm < MIN_STACK_MM => remark(
                "short_stack",
                format!(
                    "The {contrast} covers {:.0} mm from foot to head; a parotid gland is about {MIN_STACK_MM:.0} mm long.",
                    self.height_mm
                ),
            ),
            _ => {}
        }
        remarks
    }
}

/// A remark when a contrast leaves out much of what the anchor shows.
pub(super) fn shared(anchor: &Outline, anchor_contrast: Contrast, other: &Volume) -> Option<Reason> {
    let shape = other.grid.shape.map(|n| n as f64);
    let (mut inside, mut all) = (0usize, 0usize);
    for ((z, y, x), _) in anchor.body.indexed_iter().filter(|(_, b)| **b) {
        let at = other
            .grid
            .index_of(anchor.grid.position(z as f64, y as f64, x as f64));
        all += 1;
        inside += usize::from((0..3).all(|a| (-0.5..=shape[a] - 0.5).contains(&at[a])));
    }
    let share = inside as f64 / all.max(1) as f64;
    tracing::debug!(share, contrast = other.contrast.name(), "shared");
    (share < MIN_SHARED_TISSUE).then(|| {
        let text = format!(
            "The {} covers only {:.0} % of what the {anchor_contrast} shows.",
            other.contrast,
            100.0 * share
        );
        Reason::new("contrast_partly_covers", Fault::Data, text)
    })
}
