//! The slice encoder: the first two stages of ResNet-18 (He 2016) and ROI-Align (Liu 2023, "Image
//! classification network"). Weight names are torchvision's, so that its state dicts fit.

use tch::nn::{self, Module, Path};
use tch::{Kind, Tensor};

use super::roi_align::roi_align;
use super::{CLASSES, ConvNorm, linear, single};

/// Length of the feature vector of one slice in one contrast.
pub const FEATURES: i64 = 128;
/// Input pixels per feature pixel.
pub const STRIDE: f64 = 8.0;
/// Bins of ROI-Align along each axis.
pub const BINS: i64 = 7;
/// Liu 2023: "we also used p = 0.5 to perform a dropout operation on the fully connected layer".
pub const DROPOUT: f64 = 0.5;

/// conv1 … layer2 of ResNet-18 for one grey channel, ROI-Align 7×7, mean, and the stage-one classifier.
#[derive(Debug)]
pub struct SliceEncoder {
    stem: ConvNorm,
    blocks: [BasicBlock; 4],
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
    /// Weights below `vs`.
    pub fn new(vs: Path) -> Self {
        let (layer1, layer2) = (vs.sub("layer1"), vs.sub("layer2"));
        Self {
            stem: ConvNorm::new(vs.sub("conv1"), vs.sub("bn1"), 1, 64, 7, 2),
            blocks: [
                BasicBlock::new(layer1.sub(0), 64, 64, 1),
                BasicBlock::new(layer1.sub(1), 64, 64, 1),
                BasicBlock::new(layer2.sub(0), 64, FEATURES, 2),
                BasicBlock::new(layer2.sub(1), FEATURES, FEATURES, 1),
            ],
            fc: linear(vs.sub("fc"), FEATURES, CLASSES.len() as i64),
        }
    }

    /// The feature map (N, 128, H/8, W/8) of crops (N, 1, H, W), in the precision of the input.
    pub fn map(&self, images: &Tensor, train: bool) -> Tensor {
        let x = self
            .stem
            .forward(images, train)
            .relu()
            .max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        self.blocks.iter().fold(x, |x, block| block.forward(&x, train))
    }

    /// Features (N, 128) of crops (N, 1, H, W) under boxes (N, 4) in crop pixels, single precision.
    pub fn features(&self, images: &Tensor, boxes: &Tensor, train: bool) -> Tensor {
        let map = single(&self.map(images, train));
        roi_align(&map, boxes, STRIDE, BINS).mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    }

    /// Class logits (N, 4) of features, for the first training stage.
    pub fn classify(&self, features: &Tensor, train: bool) -> Tensor {
        self.fc.forward(&features.dropout(DROPOUT, train))
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
        let net = SliceEncoder::new(vs.root());
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
}
