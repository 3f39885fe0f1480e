//! On what it was measured.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

/// Files that the fsync of this machine is measured with, and the bytes of each.
const SYNCED_FILES: usize = 100;
const SYNCED_BYTES: usize = 140_000;

/// Class of the machine, and what one durable file costs on it at least.
pub fn describe(folder: &Path) -> Value {
    let of = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_default()
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    json!({
        "processor": of("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": of("/proc/meminfo", "MemTotal"),
        // Without what a distributor adds to it.
        "kernel": read("/proc/sys/kernel/osrelease").split('-').next(),
        // Of one, five and fifteen minutes.
        "load_at_start": read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>(),
        "file_system": said(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder)),
        "write_and_fsync_of_140_kb_ms": fsync_ms(folder),
        "dcmtk": first_line("storescp"),
        "orthanc": first_line("Orthanc"),
    })
}

fn fsync_ms(folder: &Path) -> f64 {
    let bytes = vec![0x5A; SYNCED_BYTES];
    let one = |number: usize| {
        let started = Instant::now();
        let mut file = File::create(folder.join(format!("fsync-{number}"))).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    };
    let all: Vec<f64> = (0..SYNCED_FILES).map(one).collect();
    median(&all)
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The date for the name of the raw results.
pub fn today() -> String {
    said(Command::new("date").args(["-u", "+%F"]))
}

fn first_line(program: &str) -> String {
    said(Command::new(program).arg("--version"))
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
