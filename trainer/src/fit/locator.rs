//! Fits the locator: every slice with tumour and some without, per patient and epoch.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use tch::{Kind, Reduction, Tensor};

use super::course::{Course, Dice, Keep, descend};
use super::{Epoch, adam, mean};
use crate::augment::{Placement, place};
use crate::dataset::Examination;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::nets::unet::UNet;
use crate::nets::{Stored, channels_last};

/// Fits the locator and leaves the weights of the best epoch.
///
/// # Errors
/// The loss is no number any more.
pub fn fit(
    locator: &Stored<UNet>,
    train: &[Examination],
    validation: &[Examination],
    experiment: &Experiment,
    dice: Dice,
) -> Result<Vec<Epoch>, Error> {
    let settings = &experiment.locator;
    let tumour: Vec<Vec<usize>> = train.iter().map(tumour_slices).collect();
    let course = Course {
        stage: "locator".to_owned(),
        epochs: settings.epochs,
        patience: None,
        motion: adam(settings.learning_rate),
        keep: Keep::Best,
        dice,
        checkpoint: None,
    };
    descend(
        &course,
        &locator.store,
        |rng| {
            let drawn = draw(train, &tumour, experiment, rng);
            drawn.chunks(settings.batch).map(<[_]>::to_vec).collect()
        },
        |batch, rng| {
            let (images, truth) = augmented(train, batch, experiment, rng);
            let images = channels_last(&images.to_device(locator.store.device()));
            let logits = locator
                .net
                .forward(&images.to_kind(experiment.precision.kind()), true);
            loss(&logits, &truth.to_device(logits.device()))
        },
        || validate(locator, validation, experiment),
    )
}

/// Pixels added to both halves of the Dice quotient: a slice without tumour is no division by zero, and
/// the first few wrong pixels of one weigh no more than those of a small tumour.
const DICE_SMOOTHING: f64 = 10.0;

/// Binary cross-entropy plus soft Dice, slice by slice, so that a small tumour weighs as much as a large
/// one.
pub fn loss(logits: &Tensor, truth: &Tensor) -> Tensor {
    let entropy =
        logits.binary_cross_entropy_with_logits(truth, None::<Tensor>, None::<Tensor>, Reduction::Mean);
    let p = logits.sigmoid();
    let per_slice = |t: &Tensor| t.sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Float);
    let shared = per_slice(&(&p * truth)) * 2.0;
    let both = per_slice(&p) + per_slice(truth);
    let dice = (shared + DICE_SMOOTHING) / (both + DICE_SMOOTHING);
    entropy + 1.0 - dice.mean(Kind::Float)
}

/// Slices with tumour.
fn tumour_slices(examination: &Examination) -> Vec<usize> {
    let highest = examination.truth.amax([1i64, 2].as_slice(), false);
    (0..highest.size()[0])
        .filter(|s| highest.double_value(&[*s]) >= 0.5)
        .map(|s| s as usize)
        .collect()
}

/// (patient, slice) of one epoch, shuffled.
fn draw(
    train: &[Examination],
    tumour: &[Vec<usize>],
    experiment: &Experiment,
    rng: &mut impl Rng,
) -> Vec<(usize, usize)> {
    let settings = &experiment.locator;
    let mut drawn = Vec::new();
    for (patient, with) in tumour.iter().enumerate() {
        let slices = train[patient].slices.size()[0] as usize;
        let without: Vec<usize> = (0..slices).filter(|s| !with.contains(s)).collect();
        drawn.extend(with.sample(rng, settings.tumour_slices).map(|s| (patient, *s)));
        drawn.extend(without.sample(rng, settings.other_slices).map(|s| (patient, *s)));
    }
    drawn.shuffle(rng);
    drawn
}

/// Stacks (contrasts × slices, H, W) of one slice in the order of
/// [`models::recipe::LocatorInput::stack`], single precision.
fn stack(examination: &Examination, slice: usize, neighbours: usize) -> Tensor {
    let last = examination.slices.size()[0] - 1;
    let (slice, reach) = (slice as i64, neighbours as i64);
    let rows: Vec<i64> = (slice - reach..=slice + reach)
        .map(|s| s.clamp(0, last))
        .collect();
    let rows = Tensor::from_slice(&rows);
    examination
        .slices
        .index_select(0, &rows)
        .flatten(0, 1)
        .to_kind(Kind::Float)
}

fn augmented(
    train: &[Examination],
    batch: &[(usize, usize)],
    experiment: &Experiment,
    rng: &mut impl Rng,
) -> (Tensor, Tensor) {
    let augment = &experiment.locator.augment;
    let neighbours = experiment.recipe.locator.neighbours;
    let with_truth: Vec<Tensor> = batch
        .iter()
        .map(|(patient, slice)| {
            let examination = &train[*patient];
            let truth = examination
                .truth
                .get(*slice as i64)
                .unsqueeze(0)
                .to_kind(Kind::Float);
            Tensor::cat(&[stack(examination, *slice, neighbours), truth], 0)
        })
        .collect();
    let placements: Vec<Placement> = batch.iter().map(|_| augment.placement([0.0; 2], rng)).collect();
    let placed = place(&Tensor::stack(&with_truth, 0), &placements);
    let channels = placed.size()[1] - 1;
    let contrasts = experiment.recipe.locator.contrasts.len() as i64;
    let images = augment.intensities(&placed.narrow(1, 0, channels), contrasts, rng);
    (images, placed.narrow(1, channels, 1).contiguous())
}

/// Mean loss per patient over all slices.
fn validate(locator: &Stored<UNet>, validation: &[Examination], experiment: &Experiment) -> f64 {
    let neighbours = experiment.recipe.locator.neighbours;
    let losses: Vec<f64> = validation
        .iter()
        .map(|examination| {
            let slices = 0..examination.slices.size()[0] as usize;
            let stacks: Vec<Tensor> = slices.map(|s| stack(examination, s, neighbours)).collect();
            let images = channels_last(&Tensor::stack(&stacks, 0).to_device(locator.store.device()));
            let logits = locator
                .net
                .forward(&images.to_kind(experiment.precision.kind()), false);
            let truth = examination
                .truth
                .unsqueeze(1)
                .to_kind(Kind::Float)
                .to_device(logits.device());
            loss(&logits, &truth).double_value(&[])
        })
        .collect();
    mean(&losses)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use models::mr::Grid;
    use models::recipe::LocatorInput;
    use ndarray::{Array3, Array4};
    use tch::Device;

    use super::*;
    use crate::cohort::patients;
    use crate::nets::{Networks, tensor};

    /// Two dark heads, each with a bright ball in the middle slices of the second contrast.
    fn examination(images: &Array4<f32>, truth: &Array3<f32>) -> Examination {
        let (slices, contrasts, rows, columns) = images.dim();
        Examination {
            patient: patients(&[5]).remove(0),
            slices: tensor(images.iter(), &[slices, contrasts, rows, columns]).to_kind(Kind::Half),
            truth: tensor(truth.iter(), &[slices, rows, columns]).to_kind(Kind::Half),
            lesions: Vec::new(),
        }
    }

    fn experiment() -> Experiment {
        let text = include_str!("../../experiments/first-light.toml");
        let mut experiment: Experiment = toml::from_str(text).unwrap();
        experiment.locator.batch = 4;
        experiment.locator.epochs = 40;
        experiment.locator.learning_rate = 5e-3;
        experiment.precision = crate::experiment::Precision::F32;
        experiment
    }

    fn ball() -> (Array4<f32>, Array3<f32>) {
        let inside = |s: usize, y: usize, x: usize| {
            (2..5).contains(&s) && (y as f32 - 20.0).hypot(x as f32 - 9.0) < 5.0
        };
        let truth = Array3::from_shape_fn((7, 32, 32), |(s, y, x)| f32::from(u8::from(inside(s, y, x))));
        let images = Array4::from_shape_fn((7, 3, 32, 32), |(s, c, y, x)| {
            let texture = ((s * 7 + c * 5 + y * 3 + x) % 11) as f32 / 40.0;
            0.3 + texture + if c == 1 { 0.9 * truth[[s, y, x]] } else { 0.0 }
        });
        (images, truth)
    }

    /// Training and inference must see the same channels in the same order.
    #[test]
    fn stacks_are_those_of_the_recipe() {
        let (images, truth) = ball();
        let examination = examination(&images, &truth);
        let grid = Grid {
            origin: [0.0; 3],
            slice_step: [0.0, 0.0, 4.0],
            row_step: [0.0, 1.0, 0.0],
            column_step: [1.0, 0.0, 0.0],
            shape: [7, 32, 32],
        };
        let input = LocatorInput {
            grid,
            images,
            neighbours: 1,
        };
        for slice in 0..7 {
            let expected = input.stack(slice);
            let ours: Vec<f32> = Vec::try_from(stack(&examination, slice, 1).flatten(0, -1)).unwrap();
            for (a, b) in ours.iter().zip(expected.iter()) {
                assert!((a - b).abs() < 1e-3, "slice {slice}: {a} against {b}");
            }
        }
    }

    /// A loop that cannot learn one obvious tumour by heart learns nothing.
    #[test]
    fn learns_an_obvious_tumour_by_heart() {
        tch::manual_seed(5);
        let experiment = experiment();
        let (images, truth) = ball();
        let train = vec![examination(&images, &truth)];
        let networks = Networks::new(&experiment.recipe, 1, Device::Cpu);
        let dice = Dice { seed: 5, stream: 1 };
        let curve = fit(&networks.locator, &train, &train, &experiment, dice).unwrap();
        let (first, last) = (curve[0].train, curve[curve.len() - 1].train);
        assert!(last < 0.7 * first, "from {first} to {last}");
    }

    #[test]
    fn a_diverging_run_stops_with_its_stage() {
        let mut experiment = experiment();
        experiment.locator.learning_rate = f64::MAX;
        let (images, truth) = ball();
        let train = vec![examination(&images, &truth)];
        let networks = Networks::new(&experiment.recipe, 1, Device::Cpu);
        let dice = Dice { seed: 6, stream: 1 };
        let error = fit(&networks.locator, &train, &train, &experiment, dice).unwrap_err();
        assert!(
            error.to_string().starts_with("locator: the loss became"),
            "{error}"
        );
    }
}
