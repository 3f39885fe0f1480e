//! Fits the members of the reader (Liu 2023, second stage) on features of the frozen encoders.
//!
//! Each member sees its own bootstrap resample of the training patients, so that their disagreement
//! tells how much the answer hangs on who happened to be in the cohort.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use tch::{Kind, Tensor, no_grad};

use super::course::{Course, Dice, Keep, descend};
use super::{Epoch, adam, progress};
use crate::augment::boxes;
use crate::dataset::Examination;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::nets::transformer::Reader;
use crate::nets::{Networks, Stored, padded};

/// A lesion as feature sequences (slices, contrasts × 128), one per augmented copy.
#[derive(Debug)]
pub struct Sequences {
    patient: usize,
    class: i64,
    copies: Vec<Tensor>,
}

/// Runs the frozen encoders over all drawn tumours, `copies` times.
///
/// The first copy is unchanged; in the others all slices of a lesion move and change alike.
pub fn sequences(
    networks: &Networks,
    examinations: &[Examination],
    copies: usize,
    experiment: &Experiment,
    rng: &mut impl Rng,
) -> Vec<Sequences> {
    let lesions: usize = examinations.iter().map(|e| e.lesions.len()).sum();
    let bar = progress(lesions * copies, "features");
    let mut all = Vec::with_capacity(lesions);
    for (patient, examination) in examinations.iter().enumerate() {
        let Some(class) = examination.patient.class() else {
            continue;
        };
        for lesion in &examination.lesions {
            let made = (0..copies).map(|copy| {
                let (images, boxes) = if copy == 0 {
                    (
                        lesion.images.to_kind(Kind::Float),
                        boxes(&lesion.boxes, networks.device()),
                    )
                } else {
                    {
                        let augment = &experiment.encoder.augment;
                        augment.together(&lesion.images, &lesion.boxes, rng)
                    }
                };
                bar.inc(1);
                let (images, boxes) = (
                    images.to_device(networks.device()),
                    boxes.to_device(networks.device()),
                );
                no_grad(|| networks.encoders.net.spliced(&images, &boxes))
            });
            all.push(Sequences {
                patient,
                class: class as i64,
                copies: made.collect(),
            });
        }
    }
    bar.finish();
    all
}

/// Fits one member and leaves the weights of the best epoch.
///
/// # Errors
/// The loss is no number any more.
pub fn fit(
    member: &Stored<Reader>,
    number: usize,
    train: &[Sequences],
    validation: &[Sequences],
    experiment: &Experiment,
    dice: Dice,
) -> Result<Vec<Epoch>, Error> {
    let settings = &experiment.reader;
    let longest = experiment.recipe.reader.max_slices;
    // The resample is drawn apart from the epochs.
    let resample = bootstrap(train, &mut dice.epoch(settings.epochs));
    let whole: Vec<Tensor> = validation.iter().map(|s| s.copies[0].shallow_clone()).collect();
    let (features, mask) = padded(&whole, longest);
    let labels: Vec<i64> = validation.iter().map(|s| s.class).collect();
    let labels = Tensor::from_slice(&labels).to_device(features.device());
    let course = Course {
        stage: format!("reader {}", number + 1),
        epochs: settings.epochs,
        patience: Some(settings.patience),
        motion: adam(settings.learning_rate),
        keep: Keep::Best,
        dice,
        checkpoint: None,
    };
    descend(
        &course,
        &member.store,
        |rng| {
            let mut order = resample.clone();
            order.shuffle(rng);
            order.chunks(settings.batch).map(<[_]>::to_vec).collect()
        },
        |batch, rng| {
            let drawn: Vec<Tensor> = batch
                .iter()
                .map(|n| thinned(&train[*n], settings.slice_dropout, rng))
                .collect();
            let classes: Vec<i64> = batch.iter().map(|n| train[*n].class).collect();
            let (features, mask) = padded(&drawn, longest);
            let logits = member.net.forward(&features, &mask, true);
            let classes = Tensor::from_slice(&classes).to_device(logits.device());
            logits.cross_entropy_for_logits(&classes)
        },
        || {
            let logits = member.net.forward(&features, &mask, false);
            logits.cross_entropy_for_logits(&labels).double_value(&[])
        },
    )
}

/// Lesions of patients drawn with replacement, as many patients as there are.
fn bootstrap(train: &[Sequences], rng: &mut impl Rng) -> Vec<usize> {
    let mut patients: Vec<usize> = train.iter().map(|s| s.patient).collect();
    patients.dedup();
    let mut drawn = Vec::with_capacity(train.len());
    for _ in 0..patients.len() {
        let patient = patients[rng.random_range(0..patients.len())];
        drawn.extend(
            train
                .iter()
                .enumerate()
                .filter(|(_, s)| s.patient == patient)
                .map(|(n, _)| n),
        );
    }
    drawn
}

/// A random copy of a lesion without some of its slices, never without all.
fn thinned(lesion: &Sequences, dropout: f64, rng: &mut impl Rng) -> Tensor {
    let copy = &lesion.copies[rng.random_range(0..lesion.copies.len())];
    let slices = copy.size()[0];
    let kept: Vec<i64> = (0..slices).filter(|_| !rng.random_bool(dropout)).collect();
    if kept.is_empty() {
        return copy.narrow(0, slices / 2, 1);
    }
    copy.index_select(0, &Tensor::from_slice(&kept).to_device(copy.device()))
}
