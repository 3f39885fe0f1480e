//! What the keeper keeps: the seam between its decisions and the disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use models::findings::Findings;

use crate::dicom::Uid;
use crate::spool::Spool;
use crate::study::evidence::Present;
use crate::study::record::{Records, State};

/// Images, records and marks of all studies. Each step is durable when it returns, and a power cut
/// within leaves it done or not done.
pub(in crate::appliance) trait Shelf: Send + Sync {
    /// The instances of a study; empty when there are none.
    fn present(&self, study: &Uid) -> io::Result<Present>;
    /// Whether a study has images.
    fn has_images(&self, study: &Uid) -> io::Result<bool>;
    /// The studies with images or a record, ascending.
    fn studies(&self) -> io::Result<Vec<Uid>>;
    /// The state of a study, if there is one.
    fn state(&self, study: &Uid) -> io::Result<Option<State>>;
    /// Keeps the state of a study.
    fn keep_state(&self, study: &Uid, state: &State) -> io::Result<()>;
    /// Where the record of a study is, for people.
    fn record(&self, study: &Uid) -> PathBuf;
    /// Keeps findings and their page.
    fn keep_findings(&self, study: &Uid, findings: &Findings, page: Option<&[u8]>) -> io::Result<()>;
    /// Puts findings and page aside.
    fn supersede(&self, study: &Uid) -> io::Result<()>;

    /// The marked studies.
    fn marked(&self) -> io::Result<Vec<Uid>>;
    /// Marks a study as unfinished.
    fn mark(&self, study: &Uid) -> io::Result<()>;
    /// Takes the mark away; it may come back with a power cut.
    fn unmark(&self, study: &Uid) -> io::Result<()>;

    /// Takes the images of a study away if they are still those of which `unchanged` approves.
    fn remove_images(&self, study: &Uid, unchanged: &dyn Fn(&Present) -> bool) -> io::Result<bool>;
    /// Takes the record of a study away.
    fn remove_record(&self, study: &Uid) -> io::Result<()>;
    /// Frees the space of what was taken away.
    fn sweep(&self) -> io::Result<()>;
    /// Free space, bytes.
    fn free_bytes(&self) -> io::Result<u64>;

    /// How long the appliance has run so far, as it was last kept.
    fn running(&self) -> io::Result<Duration>;
    /// Keeps how long the appliance has run.
    fn keep_running(&self, running: Duration) -> io::Result<()>;
}

/// The spool and the records in the data folder.
pub(in crate::appliance) struct Files {
    pub spool: Arc<Spool>,
    pub records: Records,
}

impl Shelf for Files {
    fn present(&self, study: &Uid) -> io::Result<Present> {
        match self.spool.instances(study) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Present::default()),
            found => Ok(found?.into_iter().collect()),
        }
    }

    fn has_images(&self, study: &Uid) -> io::Result<bool> {
        self.spool.folder(study).try_exists()
    }

    fn studies(&self) -> io::Result<Vec<Uid>> {
        let mut studies = self.spool.studies()?;
        studies.extend(self.records.studies()?);
        studies.sort();
        studies.dedup();
        Ok(studies)
    }

    fn state(&self, study: &Uid) -> io::Result<Option<State>> {
        self.records.state(study)
    }

    fn keep_state(&self, study: &Uid, state: &State) -> io::Result<()> {
        self.records.keep_state(study, state)
    }

    fn record(&self, study: &Uid) -> PathBuf {
        self.records.folder(study)
    }

    fn keep_findings(&self, study: &Uid, findings: &Findings, page: Option<&[u8]>) -> io::Result<()> {
        self.records.keep_findings(study, findings, page)
    }

    fn supersede(&self, study: &Uid) -> io::Result<()> {
        self.records.supersede(study)
    }

    fn marked(&self) -> io::Result<Vec<Uid>> {
        if let Some(marked) = self.records.marked()? {
            return Ok(marked);
        }
        let all = self.spool.studies()?;
        tracing::info!(studies = all.len(), "no marks of unfinished studies: looking at all once");
        self.records.mark_all(&all)?;
        Ok(all)
    }

    fn mark(&self, study: &Uid) -> io::Result<()> {
        self.records.mark(study)
    }

    fn unmark(&self, study: &Uid) -> io::Result<()> {
        self.records.unmark(study)
    }

    fn remove_images(&self, study: &Uid, unchanged: &dyn Fn(&Present) -> bool) -> io::Result<bool> {
        self.spool
            .remove(study, |instances| unchanged(&instances.into_iter().collect()))
    }

    fn remove_record(&self, study: &Uid) -> io::Result<()> {
        self.records.remove(study)
    }

    fn sweep(&self) -> io::Result<()> {
        self.spool.sweep()?;
        self.records.sweep()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.spool.free_bytes()
    }

    fn running(&self) -> io::Result<Duration> {
        self.records.running()
    }

    fn keep_running(&self, running: Duration) -> io::Result<()> {
        self.records.keep_running(running)
    }
}
