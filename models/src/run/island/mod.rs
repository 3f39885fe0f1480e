//! Islands: parts of an ONNX graph that run on this project's own kernels, as one operator of tract.
//!
//! ```text
//! ONNX file ─▶ outline: nodes that `operation` can read and that hang together around a QLinearConv
//!                       become one node of type `Island`, the nodes themselves inside it
//!           ─▶ tract parses; its register asks `operator` for that type
//!           ─▶ program: once shapes are known, layouts, buffers and packed weights are fixed
//! ```
//! Fully connected layers, of any shape, become operators of their own (`linear`).
//!
//! The graph is cut before tract sees it, since the file still says scales, zero points and windows in ONNX's own
//! terms. What cannot be read stays tract's; a file of which an island cannot be made runs on tract alone.

mod constants;
mod draft;
mod linear;
mod operation;
mod operator;
mod outline;
mod program;
#[cfg(test)]
mod tests;
mod work;

use tract_onnx::model::Onnx;
use tract_onnx::pb::GraphProto;

pub(super) use linear::is_layer;
pub(super) use operator::Island;
pub use work::StageTime;

/// A graph with more nodes is left to tract: finding islands takes time with the square of their number.
const MAX_NODES: usize = 4096;

/// Teaches tract's parser the operators of this module.
pub(super) fn register(onnx: &mut Onnx) {
    operator::register(onnx);
    linear::register(onnx);
}

/// Puts operators of our own in place of the nodes that they do the work of; how many there are.
pub(super) fn prepare(graph: &mut GraphProto) -> usize {
    // Our networks have some hundred nodes; a node of our own type is nobody else's.
    let ours = [outline::ISLAND, linear::LINEAR, linear::STEPS];
    let is_foreign = graph
        .node
        .iter()
        .any(|node| ours.contains(&node.op_type.as_str()));
    if graph.node.len() > MAX_NODES || is_foreign {
        return 0;
    }
    outline::outline(graph) + linear::replace(graph)
}
