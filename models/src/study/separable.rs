//! Resampling between grids whose axes run alike: along one axis after the other.

use std::ops::Range;

use ndarray::{Array1, Array2, Array3, s};

use super::interpolation::Interpolation;

/// Where the voxels of a target lie on an axis of the source.
#[derive(Debug)]
pub(super) struct Along {
    /// Index of the first voxel's centre.
    pub base: f64,
    /// Indices from one voxel's centre to the next.
    pub step: f64,
    /// Voxels of the target.
    pub count: usize,
    /// Points per voxel, evenly spread; their mean is its value.
    pub samples: usize,
}

/// What one voxel of the target takes from an axis of the source; nothing where there are no data.
#[derive(Default)]
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn range(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }

    /// Indices and weights, from index `from` on.
    fn after(&self, from: usize) -> impl Iterator<Item = (usize, f32)> {
        self.range()
            .map(move |index| index - from)
            .zip(self.weights.iter().copied())
    }
}

/// The means of the points' trilinear values; 0 at a point without data.
pub(super) fn resample(voxels: &Array3<f32>, along: [Along; 3]) -> Array3<f32> {
    let source = Interpolation::of(voxels);
    let [slices, rows, columns] = [0, 1, 2].map(|axis| taps(&source, axis, &along[axis]));
    let (used_rows, used_columns) = (used(&rows), used(&columns));
    let mut out = Array3::zeros(along.map(|along| along.count));

    let mut plane = Array2::zeros((used_rows.len(), used_columns.len()));
    let mut line = Array1::zeros(used_columns.len());
    for (taps, mut out) in slices.iter().zip(out.outer_iter_mut()) {
        plane.fill(0.0);
        for (slice, weight) in taps.after(0) {
            let from = voxels.slice(s![slice, used_rows.clone(), used_columns.clone()]);
            plane.scaled_add(weight, &from);
        }
        for (taps, mut out) in rows.iter().zip(out.outer_iter_mut()) {
            line.fill(0.0);
            for (row, weight) in taps.after(used_rows.start) {
                line.scaled_add(weight, &plane.row(row));
            }
            for (taps, out) in columns.iter().zip(&mut out) {
                let terms = taps.after(used_columns.start);
                *out = terms.map(|(column, weight)| line[column] * weight).sum();
            }
        }
    }
    out
}

/// What the source needs to hold for all of them.
fn used(taps: &[Taps]) -> Range<usize> {
    let ranges = || taps.iter().map(Taps::range).filter(|range| !range.is_empty());
    let first = ranges().map(|range| range.start).min().unwrap_or(0);
    first..ranges().map(|range| range.end).max().unwrap_or(first)
}

fn taps(source: &Interpolation, axis: usize, along: &Along) -> Vec<Taps> {
    (0..along.count)
        .map(|voxel| {
            let places: Vec<(usize, f32)> = spread(along.samples)
                .filter_map(|offset| source.place(axis, along.base + (voxel as f64 + offset) * along.step))
                .collect();
            let end = |(low, share): (usize, f32)| low + 1 + usize::from(share > 0.0);
            let Some(first) = places.iter().map(|(low, _)| *low).min() else {
                return Taps::default();
            };
            let last = places.iter().map(|place| end(*place)).max().unwrap_or(first);
            let mut weights = vec![0.0; last - first];
            for (low, share) in places {
                weights[low - first] += (1.0 - share) / along.samples as f32;
                if share > 0.0 {
                    weights[low + 1 - first] += share / along.samples as f32;
                }
            }
            Taps { first, weights }
        })
        .collect()
}

/// So many points, evenly spread over a voxel, as distances from its centre.
pub(super) fn spread(samples: usize) -> impl Iterator<Item = f64> {
    (0..samples).map(move |i| (i as f64 + 0.5) / samples as f64 - 0.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn along() -> impl Strategy<Value = Along> {
        (-3.0..6.0f64, -2.0..2.0f64, 0..5usize, 1..4usize).prop_map(|(base, step, count, samples)| Along {
            base,
            step,
            count,
            samples,
        })
    }

    proptest! {
        #[test]
        fn a_voxel_is_the_mean_of_its_points(
            shape in [0..5usize, 1..5usize, 1..5usize], along in [along(), along(), along()],
            on_voxels: bool, seed in 0..1000u32,
        ) {
            let along = along.map(|along| match on_voxels {
                true => Along { base: along.base.round(), step: along.step.round(), ..along },
                false => along,
            });
            let voxels = Array3::from_shape_fn(shape, |(s, r, c)| {
                let n = (s * 25 + r * 5 + c) as u32 + seed;
                (n.wrapping_mul(2_654_435_761) >> 22) as f32
            });
            let source = Interpolation::of(&voxels);
            let points = |axis: usize, voxel: usize| -> Vec<f64> {
                let Along { base, step, samples, .. } = along[axis];
                let point = |i: usize| voxel as f64 + (i as f64 + 0.5) / samples as f64 - 0.5;
                (0..samples).map(|i| base + point(i) * step).collect()
            };
            let expected = Array3::from_shape_fn([0, 1, 2].map(|axis| along[axis].count), |(s, r, c)| {
                let (slices, rows, columns) = (points(0, s), points(1, r), points(2, c));
                let mut sum = 0.0;
                for slice in &slices {
                    for row in &rows {
                        sum += columns.iter().map(|column| source.at([*slice, *row, *column])).sum::<f32>();
                    }
                }
                sum / (slices.len() * rows.len() * columns.len()) as f32
            });
            let got = resample(&voxels, along);
            for (at, value) in got.indexed_iter() {
                prop_assert!((value - expected[at]).abs() <= 0.01, "{value} instead of {} at {at:?}", expected[at]);
            }
        }
    }
}
