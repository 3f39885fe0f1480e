//! Rigid registration of two contrasts of one head by normalised mutual information.
//!
//! Coarse to fine, from many starts, and all of that twice, with different points. Where the images
//! belong together both runs arrive at the same place; where they do not, nothing makes them. That,
//! and how much better the images fit there than beside it, decides whether the answer is used (see
//! `docs/decisions/0005-registration.md`).

mod motion;
mod search;
mod similarity;

use ndarray::Array3;

use self::motion::{LEVER_MM, Parameters};
use self::search::climb;
use self::similarity::{Comparison, Region};
use super::image::Reduced;
use crate::findings::{Fault, Reason, Registration};
use crate::limits::{MAX_REGISTRATION_DEGREES, MAX_REGISTRATION_DISAGREEMENT_MM, MIN_REGISTRATION_GAIN};
use crate::mr::Volume;

pub(super) use self::motion::Motion;

/// Edges of the voxels of the three levels, mm.
const LEVELS_MM: [f64; 3] = [8.0, 4.0, 2.5];
/// Points at which the images are compared on each level: enough for 32 × 32 bins, and few enough
/// for half a second in all.
const POINTS: [usize; 3] = [3_000, 8_000, 18_000];
/// First step of the search on each level, mm.
const STEPS_MM: [f64; 3] = [8.0, 3.0, 1.0];
/// The search stops at this step, mm.
const TOLERANCES_MM: [f64; 3] = [1.0, 0.3, 0.1];
/// Starts that are followed on the coarsest level.
const FOLLOWED: usize = 3;
/// How far from the answer the images are compared again, to know what a bad fit looks like, mm.
const BESIDE_MM: f64 = 24.0;

/// What a registration found, good or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// From the moving volume's coordinates to the fixed volume's.
    pub motion: Motion,
    /// How much better the images fit here than beside here: normalised mutual information minus
    /// its mean at six places [`BESIDE_MM`] away, over what that mean leaves up to 2.
    pub gain: f64,
    /// Between two independent runs, mm.
    pub disagreement_mm: f64,
    /// The share of the fixed volume's tissue that the moving volume covers.
    pub overlap: f64,
    /// How far the middle of the fixed tissue was moved, mm.
    pub shift_mm: f64,
}

impl Found {
    /// For the findings.
    ///
    /// # Errors
    /// `not_registered` when the answer is not good enough to be used.
    pub fn accepted(&self) -> Result<Registration, Reason> {
        let refuse = |text: String| Err(Reason::new("not_registered", Fault::Data, text));
        if self.gain < MIN_REGISTRATION_GAIN {
            return refuse(format!(
                "has another frame of reference, and its content does not fit: quality {:.3}, at least {MIN_REGISTRATION_GAIN} is needed",
                self.gain
            ));
        }
        if self.disagreement_mm > MAX_REGISTRATION_DISAGREEMENT_MM {
            return refuse(format!(
                "has another frame of reference, and two alignments differ by {:.1} mm, at most {MAX_REGISTRATION_DISAGREEMENT_MM} mm is accepted",
                self.disagreement_mm
            ));
        }
        if self.motion.degrees() > MAX_REGISTRATION_DEGREES {
            return refuse(format!(
                "has another frame of reference, and would be turned by {:.0} degrees, more than {MAX_REGISTRATION_DEGREES} is not believed",
                self.motion.degrees()
            ));
        }
        Ok(Registration {
            rotation_degrees: self.motion.degrees(),
            shift_mm: self.shift_mm,
            quality: self.gain,
            disagreement_mm: self.disagreement_mm,
        })
    }
}

/// One image at three levels, the coarsest first.
struct Pyramid {
    levels: [Reduced; 3],
    tissue: Array3<bool>,
    /// Centre of mass of the tissue.
    middle: [f64; 3],
}

impl Pyramid {
    fn of(volume: &Volume) -> Option<Pyramid> {
        let fine = Reduced::of(volume, LEVELS_MM[2]);
        let medium = Reduced::of(volume, LEVELS_MM[1]);
        let coarse = medium.coarser(LEVELS_MM[0]);
        let tissue = coarse.tissue();
        let mut sum = [0.0; 3];
        let mut count = 0usize;
        for ((s, r, c), _) in tissue.indexed_iter().filter(|(_, t)| **t) {
            let p = coarse.grid.position(s as f64, r as f64, c as f64);
            (0..3).for_each(|a| sum[a] += p[a]);
            count += 1;
        }
        (count > 0).then(|| Pyramid {
            levels: [coarse, medium, fine],
            tissue,
            middle: sum.map(|v| v / count as f64),
        })
    }
}

/// Finds the motion that carries `moving` onto `fixed`; none when one of them is empty.
pub(super) fn register(fixed: &Volume, moving: &Volume) -> Option<Found> {
    let (fixed, moving) = (Pyramid::of(fixed)?, Pyramid::of(moving)?);
    let centre = fixed.middle;
    let region = Region::around(&fixed.levels[0], &fixed.tissue);
    let compare = |level: usize, draw: usize| {
        let (a, b) = (&fixed.levels[level], &moving.levels[level]);
        Comparison::new(a, &region, b, centre, POINTS[level], draw)
    };

    let run = |draw: usize| {
        let mut coarse = compare(0, draw);
        let mut here = starts(centre, moving.middle, &mut coarse)
            .into_iter()
            .map(|start| climb(start, STEPS_MM[0], TOLERANCES_MM[0], |p| coarse.at(p)))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?
            .0;
        for level in 1..LEVELS_MM.len() {
            let mut comparison = compare(level, draw);
            here = climb(here, STEPS_MM[level], TOLERANCES_MM[level], |p| comparison.at(p)).0;
        }
        Some(here)
    };
    let (one, other) = (run(0)?, run(1)?);
    let mut judge = compare(2, 2);
    let (at_one, at_other) = (judge.at(&one), judge.at(&other));
    let (best, at_best) = if at_other > at_one {
        (other, at_other)
    } else {
        (one, at_one)
    };

    // The search goes from the fixed image into the moving one; the volume moves the other way.
    let inward = Motion::new(&best, centre);
    let motion = inward.inverse();
    let beside = beside(&best, &mut judge);
    let found = Found {
        motion,
        gain: (at_best - beside) / (2.0 - beside),
        disagreement_mm: Motion::new(&one, centre).disagreement_mm(&Motion::new(&other, centre), centre),
        overlap: judge.overlap(&inward),
        shift_mm: inward.distance_mm(centre),
    };
    tracing::debug!(
        gain = found.gain,
        disagreement_mm = found.disagreement_mm,
        overlap = found.overlap,
        degrees = found.motion.degrees(),
        shift_mm = found.shift_mm,
        "registered"
    );
    Some(found)
}

/// The best of a coarse lattice of starts: around no motion at all, and around equal middles.
fn starts(fixed: [f64; 3], moving: [f64; 3], comparison: &mut Comparison) -> Vec<Parameters> {
    let to_middle: [f64; 3] = std::array::from_fn(|a| moving[a] - fixed[a]);
    let mut all: Vec<(Parameters, f64)> = Vec::new();
    for about in [[0.0; 3], to_middle] {
        for z in [-50.0, -25.0, 0.0, 25.0, 50.0] {
            for y in [-20.0, 0.0, 20.0] {
                for nod in [-0.2 * LEVER_MM, 0.0, 0.2 * LEVER_MM] {
                    let start = [about[0], about[1] + y, about[2] + z, nod, 0.0, 0.0];
                    all.push((start, comparison.at(&start)));
                }
            }
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(FOLLOWED);
    all.into_iter().map(|(start, _)| start).collect()
}

/// Mean similarity at six places around a motion.
fn beside(parameters: &Parameters, comparison: &mut Comparison) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for axis in 0..3 {
        for step in [-BESIDE_MM, BESIDE_MM] {
            let mut moved = *parameters;
            moved[axis] += step;
            let value = comparison.at(&moved);
            // Negative means that too little overlaps there to be compared.
            if value > 0.0 {
                sum += value;
                count += 1;
            }
        }
    }
    if count == 0 { 1.0 } else { sum / count as f64 }
}

#[cfg(test)]
mod tests;
