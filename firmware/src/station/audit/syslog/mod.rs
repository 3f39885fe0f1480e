//! The trail to a syslog server by TLS (PS3.15 A.6; RFC 5424, RFC 5425).
//!
//! ```text
//! trail on disk ─► a burst of records ─► one connection ─► its end is answered ─► DATA_DIR/audit/delivered
//!       ▲                                      │ it broke, or nobody answered
//!       └──────── from the last delivered one ─┘ after a while
//! ```
//!
//! The trail is the queue: nothing waits in memory, and nothing here holds up who writes it. Syslog knows
//! no acknowledgement, so a connection is ended after each burst, and only when the server ends its side
//! too its records count as delivered. Until then they are sent again: every record arrives at least once.
//!
//! | file | owns |
//! |---|---|
//! | `server` | where the server is, certificates |
//! | `connection` | one connection, from the handshake to the answered end |
//! | `frame` | a record as bytes |
//! | here | what is sent when, and what people are told |

mod connection;
mod frame;
mod server;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Instant, SystemTime};

use models::findings::{Fault, Reason};
use time::OffsetDateTime;
use time::macros::format_description;

use self::connection::Connection;
use self::frame::frame;
use super::Audit;
use super::mark::Woken;
use super::reading::{Found, Reading, oldest};
use super::trail;
use crate::disk::{Disk as _, RealDisk};
use crate::limits::{CERTIFICATE_CHECK, SYSLOG_FAREWELL, SYSLOG_RECORDS, SYSLOG_RETRY, SYSLOG_SETTLE};
use crate::station::notice::Notice;
use crate::tls::ClientCredentials;

pub use server::{Address, AddressError, Server};

/// Who is told what people should know; nothing when all is well.
pub type Tell = Box<dyn Fn(Vec<Notice>) + Send>;

/// The way of the trail to its server.
pub struct Syslog {
    server: Server,
    credentials: ClientCredentials,
    data_dir: PathBuf,
    audit: Arc<Audit>,
    /// The last record that the server is known to have read, or that is gone.
    delivered: u64,
    /// Why the files that are there now cannot be used.
    unusable: Option<Reason>,
    checked: Instant,
    way: Way,
    tell: Tell,
}

/// How it goes.
enum Way {
    /// Nothing was sent since the start.
    Unknown,
    /// The last burst was taken.
    Open,
    /// It was not.
    Blocked { since: OffsetDateTime, reason: Reason },
}

/// The thread that sends.
pub struct Sending {
    audit: Arc<Audit>,
    /// Closed when it ends.
    alive: Receiver<()>,
}

impl Syslog {
    /// Reads the files of TLS, and how far the trail was delivered.
    ///
    /// # Errors
    /// `tls` with the name of the file that cannot be used; `data_dir` when the disk failed.
    pub fn open(server: Server, data_dir: &Path, audit: Arc<Audit>, tell: Tell) -> Result<Self, Reason> {
        let credentials = ClientCredentials::read(&server.tls, SystemTime::now())?;
        let delivered = read_delivered(data_dir, audit.mark.last()).map_err(|error| {
            let text = format!("how far the audit trail was delivered: {error}");
            Reason::new("data_dir", Fault::Hardware, text)
        })?;
        let mut syslog = Self {
            server,
            credentials,
            data_dir: data_dir.to_owned(),
            audit,
            delivered,
            unusable: None,
            checked: Instant::now(),
            way: Way::Unknown,
            tell,
        };
        // From now on whatever is turned over undelivered counts.
        syslog.keep_delivered(delivered);
        Ok(syslog)
    }

    /// Begins to send.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(self) -> io::Result<Sending> {
        let audit = Arc::clone(&self.audit);
        let (until_the_end, alive) = channel();
        thread::Builder::new().name("syslog".to_owned()).spawn(move || {
            let _until_the_end = until_the_end;
            self.run();
        })?;
        Ok(Sending { audit, alive })
    }

    fn run(mut self) {
        let mut pause = SYSLOG_RETRY.0;
        self.tell();
        loop {
            if self.checked.elapsed() >= CERTIFICATE_CHECK {
                self.read_certificates_again();
            }
            let until_check = CERTIFICATE_CHECK.saturating_sub(self.checked.elapsed());
            match self.audit.mark.wait(self.delivered, until_check) {
                Woken::Stopping => return,
                Woken::Timeout => continue,
                Woken::Record => {}
            }
            match self.burst() {
                Ok(()) => {
                    pause = SYSLOG_RETRY.0;
                    self.taken();
                }
                Err(reason) => {
                    self.not_taken(reason);
                    if self.audit.mark.wait_for_stop(pause) {
                        return;
                    }
                    pause = (2 * pause).min(SYSLOG_RETRY.1);
                }
            }
        }
    }

    /// Sends what was not delivered yet, in one connection.
    fn burst(&mut self) -> Result<(), Reason> {
        self.count_what_is_gone().map_err(unreadable)?;
        let config = self.credentials.config()?;
        let mut connection = Connection::open(&self.server.address, config)?;
        let mut reading = Reading::from(&self.data_dir, self.delivered + 1);
        let mut sent = self.delivered;
        let end = self.delivered + SYSLOG_RECORDS;
        loop {
            let last = self.audit.mark.last().min(end);
            while let Some(found) = reading.next(last).map_err(unreadable)? {
                sent = match found {
                    Found::Record(record) => {
                        connection.send(&frame(&record, &self.audit.own.host))?;
                        record.number
                    }
                    Found::Missing { to } => {
                        self.missing(sent + 1, to);
                        to
                    }
                };
            }
            // The server may have gone before the last records came; a moment later we know.
            match self.audit.mark.wait(sent, SYSLOG_SETTLE) {
                Woken::Record if sent < end => continue,
                Woken::Timeout => {}
                Woken::Record | Woken::Stopping => thread::sleep(SYSLOG_SETTLE),
            }
            connection.is_whole()?;
            connection.end()?;
            self.keep_delivered(sent);
            return Ok(());
        }
    }

    /// The trail keeps a limited number of files: what was turned over before it was delivered is lost to
    /// the server, and nobody must believe that it has everything.
    fn count_what_is_gone(&mut self) -> io::Result<()> {
        if let Some(first) = oldest(&self.data_dir)?
            && first > self.delivered + 1
        {
            self.missing(self.delivered + 1, first - 1);
            self.keep_delivered(first - 1);
        }
        Ok(())
    }

    fn missing(&self, from: u64, to: u64) {
        let count = to + 1 - from;
        let text = format!(
            "{count} records of the audit trail, {from} to {to}, were gone from the disk before the syslog \
             server took them"
        );
        tracing::error!(code = "audit_not_delivered", "{text}");
        self.audit.alert("audit_not_delivered", text);
    }

    fn keep_delivered(&mut self, number: u64) {
        self.delivered = number;
        let path = delivered_path(&self.data_dir);
        if let Err(error) = RealDisk.replace(&path, format!("{number}\n").as_bytes()) {
            // The next start sends again what was sent.
            tracing::error!(%error, "how far the audit trail was delivered cannot be kept");
        }
    }

    fn taken(&mut self) {
        let (server, delivered) = (&self.server.address, self.delivered);
        match &self.way {
            Way::Open => {}
            Way::Unknown => tracing::info!(delivered, "the syslog server {server} takes the audit trail"),
            Way::Blocked { since, .. } => {
                tracing::info!(
                    delivered,
                    "the syslog server {server} takes the audit trail again; it did not since {}",
                    minute(*since)
                );
            }
        }
        self.way = Way::Open;
        self.tell();
    }

    fn not_taken(&mut self, reason: Reason) {
        let since = match &self.way {
            Way::Blocked { since, .. } => *since,
            _ => OffsetDateTime::now_utc(),
        };
        let waiting = self.waiting();
        let (server, code) = (&self.server.address, &reason.code);
        tracing::warn!(code, waiting, "the audit trail is not sent to {server}: {reason}");
        self.way = Way::Blocked { since, reason };
        self.tell();
    }

    fn waiting(&self) -> u64 {
        self.audit.mark.last().saturating_sub(self.delivered)
    }

    fn read_certificates_again(&mut self) {
        self.checked = Instant::now();
        self.unusable = match ClientCredentials::read(&self.server.tls, SystemTime::now()) {
            Ok(credentials) => {
                self.credentials = credentials;
                None
            }
            // What was read before stays in force.
            Err(reason) => {
                tracing::warn!(code = reason.code, "{reason}");
                Some(reason)
            }
        };
        for warning in self.credentials.warnings("syslog", SystemTime::now()) {
            tracing::warn!("{warning}");
        }
        self.tell();
    }

    fn tell(&self) {
        let about = || format!("syslog {}", self.server.address);
        let blocked = match &self.way {
            Way::Blocked { since, reason } => {
                let text = format!(
                    "it has taken nothing since {}, {} audit records wait: {}",
                    minute(*since),
                    self.waiting(),
                    reason.text
                );
                Some(Notice::new(
                    about(),
                    Reason::new(&reason.code, reason.fault, text),
                ))
            }
            Way::Unknown | Way::Open => None,
        };
        let unusable = self.unusable.clone().map(|reason| Notice::new(about(), reason));
        let warnings = self.credentials.warnings("syslog", SystemTime::now());
        let all = blocked.into_iter().chain(unusable).chain(warnings);
        (self.tell)(all.collect());
    }
}

impl Sending {
    /// Lets it send the last records, and waits for that, but not for long: what is not delivered now is
    /// after the next start.
    pub fn stop(self) {
        self.audit.mark.stop();
        if self.alive.recv_timeout(SYSLOG_FAREWELL) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the syslog server did not take the last audit records in time");
        }
    }
}

fn unreadable(error: io::Error) -> Reason {
    let text = format!("the audit trail cannot be read: {error}");
    Reason::new("audit_unreadable", Fault::Hardware, text)
}

/// The last delivered record of a trail that ends with `last`. Where nothing is known for sure, everything
/// is sent.
fn read_delivered(data_dir: &Path, last: u64) -> io::Result<u64> {
    // The first time there is nothing that was promised to the server and is gone.
    let nothing = oldest(data_dir)?.map_or(0, |first| first - 1);
    let text = match fs::read_to_string(delivered_path(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        text => text?,
    };
    let known = text.trim().parse().ok().filter(|number| *number <= last);
    Ok(known.unwrap_or_else(|| {
        tracing::error!("how far the audit trail was delivered makes no sense; all of it is sent");
        nothing
    }))
}

fn delivered_path(data_dir: &Path) -> PathBuf {
    trail::folder(data_dir).join("delivered")
}

fn minute(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    time.format(&form)
        .unwrap_or_else(|_| "a day out of range".to_owned())
}
