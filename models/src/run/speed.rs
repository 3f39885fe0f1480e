//! How fast networks run on this machine, and how near that is to what the machine could do.

use std::time::{Duration, Instant};

use serde::Serialize;
use tract_core::internal::TractErrorContext;
use tract_onnx::prelude::*;

use super::island::{Island, StageTime};
use super::network::Plan;
use crate::findings::{Fault, Reason};
use quantized::convolution::{Floats, Integers};
use quantized::layout::{Layout, SLACK};
use quantized::tile::{FloatKernel, IntegerKernel, LANES};
use quantized::{FloatConvolution, Quantization, QuantizedConvolution, Window};

/// What one thread of this machine can do, measured on operands in the nearest cache.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peaks {
    /// The kernel for 8-bit integers.
    pub int8_kernel: String,
    /// Multiplications of 8-bit integers, 10⁹/s.
    pub int8: f64,
    /// The kernel for 32-bit reals.
    pub f32_kernel: String,
    /// Multiplications of 32-bit reals, 10⁹/s.
    pub f32: f64,
}

/// How fast one network runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Name of the file.
    pub network: String,
    /// Sessions side by side, each on a thread of its own.
    pub threads: usize,
    /// Parsing and optimising, ms.
    pub load_ms: f64,
    /// Of all runs, ms.
    pub median_ms: f64,
    /// Of all runs, ms.
    pub fastest_ms: f64,
    /// All threads together.
    pub runs_per_second: f64,
    /// Buffers of our own operators, one thread, bytes.
    pub buffer_bytes: usize,
    /// Time of each step, summed over all runs of the profile; empty without a profile.
    pub stages: Vec<StageTime>,
    /// Runs of the profile.
    pub profiled_runs: u64,
}

/// Measures what the best kernels reach where nothing holds them up.
pub fn peaks() -> Peaks {
    let (int8, float) = (IntegerKernel::best(), FloatKernel::best());
    // So that weights and pixels fit the first level of every cache of interest.
    let image = |channels: usize| Layout {
        rows: 1,
        columns: 120,
        channels,
        border: 0,
    };
    let window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        pads: [0; 4],
    };
    let unit = Quantization {
        scale: 1.0,
        zero_point: 0,
    };
    let (channels, filters) = (256, int8.pixels.len() * LANES);
    let (from, to) = (image(channels), image(filters));
    let integers = QuantizedConvolution {
        window,
        channels,
        filters,
        weights: vec![1; channels * filters],
        weight_scales: vec![1.0; filters],
        bias: vec![0; filters],
        input: unit,
        output: unit,
    };
    let (steps, mut out) = (vec![1; from.elements() + SLACK], vec![0; to.elements() + SLACK]);
    let int8_rate = Integers::new(&integers, from, to, int8)
        .map(|conv| rate(to.columns * channels * filters, || conv.run(&steps, &mut out)));

    let (channels, filters) = (64, float.pixels.len() * LANES);
    let (from, to) = (image(channels), image(filters));
    let floats = FloatConvolution {
        window,
        channels,
        filters,
        weights: vec![1.0; channels * filters],
        bias: vec![0.0; filters],
        relu: false,
    };
    let (values, mut out) = (
        vec![1.0; from.elements() + SLACK],
        vec![0.0; to.elements() + SLACK],
    );
    let f32_rate = Floats::new(&floats, from, to, float)
        .map(|conv| rate(to.columns * channels * filters, || conv.run(&values, &mut out)));
    Peaks {
        int8_kernel: int8.name.to_owned(),
        int8: int8_rate.unwrap_or(0.0),
        f32_kernel: float.name.to_owned(),
        f32: f32_rate.unwrap_or(0.0),
    }
}

/// 10⁹ products a second, the best of many short runs.
fn rate(products: usize, mut work: impl FnMut()) -> f64 {
    const TIME: Duration = Duration::from_millis(200);
    let began = Instant::now();
    let mut best = Duration::MAX;
    while began.elapsed() < TIME {
        let started = Instant::now();
        (0..8).for_each(|_| work());
        best = best.min(started.elapsed());
    }
    8.0 * products as f64 / best.as_secs_f64() / 1e9
}

/// Runs a network again and again for `time`, on inputs of zeros.
///
/// # Errors
/// `network_failed`: tract refuses the file, or its inputs have no fixed shape.
pub fn measure(
    network: &str,
    onnx: &[u8],
    threads: usize,
    time: Duration,
    profile: bool,
) -> Result<Speed, Reason> {
    let broken =
        |error: TractError| Reason::new("network_failed", Fault::Data, format!("{network}: {error:#}"));
    let started = Instant::now();
    let plan = Plan::load(network, onnx).map_err(broken)?;
    let load_ms = milliseconds(started.elapsed());
    let inputs = inputs(&plan).map_err(broken)?;
    let threads = threads.max(1);
    let began = Instant::now();
    let mut times: Vec<Duration> = Vec::new();
    let done: Result<Vec<Vec<Duration>>, TractError> = std::thread::scope(|scope| {
        let session = || repeat(&plan, &inputs, time);
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(session)).collect();
        let mut all = vec![session()];
        all.extend(others.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(TractError::msg("a thread of the inference panicked")))
        }));
        all.into_iter().collect()
    });
    times.extend(done.map_err(broken)?.into_iter().flatten());
    let all = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let (stages, profiled_runs) = if profile {
        profiled(&plan, &inputs, time).map_err(broken)?
    } else {
        (Vec::new(), 0)
    };
    Ok(Speed {
        network: network.to_owned(),
        threads,
        load_ms,
        median_ms: milliseconds(times[times.len() / 2]),
        fastest_ms: milliseconds(times[0]),
        runs_per_second: times.len() as f64 / all,
        buffer_bytes: islands(&plan).map(Island::buffer_bytes).sum(),
        stages,
        profiled_runs,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn islands(plan: &Plan) -> impl Iterator<Item = &Island> {
    let nodes = plan.runnable.model().nodes().iter();
    nodes.filter_map(|node| node.op_as::<Island>())
}

fn inputs(plan: &Plan) -> TractResult<TVec<TValue>> {
    let model = plan.runnable.model();
    let zeros = |outlet: &OutletId| {
        let fact = model.outlet_fact(*outlet)?;
        let shape = fact
            .shape
            .as_concrete()
            .context("an input without a fixed shape")?;
        Ok(Tensor::zero_dt(fact.datum_type, shape)?.into_tvalue())
    };
    model.input_outlets()?.iter().map(zeros).collect()
}

/// At least one run, always.
fn repeat(plan: &Plan, inputs: &TVec<TValue>, time: Duration) -> TractResult<Vec<Duration>> {
    let mut state = plan.runnable.spawn()?;
    // The first run touches every page for the first time.
    state.run(inputs.clone())?;
    let began = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || began.elapsed() < time {
        let started = Instant::now();
        state.run(inputs.clone())?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Times of tract's operators and, inside our own, of their parts.
fn profiled(plan: &Plan, inputs: &TVec<TValue>, time: Duration) -> TractResult<(Vec<StageTime>, u64)> {
    let mut state = plan.runnable.spawn()?;
    let mut spent = vec![Duration::ZERO; plan.runnable.model().nodes().len()];
    state.run(inputs.clone())?;
    islands(plan).for_each(|island| island.measure(true));
    let began = Instant::now();
    let mut runs = 0;
    while runs == 0 || began.elapsed() < time {
        state.run_plan_with_eval(inputs.clone(), |context, op_state, node, inputs| {
            let started = Instant::now();
            let outputs = tract_core::plan::eval(context, op_state, node, inputs);
            spent[node.id] += started.elapsed();
            outputs
        })?;
        runs += 1;
    }
    let mut stages = Vec::new();
    for (node, spent) in plan.runnable.model().nodes().iter().zip(spent) {
        if let Some(island) = node.op_as::<Island>() {
            stages.extend(island.timings());
        } else if !spent.is_zero() {
            stages.push(StageTime {
                name: node.name.clone(),
                operation: node.op.name().into_owned(),
                nanoseconds: u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX),
                products: 0,
            });
        }
    }
    islands(plan).for_each(|island| island.measure(false));
    Ok((stages, runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_the_package_is_measured() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid/encoder-t2.onnx");
        let onnx = std::fs::read(file).unwrap();
        let speed = measure("encoder", &onnx, 2, Duration::ZERO, true).unwrap();
        assert!(speed.fastest_ms > 0.0 && speed.median_ms >= speed.fastest_ms && speed.buffer_bytes > 0);
        let convolutions = speed
            .stages
            .iter()
            .filter(|stage| stage.operation == "convolve int8");
        // 7 × 7 × 64 and its kin (He et al. 2016, table 1) at 128 × 128 with one channel.
        let products: u64 = convolutions.map(|stage| stage.products).sum();
        let [stem, first, second] = [
            64 * 64 * 49 * 64,
            4 * 32 * 32 * 9 * 64 * 64,
            16 * 16 * 128 * (64 * 10 + 3 * 9 * 128),
        ];
        assert_eq!(products, stem + first + second);
        assert!(measure("nothing", b"no network", 1, Duration::ZERO, false).is_err());
    }

    #[test]
    fn this_machine_multiplies() {
        let peaks = peaks();
        assert!(peaks.int8 > 0.0 && peaks.f32 > 0.0);
    }
}
