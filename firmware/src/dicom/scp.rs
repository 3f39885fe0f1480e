//! The provider: takes connections and lets each go its way through the door.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::commitment::Committed;
use super::door::{Complaints, Door, Entrance, Patience, Places, Room, Tls, visit};
use super::mpps::PerformedSteps;
use super::{Admission, Services};
use crate::limits::{HEART_IDLE, HEART_INTAKE, STOP_GRACE, STOP_POLL};
use crate::spool::{Spool, Stored};
use crate::station::heart::Heart;
use crate::station::refusals::Refusal;
use crate::study::AssociationId;
use crate::study::evidence::Announced;

/// What the provider tells the appliance. Called on the threads of the associations.
pub trait Intake: Send + Sync {
    /// An association was accepted from a system that called by this AE title.
    fn accepted(&self, association: AssociationId, peer: SocketAddr, calling: &str) {
        let _ = (association, peer, calling);
    }
    /// An instance is durable. It is acknowledged after this returns, unless it fails.
    fn stored(&self, association: AssociationId, stored: &Stored) -> io::Result<()>;
    /// An association is over.
    fn ended(&self, association: AssociationId, released: bool);
    /// Something was turned away.
    fn refused(&self, refusal: Refusal);
    /// A system that we sent to says what it keeps of it.
    fn committed(&self, committed: Committed) {
        let _ = committed;
    }
    /// A performed procedure step told which images its study has.
    fn announced(&self, announced: Announced) {
        let _ = announced;
    }
}

/// Where the provider listens.
pub struct Listeners {
    /// Without TLS.
    pub plain: Option<TcpListener>,
    /// With TLS.
    pub tls: Option<TcpListener>,
}

/// A provider of [`Services`].
pub struct Provider {
    pub(super) admission: Admission,
    pub(super) services: Services,
    pub(super) performed_steps: Mutex<PerformedSteps>,
    pub(super) tls: Option<Tls>,
    pub(super) patience: Patience,
    pub(super) room: Arc<Room>,
    pub(super) places: Arc<Places>,
    pub(super) complaints: Complaints,
    pub(super) spool: Arc<Spool>,
    pub(super) intake: Box<dyn Intake>,
    heart: Arc<Heart>,
    pub(super) stopping: AtomicBool,
    stop: Notify,
    next: AtomicU64,
}

impl Provider {
    /// A provider behind a door.
    pub fn new(door: Door, services: Services, spool: Arc<Spool>, intake: Box<dyn Intake>) -> Self {
        let Door {
            admission,
            tls,
            capacity,
            patience,
        } = door;
        Self {
            admission,
            services,
            performed_steps: Mutex::default(),
            tls,
            patience,
            room: Arc::new(Room::new(capacity.waiting)),
            places: Arc::new(Places::new(capacity.associations, capacity.associations_per_peer)),
            complaints: Complaints::default(),
            spool,
            intake,
            heart: Heart::new("intake", HEART_INTAKE),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            next: AtomicU64::new(1),
        }
    }

    /// Whether it takes connections.
    pub fn heart(&self) -> Arc<Heart> {
        Arc::clone(&self.heart)
    }

    /// How calls by TLS are taken, if they are.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Serves until [`Provider::stop`]; returns when the last association is over.
    pub async fn serve(self: Arc<Self>, listeners: Listeners) {
        let mut visits = JoinSet::new();
        loop {
            self.heart.beat();
            let (accepted, entrance) = tokio::select! {
                () = self.stop.notified() => break,
                () = tokio::time::sleep(HEART_IDLE) => continue,
                Some(_) = visits.join_next(), if !visits.is_empty() => continue,
                accepted = accept(listeners.plain.as_ref()) => (accepted, Entrance::Plain),
                accepted = accept(listeners.tls.as_ref()) => (accepted, Entrance::Tls),
            };
            match accepted {
                Ok((socket, peer)) => {
                    visits.spawn(self.admit(socket, peer, entrance));
                }
                Err(error) => {
                    // Out of file descriptors, mostly; they come back as connections end.
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(STOP_POLL).await;
                }
            }
        }
        drop(listeners);
        self.room.clear();
        let all_ended = async { while visits.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, all_ended).await.is_err() {
            tracing::warn!("stopped with messages under way; their senders have no acknowledgement");
        }
    }

    /// Sees one connection through to its end, as one without TLS.
    pub async fn attend(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        self.admit(socket, peer, Entrance::Plain).await;
    }

    fn admit(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        entrance: Entrance,
    ) -> impl Future<Output = ()> + use<> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        visit(Arc::clone(self), socket, peer, entrance, id)
    }

    /// Takes no more connections, and ends each association after the message under way.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }
}

/// The next connection; never, where nothing listens.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
