//! Whether this box can do its work: without a cable, without a patient, beside the running appliance.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use board::Frame;
use board::display::State;
use embedded_graphics::prelude::Size;
use models::findings::{Fault, Reason};
use models::package::Package;
use models::run::{Model, speed};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::config::Config;
use super::temperature;
use crate::dicom::user::{self, Node};
use crate::limits::{
    EARLIEST_YEAR, HOT_CELSIUS, LEAST_MEMORY_MIB, LEAST_STORAGE_MIB_S, SELF_TEST_INFERENCE,
    SELF_TEST_STORAGE_MIB,
};

/// What was found about one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `storage`, `memory`, …
    pub part: String,
    /// How it stands.
    pub outcome: Outcome,
}

/// How a part stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It works; what was measured.
    Passed(String),
    /// It does not.
    Failed(Reason),
    /// It is not there, or in use by the running appliance, so that nothing can be said.
    Untested(String),
}

/// Where the last self-test is kept, in the data folder.
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("self_test.json")
}

/// What the tests look at.
struct Surroundings<'a> {
    config: &'a Config,
    data_dir: &'a Path,
    /// Folders of model packages; the first is in use.
    packages: &'a [PathBuf],
    /// Whether an appliance works in the data folder.
    is_running: bool,
}

type Test = fn(&Surroundings<'_>) -> Result<Outcome, Reason>;

/// Every part and its test.
const TESTS: [(&str, Test); 10] = [
    ("storage", |on| storage(on.data_dir)),
    ("space", |on| space(on.data_dir, on.config.limits.free_mib)),
    ("memory", |_| memory()),
    ("clock", |_| clock()),
    ("temperature", |_| warmth()),
    ("model", |on| model(on.config, on.packages)),
    ("speed", |on| inference(on.packages, on.config.model.locator_ms)),
    ("display", |on| display(on.config, on.is_running)),
    ("keys", |on| lines(on.config, on.is_running)),
    ("network", |on| network(on.config, on.is_running)),
];

/// The names of all parts.
pub fn parts() -> impl Iterator<Item = &'static str> {
    TESTS.iter().map(|(part, _)| *part)
}

/// Looks at these parts; at every one where none is named. `packages` are the folders of model packages of which
/// the first is in use.
pub fn run(config: &Config, packages: &[PathBuf], only: &[String]) -> Vec<Check> {
    let data_dir = &config.station.data_dir;
    let surroundings = Surroundings {
        config,
        data_dir,
        packages,
        is_running: is_running(data_dir),
    };
    let wanted = |part: &str| only.is_empty() || only.iter().any(|one| one == part);
    TESTS
        .iter()
        .filter(|(part, _)| wanted(part))
        .map(|(part, test)| Check {
            part: (*part).to_owned(),
            outcome: test(&surroundings).unwrap_or_else(Outcome::Failed),
        })
        .collect()
}

/// What a running appliance says of itself, in `health.json` of its data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The display takes pictures.
    pub display: bool,
    /// A model answers.
    pub model: bool,
    /// It listens.
    pub network: bool,
}

/// Where that is.
pub fn health_file(data_dir: &Path) -> PathBuf {
    data_dir.join("health.json")
}

fn health(data_dir: &Path) -> Result<Health, Reason> {
    let silent = |error: io::Error| {
        Reason::new(
            "internal",
            Fault::Us,
            format!("the appliance says nothing of itself: {error}"),
        )
    };
    let json = fs::read(health_file(data_dir)).map_err(silent)?;
    serde_json::from_slice(&json).map_err(|error| silent(error.into()))
}

/// Whether an appliance works in this data folder: it holds the lock.
fn is_running(data_dir: &Path) -> bool {
    let lock = File::open(data_dir.join("lock"));
    lock.is_ok_and(|lock| rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err())
}

/// Writes, reads back and compares, and says how fast that was.
fn storage(data_dir: &Path) -> Result<Outcome, Reason> {
    let path = data_dir.join(".self_test");
    let failed = |text: String| Reason::new("storage", Fault::Hardware, text);
    let measured = write_and_read(&path);
    // What failed must not stay and fill the disk.
    let removed = fs::remove_file(&path);
    let (written, is_same) = measured
        .and_then(|measured| removed.map(|()| measured))
        .map_err(|error| failed(format!("{}: {error}", data_dir.display())))?;
    if !is_same {
        return Err(failed("what is read is not what was written".to_owned()));
    }
    let speed = SELF_TEST_STORAGE_MIB as f64 / written.as_secs_f64();
    if speed < LEAST_STORAGE_MIB_S {
        return Err(failed(format!(
            "{speed:.1} MiB/s are written, and {LEAST_STORAGE_MIB_S} are needed"
        )));
    }
    Ok(Outcome::Passed(format!("{speed:.0} MiB/s written")))
}

fn write_and_read(path: &Path) -> io::Result<(Duration, bool)> {
    // No two blocks are the same, so that nothing can be compressed or mixed up.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..SELF_TEST_STORAGE_MIB << 17).flat_map(|_| next()).collect();
    let began = Instant::now();
    let mut file = File::create(path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let written = began.elapsed();
    // From the medium, not from memory.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let mut back = Vec::with_capacity(bytes.len());
    File::open(path)?.read_to_end(&mut back)?;
    Ok((written, back == bytes))
}

fn space(data_dir: &Path, least_mib: u64) -> Result<Outcome, Reason> {
    let failed = |text: String| Reason::new("no_space", Fault::Hardware, text);
    let space = rustix::fs::statvfs(data_dir).map_err(|error| failed(error.to_string()))?;
    let free = (space.f_bavail * space.f_frsize) >> 20;
    if free < least_mib {
        return Err(failed(format!("{free} MiB free, and {least_mib} are needed")));
    }
    Ok(Outcome::Passed(format!("{free} MiB free")))
}

fn memory() -> Result<Outcome, Reason> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    match kib.map(|kib| kib >> 10) {
        None => Ok(Outcome::Untested(
            "the kernel does not say how much is available".to_owned(),
        )),
        Some(free) if free < LEAST_MEMORY_MIB => {
            let text = format!("{free} MiB available, and {LEAST_MEMORY_MIB} are needed");
            Err(Reason::new("memory", Fault::Hardware, text))
        }
        Some(free) => Ok(Outcome::Passed(format!("{free} MiB available"))),
    }
}

fn clock() -> Result<Outcome, Reason> {
    let now = OffsetDateTime::now_utc();
    if now.year() < EARLIEST_YEAR {
        let text = format!("it says {}, which cannot be", now.date());
        return Err(Reason::new("clock", Fault::Hardware, text));
    }
    Ok(Outcome::Passed(format!("{} UTC", now.date())))
}

fn warmth() -> Result<Outcome, Reason> {
    match temperature::celsius() {
        None => Ok(Outcome::Untested("nothing here measures it".to_owned())),
        Some(celsius) if celsius >= HOT_CELSIUS => {
            let text = format!("{celsius:.0} °C, and {HOT_CELSIUS:.0} is too hot");
            Err(Reason::new("temperature", Fault::Hardware, text))
        }
        Some(celsius) => Ok(Outcome::Passed(format!("{celsius:.0} °C"))),
    }
}

/// Hashes, signature and golden vectors of the package in use.
fn model(config: &Config, packages: &[PathBuf]) -> Result<Outcome, Reason> {
    let package = Package::open_signed(in_use(packages)?, &config.model_keys())?;
    let began = Instant::now();
    let model = Model::of(package, 1)?;
    let identity = model.package().identity();
    Ok(Outcome::Passed(format!(
        "{} {}: every golden vector is right, {:.1} s",
        identity.name,
        identity.version,
        began.elapsed().as_secs_f64()
    )))
}

fn in_use(packages: &[PathBuf]) -> Result<&PathBuf, Reason> {
    packages.first().ok_or_else(|| {
        Reason::new(
            "package_missing",
            Fault::Configuration,
            "no model package is named",
        )
    })
}

/// Runs the locator, the longest part of every analysis, on one thread.
fn inference(packages: &[PathBuf], expected_ms: Option<f64>) -> Result<Outcome, Reason> {
    let package = Package::open(in_use(packages)?)?;
    let locator = &package.manifest.networks.locator;
    let onnx = package.network(locator)?;
    // The fastest run is the one that nothing else on the box has disturbed.
    let took = speed::measure(&locator.file, &onnx, 1, SELF_TEST_INFERENCE, false)?.fastest_ms;
    match expected_ms {
        Some(expected) if took > 2.0 * expected => Err(Reason::new(
            "slow_inference",
            Fault::Hardware,
            format!("a slice takes the locator {took:.1} ms, and {expected:.1} ms on a box of this kind"),
        )),
        Some(expected) => Ok(Outcome::Passed(format!(
            "{took:.1} ms for a slice, {expected:.1} ms expected"
        ))),
        None => Ok(Outcome::Passed(format!("{took:.1} ms for a slice"))),
    }
}

/// Shows a picture, where no appliance shows its own.
fn display(config: &Config, is_running: bool) -> Result<Outcome, Reason> {
    if is_running {
        return health(&config.station.data_dir).map(|health| match health.display {
            true => Outcome::Passed("the appliance shows pictures".to_owned()),
            false => Outcome::Untested("none is plugged in".to_owned()),
        });
    }
    let mut outlet = config.outlet();
    outlet.open(Duration::ZERO);
    let size = outlet.size().unwrap_or(Size::new(1, 1));
    let frame = Frame::new(size);
    let area = embedded_graphics::primitives::Rectangle::new(Default::default(), size);
    match outlet.present(&frame, &[area], Duration::ZERO) {
        State::Shown if outlet.is_seen() => Ok(Outcome::Passed(format!(
            "{} × {} pixels",
            size.width, size.height
        ))),
        State::Shown => Ok(Outcome::Untested("the settings name none".to_owned())),
        // Studies are answered all the same.
        State::Missing(why) => Err(Reason::new("display", Fault::Hardware, why)),
    }
}

/// Requests the lines of keys and lamps, where no appliance has them.
fn lines(config: &Config, is_running: bool) -> Result<Outcome, Reason> {
    let lines = config.lines();
    if lines.is_empty() {
        return Ok(Outcome::Untested("the settings name none".to_owned()));
    }
    if is_running {
        return Ok(Outcome::Untested("the appliance has them".to_owned()));
    }
    for (chip, line) in &lines {
        board::gpio::probe(chip, *line).map_err(|error| {
            Reason::new(
                "gpio",
                Fault::Hardware,
                format!("{} line {line}: {error}", chip.display()),
            )
        })?;
    }
    Ok(Outcome::Passed(format!("{} lines answer", lines.len())))
}

/// Asks the appliance over the loopback interface, or takes its port for a moment.
fn network(config: &Config, is_running: bool) -> Result<Outcome, Reason> {
    let failed = |text: String| Reason::new("listen", Fault::Configuration, text);
    if !is_running {
        let on = (config.station.bind, config.station.port);
        let taken = TcpListener::bind(on).map_err(|error| failed(format!("port {}: {error}", on.1)))?;
        drop(taken);
        return Ok(Outcome::Passed(format!("port {} is free", config.station.port)));
    }
    let port = fs::read_to_string(config.station.data_dir.join("port"))
        .map_err(|error| failed(format!("the appliance says no port: {error}")))?;
    let to = Node {
        ae_title: config.station.ae_title.clone(),
        address: format!("127.0.0.1:{}", port.trim()),
    };
    match user::echo(&to, &config.station.ae_title) {
        Ok(status) => Ok(Outcome::Passed(format!("{to} answers C-ECHO by {status}"))),
        // Whoever turns us away is there: TLS or a user name may be asked for.
        Err(reason) if reason.code == "rejected" => Ok(Outcome::Passed(format!("{to} answers"))),
        Err(reason) => Err(reason),
    }
}
