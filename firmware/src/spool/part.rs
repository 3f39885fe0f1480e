//! Temporary files, made before they are needed.
//!
//! To make a file takes about as long as to write an image into it and sync it. A thread of its own does
//! so ahead of the images, so that no peer waits for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Spool;
use crate::disk::DiskFile;
use crate::limits::PARTS_AHEAD;

/// After an error, how long until the next attempt to work ahead.
const PAUSE: Duration = Duration::from_secs(1);

/// The files that are there, and the number of the next one.
#[derive(Default)]
pub(super) struct Parts {
    next: AtomicU64,
    stock: Mutex<Stock>,
    /// A file was taken, or it is closed.
    changed: Condvar,
}

#[derive(Default)]
struct Stock {
    blanks: Vec<Blank>,
    /// Nobody works ahead any more.
    closed: bool,
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
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a file is wanted; false when none ever will be.
    fn is_wanted(&self) -> bool {
        let enough = |stock: &mut Stock| !stock.closed && stock.blanks.len() >= PARTS_AHEAD;
        let stock = self.changed.wait_while(self.stock(), enough);
        !stock.unwrap_or_else(PoisonError::into_inner).closed
    }

    fn pause(&self) {
        let open = |stock: &mut Stock| !stock.closed;
        drop(self.changed.wait_timeout_while(self.stock(), PAUSE, open));
    }
}

impl Spool {
    /// Makes files ahead until [`Spool::close`].
    pub fn work_ahead(&self) {
        while self.parts.is_wanted() {
            // What is wrong with the disk is for those to tell who store something.
            if self.trouble().is_some() || self.prepare().is_err() {
                self.parts.pause();
            }
        }
    }

    /// Ends [`Spool::work_ahead`].
    pub fn close(&self) {
        self.parts.stock().closed = true;
        self.parts.changed.notify_all();
    }

    /// Makes one file for a data set to come.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let blank = self.blank()?;
        self.parts.stock().blanks.push(blank);
        Ok(())
    }

    /// Of files that were made before the disk failed nothing is known.
    pub(super) fn forget_blanks(&self) {
        for blank in self.parts.stock().blanks.drain(..) {
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
        let ahead = spool.parts.stock().blanks.pop();
        spool.parts.changed.notify_all();
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
