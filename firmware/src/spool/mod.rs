//! Durable storage of instances: what is acknowledged is on disk.
//!
//! ```text
//! data_dir/
//!   spool/
//!     .incoming/N.part                 being received; never acknowledged, removed at start
//!     .removed/<Study>, <Study>.conflicts   on their way out
//!     <Study>/<Series>/<SOP>.dcm       DICOM files (PS3.10), data sets as they came over the wire
//!   conflicts/
//!     <Study>/<Series>/<SOP>.N.dcm     other contents under a known SOP Instance UID
//! ```
//!
//! A path is made of checked [`Uid`]s only. There is no index: the names are the index, so nothing
//! can contradict the files after a power cut.

pub(crate) mod disk;
mod incoming;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dicom::dataset::{Counts, DataSetError, Identity};
use crate::dicom::Uid;
use crate::limits::MAX_CONFLICTS;

pub use incoming::Incoming;

/// The folder of one appliance's instances. One process at a time; many threads.
pub struct Spool {
    root: PathBuf,
    incoming: PathBuf,
    conflicts: PathBuf,
    removed: PathBuf,
    limits: SpoolLimits,
    next: AtomicU64,
    /// The folders whose own existence is known to be durable. Also the lock under which names are given.
    folders: Mutex<HashSet<PathBuf>>,
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

/// An instance that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose it is.
    pub identity: Identity,
    /// What it states about its study.
    pub counts: Counts,
    /// What became of it.
    pub outcome: StoreOutcome,
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
}

impl Spool {
    /// Opens the spool in a data folder, makes its folders, and removes what was never acknowledged.
    pub fn open(data_dir: &Path, limits: SpoolLimits) -> io::Result<Self> {
        let root = data_dir.join("spool");
        let incoming = root.join(".incoming");
        let conflicts = data_dir.join("conflicts");
        let removed = root.join(".removed");
        fs::create_dir_all(data_dir)?;
        for folder in [&root, &incoming, &conflicts, &removed] {
            disk::create_folder(folder)?;
        }
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self {
            root,
            incoming,
            conflicts,
            removed,
            limits,
            next: AtomicU64::new(0),
            folders: Mutex::default(),
        })
    }

    /// Begins to receive a data set. Refuses at once when the disk is nearly full.
    pub fn receive(&self, announced: Announced) -> Result<Incoming<'_>, StoreError> {
        if disk::free_bytes(&self.root)? < self.limits.free_bytes {
            return Err(StoreError::NoSpace(self.limits.free_bytes));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Incoming::create(self, self.incoming.join(format!("{number}.part")), announced)
    }

    /// The folder with the instances of a study; one folder per series in it.
    pub fn folder(&self, study: &Uid) -> PathBuf {
        self.root.join(study.as_str())
    }

    /// The studies of which at least a folder is there. Names that are no UIDs are not ours.
    pub fn studies(&self) -> io::Result<Vec<Uid>> {
        disk::names(&self.root, Uid::parse)
    }

    /// The instances of a study as (series, SOP instance), in ascending order.
    pub fn instances(&self, study: &Uid) -> io::Result<Vec<(Uid, Uid)>> {
        let folder = self.folder(study);
        let mut instances = Vec::new();
        for series in disk::names(&folder, Uid::parse)? {
            let sop = disk::names(&folder.join(series.as_str()), |name| {
                Uid::parse(name.strip_suffix(".dcm").unwrap_or_default())
            })?;
            instances.extend(sop.into_iter().map(|sop| (series.clone(), sop)));
        }
        instances.sort();
        Ok(instances)
    }

    /// Takes the images of a study away, durably and in one step, if they are still those of which
    /// `unchanged` approves: no name is given meanwhile. Their bytes are freed by [`Spool::sweep`].
    pub fn remove(
        &self,
        study: &Uid,
        unchanged: impl FnOnce(Vec<(Uid, Uid)>) -> bool,
    ) -> io::Result<bool> {
        let mut folders = self
            .folders
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !unchanged(self.instances(study)?) {
            return Ok(false);
        }
        let (images, conflicts) = (self.folder(study), self.conflicts.join(study.as_str()));
        folders.retain(|folder| !folder.starts_with(&images) && !folder.starts_with(&conflicts));
        // Conflicts first: without the images beside them they would say nothing.
        let aside = self.removed.join(format!("{study}.conflicts"));
        disk::create_folder(&aside)?;
        disk::move_aside(&conflicts, &aside)?;
        disk::move_aside(&images, &self.removed)?;
        Ok(true)
    }

    /// Deletes what was taken away.
    pub fn sweep(&self) -> io::Result<()> {
        disk::empty_folder(&self.removed)
    }

    /// Free space on the partition, bytes.
    pub fn free_bytes(&self) -> io::Result<u64> {
        disk::free_bytes(&self.root)
    }

    /// Where an instance is, or would be.
    pub fn path(&self, identity: &Identity) -> PathBuf {
        place(&self.root, identity).join(format!("{}.dcm", identity.sop_instance))
    }

    /// Gives a received and synced file its name, durably.
    fn keep(&self, part: &Path, identity: &Identity) -> Result<StoreOutcome, StoreError> {
        // A poisoned lock means that another thread panicked between two renames; the disk is
        // consistent after each.
        let mut folders = self
            .folders
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = self.path(identity);
        if !path.try_exists()? {
            self.make_place(&mut folders, &self.root, identity)?;
            disk::rename(part, &path)?;
            return Ok(StoreOutcome::New);
        }
        if same_content(part, &path)? {
            // Its first copy may have been renamed by another thread a moment ago.
            disk::sync_folder(&place(&self.root, identity))?;
            fs::remove_file(part)?;
            return Ok(StoreOutcome::Repeated);
        }
        self.make_place(&mut folders, &self.conflicts, identity)?;
        for number in 1..=MAX_CONFLICTS {
            let path =
                place(&self.conflicts, identity).join(format!("{}.{number}.dcm", identity.sop_instance));
            if !path.try_exists()? {
                disk::rename(part, &path)?;
                return Ok(StoreOutcome::Conflicting);
            }
            if same_content(part, &path)? {
                disk::sync_folder(&place(&self.conflicts, identity))?;
                fs::remove_file(part)?;
                return Ok(StoreOutcome::Conflicting);
            }
        }
        Err(StoreError::TooManyConflicts)
    }

    fn make_place(&self, known: &mut HashSet<PathBuf>, under: &Path, identity: &Identity) -> io::Result<()> {
        let study = under.join(identity.study.as_str());
        for folder in [study.join(identity.series.as_str()), study].into_iter().rev() {
            if !known.contains(&folder) {
                disk::create_folder(&folder)?;
                known.insert(folder);
            }
        }
        Ok(())
    }
}

fn place(under: &Path, identity: &Identity) -> PathBuf {
    under.join(identity.study.as_str()).join(identity.series.as_str())
}

/// Whether two files hold the same data set in the same transfer syntax. Their file meta information
/// may differ: it names the sender.
fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, syntax_a) = open_data_set(a)?;
    let (mut b, syntax_b) = open_data_set(b)?;
    if syntax_a != syntax_b {
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

/// A stored file, at the first byte of its data set, and its transfer syntax.
fn open_data_set(path: &Path) -> io::Result<(BufReader<File>, String)> {
    let broken =
        |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut file = BufReader::new(File::open(path)?);
    file.seek(SeekFrom::Start(incoming::PREAMBLE_BYTES))?;
    let meta = dicom_object::FileMetaTable::from_reader(&mut file).map_err(|error| broken(&error))?;
    let syntax = meta.transfer_syntax().to_owned();
    Ok((file, syntax))
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
