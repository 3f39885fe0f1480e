//! The audit trail: who sent what, who was turned away, when the appliance ran (IHE ATNA; PS3.15 A.5).
//!
//! ```text
//! associations, appliance ─► Audit ─► trail (sealed, on disk) ─► syslog over TLS, where configured
//! ```
//!
//! The trail names patients by their ID only, as the standard asks; ordinary logs name nobody.

mod mark;
mod message;
mod reading;
pub mod syslog;
pub mod trail;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::mark::Mark;
use self::trail::Trail;
use crate::dicom::Uid;
use crate::limits::{AUDIT_ALERT_PEERS, AUDIT_ALERT_PERIOD, AUDIT_ALERTS};

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// The appliance takes callers (A.5.3.1, Application Start).
    Started,
    /// The appliance takes none any more (A.5.3.1, Application Stop).
    Stopped,
    /// The first instance of a study came in an association (A.5.3.3).
    TransferBegins(Transfer),
    /// An association with instances of a study is over (A.5.3.7).
    Transferred(Transfer),
    /// Objects about a study were sent to a destination (A.5.3.7).
    Exported(Export),
    /// Retention removed a study (A.5.3.8).
    StudyDeleted(Deleted),
    /// Somebody was turned away, or something is wrong with the trail itself (A.5.3.11).
    Alert(Alert),
}

/// Instances of one study in one association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who sent them.
    pub from: Source,
    /// Of which study.
    pub study: Uid,
    /// (0010,0020).
    pub patient_id: String,
    /// How many of which SOP class are durable.
    pub instances: BTreeMap<String, u64>,
    /// Whether the association was released, or broke off.
    pub released: bool,
}

/// Objects of ours in one visit to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The AE title of the destination, or its name where it has none.
    pub to: String,
    /// Its host name or address.
    pub host: String,
    /// About which study.
    pub study: Uid,
    /// (0010,0020).
    pub patient_id: String,
    /// How many of which SOP class it acknowledged.
    pub instances: BTreeMap<String, u64>,
    /// Whether the visit came to its end.
    pub complete: bool,
}

/// A study that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Which one.
    pub study: Uid,
    /// (0010,0020); none when no image was there any more to tell it.
    pub patient_id: Option<String>,
}

/// A system that called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its calling AE title.
    pub ae_title: String,
    /// Where from.
    pub address: IpAddr,
}

/// Something that who looks after the network should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Who, as far as it is known.
    pub address: String,
    /// Its calling AE title, once it is known to be one.
    pub ae_title: Option<String>,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub text: String,
    /// Alerts of this address before that were counted only.
    pub unwritten: u64,
}

/// The appliance's audit trail.
pub struct Audit {
    own: Own,
    trail: Mutex<Trail>,
    /// Up to where it is durable.
    mark: Mark,
    alerts: Mutex<HashMap<String, Alerts>>,
}

/// Who writes.
#[derive(Debug, Clone)]
struct Own {
    ae_title: String,
    host: String,
}

/// Alerts of one address.
struct Alerts {
    since: Instant,
    written: u32,
    unwritten: u64,
}

impl Audit {
    /// Opens the trail in a data folder.
    ///
    /// # Errors
    /// The disk failed. A trail that was tampered with is put aside and reported in the new one.
    pub fn open(data_dir: &Path, ae_title: &str) -> io::Result<Self> {
        let (trail, finding) = Trail::open(data_dir)?;
        // Where Linux keeps the name of the machine; without one the messages name us by AE title alone.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim().to_owned();
        let audit = Self {
            own: Own {
                ae_title: ae_title.to_owned(),
                host,
            },
            mark: Mark::new(trail.last()),
            trail: Mutex::new(trail),
            alerts: Mutex::default(),
        };
        if let Some(finding) = finding {
            tracing::error!(code = finding.code(), "{finding}");
            audit.alert(finding.code(), finding.to_string());
        }
        Ok(audit)
    }

    /// Writes down what happened, durably. A trail that cannot be written stops nothing; it is logged.
    pub fn record(&self, event: &AuditEvent) {
        let mut event = event.clone();
        if let AuditEvent::Alert(alert) = &mut event
            && !self.alert_is_due(alert)
        {
            return;
        }
        // A clock that is out of the range of RFC 3339 leaves the time empty.
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let message = message::xml(&event, &self.own.ae_title, &self.own.host, &now);
        let mut trail = lock(&self.trail);
        match trail.append(&now, &message) {
            Ok(()) => self.mark.reach(trail.last()),
            Err(error) => tracing::error!(%error, "the audit trail cannot be written"),
        }
    }

    /// Something is wrong with the trail itself.
    fn alert(&self, code: &str, text: String) {
        self.record(&AuditEvent::Alert(Alert {
            address: self.own.host.clone(),
            ae_title: None,
            code: code.to_owned(),
            text,
            unwritten: 0,
        }));
    }

    /// A flood of calls must not fill the trail: of each address the first few alerts of a period are
    /// written, the others counted, and told by the next one.
    fn alert_is_due(&self, alert: &mut Alert) -> bool {
        let mut all = lock(&self.alerts);
        all.retain(|_, alerts| alerts.unwritten > 0 || alerts.since.elapsed() < AUDIT_ALERT_PERIOD);
        // Beyond this many addresses they share one count.
        let key = if all.len() < AUDIT_ALERT_PEERS || all.contains_key(&alert.address) {
            alert.address.clone()
        } else {
            String::new()
        };
        let alerts = all.entry(key).or_insert_with(|| Alerts {
            since: Instant::now(),
            written: 0,
            unwritten: 0,
        });
        if alerts.since.elapsed() >= AUDIT_ALERT_PERIOD {
            alerts.since = Instant::now();
            alerts.written = 0;
        }
        if alerts.written >= AUDIT_ALERTS {
            alerts.unwritten += 1;
            return false;
        }
        alerts.written += 1;
        alert.unwritten = std::mem::take(&mut alerts.unwritten);
        true
    }
}

/// A panic of another thread leaves the trail as it was before or after a record.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
