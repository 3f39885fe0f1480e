//! ROC and precision-recall curves. Units with equal scores enter a curve together, so the order in which
//! they are listed never shows.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Resampling, percentile};
use super::prediction::Rating;

/// One point of an ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Scores from here on are called positive; none at the start, where nothing is.
    pub threshold: Option<f64>,
    /// Share of the negatives that are called positive: 1 − specificity.
    pub false_positive: f64,
    /// Share of the positives that are called positive: sensitivity.
    pub true_positive: f64,
}

/// One point of a precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecallPoint {
    /// Scores from here on are called positive.
    pub threshold: f64,
    /// Share of the positives that are called positive: sensitivity.
    pub recall: f64,
    /// Share of those called positive that are positive.
    pub precision: f64,
}

/// Sensitivity at one share of false positives, over resamples of patients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandPoint {
    /// 1 − specificity.
    pub false_positive: f64,
    /// 2.5 % and 97.5 % of the sensitivities.
    pub true_positive: [f64; 2],
}

/// Points of the band of an ROC curve.
const BAND_POINTS: usize = 101;

/// Positives and negatives from the highest score down, after each group of equal scores.
pub(super) struct Descent {
    order: Vec<usize>,
    scores: Vec<f64>,
    positive: Vec<bool>,
}

impl Descent {
    pub(super) fn new(ratings: &[Rating]) -> Self {
        let mut order: Vec<usize> = (0..ratings.len()).collect();
        order.sort_by(|a, b| ratings[*b].score.total_cmp(&ratings[*a].score));
        Self {
            scores: order.iter().map(|i| ratings[*i].score).collect(),
            positive: order.iter().map(|i| ratings[*i].positive).collect(),
            order,
        }
    }

    /// (threshold, true positives, false positives) after each group of equal scores, each unit counted as
    /// often as its weight says. Groups without weight are left out.
    pub(super) fn groups(&self, weights: &[u32]) -> Vec<(f64, f64, f64)> {
        let mut groups = Vec::new();
        let (mut tp, mut fp, mut pending) = (0.0, 0.0, false);
        for (place, unit) in self.order.iter().enumerate() {
            let weight = f64::from(weights[*unit]);
            if self.positive[place] {
                tp += weight;
            } else {
                fp += weight;
            }
            pending |= weight > 0.0;
            let last = self.scores.get(place + 1) != Some(&self.scores[place]);
            if last && pending {
                groups.push((self.scores[place], tp, fp));
                pending = false;
            }
        }
        groups
    }
}

/// The ROC curve from (0, 0) to (1, 1), by falling threshold; none when one side is empty.
pub fn roc(ratings: &[Rating]) -> Option<Vec<RocPoint>> {
    let groups = Descent::new(ratings).groups(&vec![1; ratings.len()]);
    let (_, positives, negatives) = *groups.last()?;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let start = RocPoint {
        threshold: None,
        false_positive: 0.0,
        true_positive: 0.0,
    };
    let point = |(threshold, tp, fp)| RocPoint {
        threshold: Some(threshold),
        false_positive: fp / negatives,
        true_positive: tp / positives,
    };
    Some(
        std::iter::once(start)
            .chain(groups.into_iter().map(point))
            .collect(),
    )
}

/// The precision-recall curve by falling threshold; none without positives.
pub fn precision_recall(ratings: &[Rating]) -> Option<Vec<RecallPoint>> {
    let groups = Descent::new(ratings).groups(&vec![1; ratings.len()]);
    let (_, positives, _) = *groups.last()?;
    let point = |(threshold, tp, fp): (f64, f64, f64)| RecallPoint {
        threshold,
        recall: tp / positives,
        precision: tp / (tp + fp),
    };
    (positives > 0.0).then(|| groups.into_iter().map(point).collect())
}

/// Average precision: Σ (Rₙ − Rₙ₋₁) Pₙ over falling thresholds, without interpolation; none without
/// positives.
pub fn average_precision(ratings: &[Rating]) -> Option<f64> {
    average(&Descent::new(ratings).groups(&vec![1; ratings.len()]))
}

pub(super) fn average(groups: &[(f64, f64, f64)]) -> Option<f64> {
    let (_, positives, _) = *groups.last()?;
    if positives == 0.0 {
        return None;
    }
    let mut before = 0.0;
    let mut sum = 0.0;
    for (_, tp, fp) in groups {
        sum += (tp - before) / positives * tp / (tp + fp);
        before = *tp;
    }
    Some(sum)
}

/// The pointwise 95 % band of the ROC curve: sensitivity at each share of false positives in resamples of
/// patients (vertical averaging, Fawcett 2006); empty when one side is empty.
pub fn roc_band(ratings: &[Rating], seed: u64) -> Vec<BandPoint> {
    let descent = Descent::new(ratings);
    let mut at: Vec<Vec<f64>> = vec![Vec::new(); BAND_POINTS];
    let place = |i: usize| i as f64 / (BAND_POINTS - 1) as f64;
    for weights in Resampling::of_ratings(ratings, seed).weights() {
        let groups = descent.groups(&weights);
        let Some((_, positives, negatives)) = groups.last().copied() else {
            continue;
        };
        if positives == 0.0 || negatives == 0.0 {
            continue;
        }
        let mut next = 0;
        let mut below = (0.0, 0.0);
        for (_, tp, fp) in groups {
            let (x, y) = (fp / negatives, tp / positives);
            // Up to the corner that is not reached yet, along the straight line between two corners.
            while next < BAND_POINTS && place(next) < x {
                let share = (place(next) - below.0) / (x - below.0);
                at[next].push(below.1 + share * (y - below.1));
                next += 1;
            }
            below = (x, y);
        }
        for values in at.iter_mut().skip(next) {
            values.push(1.0);
        }
    }
    let point = |(i, mut values): (usize, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        Some(BandPoint {
            false_positive: place(i),
            true_positive: [percentile(&values, 0.025)?, percentile(&values, 0.975)?],
        })
    };
    at.into_iter().enumerate().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn ratings<'a>(of: &[(f64, bool)], names: &'a [String]) -> Vec<Rating<'a>> {
        of.iter()
            .zip(names)
            .map(|((score, positive), name)| Rating {
                patient: name,
                unit: name,
                score: *score,
                positive: *positive,
            })
            .collect()
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("p{i:04}")).collect()
    }

    #[test]
    fn equal_scores_are_one_point() {
        let names = names(4);
        let r = ratings(&[(0.5, true), (0.5, false), (0.9, true), (0.1, false)], &names);
        let shares: Vec<(f64, f64)> = roc(&r)
            .unwrap()
            .iter()
            .map(|p| (p.false_positive, p.true_positive))
            .collect();
        assert_eq!(shares, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert!((average_precision(&r).unwrap() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn one_side_alone_has_no_curve() {
        let names = names(2);
        let r = ratings(&[(0.5, true), (0.7, true)], &names);
        assert_eq!(roc(&r), None);
        assert_eq!(precision_recall(&ratings(&[(0.5, false)], &names)), None);
        assert!(roc_band(&r, 1).is_empty());
    }

    proptest! {
        /// The order of the list changes nothing, and the area under the corners is the share of pairs.
        #[test]
        fn order_never_shows(mut of in prop::collection::vec((0u8..6, any::<bool>()), 2..40), turn in 0usize..40) {
            let names = names(of.len());
            let as_ratings = |of: &[(u8, bool)]| of.iter().map(|(s, p)| (f64::from(*s), *p)).collect::<Vec<_>>();
            let before = roc(&ratings(&as_ratings(&of), &names));
            let ap = average_precision(&ratings(&as_ratings(&of), &names));
            let turn = turn % of.len();
            of.rotate_left(turn);
            prop_assert_eq!(&before, &roc(&ratings(&as_ratings(&of), &names)));
            prop_assert_eq!(ap, average_precision(&ratings(&as_ratings(&of), &names)));
            if let Some(points) = before {
                let area: f64 = points.windows(2).map(|w| {
                    (w[1].false_positive - w[0].false_positive) * (w[1].true_positive + w[0].true_positive) / 2.0
                }).sum();
                let side = |p: bool| of.iter().filter(|u| u.1 == p).map(|u| f64::from(u.0)).collect::<Vec<_>>();
                let pairs = models::statistics::auc(&side(true), &side(false)).unwrap().value;
                prop_assert!((area - pairs).abs() < 1e-12);
            }
        }
    }
}
