//! Whether a probability of 0.8 comes true eight times out of ten.

use serde::{Deserialize, Serialize};

use super::Share;
use super::prediction::{Predictions, Rating};

/// How probabilities are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// As many bins of equal width from 0 to 1; the upper end belongs to the bin, 0 to the first one.
    EqualWidth(usize),
    /// As many bins with as nearly equal numbers of units as equal probabilities allow: they stay together.
    EqualMass(usize),
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean predicted probability of its units.
    pub predicted: f64,
    /// Share of its units that came true. Wilson's interval takes units for independent of each other.
    pub observed: Share,
}

/// A reliability diagram and its errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// How it was binned.
    pub binning: Binning,
    /// Bins with units, by rising probability.
    pub bins: Vec<Bin>,
    /// Mean distance of prediction and observation, weighted by units (ECE; Naeini 2015).
    pub expected_error: f64,
    /// Largest distance of a bin.
    pub largest_error: f64,
}

/// Calibration of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean over units of the squared distance between probabilities and truth, summed over all classes
    /// (Brier 1950): 0 to 2.
    pub brier: f64,
    /// Mean negative log-likelihood in natural units.
    pub log_loss: f64,
    /// One per class.
    pub classes: Vec<ClassCalibration>,
    /// Of the highest probability and whether its class is right; ten bins of equal mass.
    pub confidence: Reliability,
}

/// Calibration of one class against all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassCalibration {
    /// Its name.
    pub class: String,
    /// Mean squared distance between its probability and the truth: 0 to 1.
    pub brier: f64,
    /// Ten bins of equal mass.
    pub equal_mass: Reliability,
    /// Ten bins of equal width.
    pub equal_width: Reliability,
}

/// Bins of the diagrams in [`Calibration`].
pub const BINS: usize = 10;

/// A probability below this is taken for it in a logarithm.
pub(super) const LEAST: f64 = 1e-12;

/// Mean squared distance of probabilities from what came true; none of none.
pub fn brier(ratings: &[Rating]) -> Option<f64> {
    let squares = ratings
        .iter()
        .map(|r| (r.score - f64::from(u8::from(r.positive))).powi(2));
    (!ratings.is_empty()).then(|| squares.sum::<f64>() / ratings.len() as f64)
}

/// The reliability diagram of probabilities.
pub fn reliability(ratings: &[Rating], binning: Binning) -> Reliability {
    diagram(ratings.iter().map(|r| (r.score, r.positive)).collect(), binning)
}

fn diagram(mut of: Vec<(f64, bool)>, binning: Binning) -> Reliability {
    of.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut bins: Vec<Bin> = Vec::new();
    let mut start = 0;
    let all = of.len() as f64;
    let number = |place: usize, p: f64| match binning {
        Binning::EqualWidth(bins) => (p * bins as f64).ceil().max(1.0) as usize,
        Binning::EqualMass(bins) => (place as f64 * bins as f64 / all).floor() as usize,
    };
    while start < of.len() {
        let mut end = start + 1;
        let bin = number(start, of[start].0);
        while end < of.len() && (number(end, of[end].0) == bin || of[end].0 == of[end - 1].0) {
            end += 1;
        }
        let units = &of[start..end];
        bins.push(Bin {
            predicted: units.iter().map(|u| u.0).sum::<f64>() / units.len() as f64,
            observed: Share::count(units.iter().map(|u| u.1)),
        });
        start = end;
    }
    let distance = |b: &Bin| (b.predicted - b.observed.value.unwrap_or(b.predicted)).abs();
    Reliability {
        binning,
        expected_error: bins
            .iter()
            .map(|b| distance(b) * b.observed.of as f64 / all)
            .sum(),
        largest_error: bins.iter().map(distance).fold(0.0, f64::max),
        bins,
    }
}

/// Everything about the calibration of predictions.
pub fn calibration(predictions: &Predictions) -> Calibration {
    let units = predictions.units();
    let mean =
        |of: &dyn Fn(&super::Prediction) -> f64| units.iter().map(of).sum::<f64>() / units.len() as f64;
    let class = |(class, name): (usize, &String)| {
        let ratings = predictions.against_rest(class);
        ClassCalibration {
            class: name.clone(),
            brier: brier(&ratings).unwrap_or(0.0),
            equal_mass: reliability(&ratings, Binning::EqualMass(BINS)),
            equal_width: reliability(&ratings, Binning::EqualWidth(BINS)),
        }
    };
    let confidence = units
        .iter()
        .map(|u| {
            let called = u.most_probable();
            (u.probabilities[called], called == u.truth)
        })
        .collect();
    let classes: Vec<_> = predictions.classes().iter().enumerate().map(class).collect();
    Calibration {
        brier: classes.iter().map(|c| c.brier).sum(),
        log_loss: mean(&|u| -u.probabilities[u.truth].max(LEAST).ln()),
        classes,
        confidence: diagram(confidence, Binning::EqualMass(BINS)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::prediction::tests::two_classes;
    use super::*;

    #[test]
    fn diagrams_by_hand() {
        let p = two_classes(&[
            ("p1", "1", false, 0.0),
            ("p2", "1", true, 0.1),
            ("p3", "1", true, 0.5),
            ("p4", "1", false, 0.5),
            ("p5", "1", true, 1.0),
        ]);
        let r = p.against_rest(1);
        let width = reliability(&r, Binning::EqualWidth(2));
        assert_eq!(width.bins.len(), 2);
        assert_eq!((width.bins[0].observed.hits, width.bins[0].observed.of), (2, 4));
        assert!((width.bins[0].predicted - 1.1 / 4.0).abs() < 1e-12);
        assert!((width.expected_error - 0.225 * 0.8).abs() < 1e-12);
        assert!((width.largest_error - 0.225).abs() < 1e-12);
        let b = (0.0 + 0.81 + 0.25 + 0.25 + 0.0) / 5.0;
        assert!((brier(&r).unwrap() - b).abs() < 1e-12);
        assert!((calibration(&p).brier - 2.0 * b).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn every_unit_is_in_one_bin_and_equal_ones_stay_together(
            of in prop::collection::vec((0u8..12, any::<bool>()), 1..60),
            bins in 1usize..12,
        ) {
            let names: Vec<String> = (0..of.len()).map(|i| i.to_string()).collect();
            let units: Vec<_> = of.iter().zip(&names)
                .map(|((s, p), n)| (n.as_str(), "1", *p, f64::from(*s) / 12.0)).collect();
            let p = two_classes(&units);
            for binning in [Binning::EqualMass(bins), Binning::EqualWidth(bins)] {
                let d = reliability(&p.against_rest(1), binning);
                prop_assert!(d.bins.len() <= bins);
                prop_assert_eq!(d.bins.iter().map(|b| b.observed.of).sum::<usize>(), of.len());
                let distinct: std::collections::BTreeSet<u8> = of.iter().map(|u| u.0).collect();
                prop_assert!(d.bins.len() <= distinct.len());
                prop_assert!(d.bins.windows(2).all(|w| w[0].predicted < w[1].predicted));
            }
        }
    }
}
