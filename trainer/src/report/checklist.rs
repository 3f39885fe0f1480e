//! Reporting checklists, filled in as far as the run knows. Nothing is invented: what the run does not know is
//! for the authors.

use serde::Serialize;

use super::Report;
use super::results::{AIMS, Results};
use crate::statistics::area::Method;
use crate::statistics::bootstrap::Estimate;

/// What stands at items that the run knows nothing about.
pub const BY_AUTHORS: &str = "to be filled in by the authors";

/// What stands before an answer that is only a part of what is asked.
const IN_PART: &str = "In part, from the run: ";

/// A checklist, filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checklist {
    /// Its name and year.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// In its order.
    pub items: Vec<Answered>,
}

/// One item, filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Its number.
    pub number: &'static str,
    /// Its section.
    pub section: &'static str,
    /// What is asked, in words of our own.
    pub wording: &'static str,
    /// None: to be filled in by the authors.
    pub answer: Option<String>,
}

/// One item.
struct Item {
    number: &'static str,
    section: &'static str,
    wording: &'static str,
    /// What answers it, and whether it does so in full.
    fact: Option<(Fact, Extent)>,
}

/// How much of an item a fact answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Full,
    Part,
}

/// What a run may know.
#[derive(Clone, Copy)]
enum Fact {
    Simulated,
    Data,
    Preprocessing,
    Split,
    Leaks,
    Counts,
    Architecture,
    Software,
    Initialisation,
    Training,
    Selection,
    Ensemble,
    Imbalance,
    Metrics,
    Intervals,
    Held,
    Performance,
    Calibration,
    Recalibration,
    Output,
    Diagnostic,
    Code,
}

/// CLAIM.
const CLAIM: (&str, &str) = (
    "CLAIM, update of 2024",
    "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): \
     2024 Update. Radiology: Artificial Intelligence 2024;6(4):e240300, doi:10.1148/ryai.240300.",
);

/// TRIPOD+AI.
const TRIPOD: (&str, &str) = (
    "TRIPOD+AI, 2024",
    "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement. BMJ 2024;385:e078378, \
     doi:10.1136/bmj-2023-078378.",
);

const fn ask(number: &'static str, section: &'static str, wording: &'static str) -> Item {
    Item {
        number,
        section,
        wording,
        fact: None,
    }
}

const fn known(
    number: &'static str,
    section: &'static str,
    wording: &'static str,
    fact: Fact,
    extent: Extent,
) -> Item {
    Item {
        number,
        section,
        wording,
        fact: Some((fact, extent)),
    }
}

use Extent::{Full, Part};

#[rustfmt::skip]
const CLAIM_ITEMS: [Item; 44] = [
    ask("1", "title", "title or abstract say that it is about AI, and which kind"),
    ask("2", "abstract", "design, methods, results and conclusions in short"),
    ask("3", "introduction", "background, and what the AI is meant to be used for"),
    ask("4", "introduction", "aims and hypotheses"),
    known("5", "design", "prospective or retrospective", Fact::Simulated, Full),
    ask("6", "design", "goal of the study"),
    known("7", "data", "where the data come from", Fact::Data, Part),
    ask("8", "data", "who was included and who was not"),
    known("9", "data", "what was done to the images beforehand", Fact::Preprocessing, Full),
    ask("10", "data", "how subsets were selected"),
    ask("11", "data", "how persons were made unrecognisable"),
    ask("12", "data", "what was done about missing data"),
    ask("13", "data", "how the images were acquired"),
    ask("14", "reference standard", "how the truth was obtained"),
    ask("15", "reference standard", "why this reference was chosen"),
    ask("16", "reference standard", "who annotated, with which qualification"),
    ask("17", "reference standard", "how the test set was annotated"),
    ask("18", "reference standard", "agreement of annotators, with themselves and each other"),
    known("19", "partitions", "how data were assigned to partitions", Fact::Split, Full),
    known("20", "partitions", "at which level partitions are disjoint", Fact::Leaks, Full),
    ask("21", "test data", "intended number of cases, and why"),
    known("22", "model", "the model from input to output", Fact::Architecture, Full),
    known("23", "model", "software and versions", Fact::Software, Full),
    known("24", "model", "initial weights", Fact::Initialisation, Full),
    known("25", "training", "how it was trained", Fact::Training, Full),
    known("26", "training", "how the final model was picked", Fact::Selection, Full),
    known("27", "training", "ensembles", Fact::Ensemble, Full),
    known("28", "evaluation", "measures of performance", Fact::Metrics, Full),
    known("29", "evaluation", "measures of significance and uncertainty", Fact::Intervals, Full),
    ask("30", "evaluation", "robustness, sensitivity to assumptions"),
    ask("31", "evaluation", "explanations of what the model does, and their validation"),
    known("32", "evaluation", "evaluation on internal data", Fact::Held, Part),
    ask("33", "evaluation", "testing on external data"),
    ask("34", "evaluation", "registration of the trial"),
    known("35", "results", "numbers included and excluded", Fact::Counts, Part),
    ask("36", "results", "demographic and clinical characteristics by partition"),
    known("37", "results", "performance with its uncertainty, on all partitions", Fact::Performance, Part),
    known("38", "results", "diagnostic performance and its precision", Fact::Diagnostic, Full),
    ask("39", "results", "analysis of failures"),
    ask("40", "discussion", "limitations"),
    ask("41", "discussion", "what it means for practice, and the intended use"),
    known("42", "other", "where protocol and technical details are", Fact::Code, Part),
    ask("43", "other", "availability of software, model and data"),
    ask("44", "other", "funding, and the role of funders"),
];

#[rustfmt::skip]
const TRIPOD_ITEMS: [Item; 52] = [
    ask("1", "title", "development or evaluation, population, outcome"),
    ask("2", "abstract", "as the abstract checklist asks"),
    ask("3a", "introduction", "healthcare context, rationale, earlier models"),
    ask("3b", "introduction", "target population, place in care, users"),
    ask("3c", "introduction", "known inequalities between groups"),
    ask("4", "introduction", "objectives"),
    known("5a", "data", "sources of the data, and why they represent the population", Fact::Data, Part),
    ask("5b", "data", "dates"),
    ask("6a", "participants", "setting, number and place of centres"),
    ask("6b", "participants", "eligibility"),
    ask("6c", "participants", "treatments"),
    known("7", "data preparation", "preparation and checks of quality", Fact::Preprocessing, Part),
    ask("8a", "outcome", "what is predicted, and how it was determined"),
    ask("8b", "outcome", "who assessed it, where that takes judgement"),
    ask("8c", "outcome", "blinding of the assessment"),
    ask("9a", "predictors", "choice of predictors"),
    known("9b", "predictors", "definition and measurement of predictors", Fact::Preprocessing, Part),
    ask("9c", "predictors", "who assessed them, where that takes judgement"),
    ask("10", "sample size", "how it was arrived at, and why it suffices"),
    ask("11", "missing data", "what was done, and why"),
    known("12a", "analysis", "how data were used for development and evaluation", Fact::Split, Full),
    known("12b", "analysis", "how predictors enter the model", Fact::Preprocessing, Full),
    known("12c", "analysis", "type of model, how it was built and tuned", Fact::Training, Part),
    ask("12d", "analysis", "differences between clusters such as hospitals"),
    known("12e", "analysis", "measures of performance, and how models are compared", Fact::Metrics, Full),
    known("12f", "analysis", "updating of the model, for example recalibration", Fact::Recalibration, Full),
    known("12g", "analysis", "how predictions were computed", Fact::Code, Part),
    known("13", "class imbalance", "what was done, and why", Fact::Imbalance, Full),
    ask("14", "fairness", "what was done for fairness between groups"),
    known("15", "model output", "probabilities or classes, and how thresholds were chosen", Fact::Output, Full),
    known("16", "development and evaluation", "how their data differ", Fact::Split, Part),
    ask("17", "ethics", "approval and consent"),
    ask("18a", "open science", "funding"),
    ask("18b", "open science", "conflicts of interest"),
    ask("18c", "open science", "protocol"),
    ask("18d", "open science", "registration"),
    ask("18e", "open science", "availability of the data"),
    ask("18f", "open science", "availability of the code"),
    ask("19", "patients and public", "their involvement"),
    known("20a", "results: participants", "flow of participants, with and without the outcome", Fact::Counts, Part),
    ask("20b", "results: participants", "characteristics of participants"),
    ask("20c", "results: participants", "evaluation against development data"),
    known("21", "results: development", "participants and events in each analysis", Fact::Counts, Full),
    known("22", "results: model", "the full model, so that others can predict with it", Fact::Architecture, Part),
    known("23a", "results: performance", "performance with intervals, also in groups; calibration", Fact::Calibration, Part),
    ask("23b", "results: performance", "differences between clusters"),
    known("24", "results: updating", "results of updating", Fact::Recalibration, Full),
    ask("25", "discussion", "interpretation, fairness, earlier studies"),
    ask("26", "discussion", "limitations"),
    ask("27a", "usability", "poor or missing input in use"),
    ask("27b", "usability", "what users have to do and know"),
    ask("27c", "usability", "next steps of research"),
];

/// Both checklists.
pub fn fill(report: &Report, results: &Results) -> Vec<Checklist> {
    let answered = |item: &Item| Answered {
        number: item.number,
        section: item.section,
        wording: item.wording,
        answer: item.fact.and_then(|(fact, extent)| {
            let answer = fact.answer(report, results)?;
            Some(match extent {
                Full => answer,
                Part => IN_PART.to_owned() + &answer,
            })
        }),
    };
    let filled = |(name, source): (&'static str, &'static str), items: &[Item]| Checklist {
        name,
        source,
        items: items.iter().map(answered).collect(),
    };
    vec![filled(CLAIM, &CLAIM_ITEMS), filled(TRIPOD, &TRIPOD_ITEMS)]
}

impl Fact {
    /// What the run knows; none when it knows nothing.
    fn answer(self, report: &Report, results: &Results) -> Option<String> {
        let run = &report.run;
        let main = results.models.first()?;
        let estimate = |e: &Estimate| super::tables::estimate(e);
        match self {
            Self::Simulated => run
                .simulated
                .then(|| "Neither: the patients are simulated.".to_owned()),
            Self::Data => {
                let kind = if run.simulated { "simulated patients, " } else { "" };
                Some(format!("{kind}cohort with SHA-256 {}.", run.cohort_sha256))
            }
            Self::Preprocessing => run.preprocessing.clone(),
            Self::Split => run.split.clone(),
            Self::Leaks => {
                let scalings = !main.scaled.is_empty();
                let ours = scalings.then_some(
                    "No test patient is a validation patient: predictions of both together are refused.",
                );
                run.leak_check.clone().map(|check| match ours {
                    Some(ours) => format!("{check} {ours}"),
                    None => check,
                })
            }
            Self::Counts => {
                let classes: Vec<String> = main
                    .summary
                    .classes
                    .iter()
                    .map(|c| format!("{} {}", c.units, c.class))
                    .collect();
                let test = format!("{} test patients; units: {}", main.patients, classes.join(", "));
                Some(match run.patients {
                    Some([train, validation, _]) => {
                        format!("{train} patients for training, {validation} for validation; {test}.")
                    }
                    None => format!("{test}."),
                })
            }
            Self::Architecture => run.architecture.clone(),
            Self::Software => (!run.software.is_empty()).then(|| {
                let versions: Vec<String> = run.software.iter().map(|(n, v)| format!("{n} {v}")).collect();
                format!("{}; commit {}.", versions.join(", "), run.commit)
            }),
            Self::Initialisation => run.initialisation.clone(),
            Self::Training => run
                .training
                .as_ref()
                .map(|t| format!("{t} Seed {}, on {}.", run.seed, run.device)),
            Self::Selection => run.selection.clone(),
            Self::Ensemble => run.ensemble.clone(),
            Self::Imbalance => run.imbalance.clone(),
            Self::Metrics => Some(
                "Area under the ROC curve, average precision, accuracy, sensitivity, specificity, precision and F1 \
                 by class and overall, confusion matrix, Brier score, log loss, expected calibration error. Areas \
                 are compared by paired tests with Holm's adjustment."
                    .to_owned(),
            ),
            Self::Intervals => {
                let area = match main.area?.method {
                    Method::DeLong => "DeLong (1988), logit scale",
                    Method::Obuchowski => "Obuchowski (1997), several units per patient, logit scale",
                };
                Some(format!(
                    "95 % intervals. Areas: {area}. Other figures: percentiles of {} resamples of patients, \
                     stratified by class, seed {}; Wilson's for shares of 0 or 1.",
                    results.resamples, run.seed
                ))
            }
            Self::Held => Some(format!(
                "{} test patients that nothing was chosen on, as far as the predictions tell.",
                main.patients
            )),
            Self::Performance => {
                Some(format!("test patients: area under the ROC curve {}.", super::tables::area(&main.area)))
            }
            Self::Diagnostic => {
                let point = main.points.first()?;
                let of_model = format!(
                    "{}: sensitivity {}, specificity {}",
                    main.positive,
                    estimate(&point.figures.sensitivity),
                    estimate(&point.figures.specificity)
                );
                Some(match results.readers.len() {
                    0 => format!("{of_model}."),
                    n => format!("{of_model}; {n} readers on the same patients."),
                })
            }
            Self::Calibration => Some(format!(
                "area under the ROC curve {}, Brier score {:.3}, reliability diagrams.",
                super::tables::area(&main.area),
                main.calibration.brier
            )),
            Self::Recalibration => {
                let forms: Vec<String> = main.scaled.iter().map(|s| s.form.to_string()).collect();
                (!forms.is_empty()).then(|| {
                    format!(
                        "{}, fitted to validation patients; before and after are in the report.",
                        forms.join(", ")
                    )
                })
            }
            Self::Output => Some(match main.points.first()?.threshold {
                Some(_) => {
                    let aims: Vec<String> = AIMS.iter().map(ToString::to_string).collect();
                    format!(
                        "A probability per class. Thresholds were chosen on validation patients: {}.",
                        aims.join("; ")
                    )
                }
                None => "A probability per class; the most probable class is called.".to_owned(),
            }),
            Self::Code => Some(format!("commit {}, command: {}", run.commit, run.command)),
        }
    }
}
