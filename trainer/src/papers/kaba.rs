//! Kaba 2025 (doi 10.58600/eurjther2612): a whole ResNet-18 for each contrast and question, on one slice of each
//! tumour.
//!
//! The paper splits images into 80 % and 20 % and does not say whether copies of one image, rotated before the
//! split, can be on both sides. Both ways are fitted here: [`Order::SplitFirst`] holds patients apart and rotates
//! training images only, [`Order::RotateFirst`] rotates first and deals out the copies. The difference is what the
//! second way flatters.

use std::collections::BTreeMap;

use models::mr::Contrast;
use models::recipe::Recipe;
use rand::seq::SliceRandom;
use serde::Deserialize;
use tch::{Kind, Tensor, no_grad};

use super::task::{Lesion, Task};
use super::workshop::{Answers, Outcome, Workshop};
use super::{Job, Made, Published};
use crate::augment::{Augmentation, place};
use crate::error::Error;
use crate::fit::course::{Course, Keep, descend};
use crate::fit::descent::Motion;
use crate::nets::resnet::ResNet18;
use crate::nets::{Stored, channels_last};
use crate::statistics::Prediction;

/// `experiments/kaba.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kaba {
    /// The questions by name.
    pub tasks: BTreeMap<String, Task>,
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
    /// Passes over all copies.
    pub epochs: usize,
    /// Images per step (Kaba: 128).
    pub batch: usize,
    /// Rotated copies beside each image.
    pub copies: usize,
    /// How far copies are turned at most.
    pub degrees: f64,
    /// How weights move (Kaba: momentum 0.9, 1e-3, times 0.1 every 10 epochs, L2 1e-4).
    pub motion: Motion,
}

/// One line of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What is looked at.
    pub contrast: Contrast,
    /// What is asked.
    pub task: String,
    /// The paper's figures.
    pub published: Published,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Patients are held apart, then training images are rotated.
    SplitFirst,
    /// Images are rotated, then all copies are dealt out.
    RotateFirst,
}

impl Order {
    /// Both.
    pub const ALL: [Order; 2] = [Order::SplitFirst, Order::RotateFirst];

    fn word(self) -> &'static str {
        match self {
            Order::SplitFirst => "by-patient",
            Order::RotateFirst => "by-image",
        }
    }
}

/// Share of the images that are looked at (Kaba: 20 %).
const HELD_OUT: f64 = 0.2;

impl Row {
    /// Name of the job for one order.
    pub fn name(&self, order: Order) -> String {
        format!("{} {} {}", self.contrast.name(), self.task, order.word())
            .replace([' ', '/'], "-")
            .to_lowercase()
    }
}

/// An image with its class, and whom it shows.
struct Picture {
    /// (1, H, W).
    image: Tensor,
    outcome: Outcome,
    class: i64,
}

impl Kaba {
    /// What is wrong with the plan, if anything is.
    pub fn flaw(&self) -> Option<String> {
        let flaw = |(name, task): (&String, &Task)| task.flaw().map(|flaw| format!("task {name}: {flaw}"));
        let missing = |row: &&Row| !self.tasks.contains_key(&row.task);
        self.tasks.iter().find_map(flaw).or_else(|| {
            let row = self.rows.iter().find(missing)?;
            Some(format!("there is no task “{}”", row.task))
        })
    }

    /// Two networks for each line.
    pub fn jobs(&self) -> Vec<Job> {
        let both = |row: &Row| {
            Order::ALL.map(|order| Job {
                name: row.name(order),
                wave: 0,
            })
        };
        self.rows.iter().flat_map(both).collect()
    }

    /// Does one job.
    ///
    /// # Errors
    /// There is no such job, the network diverges, or a file cannot be written.
    pub fn work(&self, job: &str, preset: &Preset, workshop: &Workshop) -> Result<Made, Error> {
        let unknown = || Error::Plan(format!("there is no job “{job}”"));
        let both = |row| Order::ALL.map(|order| (row, order));
        let mut all = self.rows.iter().flat_map(both);
        let (row, order): (&Row, Order) = all
            .find(|(row, order): &(&Row, Order)| row.name(*order) == job)
            .ok_or_else(unknown)?;
        let task = self.tasks.get(&row.task).ok_or_else(unknown)?;
        let (train, held_out) = self.pictures(row, task, order, preset, workshop)?;
        workshop.dice(job).epoch(preset.epochs);
        let network = Stored::new(workshop.device, |vs| {
            ResNet18::new(vs, 1, task.classes.len() as i64)
        });
        let logits = |pictures: &[&Picture], train: bool| {
            let images: Vec<Tensor> = pictures.iter().map(|p| p.image.shallow_clone()).collect();
            let images = channels_last(&Tensor::stack(&images, 0).to_kind(Kind::Float));
            network
                .net
                .forward(&images.to_kind(workshop.precision.kind()), train)
        };
        let loss = |pictures: &[&Picture], train: bool| {
            let classes: Vec<i64> = pictures.iter().map(|p| p.class).collect();
            let classes = Tensor::from_slice(&classes).to_device(workshop.device);
            logits(pictures, train).cross_entropy_for_logits(&classes)
        };
        let course = Course {
            stage: job.to_owned(),
            epochs: preset.epochs,
            // Kaba: "Validation Patience was set to Inf".
            patience: None,
            motion: preset.motion,
            keep: Keep::Last,
            dice: workshop.dice(job),
            checkpoint: Some(workshop.checkpoint(job)),
        };
        let whole: Vec<&Picture> = held_out.iter().collect();
        let curve = descend(
            &course,
            &network.store,
            |rng| {
                let mut order: Vec<&Picture> = train.iter().collect();
                order.shuffle(rng);
                order.chunks(preset.batch).map(<[_]>::to_vec).collect()
            },
            |batch, _| loss(batch, true),
            || {
                let parts = whole.chunks(preset.batch);
                let sum: f64 = parts
                    .map(|part| loss(part, false).double_value(&[]) * part.len() as f64)
                    .sum();
                sum / whole.len().max(1) as f64
            },
        )?;
        workshop.write_network(job, &network.store)?;
        let mut test: Vec<Prediction> = Vec::with_capacity(whole.len());
        for part in whole.chunks(preset.batch) {
            let logits = no_grad(|| logits(part, false));
            for (n, picture) in (0..).zip(part) {
                test.push(picture.outcome.clone().predicted(&logits.get(n)));
            }
        }
        Ok(Made {
            curve,
            answers: Some(Answers {
                classes: task.names(),
                validation: Vec::new(),
                test,
            }),
            figures: BTreeMap::new(),
        })
    }

    /// Images that the network is fitted to, and those that are looked at.
    fn pictures(
        &self,
        row: &Row,
        task: &Task,
        order: Order,
        preset: &Preset,
        workshop: &Workshop,
    ) -> Result<(Vec<Picture>, Vec<Picture>), Error> {
        let channels = workshop.channels(&[row.contrast])?;
        let (train, validation, test) = (
            workshop.lesions(&workshop.train, task)?,
            workshop.lesions(&workshop.validation, task)?,
            workshop.lesions(&workshop.test, task)?,
        );
        let copied = |lesions: &[Lesion], copies: usize| -> Vec<Picture> {
            let of = |lesion: &Lesion| pictures_of(lesion, copies, preset.degrees, &channels, workshop);
            lesions.iter().flat_map(of).collect()
        };
        // The paper has no third part.
        let fitted: Vec<Lesion> = train.into_iter().chain(validation).collect();
        match order {
            Order::SplitFirst => Ok((copied(&fitted, preset.copies), copied(&test, 0))),
            Order::RotateFirst => {
                let mut all = copied(&fitted, preset.copies);
                all.extend(copied(&test, preset.copies));
                all.shuffle(&mut workshop.dice("deal").epoch(0));
                let held_out = (all.len() as f64 * HELD_OUT).round() as usize;
                let train = all.split_off(held_out);
                Ok((train, all))
            }
        }
    }
}

/// The slice with the largest section of a tumour (Kaba: "axial slices showing the maximum tumor dimension"), and
/// rotated copies of it.
fn pictures_of(
    lesion: &Lesion,
    copies: usize,
    degrees: f64,
    channels: &Tensor,
    workshop: &Workshop,
) -> Vec<Picture> {
    let area = |[x0, y0, x1, y1]: [f32; 4]| (x1 - x0) * (y1 - y0);
    let boxes = &lesion.drawn.boxes;
    let largest = (0..boxes.len()).max_by(|a, b| area(boxes[*a]).total_cmp(&area(boxes[*b])));
    let Some(slice) = largest else {
        return Vec::new();
    };
    let image = lesion
        .drawn
        .images
        .get(slice as i64)
        .index_select(0, channels)
        .to_kind(Kind::Float);
    let rotation = Augmentation {
        rotation_degrees: degrees,
        ..Augmentation::NONE
    };
    let rng = &mut workshop
        .dice(&format!("{} {}", lesion.patient.folder, lesion.number))
        .epoch(0);
    let turned = |_| place(&image.unsqueeze(0), &[rotation.placement([0.0; 2], rng)]).squeeze_dim(0);
    let mut images: Vec<Tensor> = (0..copies).map(turned).collect();
    images.insert(0, image.shallow_clone());
    let picture = |(copy, image): (usize, Tensor)| Picture {
        image: image.to_kind(Kind::Half),
        outcome: Outcome::copy(lesion, slice, copy),
        class: lesion.class as i64,
    };
    images.into_iter().enumerate().map(picture).collect()
}
