//! Durable storage of instances: what is acknowledged is on disk.
//!
//! ```text
//! data_dir/
//!   spool/
//!     .incoming/N.part                 being received; never acknowledged, removed at start
//!     .removed/                        studies on their way out
//!     <Study>/<Series>/<SOP>.dcm       DICOM files (PS3.10), data sets as they came over the wire
//!   conflicts/
//!     <Study>/<Series>/<SOP>.N.dcm     other contents under a known SOP Instance UID
//! ```
//!
//! A path is made of checked [`Uid`]s only. There is no index: the names are the index, so nothing
//! can contradict the files after a power cut.
//!
//! An instance is written under a temporary name, synced, renamed, and the folder synced; then it is
//! acknowledged. Associations sync their files side by side and share the syncs of folders.

mod commit;
mod health;
mod held;
mod incoming;
mod stay;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dicom_object::FileMetaTable;

use self::commit::Commits;
use self::health::Health;
use self::stay::Stay;
use crate::dicom::dataset::{Counts, DataSetError, Identity, patient_id, storable};
use crate::dicom::{Uid, UidError};
use crate::disk::{Disk, DiskFile};
use crate::limits::{DISK_CHECK_EVERY, MAX_CONFLICTS};

pub use incoming::Incoming;

/// The folder of one appliance's instances. One process at a time; many threads.
pub struct Spool {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    incoming: PathBuf,
    conflicts: PathBuf,
    removed: PathBuf,
    limits: SpoolLimits,
    next: AtomicU64,
    /// The lock under which names are given and taken away.
    names: Mutex<Names>,
    commits: Commits,
    health: Health,
    check_every: Duration,
}

/// What is known of the names on the disk.
#[derive(Default)]
struct Names {
    /// The folders whose own existence is known to be durable.
    durable: HashSet<PathBuf>,
    /// The studies that must not be taken away now, and for how many reasons.
    staying: HashMap<Uid, usize>,
}

/// How much the spool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Largest object, bytes.
    pub object_bytes: u64,
    /// Free space that must remain on the partition, bytes.
    pub free_bytes: u64,
}

/// What the C-STORE command says about the data set that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Affected SOP Class UID.
    pub sop_class: Uid,
    /// Affected SOP Instance UID.
    pub sop_instance: Uid,
    /// Of the presentation context.
    pub transfer_syntax: String,
    /// Calling AE title, for the file meta information.
    pub source: String,
}

/// An instance that is durable. Its study is not taken away before this is dropped.
pub struct Stored<'s> {
    /// Whose it is.
    pub identity: Identity,
    /// What it states about its study.
    pub counts: Counts,
    /// What became of it.
    pub outcome: StoreOutcome,
    _stay: Stay<'s>,
}

/// What became of a data set that was received well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// A new instance.
    New,
    /// The same bytes were there already.
    Repeated,
    /// Another content under this UID was there already; both are kept, the analysis reads the first.
    Conflicting,
}

/// Why a data set was not stored. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The partition has less free space than must remain.
    #[error("the disk has less than {} MiB left", .0 >> 20)]
    NoSpace(u64),
    /// The object exceeds the limit.
    #[error("the object is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
    /// The data set cannot be read, or lacks an identity.
    #[error(transparent)]
    DataSet(#[from] DataSetError),
    /// The data set has another identity than the command announced.
    #[error("the {0} of the data set is not that of the command")]
    Mismatch(&'static str),
    /// Too many different contents under one UID.
    #[error("{MAX_CONFLICTS} other contents are already kept under its SOP Instance UID")]
    TooManyConflicts,
    /// The file meta information cannot be written.
    #[error("the file meta information cannot be written: {0}")]
    Meta(String),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(#[from] io::Error),
    /// The disk failed earlier and has passed no check since.
    #[error("the disk failed and has passed no check since: {0}")]
    Latched(String),
}

impl Spool {
    /// Opens the spool in a data folder, makes its folders, and removes what was never acknowledged.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &Path, limits: SpoolLimits) -> io::Result<Self> {
        let root = data_dir.join("spool");
        let incoming = root.join(".incoming");
        let conflicts = data_dir.join("conflicts");
        let removed = root.join(".removed");
        for folder in [&root, &incoming, &conflicts, &removed] {
            disk.make_folder(folder)?;
        }
        for name in disk.list(&incoming)? {
            disk.remove_file(&incoming.join(name))?;
        }
        Ok(Self {
            disk,
            root,
            incoming,
            conflicts,
            removed,
            limits,
            next: AtomicU64::new(0),
            names: Mutex::default(),
            commits: Commits::default(),
            health: Health::default(),
            check_every: DISK_CHECK_EVERY,
        })
    }

    /// Begins to receive a data set. Refuses at once when the disk is nearly full, or not to be trusted.
    pub fn receive(&self, announced: Announced) -> Result<Incoming<'_>, StoreError> {
        self.health
            .check(&*self.disk, &self.incoming, self.check_every)
            .map_err(StoreError::Latched)?;
        if self.watched(self.disk.free_bytes(&self.root))? < self.limits.free_bytes {
            return Err(StoreError::NoSpace(self.limits.free_bytes));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Incoming::create(self, self.incoming.join(format!("{number}.part")), announced)
    }

    /// Something else failed on the same disk.
    pub fn distrust(&self, error: &io::Error) {
        self.health.saw(error);
    }

    /// What is wrong with the disk, while nothing is acknowledged for it.
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// The folder with the instances of a study; one folder per series in it.
    pub fn folder(&self, study: &Uid) -> PathBuf {
        self.root.join(study.as_str())
    }

    /// Whether a study has a folder.
    pub fn holds(&self, study: &Uid) -> io::Result<bool> {
        self.disk.exists(&self.folder(study))
    }

    /// The studies of which at least a folder is there. Names that are no UIDs are not ours.
    pub fn studies(&self) -> io::Result<Vec<Uid>> {
        self.list(&self.root, Uid::parse)
    }

    /// The instances of a study as (series, SOP instance), in ascending order; none when there is no such
    /// study.
    pub fn instances(&self, study: &Uid) -> io::Result<Vec<(Uid, Uid)>> {
        let folder = self.folder(study);
        let mut instances = Vec::new();
        let all_series = match self.list(&folder, Uid::parse) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(instances),
            found => found?,
        };
        for series in all_series {
            let sop = self.list(&folder.join(series.as_str()), |name| {
                Uid::parse(name.strip_suffix(".dcm").unwrap_or_default())
            })?;
            instances.extend(sop.into_iter().map(|sop| (series.clone(), sop)));
        }
        instances.sort();
        Ok(instances)
    }

    /// Takes the images of a study away, durably and in one step, if they are still those of which
    /// `unchanged` approves and nobody has just stored one of them: no name is given meanwhile. Their bytes
    /// are freed by [`Spool::sweep`].
    pub fn remove(&self, study: &Uid, unchanged: impl FnOnce(Vec<(Uid, Uid)>) -> bool) -> io::Result<bool> {
        let mut names = self.names();
        let (images, conflicts) = (self.folder(study), self.conflicts.join(study.as_str()));
        if names.staying.contains_key(study) || !unchanged(self.instances(study)?) {
            return Ok(false);
        }
        names
            .durable
            .retain(|folder| !folder.starts_with(&images) && !folder.starts_with(&conflicts));
        // Conflicts first: without the images beside them they would say nothing.
        let aside = self.removed.join(format!("{study}.conflicts"));
        self.disk.move_aside(&conflicts, &aside)?;
        self.disk
            .move_aside(&images, &self.removed.join(study.as_str()))?;
        Ok(true)
    }

    /// Deletes what was taken away.
    pub fn sweep(&self) -> io::Result<()> {
        self.disk.empty_folder(&self.removed)
    }

    /// Free space on the partition, bytes.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.root)
    }

    /// Where an instance is, or would be.
    pub fn path(&self, identity: &Identity) -> PathBuf {
        place(&self.root, identity).join(format!("{}.dcm", identity.sop_instance))
    }

    /// (0010,0020) of an instance; none where it has none.
    pub fn patient_id(&self, identity: &Identity) -> io::Result<Option<String>> {
        self.patient_id_in(&self.path(identity))
    }

    /// (0010,0020) of a study, as its first instance has it; none where there is none.
    pub fn patient_of(&self, study: &Uid) -> io::Result<Option<String>> {
        if !self.holds(study)? {
            return Ok(None);
        }
        let Some((series, sop)) = self.instances(study)?.into_iter().next() else {
            return Ok(None);
        };
        let folder = self.folder(study).join(series.as_str());
        self.patient_id_in(&folder.join(format!("{sop}.dcm")))
    }

    fn patient_id_in(&self, path: &Path) -> io::Result<Option<String>> {
        let (data_set, meta) = open_data_set(self.disk.open(path)?)?;
        Ok(storable(meta.transfer_syntax())
            .and_then(|syntax| patient_id(data_set, syntax, self.limits.object_bytes)))
    }

    /// Gives a received and synced file its name, durably.
    /// Its study must [`Stay`].
    fn keep(&self, part: &Path, identity: &Identity) -> Result<StoreOutcome, StoreError> {
        let (path, outcome) = self.watched_store(self.name(part, identity))?;
        let folder = path.parent().unwrap_or(&self.root);
        if let Err(error) = self.watched(self.commits.sync(&*self.disk, folder)) {
            if outcome == StoreOutcome::New {
                // Not acknowledged, so it must come again, and must then be new.
                let _ = self.disk.remove_file(&path);
            }
            return Err(error.into());
        }
        match self.health.trouble() {
            // Another thread saw the disk fail meanwhile; what it then says about this file is worth nothing.
            Some(trouble) => Err(StoreError::Latched(trouble)),
            None => Ok(outcome),
        }
    }

    /// Gives a file its name, which the next sync of the folder makes durable.
    fn name(&self, part: &Path, identity: &Identity) -> Result<(PathBuf, StoreOutcome), StoreError> {
        let mut names = self.names();
        let path = self.path(identity);
        if !self.disk.exists(&path)? {
            self.make_place(&mut names.durable, &self.root, identity)?;
            self.disk.rename(part, &path)?;
            return Ok((path, StoreOutcome::New));
        }
        if self.same_content(part, &path)? {
            self.disk.remove_file(part)?;
            return Ok((path, StoreOutcome::Repeated));
        }
        self.make_place(&mut names.durable, &self.conflicts, identity)?;
        for number in 1..=MAX_CONFLICTS {
            let path =
                place(&self.conflicts, identity).join(format!("{}.{number}.dcm", identity.sop_instance));
            if !self.disk.exists(&path)? {
                self.disk.rename(part, &path)?;
                return Ok((path, StoreOutcome::Conflicting));
            }
            if self.same_content(part, &path)? {
                self.disk.remove_file(part)?;
                return Ok((path, StoreOutcome::Conflicting));
            }
        }
        Err(StoreError::TooManyConflicts)
    }

    /// A poisoned lock means that another thread panicked between two renames; the disk is consistent
    /// after each.
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_place(&self, known: &mut HashSet<PathBuf>, under: &Path, identity: &Identity) -> io::Result<()> {
        let study = under.join(identity.study.as_str());
        for folder in [study.join(identity.series.as_str()), study].into_iter().rev() {
            if !known.contains(&folder) {
                self.disk.make_folder(&folder)?;
                known.insert(folder);
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path, parse: impl Fn(&str) -> Result<Uid, UidError>) -> io::Result<Vec<Uid>> {
        let mut found: Vec<Uid> = self
            .disk
            .list(folder)?
            .iter()
            .filter_map(|name| parse(name.to_str()?).ok())
            .collect();
        found.sort();
        Ok(found)
    }

    /// Whether two files hold the same data set in the same transfer syntax. Their file meta information
    /// may differ: it names the sender.
    fn same_content(&self, a: &Path, b: &Path) -> io::Result<bool> {
        let (mut a, meta_a) = open_data_set(self.disk.open(a)?)?;
        let (mut b, meta_b) = open_data_set(self.disk.open(b)?)?;
        if meta_a.transfer_syntax() != meta_b.transfer_syntax() {
            return Ok(false);
        }
        let (mut block_a, mut block_b) = ([0; 8192], [0; 8192]);
        loop {
            let count = read_block(&mut a, &mut block_a)?;
            if count != read_block(&mut b, &mut block_b)? || block_a[..count] != block_b[..count] {
                return Ok(false);
            }
            if count == 0 {
                return Ok(true);
            }
        }
    }

    /// Latches an error of the disk.
    fn watched<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.health.saw(error))
    }

    /// Latches an error of the disk among other reasons.
    fn watched_store<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.inspect_err(|error| match error {
            StoreError::Io(error) | StoreError::DataSet(DataSetError::Io(error)) => self.health.saw(error),
            _ => {}
        })
    }
}

fn place(under: &Path, identity: &Identity) -> PathBuf {
    under.join(identity.study.as_str()).join(identity.series.as_str())
}

/// A stored file, at the first byte of its data set, and its file meta information.
fn open_data_set(file: Box<dyn DiskFile>) -> io::Result<(BufReader<Box<dyn DiskFile>>, FileMetaTable)> {
    let broken =
        |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut file = BufReader::new(file);
    file.seek(SeekFrom::Start(incoming::PREAMBLE_BYTES))?;
    let meta = FileMetaTable::from_reader(&mut file).map_err(|error| broken(&error))?;
    Ok((file, meta))
}

fn read_block(source: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match source.read(&mut block[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
