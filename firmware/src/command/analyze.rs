//! `sialoscope analyze`: one study from files.

use std::path::{Path, PathBuf};

use clap::Args;
use models::findings::{Fault, Findings, Outcome, Reason, View};
use models::run::{Answer, Model, examine};

use super::inspect::scan;
use super::table::findings_table;
use super::{io_failure, package_folder, print};
use crate::screen;

/// `sialoscope analyze`.
#[derive(Debug, Args)]
pub struct Analyze {
    /// Files, and folders with files, of one study.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print findings.json instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Folder for findings.json and screen.png.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder of the model package [default: the installed one, or the one of this source tree].
    #[arg(long, value_name = "DIR")]
    pub package: Option<PathBuf>,
}

/// Analyzes and prints.
///
/// A study that the model cannot answer is work done: it is printed and is no failure. A model that
/// cannot be used is one.
///
/// # Errors
/// No such path, an unusable package, or an output folder that cannot be written.
pub fn analyze(command: &Analyze) -> Result<(), Reason> {
    let scan = scan(&command.paths)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = Model::load(&package_folder(command.package.as_deref()), threads);
    let answer = examine(model.as_ref(), &scan, env!("CARGO_PKG_VERSION"));
    if let Some(out) = &command.out {
        write_files(out, &answer.findings, &answer.views)?;
    }
    print_findings(&answer.findings, command.json)?;
    failure_of(&answer)
}

/// Prints the table, or the JSON.
pub(super) fn print_findings(findings: &Findings, json: bool) -> Result<(), Reason> {
    if json {
        print(&pretty(findings)?)
    } else {
        print(&findings_table(findings))
    }
    Ok(())
}

/// Writes `findings.json` and `screen.png`.
pub(super) fn write_files(out: &Path, findings: &Findings, views: &[View]) -> Result<(), Reason> {
    let failed = |e: &std::io::Error| io_failure(&format!("cannot write to {}", out.display()), e);
    std::fs::create_dir_all(out).map_err(|e| failed(&e))?;
    std::fs::write(out.join("findings.json"), pretty(findings)?).map_err(|e| failed(&e))?;
    let frame = screen::result_page(findings, views, screen::DEFAULT_SIZE);
    std::fs::write(out.join("screen.png"), frame.to_png()).map_err(|e| failed(&e))
}

fn pretty(findings: &Findings) -> Result<String, Reason> {
    serde_json::to_string_pretty(findings).map_err(|e| Reason::new("json", Fault::Us, e.to_string()))
}

fn failure_of(answer: &Answer) -> Result<(), Reason> {
    let ours = |r: &&Reason| r.fault != Fault::Data;
    match answer.findings.reasons.iter().find(ours) {
        Some(reason) if answer.findings.outcome == Outcome::CannotAnswer => Err(reason.clone()),
        _ => Ok(()),
    }
}
