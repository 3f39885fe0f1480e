//! PDUs over a TCP connection, with a limit on each length and each wait.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dicom_ul::pdu::{MINIMUM_PDU_SIZE, Pdu, read_pdu, write_pdu};

use crate::limits::{MAX_ASSOCIATE_BYTES, PDU_DEADLINE, STOP_POLL, WRITE_TIMEOUT};

/// How a connection ends without a release. Whoever reads it is the field engineer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer was silent for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the peer took longer than {} s for one message unit", PDU_DEADLINE.as_secs())]
    Dripping,
    #[error("{0} on the DICOM port")]
    OtherProtocol(&'static str),
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
            Self::Dripping => "too_slow",
            Self::OtherProtocol(_) => "other_protocol",
            Self::UnknownType(_) => "not_dicom",
            Self::Length { .. } => "length",
            Self::Malformed(_) => "malformed",
            Self::Stopping => "stopping",
            Self::Io(_) => "connection_failed",
        }
    }
}

/// One connection, one PDU in memory.
pub(super) struct Wire<'a> {
    socket: TcpStream,
    stopping: &'a AtomicBool,
    /// Longest P-DATA-TF PDU.
    pdu_bytes: u32,
    body: Vec<u8>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(socket: TcpStream, stopping: &'a AtomicBool, pdu_bytes: u32) -> io::Result<Self> {
        // A response is one small segment; waiting for more to send would cost 40 ms each.
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self {
            socket,
            stopping,
            pdu_bytes,
            body: Vec::new(),
        })
    }

    /// The next PDU. `patience` is how long its first byte may take; `within_message` says that a
    /// message is under way, which a stop of the appliance lets come to its end. The type and the
    /// length are judged before memory is taken for the rest.
    pub(super) fn receive(&mut self, patience: Duration, within_message: bool) -> Result<Pdu, WireError> {
        let mut header = [0; 6];
        self.wait_for_byte(&mut header[..1], patience, within_message)?;
        let deadline = Instant::now() + PDU_DEADLINE;
        self.read_exact(Part::Header(&mut header[1..]), deadline)?;
        let [kind, _, length @ ..] = header;
        let length = u32::from_be_bytes(length);
        let limit = match kind {
            0x01 | 0x02 => MAX_ASSOCIATE_BYTES,
            0x03 | 0x05..=0x07 => 4,
            0x04 => self.pdu_bytes,
            b'G' | b'P' | b'H' | b'O' if header.is_ascii() => return Err(WireError::OtherProtocol("HTTP")),
            0x16 => return Err(WireError::OtherProtocol("TLS")),
            b'S' if header.starts_with(b"SSH") => return Err(WireError::OtherProtocol("SSH")),
            other => return Err(WireError::UnknownType(other)),
        };
        if length > limit || length == 0 {
            return Err(WireError::Length { length, limit });
        }
        self.body.clear();
        self.body.extend_from_slice(&header);
        self.body.resize(6 + length as usize, 0);
        self.read_exact(Part::Body, deadline)?;
        match read_pdu(&self.body[..], limit.max(MINIMUM_PDU_SIZE), true) {
            Ok(Some(pdu)) => Ok(pdu),
            Ok(None) => Err(WireError::Malformed("it is incomplete".to_owned())),
            Err(error) => Err(WireError::Malformed(error.to_string())),
        }
    }

    /// Writes one PDU in one piece.
    pub(super) fn send(&mut self, pdu: &Pdu) -> Result<(), WireError> {
        let mut bytes = Vec::with_capacity(256);
        write_pdu(&mut bytes, pdu).map_err(|error| WireError::Malformed(error.to_string()))?;
        self.socket.write_all(&bytes).map_err(WireError::Io)
    }

    /// Ends the connection; the peer still reads what was sent.
    pub(super) fn close(self) {
        let _ = self.socket.shutdown(Shutdown::Write);
        // Unread bytes would turn the close into a reset that overtakes the last PDU.
        let _ = self.socket.set_read_timeout(Some(STOP_POLL));
        let mut rest = [0; 4096];
        let deadline = Instant::now() + 2 * STOP_POLL;
        let mut socket = &self.socket;
        while Instant::now() < deadline && matches!(socket.read(&mut rest), Ok(1..)) {}
    }

    fn wait_for_byte(
        &mut self,
        byte: &mut [u8],
        patience: Duration,
        within_message: bool,
    ) -> Result<(), WireError> {
        let deadline = Instant::now() + patience;
        loop {
            if !within_message && self.stopping.load(Ordering::Relaxed) {
                return Err(WireError::Stopping);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WireError::Silent(patience));
            }
            match read_within(&self.socket, byte, left.min(STOP_POLL)) {
                Ok(0) => return Err(WireError::Closed),
                Ok(_) => return Ok(()),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(WireError::Io(error)),
            }
        }
    }

    fn read_exact(&mut self, part: Part<'_>, deadline: Instant) -> Result<(), WireError> {
        let mut rest = match part {
            Part::Header(bytes) => bytes,
            Part::Body => &mut self.body[6..],
        };
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WireError::Dripping);
            }
            match read_within(&self.socket, rest, left) {
                Ok(0) => return Err(WireError::Closed),
                Ok(count) => rest = &mut rest[count..],
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(WireError::Io(error)),
            }
        }
        Ok(())
    }
}

enum Part<'b> {
    Header(&'b mut [u8]),
    Body,
}

fn read_within(mut socket: &TcpStream, bytes: &mut [u8], wait: Duration) -> io::Result<usize> {
    socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
    socket.read(bytes)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
