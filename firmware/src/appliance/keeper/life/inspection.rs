//! What must be true of every life.

use std::time::Duration;

use models::findings::{Findings, Outcome};

use super::appliance::folders;
use super::world::{Ended, World};
use super::{Instances, RETENTION};
use crate::dicom::Uid;
use crate::disk::Disk as _;
use crate::disk::simulated::Faults;
use crate::limits::LEAST_KEPT;
use crate::study::Stage;
use crate::study::record::{Records, fingerprint};

impl World {
    /// A study is gone. May it?
    pub(super) fn removed(&mut self, study: &Uid) {
        let acknowledged = self.acknowledged.remove(study).unwrap_or_default();
        let ended = self.ended.remove(study);
        self.seen.remove(study);
        self.tally.removed += 1;
        let Some(ended) = ended else {
            return self.check(false, "a study was removed that nobody had analyzed");
        };
        self.check(
            acknowledged.is_subset(&ended.seen),
            "a study was removed whose last images nobody had analyzed",
        );
        self.check(
            self.is_delivered(study),
            "a study was removed that a destination lacks",
        );
        self.expected.remove(study);
        let least = if ended.failed { RETENTION.age } else { LEAST_KEPT };
        self.check(self.now >= ended.at + least, "a study was removed too early");
    }

    /// What must be true whenever the power comes back, and at the end.
    pub(super) fn inspect(&mut self, at_the_end: bool) {
        self.disk.set_faults(Faults::default());
        let Some((spool, records, open)) = folders(&self.disk) else {
            return self.check(false, "the data folder cannot be opened");
        };
        for study in self.acknowledged.keys().cloned().collect::<Vec<_>>() {
            let present: Instances = match spool.instances(&study) {
                Ok(all) => all.into_iter().collect(),
                Err(_) => Instances::new(),
            };
            let Ok(state) = records.state(&study) else {
                return self.check(false, "a state cannot be read");
            };
            if present.is_empty() {
                // Moved aside in the moment of the cut; its record may still be there.
                self.removed(&study);
                continue;
            }
            let acknowledged = &self.acknowledged[&study];
            self.check(acknowledged.is_subset(&present), "an acknowledged image is lost");
            if open.contains(&study) {
                self.check(!at_the_end, "a study is still open");
                continue;
            }
            // Not marked: nobody looks at it, so it must be finished, and about all that was acknowledged.
            let Some(state) = state.filter(|state| state.stage.is_final()) else {
                return self.check(false, "an unfinished study is not marked");
            };
            let found = fingerprint(&present.iter().cloned().collect());
            let about_all = state.instances == found;
            let strangers = present.difference(acknowledged).next().is_some();
            self.check(about_all || strangers, "a result is not about all images");
            if about_all {
                self.check_findings(&records, &study, &state.stage, &found);
                let listed = records.objects(&study).unwrap_or_default();
                let uids = listed.into_iter().map(|object| object.sop_instance).collect();
                self.expected.insert(study.clone(), uids);
                self.check(
                    self.is_delivered(&study),
                    "a settled study is not where it should be",
                );
                let failed = matches!(state.stage, Stage::Failed(_));
                // The cut may have come before the world was told.
                let at = self.ended.get(&study).map_or(Duration::ZERO, |ended| ended.at);
                let seen = present;
                self.ended.insert(study, Ended { at, failed, seen });
            }
        }
    }

    fn check_findings(&self, records: &Records, study: &Uid, stage: &Stage, found: &str) {
        let file = records.folder(study).join("findings.json");
        let bytes = self.disk.read_at_most(&file, 1 << 20).unwrap_or_default();
        let Ok(findings) = serde_json::from_slice::<Findings>(&bytes) else {
            return self.check(false, "a finished study has no findings");
        };
        let about = findings.study.description == found;
        let gave_up = findings.outcome == Outcome::CannotAnswer;
        let fits = match stage {
            Stage::Failed(_) => gave_up,
            _ => about,
        };
        self.check(fits, "the findings are not about all images");
    }
}
