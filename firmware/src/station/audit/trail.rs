//! Messages on disk, each sealed over all before it.
//!
//! ```text
//! data_dir/audit/
//!   key                 32 random bytes of this device, readable by the appliance only
//!   N.jsonl             records N and following; the file with the highest N is being written
//!   delivered           number of the last record that the syslog server took, where there is one
//! ```
//!
//! A record is one line: its number, the time, the message, and a seal: HMAC-SHA256 with the key over the
//! seal before it and these three. Who changes, removes or inserts a record without the key breaks every
//! seal behind it. Who has the key can forge the end; the copy at the syslog server is there for that.
//!
//! A power cut may leave an unfinished last line. It is cut off at the next start, and reported, since a
//! cut is all that somebody without the key could do unseen.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use models::package::hex;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk as _, RealDisk};
use crate::limits::{AUDIT_FILE_BYTES, AUDIT_FILES, MAX_AUDIT_LINE_BYTES};

const KEY_BYTES: usize = 32;
/// Before the first record there is nothing to seal over.
const NO_SEAL: &str = "";

/// One message of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// From 1, without gaps.
    pub number: u64,
    /// RFC 3339; of the wall clock.
    pub at: String,
    /// XML (PS3.15 A.5.1).
    pub message: String,
    /// Hexadecimal.
    pub seal: String,
}

/// What is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The last line is not complete; a power cut does that.
    Unfinished {
        /// After which record.
        after: u64,
    },
    /// A line is no record, or its seal does not fit.
    Broken {
        /// The last good record.
        after: u64,
        /// The file.
        file: String,
    },
}

impl Finding {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::Unfinished { .. } => "audit_unfinished",
            Finding::Broken { .. } => "audit_broken",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Unfinished { after } => {
                write!(
                    f,
                    "the audit trail ends within the record after {after}, as a power cut leaves it"
                )
            }
            Finding::Broken { after, file } => {
                write!(f, "the audit trail was changed after record {after}, in {file}")
            }
        }
    }
}

/// The trail of one appliance, being written.
pub struct Trail {
    folder: PathBuf,
    key: hmac::Key,
    file: File,
    bytes: u64,
    next: u64,
    seal: String,
}

impl Trail {
    /// Opens the trail in a data folder, and says what is wrong with its last file. A broken file is left
    /// as it is, and a new one begun behind it.
    pub fn open(data_dir: &Path) -> io::Result<(Trail, Option<Finding>)> {
        let folder = folder(data_dir);
        RealDisk.make_folder(&folder)?;
        let key = read_or_make_key(&folder)?;
        let last = files(&folder)?.pop();
        let mut state = Checked::default();
        let finding = match &last {
            Some((number, path)) => {
                state.last = number.saturating_sub(1);
                check(path, &key, true, &mut state)?
            }
            None => None,
        };
        let (path, finding) = match (last, finding) {
            (Some((_, path)), None) => (path, None),
            (Some((_, path)), Some(finding @ Finding::Unfinished { .. })) => {
                OpenOptions::new()
                    .write(true)
                    .open(&path)?
                    .set_len(state.good_bytes)?;
                (path, Some(finding))
            }
            // Numbers go on behind whatever may stand in the broken file.
            (Some((number, path)), Some(finding @ Finding::Broken { .. })) => {
                let lines = BufReader::new(File::open(path)?).split(b'\n').count() as u64;
                state.last = state.last.max(number + lines);
                (folder.join(name(state.last + 1)), Some(finding))
            }
            (None, _) => (folder.join(name(1)), None),
        };
        let trail = Trail {
            file: open_to_append(&path)?,
            bytes: fs::metadata(&path)?.len(),
            next: state.last + 1,
            seal: state.seal.unwrap_or_default(),
            folder,
            key,
        };
        Ok((trail, finding))
    }

    /// Number of the last record; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Writes one message, durably.
    pub fn append(&mut self, at: &str, message: &str) -> io::Result<()> {
        if self.bytes >= AUDIT_FILE_BYTES {
            self.turn_over()?;
        }
        let seal = seal(&self.key, &self.seal, self.next, at, message);
        let record = Record {
            number: self.next,
            at: at.to_owned(),
            message: message.to_owned(),
            seal,
        };
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Half a line must not stand in front of the next one.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += line.len() as u64;
        self.next += 1;
        self.seal = record.seal;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let path = self.folder.join(name(self.next));
        self.file = open_to_append(&path)?;
        self.bytes = 0;
        RealDisk.sync_folder(&self.folder)?;
        let files = files(&self.folder)?;
        for (_, path) in &files[..files.len().saturating_sub(AUDIT_FILES)] {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Checks every seal of the trail in a data folder; how many records it holds.
///
/// # Errors
/// The disk failed, or there is no trail.
pub fn verify(data_dir: &Path) -> io::Result<Result<u64, Finding>> {
    let folder = folder(data_dir);
    let key = read_key(&folder.join("key"))?;
    let mut state = Checked::default();
    let mut records = 0;
    for (n, (number, path)) in files(&folder)?.into_iter().enumerate() {
        // Older files may have been removed; the seal before the first one that is left is not known.
        if n == 0 {
            state.last = number.saturating_sub(1);
        }
        if let Some(finding) = check(&path, &key, n == 0, &mut state)? {
            return Ok(Err(finding));
        }
        records += state.records;
    }
    Ok(Ok(records))
}

/// How far a trail was found good.
#[derive(Default)]
struct Checked {
    /// Number of the last good record.
    last: u64,
    seal: Option<String>,
    /// Of the file that was checked last.
    good_bytes: u64,
    /// In the file that was checked last.
    records: u64,
}

/// Checks one file. Where it is the first that is looked at, its first seal is believed unless it is that of
/// record 1.
fn check(path: &Path, key: &hmac::Key, first: bool, state: &mut Checked) -> io::Result<Option<Finding>> {
    let mut lines = BufReader::new(File::open(path)?);
    state.good_bytes = 0;
    state.records = 0;
    if first && state.last == 0 {
        state.seal = Some(NO_SEAL.to_owned());
    }
    loop {
        let line = read_line(&mut lines)?;
        if line.is_empty() {
            return Ok(None);
        }
        if !is_whole(&line) {
            return Ok(Some(Finding::Unfinished { after: state.last }));
        }
        let record = serde_json::from_slice::<Record>(&line).ok();
        let fits = |record: &Record| {
            let sealed = state.seal.as_ref().is_none_or(|before| {
                seal(key, before, record.number, &record.at, &record.message) == record.seal
            });
            record.number == state.last + 1 && sealed
        };
        let Some(record) = record.filter(fits) else {
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            return Ok(Some(Finding::Broken {
                after: state.last,
                file,
            }));
        };
        state.last = record.number;
        state.seal = Some(record.seal);
        state.good_bytes += line.len() as u64;
        state.records += 1;
    }
}

/// The next line of a file, as far as it is there and within the limit; empty at the end.
pub(super) fn read_line(lines: &mut BufReader<File>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    lines
        .by_ref()
        .take(MAX_AUDIT_LINE_BYTES)
        .read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Whether nothing can be added to a line: it has its end, or is longer than a record.
pub(super) fn is_whole(line: &[u8]) -> bool {
    line.ends_with(b"\n") || line.len() as u64 == MAX_AUDIT_LINE_BYTES
}

fn seal(key: &hmac::Key, before: &str, number: u64, at: &str, message: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    // Lengths in front, so that no two different records are sealed over the same bytes.
    for part in [before, &number.to_string(), at, message] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    hex(context.sign().as_ref())
}

/// Where the trail of a data folder is.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("audit")
}

/// Of the file that begins with a record.
fn name(number: u64) -> String {
    format!("{number:012}.jsonl")
}

/// The files of a trail with the numbers of their first records, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jsonl")?.parse().ok());
        files.extend(number.map(|number: u64| (number, path)));
    }
    files.sort();
    Ok(files)
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

fn read_key(path: &Path) -> io::Result<hmac::Key> {
    let bytes = RealDisk.read_at_most(path, KEY_BYTES as u64)?;
    if bytes.len() != KEY_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the key of the audit trail is damaged",
        ));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn read_or_make_key(folder: &Path) -> io::Result<hmac::Key> {
    let path = folder.join("key");
    match read_key(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("there is no randomness for the key of the audit trail"))?;
    let draft = folder.join("key.draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    RealDisk.move_file(&draft, &path)?;
    read_key(&path)
}
