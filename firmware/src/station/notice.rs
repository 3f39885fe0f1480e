//! What somebody has to see to before long.

use std::fmt::{self, Display};

use models::findings::Reason;
use serde::{Deserialize, Serialize};

/// Something that works, but not as it should or not for long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about, by the name that the settings give it: a destination, a server, a certificate.
    pub about: String,
    /// What is the matter.
    pub reason: Reason,
}

impl Notice {
    /// A notice from its parts.
    pub fn new(about: impl Into<String>, reason: Reason) -> Self {
        Self {
            about: about.into(),
            reason,
        }
    }
}

impl Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.reason)
    }
}
