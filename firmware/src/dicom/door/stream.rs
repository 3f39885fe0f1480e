//! Bytes to and from a peer, with or without TLS, while an association blocks on them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::ServerConnection;

use crate::limits::STOP_POLL;
use crate::tls::advance;

/// One connection.
pub(in crate::dicom) struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Stream {
    /// A connection after its TLS handshake, if there is one.
    pub(in crate::dicom) fn new(socket: TcpStream, tls: Option<Box<ServerConnection>>) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(STOP_POLL))?;
        socket.set_write_timeout(Some(STOP_POLL))?;
        Ok(Self { socket, tls })
    }

    /// Reads what is there, or waits for it a little. A timeout is an error; so is a part of a TLS record,
    /// so that the caller looks at its deadline before the rest is waited for.
    pub(in crate::dicom) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(bytes),
            Some(tls) => read_once(tls, &mut self.socket, bytes),
        }
    }

    /// Writes all of it until the deadline.
    pub(in crate::dicom) fn write_within(&mut self, mut bytes: &[u8], wait: Duration) -> io::Result<()> {
        let deadline = Instant::now() + wait;
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes)?;
            bytes = &[];
        }
        loop {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let written = match &mut self.tls {
                None if bytes.is_empty() => return Ok(()),
                Some(tls) if !tls.wants_write() => return Ok(()),
                None => self.socket.write(bytes),
                Some(tls) => tls.write_tls(&mut self.socket),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) if self.tls.is_none() => bytes = &bytes[count..],
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the connection; the peer still reads what was sent.
    pub(in crate::dicom) fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = self.write_within(&[], STOP_POLL);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        // Unread bytes would turn the close into a reset that overtakes the last PDU.
        let mut rest = [0; 4096];
        let deadline = Instant::now() + 2 * STOP_POLL;
        while Instant::now() < deadline && matches!(self.socket.read(&mut rest), Ok(1..)) {}
    }
}

/// Whether there is only nothing yet.
pub(in crate::dicom) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Reads plaintext with at most one read of the socket; `WouldBlock` while no record is whole.
pub(super) fn read_once(
    tls: &mut ServerConnection,
    socket: &mut (impl Read + Write),
    bytes: &mut [u8],
) -> io::Result<usize> {
    match tls.reader().read(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        other => return other,
    }
    advance(tls, socket)?;
    tls.reader().read(bytes)
}
