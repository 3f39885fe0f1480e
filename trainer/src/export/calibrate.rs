//! Measures the range of every activation tensor on calibration inputs.

use std::collections::BTreeMap;

use super::ExportError;
use super::engine::{Engine, OnnxRuntime, Tensors};
use super::lower::{Outputs, f32_file};
use super::network::Network;
use super::quantize::Range;

/// Runs the f32 graph over `samples` and returns the range of every tensor, inputs included, from its
/// smallest to its largest value.
///
/// Clipping rare outliers to win finer steps was tried (quantiles of 1e-5 to 1e-3 in each image, and
/// the range of least squared error): each did worse than the full range, since the largest
/// activations are the tumour's.
///
/// # Errors
/// There are no samples, or ONNX Runtime cannot run the graph.
pub fn ranges(
    network: &Network,
    samples: &[Tensors],
    runtime: &OnnxRuntime,
) -> Result<BTreeMap<String, Range>, ExportError> {
    if samples.is_empty() {
        return Err(ExportError::NoSamples {
            network: network.name.clone(),
        });
    }
    let mut engine = runtime.load(&f32_file(network, Outputs::EveryLayer)?)?;
    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    let mut widen = |tensor: &str, range: Range| {
        ranges
            .entry(tensor.to_owned())
            .and_modify(|all| *all = all.union(range))
            .or_insert(range);
    };
    for inputs in samples {
        for (name, values) in inputs.iter().chain(&engine.run(inputs)?) {
            widen(name, Range::of(values));
        }
    }
    Ok(ranges)
}
