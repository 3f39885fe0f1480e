//! Where the jobs of a reproduction work: the patients, the machine, and the folder of what was made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use models::mr::Contrast;
use models::recipe::Recipe;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::task::{Lesion, Task, lesions};
use crate::cohort::{Cohort, Patient, Split};
use crate::dataset::{self, Examination};
use crate::error::Error;
use crate::experiment::Precision;
use crate::fit::Epoch;
use crate::fit::course::Dice;
use crate::fit::progress;
use crate::statistics::Prediction;

/// Patients, machine and folder.
#[derive(Debug)]
pub struct Workshop {
    /// Folder of the reproduction.
    pub out: PathBuf,
    /// Of all random numbers.
    pub seed: u64,
    /// Where networks compute.
    pub device: Device,
    /// In which numbers they are fitted.
    pub precision: Precision,
    /// How examinations became tensors.
    pub recipe: Recipe,
    /// Weights are fitted to these.
    pub train: Vec<Examination>,
    /// Epochs and operating points are chosen on these.
    pub validation: Vec<Examination>,
    /// Looked at once.
    pub test: Vec<Examination>,
}

/// What one line of a table answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Names of the classes, in the order of the probabilities.
    pub classes: Vec<String>,
    /// On the patients that operating points are chosen on.
    pub validation: Vec<Prediction>,
    /// On the patients that nothing is chosen on.
    pub test: Vec<Prediction>,
}

/// What a job leaves beside the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Of wall time.
    pub minutes: f64,
    /// Of the network that the job has fitted; empty when it has fitted none.
    pub curve: Vec<Epoch>,
    /// For the lines of the tables.
    pub answers: Option<Answers>,
    /// Further figures by name.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
}

/// Somebody or something that is asked about, before the answer.
#[derive(Debug, Clone)]
pub struct Outcome {
    patient: String,
    unit: String,
    truth: usize,
}

impl Outcome {
    /// One slice of a tumour.
    pub fn slice(lesion: &Lesion, slice: usize) -> Self {
        Self {
            patient: lesion.patient.folder.clone(),
            unit: format!("tumour {}, slice {}", lesion.number, slice + 1),
            truth: lesion.class,
        }
    }

    /// A changed copy of a slice; copy 0 is the slice itself.
    pub fn copy(lesion: &Lesion, slice: usize, copy: usize) -> Self {
        let mut outcome = Self::slice(lesion, slice);
        if copy > 0 {
            outcome.unit += &format!(", copy {copy}");
        }
        outcome
    }

    /// A tumour.
    pub fn lesion(lesion: &Lesion) -> Self {
        Self {
            patient: lesion.patient.folder.clone(),
            unit: format!("tumour {}", lesion.number),
            truth: lesion.class,
        }
    }

    /// With the answer: logits (classes).
    pub fn predicted(self, logits: &Tensor) -> Prediction {
        let p = logits.softmax(-1, Kind::Double).to_device(Device::Cpu);
        let probabilities = (0..p.numel() as i64).map(|n| p.double_value(&[n])).collect();
        Prediction {
            patient: self.patient,
            unit: self.unit,
            truth: self.truth,
            probabilities,
        }
    }
}

impl Workshop {
    /// Reads all patients of a cohort.
    ///
    /// # Errors
    /// A patient cannot be used, or a folder cannot be made.
    pub fn open(
        out: &Path,
        cohort: &Cohort,
        recipe: &Recipe,
        seed: u64,
        threads: usize,
        precision: Precision,
    ) -> Result<Self, Error> {
        for part in ["networks", "checkpoints", "jobs"] {
            let folder = out.join(part);
            std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        }
        let device = Device::cuda_if_available();
        let cache = out.join("tensors");
        let load = |split: Split| -> Result<Vec<Examination>, Error> {
            let patients: Vec<&Patient> = cohort.patients.iter().filter(|p| p.split == split).collect();
            let bar = progress(patients.len(), "reading");
            let mut read = dataset::load(cohort, &patients, recipe, &cache, threads, || bar.inc(1))?;
            bar.finish_and_clear();
            for lesion in read.iter_mut().flat_map(|e| &mut e.lesions) {
                lesion.images = lesion.images.to_device(device);
            }
            Ok(read)
        };
        Ok(Self {
            out: out.to_owned(),
            seed,
            device,
            precision,
            recipe: recipe.clone(),
            train: load(Split::Train)?,
            validation: load(Split::Validation)?,
            test: load(Split::Test)?,
        })
    }

    /// Random numbers of a job, which hang on its name and not on its turn.
    pub fn dice(&self, name: &str) -> Dice {
        let hash = Sha256::digest(name.as_bytes());
        let stream = hash.iter().take(4).fold(0, |n, byte| n << 8 | u64::from(*byte));
        Dice {
            seed: self.seed,
            stream,
        }
    }

    /// Where contrasts stand among the channels of the tensors.
    ///
    /// # Errors
    /// The recipe does not hold one.
    pub fn channels(&self, contrasts: &[Contrast]) -> Result<Tensor, Error> {
        let of = |contrast: &Contrast| {
            let at = self.recipe.reader.contrasts.iter().position(|c| c == contrast);
            let missing = || Error::Plan(format!("{} is not in the recipe", contrast.name()));
            at.map(|at| at as i64).ok_or_else(missing)
        };
        let places = contrasts.iter().map(of).collect::<Result<Vec<i64>, Error>>()?;
        Ok(Tensor::from_slice(&places).to_device(self.device))
    }

    /// The tumours that a question is asked of.
    ///
    /// # Errors
    /// A class has none.
    pub fn lesions<'a>(
        &self,
        examinations: &'a [Examination],
        task: &Task,
    ) -> Result<Vec<Lesion<'a>>, Error> {
        let all = lesions(examinations, task);
        for (class, answer) in task.classes.iter().enumerate() {
            if !all.iter().any(|lesion| lesion.class == class) {
                return Err(Error::Cohort(format!(
                    "of {} patients of one split none is “{}”",
                    examinations.len(),
                    answer.name
                )));
            }
        }
        Ok(all)
    }

    /// What a job has made; none when it has not run to its end.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn record(&self, name: &str) -> Result<Option<Record>, Error> {
        let path = self.record_path(name);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        let record = serde_json::from_str(&text).map_err(|e| Error::Form {
            path,
            text: e.to_string(),
        })?;
        Ok(Some(record))
    }

    /// Keeps what a job has made; it is done then, and its checkpoint goes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_record(&self, name: &str, record: &Record) -> Result<(), Error> {
        let path = self.record_path(name);
        let text = serde_json::to_string(record).map_err(|e| Error::Form {
            path: path.clone(),
            text: e.to_string(),
        })?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, text).map_err(Error::file(&partial))?;
        std::fs::rename(&partial, &path).map_err(Error::file(&path))?;
        let checkpoint = self.checkpoint(name);
        if checkpoint.exists() {
            std::fs::remove_file(&checkpoint).map_err(Error::file(&checkpoint))?;
        }
        Ok(())
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.out.join("jobs").join(format!("{name}.json"))
    }

    /// Where a course keeps how far it is.
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.out.join("checkpoints").join(format!("{name}.safetensors"))
    }

    fn network(&self, name: &str) -> PathBuf {
        self.out.join("networks").join(format!("{name}.safetensors"))
    }

    /// Keeps the weights of a network.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write_network(&self, name: &str, store: &VarStore) -> Result<(), Error> {
        let mut tensors: Vec<(String, Tensor)> = store
            .variables()
            .into_iter()
            .map(|(n, t)| (n, t.detach().to_device(Device::Cpu)))
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Tensor::write_safetensors(&tensors, self.network(name))?)
    }

    /// Takes the weights of a network that another job has fitted.
    ///
    /// # Errors
    /// It has not, or it is another network.
    pub fn load_network(&self, name: &str, store: &mut VarStore) -> Result<(), Error> {
        Ok(store.load(self.network(name))?)
    }
}
