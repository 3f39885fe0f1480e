//! The worker's side.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};
use models::mr::{self, Contrast, Evidence};
use models::package::{Key, Package};
use models::run::{Examination, Model, examine_in_steps};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Whose;
use super::wire::{Hello, Progress, Request, line};
use crate::limits::WORKER_MEMORY_BYTES;

/// Loads the model, greets, and answers requests until standard input closes, which it does when
/// the appliance ends for whatever reason.
///
/// # Errors
/// The pipes to the appliance broke.
pub fn serve(package: &Path, keys: &[Key], threads: usize) -> Result<(), Reason> {
    limit_memory();
    let package = Package::open_signed(package, keys);
    let model = package.and_then(|package| Model::of(package, threads));
    let hello = Hello {
        model: model.as_ref().ok().map(|m| m.package().identity()),
        reason: model.as_ref().err().cloned(),
        contrasts: model
            .as_ref()
            .map_or_else(|_| Vec::new(), |m| m.package().manifest.contrasts()),
    };
    let mut out = stdout().lock();
    send(&mut out, &line(&hello)?)?;
    // The last study that was answered about, until somebody wants to see it.
    let mut shown: Option<(PathBuf, Examination)> = None;
    for request in stdin().lock().lines() {
        let request = request.map_err(broken_pipe)?;
        let request: Request = serde_json::from_str(&request)
            .map_err(|e| Reason::new("worker_wire", Fault::Us, format!("not a request: {e}")))?;
        let reply = match request {
            Request::Contrasts(folder) => line(&promised(&folder)),
            Request::Identify(folder) => line(&whose(&folder)),
            Request::Answer(folder) => {
                // Two studies at once would need twice the memory.
                drop(shown.take());
                let scan = mr::scan(std::slice::from_ref(&folder));
                let mut told = |step: &str| {
                    // A pipe that breaks is met by the answer.
                    let step = line(&Progress::Step(step.to_owned()));
                    let _ = step.and_then(|step| send(&mut out, &step));
                };
                let version = env!("CARGO_PKG_VERSION");
                let (answer, left) = examine_in_steps(model.as_ref(), &scan, version, &mut told);
                shown = left.map(|left| (folder, left));
                line(&Progress::Answer(Box::new(answer)))
            }
            Request::Pictures(folder) => {
                let left = shown.take().filter(|(last, _)| *last == folder);
                line(&left.map(|(_, left)| left.pictures(threads)))
            }
        };
        send(&mut out, &reply?)?;
    }
    Ok(())
}

/// The contrasts that the headers promise.
fn promised(folder: &Path) -> Vec<Contrast> {
    let scan = mr::scan(&[folder.to_owned()]);
    let mut all: Vec<Contrast> = scan
        .series
        .iter()
        .flat_map(|s| &s.volumes)
        .filter_map(|v| v.contrast)
        .collect();
    all.sort();
    all.dedup();
    all
}

fn whose(folder: &Path) -> Whose {
    let scan = mr::scan(&[folder.to_owned()]);
    let evidence = Evidence {
        attributes: scan.attributes,
        ..Evidence::default()
    };
    (scan.studies.into_iter().next().unwrap_or_default(), evidence)
}

/// An allocation beyond the limit then fails here, and the kernel need not choose a victim.
fn limit_memory() {
    let hard = getrlimit(Resource::As).maximum;
    let wanted = Rlimit {
        current: Some(WORKER_MEMORY_BYTES),
        maximum: hard,
    };
    if let Err(e) = setrlimit(Resource::As, wanted) {
        tracing::warn!(error = %e, "the worker runs without a memory limit");
    }
}

fn send(out: &mut impl Write, bytes: &[u8]) -> Result<(), Reason> {
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(broken_pipe)
}

fn broken_pipe(error: std::io::Error) -> Reason {
    Reason::new(
        "worker_wire",
        Fault::Us,
        format!("the pipe to the appliance broke: {error}"),
    )
}
