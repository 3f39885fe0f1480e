//! `sialoscope demo`: one simulated study through the whole appliance, on loopback.
//!
//! Nothing is shortened: the phantom's DICOM files go over a real association into a real spool, the
//! worker process answers, and the page is the one that the box would show.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use board::input::{self, Sink};
use board::{Display, DisplayError, Frame, Outlet};
use clap::{Args, ValueEnum};
use embedded_graphics::{prelude::Size, primitives::Rectangle};
use models::findings::{Fault, Findings, Reason};
use phantom::{Diagnosis, Patient, Truth};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::analyze::print_findings;
use super::{io_failure, package_folder, print};
use crate::analysis::{Worker, WorkerSettings};
use crate::appliance::{Appliance, Event, Parts};
use crate::dicom::send::{files_under, send};
use crate::dicom::user::Node;
use crate::limits::{ANALYSIS_DEADLINE, SITUATION_EVERY};
use crate::report::Kind;
#[cfg(feature = "window")]
use crate::screen::DEFAULT_SIZE;
use crate::screen::Screen;
use crate::station::config::Config;
use crate::study::record::PICTURES;

/// AE title of the simulated scanner.
const SCANNER: &str = "PHANTOM";

/// How long the demo waits for the other slices.
const PICTURES_PATIENCE: Duration = Duration::from_secs(10);

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sender {
    /// Our own storage SCU.
    Own,
    /// dcmtk's storescu.
    Storescu,
}

/// `sialoscope demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// No picture in the terminal.
    #[arg(long)]
    pub headless: bool,
    /// Folder for findings.json, pictures.json, screen.png, sr.dcm, seg.dcm (where there are lesions) and sc.dcm.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of the patient.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// What the patient has: pa, warthin, bca, malignant or none [default: drawn by the seed].
    #[arg(long, value_name = "LABEL")]
    pub diagnosis: Option<Diagnosis>,
    /// Who sends.
    #[arg(long, value_enum, default_value_t = Sender::Own)]
    pub with: Sender,
    /// Folder of the model package [default: the installed one, or the one of this source tree].
    #[arg(long, value_name = "DIR")]
    pub package: Option<PathBuf>,
    /// Show the screen in a window of the desktop until it is closed.
    #[cfg(feature = "window")]
    #[arg(long)]
    pub window: bool,
}

/// Where the demo's screen is seen.
struct Showing {
    outlet: Outlet,
    /// Takes what people do there, once there is a screen.
    sink: Arc<OnceLock<Sink>>,
    /// Whether somebody is still looking.
    is_open: Box<dyn Fn() -> bool + Send>,
}

/// What the demo ended with.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the appliance said.
    pub findings: Findings,
    /// What was true.
    pub truth: Truth,
    /// From the last C-STORE response to the finished picture.
    pub latency: Duration,
}

/// Runs the demo and prints what came out.
///
/// # Errors
/// The disk, the sender, the worker or the model failed; an honest "cannot answer" is no failure.
pub fn demo(demo: &Demo) -> Result<(), Reason> {
    #[cfg(feature = "window")]
    if demo.window {
        return in_a_window(demo);
    }
    let (shown, frame) = play(demo, &mut |line| eprintln!("{line}"))?;
    if !demo.headless {
        let out = std::io::stdout();
        let columns = board::display::terminal_columns(&out).unwrap_or(120);
        if let (Some(frame), true) = (&frame, out.is_terminal()) {
            print(&frame.half_blocks(columns));
        }
    }
    print_findings(&shown.findings, false)?;
    print(&format!("Simulated truth: {}", truth_line(&shown.truth)));
    print(&format!(
        "From the last C-STORE response to the finished picture: {} ms",
        shown.latency.as_millis()
    ));
    Ok(())
}

/// Runs the demo, telling its progress line by line; the last page is there when it was drawn.
///
/// # Errors
/// As [`demo`].
pub fn play(demo: &Demo, tell: &mut dyn FnMut(&str)) -> Result<(Shown, Option<Frame>), Reason> {
    let (page, kept) = (LastPage::default(), LastPage::default());
    let (display, result) = (page.clone(), kept.clone());
    let showing = Showing {
        outlet: Outlet::with_opener(move || Ok(Box::new(display.clone()))),
        sink: Arc::default(),
        // The last look before the box stops, which has a page of its own.
        is_open: Box::new(move || {
            result.put(page.take());
            false
        }),
    };
    let shown = play_on(demo, tell, showing)?;
    Ok((shown, kept.take()))
}

/// The same in a window, until that is closed.
#[cfg(feature = "window")]
fn in_a_window(demo: &Demo) -> Result<(), Reason> {
    let sink: Arc<OnceLock<Sink>> = Arc::default();
    let (slot, demo) = (Arc::clone(&sink), demo.clone());
    let forward: Sink = Arc::new(move |action| {
        if let Some(sink) = slot.get() {
            sink(action);
        }
    });
    let work = move |window: board::display::window::Window| {
        let display = window.clone();
        let showing = Showing {
            outlet: Outlet::with_opener(move || Ok(Box::new(display.clone()))),
            sink,
            is_open: Box::new(move || !window.is_closed()),
        };
        play_on(&demo, &mut |line| eprintln!("{line}"), showing).map(drop)
    };
    board::display::window::run(DEFAULT_SIZE, "Sialoscope", forward, work)
        .map_err(|error| Reason::new("window", Fault::Hardware, error.to_string()))?
}

fn play_on(demo: &Demo, tell: &mut dyn FnMut(&str), showing: Showing) -> Result<Shown, Reason> {
    let folder = tempfile::Builder::new()
        .prefix("sialoscope-demo-")
        .tempdir()
        .map_err(|e| io_failure("no temporary folder", &e))?;
    let patient = Patient::draw(demo.seed, demo.diagnosis);
    tell(&format!("scanner    simulating patient {}", patient.id()));
    let written = phantom::write_study(&patient, &folder.path().join("scanner"))
        .map_err(|e| Reason::new("phantom", Fault::Hardware, e.to_string()))?;
    tell(&format!("scanner    {} images", written.files));

    let runtime = tokio::runtime::Runtime::new().map_err(|e| io_failure("no threads", &e))?;
    let Showing {
        outlet,
        sink,
        is_open,
    } = showing;
    let config = settings_below(folder.path());
    let (findings, results, latency) = runtime.block_on(async {
        let settings = WorkerSettings::new(&package_folder(demo.package.as_deref()))
            .map_err(|e| io_failure("the worker", &e))?;
        let (worker, model) = Worker::start(settings).await?;
        let model = model?;
        tell(&format!(
            "appliance  model {} {}, trained on {}",
            model.name, model.version, model.trained_on
        ));
        let screen = screen(&config, outlet)?;
        // There is one screen only.
        let _ = sink.set(screen.sink());
        let parts = Parts::new(Arc::new(worker), Ok(model), screen);
        let mut events = parts.events.subscribe();
        let appliance = Appliance::start(&config, parts).await?;
        tell(&format!("appliance  listening on {}", appliance.address()));
        let sent = send_study(demo.with, written.dicom.clone(), appliance.address()).await?;
        tell("scanner    all images acknowledged");
        let outcome = follow(&mut events, tell).await;
        let latency = sent.elapsed();
        if outcome.is_ok() {
            until_pictured(&mut events).await;
            // The screen is told at most so often.
            tokio::time::sleep(2 * SITUATION_EVERY).await;
        }
        while is_open() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        appliance.stop().await;
        outcome.map(|(findings, results)| (findings, results, latency))
    })?;
    if let Some(out) = &demo.out {
        keep(&results, out).map_err(|e| io_failure(&format!("cannot write to {}", out.display()), &e))?;
        tell(&format!(
            "appliance  findings.json, pictures.json, screen.png and DICOM objects in {}",
            out.display()
        ));
    }
    let shown = Shown {
        findings: (*findings).clone(),
        truth: written.truth,
        latency,
    };
    Ok(shown)
}

/// The screen on a display of ours.
fn screen(config: &Config, outlet: Outlet) -> Result<Screen, Reason> {
    Screen::start(
        config.screen_settings(),
        outlet,
        input::Settings::default(),
        &config.station.data_dir,
        drop,
    )
    .map_err(|e| io_failure("no thread", &e))
}

/// Loopback, a free port, everything below a temporary folder.
fn settings_below(folder: &Path) -> Config {
    let mut config = Config::default();
    config.station.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.station.port = 0;
    // Only this machine reaches it.
    config.station.open = true;
    config.station.data_dir = folder.join("appliance");
    config
}

/// Sends everything; gives the moment of the last response.
async fn send_study(with: Sender, dicom: PathBuf, to: SocketAddr) -> Result<Instant, Reason> {
    let work = move || match with {
        Sender::Own => send_own(&dicom, to),
        Sender::Storescu => send_storescu(&dicom, to),
    };
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|e| Reason::new("sender", Fault::Us, e.to_string()))?
}

fn send_own(dicom: &Path, to: SocketAddr) -> Result<Instant, Reason> {
    let node = Node {
        ae_title: Config::default().station.ae_title,
        address: to.to_string(),
    };
    let files = files_under(&[dicom.to_owned()])?;
    let mut refused = None;
    let mut last = Instant::now();
    send(&files, &node, SCANNER, |sent| {
        last = Instant::now();
        if !sent.is_stored() {
            refused.get_or_insert(sent);
        }
    })?;
    match refused {
        None => Ok(last),
        Some(sent) => {
            let why = match sent.outcome {
                Ok(status) => format!("status {:04X}", status.0),
                Err(reason) => reason.to_string(),
            };
            Err(Reason::new(
                "not_stored",
                Fault::Us,
                format!("an image was not stored: {why}"),
            ))
        }
    }
}

fn send_storescu(dicom: &Path, to: SocketAddr) -> Result<Instant, Reason> {
    let status = Command::new("storescu")
        .args(["--scan-directories", "--recurse", "--aetitle", SCANNER, "--call"])
        .arg(Config::default().station.ae_title)
        .arg(to.ip().to_string())
        .arg(to.port().to_string())
        .arg(dicom)
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|e| {
            Reason::new(
                "storescu",
                Fault::Configuration,
                format!("storescu does not start: {e}"),
            )
        })?;
    if status.success() {
        return Ok(Instant::now());
    }
    Err(Reason::new(
        "storescu",
        Fault::Peer,
        format!("storescu ended with {status}"),
    ))
}

/// Tells what happens until the study has its page.
async fn follow(
    events: &mut Receiver<Event>,
    tell: &mut dyn FnMut(&str),
) -> Result<(Arc<Findings>, PathBuf), Reason> {
    let patience = tokio::time::sleep(ANALYSIS_DEADLINE);
    tokio::pin!(patience);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = &mut patience => {
                return Err(Reason::new("no_answer", Fault::Us, "the appliance did not answer in time"));
            }
        };
        match event {
            Ok(Event::StudyComplete { instances, .. }) => {
                tell(&format!("appliance  study complete, {instances} images on disk"));
            }
            Ok(Event::Analyzing { .. }) => tell("appliance  analyzing"),
            Ok(Event::Reported { findings, folder, .. }) => return Ok((findings, folder)),
            Ok(Event::Failed { reason, .. }) => return Err(reason),
            Ok(Event::Refused(refusal)) => tell(&format!("appliance  refused: {}", refusal.reason)),
            Ok(
                Event::Listening(_)
                | Event::InstanceStored { .. }
                | Event::Pictured { .. }
                | Event::Delivered { .. }
                | Event::Removed { .. },
            )
            | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => {
                return Err(Reason::new("no_answer", Fault::Us, "the appliance stopped"));
            }
        }
    }
}

/// Until all slices are there to be looked at. Findings do not wait for them, and neither does the demo for long.
async fn until_pictured(events: &mut Receiver<Event>) {
    let pictured = async {
        loop {
            match events.recv().await {
                Ok(Event::Pictured { .. }) | Err(RecvError::Closed) => return,
                _ => {}
            }
        }
    };
    let _ = tokio::time::timeout(PICTURES_PATIENCE, pictured).await;
}

fn keep(results: &Path, out: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(out)?;
    let objects = Kind::ALL.map(Kind::file_name);
    for name in ["findings.json", PICTURES, "screen.png"]
        .into_iter()
        .chain(objects)
    {
        match std::fs::copy(results.join(name), out.join(name)) {
            // Not every result has every object.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && objects.contains(&name) => {
                let stale = std::fs::remove_file(out.join(name));
                stale.or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })?;
            }
            other => drop(other?),
        }
    }
    Ok(())
}

fn truth_line(truth: &Truth) -> String {
    let lesions: Vec<String> = truth
        .lesions
        .iter()
        .map(|l| format!("{:?} side, {:.0} mm", l.side, l.long_axis_mm).to_lowercase())
        .collect();
    if lesions.is_empty() {
        truth.diagnosis.to_string()
    } else {
        format!("{}, {}", truth.diagnosis, lesions.join("; "))
    }
}

/// A display that keeps the last page.
#[derive(Clone, Default)]
struct LastPage(Arc<Mutex<Option<Frame>>>);

impl LastPage {
    fn put(&self, frame: Option<Frame>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = frame;
    }

    fn take(&self) -> Option<Frame> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Display for LastPage {
    fn size(&self) -> Option<Size> {
        None
    }

    fn present(&mut self, frame: &Frame, _: &[Rectangle]) -> Result<(), DisplayError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.clone());
        Ok(())
    }
}
