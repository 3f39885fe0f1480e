//! The scan as it came, on lattices of our own, and the head apart from the air.

use ndarray::Array3;

use super::lattice::{Field, Lattice, quantile};
use super::pose::Pose;
use super::{MAX_VOXEL_MM, MIN_EXTENT_MM, Unfit};
use crate::acquire::Grid;
use crate::space::Point;

/// A T1-weighted volume of a head.
#[derive(Debug, Clone)]
pub struct HeadScan {
    /// Where the voxels are, patient millimetres (LPS).
    pub grid: Grid,
    /// (slice, row, column), any unit.
    pub voxels: Array3<f32>,
    /// Names the person's anatomy in truth files; a hash, never an identifier.
    pub anatomy: String,
}

/// Larger than any field of view of a head, mm.
const MAX_EXTENT_MM: f32 = 600.0;
/// Lattice on which head and glands are searched, mm.
const SEARCH_MM: f32 = 2.0;
/// Lattice of the tissue maps, mm: finer than the slices that are simulated from it.
pub(super) const MAP_MM: f32 = 1.0;
/// What the maps cover around the point between the parotids, mm: all that 24 slices of a turned head see.
const MAP_REACH: [Point; 2] = [[-105.0, -128.0, -84.0], [105.0, 122.0, 84.0]];
/// The head is brighter than this share of its bright tissue.
const HEAD_OVER_BRIGHT: f32 = 0.12;
/// Gaps this wide in the outline are closed, mm: nostrils, ear canals.
const GAP_MM: f32 = 5.0;
/// Brightness is evened over this distance, mm (standard deviation).
const EVEN_MM: f32 = 18.0;

impl HeadScan {
    /// Patient millimetres → fractional (column, row, slice), and whether that exists.
    fn inverse(&self) -> Option<impl Fn(Point) -> Point + use<>> {
        let (s, r, c) = (self.grid.slice_step, self.grid.row_step, self.grid.column_step);
        let cross = |a: [f64; 3], b: [f64; 3]| {
            [
                a[1] * b[2] - a[2] * b[1],
                a[2] * b[0] - a[0] * b[2],
                a[0] * b[1] - a[1] * b[0],
            ]
        };
        let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let det = dot(c, cross(r, s));
        let known = self.grid.origin.iter().all(|x| x.is_finite());
        // Cubic micrometres: no voxel is smaller.
        if !(known && det.is_finite() && det.abs() > 1e-9) {
            return None;
        }
        let rows = [cross(r, s), cross(s, c), cross(c, r)].map(|v| v.map(|x| x / det));
        let origin = self.grid.origin;
        Some(move |p: Point| {
            let d: [f64; 3] = std::array::from_fn(|a| f64::from(p[a]) - origin[a]);
            rows.map(|row| dot(row, d) as f32)
        })
    }

    /// Corners of the field of view, mm.
    fn bounds(&self) -> [Point; 2] {
        let last = self.voxels.shape().iter().map(|n| *n as f64 - 1.0);
        let last: Vec<f64> = last.collect();
        let (mut min, mut max) = ([f32::MAX; 3], [f32::MIN; 3]);
        for corner in 0..8 {
            let along = |bit: usize, n: f64| if corner >> bit & 1 == 1 { n } else { 0.0 };
            let p = self
                .grid
                .position(along(0, last[0]), along(1, last[1]), along(2, last[2]));
            for a in 0..3 {
                min[a] = min[a].min(p[a] as f32);
                max[a] = max[a].max(p[a] as f32);
            }
        }
        [min, max]
    }

    /// Linear between voxels; none outside.
    fn sampler(&self) -> Result<impl Fn(Point) -> Option<f32> + '_, Unfit> {
        let inverse = self.inverse().ok_or(Unfit::Damaged("its voxels span no space"))?;
        let (slices, rows, columns) = self.voxels.dim();
        let index = Lattice {
            min: [0.0; 3],
            step: 1.0,
            shape: [columns, rows, slices],
        };
        let values = self
            .voxels
            .as_slice()
            .ok_or(Unfit::Damaged("its voxels are not in order"))?;
        Ok(move |p: Point| {
            let (at, share) = index.cell(inverse(p))?;
            let corners = index.corners(at, share);
            Some(corners.iter().map(|&(i, w)| w * values[i]).sum())
        })
    }

    fn check(&self) -> Result<[Point; 2], Unfit> {
        let (slices, rows, columns) = self.voxels.dim();
        if slices < 2 || rows < 2 || columns < 2 || [slices, rows, columns] != self.grid.shape {
            return Err(Unfit::Damaged("it has no three dimensions"));
        }
        if self.voxels.iter().any(|v| !v.is_finite()) {
            return Err(Unfit::Damaged("some voxels are no numbers"));
        }
        let [min, max] = self.bounds();
        let extent: Point = std::array::from_fn(|a| max[a] - min[a]);
        if extent.iter().any(|e| e.is_nan() || *e > MAX_EXTENT_MM) {
            return Err(Unfit::Damaged("it is larger than any field of view"));
        }
        if extent.iter().zip(MIN_EXTENT_MM).any(|(e, least)| *e < least) {
            return Err(Unfit::FieldOfView(extent[0], extent[1], extent[2]));
        }
        let steps = [self.grid.slice_step, self.grid.row_step, self.grid.column_step];
        let longest = steps
            .iter()
            .map(|s| s.iter().map(|x| x * x).sum::<f64>().sqrt() as f32)
            .fold(0.0, f32::max);
        if longest > MAX_VOXEL_MM {
            return Err(Unfit::Coarse(longest));
        }
        Ok([min, max])
    }
}

/// The head in the scan's own directions, coarsely.
pub(super) struct Outline {
    /// Brightness over the mean brightness around, 0 in air, no number where the scan does not reach:
    /// shading has little part in it.
    pub evened: Field,
    /// Which nodes of it lie in the head, cavities included.
    pub mask: Vec<bool>,
    /// Intensities above this are not air.
    pub threshold: f32,
}

impl Outline {
    pub fn of(scan: &HeadScan) -> Result<Self, Unfit> {
        let [min, max] = scan.check()?;
        let sample = scan.sampler()?;
        let lattice = Lattice::over(min, max, SEARCH_MM);
        let seen: Vec<Option<f32>> = (0..lattice.len()).map(|at| sample(lattice.place(at))).collect();
        let mut values: Vec<f32> = seen.iter().map(|v| v.unwrap_or(0.0).max(0.0)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let mut bright: Vec<f32> = values.iter().copied().filter(|v| *v > mean).collect();
        let threshold = HEAD_OVER_BRIGHT * quantile(&mut bright, 0.9);
        if threshold <= 0.0 {
            return Err(Unfit::Empty);
        }
        let mask = head_mask(&lattice, values.iter().map(|v| *v > threshold).collect());
        // A head fills at least a litre.
        let litres = mask.iter().filter(|m| **m).count() as f32 * SEARCH_MM.powi(3) * 1e-6;
        if litres < 1.0 {
            return Err(Unfit::Empty);
        }
        let mut weight: Vec<f32> = mask.iter().map(|m| f32::from(u8::from(*m))).collect();
        let mut around: Vec<f32> = values.iter().zip(&weight).map(|(v, w)| v * w).collect();
        lattice.blur(&mut weight, EVEN_MM);
        lattice.blur(&mut around, EVEN_MM);
        for (at, v) in values.iter_mut().enumerate() {
            let mean = around[at] / weight[at].max(1e-3);
            *v = match (seen[at], mask[at]) {
                (None, _) => f32::NAN,
                // Vessels with inflow must not outweigh everything else.
                (Some(_), true) => (*v / mean.max(1e-6)).min(2.5),
                (Some(_), false) => 0.0,
            };
        }
        Ok(Outline {
            evened: Field { lattice, values },
            mask,
            threshold,
        })
    }
}

impl Outline {
    /// The box around what of the head the maps can cover, in the head's directions, mm.
    fn reach(&self, pose: &Pose) -> [Point; 2] {
        let back = pose.back();
        let lattice = &self.evened.lattice;
        let (mut min, mut max) = (MAP_REACH[1], MAP_REACH[0]);
        let inside = |p: &Point| (0..3).all(|a| (MAP_REACH[0][a]..MAP_REACH[1][a]).contains(&p[a]));
        let nodes = (0..lattice.len()).filter(|at| self.mask[*at]);
        for p in nodes.map(|at| back(lattice.place(at))).filter(inside) {
            for a in 0..3 {
                (min[a], max[a]) = (min[a].min(p[a]), max[a].max(p[a]));
            }
        }
        // Room for the air around, so that every surface is one.
        let room = 2.0 * SEARCH_MM;
        [min.map(|x| x - room), max.map(|x| x + room)]
    }
}

/// The largest region above the threshold, with its gaps and cavities.
fn head_mask(lattice: &Lattice, bright: Vec<bool>) -> Vec<bool> {
    let near: Vec<bool> = lattice
        .distance_to(&bright)
        .iter()
        .map(|d| *d <= GAP_MM)
        .collect();
    let far: Vec<bool> = near.iter().map(|n| !n).collect();
    let closed: Vec<bool> = lattice.distance_to(&far).iter().map(|d| *d > GAP_MM).collect();
    let mut mask = lattice.largest(&closed);
    lattice.fill_slices(&mut mask);
    mask
}

/// The head in true size along the template's directions, finely.
pub(super) struct Upright {
    /// Intensities; 0 where the scan does not reach.
    pub image: Field,
    /// Distance to the outline, mm, negative inside.
    pub depth: Field,
}

impl Upright {
    pub fn of(scan: &HeadScan, outline: &Outline, pose: &Pose) -> Self {
        let [min, max] = outline.reach(pose);
        let lattice = Lattice::over(min, max, MAP_MM);
        let place = pose.place();
        let mut values = vec![0.0; lattice.len()];
        let mut inside = vec![false; lattice.len()];
        // Where the scan ends there is no skin.
        let mut air = vec![false; lattice.len()];
        // Cannot fail: `outline` was made from the same scan.
        if let Ok(sample) = scan.sampler() {
            let search = &outline.evened.lattice;
            let around: Vec<bool> = outline.mask.iter().map(|m| !m).collect();
            let depth = search.distance_to(&around);
            for at in 0..lattice.len() {
                let p = place(lattice.place(at));
                let Some(v) = sample(p) else { continue };
                let v = v.max(0.0);
                values[at] = v;
                // Near the skin the threshold decides on the fine lattice, deeper the coarse mask.
                inside[at] = search
                    .nearest(p)
                    .is_some_and(|n| depth[n] > 3.0 * SEARCH_MM || depth[n] > 0.0 && v > outline.threshold);
                air[at] = !inside[at];
            }
        }
        let (to_air, to_head) = (lattice.distance_to(&air), lattice.distance_to(&inside));
        let depth = to_air
            .into_iter()
            .zip(to_head)
            // The border runs half a step before the first node beyond it.
            .map(|(air, head)| {
                if air > 0.0 {
                    0.5 * MAP_MM - air
                } else {
                    head - 0.5 * MAP_MM
                }
            })
            .map(|d| d.clamp(-MAX_EXTENT_MM, MAX_EXTENT_MM))
            .collect();
        Upright {
            image: Field { lattice, values },
            depth: Field {
                lattice,
                values: depth,
            },
        }
    }
}
