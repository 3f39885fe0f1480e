//! PDUs over a connection, with a limit on each length and each wait.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dicom_ul::pdu::{MINIMUM_PDU_SIZE, Pdu, read_pdu, write_pdu};
use models::findings::Fault;
use rustls::CertificateError;
use socket2::{SockRef, TcpKeepalive};

use super::door::{Patience, Stream, is_timeout};
use crate::limits::{
    KEEPALIVE, KEEPALIVE_PROBES, MAX_ASSOCIATE_BYTES, MIN_MESSAGE_PROGRESS_BYTES, READ_BUFFER_BYTES,
};

/// How a connection ends without a release. Whoever reads it is the field engineer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer was silent for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the peer took longer than {} s for one message unit", .0.as_secs())]
    Dripping(Duration),
    #[error("the peer sent less than {MIN_MESSAGE_PROGRESS_BYTES} bytes of a message in {} s", .0.as_secs())]
    Crawling(Duration),
    #[error("{0} on the DICOM port")]
    OtherProtocol(&'static str),
    #[error("{0} on the TLS port")]
    NoTls(&'static str),
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    #[error("TLS: every authority for the certificates of callers has expired")]
    NoAuthority,
    #[error("the peer did not take an answer within {} s", .0.as_secs())]
    NotReading(Duration),
    #[error("a message unit of type {0:02X}h does not exist")]
    UnknownType(u8),
    #[error("a message unit of {length} bytes exceeds the limit of {limit}")]
    Length { length: u32, limit: u32 },
    #[error("a message unit is malformed: {0}")]
    Malformed(String),
    #[error("the appliance is stopping")]
    Stopping,
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
}

impl WireError {
    /// Stable, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Closed => "connection_closed",
            Self::Silent(_) => "silent",
            Self::Dripping(_) | Self::Crawling(_) => "too_slow",
            Self::OtherProtocol(_) | Self::NoTls(_) => "other_protocol",
            Self::Tls(rustls::Error::NoCertificatesPresented) => "no_certificate",
            Self::Tls(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ))
            | Self::NoAuthority => "certificate_expired",
            Self::Tls(rustls::Error::InvalidCertificate(_)) => "certificate",
            Self::Tls(_) => "tls",
            Self::NotReading(_) => "not_reading",
            Self::UnknownType(_) => "not_dicom",
            Self::Length { .. } => "length",
            Self::Malformed(_) => "malformed",
            Self::Stopping => "stopping",
            Self::Io(_) => "connection_failed",
        }
    }

    /// Who has to do something about it.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::NoAuthority => Fault::Configuration,
            _ => Fault::Peer,
        }
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Closed;
        }
        match error.downcast() {
            Ok(tls) => Self::Tls(tls),
            Err(error) => Self::Io(error),
        }
    }
}

/// Sets a socket up before anything is read from it.
pub(super) fn prepare<'s, S>(socket: &'s S) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    let socket = SockRef::from(socket);
    // A response is one small segment; waiting for more to send would cost 40 ms each.
    socket.set_tcp_nodelay(true)?;
    // A peer that lost its power says nothing; without probes its half of the connection stays.
    let (idle, interval) = KEEPALIVE;
    let probes = TcpKeepalive::new().with_time(idle).with_interval(interval);
    socket.set_tcp_keepalive(&probes.with_retries(KEEPALIVE_PROBES))
}

/// The length that the header of a PDU announces, if there can be such a PDU. Nothing is read, and no
/// memory taken, before this.
pub(super) fn judge(header: [u8; 6], pdu_bytes: u32) -> Result<u32, WireError> {
    let [kind, _, length @ ..] = header;
    let length = u32::from_be_bytes(length);
    let limit = match kind {
        0x01 | 0x02 => MAX_ASSOCIATE_BYTES,
        0x03 | 0x05..=0x07 => 4,
        0x04 => pdu_bytes,
        b'G' | b'P' | b'H' | b'O' if header.is_ascii() => return Err(WireError::OtherProtocol("HTTP")),
        0x16 => return Err(WireError::OtherProtocol("TLS")),
        b'S' if header.starts_with(b"SSH") => return Err(WireError::OtherProtocol("SSH")),
        other => return Err(WireError::UnknownType(other)),
    };
    if length > limit || length == 0 {
        return Err(WireError::Length { length, limit });
    }
    Ok(length)
}

/// Whether the first byte on the TLS port begins a handshake (RFC 8446 5.1).
pub(super) fn expect_tls(first: u8) -> Result<(), WireError> {
    match first {
        0x16 => Ok(()),
        0x01 => Err(WireError::NoTls("DICOM without TLS")),
        b'G' | b'P' | b'H' | b'O' => Err(WireError::NoTls("HTTP without TLS")),
        _ => Err(WireError::NoTls("something else than TLS")),
    }
}

/// Reads a PDU that is there as a whole.
pub(super) fn decode(bytes: &[u8]) -> Result<Pdu, WireError> {
    let limit = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match read_pdu(bytes, limit.max(MINIMUM_PDU_SIZE), true) {
        Ok(Some(pdu)) => Ok(pdu),
        Ok(None) => Err(WireError::Malformed("it is incomplete".to_owned())),
        Err(error) => Err(WireError::Malformed(error.to_string())),
    }
}

/// A PDU as one piece of bytes.
pub(super) fn encode(pdu: &Pdu) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::with_capacity(256);
    write_pdu(&mut bytes, pdu).map_err(|error| WireError::Malformed(error.to_string()))?;
    Ok(bytes)
}

/// What came from the peer of an association.
pub(super) enum Received {
    /// Bytes of a message, which [`Wire::bytes`] has.
    Value(Value),
    /// A-RELEASE-RQ.
    Release,
    /// A-ABORT.
    Abort,
    /// A PDU that has no place in an association.
    OutOfPlace(&'static str),
}

/// A presentation data value (PS3.8 9.3.5.1), or a piece of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    /// Presentation context ID.
    pub context: u8,
    /// Of a command set, otherwise of a data set.
    pub is_command: bool,
    /// Whether the command or data set ends with this.
    pub is_last: bool,
}

/// The connection of an association.
///
/// Data go through one buffer to wherever they go, however long the PDUs are that they come in.
pub(super) struct Wire<'a> {
    stream: Stream,
    stopping: &'a AtomicBool,
    /// Longest P-DATA-TF PDU.
    pdu_bytes: u32,
    patience: &'a Patience,
    buffer: Box<[u8]>,
    /// What was read and not looked at yet.
    unread: Range<usize>,
    /// What [`Wire::bytes`] gives.
    piece: Range<usize>,
    pdu: DataPdu,
    pace: Pace,
}

/// The P-DATA-TF PDU under way.
#[derive(Default)]
struct DataPdu {
    /// Bytes still to come.
    left: usize,
    /// How long we have waited for it.
    waited: Duration,
    /// The value under way: context, message control header, bytes still to come.
    value: Option<(u8, u8, usize)>,
}

/// How fast the message under way comes.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: usize,
}

/// Bits of the message control header (PS3.8 E.2).
const IS_COMMAND: u8 = 1;
const IS_LAST: u8 = 2;
/// Before the data of a value: its length, context and message control header.
const VALUE_HEADER_BYTES: usize = 6;

impl<'a> Wire<'a> {
    pub(super) fn new(
        stream: Stream,
        stopping: &'a AtomicBool,
        pdu_bytes: u32,
        patience: &'a Patience,
    ) -> Self {
        Self {
            stream,
            stopping,
            pdu_bytes,
            patience,
            buffer: vec![0; READ_BUFFER_BYTES].into(),
            unread: 0..0,
            piece: 0..0,
            pdu: DataPdu::default(),
            pace: Pace::default(),
        }
    }

    /// What comes next. `within_message` says that a message is under way, which a stop of the
    /// appliance lets come to its end, and which must make progress.
    pub(super) fn receive(&mut self, within_message: bool) -> Result<Received, WireError> {
        if self.pdu.left == 0 {
            self.wait_for_pdu(within_message)?;
            self.pdu.waited = Duration::ZERO;
            let header = self.take()?;
            let length = judge(header, self.pdu_bytes)?;
            match header[0] {
                0x04 => self.pdu.left = length as usize,
                0x05 => return self.rest(length, Received::Release),
                0x07 => return self.rest(length, Received::Abort),
                0x01 => return Ok(Received::OutOfPlace("a second association request")),
                _ => return Ok(Received::OutOfPlace("a message unit out of place")),
            }
        }
        let (context, control, left) = match self.pdu.value.take() {
            Some(value) => value,
            None => self.begin_value()?,
        };
        if left > 0 && self.unread.is_empty() {
            self.read_more()?;
        }
        let count = left.min(self.unread.len());
        self.piece = self.advance(count);
        self.pdu.left -= count;
        let left = left - count;
        if left > 0 {
            self.pdu.value = Some((context, control, left));
        }
        if within_message {
            self.keep_pace()?;
        } else {
            self.pace = Pace::default();
        }
        Ok(Received::Value(Value {
            context,
            is_command: control & IS_COMMAND != 0,
            is_last: control & IS_LAST != 0 && left == 0,
        }))
    }

    /// Those of the value that was received last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.piece.clone()]
    }

    /// Writes one PDU in one piece.
    pub(super) fn send(&mut self, pdu: &Pdu) -> Result<(), WireError> {
        let patience = self.patience.write;
        match self.stream.write_within(&encode(pdu)?, patience) {
            Err(error) if is_timeout(&error) => Err(WireError::NotReading(patience)),
            other => Ok(other?),
        }
    }

    /// Ends the connection; the peer still reads what was sent.
    pub(super) fn close(self) {
        self.stream.close();
    }

    /// The header of the next value.
    fn begin_value(&mut self) -> Result<(u8, u8, usize), WireError> {
        let too_short = || WireError::Malformed("its last value is incomplete".to_owned());
        let left = self
            .pdu
            .left
            .checked_sub(VALUE_HEADER_BYTES)
            .ok_or_else(too_short)?;
        let [length @ .., context, control] = self.take::<VALUE_HEADER_BYTES>()?;
        // Context and message control header are counted in.
        let length = (u32::from_be_bytes(length) as usize).checked_sub(2);
        let length = length.filter(|length| *length <= left).ok_or_else(too_short)?;
        self.pdu.left = left;
        Ok((context, control, length))
    }

    /// The rest of a PDU that says nothing but its type.
    fn rest(&mut self, length: u32, received: Received) -> Result<Received, WireError> {
        // Longer ones were judged.
        match length {
            4 => self.take::<4>().map(|_| received),
            _ => Err(WireError::Malformed(format!("it has {length} bytes and not 4"))),
        }
    }

    /// So many bytes as they stand together.
    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], WireError> {
        while self.unread.len() < COUNT {
            self.read_more()?;
        }
        let taken = self.advance(COUNT);
        let bytes = self.buffer[taken].first_chunk().copied();
        bytes.ok_or(WireError::Closed)
    }

    fn advance(&mut self, count: usize) -> Range<usize> {
        let taken = self.unread.start..self.unread.start + count;
        self.unread.start = taken.end;
        taken
    }

    /// More of the PDU under way.
    fn read_more(&mut self) -> Result<(), WireError> {
        let (begin, waited) = (Instant::now(), self.pdu.waited);
        loop {
            let count = self.read_some()?;
            self.pdu.waited = waited + begin.elapsed();
            if count > 0 {
                // Only the time counts in which we waited for the peer: a slow disk is not its fault.
                self.pace.waited += self.pdu.waited - waited;
                return Ok(());
            }
            if self.pdu.waited >= self.patience.pdu {
                return Err(WireError::Dripping(self.patience.pdu));
            }
        }
    }

    /// The first byte of the next PDU.
    fn wait_for_pdu(&mut self, within_message: bool) -> Result<(), WireError> {
        let patience = if within_message {
            self.patience.message
        } else {
            self.patience.idle
        };
        let begin = Instant::now();
        loop {
            // Also before what was sent ahead.
            if !within_message && self.stopping.load(Ordering::Relaxed) {
                return Err(WireError::Stopping);
            }
            if !self.unread.is_empty() {
                break;
            }
            if self.read_some()? == 0 && begin.elapsed() >= patience {
                return Err(WireError::Silent(patience));
            }
        }
        self.pace.waited += begin.elapsed();
        Ok(())
    }

    /// Reads what is there behind what is unread; nothing when nothing comes for a while.
    fn read_some(&mut self) -> Result<usize, WireError> {
        // What is unread stands at the front: at most a part of a header is moved.
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        match self.stream.read(&mut self.buffer[self.unread.end..]) {
            Ok(0) => Err(WireError::Closed),
            Ok(count) => {
                self.unread.end += count;
                self.pace.bytes += count;
                Ok(count)
            }
            Err(error) if is_timeout(&error) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Judges every while how much of the message came.
    fn keep_pace(&mut self) -> Result<(), WireError> {
        if self.pace.waited < self.patience.message {
            return Ok(());
        }
        if (self.pace.bytes as u64) < MIN_MESSAGE_PROGRESS_BYTES {
            return Err(WireError::Crawling(self.patience.message));
        }
        self.pace = Pace::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
