//! What the pages about one study say.

use models::findings::{
    ContrastUse, Fault, Findings, LabelProbability, Lesion, Outcome, Reason, Side, TaskAnswer,
};
use models::mr::{Confidence, Contrast};
use models::pictures::Pictures;

use super::{Entry, Mark, Section};
use crate::screen::icons::Icon;
use crate::screen::language::{Words, fill};
use crate::screen::situation::PatientOnScreen;
use crate::screen::words;

/// Files that were left out, on the page of details.
const LEFT_OUT: usize = 20;

/// Which page a study gets.
#[derive(Debug)]
pub(in crate::screen) enum StudySheet {
    Result(ResultSheet),
    CannotAnswer(CannotAnswerSheet),
}

/// What stands above every page of a study, and what its details say.
#[derive(Debug)]
pub(in crate::screen) struct Surround {
    pub(in crate::screen) patient: String,
    /// Study date and description.
    pub(in crate::screen) examination: String,
    /// Which model answers, and what it was trained on.
    pub(in crate::screen) provenance: String,
    pub(in crate::screen) state: State,
    pub(in crate::screen) details: Vec<Section>,
}

/// What the chip in the top bar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum State {
    Tumour,
    NoTumour,
    CannotAnswer,
}

/// An answer, with or without lesions.
#[derive(Debug)]
pub(in crate::screen) struct ResultSheet {
    pub(in crate::screen) surround: Surround,
    pub(in crate::screen) tiles: [Tile; 6],
    pub(in crate::screen) lesions: Vec<LesionCard>,
    /// A few lines about what the answer rests on.
    pub(in crate::screen) basis: Vec<Entry>,
}

/// A lesion and the answers about it.
#[derive(Debug)]
pub(in crate::screen) struct LesionCard {
    pub(in crate::screen) number: u32,
    pub(in crate::screen) title: &'static str,
    pub(in crate::screen) measures: [Measure; 3],
    /// The most probable answer to the finest question.
    pub(in crate::screen) verdict: Option<Bar>,
    pub(in crate::screen) questions: Vec<Question>,
    /// The slice on which it is largest.
    pub(in crate::screen) slice: usize,
}

/// One measured figure.
#[derive(Debug)]
pub(in crate::screen) struct Measure {
    pub(in crate::screen) name: &'static str,
    pub(in crate::screen) value: String,
    pub(in crate::screen) unit: &'static str,
}

/// One task of the model and the probability of each of its labels.
#[derive(Debug)]
pub(in crate::screen) struct Question {
    pub(in crate::screen) title: String,
    pub(in crate::screen) bars: Vec<Bar>,
}

/// One probability, never without its interval.
#[derive(Debug, Clone)]
pub(in crate::screen) struct Bar {
    pub(in crate::screen) label: String,
    /// 0 to 1.
    pub(in crate::screen) probability: f64,
    /// 95 %, 0 to 1.
    pub(in crate::screen) interval: [f64; 2],
    pub(in crate::screen) percent: String,
    pub(in crate::screen) range: String,
    /// The most probable label of its question.
    pub(in crate::screen) leading: bool,
    pub(in crate::screen) tone: Tone,
}

/// What a label speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum Tone {
    Malignant,
    Benign,
}

/// One contrast.
#[derive(Debug)]
pub(in crate::screen) struct Tile {
    pub(in crate::screen) contrast: Contrast,
    pub(in crate::screen) name: String,
    pub(in crate::screen) role: Role,
    pub(in crate::screen) has_picture: bool,
    /// Which series it is and why it was taken for this contrast.
    pub(in crate::screen) source: String,
}

/// What a contrast did for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum Role {
    ReadByModel,
    ShownOnly,
    Missing { required: bool },
}

/// No answer: reasons, and what came in; nothing that could be taken for a finding.
#[derive(Debug)]
pub(in crate::screen) struct CannotAnswerSheet {
    pub(in crate::screen) surround: Surround,
    pub(in crate::screen) reasons: Vec<ReasonCard>,
    pub(in crate::screen) tiles: [Tile; 6],
}

/// One reason, whose fault it is and what helps.
#[derive(Debug)]
pub(in crate::screen) struct ReasonCard {
    pub(in crate::screen) plain: String,
    /// The same in detail, in English; none where that is what stands above.
    pub(in crate::screen) detail: Option<String>,
    pub(in crate::screen) fault: &'static str,
    pub(in crate::screen) remedy: &'static str,
}

impl StudySheet {
    /// The page for a study. An answer whose numbers are no probabilities is none.
    pub(in crate::screen) fn new(
        findings: &Findings,
        pictures: &Pictures,
        words: &'static Words,
        shown: PatientOnScreen,
    ) -> Self {
        let sheet = |state| Surround::new(findings, words, shown, state);
        let cannot = |reasons: &[Reason]| {
            StudySheet::CannotAnswer(CannotAnswerSheet {
                surround: sheet(State::CannotAnswer),
                reasons: cards(reasons, words),
                tiles: tiles(findings, pictures, words),
            })
        };
        match (findings.outcome, unsound(findings)) {
            (Outcome::CannotAnswer, _) => cannot(&findings.reasons),
            (Outcome::Answered, Some(reason)) => cannot(&[reason]),
            (Outcome::Answered, None) => {
                let state = if findings.lesions.is_empty() {
                    State::NoTumour
                } else {
                    State::Tumour
                };
                StudySheet::Result(ResultSheet {
                    surround: sheet(state),
                    tiles: tiles(findings, pictures, words),
                    lesions: findings
                        .lesions
                        .iter()
                        .map(|lesion| LesionCard::new(lesion, words))
                        .collect(),
                    basis: basis(findings, words),
                })
            }
        }
    }

    pub(in crate::screen) fn surround(&self) -> &Surround {
        match self {
            StudySheet::Result(sheet) => &sheet.surround,
            StudySheet::CannotAnswer(sheet) => &sheet.surround,
        }
    }
}

/// A reason in plain words, then as it is in logs and reports.
pub(in crate::screen) fn in_detail(reason: &Reason, words: &Words) -> String {
    match words.plain(reason) {
        Some(plain) if *plain != *reason.text => format!("{plain} {}", reason.text),
        _ => reason.text.clone(),
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
    fn new(findings: &Findings, words: &'static Words, shown: PatientOnScreen, state: State) -> Self {
        let study = &findings.study;
        let patient = words::patient(&study.patient_name, shown);
        let parts = match shown {
            PatientOnScreen::Full => [
                words::study_date(&study.study_date),
                study.description.trim().to_owned(),
            ],
            PatientOnScreen::Initials | PatientOnScreen::Hidden => Default::default(),
        };
        let examination: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            patient: if patient.is_empty() && shown == PatientOnScreen::Hidden {
                words.examination.to_owned()
            } else if patient.is_empty() {
                words.no_patient_name.to_owned()
            } else {
                patient
            },
            examination: examination.join("  ·  "),
            provenance: match &findings.model {
                Some(model) => {
                    let name = format!("{} {}", model.name, model.version);
                    provenance(&name, &model.trained_on, words)
                }
                None => words.no_model.to_owned(),
            },
            state,
            details: details(findings, words),
        }
    }
}

impl LesionCard {
    fn new(lesion: &Lesion, words: &'static Words) -> Self {
        let measure = |name, value, unit| Measure { name, value, unit };
        let questions: Vec<Question> = lesion
            .tasks
            .iter()
            .map(|task| Question::new(task, words))
            .collect();
        let finest = questions.iter().max_by_key(|question| question.bars.len());
        Self {
            number: lesion.number,
            title: match lesion.side {
                Side::Left => words.left_gland,
                Side::Right => words.right_gland,
            },
            measures: [
                measure(words.long_axis, format!("{:.0}", lesion.long_axis_mm), "mm"),
                measure(words.volume, format!("{:.1}", lesion.volume_ml), "ml"),
                match lesion.mean_adc {
                    Some(adc) => measure(words.mean_adc, format!("{adc:.2}"), "×10⁻³ mm²/s"),
                    None => measure(words.mean_adc, "–".to_owned(), words.no_adc_map),
                },
            ],
            verdict: finest
                .and_then(|question| question.bars.iter().find(|bar| bar.leading))
                .cloned(),
            questions,
            slice: lesion.largest_slice,
        }
    }
}

impl Question {
    fn new(task: &TaskAnswer, words: &Words) -> Self {
        let title = words.task(&task.task);
        Self {
            title: title.map_or_else(|| words::capitalized(&task.task), str::to_owned),
            bars: task
                .labels
                .iter()
                .map(|label| Bar::new(label, &task.labels, words))
                .collect(),
        }
    }
}

impl Bar {
    fn new(label: &LabelProbability, among: &[LabelProbability], words: &Words) -> Self {
        let is_malignant = label.label.to_lowercase().contains("malignan");
        let name = words.label(&label.label);
        Self {
            label: name.map_or_else(|| words::capitalized(&label.label), str::to_owned),
            probability: label.probability,
            interval: label.interval,
            percent: words::percent(label.probability),
            range: words::range(label.interval),
            leading: among.iter().all(|other| other.probability <= label.probability),
            tone: if is_malignant {
                Tone::Malignant
            } else {
                Tone::Benign
            },
        }
    }
}

impl ReasonCard {
    pub(in crate::screen) fn new(reason: &Reason, words: &Words) -> Self {
        let plain = words.plain(reason);
        Self {
            detail: plain
                .is_some()
                .then(|| reason.text.clone())
                .filter(|text| Some(text.as_str()) != plain),
            plain: plain.map_or_else(|| reason.text.clone(), str::to_owned),
            fault: words.fault(reason.fault),
            remedy: words.remedy(reason),
        }
    }
}

/// `liu-phantom 0.1.0 · Trained on simulated examinations …`
pub(in crate::screen) fn provenance(model: &str, trained_on: &str, words: &Words) -> String {
    format!("{model} · {} {trained_on}", words.trained_on)
}

/// One card for each kind of reason: what is the same is said once, with the details of each.
fn cards(reasons: &[Reason], words: &Words) -> Vec<ReasonCard> {
    let mut cards: Vec<ReasonCard> = Vec::new();
    for reason in reasons {
        let card = ReasonCard::new(reason, words);
        match (
            cards.iter_mut().find(|known| known.plain == card.plain),
            card.detail.as_ref(),
        ) {
            (Some(known), Some(detail)) => {
                let all = known.detail.get_or_insert_default();
                all.push(' ');
                all.push_str(detail);
            }
            (Some(_), None) => {}
            (None, _) => cards.push(card),
        }
    }
    cards
}

fn tiles(findings: &Findings, pictures: &Pictures, words: &Words) -> [Tile; 6] {
    Contrast::ALL.map(|contrast| {
        let used = findings.contrasts.iter().find(|used| used.contrast == contrast);
        let required = findings
            .missing
            .iter()
            .any(|m| m.contrast == contrast && m.required);
        Tile {
            contrast,
            name: name(contrast, used.and_then(|used| used.b_value)),
            role: match used {
                Some(used) if used.used_by_model => Role::ReadByModel,
                Some(_) => Role::ShownOnly,
                None => Role::Missing { required },
            },
            has_picture: pictures
                .contrasts
                .iter()
                .any(|picture| picture.contrast == contrast),
            source: used.map(|used| source(used, words)).unwrap_or_default(),
        }
    })
}

/// `DWI b1000`; the name alone where no b-value belongs or none is known.
fn name(contrast: Contrast, b_value: Option<f64>) -> String {
    match (contrast, b_value) {
        (Contrast::Dwi, Some(b)) => format!("DWI b{b:.0}"),
        _ => contrast.name().to_owned(),
    }
}

/// Which series a contrast comes from, and why it was taken for it.
fn source(used: &ContrastUse, words: &Words) -> String {
    let number = used
        .series_number
        .map(|number| fill(words.series, &[("n", &number)]).to_string());
    let doubt = match used.confidence {
        Confidence::High => None,
        Confidence::Medium => Some(words.fairly_sure),
        Confidence::Low => Some(words.not_sure),
    };
    let parts = [
        number,
        Some(used.reason.clone()),
        doubt.map(str::to_owned),
        used.computed.then(|| words.computed_here.to_owned()),
        used.registered.map(|_| words.aligned_by_content.to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The contrasts that were read, shown, and missing: one line each.
fn basis(findings: &Findings, words: &Words) -> Vec<Entry> {
    let used = |by_model: bool| {
        let used = findings
            .contrasts
            .iter()
            .filter(|used| used.used_by_model == by_model);
        let names: Vec<_> = used.map(|used| name(used.contrast, used.b_value)).collect();
        names.join(", ")
    };
    let missing: Vec<_> = findings
        .missing
        .iter()
        .map(|missing| missing.contrast.name())
        .collect();
    let mut entries = vec![
        Entry::new(&words::capitalized(words.read_by_model), used(true)),
        Entry::new(&words::capitalized(words.shown_only), used(false)),
        Entry::new(&words::capitalized(words.not_in_study), missing.join(", ")),
    ];
    entries.retain(|entry| !entry.value.is_empty());
    // What is the same in plain words is said once; the details keep each.
    let mut remarks: Vec<&str> = Vec::new();
    for remark in &findings.quality {
        let plain = words.plain(remark).unwrap_or(&remark.text);
        if !remarks.contains(&plain) {
            remarks.push(plain);
        }
    }
    let remarks = remarks
        .into_iter()
        .map(|remark| Entry::sentence(remark).marked(Mark::Attention));
    // What somebody should know stands before what is as it should be.
    remarks.chain(entries).collect()
}

/// Everything that is known about how the answer came about.
fn details(findings: &Findings, words: &'static Words) -> Vec<Section> {
    let contrasts = Contrast::ALL.map(|contrast| {
        let used = findings.contrasts.iter().find(|used| used.contrast == contrast);
        let required = findings
            .missing
            .iter()
            .any(|m| m.contrast == contrast && m.required);
        match used {
            Some(used) => {
                let role = if used.used_by_model {
                    words.read_by_model
                } else {
                    words.shown_only
                };
                Entry::new(
                    &name(contrast, used.b_value),
                    format!("{role}: {}", source(used, words)),
                )
            }
            None if required => {
                let text = format!("{}; {}", words.not_in_study, words.model_needs_it);
                Entry::new(contrast.name(), text).marked(Mark::Attention)
            }
            None => Entry::new(contrast.name(), words.not_in_study),
        }
    });
    let mut quality: Vec<_> = findings
        .quality
        .iter()
        .map(|remark| Entry::sentence(in_detail(remark, words)).marked(Mark::Attention))
        .collect();
    if quality.is_empty() {
        quality.push(Entry::sentence(words.no_remarks));
    }
    let mut model = Vec::new();
    match &findings.model {
        Some(identity) => {
            model.push(Entry::new(
                words.model,
                format!("{} {}", identity.name, identity.version),
            ));
            model.push(Entry::new(words.trained_on, &identity.trained_on));
        }
        None => model.push(Entry::new(words.model, words.no_model).marked(Mark::Attention)),
    }
    model.push(Entry::new(
        words.software,
        format!("Sialoscope {}", findings.software_version),
    ));
    let total: f64 = findings.timings.iter().map(|timing| timing.milliseconds).sum();
    if !findings.timings.is_empty() {
        let seconds = |ms: f64| fill(words.seconds, &[("n", &format!("{:.1}", ms / 1000.0))]);
        let steps = findings.timings.iter().map(|timing| {
            let step = words.step(&timing.step).unwrap_or(&timing.step);
            format!("{step} {}", seconds(timing.milliseconds))
        });
        let steps: Vec<_> = steps.collect();
        model.push(Entry::new(
            words.answered_in,
            format!("{}: {}", seconds(total), steps.join(", ")),
        ));
    }
    let mut sections = vec![
        Section::new(Icon::Series, words.received, contrasts.into()),
        Section::new(Icon::Gauge, words.quality, quality),
        Section::new(Icon::Chip, words.model, model),
    ];
    if !findings.refused.is_empty() {
        let shown = findings.refused.iter().take(LEFT_OUT).map(|refused| {
            let plain = words.plain(&refused.reason).unwrap_or(&refused.reason.text);
            Entry::new(&refused.input, plain)
        });
        let mut entries: Vec<_> = shown.collect();
        if findings.refused.len() > LEFT_OUT {
            let more = fill(words.more, &[("n", &(findings.refused.len() - LEFT_OUT))]);
            entries.push(Entry::sentence(more.as_str()));
        }
        sections.push(Section::new(Icon::Cross, words.left_out, entries));
    }
    sections
}
