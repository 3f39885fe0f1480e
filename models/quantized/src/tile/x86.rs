//! x86-64: AVX512-VNNI, AVX-VNNI, AVX2.

#![allow(
    clippy::needless_range_loop,
    reason = "sums, weights and pointers are indexed by the same numbers"
)]

use std::arch::x86_64::*;
use std::array::from_fn;

use super::{Finish, FloatKernel, IntegerKernel, LANES, Line, Tile};

static AVX512_VNNI: IntegerKernel = IntegerKernel {
    name: "AVX512-VNNI",
    pixels: &[12, 10, 8, 6],
    offset: 0,
    for_any_weights: None,
    run: avx512_vnni,
};

static AVX_VNNI: IntegerKernel = IntegerKernel {
    name: "AVX-VNNI",
    pixels: &[6],
    offset: 0,
    for_any_weights: None,
    run: avx_vnni,
};

static AVX2: IntegerKernel = IntegerKernel {
    name: "AVX2",
    pixels: &[4],
    offset: 0,
    for_any_weights: None,
    run: avx2,
};

pub(super) fn available() -> impl Iterator<Item = &'static IntegerKernel> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    let found = [
        (avx512, &AVX512_VNNI),
        (avx2 && is_x86_feature_detected!("avxvnni"), &AVX_VNNI),
        (avx2, &AVX2),
    ];
    found
        .into_iter()
        .filter_map(|(here, kernel)| here.then_some(kernel))
}

static AVX512: FloatKernel = FloatKernel {
    name: "AVX512",
    pixels: &[12, 10, 8, 6],
    run: avx512,
};

static FMA: FloatKernel = FloatKernel {
    name: "FMA",
    pixels: &[6],
    run: fma,
};

pub(super) fn available_floats() -> impl Iterator<Item = &'static FloatKernel> {
    let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let found = [(fma && is_x86_feature_detected!("avx512f"), &AVX512), (fma, &FMA)];
    found
        .into_iter()
        .filter_map(|(here, kernel)| here.then_some(kernel))
}

/// # Safety
/// The processor has AVX512-VNNI with BW and VL; pointers as [`Tile`] says.
unsafe fn avx512_vnni(tile: &Tile) {
    macro_rules! tiles {
        ($($groups:literal: $($pixels:literal)*;)*) => {
            // SAFETY: the caller's promise; each tile is called with just its numbers of pixels and groups.
            unsafe {
                match (tile.groups, tile.pixels) {
                    $($(($groups, $pixels) => avx512_tile::<$pixels, $groups>(tile),)*)*
                    (groups, pixels) => unreachable!("a tile of {pixels} by {groups}"),
                }
            }
        };
    }
    tiles! {
        1: 1 2 3 4 5 6 7 8 9 10 11 12;
        2: 1 2 3 4 5 6 7 8 9 10;
        3: 1 2 3 4 5 6 7 8;
        4: 1 2 3 4 5 6;
    }
}

/// # Safety
/// As [`avx512_vnni`], with `P` pixels and `G` groups.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512_tile<const P: usize, const G: usize>(tile: &Tile) {
    let mut sums = [[_mm512_setzero_si512(); G]; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: `byte` is a multiple of 4 below `segment`, a multiple of 4, so four bytes are readable at each
            // pixel; `line` has moved by `groups` for each four bytes before, so `groups` lines are left.
            unsafe {
                let weights: [__m512i; G] = from_fn(|group| _mm512_load_si512(line.add(group).cast()));
                for pixel in 0..P {
                    let four = _mm512_set1_epi32(image[pixel].add(byte).cast::<i32>().read_unaligned());
                    for group in 0..G {
                        sums[pixel][group] = _mm512_dpbusd_epi32(sums[pixel][group], four, weights[group]);
                    }
                }
                line = line.add(G);
            }
            byte = byte.wrapping_add(4);
        }
        for pixel in &mut image {
            *pixel = pixel.wrapping_add(tile.pitch);
        }
    }
    // SAFETY: the caller's promise.
    unsafe { avx512_finish(tile, &sums) };
}

/// Writes the sums of a tile.
///
/// # Safety
/// As [`avx512_tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512_finish<const P: usize, const G: usize>(tile: &Tile, sums: &[[__m512i; G]; P]) {
    let mask = |group: usize| {
        let left = tile.filters.saturating_sub(group * LANES).min(LANES);
        ((1u32 << left) - 1) as __mmask16
    };
    match tile.finish {
        Finish::Steps {
            start,
            factor,
            zero_point,
        } => {
            let zero = f32::from(zero_point);
            let (low, high) = (_mm512_set1_ps(-zero), _mm512_set1_ps(255.0 - zero));
            let zero = _mm512_set1_epi32(i32::from(zero_point));
            for group in 0..G {
                // SAFETY: `start` and `factor` hold `groups × LANES` numbers, and `out` takes `filters` bytes, of
                // which the mask leaves those of this group.
                unsafe {
                    let begin = _mm512_loadu_si512(start.add(group * LANES).cast());
                    let scale = _mm512_loadu_ps(factor.add(group * LANES));
                    for pixel in 0..P {
                        let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(sums[pixel][group], begin));
                        let real = _mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(sum, scale), low), high);
                        // Rounds to the nearest, ties to even: nothing here changes the processor's default.
                        let step = _mm512_add_epi32(_mm512_cvtps_epi32(real), zero);
                        let out = tile.out[pixel].wrapping_add(group * LANES).cast();
                        _mm512_mask_cvtepi32_storeu_epi8(out, mask(group), step);
                    }
                }
            }
        }
        Finish::Reals {
            start,
            factor,
            bias,
            floor,
        } => {
            let floor = _mm512_set1_ps(floor);
            for group in 0..G {
                // SAFETY: as above, with `filters` numbers at `out`.
                unsafe {
                    let begin = _mm512_loadu_si512(start.add(group * LANES).cast());
                    let scale = _mm512_loadu_ps(factor.add(group * LANES));
                    let bias = _mm512_loadu_ps(bias.add(group * LANES));
                    for pixel in 0..P {
                        let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(sums[pixel][group], begin));
                        // Two roundings, as ONNX has them: no fused multiplication and addition.
                        let real = _mm512_add_ps(_mm512_mul_ps(sum, scale), bias);
                        let out = tile.out[pixel].cast::<f32>().wrapping_add(group * LANES);
                        _mm512_mask_storeu_ps(out, mask(group), _mm512_max_ps(floor, real));
                    }
                }
            }
        }
        Finish::Values { .. } => {}
    }
}

/// # Safety
/// The processor has AVX-VNNI and AVX2; pointers as [`Tile`] says.
unsafe fn avx_vnni(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => avx_vnni_tile::<1>(tile),
            2 => avx_vnni_tile::<2>(tile),
            3 => avx_vnni_tile::<3>(tile),
            4 => avx_vnni_tile::<4>(tile),
            5 => avx_vnni_tile::<5>(tile),
            _ => avx_vnni_tile::<6>(tile),
        }
    }
}

/// # Safety
/// As [`avx_vnni`], with `P` pixels and one group.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avx_vnni_tile<const P: usize>(tile: &Tile) {
    let mut sums = [[_mm256_setzero_si256(); 2]; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: as in `avx512_tile`, with one line for each four bytes.
            unsafe {
                let weights = halves(line);
                for pixel in 0..P {
                    let four = _mm256_set1_epi32(image[pixel].add(byte).cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        sums[pixel][half] = _mm256_dpbusd_avx_epi32(sums[pixel][half], four, weights[half]);
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
        // SAFETY: `pixel` is one of the tile's.
        unsafe { finish(tile, pixel, sums[pixel]) };
    }
}

/// # Safety
/// The processor has AVX2; pointers as [`Tile`] says.
unsafe fn avx2(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => avx2_tile::<1>(tile),
            2 => avx2_tile::<2>(tile),
            3 => avx2_tile::<3>(tile),
            _ => avx2_tile::<4>(tile),
        }
    }
}

/// Products of bytes as products of 16-bit numbers: `vpmaddubsw` would take half the instructions, but it
/// saturates at 32,767, and two products of a step and a weight reach 64,770.
///
/// # Safety
/// As [`avx2`], with `P` pixels and one group.
#[target_feature(enable = "avx2")]
unsafe fn avx2_tile<const P: usize>(tile: &Tile) {
    let mut sums = [[_mm256_setzero_si256(); 2]; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    let low_bytes = _mm256_set1_epi16(0x00ff);
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: as in `avx512_tile`, with one line for each four bytes.
            unsafe {
                let weights = halves(line);
                let odd = weights.map(|w| _mm256_srai_epi16::<8>(w));
                let even = weights.map(|w| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)));
                for pixel in 0..P {
                    let four = _mm256_set1_epi32(image[pixel].add(byte).cast::<i32>().read_unaligned());
                    let (evens, odds) = (_mm256_and_si256(four, low_bytes), _mm256_srli_epi16::<8>(four));
                    for half in 0..2 {
                        // Both within ± 2 · 255 · 128.
                        let products = _mm256_add_epi32(
                            _mm256_madd_epi16(evens, even[half]),
                            _mm256_madd_epi16(odds, odd[half]),
                        );
                        sums[pixel][half] = _mm256_add_epi32(sums[pixel][half], products);
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
        // SAFETY: `pixel` is one of the tile's.
        unsafe { finish(tile, pixel, sums[pixel]) };
    }
}

/// Weights of eight filters each.
///
/// # Safety
/// `line` is readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(line: *const Line) -> [__m256i; 2] {
    // SAFETY: a line is 64 bytes and aligned to as many.
    unsafe {
        [
            _mm256_load_si256(line.cast()),
            _mm256_load_si256(line.cast::<__m256i>().add(1)),
        ]
    }
}

/// Writes one pixel's sums.
///
/// # Safety
/// Pointers as [`Tile`] says; `pixel` is one of the tile's.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn finish(tile: &Tile, pixel: usize, sums: [__m256i; 2]) {
    let out = tile.out[pixel];
    let filters = tile.filters.min(LANES);
    // SAFETY: `start`, `factor` and `bias` hold 16 numbers.
    let reals = |start: *const i32, factor: *const f32| unsafe {
        from_fn::<_, 2, _>(|half| {
            let begin = _mm256_loadu_si256(start.add(8 * half).cast());
            let sum = _mm256_cvtepi32_ps(_mm256_add_epi32(sums[half], begin));
            _mm256_mul_ps(sum, _mm256_loadu_ps(factor.add(8 * half)))
        })
    };
    match tile.finish {
        Finish::Steps {
            start,
            factor,
            zero_point,
        } => {
            let zero = f32::from(zero_point);
            let (low, high) = (_mm256_set1_ps(-zero), _mm256_set1_ps(255.0 - zero));
            let zero = _mm256_set1_epi32(i32::from(zero_point));
            let steps = reals(start, factor).map(|real| {
                let real = _mm256_min_ps(_mm256_max_ps(real, low), high);
                // Rounds to the nearest, ties to even: nothing here changes the processor's default.
                _mm256_add_epi32(_mm256_cvtps_epi32(real), zero)
            });
            // 0 to 255 each, so that neither pack saturates; both work within halves, which the permutation mends.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(steps[0], steps[1]));
            let bytes = _mm_packus_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            // SAFETY: `filters` bytes are writable at `out`.
            unsafe {
                if filters == LANES {
                    _mm_storeu_si128(out.cast(), bytes);
                } else {
                    let mut all = [0u8; LANES];
                    _mm_storeu_si128(all.as_mut_ptr().cast(), bytes);
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
            let floor = _mm256_set1_ps(floor);
            let mut all = [0f32; LANES];
            for (half, real) in reals(start, factor).into_iter().enumerate() {
                // SAFETY: `bias` holds 16 numbers, and `all` takes two vectors.
                unsafe {
                    // Two roundings, as ONNX has them: no fused multiplication and addition.
                    let real = _mm256_add_ps(real, _mm256_loadu_ps(bias.add(8 * half)));
                    _mm256_storeu_ps(all.as_mut_ptr().add(8 * half), _mm256_max_ps(floor, real));
                }
            }
            // SAFETY: `filters` numbers are writable at `out`.
            unsafe { std::ptr::copy_nonoverlapping(all.as_ptr().cast(), out, filters * size_of::<f32>()) };
        }
        Finish::Values { .. } => {}
    }
}

/// # Safety
/// The processor has AVX512; pointers as [`Tile`] says.
unsafe fn avx512(tile: &Tile) {
    macro_rules! tiles {
        ($($groups:literal: $($pixels:literal)*;)*) => {
            // SAFETY: the caller's promise; each tile is called with just its numbers of pixels and groups.
            unsafe {
                match (tile.groups, tile.pixels) {
                    $($(($groups, $pixels) => avx512_floats::<$pixels, $groups>(tile),)*)*
                    (groups, pixels) => unreachable!("a tile of {pixels} by {groups}"),
                }
            }
        };
    }
    tiles! {
        1: 1 2 3 4 5 6 7 8 9 10 11 12;
        2: 1 2 3 4 5 6 7 8 9 10;
        3: 1 2 3 4 5 6 7 8;
        4: 1 2 3 4 5 6;
    }
}

/// # Safety
/// As [`avx512`], with `P` pixels and `G` groups.
#[target_feature(enable = "avx512f")]
unsafe fn avx512_floats<const P: usize, const G: usize>(tile: &Tile) {
    let Finish::Values { start, floor } = tile.finish else {
        return;
    };
    // SAFETY: `start` holds a number for each lane.
    let start: [__m512; G] = from_fn(|group| unsafe { _mm512_loadu_ps(start.add(group * LANES)) });
    let mut sums = [start; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: as in `avx512_tile`; a line is 16 numbers.
            unsafe {
                let weights: [__m512; G] = from_fn(|group| _mm512_load_ps(line.add(group).cast()));
                for pixel in 0..P {
                    let value = _mm512_set1_ps(image[pixel].add(byte).cast::<f32>().read_unaligned());
                    for group in 0..G {
                        sums[pixel][group] = _mm512_fmadd_ps(value, weights[group], sums[pixel][group]);
                    }
                }
                line = line.add(G);
            }
            byte = byte.wrapping_add(4);
        }
        for pixel in &mut image {
            *pixel = pixel.wrapping_add(tile.pitch);
        }
    }
    let floor = _mm512_set1_ps(floor);
    for group in 0..G {
        let left = tile.filters.saturating_sub(group * LANES).min(LANES);
        let mask = ((1u32 << left) - 1) as __mmask16;
        for pixel in 0..P {
            let out = tile.out[pixel].cast::<f32>().wrapping_add(group * LANES);
            // The larger of two is the second where one is no number: that stays to be seen.
            // SAFETY: `out` takes `filters` numbers, of which the mask leaves those of this group.
            unsafe { _mm512_mask_storeu_ps(out, mask, _mm512_max_ps(floor, sums[pixel][group])) };
        }
    }
}

/// # Safety
/// The processor has AVX2 and FMA; pointers as [`Tile`] says.
unsafe fn fma(tile: &Tile) {
    // SAFETY: the caller's promise; each tile is called with just its number of pixels.
    unsafe {
        match tile.pixels {
            1 => fma_floats::<1>(tile),
            2 => fma_floats::<2>(tile),
            3 => fma_floats::<3>(tile),
            4 => fma_floats::<4>(tile),
            5 => fma_floats::<5>(tile),
            _ => fma_floats::<6>(tile),
        }
    }
}

/// # Safety
/// As [`fma`], with `P` pixels and one group.
#[target_feature(enable = "avx2,fma")]
unsafe fn fma_floats<const P: usize>(tile: &Tile) {
    let Finish::Values { start, floor } = tile.finish else {
        return;
    };
    // SAFETY: `start` holds a number for each lane.
    let start: [__m256; 2] = from_fn(|half| unsafe { _mm256_loadu_ps(start.add(8 * half)) });
    let mut sums = [start; P];
    let mut image: [*const u8; P] = from_fn(|pixel| tile.image[pixel]);
    let mut line = tile.weights;
    for _ in 0..tile.segments {
        let mut byte = 0;
        while byte < tile.segment {
            // SAFETY: as in `avx512_tile`, with one line for each four bytes.
            unsafe {
                let weights: [__m256; 2] = from_fn(|half| _mm256_load_ps(line.cast::<f32>().add(8 * half)));
                for pixel in 0..P {
                    let value = _mm256_set1_ps(image[pixel].add(byte).cast::<f32>().read_unaligned());
                    for half in 0..2 {
                        sums[pixel][half] = _mm256_fmadd_ps(value, weights[half], sums[pixel][half]);
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
        // SAFETY: `all` takes two vectors; `filters` numbers are writable at `out`.
        unsafe {
            for half in 0..2 {
                let values = _mm256_max_ps(_mm256_set1_ps(floor), sums[pixel][half]);
                _mm256_storeu_ps(all.as_mut_ptr().add(8 * half), values);
            }
            std::ptr::copy_nonoverlapping(all.as_ptr().cast(), tile.out[pixel], filters * size_of::<f32>());
        }
    }
}
