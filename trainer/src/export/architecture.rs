//! The networks of the package, described from their trained weights.
//!
//! Names and shapes are those of [`crate::nets`]; a weight that is missing or of another shape stops
//! the export, and [`super::parity`] stops it when the two descriptions compute different things.

use models::mr::Contrast;
use models::recipe::Recipe;

use super::ExportError;
use super::network::{Conv, LayerNorm, Linear, Network, Op, Port, Precision, RoiAlign};
use super::weights::{EPSILON, Weights};
use crate::nets::CLASSES;
use crate::nets::resnet::{BINS, FEATURES, STRIDE};
use crate::nets::roi_align::SAMPLES;

/// Channels of the U-Net from the finest level to the bottom.
const LOCATOR_WIDTHS: [usize; 4] = [16, 32, 64, 96];
/// Channels of the first stage of the truncated ResNet-18; the second has one per feature.
const STEM: usize = 64;
/// Width of a token of the Transformer.
const TOKEN: usize = 128;
/// Attention heads.
const HEADS: usize = 4;
/// Width between the two layers of the feed-forward part.
const FEED_FORWARD: usize = 256;

/// The locator, a small U-Net: `image` [1, contrasts × slices, rows, columns] → `tumour`
/// [1, 1, rows, columns], the probability of each pixel.
///
/// # Errors
/// A weight is missing or has another shape.
pub fn locator(weights: &Weights, recipe: &Recipe) -> Result<Network, ExportError> {
    let recipe = &recipe.locator;
    let mut channels = recipe.contrasts.len() * (2 * recipe.neighbours + 1);
    let input = Port {
        name: "image",
        shape: vec![1, channels, recipe.size, recipe.size],
    };
    let output = Port {
        name: "tumour",
        shape: vec![1, 1, recipe.size, recipe.size],
    };
    let mut net = Network::new("locator", vec![input], output);
    let [levels @ .., bottom] = LOCATOR_WIDTHS;

    let mut x = "image".to_owned();
    let mut skips = Vec::new();
    for (level, width) in levels.into_iter().enumerate() {
        let block = Block::new(format!("down{level}"), channels, width);
        let skip = block.add(&mut net, weights, &x)?;
        let pool = Op::MaxPool {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        x = net.layer(format!("locator.pool{level}"), &[&skip], pool);
        channels = width;
        skips.push((skip, width));
    }
    x = Block::new("middle".to_owned(), channels, bottom).add(&mut net, weights, &x)?;
    channels = bottom;
    for (step, (skip, width)) in skips.into_iter().rev().enumerate() {
        let enlarged = net.layer(format!("locator.enlarge{step}"), &[&x], Op::Upsample);
        let joined = net.layer(format!("locator.join{step}"), &[&skip, &enlarged], Op::Concat);
        x = Block::new(format!("up{step}"), width + channels, width).add(&mut net, weights, &joined)?;
        channels = width;
    }
    let head = Conv {
        weight: weights.get("locator.head.weight", &[1, channels, 1, 1])?.clone(),
        bias: weights.vector("locator.head.bias", 1)?,
        stride: 1,
        padding: 0,
        relu: false,
        precision: Precision::F32,
    };
    let logit = net.layer("locator.head", &[&x], Op::Conv(head));
    net.layer("tumour", &[&logit], Op::Sigmoid);
    Ok(net)
}

/// Two 3 × 3 convolutions of the U-Net, each with batch normalisation and ReLU.
struct Block {
    name: String,
    from: usize,
    to: usize,
}

impl Block {
    fn new(name: String, from: usize, to: usize) -> Self {
        Self { name, from, to }
    }

    fn add(self, net: &mut Network, weights: &Weights, input: &str) -> Result<String, ExportError> {
        // The finest level holds a thirtieth of the weights, and half of what quantization costs in
        // accuracy; tract is no slower there in f32.
        let [finest, ..] = LOCATOR_WIDTHS;
        let precision = if self.to == finest {
            Precision::F32
        } else {
            Precision::Int8
        };
        let mut x = input.to_owned();
        for (step, from) in [self.from, self.to].into_iter().enumerate() {
            let name = format!("locator.{}.{step}", self.name);
            let (conv, norm) = (format!("{name}.conv"), format!("{name}.bn"));
            let conv = folded(weights, &conv, &norm, [self.to, from, 3, 3], 1, true)?;
            x = net.layer(name, &[&x], Op::Conv(Conv { precision, ..conv }));
        }
        Ok(x)
    }
}

/// The slice encoder of one contrast, ResNet-18 (He et al. 2016) without its last two stages, then
/// ROI-Align and mean as in Liu 2023: `image` [1, 1, rows, columns] and `box` [1, 4] (x0, y0, x1, y1
/// in pixels; pixel `i` covers `[i, i + 1)`) → `feature` [1, 128].
///
/// # Errors
/// A weight is missing or has another shape.
pub fn encoder(weights: &Weights, recipe: &Recipe, contrast: Contrast) -> Result<Network, ExportError> {
    let contrast = contrast.name().to_lowercase();
    let size = recipe.reader.size;
    let inputs = vec![
        Port {
            name: "image",
            shape: vec![1, 1, size, size],
        },
        Port {
            name: "box",
            shape: vec![1, 4],
        },
    ];
    let width = FEATURES as usize;
    let output = Port {
        name: "feature",
        shape: vec![1, width],
    };
    let mut net = Network::new(format!("encoder-{contrast}"), inputs, output);
    let prefix = format!("encoder.{contrast}");

    let name = |part: &str| format!("{prefix}.{part}");
    let conv1 = folded(weights, &name("conv1"), &name("bn1"), [STEM, 1, 7, 7], 2, true)?;
    let x = net.layer(name("conv1"), &["image"], Op::Conv(conv1));
    let mut x = net.layer(
        name("maxpool"),
        &[&x],
        Op::MaxPool {
            kernel: 3,
            stride: 2,
            padding: 1,
        },
    );
    let blocks = [
        ("layer1.0", STEM, STEM, 1),
        ("layer1.1", STEM, STEM, 1),
        ("layer2.0", STEM, width, 2),
        ("layer2.1", width, width, 1),
    ];
    for (block, from, to, stride) in blocks {
        x = basic_block(&mut net, weights, &name(block), &x, from, to, stride)?;
    }
    let stride = STRIDE as usize;
    let roi_align = RoiAlign {
        bins: BINS as usize,
        samples: SAMPLES as usize,
        grid: size / stride,
        stride,
    };
    let region = net.layer(name("roi_align"), &[&x, "box"], Op::RoiAlign(roi_align));
    net.layer("feature", &[&region], Op::SpatialMean);
    Ok(net)
}

/// Two 3 × 3 convolutions beside a shortcut, which is a 1 × 1 convolution where the shape changes.
fn basic_block(
    net: &mut Network,
    weights: &Weights,
    name: &str,
    input: &str,
    from: usize,
    to: usize,
    stride: usize,
) -> Result<String, ExportError> {
    let part = |part: &str| format!("{name}.{part}");
    let conv1 = folded(
        weights,
        &part("conv1"),
        &part("bn1"),
        [to, from, 3, 3],
        stride,
        true,
    )?;
    let x = net.layer(part("conv1"), &[input], Op::Conv(conv1));
    let conv2 = folded(weights, &part("conv2"), &part("bn2"), [to, to, 3, 3], 1, false)?;
    let x = net.layer(part("conv2"), &[&x], Op::Conv(conv2));
    let shortcut = if stride == 1 && from == to {
        input.to_owned()
    } else {
        let (conv, norm) = (part("downsample.0"), part("downsample.1"));
        let op = folded(weights, &conv, &norm, [to, from, 1, 1], stride, false)?;
        net.layer(part("downsample"), &[input], Op::Conv(op))
    };
    Ok(net.layer(name, &[&x, &shortcut], Op::Add { relu: true }))
}

/// The sequence network of Liu 2023, `members` of it side by side as an ensemble: `features`
/// [slices, contrasts × 128] (spliced features) and `mask` [slices] (1 valid, 0 padding) → `logits`
/// [members, classes].
///
/// A member is a projection, one post-norm Transformer encoder layer (Vaswani et al. 2017), the
/// maximum over slices and a projection to the labels. The weights of all members are stacked along
/// the first axis, so the ensemble costs as many operators as one member.
///
/// # Errors
/// A weight is missing or has another shape.
pub fn reader(weights: &Weights, recipe: &Recipe, members: usize) -> Result<Network, ExportError> {
    let slices = recipe.reader.max_slices;
    let spliced = recipe.reader.contrasts.len() * FEATURES as usize;
    let inputs = vec![
        Port {
            name: "features",
            shape: vec![slices, spliced],
        },
        Port {
            name: "mask",
            shape: vec![slices],
        },
    ];
    let output = Port {
        name: "logits",
        shape: vec![members, CLASSES.len()],
    };
    let mut net = Network::new("reader", inputs, output);
    let linear_in = |precision, part: &str, input: usize, output: usize, relu: bool| {
        let name = |member: usize| format!("reader.{member}.{part}");
        let (weight, bias) = weights.linear(members, name, input, output)?;
        Ok::<_, ExportError>(Op::Linear(Linear {
            weight,
            bias,
            relu,
            precision,
        }))
    };
    let linear = |part: &str, input, output, relu| linear_in(Precision::Int8, part, input, output, relu);
    let norm = |part: &str| {
        let of = |what: &'static str| move |member: usize| format!("reader.{member}.{part}.{what}");
        Ok::<_, ExportError>(Op::LayerNorm(LayerNorm {
            scale: weights.per_member(members, of("weight"), TOKEN)?,
            shift: weights.per_member(members, of("bias"), TOKEN)?,
            epsilon: EPSILON,
        }))
    };
    let sum = Op::Add { relu: false };

    let mask = net.layer("reader.key_mask", &["mask"], Op::KeyMask);
    let x = net.layer(
        "reader.splice",
        &["features"],
        linear("splice", spliced, TOKEN, false)?,
    );
    let query = net.layer(
        "reader.query",
        &[&x],
        linear("attention.query", TOKEN, TOKEN, false)?,
    );
    let key = net.layer("reader.key", &[&x], linear("attention.key", TOKEN, TOKEN, false)?);
    let value = net.layer(
        "reader.value",
        &[&x],
        linear("attention.value", TOKEN, TOKEN, false)?,
    );
    let attention = Op::Attention {
        heads: HEADS,
        members,
        slices,
        width: TOKEN,
    };
    let attended = net.layer("reader.attention", &[&query, &key, &value, &mask], attention);
    let attended = net.layer(
        "reader.out",
        &[&attended],
        linear("attention.out", TOKEN, TOKEN, false)?,
    );
    let x = net.layer("reader.residual1", &[&x, &attended], sum.clone());
    let x = net.layer("reader.norm1", &[&x], norm("norm1")?);
    let wide = net.layer("reader.ff1", &[&x], linear("ff1", TOKEN, FEED_FORWARD, true)?);
    let narrow = net.layer("reader.ff2", &[&wide], linear("ff2", FEED_FORWARD, TOKEN, false)?);
    let x = net.layer("reader.residual2", &[&x, &narrow], sum);
    let x = net.layer("reader.norm2", &[&x], norm("norm2")?);
    let lesion = net.layer("reader.max", &[&x, &mask], Op::MaskedMax);
    let head = linear_in(Precision::F32, "fc", TOKEN, CLASSES.len(), false)?;
    let logits = net.layer("reader.fc", &[&lesion], head);
    net.layer("logits", &[&logits], Op::DropSlices);
    Ok(net)
}

/// A convolution with its batch normalisation folded in, padded to keep the size at stride 1.
fn folded(
    weights: &Weights,
    conv: &str,
    norm: &str,
    shape: [usize; 4],
    stride: usize,
    relu: bool,
) -> Result<Conv, ExportError> {
    let (weight, bias) = weights.folded(conv, norm, shape)?;
    let padding = shape[3] / 2;
    Ok(Conv {
        weight,
        bias,
        stride,
        padding,
        relu,
        precision: Precision::Int8,
    })
}
