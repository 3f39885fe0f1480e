//! The keeper and the analyst: who is asked what, and what becomes of the answers.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use board::Frame;
use models::findings::{Fault, Findings, NOTICE, Outcome, Reason, SCHEMA, StudyIdentity};

use super::{Keeper, Message};
use crate::analysis::Answer;
use crate::appliance::Event;
use crate::dicom::Uid;
use crate::study::record::fingerprint;
use crate::study::{Event as Happening, Stage};

impl Keeper {
    pub(super) fn survey(&self, study: &Uid) {
        let Some(kept) = self.studies.get(study) else {
            return;
        };
        let instances = kept.progress.instances();
        let (analyst, inbox) = (Arc::clone(&self.analyst), self.inbox.clone());
        let (study, folder) = (study.clone(), self.spool.folder(study));
        self.runtime.spawn(async move {
            let all_there = analyst.all_contrasts(&folder).await;
            report(
                inbox,
                Message::Surveyed {
                    study,
                    instances,
                    all_there,
                },
            )
            .await;
        });
    }

    pub(super) fn begin_next(&mut self) {
        while !self.analyst_busy
            && let Some(study) = self.waiting.pop_front()
        {
            let Some(kept) = self.studies.get_mut(&study) else {
                continue;
            };
            // Reopened since, or queued twice.
            if *kept.progress.stage() != Stage::Complete {
                continue;
            }
            // A folder that cannot be listed ends the analysis with a reason; a state about no instances
            // is never taken for one about those that are there.
            kept.covered = self
                .spool
                .instances(&study)
                .map_or_else(|_| String::new(), |all| fingerprint(&all));
            self.happened(&study, Happening::Began);
            tracing::info!(study = study.tag(), "analysis began");
            self.tell(Event::Analyzing { study: study.clone() });
            self.analyst_busy = true;
            let (analyst, inbox, folder) = (
                Arc::clone(&self.analyst),
                self.inbox.clone(),
                self.spool.folder(&study),
            );
            self.runtime.spawn(async move {
                // In a task of its own, so that even an error of ours in it comes back as a reason.
                let analysis = tokio::spawn(async move { analyst.analyze(&folder).await });
                let outcome = analysis.await.unwrap_or_else(|_| {
                    Err(Reason::new(
                        "internal",
                        Fault::Us,
                        "the analysis ended by an error of ours",
                    ))
                });
                report(
                    inbox,
                    Message::Analyzed {
                        study,
                        outcome: outcome.map(Box::new),
                    },
                )
                .await;
            });
        }
    }

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
        match outcome.and_then(|answer| self.keep_answer(study, *answer)) {
            Ok((findings, page)) => {
                self.happened(study, Happening::Answered);
                self.show(page);
                tracing::info!(study = study.tag(), outcome = ?findings.outcome, lesions = findings.lesions.len(), "reported");
                let folder = self.records.folder(study);
                self.tell(Event::Reported {
                    study: study.clone(),
                    findings: Arc::new(findings),
                    folder,
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
        let now = self.started.elapsed();
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        let effects = kept
            .progress
            .on(Happening::Stopped(reason.clone()), now, self.quiet);
        kept.since = now;
        if matches!(kept.progress.stage(), Stage::Failed(_)) {
            self.give_up(study, reason);
        }
        self.carry_out(study, effects);
    }

    /// Findings that say why there are none, before the state says that the study failed.
    pub(super) fn give_up(&mut self, study: &Uid, reason: Reason) {
        let answer = Answer {
            findings: no_answer(study, reason.clone()),
            views: Vec::new(),
        };
        match self.keep_answer(study, answer) {
            Ok((_, page)) => self.show(page),
            Err(reason) => tracing::error!(code = reason.code, "{reason}"),
        }
        self.tell(Event::Failed {
            study: study.clone(),
            reason,
        });
    }

    /// Findings and their page to the disk.
    fn keep_answer(&mut self, study: &Uid, answer: Answer) -> Result<(Findings, Option<Frame>), Reason> {
        let Answer { findings, views } = answer;
        let page = self.scene.page(&findings, &views);
        let png = page.as_ref().map(Frame::to_png);
        self.records
            .keep_findings(study, &findings, png.as_deref())
            .map_err(|error| {
                Reason::new(
                    "disk",
                    Fault::Hardware,
                    format!("the findings cannot be kept: {error}"),
                )
            })?;
        if let Some(kept) = self.studies.get_mut(study) {
            kept.identity = Some(findings.study.clone());
        }
        Ok((findings, page))
    }

    fn show(&mut self, page: Option<Frame>) {
        if let Some(page) = page {
            self.scene.show(&page, self.started.elapsed());
        }
    }
}

/// To the keeper, without holding up a thread of the runtime while its inbox is full.
async fn report(inbox: SyncSender<Message>, message: Message) {
    let sent = tokio::task::spawn_blocking(move || drop(inbox.send(message)));
    // A keeper that is gone needs no reports.
    let _ = sent.await;
}

/// Findings that say only why there are none.
fn no_answer(study: &Uid, reason: Reason) -> Findings {
    Findings {
        schema: SCHEMA,
        notice: NOTICE.to_owned(),
        outcome: Outcome::CannotAnswer,
        reasons: vec![reason],
        study: StudyIdentity {
            study_instance_uid: study.to_string(),
            ..StudyIdentity::default()
        },
        lesions: Vec::new(),
        contrasts: Vec::new(),
        missing: Vec::new(),
        refused: Vec::new(),
        quality: Vec::new(),
        model: None,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        timings: Vec::new(),
    }
}
