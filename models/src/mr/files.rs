//! Paths → files with good headers, each image once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::SliceSource;
use super::header::{self, FileHeader, Header};
use super::stored::StoredFile;
use crate::findings::{Fault, Reason, RefusedInput};
use crate::limits::{MAX_FILES, MAX_FOLDER_DEPTH};

/// Reads the headers of files and of all files in folders; what cannot be read is refused.
pub(super) fn read(paths: &[PathBuf]) -> (Vec<Instance>, Vec<RefusedInput>) {
    let mut refused = Vec::new();
    let files = list_files(paths, &mut refused);
    let mut by_uid: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<FileHeader> = Vec::new();
    for (path, result) in files.iter().zip(read_headers(&files)) {
        let file = match result {
            Ok(file) => file,
            Err(reason) => {
                refused.push(RefusedInput {
                    input: file_name(path),
                    reason,
                });
                continue;
            }
        };
        // Every file has an image, and all of a file share its UID.
        let Some(uid) = file.images.first().map(|i| i.sop_instance_uid.clone()) else {
            continue;
        };
        match by_uid.entry(uid) {
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push(file);
            }
            Entry::Occupied(first) => {
                if !same_image(&kept[*first.get()], &file) {
                    let text = "Another image with the same SOP Instance UID came first and is kept.";
                    let reason = Reason::new("conflicting_duplicate", Fault::Data, text);
                    refused.push(RefusedInput {
                        input: file_name(path),
                        reason,
                    });
                }
            }
        }
    }
    let images = kept.into_iter().flat_map(|FileHeader { images, stored }| {
        let file = Arc::new(stored);
        images.into_iter().map(move |header| Instance {
            file: Arc::clone(&file),
            header,
        })
    });
    (images.collect(), refused)
}

/// One image of a file with a good header.
#[derive(Clone)]
pub(super) struct Instance {
    pub file: Arc<StoredFile>,
    pub header: Header,
}

impl Instance {
    pub fn source(&self) -> SliceSource {
        SliceSource {
            file: Arc::clone(&self.file),
            part: self.header.part,
            image: self.header.image.clone(),
        }
    }
}

/// Whether two files hold the same images, be it in other words.
fn same_image(first: &FileHeader, other: &FileHeader) -> bool {
    first.stored.path == other.stored.path
        || (first.images == other.images && first.stored.pixel_bytes() == other.stored.pixel_bytes())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// All files, those of a folder in the order of their names.
fn list_files(paths: &[PathBuf], refused: &mut Vec<RefusedInput>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // Depth first; reversed, because the last one pushed is the next one taken.
    let mut open: Vec<(PathBuf, usize)> = paths.iter().rev().map(|p| (p.clone(), 0)).collect();
    while let Some((path, depth)) = open.pop() {
        let mut refuse = |code: &str, fault, text: String| {
            refused.push(RefusedInput {
                input: file_name(&path),
                reason: Reason::new(code, fault, text),
            });
        };
        if files.len() >= MAX_FILES {
            refuse(
                "too_many_files",
                Fault::Data,
                format!("Only {MAX_FILES} files are read; the rest is left out."),
            );
            break;
        }
        // A link that somebody names is followed, one inside a folder is not: it may lead anywhere.
        if !path.is_dir() || (depth > 0 && path.is_symlink()) {
            files.push(path);
            continue;
        }
        if depth >= MAX_FOLDER_DEPTH {
            refuse(
                "too_many_files",
                Fault::Data,
                "Its folders are nested too deep.".to_owned(),
            );
            continue;
        }
        match std::fs::read_dir(&path).and_then(|entries| entries.map(|e| Ok(e?.path())).collect()) {
            Ok(entries) => {
                let mut entries: Vec<PathBuf> = entries;
                entries.sort();
                open.extend(entries.into_iter().rev().map(|p| (p, depth + 1)));
            }
            Err(error) => {
                refuse(
                    "unreadable",
                    Fault::Hardware,
                    format!("The folder cannot be read: {}.", error.kind()),
                );
            }
        }
    }
    files
}

/// Two readers: one waits for the disk while the other parses.
fn read_headers(files: &[PathBuf]) -> Vec<Result<FileHeader, Reason>> {
    const READERS: usize = 2;
    let next = AtomicUsize::new(0);
    let read_some = || {
        let mut mine = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = files.get(i) else { return mine };
            mine.push((i, header::read(path)));
        }
    };
    let mut all: Vec<(usize, Result<FileHeader, Reason>)> = std::thread::scope(|scope| {
        let readers: Vec<_> = (1..READERS).map(|_| scope.spawn(read_some)).collect();
        let mut all = read_some();
        for reader in readers {
            match reader.join() {
                Ok(some) => all.extend(some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, result)| result).collect()
}
