//! A volume reduced to coarse voxels, for whatever asks about shape and not about detail.

use ndarray::{Array3, ArrayView3};

use super::interpolation::Interpolation;
use crate::mr::{Grid, Volume};

/// Coarse voxels with geometry.
#[derive(Debug, Clone)]
pub(super) struct Reduced {
    pub grid: Grid,
    /// (slice, row, column).
    pub voxels: Array3<f32>,
}

impl Reduced {
    /// Means over blocks of whole voxels whose edges come nearest `edge_mm`; an axis whose voxels are
    /// larger stays as it is. Negative and not finite values count as 0.
    pub fn of(volume: &Volume, edge_mm: f64) -> Reduced {
        reduced(&volume.grid, volume.voxels.view(), edge_mm)
    }

    /// The same again, coarser.
    pub fn coarser(&self, edge_mm: f64) -> Reduced {
        reduced(&self.grid, self.voxels.view(), edge_mm)
    }

    /// Gives the value at a point in patient millimetres; 0 outside.
    pub fn values(&self) -> impl Fn([f64; 3]) -> f32 {
        let between = Interpolation::of(&self.voxels);
        move |position| between.at(self.grid.index_of(position))
    }

    /// [`tissue_level`] of its voxels.
    pub fn tissue_level(&self) -> f32 {
        tissue_level(self.voxels.view())
    }

    /// The signal above which there is tissue.
    pub fn tissue_threshold(&self) -> f32 {
        /// Of the way from air to bright tissue. Ghosts are some per cent of tissue; muscle in
        /// fat-suppressed T2 is about a third.
        const SHARE: f32 = 0.25;
        /// At least twice as much of a field of view is air, so that this is a typical value of it.
        const AIR: f64 = 0.15;
        let air = quantile(self.voxels.iter().copied().collect(), AIR);
        let mean = mean_above(self.voxels.view(), f32::NEG_INFINITY);
        air + SHARE * (mean_above(self.voxels.view(), mean) - air)
    }

    /// Whether there is tissue.
    pub fn tissue(&self) -> Array3<bool> {
        let threshold = self.tissue_threshold();
        self.voxels.mapv(|v| v > threshold)
    }

    /// The signal that `share` of the voxels in the mask stay below.
    pub fn quantile(&self, mask: &Array3<bool>, share: f64) -> f32 {
        let inside = self.voxels.iter().zip(mask).filter(|(_, m)| **m);
        quantile(inside.map(|(v, _)| *v).collect(), share)
    }
}

/// The value that `share` of all stay below; 0 of none.
pub(super) fn quantile(mut values: Vec<f32>, share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f64 * share.clamp(0.0, 1.0)).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

/// Mean signal of tissue: of all voxels above half the mean of all.
pub(crate) fn tissue_level(voxels: ArrayView3<f32>) -> f32 {
    let mean = mean_above(voxels, f32::NEG_INFINITY);
    mean_above(voxels, mean / 2.0)
}

fn mean_above(voxels: ArrayView3<f32>, threshold: f32) -> f32 {
    let (sum, count) = voxels
        .iter()
        .filter(|v| **v > threshold)
        .fold((0.0f64, 0usize), |(sum, count), v| {
            (sum + f64::from(*v), count + 1)
        });
    (sum / count.max(1) as f64) as f32
}

fn reduced(grid: &Grid, voxels: ArrayView3<f32>, edge_mm: f64) -> Reduced {
    let steps = [grid.slice_step, grid.row_step, grid.column_step];
    let spacing = grid.spacing();
    let factors: [usize; 3] = std::array::from_fn(|a| {
        // A step of zero gives infinity, which the cast saturates.
        let factor = (edge_mm / spacing[a]).round().max(1.0) as usize;
        factor.min(grid.shape[a].max(1))
    });
    // The first block's centre.
    let half = factors.map(|f| (f as f64 - 1.0) / 2.0);
    let [slice_step, row_step, column_step] =
        std::array::from_fn(|a| steps[a].map(|v| v * factors[a] as f64));
    Reduced {
        grid: Grid {
            origin: grid.position(half[0], half[1], half[2]),
            slice_step,
            row_step,
            column_step,
            shape: std::array::from_fn(|a| grid.shape[a] / factors[a]),
        },
        voxels: block_means(voxels, factors),
    }
}

/// Voxels that fill no whole block at the far end are left out.
fn block_means(voxels: ArrayView3<f32>, [fs, fr, fc]: [usize; 3]) -> Array3<f32> {
    let (slices, rows, columns) = voxels.dim();
    let shape = (slices / fs, rows / fr, columns / fc);
    let mut out = Array3::zeros(shape);
    for (s, slice) in voxels.outer_iter().take(shape.0 * fs).enumerate() {
        for (r, row) in slice.outer_iter().take(shape.1 * fr).enumerate() {
            let mut blocks = out.slice_mut(ndarray::s![s / fs, r / fr, ..]);
            for (block, values) in blocks.iter_mut().zip(row.exact_chunks(fc)) {
                // Not a number compares as not greater.
                let good = values.iter().filter(|v| **v > 0.0 && v.is_finite());
                *block += good.sum::<f32>();
            }
        }
    }
    let share = 1.0 / (fs * fr * fc) as f32;
    out.mapv_inplace(|v| v * share);
    out
}
