//! What the networks can do, on patients they were not fitted to.
//!
//! Patients go through the whole path of the appliance: locator, candidates, crops around what was
//! found (not around what was drawn), encoders, reader.

use models::package::{Calibration, OperatingPoints};
use models::run::candidates;
use serde::{Deserialize, Serialize};

use crate::cohort::{Cohort, Patient};
use crate::dataset::{drawn_lesions, open_study, open_truth};
use crate::error::Error;
use crate::experiment::{Decision, Experiment};
use crate::nets::{CLASSES, MALIGNANT, Networks};
use crate::statistics::{Auc, Share, auc, keeping, probabilities, temperature, youden};

/// What came out for one patient, before any threshold on the lesion score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Folder in the cohort.
    pub folder: String,
    /// Index into [`CLASSES`]; none without a tumour.
    pub class: Option<usize>,
    /// Highest score of all candidates; 0 when there is none.
    pub top_score: f32,
    /// Highest score of the candidates that share a voxel with a drawn tumour; 0 when there is none.
    pub hit_score: f32,
    /// Voxels of that candidate and of the drawn tumour: 2·shared / (both); 0 when there is none.
    pub dice: f64,
    /// Logits (member, class) of the candidate with the highest score.
    pub logits: Vec<Vec<f32>>,
}

/// The figures of one split. Classification figures are over the patients whose tumour was located.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Patients with a tumour in whom a reported lesion overlaps it.
    pub located: Share,
    /// Patients without a tumour in whom nothing is reported.
    pub no_finding: Share,
    /// Mean Dice of the located tumours.
    pub dice: f64,
    /// Malignant against benign.
    pub malignant_auc: Option<Auc>,
    /// Malignant patients called malignant at the operating point.
    pub malignant_sensitivity: Share,
    /// Benign patients called benign at the operating point.
    pub malignant_specificity: Share,
    /// Most probable class is the diagnosis.
    pub accuracy: Share,
    /// One per class, in the order of [`CLASSES`].
    pub classes: Vec<ClassFigures>,
    /// Patients by diagnosis (row) and most probable class (column).
    pub confusion: Vec<Vec<usize>>,
}

/// One class against all others, by the most probable class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// By the probability of the class.
    pub auc: Option<Auc>,
    /// Patients of the class that get it.
    pub sensitivity: Share,
    /// Patients of other classes that do not.
    pub specificity: Share,
}

/// Runs patients through the networks.
///
/// # Errors
/// An examination that cannot be read.
pub fn examine(
    networks: &Networks,
    cohort: &Cohort,
    patients: &[&Patient],
    experiment: &Experiment,
    each: impl Fn(),
) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::with_capacity(patients.len());
    for patient in patients {
        cases.push(examine_one(networks, cohort, patient, experiment)?);
        each();
    }
    Ok(cases)
}

fn examine_one(
    networks: &Networks,
    cohort: &Cohort,
    patient: &Patient,
    experiment: &Experiment,
) -> Result<Case, Error> {
    let of_patient = |reason| Error::Patient {
        patient: patient.folder.clone(),
        reason,
    };
    let recipe = &experiment.recipe;
    let study = open_study(cohort, patient)?;
    let prepared = recipe.prepare(&study, 1).map_err(of_patient)?;
    let input = prepared.locator_input().map_err(of_patient)?;
    let truth = open_truth(cohort, patient, &input.grid, |_| true)?;
    let drawn: std::collections::HashSet<[usize; 3]> =
        drawn_lesions(&truth).into_iter().flat_map(|l| l.voxels).collect();

    let found = candidates(&networks.locate(&input), &points(&experiment.decision, 0.0, 0.5));
    let mut case = Case {
        folder: patient.folder.clone(),
        class: patient.class(),
        top_score: found.first().map_or(0.0, |c| c.score),
        hit_score: 0.0,
        dice: 0.0,
        logits: Vec::new(),
    };
    for candidate in &found {
        let shared = candidate.voxels.iter().filter(|v| drawn.contains(*v)).count();
        if shared > 0 {
            case.hit_score = candidate.score;
            case.dice = 2.0 * shared as f64 / (candidate.voxels.len() + drawn.len()) as f64;
            break;
        }
    }
    if let Some(first) = found.first() {
        let crop = prepared.reader_input(&first.slice_boxes()).map_err(of_patient)?;
        case.logits = networks
            .read(&crop)
            .outer_iter()
            .map(|row| row.to_vec())
            .collect();
    }
    Ok(case)
}

fn points(decision: &Decision, lesion_score: f32, malignant: f64) -> OperatingPoints {
    OperatingPoints {
        voxel_probability: decision.voxel_probability,
        lesion_score,
        lesion_voxels: decision.lesion_voxels,
        malignant,
    }
}

/// Chooses thresholds and temperature on validation patients.
pub fn calibrate(cases: &[Case], decision: &Decision) -> (OperatingPoints, Calibration) {
    // No threshold brings back a tumour that has no candidate at all.
    let hits: Vec<f32> = cases
        .iter()
        .map(|c| c.hit_score)
        .filter(|score| *score > 0.0)
        .collect();
    let lesion_score = keeping(&hits, decision.sensitivity);
    let located = located(cases, lesion_score);
    let labelled: Vec<(Vec<Vec<f32>>, usize)> = located
        .iter()
        .filter_map(|c| Some((c.logits.clone(), c.class?)))
        .collect();
    let temperature = temperature(&labelled);
    let (malignant, benign) = by_malignancy(&located, temperature);
    (
        points(decision, lesion_score, youden(&malignant, &benign)),
        Calibration { temperature },
    )
}

/// Figures at given thresholds.
pub fn summarise(cases: &[Case], points: &OperatingPoints, calibration: &Calibration) -> Evaluation {
    let reported = |score: f32| score >= points.lesion_score && score > 0.0;
    let (with, without): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|c| c.class.is_some());
    let located = located(cases, points.lesion_score);
    let (malignant, benign) = by_malignancy(&located, calibration.temperature);

    let mut confusion = vec![vec![0; CLASSES.len()]; CLASSES.len()];
    let mut by_class: Vec<[Vec<f64>; 2]> = vec![[Vec::new(), Vec::new()]; CLASSES.len()];
    for case in &located {
        let p = probabilities(&case.logits, calibration.temperature);
        let Some(truth) = case.class else { continue };
        confusion[truth][most_probable(&p)] += 1;
        for (class, scores) in by_class.iter_mut().enumerate() {
            scores[usize::from(class != truth)].push(p[class]);
        }
    }
    let row = |c: usize| confusion[c].iter().sum::<usize>();
    let column = |c: usize| confusion.iter().map(|r| r[c]).sum::<usize>();
    let total: usize = (0..CLASSES.len()).map(row).sum();
    let right = |c: usize| confusion[c][c];
    let figures = |(c, [own, others]): (usize, &[Vec<f64>; 2])| {
        let negatives = total - row(c);
        ClassFigures {
            class: CLASSES[c].to_owned(),
            auc: auc(own, others),
            sensitivity: Share::new(right(c), row(c)),
            specificity: Share::new(negatives - (column(c) - right(c)), negatives),
        }
    };
    Evaluation {
        located: Share::count(with.iter().map(|c| reported(c.hit_score))),
        no_finding: Share::count(without.iter().map(|c| !reported(c.top_score))),
        dice: located.iter().map(|c| c.dice).sum::<f64>() / located.len().max(1) as f64,
        malignant_auc: auc(&malignant, &benign),
        malignant_sensitivity: Share::count(malignant.iter().map(|p| *p >= points.malignant)),
        malignant_specificity: Share::count(benign.iter().map(|p| *p < points.malignant)),
        accuracy: Share::new((0..CLASSES.len()).map(right).sum(), total),
        classes: by_class.iter().enumerate().map(figures).collect(),
        confusion,
    }
}

/// Patients whose tumour is reported at this lesion score.
fn located(cases: &[Case], lesion_score: f32) -> Vec<&Case> {
    let hit = |c: &&Case| c.class.is_some() && c.hit_score >= lesion_score && c.hit_score > 0.0;
    cases.iter().filter(hit).collect()
}

/// Probability of malignancy of the malignant and of the benign.
fn by_malignancy(cases: &[&Case], temperature: f64) -> (Vec<f64>, Vec<f64>) {
    let (malignant, benign): (Vec<&Case>, Vec<&Case>) =
        cases.iter().copied().partition(|c| c.class == Some(MALIGNANT));
    let p = |c: &&Case| probabilities(&c.logits, temperature)[MALIGNANT];
    (malignant.iter().map(p).collect(), benign.iter().map(p).collect())
}

fn most_probable(p: &[f64]) -> usize {
    (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(class: Option<usize>, top_score: f32, hit_score: f32, favours: usize) -> Case {
        let mut logits = vec![0.0f32; CLASSES.len()];
        logits[favours] = 2.0;
        Case {
            folder: String::new(),
            class,
            top_score,
            hit_score,
            dice: 0.8,
            logits: vec![logits],
        }
    }

    #[test]
    fn figures_of_a_small_cohort_by_hand() {
        let cases = [
            case(Some(0), 0.9, 0.9, 0),
            case(Some(0), 0.9, 0.9, MALIGNANT),
            case(Some(MALIGNANT), 0.8, 0.8, MALIGNANT),
            case(Some(1), 0.9, 0.2, 1),
            case(None, 0.1, 0.0, 2),
            case(None, 0.7, 0.0, 2),
        ];
        let decision = Decision {
            voxel_probability: 0.5,
            lesion_voxels: 4,
            sensitivity: 0.75,
        };
        let (points, calibration) = calibrate(&cases, &decision);
        assert_eq!(points.lesion_score, 0.8);
        let e = summarise(&cases, &points, &calibration);
        assert_eq!((e.located.hits, e.located.of), (3, 4));
        assert_eq!((e.no_finding.hits, e.no_finding.of), (2, 2));
        assert_eq!((e.accuracy.hits, e.accuracy.of), (2, 3));
        assert_eq!(e.confusion[0], [1, 0, 0, 1]);
        assert_eq!(e.malignant_auc.map(|a| a.value), Some(0.75));
        assert_eq!(
            (e.classes[0].sensitivity.hits, e.classes[0].sensitivity.of),
            (1, 2)
        );
        assert_eq!(
            (
                e.classes[MALIGNANT].specificity.hits,
                e.classes[MALIGNANT].specificity.of
            ),
            (1, 2)
        );
    }
}
