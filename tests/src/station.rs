//! A real `sialoscope run`, and small DICOM files to send to it.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of tests: it fails by panicking"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub const START: Duration = Duration::from_secs(60);

/// What a test may set; the rest is as the appliance has it.
pub struct Settings<'a> {
    pub quiet_seconds: f64,
    pub package: &'a Path,
    pub port: u16,
    /// Further lines of `[station]`.
    pub station: &'a str,
    /// Further lines of `[limits]`.
    pub limits: &'a str,
    /// Further tables.
    pub tables: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            quiet_seconds: 600.0,
            package: crate::no_package(),
            port: 0,
            station: "open = true",
            // All peers of a test have one address.
            limits: "free_mib = 1\nassociations_per_peer = 32",
            tables: "",
        }
    }
}

impl Settings<'_> {
    fn toml(&self, data_dir: &Path) -> String {
        let Self {
            quiet_seconds,
            package,
            port,
            station,
            limits,
            tables,
        } = self;
        // A test may name the port itself.
        let port = match station.contains("port =") {
            true => String::new(),
            false => format!("port = {port}\n"),
        };
        format!(
            "[station]\nbind = \"127.0.0.1\"\ndata_dir = {data_dir:?}\n{port}{station}\n\
             [study]\nquiet_seconds = {quiet_seconds}\n[limits]\n{limits}\n\
             [model]\npackage = {package:?}\n{tables}"
        )
    }
}

/// A running appliance with a data folder of its own.
pub struct Station {
    child: Child,
    /// 0 where it listens with TLS only.
    pub port: u16,
    pub tls_port: Option<u16>,
    pub data_dir: PathBuf,
    pub log: PathBuf,
}

impl Station {
    /// Starts it on a free port and waits until it listens.
    pub fn start(folder: &Path, quiet_seconds: f64, package: &Path) -> Self {
        let program = Command::new(crate::sialoscope());
        Self::launch(
            folder,
            &Settings {
                quiet_seconds,
                package,
                ..Settings::default()
            },
            program,
        )
    }

    /// The same without a model, with other keys of `[station]` and more tables.
    pub fn start_with(folder: &Path, station: &str, tables: &str) -> Self {
        let settings = Settings {
            station,
            tables,
            ..Settings::default()
        };
        Self::with(folder, &settings)
    }

    /// Starts it with settings of a test's own.
    pub fn with(folder: &Path, settings: &Settings<'_>) -> Self {
        Self::launch(folder, settings, Command::new(crate::sialoscope()))
    }

    /// Starts it by a program that executes it, as `sh` does with `exec`; waits until it listens.
    pub fn launch(folder: &Path, settings: &Settings<'_>, mut program: Command) -> Self {
        let data_dir = folder.join("data");
        let (file, log) = (folder.join("s.toml"), folder.join("log"));
        let (port_file, tls_port_file) = (data_dir.join("port"), data_dir.join("tls_port"));
        let plain = !settings.station.contains("plain = false");
        let first = if plain { &port_file } else { &tls_port_file };
        fs::create_dir_all(folder).unwrap();
        fs::write(&file, settings.toml(&data_dir)).unwrap();
        let _ = (fs::remove_file(&port_file), fs::remove_file(&tls_port_file));
        let log_file = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = program
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(log_file)
            .spawn()
            .unwrap();
        // Seen from where the process sees it: it may have a mount of its own.
        let seen = PathBuf::from(format!("/proc/{}/root", child.id()));
        let deadline = Instant::now() + START;
        loop {
            // Written as a whole, so what is there is right; the plain port comes last.
            let found = [first, &within(&seen, first)]
                .iter()
                .find_map(|path| Some((fs::read_to_string(path).ok()?, path.parent()?.to_owned())));
            if let Some((text, data_dir)) = found {
                let port = text.trim().parse().unwrap();
                let tls_port = fs::read_to_string(data_dir.join("tls_port")).ok();
                return Self {
                    child,
                    port: if plain { port } else { 0 },
                    tls_port: tls_port.map(|text| text.trim().parse().unwrap()),
                    data_dir,
                    log,
                };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", fs::read_to_string(&log).unwrap());
            }
            assert!(
                Instant::now() < deadline,
                "it does not listen: {}",
                fs::read_to_string(&log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes a limit of the running process; none is the highest allowed.
    pub fn limit(&self, resource: rustix::process::Resource, to: Option<u64>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let now = rustix::process::getrlimit(resource);
        let new = rustix::process::Rlimit {
            current: to.or(now.maximum),
            maximum: now.maximum,
        };
        rustix::process::prlimit(Some(pid), resource, new).unwrap();
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.child.id()))
            .unwrap()
            .count()
    }

    /// Codes of what was turned away so far, oldest first.
    pub fn refusals(&self) -> Vec<String> {
        let text = fs::read_to_string(self.data_dir.join("refusals.jsonl")).unwrap_or_default();
        let code = |line: &str| {
            let refusal: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(refusal["reason"]["code"].as_str()?.to_owned())
        };
        text.lines().filter_map(code).collect()
    }

    /// Waits until something was turned away for one of these reasons.
    pub fn has_refused(&self, codes: &[&str]) {
        let deadline = Instant::now() + START;
        while !self.refusals().iter().any(|code| codes.contains(&code.as_str())) {
            assert!(
                Instant::now() < deadline,
                "none of {codes:?} in {:?}",
                self.refusals()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Every file that is acknowledged as an instance.
    pub fn instances(&self) -> Vec<PathBuf> {
        let spool = self.data_dir.join("spool");
        let mut all = firmware::dicom::send::files_under(&[spool]).unwrap();
        all.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
        all
    }

    /// Highest resident memory so far of the appliance and of its worker, MiB.
    pub fn peak_memory_mib(&self) -> (u64, u64) {
        let own = self.child.id();
        // The worker is started from another thread of the appliance: ask every thread.
        let tasks = fs::read_dir(format!("/proc/{own}/task")).unwrap();
        let workers: u64 = tasks
            .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default())
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect::<std::collections::BTreeSet<_>>()
            .iter()
            .map(|worker| high_water_mib(worker))
            .sum();
        (high_water_mib(&own.to_string()), workers)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ends.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Where an instance is stored.
    pub fn stored(&self, study: &str, series: &str, sop: &str) -> PathBuf {
        self.data_dir
            .join("spool")
            .join(study)
            .join(series)
            .join(format!("{sop}.dcm"))
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An absolute path below another root.
fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// VmHWM of a process, MiB; 0 when it is gone.
pub fn high_water_mib(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// An MR image of 128 × 128 pixels as a file.
pub fn image(folder: &Path, study: &str, series: &str, number: usize) -> (PathBuf, String) {
    let sop = format!("{series}.{number}");
    let pixels: Vec<u16> = (0..128 * 128)
        .map(|at: usize| (at * (number + 3) % 4096) as u16)
        .collect();
    let object = InMemDicomObject::from_element_iter([
        DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
        DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, sop.as_str()),
        DataElement::new(tags::STUDY_DATE, VR::DA, "20260101"),
        DataElement::new(tags::MODALITY, VR::CS, "MR"),
        DataElement::new(tags::PATIENT_NAME, VR::PN, "Test^Patient"),
        DataElement::new(tags::PATIENT_ID, VR::LO, "1"),
        DataElement::new(tags::STUDY_INSTANCE_UID, VR::UI, study),
        DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, series),
        DataElement::new(tags::SAMPLES_PER_PIXEL, VR::US, dicom_value!(U16, [1])),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [128])),
        DataElement::new(tags::COLUMNS, VR::US, dicom_value!(U16, [128])),
        DataElement::new(tags::BITS_ALLOCATED, VR::US, dicom_value!(U16, [16])),
        DataElement::new(tags::BITS_STORED, VR::US, dicom_value!(U16, [12])),
        DataElement::new(tags::HIGH_BIT, VR::US, dicom_value!(U16, [11])),
        DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, dicom_value!(U16, [0])),
        DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            dicom_core::PrimitiveValue::U16(pixels.into()),
        ),
    ]);
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(&sop)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .build()
        .unwrap();
    let path = folder.join(format!("{sop}.dcm"));
    object.with_exact_meta(meta).write_to_file(&path).unwrap();
    (path, sop)
}

/// The bytes of the data set of a file (PS3.10 7.1: preamble, `DICM`, group 0002 with its length first).
pub fn data_set(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&bytes[128..132], b"DICM");
    let group = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    bytes[144 + group..].to_vec()
}
