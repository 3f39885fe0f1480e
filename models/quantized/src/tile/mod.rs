//! The innermost loops, one set for each kind of processor.
//!
//! All of them read the same packed weights: a [`Line`] holds, for 16 filters, the weights of four successive bytes
//! of a window, which is what one step of AVX512-VNNI, two of AVX-VNNI and four of Arm's dot products consume.

#![allow(unsafe_code, reason = "vector instructions on raw pointers")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// Filters in one line of weights.
pub const LANES: usize = 16;

/// The most output pixels that a tile of any kernel has.
pub const MOST_PIXELS: usize = 12;

/// (filter, byte) of 16 filters and four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub [i8; 64]);

/// One tile: some output pixels by some groups of filters.
#[derive(Debug)]
pub struct Tile {
    /// Output pixels, 1 to what the kernel takes.
    pub pixels: usize,
    /// Groups of [`LANES`] filters, 1 to what the kernel takes.
    pub groups: usize,
    /// Filters that exist and are written, 1 to `groups × LANES`.
    pub filters: usize,
    /// Where each pixel's window begins; `segment` bytes at each of `segments` steps of `pitch` are readable.
    pub image: [*const u8; MOST_PIXELS],
    /// Where each pixel's outputs go; `filters` of them are writable, of as many bytes as the finish makes.
    pub out: [*mut u8; MOST_PIXELS],
    /// Rows of the window.
    pub segments: usize,
    /// Bytes of a row of the window, a multiple of 4.
    pub segment: usize,
    /// Bytes from one row of the image to the next.
    pub pitch: usize,
    /// `segments × segment / 4 × groups` lines.
    pub weights: *const Line,
    /// How sums become outputs.
    pub finish: Finish,
}

/// How sums become outputs. Every pointer is to `groups × LANES` numbers.
#[derive(Debug, Clone, Copy)]
pub enum Finish {
    /// 32-bit sums become steps.
    Steps {
        /// Where sums start.
        start: *const i32,
        /// What sums are multiplied by.
        factor: *const f32,
        /// Of the output.
        zero_point: u8,
    },
    /// 32-bit sums become reals.
    Reals {
        /// Where sums start.
        start: *const i32,
        /// What sums are multiplied by.
        factor: *const f32,
        /// What is added then.
        bias: *const f32,
        /// What is smaller becomes this.
        floor: f32,
    },
    /// Sums of reals stay.
    Values {
        /// Where sums start.
        start: *const f32,
        /// What is smaller becomes this.
        floor: f32,
    },
}

/// The innermost loop for steps of one kind of processor.
#[derive(Debug)]
pub struct IntegerKernel {
    /// For reports.
    pub name: &'static str,
    /// Output pixels of its tiles, at most, by groups of filters: as many as the sums leave registers for. As many
    /// groups as there are numbers.
    pub pixels: &'static [usize],
    /// What it subtracts from each byte of the image, to be made good in the start of the sums.
    pub offset: i32,
    /// The kernel to take instead where a weight is −128, if this one cannot have that.
    pub for_any_weights: Option<&'static IntegerKernel>,
    /// Computes a tile that ends as [`Finish::Steps`] or [`Finish::Reals`]. To be called only on a processor that has the instructions,
    /// with a tile whose pointers are good for what [`Tile`] says.
    pub(super) run: unsafe fn(&Tile),
}

/// The innermost loop for reals of one kind of processor.
#[derive(Debug)]
pub struct FloatKernel {
    /// For reports.
    pub name: &'static str,
    /// Output pixels of its tiles, at most, by groups of filters: as many as the sums leave registers for. As many
    /// groups as there are numbers.
    pub pixels: &'static [usize],
    /// As [`IntegerKernel::run`], ending as [`Finish::Values`].
    pub(super) run: unsafe fn(&Tile),
}

impl IntegerKernel {
    /// The kernels that this processor can run, the fastest first; never empty.
    pub fn available() -> &'static [&'static IntegerKernel] {
        static FOUND: OnceLock<Vec<&'static IntegerKernel>> = OnceLock::new();
        FOUND.get_or_init(|| {
            let mut found = Vec::new();
            #[cfg(target_arch = "x86_64")]
            found.extend(x86::available());
            #[cfg(target_arch = "aarch64")]
            found.extend(aarch64::available());
            found.push(&portable::INTEGERS);
            found
        })
    }

    /// The fastest.
    pub fn best() -> &'static IntegerKernel {
        Self::available()[0]
    }
}

impl FloatKernel {
    /// The kernels that this processor can run, the fastest first; never empty.
    pub fn available() -> &'static [&'static FloatKernel] {
        static FOUND: OnceLock<Vec<&'static FloatKernel>> = OnceLock::new();
        FOUND.get_or_init(|| {
            let mut found = Vec::new();
            #[cfg(target_arch = "x86_64")]
            found.extend(x86::available_floats());
            #[cfg(target_arch = "aarch64")]
            found.extend(aarch64::available_floats());
            found.push(&portable::FLOATS);
            found
        })
    }

    /// The fastest.
    pub fn best() -> &'static FloatKernel {
        Self::available()[0]
    }
}
