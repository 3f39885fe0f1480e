//! What the system under the appliance has to say (settings that it refused, what became of the last update, what is on
//! a USB stick), and what is asked of it.
//!
//! The image (board/image) leaves it in small files of `name=value` lines; where they are not, as on a developer's
//! machine, there is nothing to say. What is asked of it is a file of its own, which units of the image wait for: the
//! appliance itself may neither install nor restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};

use super::notice::Notice;
use crate::limits::MAX_SYSTEM_FILE_BYTES;
use crate::screen::maintenance::{Installation, Maintenance, Offer, SupportReport, Wish};
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

    /// What is on a stick, and how far the system is with what was asked of it.
    pub fn maintenance(&self) -> Maintenance {
        let stick = fs::read_dir(self.run.join("stick")).is_ok_and(|mut sticks| sticks.next().is_some());
        let said = |name: &str| read(&self.run.join(name));
        Maintenance {
            stick,
            offer: said("offer").filter(|_| stick).and_then(|text| offer(&text)),
            installation: said("update").and_then(|text| installation(&text)),
            support: said("support").and_then(|text| support(&text)),
        }
    }

    /// Asks the system for something. It tells by itself what becomes of it.
    ///
    /// # Errors
    /// There is no such system, or it takes no requests.
    pub fn ask(&self, wish: &Wish) -> io::Result<()> {
        let (name, text) = match wish {
            Wish::Install(bundle) => ("update", bundle.as_str()),
            Wish::Restart => ("restart", ""),
            Wish::Support => ("support", ""),
        };
        let requests = self.run.join("requests");
        let unfinished = requests.join(format!(".{name}"));
        fs::write(&unfinished, format!("{text}\n"))?;
        // The system must not see half of it.
        fs::rename(unfinished, requests.join(name))
    }
}

fn offer(text: &str) -> Option<Offer> {
    let said = |name| value(text, name).unwrap_or_default().to_owned();
    Some(Offer {
        bundle: value(text, "bundle")?.to_owned(),
        version: said("version"),
        notes: said("notes"),
        refused: value(text, "refused").map(|why| reason(why, "update_damaged", Fault::Data)),
    })
}

fn installation(text: &str) -> Option<Installation> {
    let version = || value(text, "version").unwrap_or_default().to_owned();
    match value(text, "state")? {
        "installing" => {
            let percent = value(text, "percent").and_then(|percent| percent.parse().ok());
            Some(Installation::Running(version(), percent.unwrap_or(0)))
        }
        "installed" => Some(Installation::Done(version())),
        _ => {
            let why = value(text, "reason").unwrap_or_default();
            Some(Installation::Failed(reason(why, "update_failed", Fault::Data)))
        }
    }
}

fn support(text: &str) -> Option<SupportReport> {
    match value(text, "state")? {
        "writing" => Some(SupportReport::Running),
        "written" => Some(SupportReport::Done(value(text, "file")?.to_owned())),
        _ => {
            let why = value(text, "reason").unwrap_or_default();
            Some(SupportReport::Failed(reason(why, "stick_write", Fault::Hardware)))
        }
    }
}

/// `code: sentence`, as the system writes it; another code where it says none.
fn reason(text: &str, other: &str, fault: Fault) -> Reason {
    let is_code = |code: &&str| !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match text.split_once(": ").filter(|(code, _)| is_code(code)) {
        Some((code, sentence)) => Reason::new(code, fault, sentence),
        None => Reason::new(other, fault, text),
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

    /// What the image's own scripts write, and what a damaged file could say.
    #[test]
    fn a_stick_an_update_and_a_support_report_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(system.maintenance(), Maintenance::default());
        let good = "bundle=/run/sialoscope/stick/sda1/u.raucb\nversion=0.2.0\nnotes=Better words.\n";
        write("offer", good);
        assert_eq!(
            system.maintenance().offer,
            None,
            "an offer without a stick is an old one"
        );
        fs::create_dir_all(folder.path().join("stick/sda1")).unwrap();
        let offer = system.maintenance().offer.unwrap();
        assert_eq!(
            (offer.version.as_str(), offer.notes.as_str()),
            ("0.2.0", "Better words.")
        );
        assert_eq!(offer.refused, None);
        write("offer", &format!("{good}refused=update_board: sialoscope-rpi4\n"));
        let refused = system.maintenance().offer.unwrap().refused.unwrap();
        assert_eq!(
            (refused.code.as_str(), refused.text.as_str()),
            ("update_board", "sialoscope-rpi4")
        );
        write("offer", "version=0.2.0\n");
        assert_eq!(
            system.maintenance().offer,
            None,
            "nothing that could be installed"
        );

        write("update", "state=installing\nversion=0.2.0\npercent=40\n");
        let running = Installation::Running("0.2.0".to_owned(), 40);
        assert_eq!(system.maintenance().installation, Some(running));
        write("update", "state=installed\nversion=0.2.0\n");
        let done = Installation::Done("0.2.0".to_owned());
        assert_eq!(system.maintenance().installation, Some(done));
        write("update", "state=failed\nreason=Failed to mount: I/O error\n");
        let Some(Installation::Failed(why)) = system.maintenance().installation else {
            panic!("{:?}", system.maintenance());
        };
        assert_eq!(
            (why.code.as_str(), why.text.as_str()),
            ("update_failed", "Failed to mount: I/O error")
        );

        write("support", "state=writing\n");
        assert_eq!(system.maintenance().support, Some(SupportReport::Running));
        write("support", "state=written\nfile=sialoscope-7F3A.tar.gz\n");
        let done = SupportReport::Done("sialoscope-7F3A.tar.gz".to_owned());
        assert_eq!(system.maintenance().support, Some(done));
        write("support", "state=failed\nreason=stick_write: read-only\n");
        assert!(matches!(
            system.maintenance().support,
            Some(SupportReport::Failed(_))
        ));
    }

    #[test]
    fn what_is_asked_lies_there_whole() {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path());
        assert!(
            system.ask(&Wish::Restart).is_err(),
            "there is no system that takes requests"
        );
        let requests = folder.path().join("requests");
        fs::create_dir(&requests).unwrap();
        let bundle = "/run/sialoscope/stick/sda1/u.raucb";
        for wish in [Wish::Install(bundle.to_owned()), Wish::Restart, Wish::Support] {
            system.ask(&wish).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(&requests)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["restart", "support", "update"]);
        assert_eq!(
            fs::read_to_string(requests.join("update")).unwrap(),
            format!("{bundle}\n")
        );
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
