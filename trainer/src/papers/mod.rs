//! The three papers as plans of small jobs.
//!
//! A plan is a file ([`BUILT_IN`] or one's own): questions, presets, and the lines of the paper's tables with the
//! figures that it printed. Each job fits one network or makes one line, and leaves a record in the folder of the
//! reproduction; a job with a record is skipped. So an interrupted reproduction goes on where it was, and a cluster
//! can do the jobs of one wave side by side.
//!
//! | module | owns |
//! |---|---|
//! | [`liu`], [`chang`], [`kaba`] | what is fitted and asked in each paper |
//! | [`task`] | questions: which diagnoses make which class |
//! | [`workshop`] | patients, machine, folder, records |
//! | [`tables`] | the papers' tables with ours beside them |
//! | [`reproduce`] | jobs in their order |

pub mod chang;
pub mod kaba;
pub mod liu;
pub mod reproduce;
pub mod tables;
pub mod task;
pub mod workshop;

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use models::recipe::Recipe;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fit::Epoch;
use chang::Chang;
use kaba::Kaba;
use liu::Liu;
use workshop::Answers;

/// One of the three papers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Paper {
    /// Liu 2023, doi 10.1002/lary.30154.
    Liu,
    /// Chang 2021, doi 10.1002/nbm.4408.
    Chang,
    /// Kaba 2025, doi 10.58600/eurjther2612.
    Kaba,
}

/// The plans that come with the program.
const BUILT_IN: [(Paper, &str); 3] = [
    (Paper::Liu, include_str!("../../experiments/liu.toml")),
    (Paper::Chang, include_str!("../../experiments/chang.toml")),
    (Paper::Kaba, include_str!("../../experiments/kaba.toml")),
];

/// A plan.
#[derive(Debug, Clone)]
pub enum Plan {
    /// See [`liu`].
    Liu(Liu),
    /// See [`chang`].
    Chang(Chang),
    /// See [`kaba`].
    Kaba(Kaba),
}

/// A part of a plan that can be done by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Unique within the plan; a file name.
    pub name: String,
    /// Needs the jobs of all waves before.
    pub wave: usize,
}

/// What a job has made, beside the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Of the network that it has fitted; empty when it has fitted none.
    pub curve: Vec<Epoch>,
    /// When it makes a line of a table.
    pub answers: Option<Answers>,
    /// Further figures by name.
    pub figures: BTreeMap<String, f64>,
}

/// A line of figures as a paper printed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Share of right answers.
    pub accuracy: Option<String>,
    /// Area under the ROC curve.
    pub auc: Option<String>,
    /// Of what is looked for.
    pub sensitivity: Option<String>,
    /// Of the rest.
    pub specificity: Option<String>,
    /// Of the answers that say so, how many are right.
    pub precision: Option<String>,
    /// Harmonic mean of precision and sensitivity.
    pub f1: Option<String>,
}

impl Plan {
    /// The plan of a paper: the one in `file`, or the one that comes with the program.
    ///
    /// # Errors
    /// Unreadable, a key is missing, unknown or of the wrong type, or the plan makes no sense.
    pub fn open(paper: Paper, file: Option<&Path>) -> Result<Self, Error> {
        let built_in = || {
            BUILT_IN
                .iter()
                .find(|(p, _)| *p == paper)
                .map_or("", |(_, text)| text)
        };
        let text = match file {
            Some(file) => std::fs::read_to_string(file).map_err(Error::file(file))?,
            None => built_in().to_owned(),
        };
        let path = file.map_or_else(|| "the built-in plan".into(), Path::to_owned);
        let form = |e: toml::de::Error| Error::Form {
            path: path.clone(),
            text: e.to_string(),
        };
        let plan = match paper {
            Paper::Liu => Plan::Liu(toml::from_str(&text).map_err(form)?),
            Paper::Chang => Plan::Chang(toml::from_str(&text).map_err(form)?),
            Paper::Kaba => Plan::Kaba(toml::from_str(&text).map_err(form)?),
        };
        match plan.flaw() {
            Some(text) => Err(Error::Form { path, text }),
            None => Ok(plan),
        }
    }

    fn flaw(&self) -> Option<String> {
        let flaw = match self {
            Plan::Liu(liu) => liu.flaw(),
            Plan::Chang(chang) => chang.flaw(),
            Plan::Kaba(kaba) => kaba.flaw(),
        };
        flaw.or_else(|| {
            let names: Vec<String> = self.jobs().into_iter().map(|job| job.name).collect();
            let twice = |(n, name): &(usize, &String)| names[..*n].contains(name);
            let (_, name) = names.iter().enumerate().find(twice)?;
            Some(format!("two jobs are called “{name}”"))
        })
    }

    /// All jobs, in an order in which they can be done.
    pub fn jobs(&self) -> Vec<Job> {
        match self {
            Plan::Liu(liu) => liu.jobs(),
            Plan::Chang(chang) => chang.jobs(),
            Plan::Kaba(kaba) => kaba.jobs(),
        }
    }

    /// What a preset says of the cohort: patients to simulate, and how they become tensors.
    ///
    /// # Errors
    /// There is no such preset.
    pub fn cohort_of(&self, preset: &str) -> Result<(usize, &Recipe), Error> {
        let found = match self {
            Plan::Liu(liu) => liu.presets.get(preset).map(|p| (p.patients, &p.recipe)),
            Plan::Chang(chang) => chang.presets.get(preset).map(|p| (p.patients, &p.recipe)),
            Plan::Kaba(kaba) => kaba.presets.get(preset).map(|p| (p.patients, &p.recipe)),
        };
        found.ok_or_else(|| Error::Plan(format!("there is no preset “{preset}”")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Liu: Tables II (12 lines), III (13) and IV (9). Kaba: 24 models. Chang: five combinations.
    #[test]
    fn the_plans_hold_every_line_of_the_papers() {
        let Plan::Liu(liu) = Plan::open(Paper::Liu, None).unwrap() else {
            panic!()
        };
        let lines = |table: &str| liu.rows.iter().filter(|row| row.table == table).count();
        assert_eq!([lines("II"), lines("III"), lines("IV")], [12, 13, 9]);
        let Plan::Kaba(kaba) = Plan::open(Paper::Kaba, None).unwrap() else {
            panic!()
        };
        assert_eq!(kaba.rows.len(), 24);
        assert_eq!(kaba.jobs().len(), 48);
        let Plan::Chang(chang) = Plan::open(Paper::Chang, None).unwrap() else {
            panic!()
        };
        assert_eq!(chang.rows.len(), 5);
        for paper in [Paper::Liu, Paper::Kaba, Paper::Chang] {
            let plan = Plan::open(paper, None).unwrap();
            for preset in ["small", "full"] {
                assert!(plan.cohort_of(preset).is_ok(), "{paper:?} {preset}");
            }
            assert!(plan.cohort_of("huge").is_err());
        }
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.toml");
        let text = BUILT_IN[0].1;
        let broken = [
            (text.replace("fusion = \"add\"", "fusion = \"glue\""), "glue"),
            (
                text.replace("task = \"malignant\"", "task = \"colour\""),
                "colour",
            ),
            (
                text.replace("\"other malignant\"] }", "\"malignat\"] }"),
                "malignat",
            ),
        ];
        for (text, word) in broken {
            std::fs::write(&file, text).unwrap();
            let error = Plan::open(Paper::Liu, Some(&file)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
