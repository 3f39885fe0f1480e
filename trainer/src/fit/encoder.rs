//! Fits the slice encoders (Liu 2023, first stage): one slice, one contrast, four classes.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use super::{Descent, Epoch, mean};
use crate::augment::{Augmentation, boxes, place};
use crate::dataset::{DrawnLesion, Examination};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::nets::resnet::SliceEncoder;
use crate::nets::{CLASSES, Stored, channels_last};

/// Crops (N, contrasts, H, W) with their boxes (N, 4), changed at random.
pub fn augmented(
    picked: &[(&DrawnLesion, usize)],
    contrast: Option<usize>,
    augment: &Augmentation,
    alike: bool,
    rng: &mut impl Rng,
) -> (Tensor, Tensor) {
    let mut images = Vec::with_capacity(picked.len());
    let mut placements = Vec::with_capacity(picked.len());
    let mut edges = Vec::with_capacity(picked.len());
    for (n, (lesion, slice)) in picked.iter().enumerate() {
        let image = lesion.images.get(*slice as i64);
        let image = contrast.map_or(image.shallow_clone(), |c| image.narrow(0, c as i64, 1));
        let size = image.size()[2] as f64;
        images.push(image);
        let at = lesion.boxes[*slice];
        let middle = |a: f32, b: f32| f64::from(a + b) / 2.0 / size - 0.5;
        // All slices of a lesion turn about one point, the middle of its crop.
        let centre = if alike {
            [0.0; 2]
        } else {
            [middle(at[0], at[2]), middle(at[1], at[3])]
        };
        let placement = match placements.first() {
            Some(first) if alike && n > 0 => *first,
            _ => augment.placement(centre, rng),
        };
        placements.push(placement);
        edges.push(augment.jitter_box(placement.move_box(at, centre, size), rng));
    }
    let placed = place(&Tensor::stack(&images, 0).to_kind(Kind::Float), &placements);
    let channels = placed.size()[1];
    let images = if alike {
        // One scan: the same change for all slices, as channels of one image.
        let whole = placed.flatten(0, 1).unsqueeze(0);
        augment
            .intensities(&whole, channels, rng)
            .view(placed.size().as_slice())
    } else {
        augment.intensities(&placed, channels, rng)
    };
    (images, boxes(&edges, Device::Cpu))
}

/// Fits the encoder of one contrast and leaves the weights of the last epoch: the rate has fallen to
/// nothing by then, and one slice of one contrast is too noisy a judge to pick an epoch by.
///
/// # Errors
/// The loss is no number any more, or a class has no patient.
pub fn fit(
    encoder: &Stored<SliceEncoder>,
    contrast: usize,
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
    let name = experiment.recipe.reader.contrasts[contrast].name();
    let stage = format!("encoder {name}");
    let mut descent = Descent::new(
        &stage,
        &encoder.store,
        settings.learning_rate,
        steps * settings.epochs,
    )?;
    let mut curve = Vec::new();
    for epoch in 0..settings.epochs {
        let mut losses = Vec::new();
        for _ in 0..steps {
            let (picked, classes) = draw(&by_class, settings.batch, rng);
            let (images, boxes) = augmented(&picked, Some(contrast), &settings.augment, false, rng);
            let logits = forward(encoder, &images, &boxes, experiment, true);
            let labels = Tensor::from_slice(&classes).to_device(logits.device());
            losses.push(descent.step(&logits.cross_entropy_for_logits(&labels), epoch)?);
        }
        let validation = no_grad(|| validate(encoder, contrast, validation, experiment));
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

fn forward(
    encoder: &Stored<SliceEncoder>,
    images: &Tensor,
    boxes: &Tensor,
    experiment: &Experiment,
    train: bool,
) -> Tensor {
    let device = encoder.store.device();
    let images = channels_last(&images.to_device(device)).to_kind(experiment.precision.kind());
    let features = encoder.net.features(&images, &boxes.to_device(device), train);
    encoder.net.classify(&features, train)
}

/// Mean cross-entropy over lesions, all slices of a lesion counting as one.
fn validate(
    encoder: &Stored<SliceEncoder>,
    contrast: usize,
    validation: &[Examination],
    experiment: &Experiment,
) -> f64 {
    let mut losses = Vec::new();
    for examination in validation {
        let Some(class) = examination.patient.class() else {
            continue;
        };
        for lesion in &examination.lesions {
            let images = lesion.images.narrow(1, contrast as i64, 1).to_kind(Kind::Float);
            let logits = forward(
                encoder,
                &images,
                &boxes(&lesion.boxes, Device::Cpu),
                experiment,
                false,
            );
            let labels = Tensor::full(
                [lesion.boxes.len() as i64],
                class as i64,
                (Kind::Int64, logits.device()),
            );
            let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
            losses.push(loss.double_value(&[]));
        }
    }
    mean(&losses)
}
