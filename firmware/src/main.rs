//! `sialoscope`: the appliance beside the MR scanner, and its tools.

mod cli;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use cli::{Cli, Command};
use firmware::analysis::{self, Worker, WorkerSettings};
use firmware::appliance::{Absent, Analyst, Appliance, Parts};
use firmware::command;
use firmware::dicom::door::Tls;
use firmware::dicom::send;
use firmware::disk::RealDisk;
use firmware::limits::FAILED_START;
use firmware::report::text;
use firmware::screen::Screen;
use firmware::screen::situation::{Phase, Start};
use firmware::station::audit::trail;
use firmware::station::config::{Config, DEFAULTS};
use firmware::station::heart::Supervised;
use firmware::station::model_store::ModelStore;
use firmware::station::notice::Notice;
use firmware::station::system::System;
use models::findings::{Fault, Reason};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Where the settings are when nobody says.
const SETTINGS: &str = "/etc/sialoscope.toml";

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Who runs the appliance wants to know what it does; who asks one question wants the answer.
    log(if matches!(cli.command, Command::Run(_) | Command::Worker(_)) {
        "info"
    } else {
        "warn"
    });
    let done = match cli.command {
        Command::Demo(what) => command::demo::demo(&what),
        Command::Inspect(what) => command::inspect::inspect(&what),
        Command::Bench(what) => command::bench::bench(&what),
        Command::Analyze(what) => command::analyze::analyze(&what),
        Command::Run(run) => appliance(settings(run.config.as_deref())),
        Command::Screen(what) => command::screen::screen(&what),
        Command::Report(what) => text::describe(&what.file).map(|text| println!("{text}")),
        Command::Send(what) => send_files(&what),
        Command::Export(what) => settings(what.config.as_deref())
            .and_then(|config| command::export::export(&config, &what.to, &what.studies)),
        Command::Selftest(what) => {
            settings(what.config.as_deref()).and_then(|config| command::selftest::selftest(&what, &config))
        }
        Command::Package(what) => {
            settings(what.config()).and_then(|config| command::package::package(&what, &config))
        }
        Command::Config(cli::Config::Check(what)) => check(&what),
        Command::Audit(cli::Audit::Verify(what)) => {
            settings(what.config.as_deref()).and_then(|config| verify_audit(&config))
        }
        Command::Worker(worker) => analysis::serve(&worker.package, &worker.keys, worker.threads),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("sialoscope: {reason}");
            ExitCode::from(if reason.fault == Fault::Configuration {
                2
            } else {
                1
            })
        }
    }
}

/// Logs go to standard error; `RUST_LOG` chooses other levels.
fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
}

fn settings(file: Option<&Path>) -> Result<Config, Reason> {
    let file = match file {
        Some(file) => file,
        None if Path::new(SETTINGS).exists() => Path::new(SETTINGS),
        None => {
            tracing::warn!("there is no {SETTINGS}: every setting has its default");
            return Ok(Config::default());
        }
    };
    tracing::info!("settings from {}", file.display());
    Ok(Config::read(file)?)
}

/// Runs the appliance. Why it cannot start is shown on its screen too: nobody reads logs beside a scanner.
fn appliance(config: Result<Config, Reason>) -> Result<(), Reason> {
    let failed = |error: std::io::Error| Reason::new("runtime", Fault::Hardware, error.to_string());
    let runtime = Runtime::new().map_err(failed)?;
    let done = runtime.block_on(async {
        // Before anything else, so that a signal during the start is not lost.
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut record = signal(SignalKind::user_defined1()).map_err(failed)?;
        // Settings that cannot be read say nothing about the display: it is looked for.
        let screen = Arc::new(screen(config.as_ref().unwrap_or(&Config::default()))?);
        let started = match &config {
            Ok(config) => start(config, &screen).await,
            Err(reason) => Err(reason.clone()),
        };
        let mut appliance = match started {
            Ok(appliance) => appliance,
            Err(reason) => {
                screen.tell_phase(Phase::Failed(reason.clone()));
                // Whoever supervises us starts us anew; until then people must be able to read it.
                let readable = if screen.is_seen() {
                    FAILED_START
                } else {
                    Duration::ZERO
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = tokio::time::sleep(readable) => {}
                }
                return Err(reason);
            }
        };
        drop(screen);
        let supervised = Supervised::start(appliance.hearts()).map_err(failed)?;
        let done = loop {
            tokio::select! {
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
                _ = record.recv() => appliance.record_situation(),
                reason = appliance.broken() => break Err(reason),
            }
        };
        drop(supervised);
        appliance.stop().await;
        done
    });
    // An association that does not end in time must not hold the process.
    runtime.shutdown_background();
    done
}

async fn start(config: &Config, screen: &Arc<Screen>) -> Result<Appliance, Reason> {
    let mut notices = Vec::new();
    let (analyst, model): (Arc<dyn Analyst>, _) = match worker(config, &mut notices).await {
        Ok((worker, model)) => (Arc::new(worker), model),
        Err(reason) => (Arc::new(Absent(reason.clone())), Err(reason)),
    };
    if let Err(reason) = &model {
        tracing::error!(code = reason.code, "no model: {reason}");
    }
    let parts = Parts {
        notices,
        ..Parts::new(analyst, model, Arc::clone(screen))
    };
    Appliance::start(config, parts).await
}

/// The screen, which shows the start from here on.
fn screen(config: &Config) -> Result<Screen, Reason> {
    let data_dir = &config.station.data_dir;
    let screen = Screen::start(
        config.screen_settings(),
        config.outlet(),
        config.inputs(),
        data_dir,
        |wish| match System::default().ask(&wish) {
            Ok(()) => tracing::info!("asked at the screen: {wish:?}"),
            Err(error) => tracing::error!(%error, "the system cannot be asked: {wish:?}"),
        },
    )
    .map_err(|error| Reason::new("thread", Fault::Hardware, error.to_string()))?;
    screen.tell_phase(Phase::Starting(Start::Model));
    Ok(screen)
}

/// The first package that is right on this machine answers: the one in use, the one before it, the one of the system.
async fn worker(
    config: &Config,
    notices: &mut Vec<Notice>,
) -> Result<(Worker, Result<models::findings::ModelIdentity, Reason>), Reason> {
    let failed = |error: std::io::Error| Reason::new("worker_start", Fault::Us, error.to_string());
    let store = ModelStore::new(Arc::new(RealDisk), &config.models_dir());
    let mut packages = store.packages().unwrap_or_else(|reason| {
        notices.push(Notice::new("models", reason));
        Vec::new()
    });
    packages.push(config.model.package.clone());
    let last = packages.len() - 1;
    for (number, package) in packages.iter().enumerate() {
        let mut settings = WorkerSettings::new(package).map_err(failed)?;
        settings.keys.clone_from(&config.model.keys);
        if let Some(threads) = config.model.threads {
            settings.threads = threads.get();
        }
        match Worker::start(settings).await {
            Ok((_, Err(reason))) if number < last => {
                tracing::error!(code = reason.code, "{}: {reason}", package.display());
                let name = package.file_name().unwrap_or_default().to_string_lossy();
                notices.push(Notice::new(name, reason));
            }
            started => return started,
        }
    }
    Err(Reason::new("worker_start", Fault::Us, "no package was tried"))
}

fn send_files(what: &cli::Send) -> Result<(), Reason> {
    let files = send::files_under(&what.paths)?;
    let (mut stored, mut failed) = (0_usize, 0_usize);
    let told = send::send(&files, &what.to, &what.from, |sent| {
        let path = sent.path.display();
        if sent.is_stored() {
            stored += 1
        } else {
            failed += 1
        }
        match sent.outcome {
            Ok(status) => println!("{status} {path}"),
            Err(reason) => println!("---- {path}: {reason}"),
        }
    });
    eprintln!("{stored} of {} stored at {}", files.len(), what.to);
    told?;
    match failed {
        0 => Ok(()),
        _ => Err(Reason::new(
            "not_stored",
            Fault::Peer,
            format!("{failed} files were not stored"),
        )),
    }
}

fn verify_audit(config: &Config) -> Result<(), Reason> {
    let data_dir = &config.station.data_dir;
    let verified = trail::verify(data_dir).map_err(|error| {
        let text = format!("the audit trail in {}: {error}", data_dir.display());
        Reason::new("unreadable", Fault::Hardware, text)
    })?;
    let records =
        verified.map_err(|finding| Reason::new(finding.code(), Fault::Data, finding.to_string()))?;
    println!("{records} records, every seal fits");
    Ok(())
}

fn check(what: &cli::ConfigCheck) -> Result<(), Reason> {
    let Some(file) = &what.file else {
        print!("{DEFAULTS}");
        return Ok(());
    };
    let config = Config::read(file)?;
    let text = config
        .to_toml()
        .map_err(|error| Reason::new("toml", Fault::Us, error.to_string()))?;
    print!("{text}");
    if let Some(note) = config.may_send().note() {
        eprintln!("note: {note}");
    }
    // No error: the settings may be for another machine. A start there ends with it.
    let ours = config.tls_files().map(|files| Tls::open(files).map(drop));
    let destinations = config.destinations().into_iter().filter_map(|one| one.tls);
    let theirs = config
        .syslog()
        .map(|server| server.tls)
        .into_iter()
        .chain(destinations);
    for reason in ours
        .into_iter()
        .chain(theirs.map(|files| files.check()))
        .filter_map(Result::err)
    {
        eprintln!("note: {reason}");
    }
    Ok(())
}
