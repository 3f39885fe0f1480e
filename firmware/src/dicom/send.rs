//! Storage at another system (PS3.4 Annex B, as user).

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use dicom_encoding::TransferSyntaxIndex as _;
use dicom_object::{FileMetaTable, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use models::findings::{Fault, Reason};

use super::dimse::{Command, Status};
use super::user::{Call, Node, Proposed, Response, User, peer};
use crate::limits::MAX_PRESENTATION_CONTEXTS;

/// What became of one file.
#[derive(Debug)]
pub struct Sent {
    /// The file.
    pub path: PathBuf,
    /// The status of the peer, or why it was not sent.
    pub outcome: Result<Status, Reason>,
}

impl Sent {
    /// Whether the peer acknowledged that it has the instance.
    pub fn is_stored(&self) -> bool {
        matches!(self.outcome, Ok(status) if status.is_stored())
    }
}

/// Sends DICOM files in one association, in the given order, and tells of each what became of it.
///
/// Data sets go as they are. An uncompressed one is converted to Implicit VR Little Endian, which
/// everybody must take, when the peer does not take its own syntax.
///
/// # Errors
/// No association, or it broke; what was told as stored before is stored.
pub fn send(files: &[PathBuf], to: &Node, from: &str, mut tell: impl FnMut(Sent)) -> Result<(), Reason> {
    let mut readable = Vec::new();
    for path in files {
        match Offer::open(path) {
            Ok(offer) => readable.push(offer),
            Err(reason) => tell(Sent {
                path: path.clone(),
                outcome: Err(reason),
            }),
        }
    }
    if readable.is_empty() {
        return Ok(());
    }
    let mut user = User::connect(&Call::plain(to, from), proposed(&readable)?)?;
    for offer in readable {
        let outcome = offer.send(&mut user)?.map(|response| response.status);
        tell(Sent {
            path: offer.path,
            outcome,
        });
    }
    user.release();
    Ok(())
}

/// The presentation contexts that files need.
///
/// # Errors
/// `too_many_contexts`.
pub(crate) fn proposed(offers: &[Offer]) -> Result<Proposed, Reason> {
    let contexts: BTreeSet<_> = offers.iter().flat_map(Offer::contexts).collect();
    if contexts.len() > MAX_PRESENTATION_CONTEXTS {
        let text = format!("more than {MAX_PRESENTATION_CONTEXTS} kinds of objects at once");
        return Err(Reason::new("too_many_contexts", Fault::Data, text));
    }
    Ok(contexts.into_iter().collect())
}

/// The files under paths: files as they are given, folders with all that is in them, in order of name.
///
/// # Errors
/// A path cannot be read.
pub fn files_under(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Reason> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = waiting.pop() {
        let unreadable =
            |error: io::Error| Reason::new("unreadable", Fault::Data, format!("{}: {error}", path.display()));
        if !std::fs::metadata(&path).map_err(unreadable)?.is_dir() {
            files.push(path);
            continue;
        }
        let entries: Result<Vec<_>, _> = std::fs::read_dir(&path)
            .map_err(unreadable)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect();
        let mut entries = entries.map_err(unreadable)?;
        entries.sort_by(|a, b| b.cmp(a));
        waiting.append(&mut entries);
    }
    Ok(files)
}

/// A file that can be sent.
pub(crate) struct Offer {
    path: PathBuf,
    sop_class: String,
    sop_instance: String,
    syntax: String,
    data_set_at: u64,
}

impl Offer {
    pub(crate) fn open(path: &Path) -> Result<Self, Reason> {
        let not_dicom = |text: &str| Reason::new("not_dicom", Fault::Data, text);
        let unreadable = |error: io::Error| Reason::new("unreadable", Fault::Data, error.to_string());
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        file.seek(SeekFrom::Start(128)).map_err(unreadable)?;
        let meta = FileMetaTable::from_reader(&mut file)
            .map_err(|_| not_dicom("the file is not DICOM: it has no file meta information"))?;
        Ok(Self {
            path: path.to_owned(),
            sop_class: meta.media_storage_sop_class_uid().to_owned(),
            sop_instance: meta.media_storage_sop_instance_uid().to_owned(),
            syntax: meta.transfer_syntax().to_owned(),
            data_set_at: file.stream_position().map_err(unreadable)?,
        })
    }

    /// As it is, and converted where that loses nothing.
    fn contexts(&self) -> impl Iterator<Item = (String, String)> {
        let convertible = TransferSyntaxRegistry
            .get(&self.syntax)
            .is_some_and(|syntax| syntax.is_codec_free());
        let implicit = convertible.then(|| uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned());
        let class = self.sop_class.clone();
        std::iter::once(self.syntax.clone())
            .chain(implicit)
            .map(move |syntax| (class.clone(), syntax))
    }

    /// The outer error ends the association, the inner one only this file.
    pub(crate) fn send(&self, user: &mut User) -> Result<Result<Response, Reason>, Reason> {
        let accepted = |user: &User, syntax: &str| {
            user.accepted(|context| {
                context.abstract_syntax == self.sop_class && context.transfer_syntax == syntax
            })
        };
        let request = Command::store_request(user.next_message(), &self.sop_class, &self.sop_instance);
        if let Some(context) = accepted(user, &self.syntax) {
            let mut file = match File::open(&self.path).and_then(|mut file| {
                file.seek(SeekFrom::Start(self.data_set_at))?;
                Ok(file)
            }) {
                Ok(file) => file,
                Err(error) => return Ok(Err(Reason::new("unreadable", Fault::Data, error.to_string()))),
            };
            user.command(context, &request)?;
            user.data(context, &mut file)?;
        } else if let Some(context) = accepted(user, uids::IMPLICIT_VR_LITTLE_ENDIAN) {
            let data_set = match self.converted() {
                Ok(data_set) => data_set,
                Err(reason) => return Ok(Err(reason)),
            };
            user.command(context, &request)?;
            user.data(context, &mut &data_set[..])?;
        } else {
            return Ok(Err(peer(
                "not_accepted",
                "the peer does not accept this SOP class and transfer syntax",
            )));
        }
        user.response(&request).map(Ok)
    }

    fn converted(&self) -> Result<Vec<u8>, Reason> {
        let unreadable = |error: &dyn fmt::Display| Reason::new("unreadable", Fault::Data, error.to_string());
        let object = OpenFileOptions::new()
            .open_file(&self.path)
            .map_err(|error| unreadable(&error))?;
        let implicit = TransferSyntaxRegistry
            .get(uids::IMPLICIT_VR_LITTLE_ENDIAN)
            .ok_or_else(|| unreadable(&"no Implicit VR Little Endian"))?;
        let mut bytes = Vec::new();
        object
            .write_dataset_with_ts(&mut bytes, implicit)
            .map_err(|error| unreadable(&error))?;
        Ok(bytes)
    }
}
