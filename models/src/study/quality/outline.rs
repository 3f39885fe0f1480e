//! The head as one piece of tissue, on coarse cubes along the patient's axes.

use ndarray::Array3;

use crate::mr::{Grid, Volume};
use crate::study::image::Reduced;
use crate::study::resample::norm;

/// Edge of a cube, mm: skin and slice thickness are no finer.
pub(super) const EDGE_MM: f64 = 4.0;

/// Cubes along one axis at most: 64 cm, more than the bore of a scanner.
const MAX_CUBES: usize = 160;

/// Cubes (foot to head, front to back, right to left).
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub grid: Grid,
    /// Mean signal.
    pub signal: Array3<f32>,
    /// Whether the volume reaches here.
    pub known: Array3<bool>,
    /// The voxels that the cubes were made of.
    field: Grid,
    /// The largest piece of tissue, its holes filled slice by slice.
    pub body: Array3<bool>,
}

/// A side of the patient or of the field of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toward {
    Right,
    Left,
    Front,
    Back,
}

impl Outline {
    /// Of a volume in any orientation; none when it holds no tissue at all.
    pub fn of(volume: &Volume) -> Option<Outline> {
        let image = Reduced::of(volume, EDGE_MM);
        let threshold = image.tissue_threshold();
        let grid = cubes_around(&image.grid);
        let shape = image.grid.shape.map(|n| n as f64);
        let known = Array3::from_shape_fn(grid.shape, |(z, y, x)| {
            let at = image.grid.index_of(grid.position(z as f64, y as f64, x as f64));
            (0..3).all(|a| (-0.5..=shape[a] - 0.5).contains(&at[a]))
        });
        let signal = {
            let value = image.values();
            Array3::from_shape_fn(grid.shape, |(z, y, x)| {
                value(grid.position(z as f64, y as f64, x as f64))
            })
        };
        let mut body = largest_piece(&typical(&signal, &known).mapv(|v| v > threshold));
        fill_holes(&mut body);
        body.iter().any(|b| *b).then_some(Outline {
            grid,
            signal,
            known,
            field: image.grid,
            body,
        })
    }

    /// Indices of the slices that hold at least `cm2` of the body.
    pub fn slices(&self, cm2: f64) -> Vec<usize> {
        let needed = cm2 * 100.0 / (EDGE_MM * EDGE_MM);
        let area = |z: usize| {
            self.body
                .index_axis(ndarray::Axis(0), z)
                .iter()
                .filter(|b| **b)
                .count()
        };
        (0..self.grid.shape[0])
            .filter(|z| area(*z) as f64 >= needed)
            .collect()
    }

    /// Extent of the body in one slice from right to left and from front to back, mm.
    pub fn extent_mm(&self, z: usize) -> [f64; 2] {
        let slice = self.body.index_axis(ndarray::Axis(0), z);
        let mut x = (usize::MAX, 0);
        let mut y = (usize::MAX, 0);
        for ((row, column), _) in slice.indexed_iter().filter(|(_, b)| **b) {
            x = (x.0.min(column), x.1.max(column));
            y = (y.0.min(row), y.1.max(row));
        }
        [x, y].map(|(low, high)| {
            if low > high {
                0.0
            } else {
                (high - low + 1) as f64 * EDGE_MM
            }
        })
    }

    /// How much of the body's edge in one slice lies on the edge of the field of view, mm.
    pub fn cut_mm(&self, z: usize, toward: Toward) -> f64 {
        let (axis, step) = match toward {
            Toward::Right => (0, [-1.0, 0.0]),
            Toward::Left => (0, [1.0, 0.0]),
            Toward::Front => (1, [0.0, -1.0]),
            Toward::Back => (1, [0.0, 1.0]),
        };
        // Only the end of the field's own direction counts: the slanting top of a tilted stack is no side.
        let field = &self.field;
        let steps = [field.slice_step, field.row_step, field.column_step];
        let along = (0..3).fold(0, |best, a| {
            let share = |a: usize| (steps[a][axis] / norm(steps[a])).abs();
            if share(a) > share(best) { a } else { best }
        });
        let end = field.shape[along] as f64 - 0.5;
        let beyond = |y: usize, x: usize| {
            let next = self
                .grid
                .position(z as f64, y as f64 + step[1], x as f64 + step[0]);
            !(-0.5..=end).contains(&field.index_of(next)[along])
        };
        let slice = self.body.index_axis(ndarray::Axis(0), z);
        let touching = slice.indexed_iter().filter(|((y, x), b)| **b && beyond(*y, *x));
        touching.count() as f64 * EDGE_MM
    }
}

/// Cubes that hold a whole grid, or its middle where it is larger than any scanner.
fn cubes_around(grid: &Grid) -> Grid {
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for corner in 0..8usize {
        let end = |a: usize| {
            if corner >> a & 1 == 0 {
                -0.5
            } else {
                grid.shape[a] as f64 - 0.5
            }
        };
        let p = grid.position(end(0), end(1), end(2));
        for a in 0..3 {
            low[a] = low[a].min(p[a]);
            high[a] = high[a].max(p[a]);
        }
    }
    let count: [usize; 3] = std::array::from_fn(|a| {
        let cubes = ((high[a] - low[a]) / EDGE_MM).round();
        (cubes.max(1.0) as usize).min(MAX_CUBES)
    });
    let first = std::array::from_fn(|a| (low[a] + high[a] - (count[a] as f64 - 1.0) * EDGE_MM) / 2.0);
    Grid {
        origin: first,
        slice_step: [0.0, 0.0, EDGE_MM],
        row_step: [0.0, EDGE_MM, 0.0],
        column_step: [EDGE_MM, 0.0, 0.0],
        shape: [count[2], count[1], count[0]],
    }
}

/// Median of each cube and its eight neighbours in the slice: noise goes, edges stay.
fn typical(signal: &Array3<f32>, known: &Array3<bool>) -> Array3<f32> {
    let (_, rows, columns) = signal.dim();
    Array3::from_shape_fn(signal.dim(), |(z, y, x)| {
        let mut around = [0.0; 9];
        let mut count = 0;
        for y in y.saturating_sub(1)..(y + 2).min(rows) {
            for x in x.saturating_sub(1)..(x + 2).min(columns) {
                if known[[z, y, x]] {
                    around[count] = signal[[z, y, x]];
                    count += 1;
                }
            }
        }
        let around = &mut around[..count];
        around.sort_unstable_by(f32::total_cmp);
        around.get(count / 2).copied().unwrap_or(0.0)
    })
}

/// The largest set of cubes that touch by their faces.
fn largest_piece(tissue: &Array3<bool>) -> Array3<bool> {
    let (slices, rows, columns) = tissue.dim();
    let mut piece = Array3::<u32>::zeros(tissue.dim());
    let mut largest = (0, 0usize);
    let mut last = 0;
    let mut open = Vec::new();
    for (start, _) in tissue.indexed_iter().filter(|(_, t)| **t) {
        if piece[start] != 0 {
            continue;
        }
        last += 1;
        let mut size = 0;
        piece[start] = last;
        open.push(start);
        while let Some((z, y, x)) = open.pop() {
            size += 1;
            let around = [
                (z.wrapping_sub(1), y, x),
                (z + 1, y, x),
                (z, y.wrapping_sub(1), x),
                (z, y + 1, x),
                (z, y, x.wrapping_sub(1)),
                (z, y, x + 1),
            ];
            for next in around {
                // What wrapped around is larger than any size.
                let inside = next.0 < slices && next.1 < rows && next.2 < columns;
                if inside && tissue[next] && piece[next] == 0 {
                    piece[next] = last;
                    open.push(next);
                }
            }
        }
        if size > largest.1 {
            largest = (last, size);
        }
    }
    piece.mapv(|p| p != 0 && p == largest.0)
}

/// Fills what no way leads to from the edge of its slice.
fn fill_holes(body: &mut Array3<bool>) {
    for mut slice in body.outer_iter_mut() {
        let (rows, columns) = slice.dim();
        let mut air = ndarray::Array2::from_elem((rows, columns), false);
        let rim = (0..rows)
            .flat_map(|y| [(y, 0), (y, columns - 1)])
            .chain((0..columns).flat_map(|x| [(0, x), (rows - 1, x)]));
        let mut open: Vec<(usize, usize)> = rim.collect();
        while let Some((y, x)) = open.pop() {
            if y >= rows || x >= columns || slice[[y, x]] || air[[y, x]] {
                continue;
            }
            air[[y, x]] = true;
            open.extend([
                (y.wrapping_sub(1), x),
                (y + 1, x),
                (y, x.wrapping_sub(1)),
                (y, x + 1),
            ]);
        }
        slice.zip_mut_with(&air, |b, a| *b = !*a);
    }
}
