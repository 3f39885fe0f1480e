//! Networks on our own operators, on tract alone in int8 and in f32, and on ONNX Runtime, side by side in one run, one
//! thread each, in turn within a round.
//!
//! `cargo bench --workspace --bench inference [-- --rounds N] [--json FILE]`; ONNX Runtime is the shared library
//! that `ORT_DYLIB_PATH` names. Timings decide nothing here, but answers that differ do.
//!
//! `-- --only NETWORK --engine ENGINE --runs N` runs one engine so often and says nothing: for `tests/instructions/networks`,
//! which counts instructions.

mod floats;
mod resnet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::run::{Plan, speed};
use ort::session::Session;
use ort::value::TensorRef;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tract_onnx::prelude::*;

const ENGINES: [&str; 4] = ["Sialoscope int8", "tract int8", "tract f32", "ONNX Runtime int8"];
/// Each engine runs this long in each round.
const TURN: Duration = Duration::from_millis(150);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        arguments
            .iter()
            .position(|a| a == name)
            .and_then(|at| arguments.get(at + 1))
    };
    let rounds: usize = after("--rounds").and_then(|n| n.parse().ok()).unwrap_or(15);

    let library = std::env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH names ONNX Runtime");
    let environment = ort::init_from(std::path::Path::new(&library)).expect("ONNX Runtime");
    let environment = environment.build().expect("ONNX Runtime");
    let mut networks = vec![("resnet-18".to_owned(), resnet::file())];
    for name in ["encoder-t2", "encoder-ce-t1", "encoder-dwi", "locator", "reader"] {
        let onnx =
            std::fs::read(tests::package().join(format!("{name}.onnx"))).expect("a network of the package");
        networks.push((name.to_owned(), onnx));
    }
    if let Some(only) = after("--only") {
        networks.retain(|(name, _)| name == only);
    }
    let mut entrants: Vec<Entrant> = networks
        .iter()
        .map(|(name, onnx)| Entrant::new(name, onnx, &environment))
        .collect();
    if let Some(runs) = after("--runs") {
        let engine = after("--engine").and_then(|engine| ENGINES.iter().position(|name| name == engine));
        let (engine, runs) = (
            engine.expect("an engine"),
            runs.parse::<usize>().expect("a number"),
        );
        for entrant in &mut entrants {
            for _ in 0..runs {
                entrant.run(engine).expect("an engine that takes the network");
            }
        }
        return;
    }
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        entrants.iter_mut().for_each(Entrant::round);
    }
    report(&entrants, rounds, after("--json"));
}

/// One network on every engine.
struct Entrant {
    network: String,
    inputs: Vec<Input>,
    tracts: [Option<TypedSimpleState>; 3],
    onnx_runtime: Session,
    /// For each engine, one time for each run, ms.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Largest difference between our answer and ONNX Runtime's, and the largest number of its answer.
    difference: [f32; 2],
}

struct Input {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Entrant {
    fn new(network: &str, onnx: &[u8], environment: &ort::environment::Environment) -> Self {
        let plan = Plan::load("benchmark", onnx).expect("our plan");
        let mut draw = ChaCha8Rng::seed_from_u64(9);
        let model = plan.runnable.model();
        let inputs = plan
            .inputs
            .iter()
            .zip(model.input_outlets().expect("inputs"))
            .map(|(name, outlet)| {
                let fact = model.outlet_fact(*outlet).expect("a fact");
                let shape = fact.shape.as_concrete().expect("a fixed shape").to_vec();
                let values = (0..shape.iter().product())
                    .map(|_| draw.random_range(0.0..1.0))
                    .collect();
                Input {
                    name: name.clone(),
                    shape,
                    values,
                }
            });
        let inputs = inputs.collect();
        let spawn = |plan: &Arc<TypedRunnableModel>| plan.spawn().expect("a session");
        let stock = Plan::load_stock(onnx).expect("tract's plan");
        let in_floats = floats::file(onnx).map(|onnx| Plan::load_stock(&onnx).expect("tract's plan in f32"));
        let onnx_runtime = Session::builder(environment)
            .and_then(|builder| builder.with_intra_threads(1)?.commit_from_memory(onnx))
            .expect("a session of ONNX Runtime");
        let mut entrant = Self {
            network: network.to_owned(),
            inputs,
            tracts: [
                Some(spawn(&plan.runnable)),
                Some(spawn(&stock.runnable)),
                in_floats.map(|plan| spawn(&plan.runnable)),
            ],
            onnx_runtime,
            times: BTreeMap::new(),
            difference: [0.0; 2],
        };
        let ours = entrant.run(0).expect("our engine");
        let theirs = entrant.run(3).expect("ONNX Runtime");
        let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        entrant.difference = [
            differences.fold(0.0, f32::max),
            theirs.iter().fold(0.0, |most, value| most.max(value.abs())),
        ];
        let [difference, largest] = entrant.difference;
        // As the exporter's gate: rare steps may differ, answers may not.
        assert!(
            difference <= 0.05 * largest.max(1.0),
            "{network} answers otherwise: {difference} of {largest}"
        );
        entrant
    }

    /// One run of an engine, if it takes the network.
    fn run(&mut self, engine: usize) -> Option<Vec<f32>> {
        if engine < 3 {
            let state = self.tracts[engine].as_mut()?;
            let tensor =
                |input: &Input| Tensor::from_shape(&input.shape, &input.values).map(Tensor::into_tvalue);
            let inputs: TVec<TValue> = self
                .inputs
                .iter()
                .map(tensor)
                .collect::<TractResult<_>>()
                .expect("inputs");
            let outputs = state.run(inputs).expect("a run of tract");
            let view = outputs[0].to_plain_array_view::<f32>().expect("an answer in f32");
            return Some(view.iter().copied().collect());
        }
        let inputs: Vec<_> = self
            .inputs
            .iter()
            .map(|input| {
                let value =
                    TensorRef::from_array_view((input.shape.clone(), &input.values[..])).expect("an input");
                (input.name.as_str(), value)
            })
            .collect();
        let outputs = self.onnx_runtime.run(inputs).expect("a run of ONNX Runtime");
        let (_, values) = outputs[0].try_extract_tensor::<f32>().expect("an answer in f32");
        Some(values.to_vec())
    }

    fn round(&mut self) {
        for (engine, name) in ENGINES.into_iter().enumerate() {
            let began = Instant::now();
            let mut first = true;
            while began.elapsed() < TURN {
                let started = Instant::now();
                if self.run(engine).is_none() {
                    break;
                }
                // The caches still hold what the engine before needed.
                if !first {
                    self.times
                        .entry(name)
                        .or_default()
                        .push(started.elapsed().as_secs_f64() * 1000.0);
                }
                first = false;
            }
        }
    }

    /// Median and fastest, ms.
    fn result(&self, engine: &str) -> Option<[f64; 2]> {
        let mut times = self.times.get(engine)?.clone();
        times.sort_by(f64::total_cmp);
        Some([times[times.len() / 2], times[0]])
    }
}

fn report(entrants: &[Entrant], rounds: usize, file: Option<&String>) {
    let peaks = speed::peaks();
    println!(
        "int8 {:.0} · 10⁹/s ({}), f32 {:.0} · 10⁹/s ({})\n",
        peaks.int8, peaks.int8_kernel, peaks.f32, peaks.f32_kernel
    );
    println!("Median ms (fastest) of one thread, {rounds} rounds:\n");
    println!(
        "| Network | {} | differs from ONNX Runtime by |",
        ENGINES.join(" | ")
    );
    println!("|---|---|---|---|---|---|");
    for entrant in entrants {
        let cells = ENGINES.map(|engine| {
            entrant
                .result(engine)
                .map_or("–".to_owned(), |[median, fastest]| {
                    format!("{median:.2} ({fastest:.2})")
                })
        });
        let [difference, largest] = entrant.difference;
        println!(
            "| {} | {} | {difference:.2e} of {largest:.2} |",
            entrant.network,
            cells.join(" | ")
        );
    }
    println!("\n| Network | times ONNX Runtime | tract int8 / ours | tract f32 / ours |\n|---|---|---|---|");
    for entrant in entrants {
        let Some([ours, _]) = entrant.result(ENGINES[0]) else {
            continue;
        };
        let against = |engine: &str| entrant.result(engine).map(|[median, _]| median / ours);
        let cell = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let slower = against(ENGINES[3]).map(|ratio| 1.0 / ratio);
        println!(
            "| {} | {} | {} | {} |",
            entrant.network,
            cell(slower),
            cell(against(ENGINES[1])),
            cell(against(ENGINES[2]))
        );
    }
    if let Some(file) = file {
        let raw: Vec<_> = entrants
            .iter()
            .map(|entrant| json!({"network": entrant.network, "milliseconds": entrant.times, "differs_by": entrant.difference}))
            .collect();
        let raw = json!({"peaks": peaks, "rounds": rounds, "networks": raw});
        std::fs::write(
            file,
            serde_json::to_string(&raw).expect("numbers have a JSON form"),
        )
        .expect("the raw results");
    }
}
