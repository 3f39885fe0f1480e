//! Which instances make a study, when it is complete, and its durable state.
//!
//! A study is the set of instances with one Study Instance UID. [`Progress`] decides, without input
//! or output; [`record`] keeps what it decided on disk.
//!
//! ```text
//!              all released and all contrasts there,
//!                     or quiet time over                 began           answer kept
//!   receiving ───────────────────────────────► complete ───────► analyzing ───────► reported ──► delivered
//!       ▲                                         │  ▲               │ │                │            │
//!       │                                         │  └── no answer, ─┘ └─► failed       │            │
//!       │                                         │      try again            │         │            │
//!       └───────────── another image ─────────────┴───────────────────────────┴─────────┴────────────┘
//! ```

pub mod evidence;
mod progress;
pub mod record;

pub use progress::{AssociationId, Effect, Event, Progress, Stage};
