//! Thresholds that are chosen on validation patients and applied to others.

use serde::{Deserialize, Serialize};

use super::curve::{RocPoint, roc};
use super::prediction::{ChosenOn, Predictions, Rating, Refusal, Validation};

/// What a threshold is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// The highest sensitivity + specificity (Youden 1950).
    Youden,
    /// The highest specificity among the thresholds with at least this sensitivity.
    SensitivityAtLeast(f64),
    /// The highest sensitivity among the thresholds with at least this specificity.
    SpecificityAtLeast(f64),
}

impl std::fmt::Display for Aim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Youden => f.write_str("highest sensitivity + specificity (Youden)"),
            Self::SensitivityAtLeast(x) => write!(f, "sensitivity at least {x}"),
            Self::SpecificityAtLeast(x) => write!(f, "specificity at least {x}"),
        }
    }
}

/// A threshold on the probability of one class. There is no way to make one but from validation
/// predictions, and it refuses the patients that it was chosen on.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatingPoint {
    class: usize,
    threshold: f64,
    aim: Aim,
    on: ChosenOn,
}

/// Units, each called positive or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Decisions<'a> {
    pub(super) ratings: Vec<Rating<'a>>,
    pub(super) called: Vec<bool>,
}

impl<'a> Decisions<'a> {
    /// A unit is called positive when the class is its most probable one.
    pub fn most_probable(predictions: &'a Predictions, class: usize) -> Self {
        Self {
            ratings: predictions.against_rest(class),
            called: predictions
                .units()
                .iter()
                .map(|u| u.most_probable() == class)
                .collect(),
        }
    }

    /// A unit is called positive above a score that the scale itself names, as on a reader's five points.
    /// For a model's probabilities use an [`OperatingPoint`].
    pub fn above(ratings: Vec<Rating<'a>>, score: f64) -> Self {
        let called = ratings.iter().map(|r| r.score > score).collect();
        Self { ratings, called }
    }

    /// Share of the positives that are called so, and of the negatives that are not, as (hits, of).
    pub fn hits(&self) -> [(usize, usize); 2] {
        [true, false].map(|side| {
            let of = self
                .ratings
                .iter()
                .zip(&self.called)
                .filter(|(r, _)| r.positive == side);
            let hits = of.clone().filter(|(_, called)| **called == side).count();
            (hits, of.count())
        })
    }
}

impl OperatingPoint {
    /// Chooses a threshold, half-way between two neighbouring scores, so that a unit is called positive from
    /// there on. Of several thresholds that serve equally the lowest is taken: sensitivity goes first.
    ///
    /// # Errors
    /// There is no such class, one side is empty, or the aim is no share.
    pub fn choose(validation: &Validation, class: usize, aim: Aim) -> Result<Self, Refusal> {
        if let Aim::SensitivityAtLeast(x) | Aim::SpecificityAtLeast(x) = aim
            && !(x > 0.0 && x <= 1.0)
        {
            return Err(Refusal(format!("{aim}: a share lies above 0 and is at most 1")));
        }
        let ratings = validation.predictions().against_rest(class);
        let Some(points) = roc(&ratings) else {
            return Err(Refusal(
                "no threshold can be chosen: among the validation patients one side is empty".to_owned(),
            ));
        };
        let specificity = |p: &RocPoint| 1.0 - p.false_positive;
        // A hair of rounding must not lose a threshold that is exactly good enough.
        let at_least = |value: f64, x: f64| value >= x - 1e-12;
        let worth = |p: &RocPoint| match aim {
            Aim::Youden => Some(p.true_positive + specificity(p)),
            Aim::SensitivityAtLeast(x) => at_least(p.true_positive, x).then(|| specificity(p)),
            Aim::SpecificityAtLeast(x) => at_least(specificity(p), x).then_some(p.true_positive),
        };
        let mut best: Option<(f64, usize)> = None;
        for (place, point) in points.iter().enumerate() {
            if let Some(worth) = worth(point)
                && best.is_none_or(|(most, _)| at_least(worth, most))
            {
                best = Some((worth, place));
            }
        }
        let place = best.map_or(0, |(_, place)| place);
        let here = points.get(place).and_then(|p| p.threshold);
        let next = points.get(place + 1).and_then(|p| p.threshold);
        let threshold = match (here, next) {
            (Some(here), Some(below)) => {
                let middle = (here + below) / 2.0;
                // Between neighbouring numbers there is no middle.
                if middle > below { middle } else { here }
            }
            (Some(here), None) => here,
            // Nothing is called positive: just above the highest score.
            (None, next) => next.unwrap_or(1.0).next_up(),
        };
        Ok(Self {
            class,
            threshold,
            aim,
            on: ChosenOn::of(validation),
        })
    }

    /// The class whose probability it is.
    pub fn class(&self) -> usize {
        self.class
    }

    /// From this probability on a unit is called positive.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// What it was chosen for.
    pub fn aim(&self) -> Aim {
        self.aim
    }

    /// On how many validation patients it was chosen.
    pub fn chosen_on(&self) -> usize {
        self.on.patients()
    }

    /// Calls other patients' units positive or not.
    ///
    /// # Errors
    /// One of them is a patient that the threshold was chosen on.
    pub fn apply<'a>(&self, test: &'a Predictions) -> Result<Decisions<'a>, Refusal> {
        self.on.refuse_overlap(test)?;
        let ratings = test.against_rest(self.class);
        let called = ratings.iter().map(|r| r.score >= self.threshold).collect();
        Ok(Decisions { ratings, called })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::prediction::tests::two_classes;
    use super::*;

    fn validation() -> Validation {
        Validation::new(two_classes(&[
            ("v1", "1", true, 0.9),
            ("v2", "1", true, 0.7),
            ("v3", "1", true, 0.3),
            ("v4", "1", false, 0.6),
            ("v5", "1", false, 0.2),
            ("v6", "1", false, 0.1),
        ]))
    }

    #[test]
    fn thresholds_do_what_they_were_chosen_for() {
        let v = validation();
        let at = |aim| OperatingPoint::choose(&v, 1, aim).unwrap().threshold();
        assert!((at(Aim::Youden) - 0.25).abs() < 1e-12);
        assert!((at(Aim::SensitivityAtLeast(0.6)) - 0.65).abs() < 1e-12);
        assert!((at(Aim::SensitivityAtLeast(1.0)) - 0.25).abs() < 1e-12);
        assert!((at(Aim::SpecificityAtLeast(1.0)) - 0.65).abs() < 1e-12);
        assert!((at(Aim::SpecificityAtLeast(0.5)) - 0.25).abs() < 1e-12);
        assert!(OperatingPoint::choose(&v, 1, Aim::SensitivityAtLeast(1.5)).is_err());
        assert!(OperatingPoint::choose(&v, 2, Aim::Youden).is_err());
    }

    #[test]
    fn what_was_chosen_on_a_patient_is_not_judged_on_it() {
        let point = OperatingPoint::choose(&validation(), 1, Aim::Youden).unwrap();
        let test = two_classes(&[("t1", "1", true, 0.26), ("t2", "1", false, 0.24)]);
        assert_eq!(point.apply(&test).unwrap().hits(), [(1, 1), (1, 1)]);
        let leak = two_classes(&[("t1", "1", true, 0.26), ("v2", "1", false, 0.24)]);
        assert!(point.apply(&leak).unwrap_err().0.contains("v2"));
    }

    proptest! {
        #[test]
        fn the_aim_is_reached_where_it_was_chosen(
            of in prop::collection::vec((0u8..20, any::<bool>()), 4..30),
            x in 0.05f64..1.0,
        ) {
            let names: Vec<String> = (0..of.len()).map(|i| i.to_string()).collect();
            let units: Vec<_> = of.iter().zip(&names)
                .map(|((s, p), n)| (n.as_str(), "1", *p, f64::from(*s) / 20.0)).collect();
            let p = two_classes(&units);
            let validation = Validation::new(p.clone());
            for aim in [Aim::SensitivityAtLeast(x), Aim::SpecificityAtLeast(x)] {
                let Ok(point) = OperatingPoint::choose(&validation, 1, aim) else { continue };
                let called = p.against_rest(1).iter().map(|r| r.score >= point.threshold()).collect();
                let hits = Decisions { ratings: p.against_rest(1), called }.hits();
                let (hit, all) = hits[usize::from(matches!(aim, Aim::SpecificityAtLeast(_)))];
                prop_assert!(hit as f64 / all as f64 >= x - 1e-9);
            }
        }
    }
}
