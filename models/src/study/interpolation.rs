//! Values between voxels.

use std::borrow::Cow;

use ndarray::Array3;

/// The voxels of a volume, ready to be asked between their centres.
///
/// The outermost voxels reach half a voxel beyond their centre; further out there is no data and the value is 0.
pub(super) struct Interpolation<'a> {
    /// (slice, row, column), row-major.
    voxels: Cow<'a, [f32]>,
    axes: [Axis; 3],
}

/// One of the three directions of a volume.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Index of the last voxel.
    last: f64,
    /// Where the data end; below where they begin, if there are none.
    end: f64,
    /// Elements from one voxel to the next.
    pitch: usize,
}

/// Between which two voxels of an axis a point lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Elements from the first voxel of the axis to the lower one.
    low: usize,
    /// Elements from the lower to the higher one; 0 at the end.
    step: usize,
    /// Of the way to the higher one.
    share: f32,
}

impl<'a> Interpolation<'a> {
    pub fn of(voxels: &'a Array3<f32>) -> Self {
        let (slices, rows, columns) = voxels.dim();
        let axis = |length: usize, pitch| Axis {
            last: length as f64 - 1.0,
            end: if length > 0 { length as f64 - 0.5 } else { -1.0 },
            pitch,
        };
        Self {
            axes: [
                axis(slices, rows * columns),
                axis(rows, columns),
                axis(columns, 1),
            ],
            voxels: match voxels.as_slice() {
                Some(voxels) => Cow::Borrowed(voxels),
                None => voxels.iter().copied().collect(),
            },
        }
    }

    /// Trilinear value at a fractional index.
    #[inline]
    pub fn at(&self, [slice, row, column]: [f64; 3]) -> f32 {
        let places = (self.place(0, slice), self.place(1, row), self.place(2, column));
        let (Some(slice), Some(row), Some(column)) = places else {
            return 0.0;
        };
        self.between(slice, row, column)
    }

    /// Where a fractional index of one axis lies; none where there is no data.
    #[inline(always)]
    pub fn place(&self, axis: usize, index: f64) -> Option<Place> {
        let Axis { last, end, pitch } = self.axes[axis];
        if !(index >= -0.5 && index <= end) {
            return None;
        }
        let x = index.max(0.0).min(last);
        // Below 2³¹: no axis is that long.
        let low = x as i32;
        let whole = f64::from(low);
        Some(Place {
            low: low as usize * pitch,
            step: if whole < last { pitch } else { 0 },
            share: (x - whole) as f32,
        })
    }

    /// Value between eight voxels.
    #[inline(always)]
    pub fn between(&self, slice: Place, row: Place, column: Place) -> f32 {
        let first = slice.low + row.low + column.low;
        let voxels: &[f32] = &self.voxels;
        mix(
            in_slice(voxels, first, row, column),
            in_slice(voxels, first + slice.step, row, column),
            slice.share,
        )
    }
}

#[inline(always)]
fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

#[inline(always)]
fn in_slice(voxels: &[f32], first: usize, row: Place, column: Place) -> f32 {
    let next = first + row.step;
    mix(
        mix(voxels[first], voxels[first + column.step], column.share),
        mix(voxels[next], voxels[next + column.step], column.share),
        row.share,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: eight voxels by the product of their shares, outermost voxels repeated.
    fn defined(voxels: &Array3<f32>, at: [f64; 3]) -> f64 {
        let shape = [voxels.dim().0, voxels.dim().1, voxels.dim().2];
        if (0..3).any(|a| at[a] < -0.5 || at[a] > shape[a] as f64 - 0.5) {
            return 0.0;
        }
        let mut sum = 0.0;
        for corner in 0..8usize {
            let mut weight = 1.0;
            let voxel: [usize; 3] = std::array::from_fn(|a| {
                let low = at[a].floor();
                let far = corner >> a & 1;
                weight *= if far == 1 {
                    at[a] - low
                } else {
                    1.0 - (at[a] - low)
                };
                (low + far as f64).clamp(0.0, shape[a] as f64 - 1.0) as usize
            });
            sum += weight * f64::from(voxels[voxel]);
        }
        sum
    }

    proptest! {
        #[test]
        fn a_value_between_voxels_is_their_mean_by_distance(
            shape in [1..5usize, 1..5usize, 1..5usize],
            at in [-1.5..6.0f64, -1.5..6.0f64, -1.5..6.0f64],
            on_voxels: bool, turned: bool, seed in 0..1000u32,
        ) {
            let at = if on_voxels { at.map(f64::round) } else { at };
            let mut voxels = Array3::from_shape_fn(shape, |(s, r, c)| {
                let n = (s * 25 + r * 5 + c) as u32 + seed;
                (n.wrapping_mul(2_654_435_761) >> 16) as f32
            });
            if turned {
                voxels = voxels.permuted_axes([2, 0, 1]);
            }
            let (got, expected) = (Interpolation::of(&voxels).at(at), defined(&voxels, at));
            prop_assert!((f64::from(got) - expected).abs() <= 0.05, "{got} instead of {expected}");
        }
    }

    #[test]
    fn what_is_no_number_lies_nowhere() {
        let voxels = Array3::from_elem((2, 2, 2), 1.0);
        let interpolation = Interpolation::of(&voxels);
        assert_eq!(interpolation.at([f64::NAN, 0.0, 0.0]), 0.0);
        assert_eq!(interpolation.at([f64::INFINITY, 0.0, 0.0]), 0.0);
        assert_eq!(interpolation.at([0.5, 0.5, 0.5]), 1.0);
        let none = Array3::zeros((0, 2, 2));
        assert_eq!(Interpolation::of(&none).at([-0.5; 3]), 0.0);
    }
}
