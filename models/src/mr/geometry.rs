//! From the planes of single images to one grid (PS3.3 C.7.6.2.1.1).
//!
//! Slices are ordered by their position along the normal, never by instance number: scanners number
//! by time, by direction of the table, or interleaved.

use super::Grid;
use super::header::Place;
use crate::findings::{Fault, Reason};
use crate::limits::{
    MAX_COSINE_DEVIATION, MAX_POSITION_MM, MAX_SPACING_DEVIATION, MAX_STEP_MM, MAX_TILT_SINE,
    MIN_SLICE_DISTANCE_MM,
};

/// Two slices in one place; a series that repeats its slices is told apart by this code.
pub(super) const DUPLICATE_SLICES: &str = "duplicate_slices";

/// One image in space, checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    position: [f64; 3],
    /// Unit vector along a row, to the next column.
    along_row: [f64; 3],
    /// Unit vector down a column, to the next row.
    down_column: [f64; 3],
    /// Between rows, between columns, mm.
    spacing: [f64; 2],
    rows: usize,
    columns: usize,
    /// Slice thickness or distance as stated, mm.
    depth: Option<f64>,
    slice_distance: Option<f64>,
}

impl Plane {
    /// Where its first pixel lies, in hundredths of a millimetre: equal for repeated images of one slice.
    pub fn place(&self) -> [i64; 3] {
        self.position.map(|p| (p * 100.0).round() as i64)
    }

    /// Checks that the attributes of one image describe a plane.
    pub fn new(place: &Place, rows: usize, columns: usize) -> Result<Plane, Reason> {
        let missing = |what: &str| {
            Reason::new(
                "missing_geometry",
                Fault::Data,
                format!("The image states no {what}."),
            )
        };
        let position = place
            .position
            .ok_or_else(|| missing("Image Position (0020,0032)"))?;
        let orientation = place
            .orientation
            .ok_or_else(|| missing("Image Orientation (0020,0037)"))?;
        let spacing = place
            .spacing
            .ok_or_else(|| missing("Pixel Spacing (0028,0030)"))?;
        if rows == 0 || columns == 0 {
            return Err(missing("Rows (0028,0010) or Columns (0028,0011)"));
        }
        let [a, b, c, d, e, f] = orientation;
        let (row, column) = ([a, b, c], [d, e, f]);
        let unit = |v: [f64; 3]| (dot(v, v).sqrt() - 1.0).abs() < 10.0 * MAX_COSINE_DEVIATION;
        let square = dot(row, column).abs() < 10.0 * MAX_COSINE_DEVIATION;
        let steps = spacing.iter().all(|s| *s > 0.0 && *s <= MAX_STEP_MM);
        let near = position.iter().all(|p| p.abs() <= MAX_POSITION_MM);
        if !(unit(row) && unit(column) && square && steps && near) {
            return Err(Reason::new(
                "invalid_geometry",
                Fault::Data,
                "Its orientation is not of two perpendicular unit vectors, or its spacing or position is impossible.",
            ));
        }
        let depth = place
            .slice_distance
            .or(place.thickness)
            .filter(|d| *d <= MAX_STEP_MM);
        let slice_distance = place.slice_distance;
        let (along_row, down_column) = (normalised(row), normalised(column));
        Ok(Plane {
            position,
            along_row,
            down_column,
            spacing,
            rows,
            columns,
            depth,
            slice_distance,
        })
    }

    fn normal(&self) -> [f64; 3] {
        cross(self.along_row, self.down_column)
    }

    /// Whether both lie in parallel planes, turned alike.
    pub fn same_orientation(&self, other: &Plane) -> bool {
        let near = |a: [f64; 3], b: [f64; 3]| (0..3).all(|i| (a[i] - b[i]).abs() <= MAX_COSINE_DEVIATION);
        near(self.along_row, other.along_row) && near(self.down_column, other.down_column)
    }

    fn same_size(&self, other: &Plane) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.max(b);
        (self.rows, self.columns) == (other.rows, other.columns)
            && near(self.spacing[0], other.spacing[0])
            && near(self.spacing[1], other.spacing[1])
    }

    /// Millimetres along the common normal of a stack.
    pub fn height(&self, normal: [f64; 3]) -> f64 {
        dot(self.position, normal)
    }
}

/// Stacks planes; gives the grid and, for each of its slices, the index into `planes`.
///
/// # Errors
/// `missing_geometry`, `mixed_orientation`, `mixed_size`, `duplicate_slices`, `missing_slices`,
/// `uneven_spacing`, `tilted_gantry`, `too_few_slices`.
pub(super) fn stack(planes: &[Plane]) -> Result<(Grid, Vec<usize>), Reason> {
    let refuse = |code: &str, text: String| Err(Reason::new(code, Fault::Data, text));
    let Some(first) = planes.first() else {
        return refuse("too_few_slices", "There is no slice.".to_owned());
    };
    if !planes.iter().all(|p| p.same_orientation(first)) {
        return refuse(
            "mixed_orientation",
            "Its slices lie in more than one orientation.".to_owned(),
        );
    }
    if !planes.iter().all(|p| p.same_size(first)) {
        return refuse(
            "mixed_size",
            "Its slices differ in matrix or pixel spacing.".to_owned(),
        );
    }
    let normal = first.normal();
    let mut order: Vec<usize> = (0..planes.len()).collect();
    order.sort_by(|&a, &b| planes[a].height(normal).total_cmp(&planes[b].height(normal)));
    let bottom = &planes[order[0]];
    let slice_step = match order.len() {
        1 => {
            let Some(depth) = bottom.depth else {
                return refuse(
                    "missing_geometry",
                    "A single slice without a thickness (0018,0050) has no volume.".to_owned(),
                );
            };
            normal.map(|n| n * depth)
        }
        _ => step_between(planes, &order, normal)?,
    };
    let grid = Grid {
        origin: bottom.position,
        slice_step,
        row_step: bottom.down_column.map(|c| c * bottom.spacing[0]),
        column_step: bottom.along_row.map(|c| c * bottom.spacing[1]),
        shape: [planes.len(), bottom.rows, bottom.columns],
    };
    Ok((grid, order))
}

/// The even step of two or more ordered slices.
fn step_between(planes: &[Plane], order: &[usize], normal: [f64; 3]) -> Result<[f64; 3], Reason> {
    let refuse = |code: &str, text: String| Err(Reason::new(code, Fault::Data, text));
    let gaps: Vec<f64> = order
        .windows(2)
        .map(|w| planes[w[1]].height(normal) - planes[w[0]].height(normal))
        .collect();
    let twice = gaps.iter().filter(|g| **g < MIN_SLICE_DISTANCE_MM).count();
    if twice > 0 {
        return refuse(
            DUPLICATE_SLICES,
            format!("{twice} of its slices lie where another one lies."),
        );
    }
    let median = median(&gaps);
    let tolerance = MAX_SPACING_DEVIATION * median;
    let odd: Vec<f64> = gaps
        .iter()
        .copied()
        .filter(|g| (g - median).abs() > tolerance)
        .collect();
    if !odd.is_empty() {
        let whole = |g: &f64| {
            let n = (g / median).round();
            n >= 2.0 && (g - n * median).abs() <= tolerance * n
        };
        if odd.iter().all(whole) {
            let lost: f64 = odd.iter().map(|g| (g / median).round() - 1.0).sum();
            return refuse(
                "missing_slices",
                format!("{lost} slices are missing between those that are here."),
            );
        }
        return refuse(
            "uneven_spacing",
            format!(
                "Its slices are unevenly spaced, from {:.2} to {:.2} mm.",
                least(&gaps),
                most(&gaps)
            ),
        );
    }
    if let [gap] = gaps[..] {
        let bottom = &planes[order[0]];
        if bottom.depth.is_none() {
            return refuse(
                "too_few_slices",
                "Two slices that state no thickness: whether one is missing between them is unknown."
                    .to_owned(),
            );
        }
        if bottom
            .slice_distance
            .is_some_and(|d| (gap - d).abs() > MAX_SPACING_DEVIATION * d)
        {
            return refuse(
                "uneven_spacing",
                format!("Its two slices lie {gap:.2} mm apart and not as far as they state."),
            );
        }
    }
    let (bottom, top) = (&planes[order[0]], &planes[order[order.len() - 1]]);
    let count = gaps.len() as f64;
    let step: [f64; 3] = std::array::from_fn(|a| (top.position[a] - bottom.position[a]) / count);
    let sideways = rejected(step, normal);
    if dot(sideways, sideways).sqrt() > MAX_TILT_SINE * dot(step, step).sqrt() {
        return refuse(
            "tilted_gantry",
            "Its slices are not stacked along their normal.".to_owned(),
        );
    }
    let strays = order.iter().enumerate().any(|(i, &p)| {
        let off: [f64; 3] =
            std::array::from_fn(|a| planes[p].position[a] - bottom.position[a] - i as f64 * step[a]);
        dot(off, off).sqrt() > tolerance
    });
    if strays {
        return refuse(
            "uneven_spacing",
            "Its slices do not lie on one straight line.".to_owned(),
        );
    }
    Ok(step)
}

impl Grid {
    /// Patient millimetres of a voxel centre; indices may be fractional.
    pub fn position(&self, slice: f64, row: f64, column: f64) -> [f64; 3] {
        std::array::from_fn(|a| {
            self.origin[a]
                + slice * self.slice_step[a]
                + row * self.row_step[a]
                + column * self.column_step[a]
        })
    }

    /// Fractional slice, row and column of a point in patient millimetres: the inverse of
    /// [`Grid::position`]. Not finite when the steps do not span space.
    pub fn index_of(&self, position: [f64; 3]) -> [f64; 3] {
        let p = std::array::from_fn(|a| position[a] - self.origin[a]);
        let (s, r, c) = (self.slice_step, self.row_step, self.column_step);
        // Cramer's rule.
        let det = dot(s, cross(r, c));
        [
            dot(p, cross(r, c)) / det,
            dot(s, cross(p, c)) / det,
            dot(s, cross(r, p)) / det,
        ]
    }

    /// Unit vector across the slices, in the direction of increasing slices.
    pub fn normal(&self) -> [f64; 3] {
        let normal = normalised(cross(self.column_step, self.row_step));
        if dot(normal, self.slice_step) < 0.0 {
            normal.map(|n| -n)
        } else {
            normal
        }
    }

    /// Millimetres between slices, rows, columns.
    pub fn spacing(&self) -> [f64; 3] {
        [self.slice_step, self.row_step, self.column_step].map(|v| dot(v, v).sqrt())
    }

    /// Of one voxel, mm³.
    pub fn voxel_volume(&self) -> f64 {
        dot(self.slice_step, cross(self.row_step, self.column_step)).abs()
    }

    /// Whether both are the same voxels, within a hundredth of one.
    pub fn coincides(&self, other: &Grid) -> bool {
        let near = |i: [f64; 3]| {
            let [s, r, c] = self.index_of(other.position(i[0], i[1], i[2]));
            [s - i[0], r - i[1], c - i[2]].iter().all(|d| d.abs() < 0.01)
        };
        self.shape == other.shape && near([0.0; 3]) && near(self.shape.map(|n| n as f64 - 1.0))
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn normalised(v: [f64; 3]) -> [f64; 3] {
    let length = dot(v, v).sqrt();
    v.map(|x| x / length)
}

/// What is left of `v` without its part along the unit vector `n`.
fn rejected(v: [f64; 3], n: [f64; 3]) -> [f64; 3] {
    let along = dot(v, n);
    std::array::from_fn(|a| v[a] - along * n[a])
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The middle value; the lower one of two middles, so that it is a gap that occurs.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}
