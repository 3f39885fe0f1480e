//! `sialoscope analyze`: one study from files.

use std::path::{Path, PathBuf};

use clap::Args;
use models::findings::{Fault, Findings, Outcome, Reason};
use models::run::{Answer, Model, examine_in_steps};
use time::OffsetDateTime;

use super::inspect::scan;
use super::table::findings_table;
use super::{io_failure, package_folder, print};
use crate::report::{self, Device, Kind};
use crate::screen::{self, Settings};
use crate::study::record::PICTURES;

/// `sialoscope analyze`.
#[derive(Debug, Args)]
pub struct Analyze {
    /// Files, and folders with files, of one study.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print findings.json instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Folder for findings.json, pictures.json, screen.png, sr.dcm, seg.dcm (where there are lesions) and sc.dcm.
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
    let version = env!("CARGO_PKG_VERSION");
    let (mut answer, left) = examine_in_steps(model.as_ref(), &scan, version, &mut |_| {});
    if let Some(out) = &command.out {
        if let Some(left) = left {
            answer.pictures = left.pictures(threads);
        }
        write_files(out, &answer)?;
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

/// Writes findings, page and objects.
fn write_files(out: &Path, answer: &Answer) -> Result<(), Reason> {
    let failed = |e: std::io::Error| io_failure(&format!("cannot write to {}", out.display()), &e);
    std::fs::create_dir_all(out).map_err(failed)?;
    std::fs::write(out.join("findings.json"), pretty(&answer.findings)?).map_err(failed)?;
    let pictures = serde_json::to_vec(&answer.pictures).map_err(std::io::Error::from);
    std::fs::write(out.join(PICTURES), pictures.map_err(failed)?).map_err(failed)?;
    let page = screen::capture(&answer.findings, &answer.pictures, &Settings::default());
    std::fs::write(out.join("screen.png"), page.to_png()).map_err(failed)?;
    // Nobody's box: the command has no serial number.
    let device = Device::new("command line", "SIALOSCOPE");
    let made = OffsetDateTime::now_utc();
    let objects = report::objects(
        &answer.findings,
        &answer.evidence,
        Some(&page),
        &device,
        None,
        made,
    )?;
    for kind in Kind::ALL {
        let path = out.join(kind.file_name());
        match objects.iter().find(|object| object.kind == kind) {
            Some(object) => std::fs::write(path, &object.file).map_err(failed)?,
            // Of an earlier run, about something else.
            None if path.exists() => std::fs::remove_file(path).map_err(failed)?,
            None => {}
        }
    }
    Ok(())
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
