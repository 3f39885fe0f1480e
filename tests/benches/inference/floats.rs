//! The same network in f32, from its int8 file: weights as the reals that their steps mean, nothing else quantized.

use std::collections::HashMap;

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

/// The ONNX file in f32; None where it holds integer products other than convolutions.
pub fn file(onnx: &[u8]) -> Option<Vec<u8>> {
    let mut model = ModelProto::decode(onnx).ok()?;
    let graph = model.graph.as_mut()?;
    let constants: HashMap<String, TensorProto> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.clone(), tensor.clone()))
        .collect();
    let float = |name: &str| {
        Some(f32::from_le_bytes(
            constants.get(name)?.raw_data.as_slice().try_into().ok()?,
        ))
    };
    let mut nodes = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        match node.op_type.as_str() {
            "QuantizeLinear" | "DequantizeLinear" => nodes.push(NodeProto {
                op_type: "Identity".into(),
                input: node.input[..1].to_vec(),
                ..node
            }),
            "QLinearConv" => {
                let (x_scale, w_scale) = (float(&node.input[1])?, float(&node.input[4])?);
                let weights = constants.get(&node.input[3])?;
                let bias = constants.get(&node.input[8])?;
                let (w_name, b_name) = (format!("{}.f32", node.input[3]), format!("{}.f32", node.input[8]));
                let w = weights.raw_data.iter().map(|w| f32::from(*w as i8) * w_scale);
                let steps = bias
                    .raw_data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| i32::from_le_bytes(*b));
                let b = steps.map(|b| b as f32 * x_scale * w_scale);
                graph.initializer.push(reals(&w_name, &weights.dims, w));
                graph.initializer.push(reals(&b_name, &bias.dims, b));
                let before = format!("{}.sum", node.output[0]);
                nodes.push(NodeProto {
                    op_type: "Conv".into(),
                    input: vec![node.input[0].clone(), w_name, b_name],
                    output: vec![before.clone()],
                    name: before.clone(),
                    ..node.clone()
                });
                // A ReLU that was the saturation at zero point 0.
                let relu = constants.get(&node.input[7])?.raw_data == [0];
                nodes.push(NodeProto {
                    op_type: if relu { "Relu" } else { "Identity" }.into(),
                    input: vec![before],
                    attribute: Vec::new(),
                    ..node
                });
            }
            "MatMulInteger" => return None,
            _ => nodes.push(node),
        }
    }
    graph.node = nodes;
    Some(model.encode_to_vec())
}

fn reals(name: &str, dims: &[i64], values: impl Iterator<Item = f32>) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        dims: dims.to_vec(),
        raw_data: values.flat_map(f32::to_le_bytes).collect(),
        ..TensorProto::default()
    }
}
