//! What a model said about each unit: the one input of every figure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How far the probabilities of a unit may be from adding up to 1: single precision over some classes.
const SUM_TOLERANCE: f64 = 1e-4;

/// Why predictions cannot be used, in a sentence that names the patient's folder and no person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What a model said about one unit. Where voxels or slices vote (Chang 2021), the shares of the votes are the
/// probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The patient's folder in the cohort or another name that tells nobody who it is.
    pub patient: String,
    /// The slice or lesion within the patient, or the patient again where the unit is the patient.
    pub unit: String,
    /// Index of the class that it is.
    pub truth: usize,
    /// One per class, adding up to 1.
    pub probabilities: Vec<f64>,
}

impl Prediction {
    /// The class with the highest probability; the first of several equal ones.
    pub fn most_probable(&self) -> usize {
        let mut best = 0;
        for (class, p) in self.probabilities.iter().enumerate() {
            if *p > self.probabilities.get(best).copied().unwrap_or(f64::NEG_INFINITY) {
                best = class;
            }
        }
        best
    }
}

/// A score and whether the unit is positive: what curves and areas are made from. Higher means more likely
/// positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rating<'a> {
    /// Whose unit.
    pub patient: &'a str,
    /// Which unit of the patient.
    pub unit: &'a str,
    /// Any finite number.
    pub score: f64,
    /// What it is.
    pub positive: bool,
}

/// Predictions that fit together: at least one unit and two classes, every unit once, every probability
/// within 0 to 1, in the order of patients and units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Predictions {
    classes: Vec<String>,
    units: Vec<Prediction>,
}

impl Predictions {
    /// Checks and sorts.
    ///
    /// # Errors
    /// Fewer than two classes or one twice, no unit or one twice, a truth that is no class, probabilities
    /// that are missing, outside of 0 to 1 or do not add up to 1.
    pub fn new(classes: Vec<String>, mut units: Vec<Prediction>) -> Result<Self, Refusal> {
        let refuse = |text: String| Err(Refusal(text));
        if classes.len() < 2 {
            return refuse(format!("{} classes; at least two are needed", classes.len()));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = classes.iter().find(|c| !names.insert(c.as_str())) {
            return refuse(format!("the class “{twice}” is there twice"));
        }
        if units.is_empty() {
            return refuse("there are no predictions".to_owned());
        }
        for p in &units {
            let whose = format!("patient {}, unit {}", p.patient, p.unit);
            if p.patient.is_empty() {
                return refuse(format!("{whose}: the patient has no name"));
            }
            if p.truth >= classes.len() {
                return refuse(format!("{whose}: there is no class {}", p.truth));
            }
            if p.probabilities.len() != classes.len() {
                let (n, of) = (p.probabilities.len(), classes.len());
                return refuse(format!("{whose}: {n} probabilities for {of} classes"));
            }
            if let Some(bad) = p.probabilities.iter().find(|v| !(0.0..=1.0).contains(*v)) {
                return refuse(format!("{whose}: {bad} is no probability"));
            }
            let sum: f64 = p.probabilities.iter().sum();
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                return refuse(format!("{whose}: the probabilities add up to {sum}, not to 1"));
            }
        }
        units.sort_by(|a, b| (&a.patient, &a.unit).cmp(&(&b.patient, &b.unit)));
        for pair in units.windows(2) {
            if let [a, b] = pair
                && (&a.patient, &a.unit) == (&b.patient, &b.unit)
            {
                return refuse(format!("patient {}, unit {} is there twice", a.patient, a.unit));
            }
        }
        Ok(Self { classes, units })
    }

    /// Names, in the order of the probabilities.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// By patient and unit.
    pub fn units(&self) -> &[Prediction] {
        &self.units
    }

    /// Names of the patients, each once.
    pub fn patients(&self) -> BTreeSet<&str> {
        self.units.iter().map(|u| u.patient.as_str()).collect()
    }

    /// The probability of one class as a score, against all other classes; of no class when there is no
    /// such class.
    pub fn against_rest(&self, class: usize) -> Vec<Rating<'_>> {
        let rating = |u: &'_ Prediction| Some((u.probabilities.get(class).copied()?, u.truth == class));
        self.units
            .iter()
            .filter_map(|u| {
                let (score, positive) = rating(u)?;
                Some(Rating {
                    patient: &u.patient,
                    unit: &u.unit,
                    score,
                    positive,
                })
            })
            .collect()
    }

    /// One unit per patient, with the mean probabilities of the patient's units.
    ///
    /// # Errors
    /// Units of one patient are of different classes.
    pub fn by_patient(&self) -> Result<Self, Refusal> {
        let mut of: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
        for unit in &self.units {
            of.entry(&unit.patient).or_default().push(unit);
        }
        let mut patients = Vec::with_capacity(of.len());
        for (patient, units) in of {
            let mut mean = vec![0.0; self.classes.len()];
            let mut truth = None;
            for unit in &units {
                if *truth.get_or_insert(unit.truth) != unit.truth {
                    let text = format!("patient {patient}: units of different classes have no mean");
                    return Err(Refusal(text));
                }
                for (mean, p) in mean.iter_mut().zip(&unit.probabilities) {
                    *mean += p / units.len() as f64;
                }
            }
            // Rounding may leave a sum of means just above 1.
            mean.iter_mut().for_each(|p| *p = p.clamp(0.0, 1.0));
            patients.push(Prediction {
                patient: patient.to_owned(),
                unit: patient.to_owned(),
                truth: truth.unwrap_or(0),
                probabilities: mean,
            });
        }
        Self::new(self.classes.clone(), patients)
    }

    /// The same units with other probabilities, in the same order.
    pub(super) fn with(&self, probabilities: impl Fn(&Prediction) -> Vec<f64>) -> Self {
        let units = self.units.iter().map(|u| Prediction {
            probabilities: probabilities(u),
            ..u.clone()
        });
        Self {
            classes: self.classes.clone(),
            units: units.collect(),
        }
    }
}

/// Predictions for validation patients: the only thing that thresholds and scalings can be chosen on.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation(Predictions);

impl Validation {
    /// Says that these are validation patients. Whatever is chosen on them refuses to be applied to any
    /// of them.
    pub fn new(predictions: Predictions) -> Self {
        Self(predictions)
    }

    /// What was predicted.
    pub fn predictions(&self) -> &Predictions {
        &self.0
    }
}

/// Whom something was chosen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChosenOn(BTreeSet<String>);

impl ChosenOn {
    pub(super) fn of(validation: &Validation) -> Self {
        Self(validation.0.patients().into_iter().map(str::to_owned).collect())
    }

    /// Refuses predictions for any patient that the choice was made on.
    pub(super) fn refuse_overlap(&self, test: &Predictions) -> Result<(), Refusal> {
        match test.patients().into_iter().find(|p| self.0.contains(*p)) {
            Some(both) => Err(Refusal(format!(
                "patient {both} is a validation patient: what was chosen on it cannot be judged on it"
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn patients(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Two classes; the score is the probability of the second.
    pub(crate) fn two_classes(of: &[(&str, &str, bool, f64)]) -> Predictions {
        let unit = |(patient, unit, positive, p): &(&str, &str, bool, f64)| Prediction {
            patient: (*patient).to_owned(),
            unit: (*unit).to_owned(),
            truth: usize::from(*positive),
            probabilities: vec![1.0 - p, *p],
        };
        let classes = ["benign", "malignant"].map(str::to_owned).to_vec();
        Predictions::new(classes, of.iter().map(unit).collect()).unwrap()
    }

    #[test]
    fn predictions_that_do_not_fit_together_are_refused() {
        let classes = || vec!["a".to_owned(), "b".to_owned()];
        let good = Prediction {
            patient: "p1".into(),
            unit: "1".into(),
            truth: 0,
            probabilities: vec![0.25, 0.75],
        };
        let refused = |change: &dyn Fn(&mut Prediction)| {
            let mut changed = good.clone();
            change(&mut changed);
            Predictions::new(classes(), vec![changed]).unwrap_err().0
        };
        assert!(refused(&|p| p.truth = 2).contains("no class 2"));
        assert!(refused(&|p| p.probabilities = vec![1.0]).contains("1 probabilities for 2"));
        assert!(refused(&|p| p.probabilities = vec![f64::NAN, 1.0]).contains("NaN"));
        assert!(refused(&|p| p.probabilities = vec![-0.5, 1.5]).contains("-0.5"));
        assert!(refused(&|p| p.probabilities = vec![0.5, 0.6]).contains("add up"));
        assert!(refused(&|p| p.patient.clear()).contains("no name"));
        let twice = Predictions::new(classes(), vec![good.clone(), good.clone()]);
        assert!(twice.unwrap_err().0.contains("twice"));
        assert!(Predictions::new(classes(), Vec::new()).is_err());
        assert!(Predictions::new(vec!["a".into(), "a".into()], vec![good]).is_err());
    }

    #[test]
    fn a_patient_is_the_mean_of_the_images() {
        let slices = two_classes(&[
            ("p1", "1", true, 0.2),
            ("p1", "2", true, 0.6),
            ("p2", "1", false, 0.5),
        ]);
        let patients = slices.by_patient().unwrap();
        let p: Vec<f64> = patients.units().iter().map(|u| u.probabilities[1]).collect();
        assert_eq!(patients.units().len(), 2);
        assert!((p[0] - 0.4).abs() < 1e-12 && (p[1] - 0.5).abs() < 1e-12, "{p:?}");
        let torn = two_classes(&[("p1", "1", true, 0.2), ("p1", "2", false, 0.6)]);
        assert!(torn.by_patient().unwrap_err().0.contains("p1"));
    }
}
