//! A convolution made ready for one machine and one shape.

#![allow(unsafe_code, reason = "hands pointers to the kernels")]

use super::layout::Layout;
use super::tile::{Finish, FloatKernel, IntegerKernel};
use super::walk::{Shape, Walk};
use super::{FloatConvolution, QuantizedConvolution};

/// A convolution of steps.
#[derive(Debug)]
pub struct Integers {
    walk: Walk,
    kernel: &'static IntegerKernel,
    /// Sums start here: bias less what the zero points add.
    start: Vec<i32>,
    factor: Vec<f32>,
    zero_point: u8,
}

/// A convolution of values.
#[derive(Debug)]
pub struct Floats {
    walk: Walk,
    kernel: &'static FloatKernel,
    start: Vec<f32>,
    floor: f32,
}

impl Integers {
    /// Packs a convolution. None where its shapes do not agree with `from` and `to`, or the border of `from` is
    /// narrower than the padding.
    pub fn new(
        conv: &QuantizedConvolution,
        from: Layout,
        to: Layout,
        kernel: &'static IntegerKernel,
    ) -> Option<Self> {
        let shape = Shape {
            window: conv.window,
            channels: conv.channels,
            filters: conv.filters,
        };
        if !conv.is_sound() {
            return None;
        }
        let kernel = match kernel.for_any_weights {
            Some(careful) if conv.weights.contains(&i8::MIN) => careful,
            _ => kernel,
        };
        let mut walk = Walk::new(shape, 1, from, to, kernel.pixels.len())?;
        walk.pack(shape, 4, |line, place, at| line.0[place] = conv.weights[at]);
        let depth = conv.weights.len() / conv.filters;
        let shift = i32::from(conv.input.zero_point) - kernel.offset;
        let mut start: Vec<i32> = conv
            .weights
            .chunks_exact(depth)
            .zip(&conv.bias)
            .map(|(filter, bias)| {
                let sum: i32 = filter.iter().map(|w| i32::from(*w)).sum();
                bias.wrapping_sub(shift.wrapping_mul(sum))
            })
            .collect();
        let mut factor: Vec<f32> = (0..conv.filters).map(|filter| conv.factor(filter)).collect();
        start.resize(walk.lanes(), 0);
        factor.resize(walk.lanes(), 0.0);
        Some(Self {
            walk,
            kernel,
            start,
            factor,
            zero_point: conv.output.zero_point,
        })
    }

    /// Convolves. `image` must hold its zero point in its border; the border of `out` is left alone.
    ///
    /// # Panics
    /// `image` or `out` is shorter than its layout, or `image` lacks [`super::layout::SLACK`].
    pub fn run(&self, image: &[u8], out: &mut [u8]) {
        self.walk.check(image.len(), out.len());
        let finish = |first: usize| Finish::Steps {
            start: self.start[first..].as_ptr(),
            factor: self.factor[first..].as_ptr(),
            zero_point: self.zero_point,
        };
        // SAFETY: the lengths were just checked; the kernel is one that this processor has, since `IntegerKernel`
        // is only handed out after asking it, and one for these weights (`new`); `start` and `factor` are whole groups long.
        unsafe {
            self.walk.run(
                image.as_ptr(),
                out.as_mut_ptr(),
                self.kernel.pixels,
                finish,
                self.kernel.run,
            );
        }
    }
}

impl Floats {
    /// Packs a convolution; none as [`Integers::new`].
    pub fn new(
        conv: &FloatConvolution,
        from: Layout,
        to: Layout,
        kernel: &'static FloatKernel,
    ) -> Option<Self> {
        let shape = Shape {
            window: conv.window,
            channels: conv.channels,
            filters: conv.filters,
        };
        if !conv.is_sound() {
            return None;
        }
        let mut walk = Walk::new(shape, size_of::<f32>(), from, to, kernel.pixels.len())?;
        walk.pack(shape, 1, |line, place, at| {
            for (byte, value) in line.0[4 * place..].iter_mut().zip(conv.weights[at].to_ne_bytes()) {
                *byte = i8::from_ne_bytes([value]);
            }
        });
        let mut start = conv.bias.clone();
        start.resize(walk.lanes(), 0.0);
        Some(Self {
            walk,
            kernel,
            start,
            floor: if conv.relu { 0.0 } else { f32::NEG_INFINITY },
        })
    }

    /// Convolves. `image` must hold zeros in its border; the border of `out` is left alone.
    ///
    /// # Panics
    /// `image` or `out` is shorter than its layout, or `image` lacks [`super::layout::SLACK`].
    pub fn run(&self, image: &[f32], out: &mut [f32]) {
        self.walk.check(image.len(), out.len());
        let finish = |first: usize| Finish::Values {
            start: self.start[first..].as_ptr(),
            floor: self.floor,
        };
        // SAFETY: as in `Integers::run`; the walk was laid out for elements of four bytes, and no kernel reads
        // or writes but whole elements.
        unsafe {
            let (image, out) = (image.as_ptr().cast(), out.as_mut_ptr().cast());
            self.walk
                .run(image, out, self.kernel.pixels, finish, self.kernel.run);
        }
    }
}
