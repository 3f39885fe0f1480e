//! A network as the exporter sees it: named layers in order, each with its numbers.
//!
//! One description serves both files that are written from it: the f32 graph, on which activation
//! ranges are measured, and the int8 graph of the package (see [`super::lower`]).

use ndarray::ArrayD;

/// A network with fixed shapes. Its output is the last layer's.
#[derive(Debug, Clone)]
pub struct Network {
    /// Name of the file in the package, without `.onnx`.
    pub name: String,
    /// What it reads.
    pub inputs: Vec<Port>,
    /// In an order in which each layer reads only inputs and earlier layers.
    pub layers: Vec<Layer>,
    /// What it answers; named like the last layer.
    pub output: Port,
}

/// An f32 tensor at the edge of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the ONNX file.
    pub name: &'static str,
    /// Length of each axis.
    pub shape: Vec<usize>,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Name of the layer and of the tensor it writes.
    pub name: String,
    /// Names of the tensors it reads.
    pub inputs: Vec<String>,
    /// What it does.
    pub op: Op,
}

/// In which arithmetic a layer with weights runs in the int8 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// u8 activations, i8 weights.
    Int8,
    /// f32: for layers that give the answer and hold next to none of the work.
    F32,
}

/// What a layer does. Shapes are those of the tensors without batches: Sialoscope runs one image at
/// a time.
#[derive(Debug, Clone)]
pub enum Op {
    /// 2-D convolution, with what followed it folded in.
    Conv(Conv),
    /// `x · weight + bias`, for each member of an ensemble.
    Linear(Linear),
    /// Square max pooling over [1, channels, rows, columns].
    MaxPool {
        /// Edge of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
        /// Border on each side.
        padding: usize,
    },
    /// Sum of two tensors, with or without ReLU.
    Add {
        /// Whether negative sums become 0.
        relu: bool,
    },
    /// Stacks channels.
    Concat,
    /// Each pixel becomes 2 × 2 pixels.
    Upsample,
    /// Logistic function.
    Sigmoid,
    /// ROI-Align of [1, C, rows, columns] in `box` [1, 4] to [1, C, bins, bins].
    RoiAlign(RoiAlign),
    /// Mean over rows and columns: [1, C, rows, columns] → [1, C].
    SpatialMean,
    /// Additive mask from `mask` (1 valid, 0 padding): 0 or −10 000.
    KeyMask,
    /// Scaled dot-product attention of (query, key, value, key mask), each [members, slices, width].
    Attention {
        /// Number of heads; divides the width.
        heads: usize,
        /// Ensemble members.
        members: usize,
        /// Slices.
        slices: usize,
        /// Width of a token.
        width: usize,
    },
    /// Normalisation over the last axis, then scale and shift of each member.
    LayerNorm(LayerNorm),
    /// Largest value over the valid slices of (tokens, key mask): → [members, 1, width].
    MaskedMax,
    /// [members, 1, n] → [members, n].
    DropSlices,
}

/// Weights of a convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    /// [out, in, kernel, kernel].
    pub weight: ArrayD<f32>,
    /// [out].
    pub bias: Vec<f32>,
    /// Step of the window.
    pub stride: usize,
    /// Border of zeros on each side.
    pub padding: usize,
    /// Whether negative results become 0.
    pub relu: bool,
    /// Arithmetic in the int8 file.
    pub precision: Precision,
}

/// Weights of a fully connected layer, stacked over the members of an ensemble.
#[derive(Debug, Clone)]
pub struct Linear {
    /// [members, in, out].
    pub weight: ArrayD<f32>,
    /// [members, 1, out].
    pub bias: ArrayD<f32>,
    /// Whether negative results become 0.
    pub relu: bool,
    /// Arithmetic in the int8 file.
    pub precision: Precision,
}

/// Geometry of ROI-Align (He et al., Mask R-CNN, 2017), aligned to half pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoiAlign {
    /// Bins along each edge.
    pub bins: usize,
    /// Sampling points in a bin, along each axis.
    pub samples: usize,
    /// Rows and columns of the feature map.
    pub grid: usize,
    /// Pixels of the box's coordinates per pixel of the feature map.
    pub stride: usize,
}

/// Weights of a layer normalisation, stacked over the members of an ensemble.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// [members, 1, width].
    pub scale: ArrayD<f32>,
    /// [members, 1, width].
    pub shift: ArrayD<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Network {
    /// A network without layers.
    pub fn new(name: impl Into<String>, inputs: Vec<Port>, output: Port) -> Self {
        Self {
            name: name.into(),
            inputs,
            layers: Vec::new(),
            output,
        }
    }

    /// Appends a layer and returns the name of the tensor it writes.
    pub fn layer(&mut self, name: impl Into<String>, inputs: &[&str], op: Op) -> String {
        let name = name.into();
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.layers.push(Layer {
            name: name.clone(),
            inputs,
            op,
        });
        name
    }

    /// Names of all tensors: inputs, then layers.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        self.inputs
            .iter()
            .map(|port| port.name)
            .chain(self.layers.iter().map(|layer| layer.name.as_str()))
    }
}
