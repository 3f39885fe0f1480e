//! The slice encoders of all contrasts (Liu 2023, first stage), fitted together.
//!
//! Liu fits each encoder alone. What tells two tumours apart is often the relation between contrasts, so
//! here a layer on the spliced features of all of them is fitted at the same time; it is dropped
//! afterwards (docs/decisions/0004-encoders-together.md).

use tch::nn::{self, Module, Path};
use tch::{Kind, Reduction, Tensor};

use super::resnet::{DROPOUT, FEATURES, SliceEncoder};
use super::{CLASSES, channels_last, linear};

/// One encoder per contrast.
#[derive(Debug)]
pub struct Encoders {
    /// In the order of the reader's contrasts: `<contrast>.*`.
    pub each: Vec<SliceEncoder>,
    /// `together.fc`; only for fitting.
    together: nn::Linear,
}

impl Encoders {
    /// Weights below `vs`, one encoder for each name.
    pub fn new(vs: Path, names: &[String]) -> Self {
        Self {
            each: names
                .iter()
                .map(|name| SliceEncoder::new(vs.sub(name), 1, CLASSES.len() as i64))
                .collect(),
            together: linear(
                vs.sub("together").sub("fc"),
                names.len() as i64 * FEATURES,
                CLASSES.len() as i64,
            ),
        }
    }

    /// Features (N, contrasts × 128) of crops (N, contrasts, H, W) under boxes (N, 4), spliced in the
    /// order of the contrasts; single precision.
    pub fn spliced(&self, images: &Tensor, boxes: &Tensor) -> Tensor {
        Tensor::cat(&self.features(images, boxes, false), 1)
    }

    fn features(&self, images: &Tensor, boxes: &Tensor, train: bool) -> Vec<Tensor> {
        let of = |(c, encoder): (usize, &SliceEncoder)| {
            encoder.features(&channels_last(&images.narrow(1, c as i64, 1)), boxes, train)
        };
        self.each.iter().enumerate().map(of).collect()
    }

    /// Class logits (N, 4) of the spliced features.
    pub fn classify(&self, images: &Tensor, boxes: &Tensor) -> Tensor {
        self.together.forward(&self.spliced(images, boxes))
    }

    /// What fitting makes small: the cross-entropy of the spliced features, plus the mean over contrasts
    /// of each alone (Liu's own first stage), without which a weak contrast would leave its work to the
    /// strong ones.
    pub fn loss(&self, images: &Tensor, boxes: &Tensor, classes: &Tensor) -> Tensor {
        let entropy =
            |logits: Tensor| logits.cross_entropy_loss(classes, None::<Tensor>, Reduction::Mean, -100, 0.0);
        let features = self.features(images, boxes, true);
        let alone = self
            .each
            .iter()
            .zip(&features)
            .map(|(encoder, f)| entropy(encoder.classify(f, true)))
            .collect::<Vec<_>>();
        let spliced = Tensor::cat(&features, 1).dropout(DROPOUT, true);
        entropy(self.together.forward(&spliced)) + Tensor::stack(&alone, 0).mean(Kind::Float)
    }
}
