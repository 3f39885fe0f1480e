//! ROI-Align (He 2017, Mask R-CNN) as two small matrix products.
//!
//! Bilinear interpolation on a grid is separable, and so is the mean over a bin's sampling points:
//! `out = Wy · F · Wxᵀ`, where a row of `W` is the mean over the points of one bin of the hat function
//! `relu(1 − |position − grid|)`. libtorch has no ROI-Align; this form is differentiable and exports to
//! operators that every ONNX runtime has.

use tch::{Kind, Tensor};

/// Sampling points per bin and axis.
pub const SAMPLES: i64 = 2;

/// The mean bilinear value per bin: features (N, C, H, W) and one box per image (N, 4) as x0, y0, x1, y1
/// in input pixels (edges; pixel i covers [i, i+1)) give (N, C, bins, bins).
///
/// `stride` is input pixels per feature pixel. Positions follow `aligned = true`: box / stride − 0.5.
/// Points beyond the border are clamped onto it, as the reference implementations do up to one pixel.
pub fn roi_align(features: &Tensor, boxes: &Tensor, stride: f64, bins: i64) -> Tensor {
    let size = features.size();
    let (height, width) = (size[2], size[3]);
    let wy = weights(&boxes.select(1, 1), &boxes.select(1, 3), stride, bins, height);
    let wx = weights(&boxes.select(1, 0), &boxes.select(1, 2), stride, bins, width);
    wy.unsqueeze(1)
        .matmul(features)
        .matmul(&wx.unsqueeze(1).transpose(2, 3))
}

/// (N, bins, length): how much each feature row or column counts in each bin.
fn weights(from: &Tensor, to: &Tensor, stride: f64, bins: i64, length: i64) -> Tensor {
    let options = (Kind::Float, from.device());
    let (from, to) = (from / stride - 0.5, to / stride - 0.5);
    let points = bins * SAMPLES;
    let fraction = (Tensor::arange(points, options) + 0.5) / points as f64;
    let position = from.unsqueeze(1) + (to - &from).unsqueeze(1) * fraction.unsqueeze(0);
    let position = position.clamp(0.0, (length - 1) as f64);
    let grid = Tensor::arange(length, options);
    let hat: Tensor = 1.0 - (position.unsqueeze(2) - grid).abs();
    hat.relu()
        .view([-1, bins, SAMPLES, length])
        .mean_dim([2i64].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ndarray::Array2;
    use tch::Device;

    use super::*;

    /// The definition, point by point, written without matrices.
    fn bilinear_mean(map: &Array2<f32>, roi: [f64; 4], stride: f64, bins: usize) -> Array2<f32> {
        let (height, width) = map.dim();
        let value = |y: f64, x: f64| {
            let (y, x) = (
                y.clamp(0.0, height as f64 - 1.0),
                x.clamp(0.0, width as f64 - 1.0),
            );
            let (y0, x0) = (y.floor() as usize, x.floor() as usize);
            let (y1, x1) = ((y0 + 1).min(height - 1), (x0 + 1).min(width - 1));
            let (fy, fx) = (y - y0 as f64, x - x0 as f64);
            let at = |y: usize, x: usize| f64::from(map[[y, x]]);
            (1.0 - fy) * ((1.0 - fx) * at(y0, x0) + fx * at(y0, x1))
                + fy * ((1.0 - fx) * at(y1, x0) + fx * at(y1, x1))
        };
        let [x0, y0, x1, y1] = roi.map(|e| e / stride - 0.5);
        let (step_y, step_x) = ((y1 - y0) / bins as f64, (x1 - x0) / bins as f64);
        Array2::from_shape_fn((bins, bins), |(by, bx)| {
            let mut sum = 0.0;
            for sy in [0.25, 0.75] {
                for sx in [0.25, 0.75] {
                    sum += value(y0 + (by as f64 + sy) * step_y, x0 + (bx as f64 + sx) * step_x);
                }
            }
            (sum / 4.0) as f32
        })
    }

    #[test]
    fn equals_the_point_by_point_definition_even_beyond_the_border() {
        tch::manual_seed(1);
        let map = Tensor::randn([1, 1, 16, 12], (Kind::Float, Device::Cpu));
        let values: Vec<f32> = Vec::try_from(map.flatten(0, -1)).unwrap();
        let array = Array2::from_shape_vec((16, 12), values).unwrap();
        for roi in [
            [20.0, 24.0, 70.0, 100.0],
            [3.0, 1.0, 9.0, 5.0],
            [-12.0, -9.0, 101.0, 140.0],
        ] {
            let boxes = Tensor::from_slice(&roi.map(|e| e as f32)).view([1, 4]);
            let ours: Vec<f32> = Vec::try_from(roi_align(&map, &boxes, 8.0, 7).flatten(0, -1)).unwrap();
            let expected = bilinear_mean(&array, roi, 8.0, 7);
            for (a, b) in ours.iter().zip(expected.iter()) {
                assert!((a - b).abs() < 1e-5, "{a} against {b} for {roi:?}");
            }
        }
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        tch::manual_seed(2);
        let map = Tensor::randn([1, 2, 6, 6], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let boxes = Tensor::from_slice(&[7.0f32, 5.0, 39.0, 41.0]).view([1, 4]);
        let loss = |map: &Tensor| roi_align(map, &boxes, 8.0, 3).square().sum(Kind::Double);
        loss(&map).backward();
        let gradient = map.grad();
        for (c, y, x) in [(0, 2, 2), (1, 3, 1), (1, 4, 4), (0, 0, 5)] {
            let nudged = |by: f64| {
                let copy = map.detach().copy();
                let cell = copy.get(0).get(c).get(y).get(x);
                let mut cell = cell.shallow_clone();
                let _ = cell.g_add_scalar_(by);
                loss(&copy).double_value(&[])
            };
            let slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2;
            let ours = gradient.double_value(&[0, c, y, x]);
            assert!(
                (slope - ours).abs() < 1e-3 * (1.0 + slope.abs()),
                "{slope} against {ours}"
            );
        }
    }
}
