//! Where the appliance listens, and who watches over its certificates.

use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use models::findings::{Fault, Reason};
use tokio::net::TcpListener;

use super::descriptors;
use super::keeper::{Message, Topic};
use crate::certificate::Identity;
use crate::dicom::door::{Capacity, Door, Patience, Tls};
use crate::dicom::scp::{Listeners, Provider};
use crate::disk::Disk;
use crate::limits::CERTIFICATE_CHECK;
use crate::screen::situation;
use crate::station::config::Config;
use crate::station::network;
use crate::station::notice::Notice;

/// The door as the settings want it. `patience` is for what they say nothing about.
pub(super) fn door(config: &Config, patience: Patience) -> Result<Door, Reason> {
    Ok(Door {
        admission: config.admission(),
        tls: config.tls_files().map(Tls::open).transpose()?,
        capacity: Capacity {
            waiting: descriptors::waiting(config.limits.waiting, config.limits.associations),
            ..config.capacity()
        },
        patience: Patience {
            idle: config.idle_time(),
            ..patience
        },
    })
}

/// The addresses of the listeners.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    plain: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    /// The plain one, or the one with TLS where that is the only one.
    pub first: SocketAddr,
}

/// Listens where the settings say.
pub(super) async fn listen(config: &Config) -> Result<(Listeners, Addresses), Reason> {
    let on = config.listen_on();
    let plain = config.station.plain.then_some(on);
    let tls = config.tls.as_ref().map(|tls| SocketAddr::new(on.ip(), tls.port));
    let listeners = Listeners {
        plain: listen_on(plain).await?,
        tls: listen_on(tls).await?,
    };
    let at = |listener: &Option<TcpListener>| listener.as_ref().and_then(|at| at.local_addr().ok());
    let (plain, tls) = (at(&listeners.plain), at(&listeners.tls));
    let first = plain.or(tls).ok_or_else(|| {
        let text = "station.plain = false without [tls]: nothing listens";
        Reason::new("listen", Fault::Configuration, text)
    })?;
    Ok((listeners, Addresses { plain, tls, first }))
}

async fn listen_on(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Reason> {
    let Some(on) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(on).await.map_err(|error| {
        let text = format!("cannot listen on {on}: {error}");
        Reason::new("listen", Fault::Configuration, text)
    })?;
    Ok(Some(listener))
}

impl Addresses {
    /// Writes down which ports were taken. Where they are known already nothing is written: a disk that is full is no
    /// reason not to listen, and to refuse what has no room with its reason.
    pub(super) fn write(&self, disk: &dyn Disk, data_dir: &Path) -> io::Result<()> {
        let write = |name, at: SocketAddr| {
            let (path, port) = (data_dir.join(name), format!("{}\n", at.port()));
            let mut known = String::new();
            let read = disk
                .open(&path)
                .and_then(|mut file| file.read_to_string(&mut known));
            if read.is_ok() && known == port {
                return Ok(());
            }
            disk.replace(&path, port.as_bytes())
        };
        // Whoever waits for the first finds the second there too.
        self.tls.map_or(Ok(()), |at| write("tls_port", at))?;
        self.plain.map_or(Ok(()), |at| write("port", at))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.plain, self.tls) {
            (Some(plain), Some(tls)) => write!(f, "{plain}, by TLS {tls}"),
            (None, Some(tls)) => write!(f, "{tls} by TLS"),
            _ => write!(f, "{}", self.first),
        }
    }
}

impl Addresses {
    /// For people: where the plain one and the one with TLS are reached now, and what is the matter where nowhere.
    /// Addresses come and go with cables and leases.
    pub(super) fn shown(&self) -> (Option<String>, Option<String>, Option<Notice>) {
        let mut notice = None;
        let mut said = |listener: SocketAddr| {
            network::reached_at(listener).unwrap_or_else(|reason| {
                notice = Some(Notice::new("[network]", reason));
                format!(":{}", listener.port())
            })
        };
        let (plain, tls) = (self.plain.map(&mut said), self.tls.map(&mut said));
        (plain, tls, notice)
    }
}

/// The certificates that we show where we call: destinations, the syslog server.
pub(super) fn calling(config: &Config, now: SystemTime) -> Vec<situation::Certificate> {
    let destinations = config.destinations().into_iter().filter_map(|one| one.tls);
    let files = destinations.chain(config.syslog().map(|server| server.tls));
    let own = files.filter_map(|files| files.own);
    // Files that cannot be read have ended the start.
    let read = own.filter_map(|(certificate, key)| Identity::read(&certificate, &key).ok());
    let mut shown: Vec<_> = read
        .flat_map(|identity| identity.own)
        .map(|one| one.shown(now))
        .collect();
    shown.dedup();
    shown
}

/// Reads the certificates again every while, and tells of them, above all of those that end soon.
pub(super) async fn watch(provider: Arc<Provider>, inbox: SyncSender<Message>) {
    let mut every = tokio::time::interval(CERTIFICATE_CHECK);
    while let Some(tls) = provider.tls() {
        every.tick().await;
        let failed = tls.read_again().err().map(|reason| Notice::new("TLS", reason));
        let notices: Vec<_> = failed
            .into_iter()
            .chain(tls.warnings(SystemTime::now()))
            .collect();
        for notice in &notices {
            tracing::warn!("{notice}");
        }
        let certificates = tls.own(SystemTime::now());
        let inbox = inbox.clone();
        // A keeper that is gone shows nothing.
        let _ = tokio::task::spawn_blocking(move || {
            let _ = inbox.send(Message::Certificates(certificates));
            let _ = inbox.send(Message::Notices(Topic::Certificates, notices));
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn a_full_disk_is_no_reason_not_to_listen() {
        let folder = Path::new("/data");
        let disk = SimulatedDisk::new(folder);
        let on = |port: u16| {
            let at = SocketAddr::from(([0, 0, 0, 0], port));
            let addresses = Addresses {
                plain: Some(at),
                tls: None,
                first: at,
            };
            addresses.write(&disk, folder)
        };
        on(104).unwrap();
        disk.set_free_bytes(0);
        on(104).unwrap();
        assert_eq!(on(11112).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.files()[&folder.join("port")], b"104\n");
    }
}
