//! From the headers of one examination to its findings.
//!
//! [`examine`] is the whole way: assemble the study, check that the model may answer, locate, look,
//! and write down what was found together with the pictures that show it.

mod ensemble;
mod island;
mod lesions;
mod network;
mod pictures;
pub mod speed;
mod validity;

use std::path::Path;
use std::time::Instant;

use ndarray::{Array3, ArrayView2, Axis};

use crate::findings::{
    Fault, Findings, LabelProbability, Lesion, MissingContrast, Outcome, Reason, TaskAnswer, Timing,
};
use crate::limits::MAX_LESIONS;
use crate::mr::{Contrast, Evidence, Scan};
use crate::package::{FileHash, Manifest, Package};
use crate::pictures::{Influence, Pictures};
use crate::recipe::{LocatorInput, Prepared, SliceBox};
use crate::share::share;
use crate::study::{NOT_A_HEAD, Study, Unassembled};

use self::pictures::{Membership, Subject};
pub use ensemble::{answer as answer_tasks, softmax};
pub use island::StageTime;
pub use lesions::{Candidate, candidates};
pub use network::Plan;
use network::{Network, PlanLoader, tensor};
use validity::{objections, spacing_remarks};

/// A model package whose hashes and golden vectors were found right on this machine.
pub struct Model {
    package: Package,
    locator: Network,
    encoders: Vec<Network>,
    reader: Network,
    threads: usize,
}

/// What the worker says about one examination.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// In words and numbers.
    pub findings: Findings,
    /// In pictures: one per contrast, on the slice to look at first. [`Examination::pictures`] has the others.
    pub pictures: Pictures,
    /// What it is about.
    pub evidence: Evidence,
}

impl Model {
    /// Loads a package, checks every hash and runs every golden vector.
    ///
    /// # Errors
    /// The codes of [`Package::open`], `network_failed`, `golden_vectors`.
    pub fn load(dir: &Path, threads: usize) -> Result<Model, Reason> {
        Self::of(Package::open(dir)?, threads)
    }

    /// The model of a package that was opened.
    ///
    /// # Errors
    /// `network_failed`, `golden_vectors`, and the hashes once more.
    pub fn of(package: Package, threads: usize) -> Result<Model, Reason> {
        Self::planned(package, threads, Plan::load)
    }

    /// The same for tract alone, to compare with.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_stock(package: Package, threads: usize) -> Result<Model, Reason> {
        Self::planned(package, threads, |_, onnx| Plan::load_stock(onnx))
    }

    fn planned(package: Package, threads: usize, plan: PlanLoader) -> Result<Model, Reason> {
        let networks = &package.manifest.networks;
        let files: Vec<&FileHash> = networks.files().collect();
        // The golden vectors of the locator alone take as long as all the rest.
        let load = |file: usize| Network::load(&package, files[file], plan);
        let mut loaded = share(threads, files.len(), load)?.into_iter();
        let (Some(locator), Some(reader)) = (loaded.next(), loaded.next_back()) else {
            let text = "a package has a locator and a reader";
            return Err(Reason::new("network_failed", Fault::Us, text));
        };
        let encoders = loaded.collect();
        Ok(Model {
            package,
            locator,
            encoders,
            reader,
            threads: threads.max(1),
        })
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// Probability of tumour per voxel of the locator's grid (slice, row, column).
    ///
    /// # Errors
    /// `network_failed`.
    pub fn locate(&self, input: &LocatorInput) -> Result<Array3<f32>, Reason> {
        let (slices, _, rows, columns) = input.images.dim();
        let planes = share(self.threads, slices, |slice| {
            let image = input.stack(slice);
            let (channels, rows, columns) = image.dim();
            self.locator
                .run(vec![tensor(&[1, channels, rows, columns], image)?])
        })?;
        let values: Vec<f32> = planes.into_iter().flatten().collect();
        Array3::from_shape_vec((slices, rows, columns), values)
            .map_err(|e| Reason::new("network_failed", Fault::Us, format!("locator output: {e}")))
    }

    /// What the encoders see of one lesion.
    ///
    /// # Errors
    /// `network_failed`, or the study's own when it lacks a contrast.
    fn encode(&self, study: &Prepared<'_>, lesion: &[SliceBox]) -> Result<Encoded, Reason> {
        let recipe = &self.package.manifest.recipe.reader;
        let input = study.reader_input(lesion)?;
        let slices = input.boxes.nrows();
        // All slices of one contrast after the other, so that its weights stay near.
        let jobs = self.encoders.len() * slices;
        let mut seen = share(self.threads, jobs, |job| {
            let (channel, slice) = (job / slices, job % slices);
            let image = input.images.index_axis(Axis(0), slice);
            let image = image.index_axis(Axis(0), channel);
            let corners = input.boxes.row(slice);
            self.encoders[channel].run(vec![
                tensor(&[1, 1, recipe.size, recipe.size], image.iter().copied())?,
                tensor(&[1, 4], corners.iter().copied())?,
            ])
        })?;
        let mut features = vec![Vec::new(); slices];
        for (job, feature) in seen.iter_mut().enumerate() {
            features[job % slices].append(feature);
        }
        let width = features.first().map_or(0, Vec::len);
        let mut spliced: Vec<f32> = features.into_iter().flatten().collect();
        spliced.resize(recipe.max_slices * width, 0.0);
        Ok(Encoded {
            width,
            spliced,
            slices: input.slices,
        })
    }

    /// (member, class) logits for one lesion, row by row; without one of its slices, by its place, if so asked.
    ///
    /// # Errors
    /// `network_failed`.
    fn read(&self, seen: &Encoded, without: Option<usize>) -> Result<Vec<f32>, Reason> {
        let most = self.package.manifest.recipe.reader.max_slices;
        let is_read = |slice: usize| slice < seen.slices.len() && Some(slice) != without;
        let mask = (0..most).map(|slice| if is_read(slice) { 1.0 } else { 0.0 });
        let inputs = vec![
            tensor(&[most, seen.width], seen.spliced.iter().copied())?,
            tensor(&[most], mask)?,
        ];
        self.reader.run(inputs)
    }

    /// The answers to all tasks, from logits.
    fn answers(&self, logits: &[f32]) -> Result<Vec<TaskAnswer>, Reason> {
        let manifest = &self.package.manifest;
        let classes = manifest.classes.len();
        let members = ArrayView2::from_shape((logits.len() / classes, classes), logits)
            .map_err(|e| Reason::new("network_failed", Fault::Us, format!("reader output: {e}")))?;
        Ok(ensemble::answer(
            members,
            manifest.calibration.temperature,
            &manifest.tasks,
        ))
    }

    /// How much each slice did for the leading answer to the finest question.
    ///
    /// # Errors
    /// `network_failed`.
    fn influence(
        &self,
        number: u32,
        seen: &Encoded,
        answers: &[TaskAnswer],
    ) -> Result<Option<Influence>, Reason> {
        let finest = answers
            .iter()
            .enumerate()
            .max_by_key(|(_, task)| task.labels.len());
        let Some((task, answer)) = finest.filter(|_| seen.slices.len() > 1) else {
            return Ok(None);
        };
        let by_probability = |a: &(usize, &LabelProbability), b: &(usize, &LabelProbability)| {
            a.1.probability.total_cmp(&b.1.probability)
        };
        let Some((label, leading)) = answer.labels.iter().enumerate().max_by(by_probability) else {
            return Ok(None);
        };
        let fall = |place: usize| {
            let without = self.answers(&self.read(seen, Some(place))?)?;
            Ok((leading.probability - without[task].labels[label].probability) as f32)
        };
        let falls: Result<Vec<f32>, Reason> = (0..seen.slices.len()).map(fall).collect();
        Ok(Some(Influence {
            lesion: number,
            task: answer.task.clone(),
            label: leading.label.clone(),
            slices: seen.slices.iter().copied().zip(falls?).collect(),
        }))
    }
}

/// The slices of a lesion as the encoders see them.
struct Encoded {
    /// Features of each slice, one after the other, then zeros.
    spliced: Vec<f32>,
    /// Features of one slice.
    width: usize,
    /// Which slices of the locator's grid these are.
    slices: Vec<usize>,
}

/// An examination after its answer: what is left to be shown of it.
pub struct Examination {
    study: Study,
    subject: Subject,
}

impl Examination {
    /// Every contrast on every slice.
    pub fn pictures(&self, threads: usize) -> Pictures {
        self.subject.all(&self.study, threads)
    }
}

/// Answers about one examination, or says why not, in the findings and in the log.
///
/// Without a usable model the study is still read, so that the page can show what arrived.
pub fn examine(model: Result<&Model, &Reason>, scan: &Scan, software_version: &str) -> Answer {
    examine_in_steps(model, scan, software_version, &mut |_| {}).0
}

/// As [`examine`]; each step is told when it begins, by its name in [`Timing::step`]. What is left of the examination
/// comes beside the answer, where its images could be read.
pub fn examine_in_steps(
    model: Result<&Model, &Reason>,
    scan: &Scan,
    software_version: &str,
    told: &mut dyn FnMut(&str),
) -> (Answer, Option<Examination>) {
    let mut clock = Clock {
        steps: Vec::new(),
        told,
    };
    let mut findings = Findings::blank(software_version);
    let mut evidence = Evidence {
        attributes: scan.attributes.clone(),
        ..Evidence::default()
    };
    let study = match clock.time("read", || Study::assemble(scan)) {
        Ok(study) => study,
        Err(unassembled) => {
            let Unassembled {
                identity,
                reasons,
                refused,
            } = *unassembled;
            let missing = model.ok().map(|m| missing(&m.package.manifest, |_| false));
            findings.study = identity;
            findings.reasons = reasons;
            findings.refused = refused;
            findings.missing = missing.unwrap_or_default();
            findings.model = model.ok().map(|m| m.package.identity());
            findings.timings = clock.steps;
            log(&findings);
            let answer = Answer {
                findings,
                pictures: Pictures::default(),
                evidence,
            };
            return (answer, None);
        }
    };
    evidence.sources = study.sources.clone();
    evidence.anchor = study.anchor;
    findings.study = study.identity.clone();
    findings.contrasts = study.origins.clone();
    findings.refused = study.refused.clone();
    findings.quality = study.quality.clone();
    let inspection = clock.time("check", || study.inspect());
    findings.quality.extend(inspection.remarks);

    let located = model.map_err(Clone::clone).and_then(|model| {
        let manifest = &model.package.manifest;
        findings.model = Some(model.package.identity());
        findings.missing = missing(manifest, |c| study.volume(c).is_some());
        findings.quality.extend(spacing_remarks(manifest, &study));
        let mut reasons = inspection.refusals.clone();
        // What is no head needs no further objections.
        if !reasons.iter().any(|r| r.code == NOT_A_HEAD) {
            reasons.extend(objections(manifest, &study));
        }
        if !reasons.is_empty() {
            findings.reasons = reasons;
            return Ok(None);
        }
        let required = manifest.recipe.required();
        for used in &mut findings.contrasts {
            used.used_by_model = required.contains(&used.contrast);
        }
        answer(model, &study, &mut clock).map(Some)
    });
    let subject = match located {
        Ok(Some(located)) => {
            findings.outcome = Outcome::Answered;
            findings.lesions = located.lesions;
            Some(located.subject)
        }
        Ok(None) => unexamined(&study),
        Err(reason) => {
            findings.reasons = inspection.refusals;
            findings.reasons.push(reason);
            unexamined(&study)
        }
    };
    let pictures = clock.time("views", || {
        subject
            .as_ref()
            .map_or_else(Pictures::default, |subject| subject.first(&study))
    });
    if findings.outcome == Outcome::CannotAnswer {
        for used in &mut findings.contrasts {
            used.used_by_model = false;
        }
    }
    findings.timings = clock.steps;
    log(&findings);
    let answer = Answer {
        findings,
        pictures,
        evidence,
    };
    (answer, subject.map(|subject| Examination { study, subject }))
}

/// Every reason goes to the log, with its code and without patient data.
fn log(findings: &Findings) {
    for reason in findings.reasons.iter().chain(&findings.quality) {
        tracing::warn!(code = reason.code, "{}", reason.text);
    }
    for refused in &findings.refused {
        tracing::warn!(
            code = refused.reason.code,
            "not used: {}: {}",
            refused.input,
            refused.reason.text
        );
    }
}

/// Findings about an examination that was not even opened, for example when the worker died.
pub fn cannot_answer(reason: Reason, software_version: &str) -> Answer {
    let mut findings = Findings::blank(software_version);
    findings.reasons.push(reason);
    Answer {
        findings,
        pictures: Pictures::default(),
        evidence: Evidence::default(),
    }
}

struct Located {
    lesions: Vec<Lesion>,
    subject: Subject,
}

fn answer(model: &Model, study: &Study, clock: &mut Clock<'_>) -> Result<Located, Reason> {
    let manifest = &model.package.manifest;
    let points = &manifest.operating_points;
    let (prepared, input) = clock.time("align", || {
        let prepared = manifest.recipe.prepare(study, model.threads)?;
        let input = prepared.locator_input()?;
        Ok::<_, Reason>((prepared, input))
    })?;
    let grid = &input.grid;
    let probability = clock.time("locate", || model.locate(&input))?;
    let middle = middle_of_head(&input);
    let adc = study.resample(Contrast::Adc, grid).ok();

    let mut lesions = Vec::new();
    let mut memberships = Vec::new();
    let mut influence = Vec::new();
    let started = clock.begin("classify");
    let found = candidates(&probability, points);
    for (n, candidate) in found
        .iter()
        .take_while(|c| c.score >= points.lesion_score)
        .take(MAX_LESIONS)
        .enumerate()
    {
        let seen = model.encode(&prepared, &candidate.slice_boxes())?;
        let tasks = model.answers(&model.read(&seen, None)?)?;
        let number = n as u32 + 1;
        influence.extend(model.influence(number, &seen, &tasks)?);
        let voxel_ml = grid.voxel_volume() / 1000.0;
        let mean = |map: &Array3<f32>| {
            candidate.voxels.iter().map(|v| f64::from(map[*v])).sum::<f64>() / candidate.voxels.len() as f64
        };
        lesions.push(Lesion {
            number,
            side: candidate.side(grid, middle),
            box_mm: candidate.box_mm(grid),
            long_axis_mm: candidate.long_axis_mm(grid),
            volume_ml: candidate.voxels.len() as f64 * voxel_ml,
            mean_adc: adc.as_ref().map(mean),
            detection: f64::from(candidate.score),
            largest_slice: candidate.largest_slice(),
            mask: candidate.mask(grid),
            tasks,
        });
        memberships.push(Membership {
            lesion: number,
            values: membership(candidate, &probability),
        });
    }
    clock.add("classify", started);
    let middle_slice = grid.shape[0] / 2;
    Ok(Located {
        subject: Subject {
            slice: lesions
                .first()
                .map_or(middle_slice, |lesion| lesion.largest_slice),
            grid: grid.clone(),
            lesions: memberships,
            threshold: points.voxel_probability,
            heat: Some(probability),
            influence,
        },
        lesions,
    })
}

/// The probability inside the lesion and on its rim, 0 elsewhere, so that outlines of lesions that
/// lie side by side do not run into each other.
fn membership(candidate: &Candidate, probability: &Array3<f32>) -> Array3<f32> {
    let (_, rows, columns) = probability.dim();
    let mut values = Array3::zeros(probability.dim());
    for &[slice, row, column] in &candidate.voxels {
        for r in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
            for c in column.saturating_sub(1)..=(column + 1).min(columns - 1) {
                values[[slice, r, c]] = probability[[slice, r, c]];
            }
        }
    }
    values
}

fn missing(manifest: &Manifest, present: impl Fn(Contrast) -> bool) -> Vec<MissingContrast> {
    let required = manifest.recipe.required();
    Contrast::ALL
        .into_iter()
        .filter(|c| !present(*c) && (required.contains(c) || manifest.optional_contrasts.contains(c)))
        .map(|contrast| MissingContrast {
            contrast,
            required: required.contains(&contrast),
        })
        .collect()
}

/// x of the head's middle in patient millimetres: centre of mass of the tissue in the first channel.
fn middle_of_head(input: &LocatorInput) -> f64 {
    // Half of the mean tissue level, which the recipe maps to 0.4.
    const TISSUE: f32 = 0.2;
    let image = input.images.index_axis(Axis(1), 0);
    let (mut sum, mut count) = (0.0, 0usize);
    for ((s, r, c), value) in image.indexed_iter() {
        if *value > TISSUE {
            sum += input.grid.position(s as f64, r as f64, c as f64)[0];
            count += 1;
        }
    }
    if count == 0 {
        input.grid.position(0.0, 0.0, (image.dim().2 as f64 - 1.0) / 2.0)[0]
    } else {
        sum / count as f64
    }
}

/// What is shown of a study on which no model answered: the slices of its first axial contrast.
fn unexamined(study: &Study) -> Option<Subject> {
    const PIXEL_MM: f64 = 1.875;
    const SIZE: usize = 128;
    let grid = Contrast::ALL
        .into_iter()
        .find_map(|c| study.axial_grid(c, PIXEL_MM, SIZE).ok());
    grid.map(Subject::unexamined)
}

/// Wall time per step, by the monotonic clock.
struct Clock<'a> {
    steps: Vec<Timing>,
    told: &'a mut dyn FnMut(&str),
}

impl Clock<'_> {
    fn begin(&mut self, step: &str) -> Instant {
        (self.told)(step);
        Instant::now()
    }

    fn time<T>(&mut self, step: &str, work: impl FnOnce() -> T) -> T {
        let started = self.begin(step);
        let out = work();
        self.add(step, started);
        out
    }

    fn add(&mut self, step: &str, started: Instant) {
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        self.steps.push(Timing {
            step: step.to_owned(),
            milliseconds,
        });
    }
}
