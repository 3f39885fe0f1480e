//! A head made of ellipsoids, for tests: seen in any contrast, from any grid, moved as one likes.

use ndarray::Array3;

use super::registration::Motion;
use crate::mr::{Contrast, Grid, Volume};

/// Signals as T1, fat-suppressed T2, fat-suppressed CE-T1 and b = 0 show them.
pub(super) type Tissue = [f32; 4];

const FAT: Tissue = [1.0, 0.12, 0.16, 0.06];
const MUSCLE: Tissue = [0.40, 0.30, 0.45, 0.25];
const BONE: Tissue = [0.08, 0.05, 0.08, 0.03];
const CORTEX: Tissue = [0.36, 0.80, 0.38, 0.80];
const BRAIN: Tissue = [0.50, 0.55, 0.55, 0.60];
const FLUID: Tissue = [0.15, 1.20, 0.15, 1.20];
const MUCOSA: Tissue = [0.45, 0.90, 1.20, 0.80];
const GLAND: Tissue = [0.65, 0.55, 0.95, 0.50];
const TUMOUR: Tissue = [0.40, 0.80, 0.90, 0.90];
pub(super) const AIR: Tissue = [0.0; 4];

/// Centre and half axes in mm (x to the left, y to posterior, z to the head), and what is inside.
type Part = ([f64; 3], [f64; 3], Tissue);

/// Later parts hide earlier ones.
const PARTS: [Part; 27] = [
    ([0.0, -96.0, -8.0], [14.0, 16.0, 18.0], FAT),
    ([0.0, -62.0, -78.0], [34.0, 34.0, 24.0], FAT),
    ([0.0, 10.0, 42.0], [68.0, 86.0, 68.0], BONE),
    ([0.0, 10.0, 42.0], [62.0, 80.0, 62.0], BRAIN),
    ([13.0, 5.0, 48.0], [7.0, 26.0, 10.0], FLUID),
    ([-13.0, 5.0, 48.0], [7.0, 26.0, 10.0], FLUID),
    ([32.0, -66.0, 4.0], [15.0, 18.0, 14.0], FAT),
    ([-32.0, -66.0, 4.0], [15.0, 18.0, 14.0], FAT),
    ([32.0, -70.0, 4.0], [12.0, 12.0, 12.0], FLUID),
    ([-32.0, -70.0, 4.0], [12.0, 12.0, 12.0], FLUID),
    ([0.0, -70.0, -12.0], [16.0, 24.0, 18.0], MUCOSA),
    ([4.0, -70.0, -12.0], [3.0, 20.0, 14.0], AIR),
    ([-4.0, -70.0, -12.0], [3.0, 20.0, 14.0], AIR),
    ([30.0, -58.0, -20.0], [13.0, 16.0, 15.0], AIR),
    ([-30.0, -58.0, -20.0], [13.0, 16.0, 15.0], AIR),
    ([0.0, -14.0, -55.0], [15.0, 11.0, 44.0], MUCOSA),
    ([0.0, -14.0, -55.0], [9.0, 6.0, 40.0], AIR),
    ([0.0, -46.0, -48.0], [24.0, 26.0, 16.0], MUCOSA),
    ([0.0, -46.0, -48.0], [21.0, 23.0, 13.0], MUSCLE),
    ([46.0, -34.0, -56.0], [6.0, 32.0, 16.0], BONE),
    ([-46.0, -34.0, -56.0], [6.0, 32.0, 16.0], BONE),
    ([0.0, 32.0, -80.0], [20.0, 16.0, 62.0], BONE),
    ([0.0, 52.0, -70.0], [9.0, 8.0, 70.0], FLUID),
    ([0.0, 52.0, -70.0], [5.0, 5.0, 70.0], BRAIN),
    ([60.0, 6.0, -36.0], [11.0, 18.0, 28.0], GLAND),
    ([-60.0, 6.0, -36.0], [11.0, 18.0, 28.0], GLAND),
    ([58.0, 0.0, -30.0], [10.0, 11.0, 10.0], TUMOUR),
];

/// What is at a point of the head.
pub(super) fn head(p: [f64; 3]) -> Tissue {
    let inside = |centre: &[f64; 3], axes: &[f64; 3]| {
        (0..3)
            .map(|a| ((p[a] - centre[a]) / axes[a]).powi(2))
            .sum::<f64>()
            < 1.0
    };
    // A skull that narrows to a neck.
    let [x, y, z] = p;
    let outside = |shrink: f64| {
        if z > 0.0 {
            !inside(&[0.0, 5.0, 0.0], &[78.0 - shrink, 98.0 - shrink, 122.0 - shrink])
        } else {
            let narrow = (-z / 90.0).min(1.0);
            let (a, b) = (78.0 - 14.0 * narrow - shrink, 98.0 - 30.0 * narrow - shrink);
            (x / a).powi(2) + ((y - 5.0 - 8.0 * narrow) / b).powi(2) >= 1.0
        }
    };
    let part = PARTS.iter().rev().find(|(centre, axes, _)| inside(centre, axes));
    // Folds of about a centimetre.
    let folded = (x / 5.0).sin() * (y / 6.0).sin() * (z / 5.5 + 0.4).cos() > 0.12;
    match part {
        Some((_, _, tissue)) if *tissue == BRAIN && folded => CORTEX,
        Some((_, _, tissue)) => *tissue,
        None if outside(0.0) => AIR,
        None if outside(6.0) => FAT,
        None => MUSCLE,
    }
}

/// An even bottle of water, 18 cm long.
pub(super) fn bottle([x, y, z]: [f64; 3]) -> Tissue {
    let inside = (x / 65.0).powi(2) + (y / 65.0).powi(2) < 1.0 && z.abs() < 90.0;
    if inside { FLUID } else { AIR }
}

/// A melon-sized fruit with a rind, segments and seeds that follow no mirror.
pub(super) fn fruit([x, y, z]: [f64; 3]) -> Tissue {
    let radius = (x * x + y * y + z * z).sqrt();
    let angle = y.atan2(x);
    match () {
        () if radius > 85.0 => AIR,
        () if radius > 74.0 => MUSCLE,
        () if (7.0 * angle + 0.9).sin() > 0.55 && radius > 15.0 => GLAND,
        () if ((x / 7.0).sin() * (y / 8.0 + 1.0).sin() * (z / 9.0).cos()) > 0.35 => BONE,
        () => FLUID,
    }
}

/// Axial slices: `slices` of `step` mm around height `z`, `side` pixels of `pixel` mm around x.
pub(super) fn axial(slices: usize, step: f64, side: [usize; 2], pixel: f64, [x, z]: [f64; 2]) -> Grid {
    let half = |n: usize, mm: f64| (n as f64 - 1.0) / 2.0 * mm;
    let [rows, columns] = side;
    Grid {
        origin: [
            x - half(columns, pixel),
            -half(rows, pixel),
            z - half(slices, step),
        ],
        slice_step: [0.0, 0.0, step],
        row_step: [0.0, pixel, 0.0],
        column_step: [pixel, 0.0, 0.0],
        shape: [slices, rows, columns],
    }
}

/// The stack of a parotid examination.
pub(super) fn stack() -> Grid {
    axial(24, 3.85, [100, 100], 2.4, [0.0, -30.0])
}

/// What to see, and how.
pub(super) struct Shot {
    pub contrast: Contrast,
    pub grid: Grid,
    /// Where the object lies in patient coordinates.
    pub moved: Motion,
    /// Standard deviation of the noise in each of two channels; muscle is about 300.
    pub noise: f32,
}

impl Shot {
    pub fn new(contrast: Contrast, grid: Grid) -> Shot {
        Shot {
            contrast,
            grid,
            moved: Motion::new(&[0.0; 6], [0.0; 3]),
            noise: 15.0,
        }
    }

    /// Points of a solid object, each voxel the mean of two heights, with Rician noise.
    pub fn of(&self, object: impl Fn([f64; 3]) -> Tissue) -> Volume {
        let back = self.moved.inverse();
        let column = match self.contrast {
            Contrast::T1 => 0,
            Contrast::T2 => 1,
            Contrast::CeT1 => 2,
            _ => 3,
        };
        let mut dice = Dice(self.contrast as u64 + 1);
        let voxels = Array3::from_shape_fn(self.grid.shape, |(s, r, c)| {
            let at = |up: f64| {
                let p = self.grid.position(s as f64 + up, r as f64, c as f64);
                object(back.apply(p))[column]
            };
            let signal = 500.0 * (at(-0.25) + at(0.25));
            let (a, b) = (signal + self.noise * dice.gauss(), self.noise * dice.gauss());
            (a * a + b * b).sqrt()
        });
        Volume {
            contrast: self.contrast,
            b_value: None,
            grid: self.grid.clone(),
            voxels,
        }
    }
}

/// The same numbers every time.
pub(super) struct Dice(pub u64);

impl Dice {
    /// Evenly between -1 and 1.
    pub fn even(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }

    /// Nearly normal: a sum of even numbers.
    pub fn gauss(&mut self) -> f32 {
        (0..6).map(|_| self.even()).sum::<f64>() as f32 / 2f32.sqrt()
    }
}
