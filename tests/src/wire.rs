//! A DICOM peer down to the bytes: what the upper layer protocol (PS3.8 9.3) puts on the wire, right or
//! as wrong as a test wants it. Nothing here is shared with the appliance but the command set.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of tests: it fails by panicking"
)]

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use dicom_dictionary_std::uids;
use firmware::dicom::dimse::{Command, Status};

/// Longer than every timeout of the appliance that a test waits for.
const WAIT: Duration = Duration::from_secs(60);

pub const ASSOCIATE_RQ: u8 = 1;
pub const ASSOCIATE_AC: u8 = 2;
pub const ASSOCIATE_RJ: u8 = 3;
pub const P_DATA: u8 = 4;
pub const RELEASE_RQ: u8 = 5;
pub const ABORT: u8 = 7;

/// Bits of a message control header (PS3.8 E.2).
pub const COMMAND: u8 = 1;
pub const LAST: u8 = 2;

/// The presentation contexts that [`Request::default`] proposes.
pub const MR: u8 = 1;
pub const VERIFICATION: u8 = 3;

/// A PDU of this type around these bytes, with a true length.
pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A presentation data value item.
pub fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(data.len() + 2).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(&[context, control]);
    bytes.extend_from_slice(data);
    bytes
}

/// An item of an association request: type, reserved byte, length of two bytes.
pub fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// An A-ASSOCIATE-RQ under construction.
pub struct Request {
    pub called: [u8; 16],
    pub calling: [u8; 16],
    pub contexts: Vec<(u8, Vec<u8>, Vec<Vec<u8>>)>,
    /// Sub-items of the user information besides maximum length and implementation.
    pub user: Vec<u8>,
}

impl Default for Request {
    fn default() -> Self {
        let context = |id, class: &str, syntax: &str| (id, class.into(), vec![syntax.into()]);
        Self {
            called: title(b"SIALOSCOPE"),
            calling: title(b"RAW"),
            contexts: vec![
                context(MR, uids::MR_IMAGE_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN),
                context(VERIFICATION, uids::VERIFICATION, uids::IMPLICIT_VR_LITTLE_ENDIAN),
            ],
            user: vec![],
        }
    }
}

/// An AE title field: 16 bytes, filled up with spaces.
pub fn title(text: &[u8]) -> [u8; 16] {
    let mut field = [b' '; 16];
    field[..text.len()].copy_from_slice(text);
    field
}

impl Request {
    pub fn with_context(class: &str, syntax: &str) -> Self {
        Self {
            contexts: vec![(1, class.into(), vec![syntax.into()])],
            ..Self::default()
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![0, 1, 0, 0];
        body.extend_from_slice(&self.called);
        body.extend_from_slice(&self.calling);
        body.extend_from_slice(&[0; 32]);
        body.extend_from_slice(&item(0x10, b"1.2.840.10008.3.1.1.1"));
        for (id, class, syntaxes) in &self.contexts {
            let mut context = vec![*id, 0, 0, 0];
            context.extend_from_slice(&item(0x30, class));
            for syntax in syntaxes {
                context.extend_from_slice(&item(0x40, syntax));
            }
            body.extend_from_slice(&item(0x20, &context));
        }
        let mut user = item(0x51, &(256_u32 << 10).to_be_bytes());
        user.extend_from_slice(&item(0x52, b"1.2.826.0.1.3680043.9.9999"));
        user.extend_from_slice(&self.user);
        body.extend_from_slice(&item(0x50, &user));
        pdu(ASSOCIATE_RQ, &body)
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Pdu(u8, Vec<u8>),
    /// The connection is over, by close or by reset.
    Closed,
}

impl Reply {
    /// How an appliance says no: an abort, a rejection, or hanging up.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Closed | Self::Pdu(ABORT | ASSOCIATE_RJ, _))
    }
}

/// One connection.
pub struct Peer {
    pub socket: TcpStream,
    /// The longest P-DATA-TF that the other side takes, bytes after the header; 0 for any.
    pub max_pdu: u32,
}

impl Peer {
    pub fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        Self {
            socket,
            max_pdu: 16 << 10,
        }
    }

    /// Asks for an association; the answer, whatever it is.
    pub fn request(address: &str, request: &Request) -> (Self, Reply) {
        let mut peer = Self::connect(address);
        let _ = peer.send(&request.encode());
        let reply = peer.reply();
        if let Reply::Pdu(ASSOCIATE_AC, body) = &reply {
            let at = body.windows(4).position(|item| item == [0x51, 0, 0, 4]).unwrap() + 4;
            peer.max_pdu = u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        }
        (peer, reply)
    }

    /// An association with the contexts of [`Request::default`].
    pub fn associate(address: &str) -> Self {
        Self::associate_with(address, &Request::default())
    }

    pub fn associate_with(address: &str, request: &Request) -> Self {
        let (peer, reply) = Self::request(address, request);
        assert!(matches!(reply, Reply::Pdu(ASSOCIATE_AC, _)), "{reply:?}");
        peer
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next PDU.
    pub fn reply(&mut self) -> Reply {
        let mut header = [0; 6];
        if let Err(error) = self.socket.read_exact(&mut header) {
            return Self::closed(&error);
        }
        let length = u32::from_be_bytes(header[2..].try_into().unwrap());
        assert!(length < 1 << 20, "an answer of {length} bytes");
        let mut body = vec![0; length as usize];
        match self.socket.read_exact(&mut body) {
            Ok(()) => Reply::Pdu(header[0], body),
            Err(error) => Self::closed(&error),
        }
    }

    fn closed(error: &io::Error) -> Reply {
        let timed_out = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        assert!(!timed_out, "no answer within {WAIT:?}");
        Reply::Closed
    }

    /// The response to a request that was sent.
    pub fn response(&mut self) -> Command {
        match self.reply() {
            Reply::Pdu(P_DATA, body) => Command::decode(&body[6..]).unwrap(),
            other => panic!("no response: {other:?}"),
        }
    }

    /// A C-STORE of these bytes in context [`MR`], and the status of its response.
    pub fn store(&mut self, sop_class: &str, sop_instance: &str, data_set: &[u8]) -> Status {
        let command = Command::store_request(1, sop_class, sop_instance).encode();
        self.send(&pdu(P_DATA, &pdv(MR, COMMAND | LAST, &command)))
            .unwrap();
        self.send_data_set(MR, data_set).unwrap();
        Status(self.response().status.unwrap())
    }

    /// A data set in as many PDUs as it takes.
    pub fn send_data_set(&mut self, context: u8, data_set: &[u8]) -> io::Result<()> {
        let room = if self.max_pdu == 0 {
            256 << 10
        } else {
            self.max_pdu as usize
        };
        let mut rest = data_set;
        loop {
            let (now, later) = rest.split_at(rest.len().min(room - 6));
            let last = if later.is_empty() { LAST } else { 0 };
            self.send(&pdu(P_DATA, &pdv(context, last, now)))?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }

    /// A-RELEASE-RQ, and whatever comes in return.
    pub fn release(mut self) -> Reply {
        let _ = self.send(&pdu(RELEASE_RQ, &[0; 4]));
        self.reply()
    }

    /// The other side sees the end of what we send.
    pub fn finish(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}
