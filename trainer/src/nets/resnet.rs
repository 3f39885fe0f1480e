//! ResNet-18 (He 2016): whole, as Kaba 2025 takes it, and its first two stages with ROI-Align, the slice
//! encoder of Liu 2023 ("Image classification network"). Weight names are torchvision's, so that its state
//! dicts fit.

use tch::nn::{self, Module, Path};
use tch::{Kind, Tensor};

use super::roi_align::roi_align;
use super::{ConvNorm, linear, single};

/// Channels after each stage.
const WIDTHS: [i64; 4] = [64, 128, 256, 512];
/// Stages of the slice encoder (Liu 2023: "the first two layers of Resnet18").
const ENCODER_STAGES: usize = 2;
/// Length of the feature vector of one slice in one contrast.
pub const FEATURES: i64 = WIDTHS[ENCODER_STAGES - 1];
/// Input pixels per feature pixel of the slice encoder.
pub const STRIDE: f64 = 8.0;
/// Bins of ROI-Align along each axis.
pub const BINS: i64 = 7;
/// Liu 2023: "we also used p = 0.5 to perform a dropout operation on the fully connected layer".
pub const DROPOUT: f64 = 0.5;

/// conv1 and the first stages.
#[derive(Debug)]
struct Trunk {
    stem: ConvNorm,
    blocks: Vec<BasicBlock>,
}

impl Trunk {
    fn new(vs: &Path, channels: i64, stages: usize) -> Self {
        let stem = ConvNorm::new(vs.sub("conv1"), vs.sub("bn1"), channels, WIDTHS[0], 7, 2);
        let mut blocks = Vec::with_capacity(2 * stages);
        let mut input = WIDTHS[0];
        for (stage, width) in WIDTHS.into_iter().take(stages).enumerate() {
            let layer = vs.sub(format!("layer{}", stage + 1));
            let stride = if stage == 0 { 1 } else { 2 };
            blocks.push(BasicBlock::new(layer.sub(0), input, width, stride));
            blocks.push(BasicBlock::new(layer.sub(1), width, width, 1));
            input = width;
        }
        Self { stem, blocks }
    }

    fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let x = self
            .stem
            .forward(images, train)
            .relu()
            .max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        self.blocks.iter().fold(x, |x, block| block.forward(&x, train))
    }
}

/// conv1 … layer2 of ResNet-18, ROI-Align 7×7, mean, and the stage-one classifier.
#[derive(Debug)]
pub struct SliceEncoder {
    trunk: Trunk,
    fc: nn::Linear,
}

/// ResNet-18 with a classifier of its own (Kaba 2025).
#[derive(Debug)]
pub struct ResNet18 {
    trunk: Trunk,
    fc: nn::Linear,
}

/// Two 3×3 convolutions with a shortcut.
#[derive(Debug)]
struct BasicBlock {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(vs: Path, input: i64, output: i64, stride: i64) -> Self {
        let shortcut = (stride != 1 || input != output).then(|| {
            let at = vs.sub("downsample");
            ConvNorm::new(at.sub(0), at.sub(1), input, output, 1, stride)
        });
        Self {
            first: ConvNorm::new(vs.sub("conv1"), vs.sub("bn1"), input, output, 3, stride),
            second: ConvNorm::new(vs.sub("conv2"), vs.sub("bn2"), output, output, 3, 1),
            shortcut,
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let y = self.first.forward(x, train).relu();
        let y = self.second.forward(&y, train);
        let x = self
            .shortcut
            .as_ref()
            .map_or_else(|| x.shallow_clone(), |s| s.forward(x, train));
        (y + x).relu()
    }
}

impl SliceEncoder {
    /// Weights below `vs`; one grey channel, or three contrasts as the channels of one picture (Liu's early
    /// fusion).
    pub fn new(vs: Path, channels: i64, classes: i64) -> Self {
        Self {
            trunk: Trunk::new(&vs, channels, ENCODER_STAGES),
            fc: linear(vs.sub("fc"), FEATURES, classes),
        }
    }

    /// The feature map (N, 128, H/8, W/8) of crops (N, channels, H, W), in the precision of the input.
    pub fn map(&self, images: &Tensor, train: bool) -> Tensor {
        self.trunk.forward(images, train)
    }

    /// Features (N, 128) of crops (N, channels, H, W) under boxes (N, 4) in crop pixels, single precision.
    pub fn features(&self, images: &Tensor, boxes: &Tensor, train: bool) -> Tensor {
        let map = single(&self.map(images, train));
        roi_align(&map, boxes, STRIDE, BINS).mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    }

    /// Class logits (N, classes) of features, for the first training stage.
    pub fn classify(&self, features: &Tensor, train: bool) -> Tensor {
        self.fc.forward(&features.dropout(DROPOUT, train))
    }
}

impl ResNet18 {
    /// Weights below `vs`.
    pub fn new(vs: Path, channels: i64, classes: i64) -> Self {
        Self {
            trunk: Trunk::new(&vs, channels, WIDTHS.len()),
            fc: linear(vs.sub("fc"), WIDTHS[WIDTHS.len() - 1], classes),
        }
    }

    /// Class logits (N, classes) of pictures (N, channels, H, W), single precision.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let map = single(&self.trunk.forward(images, train));
        self.fc
            .forward(&map.mean_dim([2i64, 3].as_slice(), false, Kind::Float))
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;
    use tch::nn::VarStore;

    use super::*;

    #[test]
    fn shapes_and_the_weights_of_half_a_resnet18() {
        let vs = VarStore::new(Device::Cpu);
        let net = SliceEncoder::new(vs.root(), 1, 4);
        let images = Tensor::randn([3, 1, 128, 128], (Kind::Float, Device::Cpu));
        let boxes = Tensor::from_slice(&[30.0f32, 40.0, 80.0, 90.0])
            .view([1, 4])
            .repeat([3, 1]);
        assert_eq!(net.map(&images, true).size(), [3, 128, 16, 16]);
        let features = net.features(&images, &boxes, true);
        assert_eq!(features.size(), [3, 128]);
        assert_eq!(net.classify(&features, true).size(), [3, 4]);

        // torchvision's resnet18 has 683_072 weights up to layer2; one grey channel instead of three
        // saves 2·64·49 of them.
        let trunk: i64 = vs
            .variables()
            .iter()
            .filter(|(name, _)| !name.starts_with("fc") && !name.contains("running"))
            .map(|(_, t)| t.numel() as i64)
            .sum();
        assert_eq!(trunk, 683_072 - 2 * 64 * 49);
        assert!(vs.variables().contains_key("layer2.0.downsample.1.running_mean"));
    }

    /// torchvision's resnet18 has 11 689 512 weights with 1000 classes.
    #[test]
    fn the_weights_of_a_whole_resnet18() {
        let vs = VarStore::new(Device::Cpu);
        let net = ResNet18::new(vs.root(), 3, 1000);
        let images = Tensor::randn([2, 3, 64, 64], (Kind::Float, Device::Cpu));
        assert_eq!(net.forward(&images, true).size(), [2, 1000]);
        let counted: i64 = vs.trainable_variables().iter().map(|t| t.numel() as i64).sum();
        assert_eq!(counted, 11_689_512);
    }
}
