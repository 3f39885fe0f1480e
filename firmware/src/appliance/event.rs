//! What happens in the appliance, for whoever watches: the demo's progress, tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use models::findings::{Findings, Reason};

use crate::dicom::Uid;
use crate::station::refusals::Refusal;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Ready for callers.
    Listening(SocketAddr),
    /// An instance is durable.
    InstanceStored {
        /// Of which study.
        study: Uid,
        /// How many instances of it there are now.
        instances: u64,
    },
    /// A study is complete and waits for the analysis.
    StudyComplete {
        /// Which one.
        study: Uid,
        /// How many instances.
        instances: u64,
    },
    /// The analysis of a study began.
    Analyzing {
        /// Which one.
        study: Uid,
    },
    /// The findings of a study are on disk, and the screen is told.
    Reported {
        /// Which one.
        study: Uid,
        /// The findings.
        findings: Arc<Findings>,
        /// Where `findings.json`, `pictures.json`, `screen.png` and the DICOM objects are.
        folder: PathBuf,
    },
    /// All pictures of a study are on disk, beside its findings.
    Pictured {
        /// Which one.
        study: Uid,
    },
    /// The analysis of a study was given up. Its folder holds findings that say so.
    Failed {
        /// Which one.
        study: Uid,
        /// Why.
        reason: Reason,
    },
    /// Every destination has the findings of a study.
    Delivered {
        /// Which one.
        study: Uid,
    },
    /// A finished study was removed to make room.
    Removed {
        /// Which one.
        study: Uid,
    },
    /// Something was turned away.
    Refused(Refusal),
}
