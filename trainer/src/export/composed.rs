//! Layers that take several ONNX operators, because the operator set or tract lacks one for them.

use ndarray::ArrayD;

use super::graph::GraphBuilder;
use super::network::{LayerNorm, RoiAlign};
use super::onnx::AttributeProto;

/// Adds an array as a constant.
pub fn constant(graph: &mut GraphBuilder, name: &str, values: &ArrayD<f32>) -> String {
    let elements: Vec<f32> = values.iter().copied().collect();
    graph.constant(name, values.shape(), &elements)
}

/// ROI-Align as `Wy · F · Wxᵀ`: row `b` of `W` is the mean over the samples of bin `b` of their
/// linear interpolation weights `max(0, 1 − |position − pixel|)`. tract has no RoiAlign.
pub fn roi_align(graph: &mut GraphBuilder, name: &str, inputs: &[&str], roi: &RoiAlign) {
    let rows = interpolation(graph, &format!("{name}.rows"), inputs[1], roi, [1, 3]);
    let columns = interpolation(graph, &format!("{name}.columns"), inputs[1], roi, [0, 2]);
    let swap = [AttributeProto::ints("perm", &[1, 0])];
    let columns = graph.node("Transpose", format!("{name}.columns_t"), &[&columns], &swap);
    let lines = graph.node("MatMul", format!("{name}.lines"), &[&rows, inputs[0]], &[]);
    graph.node("MatMul", name, &[&lines, &columns], &[]);
}

/// W [bins, grid] of one axis, whose edges are the elements `edges` of the box.
fn interpolation(
    graph: &mut GraphBuilder,
    name: &str,
    region: &str,
    roi: &RoiAlign,
    edges: [usize; 2],
) -> String {
    let samples = roi.bins * roi.samples;
    let part = |part: &str| format!("{name}.{part}");
    // Positions are linear in the box: (1 − f)·from + f·to, over the stride, less half a pixel.
    let mut mix = vec![0.0f32; 4 * samples];
    for sample in 0..samples {
        let fraction = (sample as f32 + 0.5) / samples as f32;
        mix[edges[0] * samples + sample] = (1.0 - fraction) / roi.stride as f32;
        mix[edges[1] * samples + sample] = fraction / roi.stride as f32;
    }
    let mix = graph.constant(&part("mix"), &[4, samples], &mix);
    let half = graph.scalar("half", 0.5f32);
    let one = graph.scalar("one", 1.0f32);
    let zero = graph.scalar("zero", 0.0f32);
    let last = graph.scalar(&part("last"), (roi.grid - 1) as f32);
    let pixels: Vec<f32> = (0..roi.grid).map(|pixel| pixel as f32).collect();
    let pixels = graph.vector(&part("pixels"), &pixels);
    let column = graph.vector(&part("column"), &[samples as i64, 1]);
    let bins = graph.vector(
        &part("bins"),
        &[roi.bins, roi.samples, roi.grid].map(|n| n as i64),
    );

    let at = graph.node("MatMul", part("edges"), &[region, &mix], &[]);
    let at = graph.node("Sub", part("aligned"), &[&at, &half], &[]);
    let at = graph.node("Clip", part("inside"), &[&at, &zero, &last], &[]);
    let at = graph.node("Reshape", part("positions"), &[&at, &column], &[]);
    let off = graph.node("Sub", part("offset"), &[&at, &pixels], &[]);
    let off = graph.node("Abs", part("distance"), &[&off], &[]);
    let near = graph.node("Sub", part("nearness"), &[&one, &off], &[]);
    let near = graph.node("Relu", part("hat"), &[&near], &[]);
    let near = graph.node("Reshape", part("samples"), &[&near, &bins], &[]);
    let mean = [
        AttributeProto::ints("axes", &[1]),
        AttributeProto::int("keepdims", 0),
    ];
    graph.node("ReduceMean", name, &[&near], &mean)
}

/// softmax(Q·Kᵀ/√d + mask)·V per head, the heads side by side in the last axis.
pub fn attention(graph: &mut GraphBuilder, name: &str, inputs: &[&str], shape: [usize; 4]) {
    let [members, slices, heads, width] = shape;
    let part = |part: &str| format!("{name}.{part}");
    let split = graph.vector(&part("split"), &shape.map(|n| n as i64));
    let joined = graph.vector(
        &part("joined"),
        &[members, slices, heads * width].map(|n| n as i64),
    );
    let root = graph.scalar(&part("root"), 1.0 / (width as f32).sqrt());
    let mut heads_of = |what: &str, input: &str, perm: [i64; 4]| {
        let apart = graph.node("Reshape", part(&format!("{what}_heads")), &[input, &split], &[]);
        graph.node(
            "Transpose",
            part(what),
            &[&apart],
            &[AttributeProto::ints("perm", &perm)],
        )
    };
    let query = heads_of("query", inputs[0], [0, 2, 1, 3]);
    let key = heads_of("key", inputs[1], [0, 2, 3, 1]);
    let value = heads_of("value", inputs[2], [0, 2, 1, 3]);
    let scores = graph.node("MatMul", part("scores"), &[&query, &key], &[]);
    let scores = graph.node("Mul", part("scaled"), &[&scores, &root], &[]);
    let scores = graph.node("Add", part("masked"), &[&scores, inputs[3]], &[]);
    let shares = graph.node(
        "Softmax",
        part("shares"),
        &[&scores],
        &[AttributeProto::int("axis", -1)],
    );
    let mixed = graph.node("MatMul", part("mixed"), &[&shares, &value], &[]);
    let swap = [AttributeProto::ints("perm", &[0, 2, 1, 3])];
    let mixed = graph.node("Transpose", part("slices"), &[&mixed], &swap);
    graph.node("Reshape", name, &[&mixed, &joined], &[]);
}

/// LayerNormalization takes one scale for all members, so theirs are applied after it.
pub fn layer_norm(graph: &mut GraphBuilder, name: &str, input: &str, norm: &LayerNorm) {
    let width = norm.scale.shape()[2];
    let unit = graph.vector(&format!("{name}.unit"), &vec![1.0f32; width]);
    let scale = constant(graph, &format!("{name}.gain"), &norm.scale);
    let shift = constant(graph, &format!("{name}.shift"), &norm.shift);
    let attributes = [
        AttributeProto::int("axis", -1),
        AttributeProto::float("epsilon", norm.epsilon),
    ];
    let normal = graph.node(
        "LayerNormalization",
        format!("{name}.normal"),
        &[input, &unit],
        &attributes,
    );
    let scaled = graph.node("Mul", format!("{name}.scaled"), &[&normal, &scale], &[]);
    graph.node("Add", name, &[&scaled, &shift], &[]);
}
