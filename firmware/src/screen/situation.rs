//! What the appliance tells the screen: data only, in no language.

use std::time::Duration;

use embedded_graphics::prelude::Size;
use models::findings::{Findings, Reason};
use models::mr::Contrast;
use models::pictures::Pictures;
use serde::{Deserialize, Serialize};

use super::language::Language;
use super::maintenance::Maintenance;
use crate::station::config::MaySend;
use crate::station::notice::Notice;

/// Everything but the findings of single studies. Patient data: never written to logs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// How far the box itself is.
    pub phase: Phase,
    /// The box itself.
    pub station: Station,
    /// The newest first.
    pub studies: Vec<Study>,
    /// What was turned away, the newest first.
    pub refusals: Vec<Refused>,
    /// What must be seen to now.
    pub alarms: Vec<Alarm>,
    /// What can be done to the box itself.
    #[serde(default)]
    pub maintenance: Maintenance,
}

/// How far the box itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It starts; this step is under way.
    Starting(Start),
    /// It could not start.
    Failed(Reason),
    /// It works.
    #[default]
    Running,
    /// It ends; this step is under way.
    Stopping(Stop),
    /// It can be switched off.
    Stopped,
}

/// The steps of a start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Start {
    /// The model is loaded and checks itself.
    Model,
    /// The data folder is taken.
    Storage,
    /// Unfinished studies are taken up.
    Studies,
    /// The box begins to listen.
    Network,
}

/// The steps of an end, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stop {
    /// Images that are on their way come in.
    Receiving,
    /// Findings that are on their way go out.
    Delivering,
}

/// The box itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// Name of the station, as people call it.
    pub name: String,
    /// The AE title that a scanner sends to.
    pub ae_title: String,
    /// The address and port that a scanner sends to, for example `10.1.2.3:11112`; none while not listening.
    pub address: Option<String>,
    /// The same by TLS.
    pub tls_address: Option<String>,
    /// Who may send.
    pub may_send: MaySend,
    /// The model; none when no valid one is loaded.
    pub model: Option<Model>,
    /// Version of the appliance software.
    pub software_version: String,
    /// Serial number of the box.
    pub serial_number: String,
    /// Those in the settings, and whoever else has called.
    pub senders: Vec<Sender>,
    /// Where findings go.
    pub destinations: Vec<Destination>,
    /// The data partition.
    pub disk: Option<Disk>,
    /// Inside the box, °C; none where nothing measures it.
    pub temperature_c: Option<f32>,
    /// What the clock says.
    pub clock: Option<Clock>,
    /// Certificates in use.
    pub certificates: Vec<Certificate>,
    /// What somebody has to see to before long.
    pub notices: Vec<Notice>,
    /// The last update; none so far.
    pub update: Option<Update>,
    /// The last self-test.
    pub self_test: SelfTest,
}

/// The loaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Name and version.
    pub name: String,
    /// What it was trained on, in words.
    pub trained_on: String,
}

/// A system that sends images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// By which it calls.
    pub ae_title: String,
    /// From where it last called; before that, from where it may call, if that is limited.
    pub address: Option<String>,
    /// Since it last called, on a monotonic clock, seconds; none where it has not since the start.
    pub heard_s: Option<u64>,
}

/// A destination of findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// What it is called.
    pub name: String,
    /// Studies with something for it.
    pub waiting: usize,
    /// Why it takes nothing, where that is so.
    pub trouble: Option<Reason>,
}

/// The data partition, MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Free now.
    pub free_mib: u64,
    /// In all.
    pub total_mib: u64,
    /// Free space below which images are refused.
    pub refused_below_mib: u64,
}

/// What the clock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Date and time, as people of all languages read it: `2026-11-22 14:05`.
    pub time: String,
    /// It can be right.
    pub plausible: bool,
}

/// A certificate in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is.
    pub name: String,
    /// Its last day, `2026-11-22`.
    pub until: String,
    /// It ends soon or has ended.
    pub ends_soon: bool,
}

/// The last update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// To which version.
    pub version: String,
    /// When, `2026-11-22`.
    pub date: String,
    /// Why the box went back to the version before, where it did.
    pub rolled_back: Option<Reason>,
}

/// The last self-test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelfTest {
    /// There was none since the start.
    #[default]
    NotRun,
    /// Everything was right.
    Passed,
    /// What was not.
    Failed(Vec<Notice>),
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Study Instance UID.
    pub uid: String,
    /// A few letters that tell it apart without telling whose it is.
    pub tag: String,
    /// (0010,0010) as DICOM writes it; empty while unknown.
    pub patient_name: String,
    /// Images on disk.
    pub images: u64,
    /// How many there will be, where that was announced.
    pub expected: Option<u64>,
    /// So many series of so many, where that was announced and not all have come.
    pub series: Option<(u64, u64)>,
    /// How far it is.
    pub state: State,
    /// What became of its findings.
    pub delivery: Delivery,
    /// Raised with every answer about it.
    pub answers: u32,
    /// Raised whenever there is more or less to see of it.
    #[serde(default)]
    pub pictures: u32,
    /// Since its state changed, on a monotonic clock, seconds; none where that was before the start.
    pub age_s: Option<u64>,
}

/// How far a study is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Images come in. What the model needs and has not come.
    Receiving(Vec<Contrast>),
    /// It waits for the analysis.
    Waiting,
    /// The analysis runs; the step that is under way.
    Analyzing(Option<String>),
    /// There are findings.
    Answered(Verdict),
    /// There are none, by no statement about the images.
    Failed(Reason),
}

/// What findings come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// At least one lesion.
    Tumour,
    /// An answer without lesions.
    NoTumour,
    /// No answer.
    CannotAnswer,
    /// An answer of which no more is known here.
    Unread,
}

/// What became of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// They go nowhere.
    #[default]
    Nowhere,
    /// Every destination has what it should have.
    Done,
    /// They go to these destinations.
    Waiting(String),
    /// These destinations do not take them.
    Blocked(String),
}

/// Something that was turned away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// By whom it was sent.
    pub peer: String,
    /// Why.
    pub reason: Reason,
    /// Since then, on a monotonic clock, seconds.
    pub age_s: u64,
}

/// Something that must be seen to now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Alarm {
    /// The disk is filling.
    Disk,
    /// The clock cannot be right.
    Clock,
    /// The box is too hot.
    Temperature,
}

/// One study, opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// What was found.
    pub findings: Findings,
    /// On which pictures.
    pub pictures: Pictures,
}

/// How the screen is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Pixels.
    pub size: Size,
    /// Of all words.
    pub language: Language,
    /// How much of a patient is shown.
    pub patient: PatientOnScreen,
    /// After this long without a touch the screen goes dark and hides patient data; never where none.
    pub idle: Option<Duration>,
    /// What unlocks it then; anything where none.
    pub pin: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size: super::DEFAULT_SIZE,
            language: Language::default(),
            patient: PatientOnScreen::default(),
            idle: None,
            pin: None,
        }
    }
}

/// How much of a patient is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatientOnScreen {
    /// Name and date.
    #[default]
    Full,
    /// Initials.
    Initials,
    /// Nothing.
    Hidden,
}
