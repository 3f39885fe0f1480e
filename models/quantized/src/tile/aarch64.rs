//! aarch64: I8MM (its mixed-sign dot product), dot products, and plain NEON.
//!
//! Without I8MM both factors must be signed: 128 is subtracted from each step by flipping its highest bit.

#![allow(
    clippy::needless_range_loop,
    reason = "sums, weights and pointers are indexed by the same numbers"
)]

use std::arch::aarch64::*;
use std::arch::asm;
use std::arch::is_aarch64_feature_detected;
use std::array::from_fn;

use super::{Finish, FloatKernel, IntegerKernel, LANES, Line, Tile};

static I8MM: IntegerKernel = IntegerKernel {
    name: "I8MM",
    pixels: &[4],
    offset: 0,
    for_any_weights: None,
    run: i8mm,
};

static DOT_PRODUCT: IntegerKernel = IntegerKernel {
    name: "dot product",
    pixels: &[4],
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

/// The instruction by name, because its intrinsic is not stable yet.
macro_rules! instruction {
    (SIGNED) => {
        "sdot"
    };
    (MIXED) => {
        "sudot"
    };
}

/// To four sums, four products each, of weights and of the four bytes in one lane of some steps.
macro_rules! dot {
    ($sign:ident, $lane:literal, $sum:literal, $weights:literal, $steps:literal) => {
        concat!(
            instruction!($sign),
            " {",
            $sum,
            ":v}.4s, {",
            $weights,
            ":v}.16b, {",
            $steps,
            ":v}.4b[",
            $lane,
            "]\n"
        )
    };
}

/// Four bytes of one pixel by a line.
macro_rules! dots {
    ($sign:ident, $lane:literal, $steps:literal, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            dot!($sign, $lane, $a, "w0", $steps),
            dot!($sign, $lane, $b, "w1", $steps),
            dot!($sign, $lane, $c, "w2", $steps),
            dot!($sign, $lane, $d, "w3", $steps)
        )
    };
}

/// The line for one lane, and that lane of four pixels by it.
macro_rules! lane {
    ($sign:ident, $lane:literal, $low:literal, $high:literal) => {
        concat!(
            "ldp {w0:q}, {w1:q}, [{line}, #", $low, "]\n",
            "ldp {w2:q}, {w3:q}, [{line}, #", $high, "]\n",
            dots!($sign, $lane, "s0", "a0" "a1" "a2" "a3"),
            dots!($sign, $lane, "s1", "b0" "b1" "b2" "b3"),
            dots!($sign, $lane, "s2", "c0" "c1" "c2" "c3"),
            dots!($sign, $lane, "s3", "d0" "d1" "d2" "d3")
        )
    };
}

/// Defines the tile of a dot product: 16 bytes at a time, and in one piece, since the compiler spills sums that go
/// through single instructions by name.
macro_rules! dot_tile {
    ($run:ident, $tile:ident, $feature:literal, $sign:ident, $flip:literal) => {
        /// # Safety
        /// The processor has the instruction; pointers as [`Tile`] says.
        unsafe fn $run(tile: &Tile) {
            // SAFETY: the caller's promise.
            unsafe { $tile(tile) };
        }

        /// # Safety
        /// The processor has the instruction; pointers as [`Tile`] says, with one to four pixels and one group.
        #[target_feature(enable = $feature)]
        unsafe fn $tile(tile: &Tile) {
            let flip = vdupq_n_u8($flip);
            let mut sums = [[vdupq_n_s32(0); 4]; 4];
            // The places behind the last pixel hold a copy of it, whose sums nobody writes.
            let mut image: [*const u8; 4] = from_fn(|pixel| tile.image[pixel.min(tile.pixels - 1)]);
            let mut line = tile.weights;
            let [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]] = &mut sums;
            for _ in 0..tile.segments {
                let mut byte = 0;
                while byte + 16 <= tile.segment {
                    // SAFETY: 16 bytes are left of the segment of each pixel, and four lines of 64 bytes for them.
                    unsafe {
                        let [s0, s1, s2, s3] = image.map(|pixel| veorq_u8(vld1q_u8(pixel.add(byte)), flip));
                        asm!(
                            lane!($sign, "0", "0", "32"),
                            lane!($sign, "1", "64", "96"),
                            lane!($sign, "2", "128", "160"),
                            lane!($sign, "3", "192", "224"),
                            a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                            b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                            c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                            d0 = inout(vreg) *d0, d1 = inout(vreg) *d1, d2 = inout(vreg) *d2, d3 = inout(vreg) *d3,
                            s0 = in(vreg) s0, s1 = in(vreg) s1, s2 = in(vreg) s2, s3 = in(vreg) s3,
                            w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
                            line = in(reg) line,
                            options(pure, readonly, nostack, preserves_flags)
                        );
                        line = line.add(4);
                    }
                    byte = byte.wrapping_add(16);
                }
                while byte < tile.segment {
                    // SAFETY: as above, with four bytes and one line.
                    unsafe {
                        let [s0, s1, s2, s3] = image.map(|pixel| {
                            let four = pixel.add(byte).cast::<u32>().read_unaligned();
                            veorq_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), flip)
                        });
                        asm!(
                            lane!($sign, "0", "0", "32"),
                            a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                            b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                            c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                            d0 = inout(vreg) *d0, d1 = inout(vreg) *d1, d2 = inout(vreg) *d2, d3 = inout(vreg) *d3,
                            s0 = in(vreg) s0, s1 = in(vreg) s1, s2 = in(vreg) s2, s3 = in(vreg) s3,
                            w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
                            line = in(reg) line,
                            options(pure, readonly, nostack, preserves_flags)
                        );
                        line = line.add(1);
                    }
                    byte = byte.wrapping_add(4);
                }
                for pixel in &mut image {
                    *pixel = pixel.wrapping_add(tile.pitch);
                }
            }
            for (pixel, sums) in sums.iter().enumerate().take(tile.pixels) {
                // SAFETY: the pixel is one of the tile's.
                unsafe { finish(tile, pixel, sums) };
            }
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
    for (pixel, sums) in sums.iter().enumerate() {
        // SAFETY: the pixel is one of the tile's.
        unsafe { finish(tile, pixel, sums) };
    }
}

/// Writes one pixel's sums.
///
/// # Safety
/// Pointers as [`Tile`] says; `pixel` is one of the tile's.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn finish(tile: &Tile, pixel: usize, sums: &[int32x4_t; 4]) {
    let out = tile.out[pixel];
    let filters = tile.filters.min(LANES);
    // SAFETY: `start` and `factor` hold 16 numbers.
    let reals = |start: *const i32, factor: *const f32| unsafe {
        from_fn::<_, 4, _>(|quarter| {
            let sum = vaddq_s32(sums[quarter], vld1q_s32(start.add(4 * quarter)));
            vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(factor.add(4 * quarter)))
        })
    };
    match tile.finish {
        Finish::Steps {
            start,
            factor,
            zero_point,
        } => {
            let zero = f32::from(zero_point);
            let (low, high) = (vdupq_n_f32(-zero), vdupq_n_f32(255.0 - zero));
            let zero = vdupq_n_s32(i32::from(zero_point));
            let steps = reals(start, factor).map(|real| {
                let real = vminq_f32(vmaxq_f32(real, low), high);
                // To the nearest, ties to even; 0 to 255 after the zero point, so that nothing saturates below.
                vqmovun_s32(vaddq_s32(vcvtnq_s32_f32(real), zero))
            });
            let bytes = vcombine_u8(
                vqmovn_u16(vcombine_u16(steps[0], steps[1])),
                vqmovn_u16(vcombine_u16(steps[2], steps[3])),
            );
            // SAFETY: `filters` bytes are writable at `out`.
            unsafe {
                if filters == LANES {
                    vst1q_u8(out, bytes);
                } else {
                    let mut all = [0u8; LANES];
                    vst1q_u8(all.as_mut_ptr(), bytes);
                    std::ptr::copy_nonoverlapping(all.as_ptr(), out, filters);
                }
            }
        }
        Finish::Reals {
            start,
            factor,
            bias,
            floor,
        } => {
            let mut all = [0f32; LANES];
            for (quarter, real) in reals(start, factor).into_iter().enumerate() {
                // SAFETY: `bias` holds 16 numbers, and `all` takes four vectors.
                unsafe {
                    // Two roundings, as ONNX has them: no fused multiplication and addition.
                    let real = vaddq_f32(real, vld1q_f32(bias.add(4 * quarter)));
                    vst1q_f32(
                        all.as_mut_ptr().add(4 * quarter),
                        vmaxq_f32(real, vdupq_n_f32(floor)),
                    );
                }
            }
            // SAFETY: `filters` numbers are writable at `out`.
            unsafe { std::ptr::copy_nonoverlapping(all.as_ptr().cast(), out, filters * size_of::<f32>()) };
        }
        Finish::Values { .. } => {}
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
