//! Measures the range of every activation tensor on calibration inputs.

use std::collections::BTreeMap;

use super::ExportError;
use super::engine::{Engine, OnnxRuntime, Tensors};
use super::lower::{Outputs, f32_file};
use super::network::Network;
use super::quantize::Range;

/// Share of the values of a tensor that may lie beyond each end of its range, in each image. A rare
/// outlier costs less saturated than every other value costs by coarser steps.
const TAIL: f64 = 1e-4;

/// Runs the f32 graph over `samples` and returns the range of every tensor, inputs included: the
/// union over the samples of what lies between the [`TAIL`] quantiles.
///
/// # Errors
/// There are no samples, or ONNX Runtime cannot run the graph.
pub fn ranges(
    network: &Network,
    samples: &[Tensors],
    runtime: &OnnxRuntime,
) -> Result<BTreeMap<String, Range>, ExportError> {
    if samples.is_empty() {
        return Err(ExportError::NoSamples { network: network.name.clone() });
    }
    let mut engine = runtime.load(&f32_file(network, Outputs::EveryLayer)?)?;
    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    let mut widen = |tensor: &str, range: Range| {
        ranges.entry(tensor.to_owned()).and_modify(|all| *all = all.union(range)).or_insert(range);
    };
    for inputs in samples {
        for (name, values) in inputs {
            widen(name, extremes(values.iter().copied()));
        }
        for (name, values) in engine.run(inputs)? {
            widen(&name, central(values.iter().copied().collect()));
        }
    }
    Ok(ranges)
}

fn extremes(values: impl Iterator<Item = f32>) -> Range {
    values.fold(Range { low: f32::INFINITY, high: f32::NEG_INFINITY }, |range, value| {
        range.union(Range { low: value, high: value })
    })
}

/// What lies between the [`TAIL`] quantiles.
fn central(mut values: Vec<f32>) -> Range {
    let last = values.len().saturating_sub(1);
    let tail = (values.len() as f64 * TAIL) as usize;
    let mut at = |index: usize| *values.select_nth_unstable_by(index, f32::total_cmp).1;
    Range { low: at(tail.min(last)), high: at(last - tail.min(last)) }
}
