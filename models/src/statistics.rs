//! Figures about answers, each with its 95 % interval.

use std::fmt;

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
    /// `hits / of`; none of none is not known.
    pub value: Option<f64>,
    /// Lower and upper end; 0 to 1 when nothing is known.
    pub interval: [f64; 2],
}

impl Share {
    /// `hits` of `of`.
    pub fn new(hits: usize, of: usize) -> Self {
        if of == 0 {
            return Self {
                hits,
                of,
                value: None,
                interval: [0.0, 1.0],
            };
        }
        let (n, p, z2) = (of as f64, hits as f64 / of as f64, Z_95 * Z_95);
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let reach = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let interval = [(centre - reach).max(0.0), (centre + reach).min(1.0)];
        Self {
            hits,
            of,
            value: Some(p),
            interval,
        }
    }

    /// The share of `true`.
    pub fn count(of: impl IntoIterator<Item = bool>) -> Self {
        let (hits, n) = of
            .into_iter()
            .fold((0, 0), |(h, n), hit| (h + usize::from(hit), n + 1));
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
        let score = |o: &f64| {
            if x > *o {
                1.0
            } else if x == *o {
                0.5
            } else {
                0.0
            }
        };
        others.iter().map(score).sum::<f64>() / others.len() as f64
    };
    let of_positive: Vec<f64> = positive.iter().map(|p| wins(*p, negative)).collect();
    let of_negative: Vec<f64> = negative.iter().map(|x| 1.0 - wins(*x, positive)).collect();
    let value = of_positive.iter().sum::<f64>() / m;
    let variance = spread(&of_positive, value) / m + spread(&of_negative, value) / n;
    Some(Auc {
        value,
        interval: logit_interval(value, variance.sqrt()),
        of: [positive.len(), negative.len()],
    })
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

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.interval;
        match self.value {
            Some(value) => write!(
                f,
                "{} of {} = {value:.2} ({low:.2}–{high:.2})",
                self.hits, self.of
            ),
            None => write!(f, "not known, no patients"),
        }
    }
}

impl fmt::Display for Auc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.interval;
        write!(f, "{:.2} ({low:.2}–{high:.2})", self.value)
    }
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

    #[test]
    fn nothing_is_known_of_nobody() {
        let nobody = Share::count([]);
        assert_eq!((nobody.value, nobody.interval), (None, [0.0, 1.0]));
        let text = serde_json::to_string(&nobody).unwrap();
        assert_eq!(serde_json::from_str::<Share>(&text).unwrap(), nobody);
    }

    /// Agresti and Coull 1998 print Wilson's interval for 0 of 10 and 5 of 10 to three digits.
    #[test]
    fn wilson_against_known_values() {
        for (hits, low, high) in [(0, 0.0, 0.278), (5, 0.237, 0.763), (10, 0.722, 1.0)] {
            let [a, b] = Share::new(hits, 10).interval;
            assert!(
                (a - low).abs() < 1e-3 && (b - high).abs() < 1e-3,
                "{hits}: {a} {b}"
            );
        }
    }
}
