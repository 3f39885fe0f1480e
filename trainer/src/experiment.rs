//! Every setting of a training run, in one TOML file that is kept with its result.

use std::path::Path;

use models::recipe::Recipe;
use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::augment::Augmentation;
use crate::error::Error;

/// A training run. Every key must be there: nothing is decided by an unseen default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name of the run.
    pub name: String,
    /// Of initial weights, sampling, augmentation and dropout.
    pub seed: u64,
    /// Threads of libtorch and of the readers of studies.
    pub threads: usize,
    /// In which numbers the convolutions compute while training.
    pub precision: Precision,
    /// How examinations become tensors.
    pub recipe: Recipe,
    /// The network that finds tumours.
    pub locator: LocatorFit,
    /// The slice encoders, Liu's first stage.
    pub encoder: EncoderFit,
    /// The sequence network, Liu's second stage.
    pub reader: ReaderFit,
    /// How operating points are chosen on validation patients.
    pub decision: Decision,
}

/// Numbers of the convolutions while training; weights, statistics and losses are always single
/// precision, and so is everything after training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    F32,
    /// bfloat16: twice as fast where the CPU or GPU has it (AMX, AVX512-BF16, tensor cores).
    Bf16,
}

impl Precision {
    /// What the images are cast to before they enter a network.
    pub fn kind(self) -> Kind {
        match self {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        }
    }
}

/// Training of the locator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatorFit {
    /// Passes over the patients.
    pub epochs: usize,
    /// Slices per step.
    pub batch: usize,
    /// Of Adam at the start; falls to zero along a cosine.
    pub learning_rate: f64,
    /// Slices with tumour per patient and epoch, at most.
    pub tumour_slices: usize,
    /// Slices without tumour per patient and epoch.
    pub other_slices: usize,
    /// Random changes of the images.
    pub augment: Augmentation,
}

/// Training of the slice encoders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderFit {
    /// Passes over the patients.
    pub epochs: usize,
    /// Slices per step.
    pub batch: usize,
    /// Of Adam at the start; falls to zero along a cosine. Liu takes 1e-4 from ImageNet weights; without
    /// them more is needed.
    pub learning_rate: f64,
    /// Slices per patient and epoch; classes are drawn equally often.
    pub slices: usize,
    /// Random changes of images and boxes.
    pub augment: Augmentation,
}

/// Training of the members of the reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderFit {
    /// How many, each on its own bootstrap resample of the training patients.
    pub members: usize,
    /// Augmented copies of each lesion (Liu: ten), the first one unchanged.
    pub copies: usize,
    /// Passes over the patients, at most.
    pub epochs: usize,
    /// Stops after so many epochs without a better validation loss.
    pub patience: usize,
    /// Lesions per step.
    pub batch: usize,
    /// Of Adam.
    pub learning_rate: f64,
    /// Chance that a slice is left out, since a located tumour has other ends than a drawn one.
    pub slice_dropout: f64,
}

/// How operating points are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// A voxel belongs to a candidate from this probability on.
    pub voxel_probability: f32,
    /// A candidate has at least this many voxels of the locator's grid.
    pub lesion_voxels: usize,
    /// The lesion score is the highest one that keeps this share of the validation tumours that have a
    /// candidate at all.
    pub sensitivity: f64,
}

impl Experiment {
    /// Reads an experiment file.
    ///
    /// # Errors
    /// Unreadable, or a key is missing, unknown or of the wrong type.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        toml::from_str(&text).map_err(|e| Error::Form {
            path: path.to_owned(),
            text: e.to_string(),
        })
    }
}
