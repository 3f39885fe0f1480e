//! Accuracy, sensitivity, specificity, precision and F1, by class and overall, with bootstrap intervals.
//!
//! A share of 0 or 1 is 0 or 1 in every resample, which says nothing about how sure it is. Its interval is
//! Wilson's, of as many patients as have a unit in its denominator.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Share;
use super::bootstrap::{Estimate, Resampling};
use super::curve::{Descent, average};
use super::operating_point::Decisions;
use super::prediction::{Prediction, Predictions, Rating, Refusal};

/// The figures of one class against all others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of the units that are rightly called or not called so.
    pub accuracy: Estimate,
    /// Share of the units of the class that are called so; recall.
    pub sensitivity: Estimate,
    /// Share of the other units that are not called so.
    pub specificity: Estimate,
    /// Share of the units called so that are of the class.
    pub precision: Estimate,
    /// Harmonic mean of precision and sensitivity: 2·tp / (2·tp + fp + fn).
    pub f1: Estimate,
}

/// One class of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByClass {
    /// Its name.
    pub class: String,
    /// Units of the class.
    pub units: usize,
    /// Against all others.
    pub figures: Figures,
}

/// The figures of the most probable class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Units whose most probable class is the true one.
    pub accuracy: Estimate,
    /// Unweighted means over the classes; none where one class has none, so that a class that is never
    /// chosen cannot drop out of the mean.
    pub macro_mean: Figures,
    /// In the order of the classes.
    pub classes: Vec<ByClass>,
    /// Units by truth (row) and most probable class (column).
    pub confusion: Vec<Vec<usize>>,
}

/// Counts of one class against all others.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    tp: f64,
    fp: f64,
    tn: f64,
    fna: f64,
}

/// Number of figures in [`Figures`].
const FIGURES: usize = 5;

impl Counts {
    fn add(&mut self, truth: bool, called: bool, weight: u32) {
        let cell = match (truth, called) {
            (true, true) => &mut self.tp,
            (true, false) => &mut self.fna,
            (false, true) => &mut self.fp,
            (false, false) => &mut self.tn,
        };
        *cell += f64::from(weight);
    }

    fn figures(&self) -> [Option<f64>; FIGURES] {
        let Self { tp, fp, tn, fna } = *self;
        let share = |of: f64, all: f64| (all > 0.0).then(|| of / all);
        [
            share(tp + tn, tp + tn + fp + fna),
            share(tp, tp + fna),
            share(tn, tn + fp),
            share(tp, tp + fp),
            share(2.0 * tp, 2.0 * tp + fp + fna),
        ]
    }
}

impl From<[Estimate; FIGURES]> for Figures {
    fn from(of: [Estimate; FIGURES]) -> Self {
        let [accuracy, sensitivity, specificity, precision, f1] = of;
        Self {
            accuracy,
            sensitivity,
            specificity,
            precision,
            f1,
        }
    }
}

/// Wilson's interval for a share of 0 or 1.
fn certain(estimate: Estimate, patients: usize) -> Estimate {
    let [low, high] = match estimate.value {
        Some(0.0) => [0.0, Share::new(0, patients).interval[1]],
        Some(1.0) => [Share::new(patients, patients).interval[0], 1.0],
        _ => return estimate,
    };
    Estimate {
        interval: Some([low, high]),
        ..estimate
    }
}

impl Figures {
    /// From (patient, truth, called) of each unit.
    fn new<'a>(of: [Estimate; FIGURES], units: impl Iterator<Item = (&'a str, bool, bool)> + Clone) -> Self {
        let patients = |counted: &dyn Fn(bool, bool) -> bool| {
            let counted = units
                .clone()
                .filter(|(_, truth, called)| counted(*truth, *called));
            counted
                .map(|(patient, ..)| patient)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let [accuracy, sensitivity, specificity, precision, f1] = of;
        Self {
            accuracy: certain(accuracy, patients(&|_, _| true)),
            sensitivity: certain(sensitivity, patients(&|truth, _| truth)),
            specificity: certain(specificity, patients(&|truth, _| !truth)),
            precision: certain(precision, patients(&|_, called| called)),
            f1,
        }
    }
}

/// Figures of called units against the truth.
pub fn figures(decisions: &Decisions, seed: u64) -> Figures {
    let resampling = Resampling::of_ratings(&decisions.ratings, seed);
    let units = decisions.ratings.iter().zip(&decisions.called);
    Figures::new(
        resampling.estimate(|w| counts(decisions, w).figures()),
        units.map(|(r, called)| (r.patient, r.positive, *called)),
    )
}

fn counts(decisions: &Decisions, weights: &[u32]) -> Counts {
    let mut counts = Counts::default();
    for ((rating, called), weight) in decisions.ratings.iter().zip(&decisions.called).zip(weights) {
        counts.add(rating.positive, *called, *weight);
    }
    counts
}

/// First less second, figure by figure, over the same resamples of patients.
///
/// # Errors
/// The two do not hold the same units in the same order with the same truth.
pub fn difference(first: &Decisions, second: &Decisions, seed: u64) -> Result<Figures, Refusal> {
    super::area::same_units(&first.ratings, &second.ratings)?;
    let resampling = Resampling::of_ratings(&first.ratings, seed);
    Ok(resampling
        .estimate(|w| {
            let (a, b) = (counts(first, w).figures(), counts(second, w).figures());
            std::array::from_fn(|i| Some(a[i]? - b[i]?))
        })
        .into())
}

/// The average precision with its interval.
pub fn average_precision(ratings: &[Rating], seed: u64) -> Estimate {
    let descent = Descent::new(ratings);
    let [estimate] = Resampling::of_ratings(ratings, seed).estimate(|w| [average(&descent.groups(w))]);
    estimate
}

/// Figures of the most probable class, class by class and overall.
pub fn summary(predictions: &Predictions, seed: u64) -> Summary {
    let resampling = Resampling::of(predictions, seed);
    let called: Vec<usize> = predictions
        .units()
        .iter()
        .map(Prediction::most_probable)
        .collect();
    let counts = |class: usize, weights: &[u32]| {
        let mut counts = Counts::default();
        for ((unit, called), weight) in predictions.units().iter().zip(&called).zip(weights) {
            counts.add(unit.truth == class, *called == class, *weight);
        }
        counts.figures()
    };
    let names = predictions.classes();
    let [accuracy] = resampling.estimate(|weights| {
        let (mut right, mut all) = (0.0, 0.0);
        for ((unit, called), weight) in predictions.units().iter().zip(&called).zip(weights) {
            right += f64::from(*weight) * f64::from(u8::from(unit.truth == *called));
            all += f64::from(*weight);
        }
        [Some(right / all)]
    });
    let macro_mean = resampling.estimate(|weights| {
        let mut mean = [Some(0.0); FIGURES];
        for class in 0..names.len() {
            for (mean, figure) in mean.iter_mut().zip(counts(class, weights)) {
                *mean = mean.zip(figure).map(|(m, f)| m + f / names.len() as f64);
            }
        }
        mean
    });
    let by_class = |(class, name): (usize, &String)| ByClass {
        class: name.clone(),
        units: predictions.units().iter().filter(|u| u.truth == class).count(),
        figures: Figures::new(
            resampling.estimate(|w| counts(class, w)),
            predictions
                .units()
                .iter()
                .zip(&called)
                .map(|(u, called)| (u.patient.as_str(), u.truth == class, *called == class)),
        ),
    };
    let mut confusion = vec![vec![0; names.len()]; names.len()];
    for (unit, called) in predictions.units().iter().zip(&called) {
        confusion[unit.truth][*called] += 1;
    }
    Summary {
        accuracy: certain(accuracy, predictions.patients().len()),
        macro_mean: macro_mean.into(),
        classes: names.iter().enumerate().map(by_class).collect(),
        confusion,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::prediction::tests::two_classes;
    use super::*;

    #[test]
    fn figures_by_hand() {
        let p = two_classes(&[
            ("p1", "1", true, 0.9),
            ("p2", "1", true, 0.4),
            ("p3", "1", false, 0.6),
            ("p4", "1", false, 0.1),
            ("p5", "1", false, 0.2),
        ]);
        let s = summary(&p, 1);
        assert_eq!(s.confusion, [[2, 1], [1, 1]]);
        let f = s.classes[1].figures;
        let values = [f.accuracy, f.sensitivity, f.specificity, f.precision, f.f1].map(|e| e.value.unwrap());
        assert_eq!(values, [0.6, 0.5, 2.0 / 3.0, 0.5, 0.5]);
        assert_eq!(s.accuracy.value, Some(0.6));
        let macro_sensitivity = s.macro_mean.sensitivity.value.unwrap();
        assert!((macro_sensitivity - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    }

    /// Ten patients of ten, some with several units: Wilson's lower end is 0.722 (Agresti and Coull 1998).
    #[test]
    fn what_is_always_right_is_not_certain() {
        let names: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        let units: Vec<_> = names
            .iter()
            .enumerate()
            .flat_map(|(i, n)| {
                let one = (n.as_str(), i < 10, if i < 10 { 0.9 } else { 0.1 });
                ["a", "b"]
                    .into_iter()
                    .take(1 + i % 2)
                    .map(move |u| (one.0, u, one.1, one.2))
            })
            .collect();
        let p = two_classes(&units);
        let f = figures(&Decisions::most_probable(&p, 1), 1);
        for e in [
            f.sensitivity,
            f.specificity,
            f.precision,
            summary(&p, 1).classes[1].figures.sensitivity,
        ] {
            let [low, high] = e.interval.unwrap();
            assert!(
                e.value == Some(1.0) && (low - 0.722).abs() < 1e-3 && high == 1.0,
                "{e:?}"
            );
        }
        assert_eq!(f.f1.interval, None);
    }

    #[test]
    fn a_class_that_is_never_chosen_has_no_precision_and_no_macro_mean() {
        let p = two_classes(&[("p1", "1", true, 0.4), ("p2", "1", false, 0.1)]);
        let s = summary(&p, 1);
        assert_eq!(s.classes[1].figures.precision.value, None);
        assert_eq!(s.classes[1].figures.precision.computed, 0);
        assert_eq!(s.classes[1].figures.f1.value, Some(0.0));
        assert_eq!(s.macro_mean.precision.value, None);
        assert!(s.macro_mean.sensitivity.value.is_some());
    }

    #[test]
    fn a_model_differs_from_itself_by_nothing() {
        let p = two_classes(&[
            ("p1", "1", true, 0.9),
            ("p2", "1", true, 0.4),
            ("p3", "1", false, 0.6),
            ("p4", "1", false, 0.1),
        ]);
        let d = Decisions::most_probable(&p, 1);
        let none = difference(&d, &d, 3).unwrap();
        assert_eq!((none.accuracy.value, none.accuracy.interval), (Some(0.0), None));
        let better = Decisions {
            called: d.ratings.iter().map(|r| r.positive).collect(),
            ..d.clone()
        };
        let gained = difference(&better, &d, 3).unwrap();
        assert_eq!(gained.accuracy.value, Some(0.5));
        assert!(gained.accuracy.interval.unwrap()[0] >= 0.0);
    }
}
