//! The figures that a reader of the results needs, with their uncertainty.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % of a normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// A share of patients with its 95 % interval (Wilson 1927).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many of them.
    pub hits: usize,
    /// Out of how many.
    pub of: usize,
    /// `hits / of`.
    pub value: f64,
    /// Lower and upper end.
    pub interval: [f64; 2],
}

impl Share {
    /// `hits` of `of`; without patients nothing is known and the interval is 0 to 1.
    pub fn new(hits: usize, of: usize) -> Self {
        if of == 0 {
            return Self { hits, of, value: f64::NAN, interval: [0.0, 1.0] };
        }
        let (n, p, z2) = (of as f64, hits as f64 / of as f64, Z_95 * Z_95);
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let reach = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let interval = [(centre - reach).max(0.0), (centre + reach).min(1.0)];
        Self { hits, of, value: p, interval }
    }

    /// The share of `true`.
    pub fn count(of: impl IntoIterator<Item = bool>) -> Self {
        let (hits, n) = of.into_iter().fold((0, 0), |(h, n), hit| (h + usize::from(hit), n + 1));
        Self::new(hits, n)
    }
}

/// Area under the ROC curve with its 95 % interval (DeLong 1988, on the logit scale).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Auc {
    /// Chance that a random positive scores higher than a random negative; ties count half.
    pub value: f64,
    /// Lower and upper end.
    pub interval: [f64; 2],
    /// Positives and negatives.
    pub of: [usize; 2],
}

/// The area under the ROC curve of scores; none when one side is empty.
pub fn auc(positive: &[f64], negative: &[f64]) -> Option<Auc> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    let (m, n) = (positive.len() as f64, negative.len() as f64);
    let wins = |x: f64, others: &[f64]| {
        let score = |o: &f64| if x > *o { 1.0 } else if x == *o { 0.5 } else { 0.0 };
        others.iter().map(score).sum::<f64>() / others.len() as f64
    };
    let of_positive: Vec<f64> = positive.iter().map(|p| wins(*p, negative)).collect();
    let of_negative: Vec<f64> = negative.iter().map(|x| 1.0 - wins(*x, positive)).collect();
    let value = of_positive.iter().sum::<f64>() / m;
    let variance = spread(&of_positive, value) / m + spread(&of_negative, value) / n;
    Some(Auc { value, interval: logit_interval(value, variance.sqrt()), of: [positive.len(), negative.len()] })
}

fn spread(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)
}

/// An interval that stays inside 0 to 1; at the very ends only the value itself is known.
fn logit_interval(value: f64, deviation: f64) -> [f64; 2] {
    if value <= 0.0 || value >= 1.0 {
        return [value, value];
    }
    let logit = (value / (1.0 - value)).ln();
    let reach = Z_95 * deviation / (value * (1.0 - value));
    [logit - reach, logit + reach].map(|l| 1.0 / (1.0 + (-l).exp()))
}

/// The threshold with the highest sensitivity + specificity (Youden 1950), half-way between scores.
pub fn youden(positive: &[f64], negative: &[f64]) -> f64 {
    let mut scores: Vec<f64> = positive.iter().chain(negative).copied().collect();
    scores.sort_by(f64::total_cmp);
    let share = |of: &[f64], t: f64| of.iter().filter(|s| **s >= t).count() as f64 / of.len().max(1) as f64;
    let mut best = (f64::NEG_INFINITY, 0.5);
    for pair in scores.windows(2) {
        let threshold = (pair[0] + pair[1]) / 2.0;
        let index = share(positive, threshold) - share(negative, threshold);
        if index > best.0 {
            best = (index, threshold);
        }
    }
    best.1
}

/// The highest threshold that still keeps this share of the scores.
pub fn keeping(scores: &[f32], share: f64) -> f32 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let needed = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(needed - 1).copied().unwrap_or(0.0)
}

/// Mean probabilities of members whose logits (member, class) are divided by a temperature.
pub fn probabilities(logits: &[Vec<f32>], temperature: f64) -> Vec<f64> {
    let classes = logits.first().map_or(0, Vec::len);
    let mut sum = vec![0.0; classes];
    for member in logits {
        let highest = member.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = member.iter().map(|l| (f64::from(l - highest) / temperature).exp()).collect();
        let total: f64 = powers.iter().sum();
        sum.iter_mut().zip(&powers).for_each(|(s, p)| *s += p / total / logits.len() as f64);
    }
    sum
}

/// The temperature with the lowest negative log-likelihood (Guo 2017), by golden-section search.
pub fn temperature(cases: &[(Vec<Vec<f32>>, usize)]) -> f64 {
    let loss = |log_t: f64| -> f64 {
        let p = |(logits, class): &(Vec<Vec<f32>>, usize)| probabilities(logits, log_t.exp())[*class];
        -cases.iter().map(|c| p(c).max(1e-12).ln()).sum::<f64>()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.2f64.ln(), 10f64.ln());
    while high - low > 1e-4 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against counting every pair.
        #[test]
        fn auc_counts_pairs(
            positive in prop::collection::vec(0u8..20, 1..40),
            negative in prop::collection::vec(0u8..20, 1..40),
        ) {
            let mut twice = 0usize;
            for p in &positive {
                for n in &negative {
                    twice += match p.cmp(n) {
                        std::cmp::Ordering::Greater => 2,
                        std::cmp::Ordering::Equal => 1,
                        std::cmp::Ordering::Less => 0,
                    };
                }
            }
            let expected = twice as f64 / 2.0 / (positive.len() * negative.len()) as f64;
            let floats = |v: &[u8]| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let found = auc(&floats(&positive), &floats(&negative)).unwrap();
            prop_assert!((found.value - expected).abs() < 1e-12);
            prop_assert!(found.interval[0] <= found.value + 1e-12 && found.value <= found.interval[1] + 1e-12);
        }
    }

    /// Agresti and Coull 1998 print Wilson's interval for 0 of 10 and 5 of 10 to three digits.
    #[test]
    fn wilson_against_known_values() {
        for (hits, low, high) in [(0, 0.0, 0.278), (5, 0.237, 0.763), (10, 0.722, 1.0)] {
            let [a, b] = Share::new(hits, 10).interval;
            assert!((a - low).abs() < 1e-3 && (b - high).abs() < 1e-3, "{hits}: {a} {b}");
        }
    }

    #[test]
    fn youden_separates_what_can_be_separated() {
        let t = youden(&[0.7, 0.9, 0.3], &[0.1, 0.2, 0.25]);
        assert!(t > 0.25 && t <= 0.3, "{t}");
    }

    #[test]
    fn keeping_keeps_just_enough() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5];
        assert_eq!(keeping(&scores, 0.8), 0.6);
        assert_eq!(keeping(&scores, 0.61), 0.6);
        assert_eq!(keeping(&scores, 1.0), 0.5);
    }

    /// Logits that are k times too bold need the temperature k.
    #[test]
    fn temperature_undoes_boldness() {
        let mut cases = Vec::new();
        for (class, count) in [(0, 80), (1, 20)] {
            let logit = 3.0 * 4f32.ln();
            cases.extend((0..count).map(|_| (vec![vec![logit, 0.0]], class)));
        }
        assert!((temperature(&cases) - 3.0).abs() < 0.01);
    }
}
