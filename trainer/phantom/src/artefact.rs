//! The scanner's imperfections: coil shading, fat that escapes suppression, chemical shift, ghosts,
//! echo-planar distortion and Rician noise.

use crate::acquire::Grid;
use crate::dice::Dice;
use crate::patient::Patient;
use crate::scene::Scene;
use crate::space::{Point, sub};

/// One slice before the scanner's imperfections.
pub(crate) struct Plane {
    pub water: Vec<[f32; 3]>,
    pub fat: Vec<f32>,
}

/// Echo-planar shift of the signal along the rows' direction.
pub(crate) struct Distortion {
    /// (head place, reach in mm, shift in mm).
    pub wells: Vec<(Point, f32, f32)>,
}

impl Distortion {
    /// Fields bend where air meets tissue: sinuses, ear canals, mouth, neck. Amplitudes are guesses.
    pub fn of(patient: &Patient, planar: bool) -> Self {
        let k = patient.scan.distortion_mm;
        let wells = if planar {
            vec![
                ([30.0, -54.0, 34.0], 26.0, k),
                ([-30.0, -54.0, 34.0], 26.0, k),
                ([58.0, 12.0, 24.0], 20.0, -0.7 * k),
                ([-58.0, 12.0, 24.0], 20.0, -0.7 * k),
                ([0.0, -18.0, -6.0], 22.0, 0.6 * k),
                ([0.0, -80.0, -4.0], 20.0, -0.8 * k),
                ([0.0, -30.0, -60.0], 34.0, -0.8 * k),
            ]
        } else {
            Vec::new()
        };
        Distortion { wells }
    }

    /// No shift is larger.
    pub fn reach_mm(&self) -> f32 {
        self.wells.iter().map(|(_, _, mm)| mm.abs()).sum()
    }

    pub fn shift(&self, head: Point) -> f32 {
        self.wells
            .iter()
            .map(|&(at, reach, mm)| {
                let d = sub(head, at);
                let r2 = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]) / (reach * reach);
                if r2 < 5.0 { mm * (-r2).exp() } else { 0.0 }
            })
            .sum()
    }
}

/// Smooth over centimetres: the coil's shading, and the share of fat that escapes suppression.
pub(crate) struct Slow {
    shading: Vec<f32>,
    escape: Vec<f32>,
}

impl Slow {
    pub fn over(patient: &Patient, scene: &Scene, grid: &Grid, slice: usize, plane: &Plane) -> Self {
        let scan = &patient.scan;
        let [slices, rows, columns] = grid.shape;
        let mut slow = Slow {
            shading: vec![1.0; rows * columns],
            escape: vec![1.0; rows * columns],
        };
        let across = |i: usize, n: usize| 2.0 * i as f32 / (n - 1) as f32 - 1.0;
        let w = across(slice, slices);
        for row in 0..rows {
            let v = across(row, rows);
            for column in 0..columns {
                let at = row * columns + column;
                if plane.water[at] == [0.0; 3] && plane.fat[at] == 0.0 {
                    continue;
                }
                let u = across(column, columns);
                let coil = scene.noise.at([1.4 * u + 3.0, 1.4 * v + 5.0, 0.8 * w + 9.0]);
                slow.shading[at] = 1.0 + scan.shading * (coil + 0.5 * (u * u + v * v) - 0.35 * w.abs());
                // Suppression fails first at the neck, at the bottom of the stack.
                let poor = scene.noise.at([1.1 * u + 21.0, 1.1 * v + 2.0, w + 4.0]).max(0.0);
                slow.escape[at] = (scan.fat_escape[0] + scan.fat_escape[1] * poor * (0.6 - 0.4 * w)).min(1.0);
            }
        }
        slow
    }
}

/// How one slice turns into an image.
pub(crate) struct Look {
    /// Signal of unsuppressed fat.
    pub fat: f32,
    pub suppressed: bool,
    pub noise: f32,
    pub ghost: f32,
    pub brightness: f32,
    pub fat_shift: usize,
    pub planar: bool,
}

impl Look {
    /// The image of the volume at `which` in the plane, in stored units before rounding.
    pub fn develop(
        &self,
        grid: &Grid,
        which: usize,
        plane: &Plane,
        slow: &Slow,
        dice: &mut Dice,
    ) -> Vec<f32> {
        let [_, rows, columns] = grid.shape;
        // Fat comes from where the shift takes it from; at the rim there is none.
        let back = if self.planar {
            self.fat_shift * columns
        } else {
            self.fat_shift
        };
        let mut image: Vec<f32> = (0..rows * columns)
            .map(|at| {
                let from = at.saturating_sub(back);
                let escape = if self.suppressed { slow.escape[from] } else { 1.0 };
                let fat = slow.shading[from] * escape * self.fat * plane.fat[from];
                slow.shading[at] * plane.water[at][which] + fat
            })
            .collect();
        self.add_ghost(&mut image, rows, columns);
        for s in &mut image {
            let (re, im) = (*s + self.noise * dice.gauss(), self.noise * dice.gauss());
            *s = self.brightness * (re * re + im * im).sqrt();
        }
        image
    }

    /// A faint copy shifted along the phase direction: half the field in echo-planar images (rows),
    /// a third in the others (columns).
    fn add_ghost(&self, image: &mut [f32], rows: usize, columns: usize) {
        if self.ghost < 1e-3 {
            return;
        }
        let source = image.to_vec();
        for row in 0..rows {
            for column in 0..columns {
                let from = if self.planar {
                    (row + rows / 2) % rows * columns + column
                } else {
                    row * columns + (column + columns / 3) % columns
                };
                image[row * columns + column] += self.ghost * source[from];
            }
        }
    }
}
