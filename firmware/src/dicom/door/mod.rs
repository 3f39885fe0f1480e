//! The door: everything between a TCP connection and an association.
//!
//! ```text
//! accept ─► room ─────────────────────────────► place ─► association
//!           a task, no thread: TLS handshake,    one of a few, per peer fewer;
//!           request, answer; many, and cheap     a blocking thread, two small buffers
//! ```
//!
//! Whoever has not asked for an association yet takes the place of nobody who has.

mod complaints;
mod places;
mod porch;
mod room;
mod stream;
mod tls;

use std::time::Duration;

use super::Admission;
use crate::limits;

pub(super) use complaints::Complaints;
pub(super) use places::{Place, Places};
pub(super) use porch::visit;
pub(super) use room::Room;
pub(super) use stream::{Stream, is_timeout};
pub use tls::{ClientCertificate, Tls, TlsFiles};

/// Who is let in, and how much of the appliance callers may use up.
pub struct Door {
    /// Who may call.
    pub admission: Admission,
    /// How calls by TLS are taken, if they are.
    pub tls: Option<Tls>,
    /// How many, and how much.
    pub capacity: Capacity,
    /// How long.
    pub patience: Patience,
}

/// How much callers may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Associations served at once.
    pub associations: usize,
    /// Of these, from one address.
    pub associations_per_peer: usize,
    /// Connections that have not been given an association yet; one with a long request counts for
    /// several.
    pub waiting: usize,
}

/// How long the appliance waits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the TLS handshake, from the TCP connection on.
    pub handshake: Duration,
    /// For the whole A-ASSOCIATE-RQ (the ARTIM timer of PS3.8 9.1.5), from the TCP connection or the
    /// handshake on.
    pub artim: Duration,
    /// For the first byte of the next message.
    pub idle: Duration,
    /// For the next byte within a message, and the time in which a message must make progress.
    pub message: Duration,
    /// For a PDU, from its first byte to its last.
    pub pdu: Duration,
    /// For the peer to take what is written.
    pub write: Duration,
    /// For an answer of a system that we call.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: limits::TLS_HANDSHAKE,
            artim: limits::ARTIM,
            idle: Duration::from_secs(limits::DEFAULT_IDLE_SECONDS),
            message: limits::DIMSE_TIMEOUT,
            pdu: limits::PDU_DEADLINE,
            write: limits::WRITE_TIMEOUT,
            answer: limits::RESPONSE_TIMEOUT,
        }
    }
}

/// Which of the two listeners a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    Plain,
    Tls,
}
