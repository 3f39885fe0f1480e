//! What the box asks people: whether it shall install, restart, write a support report.

use heapless::Vec;

use super::super::icons::Icon;
use super::super::language::{Words, fill};
use super::super::maintenance::{Installation, Maintenance, SupportReport};
use super::Mark;
use super::study::in_detail;

/// What one can answer. The one that changes nothing comes first: keys begin there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::screen) enum Answer {
    /// Nothing is done.
    Close,
    /// A support report is written to the stick.
    Support,
    /// The update on the stick is installed.
    Install,
    /// The box restarts.
    Restart,
}

/// A question, or word of what became of an answer.
#[derive(Debug)]
pub(in crate::screen) struct Question {
    pub(in crate::screen) icon: Icon,
    pub(in crate::screen) mark: Mark,
    pub(in crate::screen) title: String,
    pub(in crate::screen) lines: std::vec::Vec<String>,
    /// How far something is, %.
    pub(in crate::screen) percent: Option<u8>,
    pub(in crate::screen) answers: Vec<(Answer, &'static str), 3>,
}

impl Question {
    fn new(icon: Icon, mark: Mark, title: &str, lines: &[&str]) -> Self {
        let lines = lines.iter().filter(|line| !line.is_empty());
        Self {
            icon,
            mark,
            title: title.to_owned(),
            lines: lines.map(|line| (*line).to_owned()).collect(),
            percent: None,
            answers: Vec::new(),
        }
    }

    fn answered_by(mut self, answers: &[(Answer, &'static str)]) -> Self {
        self.answers.extend(answers.iter().copied());
        self
    }
}

/// What there is to ask or to say; nothing without a stick and without an installation. `asked`: what was answered last
/// is not under way yet. `version` runs now.
pub(in crate::screen) fn question(
    maintenance: &Maintenance,
    asked: bool,
    version: &str,
    words: &Words,
) -> Option<Question> {
    let close = (Answer::Close, words.close);
    let later = (Answer::Close, words.later);
    if asked {
        let waits = Question::new(Icon::Update, Mark::Plain, words.one_moment, &[]);
        return Some(waits.answered_by(&[close]));
    }
    match &maintenance.support {
        Some(SupportReport::Running) => {
            let title = words.report_under_way;
            let question = Question::new(Icon::Details, Mark::Plain, title, &[words.leave_the_stick]);
            return Some(question.answered_by(&[close]));
        }
        Some(SupportReport::Done(file)) if maintenance.stick => {
            let lines = [file.as_str(), words.report_contents];
            let question = Question::new(Icon::Tick, Mark::Good, words.report_done, &lines);
            return Some(question.answered_by(&[close]));
        }
        Some(SupportReport::Failed(reason)) if maintenance.stick => {
            let lines = [&in_detail(reason, words), words.remedy(reason)];
            let question = Question::new(Icon::Warning, Mark::Attention, words.report_failed, &lines);
            return Some(question.answered_by(&[close, (Answer::Support, words.try_again)]));
        }
        _ => {}
    }
    let runs = fill(words.version_runs, &[("version", &version)]);
    match &maintenance.installation {
        Some(Installation::Running(version, percent)) => {
            let title = fill(words.installing, &[("version", version)]);
            let lines = [words.installing_meaning, words.leave_the_stick];
            return Some(Question {
                percent: Some(*percent),
                ..Question::new(Icon::Update, Mark::Plain, &title, &lines).answered_by(&[close])
            });
        }
        Some(Installation::Done(version)) => {
            let title = fill(words.installed, &[("version", version)]);
            let question = Question::new(Icon::Tick, Mark::Good, &title, &[words.installed_meaning]);
            return Some(question.answered_by(&[later, (Answer::Restart, words.restart_now)]));
        }
        Some(Installation::Failed(reason)) => {
            let lines = [&in_detail(reason, words), words.remedy(reason), runs.as_str()];
            let question = Question::new(Icon::Warning, Mark::Attention, words.not_installed, &lines);
            let again = match &maintenance.offer {
                Some(offer) if offer.refused.is_none() => &[close, (Answer::Install, words.try_again)][..],
                _ => &[close],
            };
            return Some(question.answered_by(again));
        }
        None => {}
    }
    if !maintenance.stick {
        return None;
    }
    let support = (Answer::Support, words.write_report);
    Some(match &maintenance.offer {
        None => {
            let lines = [words.no_update_on_stick, runs.as_str()];
            Question::new(Icon::Stick, Mark::Plain, words.usb_stick, &lines).answered_by(&[close, support])
        }
        Some(offer) => match &offer.refused {
            Some(reason) => {
                let lines = [&in_detail(reason, words), words.remedy(reason), runs.as_str()];
                Question::new(Icon::Warning, Mark::Attention, words.update_refused, &lines)
                    .answered_by(&[close, support])
            }
            None => {
                let title = fill(words.update_offered, &[("version", &offer.version)]);
                let lines = [offer.notes.as_str(), runs.as_str(), words.offer_meaning];
                Question::new(Icon::Update, Mark::Plain, &title, &lines).answered_by(&[
                    later,
                    support,
                    (Answer::Install, words.install),
                ])
            }
        },
    })
}
