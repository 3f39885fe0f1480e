//! One training run from cohort to figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use clap::ValueEnum;
use tch::Device;

use crate::cohort::{Cohort, Patient, Split};
use crate::dataset;
use crate::error::Error;
use crate::evaluate::{calibrate, examine, summarise};
use crate::experiment::Experiment;
use crate::fit::course::Dice;
use crate::fit::{self, progress};
use crate::nets::Networks;
use crate::run_folder::{Metrics, RunFolder};

/// A stage of the fitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The network that finds tumours.
    Locator,
    /// The slice encoders.
    Encoders,
    /// The members of the reader.
    Readers,
}

/// What a run does and where its files are.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Keeps examinations as tensors between runs.
    pub cache: &'a Path,
    /// An earlier run of the same cohort, whose weights are the start.
    pub start: Option<&'a Path>,
    /// Which stages are fitted; the others keep the weights of the start.
    pub stages: &'a [Stage],
    /// The folder of the run.
    pub out: &'a Path,
    /// The command that asks for it.
    pub command: &'a str,
}

/// Fits the networks, chooses the operating points on validation patients, and looks at the test
/// patients once.
///
/// # Errors
/// A patient that cannot be read, a start of another cohort, or a loss that is no number any more.
pub fn train(experiment: &Experiment, cohort: &Cohort, plan: &Plan) -> Result<Metrics, Error> {
    let started = Instant::now();
    let device = Device::cuda_if_available();
    // Of the initial weights.
    tch::manual_seed(experiment.seed as i64);
    tch::set_num_threads(experiment.threads as i32);

    let mut networks = Networks::new(&experiment.recipe, experiment.reader.members, device);
    let mut curves = BTreeMap::new();
    let mut commands = cohort.commands.clone();
    if let Some(start) = plan.start {
        let earlier = RunFolder::open(start)?;
        if earlier.cohort.sha256() != cohort.sha256() {
            let text =
                "the run to start from saw another cohort: its training patients may be test patients here";
            return Err(Error::Cohort(text.to_owned()));
        }
        let metrics = earlier.metrics()?;
        networks.load(&earlier.weights())?;
        curves = metrics.curves;
        commands = metrics.commands;
    }
    commands.push(plan.command.to_owned());
    let run = RunFolder::create(plan.out, experiment, cohort)?;

    let of = |split| cohort.of(split).collect::<Vec<&Patient>>();
    let load = |split| {
        let patients = of(split);
        let bar = progress(patients.len(), "reading");
        dataset::load(
            cohort,
            &patients,
            &experiment.recipe,
            plan.cache,
            experiment.threads,
            || bar.inc(1),
        )
    };
    let (training, validation) = (load(Split::Train)?, load(Split::Validation)?);
    tracing::info!(
        training = training.len(),
        validation = validation.len(),
        ?device,
        "examinations read"
    );

    // A stage's random numbers do not depend on how many another stage drew.
    let dice = |stream: u64| Dice {
        seed: experiment.seed,
        stream,
    };
    let fits = |stage| plan.stages.contains(&stage);

    if fits(Stage::Locator) {
        let curve = fit::locator::fit(&networks.locator, &training, &validation, experiment, dice(1))?;
        curves.insert("locator".to_owned(), curve);
        networks.save(&run.weights())?;
    }
    if fits(Stage::Encoders) {
        let curve = fit::encoder::fit(&networks.encoders, &training, &validation, experiment, dice(100))?;
        curves.insert("encoders".to_owned(), curve);
        networks.save(&run.weights())?;
    }
    if fits(Stage::Readers) {
        let rng = &mut dice(200).epoch(0);
        let copies = experiment.reader.copies;
        let sequences = fit::reader::sequences(&networks, &training, copies, experiment, rng);
        let held_out = fit::reader::sequences(&networks, &validation, 1, experiment, rng);
        for (n, member) in networks.members.iter().enumerate() {
            let dice = dice(300 + n as u64);
            let curve = fit::reader::fit(member, n, &sequences, &held_out, experiment, dice)?;
            curves.insert(format!("reader {}", n + 1), curve);
        }
    }
    networks.save(&run.weights())?;

    let look = |split| {
        let patients = of(split);
        let bar = progress(patients.len(), "evaluating");
        examine(&networks, cohort, &patients, experiment, || bar.inc(1))
    };
    let (chosen_on, tested) = (look(Split::Validation)?, look(Split::Test)?);
    let (operating_points, calibration) = calibrate(&chosen_on, &experiment.decision);
    let metrics = Metrics {
        cohort_sha256: cohort.sha256(),
        patients: [Split::Train, Split::Validation, Split::Test].map(|s| of(s).len()),
        commands,
        minutes: started.elapsed().as_secs_f64() / 60.0,
        validation: summarise(&chosen_on, &operating_points, &calibration),
        test: summarise(&tested, &operating_points, &calibration),
        operating_points,
        calibration,
        curves,
    };
    run.write_metrics(&metrics)?;
    run.write_cases(&[(Split::Validation, chosen_on), (Split::Test, tested)].into())?;
    Ok(metrics)
}
