//! A rigid motion: a turn about a centre, then a shift.

use crate::mr::Grid;
use crate::study::resample::norm;

/// Six numbers, all in millimetres so that a search can treat them alike: the shift along x, y, z,
/// and how far the turn about x, y, z carries a point that lies [`LEVER_MM`] from the centre.
pub(super) type Parameters = [f64; 6];

/// About the distance of the parotid glands and the skin from the middle of the head, mm.
pub(super) const LEVER_MM: f64 = 80.0;

/// Maps patient millimetres to patient millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Motion {
    rotation: [[f64; 3]; 3],
    centre: [f64; 3],
    shift: [f64; 3],
}

impl Motion {
    pub fn new(parameters: &Parameters, centre: [f64; 3]) -> Motion {
        let [x, y, z, a, b, c] = *parameters;
        Motion {
            rotation: rotation([a, b, c].map(|mm| mm / LEVER_MM)),
            centre,
            shift: [x, y, z],
        }
    }

    /// Where a point goes.
    pub fn apply(&self, point: [f64; 3]) -> [f64; 3] {
        let turned = self.turn(std::array::from_fn(|a| point[a] - self.centre[a]));
        std::array::from_fn(|a| turned[a] + self.centre[a] + self.shift[a])
    }

    /// Where a direction goes.
    pub fn turn(&self, v: [f64; 3]) -> [f64; 3] {
        self.rotation
            .map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
    }

    /// The way back.
    pub fn inverse(&self) -> Motion {
        let r = &self.rotation;
        let rotation = std::array::from_fn(|i| std::array::from_fn(|j| r[j][i]));
        Motion {
            rotation,
            centre: std::array::from_fn(|a| self.centre[a] + self.shift[a]),
            shift: self.shift.map(|v| -v),
        }
    }

    /// A grid carried along; its voxels stay what they are.
    pub fn carry(&self, grid: &Grid) -> Grid {
        Grid {
            origin: self.apply(grid.origin),
            slice_step: self.turn(grid.slice_step),
            row_step: self.turn(grid.row_step),
            column_step: self.turn(grid.column_step),
            shape: grid.shape,
        }
    }

    /// The angle of the turn.
    pub fn degrees(&self) -> f64 {
        let r = &self.rotation;
        let cosine = (r[0][0] + r[1][1] + r[2][2] - 1.0) / 2.0;
        cosine.clamp(-1.0, 1.0).acos().to_degrees()
    }

    /// How far a point goes, mm.
    pub fn distance_mm(&self, point: [f64; 3]) -> f64 {
        let to = self.apply(point);
        norm(std::array::from_fn(|a| to[a] - point[a]))
    }

    /// The largest distance between where both carry the corners of the octahedron of [`LEVER_MM`]
    /// around `middle`.
    pub fn disagreement_mm(&self, other: &Motion, middle: [f64; 3]) -> f64 {
        let mut worst = 0.0f64;
        for axis in 0..3 {
            for side in [-LEVER_MM, LEVER_MM] {
                let mut corner = middle;
                corner[axis] += side;
                let (a, b) = (self.apply(corner), other.apply(corner));
                worst = worst.max(norm(std::array::from_fn(|i| a[i] - b[i])));
            }
        }
        worst
    }
}

/// About the axis `w` by its length, radians (Rodrigues).
fn rotation(w: [f64; 3]) -> [[f64; 3]; 3] {
    let angle = norm(w);
    if angle < 1e-12 {
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    }
    let [x, y, z] = w.map(|v| v / angle);
    let (sin, cos) = angle.sin_cos();
    let k = 1.0 - cos;
    [
        [cos + x * x * k, x * y * k - z * sin, x * z * k + y * sin],
        [y * x * k + z * sin, cos + y * y * k, y * z * k - x * sin],
        [z * x * k - y * sin, z * y * k + x * sin, cos + z * z * k],
    ]
}
