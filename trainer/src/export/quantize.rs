//! Post-training quantization: from measured ranges to scales and zero points.
//!
//! Activations are asymmetric u8, weights symmetric i8 per tensor, biases i32 in steps of
//! `activation scale · weight scale` (Jacob et al., CVPR 2018). A real value is
//! `scale · (step − zero point)`.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::ExportError;
use super::network::{Network, Op};

/// How the reals of one activation tensor become u8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Width of a step.
    pub scale: f32,
    /// The step that means 0.
    pub zero_point: u8,
}

/// An interval of reals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end.
    pub low: f32,
    /// Upper end.
    pub high: f32,
}

impl Range {
    /// From the smallest to the largest value.
    pub fn of(values: &ArrayD<f32>) -> Self {
        let nothing = Self {
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
        };
        values.iter().fold(nothing, |range, &value| {
            range.union(Self {
                low: value,
                high: value,
            })
        })
    }

    /// Contains both.
    pub fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// The 256 steps that cover this range and 0. Zero must be exact: it pads convolutions, and a
    /// ReLU that ends at zero point 0 is the saturation of the u8 itself.
    pub fn parameters(self) -> Parameters {
        let (low, high) = (self.low.min(0.0), self.high.max(0.0));
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        Parameters {
            scale,
            zero_point: (-low / scale).round() as u8,
        }
    }
}

/// The parameters of every activation tensor of a network.
#[derive(Debug, Clone)]
pub struct Quantization(BTreeMap<String, Parameters>);

impl Quantization {
    /// Parameters from measured ranges. Tensors between which values only move (pooling,
    /// enlarging, concatenation) share the union of their ranges, because those layers run on the
    /// steps themselves.
    ///
    /// # Errors
    /// A tensor was not measured.
    pub fn new(network: &Network, ranges: &BTreeMap<String, Range>) -> Result<Self, ExportError> {
        let mut group: BTreeMap<&str, &str> = network.tensors().map(|tensor| (tensor, tensor)).collect();
        for layer in &network.layers {
            if matches!(layer.op, Op::MaxPool { .. } | Op::Upsample | Op::Concat) {
                for input in &layer.inputs {
                    let (from, to) = (group[input.as_str()], group[layer.name.as_str()]);
                    group
                        .values_mut()
                        .filter(|name| **name == from)
                        .for_each(|name| *name = to);
                }
            }
        }
        let mut shared: BTreeMap<&str, Range> = BTreeMap::new();
        for (&tensor, &group) in &group {
            let range = *ranges.get(tensor).ok_or_else(|| ExportError::Unmeasured {
                tensor: tensor.to_owned(),
            })?;
            shared
                .entry(group)
                .and_modify(|all| *all = all.union(range))
                .or_insert(range);
        }
        Ok(Self(
            group
                .into_iter()
                .map(|(tensor, group)| (tensor.to_owned(), shared[group].parameters()))
                .collect(),
        ))
    }

    /// The parameters of one tensor.
    ///
    /// # Errors
    /// The network has no such tensor.
    pub fn of(&self, tensor: &str) -> Result<Parameters, ExportError> {
        self.0
            .get(tensor)
            .copied()
            .ok_or_else(|| ExportError::Unmeasured {
                tensor: tensor.to_owned(),
            })
    }
}

/// A weight in steps of −127 to 127 around 0.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeight {
    /// Row-major.
    pub steps: Vec<i8>,
    /// Width of a step.
    pub scale: f32,
}

impl QuantizedWeight {
    /// One scale for the whole weight, from its largest magnitude.
    pub fn new(weight: &ArrayD<f32>) -> Self {
        let largest = weight
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        Self {
            steps: weight.iter().map(|value| (value / scale).round() as i8).collect(),
            scale,
        }
    }
}

/// A bias in steps of the 32-bit sums, or none when it does not fit.
pub fn bias_steps(bias: &[f32], step: f32) -> Option<Vec<i32>> {
    bias.iter()
        .map(|value| {
            let steps = (f64::from(*value) / f64::from(step)).round();
            (steps.abs() < f64::from(i32::MAX)).then_some(steps as i32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ndarray::arr1;
    use proptest::prelude::*;

    use super::*;
    use crate::export::network::{Conv, Port, Precision};

    #[test]
    fn known_ranges_give_known_parameters() {
        let of = |low, high| Range { low, high }.parameters();
        assert_eq!(
            of(0.0, 25.5),
            Parameters {
                scale: 0.1,
                zero_point: 0
            }
        );
        assert_eq!(
            of(-1.28, 1.27),
            Parameters {
                scale: 0.01,
                zero_point: 128
            }
        );
        // Zero always lies inside, and a tensor of zeros is no division by zero.
        assert_eq!(
            of(3.0, 5.1),
            Parameters {
                scale: 0.02,
                zero_point: 0
            }
        );
        assert_eq!(
            of(-5.1, -3.0),
            Parameters {
                scale: 0.02,
                zero_point: 255
            }
        );
        assert_eq!(
            of(0.0, 0.0),
            Parameters {
                scale: 1.0,
                zero_point: 0
            }
        );
    }

    #[test]
    fn known_weights_give_known_steps() {
        let quantized = QuantizedWeight::new(&arr1(&[0.0, 1.27, -1.27, 0.014, -0.016]).into_dyn());
        assert_eq!(quantized.steps, [0, 127, -127, 1, -2]);
        assert!((quantized.scale - 0.01).abs() < 1e-9);
        assert_eq!(QuantizedWeight::new(&arr1(&[0.0, 0.0]).into_dyn()).steps, [0, 0]);
    }

    #[test]
    fn a_bias_beyond_32_bits_is_refused() {
        assert_eq!(bias_steps(&[0.1, -0.26], 0.1), Some(vec![1, -3]));
        assert_eq!(bias_steps(&[1.0], 1e-10), None);
        assert_eq!(bias_steps(&[f32::NAN], 1.0), None);
    }

    #[test]
    fn layers_that_only_move_values_share_their_steps() {
        let port = |name| Port {
            name,
            shape: vec![1, 1, 4, 4],
        };
        let mut network = Network::new("test", vec![port("image")], port("join"));
        let conv = Op::Conv(Conv {
            weight: ArrayD::zeros(vec![1, 1, 1, 1]),
            bias: vec![0.0],
            stride: 1,
            padding: 0,
            relu: true,
            precision: Precision::Int8,
        });
        network.layer("conv", &["image"], conv);
        network.layer(
            "pool",
            &["conv"],
            Op::MaxPool {
                kernel: 2,
                stride: 2,
                padding: 0,
            },
        );
        network.layer("enlarge", &["pool"], Op::Upsample);
        network.layer("join", &["conv", "enlarge"], Op::Concat);
        let range = |name: &str, low, high| (name.to_owned(), Range { low, high });
        let mut ranges: BTreeMap<String, Range> = [
            range("image", -1.28, 1.27),
            range("conv", 0.0, 2.0),
            range("pool", 0.5, 2.0),
            range("enlarge", 0.5, 2.0),
            range("join", 0.0, 2.55),
        ]
        .into();
        let quantization = Quantization::new(&network, &ranges).unwrap();
        for tensor in ["conv", "pool", "enlarge", "join"] {
            assert_eq!(
                quantization.of(tensor).unwrap(),
                Parameters {
                    scale: 0.01,
                    zero_point: 0
                },
                "{tensor}"
            );
        }
        assert_eq!(quantization.of("image").unwrap().zero_point, 128);

        ranges.remove("pool");
        let refused = Quantization::new(&network, &ranges).unwrap_err();
        assert!(matches!(refused, ExportError::Unmeasured { tensor } if tensor == "pool"));
    }

    proptest! {
        #[test]
        fn every_value_in_range_comes_back_within_a_step(
            low in -50.0f32..50.0, width in 0.01f32..50.0, share in 0.0f32..=1.0,
        ) {
            let parameters = Range { low, high: low + width }.parameters();
            let value = low + share * width;
            let step = (value / parameters.scale).round() + f32::from(parameters.zero_point);
            let back = parameters.scale * (step.clamp(0.0, 255.0) - f32::from(parameters.zero_point));
            prop_assert!((back - value).abs() <= parameters.scale * 1.01, "{value} became {back}");
        }
    }
}
