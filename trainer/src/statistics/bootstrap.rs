//! Resamples of patients: all units of a patient come or stay away together, and every class keeps its number
//! of patients (Efron and Tibshirani 1993, chapters 8 and 13).

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::prediction::{Predictions, Rating};

/// How often patients are drawn anew.
pub const RESAMPLES: usize = 2000;

/// A figure that cannot be computed in more than one resample out of ten has no interval.
const COMPUTED_SHARE: f64 = 0.9;

/// A figure with its 95 % percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// On the patients as they are; none where its denominator is empty.
    pub value: Option<f64>,
    /// 2.5 % and 97.5 % of the resamples; none where the figure is none, where it could be computed in
    /// fewer than nine out of ten resamples, or where these two are the same: then the resamples cannot tell
    /// how sure it is.
    pub interval: Option<[f64; 2]>,
    /// In how many of the [`RESAMPLES`] resamples it could be computed. A resample with an empty
    /// denominator (a class that is never chosen has no precision) is left out of the interval.
    pub computed: usize,
}

/// Which units each resample holds, and how often.
#[derive(Debug, Clone)]
pub struct Resampling {
    seed: u64,
    units: usize,
    /// Patients by stratum; a patient is the places of the units.
    strata: Vec<Vec<Vec<usize>>>,
}

impl Resampling {
    /// Of the patients of predictions, stratified by class. A patient with units of several classes belongs to the
    /// stratum of just these classes. The same patients and seed give the same resamples, whatever was
    /// predicted for them.
    pub fn of(predictions: &Predictions, seed: u64) -> Self {
        let units = predictions.units().iter();
        Self::new(units.map(|u| (u.patient.as_str(), u.truth)), seed)
    }

    /// The same for positives and negatives.
    pub fn of_ratings(ratings: &[Rating], seed: u64) -> Self {
        Self::new(ratings.iter().map(|r| (r.patient, usize::from(r.positive))), seed)
    }

    fn new<'a>(units: impl Iterator<Item = (&'a str, usize)>, seed: u64) -> Self {
        let mut patients: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        let mut count = 0;
        for (place, (patient, class)) in units.enumerate() {
            let (classes, places) = patients.entry(patient).or_default();
            classes.push(class);
            places.push(place);
            count += 1;
        }
        let mut strata: BTreeMap<Vec<usize>, Vec<Vec<usize>>> = BTreeMap::new();
        for (mut classes, places) in patients.into_values() {
            classes.sort_unstable();
            classes.dedup();
            strata.entry(classes).or_default().push(places);
        }
        Self {
            seed,
            units: count,
            strata: strata.into_values().collect(),
        }
    }

    /// How often each unit is in each resample; [`RESAMPLES`] of them, each with a stream of its own.
    pub fn weights(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        (0..RESAMPLES).map(|number| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(number as u64);
            let mut weights = vec![0; self.units];
            for stratum in &self.strata {
                for _ in 0..stratum.len() {
                    for place in &stratum[rng.random_range(0..stratum.len())] {
                        weights[*place] += 1;
                    }
                }
            }
            weights
        })
    }

    /// Every figure of `statistic`, which gets the weight of each unit, with its interval.
    pub fn estimate<const N: usize>(&self, statistic: impl Fn(&[u32]) -> [Option<f64>; N]) -> [Estimate; N] {
        let mut drawn: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
        for weights in self.weights() {
            for (drawn, value) in drawn.iter_mut().zip(statistic(&weights)) {
                drawn.extend(value);
            }
        }
        let values = statistic(&vec![1; self.units]);
        std::array::from_fn(|i| estimate(values[i], &mut drawn[i]))
    }
}

fn estimate(value: Option<f64>, drawn: &mut [f64]) -> Estimate {
    drawn.sort_by(f64::total_cmp);
    let enough = drawn.len() as f64 >= COMPUTED_SHARE * RESAMPLES as f64;
    let interval = match (percentile(drawn, 0.025), percentile(drawn, 0.975)) {
        (Some(low), Some(high)) if enough && value.is_some() && low < high => Some([low, high]),
        _ => None,
    };
    Estimate {
        value,
        interval,
        computed: drawn.len(),
    }
}

/// The value below which a share of sorted values lies, on straight lines between them (type 7 of Hyndman
/// and Fan 1996); none of none.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::prediction::tests::two_classes;
    use super::*;

    #[test]
    fn patients_come_whole_and_classes_keep_their_number() {
        let p = two_classes(&[
            ("p1", "1", true, 0.9),
            ("p1", "2", true, 0.8),
            ("p2", "1", true, 0.7),
            ("p3", "1", false, 0.1),
            ("p4", "1", false, 0.2),
            ("p4", "2", false, 0.2),
            ("p4", "3", false, 0.2),
        ]);
        let mut seen = std::collections::BTreeSet::new();
        for w in Resampling::of(&p, 7).weights() {
            assert_eq!(w[0], w[1]);
            assert!(w[4] == w[5] && w[5] == w[6]);
            assert_eq!((w[0] + w[2], w[3] + w[4]), (2, 2));
            seen.insert(w);
        }
        assert_eq!(seen.len(), 9, "three ways to draw two of two, on each side");
        let twice: Vec<_> = (0..2)
            .map(|_| Resampling::of(&p, 7).weights().collect::<Vec<_>>())
            .collect();
        assert_eq!(twice[0], twice[1]);
        assert_ne!(twice[0], Resampling::of(&p, 8).weights().collect::<Vec<_>>());
    }

    /// The interval of a mean of many is that of the normal approximation.
    #[test]
    fn intervals_cover_what_theory_says() {
        let of: Vec<(String, f64)> = (0..400).map(|i| (format!("p{i}"), f64::from(i % 2))).collect();
        let units: Vec<_> = of.iter().map(|(n, p)| (n.as_str(), "1", false, *p)).collect();
        let p = two_classes(&units);
        let values: Vec<f64> = p.units().iter().map(|u| u.probabilities[1]).collect();
        let [mean] = Resampling::of(&p, 1).estimate(|w| {
            let sum: f64 = w.iter().zip(&values).map(|(w, v)| f64::from(*w) * v).sum();
            [Some(sum / 400.0)]
        });
        let [low, high] = mean.interval.unwrap();
        let reach = 1.96 * (0.25f64 / 400.0).sqrt();
        assert!((low - (0.5 - reach)).abs() < 0.005 && (high - (0.5 + reach)).abs() < 0.005);
    }

    #[test]
    fn a_figure_that_is_mostly_unknown_has_no_interval() {
        let p = two_classes(&[
            ("p1", "1", true, 0.9),
            ("p2", "1", true, 0.8),
            ("p3", "1", false, 0.8),
        ]);
        let [often, always] = Resampling::of(&p, 1).estimate(|w| [(w[0] > 0).then_some(1.0), Some(2.0)]);
        assert_eq!((often.value, often.interval), (Some(1.0), None));
        assert!(
            often.computed > 1400 && often.computed < 1600,
            "{}",
            often.computed
        );
        assert_eq!(
            (always.interval, always.computed),
            (None, RESAMPLES),
            "no resample differs"
        );
    }

    #[test]
    fn percentiles_lie_between_values() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
