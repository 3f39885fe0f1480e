//! The networks, with weights named as PyTorch names them.
//!
//! A network computes in the precision of its input: the weights stay in single precision and are cast
//! where they are used, so `bf16` training is a matter of casting the images (see
//! [`crate::experiment::Precision`]). Results that enter a loss are single precision again.

pub mod encoders;
pub mod resnet;
pub mod roi_align;
pub mod transformer;
pub mod unet;

use std::path::Path as File;

use models::recipe::{LocatorInput, ReaderInput, Recipe};
use ndarray::{Array2, Array3};
use tch::nn::{self, Init, Path, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use encoders::Encoders;
use transformer::Reader;
use unet::UNet;

/// The tumour classes of the reader, in the order of its outputs (Liu 2023, Table I and IV).
pub const CLASSES: [&str; 4] = [
    "pleomorphic adenoma",
    "Warthin tumour",
    "basal cell adenoma",
    "malignant",
];

/// Index of the malignant class in [`CLASSES`].
pub const MALIGNANT: usize = 3;

/// A network with the store of its own weights, so that each stage of training touches only its own.
#[derive(Debug)]
pub struct Stored<N> {
    /// The weights, under names that are unique among all networks.
    pub store: VarStore,
    /// The network.
    pub net: N,
}

impl<N> Stored<N> {
    /// A network that `build` makes from fresh weights.
    pub fn new(device: Device, build: impl FnOnce(Path) -> N) -> Self {
        let store = VarStore::new(device);
        let net = build(store.root());
        Self { store, net }
    }
}

/// All networks of one model: locator, one encoder per contrast, and the members of the reader.
#[derive(Debug)]
pub struct Networks {
    /// Finds tumours: `locator.*`.
    pub locator: Stored<UNet>,
    /// One per contrast of the reader, in its order: `encoder.<contrast>.*`.
    pub encoders: Stored<Encoders>,
    /// Trained on different resamples of the patients: `reader.<member>.*`.
    pub members: Vec<Stored<Reader>>,
    device: Device,
    longest: usize,
}

impl Networks {
    /// Freshly initialised networks for a recipe.
    pub fn new(recipe: &Recipe, members: usize, device: Device) -> Self {
        let channels = recipe.locator.contrasts.len() * (2 * recipe.locator.neighbours + 1);
        let contrasts = &recipe.reader.contrasts;
        let names: Vec<String> = contrasts.iter().map(|c| c.name().to_lowercase()).collect();
        let member = |n: usize| {
            Stored::new(device, |vs| {
                Reader::new(vs.sub("reader").sub(n), contrasts.len() as i64)
            })
        };
        Self {
            locator: Stored::new(device, |vs| UNet::new(vs.sub("locator"), channels as i64, 1)),
            encoders: Stored::new(device, |vs| Encoders::new(vs.sub("encoder"), &names)),
            members: (0..members).map(member).collect(),
            device,
            longest: recipe.reader.max_slices,
        }
    }

    /// Where they compute.
    pub fn device(&self) -> Device {
        self.device
    }

    fn stores(&self) -> impl Iterator<Item = &VarStore> {
        [&self.locator.store, &self.encoders.store]
            .into_iter()
            .chain(self.members.iter().map(|m| &m.store))
    }

    /// Writes all weights and running statistics into one safetensors file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, file: &File) -> Result<(), TchError> {
        let mut tensors: Vec<(String, Tensor)> = self
            .stores()
            .flat_map(|s| s.variables())
            .map(|(n, t)| (n, t.to_device(Device::Cpu)))
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Tensor::write_safetensors(&tensors, file)
    }

    /// Reads what [`Networks::save`] wrote.
    ///
    /// # Errors
    /// Unreadable, or a weight is missing or has another shape.
    pub fn load(&mut self, file: &File) -> Result<(), TchError> {
        self.locator.store.load(file)?;
        self.encoders.store.load(file)?;
        self.members.iter_mut().try_for_each(|m| m.store.load(file))
    }

    /// Tumour probability (slice, row, column) of a whole examination.
    pub fn locate(&self, input: &LocatorInput) -> Array3<f32> {
        let (slices, _, rows, columns) = input.images.dim();
        let mut probability = Array3::zeros((slices, rows, columns));
        for (slice, mut out) in probability.outer_iter_mut().enumerate() {
            let stack = input.stack(slice);
            let (channels, ..) = stack.dim();
            let image = tensor(stack.iter(), &[1, channels, rows, columns]).to_device(self.device);
            let p = tch::no_grad(|| self.locator.net.forward(&image, false).sigmoid());
            copy_into(&p, out.iter_mut());
        }
        probability
    }

    /// Class logits (member, class) of one lesion.
    pub fn read(&self, input: &ReaderInput) -> Array2<f32> {
        let (slices, contrasts, rows, columns) = input.images.dim();
        let images = tensor(input.images.iter(), &[slices, contrasts, rows, columns]).to_device(self.device);
        let boxes = tensor(input.boxes.iter(), &[slices, 4]).to_device(self.device);
        let features = tch::no_grad(|| self.encoders.net.spliced(&images, &boxes));
        let (features, mask) = padded(&[features], self.longest);
        let mut logits = Array2::zeros((self.members.len(), CLASSES.len()));
        for (member, mut out) in self.members.iter().zip(logits.outer_iter_mut()) {
            let row = tch::no_grad(|| member.net.forward(&features, &mask, false));
            copy_into(&row, out.iter_mut());
        }
        logits
    }
}

/// Sequences (slices, width) of different lengths as one batch (N, longest, width) with its mask
/// (N, longest); what is longer is cut.
pub fn padded(sequences: &[Tensor], longest: usize) -> (Tensor, Tensor) {
    let longest = longest as i64;
    let pad = |t: &Tensor| {
        let t = t.narrow(0, 0, t.size()[0].min(longest));
        let rest = longest - t.size()[0];
        let mask = Tensor::ones([t.size()[0]], (Kind::Float, t.device()));
        (
            t.constant_pad_nd([0, 0, 0, rest]),
            mask.constant_pad_nd([0, rest]),
        )
    };
    let (features, masks): (Vec<_>, Vec<_>) = sequences.iter().map(pad).unzip();
    (Tensor::stack(&features, 0), Tensor::stack(&masks, 0))
}

/// A tensor of the given shape from its values in row-major order.
pub fn tensor<'a>(values: impl Iterator<Item = &'a f32>, shape: &[usize]) -> Tensor {
    let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    Tensor::from_slice(&values.copied().collect::<Vec<f32>>()).view(shape.as_slice())
}

/// Copies a tensor's values in row-major order.
fn copy_into<'a>(from: &Tensor, to: impl Iterator<Item = &'a mut f32>) {
    let mut values = vec![0f32; from.numel()];
    single(from)
        .to_device(Device::Cpu)
        .contiguous()
        .copy_data(&mut values, from.numel());
    for (to, value) in to.zip(values) {
        *to = value;
    }
}

/// Convolution without bias followed by batch normalisation: the brick of both networks.
#[derive(Debug)]
pub struct ConvNorm {
    weight: Tensor,
    norm: BatchNorm,
    stride: i64,
}

impl ConvNorm {
    /// `conv` and `norm` are where the weights of the two halves are named.
    ///
    /// He initialisation over the fan-out, as torchvision does for ResNet (tch's default bound is for
    /// neither).
    pub fn new(conv: Path, norm: Path, input: i64, output: i64, kernel: i64, stride: i64) -> Self {
        let deviation = (2.0 / (output * kernel * kernel) as f64).sqrt();
        let init = Init::Randn {
            mean: 0.0,
            stdev: deviation,
        };
        Self {
            weight: conv.var("weight", &[output, input, kernel, kernel], init),
            norm: BatchNorm::new(norm, output),
            stride,
        }
    }

    /// (N, input, H, W) to (N, output, H/stride, W/stride); odd kernels keep the size.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let padding = self.weight.size()[2] / 2;
        let weight = channels_last(&self.weight.to_kind(x.kind()));
        let y = x.conv2d(&weight, None::<Tensor>, [self.stride; 2], [padding; 2], [1, 1], 1);
        self.norm.forward(&y, train)
    }
}

/// Batch normalisation over (N, H, W); its statistics stay in single precision.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    /// PyTorch's defaults: scale 1, shift 0, momentum 0.1, epsilon [`BatchNorm::EPSILON`].
    pub fn new(vs: Path, channels: i64) -> Self {
        Self {
            weight: vs.ones("weight", &[channels]),
            bias: vs.zeros("bias", &[channels]),
            running_mean: vs.zeros_no_train("running_mean", &[channels]),
            running_var: vs.ones_no_train("running_var", &[channels]),
        }
    }

    /// Added to the variance before its root.
    pub const EPSILON: f64 = 1e-5;

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            0.1,
            Self::EPSILON,
            true,
        )
    }
}

/// A fully connected layer with PyTorch's initialisation, uniform within 1/√inputs.
pub fn linear(vs: Path, input: i64, output: i64) -> nn::Linear {
    let bound = 1.0 / (input as f64).sqrt();
    let init = Init::Uniform {
        lo: -bound,
        up: bound,
    };
    nn::linear(
        vs,
        input,
        output,
        nn::LinearConfig {
            ws_init: init,
            bs_init: Some(init),
            bias: true,
        },
    )
}

/// The same (N, C, H, W) values, laid out with the channels innermost: the order in which the CPU kernels
/// of libtorch are fastest (1.6 times for the U-Net, 3.5 times together with bf16). Layers keep it.
pub fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Single precision, for whatever enters a loss, a probability or ROI-Align.
fn single(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Float)
}
