//! Recalibration: a map of log-probabilities, fitted to validation patients.
//!
//! All three maps are multinomial logistic regressions on the log-probabilities, so one Newton iteration
//! serves them; the likelihood is concave and the step is halved until it rises.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::calibration::LEAST;
use super::prediction::{ChosenOn, Prediction, Predictions, Refusal, Validation};

/// The form of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One number for all (Guo 2017).
    Temperature,
    /// A factor and an offset for each class (Guo 2017).
    Vector,
    /// A matrix and an offset for each class (Kull 2019).
    Dirichlet,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temperature => "temperature",
            Self::Vector => "vector scaling",
            Self::Dirichlet => "Dirichlet",
        })
    }
}

/// A fitted map: probabilities become softmax(W · ln p + b). There is no way to make one but from
/// validation predictions, and it refuses the patients that it was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    form: Form,
    classes: usize,
    /// W row by row, then b.
    weights: Vec<f64>,
    on: ChosenOn,
}

/// 1 / temperature stays within these: validation patients that a model separates perfectly would have it
/// infinitely bold.
const BOLDNESS: [f64; 2] = [0.1, 5.0];

/// The many weights of vector and Dirichlet scaling are held to those of no change by a normal prior of this
/// standard deviation; without it a small or separable cohort has no finite best weights.
const PRIOR: f64 = 1.0;

/// Newton steps at most; five to eight are usual.
const STEPS: usize = 100;

/// Less than this in log-likelihood per step ends the fit.
const ENOUGH: f64 = 1e-12;

impl Scaling {
    /// The map with the highest likelihood of the validation patients' classes (and, but for a temperature,
    /// of the prior).
    pub fn fit(validation: &Validation, form: Form) -> Self {
        let predictions = validation.predictions();
        let k = predictions.classes().len();
        let fit = Fit {
            form,
            classes: k,
            units: predictions
                .units()
                .iter()
                .map(|u| (logarithms(&u.probabilities), u.truth))
                .collect(),
        };
        Self {
            form,
            classes: k,
            weights: fit.matrix(&fit.best()),
            on: ChosenOn::of(validation),
        }
    }

    /// The form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// W row by row, then b.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// On how many validation patients it was fitted.
    pub fn chosen_on(&self) -> usize {
        self.on.patients()
    }

    /// Recalibrates other patients' predictions.
    ///
    /// # Errors
    /// Another number of classes, or one of the patients is one that the map was fitted to.
    pub fn apply(&self, test: &Predictions) -> Result<Predictions, Refusal> {
        self.on.refuse_overlap(test)?;
        if test.classes().len() != self.classes {
            let (fitted, given) = (self.classes, test.classes().len());
            return Err(Refusal(format!("fitted to {fitted} classes, applied to {given}")));
        }
        Ok(test.with(|u: &Prediction| mapped(&self.weights, &logarithms(&u.probabilities))))
    }
}

fn logarithms(probabilities: &[f64]) -> Vec<f64> {
    probabilities.iter().map(|p| p.max(LEAST).ln()).collect()
}

/// softmax(W · x + b).
fn mapped(weights: &[f64], x: &[f64]) -> Vec<f64> {
    let k = x.len();
    let (matrix, offsets) = weights.split_at(k * k);
    let logit = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    let logits: Vec<f64> = matrix
        .chunks(k)
        .zip(offsets)
        .map(|(row, b)| logit(row) + b)
        .collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|l| (l - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// A fit in progress; logits are linear in the parameters.
struct Fit {
    form: Form,
    classes: usize,
    units: Vec<(Vec<f64>, usize)>,
}

impl Fit {
    fn unchanged(&self) -> Vec<f64> {
        let k = self.classes;
        match self.form {
            Form::Temperature => vec![1.0],
            Form::Vector => (0..2 * k).map(|i| f64::from(u8::from(i < k))).collect(),
            Form::Dirichlet => (0..k * k + k)
                .map(|i| f64::from(u8::from(i < k * k && i / k == i % k)))
                .collect(),
        }
    }

    /// W row by row, then b.
    fn matrix(&self, parameters: &[f64]) -> Vec<f64> {
        let k = self.classes;
        let diagonal = |of: &dyn Fn(usize) -> f64| {
            (0..k * k)
                .map(|i| if i / k == i % k { of(i / k) } else { 0.0 })
                .collect::<Vec<f64>>()
        };
        match self.form {
            Form::Temperature => [diagonal(&|_| parameters[0]), vec![0.0; k]].concat(),
            Form::Vector => [diagonal(&|c| parameters[c]), parameters[k..].to_vec()].concat(),
            Form::Dirichlet => parameters.to_vec(),
        }
    }

    /// How the logit of one class changes with each parameter.
    fn slopes(&self, class: usize, x: &[f64]) -> Vec<f64> {
        let k = self.classes;
        match self.form {
            Form::Temperature => vec![x[class]],
            Form::Vector => {
                let mut slopes = vec![0.0; 2 * k];
                slopes[class] = x[class];
                slopes[k + class] = 1.0;
                slopes
            }
            Form::Dirichlet => {
                let mut slopes = vec![0.0; k * k + k];
                slopes[class * k..(class + 1) * k].copy_from_slice(x);
                slopes[k * k + class] = 1.0;
                slopes
            }
        }
    }

    fn precision(&self) -> f64 {
        match self.form {
            Form::Temperature => 0.0,
            Form::Vector | Form::Dirichlet => 1.0 / (PRIOR * PRIOR),
        }
    }

    /// Negative log of likelihood and prior.
    fn loss(&self, parameters: &[f64]) -> f64 {
        let weights = self.matrix(parameters);
        let likelihood: f64 = self
            .units
            .iter()
            .map(|(x, truth)| -mapped(&weights, x)[*truth].max(f64::MIN_POSITIVE).ln())
            .sum();
        let away = parameters
            .iter()
            .zip(self.unchanged())
            .map(|(p, u)| (p - u).powi(2));
        likelihood + 0.5 * self.precision() * away.sum::<f64>()
    }

    fn best(&self) -> Vec<f64> {
        let mut at = self.unchanged();
        let mut loss = self.loss(&at);
        for _ in 0..STEPS {
            let (gradient, curvature) = self.derivatives(&at);
            let step = solve(curvature, &gradient);
            let mut share = 1.0;
            let (next, next_loss) = loop {
                let mut next: Vec<f64> = at.iter().zip(&step).map(|(p, s)| p - share * s).collect();
                if self.form == Form::Temperature {
                    next[0] = next[0].clamp(BOLDNESS[0], BOLDNESS[1]);
                }
                let next_loss = self.loss(&next);
                if next_loss <= loss || share < 1e-9 {
                    break (next, next_loss);
                }
                share /= 2.0;
            };
            if loss - next_loss <= ENOUGH {
                break;
            }
            (at, loss) = (next, next_loss);
        }
        at
    }

    fn derivatives(&self, parameters: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let n = parameters.len();
        let weights = self.matrix(parameters);
        let precision = self.precision();
        let mut gradient: Vec<f64> = parameters
            .iter()
            .zip(self.unchanged())
            .map(|(p, u)| precision * (p - u))
            .collect();
        let mut curvature = vec![vec![0.0; n]; n];
        for (i, row) in curvature.iter_mut().enumerate() {
            // Temperature has no prior; a hair keeps the system solvable where all logits are equal.
            row[i] = precision + 1e-12;
        }
        for (x, truth) in &self.units {
            let p = mapped(&weights, x);
            let slopes: Vec<Vec<f64>> = (0..self.classes).map(|c| self.slopes(c, x)).collect();
            let mut mean = vec![0.0; n];
            for (slopes, p) in slopes.iter().zip(&p) {
                for (mean, s) in mean.iter_mut().zip(slopes) {
                    *mean += p * s;
                }
            }
            for i in 0..n {
                gradient[i] += mean[i] - slopes[*truth][i];
                for j in 0..n {
                    let product: f64 = slopes.iter().zip(&p).map(|(s, p)| p * s[i] * s[j]).sum();
                    curvature[i][j] += product - mean[i] * mean[j];
                }
            }
        }
        (gradient, curvature)
    }
}

/// Solves a symmetric positive definite system by Cholesky's factors.
fn solve(mut a: Vec<Vec<f64>>, b: &[f64]) -> Vec<f64> {
    let n = b.len();
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            a[i][j] = if i == j {
                (a[i][i] - sum).max(1e-12).sqrt()
            } else {
                (a[i][j] - sum) / a[j][j]
            };
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i][k] * x[k]).sum();
        x[i] = (x[i] - sum) / a[i][i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k][i] * x[k]).sum();
        x[i] = (x[i] - sum) / a[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::calibration::calibration;
    use super::*;

    /// Units whose classes follow `truth`, while the model says softmax(boldness · ln truth + offset).
    fn distorted(prefix: &str, boldness: f64, offset: [f64; 3], each: usize) -> Predictions {
        let mut units = Vec::new();
        for truth in [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]] {
            let x: Vec<f64> = truth.iter().map(|p: &f64| p.ln()).collect();
            let diagonal = |i: usize| if i / 3 == i % 3 { boldness } else { 0.0 };
            let weights: Vec<f64> = (0..9).map(diagonal).chain(offset).collect();
            let said = mapped(&weights, &x);
            for (class, p) in truth.iter().enumerate() {
                for _ in 0..(p * each as f64).round() as usize {
                    let name = format!("{prefix}{:05}", units.len());
                    units.push(Prediction {
                        patient: name.clone(),
                        unit: name,
                        truth: class,
                        probabilities: said.clone(),
                    });
                }
            }
        }
        Predictions::new(["a", "b", "c"].map(str::to_owned).to_vec(), units).unwrap()
    }

    #[test]
    fn temperature_undoes_boldness_exactly() {
        let v = Validation::new(distorted("v", 3.0, [0.0; 3], 100));
        let t = Scaling::fit(&v, Form::Temperature);
        assert!((t.weights()[0] - 1.0 / 3.0).abs() < 1e-6, "{:?}", t.weights());
        let test = distorted("t", 3.0, [0.0; 3], 10);
        let after = t.apply(&test).unwrap();
        assert!((after.units()[0].probabilities[0] - 0.6).abs() < 1e-6);
        assert!(calibration(&after).log_loss < calibration(&test).log_loss);
        assert!(t.apply(v.predictions()).is_err());
    }

    #[test]
    fn offsets_need_more_than_a_temperature() {
        let v = Validation::new(distorted("v", 2.0, [1.0, 0.0, -1.0], 2000));
        let test = distorted("t", 2.0, [1.0, 0.0, -1.0], 2000);
        let loss = |form| calibration(&Scaling::fit(&v, form).apply(&test).unwrap()).log_loss;
        let best = calibration(&distorted("t", 1.0, [0.0; 3], 2000)).log_loss;
        assert!(loss(Form::Temperature) > best + 0.05);
        assert!((loss(Form::Vector) - best).abs() < 1e-3);
        assert!((loss(Form::Dirichlet) - best).abs() < 1e-3);
    }

    /// Fits of every form to a handful of patients, separable ones too, stay finite and never lose likelihood.
    #[test]
    fn small_and_separable_cohorts_have_finite_maps() {
        let unit = |name: &str, truth, probabilities: [f64; 2]| Prediction {
            patient: name.to_owned(),
            unit: name.to_owned(),
            truth,
            probabilities: probabilities.to_vec(),
        };
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let separable = vec![unit("1", 0, [0.9, 0.1]), unit("2", 1, [0.0, 1.0])];
        let constant = vec![unit("1", 0, [0.5, 0.5]), unit("2", 1, [0.5, 0.5])];
        for units in [separable, constant] {
            let p = Predictions::new(classes.clone(), units).unwrap();
            for form in [Form::Temperature, Form::Vector, Form::Dirichlet] {
                let s = Scaling::fit(&Validation::new(p.clone()), form);
                assert!(
                    s.weights().iter().all(|w| w.is_finite() && w.abs() <= 5.0),
                    "{s:?}"
                );
            }
        }
    }
}
