//! Which instances make a study, when it is complete, its durable state, and when it may go.
//!
//! A study is the set of instances with one Study Instance UID. [`Progress`] decides, without input
//! or output; [`record`] keeps what it decided on disk.
//!
//! ```text
//!             evidence that all has come,
//!                     or quiet time over                 began           answer kept
//!   receiving ───────────────────────────────► complete ───────► analyzing ───────► reported ──► delivered
//!       ▲                                         │  ▲               │ │                │            │
//!       │                                         │  └── no answer, ─┘ └─► failed       │            │
//!       │                                         │      try again            │         │            │
//!       └───────────── another image ─────────────┴───────────────────────────┴─────────┴────────────┘
//! ```

pub mod evidence;
pub mod open;
mod progress;
pub mod record;
pub mod retention;

pub use progress::{Arrival, AssociationId, Effect, Event, Known, Progress, Stage, Waits};
