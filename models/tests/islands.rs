//! The networks of the shipped package on our own operators, against tract alone.

use std::path::{Path, PathBuf};

use models::run::Plan;
use safetensors::SafeTensors;
use tract_onnx::prelude::*;

/// Fully connected layers of the reader.
const LAYERS: usize = 7;

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid")
}

/// The recorded inputs of a network, in the order of the plan.
fn inputs(name: &str, plan: &Plan) -> TVec<TValue> {
    let bytes = std::fs::read(package().join(format!("golden/{name}.safetensors"))).expect("golden vectors");
    let recorded = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = |input: &String| {
        let view = recorded.tensor(input).expect("a recorded input");
        let (numbers, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Tensor::from_shape(view.shape(), &values)
            .expect("a tensor")
            .into_tvalue()
    };
    plan.inputs.iter().map(tensor).collect()
}

/// The only output.
fn values(outputs: &[TValue]) -> Vec<f32> {
    let view = outputs[0].to_plain_array_view::<f32>().expect("an answer in f32");
    view.iter().copied().collect()
}

#[test]
fn networks_answer_as_on_tract_alone() {
    let networks = [
        ("encoder-t2", 1, 0),
        ("encoder-ce-t1", 1, 0),
        ("encoder-dwi", 1, 0),
        ("locator", 1, 0),
        ("reader", 0, LAYERS),
    ];
    for (name, islands, layers) in networks {
        let onnx = std::fs::read(package().join(format!("{name}.onnx"))).expect("a network");
        let (ours, stock) = (
            Plan::load("test", &onnx).expect("ours"),
            Plan::load_stock(&onnx).expect("tract's"),
        );
        assert_eq!(ours.islands(), islands, "{name}");
        assert_eq!((stock.islands(), stock.layers()), (0, 0), "{name}");
        assert_eq!(ours.layers(), layers, "{name}");
        // Names are the file's, also where the value is made inside an island.
        assert_eq!(
            (&ours.inputs, &ours.outputs),
            (&stock.inputs, &stock.outputs),
            "{name}"
        );
        let inputs = inputs(name, &ours);
        let mut state = ours.runnable.spawn().expect("a session");
        let first = values(&state.run(inputs.clone()).expect("a run"));
        let tract = values(&stock.runnable.run(inputs.clone()).expect("a run"));
        let largest = tract
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (one, other) in first.iter().zip(&tract) {
            // Sums of reals are added in another order; steps are the same but for ties.
            assert!(
                (one - other).abs() <= 1e-3 * largest,
                "{name}: {one} instead of {other}"
            );
        }
        // Buffers are kept from run to run, and nothing of a run is left in them.
        let zeros = inputs.iter().map(|input| {
            let zeros = Tensor::zero::<f32>(input.shape()).expect("zeros");
            zeros.into_tvalue()
        });
        state.run(zeros.collect()).expect("another run");
        assert_eq!(values(&state.run(inputs).expect("a run")), first, "{name}");
    }
}
