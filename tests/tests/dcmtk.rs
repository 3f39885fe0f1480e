//! The tools of dcmtk, which half of the world tests with, against `sialoscope run`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dicom_dictionary_std::uids;
use tests::station::{Station, data_set, image};

fn tool(name: &str, arguments: &[&str], files: &[PathBuf]) -> Output {
    let output = Command::new(name).args(arguments).args(files).output();
    output.unwrap_or_else(|error| panic!("{name} cannot be run ({error}): install dcmtk"))
}

fn succeeds(name: &str, arguments: &[&str], files: &[PathBuf]) {
    let Output {
        status,
        stdout,
        stderr,
    } = tool(name, arguments, files);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        status.success(),
        "{name} {arguments:?}: {status}\n{}{}",
        text(&stdout),
        text(&stderr)
    );
}

fn images(folder: &Path, study: &str) -> Vec<(PathBuf, String)> {
    (1..=8)
        .map(|number| image(folder, study, &format!("{study}.1"), number))
        .collect()
}

#[test]
fn echoscu_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    succeeds(
        "echoscu",
        &["-v", "-aec", "SIALOSCOPE", "127.0.0.1", &station.port.to_string()],
        &[],
    );
    // 128 presentation contexts with 38 transfer syntaxes each.
    succeeds(
        "echoscu",
        &[
            "-ppc",
            "128",
            "-pts",
            "38",
            "127.0.0.1",
            &station.port.to_string(),
        ],
        &[],
    );
    assert!(station.terminate().success());
}

#[test]
fn storescu_and_dcmsend_store_what_they_send() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let port = station.port.to_string();
    for (name, study) in [("storescu", "1.2.1"), ("dcmsend", "1.2.2")] {
        let images = images(folder.path(), study);
        let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
        succeeds(name, &["-v", "-aec", "SIALOSCOPE", "127.0.0.1", &port], &paths);
        for (path, sop) in images {
            assert_eq!(
                data_set(&station.stored(study, &format!("{study}.1"), &sop)),
                data_set(&path),
                "{name} {sop}"
            );
        }
    }
    let log = std::fs::read_to_string(&station.log).unwrap();
    assert!(
        log.contains("association accepted") && !log.contains("Patient") && !log.contains("1.2.1"),
        "{log}"
    );
    assert!(station.terminate().success());
}

#[test]
fn compressed_images_are_stored_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let port = station.port.to_string();
    let (plain, sop) = image(folder.path(), "1.2.3", "1.2.3.1", 1);
    for (compress, propose) in [("dcmcjpeg", "-xs"), ("dcmcrle", "-xr")] {
        let compressed = folder.path().join(format!("{compress}.dcm"));
        succeeds(compress, &[], &[plain.clone(), compressed.clone()]);
        let own = dicom_object::open_file(&compressed).unwrap();
        assert_ne!(own.meta().transfer_syntax(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let stored = station.stored("1.2.3", "1.2.3.1", &sop);
        let _ = std::fs::remove_file(&stored);
        succeeds(
            "storescu",
            &[propose, "127.0.0.1", &port],
            std::slice::from_ref(&compressed),
        );
        assert_eq!(data_set(&stored), data_set(&compressed), "{compress}");
    }
    assert!(station.terminate().success());
}

#[test]
fn storescu_hears_why_a_hostile_uid_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let (good, _) = image(folder.path(), "1.2.4", "1.2.4.1", 1);
    let mut bytes = std::fs::read(&good).unwrap();
    let series = bytes
        .windows(8)
        .position(|window| window == b"1.2.4.1\0")
        .unwrap();
    bytes[series..series + 8].copy_from_slice(b"../../x\0");
    let bad = folder.path().join("bad.dcm");
    std::fs::write(&bad, bytes).unwrap();
    let output = tool(
        "storescu",
        &["-v", "127.0.0.1", &station.port.to_string()],
        &[bad],
    );
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("DataSetDoesNotMatchSOPClass"), "{text}");
    assert!(!station.data_dir.join("spool/1.2.4").exists());
    let refusals = std::fs::read_to_string(station.data_dir.join("refusals.jsonl")).unwrap();
    assert!(
        refusals.contains("bad_uid") && !refusals.contains("../../x"),
        "{refusals}"
    );
    assert!(station.terminate().success());
}
