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
        let rest = format!(
            "[study]\nquiet_seconds = {quiet_seconds}\n[limits]\nfree_mib = 1\n[model]\npackage = {package:?}\n"
        );
        Self::launch(folder, "open = true", &rest)
    }

    /// The same without a model, with more keys of `[station]` and more tables.
    pub fn start_with(folder: &Path, station: &str, tables: &str) -> Self {
        let package = crate::no_package();
        let rest = format!("[limits]\nfree_mib = 1\n[model]\npackage = {package:?}\n{tables}");
        Self::launch(folder, station, &rest)
    }

    fn launch(folder: &Path, station: &str, tables: &str) -> Self {
        let data_dir = folder.join("data");
        let (settings, log) = (folder.join("s.toml"), folder.join("log"));
        let (port_file, tls_port_file) = (data_dir.join("port"), data_dir.join("tls_port"));
        let port = if station.contains("port =") {
            ""
        } else {
            "port = 0\n"
        };
        let text =
            format!("[station]\nbind = \"127.0.0.1\"\n{port}data_dir = {data_dir:?}\n{station}\n{tables}");
        fs::write(&settings, text).unwrap();
        let _ = (fs::remove_file(&port_file), fs::remove_file(&tls_port_file));
        let log_file = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = Command::new(crate::sialoscope())
            .args(["run", "--config"])
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + START;
        loop {
            // Written as a whole, so what is there is right; the plain port comes last.
            let port = |file| Some(fs::read_to_string(file).ok()?.trim().parse().unwrap());
            let (plain, tls_port) = (port(&port_file), port(&tls_port_file));
            if plain.is_some() || (station.contains("plain = false") && tls_port.is_some()) {
                return Self {
                    child,
                    port: plain.unwrap_or_default(),
                    tls_port: port(&tls_port_file),
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

/// VmHWM of a process, MiB; 0 when it is gone.
fn high_water_mib(process: &str) -> u64 {
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
