//! PDUs over a connection, with a limit on each length and each wait.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dicom_ul::pdu::{MINIMUM_PDU_SIZE, Pdu, read_pdu, write_pdu};
use models::findings::Fault;
use rustls::CertificateError;
use socket2::{SockRef, TcpKeepalive};

use super::door::{Memory, Patience, Share, Stream, is_timeout};
use super::scp::Provider;
use crate::limits::{
    KEEPALIVE, KEEPALIVE_PROBES, MAX_ASSOCIATE_BYTES, MIN_MESSAGE_PROGRESS_BYTES, STOP_POLL,
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
    #[error("there was no memory for a message unit within {} s", .0.as_secs())]
    NoMemory(Duration),
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
            Self::NoMemory(_) => "no_memory",
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
            Self::NoMemory(_) => Fault::Us,
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

/// The connection of an association, one PDU in memory.
pub(super) struct Wire<'a> {
    stream: Stream,
    stopping: &'a AtomicBool,
    /// Longest P-DATA-TF PDU.
    pdu_bytes: u32,
    patience: &'a Patience,
    memory: &'a Memory,
    /// For the last PDU, until the next one is asked for.
    share: Option<Share<'a>>,
    pace: Pace,
}

/// How fast the message under way comes.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: Stream, provider: &'a Provider) -> Self {
        Self {
            stream,
            stopping: &provider.stopping,
            pdu_bytes: provider.services.pdu_bytes,
            patience: &provider.patience,
            memory: &provider.memory,
            share: None,
            pace: Pace::default(),
        }
    }

    /// The next PDU. `within_message` says that a message is under way, which a stop of the appliance
    /// lets come to its end, and which must make progress.
    pub(super) fn receive(&mut self, within_message: bool) -> Result<Pdu, WireError> {
        self.share = None;
        let received = self.try_receive(within_message);
        if received.is_err() {
            // Parting with the peer takes time, and others wait.
            self.share = None;
        }
        received
    }

    fn try_receive(&mut self, within_message: bool) -> Result<Pdu, WireError> {
        if !within_message {
            self.pace = Pace::default();
        }
        let begin = Instant::now();
        let mut header = [0; 6];
        self.wait_for_byte(&mut header[..1], within_message)?;
        let mut deadline = Instant::now() + self.patience.pdu;
        self.read_exact(&mut header[1..], deadline)?;
        let length = judge(header, self.pdu_bytes)?;

        // The bytes and what is decoded from them.
        let for_memory = Instant::now();
        // Whoever holds some while its PDU comes must give it back within the deadline of a PDU.
        let patience = 2 * self.patience.pdu;
        let share = self.memory.take(2 * (6 + u64::from(length)), patience);
        self.share = Some(share.ok_or(WireError::NoMemory(patience))?);
        let for_memory = for_memory.elapsed();
        deadline += for_memory;

        let mut pdu = vec![0; 6 + length as usize];
        pdu[..6].copy_from_slice(&header);
        self.read_exact(&mut pdu[6..], deadline)?;
        if within_message {
            self.keep_pace(begin.elapsed().saturating_sub(for_memory), pdu.len() as u64)?;
        }
        decode(&pdu)
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

    /// Judges every while how much of the message came. Only the time counts in which we waited for
    /// the peer: a slow disk is not its fault.
    fn keep_pace(&mut self, waited: Duration, bytes: u64) -> Result<(), WireError> {
        self.pace.waited += waited;
        self.pace.bytes += bytes;
        if self.pace.waited < self.patience.message {
            return Ok(());
        }
        if self.pace.bytes < MIN_MESSAGE_PROGRESS_BYTES {
            return Err(WireError::Crawling(self.patience.message));
        }
        self.pace = Pace::default();
        Ok(())
    }

    fn wait_for_byte(&mut self, byte: &mut [u8], within_message: bool) -> Result<(), WireError> {
        let patience = if within_message {
            self.patience.message
        } else {
            self.patience.idle
        };
        let deadline = Instant::now() + patience;
        loop {
            if !within_message && self.stopping.load(Ordering::Relaxed) {
                return Err(WireError::Stopping);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WireError::Silent(patience));
            }
            match self.stream.read_within(byte, left.min(STOP_POLL)) {
                Ok(0) => return Err(WireError::Closed),
                Ok(_) => return Ok(()),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_exact(&mut self, mut rest: &mut [u8], deadline: Instant) -> Result<(), WireError> {
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WireError::Dripping(self.patience.pdu));
            }
            match self.stream.read_within(rest, left) {
                Ok(0) => return Err(WireError::Closed),
                Ok(count) => rest = &mut rest[count..],
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Nothing can be unplugged here; the kernel does the rest.
    #[test]
    fn half_open_connections_are_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        prepare(&socket).unwrap();
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE.0);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE.1);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
    }

    #[test]
    fn other_protocols_on_the_tls_port_are_named() {
        assert!(expect_tls(0x16).is_ok());
        for (first, name) in [
            (0x01, "DICOM without TLS"),
            (b'G', "HTTP"),
            (b'S', "something else"),
        ] {
            assert!(expect_tls(first).unwrap_err().to_string().contains(name));
        }
    }
}
