//! What each word of the command line does, apart from [`crate::appliance`] itself.
//!
//! Data goes to standard output, progress and logs to standard error.

pub mod analyze;
pub mod demo;
pub mod inspect;
mod table;

use models::findings::{Fault, Reason};

/// Why a command ends with another exit code than 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub Reason);

impl Failure {
    /// 2 for wrong usage or configuration, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        if self.0.fault == Fault::Configuration { 2 } else { 1 }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

/// A file or folder that could not be written or read.
fn io_failure(what: &str, error: &std::io::Error) -> Failure {
    Failure(Reason::new("io", Fault::Hardware, format!("{what}: {error}")))
}

/// Standard output may be a closed pipe; then there is nobody left to tell.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
