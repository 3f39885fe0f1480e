//! One network on tract: load, check against golden vectors, run.

use std::sync::{Arc, Mutex, Once, PoisonError};

use safetensors::SafeTensors;
use tract_onnx::prelude::*;

use super::island;
use crate::findings::{Fault, Reason};
use crate::package::{FileHash, Package};

/// An ONNX file that tract has optimised for this machine.
pub struct Plan {
    /// Names, in order.
    pub inputs: Vec<String>,
    /// Names, in order.
    pub outputs: Vec<String>,
    /// What runs.
    pub runnable: Arc<TypedRunnableModel>,
}

impl Plan {
    /// Parses and optimises a network; its integer convolutions and what lies between them run on kernels of our own
    /// (see [`super::island`]) where they can. `name` is what the log calls it.
    ///
    /// # Errors
    /// tract refuses the file.
    pub fn load(name: &str, onnx: &[u8]) -> TractResult<Plan> {
        let mut reader = tract_onnx::onnx();
        island::register(&mut reader);
        let mut file = reader.proto_model_for_read(&mut &*onnx)?;
        let ours = file.graph.as_mut().map_or(0, island::prepare);
        if ours > 0 {
            match Self::optimise(&reader, &file) {
                Ok(plan) => return Ok(plan),
                Err(error) => tracing::warn!("{name} is left to tract alone: {error:#}"),
            }
        }
        Self::load_stock(onnx)
    }

    /// Parses and optimises a network for tract alone, to compare with.
    ///
    /// # Errors
    /// tract refuses the file.
    pub fn load_stock(onnx: &[u8]) -> TractResult<Plan> {
        let reader = tract_onnx::onnx();
        let file = reader.proto_model_for_read(&mut &*onnx)?;
        Self::optimise(&reader, &file)
    }

    /// Parts of the network that run on operators of our own.
    pub fn islands(&self) -> usize {
        let nodes = self.runnable.model().nodes();
        nodes.iter().filter(|node| node.op_is::<island::Island>()).count()
    }

    /// Fully connected layers that run on an operator of our own.
    pub fn layers(&self) -> usize {
        let nodes = self.runnable.model().nodes();
        nodes.iter().filter(|node| island::is_layer(&*node.op)).count()
    }

    fn optimise(reader: &tract_onnx::Onnx, file: &tract_onnx::pb::ModelProto) -> TractResult<Plan> {
        leave_out_broken_kernels();
        let model = reader.model_for_proto_model(file)?;
        // A value inside an island has a label; its node has the island's name.
        let name = |outlet: &OutletId| match model.outlet_label(*outlet) {
            Some(label) => label.to_owned(),
            None => model.node(outlet.node).name.clone(),
        };
        let names = |outlets: &[OutletId]| -> Vec<String> { outlets.iter().map(name).collect() };
        Ok(Plan {
            inputs: names(&model.inputs),
            outputs: names(&model.outputs),
            runnable: model.into_optimized()?.into_runnable()?,
        })
    }
}

/// The AMX int8 kernels of tract-linalg 0.23.9 (x86-64 servers) load whole tiles and so read past the end
/// of a packed operand whose depth is no multiple of 64: a crash whenever nothing is mapped behind it.
/// `tests/bounds.rs` fails with them.
fn leave_out_broken_kernels() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(target_arch = "x86_64") {
            let asked = std::env::var("TRACT_CPU_ISA").ok();
            let edits: Vec<&str> = asked.as_deref().into_iter().chain(["-amx-int8"]).collect();
            tract_core::knobs::set_str("TRACT_CPU_ISA", &edits.join(","));
        }
    });
}

/// Makes a plan of a network, given what the log calls it and its bytes.
pub(super) type PlanLoader = fn(&str, &[u8]) -> TractResult<Plan>;

/// A network that was loaded, optimised for this machine and checked.
pub(super) struct Network {
    file: String,
    plan: Plan,
    /// Buffers of runs that have ended; the next runs take them, so that there are never more than threads, and
    /// none is allocated after the first study.
    idle: Mutex<Vec<TypedSimpleState>>,
}

impl Network {
    /// Loads a network of a package and runs its golden vectors.
    pub(super) fn load(package: &Package, file: &FileHash, plan: PlanLoader) -> Result<Network, Reason> {
        let bytes = package.network(file)?;
        let network = Network {
            file: file.file.clone(),
            plan: plan(&file.file, &bytes).map_err(|e| broken(&file.file, &e))?,
            idle: Mutex::default(),
        };
        for golden in package.manifest.golden.iter().filter(|g| g.network == file.file) {
            network.check(&package.vectors(golden)?, golden.tolerance)?;
        }
        Ok(network)
    }

    /// Runs the network; the only output, flattened row by row.
    pub(super) fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<f32>, Reason> {
        let broken = |e: TractError| broken(&self.file, &e);
        let mut state = match self.idle().pop() {
            Some(state) => state,
            None => self.plan.runnable.spawn().map_err(broken)?,
        };
        let inputs = inputs.into_iter().map(Tensor::into_tvalue).collect();
        let outputs = state.run(inputs).map_err(broken)?;
        let view = outputs[0].to_plain_array_view::<f32>().map_err(broken)?;
        let values = view.iter().copied().collect();
        self.idle().push(state);
        Ok(values)
    }

    /// A thread that panicked held no state here that could be half changed.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<TypedSimpleState>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs recorded inputs and compares the output with the recorded one.
    fn check(&self, vectors: &[u8], tolerance: f32) -> Result<(), Reason> {
        let recorded = SafeTensors::deserialize(vectors)
            .map_err(|e| golden_failed(&self.file, format!("vectors are unreadable: {e}")))?;
        let tensor = |name: &str| {
            let view = recorded
                .tensor(name)
                .map_err(|e| golden_failed(&self.file, e.to_string()))?;
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            Tensor::from_shape(view.shape(), &values).map_err(|e| golden_failed(&self.file, e.to_string()))
        };
        let inputs = self
            .plan
            .inputs
            .iter()
            .map(|name| tensor(name))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = recorded
            .names()
            .into_iter()
            .find(|name| !self.plan.inputs.iter().any(|i| i == name))
            .ok_or_else(|| golden_failed(&self.file, "no expected output recorded".into()))?;
        let expected = tensor(expected)?;
        let got = self.run(inputs)?;
        let view = expected
            .to_plain_array_view::<f32>()
            .map_err(|e| broken(&self.file, &e))?;
        if view.len() != got.len() {
            return Err(golden_failed(
                &self.file,
                format!("{} values instead of {}", got.len(), view.len()),
            ));
        }
        let worst = view
            .iter()
            .zip(&got)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0f32, f32::max);
        // The largest of differences passes over what is no number.
        let finite = view.iter().chain(&got).all(|v| v.is_finite());
        if finite && worst <= tolerance {
            return Ok(());
        }
        Err(golden_failed(
            &self.file,
            format!("differs by {worst}, allowed is {tolerance}"),
        ))
    }
}

/// A tensor from values in row-major order.
pub(super) fn tensor(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Result<Tensor, Reason> {
    let values: Vec<f32> = values.into_iter().collect();
    Tensor::from_shape(shape, &values).map_err(|e| broken("input", &e))
}

fn broken(file: &str, error: &TractError) -> Reason {
    Reason::new("network_failed", Fault::Us, format!("{file}: {error:#}"))
}

fn golden_failed(file: &str, text: String) -> Reason {
    Reason::new(
        "golden_vectors",
        Fault::Configuration,
        format!("{file} fails its golden vectors: {text}"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;
    use crate::share::share;

    #[test]
    fn buffers_are_taken_up_again() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid");
        let package = Package::open(&shipped).unwrap();
        let file = package.manifest.networks.files().last().unwrap();
        let network = Network::load(&package, file, Plan::load).unwrap();
        // Of the golden vectors, one after the other.
        assert_eq!(network.idle().len(), 1);
        let golden = package
            .manifest
            .golden
            .iter()
            .find(|g| g.network == file.file)
            .unwrap();
        let vectors = package.vectors(golden).unwrap();
        let again = |_| network.check(&vectors, golden.tolerance);
        share(1, 5, again).unwrap();
        assert_eq!(network.idle().len(), 1);
        share(3, 30, again).unwrap();
        assert!(network.idle().len() <= 3);
    }
}
