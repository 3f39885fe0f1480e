//! What becomes an island, and what must not.
#![allow(clippy::unwrap_used)]

use prost::Message as _;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto, tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::*;

use super::linear::{LINEAR, STEPS, replace};
use super::outline::{ISLAND, outline};
use super::prepare;
use super::program::{Kind, Program};
use super::work::{Planes, PlanesMut, Ready};
use crate::run::network::Plan;
use quantized::{Quantization, QuantizedConvolution, Window, reference};

fn node(op: &str, name: &str, inputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: name.into(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![name.into()],
        ..NodeProto::default()
    }
}

fn constant(name: &str, data_type: DataType, dims: &[i64], raw_data: &[u8]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: data_type as i32,
        dims: dims.to_vec(),
        raw_data: raw_data.to_vec(),
        ..TensorProto::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        ..AttributeProto::default()
    }
}

/// x → steps → convolution → values → sum with `beside` → Relu → y. One channel, a window of 3 × 3, padded.
fn graph(beside: &str, pads: &[i64]) -> GraphProto {
    let mut conv = node(
        "QLinearConv",
        "c",
        &["q", "s", "z", "w", "s", "wz", "s", "z", "b"],
    );
    conv.attribute = vec![ints("pads", pads)];
    GraphProto {
        node: vec![
            node("QuantizeLinear", "q", &["x", "s", "z"]),
            conv,
            node("DequantizeLinear", "d", &["c", "s", "z"]),
            node("Add", "sum", &["d", beside]),
            node("Relu", "y", &["sum"]),
        ],
        initializer: vec![
            constant("s", DataType::Float, &[], &0.5f32.to_le_bytes()),
            constant("z", DataType::Uint8, &[], &[7]),
            constant("wz", DataType::Int8, &[], &[0]),
            constant("w", DataType::Int8, &[1, 1, 3, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            constant("b", DataType::Int32, &[1], &3i32.to_le_bytes()),
        ],
        output: vec![ValueInfoProto {
            name: "y".into(),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    }
}

fn held(island: &NodeProto) -> &GraphProto {
    island.attribute[0].g.as_ref().unwrap()
}

#[test]
fn an_island_computes_what_its_nodes_say() {
    let mut all = graph("x", &[1; 4]);
    assert_eq!(outline(&mut all), 1);
    assert_eq!(all.node.len(), 1);
    let island = &all.node[0];
    assert_eq!(
        (&island.op_type[..], &island.input[..], &island.output[..]),
        (ISLAND, &["x".to_owned()][..], &["y".to_owned()][..])
    );

    let program = Program::read(island, held(island), &[Kind::Values]).unwrap();
    // The Relu is part of the sum.
    assert_eq!(program.stages.len(), 4);
    let ready = Ready::new(&program, &[[1, 2, 3]]).unwrap();
    let x = [1.0f32, -2.0, 3.5, 0.0, 12.0, -0.25];
    let mut buffers = ready.buffers();
    let mut y = [0f32; 6];
    for _ in 0..2 {
        ready.run(&[Planes::Values(&x)], &mut buffers);
        ready.leave(0, &buffers, PlanesMut::Values(&mut y));
    }

    let steps = Quantization {
        scale: 0.5,
        zero_point: 7,
    };
    let conv = QuantizedConvolution {
        window: Window {
            kernel: [3, 3],
            stride: [1, 1],
            pads: [1; 4],
        },
        channels: 1,
        filters: 1,
        weights: (1..10).collect(),
        weight_scales: vec![0.5],
        bias: vec![3],
        input: steps,
        output: steps,
    };
    let quantized = x.map(|value| reference::quantize(value, steps));
    let convolved = reference::convolve(&conv, &quantized, 2, 3).unwrap();
    let expected: Vec<f32> = convolved
        .iter()
        .zip(x)
        .map(|(c, x)| (reference::dequantize(*c, steps) + x).max(0.0))
        .collect();
    assert_eq!(y[..], expected);
}

/// A way out of an island and back would make a circle: the sum must not be in the island of the convolution.
#[test]
fn no_way_leads_out_of_an_island_and_back() {
    let mut all = graph("far", &[1; 4]);
    all.node.insert(3, node("Sigmoid", "far", &["d"]));
    assert_eq!(outline(&mut all), 1);
    let island = all.node.iter().find(|node| node.op_type == ISLAND).unwrap();
    let inside: Vec<&str> = held(island).node.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(inside, ["q", "c", "d"]);
    assert_eq!(island.output, ["d"]);
    let outside: Vec<&str> = all.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(outside, ["Sigmoid", "Add", "Relu", ISLAND]);
}

#[test]
fn what_cannot_be_read_stays_tracts() {
    let left_alone = |change: &dyn Fn(&mut GraphProto)| {
        let mut all = graph("x", &[1; 4]);
        change(&mut all);
        outline(&mut all) == 0
    };
    assert!(!left_alone(&|_| {}));
    let set = |name: &'static str, tensor: TensorProto| {
        move |all: &mut GraphProto| {
            *all.initializer.iter_mut().find(|t| t.name == name).unwrap() = tensor.clone()
        }
    };
    let attribute =
        |attribute: AttributeProto| move |all: &mut GraphProto| all.node[1].attribute.push(attribute.clone());
    assert!(left_alone(&attribute(ints("dilations", &[2, 2]))));
    assert!(left_alone(&attribute(ints("strides", &[0, 1]))));
    assert!(left_alone(&attribute(ints("strides", &[i64::MAX, 1]))));
    assert!(left_alone(&attribute(ints("kernel_shape", &[3, 4]))));
    assert!(left_alone(&attribute(AttributeProto {
        name: "group".into(),
        i: 2,
        ..AttributeProto::default()
    })));
    assert!(left_alone(
        &|all| all.node[1].attribute = vec![ints("pads", &[-1; 4])]
    ));
    assert!(left_alone(&|all| all.node[1].attribute = vec![ints("pads", &[1])]));
    assert!(left_alone(&set("wz", constant("wz", DataType::Int8, &[], &[1]))));
    assert!(left_alone(&set(
        "w",
        constant("w", DataType::Int8, &[1, 1, 3, 3], &[1; 8])
    )));
    assert!(left_alone(&set(
        "w",
        constant("w", DataType::Int8, &[1, i64::MAX, 3, 3], &[1; 9])
    )));
    // More filters than the file has bytes, by a dimension alone: nothing is allocated for it.
    for dims in [[i64::MAX, 1, 3, 3], [i64::MAX, 0, 3, 3], [1 << 40, 1, 1, 1]] {
        let weights: &[u8] = if dims[1] == 0 { &[] } else { &[1; 9] };
        assert!(left_alone(&set(
            "w",
            constant("w", DataType::Int8, &dims, weights)
        )));
        let mut reals = graph("x", &[1; 4]);
        reals.node.push(node("Conv", "f", &["y", "v"]));
        let bytes: Vec<u8> = weights.iter().flat_map(|_| 1f32.to_le_bytes()).collect();
        reals
            .initializer
            .push(constant("v", DataType::Float, &dims, &bytes));
        assert_eq!(outline(&mut reals), 1, "the convolution of reals stays outside");
        assert!(reals.node.iter().any(|node| node.op_type == "Conv"));
    }
    assert!(left_alone(&set(
        "w",
        constant("w", DataType::Int8, &[1, -1, 3, 3], &[1; 9])
    )));
    assert!(left_alone(&set(
        "b",
        constant("b", DataType::Int32, &[2], &[0; 8])
    )));
    assert!(left_alone(&set(
        "s",
        constant("s", DataType::Float, &[], &f32::NAN.to_le_bytes())
    )));
    assert!(left_alone(&set(
        "s",
        constant("s", DataType::Float, &[], &0f32.to_le_bytes())
    )));
}

/// Files that would keep a start busy or end it by their mere length.
#[test]
fn long_graphs_and_foreign_islands_are_left_alone() {
    let mut long = graph("x", &[1; 4]);
    long.node
        .extend((0..5000).map(|n| node("Relu", &format!("r{n}"), &["y"])));
    assert_eq!(prepare(&mut long), 0);
    for ours in [ISLAND, LINEAR, STEPS] {
        let mut foreign = graph("x", &[1; 4]);
        foreign.node.push(node(ours, "theirs", &["y"]));
        assert_eq!(prepare(&mut foreign), 0);
    }

    // Thousands of enlargements of one value: no stack grows with them.
    let mut enlarged = graph("x", &[1; 4]);
    let text = |name: &str, text: &str| AttributeProto {
        name: name.into(),
        s: text.as_bytes().to_vec(),
        ..AttributeProto::default()
    };
    let twice = floats(&[1.0, 1.0, 2.0, 2.0]);
    enlarged
        .initializer
        .push(constant("twice", DataType::Float, &[4], &twice));
    enlarged.node.extend((0..3000).map(|n| {
        let mut resize = node("Resize", &format!("e{n}"), &["d", "", "twice"]);
        resize.attribute = vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        resize
    }));
    let kinds = [Kind::Values];
    assert_eq!(outline(&mut enlarged), 1);
    let island = enlarged.node.iter().find(|node| node.op_type == ISLAND).unwrap();
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn({
            let (island, graph) = (island.clone(), enlarged.clone());
            move || drop(Program::read(&island, &graph, &kinds))
        })
        .unwrap()
        .join()
        .unwrap();
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// x → steps → product → reals → scaled → shifted → Relu → y. Two numbers become three.
fn layer() -> GraphProto {
    let mut cast = node("Cast", "cast", &["sums"]);
    cast.attribute = vec![AttributeProto {
        name: "to".into(),
        i: DataType::Float as i64,
        r#type: attribute_proto::AttributeType::Int as i32,
        ..AttributeProto::default()
    }];
    GraphProto {
        node: vec![
            node("QuantizeLinear", "q", &["x", "s", "z"]),
            node("MatMulInteger", "sums", &["q", "w", "z", "wz"]),
            cast,
            node("Mul", "scaled", &["step", "cast"]),
            node("Add", "shifted", &["scaled", "b"]),
            node("Relu", "y", &["shifted"]),
        ],
        initializer: vec![
            constant("s", DataType::Float, &[], &0.5f32.to_le_bytes()),
            constant("z", DataType::Uint8, &[], &[7]),
            constant("w", DataType::Int8, &[2, 3], &[1, 254, 3, 252, 5, 128]),
            constant("wz", DataType::Int8, &[], &[0]),
            constant("step", DataType::Float, &[], &0.25f32.to_le_bytes()),
            constant("b", DataType::Float, &[3], &floats(&[0.5, -1.0, 2.0])),
        ],
        output: vec![ValueInfoProto {
            name: "y".into(),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    }
}

fn types(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

#[test]
fn a_layer_becomes_one_operator_and_answers_as_its_nodes_do() {
    let mut ours = layer();
    assert_eq!(replace(&mut ours), 2);
    assert_eq!(types(&ours), [STEPS, LINEAR]);
    let file = |graph: &GraphProto, shape: &[i64]| {
        let dim = |n: &i64| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(*n)),
            ..Default::default()
        };
        let tensor = type_proto::Tensor {
            elem_type: DataType::Float as i32,
            shape: Some(TensorShapeProto {
                dim: shape.iter().map(dim).collect(),
            }),
        };
        let input = ValueInfoProto {
            name: "x".into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(tensor)),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        };
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                version: 17,
                ..OperatorSetIdProto::default()
            }],
            graph: Some(GraphProto {
                input: vec![input],
                ..graph.clone()
            }),
            ..ModelProto::default()
        }
        .encode_to_vec()
    };
    // Two members, with a bias for each.
    let mut members = layer();
    members
        .initializer
        .retain(|tensor| !["w", "b"].contains(&tensor.name.as_str()));
    let weights = [1, 254, 3, 252, 5, 128, 127, 0, 255, 9, 200, 100];
    members.initializer.extend([
        constant("w", DataType::Int8, &[2, 2, 3], &weights),
        constant(
            "b",
            DataType::Float,
            &[2, 1, 3],
            &floats(&[0.5, -1.0, 2.0, 8.0, 16.0, -4.0]),
        ),
    ]);
    let cases = [
        (layer(), &[2][..], &[3][..]),
        (layer(), &[3, 2], &[3, 3]),
        (layer(), &[2, 4, 2], &[2, 4, 3]),
        (members.clone(), &[5, 2], &[2, 5, 3]),
        (members.clone(), &[1, 5, 2], &[2, 5, 3]),
        (members, &[2, 5, 2], &[2, 5, 3]),
    ];
    for (graph, shape, expected) in cases {
        let mut replaced = graph.clone();
        assert_eq!(replace(&mut replaced), 2, "{shape:?}");
        let onnx = file(&graph, &shape.iter().map(|n| *n as i64).collect::<Vec<_>>());
        let len: usize = shape.iter().product();
        let x: Vec<f32> = (0..len).map(|n| n as f32 * 1.75 - 3.0).collect();
        let x = tvec!(Tensor::from_shape(shape, &x).unwrap().into_tvalue());
        let [ours, stock] = [Plan::load("test", &onnx), Plan::load_stock(&onnx)].map(|plan| {
            let plan = plan.unwrap();
            let out = plan.runnable.run(x.clone()).unwrap();
            let values: Vec<f32> = out[0]
                .to_plain_array_view::<f32>()
                .unwrap()
                .iter()
                .copied()
                .collect();
            (values, plan.outputs, out[0].shape().to_vec())
        });
        // tract alone keeps an axis where ONNX has none (a product of one row), so shapes are held to ONNX.
        assert_eq!((&ours.0, &ours.1), (&stock.0, &stock.1), "{shape:?}");
        assert_eq!(ours.2, expected, "{shape:?}");
    }
}

#[test]
fn a_layer_that_says_something_else_is_left_alone() {
    let replaced = |change: fn(&mut GraphProto)| {
        let mut graph = layer();
        change(&mut graph);
        replace(&mut graph);
        types(&graph).contains(&LINEAR)
    };
    let set = |graph: &mut GraphProto, tensor: TensorProto| {
        graph.initializer.retain(|old| old.name != tensor.name);
        graph.initializer.push(tensor);
    };
    assert!(replaced(|_| {}));
    assert!(!replaced(
        |graph| graph.node[2].attribute[0].i = DataType::Int64 as i64
    ));
    assert!(
        !replaced(|graph| graph.node[3].input[0] = "x".into()),
        "not a constant"
    );
    assert!(!replaced(|graph| drop(graph.node.remove(4))), "no Add");
    assert!(
        !replaced(|graph| graph.node.push(node("Relu", "too", &["cast"]))),
        "somebody else reads what lies between"
    );
    assert!(
        !replaced(|graph| graph.output[0].name = "scaled".into()),
        "what lies between is an output"
    );
    let mut shifted = layer();
    set(&mut shifted, constant("wz", DataType::Int8, &[], &[1]));
    let mut long = layer();
    set(&mut long, constant("b", DataType::Float, &[2], &[0; 8]));
    let mut square = layer();
    set(&mut square, constant("b", DataType::Float, &[1, 3], &[0; 12]));
    let mut short = layer();
    set(&mut short, constant("w", DataType::Int8, &[2, 3], &[0; 5]));
    for mut graph in [shifted, long, square, short] {
        replace(&mut graph);
        assert!(!types(&graph).contains(&LINEAR));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut all = graph("x", &[1; 4]);
    outline(&mut all);
    let island = &all.node[0];
    let read = |graph: &GraphProto, kinds: &[Kind]| Program::read(island, graph, kinds);
    assert!(read(held(island), &[]).is_none(), "an input without a kind");
    assert!(
        read(held(island), &[Kind::Steps]).is_none(),
        "steps where values are due"
    );
    let mut backwards = held(island).clone();
    backwards.node.reverse();
    assert!(
        read(&backwards, &[Kind::Values]).is_none(),
        "read before it is made"
    );
    let mut twice = held(island).clone();
    twice.node.push(twice.node[0].clone());
    assert!(read(&twice, &[Kind::Values]).is_none(), "made twice");

    let program = read(held(island), &[Kind::Values]).unwrap();
    for shape in [[2, 4, 4], [1, 0, 4], [1, usize::MAX, 4], [1, 1 << 20, 1 << 20]] {
        assert!(Ready::new(&program, &[shape]).is_none(), "{shape:?}");
    }
    assert!(Ready::new(&program, &[]).is_none());
}
