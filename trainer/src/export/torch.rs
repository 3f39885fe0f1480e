//! The networks as they were trained, behind the same trait as the engines that run their files.

use ndarray::ArrayD;
use tch::{Tensor, no_grad};

use super::ExportError;
use super::engine::{Engine, Tensors};
use super::weights::array;
use crate::nets::Stored;
use crate::nets::resnet::SliceEncoder;
use crate::nets::transformer::Reader;
use crate::nets::unet::UNet;

/// One of the trained networks, as an [`Engine`].
#[derive(Debug, Clone, Copy)]
pub enum Torch<'a> {
    /// `image` → `tumour`.
    Locator(&'a UNet),
    /// `image`, `box` → `feature`.
    Encoder(&'a SliceEncoder),
    /// `features`, `mask` → `logits`.
    Reader(&'a [Stored<Reader>]),
}

impl Engine for Torch<'_> {
    fn name(&self) -> &'static str {
        "torch"
    }

    fn run(&mut self, inputs: &Tensors) -> Result<Tensors, ExportError> {
        let input = |name: &str| match inputs.get(name) {
            Some(values) => Ok(tensor(values)),
            None => Err(ExportError::Engine {
                engine: "torch",
                reason: format!("input {name} is missing"),
            }),
        };
        let (name, answer) = match self {
            Self::Locator(net) => {
                let image = input("image")?;
                ("tumour", no_grad(|| net.forward(&image, false).sigmoid()))
            }
            Self::Encoder(net) => {
                let (image, region) = (input("image")?, input("box")?);
                ("feature", no_grad(|| net.features(&image, &region, false)))
            }
            Self::Reader(members) => {
                let (features, mask) = (input("features")?.unsqueeze(0), input("mask")?.unsqueeze(0));
                let logits =
                    |member: &Stored<Reader>| no_grad(|| member.net.forward(&features, &mask, false));
                (
                    "logits",
                    Tensor::cat(&members.iter().map(logits).collect::<Vec<_>>(), 0),
                )
            }
        };
        let answer = array(&answer).map_err(|error| ExportError::Engine {
            engine: "torch",
            reason: error.to_string(),
        })?;
        Ok(Tensors::from([(name.to_owned(), answer)]))
    }
}

/// Copies an array into libtorch.
pub fn tensor(values: &ArrayD<f32>) -> Tensor {
    let shape: Vec<i64> = values.shape().iter().map(|&length| length as i64).collect();
    let elements: Vec<f32> = values.iter().copied().collect();
    Tensor::from_slice(&elements).view(shape.as_slice())
}
