//! Area under the ROC curve, with its interval, and two areas on the same units compared.
//!
//! Structural components of DeLong 1988 from mid-ranks (Sun and Xu 2014, n log n), summed within patients
//! (Obuchowski 1997). With one unit per patient that sum is DeLong's variance itself, so there is one way
//! of computing both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::prediction::{Rating, Refusal};

/// Two-sided 95 % of a normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Below this a variance is rounding of zero.
const NO_VARIANCE: f64 = 1e-15;

/// Where a variance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// DeLong 1988: one unit per patient.
    DeLong,
    /// Obuchowski 1997: units of one patient are alike.
    Obuchowski,
}

/// The area under an ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// Chance that a random positive scores higher than a random negative; ties count half.
    pub value: f64,
    /// 95 %. On the logit scale from the standard error; where that is not known, or the area is 0 or 1,
    /// Newcombe's (2006, method 5) from the number of patients alone.
    pub interval: [f64; 2],
    /// Standard error; none when one side has fewer than two patients.
    pub standard_error: Option<f64>,
    /// Units.
    pub positives: usize,
    /// Units.
    pub negatives: usize,
    /// Patients.
    pub patients: usize,
    /// Where the standard error comes from.
    pub method: Method,
}

/// Two areas on the same units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// First area less the second.
    pub value: f64,
    /// 95 %, normal; none when the standard error is not known.
    pub interval: Option<[f64; 2]>,
    /// Of the difference.
    pub standard_error: Option<f64>,
    /// Difference over standard error; none where that is zero or not known.
    pub z: Option<f64>,
    /// Two-sided; 1 when both rank every pair alike, none when the standard error is zero or not known and
    /// they do not.
    pub p: Option<f64>,
    /// Where the standard error comes from.
    pub method: Method,
}

/// What the variance of areas is made from: one row per model.
struct Components {
    areas: Vec<f64>,
    /// By model, patient: sum of the positives' components less as many areas.
    positive: Vec<Vec<f64>>,
    negative: Vec<Vec<f64>>,
    positives: usize,
    negatives: usize,
    patients: usize,
    positive_patients: usize,
    negative_patients: usize,
}

impl Components {
    /// Ratings of several models, unit by unit alike; none when one side is empty.
    fn new(models: &[&[Rating]]) -> Option<Self> {
        let first = models.first()?;
        let (positives, negatives) = sides(first);
        if positives.is_empty() || negatives.is_empty() {
            return None;
        }
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for rating in first.iter() {
            let next = numbers.len();
            numbers.entry(rating.patient).or_insert(next);
        }
        let patients_of = |side: &[usize]| {
            let mut of: Vec<usize> = side.iter().map(|i| numbers[first[*i].patient]).collect();
            of.sort_unstable();
            of.dedup();
            of.len()
        };
        let (m, n) = (positives.len() as f64, negatives.len() as f64);
        let mut components = Self {
            areas: Vec::new(),
            positive: Vec::new(),
            negative: Vec::new(),
            positives: positives.len(),
            negatives: negatives.len(),
            patients: numbers.len(),
            positive_patients: patients_of(&positives),
            negative_patients: patients_of(&negatives),
        };
        for model in models {
            let scores = |side: &[usize]| side.iter().map(|i| model[*i].score).collect::<Vec<f64>>();
            let (x, y) = (scores(&positives), scores(&negatives));
            let all = mid_ranks(&[x.as_slice(), &y].concat());
            let (among_x, among_y) = (mid_ranks(&x), mid_ranks(&y));
            let (of_x, of_y) = all.split_at(x.len());
            let wins = |(all, own): (&f64, &f64), of: f64| (all - own) / of;
            let v10: Vec<f64> = of_x.iter().zip(&among_x).map(|p| wins(p, n)).collect();
            let v01: Vec<f64> = of_y.iter().zip(&among_y).map(|p| 1.0 - wins(p, m)).collect();
            let area = v10.iter().sum::<f64>() / m;
            let by_patient = |side: &[usize], values: &[f64]| {
                let mut sums = vec![0.0; numbers.len()];
                for (i, v) in side.iter().zip(values) {
                    sums[numbers[first[*i].patient]] += v - area;
                }
                sums
            };
            components.areas.push(area);
            components.positive.push(by_patient(&positives, &v10));
            components.negative.push(by_patient(&negatives, &v01));
        }
        Some(components)
    }

    fn method(&self) -> Method {
        if self.positives + self.negatives > self.patients {
            Method::Obuchowski
        } else {
            Method::DeLong
        }
    }

    /// Covariance of two of the areas; none when one side has fewer than two patients.
    fn covariance(&self, a: usize, b: usize) -> Option<f64> {
        if self.positive_patients < 2 || self.negative_patients < 2 {
            return None;
        }
        let products = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let of = |patients: usize| patients as f64 / (patients as f64 - 1.0);
        let (m, n) = (self.positives as f64, self.negatives as f64);
        let positive = of(self.positive_patients) * products(&self.positive[a], &self.positive[b]) / m;
        let negative = of(self.negative_patients) * products(&self.negative[a], &self.negative[b]) / n;
        let crossed =
            products(&self.positive[a], &self.negative[b]) + products(&self.positive[b], &self.negative[a]);
        Some(positive / m + negative / n + of(self.patients) * crossed / (m * n))
    }

    fn deviation(&self, variance: Option<f64>) -> Option<f64> {
        // Obuchowski's cross term may push a variance of almost nothing below it.
        variance.map(|v| if v < NO_VARIANCE { 0.0 } else { v.sqrt() })
    }
}

fn sides(ratings: &[Rating]) -> (Vec<usize>, Vec<usize>) {
    (0..ratings.len()).partition(|i| ratings[*i].positive)
}

/// Ranks from 1; equal values share the mean of theirs.
fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        for place in &order[start..end] {
            ranks[*place] = 0.5 * (start + end + 1) as f64;
        }
        start = end;
    }
    ranks
}

/// The area under the ROC curve; none when one side is empty.
pub fn area(ratings: &[Rating]) -> Option<Area> {
    let components = Components::new(&[ratings])?;
    let value = *components.areas.first()?;
    let standard_error = components.deviation(components.covariance(0, 0));
    let interval = match standard_error {
        Some(se) if se > 0.0 && value > 0.0 && value < 1.0 => {
            let logit = (value / (1.0 - value)).ln();
            let reach = Z_95 * se / (value * (1.0 - value));
            [logit - reach, logit + reach].map(|l| 1.0 / (1.0 + (-l).exp()))
        }
        _ => newcombe(value, components.positive_patients, components.negative_patients),
    };
    Some(Area {
        value,
        interval,
        standard_error,
        positives: components.positives,
        negatives: components.negatives,
        patients: components.patients,
        method: components.method(),
    })
}

/// Compares two models on the same units (DeLong 1988, paired; Obuchowski 1997 with several units per
/// patient). None when one side is empty.
///
/// # Errors
/// The two do not hold the same units in the same order with the same truth.
pub fn compare(first: &[Rating], second: &[Rating]) -> Result<Option<Difference>, Refusal> {
    same_units(first, second)?;
    let Some(components) = Components::new(&[first, second]) else {
        return Ok(None);
    };
    let value = components.areas[0] - components.areas[1];
    let variance = || {
        let [a, b, both] = [(0, 0), (1, 1), (0, 1)].map(|(i, j)| components.covariance(i, j));
        Some(a? + b? - 2.0 * both?)
    };
    let standard_error = components.deviation(variance());
    let z = standard_error.filter(|se| *se > 0.0).map(|se| value / se);
    let p = match (z, standard_error) {
        (Some(z), _) => Some(libm::erfc(z.abs() / std::f64::consts::SQRT_2)),
        (None, Some(_)) if value.abs() < NO_VARIANCE => Some(1.0),
        _ => None,
    };
    Ok(Some(Difference {
        value,
        interval: standard_error
            .filter(|se| *se > 0.0 || p.is_some())
            .map(|se| [value - Z_95 * se, value + Z_95 * se]),
        standard_error,
        z,
        p,
        method: components.method(),
    }))
}

pub(super) fn same_units(first: &[Rating], second: &[Rating]) -> Result<(), Refusal> {
    if first.len() != second.len() {
        let (a, b) = (first.len(), second.len());
        return Err(Refusal(format!(
            "{a} units against {b}: only the same units can be compared"
        )));
    }
    for (a, b) in first.iter().zip(second) {
        if (a.patient, a.unit) != (b.patient, b.unit) {
            return Err(Refusal(format!(
                "patient {}, unit {} stands against patient {}, unit {}",
                a.patient, a.unit, b.patient, b.unit
            )));
        }
        if a.positive != b.positive {
            return Err(Refusal(format!(
                "patient {}, unit {} is positive in one and negative in the other",
                a.patient, a.unit
            )));
        }
    }
    Ok(())
}

/// The areas that are less than 1.96 of their own standard errors away from the one that was found, where
/// the standard error of an area follows from the number of patients (Newcombe, Stat Med 2006;25:559,
/// method 5).
fn newcombe(value: f64, positives: usize, negatives: usize) -> [f64; 2] {
    let (m, n) = (positives as f64, negatives as f64);
    let extra = (m + n) / 2.0 - 1.0;
    let error = |t: f64| {
        let spread = 1.0 + extra * (1.0 - t) / (2.0 - t) + extra * t / (1.0 + t);
        (t * (1.0 - t) * spread / (m * n)).sqrt()
    };
    let end = |mut inside: f64, mut outside: f64| {
        for _ in 0..60 {
            let middle = (inside + outside) / 2.0;
            if (middle - value).abs() <= Z_95 * error(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        (inside + outside) / 2.0
    };
    [
        if value <= 0.0 { 0.0 } else { end(value, 0.0) },
        if value >= 1.0 { 1.0 } else { end(value, 1.0) },
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::prediction::tests::two_classes;
    use super::*;

    /// Albumin, total protein, K-G score (points off 10), and whether surgery helped: 43 patients with
    /// ovarian cancer, the complete records of the example of DeLong, DeLong and Clarke-Pearson,
    /// Biometrics 1988;44:837, as the manual of a statistics program prints them.
    const OVARIAN: [(f64, f64, f64, bool); 43] = [
        (3.0, 5.8, 10.0, false),
        (3.2, 6.3, 5.0, true),
        (3.9, 6.8, 3.0, true),
        (2.8, 4.8, 6.0, false),
        (3.2, 5.8, 3.0, true),
        (0.9, 4.0, 5.0, false),
        (2.5, 5.7, 8.0, false),
        (1.6, 5.6, 5.0, true),
        (3.8, 5.7, 5.0, true),
        (3.7, 6.7, 6.0, true),
        (3.2, 5.4, 4.0, true),
        (3.8, 6.6, 6.0, true),
        (4.1, 6.6, 5.0, true),
        (3.6, 5.7, 5.0, true),
        (4.3, 7.0, 4.0, true),
        (3.6, 6.7, 4.0, false),
        (2.3, 4.4, 6.0, true),
        (4.2, 7.6, 4.0, false),
        (4.0, 6.6, 6.0, false),
        (3.5, 5.8, 6.0, true),
        (3.8, 6.8, 7.0, true),
        (3.0, 4.7, 8.0, false),
        (4.5, 7.4, 5.0, true),
        (3.7, 7.4, 5.0, true),
        (3.1, 6.6, 6.0, true),
        (4.1, 8.2, 6.0, true),
        (4.3, 7.0, 5.0, true),
        (4.3, 6.5, 4.0, true),
        (3.2, 5.1, 5.0, true),
        (2.6, 4.7, 6.0, true),
        (3.3, 6.8, 6.0, false),
        (1.7, 4.0, 7.0, false),
        (3.7, 6.1, 5.0, true),
        (3.3, 6.3, 7.0, true),
        (4.2, 7.7, 6.0, true),
        (3.5, 6.2, 5.0, true),
        (2.9, 5.7, 9.0, false),
        (2.1, 4.8, 7.0, true),
        (2.8, 6.2, 8.0, false),
        (4.0, 7.0, 7.0, true),
        (3.3, 5.7, 6.0, true),
        (3.7, 6.9, 5.0, true),
        (3.6, 6.6, 5.0, true),
    ];

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("p{i:04}")).collect()
    }

    fn rate<'a>(names: &'a [String], of: impl Iterator<Item = (f64, bool)>) -> Vec<Rating<'a>> {
        of.zip(names)
            .map(|((score, positive), name)| Rating {
                patient: name,
                unit: name,
                score,
                positive,
            })
            .collect()
    }

    /// Areas and standard errors of the three tests, and both comparisons with the K-G score, to the four
    /// digits that are printed.
    #[test]
    fn ovarian_cancer_as_published() {
        let names = names(43);
        let albumin = rate(&names, OVARIAN.iter().map(|r| (r.0, r.3)));
        let protein = rate(&names, OVARIAN.iter().map(|r| (r.1, r.3)));
        let score = rate(&names, OVARIAN.iter().map(|r| (-r.2, r.3)));
        let four = |x: f64| (x * 1e4).round() / 1e4;
        let found = [&albumin, &score, &protein].map(|r| {
            let a = area(r).unwrap();
            (four(a.value), four(a.standard_error.unwrap()))
        });
        assert_eq!(found, [(0.7366, 0.0927), (0.7258, 0.1028), (0.6478, 0.1000)]);
        let found = [&albumin, &protein].map(|r| {
            let d = compare(r, &score).unwrap().unwrap();
            let [low, high] = d.interval.unwrap();
            [
                d.value,
                d.standard_error.unwrap(),
                low,
                high,
                d.z.unwrap().powi(2),
                d.p.unwrap(),
            ]
            .map(four)
        });
        assert_eq!(found[0], [0.0108, 0.0953, -0.1761, 0.1976, 0.0127, 0.9102]);
        assert_eq!(found[1], [-0.0780, 0.1046, -0.2830, 0.1271, 0.5554, 0.4561]);
    }

    /// Five ratings of 109 CT images, Hanley and McNeil, Radiology 1982;143:29, table I: area 0.893.
    #[test]
    fn hanley_and_mc_neil_as_published() {
        let normal = [33, 6, 6, 11, 2];
        let abnormal = [3, 2, 2, 11, 33];
        let spread = |counts: [usize; 5], positive| {
            (1..)
                .zip(counts)
                .flat_map(move |(s, n)| std::iter::repeat_n((f64::from(s), positive), n))
        };
        let names = names(109);
        let r = rate(&names, spread(normal, false).chain(spread(abnormal, true)));
        let a = area(&r).unwrap();
        assert!((a.value - 0.893).abs() < 5e-4, "{}", a.value);
        assert!((a.standard_error.unwrap() - 0.031).abs() < 5e-4, "{a:?}");
    }

    #[test]
    fn perfect_order_is_not_certainty() {
        let perfect = |n: usize| {
            let names = names(2 * n);
            area(&rate(&names, (0..2 * n).map(|i| (i as f64, i >= n)))).unwrap()
        };
        let (few, many) = (perfect(5), perfect(200));
        assert_eq!((few.value, few.interval[1]), (1.0, 1.0));
        assert!(few.interval[0] < 0.75 && few.interval[0] > 0.4, "{few:?}");
        assert!(many.interval[0] > 0.98, "{many:?}");
    }

    #[test]
    fn only_the_same_units_are_compared() {
        let a = two_classes(&[("p1", "1", true, 0.9), ("p2", "1", false, 0.1)]);
        let b = two_classes(&[("p1", "1", true, 0.9), ("p3", "1", false, 0.1)]);
        let c = two_classes(&[("p1", "1", false, 0.9), ("p2", "1", false, 0.1)]);
        for other in [&b, &c] {
            assert!(compare(&a.against_rest(1), &other.against_rest(1)).is_err());
        }
        let single = compare(&a.against_rest(1), &a.against_rest(1)).unwrap().unwrap();
        assert_eq!((single.standard_error, single.p), (None, None));
    }

    proptest! {
        /// A model against itself differs by nothing; copies of a patient's units tell nothing new.
        #[test]
        fn copies_of_units_change_no_variance(
            of in prop::collection::vec((0u8..8, 0u8..8, any::<bool>()), 6..40),
            copies in 2usize..4,
        ) {
            let units: Vec<String> = (0..copies).map(|c| c.to_string()).collect();
            let names = names(of.len());
            let once: Vec<Rating> = rate(&names, of.iter().map(|u| (f64::from(u.0), u.2)));
            let rated: Vec<Rating> = once.iter().flat_map(|r| {
                units.iter().map(|unit| Rating { unit, ..*r })
            }).collect();
            let (Some(single), Some(copied)) = (area(&once), area(&rated)) else { return Ok(()) };
            prop_assert!((single.value - copied.value).abs() < 1e-12);
            prop_assert_eq!(copied.method, Method::Obuchowski);
            match (single.standard_error, copied.standard_error) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9, "{a} {b}"),
                (a, b) => prop_assert_eq!(a, b),
            }
            let other: Vec<Rating> = rate(&names, of.iter().map(|u| (f64::from(u.1), u.2)));
            let there = compare(&once, &other).unwrap().unwrap();
            let back = compare(&other, &once).unwrap().unwrap();
            prop_assert!((there.value + back.value).abs() < 1e-12);
            let same = compare(&once, &once).unwrap().unwrap();
            prop_assert!(same.value == 0.0 && same.p != Some(0.0));
        }
    }
}
