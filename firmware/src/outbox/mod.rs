//! Findings on their way to the PACS.
//!
//! ```text
//!                 Errand                        C-STORE, N-ACTION │ STOW-RS
//!  keeper ──────────────────────► courier ─────────────────────────────────► destination
//!    │ ◄──────────────────────────    │                                          │
//!    │            Visit               one thread for each destination            │
//!    │                                                                           │
//!    └─ delivery.json  ◄──────────── N-EVENT-REPORT, perhaps hours later ────────┘
//! ```
//!
//! The keeper decides and remembers; a courier only goes and tells. `delivery.json` beside the findings says of
//! each object and destination whether it waits, is stored or is committed, and it is the queue: after a power
//! cut everything that was not told is done again, which changes nothing at the destination, since the
//! UIDs are the same. A study is delivered when every destination has all that it wants, which it says
//! itself: by its acknowledgement, or by storage commitment where it offers that.
//!
//! | module | owns |
//! |---|---|
//! | `destination` | a destination: what it gets, how it is reached |
//! | `delivery` | how far each object is |
//! | `queue` | whose turn it is, and when it is tried again |
//! | `courier` | the threads |
//! | `dicom` | a visit by C-STORE and storage commitment |
//! | `stow` | a visit by STOW-RS |
//! | `media` | a DICOM file set on a medium, where there is no network |

mod courier;
pub mod delivery;
pub mod destination;
mod dicom;
pub mod media;
pub mod queue;
mod stow;

use std::path::PathBuf;

use models::findings::Reason;

use crate::dicom::{Committed, Reference, Uid};
use crate::report::Kind;
use crate::station::notice::Notice;

pub use courier::{Couriers, Tell};

/// What a courier is to do at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// For which study.
    pub study: Uid,
    /// The name of the destination.
    pub destination: String,
    /// The objects that are not there yet.
    pub send: Vec<Kind>,
    /// All objects of the study for this destination.
    pub about: Vec<Reference>,
    /// The Transaction UID by which to ask whether they are kept, where that is to be asked.
    pub ask: Option<Uid>,
}

/// What came of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// For which study.
    pub study: Uid,
    /// The name of the destination.
    pub destination: String,
    /// All objects of the study for this destination, as the errand had them.
    pub about: Vec<Reference>,
    /// The SOP Instance UIDs that were offered, each with whether it was stored.
    pub sent: Vec<(Uid, Result<(), Reason>)>,
    /// What it says about storage commitment, if it came to that.
    pub commitment: Option<Answer>,
    /// Why the errand was not done, where that is not about one object.
    pub trouble: Option<Reason>,
    /// Certificates that end soon.
    pub warnings: Vec<Notice>,
}

/// What a destination says when it is asked to commit to storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It does not know that service.
    NotOffered,
    /// It will tell.
    Later,
    /// It told.
    Now(Committed),
    /// It does not want to be asked this.
    Refused(Reason),
}

/// An object with its file.
struct Item {
    reference: Reference,
    path: PathBuf,
}
