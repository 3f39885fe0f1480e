//! The networks of the shipped package on our own operators, against tract alone.

use std::path::{Path, PathBuf};

use models::run::Plan;
use safetensors::SafeTensors;
use tract_onnx::prelude::*;

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid")
}

/// The recorded inputs of a network, in the order of the plan.
fn inputs(name: &str, plan: &Plan) -> TVec<TValue> {
    let bytes = std::fs::read(package().join(format!("golden/{name}.safetensors"))).expect("golden vectors");
    let recorded = SafeTensors::deserialize(&bytes).expect("safetensors");
    plan.inputs
        .iter()
        .map(|input| {
            let view = recorded.tensor(input).expect("a recorded input");
            let values: Vec<f32> = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            Tensor::from_shape(view.shape(), &values)
                .expect("a tensor")
                .into_tvalue()
        })
        .collect()
}

#[test]
fn networks_answer_as_on_tract_alone() {
    for name in ["encoder-t2", "encoder-ce-t1", "encoder-dwi", "locator", "reader"] {
        let onnx = std::fs::read(package().join(format!("{name}.onnx"))).expect("a network");
        let (ours, stock) = (
            Plan::load(&onnx).expect("ours"),
            Plan::load_stock(&onnx).expect("tract's"),
        );
        let mut state = ours.runnable.spawn().expect("ours");
        let mut stock_state = stock.runnable.spawn().expect("tract's");
        let inputs = inputs(name, &ours);
        let one = state.run(inputs.clone()).expect("ours");
        let other = stock_state.run(inputs.clone()).expect("tract's");
        let (a, b) = (
            one[0].to_plain_array_view::<f32>().expect("f32"),
            other[0].to_plain_array_view::<f32>().expect("f32"),
        );
        let worst = a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0f32, f32::max);
        let largest = b.iter().fold(0.0f32, |l, v| l.max(v.abs()));
        let mut best = [f64::MAX; 2];
        for _ in 0..20 {
            let t = std::time::Instant::now();
            state.run(inputs.clone()).expect("ours");
            best[0] = best[0].min(t.elapsed().as_secs_f64());
            let t = std::time::Instant::now();
            stock_state.run(inputs.clone()).expect("ours");
            best[1] = best[1].min(t.elapsed().as_secs_f64());
        }
        println!(
            "{name}: worst {worst} of {largest}; {:.3} ms against {:.3}",
            best[0] * 1e3,
            best[1] * 1e3
        );
    }
}
