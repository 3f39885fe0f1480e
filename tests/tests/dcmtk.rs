//! The tools of dcmtk, which half of the world tests with, against `sialoscope run`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use tests::peers::{a_good_study_arrives_whole, said, succeeds, tool};
use tests::station::{Station, data_set, image};

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
    let text = said(&output);
    assert!(text.contains("DataSetDoesNotMatchSOPClass"), "{text}");
    assert!(!station.data_dir.join("spool/1.2.4").exists());
    // Written after the answer, by the keeper of the studies.
    station.has_refused(&["bad_uid"]);
    let refusals = std::fs::read_to_string(station.data_dir.join("refusals.jsonl")).unwrap();
    assert!(
        refusals.contains("bad_uid") && !refusals.contains("../../x"),
        "{refusals}"
    );
    assert!(station.terminate().success());
}

#[test]
fn dcmsend_in_several_associations_and_with_small_units() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let port = station.port.to_string();
    let images = images(folder.path(), "1.2.5");
    let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
    // Each association takes one of dcmtk's profiles of presentation contexts; each image is several
    // P-DATA units, since dcmtk does not send more than 4 KiB in one when told so.
    for options in [
        &["+ma"][..],
        &["-ma"],
        &["-pdu", "4096", "--max-send-pdu", "4096"],
    ] {
        let options = [options, &["-aec", "SIALOSCOPE", "127.0.0.1", &port]].concat();
        succeeds("dcmsend", &options, &paths);
    }
    for (path, sop) in images {
        assert_eq!(
            data_set(&station.stored("1.2.5", "1.2.5.1", &sop)),
            data_set(&path)
        );
    }
    assert!(!station.data_dir.join("conflicts/1.2.5").exists());
    assert!(station.terminate().success());
}

#[test]
fn storescu_that_aborts_leaves_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let images = images(folder.path(), "1.2.6");
    let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
    succeeds(
        "storescu",
        &[
            "--abort",
            "-aec",
            "SIALOSCOPE",
            "127.0.0.1",
            &station.port.to_string(),
        ],
        &paths,
    );
    for (path, sop) in images {
        assert_eq!(
            data_set(&station.stored("1.2.6", "1.2.6.1", &sop)),
            data_set(&path)
        );
    }
    a_good_study_arrives_whole(&station);
    assert!(station.terminate().success());
}

#[test]
fn storescu_proposes_every_syntax_that_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let port = station.port.to_string();
    for (number, propose) in ["-x=", "-xe", "-xb", "-xd", "-xi", "-xv", "-xt", "-xr", "-xs"]
        .into_iter()
        .enumerate()
    {
        let study = format!("1.2.7.{number}");
        let (path, sop) = image(folder.path(), &study, &format!("{study}.1"), 1);
        succeeds(
            "storescu",
            &[propose, "-aec", "SIALOSCOPE", "127.0.0.1", &port],
            std::slice::from_ref(&path),
        );
        // dcmtk turns the uncompressed image into another uncompressed syntax where it proposed one.
        let stored = dicom_object::open_file(station.stored(&study, &format!("{study}.1"), &sop)).unwrap();
        let sent = dicom_object::open_file(&path).unwrap();
        let pixels = |object: &dicom_object::DefaultDicomObject| {
            let pixels = object.element(dicom_dictionary_std::tags::PIXEL_DATA).unwrap();
            pixels.to_multi_int::<u16>().unwrap()
        };
        assert_eq!(pixels(&stored), pixels(&sent), "{propose}");
    }
    assert!(station.terminate().success());
}
