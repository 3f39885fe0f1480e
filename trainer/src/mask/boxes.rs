//! Boxes in patient millimetres as masks.

use models::findings::Reason;
use models::mr::Grid;
use serde::{Deserialize, Serialize};

use super::{Mask, blank, number, paint, refused};
use crate::limits::MAX_BOX_MM;

/// Two opposite corners of a box along the patient's axes, mm (LPS); in any order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Corners(pub [f64; 6]);

impl Corners {
    /// Smallest and largest x, y, z.
    pub fn sorted(&self) -> [[f64; 3]; 2] {
        let [a, b] = [
            [self.0[0], self.0[1], self.0[2]],
            [self.0[3], self.0[4], self.0[5]],
        ];
        let pick = |of: fn(f64, f64) -> f64| std::array::from_fn(|i| of(a[i], b[i]));
        [pick(f64::min), pick(f64::max)]
    }

    /// Whether it can be a tumour: finite, not flat, and no longer than [`MAX_BOX_MM`].
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let [low, high] = self.sorted();
        let far = models::limits::MAX_POSITION_MM;
        if !self.0.iter().all(|n| n.is_finite() && n.abs() <= far) {
            return Err("its corners are no places in a scanner".to_owned());
        }
        if let Some(a) = (0..3).find(|a| !(0.1..=MAX_BOX_MM).contains(&(high[*a] - low[*a]))) {
            let text = format!(
                "its edge along {} is {:.2} mm long",
                ["x", "y", "z"][a],
                high[a] - low[a]
            );
            return Err(text);
        }
        Ok(())
    }
}

/// Boxes with their lesions' numbers as one mask of voxels of half a millimetre or, around distant boxes, one.
///
/// # Errors
/// `mask_geometry` for an impossible box, `mask_too_large` for boxes too far apart, `mask_overlap`.
pub fn of_boxes(boxes: &[(u8, Corners)]) -> Result<Mask, Reason> {
    let mut around: Option<[[f64; 3]; 2]> = None;
    for (lesion, corners) in boxes {
        number(f64::from(*lesion))?;
        corners.check().map_err(|text| {
            refused(
                "mask_geometry",
                format!("The box of lesion {lesion} is impossible: {text}."),
            )
        })?;
        let [low, high] = corners.sorted();
        let [least, most] = around.get_or_insert([low, high]);
        (0..3).for_each(|a| {
            least[a] = least[a].min(low[a]);
            most[a] = most[a].max(high[a]);
        });
    }
    let [low, high] = around.ok_or_else(|| refused("mask_form", "There is no box."))?;
    let longest = (0..3).map(|a| high[a] - low[a]).fold(0.0, f64::max);
    let step = if longest <= 100.0 { 0.5 } else { 1.0 };
    // One voxel more on each side, so that interpolation ends at the box and not at the last voxel.
    let count = |a: usize| ((high[a] - low[a]) / step).ceil() as usize + 2;
    let grid = Grid {
        origin: low.map(|x| x - 0.5 * step),
        slice_step: [0.0, 0.0, step],
        row_step: [0.0, step, 0.0],
        column_step: [step, 0.0, 0.0],
        shape: [count(2), count(1), count(0)],
    };
    let mut voxels = blank(grid.shape)?;
    for (lesion, corners) in boxes {
        let [from, to] = corners.sorted();
        let range = |a: usize| {
            let index = |x: f64| ((x - grid.origin[a]) / step).ceil().max(0.0) as usize;
            // A box thinner than a voxel keeps one.
            let (first, end) = (index(from[a]), index(to[a]));
            first..end.max(first + 1)
        };
        for (s, r, c) in range(2).flat_map(|s| range(1).flat_map(move |r| range(0).map(move |c| (s, r, c)))) {
            if let Some(voxel) = voxels.get_mut((s, r, c)) {
                paint(voxel, *lesion)?;
            }
        }
    }
    Ok(Mask {
        grid,
        voxels,
        names: Default::default(),
        frame_of_reference_uid: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_boxes_become_two_lesions_of_their_size_and_place() {
        let right = Corners([-60.0, 0.0, 10.0, -40.0, 15.0, 22.5]);
        let left = Corners([70.0, 25.0, -8.0, 50.0, 5.0, 12.0]);
        let mask = of_boxes(&[(3, right), (1, left)]).unwrap();
        let volume = mask.grid.voxel_volume();
        let found = mask.extents();
        for (n, size, centre) in [
            (3, 20.0 * 15.0 * 12.5, [-50.0, 7.5, 16.25]),
            (1, 20.0 * 20.0 * 20.0, [60.0, 15.0, 2.0]),
        ] {
            let measured = found[&n].voxels as f64 * volume;
            assert!(
                (measured / size - 1.0).abs() < 0.06,
                "{measured} mm³ instead of {size}"
            );
            for (have, want) in found[&n].centroid.iter().zip(centre) {
                assert!((have - want).abs() <= 0.5, "{have} instead of {want}");
            }
        }
    }

    #[test]
    fn impossible_boxes_are_refused() {
        let code = |boxes: &[(u8, Corners)]| of_boxes(boxes).unwrap_err().code;
        assert_eq!(code(&[]), "mask_form");
        assert_eq!(
            code(&[(1, Corners([0.0, 0.0, 0.0, 1.0, 1.0, 0.0]))]),
            "mask_geometry"
        );
        assert_eq!(
            code(&[(1, Corners([0.0, 0.0, 0.0, 1.0, 1.0, f64::NAN]))]),
            "mask_geometry"
        );
        assert_eq!(
            code(&[(1, Corners([0.0, 0.0, 0.0, 1.0, 1.0, 301.0]))]),
            "mask_geometry"
        );
        let one = Corners([0.0, 0.0, 0.0, 10.0, 10.0, 10.0]);
        assert_eq!(code(&[(0, one)]), "mask_number");
        assert_eq!(
            code(&[(1, one), (2, Corners([5.0, 5.0, 5.0, 20.0, 20.0, 20.0]))]),
            "mask_overlap"
        );
        let far = Corners([9000.0, 9000.0, 9000.0, 9010.0, 9010.0, 9010.0]);
        assert_eq!(code(&[(1, one), (2, far)]), "mask_too_large");
    }
}
