//! Killed with SIGKILL at any moment and started again, `run` loses no acknowledged image and goes on.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};

use firmware::dicom::send::send;
use firmware::dicom::user::Node;
use tests::station::{Station, data_set, image};

const ROUNDS: usize = 10;
const IMAGES_PER_ROUND: usize = 60;

#[test]
fn sigkill_under_load_loses_no_acknowledged_image() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(PathBuf, String, String, String)> = Vec::new();
    let mut cut_short = 0;
    for round in 1..=ROUNDS {
        // Short quiet time, so that kills also hit studies that are being completed and analyzed.
        let station = Station::start(folder.path(), 0.05, tests::no_package());
        check(&station, &acknowledged);
        let (study, series) = (format!("1.2.{round}"), format!("1.2.{round}.1"));
        let images: Vec<_> = (1..=IMAGES_PER_ROUND)
            .map(|number| image(folder.path(), &study, &series, number))
            .collect();
        let paths: Vec<_> = images.iter().map(|(path, _)| path.clone()).collect();
        let to = Node {
            ae_title: "SIALOSCOPE".into(),
            address: station.address(),
        };
        let (told, hear) = channel();
        let sender = std::thread::spawn(move || {
            send(&paths, &to, "KILLER", |sent| {
                if sent.is_stored() {
                    told.send(sent.path).unwrap();
                }
            })
        });
        let first = hear
            .recv_timeout(Duration::from_secs(30))
            .expect("a first acknowledgement");
        std::thread::sleep(Duration::from_micros(moment(round)));
        station.kill();
        cut_short += usize::from(sender.join().unwrap().is_err());
        let heard: BTreeSet<PathBuf> = std::iter::once(first).chain(hear.iter()).collect();
        for (path, sop) in images {
            if heard.contains(&path) {
                acknowledged.push((path, study.clone(), series.clone(), sop));
            }
        }
    }
    assert!(cut_short > 0, "no kill hit a transfer: it proves nothing");

    let station = Station::start(folder.path(), 0.05, tests::no_package());
    check(&station, &acknowledged);
    assert_eq!(
        fs::read_dir(station.data_dir.join("spool/.incoming"))
            .unwrap()
            .count(),
        0
    );
    // And it goes on: every study gets its findings, here that there is no model.
    let deadline = Instant::now() + Duration::from_secs(60);
    for round in 1..=ROUNDS {
        let findings = station
            .data_dir
            .join(format!("studies/1.2.{round}/findings.json"));
        while !findings.exists() {
            assert!(Instant::now() < deadline, "no findings in round {round}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let findings: serde_json::Value = serde_json::from_slice(&fs::read(findings).unwrap()).unwrap();
        assert_eq!(findings["outcome"], "cannot_answer");
    }
    eprintln!(
        "{} images acknowledged, {cut_short} of {ROUNDS} transfers cut short, none lost",
        acknowledged.len()
    );
    assert!(station.terminate().success());
}

fn check(station: &Station, acknowledged: &[(PathBuf, String, String, String)]) {
    for (path, study, series, sop) in acknowledged {
        assert_eq!(
            data_set(&station.stored(study, series, sop)),
            data_set(path),
            "{sop}"
        );
    }
}

/// Some moment within the transfer, another one in each run.
fn moment(round: usize) -> u64 {
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let microseconds = (u64::from(clock) / 64 + round as u64 * 7919) % 150_000;
    eprintln!("round {round}: killed {microseconds} µs after the first acknowledgement");
    microseconds
}
