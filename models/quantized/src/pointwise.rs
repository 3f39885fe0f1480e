//! Everything beside convolutions. Slices are rows or pixels of images; images lie as [`Layout`] says.
//!
//! Loops are plain and compiled once for each width of vectors; [`wide`] picks at run time.

#![allow(unsafe_code, reason = "calls what was compiled for the processor at hand")]

use super::layout::Layout;
use super::{Quantization, Window};

/// Defines a function whose body is compiled for each width of vectors that a processor may have.
macro_rules! wide {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $type),*) {
            #[inline(always)]
            fn plain($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn avx512($($arg: $type),*) { plain($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) { plain($($arg),*) }
                if is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                {
                    // SAFETY: the processor was just asked for what the function is compiled for; BW, VL and DQ
                    // include F.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}

/// 1.5 · 2²³: added to a number of magnitude below 2²², it leaves that number rounded to the nearest integer, ties
/// to even, in the lowest bits.
const ROUNDS: f32 = 12_582_912.0;

wide! {
    /// Steps of some values, as [`super::reference::quantize`].
    pub fn quantize(values: &[f32], steps: &mut [u8], to: Quantization) {
        let zero = f32::from(to.zero_point);
        for (step, value) in steps.iter_mut().zip(values) {
            let within = (value / to.scale).max(-zero).min(255.0 - zero);
            *step = ((within + ROUNDS).to_bits() as u8).wrapping_add(to.zero_point);
        }
    }
}

wide! {
    /// Values of some steps, as [`super::reference::dequantize`].
    pub fn dequantize(steps: &[u8], values: &mut [f32], from: Quantization) {
        let zero = f32::from(from.zero_point);
        for (value, step) in values.iter_mut().zip(steps) {
            *value = (f32::from(*step) - zero) * from.scale;
        }
    }
}

wide! {
    /// Adds the values of some steps.
    fn add_dequantized(steps: &[u8], sums: &mut [f32], from: Quantization) {
        let zero = f32::from(from.zero_point);
        for (sum, step) in sums.iter_mut().zip(steps) {
            *sum += (f32::from(*step) - zero) * from.scale;
        }
    }
}

wide! {
    /// Adds values.
    fn add_values(values: &[f32], sums: &mut [f32]) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

wide! {
    /// Replaces what is negative by 0.
    pub fn relu(values: &mut [f32]) {
        for value in values {
            // What is no number stays to be seen.
            if *value < 0.0 {
                *value = 0.0;
            }
        }
    }
}

wide! {
    fn larger_steps(others: &[u8], most: &mut [u8]) {
        for (most, other) in most.iter_mut().zip(others) {
            *most = (*most).max(*other);
        }
    }
}

wide! {
    fn larger_values(others: &[f32], most: &mut [f32]) {
        for (most, other) in most.iter_mut().zip(others) {
            if *other > *most || other.is_nan() {
                *most = *other;
            }
        }
    }
}

/// What an image is made of.
pub trait Element: Copy + Default {
    /// Keeps the larger of each two.
    fn larger(others: &[Self], most: &mut [Self]);
}

impl Element for u8 {
    fn larger(others: &[u8], most: &mut [u8]) {
        larger_steps(others, most);
    }
}

impl Element for f32 {
    fn larger(others: &[f32], most: &mut [f32]) {
        larger_values(others, most);
    }
}

/// One summand, an image.
#[derive(Debug, Clone, Copy)]
pub enum Summand<'a> {
    /// Of steps.
    Steps(&'a [u8], Layout, Quantization),
    /// Of values.
    Values(&'a [f32], Layout),
}

impl Summand<'_> {
    /// Writes (`first`) or adds the values of `sums.len()` elements from element `at` of a row on.
    fn go_into(&self, row: usize, at: usize, sums: &mut [f32], first: bool) {
        match *self {
            Summand::Steps(image, layout, from) => {
                let steps = &image[layout.row(row)][at..at + sums.len()];
                if first {
                    dequantize(steps, sums, from);
                } else {
                    add_dequantized(steps, sums, from);
                }
            }
            Summand::Values(image, layout) => {
                let values = &image[layout.row(row)][at..at + sums.len()];
                if first {
                    sums.copy_from_slice(values);
                } else {
                    add_values(values, sums);
                }
            }
        }
    }
}

/// Sums of two images, without what is negative if `no_negatives`, as values, steps, or both.
pub fn add(
    summands: [Summand; 2],
    no_negatives: bool,
    mut values: Option<(&mut [f32], Layout)>,
    mut steps: Option<(&mut [u8], Layout, Quantization)>,
) {
    // Stays in the nearest cache.
    const CHUNK: usize = 1024;
    let mut sums = [0f32; CHUNK];
    let (Summand::Steps(_, shape, _) | Summand::Values(_, shape)) = summands[0];
    for row in 0..shape.rows {
        for at in (0..shape.width()).step_by(CHUNK) {
            let sums = &mut sums[..CHUNK.min(shape.width() - at)];
            summands[0].go_into(row, at, sums, true);
            summands[1].go_into(row, at, sums, false);
            if no_negatives {
                relu(sums);
            }
            if let Some((image, layout)) = &mut values {
                image[layout.row(row)][at..at + sums.len()].copy_from_slice(sums);
            }
            if let Some((image, layout, to)) = &mut steps {
                quantize(sums, &mut image[layout.row(row)][at..at + sums.len()], *to);
            }
        }
    }
}

/// The largest element under each window; what lies outside is not looked at. `column` is scratch of at least a row
/// of `from`.
pub fn max_pool<T: Element>(
    window: Window,
    image: &[T],
    from: Layout,
    out: &mut [T],
    to: Layout,
    column: &mut [T],
) {
    let channels = from.channels;
    let seen = |start: usize, pad: usize, kernel: usize, length: usize| {
        start.saturating_sub(pad)..(start + kernel).saturating_sub(pad).min(length)
    };
    for row in 0..to.rows {
        let rows = seen(
            row * window.stride[0],
            window.pads[0],
            window.kernel[0],
            from.rows,
        );
        let most = &mut column[..from.width()];
        most.copy_from_slice(&image[from.row(rows.start)]);
        for other in rows.skip(1) {
            T::larger(&image[from.row(other)], most);
        }
        for (place, pixel) in out[to.row(row)].chunks_exact_mut(channels).enumerate() {
            let columns = seen(
                place * window.stride[1],
                window.pads[1],
                window.kernel[1],
                from.columns,
            );
            pixel.copy_from_slice(&most[columns.start * channels..][..channels]);
            for other in columns.skip(1) {
                T::larger(&most[other * channels..][..channels], pixel);
            }
        }
    }
}

/// Each pixel twice in each direction.
pub fn enlarge<T: Element>(image: &[T], from: Layout, out: &mut [T], to: Layout) {
    let channels = from.channels;
    for row in 0..from.rows {
        let pixels = image[from.row(row)].chunks_exact(channels);
        let (upper, lower) = (to.row(2 * row), to.row(2 * row + 1));
        for (two, pixel) in out[upper.clone()].chunks_exact_mut(2 * channels).zip(pixels) {
            copy(pixel, &mut two[..channels]);
            copy(pixel, &mut two[channels..]);
        }
        out.copy_within(upper, lower.start);
    }
}

/// Puts the channels of one image behind `before` others.
pub fn join<T: Element>(image: &[T], from: Layout, before: usize, out: &mut [T], to: Layout) {
    for row in 0..from.rows {
        let pixels = image[from.row(row)].chunks_exact(from.channels);
        for (joined, pixel) in out[to.row(row)].chunks_exact_mut(to.channels).zip(pixels) {
            copy(pixel, &mut joined[before..before + from.channels]);
        }
    }
}

/// As [`join`], of steps whose values are joined.
pub fn join_dequantized(
    image: &[u8],
    from: Layout,
    quantization: Quantization,
    before: usize,
    out: &mut [f32],
    to: Layout,
) {
    const CHUNK: usize = 1024;
    let mut values = [0f32; CHUNK];
    // Whole pixels, or a part of one with very many channels.
    let chunk = if from.channels <= CHUNK {
        CHUNK / from.channels * from.channels
    } else {
        from.channels
    };
    let mut large = vec![0f32; if from.channels <= CHUNK { 0 } else { from.channels }];
    for row in 0..from.rows {
        for (part, steps) in image[from.row(row)].chunks(chunk).enumerate() {
            let values = if large.is_empty() {
                &mut values[..steps.len()]
            } else {
                &mut large[..]
            };
            dequantize(steps, values, quantization);
            let joined = &mut out[to.row(row)][part * (chunk / from.channels) * to.channels..];
            for (joined, pixel) in joined
                .chunks_exact_mut(to.channels)
                .zip(values.chunks_exact(from.channels))
            {
                copy(pixel, &mut joined[before..before + from.channels]);
            }
        }
    }
}

/// Copies a few elements without the detour over the library's `memcpy`.
#[inline]
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    let (chunks, rest) = from.as_chunks::<16>();
    let (to_chunks, to_rest) = to.as_chunks_mut::<16>();
    for (to, from) in to_chunks.iter_mut().zip(chunks) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(rest) {
        *to = *from;
    }
}

/// From (channel, row, column) to the layout of this room.
pub fn interleave<T: Element>(planes: &[T], out: &mut [T], to: Layout) {
    for (plane, channel) in planes.chunks_exact(to.rows * to.columns).zip(0..to.channels) {
        for (row, values) in plane.chunks_exact(to.columns).enumerate() {
            let pixels = out[to.row(row)][channel..].iter_mut().step_by(to.channels);
            pixels.zip(values).for_each(|(pixel, value)| *pixel = *value);
        }
    }
}

/// As [`interleave`], with the values as steps.
pub fn interleave_quantized(planes: &[f32], out: &mut [u8], to: Layout, quantization: Quantization) {
    const CHUNK: usize = 1024;
    let mut steps = [0u8; CHUNK];
    for (plane, channel) in planes.chunks_exact(to.rows * to.columns).zip(0..to.channels) {
        for (row, values) in plane.chunks_exact(to.columns).enumerate() {
            let pixels = &mut out[to.row(row)];
            if to.channels == 1 {
                quantize(values, pixels, quantization);
                continue;
            }
            for (part, values) in values.chunks(CHUNK).enumerate() {
                let steps = &mut steps[..values.len()];
                quantize(values, steps, quantization);
                let pixels = pixels[part * CHUNK * to.channels + channel..]
                    .iter_mut()
                    .step_by(to.channels);
                pixels.zip(steps).for_each(|(pixel, step)| *pixel = *step);
            }
        }
    }
}

/// From the layout of this room to (channel, row, column).
pub fn separate<T: Element>(image: &[T], from: Layout, planes: &mut [T]) {
    for (plane, channel) in planes
        .chunks_exact_mut(from.rows * from.columns)
        .zip(0..from.channels)
    {
        for (row, values) in plane.chunks_exact_mut(from.columns).enumerate() {
            let pixels = image[from.row(row)][channel..].iter().step_by(from.channels);
            values
                .iter_mut()
                .zip(pixels)
                .for_each(|(value, pixel)| *value = *pixel);
        }
    }
}
