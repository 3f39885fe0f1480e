//! From a probability per voxel to lesions.

use ndarray::Array3;

use crate::findings::{BoxMm, Mask, Side};
use crate::mr::Grid;
use crate::package::OperatingPoints;
use crate::recipe::SliceBox;

/// Voxels that hang together, face to face, edge to edge or corner to corner.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// (slice, row, column), in the order of the grid.
    pub voxels: Vec<[usize; 3]>,
    /// Mean probability of its voxels. The locator is sure of nearly all of a tumour; in a bright normal
    /// gland it is sure of a few spots, so the highest values would not tell the two apart.
    pub score: f32,
}

/// All candidates above the voxel threshold, the highest score first; none is dropped for its score.
pub fn candidates(probability: &Array3<f32>, points: &OperatingPoints) -> Vec<Candidate> {
    let mut seen = Array3::from_elem(probability.dim(), false);
    let mut found = Vec::new();
    for (start, p) in probability.indexed_iter() {
        if *p < points.voxel_probability || seen[start] {
            continue;
        }
        let voxels = grow(probability, points.voxel_probability, &mut seen, start.into());
        if voxels.len() < points.lesion_voxels {
            continue;
        }
        let score = voxels.iter().map(|v| probability[*v]).sum::<f32>() / voxels.len() as f32;
        found.push(Candidate { voxels, score });
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.voxels.cmp(&b.voxels)));
    found
}

/// All voxels connected to `start`, in the order of the grid.
fn grow(
    probability: &Array3<f32>,
    threshold: f32,
    seen: &mut Array3<bool>,
    start: [usize; 3],
) -> Vec<[usize; 3]> {
    let (slices, rows, columns) = probability.dim();
    let around = |i: usize, n: usize| i.saturating_sub(1)..=(i + 1).min(n - 1);
    let mut voxels = Vec::new();
    let mut open = vec![start];
    seen[start] = true;
    while let Some(at) = open.pop() {
        voxels.push(at);
        for slice in around(at[0], slices) {
            for row in around(at[1], rows) {
                for column in around(at[2], columns) {
                    let next = [slice, row, column];
                    if !seen[next] && probability[next] >= threshold {
                        seen[next] = true;
                        open.push(next);
                    }
                }
            }
        }
    }
    voxels.sort_unstable();
    voxels
}

impl Candidate {
    /// The part in each slice, by slice.
    pub fn slice_boxes(&self) -> Vec<SliceBox> {
        let mut boxes: Vec<SliceBox> = Vec::new();
        for &[slice, row, column] in &self.voxels {
            let (x, y) = (column as f32, row as f32);
            match boxes.last_mut().filter(|b| b.slice == slice) {
                None => boxes.push(SliceBox {
                    slice,
                    x0: x,
                    y0: y,
                    x1: x + 1.0,
                    y1: y + 1.0,
                }),
                Some(b) => {
                    b.x0 = b.x0.min(x);
                    b.y0 = b.y0.min(y);
                    b.x1 = b.x1.max(x + 1.0);
                    b.y1 = b.y1.max(y + 1.0);
                }
            }
        }
        boxes
    }

    /// The slice with the most voxels; the lowest of several.
    pub fn largest_slice(&self) -> usize {
        let mut best = (0, 0);
        for run in self.voxels.chunk_by(|a, b| a[0] == b[0]) {
            if run.len() > best.0 {
                best = (run.len(), run[0][0]);
            }
        }
        best.1
    }

    /// Runs over the grid.
    pub fn mask(&self, grid: &Grid) -> Mask {
        let [_, rows, columns] = grid.shape;
        let mut runs: Vec<[usize; 2]> = Vec::new();
        for &[slice, row, column] in &self.voxels {
            let index = (slice * rows + row) * columns + column;
            match runs.last_mut().filter(|r| r[1] == index) {
                Some(run) => run[1] += 1,
                None => runs.push([index, index + 1]),
            }
        }
        Mask {
            grid: grid.clone(),
            runs,
        }
    }

    /// Box around the voxels, from edge to edge, in patient millimetres.
    pub fn box_mm(&self, grid: &Grid) -> BoxMm {
        let mut out = BoxMm {
            min: [f64::INFINITY; 3],
            max: [f64::NEG_INFINITY; 3],
        };
        for &[slice, row, column] in &self.voxels {
            for corner in 0..8 {
                let half = |bit: usize| if corner & bit == 0 { -0.5 } else { 0.5 };
                let p = grid.position(
                    slice as f64 + half(1),
                    row as f64 + half(2),
                    column as f64 + half(4),
                );
                out.min = std::array::from_fn(|a| out.min[a].min(p[a]));
                out.max = std::array::from_fn(|a| out.max[a].max(p[a]));
            }
        }
        out
    }

    /// Side of the patient: on which side of the head's middle the centre of mass lies.
    pub fn side(&self, grid: &Grid, middle_x_mm: f64) -> Side {
        let sum: f64 = self
            .voxels
            .iter()
            .map(|v| grid.position(v[0] as f64, v[1] as f64, v[2] as f64)[0])
            .sum();
        // LPS: x grows to the patient's left.
        if sum / self.voxels.len() as f64 >= middle_x_mm {
            Side::Left
        } else {
            Side::Right
        }
    }

    /// Largest distance between two voxels of one slice, from outer edge to outer edge, mm.
    pub fn long_axis_mm(&self, grid: &Grid) -> f64 {
        let length = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let pixel = length(grid.row_step).max(length(grid.column_step));
        let mut longest = 0.0f64;
        for slice in self.voxels.chunk_by(|a, b| a[0] == b[0]) {
            let rim = rim(slice);
            for (i, a) in rim.iter().enumerate() {
                for b in &rim[i..] {
                    let d = std::array::from_fn(|k| {
                        (a[1] as f64 - b[1] as f64) * grid.row_step[k]
                            + (a[2] as f64 - b[2] as f64) * grid.column_step[k]
                    });
                    longest = longest.max(length(d));
                }
            }
        }
        longest + pixel
    }
}

/// First and last voxel of each row: the farthest two voxels of a slice are always among them.
fn rim(slice: &[[usize; 3]]) -> Vec<[usize; 3]> {
    slice
        .chunk_by(|a, b| a[1] == b[1])
        .flat_map(|row| [row[0], row[row.len() - 1]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: OperatingPoints = OperatingPoints {
        voxel_probability: 0.5,
        lesion_score: 0.5,
        lesion_voxels: 2,
        malignant: 0.5,
    };

    fn grid(shape: [usize; 3]) -> Grid {
        Grid {
            origin: [-10.0, 0.0, 0.0],
            slice_step: [0.0, 0.0, 4.0],
            row_step: [0.0, 2.0, 0.0],
            column_step: [2.0, 0.0, 0.0],
            shape,
        }
    }

    #[test]
    fn two_blobs_stay_apart_and_a_single_voxel_is_noise() {
        let mut p = Array3::zeros((3, 8, 8));
        p[[0, 1, 1]] = 0.9;
        p[[1, 2, 2]] = 0.8; // touches by a corner
        p[[1, 6, 5]] = 0.6;
        p[[1, 6, 6]] = 0.95; // the brightest voxel of all is not in the surest lesion
        p[[2, 0, 7]] = 1.0; // alone
        let found = candidates(&p, &POINTS);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].voxels, vec![[0, 1, 1], [1, 2, 2]]);
        assert_eq!(found[1].voxels, vec![[1, 6, 5], [1, 6, 6]]);
        assert!((found[0].score - 0.85).abs() < 1e-6 && (found[1].score - 0.775).abs() < 1e-6);
    }

    #[test]
    fn measures_of_a_known_block() {
        let mut p = Array3::zeros((3, 8, 8));
        for row in 2..5 {
            for column in 6..8 {
                p[[1, row, column]] = 0.9;
            }
        }
        let grid = grid([3, 8, 8]);
        let lesion = &candidates(&p, &POINTS)[0];
        assert_eq!(lesion.largest_slice(), 1);
        assert_eq!(lesion.side(&grid, 0.0), Side::Left);
        assert_eq!(lesion.side(&grid, 100.0), Side::Right);
        let b = lesion.box_mm(&grid);
        assert_eq!((b.min, b.max), ([1.0, 3.0, 2.0], [5.0, 9.0, 6.0]));
        // 4 mm by 2 mm between the outer centres, and a pixel of 2 mm around them.
        assert!((lesion.long_axis_mm(&grid) - (20f64.sqrt() + 2.0)).abs() < 1e-9);
        assert_eq!(
            lesion.mask(&grid).runs,
            vec![[64 + 22, 64 + 24], [64 + 30, 64 + 32], [64 + 38, 64 + 40]]
        );
        let boxes = lesion.slice_boxes();
        assert_eq!(
            boxes,
            vec![SliceBox {
                slice: 1,
                x0: 6.0,
                y0: 2.0,
                x1: 8.0,
                y1: 5.0
            }]
        );
    }
}
