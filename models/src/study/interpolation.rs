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

    /// Where a fractional index of one axis lies: the voxel below, and the share of the way to the one above, which is 0
    /// at the end; none where there are no data.
    #[inline(always)]
    pub fn place(&self, axis: usize, index: f64) -> Option<(usize, f32)> {
        let Axis { last, end, .. } = self.axes[axis];
        if !(index >= -0.5 && index <= end) {
            return None;
        }
        let index = index.max(0.0).min(last);
        // Below 2³¹: no axis is that long.
        let low = index as i32;
        Some((low as usize, (index - f64::from(low)) as f32))
    }

    /// Trilinear value at a fractional index.
    #[inline]
    pub fn at(&self, [slice, row, column]: [f64; 3]) -> f32 {
        let places = (self.place(0, slice), self.place(1, row), self.place(2, column));
        let (Some((slice, to_slice)), Some((row, to_row)), Some((column, to_column))) = places else {
            return 0.0;
        };
        let pitch = |axis: usize, share: f32| if share > 0.0 { self.axes[axis].pitch } else { 0 };
        let first = slice * self.axes[0].pitch + row * self.axes[1].pitch + column;
        let (next_slice, next_row, next_column) = (pitch(0, to_slice), pitch(1, to_row), pitch(2, to_column));
        let between = |first: usize| {
            let below = first + next_row;
            mix(
                mix(self.voxels[first], self.voxels[first + next_column], to_column),
                mix(self.voxels[below], self.voxels[below + next_column], to_column),
                to_row,
            )
        };
        mix(between(first), between(first + next_slice), to_slice)
    }
}

#[inline(always)]
fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
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
