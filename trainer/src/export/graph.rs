//! Puts an ONNX graph together node by node.

use std::collections::BTreeSet;

use prost::Message;

use super::onnx::{
    AttributeProto, DataType, DimensionProto, Element, GraphProto, IR_VERSION, ModelProto, NodeProto, OPSET,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A graph under construction. Every node has one output, which carries the node's name.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    constants: BTreeSet<String>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self {
            graph: GraphProto {
                name: name.into(),
                ..GraphProto::default()
            },
            constants: BTreeSet::new(),
        }
    }

    /// Declares an f32 input of fixed shape.
    pub fn input(&mut self, name: &str, shape: &[usize]) {
        self.graph.input.push(port(name, Some(shape)));
    }

    /// Declares the f32 tensor `name` an output; without a shape, readers infer it.
    pub fn output(&mut self, name: &str, shape: Option<&[usize]>) {
        self.graph.output.push(port(name, shape));
    }

    /// Adds a constant and returns its name. A name that was added before keeps its first value, so
    /// that several nodes can ask for the same scale.
    pub fn constant<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        if self.constants.insert(name.to_owned()) {
            let mut raw_data = Vec::with_capacity(size_of_val(values));
            values.iter().for_each(|value| value.append_to(&mut raw_data));
            self.graph.initializer.push(TensorProto {
                dims: shape.iter().map(|&length| length as i64).collect(),
                data_type: T::DATA_TYPE.into(),
                name: name.to_owned(),
                raw_data,
            });
        }
        name.to_owned()
    }

    /// Adds a scalar constant.
    pub fn scalar<T: Element>(&mut self, name: &str, value: T) -> String {
        self.constant(name, &[], &[value])
    }

    /// Adds a constant vector.
    pub fn vector<T: Element>(&mut self, name: &str, values: &[T]) -> String {
        self.constant(name, &[values.len()], values)
    }

    /// Adds a node and returns the name of its output, which is `name`.
    pub fn node(
        &mut self,
        op: &str,
        name: impl Into<String>,
        inputs: &[&str],
        attributes: &[AttributeProto],
    ) -> String {
        let name = name.into();
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.into(),
            attribute: attributes.to_vec(),
        });
        name
    }

    /// The bytes of the model file.
    pub fn finish(self) -> Vec<u8> {
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
        }
        .encode_to_vec()
    }
}

fn port(name: &str, shape: Option<&[usize]>) -> ValueInfoProto {
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape
            .iter()
            .map(|&length| DimensionProto {
                dim_value: length as i64,
            })
            .collect(),
    });
    let tensor_type = Some(TensorTypeProto {
        elem_type: DataType::Float.into(),
        shape,
    });
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn bytes_of_a_one_node_file() {
        let mut graph = GraphBuilder::new("g");
        graph.input("x", &[2]);
        let c = graph.vector("c", &[1.0f32, -2.0]);
        // Asked for again, it is not written again.
        assert_eq!(graph.vector("c", &[9.0f32, 9.0]), c);
        let y = graph.node("Add", "y", &["x", &c], &[]);
        graph.output(&y, Some(&[2]));
        let bytes = graph.finish();

        // Field 1 (IR version) of the file is the varint 8; by the protobuf encoding, 0x08 0x08.
        assert_eq!(bytes[..2], [0x08, 0x08]);
        // The initializer: two f32, little-endian, as field 9 (length-delimited) of 8 bytes.
        let raw = [0x4a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0];
        assert_eq!(
            bytes.windows(raw.len()).filter(|window| *window == raw).count(),
            1
        );
        // The operator set import at the end: field 8 of the model, version (field 2) 17.
        assert_eq!(bytes[bytes.len() - 4..], [0x42, 2, 0x10, 17]);
    }
}
