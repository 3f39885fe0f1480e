//! A matrix product made ready for one machine, for any number of rows.

#![allow(unsafe_code, reason = "hands pointers to the kernels")]

use super::layout::{Layout, SLACK};
use super::tile::{Finish, IntegerKernel, LANES, MOST_PIXELS, Tile};
use super::walk::{Shape, Walk};
use super::{QuantizedProduct, Window};

/// A product of steps whose outcome is reals.
#[derive(Debug)]
pub struct Products {
    /// Through one row; the others follow it.
    walk: Walk,
    kernel: &'static IntegerKernel,
    depth: usize,
    columns: usize,
    /// Sums start here: what the zero points take away.
    start: Vec<i32>,
    factor: Vec<f32>,
    bias: Vec<f32>,
    floor: f32,
}

impl Products {
    /// Packs a product. None where it is not sound.
    pub fn new(product: &QuantizedProduct, kernel: &'static IntegerKernel) -> Option<Self> {
        if !product.is_sound() {
            return None;
        }
        let (depth, columns) = (product.depth, product.columns);
        let kernel = match kernel.for_any_weights {
            Some(careful) if product.weights.contains(&i8::MIN) => careful,
            _ => kernel,
        };
        // A row is a pixel under a window of one pixel.
        let pixel = |channels| Layout {
            rows: 1,
            columns: 1,
            channels,
            border: 0,
        };
        let shape = Shape {
            window: Window {
                kernel: [1, 1],
                stride: [1, 1],
                pads: [0; 4],
            },
            channels: depth,
            filters: columns,
        };
        let mut walk = Walk::new(shape, 1, pixel(depth), pixel(columns), kernel.pixels.len())?;
        // The walk counts (column, depth), the product is stored the other way round.
        walk.pack(shape, 4, |line, place, at| {
            line.0[place] = product.weights[at % depth * columns + at / depth];
        });
        let shift = i32::from(product.zero_point) - kernel.offset;
        let mut start = vec![0i32; columns];
        for row in product.weights.chunks_exact(columns) {
            for (start, weight) in start.iter_mut().zip(row) {
                *start = start.wrapping_sub(shift.wrapping_mul(i32::from(*weight)));
            }
        }
        let lanes = walk.lanes();
        let filled = |numbers: &[f32]| {
            let mut numbers = numbers.to_vec();
            numbers.resize(lanes, 0.0);
            numbers
        };
        start.resize(lanes, 0);
        Some(Self {
            walk,
            kernel,
            depth,
            columns,
            start,
            factor: filled(&product.factor),
            bias: filled(&product.bias),
            floor: if product.relu { 0.0 } else { f32::NEG_INFINITY },
        })
    }

    /// Numbers of each row of the input and of the output.
    pub fn widths(&self) -> [usize; 2] {
        [self.depth, self.columns]
    }

    /// Multiplies as many rows as `out` has room for.
    ///
    /// # Panics
    /// `out` is no whole number of rows, or `rows` does not hold as many, with [`SLACK`] behind them.
    pub fn run(&self, rows: &[u8], out: &mut [f32]) {
        let count = out.len() / self.columns;
        assert!(count * self.columns == out.len(), "no whole number of rows");
        assert!(rows.len() >= count * self.depth + SLACK, "the input is too short");
        let out = out.as_mut_ptr();
        for panel in &self.walk.panels {
            let mut tile = Tile {
                pixels: 0,
                groups: panel.groups,
                filters: (self.columns - panel.first).min(panel.groups * LANES),
                image: [rows.as_ptr(); MOST_PIXELS],
                out: [out.cast(); MOST_PIXELS],
                segments: 1,
                segment: self.walk.segment,
                pitch: 0,
                weights: self.walk.weights[panel.line..].as_ptr(),
                finish: Finish::Reals {
                    start: self.start[panel.first..].as_ptr(),
                    factor: self.factor[panel.first..].as_ptr(),
                    bias: self.bias[panel.first..].as_ptr(),
                    floor: self.floor,
                },
            };
            let most = self.kernel.pixels[panel.groups - 1];
            for first in (0..count).step_by(most) {
                tile.pixels = most.min(count - first);
                for place in 0..tile.pixels {
                    let row = first + place;
                    // SAFETY: `row` is below `count`, so that `depth` bytes of the input are left and three more for
                    // the last four of a segment (`SLACK`), and `columns` numbers of the output.
                    unsafe {
                        tile.image[place] = rows.as_ptr().add(row * self.depth);
                        tile.out[place] = out.add(row * self.columns + panel.first).cast();
                    }
                }
                // SAFETY: the pointers are those of the block above; `weights` holds `segment / 4` lines for each
                // group from `panel.line` on, `start`, `factor` and `bias` whole groups; the kernel is one that this
                // processor has, and one for these weights (`new`).
                unsafe { (self.kernel.run)(&tile) };
            }
        }
    }
}
