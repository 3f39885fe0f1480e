//! The network side: associations, C-ECHO and C-STORE as provider (SCP) and as user (SCU).
//!
//! PDUs are encoded and decoded by `dicom-ul`. The acceptor around them is our own, because it must
//! look at the length and the type of a PDU before it takes memory for it, must end connections that
//! drip, and must store transfer syntaxes that nobody here can decode.
//!
//! One association is one blocking thread; what it holds in memory is one PDU. Whoever has none yet is
//! a task ([`door`]).

pub mod admission;
mod association;
pub mod dataset;
pub mod dimse;
pub mod door;
mod negotiate;
pub mod scp;
pub mod send;
mod store;
mod uid;
mod wire;

pub(crate) use admission::is_ae_title;
pub use admission::{Admission, Caller};
pub(crate) use negotiate::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION};
pub use uid::{Uid, UidError};
