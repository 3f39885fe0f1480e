//! The few ways in which durable state reaches the disk. Faults are injected here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::dicom::{Uid, UidError};

/// Makes what a folder lists durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a folder in an existing one, durably. One that exists is fine.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Moves a file that is already synced to a name in another folder of the same file system, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Replaces a file as a whole: whenever the power goes, either the old or the new bytes are there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = Path::new(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(draft, path)
}

/// The bytes of a file that may not be longer than `limit`.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Free space for us on the file system of a path, bytes.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let statistics = rustix::fs::statvfs(path)?;
    Ok(statistics.f_bavail.saturating_mul(statistics.f_frsize))
}

/// What a folder lists under names that `parse` takes, ascending.
pub(crate) fn names(folder: &Path, parse: impl Fn(&str) -> Result<Uid, UidError>) -> io::Result<Vec<Uid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| parse(name).ok()));
    }
    found.sort();
    Ok(found)
}

/// Moves a folder into another one under its own name, durably. What an earlier attempt left there is
/// deleted; a folder that does not exist is fine.
pub(crate) fn move_aside(folder: &Path, to: &Path) -> io::Result<()> {
    let Some(name) = folder.file_name() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if !folder.try_exists()? {
        return Ok(());
    }
    let place = to.join(name);
    if place.try_exists()? {
        fs::remove_dir_all(&place)?;
    }
    rename(folder, &place)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Deletes everything in a folder. Not synced: what comes back is deleted again.
pub(crate) fn empty_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}
