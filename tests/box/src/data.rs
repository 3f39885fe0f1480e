//! The data partition of a card, seen from outside with the tools of e2fsprogs: no loop device, no root.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::disk;
use crate::stick::run;

/// What the box finds under `/var`: a copy of the partition, for e2fsck replays no journal in the middle of a file.
#[derive(Debug)]
pub struct Data {
    folder: TempDir,
}

impl Data {
    /// The data partition of this card after a cut: its journal is replayed, as the next start would do.
    ///
    /// # Panics
    /// If it cannot be mended without asking anybody.
    pub fn after_cut(card: &Path) -> Self {
        let data = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let within = disk::partition(card, "data");
        let volume = File::create(data.volume()).expect("a file");
        volume.set_len(within.end - within.start).expect("room");
        disk::copy_part(card, within, &data.volume(), 0);
        let mut e2fsck = Command::new("/usr/sbin/e2fsck");
        let output = e2fsck.arg("-p").arg(data.volume()).output().expect("e2fsprogs");
        let said = String::from_utf8_lossy(&output.stdout);
        let mended = output.status.code().is_some_and(|code| code <= 1);
        assert!(mended, "the file system is damaged: {said}");
        data
    }

    /// Puts it back onto the card.
    pub fn put_back(&self, card: &Path) {
        let within = disk::partition(card, "data");
        disk::copy_part(&self.volume(), 0..within.end - within.start, card, within.start);
    }

    fn volume(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Every file in a folder, by its path in there.
    pub fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let to = tempfile::tempdir().expect("a temporary folder");
        self.ask(&format!("rdump {folder} {}", to.path().display()));
        let mut files = BTreeMap::new();
        let mut folders = vec![to.path().to_owned()];
        while let Some(one) = folders.pop() {
            for entry in fs::read_dir(&one).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(to.path()).expect("a path in there");
                    files.insert(name.to_owned(), fs::read(&path).expect("a file"));
                }
            }
        }
        files
    }

    /// Puts a file there.
    pub fn write(&self, from: &Path, to: &str) {
        self.ask(&format!("write {} {to}", from.display()));
    }

    /// Leaves no block free.
    ///
    /// # Panics
    /// If some are.
    pub fn fill(&self) {
        let free = self.free_blocks();
        self.write(Path::new("/dev/null"), "/lib/filler");
        // It ends early: the list of its pieces needs some of the blocks itself.
        self.ask(&format!("fallocate /lib/filler 0 {}", free - 1));
        assert_eq!(self.free_blocks(), 0, "blocks are left");
    }

    fn free_blocks(&self) -> u64 {
        let statistics = self.ask("stats -h");
        let mut lines = statistics.lines();
        let count = lines.find_map(|line| line.strip_prefix("Free blocks:")?.trim().parse().ok());
        count.expect("a number of free blocks")
    }

    fn ask(&self, request: &str) -> String {
        run(Command::new("/usr/sbin/debugfs")
            .args(["-w", "-R", request])
            .arg(self.volume()))
    }
}
