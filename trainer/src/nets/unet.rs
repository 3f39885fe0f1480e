//! A small U-Net (Ronneberger 2015) over one slice with its neighbours: the locator, with one output, and Chang
//! 2021's network that segments and classifies in one pass, with one output for each class and one for none.

use tch::Tensor;
use tch::nn::{self, Path};

use super::{ConvNorm, single};

/// Channels of the encoder from fine to coarse.
const WIDTHS: [i64; 3] = [16, 32, 64];
/// Channels at the bottom.
const MIDDLE: i64 = 96;

/// (N, contrasts × slices, H, W) to the logits of each pixel; H and W divisible by 8.
#[derive(Debug)]
pub struct UNet {
    down: [Block; 3],
    middle: Block,
    up: [Block; 3],
    head: nn::Conv2D,
}

/// Two 3×3 convolutions, each with batch normalisation and ReLU.
#[derive(Debug)]
struct Block([ConvNorm; 2]);

impl Block {
    fn new(vs: Path, input: i64, output: i64) -> Self {
        let layer = |n: i64, input| {
            let at = vs.sub(n);
            ConvNorm::new(at.sub("conv"), at.sub("bn"), input, output, 3, 1)
        };
        Self([layer(0, input), layer(1, output)])
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = self.0[0].forward(x, train).relu();
        self.0[1].forward(&x, train).relu()
    }
}

impl UNet {
    /// `channels` of the input: contrasts × slices seen at once; `outputs` for each pixel.
    pub fn new(vs: Path, channels: i64, outputs: i64) -> Self {
        let [fine, mid, coarse] = WIDTHS;
        let head = nn::ConvConfig {
            ws_init: nn::Init::Randn {
                mean: 0.0,
                stdev: 0.1,
            },
            ..Default::default()
        };
        Self {
            down: [
                Block::new(vs.sub("down0"), channels, fine),
                Block::new(vs.sub("down1"), fine, mid),
                Block::new(vs.sub("down2"), mid, coarse),
            ],
            middle: Block::new(vs.sub("middle"), coarse, MIDDLE),
            up: [
                Block::new(vs.sub("up0"), coarse + MIDDLE, coarse),
                Block::new(vs.sub("up1"), mid + coarse, mid),
                Block::new(vs.sub("up2"), fine + mid, fine),
            ],
            head: nn::conv2d(vs.sub("head"), fine, outputs, 1, head),
        }
    }

    /// Logits (N, outputs, H, W) in single precision.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let mut skips = Vec::with_capacity(self.down.len());
        let mut x = x.shallow_clone();
        for block in &self.down {
            let skip = block.forward(&x, train);
            x = skip.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
            skips.push(skip);
        }
        x = self.middle.forward(&x, train);
        for (block, skip) in self.up.iter().zip(skips.iter().rev()) {
            let size = skip.size();
            let raised = x.upsample_nearest2d([size[2], size[3]], None, None);
            x = block.forward(&Tensor::cat(&[skip, &raised], 1), train);
        }
        single(&x).conv2d(&self.head.ws, self.head.bs.as_ref(), [1, 1], [0, 0], [1, 1], 1)
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::VarStore;
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn one_logit_per_pixel_and_weights_by_arithmetic() {
        let vs = VarStore::new(Device::Cpu);
        let net = UNet::new(vs.root().sub("locator"), 9, 1);
        let y = net.forward(&Tensor::randn([2, 9, 64, 64], (Kind::Float, Device::Cpu)), true);
        assert_eq!(y.size(), [2, 1, 64, 64]);

        // Per block: 9·(in·out + out·out) weights and 2·2·out scales and shifts.
        let block = |i: i64, o: i64| 9 * (i * o + o * o) + 4 * o;
        let expected = block(9, 16)
            + block(16, 32)
            + block(32, 64)
            + block(64, 96)
            + block(160, 64)
            + block(96, 32)
            + block(48, 16)
            + 17;
        let counted: i64 = vs.trainable_variables().iter().map(|t| t.numel() as i64).sum();
        assert_eq!(counted, expected);
        assert!(vs.variables().contains_key("locator.up0.1.bn.running_var"));
    }
}
