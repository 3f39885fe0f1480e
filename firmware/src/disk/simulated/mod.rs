//! A disk in memory that keeps only what was synced, and can be cut at any operation.
//!
//! It is as bad as a file system may be. At a cut every change of a name that no folder sync has made
//! durable is there or not, each by itself; every file that was not synced holds its old bytes, a part of
//! the new ones, or zeros.

#![allow(clippy::unwrap_used, reason = "only tests use it; a poisoned lock ends them")]

mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use self::names::{Change, Names, Node};
use super::{Disk, DiskFile};

/// The bytes of a file, as programs see them and as they survive.
#[derive(Debug, Clone, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

/// What the disk does wrong besides losing power.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// The power goes at this operation, counted from 1.
    pub cut_at: Option<u64>,
    /// This one operation fails, counted from 1.
    pub error_at: Option<u64>,
    /// A sync of a file says that it is done, and is not.
    pub files_unsynced: bool,
    /// A sync of a folder says that it is done, and is not.
    pub folders_unsynced: bool,
}

/// What is done by somebody else in the middle of an operation, counted from 1.
type Meanwhile = (u64, Box<dyn FnOnce() + Send>);

#[derive(Default)]
struct State {
    names: Names,
    durable: Names,
    pending: Vec<Change>,
    files: Vec<Content>,
    faults: Faults,
    operations: u64,
    free_bytes: u64,
    off: bool,
    meanwhile: Option<Meanwhile>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty disk with one folder.
    pub fn new(folder: &Path) -> Self {
        let disk = Self::default();
        let mut state = disk.0.lock().unwrap();
        for folder in folder.ancestors() {
            state.names.apply(&Change::Added(folder.to_owned(), Node::Folder));
        }
        state.durable = state.names.clone();
        state.free_bytes = u64::MAX;
        drop(state);
        disk
    }

    /// From now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.0.lock().unwrap();
        state.faults = faults;
        state.operations = 0;
    }

    /// Lets somebody else come at this operation, counted from when the faults were set, before it is done.
    pub fn meanwhile(&self, at: u64, deed: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().meanwhile = Some((at, Box::new(deed)));
    }

    /// From now on.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.0.lock().unwrap().free_bytes = bytes;
    }

    /// The files and their bytes, as programs see them.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock().unwrap();
        let files = state.names.files();
        files
            .map(|(path, id)| (path.to_owned(), state.files[id].seen.clone()))
            .collect()
    }

    /// How many files and folders there are.
    pub fn names(&self) -> usize {
        self.0.lock().unwrap().names.len()
    }

    /// Operations since the faults were set.
    pub fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Begins an operation.
    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.0.lock().unwrap();
        state.count()?;
        let operation = state.operations;
        if let Some((_, deed)) = state.meanwhile.take_if(|(at, _)| *at == operation) {
            drop(state);
            deed();
            state = self.0.lock().unwrap();
        }
        Ok(state)
    }

    /// Whether the power has gone.
    pub fn is_off(&self) -> bool {
        self.0.lock().unwrap().off
    }

    /// The disk after the power came back: one of the states that it may be in.
    pub fn after_cut(&self, seed: u64) -> Self {
        let state = self.0.lock().unwrap();
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut names = state.durable.clone();
        for change in &state.pending {
            if chance.random_bool(0.5) {
                names.apply(change);
            }
        }
        names.drop_unreachable();
        // Only the files that have a name are taken along.
        let mut files = Vec::new();
        names.renumber(|id| {
            files.push(survivor(&state.files[id], &mut chance));
            files.len() - 1
        });
        Self(Arc::new(Mutex::new(State {
            durable: names.clone(),
            names,
            files,
            free_bytes: state.free_bytes,
            ..State::default()
        })))
    }
}

fn survivor(file: &Content, chance: &mut ChaCha8Rng) -> Content {
    let mut bytes = file.durable.clone();
    if file.seen != file.durable {
        let kept = chance.random_range(0..=file.seen.len());
        match chance.random_range(0..3) {
            0 => {}
            1 => bytes = file.seen[..kept].to_vec(),
            _ => {
                bytes = file.seen.clone();
                bytes[kept..].fill(0);
            }
        }
    }
    Content {
        seen: bytes.clone(),
        durable: bytes,
    }
}

impl State {
    /// Counts one operation, and ends it where a fault lies.
    fn count(&mut self) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        if self.faults.cut_at == Some(self.operations) {
            self.off = true;
            return Err(io::Error::other("the power went"));
        }
        if self.faults.error_at == Some(self.operations) {
            return Err(io::Error::other("the disk failed, as told"));
        }
        Ok(())
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.get(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn folder_of(&self, path: &Path) -> io::Result<()> {
        match path.parent().map(|parent| self.node(parent)) {
            Some(Ok(Node::Folder)) => Ok(()),
            Some(Ok(Node::File(_))) => Err(io::ErrorKind::NotADirectory.into()),
            Some(Err(error)) => Err(error),
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        self.names.apply(&change);
        self.pending.push(change);
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.step()?;
        state.folder_of(path)?;
        let id = match state.node(path) {
            Ok(Node::File(id)) => {
                state.files[id].seen.clear();
                id
            }
            Ok(Node::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            Err(_) => {
                let id = state.files.len();
                state.files.push(Content::default());
                state.change(Change::Added(path.to_owned(), Node::File(id)));
                id
            }
        };
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            id,
            position: 0,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.step()?;
        match state.node(path)? {
            Node::Folder => Err(io::ErrorKind::IsADirectory.into()),
            Node::File(id) => Ok(Box::new(SimulatedFile {
                disk: self.clone(),
                id,
                position: 0,
            })),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.folder_of(to)?;
        let node = state.node(from)?;
        state.change(Change::Renamed(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        match state.node(path)? {
            Node::Folder => Err(io::ErrorKind::IsADirectory.into()),
            Node::File(_) => {
                state.change(Change::Removed(path.to_owned()));
                Ok(())
            }
        }
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        match state.node(folder)? {
            Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Node::Folder if state.names.children(folder).next().is_some() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Node::Folder => {}
        }
        state.change(Change::Removed(folder.to_owned()));
        Ok(())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.folder_of(folder)?;
        if state.node(folder).is_err() {
            state.change(Change::Added(folder.to_owned(), Node::Folder));
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.node(folder)?;
        if state.faults.folders_unsynced {
            return Ok(());
        }
        let inside = |path: &Path| path.parent() == Some(folder);
        let (synced, pending): (Vec<_>, Vec<_>) = std::mem::take(&mut state.pending)
            .into_iter()
            .partition(|change| inside(change.place()));
        // A file that was renamed away must not come back by the change that once added it.
        let gone: BTreeSet<_> = synced
            .iter()
            .filter_map(|change| match change {
                Change::Renamed(from, ..) => Some(from.clone()),
                _ => None,
            })
            .collect();
        state.pending = pending
            .into_iter()
            .filter(|change| !matches!(change, Change::Added(path, Node::File(_)) if gone.contains(path)))
            .collect();
        for change in &synced {
            state.durable.apply(change);
            // What was changed within a folder that is gone for good changes nothing any more.
            if let Change::Removed(gone) = change
                && state.names.get(gone).is_none()
            {
                state.pending.retain(|change| !change.place().starts_with(gone));
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let state = self.step()?;
        state.node(folder)?;
        let names = state.names.children(folder).filter_map(Path::file_name);
        Ok(names.map(OsString::from).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.step()?;
        Ok(state.node(path).is_ok())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.step()?;
        Ok(state.free_bytes)
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    id: usize,
    position: usize,
}

impl Read for SimulatedFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.step()?;
        let rest = state.files[self.id].seen.get(self.position..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.disk.step().map(drop);
        let mut state = self.disk.0.lock().unwrap();
        if step.is_ok() && bytes.len() as u64 > state.free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // A write that the power interrupts may have got half of its bytes down.
        let count = if step.is_err() {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        let position = self.position;
        let seen = &mut state.files[self.id].seen;
        seen.resize(seen.len().max(position + count), 0);
        seen[position..position + count].copy_from_slice(&bytes[..count]);
        self.position += count;
        step?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SimulatedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.disk.0.lock().unwrap().files[self.id].seen.len();
        let from = |base: usize, by: i64| base.checked_add_signed(by as isize);
        self.position = match to {
            SeekFrom::Start(at) => Some(at as usize),
            SeekFrom::Current(by) => from(self.position, by),
            SeekFrom::End(by) => from(length, by),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position as u64)
    }
}

impl DiskFile for SimulatedFile {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.step()?;
        if !state.faults.files_unsynced {
            let file = &mut state.files[self.id];
            file.durable = file.seen.clone();
        }
        Ok(())
    }
}
