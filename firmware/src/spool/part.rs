//! Temporary files, made before they are needed.
//!
//! To create a file takes a fifth of the time of storing an image. It is spent while the peer thinks
//! about its next image, and not while it waits for our answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Spool;
use crate::disk::DiskFile;
use crate::limits::PARTS_AHEAD;

/// The files that are there, and the number of the next one.
#[derive(Default)]
pub(super) struct Parts {
    next: AtomicU64,
    ahead: Mutex<Vec<Blank>>,
}

/// An empty file.
struct Blank {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

/// A temporary file in use, removed when dropped unless it was moved away.
pub(super) struct Part<'s> {
    spool: &'s Spool,
    path: PathBuf,
    moved: bool,
}

impl Parts {
    /// Each file is put in or taken out as a whole.
    fn ahead(&self) -> MutexGuard<'_, Vec<Blank>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    /// Makes a file for the next data set, now that nobody waits. Where that fails, the next data set tells.
    pub fn prepare(&self) {
        if self.parts.ahead().len() < PARTS_AHEAD
            && self.trouble().is_none()
            && let Ok(blank) = self.blank()
        {
            self.parts.ahead().push(blank);
        }
    }

    /// Of files that were made before the disk failed nothing is known.
    pub(super) fn forget_blanks(&self) {
        for blank in self.parts.ahead().drain(..) {
            // The next start removes what cannot be removed now.
            let _ = self.disk.remove_file(&blank.path);
        }
    }

    fn blank(&self) -> io::Result<Blank> {
        let number = self.parts.next.fetch_add(1, Ordering::Relaxed);
        let path = self.incoming.join(format!("{number}.part"));
        let file = self.disk.create(&path)?;
        Ok(Blank { path, file })
    }
}

impl<'s> Part<'s> {
    /// An empty file, and where it is.
    pub fn take(spool: &'s Spool) -> io::Result<(Self, Box<dyn DiskFile>)> {
        let ahead = spool.parts.ahead().pop();
        let Blank { path, file } = ahead.map_or_else(|| spool.blank(), Ok)?;
        let part = Self {
            spool,
            path,
            moved: false,
        };
        Ok((part, file))
    }

    pub fn spool(&self) -> &'s Spool {
        self.spool
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It has another name now, or is gone.
    pub fn is_moved(&mut self) {
        self.moved = true;
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.moved {
            // The next start removes what cannot be removed now.
            let _ = self.spool.disk.remove_file(&self.path);
        }
    }
}
