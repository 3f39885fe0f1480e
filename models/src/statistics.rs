//! Figures about answers: proportions and ROC areas with 95 % intervals.

/// Two-sided 95 % of a normal distribution.
const Z_95: f64 = 1.959_963_985;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure itself.
    pub value: f64,
    /// Lower and upper end.
    pub interval: [f64; 2],
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} ({:.2}–{:.2})",
            self.value, self.interval[0], self.interval[1]
        )
    }
}

/// `hits` of `trials` with Wilson's score interval (Wilson, JASA 1927); none without trials.
pub fn proportion(hits: usize, trials: usize) -> Option<Estimate> {
    if trials == 0 {
        return None;
    }
    let n = trials as f64;
    let p = hits as f64 / n;
    let z2 = Z_95 * Z_95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Some(Estimate {
        value: p,
        interval: [(centre - reach).max(0.0), (centre + reach).min(1.0)],
    })
}

/// Area under the ROC curve with DeLong's interval (DeLong et al., Biometrics 1988), clipped to 0..1;
/// none where one of the groups is empty.
///
/// Ties count one half. Cost is the product of the group sizes, which suits cohorts of patients.
pub fn roc_area(negative: &[f64], positive: &[f64]) -> Option<Estimate> {
    if negative.is_empty() || positive.is_empty() {
        return None;
    }
    let wins = |p: f64, n: f64| {
        if p > n {
            1.0
        } else if p == n {
            0.5
        } else {
            0.0
        }
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let of_positive: Vec<f64> = positive
        .iter()
        .map(|p| mean(&negative.iter().map(|n| wins(*p, *n)).collect::<Vec<_>>()))
        .collect();
    let of_negative: Vec<f64> = negative
        .iter()
        .map(|n| mean(&positive.iter().map(|p| wins(*p, *n)).collect::<Vec<_>>()))
        .collect();
    let area = mean(&of_positive);
    let variance = |values: &[f64]| {
        let n = values.len() as f64;
        values.iter().map(|v| (v - area).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n
    };
    let reach = Z_95 * (variance(&of_positive) + variance(&of_negative)).sqrt();
    Some(Estimate {
        value: area,
        interval: [(area - reach).max(0.0), (area + reach).min(1.0)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // 81 of 263: Newcombe, Stat Med 1998, method 3.
        let e = proportion(81, 263).unwrap();
        assert!(
            (e.interval[0] - 0.2553).abs() < 5e-4 && (e.interval[1] - 0.3662).abs() < 5e-4,
            "{e:?}"
        );
        assert_eq!(roc_area(&[0.1, 0.2], &[0.3, 0.4]).unwrap().value, 1.0);
        assert_eq!(roc_area(&[0.5], &[0.5]).unwrap().value, 0.5);
        assert!(proportion(0, 0).is_none() && roc_area(&[], &[1.0]).is_none());
    }

    proptest! {
        #[test]
        fn mirrored_scores_mirror_the_area(
            negative in prop::collection::vec(0u8..20, 1..30),
            positive in prop::collection::vec(0u8..20, 1..30),
        ) {
            let up = |v: &[u8]| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let (n, p) = (up(&negative), up(&positive));
            let forward = roc_area(&n, &p).unwrap();
            let backward = roc_area(&p, &n).unwrap();
            prop_assert!((forward.value + backward.value - 1.0).abs() < 1e-9);
            prop_assert!(forward.interval[0] <= forward.value && forward.value <= forward.interval[1]);
        }
    }
}
