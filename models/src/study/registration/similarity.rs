//! How much one image tells about the other: normalised mutual information.
//!
//! Studholme, Hill and Hawkes, Pattern Recognition 1999;32:71: (H(A) + H(B)) / H(A, B), 1 for
//! images that know nothing of each other. It needs no relation between the contrasts but that there
//! is one, and it is little moved by how much of the images overlaps.

use ndarray::Array3;

use super::motion::{Motion, Parameters};
use crate::limits::MIN_REGISTRATION_OVERLAP;
use crate::mr::Grid;
use crate::study::image::Reduced;
use crate::study::interpolation::Interpolation;

/// Bins per image; each value is shared linearly between two, so that the measure is smooth.
const BINS: usize = 32;

/// This share of the tissue is darker than the last bin's centre; what is brighter goes there.
const BRIGHTEST: f64 = 0.99;

/// Where an image is compared: in and around tissue. Air far from the head says nothing, and much of
/// it would drown the rest.
#[derive(Debug)]
pub(super) struct Region {
    grid: Grid,
    mask: Array3<bool>,
}

impl Region {
    /// Tissue of a coarse image and its neighbours.
    pub fn around(image: &Reduced, tissue: &Array3<bool>) -> Region {
        let (slices, rows, columns) = tissue.dim();
        let near = |at: usize, last: usize| at.saturating_sub(1)..(at + 2).min(last);
        let mask = Array3::from_shape_fn(tissue.dim(), |(s, r, c)| {
            near(s, slices).any(|s| near(r, rows).any(|r| near(c, columns).any(|c| tissue[[s, r, c]])))
        });
        Region {
            grid: image.grid.clone(),
            mask,
        }
    }

    fn holds(&self, position: [f64; 3]) -> bool {
        let index = self.grid.index_of(position).map(f64::round);
        let shape = self.grid.shape;
        if !(0..3).all(|a| index[a] >= 0.0 && index[a] < shape[a] as f64) {
            return false;
        }
        self.mask[index.map(|i| i as usize)]
    }

    fn share(&self) -> f64 {
        let inside = self.mask.iter().filter(|m| **m).count();
        inside as f64 / self.mask.len().max(1) as f64
    }
}

/// A point of the fixed image.
struct Sample {
    /// From the centre of turns, mm.
    from_centre: [f64; 3],
    level: Level,
}

/// A value between two bins.
#[derive(Clone, Copy)]
struct Level {
    bin: usize,
    /// Of the next bin.
    share: f32,
}

/// Two images to be compared at many motions.
pub(super) struct Comparison<'a> {
    samples: Vec<Sample>,
    grid: &'a Grid,
    moving: Interpolation<'a>,
    /// Bins per unit of the moving image's signal.
    scale: f32,
    centre: [f64; 3],
    joint: Vec<f32>,
}

impl<'a> Comparison<'a> {
    /// About `count` points of the fixed image in a region, by the `draw`-th of a family of
    /// quasi-random sequences: points off both grids, since on a common grid interpolation alone
    /// makes grid-aligned positions look better (Pluim, Comput Vis Image Underst 2000;77:211).
    pub fn new(
        fixed: &Reduced,
        region: &Region,
        moving: &'a Reduced,
        centre: [f64; 3],
        count: usize,
        draw: usize,
    ) -> Comparison<'a> {
        /// Powers of the root of x⁴ = x + 1: Roberts' generalisation of the golden ratio.
        const STEPS: [f64; 3] = [
            0.819_172_513_396_164_4,
            0.671_043_606_703_789_3,
            0.549_700_477_901_970_3,
        ];
        /// Between draws: any number that is no multiple of the others.
        const DRAW: f64 = 0.377_964_473;
        let scale = |image: &Reduced| {
            let brightest = image.quantile(&image.tissue(), BRIGHTEST);
            if brightest > 0.0 {
                (BINS - 1) as f32 / brightest
            } else {
                0.0
            }
        };
        let (fixed_scale, fixed_value) = (scale(fixed), fixed.values());
        let tries = (count as f64 / region.share().max(1e-3)) as usize;
        let last = fixed.grid.shape.map(|n| n as f64 - 1.0);
        let samples = (0..tries).filter_map(|n| {
            let [s, r, c] = std::array::from_fn(|a| {
                let u = (0.5 + DRAW * draw as f64 + STEPS[a] * n as f64).fract();
                u * last[a]
            });
            let position = fixed.grid.position(s, r, c);
            region.holds(position).then(|| Sample {
                from_centre: std::array::from_fn(|a| position[a] - centre[a]),
                level: level(fixed_value(position), fixed_scale),
            })
        });
        Comparison {
            samples: samples.collect(),
            grid: &moving.grid,
            moving: Interpolation::of(&moving.voxels),
            scale: scale(moving),
            centre,
            joint: vec![0.0; BINS * BINS],
        }
    }

    /// At a motion from the fixed image into the moving one; below 0 where too little overlaps.
    pub fn at(&mut self, parameters: &Parameters) -> f64 {
        self.under(&Motion::new(parameters, self.centre))
    }

    /// At a motion from the fixed image into the moving one; below 0 where too little overlaps.
    pub fn under(&mut self, motion: &Motion) -> f64 {
        let inside = self.fill(motion);
        let share = inside as f64 / self.samples.len().max(1) as f64;
        if share < MIN_REGISTRATION_OVERLAP {
            // A slope that leads back.
            return share - 1.0;
        }
        let (mut rows, mut columns) = ([0.0f64; BINS], [0.0f64; BINS]);
        let mut both = 0.0;
        let total = inside as f64;
        for (row, line) in self.joint.chunks_exact(BINS).enumerate() {
            for (column, weight) in line.iter().enumerate() {
                if *weight > 0.0 {
                    let p = f64::from(*weight) / total;
                    rows[row] += p;
                    columns[column] += p;
                    both -= p * p.ln();
                }
            }
        }
        let entropy = |p: &[f64]| -> f64 { p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum() };
        if both > 0.0 {
            (entropy(&rows) + entropy(&columns)) / both
        } else {
            1.0
        }
    }

    /// The share of the points that lie inside the moving image.
    pub fn overlap(&mut self, motion: &Motion) -> f64 {
        self.fill(motion) as f64 / self.samples.len().max(1) as f64
    }

    /// Fills the joint histogram; how many points lie inside the moving image.
    fn fill(&mut self, motion: &Motion) -> usize {
        self.joint.fill(0.0);
        let grid = self.grid;
        let base = grid.index_of(motion.apply(self.centre));
        // Index = base + Σ steps[i] · p[i], since motion and grid are affine.
        let steps: [[f64; 3]; 3] = std::array::from_fn(|i| {
            let mut end = self.centre;
            end[i] += 1.0;
            let index = grid.index_of(motion.apply(end));
            std::array::from_fn(|a| index[a] - base[a])
        });
        let mut inside = 0;
        for sample in &self.samples {
            let p = sample.from_centre;
            let at: [f64; 3] = std::array::from_fn(|a| {
                base[a] + steps[0][a] * p[0] + steps[1][a] * p[1] + steps[2][a] * p[2]
            });
            if !is_inner(grid.shape, at) {
                continue;
            }
            let value = self.moving.at(at);
            inside += 1;
            let (a, b) = (sample.level, level(value, self.scale));
            let at = a.bin * BINS + b.bin;
            self.joint[at] += (1.0 - a.share) * (1.0 - b.share);
            self.joint[at + 1] += (1.0 - a.share) * b.share;
            self.joint[at + BINS] += a.share * (1.0 - b.share);
            self.joint[at + BINS + 1] += a.share * b.share;
        }
        inside
    }
}

fn level(value: f32, scale: f32) -> Level {
    let x = (value * scale).clamp(0.0, (BINS - 1) as f32);
    let bin = (x as usize).min(BINS - 2);
    Level {
        bin,
        share: x - bin as f32,
    }
}

/// Whether a fractional index lies between voxel centres. A half voxel beyond, as elsewhere in this crate, would compare
/// repeated values.
fn is_inner(shape: [usize; 3], at: [f64; 3]) -> bool {
    (0..3).all(|axis| {
        let last = shape[axis] as f64 - 1.0;
        // A lone slice has no thickness between centres, only its own half voxels.
        if last > 0.0 {
            (0.0..=last).contains(&at[axis])
        } else {
            (-0.5..=0.5).contains(&at[axis])
        }
    })
}
