//! What is kept of a study besides its images.
//!
//! ```text
//! data_dir/studies/<Study>/
//!   state.json            how far it is, and about which instances
//!   findings.json         the last findings
//!   pictures.json         the slices that they are shown on: at first one, later all
//!   screen.png            their page
//!   sr.dcm, seg.dcm, sc.dcm   DICOM objects about them
//!   objects.json          which of these there are
//!   delivery.json         how far each of them is on its way to each destination
//!   superseded-N/         earlier findings and pages, each about fewer images
//! data_dir/studies/
//!   .open/<Study>         an empty file: the study is unfinished ([`super::open`])
//!   .removed/             records on their way out
//!   .drafts/              pictures that are being written; of no worth after a start
//!   .last                 the studies that were finished last, the newest first
//!   .running              running time of the appliance so far, seconds
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use models::findings::Findings;
use models::package::hex;
use models::pictures::Pictures;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Stage;
use super::evidence::{Expected, Present};
use crate::dicom::Uid;
use crate::disk::Disk;
use crate::limits::{MAX_FINDINGS_BYTES, MAX_STATE_BYTES};
use crate::outbox::delivery::Delivery;
use crate::report::{Kind, Object, Predecessor};

/// `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How far it is.
    pub stage: Stage,
    /// Analyses of these instances that began.
    pub attempts: u32,
    /// [`fingerprint`] of the instances.
    pub instances: String,
    /// What was said about how much the study has.
    #[serde(default, skip_serializing_if = "Expected::is_empty")]
    pub expected: Expected,
    /// Running time of the appliance when the stage became final, seconds; its age is counted from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_s: Option<u64>,
}

/// The list of objects.
const OBJECTS: &str = "objects.json";

/// What the findings are shown on.
pub const PICTURES: &str = "pictures.json";

/// The studies that were finished last.
const LAST: &str = ".last";

/// How far they are on their way.
const DELIVERY: &str = "delivery.json";

/// An object about the findings of a study, in `objects.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Which one.
    pub kind: Kind,
    /// (0008,0016).
    pub sop_class: Uid,
    /// (0008,0018).
    pub sop_instance: Uid,
    /// (0020,000E).
    pub series: Uid,
}

impl Listed {
    /// What is listed of an object.
    pub fn of(object: &Object) -> Self {
        Self {
            kind: object.kind,
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            series: object.series.clone(),
        }
    }
}

/// The folder of all records.
pub struct Records {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    markers: PathBuf,
    removed: PathBuf,
    drafts: PathBuf,
}

impl Records {
    /// Opens the records in a data folder.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &Path) -> io::Result<Self> {
        let root = data_dir.join("studies");
        let (removed, drafts) = (root.join(".removed"), root.join(".drafts"));
        disk.make_folder(&root)?;
        disk.make_folder(&removed)?;
        disk.make_folder(&drafts)?;
        Ok(Self {
            disk,
            markers: root.join(".open"),
            removed,
            drafts,
            root,
        })
    }

    /// The studies that have a record, in no order.
    pub fn studies(&self) -> io::Result<Vec<Uid>> {
        self.uids(&self.root)
    }

    /// The studies marked as unfinished; none when the folder of the markers is not there, as in data
    /// of an earlier version.
    pub fn marked(&self) -> io::Result<Option<Vec<Uid>>> {
        if !self.disk.exists(&self.markers)? {
            return Ok(None);
        }
        self.uids(&self.markers).map(Some)
    }

    /// Marks these studies where no folder of markers is. It appears whole or not at all.
    pub fn mark_all(&self, studies: &[Uid]) -> io::Result<()> {
        let draft = self.root.join(".open.draft");
        self.disk.remove_tree(&draft)?;
        self.disk.make_folder(&draft)?;
        for study in studies {
            self.disk.create(&draft.join(study.as_str()))?;
        }
        self.disk.sync_folder(&draft)?;
        self.disk.move_file(&draft, &self.markers)
    }

    /// Marks a study as unfinished, durably.
    pub fn mark(&self, study: &Uid) -> io::Result<()> {
        self.disk.create(&self.markers.join(study.as_str()))?;
        self.disk.sync_folder(&self.markers)
    }

    /// Takes the mark away. Not synced: a mark that comes back costs one look at the study.
    pub fn unmark(&self, study: &Uid) -> io::Result<()> {
        match self.disk.remove_file(&self.markers.join(study.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the record of a study away, durably and in one step. Its bytes are freed by
    /// [`Records::sweep`].
    pub fn remove(&self, study: &Uid) -> io::Result<()> {
        let aside = self.removed.join(study.as_str());
        self.disk.move_aside(&self.folder(study), &aside)
    }

    /// Deletes what was taken away.
    pub fn sweep(&self) -> io::Result<()> {
        self.disk.empty_folder(&self.removed)
    }

    /// How long the appliance has run so far, as it was last written down.
    pub fn running(&self) -> io::Result<Duration> {
        match self
            .disk
            .read_at_most(&self.root.join(".running"), MAX_STATE_BYTES)
        {
            Ok(bytes) => Ok(Duration::from_secs(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Duration::ZERO),
            Err(error) => Err(error),
        }
    }

    /// Writes down how long the appliance has run.
    pub fn keep_running(&self, running: Duration) -> io::Result<()> {
        let seconds = running.as_secs().to_string();
        self.disk.replace(&self.root.join(".running"), seconds.as_bytes())
    }

    /// The names in a folder that are UIDs.
    fn uids(&self, folder: &Path) -> io::Result<Vec<Uid>> {
        let names = self.disk.list(folder)?;
        Ok(names
            .iter()
            .filter_map(|name| Uid::parse(name.to_str()?).ok())
            .collect())
    }

    /// Where the record of a study is.
    pub fn folder(&self, study: &Uid) -> PathBuf {
        self.root.join(study.as_str())
    }

    /// The state of a study; none when there is no record yet.
    ///
    /// # Errors
    /// The disk failed, or the file is not ours (`InvalidData`). It was written as a whole, so that
    /// is no trace of a power cut.
    pub fn state(&self, study: &Uid) -> io::Result<Option<State>> {
        let path = self.folder(study).join("state.json");
        match self.disk.read_at_most(&path, MAX_STATE_BYTES) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the state of a study, durably.
    pub fn keep_state(&self, study: &Uid, state: &State) -> io::Result<()> {
        self.write(study, "state.json", &serde_json::to_vec_pretty(state)?)
    }

    /// Keeps findings, the pictures to look at first and their page, durably.
    pub fn keep_findings(
        &self,
        study: &Uid,
        findings: &Findings,
        pictures: &Pictures,
        page: Option<&[u8]>,
    ) -> io::Result<()> {
        self.write(study, PICTURES, &serde_json::to_vec(pictures)?)?;
        self.write(study, "findings.json", &serde_json::to_vec_pretty(findings)?)?;
        page.map_or(Ok(()), |page| self.write(study, "screen.png", page))
    }

    /// The findings of a study.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn findings(&self, study: &Uid) -> io::Result<Findings> {
        let path = self.folder(study).join("findings.json");
        Ok(serde_json::from_slice(
            &self.disk.read_at_most(&path, MAX_FINDINGS_BYTES)?,
        )?)
    }

    /// Where all pictures of a study are written, as an analysis of this number saw it.
    pub fn draft(&self, study: &Uid, number: u64) -> PathBuf {
        self.drafts.join(format!("{study}-{number}"))
    }

    /// Deletes the drafts that a power cut left.
    pub fn empty_drafts(&self) -> io::Result<()> {
        self.disk.empty_folder(&self.drafts)
    }

    /// The studies that were finished last, the newest first; none where that was never written down.
    pub fn last(&self) -> io::Result<Vec<Uid>> {
        match self.disk.read_at_most(&self.root.join(LAST), MAX_STATE_BYTES) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Writes them down.
    pub fn keep_last(&self, studies: &[&Uid]) -> io::Result<()> {
        self.disk
            .replace(&self.root.join(LAST), &serde_json::to_vec(studies)?)
    }

    /// Puts all pictures, which lie in a draft, in the place of the first ones.
    pub fn keep_all_pictures(&self, study: &Uid, draft: &Path) -> io::Result<()> {
        self.disk.move_file(draft, &self.folder(study).join(PICTURES))
    }

    /// Takes a draft of pictures away that nobody needs any more.
    pub fn drop_draft(&self, draft: &Path) -> io::Result<()> {
        match self.disk.remove_file(draft) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Keeps the objects about the findings, durably; the list of them last.
    pub fn keep_objects(&self, study: &Uid, objects: &[Object]) -> io::Result<()> {
        for object in objects {
            self.write(study, object.kind.file_name(), &object.file)?;
        }
        let listed: Vec<Listed> = objects.iter().map(Listed::of).collect();
        self.write(study, OBJECTS, &serde_json::to_vec_pretty(&listed)?)
    }

    /// The objects about the findings of a study; none before it was reported.
    pub fn objects(&self, study: &Uid) -> io::Result<Vec<Listed>> {
        self.listed(&self.folder(study))
    }

    /// Keeps how far the objects of a study are on their way, durably.
    pub fn keep_delivery(&self, study: &Uid, delivery: &Delivery) -> io::Result<()> {
        self.write(study, DELIVERY, &serde_json::to_vec_pretty(delivery)?)
    }

    /// How far they are; none where nobody is to get them.
    pub fn delivery(&self, study: &Uid) -> io::Result<Option<Delivery>> {
        let path = self.folder(study).join(DELIVERY);
        match self.disk.read_at_most(&path, MAX_STATE_BYTES) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The report that the next one supersedes: the last that was put aside.
    pub fn predecessor(&self, study: &Uid) -> io::Result<Option<Predecessor>> {
        let folder = self.folder(study);
        let mut last = None;
        for number in 1.. {
            let aside = folder.join(format!("superseded-{number}"));
            if !self.disk.exists(&aside)? {
                break;
            }
            let report = self.listed(&aside)?.into_iter().find(|o| o.kind == Kind::Report);
            let report = report.map(|report| Predecessor {
                series: report.series,
                sop_instance: report.sop_instance,
            });
            last = report.or(last);
        }
        Ok(last)
    }

    fn listed(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        match self.disk.read_at_most(&folder.join(OBJECTS), MAX_STATE_BYTES) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Puts findings and page aside, durably. Nothing is deleted.
    pub fn supersede(&self, study: &Uid) -> io::Result<()> {
        let folder = self.folder(study);
        if !self.disk.exists(&folder.join("findings.json"))? {
            return Ok(());
        }
        let mut number = 1;
        while self.disk.exists(&folder.join(format!("superseded-{number}")))? {
            number += 1;
        }
        let aside = folder.join(format!("superseded-{number}"));
        self.disk.make_folder(&aside)?;
        for name in [
            "screen.png",
            PICTURES,
            "sr.dcm",
            "seg.dcm",
            "sc.dcm",
            DELIVERY,
            OBJECTS,
            "findings.json",
        ] {
            match self.disk.move_file(&folder.join(name), &aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.disk.sync_folder(&folder)
    }

    fn write(&self, study: &Uid, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder(study);
        if !self.disk.exists(&folder)? {
            self.disk.make_folder(&folder)?;
        }
        self.disk.replace(&folder.join(name), bytes)
    }
}

/// SHA-256 over the sorted UIDs of series and instances, hexadecimal: tells whether a state is about
/// the instances that are there.
pub fn fingerprint(present: &Present) -> String {
    let mut hash = Sha256::new();
    for (series, sop) in present.iter() {
        hash.update(format!("{series}/{sop}\n"));
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use models::findings::{Fault, Reason};

    use super::*;
    use crate::disk::RealDisk;

    fn records(folder: &Path) -> Records {
        Records::open(Arc::new(RealDisk), folder).unwrap()
    }

    #[test]
    fn a_state_comes_back_as_it_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path());
        let study = Uid::parse("1.2").unwrap();
        assert_eq!(records.state(&study).unwrap(), None);
        let reason = Reason::new("missing_contrast", Fault::Data, "no T2");
        for stage in [Stage::Receiving, Stage::Delivered, Stage::Failed(reason)] {
            let state = State {
                stage,
                attempts: 2,
                instances: fingerprint(&Present::default()),
                expected: Expected::default(),
                finished_at_s: Some(7),
            };
            records.keep_state(&study, &state).unwrap();
            assert_eq!(records.state(&study).unwrap(), Some(state));
        }
    }

    #[test]
    fn superseded_findings_are_put_aside_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path());
        let study = Uid::parse("1.2").unwrap();
        for round in ["first", "second"] {
            records.write(&study, "findings.json", round.as_bytes()).unwrap();
            records.supersede(&study).unwrap();
        }
        records.supersede(&study).unwrap();
        let aside = |number| {
            std::fs::read(
                records
                    .folder(&study)
                    .join(format!("superseded-{number}/findings.json")),
            )
        };
        assert_eq!(
            (aside(1).unwrap(), aside(2).unwrap()),
            (b"first".to_vec(), b"second".to_vec())
        );
        assert!(aside(3).is_err());
    }

    #[test]
    fn marks_appear_together_and_vanish_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path());
        let [a, b] = ["1.2", "1.3"].map(|text| Uid::parse(text).unwrap());
        assert_eq!(records.marked().unwrap(), None, "an earlier version made none");
        records.mark_all(std::slice::from_ref(&a)).unwrap();
        records.mark(&b).unwrap();
        records.mark(&b).unwrap();
        let mut marked = records.marked().unwrap().unwrap();
        marked.sort();
        assert_eq!(marked, [a.clone(), b.clone()]);
        records.unmark(&a).unwrap();
        records.unmark(&a).unwrap();
        assert_eq!(records.marked().unwrap(), Some(vec![b]));
        assert_eq!(records.studies().unwrap(), [], "marks are no records");
    }

    #[test]
    fn a_record_goes_at_once_and_its_bytes_later() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path());
        let study = Uid::parse("1.2").unwrap();
        // Twice: what a power cut left of the first time is in the way of the second.
        for _ in 0..2 {
            records.write(&study, "findings.json", b"{}").unwrap();
            records.supersede(&study).unwrap();
            records.remove(&study).unwrap();
            assert!(!records.folder(&study).exists());
        }
        assert!(records.removed.join("1.2").exists());
        records.sweep().unwrap();
        assert_eq!(std::fs::read_dir(&records.removed).unwrap().count(), 0);
        records.remove(&study).unwrap();
    }

    #[test]
    fn the_running_time_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path());
        assert_eq!(records.running().unwrap(), Duration::ZERO);
        records.keep_running(Duration::from_millis(2900)).unwrap();
        assert_eq!(records.running().unwrap(), Duration::from_secs(2));
    }

    #[test]
    fn the_fingerprint_tells_instances_apart() {
        let of = |all: &[(&str, &str)]| {
            let uid = |text: &str| Uid::parse(text).unwrap();
            fingerprint(&all.iter().map(|(a, b)| (uid(a), uid(b))).collect())
        };
        let one = of(&[("1.2", "3.4")]);
        assert_eq!(one.len(), 64);
        assert_ne!(one, of(&[("1.2", "3.4"), ("1.2", "3.5")]));
        assert_ne!(one, of(&[("1.2", "3.5")]));
    }
}
