//! The definitions, without any thought of speed. Images are (channel, row, column), row-major, as in ONNX.

use super::{FloatConvolution, Quantization, QuantizedConvolution, QuantizedProduct, Window};

/// QuantizeLinear of one value: `saturate(round_half_to_even(value / scale) + zero point)`.
pub fn quantize(value: f32, to: Quantization) -> u8 {
    // A NaN has no step; like ONNX Runtime's and the processors' conversions it ends at the bottom.
    shifted((value / to.scale).round_ties_even(), to.zero_point)
}

/// DequantizeLinear of one step.
pub fn dequantize(step: u8, from: Quantization) -> f32 {
    (f32::from(step) - f32::from(from.zero_point)) * from.scale
}

/// A 32-bit sum as a step.
pub fn requantize(sum: i32, factor: f32, zero_point: u8) -> u8 {
    shifted((sum as f32 * factor).round_ties_even(), zero_point)
}

/// A 32-bit sum as a real: Cast, Mul and Add, each rounded.
pub fn dequantize_sum(sum: i32, factor: f32, bias: f32) -> f32 {
    sum as f32 * factor + bias
}

/// MatMulInteger of rows of steps with what follows it (see [`QuantizedProduct`]); none where lengths are wrong.
pub fn multiply(product: &QuantizedProduct, rows: &[u8]) -> Option<Vec<f32>> {
    let (depth, columns) = (product.depth, product.columns);
    if !product.is_sound() || !rows.len().is_multiple_of(depth) {
        return None;
    }
    let mut out = Vec::with_capacity(rows.len() / depth * columns);
    for row in rows.chunks_exact(depth) {
        for column in 0..columns {
            let sum = row.iter().enumerate().fold(0i32, |sum, (k, step)| {
                let weight = i32::from(product.weights[k * columns + column]);
                sum.wrapping_add((i32::from(*step) - i32::from(product.zero_point)) * weight)
            });
            let real = dequantize_sum(sum, product.factor[column], product.bias[column]);
            out.push(if product.relu && real < 0.0 { 0.0 } else { real });
        }
    }
    Some(out)
}

fn shifted(rounded: f32, zero_point: u8) -> u8 {
    let zero = f32::from(zero_point);
    // Both bounds are integers, so clamping before the addition saturates as clamping after it would.
    (rounded.max(-zero).min(255.0 - zero) + zero) as u8
}

/// QLinearConv of an image; none where the description or the image's length is wrong.
pub fn convolve(conv: &QuantizedConvolution, image: &[u8], rows: usize, columns: usize) -> Option<Vec<u8>> {
    let [out_rows, out_columns] = conv.window.output(rows, columns)?;
    if !conv.is_sound() || image.len() != conv.channels * rows * columns {
        return None;
    }
    let [kernel_rows, kernel_columns] = conv.window.kernel;
    let mut out = Vec::with_capacity(conv.filters * out_rows * out_columns);
    for filter in 0..conv.filters {
        for row in 0..out_rows {
            for column in 0..out_columns {
                let mut sum = conv.bias[filter];
                for channel in 0..conv.channels {
                    for down in 0..kernel_rows {
                        for right in 0..kernel_columns {
                            let y = (row * conv.window.stride[0] + down).checked_sub(conv.window.pads[0]);
                            let x = (column * conv.window.stride[1] + right).checked_sub(conv.window.pads[1]);
                            let (Some(y), Some(x)) = (y, x) else { continue };
                            if y >= rows || x >= columns {
                                continue;
                            }
                            let step = i32::from(image[(channel * rows + y) * columns + x]);
                            let at =
                                ((filter * conv.channels + channel) * kernel_rows + down) * kernel_columns;
                            let product = (step - i32::from(conv.input.zero_point))
                                * i32::from(conv.weights[at + right]);
                            sum = sum.wrapping_add(product);
                        }
                    }
                }
                out.push(requantize(sum, conv.factor(filter), conv.output.zero_point));
            }
        }
    }
    Some(out)
}

/// Conv of an image of reals, in the order in which the weights are stored; none as [`convolve`].
pub fn convolve_floats(
    conv: &FloatConvolution,
    image: &[f32],
    rows: usize,
    columns: usize,
) -> Option<Vec<f32>> {
    let [out_rows, out_columns] = conv.window.output(rows, columns)?;
    if !conv.is_sound() || image.len() != conv.channels * rows * columns {
        return None;
    }
    let [kernel_rows, kernel_columns] = conv.window.kernel;
    let mut out = Vec::with_capacity(conv.filters * out_rows * out_columns);
    for filter in 0..conv.filters {
        for row in 0..out_rows {
            for column in 0..out_columns {
                let mut sum = f64::from(conv.bias[filter]);
                for channel in 0..conv.channels {
                    for down in 0..kernel_rows {
                        for right in 0..kernel_columns {
                            let y = (row * conv.window.stride[0] + down).checked_sub(conv.window.pads[0]);
                            let x = (column * conv.window.stride[1] + right).checked_sub(conv.window.pads[1]);
                            let (Some(y), Some(x)) = (y, x) else { continue };
                            if y < rows && x < columns {
                                let at = ((filter * conv.channels + channel) * kernel_rows + down)
                                    * kernel_columns;
                                let value = image[(channel * rows + y) * columns + x];
                                sum += f64::from(value) * f64::from(conv.weights[at + right]);
                            }
                        }
                    }
                }
                out.push(if conv.relu && sum < 0.0 { 0.0 } else { sum } as f32);
            }
        }
    }
    Some(out)
}

/// MaxPool of an image of any ordered values; what lies outside is not looked at. None where a window sees nothing.
pub fn max_pool<T: Copy + PartialOrd>(
    window: Window,
    image: &[T],
    channels: usize,
    rows: usize,
    columns: usize,
) -> Option<Vec<T>> {
    let [out_rows, out_columns] = window.output(rows, columns)?;
    let mut out = Vec::with_capacity(channels * out_rows * out_columns);
    for channel in 0..channels {
        for row in 0..out_rows {
            for column in 0..out_columns {
                let mut most: Option<T> = None;
                for down in 0..window.kernel[0] {
                    for right in 0..window.kernel[1] {
                        let y = (row * window.stride[0] + down).checked_sub(window.pads[0]);
                        let x = (column * window.stride[1] + right).checked_sub(window.pads[1]);
                        let (Some(y), Some(x)) = (y, x) else { continue };
                        if y < rows && x < columns {
                            let value = image[(channel * rows + y) * columns + x];
                            most = Some(most.filter(|most| *most >= value).unwrap_or(value));
                        }
                    }
                }
                out.push(most?);
            }
        }
    }
    Some(out)
}
