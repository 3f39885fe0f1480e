//! What is kept of a study besides its images.
//!
//! ```text
//! data_dir/studies/<Study>/
//!   state.json            how far it is, and about which instances
//!   findings.json         the last findings
//!   screen.png            their page
//!   superseded-N/         earlier findings and pages, each about fewer images
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::findings::Findings;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Stage;
use crate::dicom::Uid;
use crate::disk::Disk;
use crate::limits::MAX_STATE_BYTES;

/// `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How far it is.
    pub stage: Stage,
    /// Analyses of these instances that began.
    pub attempts: u32,
    /// [`fingerprint`] of the instances.
    pub instances: String,
}

/// The folder of all records.
pub struct Records {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Records {
    /// Opens the records in a data folder.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &Path) -> io::Result<Self> {
        let root = data_dir.join("studies");
        disk.make_folder(&root)?;
        Ok(Self { disk, root })
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

    /// Keeps findings and their page, durably.
    pub fn keep_findings(&self, study: &Uid, findings: &Findings, page: Option<&[u8]>) -> io::Result<()> {
        self.write(study, "findings.json", &serde_json::to_vec_pretty(findings)?)?;
        page.map_or(Ok(()), |page| self.write(study, "screen.png", page))
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
        for name in ["screen.png", "findings.json"] {
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
pub fn fingerprint(instances: &[(Uid, Uid)]) -> String {
    let mut hash = Sha256::new();
    for (series, sop) in instances {
        hash.update(format!("{series}/{sop}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
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
                instances: fingerprint(&[]),
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
    fn the_fingerprint_tells_instances_apart() {
        let pair = |a: &str, b: &str| (Uid::parse(a).unwrap(), Uid::parse(b).unwrap());
        let one = fingerprint(&[pair("1.2", "3.4")]);
        assert_eq!(one.len(), 64);
        assert_ne!(one, fingerprint(&[pair("1.2", "3.4"), pair("1.2", "3.5")]));
        assert_ne!(one, fingerprint(&[pair("1.2", "3.5")]));
    }
}
