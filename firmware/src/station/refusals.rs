//! What was turned away at the door, and why: the last few for the screen, a bounded journal on disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use models::findings::Reason;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::limits::{RECENT_REFUSALS, REFUSAL_JOURNAL_BYTES};

/// Something that was turned away. No patient data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Wall-clock time, RFC 3339, only to be shown.
    pub at: String,
    /// Network address of the peer.
    pub peer: String,
    /// Its calling AE title, once it is known to be one.
    pub ae_title: Option<String>,
    /// Why.
    pub reason: Reason,
}

impl Refusal {
    /// A refusal that happens now.
    pub fn now(peer: impl ToString, ae_title: Option<&str>, reason: Reason) -> Self {
        // A clock that is out of the range of RFC 3339 leaves the time empty.
        let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        Self {
            at,
            peer: peer.to_string(),
            ae_title: ae_title.map(str::to_owned),
            reason,
        }
    }
}

/// The refusals of this appliance.
pub struct Refusals {
    journal: PathBuf,
    older: PathBuf,
    recent: Mutex<heapless::Deque<Refusal, RECENT_REFUSALS>>,
}

impl Refusals {
    /// Opens the journal in a data folder; its last entries are the recent ones.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let journal = data_dir.join("refusals.jsonl");
        let mut recent = heapless::Deque::new();
        let text = match fs::read_to_string(&journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        // A line that a power cut left unfinished is skipped.
        for refusal in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            push(&mut recent, refusal);
        }
        Ok(Self {
            journal,
            older: data_dir.join("refusals.1.jsonl"),
            recent: Mutex::new(recent),
        })
    }

    /// Remembers a refusal. The journal informs; images do not depend on it, so it is not synced.
    pub fn record(&self, refusal: &Refusal) -> io::Result<()> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        push(&mut recent, refusal.clone());
        let mut line = serde_json::to_vec(refusal)?;
        line.push(b'\n');
        let full = fs::metadata(&self.journal)
            .is_ok_and(|journal| journal.len() + line.len() as u64 > REFUSAL_JOURNAL_BYTES);
        if full {
            fs::rename(&self.journal, &self.older)?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.journal)?
            .write_all(&line)
    }

    /// The last refusals, oldest first.
    pub fn recent(&self) -> Vec<Refusal> {
        self.recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

fn push(recent: &mut heapless::Deque<Refusal, RECENT_REFUSALS>, refusal: Refusal) {
    if recent.is_full() {
        recent.pop_front();
    }
    // There is room now.
    let _ = recent.push_back(refusal);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use models::findings::Fault;

    use super::*;

    fn refusal(number: usize) -> Refusal {
        Refusal::now(
            "192.0.2.1:104",
            Some("MR1"),
            Reason::new("truncated", Fault::Data, format!("{number}")),
        )
    }

    #[test]
    fn the_last_ones_survive_a_restart_and_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let refusals = Refusals::open(folder.path()).unwrap();
        let all: Vec<_> = (0..RECENT_REFUSALS + 4).map(refusal).collect();
        all.iter().for_each(|refusal| refusals.record(refusal).unwrap());
        assert_eq!(refusals.recent(), all[4..]);
        OpenOptions::new()
            .append(true)
            .open(&refusals.journal)
            .unwrap()
            .write_all(b"{\"at\":\"20")
            .unwrap();
        assert_eq!(Refusals::open(folder.path()).unwrap().recent(), all[4..]);
    }

    #[test]
    fn the_journal_is_turned_over() {
        let folder = tempfile::tempdir().unwrap();
        let refusals = Refusals::open(folder.path()).unwrap();
        fs::write(&refusals.journal, vec![b'\n'; REFUSAL_JOURNAL_BYTES as usize]).unwrap();
        refusals.record(&refusal(1)).unwrap();
        assert!(fs::metadata(&refusals.journal).unwrap().len() < 1000);
        assert_eq!(
            fs::metadata(&refusals.older).unwrap().len(),
            REFUSAL_JOURNAL_BYTES
        );
    }
}
