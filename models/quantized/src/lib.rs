//! Convolution and its neighbours on 8-bit integers.
//!
//! An activation is a `u8` step; the real value behind it is `scale · (step − zero point)`. Weights are `i8`
//! around 0, sums are `i32`, and a sum becomes a step by ONNX's QuantizeLinear: times a factor, rounded to
//! the nearest integer with ties to even, plus the zero point, saturated.
//!
//! | module | owns |
//! |---|---|
//! | [`reference`] | the definitions, written as plainly as can be; what everything else must equal bit by bit |
//! | [`layout`] | how an image lies in memory: channels innermost, a border for padding |
//! | [`convolution`] | a convolution made ready for one machine and one shape, and its run |
//! | [`product`] | a matrix product made ready for one machine |
//! | `walk` | the way of a kernel through an image and packed weights |
//! | [`tile`] | the innermost loops, one set for each kind of processor |
//! | [`pointwise`] | quantize, dequantize, add, pool, enlarge, join |
//!
//! Nothing here knows tract or ONNX files.

pub mod convolution;
pub mod layout;
pub mod pointwise;
pub mod product;
pub mod reference;
#[cfg(test)]
mod tests;
pub mod tile;
mod walk;

/// How the reals of one tensor become `u8`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Width of a step; finite and above 0.
    pub scale: f32,
    /// The step that means 0.
    pub zero_point: u8,
}

/// Where a convolution or pooling looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns under the window.
    pub kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows above, columns to the left, rows below, columns to the right that are added to the image.
    pub pads: [usize; 4],
}

impl Window {
    /// Rows and columns of the output, or none where the window does not fit once or a number is beyond reason.
    pub fn output(&self, rows: usize, columns: usize) -> Option<[usize; 2]> {
        let along = |axis: usize, length: usize| {
            let padded = length
                .checked_add(self.pads[axis])?
                .checked_add(self.pads[axis + 2])?;
            let steps = padded
                .checked_sub(self.kernel[axis])?
                .checked_div(self.stride[axis])?;
            (self.kernel[axis] > 0).then_some(steps + 1)
        };
        Some([along(0, rows)?, along(1, columns)?])
    }
}

/// A convolution as ONNX's QLinearConv describes it: dilation 1, one group, weights around 0.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedConvolution {
    /// Where it looks.
    pub window: Window,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// (filter, channel, row, column), row-major.
    pub weights: Vec<i8>,
    /// Width of a step of the weights, one for each filter.
    pub weight_scales: Vec<f32>,
    /// One for each filter, in steps of input scale × weight scale.
    pub bias: Vec<i32>,
    /// Steps of the input.
    pub input: Quantization,
    /// Steps of the output.
    pub output: Quantization,
}

/// Products of 8-bit numbers that surely fit a 32-bit sum.
pub const MAX_DEPTH: usize = i32::MAX as usize / (255 * 128);

impl QuantizedConvolution {
    /// Whether lengths agree, scales mean something and sums fit 32 bits.
    pub fn is_sound(&self) -> bool {
        let [rows, columns] = self.window.kernel;
        let depth = rows
            .checked_mul(columns)
            .and_then(|area| area.checked_mul(self.channels))
            .filter(|depth| (1..=MAX_DEPTH).contains(depth));
        let is_length = |depth: usize| depth.checked_mul(self.filters) == Some(self.weights.len());
        let means = |factor: f32| factor.is_finite() && factor > 0.0;
        depth.is_some_and(is_length)
            && self.filters > 0
            && self.weight_scales.len() == self.filters
            && self.bias.len() == self.filters
            && means(self.input.scale)
            && means(self.output.scale)
            && (0..self.filters).all(|filter| means(self.factor(filter)))
    }

    /// What a sum is multiplied by to become a step of the output.
    pub fn factor(&self, filter: usize) -> f32 {
        self.input.scale * self.weight_scales[filter] / self.output.scale
    }
}

/// A matrix product as ONNX's MatMulInteger describes it, with the Cast, Mul, Add and Relu behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedProduct {
    /// Numbers of each row of the input.
    pub depth: usize,
    /// Numbers of each row of the output.
    pub columns: usize,
    /// (depth, column), row-major, around 0.
    pub weights: Vec<i8>,
    /// The step of the input that means 0.
    pub zero_point: u8,
    /// What the sums of each column are multiplied by.
    pub factor: Vec<f32>,
    /// What is added to each column.
    pub bias: Vec<f32>,
    /// Whether what is negative becomes 0.
    pub relu: bool,
}

impl QuantizedProduct {
    /// Whether lengths agree, numbers are finite and sums fit 32 bits.
    pub fn is_sound(&self) -> bool {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        (1..=MAX_DEPTH).contains(&self.depth)
            && self.columns > 0
            && self.depth.checked_mul(self.columns) == Some(self.weights.len())
            && self.factor.len() == self.columns
            && self.bias.len() == self.columns
            && finite(&self.factor)
            && finite(&self.bias)
    }
}

/// A convolution of reals: dilation 1, one group.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatConvolution {
    /// Where it looks.
    pub window: Window,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// (filter, channel, row, column), row-major.
    pub weights: Vec<f32>,
    /// One for each filter.
    pub bias: Vec<f32>,
    /// Whether what is negative becomes 0.
    pub relu: bool,
}

impl FloatConvolution {
    /// Whether lengths agree.
    pub fn is_sound(&self) -> bool {
        let [rows, columns] = self.window.kernel;
        let weights = rows
            .checked_mul(columns)
            .and_then(|area| area.checked_mul(self.channels))
            .and_then(|depth| depth.checked_mul(self.filters));
        self.filters > 0
            && self.bias.len() == self.filters
            && weights == Some(self.weights.len())
            && weights != Some(0)
            && self
                .weights
                .iter()
                .chain(&self.bias)
                .all(|number| number.is_finite())
    }
}
