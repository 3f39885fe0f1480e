//! The jobs of a plan, one after the other.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::liu::Tokens;
use super::tables::{Table, tables};
use super::workshop::{Record, Workshop};
use super::{Job, Made, Plan};
use crate::cohort::{Cohort, Order, index};
use crate::error::Error;
use crate::experiment::Precision;

/// How a reproduction is run.
#[derive(Debug, Clone)]
pub struct Reproduction {
    /// What is done.
    pub plan: Plan,
    /// Sizes and lengths.
    pub preset: String,
    /// Where everything is kept.
    pub out: PathBuf,
    /// Of all random numbers.
    pub seed: u64,
    /// Threads of libtorch and of the readers of studies.
    pub threads: usize,
    /// In which numbers the networks are fitted.
    pub precision: Precision,
}

impl Reproduction {
    /// Does those jobs that have no record yet, all or the named ones; then the tables, when all jobs are done.
    ///
    /// # Errors
    /// A patient cannot be used, a network diverges, a file cannot be written, or somebody asked to stop.
    pub fn run(&self, cohort: &Cohort, only: &[String]) -> Result<Option<Vec<Table>>, Error> {
        let jobs = self.plan.jobs();
        if let Some(unknown) = only
            .iter()
            .find(|name| !jobs.iter().any(|job| job.name == **name))
        {
            return Err(Error::Plan(format!("there is no job “{unknown}”")));
        }
        let (_, recipe) = self.plan.cohort_of(&self.preset)?;
        tch::set_num_threads(i32::try_from(self.threads).unwrap_or(i32::MAX));
        let workshop = Workshop::open(&self.out, cohort, recipe, self.seed, self.threads, self.precision)?;
        let mut kept = Tokens::default();
        for job in &jobs {
            if (only.is_empty() || only.contains(&job.name)) && workshop.record(&job.name)?.is_none() {
                self.work(job, &workshop, &mut kept)?;
            }
        }
        let mut records = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let Some(record) = workshop.record(&job.name)? else {
                return Ok(None);
            };
            records.push((job.name.clone(), record));
        }
        let mut tables = tables(&self.plan, &records.into_iter().collect(), self.seed)?;
        if cohort.patients.iter().any(|patient| patient.simulated) {
            let simulated = "Simulated patients only. Nothing here says anything about real ones.";
            tables
                .iter_mut()
                .for_each(|t| t.notes.insert(0, simulated.to_owned()));
        }
        Ok(Some(tables))
    }

    fn work(&self, job: &Job, workshop: &Workshop, kept: &mut Tokens) -> Result<(), Error> {
        let started = Instant::now();
        let no_preset = || Error::Plan(format!("there is no preset “{}”", self.preset));
        let Made {
            curve,
            answers,
            figures,
        } = match &self.plan {
            Plan::Liu(liu) => {
                let preset = liu.presets.get(&self.preset).ok_or_else(no_preset)?;
                liu.work(&job.name, preset, workshop, kept)?
            }
            Plan::Chang(chang) => {
                let preset = chang.presets.get(&self.preset).ok_or_else(no_preset)?;
                chang.work(&job.name, preset, workshop)?
            }
            Plan::Kaba(kaba) => {
                let preset = kaba.presets.get(&self.preset).ok_or_else(no_preset)?;
                kaba.work(&job.name, preset, workshop)?
            }
        };
        let record = Record {
            minutes: started.elapsed().as_secs_f64() / 60.0,
            curve,
            answers,
            figures,
        };
        workshop.write_record(&job.name, &record)
    }
}

/// A simulated cohort in a folder, made and indexed once.
///
/// # Errors
/// It cannot be written.
pub fn simulated(
    folder: &Path,
    patients: usize,
    seed: u64,
    threads: usize,
    command: &str,
) -> Result<Cohort, Error> {
    let file = folder.join("cohort.toml");
    if !file.exists() {
        let studies = folder.join("patients");
        let bar = crate::fit::progress(patients, "simulating");
        phantom::write_cohort_with(threads, patients, seed, &studies, |_| bar.inc(1))
            .map_err(|e| Error::Cohort(e.to_string()))?;
        bar.finish_and_clear();
        let order = Order {
            root: &studies,
            labels: None,
            masks: None,
            seed,
            strict: true,
            threads,
            command,
        };
        index(&order, &|_, _| {})?.cohort?.save(&file)?;
    }
    Cohort::open(&file)
}
