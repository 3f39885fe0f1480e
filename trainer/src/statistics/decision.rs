//! Where a model decides: thresholds and temperature, chosen on validation patients.

use models::run::softmax;

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

/// The highest threshold that still keeps this share of the scores. A score of 0 means that nothing was
/// found: no threshold keeps it, so with too many of them the lowest score above 0 is returned.
pub fn keeping(scores: &[f32], share: f64) -> f32 {
    let mut found: Vec<f32> = scores.iter().copied().filter(|s| *s > 0.0).collect();
    found.sort_by(|a, b| b.total_cmp(a));
    let needed = ((share * scores.len() as f64).ceil() as usize).clamp(1, found.len().max(1));
    found.get(needed - 1).copied().unwrap_or(0.0)
}

/// Mean probabilities of members whose logits (member, class) are divided by a temperature.
pub fn probabilities(logits: &[Vec<f32>], temperature: f64) -> Vec<f64> {
    let mut mean = vec![0.0; logits.first().map_or(0, Vec::len)];
    for member in logits {
        for (mean, p) in mean.iter_mut().zip(softmax(member.iter(), temperature)) {
            *mean += p / logits.len() as f64;
        }
    }
    mean
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
    use super::*;

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
        assert_eq!(keeping(&[0.9, 0.4, 0.0, 0.0], 0.95), 0.4);
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
