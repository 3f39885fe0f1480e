//! Islands: parts of an ONNX graph that run on this project's own kernels, as one operator of tract.
//!
//! ```text
//! ONNX file ─▶ outline: nodes that `operation` can read and that hang together around a QLinearConv
//!                       become one node of type `Island`, the nodes themselves inside it
//!           ─▶ tract parses; its register asks `operator` for that type
//!           ─▶ program: once shapes are known, layouts, buffers and packed weights are fixed
//! ```
//! The graph is cut before tract sees it, since the file still says scales, zero points and windows in ONNX's own
//! terms. What cannot be read stays tract's; a file of which an island cannot be made runs on tract alone.

mod constants;
mod operation;
mod operator;
mod outline;
mod program;
#[cfg(test)]
mod tests;
mod work;

pub(super) use operator::{Island, register};
pub(super) use outline::outline;
pub use work::StageTime;
