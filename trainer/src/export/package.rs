//! Writes the package folder: networks, golden vectors, manifest and model card.

use std::fs;
use std::path::Path;

use models::findings::NOTICE;
use models::mr::Contrast;
use models::package::{
    FileHash, Golden, Label, MANIFEST, Manifest, Networks, Provenance, SCHEMA, Task, Validity, hex_sha256,
};
use tch::Tensor;

use super::ExportError;
use super::card;
use super::engine::Tensors;
use super::parity::{Agreement, Verified};
use super::torch::tensor;
use crate::error::Error;
use crate::nets::{CLASSES, MALIGNANT};
use crate::run_folder::{Metrics, RunFolder};

/// A package may not be larger, bytes.
const MAX_PACKAGE_BYTES: u64 = 8_000_000;

/// Acquisition that the networks saw in training (Liu 2023's protocol), with some room.
const VALIDITY: Validity = Validity {
    b_value: [800.0, 1200.0],
    slice_spacing_mm: [2.5, 6.5],
    slices: [12, 48],
    // Coarser than half again the pixels of the slice encoders, the detail is not there.
    pixel_mm: Some([0.3, 1.5]),
};

/// A network that passed the gate.
#[derive(Debug)]
pub struct Exported {
    /// Name of the file without `.onnx`.
    pub name: String,
    /// Files and comparisons.
    pub verified: Verified,
    /// A held-out input with ONNX Runtime's answer to it.
    pub golden: Tensors,
    /// How far any value of the answer may lie from that on another machine.
    pub tolerance: f32,
}

/// What the package says about its origin, beside what the run folder knows.
#[derive(Debug)]
pub struct Origin {
    /// Whether every patient was simulated.
    pub simulated: bool,
    /// Commit of the trainer.
    pub commit: String,
    /// The command of the export.
    pub command: String,
}

/// Writes the package into the folder `out`, which must not exist yet, and returns its size in
/// bytes.
///
/// # Errors
/// A file cannot be written, or the package grew too large.
pub fn write(
    out: &Path,
    run: &RunFolder,
    metrics: &Metrics,
    origin: &Origin,
    networks: &[Exported],
    whole: &Agreement,
) -> Result<u64, ExportError> {
    fs::create_dir_all(out.join("golden")).map_err(Error::file(out))?;
    let mut total = 0;
    let mut put = |file: &str, bytes: &[u8]| {
        let path = out.join(file);
        total += bytes.len() as u64;
        fs::write(&path, bytes).map_err(Error::file(&path))?;
        Ok::<_, ExportError>(FileHash {
            file: file.to_owned(),
            sha256: hex_sha256(bytes),
        })
    };
    let (mut files, mut golden) = (Vec::new(), Vec::new());
    for network in networks {
        let file = put(&format!("{}.onnx", network.name), &network.verified.int8)?;
        let name = format!("golden/{}.safetensors", network.name);
        let path = out.join(&name);
        let tensors: Vec<(&str, Tensor)> = network
            .golden
            .iter()
            .map(|(name, values)| (name.as_str(), tensor(values)))
            .collect();
        Tensor::write_safetensors(&tensors, &path).map_err(Error::from)?;
        let bytes = fs::read(&path).map_err(Error::file(&path))?;
        golden.push(Golden {
            network: file.file.clone(),
            vectors: put(&name, &bytes)?,
            tolerance: network.tolerance,
        });
        files.push(file);
    }
    let networks_by_role = by_role(files)?;
    let manifest = manifest(run, metrics, origin, networks_by_role, golden);
    let text = toml::to_string(&manifest).map_err(|error| Error::Form {
        path: MANIFEST.into(),
        text: error.to_string(),
    })?;
    put(MANIFEST, text.as_bytes())?;
    put(
        "card.md",
        card::write(&manifest, metrics, networks, whole).as_bytes(),
    )?;
    if total > MAX_PACKAGE_BYTES {
        return Err(ExportError::TooLarge {
            bytes: total,
            limit: MAX_PACKAGE_BYTES,
        });
    }
    Ok(total)
}

/// Locator, encoders, reader, in this order.
fn by_role(mut files: Vec<FileHash>) -> Result<Networks, ExportError> {
    let reader = files.pop().ok_or(ExportError::NoMembers)?;
    if files.is_empty() {
        return Err(ExportError::NoMembers);
    }
    let locator = files.remove(0);
    Ok(Networks {
        locator,
        encoders: files,
        reader,
    })
}

fn manifest(
    run: &RunFolder,
    metrics: &Metrics,
    origin: &Origin,
    networks: Networks,
    golden: Vec<Golden>,
) -> Manifest {
    let recipe = run.experiment.recipe.clone();
    let required = recipe.required();
    let trained_on = if origin.simulated {
        "simulated studies only".to_owned()
    } else {
        format!(
            "{} patients of cohort {}",
            metrics.patients[0],
            &metrics.cohort_sha256[..12]
        )
    };
    Manifest {
        schema: SCHEMA,
        name: run.experiment.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        intended_use: format!(
            "{NOTICE}. Locates a tumour of the parotid gland in head-and-neck MR and estimates what it is; \
             for development and research, not for clinical use."
        ),
        trained_on,
        classes: CLASSES.map(str::to_owned).to_vec(),
        optional_contrasts: Contrast::ALL
            .into_iter()
            .filter(|c| !required.contains(c))
            .collect(),
        tasks: tasks(),
        calibration: metrics.calibration.clone(),
        operating_points: metrics.operating_points.clone(),
        validity: VALIDITY,
        provenance: Provenance {
            cohort_sha256: metrics.cohort_sha256.clone(),
            patients: metrics.patients,
            seed: run.experiment.seed,
            commit: origin.commit.clone(),
            commands: [&metrics.commands[..], std::slice::from_ref(&origin.command)].concat(),
        },
        recipe,
        networks,
        golden,
    }
}

/// Benign or malignant, and which of the classes.
fn tasks() -> Vec<Task> {
    let benign = (0..CLASSES.len()).filter(|class| *class != MALIGNANT).collect();
    let label = |name: &str, classes| Label {
        name: name.to_owned(),
        classes,
    };
    let each = CLASSES
        .iter()
        .enumerate()
        .map(|(class, name)| label(name, vec![class]))
        .collect();
    vec![
        Task {
            name: "malignancy".into(),
            labels: vec![label("benign", benign), label("malignant", vec![MALIGNANT])],
        },
        Task {
            name: "subtype".into(),
            labels: each,
        },
    ]
}
