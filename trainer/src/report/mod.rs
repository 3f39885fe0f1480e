//! One run as one page: every figure with its interval, the curves, examples and checklists.
//!
//! [`Report`] is all that goes in; [`write`] leaves `report.html`, which needs no other file and runs no
//! script, and `report.json`, which holds every figure. The same input gives the same bytes.

pub mod checklist;
mod compose;
pub mod html;
pub mod plot;
pub mod results;
mod slices;
mod tables;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use models::findings::NOTICE;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fit::Epoch;
use crate::readers::Scores;
use crate::statistics::Prediction;
use crate::statistics::Refusal;
use checklist::Checklist;
use results::Results;

/// What stands on top and on every table when the patients are simulated.
pub const SIMULATED: &str = "Simulated patients only. Nothing here says anything about real ones.";

/// Everything that a report is made from. No field may hold the name of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// On top of the page.
    pub title: String,
    /// What was run.
    pub run: Run,
    /// Models, the first of them the main one.
    pub models: Vec<Model>,
    /// Tables that are shown as they are.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// By network: loss of each epoch.
    #[serde(default)]
    pub curves: BTreeMap<String, Vec<Epoch>>,
    /// Readers of the test patients.
    #[serde(default)]
    pub readers: Option<Scores>,
    /// Slices to look at.
    #[serde(default)]
    pub slices: Vec<ExampleSlice>,
    /// Where the data and the model come from, a line each.
    #[serde(default)]
    pub provenance: Vec<String>,
}

/// What was run, and what is known about it. What is none here is "to be filled in by the authors" in the
/// checklists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// As it was typed.
    pub command: String,
    /// Of the program.
    pub commit: String,
    /// Of the run; the bootstrap's too.
    pub seed: u64,
    /// For example `cpu, 8 threads`.
    pub device: String,
    /// [`crate::cohort::Cohort::sha256`].
    pub cohort_sha256: String,
    /// Whether the patients are simulated.
    pub simulated: bool,
    /// Name and version of the libraries that matter.
    #[serde(default)]
    pub software: BTreeMap<String, String>,
    /// How patients were assigned to training, validation and testing.
    #[serde(default)]
    pub split: Option<String>,
    /// How it was made sure that nobody is on two sides.
    #[serde(default)]
    pub leak_check: Option<String>,
    /// Patients for training, validation and testing.
    #[serde(default)]
    pub patients: Option<[usize; 3]>,
    /// How images become tensors.
    #[serde(default)]
    pub preprocessing: Option<String>,
    /// The networks, from input to output.
    #[serde(default)]
    pub architecture: Option<String>,
    /// What the weights started from.
    #[serde(default)]
    pub initialisation: Option<String>,
    /// Loss, optimiser, rates, epochs, augmentation.
    #[serde(default)]
    pub training: Option<String>,
    /// How the final weights were picked.
    #[serde(default)]
    pub selection: Option<String>,
    /// How several networks vote.
    #[serde(default)]
    pub ensemble: Option<String>,
    /// What was done about classes of unequal size.
    #[serde(default)]
    pub imbalance: Option<String>,
}

/// A table of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// One per column.
    pub header: Vec<String>,
    /// As long as the header.
    pub rows: Vec<Vec<String>>,
    /// Below the table, a line each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A model's predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// For example the contrasts that it sees.
    pub name: String,
    /// Names of the classes, in the order of the probabilities.
    pub classes: Vec<String>,
    /// The class that ROC, operating points and readers are about: malignant.
    pub positive: usize,
    /// Thresholds and scalings are chosen on these; without them there are none.
    #[serde(default)]
    pub validation: Vec<Prediction>,
    /// All figures are about these.
    pub test: Vec<Prediction>,
}

/// A slice to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleSlice {
    /// What it shows, without a name.
    pub caption: String,
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// Grey values, row by row, 0 black.
    pub pixels: Vec<u8>,
    /// Closed outlines.
    #[serde(default)]
    pub outlines: Vec<Outline>,
}

/// A closed outline on a slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// Who drew it.
    pub of: Drawn,
    /// (x, y) in pixels from the upper left corner of the image; the centre of its first pixel is (0.5, 0.5).
    pub points: Vec<[f64; 2]>,
}

/// Who drew an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drawn {
    /// The reference.
    Truth,
    /// The model.
    Model,
}

/// The files of a written report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The figures.
    pub json: PathBuf,
}

/// `report.json`.
#[derive(Serialize)]
struct FiguresFile<'a> {
    notice: &'static str,
    simulated: Option<&'static str>,
    title: &'a str,
    run: &'a Run,
    results: &'a Results,
    tables: &'a [Table],
    curves: &'a BTreeMap<String, Vec<Epoch>>,
    checklists: &'a [Checklist],
    provenance: &'a [String],
}

impl Report {
    /// Reads a report's input as JSON.
    ///
    /// # Errors
    /// It cannot be read or has another form.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        serde_json::from_str(&text).map_err(|e| Error::Form {
            path: path.to_owned(),
            text: e.to_string(),
        })
    }

    /// Refuses what no page can be made from.
    fn check(&self) -> Result<(), Refusal> {
        if self.models.is_empty() {
            return Err(Refusal("there is no model to report on".to_owned()));
        }
        for table in &self.tables {
            if let Some(row) = table.rows.iter().find(|r| r.len() != table.header.len()) {
                let (n, of) = (row.len(), table.header.len());
                return Err(Refusal(format!(
                    "table “{}”: {n} cells for {of} columns",
                    table.title
                )));
            }
        }
        self.slices.iter().try_for_each(slices::check)
    }

    /// The page and the figures, as text.
    ///
    /// # Errors
    /// Predictions, tables, slices or readers do not fit together.
    pub fn render(&self) -> Result<(String, String), Refusal> {
        self.check()?;
        let results = Results::of(self)?;
        let checklists = checklist::fill(self, &results);
        let page = compose::page(self, &results, &checklists)?;
        let figures = FiguresFile {
            notice: NOTICE,
            simulated: self.run.simulated.then_some(SIMULATED),
            title: &self.title,
            run: &self.run,
            results: &results,
            tables: &self.tables,
            curves: &self.curves,
            checklists: &checklists,
            provenance: &self.provenance,
        };
        let json = serde_json::to_string_pretty(&figures).map_err(|e| Refusal(e.to_string()))?;
        Ok((page, json + "\n"))
    }
}

/// Writes `report.html` and `report.json` into a folder, which is made when it is not there.
///
/// # Errors
/// The input does not fit together, or the folder cannot be written.
pub fn write(report: &Report, out: &Path) -> Result<Written, Error> {
    let (page, figures) = report.render().map_err(|e| Error::Report(e.to_string()))?;
    std::fs::create_dir_all(out).map_err(Error::file(out))?;
    let written = Written {
        html: out.join("report.html"),
        json: out.join("report.json"),
    };
    std::fs::write(&written.html, page).map_err(Error::file(&written.html))?;
    std::fs::write(&written.json, figures).map_err(Error::file(&written.json))?;
    Ok(written)
}
