//! For processors of which nothing is known, and to check the others' bookkeeping.

use super::{Finish, FloatKernel, IntegerKernel, LANES, Tile};
use crate::reference::{dequantize_sum, requantize};

pub(super) static INTEGERS: IntegerKernel = IntegerKernel {
    name: "portable",
    pixels: &[1],
    offset: 0,
    for_any_weights: None,
    run: integers,
};

pub(super) static FLOATS: FloatKernel = FloatKernel {
    name: "portable",
    pixels: &[1],
    run: floats,
};

/// # Safety
/// Pointers as [`Tile`] says, one pixel, one group.
unsafe fn integers(tile: &Tile) {
    let mut sums = [0i32; LANES];
    let mut line = tile.weights;
    for row in 0..tile.segments {
        for byte in (0..tile.segment).step_by(4) {
            // SAFETY: `row` and `byte` stay below `segments` and `segment`, so that pixel and line are inside.
            let (four, weights) = unsafe {
                let at = tile.image[0].add(row * tile.pitch + byte);
                let weights = &(*line).0;
                line = line.add(1);
                (at.cast::<[u8; 4]>().read(), weights)
            };
            for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(4)) {
                for (step, weight) in four.iter().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(*step) * i32::from(*weight));
                }
            }
        }
    }
    for (lane, sum) in sums.iter().enumerate().take(tile.filters) {
        // SAFETY: `lane` is below `filters`, which is at most `LANES`.
        unsafe {
            match tile.finish {
                Finish::Steps {
                    start,
                    factor,
                    zero_point,
                } => {
                    let sum = sum.wrapping_add(start.add(lane).read());
                    let step = requantize(sum, factor.add(lane).read(), zero_point);
                    tile.out[0].add(lane).write(step);
                }
                Finish::Reals {
                    start,
                    factor,
                    bias,
                    floor,
                } => {
                    let sum = sum.wrapping_add(start.add(lane).read());
                    let real = dequantize_sum(sum, factor.add(lane).read(), bias.add(lane).read());
                    let real = if real < floor { floor } else { real };
                    tile.out[0].cast::<f32>().add(lane).write_unaligned(real);
                }
                Finish::Values { .. } => {}
            }
        }
    }
}

/// # Safety
/// Pointers as [`Tile`] says, one pixel, one group.
unsafe fn floats(tile: &Tile) {
    let Finish::Values { start, floor } = tile.finish else {
        return;
    };
    let mut sums = [0f32; LANES];
    let mut line = tile.weights;
    for row in 0..tile.segments {
        for byte in (0..tile.segment).step_by(4) {
            // SAFETY: as in `integers`; a line is 16 numbers, and aligned.
            let (value, weights) = unsafe {
                let at = tile.image[0].add(row * tile.pitch + byte);
                let weights = &*line.cast::<[f32; LANES]>();
                line = line.add(1);
                (at.cast::<f32>().read_unaligned(), weights)
            };
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    for (lane, sum) in sums.iter().enumerate().take(tile.filters) {
        // SAFETY: `lane` is below `filters`, which is at most `LANES`.
        unsafe {
            let value = sum + start.add(lane).read();
            // What is no number stays to be seen.
            let value = if value < floor { floor } else { value };
            tile.out[0].cast::<f32>().add(lane).write_unaligned(value);
        }
    }
}
