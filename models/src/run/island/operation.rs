//! From nodes of ONNX to what an island can do.

use tract_onnx::pb::{AttributeProto, NodeProto};

use super::constants::{Constants, only};
use quantized::{FloatConvolution, Quantization, QuantizedConvolution, Window};

/// What a node does to its inputs that are no constants.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// Values → steps.
    Quantize(Quantization),
    /// Steps → values.
    Dequantize(Quantization),
    /// Steps → steps.
    Convolve(Box<QuantizedConvolution>),
    /// Values → values.
    ConvolveFloats(Box<FloatConvolution>),
    /// Of either.
    MaxPool(Window),
    /// Values, values → values; what is negative becomes 0 if so said.
    Add {
        /// Whether a Relu follows.
        relu: bool,
    },
    /// Values → values.
    Relu,
    /// Each pixel twice in each direction; of either.
    Enlarge,
    /// Along the channels; of either, any number.
    Join,
}

/// An operation and the names of its inputs that are no constants. None for what an island cannot do.
pub(super) fn read(node: &NodeProto, constants: &Constants) -> Option<(Operation, Vec<String>)> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") || node.output.len() != 1 {
        return None;
    }
    let operation = match node.op_type.as_str() {
        "QuantizeLinear" => Operation::Quantize(quantization(node, [1, 2], constants)?),
        "DequantizeLinear" => Operation::Dequantize(quantization(node, [1, 2], constants)?),
        "QLinearConv" => Operation::Convolve(Box::new(convolution(node, constants)?)),
        "Conv" => Operation::ConvolveFloats(Box::new(float_convolution(node, constants)?)),
        "MaxPool" => Operation::MaxPool(pooling(node)?),
        "Add" => Operation::Add { relu: false },
        "Relu" => Operation::Relu,
        "Resize" => enlargement(node, constants)?,
        "Concat" if integer(node, "axis", 0) == 1 => Operation::Join,
        _ => return None,
    };
    let inputs = match operation {
        Operation::Add { .. } => node.input.get(..2)?,
        Operation::Join => &node.input[..],
        _ => node.input.get(..1)?,
    };
    let are_values = inputs
        .iter()
        .all(|name| !name.is_empty() && constants.get(name).is_none());
    (are_values && !inputs.is_empty()).then(|| (operation, inputs.to_vec()))
}

/// Scale and zero point, each one number.
pub(super) fn quantization(
    node: &NodeProto,
    [scale, zero_point]: [usize; 2],
    constants: &Constants,
) -> Option<Quantization> {
    let scale = only(constants.floats(node.input.get(scale)?)?)?;
    let zero_point = only(constants.u8s(node.input.get(zero_point)?)?)?;
    // Far from what rounds to 0 or to infinity, so that a step that becomes a real and a step again is the same.
    let means = (1e-30..1e30).contains(&scale);
    means.then_some(Quantization { scale, zero_point })
}

fn convolution(node: &NodeProto, constants: &Constants) -> Option<QuantizedConvolution> {
    let name = |input: usize| node.input.get(input).map(String::as_str);
    let [filters, channels, rows, columns] = constants.shape(name(3)?)?.try_into().ok()?;
    let weights = constants.i8s(name(3)?)?;
    let mut weight_scales = constants.floats(name(4)?)?;
    // What a file says about its size is worth as much as it has bytes.
    if filters > weights.len() {
        return None;
    }
    if let [one] = weight_scales[..] {
        weight_scales = vec![one; filters];
    }
    if constants.i8s(name(5)?)?.iter().any(|zero_point| *zero_point != 0) {
        return None;
    }
    let bias = match name(8) {
        None | Some("") => vec![0; filters],
        Some(bias) => constants.i32s(bias)?,
    };
    let conv = QuantizedConvolution {
        window: window(node, Some([rows, columns]))?,
        channels,
        filters,
        weights,
        weight_scales,
        bias,
        input: quantization(node, [1, 2], constants)?,
        output: quantization(node, [6, 7], constants)?,
    };
    (integer(node, "group", 1) == 1 && conv.is_sound()).then_some(conv)
}

fn float_convolution(node: &NodeProto, constants: &Constants) -> Option<FloatConvolution> {
    let name = |input: usize| node.input.get(input).map(String::as_str);
    let [filters, channels, rows, columns] = constants.shape(name(1)?)?.try_into().ok()?;
    let weights = constants.floats(name(1)?)?;
    if filters > weights.len() {
        return None;
    }
    let bias = match name(2) {
        None | Some("") => vec![0.0; filters],
        Some(bias) => constants.floats(bias)?,
    };
    let conv = FloatConvolution {
        window: window(node, Some([rows, columns]))?,
        channels,
        filters,
        weights,
        bias,
        relu: false,
    };
    (integer(node, "group", 1) == 1 && conv.is_sound()).then_some(conv)
}

fn pooling(node: &NodeProto) -> Option<Window> {
    let plain = integer(node, "ceil_mode", 0) == 0 && integer(node, "storage_order", 0) == 0;
    let window = window(node, None)?;
    // Otherwise a window may see nothing at all.
    let sees = (0..4).all(|side| window.pads[side] < window.kernel[side % 2]);
    (plain && sees).then_some(window)
}

fn enlargement(node: &NodeProto, constants: &Constants) -> Option<Operation> {
    let is = |name: &str, value: &str| attribute(node, name).is_some_and(|a| a.s == value.as_bytes());
    let nearest = is("mode", "nearest")
        && is("coordinate_transformation_mode", "asymmetric")
        && is("nearest_mode", "floor")
        && node.input.len() == 3
        && attribute(node, "axes").is_none_or(|axes| axes.ints == [0, 1, 2, 3]);
    let doubles = nearest && constants.floats(&node.input[2])? == [1.0, 1.0, 2.0, 2.0];
    doubles.then_some(Operation::Enlarge)
}

/// The larger side of what a window may have, so that sums of sizes cannot overflow.
const MAX_SIDE: usize = 64;

/// Kernel, strides and padding; dilation must be 1, and padding said in numbers.
fn window(node: &NodeProto, weights: Option<[usize; 2]>) -> Option<Window> {
    let kernel = match (attribute(node, "kernel_shape"), weights) {
        (Some(said), _) => sizes(said)?,
        (None, weights) => weights?,
    };
    let list = |name: &str, otherwise| attribute(node, name).map_or(Some(otherwise), sizes);
    let pads = attribute(node, "pads").map_or(Some([0; 4]), sizes)?;
    let window = Window {
        kernel,
        stride: list("strides", [1, 1])?,
        pads,
    };
    let explicit = attribute(node, "auto_pad").is_none_or(|a| a.s == b"NOTSET" || a.s.is_empty());
    let is_size = |size: &usize| (1..=MAX_SIDE).contains(size);
    let fits = weights.is_none_or(|weights| weights == kernel)
        && window.kernel.iter().all(is_size)
        && window.stride.iter().all(is_size)
        && window.pads.iter().all(|pad| *pad <= MAX_SIDE);
    (explicit && fits && list("dilations", [1, 1])? == [1, 1]).then_some(window)
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(super) fn integer(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    attribute(node, name).map_or(otherwise, |attribute| attribute.i)
}

fn sizes<const N: usize>(attribute: &AttributeProto) -> Option<[usize; N]> {
    let sizes: Option<Vec<usize>> = attribute
        .ints
        .iter()
        .map(|size| usize::try_from(*size).ok())
        .collect();
    sizes?.try_into().ok()
}
