//! What can be done to the box itself with a USB stick: data only, in no language.

use models::findings::Reason;
use serde::{Deserialize, Serialize};

/// What the system under the box offers, and how far it is with what was asked of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// A USB stick is plugged in.
    pub stick: bool,
    /// The update on it.
    pub offer: Option<Offer>,
    /// What became of the update that was asked for last.
    pub installation: Option<Installation>,
    /// What became of the support report that was asked for last.
    pub support: Option<SupportReport>,
}

/// An update on a stick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its file.
    pub bundle: String,
    /// Empty where the file does not say, because it cannot be believed.
    pub version: String,
    /// What it changes, as its makers say.
    pub notes: String,
    /// Why this box does not take it, where that is so.
    pub refused: Option<Reason>,
}

/// An update that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Installation {
    /// It is being written: the version and how far, %.
    Running(String, u8),
    /// This version runs after a restart.
    Done(String),
    /// The box stays as it is.
    Failed(Reason),
}

/// A support report that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupportReport {
    /// It is being written.
    Running,
    /// It is on the stick, in this file.
    Done(String),
    /// There is none.
    Failed(Reason),
}

/// What somebody at the screen wants of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// That this bundle is installed.
    Install(String),
    /// That the box restarts.
    Restart,
    /// That a support report is written to the stick.
    Support,
}

impl Maintenance {
    /// The same but for how far it is: what differs here is worth being shown by itself.
    pub fn without_progress(&self) -> Self {
        let mut still = self.clone();
        if let Some(Installation::Running(_, percent)) = &mut still.installation {
            *percent = 0;
        }
        still
    }
}
