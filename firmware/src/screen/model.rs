//! The view model: what a page says, before anything is drawn.
//!
//! Everything that decides (which page, which words, which digits) happens here, so that it can be
//! tested without pixels. A number of a task exists only as a [`Bar`], which always has an interval, and
//! the page that gives no answer has no field that could hold one.

use models::{
    findings::{Fault, Findings, LabelProbability, Lesion, NOTICE, Outcome, Reason, Side, View},
    mr::Contrast,
};

use super::words;

/// Which page a study gets.
#[derive(Debug)]
pub(super) enum Page {
    Result(ResultPage),
    CannotAnswer(CannotAnswerPage),
}

/// What stands above and below every page of a study.
#[derive(Debug)]
pub(super) struct Surround {
    pub(super) patient: String,
    /// Study date and what else identifies the examination.
    pub(super) examination: String,
    pub(super) model: String,
    pub(super) state: State,
    pub(super) footer: Footer,
}

/// The lines that stand at the bottom of every page.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) notice: String,
    pub(super) trained_on: String,
    pub(super) software: String,
}

/// What the chip in the top bar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Tumour,
    NoTumour,
    CannotAnswer,
}

/// An answer, with or without lesions.
#[derive(Debug)]
pub(super) struct ResultPage {
    pub(super) surround: Surround,
    pub(super) tiles: [Tile; 6],
    /// Which slice the tiles show.
    pub(super) slice: String,
    pub(super) answer: Answer,
    /// What the answer rests on and how long it took: a title and its text.
    pub(super) evidence: Vec<(&'static str, String)>,
    pub(super) remarks: Vec<String>,
    /// How long each step took.
    pub(super) steps: String,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Answer {
    Lesions {
        first: LesionCard,
        others: Vec<OtherLesion>,
    },
    Nothing {
        statement: &'static str,
        meaning: &'static str,
    },
}

/// The lesion that is shown in full.
#[derive(Debug)]
pub(super) struct LesionCard {
    pub(super) number: u32,
    pub(super) title: String,
    pub(super) measures: Vec<Measure>,
    pub(super) questions: Vec<Question>,
}

/// A lesion on one line.
#[derive(Debug)]
pub(super) struct OtherLesion {
    pub(super) number: u32,
    pub(super) text: String,
}

/// One measured figure.
#[derive(Debug)]
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) unit: &'static str,
}

/// One task of the model and the probability of each of its labels.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// One probability, never without its interval.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    /// 0 to 1.
    pub(super) probability: f64,
    /// 95 %, 0 to 1.
    pub(super) interval: [f64; 2],
    pub(super) percent: String,
    pub(super) range: String,
    /// The most probable label of its question.
    pub(super) leading: bool,
    pub(super) tone: Tone,
}

/// What a label speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Malignant,
    Benign,
}

/// One contrast.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) name: String,
    pub(super) role: Role,
    /// Index of its picture among the views.
    pub(super) picture: Option<usize>,
    /// Whether lesions may be outlined on it.
    pub(super) outlined: bool,
    /// Which series it is and why it was taken for this contrast.
    pub(super) source: String,
}

/// What a contrast did for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    ReadByModel,
    ShownOnly,
    Missing { required: bool },
}

/// No answer: reasons, and what came in; nothing that could be taken for a finding.
#[derive(Debug)]
pub(super) struct CannotAnswerPage {
    pub(super) surround: Surround,
    pub(super) statement: &'static str,
    pub(super) explanation: &'static str,
    pub(super) reasons: Vec<ReasonCard>,
    pub(super) tiles: [Tile; 6],
    pub(super) refused: Vec<String>,
}

/// One reason, whose fault it is and what helps.
#[derive(Debug)]
pub(super) struct ReasonCard {
    pub(super) text: String,
    pub(super) fault: &'static str,
    pub(super) hint: &'static str,
}

impl Page {
    /// The page for a study. An answer whose numbers are no probabilities is none.
    pub(super) fn new(findings: &Findings, views: &[View]) -> Self {
        match (findings.outcome, unsound(findings)) {
            (Outcome::Answered, None) => Page::Result(ResultPage::new(findings, views)),
            (Outcome::Answered, Some(reason)) => {
                Page::CannotAnswer(CannotAnswerPage::new(findings, &[reason], views))
            }
            (Outcome::CannotAnswer, _) => {
                Page::CannotAnswer(CannotAnswerPage::new(findings, &findings.reasons, views))
            }
        }
    }
}

/// Whether a number in the findings cannot be shown, and why.
fn unsound(findings: &Findings) -> Option<Reason> {
    let probability = |p: f64| (0.0..=1.0).contains(&p);
    let sound = findings.lesions.iter().all(|lesion| {
        let measures = [
            lesion.long_axis_mm,
            lesion.volume_ml,
            lesion.mean_adc.unwrap_or(0.0),
        ];
        let labels = || lesion.tasks.iter().flat_map(|task| &task.labels);
        measures.iter().all(|m| m.is_finite() && *m >= 0.0)
            && labels().all(|l| probability(l.probability) && l.interval.into_iter().all(probability))
            && labels().all(|l| l.interval[0] <= l.interval[1])
    });
    (!sound).then(|| {
        let text = "The answer holds a number that is not possible, so none of it is shown.";
        Reason::new("unsound_findings", Fault::Us, text)
    })
}

impl Surround {
    fn new(findings: &Findings, state: State) -> Self {
        let study = &findings.study;
        let parts = [
            words::study_date(&study.study_date),
            study.description.trim().to_owned(),
        ];
        let examination: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let model = match &findings.model {
            Some(model) => format!("{} {}", model.name, model.version),
            None => "no model".to_owned(),
        };
        Self {
            patient: words::patient_name(&study.patient_name),
            examination: examination.join("  ·  "),
            model,
            state,
            footer: Footer {
                notice: NOTICE.to_owned(),
                trained_on: findings
                    .model
                    .as_ref()
                    .map(|model| format!("Trained on {}", model.trained_on))
                    .unwrap_or_default(),
                software: format!("Sialoscope {}", findings.software_version),
            },
        }
    }
}

impl ResultPage {
    fn new(findings: &Findings, views: &[View]) -> Self {
        let (state, slice, answer) = match findings.lesions.split_first() {
            Some((first, others)) => (
                State::Tumour,
                format!("Slice on which lesion {} is largest", first.number),
                Answer::Lesions {
                    first: LesionCard::new(first),
                    others: others.iter().map(OtherLesion::new).collect(),
                },
            ),
            None => (
                State::NoTumour,
                "All contrasts at the same slice".to_owned(),
                Answer::Nothing {
                    statement: words::NO_TUMOUR,
                    meaning: words::NO_TUMOUR_MEANING,
                },
            ),
        };
        let mut evidence = evidence(findings);
        evidence.extend(words::total_time(&findings.timings).map(|total| ("Answered in", total)));
        let mut remarks: Vec<String> = findings
            .quality
            .iter()
            .map(|remark| remark.text.clone())
            .collect();
        remarks.extend(refused(findings));
        Self {
            surround: Surround::new(findings, state),
            tiles: Contrast::ALL.map(|contrast| Tile::new(findings, views, contrast, true)),
            slice,
            answer,
            evidence,
            steps: words::steps(&findings.timings),
            remarks,
        }
    }
}

impl LesionCard {
    fn new(lesion: &Lesion) -> Self {
        let measure = |name, value, unit| Measure { name, value, unit };
        let mut measures = vec![
            measure("Long axis", format!("{:.0}", lesion.long_axis_mm), "mm"),
            measure("Volume", format!("{:.1}", lesion.volume_ml), "ml"),
        ];
        measures.push(match lesion.mean_adc {
            Some(adc) => measure("Mean ADC", format!("{adc:.2}"), "×10⁻³ mm²/s"),
            None => measure("Mean ADC", "–".to_owned(), "no ADC map"),
        });
        Self {
            number: lesion.number,
            title: words::gland(lesion.side).to_owned(),
            measures,
            questions: lesion
                .tasks
                .iter()
                .map(|task| Question {
                    title: words::task_title(&task.task),
                    bars: task
                        .labels
                        .iter()
                        .map(|label| Bar::new(label, &task.labels))
                        .collect(),
                })
                .collect(),
        }
    }
}

impl Bar {
    fn new(label: &LabelProbability, among: &[LabelProbability]) -> Self {
        let tone = if label.label.to_lowercase().contains("malignan") {
            Tone::Malignant
        } else {
            Tone::Benign
        };
        Self {
            label: words::capitalized(&label.label),
            probability: label.probability,
            interval: label.interval,
            percent: words::percent(label.probability),
            range: words::range(label.interval),
            leading: among.iter().all(|other| other.probability <= label.probability),
            tone,
        }
    }
}

impl OtherLesion {
    fn new(lesion: &Lesion) -> Self {
        let side = match lesion.side {
            Side::Left => "Left",
            Side::Right => "Right",
        };
        let mut text = format!("{side}, {:.0} mm", lesion.long_axis_mm);
        // One probability is enough for one line: that of the label to worry about, else of the leading one.
        if let Some(task) = lesion.tasks.first() {
            let bars: Vec<Bar> = task
                .labels
                .iter()
                .map(|label| Bar::new(label, &task.labels))
                .collect();
            let bar = bars
                .iter()
                .find(|bar| bar.tone == Tone::Malignant)
                .or(bars.iter().find(|bar| bar.leading));
            if let Some(bar) = bar {
                text += &format!(", {} {} {}", bar.label.to_lowercase(), bar.percent, bar.range);
            }
        }
        Self {
            number: lesion.number,
            text,
        }
    }
}

impl Tile {
    fn new(findings: &Findings, views: &[View], contrast: Contrast, outlined: bool) -> Self {
        let used = findings.contrasts.iter().find(|used| used.contrast == contrast);
        let picture = views.iter().position(|view| view.contrast == contrast);
        let role = match used {
            Some(used) if used.used_by_model => Role::ReadByModel,
            Some(_) => Role::ShownOnly,
            None => Role::Missing {
                required: findings
                    .missing
                    .iter()
                    .any(|m| m.contrast == contrast && m.required),
            },
        };
        let b_value = used.and_then(|used| used.b_value);
        Self {
            name: words::contrast(contrast, b_value),
            role,
            picture,
            outlined,
            source: used.map(words::source).unwrap_or_default(),
        }
    }
}

/// What was read, what was only shown, what was not there.
fn evidence(findings: &Findings) -> Vec<(&'static str, String)> {
    let used = |by_model: bool| {
        let used = findings
            .contrasts
            .iter()
            .filter(|used| used.used_by_model == by_model);
        used.map(|used| words::contrast(used.contrast, used.b_value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let missing: Vec<_> = findings
        .missing
        .iter()
        .map(|missing| missing.contrast.name())
        .collect();
    [
        ("Read by the model", used(true)),
        ("Only shown", used(false)),
        ("Not in this study", missing.join(", ")),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .collect()
}

fn refused(findings: &Findings) -> impl Iterator<Item = String> {
    findings
        .refused
        .iter()
        .map(|refused| format!("Left out {}: {}", refused.input, refused.reason.text))
}

impl CannotAnswerPage {
    fn new(findings: &Findings, reasons: &[Reason], views: &[View]) -> Self {
        Self {
            surround: Surround::new(findings, State::CannotAnswer),
            statement: words::CANNOT_ANSWER,
            explanation: words::CANNOT_ANSWER_MEANING,
            reasons: reasons
                .iter()
                .map(|reason| ReasonCard {
                    text: reason.text.clone(),
                    fault: words::at_fault(reason.fault),
                    hint: words::hint(reason),
                })
                .collect(),
            // An outline is a finding too.
            tiles: Contrast::ALL.map(|contrast| Tile::new(findings, views, contrast, false)),
            refused: findings
                .refused
                .iter()
                .map(|refused| format!("{}: {}", refused.input, refused.reason.text))
                .collect(),
        }
    }
}
