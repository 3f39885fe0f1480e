//! The network side: associations; C-ECHO, C-STORE, storage commitment and performed procedure steps as
//! provider (SCP); C-ECHO and C-STORE as user (SCU).
//!
//! PDUs are encoded and decoded by `dicom-ul`. The acceptor around them is our own, because it must
//! look at the length and the type of a PDU before it takes memory for it, must end connections that
//! drip, and must store transfer syntaxes that nobody here can decode.
//!
//! One association is one blocking thread with one buffer, however long its PDUs and objects are. Whoever
//! has none yet is a task ([`door`]).

pub mod admission;
mod association;
pub(crate) mod commitment;
pub mod dataset;
pub mod dimse;
pub mod door;
mod elements;
mod identity;
mod mpps;
mod negotiate;
mod normalized;
mod refused;
mod report;
pub mod scp;
pub mod send;
mod services;
mod store;
mod uid;
pub mod user;
mod user_information;
mod wire;

pub(crate) use admission::is_ae_title;
pub use admission::{Admission, Caller, Network, Origin};
pub use commitment::{Commitment, Committed, Reference};
pub use dataset::Identity;
pub use identity::{Credential, Identities, Passcode};
pub use negotiate::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION};
pub use services::{Service, Services};
pub use uid::{Uid, UidError};
