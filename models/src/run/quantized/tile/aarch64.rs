//! aarch64: I8MM (its mixed-sign dot product), dot products, and plain NEON.
//!
//! Without I8MM both factors must be signed: 128 is subtracted from each step by flipping its highest bit.

use std::arch::aarch64::*;
use std::arch::asm;
use std::arch::is_aarch64_feature_detected;
use std::array::from_fn;

use super::{Finish, FloatKernel, IntegerKernel, LANES, Line, Tile};

static I8MM: IntegerKernel = IntegerKernel {
    name: "I8MM",
    pixels: &[6],
    offset: 0,
    for_any_weights: None,
    run: i8mm,
};

static DOT_PRODUCT: IntegerKernel = IntegerKernel {
    name: "dot product",
    pixels: &[6],
    offset: 128,
    for_any_weights: None,
    run: dot_product,
};

static NEON: IntegerKernel = IntegerKernel {
    name: "NEON",
    pixels: &[2],
    offset: 128,
    for_any_weights: Some(&NEON_WIDE),
    run: neon,
};

static NEON_WIDE: IntegerKernel = IntegerKernel {
    name: "NEON, any weights",
    pixels: &[2],
    offset: 128,
    for_any_weights: None,
    run: neon_wide,
};

static FMA: FloatKernel = FloatKernel {
    name: "NEON",
    pixels: &[6],
    run: fma,
};

pub(super) fn available() -> impl Iterator<Item = &'static IntegerKernel> {
    let dot_product = is_aarch64_feature_detected!("dotprod");
    let i8mm = dot_product && is_aarch64_feature_detected!("i8mm");
    // Every aarch64 that runs a Linux of ours has NEON.
    let found = [
        (i8mm, &I8MM),
        (dot_product, &DOT_PRODUCT),
        (true, &NEON),
        (true, &NEON_WIDE),
    ];
    found
        .into_iter()
        .filter_map(|(here, kernel)| here.then_some(kernel))
}

pub(super) fn available_floats() -> impl Iterator<Item = &'static FloatKernel> {
    std::iter::once(&FMA)
}

/// One step of the dot products: to four sums, four products each, of weights and of the four bytes in one lane. An
/// instruction by name, because its intrinsic is not stable yet.
macro_rules! dot {
    (SIGNED, $lane:literal, $sum:expr, $weights:expr, $steps:expr) => {
        asm!(
            concat!("sdot {sum:v}.4s, {weights:v}.16b, {steps:v}.4b[", $lane, "]"),
            sum = inout(vreg) $sum,
            weights = in(vreg) $weights,
            steps = in(vreg) $steps,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
    (MIXED, $lane:literal, $sum:expr, $weights:expr, $steps:expr) => {
        asm!(
            concat!("sudot {sum:v}.4s, {weights:v}.16b, {steps:v}.4b[", $lane, "]"),
            sum = inout(vreg) $sum,
            weights = in(vreg) $weights,
            steps = in(vreg) $steps,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// Defines the tile of a dot product.
macro_rules! dot_tile {
    ($run:ident, $tile:ident, $feature:literal, $sign:ident, $flip:literal) => {
        /// # Safety
        /// The processor has the instruction; pointers as [`Tile`] says.
        unsafe fn $run(tile: &Tile) {
            // SAFETY: the caller's promise; each tile is called with just its number of pixels.
            unsafe {
                match tile.pixels {
                    1 => $tile::<1>(tile),
                    2 => $tile::<2>(tile),
                    3 => $tile::<3>(tile),
                    4 => $tile::<4>(tile),
                    5 => $tile::<5>(tile),
                    _ => $tile::<6>(tile),
                }
            }
        }

        /// # Safety
        /// The processor has the instruction; pointers as [`Tile`] says, with `P` pixels and one group.
        #[target_feature(enable = $feature)]
        unsafe fn $tile<const P: usize>(tile: &Tile) {
            let flip = vdupq_n_u8($flip);
            let mut sums = [[vdupq_n_s32(0); 4]; P];
            let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
            let mut line = tile.weights;
            for _ in 0..tile.segments {
                let mut byte = 0;
                // SAFETY: `byte` stays a multiple of 4 at or below `segment`, a multiple of 4, so that 16 bytes are
                // readable at each pixel in the first loop and four in the second; `line` moves by one for each four
                // bytes. The instructions touch registers only.
                unsafe {
                    while byte + 16 <= tile.segment {
                        let steps: [uint8x16_t; P] =
                            from_fn(|pixel| veorq_u8(vld1q_u8(image[pixel].add(byte)), flip));
                        dot_tile!(@lane $sign, 0, P, sums, line, steps);
                        dot_tile!(@lane $sign, 1, P, sums, line.add(1), steps);
                        dot_tile!(@lane $sign, 2, P, sums, line.add(2), steps);
                        dot_tile!(@lane $sign, 3, P, sums, line.add(3), steps);
                        line = line.add(4);
                        byte = byte.wrapping_add(16);
                    }
                    while byte < tile.segment {
                        let steps: [uint8x16_t; P] = from_fn(|pixel| {
                            let four = image[pixel].add(byte).cast::<u32>().read_unaligned();
                            veorq_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), flip)
                        });
                        dot_tile!(@lane $sign, 0, P, sums, line, steps);
                        line = line.add(1);
                        byte = byte.wrapping_add(4);
                    }
                }
                for pixel in &mut image {
                    *pixel = pixel.wrapping_add(tile.pitch);
                }
            }
            // SAFETY: the pixels are the task's.
            unsafe { finish(tile, &sums) };
        }
    };
    (@lane $sign:ident, $lane:literal, $pixels:ident, $sums:ident, $line:expr, $steps:ident) => {
        let weights = quarters($line);
        for pixel in 0..$pixels {
            dot!($sign, $lane, $sums[pixel][0], weights[0], $steps[pixel]);
            dot!($sign, $lane, $sums[pixel][1], weights[1], $steps[pixel]);
            dot!($sign, $lane, $sums[pixel][2], weights[2], $steps[pixel]);
            dot!($sign, $lane, $sums[pixel][3], weights[3], $steps[pixel]);
        }
    };
}

dot_tile!(i8mm, i8mm_tile, "neon,dotprod,i8mm", MIXED, 0);
dot_tile!(dot_product, dot_product_tile, "neon,dotprod", SIGNED, 128);

/// Weights of four filters each.
///
/// # Safety
/// `line` is readable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn quarters(line: *const Line) -> [int8x16_t; 4] {
    // SAFETY: a line is 64 bytes.
    from_fn(|quarter| unsafe { vld1q_s8(line.cast::<i8>().add(16 * quarter)) })
}

/// # Safety
/// Pointers as [`Tile`] says; no weight is −128.
unsafe fn neon(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => neon_tile::<1, false>(tile),
            _ => neon_tile::<2, false>(tile),
        }
    }
}

/// # Safety
/// Pointers as [`Tile`] says.
unsafe fn neon_wide(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => neon_tile::<1, true>(tile),
            _ => neon_tile::<2, true>(tile),
        }
    }
}

/// Two products of bytes fit 16 bits unless both are −128 · −128; only then (`WIDE`) each goes to 32 bits by itself.
///
/// # Safety
/// Pointers as [`Tile`] says, with `P` pixels and one group; no weight is −128, or `WIDE`.
#[target_feature(enable = "neon")]
unsafe fn neon_tile<const P: usize, const WIDE: bool>(tile: &Tile) {
    let flip = vdup_n_u8(128);
    // For each quarter of a line, the sums of its first two filters and of its last two, each in two parts.
    let mut sums = [[[vdupq_n_s32(0); 2]; 4]; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        // SAFETY: `byte` stays a multiple of 4 at or below `segment`, a multiple of 4, so that eight bytes are
        // readable at each pixel in the loop and four behind it; `line` moves by one for each four bytes.
        unsafe {
            while byte + 8 <= tile.segment {
                let steps: [[int8x8_t; 2]; P] = from_fn(|pixel| {
                    let eight = vreinterpret_u32_u8(veor_u8(vld1_u8(image[pixel].add(byte)), flip));
                    [
                        vreinterpret_s8_u32(vdup_lane_u32::<0>(eight)),
                        vreinterpret_s8_u32(vdup_lane_u32::<1>(eight)),
                    ]
                });
                for quarter in 0..4 {
                    let weights: [int8x16_t; 2] =
                        from_fn(|four| vld1q_s8(line.add(four).cast::<i8>().add(16 * quarter)));
                    let low = weights.map(|w| vget_low_s8(w));
                    let high = weights.map(|w| vget_high_s8(w));
                    for pixel in 0..P {
                        for (half, weights) in [low, high].into_iter().enumerate() {
                            let sum = &mut sums[pixel][quarter][half];
                            let [first, second] = steps[pixel];
                            let products = vmull_s8(weights[0], first);
                            if WIDE {
                                *sum = vpadalq_s16(*sum, products);
                                *sum = vpadalq_s16(*sum, vmull_s8(weights[1], second));
                            } else {
                                *sum = vpadalq_s16(*sum, vmlal_s8(products, weights[1], second));
                            }
                        }
                    }
                }
                line = line.add(2);
                byte = byte.wrapping_add(8);
            }
            if byte < tile.segment {
                for pixel in 0..P {
                    let four = image[pixel].add(byte).cast::<u32>().read_unaligned();
                    let steps = vreinterpret_s8_u8(veor_u8(vreinterpret_u8_u32(vdup_n_u32(four)), flip));
                    for (quarter, weights) in quarters(line).into_iter().enumerate() {
                        for (half, weights) in [vget_low_s8(weights), vget_high_s8(weights)]
                            .into_iter()
                            .enumerate()
                        {
                            let sum = &mut sums[pixel][quarter][half];
                            *sum = vpadalq_s16(*sum, vmull_s8(weights, steps));
                        }
                    }
                }
                line = line.add(1);
            }
        }
        for pixel in &mut image {
            *pixel = pixel.wrapping_add(tile.pitch);
        }
    }
    let sums: [[int32x4_t; 4]; P] =
        from_fn(|pixel| from_fn(|quarter| vpaddq_s32(sums[pixel][quarter][0], sums[pixel][quarter][1])));
    // SAFETY: the pixels are the task's.
    unsafe { finish(tile, &sums) };
}

/// Writes sums as steps.
///
/// # Safety
/// Pointers as [`Tile`] says, with `P` pixels.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn finish<const P: usize>(tile: &Tile, sums: &[[int32x4_t; 4]; P]) {
    let Finish::Steps {
        start,
        factor,
        zero_point,
    } = tile.finish
    else {
        return;
    };
    let zero = f32::from(zero_point);
    let (low, high) = (vdupq_n_f32(-zero), vdupq_n_f32(255.0 - zero));
    let zero = vdupq_n_s32(i32::from(zero_point));
    // SAFETY: `start` and `factor` hold 16 numbers.
    let (start, factor): ([int32x4_t; 4], [float32x4_t; 4]) = unsafe {
        (
            from_fn(|quarter| vld1q_s32(start.add(4 * quarter))),
            from_fn(|quarter| vld1q_f32(factor.add(4 * quarter))),
        )
    };
    for pixel in 0..P {
        let steps: [uint16x4_t; 4] = from_fn(|quarter| {
            let sum = vcvtq_f32_s32(vaddq_s32(sums[pixel][quarter], start[quarter]));
            let real = vminq_f32(vmaxq_f32(vmulq_f32(sum, factor[quarter]), low), high);
            // To the nearest, ties to even; 0 to 255 after the zero point, so that nothing saturates below.
            vqmovun_s32(vaddq_s32(vcvtnq_s32_f32(real), zero))
        });
        let bytes = vcombine_u8(
            vqmovn_u16(vcombine_u16(steps[0], steps[1])),
            vqmovn_u16(vcombine_u16(steps[2], steps[3])),
        );
        let out = tile.out[pixel];
        // SAFETY: `filters` bytes are writable at `out`.
        unsafe {
            if tile.filters >= LANES {
                vst1q_u8(out, bytes);
            } else {
                let mut all = [0u8; LANES];
                vst1q_u8(all.as_mut_ptr(), bytes);
                std::ptr::copy_nonoverlapping(all.as_ptr(), out, tile.filters);
            }
        }
    }
}

/// # Safety
/// Pointers as [`Tile`] says.
unsafe fn fma(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => fma_tile::<1>(tile),
            2 => fma_tile::<2>(tile),
            3 => fma_tile::<3>(tile),
            4 => fma_tile::<4>(tile),
            5 => fma_tile::<5>(tile),
            _ => fma_tile::<6>(tile),
        }
    }
}

/// # Safety
/// Pointers as [`Tile`] says, with `P` pixels and one group.
#[target_feature(enable = "neon")]
unsafe fn fma_tile<const P: usize>(tile: &Tile) {
    let Finish::Values { start, floor } = tile.finish else {
        return;
    };
    // SAFETY: `start` holds a number for each lane.
    let start: [float32x4_t; 4] = from_fn(|quarter| unsafe { vld1q_f32(start.add(4 * quarter)) });
    let mut sums = [start; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: `byte` is a multiple of 4 below `segment`, a multiple of 4; a line is 16 numbers, and one is
            // left for each four bytes.
            unsafe {
                let weights: [float32x4_t; 4] =
                    from_fn(|quarter| vld1q_f32(line.cast::<f32>().add(4 * quarter)));
                for pixel in 0..P {
                    let value = image[pixel].add(byte).cast::<f32>().read_unaligned();
                    for quarter in 0..4 {
                        sums[pixel][quarter] = vfmaq_n_f32(sums[pixel][quarter], weights[quarter], value);
                    }
                }
                line = line.add(1);
            }
            byte = byte.wrapping_add(4);
        }
        for pixel in &mut image {
            *pixel = pixel.wrapping_add(tile.pitch);
        }
    }
    for pixel in 0..P {
        let mut all = [0f32; LANES];
        let filters = tile.filters.min(LANES);
        // SAFETY: `all` takes four vectors; `filters` numbers are writable at `out`.
        unsafe {
            for quarter in 0..4 {
                let values = vmaxq_f32(sums[pixel][quarter], vdupq_n_f32(floor));
                vst1q_f32(all.as_mut_ptr().add(4 * quarter), values);
            }
            std::ptr::copy_nonoverlapping(all.as_ptr().cast(), tile.out[pixel], filters * size_of::<f32>());
        }
    }
}
