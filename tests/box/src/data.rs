//! The data partition of a card, seen from outside with the tools of e2fsprogs: no loop device, no root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::disk;
use crate::stick::run;

/// What the box finds under `/var`.
#[derive(Debug)]
pub struct Data {
    volume: String,
}

impl Data {
    /// The data partition of this card after a cut: its journal is replayed, as the next start would do.
    ///
    /// # Panics
    /// If more than the journal has to be mended.
    pub fn after_cut(card: &Path) -> Self {
        let start = disk::partition(card, "data").start;
        let data = Self {
            volume: format!("{}?offset={start}", card.display()),
        };
        let output = Command::new("/usr/sbin/e2fsck")
            .args(["-p", &data.volume])
            .output()
            .expect("apt-get install e2fsprogs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.code().is_some_and(|code| code <= 1),
            "the file system is damaged: {said}"
        );
        data
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

    /// Leaves no block free.
    ///
    /// # Panics
    /// If some are.
    pub fn fill(&self) {
        let free = self.free_blocks();
        self.ask("write /dev/null /lib/filler");
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
        run(Command::new("/usr/sbin/debugfs").args(["-w", "-R", request, &self.volume]))
    }
}
