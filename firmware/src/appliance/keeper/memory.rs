//! Which studies are in memory: how they come in, from the disk alone, and when they leave.

use std::io;

use super::answers::verdict;
use super::core::{Action, Core, Kept, Settled};
use crate::dicom::Uid;
use crate::limits::LISTED_STUDIES;
use crate::study::evidence::Present;
use crate::study::record::fingerprint;
use crate::study::{Event as Happening, Known, Progress, Stage};

impl Core {
    /// Takes a study into memory, from the disk alone.
    pub(super) fn load(&mut self, study: &Uid, interrupted: bool) {
        match self.try_load(study, interrupted) {
            Ok(()) => {
                self.unread.remove(study);
            }
            Err(error) => {
                self.unread.insert(study.clone());
                self.disk_failed("a study cannot be read", &error);
            }
        }
    }

    fn try_load(&mut self, study: &Uid, interrupted: bool) -> io::Result<()> {
        let present = self.present(study)?;
        if present.count() == 0 {
            self.open.settle(study)?;
            return Ok(());
        }
        // A state that cannot be read says nothing; the images are there, so they are analyzed anew.
        let state = self.records.state(study).unwrap_or_else(|error| {
            self.disk_failed("a state file cannot be read", &error);
            None
        });
        let found = fingerprint(&present);
        let mut known = Known {
            present,
            interrupted,
            ..Known::default()
        };
        if let Some(state) = state {
            known.unchanged = state.instances == found;
            known.stage = Some(state.stage);
            known.attempts = state.attempts;
            known.expected = state.expected;
        }
        let was_analyzing = known.stage == Some(Stage::Analyzing);
        let (progress, effects) = Progress::restore(known, self.now);
        let given_up = match progress.stage() {
            Stage::Failed(reason) if was_analyzing => Some(reason.clone()),
            _ => None,
        };
        let kept = Kept {
            progress,
            covered: found,
            remark: None,
            identity: None,
            verdict: None,
            answers: 0,
            step: None,
            pictures: 0,
            analysis: 0,
            since: Some(self.now),
            unsaved: false,
            whose: None,
            owed: None,
            nameless: None,
            delivery: None,
            unsaved_delivery: false,
        };
        let kept = self.remembered(study, kept);
        self.studies.insert(study.clone(), kept);
        if let Some(reason) = given_up {
            if let Some(kept) = self.studies.get_mut(study) {
                kept.nameless = Some(reason);
            }
            self.actions.push(Action::Identify { study: study.clone() });
        }
        self.carry_out(study, effects);
        self.load_delivery(study)?;
        if let Some(place) = self.announced.iter().position(|said| said.study == *study)
            && let Some(announced) = self.announced.remove(place)
        {
            self.happened(study, Happening::Announced(announced));
        }
        self.settle(study);
        Ok(())
    }

    /// The studies that were finished last before the start, for the screen. What cannot be read is left out: nothing
    /// else depends on it.
    pub(super) fn recall(&mut self) {
        if let Err(error) = self.records.empty_drafts() {
            self.disk_failed("drafts of pictures cannot be deleted", &error);
        }
        let last = self.records.last().unwrap_or_else(|error| {
            self.disk_failed("the list of the last studies cannot be read", &error);
            Vec::new()
        });
        for study in last.into_iter().take(LISTED_STUDIES) {
            // In memory soon, or removed since.
            if self.open.contains(&study) {
                continue;
            }
            let Ok(Some(state)) = self.records.state(&study) else {
                continue;
            };
            let findings = self.records.findings(&study).ok();
            let images = self.spool.instances(&study).map_or(0, |all| all.len() as u64);
            if state.stage.is_final() && images > 0 {
                self.settled.push_back(Settled {
                    study,
                    stage: state.stage,
                    verdict: findings.as_ref().map(verdict),
                    identity: findings.map(|findings| findings.study),
                    answers: 0,
                    pictures: 0,
                    analysis: 0,
                    images,
                    since: None,
                });
            }
        }
    }

    /// What the screen knew of a finished study that comes back into memory unchanged; after a start, what its findings
    /// say.
    fn remembered(&mut self, study: &Uid, kept: Kept) -> Kept {
        let place = self.settled.iter().position(|settled| settled.study == *study);
        let settled = place.and_then(|place| self.settled.remove(place));
        if !kept.progress.stage().is_final() {
            return kept;
        }
        match settled.filter(|settled| settled.stage == *kept.progress.stage()) {
            Some(settled) => Kept {
                identity: settled.identity,
                verdict: settled.verdict,
                answers: settled.answers,
                pictures: settled.pictures,
                analysis: settled.analysis,
                since: settled.since,
                ..kept
            },
            None => match self.records.findings(study) {
                Ok(findings) => Kept {
                    verdict: Some(verdict(&findings)),
                    identity: Some(findings.study),
                    since: None,
                    ..kept
                },
                // The study is there all the same, without a name.
                Err(_) => Kept { since: None, ..kept },
            },
        }
    }

    /// How far its objects were on their way, where it is about all images that are there.
    fn load_delivery(&mut self, study: &Uid) -> io::Result<()> {
        let Some(kept) = self.studies.get_mut(study) else {
            return Ok(());
        };
        if !kept.progress.stage().is_final() || kept.delivery.is_some() {
            return Ok(());
        }
        match self.records.delivery(study) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.disk_failed("how far a delivery was cannot be read", &error);
            }
            delivery => kept.delivery = delivery?,
        }
        self.end_delivery(study);
        Ok(())
    }

    /// A finished study that nobody feeds and that nobody waits for leaves the memory.
    pub(super) fn settle(&mut self, study: &Uid) {
        let Some(kept) = self.studies.get(study) else {
            return;
        };
        if !kept.progress.stage().is_final()
            || kept.progress.is_fed()
            || kept.unsaved
            || kept.unsaved_delivery
        {
            return;
        }
        if self.is_owed(study) {
            return;
        }
        match self.open.settle(study) {
            Ok(false) => {}
            Err(error) => self.disk_failed("the mark of a study cannot be removed", &error),
            Ok(true) => {
                let Some(kept) = self.studies.remove(study) else {
                    return;
                };
                self.settled.truncate(LISTED_STUDIES - 1);
                self.settled.push_front(Settled {
                    study: study.clone(),
                    stage: kept.progress.stage().clone(),
                    identity: kept.identity,
                    verdict: kept.verdict,
                    answers: kept.answers,
                    pictures: kept.pictures,
                    analysis: kept.analysis,
                    images: kept.progress.instances(),
                    since: kept.since,
                });
                let last: Vec<_> = self.settled.iter().map(|settled| &settled.study).collect();
                if let Err(error) = self.records.keep_last(&last) {
                    self.disk_failed("the list of the last studies cannot be kept", &error);
                }
            }
        }
    }

    /// Tries again what the disk refused.
    pub(super) fn try_again(&mut self) {
        for study in std::mem::take(&mut self.unread) {
            self.load(&study, true);
        }
        for study in self.studies.keys().cloned().collect::<Vec<_>>() {
            if let Some(reason) = self.studies.get(&study).and_then(|kept| kept.owed.clone()) {
                self.give_up(&study, reason);
            }
            if self.studies.get(&study).is_some_and(|kept| kept.unsaved) {
                self.persist(&study);
            }
            if self.studies.get(&study).is_some_and(|kept| kept.unsaved_delivery) {
                self.keep_delivery(&study);
            }
            self.settle(&study);
        }
    }

    /// The instances of a study.
    pub(super) fn present(&self, study: &Uid) -> io::Result<Present> {
        Ok(self.spool.instances(study)?.into_iter().collect())
    }
}
