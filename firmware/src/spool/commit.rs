//! One sync of a folder for everybody who waits for it.
//!
//! Associations that store at the same time would each sync the same folder, one after the other. Instead
//! they come in rounds: who finds no round under way leads one for all that have asked by then, whoever
//! comes during it waits for the next. A sync that began before a rename proves nothing about it, so nobody
//! is ever served by a round that was under way when they asked.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;

/// Syncs of folders, in rounds.
#[derive(Default)]
pub(super) struct Commits {
    rounds: Mutex<Rounds>,
    over: Condvar,
}

#[derive(Default)]
struct Rounds {
    /// Folders that the next round will sync.
    asked: BTreeSet<PathBuf>,
    /// The number of the next round.
    next: u64,
    /// Whether a round is under way: the one before `next`.
    under_way: bool,
    /// How the rounds ended that somebody still waits for; those that ended well are not here.
    failed: Vec<(u64, io::ErrorKind, String)>,
    /// Who waits.
    waiting: usize,
}

impl Commits {
    /// Returns when what the folder lists now is durable.
    pub fn sync(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let mut rounds = self.lock();
        rounds.asked.insert(folder.to_owned());
        let mine = rounds.next;
        rounds.waiting += 1;
        let outcome = loop {
            if rounds.next > mine && !(rounds.under_way && rounds.next == mine + 1) {
                break rounds.outcome(mine);
            }
            if rounds.under_way {
                rounds = self.over.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds = self.lead(disk, rounds);
        };
        rounds.waiting -= 1;
        if rounds.waiting == 0 {
            rounds.failed.clear();
        }
        outcome
    }

    fn lead<'r>(&'r self, disk: &dyn Disk, mut rounds: MutexGuard<'r, Rounds>) -> MutexGuard<'r, Rounds> {
        let folders = std::mem::take(&mut rounds.asked);
        let round = rounds.next;
        rounds.next += 1;
        rounds.under_way = true;
        drop(rounds);
        let outcome = folders.iter().try_for_each(|folder| disk.sync_folder(folder));
        let mut rounds = self.lock();
        rounds.under_way = false;
        if let Err(error) = outcome {
            rounds.failed.push((round, error.kind(), error.to_string()));
        }
        self.over.notify_all();
        rounds
    }

    /// Poisoned by a panic of another thread, it still counts rounds rightly.
    fn lock(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rounds {
    fn outcome(&self, round: u64) -> io::Result<()> {
        match self.failed.iter().find(|(failed, ..)| *failed == round) {
            Some((_, kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }
}
