//! Associations that we ask for.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use dicom_ul::association::client::TlsStream;
use dicom_ul::association::{ClientAssociation, ClientAssociationOptions, CloseSocket, Error};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, PresentationContextNegotiated};
use models::findings::{Fault, Reason};

use super::dimse::{Command, RESPONSE, Status};
use super::is_ae_title;
use crate::limits::{
    CONNECT_TIMEOUT, MAX_COMMAND_BYTES, MAX_MESSAGE_BYTES, MAX_PDU_BYTES, RESPONSE_TIMEOUT, VISIT_DEADLINE,
    WRITE_TIMEOUT,
};
use crate::tls;

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

/// How a call is encrypted: with what, and the name that the certificate of the other side must be for.
#[derive(Clone)]
pub(crate) struct Encryption {
    /// Authorities, and our certificate where we show one.
    pub config: Arc<rustls::ClientConfig>,
    /// A host name or an address.
    pub name: String,
}

/// How we call a system.
pub(crate) struct Call<'a> {
    /// Whom.
    pub to: &'a Node,
    /// By TLS.
    pub encryption: Option<Encryption>,
    /// Our AE title.
    pub from: &'a str,
    /// How long we wait for each of its answers.
    pub patience: Duration,
}

impl<'a> Call<'a> {
    /// Without TLS.
    pub(crate) fn plain(to: &'a Node, from: &'a str) -> Self {
        Self {
            to,
            encryption: None,
            from,
            patience: RESPONSE_TIMEOUT,
        }
    }
}

/// What is proposed for an association: abstract syntaxes, each with one transfer syntax.
pub(crate) type Proposed = Vec<(String, String)>;

/// An association that we asked for.
pub(crate) struct User {
    association: Box<dyn Line>,
    /// When its time is over, whatever still comes.
    deadline: Instant,
    message_id: u16,
}

/// An association with or without TLS.
trait Line {
    fn contexts(&self) -> &[PresentationContextNegotiated];
    fn send(&mut self, pdu: &Pdu) -> Result<(), Error>;
    fn send_data(&mut self, context: u8, source: &mut dyn Read) -> io::Result<()>;
    fn receive(&mut self) -> Result<Pdu, Error>;
    fn socket(&mut self) -> &TcpStream;
    fn release(self: Box<Self>) -> Result<(), Error>;
}

trait Socket: CloseSocket + Read + Write {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

impl<S: Socket> Line for ClientAssociation<S> {
    fn contexts(&self) -> &[PresentationContextNegotiated] {
        self.presentation_contexts()
    }

    fn send(&mut self, pdu: &Pdu) -> Result<(), Error> {
        ClientAssociation::send(self, pdu)
    }

    fn send_data(&mut self, context: u8, source: &mut dyn Read) -> io::Result<()> {
        let mut data = self.send_pdata(context);
        io::copy(source, &mut data)?;
        data.finish()
    }

    fn receive(&mut self) -> Result<Pdu, Error> {
        ClientAssociation::receive(self)
    }

    fn socket(&mut self) -> &TcpStream {
        self.inner_stream().tcp()
    }

    fn release(self: Box<Self>) -> Result<(), Error> {
        ClientAssociation::release(*self)
    }
}

/// What a peer answered to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// (0000,0900).
    pub status: Status,
    /// (0000,0902), where there is one.
    pub comment: Option<String>,
}

/// A message that came.
pub(crate) struct Message {
    pub context: u8,
    pub command: Command,
    /// Its data set; empty where it has none.
    pub data_set: Vec<u8>,
}

/// Verifies that a system answers (C-ECHO).
///
/// # Errors
/// The connection, the association or the response failed; the peer's fault.
pub fn echo(to: &Node, from: &str) -> Result<Status, Reason> {
    let proposed = vec![(
        uids::VERIFICATION.to_owned(),
        uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(),
    )];
    let mut user = User::connect(&Call::plain(to, from), proposed)?;
    let context = user
        .accepted(|context| context.abstract_syntax == uids::VERIFICATION)
        .ok_or_else(|| peer("not_accepted", "the peer does not accept verification"))?;
    let request = Command::echo_request(user.next_message(), uids::VERIFICATION);
    user.command(context, &request)?;
    let response = user.response(&request)?;
    user.release();
    Ok(response.status)
}

impl User {
    /// As user of what is proposed.
    pub(crate) fn connect(call: &Call<'_>, proposed: Proposed) -> Result<Self, Reason> {
        Self::establish(call, options(call, proposed))
    }

    /// As provider of a class to a user who is called.
    pub(super) fn connect_as_provider(call: &Call<'_>, class: &str, syntax: &str) -> Result<Self, Reason> {
        let proposed = vec![(class.to_owned(), syntax.to_owned())];
        let options = options(call, proposed).with_role_selection(class.to_owned(), false, true);
        Self::establish(call, options)
    }

    fn establish(call: &Call<'_>, options: ClientAssociationOptions<'_>) -> Result<Self, Reason> {
        let address = &call.to.address;
        let refused = |error: Error| refusal(call.to, &error);
        let mut association: Box<dyn Line> = match call.encryption.clone() {
            None => Box::new(options.establish(address).map_err(refused)?),
            Some(Encryption { config, name }) => {
                let options = options.tls_config(config).server_name(&name);
                Box::new(options.establish_tls(address).map_err(refused)?)
            }
        };
        let undelayed = association.socket().set_nodelay(true);
        undelayed.map_err(|error| broke(&error))?;
        Ok(Self {
            association,
            deadline: Instant::now() + VISIT_DEADLINE,
            message_id: 0,
        })
    }

    /// The identifier of an accepted presentation context.
    pub(crate) fn accepted(&self, fits: impl Fn(&PresentationContextNegotiated) -> bool) -> Option<u8> {
        let contexts = self.association.contexts();
        contexts
            .iter()
            .find(|context| fits(context))
            .map(|context| context.id)
    }

    /// A Message ID for the next request.
    pub(crate) fn next_message(&mut self) -> u16 {
        self.message_id = self.message_id.wrapping_add(1).max(1);
        self.message_id
    }

    pub(crate) fn command(&mut self, context: u8, command: &Command) -> Result<(), Reason> {
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.encode(),
        };
        let sent = self.association.send(&Pdu::PData { data: vec![value] });
        sent.map_err(|error| broke(&in_full(&error)))
    }

    pub(crate) fn data(&mut self, context: u8, source: &mut dyn Read) -> Result<(), Reason> {
        let sent = self.association.send_data(context, source);
        sent.map_err(|error| broke(&error))
    }

    /// The next message.
    pub(crate) fn message(&mut self) -> Result<Message, Reason> {
        let mut command_set = Vec::new();
        let mut command = None;
        let mut data_set = Vec::new();
        loop {
            for value in self.values()? {
                let (collected, limit) = match (&value.value_type, &command) {
                    (PDataValueType::Command, None) => (&mut command_set, MAX_COMMAND_BYTES),
                    (PDataValueType::Data, Some(_)) => (&mut data_set, MAX_MESSAGE_BYTES),
                    _ => return Err(violation("parts of a message in the wrong order")),
                };
                if collected.len() + value.data.len() > limit {
                    return Err(violation("a message beyond the limit"));
                }
                collected.extend_from_slice(&value.data);
                if !value.is_last {
                    continue;
                }
                let context = value.presentation_context_id;
                let command = match command.take() {
                    Some(command) => command,
                    None => {
                        let decoded = Command::decode(&command_set)
                            .map_err(|error| violation(&format!("a malformed command: {error}")))?;
                        if decoded.data_set_follows {
                            command = Some(decoded);
                            continue;
                        }
                        decoded
                    }
                };
                return Ok(Message {
                    context,
                    command,
                    data_set,
                });
            }
        }
    }

    fn values(&mut self) -> Result<Vec<PDataValue>, Reason> {
        if Instant::now() >= self.deadline {
            let text = format!("no end after {} s", VISIT_DEADLINE.as_secs());
            return Err(peer("hangs", text));
        }
        match self.association.receive() {
            Ok(Pdu::PData { data }) => Ok(data),
            Ok(Pdu::AbortRQ { .. }) => Err(peer("aborted", "the peer broke off")),
            Ok(_) => Err(violation("something else than a message")),
            Err(error) => Err(peer("broken", format!("no response: {}", in_full(&error)))),
        }
    }

    /// The response to a request.
    pub(crate) fn response(&mut self, request: &Command) -> Result<Response, Reason> {
        let Message { command, .. } = self.message()?;
        let is_answer = command.field == request.field | RESPONSE
            && command.message_id_responded_to == request.message_id;
        if !is_answer {
            return Err(violation("something else than the response"));
        }
        let status = command
            .status
            .ok_or_else(|| violation("a response without a status"))?;
        Ok(Response {
            status: Status(status),
            comment: command
                .error_comment
                .map(|comment| comment.trim().to_owned())
                .filter(|comment| !comment.is_empty()),
        })
    }

    /// Lets what comes next take so long.
    pub(crate) fn wait_at_most(&mut self, time: Duration) -> Result<(), Reason> {
        let set = self.association.socket().set_read_timeout(Some(time));
        set.map_err(|error| broke(&error))
    }

    pub(crate) fn release(self) {
        // Everything was answered; a peer that does not even take the release changes nothing.
        if let Err(error) = self.association.release() {
            tracing::debug!(%error, "the release was not answered");
        }
    }
}

fn options<'a>(call: &Call<'a>, proposed: Proposed) -> ClientAssociationOptions<'a> {
    let options = ClientAssociationOptions::new()
        .calling_ae_title(call.from)
        .called_ae_title(call.to.ae_title.as_str())
        .max_pdu_length(MAX_PDU_BYTES)
        .connection_timeout(CONNECT_TIMEOUT)
        .read_timeout(call.patience)
        .write_timeout(WRITE_TIMEOUT);
    proposed.into_iter().fold(options, |options, (class, syntax)| {
        options.with_presentation_context(class, vec![syntax])
    })
}

/// Why there is no association: whose fault that is.
fn refusal(to: &Node, error: &Error) -> Reason {
    let (code, fault) = match error {
        Error::TlsHandshake { source, .. } if tls::is_about_certificate(source) => {
            ("certificate", Fault::Configuration)
        }
        Error::TlsHandshake { .. } | Error::TlsNotSupported => ("no_tls", Fault::Peer),
        Error::Rejected { .. } => ("rejected", Fault::Peer),
        Error::Connect { .. } | Error::ToAddress { .. } => ("unreachable", Fault::Peer),
        _ => ("no_association", Fault::Peer),
    };
    Reason::new(code, fault, format!("{to}: {}", in_full(error)))
}

/// An error with what it came from.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(crate) fn peer(code: &str, text: impl Into<String>) -> Reason {
    Reason::new(code, Fault::Peer, text)
}

fn broke(why: &dyn fmt::Display) -> Reason {
    peer("broken", format!("the association broke: {why}"))
}

fn violation(what: &str) -> Reason {
    peer("protocol_violation", format!("the peer sent {what}"))
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
