//! From the description of a network to the bytes of its ONNX file.
//!
//! The same walk writes both files. Without a [`Quantization`] every layer is written in f32. With
//! one, convolutions are written on u8 and fully connected layers with integer products, unless they
//! ask for f32; poolings and concatenations take u8 where there is some; the rest stays f32, and a
//! tensor changes its form where a layer asks for the other one.
//!
//! QLinearConv and MatMulInteger are used because the appliance's runtime, tract, computes them in
//! integers; a QDQ graph it would compute in f32, at the cost of f32 and the conversions.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::ExportError;
use super::composed::{attention, constant, layer_norm, roi_align};
use super::graph::GraphBuilder;
use super::network::{Conv, Layer, Linear, Network, Op, Precision};
use super::onnx::{AttributeProto, DataType};
use super::quantize::{Quantization, QuantizedWeight, bias_steps};

/// The additive mask of a padded slice: far below every score, and safe in every arithmetic.
const PADDED: f32 = -1e4;

/// What the file gives to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// The network's answer.
    Answer,
    /// Every tensor, the network's inputs excepted, for measuring ranges.
    EveryLayer,
}

/// The network as an f32 ONNX file.
///
/// # Errors
/// As [`int8_file`], though f32 files have little to refuse.
pub fn f32_file(network: &Network, outputs: Outputs) -> Result<Vec<u8>, ExportError> {
    lower(network, None, outputs)
}

/// The network as an int8 ONNX file. Inputs and outputs stay f32.
///
/// # Errors
/// A tensor has no measured range, a bias does not fit 32 bits, or a ReLU cannot be folded.
pub fn int8_file(network: &Network, quantization: &Quantization) -> Result<Vec<u8>, ExportError> {
    lower(network, Some(quantization), Outputs::Answer)
}

fn lower(
    network: &Network,
    quantization: Option<&Quantization>,
    outputs: Outputs,
) -> Result<Vec<u8>, ExportError> {
    let mut lowering = Lowering {
        graph: GraphBuilder::new(&network.name),
        quantization,
        forms: BTreeMap::new(),
    };
    for port in &network.inputs {
        lowering.graph.input(port.name, &port.shape);
        lowering.made(port.name, Form::F32);
    }
    for layer in &network.layers {
        lowering.layer(layer)?;
    }
    match outputs {
        Outputs::Answer => {
            let name = lowering.float(network.output.name)?;
            lowering.graph.output(&name, Some(&network.output.shape));
        }
        Outputs::EveryLayer => {
            for layer in &network.layers {
                let name = lowering.float(&layer.name)?;
                lowering.graph.output(&name, None);
            }
        }
    }
    Ok(lowering.graph.finish())
}

/// The forms in which a tensor exists in the graph. The f32 form carries the tensor's name, the u8
/// form that name with `.u8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    F32,
    U8,
    Both,
}

struct Lowering<'a> {
    graph: GraphBuilder,
    quantization: Option<&'a Quantization>,
    forms: BTreeMap<String, Form>,
}

impl Lowering<'_> {
    fn made(&mut self, tensor: &str, form: Form) {
        self.forms.insert(tensor.to_owned(), form);
    }

    /// Names of a tensor's scale and zero point.
    fn parameters(&mut self, tensor: &str) -> Result<[String; 2], ExportError> {
        let unmeasured = || ExportError::Unmeasured {
            tensor: tensor.to_owned(),
        };
        let parameters = self.quantization.ok_or_else(unmeasured)?.of(tensor)?;
        Ok([
            self.graph.scalar(&format!("{tensor}.scale"), parameters.scale),
            self.graph
                .scalar(&format!("{tensor}.zero_point"), parameters.zero_point),
        ])
    }

    /// The f32 form of a tensor, made if need be.
    fn float(&mut self, tensor: &str) -> Result<String, ExportError> {
        if self.forms.get(tensor) == Some(&Form::U8) {
            let [scale, zero] = self.parameters(tensor)?;
            self.graph.node(
                "DequantizeLinear",
                tensor,
                &[&u8_name(tensor), &scale, &zero],
                &[],
            );
            self.made(tensor, Form::Both);
        }
        Ok(tensor.to_owned())
    }

    /// The u8 form of a tensor, made if need be.
    fn integer(&mut self, tensor: &str) -> Result<String, ExportError> {
        let name = u8_name(tensor);
        if self.forms.get(tensor) == Some(&Form::F32) {
            let [scale, zero] = self.parameters(tensor)?;
            self.graph
                .node("QuantizeLinear", &name, &[tensor, &scale, &zero], &[]);
            self.made(tensor, Form::Both);
        }
        Ok(name)
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), ExportError> {
        let name = layer.name.as_str();
        match (&layer.op, self.quantization) {
            (Op::Conv(conv), Some(quantization)) if conv.precision == Precision::Int8 => {
                self.integer_conv(name, &layer.inputs[0], conv, quantization)?;
                self.made(name, Form::U8);
                return Ok(());
            }
            (Op::MaxPool { .. } | Op::Concat, Some(_)) if self.any_integer(&layer.inputs) => {
                let inputs = self.each(&layer.inputs, Self::integer)?;
                self.moves(&u8_name(name), &inputs, &layer.op);
                self.made(name, Form::U8);
                return Ok(());
            }
            (Op::Linear(linear), Some(quantization)) if linear.precision == Precision::Int8 => {
                self.integer_linear(name, &layer.inputs[0], linear, quantization)?;
            }
            _ => {
                let inputs = self.each(&layer.inputs, Self::float)?;
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.float_layer(name, &inputs, &layer.op);
            }
        }
        self.made(name, Form::F32);
        Ok(())
    }

    /// Whether one of the tensors is there as u8 already.
    fn any_integer(&self, tensors: &[String]) -> bool {
        tensors
            .iter()
            .any(|tensor| matches!(self.forms.get(tensor), Some(Form::U8 | Form::Both)))
    }

    fn each(
        &mut self,
        tensors: &[String],
        form: impl Fn(&mut Self, &str) -> Result<String, ExportError>,
    ) -> Result<Vec<String>, ExportError> {
        tensors.iter().map(|tensor| form(self, tensor)).collect()
    }

    fn float_layer(&mut self, name: &str, inputs: &[&str], op: &Op) {
        match op {
            Op::Conv(conv) => {
                let weight = self.weight(name, &conv.weight);
                let bias = self.graph.vector(&format!("{name}.bias"), &conv.bias);
                let attributes = conv_attributes(conv);
                self.then_relu(name, conv.relu, |graph, name| {
                    graph.node("Conv", name, &[inputs[0], &weight, &bias], &attributes);
                });
            }
            Op::Linear(linear) => {
                let weight = self.weight(name, &linear.weight);
                let product =
                    self.graph
                        .node("MatMul", format!("{name}.product"), &[inputs[0], &weight], &[]);
                self.linear_end(name, &product, linear);
            }
            Op::MaxPool { .. } | Op::Concat => {
                let inputs: Vec<String> = inputs.iter().map(|&input| input.to_owned()).collect();
                self.moves(name, &inputs, op);
            }
            Op::Add { relu } => self.then_relu(name, *relu, |graph, name| {
                graph.node("Add", name, inputs, &[]);
            }),
            Op::Upsample => {
                let scales = self.graph.vector("upsample.scales", &[1.0f32, 1.0, 2.0, 2.0]);
                let attributes = [
                    AttributeProto::string("mode", "nearest"),
                    AttributeProto::string("coordinate_transformation_mode", "asymmetric"),
                    AttributeProto::string("nearest_mode", "floor"),
                ];
                self.graph
                    .node("Resize", name, &[inputs[0], "", &scales], &attributes);
            }
            Op::Sigmoid => {
                self.graph.node("Sigmoid", name, inputs, &[]);
            }
            Op::RoiAlign(roi) => roi_align(&mut self.graph, name, inputs, roi),
            Op::SpatialMean => {
                let attributes = [
                    AttributeProto::ints("axes", &[2, 3]),
                    AttributeProto::int("keepdims", 0),
                ];
                self.graph.node("ReduceMean", name, inputs, &attributes);
            }
            Op::KeyMask => {
                let one = self.graph.scalar("one", 1.0f32);
                let padded = self.graph.scalar("padded", PADDED);
                let absent = self
                    .graph
                    .node("Sub", format!("{name}.absent"), &[&one, inputs[0]], &[]);
                self.graph.node("Mul", name, &[&absent, &padded], &[]);
            }
            Op::Attention {
                heads,
                members,
                slices,
                width,
            } => {
                attention(
                    &mut self.graph,
                    name,
                    inputs,
                    [*members, *slices, *heads, *width / *heads],
                );
            }
            Op::LayerNorm(norm) => layer_norm(&mut self.graph, name, inputs[0], norm),
            Op::MaskedMax => {
                let shape = self.graph.vector("per_slice", &[-1i64, 1]);
                let mask = self
                    .graph
                    .node("Reshape", format!("{name}.mask"), &[inputs[1], &shape], &[]);
                let valid = self
                    .graph
                    .node("Add", format!("{name}.valid"), &[inputs[0], &mask], &[]);
                let attributes = [
                    AttributeProto::ints("axes", &[1]),
                    AttributeProto::int("keepdims", 1),
                ];
                self.graph.node("ReduceMax", name, &[&valid], &attributes);
            }
            Op::DropSlices => {
                self.graph
                    .node("Flatten", name, inputs, &[AttributeProto::int("axis", 1)]);
            }
        }
    }

    /// Operators that only move or compare values, the same on f32 and u8.
    fn moves(&mut self, name: &str, inputs: &[String], op: &Op) {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        if let Op::MaxPool {
            kernel,
            stride,
            padding,
        } = *op
        {
            let attributes = window_attributes(kernel, stride, padding);
            self.graph.node("MaxPool", name, &inputs, &attributes);
        } else {
            self.graph
                .node("Concat", name, &inputs, &[AttributeProto::int("axis", 1)]);
        }
    }

    /// u8 activations, i8 weights, i32 bias. The ReLU is the saturation at zero point 0.
    fn integer_conv(
        &mut self,
        name: &str,
        input: &str,
        conv: &Conv,
        quantization: &Quantization,
    ) -> Result<(), ExportError> {
        if conv.relu && quantization.of(name)?.zero_point != 0 {
            return Err(ExportError::ReluNotFolded {
                layer: name.to_owned(),
            });
        }
        let x = self.integer(input)?;
        let [x_scale, x_zero] = self.parameters(input)?;
        let [y_scale, y_zero] = self.parameters(name)?;
        let (weight, weight_parameters) = self.integer_weight(name, &conv.weight);
        let [w_scale, w_zero] = &weight_parameters;
        let step = quantization.of(input)?.scale * weight.scale;
        let steps = bias_steps(&conv.bias, step).ok_or_else(|| ExportError::BiasTooLarge {
            layer: name.to_owned(),
        })?;
        let bias = self.graph.vector(&format!("{name}.bias"), &steps);
        let w = format!("{name}.weight");
        let inputs = [
            &x, &x_scale, &x_zero, &w, w_scale, w_zero, &y_scale, &y_zero, &bias,
        ];
        let inputs = inputs.map(String::as_str);
        self.graph
            .node("QLinearConv", u8_name(name), &inputs, &conv_attributes(conv));
        Ok(())
    }

    /// An integer product whose 32-bit sums go to f32 unrounded, so no range needs to be known for
    /// them; the result is f32.
    fn integer_linear(
        &mut self,
        name: &str,
        input: &str,
        linear: &Linear,
        quantization: &Quantization,
    ) -> Result<(), ExportError> {
        let x = self.integer(input)?;
        let [_, x_zero] = self.parameters(input)?;
        let (weight, [_, w_zero]) = self.integer_weight(name, &linear.weight);
        let w = format!("{name}.weight");
        let sums = self.graph.node(
            "MatMulInteger",
            format!("{name}.sums"),
            &[&x, &w, &x_zero, &w_zero],
            &[],
        );
        let to = [AttributeProto::int("to", DataType::Float as i64)];
        let sums = self.graph.node("Cast", format!("{name}.steps"), &[&sums], &to);
        let step = quantization.of(input)?.scale * weight.scale;
        let step = self.graph.scalar(&format!("{name}.step"), step);
        let product = self
            .graph
            .node("Mul", format!("{name}.product"), &[&sums, &step], &[]);
        self.linear_end(name, &product, linear);
        Ok(())
    }

    fn linear_end(&mut self, name: &str, product: &str, linear: &Linear) {
        let bias = constant(&mut self.graph, &format!("{name}.bias"), &linear.bias);
        self.then_relu(name, linear.relu, |graph, name| {
            graph.node("Add", name, &[product, &bias], &[]);
        });
    }

    /// Lets `node` write a node, and a ReLU after it if asked; the last of them is called `name`.
    fn then_relu(&mut self, name: &str, relu: bool, node: impl FnOnce(&mut GraphBuilder, String)) {
        if relu {
            let before = format!("{name}.before_relu");
            node(&mut self.graph, before.clone());
            self.graph.node("Relu", name, &[&before], &[]);
        } else {
            node(&mut self.graph, name.to_owned());
        }
    }

    fn weight(&mut self, layer: &str, weight: &ArrayD<f32>) -> String {
        constant(&mut self.graph, &format!("{layer}.weight"), weight)
    }

    /// Adds `<layer>.weight` as i8 and returns it with the names of its scale and zero point.
    fn integer_weight(&mut self, layer: &str, weight: &ArrayD<f32>) -> (QuantizedWeight, [String; 2]) {
        let quantized = QuantizedWeight::new(weight);
        self.graph
            .constant(&format!("{layer}.weight"), weight.shape(), &quantized.steps);
        let parameters = [
            self.graph
                .scalar(&format!("{layer}.weight.scale"), quantized.scale),
            self.graph.scalar("weight.zero_point", 0i8),
        ];
        (quantized, parameters)
    }
}

fn u8_name(tensor: &str) -> String {
    format!("{tensor}.u8")
}

fn conv_attributes(conv: &Conv) -> [AttributeProto; 3] {
    window_attributes(conv.weight.shape()[3], conv.stride, conv.padding)
}

fn window_attributes(kernel: usize, stride: usize, padding: usize) -> [AttributeProto; 3] {
    let square = |name: &str, edge: usize| AttributeProto::ints(name, &[edge as i64; 2]);
    [
        square("kernel_shape", kernel),
        square("strides", stride),
        AttributeProto::ints("pads", &[padding as i64; 4]),
    ]
}
