//! The receivers, each in its best configuration: the largest PDU that it takes, TCP_NODELAY, no log, no
//! fsync unless it is ours, bytes written as they come where it can.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::peers::{Orthanc, Running, free_port, python};
use tests::station::Station;

pub struct Receiver {
    pub name: &'static str,
    /// Whether the memory of its process says what it needs.
    pub one_process: bool,
    pub start: fn(&Path) -> Box<dyn Listening>,
}

/// A receiver that was started.
pub trait Listening {
    fn port(&self) -> u16;
    fn process(&self) -> u32;
    /// How many files it has made.
    fn files(&self) -> usize;
}

/// Ours first: the others are compared with it.
pub const ALL: [Receiver; 8] = [
    Receiver {
        name: "sialoscope, durable",
        one_process: true,
        start: |folder| Box::new(Station::start(folder, 600.0, tests::no_package())),
    },
    Receiver {
        name: "storescp",
        one_process: true,
        start: |folder| storescp(folder, &["--single-process"]),
    },
    Receiver {
        name: "storescp, bit preserving",
        one_process: true,
        start: |folder| storescp(folder, &["--single-process", "--bit-preserving"]),
    },
    Receiver {
        name: "storescp, forking",
        one_process: false,
        start: |folder| storescp(folder, &["--fork"]),
    },
    Receiver {
        name: "storescp, forking, bit preserving",
        one_process: false,
        start: |folder| storescp(folder, &["--fork", "--bit-preserving"]),
    },
    Receiver {
        name: "Orthanc",
        one_process: true,
        start: orthanc,
    },
    Receiver {
        name: "pynetdicom",
        one_process: true,
        start: |folder| pynetdicom(folder, "False"),
    },
    Receiver {
        name: "pynetdicom, chunked",
        one_process: true,
        start: |folder| pynetdicom(folder, "True"),
    },
];

impl Listening for Station {
    fn port(&self) -> u16 {
        self.port
    }

    fn process(&self) -> u32 {
        self.process()
    }

    fn files(&self) -> usize {
        self.instances().len()
    }
}

/// A program of others that writes into a folder.
struct Other {
    running: Running,
    port: u16,
    folder: PathBuf,
}

impl Listening for Other {
    fn port(&self) -> u16 {
        self.port
    }

    fn process(&self) -> u32 {
        self.running.0.id()
    }

    fn files(&self) -> usize {
        firmware::dicom::send::files_under(std::slice::from_ref(&self.folder))
            .unwrap()
            .len()
    }
}

fn other(folder: &Path, port: u16, mut program: Command) -> Box<dyn Listening> {
    program
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("TCP_NODELAY", "1");
    Box::new(Other {
        running: Running::listening(program, port),
        port,
        folder: folder.to_owned(),
    })
}

fn storescp(folder: &Path, options: &[&str]) -> Box<dyn Listening> {
    let port = free_port();
    let mut program = Command::new("storescp");
    program
        .args(options)
        .args(["--quiet", "--disable-host-lookup", "--max-pdu", "131072"]);
    program
        .arg("--output-directory")
        .arg(folder)
        .arg(port.to_string());
    other(folder, port, program)
}

/// Writes what comes behind a preamble and a file meta header, in which it is as quick as it can be:
/// its own application decodes and encodes each data set.
const PYNETDICOM: &str = r#"
import sys
from pathlib import Path
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
_config.LOG_HANDLER_LEVEL = "none"
port, folder, chunked = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
_config.STORE_RECV_CHUNKED_DATASET = chunked
def store(event):
    name = folder / (event.request.AffectedSOPInstanceUID + ".dcm")
    if chunked:
        event.dataset_path.rename(name)
    else:
        name.write_bytes(event.encoded_dataset())
    return 0
ae = AE()
ae.maximum_pdu_size, ae.maximum_associations = 0, 16
ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])
"#;

fn pynetdicom(folder: &Path, chunked: &str) -> Box<dyn Listening> {
    let port = free_port();
    let mut program = python(PYNETDICOM);
    // Its temporary files are then a rename away.
    program
        .env("TMPDIR", folder)
        .arg(port.to_string())
        .arg(folder)
        .arg(chunked);
    other(folder, port, program)
}

/// Orthanc and where its files are.
struct OrthancAt {
    orthanc: Orthanc,
    folder: PathBuf,
}

impl Listening for OrthancAt {
    fn port(&self) -> u16 {
        self.orthanc.dicom_port
    }

    fn process(&self) -> u32 {
        self.orthanc.process()
    }

    fn files(&self) -> usize {
        firmware::dicom::send::files_under(std::slice::from_ref(&self.folder))
            .unwrap()
            .len()
    }
}

fn orthanc(folder: &Path) -> Box<dyn Listening> {
    let settings = r#""MaximumPduLength": 131072, "SyncStorageArea": false, "StoreMD5ForAttachments": false,
        "MetricsEnabled": false, "DicomThreadsCount": 8, "JobsHistorySize": 0,
        "OverwriteInstances": false, "StorageCompression": false, "MallocArenaMax": 0,"#;
    Box::new(OrthancAt {
        orthanc: Orthanc::start(folder, settings),
        folder: folder.to_owned(),
    })
}
