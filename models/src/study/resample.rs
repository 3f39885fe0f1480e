//! One axial grid for all contrasts of an examination.

use ndarray::Array3;

use super::interpolation::Interpolation;
use super::separable::{self, Along, spread};
use super::{Study, missing_contrast};
use crate::findings::{Fault, Mask, Reason};
use crate::limits::MAX_AXIAL_TILT_DEGREES;
use crate::mr::{Contrast, Grid};

impl Study {
    /// An axial grid on the slices of `anchor`: `size` × `size` pixels of `pixel_mm`, centred on it.
    ///
    /// # Errors
    /// The contrast is missing, or its slices are tilted by more than
    /// [`MAX_AXIAL_TILT_DEGREES`] from axial.
    pub fn axial_grid(&self, anchor: Contrast, pixel_mm: f64, size: usize) -> Result<Grid, Reason> {
        let volume = self.volume(anchor).ok_or_else(|| missing_contrast(anchor))?;
        let source = &volume.grid;
        let [left, posterior, head] = radiological_axes(source).ok_or_else(|| {
            let text = format!("{anchor} is not axial within {MAX_AXIAL_TILT_DEGREES} degrees");
            Reason::new("not_axial", Fault::Data, text)
        })?;
        let last = |n: usize| (n as f64 - 1.0) / 2.0;
        let [slices, rows, columns] = source.shape;
        let middle = source.position(last(slices), last(rows), last(columns));
        let spacing = norm(source.slice_step);
        let steps = [(head, spacing), (posterior, pixel_mm), (left, pixel_mm)];
        let [slice_step, row_step, column_step] = steps.map(|(axis, mm)| axis.map(|v| v * mm));
        let origin = std::array::from_fn(|a| {
            middle[a] - last(slices) * slice_step[a] - last(size) * row_step[a] - last(size) * column_step[a]
        });
        Ok(Grid {
            origin,
            slice_step,
            row_step,
            column_step,
            shape: [slices, size, size],
        })
    }

    /// A contrast on another grid; zero where it has no data.
    ///
    /// Linear in all three directions. Where the target's pixels are larger than the source's, each
    /// is the mean of several points, so that noise is averaged instead of aliased.
    ///
    /// # Errors
    /// The contrast is missing.
    pub fn resample(&self, contrast: Contrast, target: &Grid) -> Result<Array3<f32>, Reason> {
        let volume = self.volume(contrast).ok_or_else(|| missing_contrast(contrast))?;
        Ok(resample(&volume.voxels, &volume.grid, target))
    }
}

/// The voxels (slice, row, column) of another grid in the same frame whose centre lies inside a mask, in order:
/// where its linear interpolation reaches one half. A mask too small to reach it anywhere has the one voxel
/// nearest its first.
pub fn mask_on(mask: &Mask, target: &Grid) -> Vec<[usize; 3]> {
    let mut inside = Array3::<f32>::zeros(mask.grid.shape);
    let cells = inside.as_slice_mut().unwrap_or_default();
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    let [_, rows, columns] = mask.grid.shape;
    let place =
        |index: usize| [index / (rows * columns), index / columns % rows, index % columns].map(|i| i as f64);
    for index in mask.runs.iter().flat_map(|run| run[0]..run[1]) {
        let Some(cell) = cells.get_mut(index) else {
            continue;
        };
        *cell = 1.0;
        // A voxel reaches at most one step around its centre.
        let at = place(index);
        for corner in 0..8 {
            let side = |axis: usize| at[axis] + if corner >> axis & 1 == 0 { -1.0 } else { 1.0 };
            let there = target.index_of(mask.grid.position(side(0), side(1), side(2)));
            low = std::array::from_fn(|a| low[a].min(there[a]));
            high = std::array::from_fn(|a| high[a].max(there[a]));
        }
    }
    let range = |axis: usize| {
        let from = low[axis].floor().max(0.0) as usize;
        let to = (high[axis].ceil() + 1.0).clamp(0.0, target.shape[axis] as f64) as usize;
        from..to
    };
    let inside = Interpolation::of(&inside);
    let mut voxels = Vec::new();
    for slice in range(0) {
        for row in range(1) {
            for column in range(2) {
                let centre = target.position(slice as f64, row as f64, column as f64);
                if inside.at(mask.grid.index_of(centre)) >= 0.5 {
                    voxels.push([slice, row, column]);
                }
            }
        }
    }
    if voxels.is_empty()
        && let Some([first, _]) = mask.runs.first()
    {
        let at = place(*first);
        let there = target.index_of(mask.grid.position(at[0], at[1], at[2]));
        let within = (0..3).all(|a| (-0.5..target.shape[a] as f64 - 0.5).contains(&there[a]));
        voxels.extend(within.then(|| there.map(|index| index.round().max(0.0) as usize)));
    }
    voxels
}

/// Unit vectors of an axial grid that run to the left, to posterior and to the head.
pub(super) fn radiological_axes(grid: &Grid) -> Option<[[f64; 3]; 3]> {
    let toward = |step: [f64; 3], axis: usize| {
        let length = norm(step);
        let sign = if step[axis] < 0.0 { -1.0 } else { 1.0 };
        step.map(|v| v / length * sign)
    };
    let head = toward(grid.slice_step, 2);
    if head[2] < MAX_AXIAL_TILT_DEGREES.to_radians().cos() {
        return None;
    }
    let column_runs_left = grid.column_step[0].abs() >= grid.column_step[1].abs();
    let (left, posterior) = if column_runs_left {
        (toward(grid.column_step, 0), toward(grid.row_step, 1))
    } else {
        (toward(grid.row_step, 0), toward(grid.column_step, 1))
    };
    Some([left, posterior, head])
}

pub(super) fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// How many voxels of the source an axis may run across over the whole target and still count as running alike: no more
/// than the rounding of direction cosines.
const NEGLIGIBLE: f64 = 1e-6;

/// Linear interpolation of `voxels` on `source` at the points of `target`.
fn resample(voxels: &Array3<f32>, source: &Grid, target: &Grid) -> Array3<f32> {
    let fine = norm(source.row_step).min(norm(source.column_step));
    let samples = (norm(target.row_step) / fine).round().max(1.0) as usize;

    // Source index = base + slice·s + row·r + column·c, since both grids are affine.
    let base = source.index_of(target.position(0.0, 0.0, 0.0));
    let along = |slice: f64, row: f64, column: f64| {
        let end = source.index_of(target.position(slice, row, column));
        std::array::from_fn::<f64, 3, _>(|a| end[a] - base[a])
    };
    let steps = [along(1.0, 0.0, 0.0), along(0.0, 1.0, 0.0), along(0.0, 0.0, 1.0)];
    let alike = (0..3).all(|of| {
        let across = |to: usize| steps[of][to].abs() * target.shape[of] as f64;
        (0..3).all(|to| to == of || across(to) < NEGLIGIBLE)
    });
    if alike {
        let along = |axis: usize| Along {
            base: base[axis],
            step: steps[axis][axis],
            count: target.shape[axis],
            // Slices are thick, and not averaged.
            samples: if axis == 0 { 1 } else { samples },
        };
        return separable::resample(voxels, [along(0), along(1), along(2)]);
    }

    let source = Interpolation::of(voxels);
    let [per_slice, per_row, per_column] = steps;
    let offsets: Vec<f64> = spread(samples).collect();
    let weight = 1.0 / (samples * samples) as f32;
    Array3::from_shape_fn(target.shape, |(slice, row, column)| {
        let in_slice = moved(base, slice as f64, per_slice);
        let mut sum = 0.0;
        for to_row in &offsets {
            let in_row = moved(in_slice, row as f64 + to_row, per_row);
            for to_column in &offsets {
                sum += source.at(moved(in_row, column as f64 + to_column, per_column));
            }
        }
        sum * weight
    })
}

/// So many steps on.
#[inline(always)]
pub(super) fn moved(from: [f64; 3], count: f64, step: [f64; 3]) -> [f64; 3] {
    [
        from[0] + count * step[0],
        from[1] + count * step[1],
        from[2] + count * step[2],
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::findings::StudyIdentity;
    use crate::mr::Volume;

    fn grid(column_step: [f64; 3], row_step: [f64; 3], slice_step: [f64; 3]) -> Grid {
        Grid {
            origin: [-10.0, -20.0, -30.0],
            slice_step,
            row_step,
            column_step,
            shape: [4, 6, 8],
        }
    }

    fn study_of(grid: Grid) -> Study {
        let [s, r, c] = grid.shape;
        let voxels = Array3::from_shape_fn((s, r, c), |(s, r, c)| {
            let p = grid.position(s as f64, r as f64, c as f64);
            (100.0 + p[0] + 3.0 * p[1] + 7.0 * p[2]) as f32
        });
        let volume = Volume {
            contrast: Contrast::T2,
            b_value: None,
            grid,
            voxels,
        };
        Study {
            identity: StudyIdentity::default(),
            volumes: BTreeMap::from([(Contrast::T2, volume)]),
            origins: Vec::new(),
            sources: Vec::new(),
            anchor: None,
            refused: Vec::new(),
            quality: Vec::new(),
        }
    }

    /// A linear field must come back exactly, whatever way the source is stored.
    #[test]
    fn a_linear_field_survives_any_storage_order() {
        for (column, row, slice) in [
            ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]),
            ([-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 2.0]),
            ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -2.0]),
        ] {
            let study = study_of(grid(column, row, slice));
            let target = study.axial_grid(Contrast::T2, 0.5, 5).unwrap();
            assert!(target.column_step[0] > 0.0 && target.row_step[1] > 0.0 && target.slice_step[2] > 0.0);
            let out = study.resample(Contrast::T2, &target).unwrap();
            for ((s, r, c), value) in out.indexed_iter() {
                let p = target.position(s as f64, r as f64, c as f64);
                let expected = 100.0 + p[0] + 3.0 * p[1] + 7.0 * p[2];
                assert!(
                    (f64::from(*value) - expected).abs() < 1e-3,
                    "{value} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn a_coronal_anchor_is_refused_by_name() {
        let study = study_of(grid([1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 2.0, 0.0]));
        assert_eq!(
            study.axial_grid(Contrast::T2, 1.0, 8).unwrap_err().code,
            "not_axial"
        );
    }

    #[test]
    fn outside_the_source_there_is_no_data() {
        let study = study_of(grid([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]));
        let mut target = study.axial_grid(Contrast::T2, 1.0, 4).unwrap();
        target.origin[2] += 100.0;
        assert!(
            study
                .resample(Contrast::T2, &target)
                .unwrap()
                .iter()
                .all(|v| *v == 0.0)
        );
    }
}
