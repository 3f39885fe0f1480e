//! What a training run leaves behind, and all that the export needs.
//!
//! ```text
//! experiment.toml       every setting
//! cohort.toml           patients, hashes and split
//! weights.safetensors   all networks, PyTorch's names
//! metrics.json          operating points, calibration, learning curves and figures
//! cases.json            per patient, without names
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use models::package::{Calibration, OperatingPoints};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tch::Device;

use crate::cohort::{Cohort, Split};
use crate::error::Error;
use crate::evaluate::{Case, Evaluation, calibrate, summarise};
use crate::experiment::Experiment;
use crate::fit::Epoch;
use crate::nets::Networks;

/// File name of the weights in a run.
pub const WEIGHTS: &str = "weights.safetensors";

/// `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// [`Cohort::sha256`].
    pub cohort_sha256: String,
    /// Patients for training, validation and testing.
    pub patients: [usize; 3],
    /// The commands that made it, from the cohort on, each with the commit of its program.
    pub commands: Vec<String>,
    /// Minutes of wall time.
    pub minutes: f64,
    /// Chosen on validation patients.
    pub operating_points: OperatingPoints,
    /// Chosen on validation patients.
    pub calibration: Calibration,
    /// On the patients that these were chosen on: flattering by as much.
    pub validation: Evaluation,
    /// On patients that nothing was chosen on.
    pub test: Evaluation,
    /// Per stage.
    pub curves: BTreeMap<String, Vec<Epoch>>,
}

/// A run on disk.
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    /// Its settings.
    pub experiment: Experiment,
    /// Its patients.
    pub cohort: Cohort,
}

impl RunFolder {
    /// Starts a run in an empty or new folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(dir: &Path, experiment: &Experiment, cohort: &Cohort) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(Error::file(dir))?;
        let run = Self {
            dir: dir.to_owned(),
            experiment: experiment.clone(),
            cohort: cohort.clone(),
        };
        run.write_experiment()?;
        cohort.save(&dir.join("cohort.toml"))?;
        Ok(run)
    }

    /// Opens a finished run.
    ///
    /// # Errors
    /// A file is missing or of another form.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let experiment = Experiment::open(&dir.join("experiment.toml"))?;
        let cohort = Cohort::open(&dir.join("cohort.toml"))?;
        Ok(Self {
            dir: dir.to_owned(),
            experiment,
            cohort,
        })
    }

    /// Where the weights are.
    pub fn weights(&self) -> PathBuf {
        self.dir.join(WEIGHTS)
    }

    /// The networks with the run's weights.
    ///
    /// # Errors
    /// The weights cannot be read or are not those of this experiment.
    pub fn networks(&self, device: Device) -> Result<Networks, Error> {
        let mut networks = Networks::new(&self.experiment.recipe, self.experiment.reader.members, device);
        networks.load(&self.weights())?;
        Ok(networks)
    }

    /// `metrics.json`.
    ///
    /// # Errors
    /// Missing or of another form.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.read_json("metrics.json")
    }

    /// `cases.json`.
    ///
    /// # Errors
    /// Missing or of another form.
    pub fn cases(&self) -> Result<BTreeMap<Split, Vec<Case>>, Error> {
        self.read_json("cases.json")
    }

    /// Chooses the operating points anew from the cases of the run, for another share of the tumours
    /// that must stay above the lesion score.
    ///
    /// # Errors
    /// The run is not finished or cannot be written.
    pub fn calibrate(&mut self, sensitivity: f64, command: &str) -> Result<Metrics, Error> {
        let cases = self.cases()?;
        let of = |split| cases.get(&split).map_or(&[][..], Vec::as_slice);
        let mut metrics = self.metrics()?;
        self.experiment.decision.sensitivity = sensitivity;
        metrics.commands.push(command.to_owned());
        let chosen = calibrate(of(Split::Validation), &self.experiment.decision);
        (metrics.operating_points, metrics.calibration) = chosen;
        for (figures, split) in [
            (&mut metrics.validation, Split::Validation),
            (&mut metrics.test, Split::Test),
        ] {
            *figures = summarise(of(split), &metrics.operating_points, &metrics.calibration);
        }
        self.write_metrics(&metrics)?;
        self.write_experiment()?;
        Ok(metrics)
    }

    /// Writes `metrics.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_metrics(&self, metrics: &Metrics) -> Result<(), Error> {
        self.write_json("metrics.json", metrics)
    }

    /// Writes `cases.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_cases(&self, cases: &BTreeMap<Split, Vec<Case>>) -> Result<(), Error> {
        self.write_json("cases.json", cases)
    }

    fn write_experiment(&self) -> Result<(), Error> {
        let path = self.dir.join("experiment.toml");
        let text = toml::to_string(&self.experiment).map_err(|e| Error::Form {
            path: path.clone(),
            text: e.to_string(),
        })?;
        std::fs::write(&path, text).map_err(Error::file(&path))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.dir.join(name);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        serde_json::from_str(&text).map_err(|e| Error::Form {
            path,
            text: e.to_string(),
        })
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.dir.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::Form {
            path: path.clone(),
            text: e.to_string(),
        })?;
        std::fs::write(&path, text).map_err(Error::file(&path))
    }
}
