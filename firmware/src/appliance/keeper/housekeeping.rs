//! What goes to make room, in small steps between everything else.
//!
//! A walk looks at all studies, some at each step, and remembers the oldest that are done. Then they
//! are removed one by one, as long as the rules say so. One study goes in this order, each step in one
//! piece, so that a power cut leaves a legal state after any of them:
//!
//! | step | what a cut after it leaves |
//! |---|---|
//! | the images are moved aside | a record without images: the next walk removes it; a late image makes a study of its own images, and the old findings are put aside |
//! | the audit trail tells of it | the same; the audit trail tells of it twice |
//! | the record is moved aside | nothing of the study |
//! | the bytes are deleted | the rest is deleted at the next walk |
//!
//! Images first: a record without images tells the truth about the past, but images without a record
//! would be a study that nobody has analyzed.

use std::io;
use std::time::Duration;

use super::core::Core;
use crate::appliance::Event;
use crate::dicom::Uid;
use crate::limits::{
    HOUSEKEEPING_HURRY, HOUSEKEEPING_LOOK, HOUSEKEEPING_OLDEST, HOUSEKEEPING_PAUSE, HOUSEKEEPING_STUDIES,
    HOUSEKEEPING_WALK, RUNNING_TIME_KEPT,
};
use crate::station::audit::{AuditEvent, Deleted};
use crate::study::Stage;
use crate::study::record::{State, fingerprint};
use crate::study::retention::Finished;

/// Where housekeeping is.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    /// When it wants its next step.
    pub(super) due: Duration,
    /// Free space at the last look, bytes.
    free_bytes: Option<u64>,
    /// The studies that the walk has still to look at, last one first; none between walks.
    walk: Option<Vec<Uid>>,
    /// The oldest that the last walk found done, ascending; those that failed apart, since space alone
    /// does not remove them and they must not crowd out the others.
    oldest: [Vec<Finished>; 2],
    /// There were more than we remember.
    more: bool,
    /// When the last walk ended.
    walked: Duration,
    /// When the running time was last kept.
    kept_running: Duration,
}

impl Core {
    /// The free space, if it is so small that people should know. Bytes.
    pub(super) fn short_of_space(&self) -> Option<u64> {
        self.housekeeping
            .free_bytes
            .filter(|free| self.rules.retention.warns(*free))
    }

    /// One step, when it is due.
    pub(super) fn keep_house(&mut self) {
        if self.now < self.housekeeping.due {
            return;
        }
        self.housekeeping.due = self.now + HOUSEKEEPING_PAUSE;
        if let Some(studies) = self.housekeeping.walk.take() {
            return self.walk_on(studies);
        }
        self.try_again();
        if self.now >= self.housekeeping.kept_running + RUNNING_TIME_KEPT {
            self.keep_running();
        }
        let free = match self.spool.free_bytes() {
            Ok(free) => free,
            Err(error) => {
                self.housekeeping.due = self.now + HOUSEKEEPING_LOOK;
                return self.disk_failed("the free space is unknown", &error);
            }
        };
        self.housekeeping.free_bytes = Some(free);
        let (rules, running) = (self.rules.retention, self.running());
        if let Some(study) = rules
            .next(self.housekeeping.oldest.iter().flatten(), running, free)
            .cloned()
        {
            self.housekeeping.oldest[usize::from(study.failed)].retain(|other| *other != study);
            self.remove(&study);
        } else if self.is_time_to_walk(free) {
            self.begin_walk();
        } else {
            self.housekeeping.due = self.now + HOUSEKEEPING_LOOK;
        }
    }

    pub(super) fn keep_running(&mut self) {
        self.housekeeping.kept_running = self.now;
        if let Err(error) = self.records.keep_running(self.running()) {
            self.disk_failed("the running time cannot be kept", &error);
        }
    }

    fn is_time_to_walk(&self, free_bytes: u64) -> bool {
        let used_up = self.housekeeping.more && self.housekeeping.oldest.iter().any(Vec::is_empty);
        let pause = if used_up || self.rules.retention.is_short(free_bytes) {
            HOUSEKEEPING_HURRY
        } else {
            HOUSEKEEPING_WALK
        };
        // The first walk waits, too: after a start there is better to do.
        self.now >= self.housekeeping.walked + pause
    }

    fn begin_walk(&mut self) {
        if let Err(error) = self.sweep() {
            self.disk_failed("removed studies cannot be deleted", &error);
        }
        self.housekeeping.oldest = Default::default();
        self.housekeeping.more = false;
        match self.all_studies() {
            Ok(studies) => {
                self.housekeeping.walk = Some(studies);
            }
            Err(error) => {
                self.housekeeping.walked = self.now;
                self.disk_failed("the studies cannot be listed", &error);
            }
        }
    }

    /// Those with images and those with a record, descending.
    fn all_studies(&self) -> io::Result<Vec<Uid>> {
        let mut studies = self.spool.studies()?;
        studies.extend(self.records.studies()?);
        studies.sort_by(|a, b| b.cmp(a));
        studies.dedup();
        Ok(studies)
    }

    fn sweep(&self) -> io::Result<()> {
        self.spool.sweep()?;
        self.records.sweep()
    }

    fn walk_on(&mut self, mut studies: Vec<Uid>) {
        for study in studies.split_off(studies.len().saturating_sub(HOUSEKEEPING_STUDIES)) {
            // In memory: unfinished, or in use.
            if !self.open.contains(&study)
                && let Err(error) = self.look_at(&study)
            {
                self.disk_failed("a study cannot be looked at", &error);
            }
        }
        if studies.is_empty() {
            self.housekeeping.walked = self.now;
        } else {
            self.housekeeping.walk = Some(studies);
        }
    }

    fn look_at(&mut self, study: &Uid) -> io::Result<()> {
        let Some(state) = self.final_state(study)? else {
            // Images that were stored and never acknowledged, or whose mark was lost.
            return self.reopen(study);
        };
        if !self.spool.holds(study)? {
            self.witness_removal(study, None);
            return self.records.remove(study);
        }
        // Rounded up, as when it is kept with the final state.
        let running = self.running().as_secs() + 1;
        let Some(seconds) = state.finished_at_s.filter(|at| *at <= running) else {
            // Of an earlier version, or of a running time that was lost: its age begins now.
            let state = State {
                finished_at_s: Some(running),
                ..state
            };
            return self.records.keep_state(study, &state);
        };
        if state.stage != Stage::Delivered && self.owes(study)? {
            // Its mark was lost, or its destination is in the settings again.
            return self.reopen(study);
        }
        self.remember(Finished {
            at: Duration::from_secs(seconds),
            study: study.clone(),
            failed: matches!(state.stage, Stage::Failed(_)),
        });
        Ok(())
    }

    /// No patient ID where no image was there any more to tell it.
    fn witness_removal(&self, study: &Uid, patient_id: Option<String>) {
        (self.hands.witness)(AuditEvent::StudyDeleted(Deleted {
            study: study.clone(),
            patient_id,
        }));
    }

    /// A state that makes no sense is none: its study is analyzed anew.
    fn final_state(&self, study: &Uid) -> io::Result<Option<State>> {
        match self.records.state(study) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            state => Ok(state?.filter(|state| state.stage.is_final())),
        }
    }

    fn reopen(&mut self, study: &Uid) -> io::Result<()> {
        if self.present(study)?.count() > 0 {
            self.open.reopen(study)?;
            self.load(study, true);
        }
        Ok(())
    }

    fn remember(&mut self, finished: Finished) {
        let oldest = &mut self.housekeeping.oldest[usize::from(finished.failed)];
        let place = oldest.partition_point(|other| *other < finished);
        oldest.insert(place, finished);
        if oldest.len() > HOUSEKEEPING_OLDEST {
            oldest.pop();
            self.housekeeping.more = true;
        }
    }

    fn remove(&mut self, finished: &Finished) {
        if let Err(error) = self.try_remove(finished) {
            self.disk_failed("a finished study cannot be removed", &error);
        }
    }

    fn try_remove(&mut self, finished: &Finished) -> io::Result<()> {
        let study = &finished.study;
        // What was true in the walk may not be so any more: it may have been reopened, and even be
        // finished again.
        if self.open.contains(study) {
            return Ok(());
        }
        let Some(state) = self.final_state(study)? else {
            return Ok(());
        };
        if state.finished_at_s != Some(finished.at.as_secs()) {
            return Ok(());
        }
        let unchanged =
            |all: Vec<_>| all.is_empty() || fingerprint(&all.into_iter().collect()) == state.instances;
        // As long as there is an image that tells it.
        let patient_id = self.spool.patient_of(study).unwrap_or_else(|error| {
            tracing::warn!(%error, "an image cannot be read for the audit trail");
            None
        });
        if !self.spool.remove(study, unchanged)? {
            // An image of which the state knows nothing, or one that comes once more at this moment.
            return self.reopen(study);
        }
        self.settled.retain(|settled| settled.study != *study);
        self.witness_removal(study, patient_id);
        self.tell(Event::Removed { study: study.clone() });
        self.records.remove(study)?;
        tracing::info!(study = study.tag(), "removed a finished study");
        self.sweep()
    }
}
