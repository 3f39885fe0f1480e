//! What becomes of the analyst's answers.

use std::io;
use std::sync::Arc;

use board::Frame;
use models::findings::{Fault, Findings, Outcome, Reason, StudyIdentity};
use models::pictures::Pictures;

use super::core::{Action, Core};
use crate::analysis::{Answer, Whose};
use crate::appliance::Event;
use crate::dicom::Uid;
use crate::screen::situation::Verdict;
use crate::study::{Event as Happening, Stage};

impl Core {
    pub(super) fn analyzed(&mut self, study: &Uid, outcome: Result<Box<Answer>, Reason>) {
        let Some(kept) = self.studies.get(study) else {
            return;
        };
        if *kept.progress.stage() != Stage::Analyzing {
            return tracing::info!(
                study = study.tag(),
                "images came during the analysis; its answer is dropped"
            );
        }
        let remark = kept.remark.clone();
        let kept = outcome.and_then(|mut answer| {
            answer.findings.quality.extend(remark);
            self.keep_answer(study, *answer)
        });
        match kept {
            Ok(findings) => {
                self.happened(study, Happening::Answered);
                self.actions.push(Action::Answered);
                tracing::info!(study = study.tag(), outcome = ?findings.outcome, lesions = findings.lesions.len(), "reported");
                self.tell(Event::Reported {
                    study: study.clone(),
                    findings: Arc::new(findings),
                    folder: self.records.folder(study),
                });
            }
            Err(reason) => self.stopped(study, reason),
        }
    }

    fn stopped(&mut self, study: &Uid, reason: Reason) {
        tracing::warn!(
            study = study.tag(),
            code = reason.code,
            "the analysis stopped: {reason}"
        );
        let (now, waits) = (self.now, self.rules.waits);
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        let effects = kept.progress.on(Happening::Stopped(reason.clone()), now, waits);
        kept.since = Some(now);
        if matches!(kept.progress.stage(), Stage::Failed(_)) {
            self.give_up(study, reason);
        }
        self.carry_out(study, effects);
        self.settle(study);
    }

    /// A start gave a study up, and now it is known whose it is, as far as that can be said.
    pub(super) fn identified(&mut self, study: &Uid, whose: Option<Box<Whose>>) {
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        // Else images came meanwhile.
        if let Some(reason) = kept.nameless.take() {
            kept.whose = whose;
            self.give_up(study, reason);
            self.persist(study);
            self.settle(study);
        }
    }

    /// Findings that say why there are none, before the state says that the study failed.
    pub(super) fn give_up(&mut self, study: &Uid, reason: Reason) {
        let whose = self.studies.get(study).and_then(|kept| kept.whose.clone());
        let (identity, evidence) = whose.map_or_else(Default::default, |whose| *whose);
        let answer = Answer {
            findings: no_answer(study, identity, reason.clone()),
            pictures: Pictures::default(),
            evidence,
        };
        let owed = self.keep_answer(study, answer).is_err().then(|| reason.clone());
        let is_kept = owed.is_none();
        if let Some(kept) = self.studies.get_mut(study) {
            kept.owed = owed;
        }
        if !is_kept {
            return;
        }
        self.actions.push(Action::Answered);
        self.tell(Event::Failed {
            study: study.clone(),
            reason,
        });
    }

    /// Findings, pictures, their page and the objects about them to the disk.
    fn keep_answer(&mut self, study: &Uid, answer: Answer) -> Result<Findings, Reason> {
        let page = (self.hands.draw)(&answer.findings, &answer.pictures);
        let kept = self.keep_objects(study, &answer, page.as_ref()).and_then(|()| {
            let png = page.as_ref().map(Frame::to_png);
            self.records
                .keep_findings(study, &answer.findings, &answer.pictures, png.as_deref())
        });
        kept.map_err(|error| {
            self.disk_failed("findings cannot be kept", &error);
            let text = format!("the findings cannot be kept: {error}");
            Reason::new("disk", Fault::Hardware, text)
        })?;
        if let Some(kept) = self.studies.get_mut(study) {
            kept.identity = Some(answer.findings.study.clone());
            kept.verdict = Some(verdict(&answer.findings));
            kept.answers += 1;
        }
        Ok(answer.findings)
    }

    /// Findings stay where no object can be made about them: people are told of it.
    fn keep_objects(&mut self, study: &Uid, answer: &Answer, page: Option<&Frame>) -> io::Result<()> {
        let before = self.records.predecessor(study)?;
        let objects = (self.hands.compose)(answer, page, before.as_ref()).unwrap_or_else(|reason| {
            self.complain(reason);
            Vec::new()
        });
        self.records.keep_objects(study, &objects)?;
        self.owe(study, &objects)
    }
}

/// What findings come down to.
pub(super) fn verdict(findings: &Findings) -> Verdict {
    match findings.outcome {
        Outcome::CannotAnswer => Verdict::CannotAnswer,
        Outcome::Answered if findings.lesions.is_empty() => Verdict::NoTumour,
        Outcome::Answered => Verdict::Tumour,
    }
}

/// Findings that say only why there are none.
fn no_answer(study: &Uid, identity: StudyIdentity, reason: Reason) -> Findings {
    Findings {
        reasons: vec![reason],
        study: StudyIdentity {
            study_instance_uid: study.to_string(),
            ..identity
        },
        ..Findings::blank(env!("CARGO_PKG_VERSION"))
    }
}
