//! One connection to a syslog server: records go out, nothing but its end comes back.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::findings::{Fault, Reason};
use rustls::{AlertDescription, ClientConfig, ClientConnection};

use super::server::Address;
use crate::limits::{CONNECT_TIMEOUT, SYSLOG_ANSWER, TLS_HANDSHAKE};
use crate::tls;

/// Reads of what a server says between two records; it has nothing to say.
const MAX_READS: usize = 16;

/// A connection after its handshake.
pub(super) struct Connection {
    socket: TcpStream,
    tls: ClientConnection,
}

impl Connection {
    /// Connects, and makes sure that it is this server.
    ///
    /// # Errors
    /// `syslog_unreachable`; `syslog_certificate` when it shows another certificate than the settings
    /// want, `syslog_refused` when it does not want ours; else as [`Connection::send`].
    pub(super) fn open(address: &Address, config: Arc<ClientConfig>) -> Result<Self, Reason> {
        let socket = connect(address).map_err(|error| {
            let text = format!("it cannot be reached: {error}");
            Reason::new("syslog_unreachable", Fault::Peer, text)
        })?;
        let ours = |text: String| Reason::new("tls", Fault::Us, text);
        let name = address
            .name()
            .ok_or_else(|| ours("its name was not checked".to_owned()))?;
        let tls = ClientConnection::new(config, name).map_err(|error| ours(error.to_string()))?;
        let mut connection = Self { socket, tls };
        // A record is buffered as a whole, whatever its length; the trail limits that.
        connection.tls.set_buffer_limit(None);
        connection.shake_hands().map_err(judge)?;
        Ok(connection)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + TLS_HANDSHAKE;
        self.socket.set_write_timeout(Some(SYSLOG_ANSWER))?;
        while self.tls.is_handshaking() {
            self.wait_until(deadline)?;
            tls::advance(&mut self.tls, &mut self.socket)?;
        }
        self.flush()
    }

    /// Writes the bytes of a record. That they are written does not mean that they were read.
    ///
    /// # Errors
    /// `syslog_hangs` when it takes nothing, `syslog_closed` when the connection broke.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let written = self.tls.writer().write_all(bytes);
        written.and_then(|()| self.flush()).map_err(judge)
    }

    /// Makes sure that the server has not ended the connection.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub(super) fn is_whole(&mut self) -> Result<(), Reason> {
        self.look().map_err(judge)
    }

    fn look(&mut self) -> io::Result<()> {
        for _ in 0..MAX_READS {
            self.socket.set_nonblocking(true)?;
            let read = self.tls.read_tls(&mut self.socket);
            self.socket.set_nonblocking(false)?;
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.process()?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the connection in order, and waits until the server does so too. It sees our end only behind
    /// the last record; one that goes away with bytes unread answers by a reset instead. So this is the
    /// acknowledgement that syslog lacks: everything was read.
    ///
    /// # Errors
    /// As [`Connection::send`]; then nothing is known about what was sent.
    pub(super) fn end(mut self) -> Result<(), Reason> {
        self.say_goodbye().map_err(judge)
    }

    fn say_goodbye(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush()?;
        self.socket.shutdown(Shutdown::Write)?;
        let deadline = Instant::now() + SYSLOG_ANSWER;
        let mut bytes = [0; 4096];
        loop {
            self.wait_until(deadline)?;
            // From the socket itself: an end of TLS may still be followed by a reset.
            let mut rest = match self.socket.read(&mut bytes)? {
                0 => return Ok(()),
                count => &bytes[..count],
            };
            while !rest.is_empty() && self.tls.read_tls(&mut rest)? > 0 {
                self.process()?;
            }
        }
    }

    /// Takes in what was read. Text from the server means nothing to us.
    fn process(&mut self) -> io::Result<()> {
        let state = tls::process(&mut self.tls, &mut self.socket)?;
        let said = state.plaintext_bytes_to_read() as u64;
        io::copy(&mut self.tls.reader().take(said), &mut io::sink()).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        tls::flush(&mut self.tls, &mut self.socket)
    }

    /// Lets reads wait until then.
    fn wait_until(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
    }
}

/// To the first of its addresses that takes the connection.
fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for to in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&to, CONNECT_TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whose fault an error is.
fn judge(error: io::Error) -> Reason {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let (code, fault, what) = match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(_)), _) => (
            "syslog_certificate",
            Fault::Configuration,
            "its certificate does not hold",
        ),
        (Some(rustls::Error::AlertReceived(alert)), _) if is_about_us(*alert) => (
            "syslog_refused",
            Fault::Configuration,
            "it does not accept our certificate",
        ),
        (Some(_), _) => ("syslog_tls", Fault::Peer, "it does not speak TLS as we do"),
        (None, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            let text = format!("it did nothing for {} s", SYSLOG_ANSWER.as_secs());
            return Reason::new("syslog_hangs", Fault::Peer, text);
        }
        (None, _) => ("syslog_closed", Fault::Peer, "the connection broke"),
    };
    Reason::new(code, fault, format!("{what}: {error}"))
}

fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
    )
}
