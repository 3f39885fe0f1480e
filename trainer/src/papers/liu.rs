//! Liu 2023 (doi 10.1002/lary.30154): slice encoders, then one Transformer layer over the slices; six contrasts,
//! fused early, late or both.
//!
//! A *branch* is one slice encoder: of one contrast, or of three as the channels of one picture (early fusion).
//! The features of several branches are added or spliced (late fusion) before the sequence network.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use models::mr::Contrast;
use models::recipe::Recipe;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::Deserialize;
use tch::{Kind, Tensor, no_grad};

use super::task::{Lesion, Task};
use super::workshop::{Answers, Outcome, Workshop};
use super::{Job, Made, Published};
use crate::augment::{Augmentation, boxes};
use crate::error::Error;
use crate::fit::course::{Course, Keep, descend};
use crate::fit::descent::Motion;
use crate::nets::resnet::{FEATURES, SliceEncoder};
use crate::nets::transformer::SequenceNetwork;
use crate::nets::{Stored, channels_last, padded};

/// `experiments/liu.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liu {
    /// The questions by name.
    pub tasks: BTreeMap<String, Task>,
    /// Sizes and lengths by name.
    pub presets: BTreeMap<String, Preset>,
    /// Lines of the tables, in their order.
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
    /// The slice encoders.
    pub image: ImageFit,
    /// The sequence networks.
    pub sequence: SequenceFit,
}

/// How the slice encoders are fitted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFit {
    /// Passes over all copies of all slices, at most.
    pub epochs: usize,
    /// Stops after so many epochs without a better validation loss.
    pub patience: usize,
    /// Slices per step.
    pub batch: usize,
    /// Random copies of each slice in an epoch (Liu: ten).
    pub copies: usize,
    /// How weights move (Liu: Adam, 1e-4).
    pub motion: Motion,
    /// How copies are changed.
    pub augment: Augmentation,
}

/// How the sequence networks are fitted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceFit {
    /// Passes over the tumours, at most.
    pub epochs: usize,
    /// Stops after so many epochs without a better validation loss.
    pub patience: usize,
    /// Tumours per step.
    pub batch: usize,
    /// Copies of each tumour, the first one unchanged (Liu: ten).
    pub copies: usize,
    /// How weights move (Liu: Adam, 1e-5).
    pub motion: Motion,
}

/// One line of a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Which table of the paper.
    pub table: String,
    /// What is asked.
    pub task: String,
    /// What is looked at.
    pub input: String,
    /// How.
    pub method: String,
    /// Contrasts of each branch.
    pub branches: Vec<Vec<Contrast>>,
    /// How the features of the branches are fused; none for single images.
    pub fusion: Option<Fusion>,
    /// The paper's figures.
    pub published: Published,
}

/// Fusion of feature vectors; with one branch both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// Liu's "Add.": the sum.
    Add,
    /// Liu's "Spl.": side by side.
    Splice,
}

/// Name of the job that fits the encoder of a branch.
fn encoder_name(task: &str, branch: &[Contrast]) -> String {
    let names: Vec<&str> = branch.iter().map(|c| c.name()).collect();
    format!("{task}-{}", names.join("+"))
}

impl Row {
    /// Name of the job that makes this line.
    pub fn name(&self) -> String {
        format!("{} {} {} {}", self.table, self.task, self.input, self.method)
            .replace([' ', '/'], "-")
            .to_lowercase()
    }
}

impl Liu {
    /// What is wrong with the plan, if anything is.
    pub fn flaw(&self) -> Option<String> {
        for (name, task) in &self.tasks {
            if let Some(flaw) = task.flaw() {
                return Some(format!("task {name}: {flaw}"));
            }
        }
        for row in &self.rows {
            let line = format!("row “{} {}” of table {}", row.input, row.method, row.table);
            if !self.tasks.contains_key(&row.task) {
                return Some(format!("{line}: there is no task “{}”", row.task));
            }
            if row.branches.is_empty() || row.branches.iter().any(Vec::is_empty) {
                return Some(format!("{line}: a branch needs a contrast"));
            }
            if row.fusion.is_none() && row.branches.len() > 1 {
                return Some(format!("{line}: a single image has one branch"));
            }
        }
        None
    }

    /// First the encoder of each branch and question, then the lines of the tables.
    pub fn jobs(&self) -> Vec<Job> {
        let mut encoders: Vec<String> = Vec::new();
        for row in &self.rows {
            for branch in &row.branches {
                let name = encoder_name(&row.task, branch);
                if !encoders.contains(&name) {
                    encoders.push(name);
                }
            }
        }
        let encoders = encoders.into_iter().map(|name| Job { name, wave: 0 });
        let rows = self.rows.iter().map(|row| Job {
            name: row.name(),
            wave: 1,
        });
        encoders.chain(rows).collect()
    }

    /// Does one job.
    ///
    /// # Errors
    /// There is no such job, the network diverges, or a file cannot be written.
    pub fn work(
        &self,
        job: &str,
        preset: &Preset,
        workshop: &Workshop,
        kept: &mut Tokens,
    ) -> Result<Made, Error> {
        if let Some(row) = self.rows.iter().find(|row| row.name() == job) {
            return match row.fusion {
                None => self.single_images(row, workshop),
                Some(fusion) => self.sequences(row, fusion, preset, workshop, kept),
            };
        }
        for row in &self.rows {
            for branch in &row.branches {
                if encoder_name(&row.task, branch) == job {
                    return self.fit_encoder(&row.task, branch, preset, workshop);
                }
            }
        }
        Err(Error::Plan(format!("there is no job “{job}”")))
    }

    fn task(&self, name: &str) -> Result<&Task, Error> {
        let unknown = || Error::Plan(format!("there is no task “{name}”"));
        self.tasks.get(name).ok_or_else(unknown)
    }

    fn encoder(&self, task: &Task, branch: &[Contrast], workshop: &Workshop) -> Stored<SliceEncoder> {
        Stored::new(workshop.device, |vs| {
            SliceEncoder::new(vs, branch.len() as i64, task.classes.len() as i64)
        })
    }

    fn fitted_encoder(
        &self,
        task: &str,
        branch: &[Contrast],
        workshop: &Workshop,
    ) -> Result<Stored<SliceEncoder>, Error> {
        let mut encoder = self.encoder(self.task(task)?, branch, workshop);
        workshop.load_network(&encoder_name(task, branch), &mut encoder.store)?;
        Ok(encoder)
    }

    /// First stage: one slice, one answer.
    fn fit_encoder(
        &self,
        task_name: &str,
        branch: &[Contrast],
        preset: &Preset,
        workshop: &Workshop,
    ) -> Result<Made, Error> {
        let name = encoder_name(task_name, branch);
        let task = self.task(task_name)?;
        let settings = &preset.image;
        let channels = workshop.channels(branch)?;
        let (train, validation) = (
            workshop.lesions(&workshop.train, task)?,
            workshop.lesions(&workshop.validation, task)?,
        );
        workshop.dice(&name).epoch(settings.epochs);
        let encoder = self.encoder(task, branch, workshop);
        let slices: Vec<(usize, usize)> = train
            .iter()
            .enumerate()
            .flat_map(|(n, lesion)| (0..lesion.drawn.boxes.len()).map(move |slice| (n, slice)))
            .collect();
        let course = Course {
            stage: name.clone(),
            epochs: settings.epochs,
            patience: Some(settings.patience),
            motion: settings.motion,
            keep: Keep::Best,
            dice: workshop.dice(&name),
            checkpoint: Some(workshop.checkpoint(&name)),
        };
        let curve = descend(
            &course,
            &encoder.store,
            |rng| {
                let mut order: Vec<(usize, usize)> = (0..settings.copies)
                    .flat_map(|_| slices.iter().copied())
                    .collect();
                order.shuffle(rng);
                order.chunks(settings.batch).map(<[_]>::to_vec).collect()
            },
            |batch, rng| {
                let crop = |(n, slice): &(usize, usize)| {
                    train[*n]
                        .drawn
                        .images
                        .get(*slice as i64)
                        .index_select(0, &channels)
                };
                let crops: Vec<Tensor> = batch.iter().map(crop).collect();
                let edges: Vec<[f32; 4]> = batch.iter().map(|(n, s)| train[*n].drawn.boxes[*s]).collect();
                let (images, boxes) = settings.augment.apart(&Tensor::stack(&crops, 0), &edges, rng);
                let images = channels_last(&images).to_kind(workshop.precision.kind());
                let logits = encoder
                    .net
                    .classify(&encoder.net.features(&images, &boxes, true), true);
                let classes: Vec<i64> = batch.iter().map(|(n, _)| train[*n].class as i64).collect();
                logits.cross_entropy_for_logits(&Tensor::from_slice(&classes).to_device(workshop.device))
            },
            || {
                let of = |lesion: &Lesion| {
                    let logits = slice_logits(&encoder, lesion, &channels, workshop);
                    let classes = Tensor::full(
                        [logits.size()[0]],
                        lesion.class as i64,
                        (Kind::Int64, logits.device()),
                    );
                    logits.cross_entropy_for_logits(&classes).double_value(&[])
                };
                let losses: Vec<f64> = validation.iter().map(of).collect();
                crate::fit::mean(&losses)
            },
        )?;
        workshop.write_network(&name, &encoder.store)?;
        Ok(Made {
            curve,
            answers: None,
            figures: BTreeMap::new(),
        })
    }

    /// Table II, "single-image": every slice for itself.
    fn single_images(&self, row: &Row, workshop: &Workshop) -> Result<Made, Error> {
        let task = self.task(&row.task)?;
        let branch = &row.branches[0];
        let channels = workshop.channels(branch)?;
        let encoder = self.fitted_encoder(&row.task, branch, workshop)?;
        let answers = |lesions: &[Lesion]| {
            let of = |lesion: &Lesion| {
                let logits = no_grad(|| slice_logits(&encoder, lesion, &channels, workshop));
                let slices = 0..logits.size()[0];
                slices
                    .map(|slice| Outcome::slice(lesion, slice as usize).predicted(&logits.get(slice)))
                    .collect::<Vec<_>>()
            };
            lesions.iter().flat_map(of).collect()
        };
        Ok(Made {
            curve: Vec::new(),
            answers: Some(Answers {
                classes: task.names(),
                validation: answers(&workshop.lesions(&workshop.validation, task)?),
                test: answers(&workshop.lesions(&workshop.test, task)?),
            }),
            figures: BTreeMap::new(),
        })
    }

    /// Second stage: the encoders stand still, a sequence network is fitted to their fused features.
    fn sequences(
        &self,
        row: &Row,
        fusion: Fusion,
        preset: &Preset,
        workshop: &Workshop,
        kept: &mut Tokens,
    ) -> Result<Made, Error> {
        let name = row.name();
        let task = self.task(&row.task)?;
        let settings = &preset.sequence;
        let mut branches = Vec::with_capacity(row.branches.len());
        for branch in &row.branches {
            let encoder = encoder_name(&row.task, branch);
            if !kept.branches.contains_key(&encoder) {
                let made = self.features(&row.task, branch, preset, workshop)?;
                kept.branches.insert(encoder.clone(), Rc::new(made));
            }
            branches.extend(kept.branches.get(&encoder).map(Rc::clone));
        }
        let fused = |of: fn(&BranchFeatures) -> &Vec<Vec<Tensor>>, lesion: usize, copy: usize| {
            let parts: Vec<Tensor> = branches
                .iter()
                .map(|b| of(b)[lesion][copy].shallow_clone())
                .collect();
            match fusion {
                Fusion::Add => {
                    Tensor::stack(&parts, 0).sum_dim_intlist([0i64].as_slice(), false, Kind::Float)
                }
                Fusion::Splice => Tensor::cat(&parts, 1),
            }
        };
        let (train, validation, test) = (
            workshop.lesions(&workshop.train, task)?,
            workshop.lesions(&workshop.validation, task)?,
            workshop.lesions(&workshop.test, task)?,
        );
        let width = match fusion {
            Fusion::Add => FEATURES,
            Fusion::Splice => FEATURES * branches.len() as i64,
        };
        workshop.dice(&name).epoch(settings.epochs);
        let network = Stored::new(workshop.device, |vs| {
            SequenceNetwork::new(vs, width, task.classes.len() as i64)
        });
        let longest = preset.recipe.reader.max_slices;
        let whole = |of: fn(&BranchFeatures) -> &Vec<Vec<Tensor>>, count: usize| {
            let all: Vec<Tensor> = (0..count).map(|n| fused(of, n, 0)).collect();
            padded(&all, longest)
        };
        let (tokens, mask) = whole(|b| &b.validation, validation.len());
        let labels: Vec<i64> = validation.iter().map(|l| l.class as i64).collect();
        let labels = Tensor::from_slice(&labels).to_device(workshop.device);
        let course = Course {
            stage: name.clone(),
            epochs: settings.epochs,
            patience: Some(settings.patience),
            motion: settings.motion,
            keep: Keep::Best,
            dice: workshop.dice(&name),
            checkpoint: Some(workshop.checkpoint(&name)),
        };
        let curve = descend(
            &course,
            &network.store,
            |rng| {
                let mut order: Vec<usize> = (0..train.len()).collect();
                order.shuffle(rng);
                order.chunks(settings.batch).map(<[_]>::to_vec).collect()
            },
            |batch, rng| {
                let drawn: Vec<Tensor> = batch
                    .iter()
                    .map(|n| fused(|b| &b.train, *n, rng.random_range(0..settings.copies)))
                    .collect();
                let (tokens, mask) = padded(&drawn, longest);
                let classes: Vec<i64> = batch.iter().map(|n| train[*n].class as i64).collect();
                let classes = Tensor::from_slice(&classes).to_device(workshop.device);
                network
                    .net
                    .forward(&tokens, &mask, true)
                    .cross_entropy_for_logits(&classes)
            },
            || {
                let logits = network.net.forward(&tokens, &mask, false);
                logits.cross_entropy_for_logits(&labels).double_value(&[])
            },
        )?;
        workshop.write_network(&name, &network.store)?;
        let answers = |of: fn(&BranchFeatures) -> &Vec<Vec<Tensor>>, lesions: &[Lesion]| {
            let (tokens, mask) = whole(of, lesions.len());
            let logits = no_grad(|| network.net.forward(&tokens, &mask, false));
            (0..)
                .zip(lesions)
                .map(|(n, lesion)| Outcome::lesion(lesion).predicted(&logits.get(n)))
                .collect()
        };
        Ok(Made {
            curve,
            answers: Some(Answers {
                classes: task.names(),
                validation: answers(|b| &b.validation, &validation),
                test: answers(|b| &b.test, &test),
            }),
            figures: BTreeMap::new(),
        })
    }

    /// What the encoder of a branch makes of every tumour. A copy of a tumour is moved alike for all branches.
    fn features(
        &self,
        task_name: &str,
        branch: &[Contrast],
        preset: &Preset,
        workshop: &Workshop,
    ) -> Result<BranchFeatures, Error> {
        let task = self.task(task_name)?;
        let encoder = self.fitted_encoder(task_name, branch, workshop)?;
        let channels = workshop.channels(branch)?;
        let of = |images: &Tensor, boxes: &Tensor| {
            let images = channels_last(&images.index_select(1, &channels));
            no_grad(|| {
                encoder
                    .net
                    .features(&images.to_kind(workshop.precision.kind()), boxes, false)
            })
        };
        let unchanged = |lesion: &Lesion| {
            let edges = boxes(&lesion.drawn.boxes, workshop.device);
            of(&lesion.drawn.images.to_kind(Kind::Float), &edges)
        };
        let train = workshop.lesions(&workshop.train, task)?;
        let mut copies = Vec::with_capacity(train.len());
        for lesion in &train {
            let dice = workshop.dice(&format!("{} {}", lesion.patient.folder, lesion.number));
            let mut of_lesion = vec![unchanged(lesion)];
            for copy in 1..preset.sequence.copies {
                let (images, edges) = preset.image.augment.together(
                    &lesion.drawn.images,
                    &lesion.drawn.boxes,
                    &mut dice.epoch(copy),
                );
                of_lesion.push(of(&images, &edges));
            }
            copies.push(of_lesion);
        }
        let alone = |lesions: Vec<Lesion>| lesions.iter().map(|l| vec![unchanged(l)]).collect();
        Ok(BranchFeatures {
            train: copies,
            validation: alone(workshop.lesions(&workshop.validation, task)?),
            test: alone(workshop.lesions(&workshop.test, task)?),
        })
    }
}

/// Features that were made already, by the name of their encoder; lines of a table share them.
#[derive(Debug, Default)]
pub struct Tokens {
    branches: HashMap<String, Rc<BranchFeatures>>,
}

/// (slices, 128) of each copy of each tumour.
#[derive(Debug)]
struct BranchFeatures {
    train: Vec<Vec<Tensor>>,
    validation: Vec<Vec<Tensor>>,
    test: Vec<Vec<Tensor>>,
}

/// Logits (slices, classes) of each slice by itself.
fn slice_logits(
    encoder: &Stored<SliceEncoder>,
    lesion: &Lesion,
    channels: &Tensor,
    workshop: &Workshop,
) -> Tensor {
    let images = lesion.drawn.images.index_select(1, channels).to_kind(Kind::Float);
    let images = channels_last(&images).to_kind(workshop.precision.kind());
    let edges = boxes(&lesion.drawn.boxes, workshop.device);
    encoder
        .net
        .classify(&encoder.net.features(&images, &edges, false), false)
}
