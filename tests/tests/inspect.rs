//! `sialoscope inspect --json` on a study with a file that is none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use phantom::{Diagnosis, Patient};
use serde_json::Value;

#[test]
fn every_contrast_and_every_refusal_is_in_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let patient = Patient::draw(3, Some(Diagnosis::Warthin));
    let written = phantom::write_study(&patient, folder.path()).unwrap();
    std::fs::write(written.dicom.join("notes.txt"), "no image").unwrap();
    let done = Command::new(tests::sialoscope())
        .arg("inspect")
        .arg(&written.dicom)
        .arg("--json")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();

    assert_eq!(answer["refused"][0]["reason"]["code"], "not_dicom");
    let series = answer["series"].as_array().unwrap();
    let files: u64 = series.iter().map(|s| s["files"].as_u64().unwrap()).sum();
    assert_eq!(files, written.files as u64);
    let volumes: Vec<&Value> = series
        .iter()
        .flat_map(|s| s["volumes"].as_array().unwrap())
        .collect();
    for (contrast, b_value) in [
        ("T1", None),
        ("T2", None),
        ("CE-T1", None),
        ("DWI-b0", Some(0.0)),
        ("DWI", Some(1000.0)),
        ("ADC", None),
    ] {
        let found = volumes.iter().find(|v| v["contrast"] == contrast);
        let found = found.unwrap_or_else(|| panic!("{contrast} in {volumes:#?}"));
        assert_eq!(found["b_value"].as_f64(), b_value, "{contrast}");
        assert_eq!(found["orientation"], "axial");
        assert!(!found["reason"].as_str().unwrap().is_empty());
    }
}
