//! What each word of the command line does, apart from [`crate::appliance`] itself.
//!
//! Data goes to standard output, progress and logs to standard error.

pub mod analyze;
pub mod demo;
pub mod inspect;
mod table;

use models::findings::{Fault, Reason};

/// A file or folder that could not be written or read.
fn io_failure(what: &str, error: &std::io::Error) -> Reason {
    Reason::new("io", Fault::Hardware, format!("{what}: {error}"))
}

/// Standard output may be a closed pipe; then there is nobody left to tell.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
