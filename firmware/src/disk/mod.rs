//! The disk, as durable state uses it: the few operations whose order decides what survives a power cut.
//!
//! The spool and the records of the studies stand on [`Disk`] and on nothing else, so that the tests can
//! put [`simulated::SimulatedDisk`] under them: it loses what was not synced, and is cut at any operation.
//!
//! What may be relied on is what POSIX and the journaling file systems of Linux promise. The bytes of a file
//! survive once the file is synced; its name survives once the folder is synced; a rename is there as a
//! whole or not at all.

mod real;
#[cfg(test)]
pub(crate) mod simulated;

use std::ffi::OsString;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

pub use real::RealDisk;

/// Files and folders.
pub trait Disk: Send + Sync {
    /// An empty file to be written, whatever was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file to be read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file or folder another name on the same file system; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;

    /// Creates a folder in an existing one. One that exists is fine.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes what a folder lists durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Free space for us on the file system of a path, bytes.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Creates a folder in an existing one, durably.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.create_folder(folder)?;
        folder.parent().map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    /// Moves a file that is already synced to another name, durably.
    fn move_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename(from, to)?;
        to.parent().map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    /// Replaces a file as a whole: whenever the power goes, either the old or the new bytes are there.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let draft = Path::new(&draft);
        let mut file = self.create(draft)?;
        file.write_all(bytes)?;
        file.sync()?;
        self.move_file(draft, path)
    }

    /// The bytes of a file that may not be longer than `limit`.
    fn read_at_most(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let text = format!("it has more than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(bytes)
    }
}

/// An open file.
pub trait DiskFile: Read + Write + Seek + Send {
    /// Makes its bytes durable; its name is the folder's.
    fn sync(&self) -> io::Result<()>;
}
