//! Every figure of a report.

use serde::Serialize;

use super::{Model, Report};
use crate::readers::Reading;
use crate::statistics::area::{Area, Difference, area, compare};
use crate::statistics::bootstrap::{Estimate, RESAMPLES};
use crate::statistics::calibration::{Calibration, calibration};
use crate::statistics::curve::{BandPoint, RecallPoint, RocPoint, precision_recall, roc, roc_band};
use crate::statistics::figures::{Figures, Summary, average_precision, difference, figures, summary};
use crate::statistics::operating_point::{Aim, Decisions, OperatingPoint};
use crate::statistics::scaling::{Form, Scaling};
use crate::statistics::{Prediction, Predictions, Refusal, Validation};

/// The operating points of a report. The first one is that of the summary.
pub const AIMS: [Aim; 3] = [
    Aim::Youden,
    Aim::SensitivityAtLeast(0.9),
    Aim::SpecificityAtLeast(0.9),
];

/// The maps that are tried.
const FORMS: [Form; 3] = [Form::Temperature, Form::Vector, Form::Dirichlet];

/// All figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// In the order of the report.
    pub models: Vec<ModelResults>,
    /// Each model against each later one.
    pub comparisons: Vec<Comparison>,
    /// Readers of the first model's test patients.
    pub readers: Vec<Reading>,
    /// The first model beside them, with the mean of each patient's units: readers score patients.
    pub beside_readers: Option<ModelResults>,
    /// Resamples of patients behind every bootstrap interval.
    pub resamples: usize,
}

/// One model on the test patients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelResults {
    /// Its name.
    pub name: String,
    /// The positive class.
    pub positive: String,
    /// Test patients.
    pub patients: usize,
    /// Test units.
    pub units: usize,
    /// Under the ROC curve of the positive class.
    pub area: Option<Area>,
    /// Its curve.
    pub roc: Vec<RocPoint>,
    /// Its band.
    pub band: Vec<BandPoint>,
    /// Of the positive class.
    pub recall: Vec<RecallPoint>,
    /// Of the positive class.
    pub average_precision: Estimate,
    /// Calling the positive class: at thresholds chosen on validation patients, or, without any, where it is
    /// the most probable class.
    pub points: Vec<AtPoint>,
    /// By the most probable class.
    pub summary: Summary,
    /// Under the ROC curve of each class against the rest.
    pub class_areas: Vec<Option<Area>>,
    /// As the model says it.
    pub calibration: Calibration,
    /// After each map that was fitted to validation patients.
    pub scaled: Vec<Scaled>,
    /// What could not be computed, and why.
    pub remarks: Vec<String>,
}

/// Figures at one operating point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtPoint {
    /// How it was chosen.
    pub chosen: String,
    /// The probability from which on a unit is positive; none for the most probable class.
    pub threshold: Option<f64>,
    /// On how many validation patients; none for the most probable class.
    pub chosen_on: Option<usize>,
    /// Of the positive class on the test patients.
    pub figures: Figures,
}

/// Calibration after a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaled {
    /// Which map.
    pub form: Form,
    /// Its matrix row by row, then its offsets.
    pub weights: Vec<f64>,
    /// On how many validation patients it was fitted.
    pub chosen_on: usize,
    /// On the test patients.
    pub calibration: Calibration,
}

/// Two models on the same units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The one.
    pub first: String,
    /// The other.
    pub second: String,
    /// Area of the first less that of the second.
    pub area: Option<Difference>,
    /// The test's p times what Holm (1979) asks for this many comparisons; 1 at most.
    pub adjusted_p: Option<f64>,
    /// Figures of the first less those of the second, at the summary's operating point.
    pub figures: Option<Figures>,
    /// Why they cannot be compared.
    pub refused: Option<String>,
}

/// A model that was checked, with its summary's decisions to come.
struct Checked {
    name: String,
    positive: usize,
    test: Predictions,
    points: Vec<OperatingPoint>,
    scalings: Vec<Scaling>,
    remarks: Vec<String>,
}

impl Checked {
    fn new(model: &Model) -> Result<Self, Refusal> {
        let of = |what: &str, units: &[_]| {
            Predictions::new(model.classes.clone(), units.to_vec())
                .map_err(|e| Refusal(format!("model “{}”, {what}: {e}", model.name)))
        };
        let test = of("test", &model.test)?;
        let Some(class) = model.classes.get(model.positive) else {
            return Err(Refusal(format!(
                "model “{}” has no class {}",
                model.name, model.positive
            )));
        };
        let mut remarks = Vec::new();
        let (mut points, mut scalings) = (Vec::new(), Vec::new());
        if model.validation.is_empty() {
            remarks.push("No validation predictions: no threshold and no scaling was chosen.".to_owned());
        } else {
            let validation = Validation::new(of("validation", &model.validation)?);
            for aim in AIMS {
                match OperatingPoint::choose(&validation, model.positive, aim) {
                    Ok(point) => points.push(point),
                    Err(e) => remarks.push(format!("{class}, {aim}: {e}.")),
                }
            }
            scalings = FORMS.map(|form| Scaling::fit(&validation, form)).to_vec();
        }
        Ok(Self {
            name: model.name.clone(),
            positive: model.positive,
            test,
            points,
            scalings,
            remarks,
        })
    }

    /// The same model with one unit per patient; thresholds and scalings are chosen anew for these.
    fn by_patient(model: &Model) -> Result<Self, Refusal> {
        let whole = Self::new(model)?;
        if whole.test.units().len() == whole.test.patients().len() {
            return Ok(whole);
        }
        let mean = |units: &[Prediction]| {
            let predictions = Predictions::new(model.classes.clone(), units.to_vec())?;
            Ok(predictions.by_patient()?.units().to_vec())
        };
        Self::new(&Model {
            name: format!("{}, mean of each patient", model.name),
            validation: match model.validation.as_slice() {
                [] => Vec::new(),
                units => mean(units)?,
            },
            test: mean(&model.test)?,
            ..model.clone()
        })
    }

    /// What the summary goes by.
    fn decisions(&self) -> Result<Decisions<'_>, Refusal> {
        match self.points.first() {
            Some(point) => point.apply(&self.test),
            None => Ok(Decisions::most_probable(&self.test, self.positive)),
        }
    }

    fn at_points(&self, seed: u64) -> Result<Vec<AtPoint>, Refusal> {
        if self.points.is_empty() {
            return Ok(vec![AtPoint {
                chosen: "most probable class".to_owned(),
                threshold: None,
                chosen_on: None,
                figures: figures(&self.decisions()?, seed),
            }]);
        }
        let at = |point: &OperatingPoint| {
            Ok(AtPoint {
                chosen: point.aim().to_string(),
                threshold: Some(point.threshold()),
                chosen_on: Some(point.chosen_on()),
                figures: figures(&point.apply(&self.test)?, seed),
            })
        };
        self.points.iter().map(at).collect()
    }

    fn results(&self, seed: u64) -> Result<ModelResults, Refusal> {
        let ratings = self.test.against_rest(self.positive);
        let scaled = |s: &Scaling| {
            Ok(Scaled {
                form: s.form(),
                weights: s.weights().to_vec(),
                chosen_on: s.chosen_on(),
                calibration: calibration(&s.apply(&self.test)?),
            })
        };
        let mut remarks = self.remarks.clone();
        let (units, patients) = (self.test.units().len(), self.test.patients().len());
        if units > patients {
            remarks.push(format!(
                "{units} units of {patients} patients: areas by Obuchowski's method, other intervals from \
                 whole patients; the bars of the reliability diagram take units for independent."
            ));
        }
        Ok(ModelResults {
            name: self.name.clone(),
            positive: self.test.classes()[self.positive].clone(),
            patients,
            units,
            area: area(&ratings),
            roc: roc(&ratings).unwrap_or_default(),
            band: roc_band(&ratings, seed),
            recall: precision_recall(&ratings).unwrap_or_default(),
            average_precision: average_precision(&ratings, seed),
            points: self.at_points(seed)?,
            summary: summary(&self.test, seed),
            class_areas: (0..self.test.classes().len())
                .map(|class| area(&self.test.against_rest(class)))
                .collect(),
            calibration: calibration(&self.test),
            scaled: self.scalings.iter().map(scaled).collect::<Result<_, Refusal>>()?,
            remarks,
        })
    }

    fn against(&self, other: &Self, seed: u64) -> Result<(Option<Difference>, Figures), Refusal> {
        if self.test.classes()[self.positive] != other.test.classes()[other.positive] {
            return Err(Refusal("they are about different classes".to_owned()));
        }
        let ratings = [self, other].map(|m| m.test.against_rest(m.positive));
        Ok((
            compare(&ratings[0], &ratings[1])?,
            difference(&self.decisions()?, &other.decisions()?, seed)?,
        ))
    }
}

impl Results {
    /// Computes everything.
    ///
    /// # Errors
    /// Predictions do not fit together, a test patient is a validation patient too, or readers and the first
    /// model have not seen the same patients.
    pub fn of(report: &Report) -> Result<Self, Refusal> {
        let seed = report.run.seed;
        let checked: Vec<Checked> = report.models.iter().map(Checked::new).collect::<Result<_, _>>()?;
        let models = checked
            .iter()
            .map(|m| {
                m.results(seed)
                    .map_err(|e| Refusal(format!("model “{}”: {e}", m.name)))
            })
            .collect::<Result<_, _>>()?;
        let mut comparisons = Vec::new();
        for (place, first) in checked.iter().enumerate() {
            for second in &checked[place + 1..] {
                let (found, refused) = match first.against(second, seed) {
                    Ok(found) => (Some(found), None),
                    Err(e) => (None, Some(e.to_string())),
                };
                comparisons.push(Comparison {
                    first: first.name.clone(),
                    second: second.name.clone(),
                    area: found.and_then(|f| f.0),
                    adjusted_p: None,
                    figures: found.map(|f| f.1),
                    refused,
                });
            }
        }
        holm(&mut comparisons);
        let (readers, beside_readers) = match (&report.readers, report.models.first()) {
            (Some(scores), Some(model)) => {
                let model = Checked::by_patient(model)?;
                let readings = scores.beside(&model.test, model.positive, seed)?;
                (readings, Some(model.results(seed)?))
            }
            _ => (Vec::new(), None),
        };
        Ok(Self {
            models,
            comparisons,
            readers,
            beside_readers,
            resamples: RESAMPLES,
        })
    }
}

/// Holm's step-down adjustment of the paired tests.
fn holm(comparisons: &mut [Comparison]) {
    let p = |c: &Comparison| c.area.and_then(|a| a.p);
    let mut order: Vec<usize> = (0..comparisons.len())
        .filter(|i| p(&comparisons[*i]).is_some())
        .collect();
    order.sort_by(|a, b| {
        p(&comparisons[*a])
            .partial_cmp(&p(&comparisons[*b]))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut before = 0.0f64;
    for (rank, place) in order.iter().enumerate() {
        if let Some(p) = p(&comparisons[*place]) {
            before = before.max(((order.len() - rank) as f64 * p).min(1.0));
            comparisons[*place].adjusted_p = Some(before);
        }
    }
}
