//! Contrast agent: whether the CE-T1 is after it and the T1 before.
//!
//! Signals of two sequences cannot be compared as they are, fat least of all. But what takes up the
//! agent (mucosa, glands, tumours) has a long T2; so what gains most from T1 to CE-T1 is brighter in a
//! fat-suppressed T2 than what gains least where the labels are right, and darker where they are
//! swapped. Where the T2 is not fat-suppressed, fat would say the opposite, and nothing is said. An
//! agent that was not given is only noticed where both are of one kind of sequence.

use super::outline::{EDGE_MM, Outline};
use crate::findings::{ContrastUse, Fault, Reason};
use crate::limits::{MIN_ENHANCEMENT, MIN_UPTAKE_T2};
use crate::mr::{Contrast, Volume};
use crate::study::image::{Reduced, quantile};

/// Deeper than this under the skin there is little fat, mm.
const DEEP_MM: f64 = 16.0;
/// To this depth there is much, mm.
const RIM_MM: f64 = 6.0;
/// The fat under the skin of a fat-suppressed T2 has less than this share of the signal deeper inside.
const MAX_SUPPRESSED_FAT: f32 = 0.8;
/// Darker than this share of the tissue level is air, bone, fluid and flow: its ratio is noise.
const MIN_SIGNAL: f32 = 0.5;
/// Fewer cubes say nothing.
const MIN_CUBES: usize = 500;

/// How the CE-T1 differs from the T1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Uptake {
    /// How much brighter, against the T1, the brightest twentieth of the tissue became than the
    /// middle of it, as a factor.
    pub enhancement: f64,
    /// Logarithm of the T2 signal of what gained most over that of what gained least; none where the
    /// T2 is not fat-suppressed.
    pub with_t2: Option<f64>,
}

/// Compares the three; none where too little of them overlaps.
pub(super) fn uptake(t2: &Outline, before: &Volume, after: &Volume) -> Option<Uptake> {
    let (before, after) = (Reduced::of(before, EDGE_MM), Reduced::of(after, EDGE_MM));
    let least = [&before, &after].map(|image| MIN_SIGNAL * image.tissue_level());
    let (value_before, value_after) = (before.values(), after.values());
    let (mut rim, mut deep) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    for ((z, y, x), signal) in t2.signal.indexed_iter().filter(|(at, _)| t2.body[*at]) {
        if !is_under(t2, [z, y, x], RIM_MM) {
            rim.push(*signal);
        }
        if !is_under(t2, [z, y, x], DEEP_MM) {
            continue;
        }
        deep.push(*signal);
        let position = t2.grid.position(z as f64, y as f64, x as f64);
        let (a, b) = (value_before(position), value_after(position));
        // Suppressed fat is far darker than other tissue and belongs to the comparison; air does not.
        if *signal > 0.0 && a > least[0] && b > least[1] / 4.0 {
            pairs.push((f64::from(signal.ln()), f64::from((b / a).ln())));
        }
    }
    if pairs.len() < MIN_CUBES {
        return None;
    }
    let suppressed = quantile(rim, 0.5) < MAX_SUPPRESSED_FAT * quantile(deep, 0.5);
    let ratios: Vec<f32> = pairs.iter().map(|(_, ratio)| *ratio as f32).collect();
    let spread = quantile(ratios.clone(), 0.95) - quantile(ratios, 0.5);
    let uptake = Uptake {
        enhancement: f64::from(spread.exp()),
        with_t2: suppressed.then(|| t2_of_tails(pairs)),
    };
    tracing::debug!(?uptake, "uptake");
    Some(uptake)
}

/// Whether all of the slice within so many millimetres along its rows and columns is body.
fn is_under(outline: &Outline, [z, y, x]: [usize; 3], depth_mm: f64) -> bool {
    let reach = (depth_mm / EDGE_MM).round() as usize;
    let [_, rows, columns] = outline.grid.shape;
    if y < reach || x < reach || y + reach >= rows || x + reach >= columns {
        return false;
    }
    (y - reach..=y + reach).all(|y| outline.body[[z, y, x]])
        && (x - reach..=x + reach).all(|x| outline.body[[z, y, x]])
}

/// Logarithm of the T2 signal of the twentieth with the highest ratio over that with the lowest.
/// Swapping the images swaps its sign.
fn t2_of_tails(mut pairs: Vec<(f64, f64)>) -> f64 {
    pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
    let part = pairs.len() / 20;
    let mean = |of: &[(f64, f64)]| of.iter().map(|(t2, _)| t2).sum::<f64>() / of.len().max(1) as f64;
    mean(&pairs[pairs.len() - part..]) - mean(&pairs[..part])
}

impl Uptake {
    /// A remark when the two do not look like before and after.
    pub fn remark(&self) -> Option<Reason> {
        if self.with_t2.is_some_and(|c| c < MIN_UPTAKE_T2) {
            let text = "The T1 looks enhanced against the CE-T1: the two may be swapped.";
            return Some(Reason::new("contrast_swapped", Fault::Data, text));
        }
        (self.enhancement < MIN_ENHANCEMENT).then(|| {
            let text = format!(
                "The CE-T1 shows no enhancement against the T1 (brightest tissue {:.0} % up, at least {:.0} % is expected); check that contrast agent was given.",
                100.0 * (self.enhancement - 1.0),
                100.0 * (MIN_ENHANCEMENT - 1.0)
            );
            Reason::new("no_enhancement", Fault::Data, text)
        })
    }
}

/// A remark when the scanner's clock says that the CE-T1 came first.
pub(super) fn order(origins: &[ContrastUse]) -> Option<Reason> {
    let acquired = |contrast: Contrast| {
        origins
            .iter()
            .find(|o| o.contrast == contrast)
            .and_then(|o| o.acquired.as_deref())
    };
    let (before, after) = (acquired(Contrast::T1)?, acquired(Contrast::CeT1)?);
    // Both are YYYYMMDDHHMMSS, so the order of text is the order of time.
    (after < before).then(|| {
        let text = "The CE-T1 was acquired before the T1: one of them may not be what it is taken for.";
        Reason::new("contrast_order", Fault::Data, text)
    })
}
