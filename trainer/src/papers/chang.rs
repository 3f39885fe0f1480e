//! Chang 2021 (doi 10.1002/nbm.4408): a U-Net that segments and classifies in one pass; the segmented pixels of a
//! patient vote.
//!
//! Only the abstract was at hand. It names the network, transfer learning, a designed distribution of each batch,
//! and five combinations of contrasts, of which it describes three kinds: structural, diffusion, and diffusion
//! with contrast-enhanced T1. The sizes and the two combinations that it does not describe are ours.

use std::collections::BTreeMap;

use models::mr::Contrast;
use models::recipe::Recipe;
use rand::seq::IndexedRandom;
use serde::Deserialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::task::Task;
use super::workshop::{Answers, Workshop};
use super::{Job, Made, Published};
use crate::augment::{Augmentation, place};
use crate::dataset::Examination;
use crate::error::Error;
use crate::fit::course::{Course, Keep, descend};
use crate::fit::descent::Motion;
use crate::nets::unet::UNet;
use crate::nets::{Stored, channels_last};
use crate::statistics::Prediction;

/// `experiments/chang.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chang {
    /// Which tumours there are.
    pub task: Task,
    /// Sizes and lengths by name.
    pub presets: BTreeMap<String, Preset>,
    /// Lines of the table.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// How large and how long.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Simulated where no cohort is given.
    pub patients: usize,
    /// How examinations become tensors.
    pub recipe: Recipe,
    /// Passes over the patients, at most.
    pub epochs: usize,
    /// Stops after so many epochs without a better validation loss.
    pub patience: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Slices of each class, and as many without tumour, in each step: the designed batch distribution.
    pub of_each: usize,
    /// How weights move.
    pub motion: Motion,
    /// How slices are changed.
    pub augment: Augmentation,
}

/// One line of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What is looked at.
    pub input: String,
    /// Contrasts, the channels of the network.
    pub contrasts: Vec<Contrast>,
    /// The paper's figures for each class; empty where the abstract gives none.
    #[serde(default)]
    pub published: BTreeMap<String, Published>,
}

/// What a patient is called in whom no pixel is segmented.
pub const NOTHING: &str = "nothing found";

impl Row {
    /// Name of the job that makes this line.
    pub fn name(&self) -> String {
        format!("unet {}", self.input)
            .replace([' ', ','], "-")
            .to_lowercase()
    }
}

impl Chang {
    /// What is wrong with the plan, if anything is.
    pub fn flaw(&self) -> Option<String> {
        let empty = self.rows.iter().find(|row| row.contrasts.is_empty());
        self.task
            .flaw()
            .or_else(|| empty.map(|row| format!("row “{}” has no contrast", row.input)))
    }

    /// One network for each line.
    pub fn jobs(&self) -> Vec<Job> {
        let job = |row: &Row| Job {
            name: row.name(),
            wave: 0,
        };
        self.rows.iter().map(job).collect()
    }

    /// Does one job.
    ///
    /// # Errors
    /// There is no such job, the network diverges, or a file cannot be written.
    pub fn work(&self, job: &str, preset: &Preset, workshop: &Workshop) -> Result<Made, Error> {
        let unknown = || Error::Plan(format!("there is no job “{job}”"));
        let row = self
            .rows
            .iter()
            .find(|row| row.name() == job)
            .ok_or_else(unknown)?;
        let channels = workshop.channels(&row.contrasts)?;
        let (train, validation, test) = (
            self.slices(&workshop.train, &channels)?,
            self.slices(&workshop.validation, &channels)?,
            self.slices(&workshop.test, &channels)?,
        );
        let groups = self.groups(&train);
        workshop.dice(job).epoch(preset.epochs);
        let network = Stored::new(workshop.device, |vs| {
            UNet::new(vs, row.contrasts.len() as i64, self.task.classes.len() as i64 + 1)
        });
        let course = Course {
            stage: job.to_owned(),
            epochs: preset.epochs,
            patience: Some(preset.patience),
            motion: preset.motion,
            keep: Keep::Best,
            dice: workshop.dice(job),
            checkpoint: Some(workshop.checkpoint(job)),
        };
        let curve = descend(
            &course,
            &network.store,
            |rng| {
                let one = |group: &Vec<(usize, i64)>, rng: &mut _| group.choose(rng).copied();
                let step = |rng: &mut _| -> Vec<(usize, i64)> {
                    let wanted = groups.iter().flat_map(|g| std::iter::repeat_n(g, preset.of_each));
                    wanted.filter_map(|group| one(group, rng)).collect()
                };
                (0..preset.steps).map(|_| step(rng)).collect()
            },
            |batch, rng| {
                let images: Vec<Tensor> = batch.iter().map(|(n, s)| train[*n].images.get(*s)).collect();
                let labels: Vec<Tensor> = batch.iter().map(|(n, s)| train[*n].labels.get(*s)).collect();
                let placements: Vec<_> = batch
                    .iter()
                    .map(|_| preset.augment.placement([0.0; 2], rng))
                    .collect();
                let images = place(&Tensor::stack(&images, 0).to_kind(Kind::Float), &placements);
                let images = preset
                    .augment
                    .intensities(&images, row.contrasts.len() as i64, rng);
                let shares = place(&self.one_hot(&Tensor::stack(&labels, 0)), &placements);
                let images = channels_last(&images).to_kind(workshop.precision.kind());
                loss(&network.net.forward(&images, true), &shares)
            },
            || {
                let of = |patient: &Slices| {
                    let images = channels_last(&patient.images.to_kind(Kind::Float));
                    let logits = network
                        .net
                        .forward(&images.to_kind(workshop.precision.kind()), false);
                    loss(&logits, &self.one_hot(&patient.labels)).double_value(&[])
                };
                crate::fit::mean(&validation.iter().map(of).collect::<Vec<f64>>())
            },
        )?;
        workshop.write_network(job, &network.store)?;
        let mut overlaps = Vec::new();
        let mut answers = |patients: &[Slices]| -> Vec<Prediction> {
            let answer = |patient: &Slices| {
                let (votes, dice) = no_grad(|| self.look(&network.net, patient, workshop));
                overlaps.push(dice);
                Some(Prediction {
                    patient: patient.folder.clone(),
                    unit: "patient".to_owned(),
                    truth: patient.class?,
                    probabilities: votes,
                })
            };
            patients.iter().filter_map(answer).collect()
        };
        let validation = answers(&validation);
        let test = answers(&test);
        let tested = &overlaps[overlaps.len() - test.len()..];
        let figures = [("Dice of the test patients".to_owned(), crate::fit::mean(tested))].into();
        let mut classes = self.task.names();
        classes.push(NOTHING.to_owned());
        Ok(Made {
            curve,
            answers: Some(Answers {
                classes,
                validation,
                test,
            }),
            figures,
        })
    }

    /// Share of the segmented pixels that vote for each class, then whether there are none; and how far tumour
    /// and segmentation overlap, whatever the class (Dice).
    fn look(&self, network: &UNet, patient: &Slices, workshop: &Workshop) -> (Vec<f64>, f64) {
        let images = channels_last(&patient.images.to_kind(Kind::Float));
        let logits = network.forward(&images.to_kind(workshop.precision.kind()), false);
        let found = logits.argmax(1, false);
        let count = |t: Tensor| t.sum(Kind::Int64).int64_value(&[]) as f64;
        let (ours, theirs) = (found.gt(0), patient.labels.gt(0));
        let (segmented, drawn) = (count(ours.shallow_clone()), count(theirs.shallow_clone()));
        let dice = 2.0 * count(ours.logical_and(&theirs)) / (segmented + drawn).max(1.0);
        let mut votes: Vec<f64> = (1..=self.task.classes.len() as i64)
            .map(|class| count(found.eq(class)) / segmented.max(1.0))
            .collect();
        votes.push(if segmented > 0.0 { 0.0 } else { 1.0 });
        (votes, dice)
    }

    /// Patients whose tumour is of a class, and those without one.
    fn slices(&self, examinations: &[Examination], channels: &Tensor) -> Result<Vec<Slices>, Error> {
        let of = |examination: &Examination| {
            let class = self.task.class(&examination.patient);
            if class.is_none() && !examination.lesions.is_empty() {
                return None;
            }
            let label = class.map_or(0, |class| class as i64 + 1);
            Some(Slices {
                folder: examination.patient.folder.clone(),
                class,
                images: examination
                    .slices
                    .to_device(channels.device())
                    .index_select(1, channels),
                labels: examination
                    .truth
                    .to_device(channels.device())
                    .ge(0.5)
                    .to_kind(Kind::Int64)
                    * label,
            })
        };
        let all: Vec<Slices> = examinations.iter().filter_map(of).collect();
        for (class, answer) in self.task.classes.iter().enumerate() {
            if !all.iter().any(|patient| patient.class == Some(class)) {
                let text = format!("of {} patients of one split none is “{}”", all.len(), answer.name);
                return Err(Error::Cohort(text));
            }
        }
        Ok(all)
    }

    /// (patient, slice) without tumour, then of each class.
    fn groups(&self, patients: &[Slices]) -> Vec<Vec<(usize, i64)>> {
        let mut groups = vec![Vec::new(); self.task.classes.len() + 1];
        for (n, patient) in patients.iter().enumerate() {
            let highest = patient
                .labels
                .amax([1i64, 2].as_slice(), false)
                .to_device(Device::Cpu);
            for slice in 0..highest.size()[0] {
                let label = usize::try_from(highest.int64_value(&[slice])).unwrap_or(0);
                if let Some(group) = groups.get_mut(label) {
                    group.push((n, slice));
                }
            }
        }
        groups
    }

    /// Labels (N, H, W) as shares (N, 1 + classes, H, W).
    fn one_hot(&self, labels: &Tensor) -> Tensor {
        labels
            .one_hot(self.task.classes.len() as i64 + 1)
            .permute([0, 3, 1, 2])
            .to_kind(Kind::Float)
    }
}

/// All slices of a patient.
#[derive(Debug)]
struct Slices {
    folder: String,
    class: Option<usize>,
    /// (slice, contrast, H, W).
    images: Tensor,
    /// (slice, H, W): 0 outside, class + 1 inside.
    labels: Tensor,
}

/// Pixels added to both halves of the Dice quotient, as the locator's loss does.
const DICE_SMOOTHING: f64 = 10.0;

/// Cross-entropy of the pixels, plus one minus the soft Dice of each class over the batch. Pixels that came in from
/// outside the image belong to no class and count nothing.
fn loss(logits: &Tensor, shares: &Tensor) -> Tensor {
    let entropy =
        -(logits.log_softmax(1, Kind::Float) * shares).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    let p = logits.softmax(1, Kind::Float);
    let per_class = |t: Tensor| t.sum_dim_intlist([0i64, 2, 3].as_slice(), false, Kind::Float);
    let shared = per_class(&p * shares) * 2.0;
    let both = per_class(p) + per_class(shares.shallow_clone());
    let dice = (shared + DICE_SMOOTHING) / (both + DICE_SMOOTHING);
    let tumours = dice.narrow(0, 1, dice.size()[0] - 1);
    entropy.mean(Kind::Float) + 1.0 - tumours.mean(Kind::Float)
}
