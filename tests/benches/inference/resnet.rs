//! ResNet-18 (He et al. 2016) at 224 × 224 with random weights, quantized as the trainer exports: time does not
//! depend on what the weights are.

use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto::{Tensor, Value as TypeValue};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
};

/// Scale and zero point of every tensor before a sum, and after a ReLU.
const SIGNED: (f32, u8) = (0.04, 128);
const POSITIVE: (f32, u8) = (0.03, 0);

/// The ONNX file.
pub fn file() -> Vec<u8> {
    let mut net = Net {
        graph: GraphProto {
            name: "resnet18".into(),
            input: vec![port("image", &[1, 3, 224, 224])],
            ..GraphProto::default()
        },
        draw: ChaCha8Rng::seed_from_u64(18),
    };
    net.node("QuantizeLinear", "image.u8", &["image"], SIGNED, vec![]);
    net.conv("stem", "image.u8", SIGNED, [64, 3, 7], 2, POSITIVE);
    let pool = [
        ints("kernel_shape", &[3, 3]),
        ints("strides", &[2, 2]),
        ints("pads", &[1, 1, 1, 1]),
    ];
    net.plain("MaxPool", "pool.u8", &["stem.u8"], pool.to_vec());
    net.node("DequantizeLinear", "pool", &["pool.u8"], POSITIVE, vec![]);
    let mut x = "pool".to_owned();
    let mut channels = 64;
    for (stage, width) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = net.block(&format!("stage{stage}.{block}"), &x, channels, width, stride);
            channels = width;
        }
    }
    net.plain("GlobalAveragePool", "mean", &[&x], vec![]);
    net.plain("Flatten", "features", &["mean"], vec![]);
    net.graph.output = vec![port("features", &[1, 512])];
    ModelProto {
        ir_version: 8,
        graph: Some(net.graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

struct Net {
    graph: GraphProto,
    draw: ChaCha8Rng,
}

impl Net {
    /// Two convolutions beside a shortcut; the name of the sum, whose steps are there as well.
    fn block(&mut self, name: &str, x: &str, from: usize, to: usize, stride: usize) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let input = format!("{x}.u8");
        self.conv(&part("a"), &input, POSITIVE, [to, from, 3], stride, POSITIVE);
        self.conv(&part("b"), &part("a.u8"), POSITIVE, [to, to, 3], 1, SIGNED);
        self.node("DequantizeLinear", &part("b"), &[&part("b.u8")], SIGNED, vec![]);
        let shortcut = if stride == 1 {
            x.to_owned()
        } else {
            self.conv(&part("shortcut"), &input, POSITIVE, [to, from, 1], stride, SIGNED);
            self.node(
                "DequantizeLinear",
                &part("shortcut"),
                &[&part("shortcut.u8")],
                SIGNED,
                vec![],
            );
            part("shortcut")
        };
        self.plain("Add", &part("sum"), &[&part("b"), &shortcut], vec![]);
        self.plain("Relu", name, &[&part("sum")], vec![]);
        self.node("QuantizeLinear", &format!("{name}.u8"), &[name], POSITIVE, vec![]);
        name.to_owned()
    }

    /// Writes `<name>.u8`.
    fn conv(
        &mut self,
        name: &str,
        x: &str,
        from: (f32, u8),
        [filters, channels, kernel]: [usize; 3],
        stride: usize,
        to: (f32, u8),
    ) {
        let depth = channels * kernel * kernel;
        let weights: Vec<u8> = (0..filters * depth)
            .map(|_| self.draw.random_range(-127i8..=127) as u8)
            .collect();
        // So that sums of random terms spread over the steps of the output.
        let scale = 64.0 * to.0 / ((depth as f32).sqrt() * 73.0 * 70.0 * from.0);
        let bias: Vec<u8> = (0..filters)
            .flat_map(|_| self.draw.random_range(-2000..2000i32).to_le_bytes())
            .collect();
        let x_parameters = self.parameters(&format!("{name}.from"), from);
        let y_parameters = self.parameters(&format!("{name}.to"), to);
        let shape = [filters, channels, kernel, kernel];
        self.constant(&format!("{name}.weight"), DataType::Int8, &shape, weights);
        self.constant(
            &format!("{name}.scale"),
            DataType::Float,
            &[],
            scale.to_le_bytes().to_vec(),
        );
        self.constant(&format!("{name}.zero"), DataType::Int8, &[], vec![0]);
        self.constant(&format!("{name}.bias"), DataType::Int32, &[filters], bias);
        let own = |part: &str| format!("{name}.{part}");
        let [x_scale, x_zero] = x_parameters;
        let [y_scale, y_zero] = y_parameters;
        let inputs = [
            x.to_owned(),
            x_scale,
            x_zero,
            own("weight"),
            own("scale"),
            own("zero"),
            y_scale,
            y_zero,
            own("bias"),
        ];
        let (kernel, pad) = (kernel as i64, kernel as i64 / 2);
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride as i64; 2]),
            ints("pads", &[pad; 4]),
        ];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.plain("QLinearConv", &own("u8"), &inputs, attributes);
    }

    /// A node that takes scale and zero point after its input.
    fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        steps: (f32, u8),
        attributes: Vec<AttributeProto>,
    ) {
        let [scale, zero] = self.parameters(name, steps);
        let inputs: Vec<&str> = inputs
            .iter()
            .copied()
            .chain([scale.as_str(), zero.as_str()])
            .collect();
        self.plain(op, name, &inputs, attributes);
    }

    fn plain(&mut self, op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.into()],
            attribute,
            ..NodeProto::default()
        });
    }

    fn parameters(&mut self, name: &str, (scale, zero): (f32, u8)) -> [String; 2] {
        let names = [format!("{name}.step"), format!("{name}.zero_point")];
        self.constant(&names[0], DataType::Float, &[], scale.to_le_bytes().to_vec());
        self.constant(&names[1], DataType::Uint8, &[], vec![zero]);
        names
    }

    fn constant(&mut self, name: &str, data_type: DataType, shape: &[usize], raw_data: Vec<u8>) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            data_type: data_type as i32,
            dims: shape.iter().map(|length| *length as i64).collect(),
            raw_data,
            ..TensorProto::default()
        });
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        // INTS.
        r#type: 7,
        ints: ints.to_vec(),
        ..AttributeProto::default()
    }
}

fn port(name: &str, shape: &[i64]) -> ValueInfoProto {
    let length = |length: &i64| Dimension {
        value: Some(Value::DimValue(*length)),
        ..Dimension::default()
    };
    let tensor = Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(length).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
