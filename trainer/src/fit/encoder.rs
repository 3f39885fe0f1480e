//! Fits the slice encoders (Liu 2023, first stage): one slice, all contrasts, four classes.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Kind, Reduction, Tensor};

use super::course::{Course, Dice, Keep, descend};
use super::{Epoch, adam, mean};
use crate::augment::boxes;
use crate::dataset::{DrawnLesion, Examination};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::nets::encoders::Encoders;
use crate::nets::{CLASSES, Stored};

/// Fits the encoders of all contrasts and leaves the weights of the last epoch: the rate has fallen to
/// nothing by then, and one slice is too noisy a judge to pick an epoch by.
///
/// # Errors
/// The loss is no number any more, or a class has no patient.
pub fn fit(
    encoders: &Stored<Encoders>,
    train: &[Examination],
    validation: &[Examination],
    experiment: &Experiment,
    dice: Dice,
) -> Result<Vec<Epoch>, Error> {
    let settings = &experiment.encoder;
    let mut by_class: Vec<Vec<&Examination>> = vec![Vec::new(); CLASSES.len()];
    for examination in train {
        if let Some(class) = examination.patient.class() {
            by_class[class].push(examination);
        }
    }
    if let Some(empty) = by_class.iter().position(Vec::is_empty) {
        return Err(Error::Cohort(format!(
            "no training patient has “{}”",
            CLASSES[empty]
        )));
    }
    let drawn: usize = by_class.iter().map(Vec::len).sum::<usize>() * settings.slices;
    let steps = drawn.div_ceil(settings.batch);
    let device = encoders.store.device();
    let course = Course {
        stage: "encoders".to_owned(),
        epochs: settings.epochs,
        patience: None,
        motion: adam(settings.learning_rate),
        keep: Keep::Last,
        dice,
        checkpoint: None,
    };
    descend(
        &course,
        &encoders.store,
        |rng| (0..steps).map(|_| draw(&by_class, settings.batch, rng)).collect(),
        |(picked, classes), rng| {
            let crops: Vec<Tensor> = picked
                .iter()
                .map(|(l, slice)| l.images.get(*slice as i64))
                .collect();
            let edges: Vec<[f32; 4]> = picked.iter().map(|(l, slice)| l.boxes[*slice]).collect();
            let (images, boxes) = settings.augment.apart(&Tensor::stack(&crops, 0), &edges, rng);
            let images = images.to_device(device).to_kind(experiment.precision.kind());
            let classes = Tensor::from_slice(classes).to_device(device);
            encoders.net.loss(&images, &boxes.to_device(device), &classes)
        },
        || validate(encoders, validation, experiment),
    )
}

/// Slices of random tumours, every class equally often.
fn draw<'a>(
    by_class: &[Vec<&'a Examination>],
    batch: usize,
    rng: &mut impl Rng,
) -> (Vec<(&'a DrawnLesion, usize)>, Vec<i64>) {
    let mut picked = Vec::with_capacity(batch);
    let mut classes = Vec::with_capacity(batch);
    for n in 0..batch {
        let class = n % by_class.len();
        let lesion = by_class[class]
            .choose(rng)
            .and_then(|examination| examination.lesions.choose(rng));
        let slices: Vec<usize> = lesion.map(|l| (0..l.boxes.len()).collect()).unwrap_or_default();
        if let (Some(lesion), Some(slice)) = (lesion, slices.choose(rng)) {
            picked.push((lesion, *slice));
            classes.push(class as i64);
        }
    }
    (picked, classes)
}

/// Mean cross-entropy over lesions of all contrasts together, the slices of a lesion counting as one.
fn validate(encoders: &Stored<Encoders>, validation: &[Examination], experiment: &Experiment) -> f64 {
    let device = encoders.store.device();
    let mut losses = Vec::new();
    for examination in validation {
        let Some(class) = examination.patient.class() else {
            continue;
        };
        for lesion in &examination.lesions {
            let images = lesion
                .images
                .to_device(device)
                .to_kind(experiment.precision.kind());
            let logits = encoders.net.classify(&images, &boxes(&lesion.boxes, device));
            let labels = Tensor::full([lesion.boxes.len() as i64], class as i64, (Kind::Int64, device));
            let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
            losses.push(loss.double_value(&[]));
        }
    }
    mean(&losses)
}
