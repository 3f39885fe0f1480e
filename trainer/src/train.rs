//! One training run from cohort to figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::Device;

use crate::cohort::{Cohort, Patient, Split};
use crate::dataset;
use crate::error::Error;
use crate::evaluate::{calibrate, examine, summarise};
use crate::experiment::Experiment;
use crate::fit::{self, progress};
use crate::nets::Networks;
use crate::run_folder::{Metrics, RunFolder, WEIGHTS};

/// Fits all networks, chooses the operating points on validation patients, and looks at the test
/// patients once. `cache` keeps examinations as tensors between runs; with `locator` the locator of an
/// earlier run is taken as it is.
///
/// # Errors
/// A patient that cannot be read, or a loss that is no number any more.
pub fn train(
    experiment: &Experiment,
    cohort: &Cohort,
    cache: &Path,
    locator: Option<&Path>,
    out: &Path,
    command: &str,
) -> Result<Metrics, Error> {
    let start = Instant::now();
    let run = RunFolder::create(out, experiment, cohort)?;
    let device = Device::cuda_if_available();
    tch::manual_seed(experiment.seed as i64);
    tch::set_num_threads(experiment.threads as i32);

    let of = |split| cohort.of(split).collect::<Vec<&Patient>>();
    let load = |split| {
        let patients = of(split);
        let bar = progress(patients.len(), "reading");
        dataset::load(
            cohort,
            &patients,
            &experiment.recipe,
            cache,
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
    let dice = |stage: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(experiment.seed);
        rng.set_stream(stage);
        rng
    };
    let mut networks = Networks::new(&experiment.recipe, experiment.reader.members, device);
    let mut curves = BTreeMap::new();
    if let Some(earlier) = locator {
        networks.locator.store.load(earlier.join(WEIGHTS))?;
    } else {
        let curve = fit::locator::fit(
            &networks.locator,
            &training,
            &validation,
            experiment,
            &mut dice(1),
        )?;
        curves.insert("locator".to_owned(), curve);
    }
    networks.save(&run.weights())?;

    let curve = fit::encoder::fit(
        &networks.encoders,
        &training,
        &validation,
        experiment,
        &mut dice(100),
    )?;
    curves.insert("encoders".to_owned(), curve);
    networks.save(&run.weights())?;

    let rng = &mut dice(200);
    let sequences = fit::reader::sequences(&networks, &training, experiment.reader.copies, experiment, rng);
    let held_out = fit::reader::sequences(&networks, &validation, 1, experiment, rng);
    for (n, member) in networks.members.iter().enumerate() {
        let rng = &mut dice(300 + n as u64);
        let curve = fit::reader::fit(member, n, &sequences, &held_out, experiment, rng)?;
        curves.insert(format!("reader {}", n + 1), curve);
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
        command: command.to_owned(),
        minutes: start.elapsed().as_secs_f64() / 60.0,
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
