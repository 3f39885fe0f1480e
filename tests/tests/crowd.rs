//! Thousands who say nothing, and one who sends a study.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::station::{Station, data_set, image};

/// More than wait at most, so that some are pushed out too.
const SILENT: usize = firmware::limits::DEFAULT_WAITING + 200;

#[test]
fn two_thousand_silent_connections_do_not_keep_a_study_out() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let address = station.address();
    let silent: Vec<_> = (0..SILENT)
        .map(|number| TcpStream::connect(&address).unwrap_or_else(|error| panic!("{number}: {error}")))
        .collect();
    assert!(silent.len() >= 2000);
    let images: Vec<_> = (1..=40)
        .map(|number| image(folder.path(), "1.2.3", "1.2.3.1", number))
        .collect();
    let output = Command::new("storescu")
        .args(["-aec", "SIALOSCOPE", "127.0.0.1", &station.port.to_string()])
        .args(images.iter().map(|(path, _)| path))
        .output()
        .unwrap_or_else(|error| panic!("storescu cannot be run ({error}): install dcmtk"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (path, sop) in images {
        assert_eq!(
            data_set(&station.stored("1.2.3", "1.2.3.1", &sop)),
            data_set(&path)
        );
    }
    let (memory, _) = station.peak_memory_mib();
    assert!(memory < 64, "{memory} MiB");
    drop(silent);
    assert!(station.terminate().success());
}
