//! The settings: one TOML file, every table optional, unknown keys refused with line and column.

mod audit;
mod destination;
mod door;
mod screen;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use models::findings::{Fault, Reason};
use models::package::Key;
use serde::{Deserialize, Serialize};

use super::services::Offered;
use crate::dicom::is_ae_title;
use crate::disk::{Disk as _, RealDisk};
use crate::limits::{
    DEFAULT_ASSOCIATIONS_PER_PEER, DEFAULT_IDLE_SECONDS, DEFAULT_KEEP_FREE_MIB, DEFAULT_MAX_ASSOCIATIONS,
    DEFAULT_MAX_OBJECT_MIB, DEFAULT_MIN_FREE_MIB, DEFAULT_PATIENCE_SECONDS, DEFAULT_PDU_KIB,
    DEFAULT_QUIET_SECONDS, DEFAULT_RETENTION_DAYS, DEFAULT_WAITING, DEFAULT_WARN_FREE_MIB,
    MAX_SETTINGS_BYTES,
};
use crate::screen::language::Language;
use crate::spool::SpoolLimits;
use crate::study::{Waits, retention};

pub use audit::Audit;
pub use destination::Destination;
pub use door::{MaySend, Peer, Tls};
pub use screen::{Display, Privacy, Screen};

/// The settings file that holds every default and says what each setting means.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who and where we are.
    pub station: Station,
    /// Who may call; when empty, nobody but for `station.open`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer: Vec<Peer>,
    /// Calls by TLS, if they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Where the audit trail is sent, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Where findings go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination: Vec<Destination>,
    /// What is offered to callers.
    pub services: Offered,
    /// When a study is complete.
    pub study: Study,
    /// How long finished studies are kept.
    pub retention: Retention,
    /// The picture.
    pub screen: Screen,
    /// What of the patient is shown.
    pub privacy: Privacy,
    /// What a caller may use up.
    pub limits: Limits,
    /// Which model answers.
    pub model: Model,
}

/// `[station]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Station {
    /// What people call this box.
    pub name: String,
    /// Our AE title.
    pub ae_title: String,
    /// Whether callers must name it.
    pub require_called_ae_title: bool,
    /// Whether everybody on the network may call. Only without any `[[peer]]`.
    pub open: bool,
    /// Whether calls without TLS are taken.
    pub plain: bool,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// All images, results and state.
    pub data_dir: PathBuf,
    /// Language of the screen.
    pub language: Language,
}

/// `[study]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Study {
    /// Quiet time that makes a study complete, seconds.
    pub quiet_seconds: f64,
    /// Time to wait for what was announced and has not come, seconds.
    pub patience_seconds: f64,
}

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How long finished studies are kept, days.
    pub days: f64,
    /// Free space below which the oldest go earlier, MiB.
    pub keep_free_mib: u64,
    /// Free space below which the status page warns, MiB.
    pub warn_free_mib: u64,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Associations served at once.
    pub associations: usize,
    /// Of these, from one address.
    pub associations_per_peer: usize,
    /// Connections that have no association yet.
    pub waiting: usize,
    /// Silence within an association after which it is aborted, seconds.
    pub idle_seconds: u64,
    /// Largest object, MiB.
    pub object_mib: u64,
    /// Free space that must remain, MiB.
    pub free_mib: u64,
    /// Longest P-DATA-TF PDU, KiB.
    pub pdu_kib: u32,
}

/// `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Folder of the model package, where none was installed on the box.
    pub package: PathBuf,
    /// Public keys of minisign: packages that none of them signed do not run. Where there are none, every package does.
    pub keys: Vec<String>,
    /// Threads of the inference; none for as many as there are processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// How long the locator takes for one slice on a box of this kind, ms; none where nobody has measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locator_ms: Option<f64>,
}

impl Default for Station {
    fn default() -> Self {
        Self {
            name: "Sialoscope".to_owned(),
            ae_title: "SIALOSCOPE".to_owned(),
            require_called_ae_title: false,
            open: false,
            plain: true,
            bind: Ipv4Addr::UNSPECIFIED.into(),
            port: 11112,
            data_dir: PathBuf::from("/var/lib/sialoscope"),
            language: Language::English,
        }
    }
}

impl Default for Study {
    fn default() -> Self {
        Self {
            quiet_seconds: DEFAULT_QUIET_SECONDS,
            patience_seconds: DEFAULT_PATIENCE_SECONDS,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: DEFAULT_RETENTION_DAYS,
            keep_free_mib: DEFAULT_KEEP_FREE_MIB,
            warn_free_mib: DEFAULT_WARN_FREE_MIB,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations: DEFAULT_MAX_ASSOCIATIONS,
            associations_per_peer: DEFAULT_ASSOCIATIONS_PER_PEER,
            waiting: DEFAULT_WAITING,
            idle_seconds: DEFAULT_IDLE_SECONDS,
            object_mib: DEFAULT_MAX_OBJECT_MIB,
            free_mib: DEFAULT_MIN_FREE_MIB,
            pdu_kib: DEFAULT_PDU_KIB,
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            package: PathBuf::from("/usr/share/sialoscope/package"),
            keys: Vec::new(),
            threads: None,
            locator_ms: None,
        }
    }
}

/// What is wrong with a settings file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, counted from 1 (columns in characters), where one place is at fault.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Reason {
    fn from(error: ConfigError) -> Self {
        Reason::new("configuration", Fault::Configuration, error.to_string())
    }
}

impl Config {
    /// Reads and checks a settings file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let error = |message: String| ConfigError {
            path: path.to_owned(),
            at: None,
            message,
        };
        let bytes = RealDisk
            .read_at_most(path, MAX_SETTINGS_BYTES)
            .map_err(|e| error(e.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| error("it is not UTF-8 text".to_owned()))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a settings file; `path` is for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError {
            path: path.to_owned(),
            at: error.span().map(|span| line_and_column(text, span.start)),
            message: error.message().to_owned(),
        })?;
        config.check().map_err(|message| ConfigError {
            path: path.to_owned(),
            at: None,
            message,
        })?;
        Ok(config)
    }

    /// Where the packages are that were installed on the box.
    pub fn models_dir(&self) -> PathBuf {
        self.station.data_dir.join("models")
    }

    /// Whom packages are taken from; everybody where there are none.
    pub fn model_keys(&self) -> Vec<Key> {
        // Checked when the settings were read.
        self.model
            .keys
            .iter()
            .filter_map(|key| key.parse().ok())
            .collect()
    }

    /// Every setting as TOML, those in force included that no file names.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    fn check(&self) -> Result<(), String> {
        let titles = std::iter::once(("station", &self.station.ae_title))
            .chain(self.peer.iter().map(|peer| ("peer", &peer.ae_title)));
        for (table, title) in titles {
            if !is_ae_title(title) {
                return Err(format!(
                    "{table}.ae_title {title:?} is not 1 to 16 printable characters"
                ));
            }
        }
        self.screen.check()?;
        for key in &self.model.keys {
            key.parse::<Key>()
                .map_err(|error| format!("model.keys {key:?}: {error}"))?;
        }
        if let Some(expected) = self.model.locator_ms
            && !(0.1..=60_000.0).contains(&expected)
        {
            return Err(format!(
                "model.locator_ms {expected} is not between 0.1 and 60000"
            ));
        }
        let quiet = self.study.quiet_seconds;
        if !(0.0..=86_400.0).contains(&quiet) {
            return Err(format!("study.quiet_seconds {quiet} is not between 0 and 86400"));
        }
        let patience = self.study.patience_seconds;
        if !(0.0..=86_400.0).contains(&patience) {
            return Err(format!(
                "study.patience_seconds {patience} is not between 0 and 86400"
            ));
        }
        let days = self.retention.days;
        if !(0.0..=36_500.0).contains(&days) {
            return Err(format!("retention.days {days} is not between 0 and 36500"));
        }
        let (keep, warn, refuse) = (
            self.retention.keep_free_mib,
            self.retention.warn_free_mib,
            self.limits.free_mib,
        );
        if keep < warn || warn < refuse {
            return Err(format!(
                "retention.keep_free_mib {keep}, retention.warn_free_mib {warn} and limits.free_mib {refuse} \
                 must not ascend: first studies are removed, then people are warned, then images are refused"
            ));
        }
        self.check_services()?;
        let positive = [
            ("limits.associations", self.limits.associations as u64),
            (
                "limits.associations_per_peer",
                self.limits.associations_per_peer as u64,
            ),
            ("limits.waiting", self.limits.waiting as u64),
            ("limits.idle_seconds", self.limits.idle_seconds),
            ("limits.object_mib", self.limits.object_mib),
            ("screen.width", self.screen.width.into()),
            ("screen.height", self.screen.height.into()),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} must not be 0")),
            None => {
                self.check_door()?;
                self.check_audit()?;
                self.check_destinations()
            }
        }
    }

    /// Where to listen.
    pub fn listen_on(&self) -> SocketAddr {
        SocketAddr::new(self.station.bind, self.station.port)
    }

    /// What the spool takes.
    pub fn spool_limits(&self) -> SpoolLimits {
        let bytes = |mib: u64| mib.saturating_mul(1 << 20);
        SpoolLimits {
            object_bytes: bytes(self.limits.object_mib),
            free_bytes: bytes(self.limits.free_mib),
        }
    }

    /// How long a study waits for what may still come.
    pub fn waits(&self) -> Waits {
        Waits {
            quiet: Duration::from_secs_f64(self.study.quiet_seconds),
            patience: Duration::from_secs_f64(self.study.patience_seconds),
        }
    }

    /// How long finished studies are kept.
    pub fn retention(&self) -> retention::Retention {
        let bytes = |mib: u64| mib.saturating_mul(1 << 20);
        retention::Retention {
            age: Duration::from_secs_f64(self.retention.days * 86_400.0),
            keep_free_bytes: bytes(self.retention.keep_free_mib),
            warn_free_bytes: bytes(self.retention.warn_free_mib),
        }
    }

    /// Silence within an association after which it is aborted.
    pub fn idle_time(&self) -> Duration {
        Duration::from_secs(self.limits.idle_seconds)
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("s.toml"))
    }

    #[test]
    fn an_empty_file_and_the_defaults_are_the_same() {
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(parse(DEFAULTS).unwrap(), Config::default());
    }

    #[test]
    fn every_default_is_written_down() {
        let written: toml::Table = DEFAULTS.parse().unwrap();
        let all: toml::Table = Config::default().to_toml().unwrap().parse().unwrap();
        assert_eq!(written, all);
    }

    #[test]
    fn an_unknown_key_is_refused_at_its_place() {
        let error = parse("[station]\nport = 1\n  speed = 3\n").unwrap_err();
        assert_eq!(error.at, Some((3, 3)));
        assert!(
            error.to_string().starts_with("s.toml:3:3: unknown field `speed`"),
            "{error}"
        );
        assert_eq!(parse("[sreen]\n").unwrap_err().at.unwrap().0, 1);
        assert_eq!(parse("[station]\nport = 70000\n").unwrap_err().at, Some((2, 8)));
    }

    #[test]
    fn peers_and_destinations_are_read() {
        let config = parse(
            "[[peer]]\nae_title = \"MR1\"\naddress = \"192.0.2.1\"\n[[peer]]\nae_title = \"MR2\"\n\
             [[destination]]\nae_title = \"PACS\"\nhost = \"pacs\"\nport = 104\n",
        )
        .unwrap();
        assert_eq!(config.may_send(), MaySend::Listed);
        assert_eq!(config.peer[1].address, None);
        assert_eq!(
            Config::parse(&config.to_toml().unwrap(), Path::new("t")).unwrap(),
            config
        );
    }

    #[test]
    fn senseless_values_are_refused_by_name() {
        for (text, name) in [
            ("[station]\nae_title = \"SEVENTEEN_LETTERS\"", "station.ae_title"),
            ("[[peer]]\nae_title = \"\"", "peer.ae_title"),
            ("[study]\nquiet_seconds = -1", "study.quiet_seconds"),
            ("[study]\nquiet_seconds = nan", "study.quiet_seconds"),
            ("[study]\npatience_seconds = -1", "study.patience_seconds"),
            ("[retention]\ndays = -1", "retention.days"),
            ("[retention]\nkeep_free_mib = 1000", "retention.keep_free_mib"),
            ("[limits]\nfree_mib = 3000", "retention.warn_free_mib"),
            ("[limits]\nassociations = 0", "limits.associations"),
        ] {
            assert!(parse(text).unwrap_err().message.contains(name), "{text}");
        }
    }

    #[test]
    fn a_settings_file_beyond_the_limit_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "#".repeat(MAX_SETTINGS_BYTES as usize)).unwrap();
        assert!(Config::read(file.path()).is_ok());
        std::fs::write(file.path(), "#".repeat(MAX_SETTINGS_BYTES as usize + 1)).unwrap();
        assert!(
            Config::read(file.path())
                .unwrap_err()
                .message
                .contains("more than")
        );
    }
}
