//! The provider: takes connections, serves each association on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use models::findings::{Fault, Reason};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Admission, association};
use crate::limits::{STOP_GRACE, STOP_POLL, TURNED_AWAY_POLITELY};
use crate::spool::{Spool, Stored};
use crate::station::refusals::Refusal;
use crate::study::AssociationId;

/// What the provider tells the appliance. Called on the threads of the associations.
pub trait Intake: Send + Sync {
    /// An instance is durable. It is acknowledged after this returns.
    fn stored(&self, association: AssociationId, stored: &Stored);
    /// An association is over.
    fn ended(&self, association: AssociationId, released: bool);
    /// Something was turned away.
    fn refused(&self, refusal: Refusal);
}

/// A storage and verification service class provider.
pub struct Provider {
    pub(super) admission: Admission,
    pub(super) idle: Duration,
    pub(super) spool: Arc<Spool>,
    pub(super) intake: Box<dyn Intake>,
    pub(super) stopping: AtomicBool,
    associations: usize,
    stop: Notify,
    next: AtomicU64,
}

impl Provider {
    /// A provider for at most `associations` at once, each silent for at most `idle`.
    pub fn new(
        admission: Admission,
        associations: usize,
        idle: Duration,
        spool: Arc<Spool>,
        intake: Box<dyn Intake>,
    ) -> Self {
        Self {
            admission,
            idle,
            spool,
            intake,
            stopping: AtomicBool::new(false),
            associations,
            stop: Notify::new(),
            next: AtomicU64::new(1),
        }
    }

    /// Serves until [`Provider::stop`]; returns when the last association is over.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut threads = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.notified() => break,
                Some(_) = threads.join_next(), if !threads.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => self.take(socket, peer, &mut threads),
                    Err(error) => {
                        // Out of file descriptors, mostly; they come back as associations end.
                        tracing::warn!(%error, "cannot take a connection");
                        tokio::time::sleep(STOP_POLL).await;
                    }
                },
            }
        }
        drop(listener);
        let all_ended = async { while threads.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, all_ended).await.is_err() {
            tracing::warn!("stopped with messages under way; their senders have no acknowledgement");
        }
    }

    /// Takes no more connections, and ends each association after the message under way.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }

    /// Serves one connection to its end on the calling thread: for fuzzing, where each run is alone.
    #[doc(hidden)]
    pub fn serve_one(&self, socket: std::net::TcpStream, peer: SocketAddr) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        association::serve(self, socket, peer, id, false);
    }

    fn take(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, threads: &mut JoinSet<()>) {
        if threads.len() >= self.associations + TURNED_AWAY_POLITELY {
            tracing::warn!(%peer, "hung up: too many connections");
            return;
        }
        let busy = threads.len() >= self.associations;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let provider = Arc::clone(self);
        threads.spawn(async move {
            let on_thread = Arc::clone(&provider);
            let served = tokio::task::spawn_blocking(move || {
                match socket
                    .into_std()
                    .and_then(|socket| socket.set_nonblocking(false).map(|()| socket))
                {
                    Ok(socket) => association::serve(&on_thread, socket, peer, id, busy),
                    Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
                }
            });
            if served.await.is_err() {
                let reason = Reason::new("internal", Fault::Us, "an association ended by an error of ours");
                provider.intake.refused(Refusal::now(peer, None, reason));
                provider.intake.ended(id, false);
            }
        });
    }
}
