//! `sialoscope bench`: how fast networks run on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets};
use models::findings::Reason;
use models::package::Package;
use models::run::StageTime;
use models::run::speed::{self, Peaks, Speed};
use serde::Serialize;

use super::{io_failure, package_folder, print};

/// `sialoscope bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Folder of the model package [default: the installed one].
    #[arg(long, value_name = "DIR", conflicts_with = "onnx")]
    pub package: Option<PathBuf>,
    /// An ONNX file instead of a package.
    #[arg(long, value_name = "FILE")]
    pub onnx: Option<PathBuf>,
    /// Sessions side by side, each on a thread of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Time every step of every network as well.
    #[arg(long)]
    pub profile: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
struct Measured {
    peaks: Peaks,
    networks: Vec<Speed>,
    peak_memory_kib: Option<u64>,
}

/// How long each network is run, and profiled.
const TIME: Duration = Duration::from_secs(2);

/// Measures the networks of a package, or one file.
///
/// # Errors
/// The package or file cannot be read, or tract refuses a network.
pub fn bench(what: &Bench) -> Result<(), Reason> {
    let networks = networks(what)?;
    let peaks = speed::peaks();
    let measure =
        |(name, onnx): &(String, Vec<u8>)| speed::measure(name, onnx, what.threads, TIME, what.profile);
    let measured = Measured {
        peaks,
        networks: networks.iter().map(measure).collect::<Result<_, _>>()?,
        peak_memory_kib: peak_memory_kib(),
    };
    if what.json {
        // Numbers and strings always have a JSON form.
        print(&serde_json::to_string_pretty(&measured).unwrap_or_default());
    } else {
        print(&text(&measured));
    }
    Ok(())
}

/// Names and bytes of what is measured.
fn networks(what: &Bench) -> Result<Vec<(String, Vec<u8>)>, Reason> {
    if let Some(file) = &what.onnx {
        let bytes = std::fs::read(file).map_err(|e| io_failure(&file.display().to_string(), &e))?;
        return Ok(vec![(file.display().to_string(), bytes)]);
    }
    let package = Package::open(&package_folder(what.package.as_deref()))?;
    let files = &package.manifest.networks;
    let all = std::iter::once(&files.locator)
        .chain(&files.encoders)
        .chain(std::iter::once(&files.reader));
    all.map(|file| Ok((file.file.clone(), package.network(file)?)))
        .collect()
}

fn text(measured: &Measured) -> String {
    let Measured {
        peaks,
        networks,
        peak_memory_kib,
    } = measured;
    let mut text = format!(
        "One thread, operands in the nearest cache: {:.0} · 10⁹ int8 products/s ({}), {:.0} · 10⁹ f32 ({}).\n",
        peaks.int8, peaks.int8_kernel, peaks.f32, peaks.f32_kernel
    );
    let mut table = table(&[
        "Network",
        "median, ms",
        "fastest, ms",
        "runs/s",
        "load, ms",
        "buffers, KiB",
    ]);
    for speed in networks {
        table.add_row([
            speed.network.clone(),
            format!("{:.2}", speed.median_ms),
            format!("{:.2}", speed.fastest_ms),
            format!("{:.0}", speed.runs_per_second),
            format!("{:.0}", speed.load_ms),
            format!("{}", speed.buffer_bytes / 1024),
        ]);
    }
    text += &table.to_string();
    for speed in networks.iter().filter(|speed| speed.profiled_runs > 0) {
        text += &format!("\n\n{}\n{}", speed.network, profile(speed, peaks));
    }
    if let Some(kib) = peak_memory_kib {
        text += &format!("\n\nPeak resident memory {} MiB.", kib / 1024);
    }
    text
}

fn profile(speed: &Speed, peaks: &Peaks) -> Table {
    let mut table = table(&["Step", "Name", "µs", "%", "10⁹ products/s", "of peak, %"]);
    let all: u64 = speed.stages.iter().map(|stage| stage.nanoseconds).sum();
    for stage in &speed.stages {
        let (rate, share) = rate(stage, speed.profiled_runs, peaks)
            .map_or_else(Default::default, |(rate, share)| {
                (format!("{rate:.0}"), format!("{:.0}", 100.0 * share))
            });
        table.add_row([
            stage.operation.clone(),
            stage.name.clone(),
            format!(
                "{:.1}",
                stage.nanoseconds as f64 / speed.profiled_runs as f64 / 1e3
            ),
            format!("{:.1}", 100.0 * stage.nanoseconds as f64 / all.max(1) as f64),
            rate,
            share,
        ]);
    }
    table
}

/// 10⁹ products a second, and their share of what the machine can do.
fn rate(stage: &StageTime, runs: u64, peaks: &Peaks) -> Option<(f64, f64)> {
    let rate = (stage.products * runs) as f64 / stage.nanoseconds as f64;
    let peak = if stage.operation.ends_with("f32") {
        peaks.f32
    } else {
        peaks.int8
    };
    (stage.products > 0 && stage.nanoseconds > 0).then_some((rate, rate / peak))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(header.to_vec());
    table
}

/// VmHWM of this process (proc(5)), where there is one.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
