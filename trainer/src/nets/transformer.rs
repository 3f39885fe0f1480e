//! One Transformer encoder layer (Vaswani 2017) over the slices of a lesion, and the two networks that stand on
//! it: Liu 2023's "Sequence classification network" and the reader of the appliance.

use tch::nn::{self, Module, Path};
use tch::{Kind, Tensor};

use super::resnet::{DROPOUT, FEATURES};
use super::{CLASSES, linear};

/// Width of the reader's encoder layer.
const WIDTH: i64 = 128;
/// Liu 2023: one layer and four heads "by cross-validation".
const HEADS: i64 = 4;
/// The feed-forward part is so many times as wide as the layer.
const FEED_FORWARD: i64 = 2;
/// Dropout inside the layer (Vaswani 2017).
const LAYER_DROPOUT: f64 = 0.1;
/// Added to the attention scores and pooled features of slices that are not there; finite, so that
/// integer runtimes can hold it.
pub const ABSENT: f64 = -1e4;

/// Attention, feed-forward part, and a norm after each.
#[derive(Debug)]
struct EncoderLayer {
    width: i64,
    query: nn::Linear,
    key: nn::Linear,
    value: nn::Linear,
    out: nn::Linear,
    norm1: nn::LayerNorm,
    ff1: nn::Linear,
    ff2: nn::Linear,
    norm2: nn::LayerNorm,
}

impl EncoderLayer {
    /// Weights below `vs`; `width` is divisible by the number of heads.
    fn new(vs: &Path, width: i64) -> Self {
        let attention = vs.sub("attention");
        let project = |name: &str| linear(attention.sub(name), width, width);
        let norm = |name: &str| nn::layer_norm(vs.sub(name), vec![width], Default::default());
        Self {
            width,
            query: project("query"),
            key: project("key"),
            value: project("value"),
            out: project("out"),
            norm1: norm("norm1"),
            ff1: linear(vs.sub("ff1"), width, FEED_FORWARD * width),
            ff2: linear(vs.sub("ff2"), FEED_FORWARD * width, width),
            norm2: norm("norm2"),
        }
    }

    /// The strongest value of each feature (N, width) among the slices that are there, after the layer; tokens
    /// (N, S, width), `mask` (N, S) as [`Reader::forward`] takes it.
    fn pooled(&self, tokens: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let absent = (1.0 - mask) * ABSENT;
        let attended = self.attend(tokens, &absent, train).dropout(LAYER_DROPOUT, train);
        let x = self.norm1.forward(&(tokens + attended));
        let inner = self.ff1.forward(&x).relu().dropout(LAYER_DROPOUT, train);
        let inner = self.ff2.forward(&inner).dropout(LAYER_DROPOUT, train);
        let x = self.norm2.forward(&(x + inner));
        (x * mask.unsqueeze(2) + absent.unsqueeze(2)).amax([1i64].as_slice(), false)
    }

    /// Scaled dot-product attention of every slice to every slice that is there.
    fn attend(&self, x: &Tensor, absent: &Tensor, train: bool) -> Tensor {
        let size = x.size();
        let (batch, length, width) = (size[0], size[1], self.width / HEADS);
        let heads = |t: Tensor| t.view([batch, length, HEADS, width]).transpose(1, 2);
        let (q, k, v) = (
            heads(self.query.forward(x)),
            heads(self.key.forward(x)),
            heads(self.value.forward(x)),
        );
        let scores = q.matmul(&k.transpose(2, 3)) / (width as f64).sqrt();
        let weights = (scores + absent.view([batch, 1, 1, length])).softmax(-1, Kind::Float);
        let mixed = weights.dropout(LAYER_DROPOUT, train).matmul(&v);
        self.out
            .forward(&mixed.transpose(1, 2).reshape([batch, length, self.width]))
    }
}

/// The appliance's: spliced slice features are narrowed to one width before the layer, which keeps it small
/// however many contrasts there are.
#[derive(Debug)]
pub struct Reader {
    splice: nn::Linear,
    layer: EncoderLayer,
    fc: nn::Linear,
}

impl Reader {
    /// Weights below `vs`, for features spliced from `contrasts` encoders.
    pub fn new(vs: Path, contrasts: i64) -> Self {
        Self {
            splice: linear(vs.sub("splice"), contrasts * FEATURES, WIDTH),
            layer: EncoderLayer::new(&vs, WIDTH),
            fc: linear(vs.sub("fc"), WIDTH, CLASSES.len() as i64),
        }
    }

    /// Spliced slice features (N, S, contrasts × 128) to logits (N, 4). `mask` (N, S) is 1 where a slice is there
    /// and 0 where the sequence is padded.
    pub fn forward(&self, features: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let pooled = self.layer.pooled(&self.splice.forward(features), mask, train);
        self.fc.forward(&pooled.dropout(DROPOUT, train))
    }
}

/// Liu 2023's: the tokens are the fused features themselves.
#[derive(Debug)]
pub struct SequenceNetwork {
    layer: EncoderLayer,
    fc: nn::Linear,
}

impl SequenceNetwork {
    /// Weights below `vs`, for tokens of `width` features.
    pub fn new(vs: Path, width: i64, classes: i64) -> Self {
        Self {
            layer: EncoderLayer::new(&vs, width),
            fc: linear(vs.sub("fc"), width, classes),
        }
    }

    /// Tokens (N, S, width) with their `mask` (N, S) to logits (N, classes).
    pub fn forward(&self, tokens: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let pooled = self.layer.pooled(tokens, mask, train);
        self.fc.forward(&pooled.dropout(DROPOUT, train))
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;
    use tch::nn::VarStore;

    use super::*;

    #[test]
    fn padding_and_slice_order_change_nothing() {
        tch::manual_seed(3);
        let vs = VarStore::new(Device::Cpu);
        let reader = Reader::new(vs.root(), 3);
        let features = Tensor::randn([1, 5, 384], (Kind::Float, Device::Cpu));
        let mask = Tensor::ones([1, 5], (Kind::Float, Device::Cpu));
        let logits = reader.forward(&features, &mask, false);
        assert_eq!(logits.size(), [1, 4]);

        let noise = Tensor::randn([1, 11, 384], (Kind::Float, Device::Cpu)) * 10.0;
        let padded = Tensor::cat(&[features.flip([1]), noise], 1);
        let padded_mask = Tensor::cat(&[mask, Tensor::zeros([1, 11], (Kind::Float, Device::Cpu))], 1);
        let again = reader.forward(&padded, &padded_mask, false);
        let difference = (logits - again).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn weights_by_arithmetic() {
        let vs = VarStore::new(Device::Cpu);
        let _reader = Reader::new(vs.root().sub("reader").sub(0), 3);
        let dense = |i: i64, o: i64| i * o + o;
        let expected = dense(384, 128)
            + 4 * dense(128, 128)
            + dense(128, 256)
            + dense(256, 128)
            + 2 * 2 * 128
            + dense(128, 4);
        let counted: i64 = vs.trainable_variables().iter().map(|t| t.numel() as i64).sum();
        assert_eq!(counted, expected);
        assert!(vs.variables().contains_key("reader.0.attention.query.weight"));
    }
}
