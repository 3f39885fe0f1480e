//! From a trained run to a model package.
//!
//! ```text
//! weights ──► architecture ──► lower ──► f32 ONNX ──► calibrate ──► quantize
//! (batch norm  (networks as                                             │
//!  folded in)   layers)  ────► lower ──────────────────────────────► int8 ONNX ──► parity ──► package
//! ```
//! Every file is run on held-out inputs in torch, ONNX Runtime and tract; the export stops where
//! they disagree, and names the network and the figure.

pub mod architecture;
pub mod calibrate;
mod card;
mod composed;
pub mod engine;
mod error;
pub mod graph;
pub mod lower;
pub mod network;
pub mod onnx;
pub mod package;
pub mod parity;
pub mod quantize;
pub mod samples;
pub mod torch;
pub mod weights;
mod whole;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use models::run::Model;
use tch::Device;

use crate::cohort::{Cohort, Patient, Split};
use crate::error::Error;
use crate::run_folder::RunFolder;
use engine::{Engine, OnnxRuntime, Tensors};
use lower::{Outputs, f32_file, int8_file};
use network::Network;
use package::{Exported, Origin};
use parity::{Agreement, Tolerance, verify};
use quantize::Quantization;
use samples::Samples;
use torch::Torch;
use weights::Weights;
use whole::compare_whole;

pub use error::ExportError;

/// Training patients on whom activation ranges are measured.
const CALIBRATION_PATIENTS: usize = 24;
/// Test patients on whom the engines are compared.
const HELD_OUT_PATIENTS: usize = 16;

/// What the export did.
#[derive(Debug)]
pub struct Report {
    /// Locator, encoders, reader.
    pub networks: Vec<Exported>,
    /// Class probabilities of the held-out lesions, int8 encoders and reader in tract against torch.
    pub whole: Agreement,
    /// Size of the package.
    pub bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Exported { name, verified, .. } in &self.networks {
            let (int8, float) = (verified.int8.len() / 1000, verified.f32_bytes / 1000);
            let time = verified.tract_milliseconds;
            writeln!(f, "{name}: {int8} kB (f32 {float} kB), {time:.1} ms in tract")?;
            verified
                .comparisons
                .iter()
                .try_for_each(|comparison| writeln!(f, "  {comparison}"))?;
        }
        let Agreement {
            difference,
            correlation,
            same_choice,
        } = self.whole;
        let same = 100.0 * same_choice;
        writeln!(
            f,
            "whole: probabilities differ by {difference:.4}, correlation {correlation:.5}, same class {same:.1} %"
        )?;
        write!(f, "package: {:.2} MB", self.bytes as f64 / 1e6)
    }
}

/// Exports the run in folder `run` as a package in the new folder `out`. `command` is what the user
/// typed, for the model card.
///
/// # Errors
/// The run is incomplete, two engines disagree, or the finished package does not load as the
/// appliance would load it.
pub fn export(run: &Path, out: &Path, command: &str) -> Result<Report, ExportError> {
    if out.exists() {
        return Err(ExportError::Exists { path: out.to_owned() });
    }
    let run = RunFolder::open(run)?;
    let metrics = run.metrics()?;
    let trained = run.networks(Device::Cpu)?;
    let weights = Weights::read(&run.weights())?;
    let runtime = OnnxRuntime::from_environment()?;
    let points = &metrics.operating_points;
    let read = |patients: Vec<&Patient>| Samples::read(&run, &trained, points, &patients);
    let calibration = read(spread(&run.cohort, Split::Train, CALIBRATION_PATIENTS))?;
    let held_out = read(spread(&run.cohort, Split::Test, HELD_OUT_PATIENTS))?;

    let recipe = &run.experiment.recipe;
    let pass = |network: &Network, torch: Torch, calibration: &[Tensors], held_out: &[Tensors]| {
        tracing::info!(network = network.name, "quantizing and comparing");
        pass(network, torch, &runtime, calibration, held_out)
    };
    let locator = architecture::locator(&weights, recipe)?;
    let torch = Torch::Locator(&trained.locator.net);
    let mut networks = vec![pass(&locator, torch, &calibration.locator, &held_out.locator)?];
    for (n, contrast) in recipe.reader.contrasts.iter().enumerate() {
        let encoder = architecture::encoder(&weights, recipe, *contrast)?;
        let torch = Torch::Encoder(&trained.encoders.net.each[n]);
        networks.push(pass(
            &encoder,
            torch,
            &calibration.encoders[n],
            &held_out.encoders[n],
        )?);
    }
    let reader = architecture::reader(&weights, recipe, trained.members.len())?;
    let torch = Torch::Reader(&trained.members);
    networks.push(pass(&reader, torch, &calibration.reader, &held_out.reader)?);

    let temperature = metrics.calibration.temperature;
    let whole = compare_whole(&networks, &held_out, Torch::Reader(&trained.members), temperature)?;

    // Written beside its place and moved there when the appliance's own loader accepts it.
    let partial = out.with_extension("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(Error::file(&partial))?;
    }
    let origin = Origin {
        simulated: run.cohort.patients.iter().all(|p| p.simulated),
        commit: crate::origin::commit(),
        command: command.to_owned(),
    };
    let bytes = package::write(&partial, &run, &metrics, &origin, &networks, &whole)?;
    Model::load(&partial, 1).map_err(ExportError::Unloadable)?;
    std::fs::rename(&partial, out).map_err(Error::file(out))?;
    Ok(Report {
        networks,
        whole,
        bytes,
    })
}

/// Quantizes a network, takes it through the gate and picks its golden vector.
fn pass(
    network: &Network,
    mut torch: Torch,
    runtime: &OnnxRuntime,
    calibration: &[Tensors],
    held_out: &[Tensors],
) -> Result<Exported, ExportError> {
    let ranges = calibrate::ranges(network, calibration, runtime)?;
    let int8 = int8_file(network, &Quantization::new(network, &ranges)?)?;
    let files = (f32_file(network, Outputs::Answer)?, int8);
    let verified = verify(network, &mut torch, runtime, files, held_out)?;

    let mut golden = held_out[held_out.len() - 1].clone();
    let answer = runtime.load(&verified.int8)?.run(&golden)?;
    let largest = answer
        .values()
        .flatten()
        .fold(1.0f32, |largest, value| largest.max(value.abs()));
    golden.extend(answer);
    let tolerance = largest * Tolerance::SAME_INTEGERS.difference as f32;
    Ok(Exported {
        name: network.name.clone(),
        verified,
        golden,
        tolerance,
    })
}

/// At most `count` patients of a split, spread over it.
fn spread(cohort: &Cohort, split: Split, count: usize) -> Vec<&Patient> {
    let all: Vec<&Patient> = cohort.of(split).collect();
    let count = count.min(all.len());
    (0..count).map(|n| all[n * all.len() / count]).collect()
}
