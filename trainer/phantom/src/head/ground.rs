//! A real head as what a scene's parts stand in.

use std::sync::Arc;

use super::tissues::{FIRM, IN_GLAND, Maps, TISSUES};
use super::{RealHead, Tissue};
use crate::scene::{Knob, MaterialId};
use crate::space::Point;

/// Skin over a tumour, mm.
const SKIN_MM: f32 = 1.8;
/// The old skin reaches this deep; over a tumour that lifts it, fat takes its place. mm.
const OLD_SKIN_MM: f32 = 4.0;

/// The tissues of a real head, perhaps mirrored, with its skin lifted over tumours.
pub(crate) struct MeasuredGround {
    maps: Arc<Maps>,
    mirrored: bool,
    /// The material of each [`Tissue`].
    pub materials: [MaterialId; TISSUES],
    /// The skin over the lesions.
    knobs: Vec<Knob>,
    /// Added to the share of fat in the glands.
    gland_fat: f32,
}

/// What lies at a point.
pub(crate) struct Here {
    /// Of each tissue; together at most 1, the rest gives no signal.
    pub shares: [f32; TISSUES],
    /// How much of the place a tumour can take.
    pub yielding: f32,
}

impl MeasuredGround {
    pub fn new(
        head: &RealHead,
        mirrored: bool,
        materials: [MaterialId; TISSUES],
        gland_fat: f32,
        knobs: Vec<Knob>,
    ) -> Self {
        MeasuredGround {
            maps: Arc::clone(&head.maps),
            mirrored,
            materials,
            knobs,
            gland_fat,
        }
    }

    fn mapped(&self, head: Point) -> Point {
        let [x, y, z] = head;
        [if self.mirrored { -x } else { x }, y, z]
    }

    fn lifted(&self, d: f32, head: Point) -> f32 {
        self.knobs.iter().fold(d, |d, knob| knob.raise(d, head))
    }

    /// Distance to the skin, mm, negative inside.
    pub fn distance(&self, head: Point) -> f32 {
        self.lifted(self.maps.distance(self.mapped(head)), head)
    }

    /// What lies at a point; none far outside.
    pub fn look(&self, head: Point) -> Option<Here> {
        let q = self.mapped(head);
        let old = self.maps.distance(q);
        let new = self.lifted(old, head);
        if new > 1.5 {
            return None;
        }
        let stored = self.maps.shares_at(q);
        let firm = stored[FIRM];
        let mut shares: [f32; TISSUES] = std::array::from_fn(|i| stored[i]);
        let belongs = stored[IN_GLAND];
        if belongs > 0.0 {
            let (gland, fat) = (shares[Tissue::Gland as usize], shares[Tissue::Fat as usize]);
            let moved = (belongs * self.gland_fat).clamp(-fat, gland);
            shares[Tissue::Gland as usize] = gland - moved;
            shares[Tissue::Fat as usize] = fat + moved;
        }
        let inside = (0.5 - new).clamp(0.0, 1.0);
        let lift = old - new;
        if lift > 0.2 {
            let replaced = (0.5 * lift).min(1.0) * ((old + OLD_SKIN_MM) / 1.5).clamp(0.0, 1.0);
            let skin = (0.5 + new + SKIN_MM).clamp(0.0, 1.0);
            for share in &mut shares {
                *share *= 1.0 - replaced;
            }
            shares[Tissue::Skin as usize] += replaced * inside * skin;
            shares[Tissue::Fat as usize] += replaced * inside * (1.0 - skin);
        }
        Some(Here {
            shares,
            yielding: (1.0 - firm) * inside,
        })
    }
}
