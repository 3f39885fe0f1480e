//! The parotids: first where the drawn gland and its surroundings fit, then which voxels belong to it.

use super::Unfit;
use super::lattice::Lattice;
use super::pose::{Landmarks, Pose, climb};
use super::scan::Outline;
use crate::Side;
use crate::anatomy::Template;
use crate::space::{Point, add, scale};

/// A parotid of a real head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gland {
    /// Mean place, mm, in the head's directions.
    pub centre: Point,
    pub volume_ml: f32,
    /// Correlation ratio of the surroundings.
    pub fit: f32,
    /// Mean share of fat.
    pub fat: f32,
}

/// Where the drawn gland of one side fits best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// In template millimetres.
    pub shift: Point,
    pub fit: f32,
}

/// The surroundings that say where a gland is: ramus, masseter, mastoid, ear canal, skin; mm.
const SURROUNDINGS_MM: f32 = 36.0;
/// What a shift of both glands against the head's pose must gain per mm and mm to be believed, along x, y and z:
/// least along z, where the bone beside the ears has settled it.
const DISTRUST: Point = [3e-4, 6e-4, 2e-3];
/// The same for one gland against the other.
const OWN_DISTRUST: f32 = 2e-3;
/// Least correlation ratio of a gland's surroundings.
const MIN_FIT: f32 = 0.1;
/// Least share of the surroundings that are head and air where they should be.
const MIN_OUTLINE: f32 = 0.75;
/// Share of the surroundings that may lie outside the field of view.
const BLIND: f32 = 0.15;
/// Volumes of a parotid that are believed, ml; a guess around the usual 15 to 40 ml.
const VOLUME_ML: [f32; 2] = [8.0, 60.0];
/// Voxels may lie this far outside the drawn gland, mm.
const AROUND_DRAWN_MM: f32 = 3.0;

/// Where both glands lie, left and right.
pub(super) fn places(template: &Template, outline: &Outline, pose: &Pose) -> Result<[Place; 2], Unfit> {
    let sides = [Side::Left, Side::Right];
    let around = sides.map(|side| {
        let centre = template.gland_centre(side.sign());
        Landmarks::around(template, 2.5, centre, SURROUNDINGS_MM)
    });
    let fit = |i: usize, shift: Point| around[i].fit(&outline.evened, pose, shift, BLIND);
    let cost = |s: &Point| DISTRUST[0] * s[0] * s[0] + DISTRUST[1] * s[1] * s[1] + DISTRUST[2] * s[2] * s[2];
    // A head is symmetric before it is not: first both sides together, outward, back and up.
    let mirrored = |i: usize, [x, y, z]: Point| [sides[i].sign() * x, y, z];
    let (both, _) = climb([0.0; 3], [3.0; 3], |s| {
        fit(0, mirrored(0, *s)).score() + fit(1, mirrored(1, *s)).score() - 2.0 * cost(s)
    });
    let place = |i: usize| {
        let side = sides[i];
        let common = mirrored(i, both);
        let (own, _) = climb([0.0; 3], [2.0; 3], |s| {
            fit(i, add(common, *s)).score() - OWN_DISTRUST * (s[0] * s[0] + s[1] * s[1] + s[2] * s[2])
        });
        let shift = add(common, own);
        let fit = fit(i, shift);
        if fit.seen() < 1.0 - BLIND {
            let why = "its place is outside the field of view".to_owned();
            return Err(Unfit::NoGland { side, why });
        }
        if fit.tissues < MIN_FIT || fit.outline < MIN_OUTLINE {
            let why = format!(
                "the drawn surroundings explain {:.2} of the variance there and {:.2} of the outline, at least {MIN_FIT:.2} and {MIN_OUTLINE:.2} are asked for",
                fit.tissues, fit.outline
            );
            return Err(Unfit::NoGland { side, why });
        }
        Ok(Place {
            shift,
            fit: fit.tissues,
        })
    };
    Ok([place(0)?, place(1)?])
}

/// What the voxels around a gland are, for [`Place::fill`].
pub(super) struct Candidates<'a> {
    pub lattice: &'a Lattice,
    /// May be gland by brightness and place.
    pub tissue: &'a [bool],
}

impl Place {
    /// The voxels of the gland: those within the drawn shape that may be gland by their brightness.
    ///
    /// # Errors
    /// Far too few or too many.
    pub fn fill(
        &self,
        side: Side,
        template: &Template,
        pose: &Pose,
        candidates: &Candidates,
    ) -> Result<(Vec<usize>, Gland), Unfit> {
        let lattice = candidates.lattice;
        let sign = side.sign();
        let middle = pose.stretched(add(template.gland_centre(sign), self.shift));
        let mut set = vec![false; lattice.len()];
        for (at, set) in set.iter_mut().enumerate() {
            let p = lattice.place(at);
            let near = (0..3).all(|a| (p[a] - middle[a]).abs() < SURROUNDINGS_MM + 10.0);
            if !near || !candidates.tissue[at] {
                continue;
            }
            let drawn: Point = {
                let t = pose.relaxed(p);
                std::array::from_fn(|a| t[a] - self.shift[a])
            };
            *set = template.gland(sign, drawn) < AROUND_DRAWN_MM;
        }
        let voxels: Vec<usize> = {
            let largest = lattice.largest(&set);
            (0..lattice.len()).filter(|at| largest[*at]).collect()
        };
        let volume_ml = voxels.len() as f32 * lattice.step.powi(3) * 1e-3;
        if !(VOLUME_ML[0]..=VOLUME_ML[1]).contains(&volume_ml) {
            let why = format!(
                "{volume_ml:.0} ml of tissue there could be gland; {:.0} to {:.0} ml are believed",
                VOLUME_ML[0], VOLUME_ML[1]
            );
            return Err(Unfit::NoGland { side, why });
        }
        let sum = voxels
            .iter()
            .fold([0.0; 3], |sum, at| add(sum, lattice.place(*at)));
        let gland = Gland {
            centre: scale(sum, 1.0 / voxels.len() as f32),
            volume_ml,
            fit: self.fit,
            fat: 0.0,
        };
        Ok((voxels, gland))
    }
}
