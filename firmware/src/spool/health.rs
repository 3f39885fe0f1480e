//! Whether the disk can be trusted.
//!
//! A sync that failed once may succeed the next time although the bytes are gone: the kernel has forgotten
//! that they were to be written. So the first error of the disk latches, and nothing is acknowledged until
//! a file was written, synced, and read back.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::limits::DISK_CHECK_BYTES;

/// Of one disk.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<Latched>>);

struct Latched {
    error: String,
    checked: Instant,
}

impl Health {
    /// What went wrong, unless all is well.
    pub fn trouble(&self) -> Option<String> {
        self.lock().as_ref().map(|latched| latched.error.clone())
    }

    /// Remembers an error, unless the disk was only full: that passes, and nothing was lost by it.
    pub fn saw(&self, error: &io::Error) {
        if is_full(error) {
            return;
        }
        tracing::error!(%error, "the disk failed: nothing is acknowledged until it has passed a check");
        *self.lock() = Some(Latched {
            error: error.to_string(),
            checked: Instant::now(),
        });
    }

    /// Checks the disk, where it was in trouble and the last check is long enough ago.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, disk: &dyn Disk, folder: &Path, every: Duration) -> Result<(), String> {
        let mut latched = self.lock();
        let Some(trouble) = latched.as_mut() else {
            return Ok(());
        };
        if trouble.checked.elapsed() < every {
            return Err(trouble.error.clone());
        }
        trouble.checked = Instant::now();
        match passes(disk, folder) {
            Ok(()) => {
                tracing::warn!("the disk has passed a check: images are acknowledged again");
                *latched = None;
                Ok(())
            }
            Err(error) => {
                trouble.error = error.to_string();
                Err(trouble.error.clone())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Latched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there was only no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Writes a file, syncs it and its name, reads it back, and removes it.
fn passes(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let path = folder.join("check.part");
    let written: Vec<u8> = (0..DISK_CHECK_BYTES).map(|n| (n % 251) as u8).collect();
    let mut file = disk.create(&path)?;
    file.write_all(&written)?;
    file.sync()?;
    disk.sync_folder(folder)?;
    let mut read = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(written.len() as u64 + 1).read_to_end(&mut read)?;
    disk.remove_file(&path)?;
    if read == written {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a file does not read as it was written",
        ))
    }
}
