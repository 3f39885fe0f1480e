//! What the list of studies says.

use super::study::provenance;
use crate::screen::icons::Icon;
use crate::screen::language::{Words, fill};
use crate::screen::situation::{Delivery, PatientOnScreen, Situation, State, Station, Study, Verdict};
use crate::screen::words;
use crate::station::config::MaySend;
use crate::station::notice::Notice;

/// The page of studies.
#[derive(Debug)]
pub(in crate::screen) struct ListSheet {
    pub(in crate::screen) chip: Chip,
    pub(in crate::screen) station: String,
    pub(in crate::screen) where_to: String,
    /// Which model answers, and what it was trained on.
    pub(in crate::screen) provenance: String,
    pub(in crate::screen) banners: Vec<String>,
    pub(in crate::screen) rows: Vec<Row>,
    /// Instead of rows.
    pub(in crate::screen) empty: String,
    /// The last thing that was turned away, and when.
    pub(in crate::screen) refused: Option<(String, String)>,
}

/// Whether the box is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum Chip {
    Ready,
    Attention,
    NotListening,
    NobodyMaySend,
    NoModel,
}

/// One study.
#[derive(Debug)]
pub(in crate::screen) struct Row {
    pub(in crate::screen) uid: String,
    pub(in crate::screen) name: String,
    pub(in crate::screen) state: String,
    pub(in crate::screen) progress: Progress,
    pub(in crate::screen) images: String,
    /// 0 to 1, where that can be said.
    pub(in crate::screen) share: Option<f32>,
    pub(in crate::screen) delivery: Option<(String, Progress)>,
    pub(in crate::screen) ago: String,
}

/// What kind of state something is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum Progress {
    Working,
    Done,
    Failed,
}

impl Progress {
    pub(in crate::screen) fn icon(self) -> Icon {
        match self {
            Progress::Working => Icon::Gauge,
            Progress::Done => Icon::Tick,
            Progress::Failed => Icon::Warning,
        }
    }
}

/// The steps of an analysis, in their order.
const STEPS: [&str; 6] = ["read", "check", "align", "locate", "classify", "views"];

impl ListSheet {
    pub(in crate::screen) fn new(situation: &Situation, words: &Words, shown: PatientOnScreen) -> Self {
        let station = &situation.station;
        let address = station.address.as_deref().or(station.tls_address.as_deref());
        let empty = match address {
            Some(_) if station.may_send == MaySend::Nobody => words.list_a_peer.to_owned(),
            Some(address) => fill(
                words.send_here,
                &[("ae", &station.ae_title), ("address", &address)],
            )
            .to_string(),
            None => words.not_listening_yet.to_owned(),
        };
        Self {
            chip: Chip::of(situation),
            station: station.name.clone(),
            where_to: match address {
                Some(address) => format!("{} · {address}", station.ae_title),
                None => station.ae_title.clone(),
            },
            provenance: match &station.model {
                Some(model) => provenance(&model.name, &model.trained_on, words),
                None => words.no_model.to_owned(),
            },
            banners: station
                .notices
                .iter()
                .map(|notice| notice_line(notice, station, words))
                .collect(),
            rows: situation
                .studies
                .iter()
                .map(|study| Row::new(study, words, shown))
                .collect(),
            empty,
            refused: situation.refusals.first().map(|refused| {
                let plain = words.plain(&refused.reason).unwrap_or(&refused.reason.text);
                (
                    format!("{}: {plain}", refused.peer),
                    words.ago(refused.age_s).to_string(),
                )
            }),
        }
    }
}

impl Chip {
    fn of(situation: &Situation) -> Self {
        let Station {
            address,
            tls_address,
            may_send,
            model,
            ..
        } = &situation.station;
        if address.is_none() && tls_address.is_none() {
            Chip::NotListening
        } else if *may_send == MaySend::Nobody {
            Chip::NobodyMaySend
        } else if model.is_none() {
            Chip::NoModel
        } else if !situation.alarms.is_empty() {
            Chip::Attention
        } else {
            Chip::Ready
        }
    }

    pub(in crate::screen) fn word(self, words: &Words) -> &'static str {
        match self {
            Chip::Ready => words.ready,
            Chip::Attention => words.attention,
            Chip::NotListening => words.not_listening,
            Chip::NobodyMaySend => words.nobody_may_send,
            Chip::NoModel => words.no_model,
        }
    }
}

impl Row {
    fn new(study: &Study, words: &Words, shown: PatientOnScreen) -> Self {
        let (state, progress) = state(study, words);
        let images = match study.expected {
            Some(of) if of > study.images => {
                fill(words.images_of, &[("n", &study.images), ("of", &of)]).to_string()
            }
            _ => words.images.fill(study.images).to_string(),
        };
        let images = match study.series {
            Some((n, of)) => {
                let series = fill(words.series_of, &[("n", &n), ("of", &of)]);
                format!("{series} · {images}")
            }
            None => images,
        };
        let delivery = match &study.delivery {
            Delivery::Nowhere => None,
            Delivery::Done => Some((words.delivered.to_owned(), Progress::Done)),
            Delivery::Waiting(to) => Some((
                fill(words.on_its_way, &[("to", to)]).to_string(),
                Progress::Working,
            )),
            Delivery::Blocked(to) => Some((
                fill(words.not_delivered, &[("to", to)]).to_string(),
                Progress::Failed,
            )),
        };
        Self {
            uid: study.uid.clone(),
            name: name(study, words, shown),
            state,
            progress,
            images,
            share: share(study),
            delivery,
            ago: match study.age_s {
                Some(age_s) => words.ago(age_s).to_string(),
                None => words.before_start.to_owned(),
            },
        }
    }
}

/// A notice in one sentence, with how much waits for that.
fn notice_line(notice: &Notice, station: &Station, words: &Words) -> String {
    let plain = words.plain(&notice.reason).unwrap_or(&notice.reason.text);
    let queues = station.destinations.iter();
    let mut waiting = queues.filter(|queue| queue.name == notice.about && queue.waiting > 0);
    let waiting = waiting.next().map_or_else(String::new, |queue| {
        format!(" · {}", fill(words.waiting, &[("n", &queue.waiting)]))
    });
    format!("{}: {plain}{waiting}", notice.about)
}

/// The patient, or what tells the study apart where the patient is not to be shown or not known.
fn name(study: &Study, words: &Words, shown: PatientOnScreen) -> String {
    let patient = words::patient(&study.patient_name, shown);
    if patient.is_empty() {
        fill(words.hidden_patient, &[("tag", &study.tag)]).to_string()
    } else {
        patient
    }
}

fn state(study: &Study, words: &Words) -> (String, Progress) {
    match &study.state {
        State::Receiving(missing) if missing.is_empty() => (words.receiving.to_owned(), Progress::Working),
        State::Receiving(missing) => {
            let names: Vec<_> = missing.iter().map(|contrast| contrast.name()).collect();
            let waits = fill(words.waits_for, &[("what", &names.join(", "))]);
            (waits.to_string(), Progress::Working)
        }
        State::Waiting => (words.waits_for_analysis.to_owned(), Progress::Working),
        State::Analyzing(step) => {
            let step = step.as_deref().and_then(|step| words.step(step));
            let text = step.map_or(words.analyzing.to_owned(), |step| {
                format!("{}: {step}", words.analyzing)
            });
            (text, Progress::Working)
        }
        State::Answered(Verdict::Tumour) => (words.tumour_found.to_owned(), Progress::Done),
        State::Answered(Verdict::NoTumour) => (words.no_tumour_found.to_owned(), Progress::Done),
        State::Answered(Verdict::Unread) => (words.answered.to_owned(), Progress::Done),
        State::Answered(Verdict::CannotAnswer) => (words.cannot_answer.to_owned(), Progress::Failed),
        State::Failed(reason) => (
            format!("{}: {}", words.failed, words.fault(reason.fault)),
            Progress::Failed,
        ),
    }
}

/// How much of the work that can be counted is done.
fn share(study: &Study) -> Option<f32> {
    match &study.state {
        State::Receiving(_) => {
            let images = study.expected.map(|of| (study.images, of));
            let (there, of) = images.or(study.series).filter(|(_, of)| *of > 0)?;
            Some((there as f32 / of as f32).min(1.0))
        }
        State::Analyzing(step) => {
            let at = STEPS.iter().position(|known| Some(*known) == step.as_deref())?;
            Some((at as f32 + 0.5) / STEPS.len() as f32)
        }
        _ => None,
    }
}
