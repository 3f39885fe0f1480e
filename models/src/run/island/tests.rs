//! What becomes an island, and what must not.
#![allow(clippy::unwrap_used)]

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::outline::{ISLAND, outline};
use super::program::{Kind, Program};
use super::work::{Planes, PlanesMut, Ready};
use crate::run::quantized::{Quantization, QuantizedConvolution, Window, reference};

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
    assert_eq!(outline(&mut long), 0);
    let mut foreign = graph("x", &[1; 4]);
    foreign.node.push(node(ISLAND, "theirs", &["y"]));
    assert_eq!(outline(&mut foreign), 0);

    // Thousands of enlargements of one value: no stack grows with them.
    let mut enlarged = graph("x", &[1; 4]);
    let text = |name: &str, text: &str| AttributeProto {
        name: name.into(),
        s: text.as_bytes().to_vec(),
        ..AttributeProto::default()
    };
    let twice: Vec<u8> = [1f32, 1.0, 2.0, 2.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
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
