//! What the system under the appliance has to say: settings that it refused, and what became of the last update.
//!
//! The image (board/image) leaves it in small files of `name=value` lines; where they are not, as on a developer's
//! machine, there is nothing to say.

use std::fs;
use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};

use super::notice::Notice;
use crate::limits::MAX_SYSTEM_FILE_BYTES;
use crate::screen::situation::Update;

/// The folders in which it says so.
#[derive(Debug, Clone)]
pub struct System {
    /// Of this start.
    run: PathBuf,
    /// Kept over restarts.
    state: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self {
            run: "/run/sialoscope".into(),
            state: "/var/lib/sialoscope-update".into(),
        }
    }
}

impl System {
    /// Settings on the boot partition that are wrong, while the last ones that were right are in force.
    pub fn refused_settings(&self) -> Option<Notice> {
        let text = read(&self.run.join("settings.error"))?;
        let reason = Reason::new("configuration", Fault::Configuration, text.trim());
        Some(Notice::new("sialoscope.toml", reason))
    }

    /// The last update: which system runs, and why it is not the one that should, where that is so.
    pub fn last_update(&self) -> Option<Update> {
        if let Some(text) = read(&self.state.join("rollback")) {
            let reason = value(&text, "reason")?;
            let (code, detail) = reason.split_once(": ").unwrap_or((reason, reason));
            let from = value(&text, "from_version").unwrap_or_default();
            return Some(Update {
                version: value(&text, "to_version")?.to_owned(),
                date: day(value(&text, "time").unwrap_or_default()).to_owned(),
                rolled_back: Some(Reason::new(code, Fault::Us, format!("{from}: {detail}"))),
            });
        }
        let text = read(&self.state.join("installed"))?;
        Some(Update {
            version: value(&text, "version")?.to_owned(),
            date: day(value(&text, "time").unwrap_or_default()).to_owned(),
            rolled_back: None,
        })
    }
}

/// A file that is there, is text, and is no longer than any of ours.
fn read(path: &Path) -> Option<String> {
    let length = fs::metadata(path).ok()?.len();
    (length <= MAX_SYSTEM_FILE_BYTES)
        .then(|| fs::read_to_string(path).ok())
        .flatten()
}

fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// `2026-11-23` of `2026-11-23T04:05:06Z`.
fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn system(folder: &Path) -> System {
        System {
            run: folder.to_owned(),
            state: folder.to_owned(),
        }
    }

    #[test]
    fn a_rollback_says_from_what_and_why_and_goes_before_an_update() {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path());
        assert_eq!(system.last_update(), None);
        assert_eq!(system.refused_settings(), None);
        fs::write(
            folder.path().join("installed"),
            "version=0.2.0\ntime=2026-11-20T08:00:00Z\n",
        )
        .unwrap();
        let update = system.last_update().unwrap();
        assert_eq!(
            (update.version.as_str(), update.date.as_str()),
            ("0.2.0", "2026-11-20")
        );
        assert_eq!(update.rolled_back, None);
        let rollback = "time=2026-11-23T04:05:06Z\nfrom_slot=B\nfrom_version=0.2.0\nto_slot=A\nto_version=0.1.0\n\
                        reason=never_good: it started 3 times and never passed its self-test (power 3x)\n";
        fs::write(folder.path().join("rollback"), rollback).unwrap();
        let update = system.last_update().unwrap();
        assert_eq!(update.version, "0.1.0");
        let reason = update.rolled_back.unwrap();
        assert_eq!(reason.code, "never_good");
        assert!(reason.text.starts_with("0.2.0: it started 3 times"), "{reason}");
    }

    #[test]
    fn refused_settings_are_a_notice_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("settings.error"),
            "sialoscope.toml:4:1: unknown field `nmae`\n",
        )
        .unwrap();
        let notice = system(folder.path()).refused_settings().unwrap();
        assert_eq!(notice.reason.code, "configuration");
        assert!(notice.reason.text.contains(":4:1:"));
        let long = "x".repeat(MAX_SYSTEM_FILE_BYTES as usize + 1);
        fs::write(folder.path().join("settings.error"), long).unwrap();
        assert_eq!(system(folder.path()).refused_settings(), None);
    }
}
