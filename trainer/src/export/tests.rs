//! The whole way on random weights: description → files → engines, against torch.
#![allow(clippy::unwrap_used)]

use models::mr::Contrast;
use models::recipe::Recipe;

use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Reduction, Tensor};

use super::engine::{Engine, OnnxRuntime, Tensors, TractSession};
use super::lower::{Outputs, f32_file, int8_file};
use super::network::{Network, Op, Port, RoiAlign};
use super::parity::{Verified, verify};
use super::quantize::Quantization;
use super::torch::Torch;
use super::weights::{Weights, array};
use super::{ExportError, architecture, calibrate};
use crate::nets::resnet::SliceEncoder;
use crate::nets::roi_align::roi_align;
use crate::nets::unet::UNet;
use crate::nets::{Networks, Stored};

const MEMBERS: usize = 8;

/// Freshly initialised networks.
fn networks(seed: i64) -> Networks {
    tch::manual_seed(seed);
    Networks::new(&Recipe::default(), MEMBERS, Device::Cpu)
}

/// Lets the batch normalisations of an encoder see data.
fn warm(encoder: &SliceEncoder) {
    tch::no_grad(|| (0..10).for_each(|_| drop(encoder.map(&noise(&[4, 1, 128, 128]), true))));
}

/// Teaches the locator to find the bright parts of one channel. A random U-Net is no fair test of
/// quantization: it amplifies each rounding, where one that learnt something damps it.
fn teach(locator: &Stored<UNet>) {
    let mut adam = nn::Adam::default().build(&locator.store, 3e-3).unwrap();
    for _ in 0..40 {
        let image = noise(&[4, 9, 128, 128]);
        let bright = image.narrow(1, 4, 1).gt(1.0).to_kind(Kind::Float);
        let logits = locator.net.forward(&image, true);
        let loss = logits.binary_cross_entropy_with_logits::<Tensor>(&bright, None, None, Reduction::Mean);
        adam.backward_step(&loss);
    }
}

/// The weights as they come out of the file of a run.
fn weights(trained: &Networks) -> Weights {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weights.safetensors");
    trained.save(&file).unwrap();
    Weights::read(&file).unwrap()
}

/// Smooth noise, which spreads over scales as images do.
fn noise(shape: &[i64]) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    let coarse = Tensor::randn([shape[0], shape[1], 16, 16], options);
    coarse.upsample_bilinear2d([shape[2], shape[3]], false, None, None) + 0.2 * Tensor::randn(shape, options)
}

fn tensors(parts: &[(&str, Tensor)]) -> Tensors {
    parts
        .iter()
        .map(|(name, tensor)| ((*name).to_owned(), array(tensor).unwrap()))
        .collect()
}

fn locator_samples(count: usize) -> Vec<Tensors> {
    (0..count)
        .map(|_| tensors(&[("image", noise(&[1, 9, 128, 128]))]))
        .collect()
}

fn encoder_samples(count: usize) -> Vec<Tensors> {
    let corners = |n: usize| Tensor::from_slice(&[20.0 + n as f32, 31.0, 77.5, 90.25]).view([1, 4]);
    (0..count)
        .map(|n| tensors(&[("image", noise(&[1, 1, 128, 128])), ("box", corners(n))]))
        .collect()
}

fn reader_samples(count: usize) -> Vec<Tensors> {
    let options = (Kind::Float, Device::Cpu);
    (0..count)
        .map(|n| {
            let slices = 1 + (n as i64 * 5) % 16;
            let mask = Tensor::cat(
                &[
                    Tensor::ones([slices], options),
                    Tensor::zeros([16 - slices], options),
                ],
                0,
            );
            let features = Tensor::randn([16, 384], options).relu() * mask.unsqueeze(1);
            tensors(&[("features", features), ("mask", mask)])
        })
        .collect()
}

/// All three engines on the f32 and the int8 file.
fn check(
    network: &Network,
    mut torch: Torch,
    calibration: &[Tensors],
    held_out: &[Tensors],
) -> Result<Verified, ExportError> {
    let runtime = OnnxRuntime::from_environment()?;
    let ranges = calibrate::ranges(network, calibration, &runtime)?;
    let int8 = int8_file(network, &Quantization::new(network, &ranges)?)?;
    let files = (f32_file(network, Outputs::Answer)?, int8);
    verify(network, &mut torch, &runtime, files, held_out)
}

#[test]
fn locator_agrees_in_three_engines() {
    let trained = networks(1);
    teach(&trained.locator);
    let network = architecture::locator(&weights(&trained), &Recipe::default()).unwrap();
    check(
        &network,
        Torch::Locator(&trained.locator.net),
        &locator_samples(8),
        &locator_samples(4),
    )
    .unwrap();
}

#[test]
fn encoder_agrees_in_three_engines() {
    let trained = networks(2);
    warm(&trained.encoders.net.each[1]);
    let network = architecture::encoder(&weights(&trained), &Recipe::default(), Contrast::CeT1).unwrap();
    check(
        &network,
        Torch::Encoder(&trained.encoders.net.each[1]),
        &encoder_samples(8),
        &encoder_samples(6),
    )
    .unwrap();
}

#[test]
fn reader_agrees_in_three_engines() {
    let trained = networks(3);
    let network = architecture::reader(&weights(&trained), &Recipe::default(), MEMBERS).unwrap();
    check(
        &network,
        Torch::Reader(&trained.members),
        &reader_samples(32),
        &reader_samples(20),
    )
    .unwrap();
}

#[test]
fn a_damaged_weight_stops_the_export() {
    let trained = networks(4);
    let mut damaged = weights(&trained);
    let weight = damaged.get_mut("encoder.dwi.layer2.0.conv1.weight").unwrap();
    weight.iter_mut().take(9).for_each(|value| *value += 1.0);
    let network = architecture::encoder(&damaged, &Recipe::default(), Contrast::Dwi).unwrap();
    let torch = Torch::Encoder(&trained.encoders.net.each[2]);
    let refused = check(&network, torch, &encoder_samples(2), &encoder_samples(2)).unwrap_err();
    assert!(
        matches!(&refused, ExportError::Disagreement { network, .. } if network == "encoder-dwi"),
        "{refused}"
    );
}

#[test]
fn roi_align_agrees_with_torch_inside_and_beyond_the_border() {
    tch::manual_seed(5);
    let inputs = vec![
        Port {
            name: "map",
            shape: vec![1, 5, 16, 16],
        },
        Port {
            name: "box",
            shape: vec![1, 4],
        },
    ];
    let output = Port {
        name: "region",
        shape: vec![1, 5, 7, 7],
    };
    let mut network = Network::new("roi_align", inputs, output);
    let roi = RoiAlign {
        bins: 7,
        samples: 2,
        grid: 16,
        stride: 8,
    };
    network.layer("region", &["map", "box"], Op::RoiAlign(roi));
    let file = f32_file(&network, Outputs::Answer).unwrap();
    let mut onnx = OnnxRuntime::from_environment().unwrap().load(&file).unwrap();
    let mut tract = TractSession::load(&file).unwrap();
    for corners in [
        [20.0f32, 31.5, 90.25, 77.0],
        [-9.0, 3.0, 140.0, 12.0],
        [64.0, 64.0, 65.0, 65.0],
    ] {
        let map = Tensor::randn([1, 5, 16, 16], (Kind::Float, Device::Cpu));
        let region = Tensor::from_slice(&corners).view([1, 4]);
        let expected = array(&roi_align(&map, &region, 8.0, 7)).unwrap();
        let inputs = tensors(&[("map", map), ("box", region)]);
        for engine in [&mut onnx as &mut dyn Engine, &mut tract] {
            let found = engine.run(&inputs).unwrap().remove("region").unwrap();
            let worst = (&found - &expected)
                .iter()
                .fold(0.0f32, |worst, value| worst.max(value.abs()));
            assert!(
                worst < 1e-5,
                "{} differs by {worst} for {corners:?}",
                engine.name()
            );
        }
    }
}

#[test]
fn a_run_of_another_architecture_is_refused_by_name() {
    let weights = weights(&networks(6));
    let mut recipe = Recipe::default();
    recipe.locator.neighbours = 0;
    let refused = architecture::locator(&weights, &recipe).unwrap_err();
    assert!(
        matches!(&refused, ExportError::WrongShape { name, .. } if name == "locator.down0.0.conv.weight"),
        "{refused}"
    );
    let refused = architecture::reader(&weights, &Recipe::default(), MEMBERS + 1).unwrap_err();
    assert!(
        matches!(&refused, ExportError::MissingWeight { name } if name == "reader.8.splice.weight"),
        "{refused}"
    );
}
