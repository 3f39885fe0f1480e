//! The way of a kernel through an image and packed weights.
//!
//! Under a window the pixels of one row lie side by side in memory, channels innermost: the sum over a window is
//! a sum over as many contiguous *segments* as the kernel has rows, and no pixel is copied beforehand. Tiles of a
//! few outputs by 16 to 64 filters are summed in registers and leave them finished.

#![allow(unsafe_code, reason = "hands pointers to the kernels")]

use super::Window;
use super::layout::{Layout, SLACK};
use super::tile::{Finish, LANES, Line, MOST_PIXELS, Tile};

#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) window: Window,
    pub(super) channels: usize,
    pub(super) filters: usize,
}

/// The way through image and weights, for elements of any width.
#[derive(Debug)]
pub(super) struct Walk {
    from: Layout,
    to: Layout,
    /// Bytes of an element.
    width: usize,
    pub(super) panels: Vec<Panel>,
    pub(super) weights: Vec<Line>,
    segments: usize,
    /// Bytes of a segment, a multiple of 4.
    pub(super) segment: usize,
    /// For each output pixel, where its window begins in the input and where it lies in the output, bytes.
    pixels: Vec<[u32; 2]>,
}

/// Filters that are computed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) first: usize,
    /// Vectors of [`LANES`] filters.
    pub(super) groups: usize,
    /// First line of its weights.
    pub(super) line: usize,
}

impl Walk {
    pub(super) fn new(
        shape: Shape,
        width: usize,
        from: Layout,
        to: Layout,
        most_groups: usize,
    ) -> Option<Self> {
        let window = shape.window;
        let [rows, columns] = window.output(from.rows, from.columns)?;
        let agrees = from.channels == shape.channels
            && (to.rows, to.columns, to.channels) == (rows, columns, shape.filters)
            && window.pads.iter().all(|pad| *pad <= from.border);
        let (from_len, to_len) = (from.checked_elements()? + SLACK, to.checked_elements()?);
        if !agrees {
            return None;
        }
        let [top, left, ..] = window.pads;
        let mut pixels = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let y = row * window.stride[0] + from.border - top;
                let x = column * window.stride[1] + from.border - left;
                let begins = (y * from.pitch() + x * from.channels) * width;
                let lies = to.at(row, column) * width;
                pixels.push([u32::try_from(begins).ok()?, u32::try_from(lies).ok()?]);
            }
        }
        let segments = window.kernel[0];
        let segment = (window.kernel[1] * shape.channels * width).next_multiple_of(4);
        // What `run` relies on: the last byte read and the last byte written, for every pixel.
        let reach = (segments - 1) * from.pitch() * width + segment;
        let inside = pixels.iter().all(|[begins, lies]| {
            *begins as usize + reach <= from_len * width
                && *lies as usize + shape.filters * width <= to_len * width
        });
        if !inside {
            return None;
        }
        let all = shape.filters.div_ceil(LANES);
        let lines = segments * segment / 4;
        let panels = (0..all)
            .step_by(most_groups)
            .map(|group| Panel {
                first: group * LANES,
                groups: most_groups.min(all - group),
                line: group * lines,
            })
            .collect();
        Some(Self {
            from,
            to,
            width,
            panels,
            weights: vec![Line([0; 64]); all * lines],
            segments,
            segment,
            pixels,
        })
    }

    /// Filters, those that only fill up the last group included.
    pub(super) fn lanes(&self) -> usize {
        self.to.channels.next_multiple_of(LANES)
    }

    /// Packs the weights: for each four bytes of a window, for each filter of a panel, the weights of the `per_line`
    /// elements in these bytes. `put` writes weight number `at` to a place of a line.
    pub(super) fn pack(&mut self, shape: Shape, per_line: usize, put: impl Fn(&mut Line, usize, usize)) {
        let [rows, columns] = shape.window.kernel;
        let mut lines = self.weights.iter_mut();
        for panel in &self.panels {
            for row in 0..rows {
                for first in (0..self.segment / self.width).step_by(per_line) {
                    for (group, line) in (0..panel.groups).zip(&mut lines) {
                        for place in 0..LANES * per_line {
                            let filter = panel.first + group * LANES + place / per_line;
                            let element = first + place % per_line;
                            let (column, channel) = (element / shape.channels, element % shape.channels);
                            if filter < shape.filters && column < columns {
                                let at =
                                    ((filter * shape.channels + channel) * rows + row) * columns + column;
                                put(line, place, at);
                            }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn check(&self, image: usize, out: usize) {
        assert!(image >= self.from.elements() + SLACK, "the image is too short");
        assert!(out >= self.to.elements(), "the output is too short");
    }

    /// # Safety
    /// `image` and `out` are as long as [`Self::check`] asks, in elements of `width` bytes; `kernel` can run on this
    /// processor, on tiles of as many pixels as `most_pixels` has for that number of groups; `finish` gives for
    /// the first filter of a panel pointers to as many numbers as the panel has lanes.
    pub(super) unsafe fn run(
        &self,
        image: *const u8,
        out: *mut u8,
        most_pixels: &[usize],
        finish: impl Fn(usize) -> Finish,
        kernel: unsafe fn(&Tile),
    ) {
        for panel in &self.panels {
            let filters = (self.to.channels - panel.first).min(panel.groups * LANES);
            let mut tile = Tile {
                pixels: 0,
                groups: panel.groups,
                filters,
                image: [image; MOST_PIXELS],
                out: [out; MOST_PIXELS],
                segments: self.segments,
                segment: self.segment,
                pitch: self.from.pitch() * self.width,
                weights: self.weights[panel.line..].as_ptr(),
                finish: finish(panel.first),
            };
            for pixels in self.pixels.chunks(most_pixels[panel.groups - 1]) {
                tile.pixels = pixels.len();
                for (place, [begins, lies]) in pixels.iter().enumerate() {
                    // SAFETY: `new` checked that every window ends inside the image and its slack and every
                    // pixel inside the output, of the lengths that the caller promises.
                    unsafe {
                        tile.image[place] = image.add(*begins as usize);
                        tile.out[place] = out.add(*lies as usize + panel.first * self.width);
                    }
                }
                // SAFETY: the pointers are those of the block above; `weights` holds `segments × segment / 4`
                // lines for each group from `panel.line` on; the rest is the caller's promise.
                unsafe { kernel(&tile) };
            }
        }
    }
}
