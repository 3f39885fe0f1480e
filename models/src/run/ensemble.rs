//! From the logits of several members to probabilities with intervals.

use ndarray::ArrayView2;

use crate::findings::{LabelProbability, TaskAnswer};
use crate::package::Task;

/// Two-sided 95 % of a normal distribution.
const Z_95: f64 = 1.959_963_985;

/// Answers every task from (member, class) logits.
///
/// The probability is the mean over the members. The interval is the mean ± 1.96 standard
/// deviations of the members on the logit scale, so that it stays inside 0 to 1: it tells how much
/// members trained on other resamples of the patients disagree, and nothing beyond that.
pub fn answer(logits: ArrayView2<f32>, temperature: f64, tasks: &[Task]) -> Vec<TaskAnswer> {
    let members: Vec<Vec<f64>> = logits
        .rows()
        .into_iter()
        .map(|row| softmax(row.iter(), temperature))
        .collect();
    tasks
        .iter()
        .map(|task| TaskAnswer {
            task: task.name.clone(),
            labels: task
                .labels
                .iter()
                .map(|label| {
                    let of = |member: &Vec<f64>| label.classes.iter().map(|c| member[*c]).sum::<f64>();
                    let values: Vec<f64> = members.iter().map(of).collect();
                    let (probability, interval) = mean_and_interval(&values);
                    LabelProbability {
                        label: label.name.clone(),
                        probability,
                        interval,
                    }
                })
                .collect(),
        })
        .collect()
}

/// Probabilities of one member's logits, divided by a temperature.
pub fn softmax<'a>(logits: impl Iterator<Item = &'a f32>, temperature: f64) -> Vec<f64> {
    let scaled: Vec<f64> = logits.map(|l| f64::from(*l) / temperature).collect();
    let highest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scaled.iter().map(|l| (l - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

fn mean_and_interval(values: &[f64]) -> (f64, [f64; 2]) {
    // Beyond this a probability is 0 or 1 in every printed digit, and its logit says nothing.
    let logit = |p: f64| {
        let p = p.clamp(1e-6, 1.0 - 1e-6);
        (p / (1.0 - p)).ln()
    };
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let centre = values.iter().map(|p| logit(*p)).sum::<f64>() / n;
    let variance = values.iter().map(|p| (logit(*p) - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let reach = Z_95 * variance.sqrt();
    let probability = |l: f64| 1.0 / (1.0 + (-l).exp());
    (
        mean,
        [
            probability(logit(mean) - reach).min(mean),
            probability(logit(mean) + reach).max(mean),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Label;
    use ndarray::array;

    fn tasks() -> Vec<Task> {
        let label = |name: &str, classes: &[usize]| Label {
            name: name.into(),
            classes: classes.to_vec(),
        };
        vec![Task {
            name: "malignancy".into(),
            labels: vec![label("benign", &[0, 1]), label("malignant", &[2])],
        }]
    }

    #[test]
    fn members_that_agree_leave_no_interval() {
        let logits = array![[1.0f32, 2.0, 3.0], [1.0, 2.0, 3.0]];
        let answer = &answer(logits.view(), 1.0, &tasks())[0];
        let malignant = &answer.labels[1];
        let expected = 3f64.exp() / (1f64.exp() + 2f64.exp() + 3f64.exp());
        assert!((malignant.probability - expected).abs() < 1e-9);
        assert!(malignant.interval[1] - malignant.interval[0] < 1e-9);
        let sum: f64 = answer.labels.iter().map(|l| l.probability).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn members_that_disagree_widen_it_and_the_mean_lies_inside() {
        let near = answer(array![[0.0f32, 0.0, 1.0], [0.0, 0.0, 1.2]].view(), 1.0, &tasks());
        let far = answer(array![[0.0f32, 0.0, -1.0], [0.0, 0.0, 3.0]].view(), 1.0, &tasks());
        let width = |a: &[TaskAnswer]| a[0].labels[1].interval[1] - a[0].labels[1].interval[0];
        assert!(width(&far) > 3.0 * width(&near));
        for label in &far[0].labels {
            assert!(label.interval[0] <= label.probability && label.probability <= label.interval[1]);
            assert!(label.interval[0] >= 0.0 && label.interval[1] <= 1.0);
        }
    }

    #[test]
    fn temperature_softens() {
        let logits = array![[0.0f32, 0.0, 4.0]];
        let p = |t| answer(logits.view(), t, &tasks())[0].labels[1].probability;
        assert!(p(1.0) > p(2.0) && p(2.0) > 1.0 / 3.0);
    }
}
