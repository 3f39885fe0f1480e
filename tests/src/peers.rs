//! The programs of others that the appliance is tested with: dcmtk, Orthanc, pynetdicom.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of tests: it fails by panicking"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::station::{Station, data_set, image};

/// How long a program of others may take to start.
const START: Duration = Duration::from_secs(60);

/// Runs a program to its end.
pub fn tool(name: &str, arguments: &[&str], files: &[PathBuf]) -> Output {
    let output = Command::new(name).args(arguments).args(files).output();
    output.unwrap_or_else(|error| panic!("{name} cannot be run ({error}): tests/run installs it"))
}

/// Everything that a program wrote.
pub fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs a program that must succeed.
pub fn succeeds(name: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = tool(name, arguments, files);
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}\n{}",
        output.status,
        said(&output)
    );
}

/// A port that nobody listens on. Somebody may take it before it is used; tests of one machine rarely do.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A program that runs until this is dropped.
pub struct Running(pub Child);

impl Running {
    /// Starts it and waits until it listens on a port of this machine.
    pub fn listening(mut program: Command, port: u16) -> Self {
        let name = program.get_program().to_owned();
        let child = program.stdin(Stdio::null()).spawn();
        let mut child = Self(child.unwrap_or_else(|error| panic!("{name:?} cannot be run ({error})")));
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.0.try_wait().unwrap().is_none(), "{name:?} ended at once");
            assert!(Instant::now() < deadline, "{name:?} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What every program with pynetdicom begins with.
///
/// Its thread of an association sometimes takes the response that a request waits for ("Received unexpected
/// C-ECHO service message"), some once in 350: it is held still while requests are made. A thread that is held
/// keeps Python alive, so a program that fails or takes too long says where and ends.
const PYNETDICOM: &str = r#"
import faulthandler, os, sys, threading, traceback
def failed(*error):
    traceback.print_exception(*error)
    faulthandler.dump_traceback(all_threads=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
sys.excepthook = failed
faulthandler.dump_traceback_later(600, exit=True)
def still(association):
    checkpoint, held = association._reactor_checkpoint, threading.Event()
    def wait():
        while checkpoint.wait is wait and not threading.Event.wait(checkpoint, 0.01):
            held.set()
    checkpoint.set, checkpoint.wait = lambda: None, wait
    checkpoint.clear()
    assert held.wait(60), "its thread does not come to its checkpoint"
    return association
def loose(association):
    checkpoint = association._reactor_checkpoint
    del checkpoint.set, checkpoint.wait
    checkpoint.set()
    return association
"#;

/// A Python program with pynetdicom and pydicom at hand, and `still` and `loose`.
pub fn python(program: &str) -> Command {
    let modules = std::env::var_os("SIALOSCOPE_PYNETDICOM")
        .expect("SIALOSCOPE_PYNETDICOM names the folders of pynetdicom and pydicom: tests/run sets it");
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", modules)
        .arg("-c")
        .arg(PYNETDICOM.to_owned() + program);
    command
}

/// A Python program with highdicom, pydicom, numpy and Pillow at hand.
pub fn highdicom(program: &str) -> Command {
    let modules = std::env::var_os("SIALOSCOPE_HIGHDICOM")
        .expect("SIALOSCOPE_HIGHDICOM names the folder of highdicom: tests/run sets it");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", modules).arg("-c").arg(program);
    command
}

/// A file of pydicom's own tests.
pub fn pydicom_file(name: &str) -> PathBuf {
    let folder = std::env::var_os("SIALOSCOPE_PYDICOM")
        .expect("SIALOSCOPE_PYDICOM names pydicom's test files: tests/run sets it");
    PathBuf::from(folder).join(name)
}

/// Orthanc on loopback, with a folder of its own.
pub struct Orthanc {
    process: Running,
    pub dicom_port: u16,
    pub http_port: u16,
    login: Option<String>,
}

impl Orthanc {
    /// `settings` are further members of its configuration, each followed by a comma.
    pub fn start(folder: &Path, settings: &str) -> Self {
        let settings = format!(r#"{settings} "Plugins": [], "AuthenticationEnabled": false,"#);
        Self::launch(folder, &settings)
    }

    /// The same with its DICOMweb plugin, and for one user only.
    pub fn start_web(folder: &Path, (user, password): (&str, &str)) -> Self {
        let settings = format!(
            r#""AuthenticationEnabled": true, "RegisteredUsers": {{ {user:?}: {password:?} }},
               "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],"#
        );
        Self {
            login: Some(format!("{user}:{password}")),
            ..Self::launch(folder, &settings)
        }
    }

    fn launch(folder: &Path, settings: &str) -> Self {
        let (dicom_port, http_port) = (free_port(), free_port());
        let configuration = folder.join("orthanc.json");
        let text = format!(
            r#"{{ {settings} "StorageDirectory": {folder:?}, "IndexDirectory": {folder:?},
                "HttpPort": {http_port}, "DicomPort": {dicom_port}, "DicomAet": "ORTHANC",
                "RemoteAccessAllowed": false, "SaveJobs": false }}"#
        );
        fs::create_dir_all(folder).unwrap();
        fs::write(&configuration, text).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut program = Command::new("Orthanc");
        // Nagle's algorithm is on in dcmtk unless this is said.
        program.arg(&configuration).env("TCP_NODELAY", "1");
        program.stdout(log.try_clone().unwrap()).stderr(log);
        let process = Running::listening(program, http_port);
        Self {
            process,
            dicom_port,
            http_port,
            login: None,
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.0.id()
    }

    /// A call of its REST interface; the answer as text.
    fn rest(&self, method: &str, path: &str, body: &[&str]) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.http_port);
        let mut arguments = vec!["--silent", "--show-error", "--fail", "--request", method];
        arguments.extend(self.login.iter().flat_map(|login| ["--user", login]));
        arguments.extend_from_slice(body);
        arguments.push(&url);
        let output = tool("curl", &arguments, &[]);
        assert!(output.status.success(), "{method} {path}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Gives it a DICOM file; its identifier there.
    pub fn upload(&self, file: &Path) -> String {
        let data = format!("@{}", file.display());
        let answer = self.rest("POST", "/instances", &["--data-binary", &data, "-H", "Expect:"]);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["ID"].as_str().unwrap().to_owned()
    }

    /// The SOP Instance UIDs of all that it has.
    pub fn instances(&self) -> Vec<String> {
        let all = self.rest("GET", "/instances?expand", &[]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
        let uid =
            |one: &serde_json::Value| one["MainDicomTags"]["SOPInstanceUID"].as_str().map(str::to_owned);
        all.iter().filter_map(uid).collect()
    }

    /// Tells it where an appliance is.
    pub fn knows(&self, station: &Station) {
        let node = format!(r#"["SIALOSCOPE", "127.0.0.1", {}]"#, station.port);
        self.rest("PUT", "/modalities/sialoscope", &["--data", &node]);
    }

    /// Lets it send instances to the appliance that it knows, and waits for the end.
    pub fn store(&self, instances: &[String]) -> serde_json::Value {
        let list = serde_json::to_string(instances).unwrap();
        let answer = self.rest("POST", "/modalities/sialoscope/store", &["--data", &list]);
        serde_json::from_str(&answer).unwrap()
    }

    /// C-ECHO to the appliance that it knows.
    pub fn echo(&self) {
        self.rest("POST", "/modalities/sialoscope/echo", &["--data", "{}"]);
    }
}

/// Sends a study with storescu and finds it whole on the disk: whatever others did before, a
/// well-behaved peer is served.
pub fn a_good_study_arrives_whole(station: &Station) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let study = format!("1.2.826.99.{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let series = format!("{study}.1");
    let folder = tempfile::tempdir().unwrap();
    let images: Vec<_> = (1..=6)
        .map(|number| image(folder.path(), &study, &series, number))
        .collect();
    let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
    let port = station.port.to_string();
    succeeds("storescu", &["-aec", "SIALOSCOPE", "127.0.0.1", &port], &paths);
    for (path, sop) in images {
        assert_eq!(
            data_set(&station.stored(&study, &series, &sop)),
            data_set(&path),
            "{sop}"
        );
    }
}
