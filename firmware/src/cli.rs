//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use firmware::command::analyze::Analyze;
use firmware::command::bench::Bench;
use firmware::command::demo::Demo;
use firmware::command::inspect::Inspect;
use firmware::command::package;
use firmware::command::screen::Screen;
use firmware::command::selftest::Selftest;
use firmware::dicom::user::Node;
use models::package::Key;

/// Parotid tumours on head-and-neck MR: research use only, not for diagnosis.
///
/// Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "sialoscope", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send one simulated study through the whole appliance on loopback and show the result.
    Demo(Demo),
    /// Run the appliance until it is told to stop (SIGTERM or Ctrl-C).
    Run(Run),
    /// Say which contrast each series is, and why; what is refused, and why.
    Inspect(Inspect),
    /// Analyze one study from files.
    Analyze(Analyze),
    /// Measure how fast networks run on this machine.
    Bench(Bench),
    /// Draw a page of the screen, for documents and support.
    Screen(Screen),
    /// Print a report, a segmentation or a capture as text.
    Report(Report),
    /// Send DICOM files to a system.
    Send(Send),
    /// Write reports, segmentations and captures to a medium, with a DICOMDIR.
    Export(Export),
    /// Test storage, memory, model, display, keys and network; with a running appliance too.
    Selftest(Selftest),
    /// Model packages: show, verify, install, roll back.
    #[command(subcommand)]
    Package(package::Command),
    /// Work on the settings.
    #[command(subcommand)]
    Config(Config),
    /// Look into the audit trail.
    #[command(subcommand)]
    Audit(Audit),
    /// The process that runs the models; started by the appliance.
    #[command(hide = true)]
    Worker(Worker),
}

/// `sialoscope run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Settings file [default: /etc/sialoscope.toml, or the defaults where it does not exist].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `sialoscope report`.
#[derive(Debug, Args)]
pub struct Report {
    /// DICOM file of a structured report, a segmentation or a secondary capture.
    pub file: PathBuf,
}

/// `sialoscope send`.
#[derive(Debug, Args)]
pub struct Send {
    /// Files, and folders with files.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The system to send to.
    #[arg(long, value_name = "AE@HOST:PORT")]
    pub to: Node,
    /// Our AE title.
    #[arg(long, value_name = "AE", default_value = "SIALOSCOPE")]
    pub from: String,
}

/// `sialoscope export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Settings file, which names the data folder [default: as `run`].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that becomes the file set: where the USB stick is.
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// Study Instance UIDs [default: every study that has a result].
    #[arg(long = "study", value_name = "UID")]
    pub studies: Vec<String>,
}

/// `sialoscope config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a settings file and print every setting in force.
    Check(ConfigCheck),
}

/// `sialoscope config check`.
#[derive(Debug, Args)]
pub struct ConfigCheck {
    /// The settings file.
    #[arg(required_unless_present = "defaults")]
    pub file: Option<PathBuf>,
    /// Print a settings file with every default and what it means.
    #[arg(long, conflicts_with = "file")]
    pub defaults: bool,
}

/// `sialoscope audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every seal of the audit trail.
    Verify(Run),
}

/// `sialoscope worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Folder of the model package.
    #[arg(long)]
    pub package: PathBuf,
    /// A public key of minisign that may have signed it.
    #[arg(long = "key")]
    pub keys: Vec<Key>,
    /// Threads of the inference.
    #[arg(long)]
    pub threads: usize,
}
