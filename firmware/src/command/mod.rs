//! What each word of the command line does, apart from [`crate::appliance`] itself.
//!
//! Data goes to standard output, progress and logs to standard error.

pub mod analyze;
pub mod bench;
pub mod demo;
pub mod export;
pub mod inspect;
pub mod package;
pub mod screen;
pub mod selftest;
mod table;

use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};

use crate::station::config::Config;

/// Where a source tree keeps the shipped model package.
const PACKAGE_IN_SOURCE: &str = "models/packages/parotid";

/// The package that was asked for, the installed one, or the one of the source tree that we stand in.
fn package_folder(asked: Option<&Path>) -> PathBuf {
    if let Some(asked) = asked {
        return asked.to_owned();
    }
    let installed = Config::default().model.package;
    let here = std::env::current_dir().unwrap_or_default();
    let source = here.ancestors().map(|folder| folder.join(PACKAGE_IN_SOURCE));
    std::iter::once(installed.clone())
        .chain(source)
        .find(|p| p.is_dir())
        .unwrap_or(installed)
}

/// A file or folder that could not be written or read.
fn io_failure(what: &str, error: &std::io::Error) -> Reason {
    Reason::new("io", Fault::Hardware, format!("{what}: {error}"))
}

/// Standard output may be a closed pipe; then there is nobody left to tell.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
