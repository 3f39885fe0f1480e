//! Fits the slice encoders (Liu 2023, first stage): one slice, all contrasts, four classes.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use super::{Descent, Epoch, mean};
use crate::augment::{Augmentation, Placement, boxes, place};
use crate::dataset::{DrawnLesion, Examination};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::nets::encoders::Encoders;
use crate::nets::{CLASSES, Stored};

/// Single slices: crops (N, contrasts, H, W) with their boxes (N, 4), each changed by itself.
fn slices(picked: &[(&DrawnLesion, usize)], augment: &Augmentation, rng: &mut impl Rng) -> (Tensor, Tensor) {
    let mut images = Vec::with_capacity(picked.len());
    let mut placements = Vec::with_capacity(picked.len());
    let mut edges = Vec::with_capacity(picked.len());
    for (lesion, slice) in picked {
        let image = lesion.images.get(*slice as i64);
        let size = image.size()[2] as f64;
        let at = lesion.boxes[*slice];
        let middle = |a: f32, b: f32| f64::from(a + b) / 2.0 / size - 0.5;
        let centre = [middle(at[0], at[2]), middle(at[1], at[3])];
        let placement = augment.placement(centre, rng);
        images.push(image);
        edges.push(augment.jitter_box(placement.move_box(at, centre, size), rng));
        placements.push(placement);
    }
    let placed = place(&Tensor::stack(&images, 0).to_kind(Kind::Float), &placements);
    let contrasts = placed.size()[1];
    (
        augment.intensities(&placed, contrasts, rng),
        boxes(&edges, Device::Cpu),
    )
}

/// All slices of a lesion, moved and changed alike, as one scan would be: crops (slices, contrasts, H, W)
/// with their boxes (slices, 4).
pub fn whole(lesion: &DrawnLesion, augment: &Augmentation, rng: &mut impl Rng) -> (Tensor, Tensor) {
    let size = lesion.images.size();
    // They turn about one point, the middle of the crop.
    let centre = [0.0; 2];
    let placement: Placement = augment.placement(centre, rng);
    let edges: Vec<[f32; 4]> = lesion
        .boxes
        .iter()
        .map(|at| augment.jitter_box(placement.move_box(*at, centre, size[2] as f64), rng))
        .collect();
    let placements = vec![placement; lesion.boxes.len()];
    let placed = place(&lesion.images.to_kind(Kind::Float), &placements);
    // The slices as channels of one image change their intensities alike.
    let as_channels = placed.flatten(0, 1).unsqueeze(0);
    let images = augment.intensities(&as_channels, size[1], rng);
    (images.view(size.as_slice()), boxes(&edges, Device::Cpu))
}

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
    rng: &mut impl Rng,
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
    let mut descent = Descent::new(
        "encoders",
        &encoders.store,
        settings.learning_rate,
        steps * settings.epochs,
    )?;
    let device = encoders.store.device();
    let mut curve = Vec::new();
    for epoch in 0..settings.epochs {
        let mut losses = Vec::new();
        for _ in 0..steps {
            let (picked, classes) = draw(&by_class, settings.batch, rng);
            let (images, boxes) = slices(&picked, &settings.augment, rng);
            let images = images.to_device(device).to_kind(experiment.precision.kind());
            let classes = Tensor::from_slice(&classes).to_device(device);
            let loss = encoders.net.loss(&images, &boxes.to_device(device), &classes);
            losses.push(descent.step(&loss, epoch)?);
        }
        let validation = no_grad(|| validate(encoders, validation, experiment));
        let result = Epoch {
            train: mean(&losses),
            validation,
        };
        descent.epoch_done(epoch + 1, settings.epochs, result);
        curve.push(result);
    }
    Ok(curve)
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
