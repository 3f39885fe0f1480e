//! The user side: verification and storage at another system.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dicom_dictionary_std::uids;
use dicom_encoding::TransferSyntaxIndex as _;
use dicom_object::{FileMetaTable, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use dicom_ul::association::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, PresentationContextResultReason};
use models::findings::{Fault, Reason};

use super::dimse::{Command, Status};
use super::is_ae_title;
use crate::limits::{
    CONNECT_TIMEOUT, MAX_PDU_BYTES, MAX_PRESENTATION_CONTEXTS, RESPONSE_TIMEOUT, WRITE_TIMEOUT,
};

/// A DICOM system on the network, written `AE@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its AE title.
    pub ae_title: String,
    /// `HOST:PORT`.
    pub address: String,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ae_title, address) = text.split_once('@').ok_or("it is not AE@HOST:PORT")?;
        let (host, port) = address.rsplit_once(':').ok_or("it has no port")?;
        if !is_ae_title(ae_title) {
            return Err("the AE title is not 1 to 16 printable characters".to_owned());
        }
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err("the address is not HOST:PORT".to_owned());
        }
        Ok(Self {
            ae_title: ae_title.to_owned(),
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.ae_title, self.address)
    }
}

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

/// Verifies that a system answers (C-ECHO).
///
/// # Errors
/// The connection, the association or the response failed; the peer's fault.
pub fn echo(to: &Node, from: &str) -> Result<Status, Reason> {
    let own = options(to, from).with_abstract_syntax(uids::VERIFICATION);
    let mut user = User::connect(to, own)?;
    let context = user
        .accepted(|context| context.abstract_syntax == uids::VERIFICATION)
        .ok_or_else(|| peer("not_accepted", "the peer does not accept verification"))?;
    user.command(context, &Command::echo_request(1, uids::VERIFICATION))?;
    let status = user.response(1)?;
    user.release();
    Ok(status)
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
    let contexts: BTreeSet<_> = readable.iter().flat_map(Offer::contexts).collect();
    if contexts.len() > MAX_PRESENTATION_CONTEXTS {
        let text = format!("more than {MAX_PRESENTATION_CONTEXTS} kinds of objects at once");
        return Err(Reason::new("too_many_contexts", Fault::Data, text));
    }
    let own = contexts
        .into_iter()
        .fold(options(to, from), |options, (class, syntax)| {
            options.with_presentation_context(class, vec![syntax])
        });
    let mut user = User::connect(to, own)?;
    let mut message_id = 0_u16;
    for offer in readable {
        message_id = message_id.wrapping_add(1).max(1);
        let outcome = offer.send(&mut user, message_id)?;
        tell(Sent {
            path: offer.path,
            outcome,
        });
    }
    user.release();
    Ok(())
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
struct Offer {
    path: PathBuf,
    sop_class: String,
    sop_instance: String,
    syntax: String,
    data_set_at: u64,
}

impl Offer {
    fn open(path: &Path) -> Result<Self, Reason> {
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
    fn send(&self, user: &mut User, message_id: u16) -> Result<Result<Status, Reason>, Reason> {
        let accepted = |user: &User, syntax: &str| {
            user.accepted(|context| {
                context.abstract_syntax == self.sop_class && context.transfer_syntax == syntax
            })
        };
        let request = Command::store_request(message_id, &self.sop_class, &self.sop_instance);
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
        user.response(message_id).map(Ok)
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

/// An association that we asked for.
pub(super) struct User {
    association: ClientAssociation<TcpStream>,
}

impl User {
    pub(super) fn connect(to: &Node, options: ClientAssociationOptions<'_>) -> Result<Self, Reason> {
        let mut addresses = to
            .address
            .to_socket_addrs()
            .map_err(|error| peer("unreachable", format!("{to}: {error}")))?;
        let address = addresses
            .next()
            .ok_or_else(|| peer("unreachable", format!("{to}: no such host")))?;
        let mut association = options
            .establish(address)
            .map_err(|error| peer("no_association", format!("{to}: {error}")))?;
        association
            .inner_stream()
            .set_nodelay(true)
            .map_err(|error| peer("broken", error.to_string()))?;
        Ok(Self { association })
    }

    /// The identifier of an accepted presentation context.
    pub(super) fn accepted(
        &self,
        fits: impl Fn(&dicom_ul::pdu::PresentationContextNegotiated) -> bool,
    ) -> Option<u8> {
        let contexts = self.association.presentation_contexts();
        let accepted = |context: &&_| {
            matches!(
                context,
                dicom_ul::pdu::PresentationContextNegotiated {
                    reason: PresentationContextResultReason::Acceptance,
                    ..
                }
            )
        };
        contexts
            .iter()
            .filter(accepted)
            .find(|context| fits(context))
            .map(|context| context.id)
    }

    pub(super) fn command(&mut self, context: u8, command: &Command) -> Result<(), Reason> {
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.encode(),
        };
        let broke =
            |error: dicom_ul::association::Error| peer("broken", format!("the association broke: {error}"));
        self.association
            .send(&Pdu::PData { data: vec![value] })
            .map_err(broke)
    }

    pub(super) fn data(&mut self, context: u8, source: &mut impl Read) -> Result<(), Reason> {
        let broke = |error: io::Error| peer("broken", format!("the association broke: {error}"));
        let mut data = self.association.send_pdata(context);
        io::copy(source, &mut data).map_err(broke)?;
        data.finish().map_err(broke)
    }

    pub(super) fn response(&mut self, message_id: u16) -> Result<Status, Reason> {
        let mut bytes = Vec::new();
        loop {
            let values = match self.association.receive() {
                Ok(Pdu::PData { data }) => data,
                Ok(Pdu::AbortRQ { .. }) => return Err(peer("aborted", "the peer broke off")),
                Ok(_) => {
                    return Err(peer(
                        "protocol_violation",
                        "the peer sent something else than a response",
                    ));
                }
                Err(error) => return Err(peer("broken", format!("no response: {error}"))),
            };
            for value in values {
                bytes.extend_from_slice(&value.data);
                if value.is_last {
                    let response = Command::decode(&bytes).map_err(|error| {
                        peer(
                            "protocol_violation",
                            format!("the response is malformed: {error}"),
                        )
                    })?;
                    if response.message_id_responded_to != Some(message_id) {
                        return Err(peer("protocol_violation", "the response is to another request"));
                    }
                    return response
                        .status
                        .map(Status)
                        .ok_or_else(|| peer("protocol_violation", "the response has no status"));
                }
            }
        }
    }

    pub(super) fn release(self) {
        // Everything was answered; a peer that does not even take the release changes nothing.
        if let Err(error) = self.association.release() {
            tracing::debug!(%error, "the release was not answered");
        }
    }
}

pub(super) fn options<'a>(to: &'a Node, from: &'a str) -> ClientAssociationOptions<'a> {
    ClientAssociationOptions::new()
        .calling_ae_title(from)
        .called_ae_title(to.ae_title.as_str())
        .max_pdu_length(MAX_PDU_BYTES)
        .connection_timeout(CONNECT_TIMEOUT)
        .read_timeout(RESPONSE_TIMEOUT)
        .write_timeout(WRITE_TIMEOUT)
}

pub(super) fn peer(code: &str, text: impl Into<String>) -> Reason {
    Reason::new(code, Fault::Peer, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_written_as_users_write_it() {
        let node = Node {
            ae_title: "PACS".into(),
            address: "192.0.2.1:104".into(),
        };
        assert_eq!("PACS@192.0.2.1:104".parse(), Ok(node.clone()));
        assert_eq!(node.to_string().parse(), Ok(node));
        assert_eq!(
            "X@[::1]:104".parse::<Node>().map(|n| n.address),
            Ok("[::1]:104".into())
        );
        for bad in [
            "PACS",
            "@h:1",
            "A@h",
            "A@:1",
            "A@h:99999",
            "SEVENTEEN_LETTERS@h:1",
        ] {
            assert!(bad.parse::<Node>().is_err(), "{bad}");
        }
    }
}
