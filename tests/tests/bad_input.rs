//! Bad studies through the real program: each ends in a named reason in the JSON, in the log and on
//! the screen, and never in a panic or a file where none belongs.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, open_file};
use phantom::{Diagnosis, Patient};
use serde_json::Value;

/// What `sialoscope analyze --json` left behind.
struct Said {
    findings: Value,
    log: String,
    picture: Vec<u8>,
    code: i32,
}

impl Said {
    fn analyze(folder: &Path) -> Said {
        let out = tempfile::tempdir().unwrap();
        let done = Command::new(tests::sialoscope())
            .arg("analyze")
            .arg(folder)
            .args(["--json", "--out"])
            .arg(out.path())
            .arg("--package")
            .arg(tests::package())
            .output()
            .unwrap();
        let mut left: Vec<String> = fs::read_dir(out.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        // No object where nobody can say whose study it is.
        left.retain(|name| !["sr.dcm", "sc.dcm"].contains(&name.as_str()));
        assert_eq!(left, ["findings.json", "pictures.json", "screen.png"]);
        let findings: Value = serde_json::from_slice(&done.stdout).unwrap();
        let written: Value =
            serde_json::from_slice(&fs::read(out.path().join("findings.json")).unwrap()).unwrap();
        assert_eq!(findings, written);
        let log = String::from_utf8(done.stderr).unwrap();
        assert!(!log.contains("panicked"), "{log}");
        Said {
            findings,
            log,
            picture: fs::read(out.path().join("screen.png")).unwrap(),
            code: done.status.code().unwrap(),
        }
    }

    /// The outcome is `cannot_answer`, without any lesion, and the code stands in JSON and log.
    fn refuses_with(&self, code: &str) {
        assert_eq!(self.findings["outcome"], "cannot_answer");
        assert_eq!(self.findings["lesions"], Value::Array(vec![]));
        assert_eq!(self.code, 0, "an honest refusal is work done: {}", self.log);
        let reasons = self.findings["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["code"]);
        let refused = self.findings["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["reason"]["code"]);
        let codes: Vec<&Value> = reasons.chain(refused).collect();
        assert!(codes.iter().any(|c| *c == code), "no {code} in {codes:?}");
        assert!(self.log.contains(code), "no {code} in the log: {}", self.log);
        assert_eq!(&self.picture[1..4], b"PNG");
    }
}

/// A whole simulated study in a folder of its own.
fn study() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let patient = Patient::draw(3, Some(Diagnosis::Malignant));
    let dicom = phantom::write_study(&patient, folder.path()).unwrap().dicom;
    (folder, dicom)
}

fn files(dicom: &Path) -> Vec<PathBuf> {
    firmware::dicom::send::files_under(&[dicom.to_owned()]).unwrap()
}

/// Files of the series whose first image passes the test.
fn series(dicom: &Path, is: impl Fn(&DefaultDicomObject) -> bool) -> Vec<PathBuf> {
    let chosen = fs::read_dir(dicom)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|folder| is(&open_file(&files(folder)[0]).unwrap()))
        .expect("a series of that kind");
    files(&chosen)
}

fn is_t2(image: &DefaultDicomObject) -> bool {
    let te: f64 = image.element(tags::ECHO_TIME).unwrap().to_float64().unwrap();
    let b = image.element_opt(tags::DIFFUSION_B_VALUE).unwrap();
    let sequence = image
        .element(tags::SCANNING_SEQUENCE)
        .unwrap()
        .to_str()
        .unwrap()
        .into_owned();
    b.is_none() && te > 60.0 && !sequence.contains("EP")
}

fn rewrite(path: &Path, change: impl Fn(&mut DefaultDicomObject)) {
    let mut image = open_file(path).unwrap();
    change(&mut image);
    image.write_to_file(path).unwrap();
}

#[test]
fn bytes_that_are_no_dicom() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "not an image".repeat(50)).unwrap();
    fs::write(folder.path().join("empty.dcm"), "").unwrap();
    Said::analyze(folder.path()).refuses_with("not_dicom");
}

#[test]
fn a_truncated_file() {
    let (_keep, dicom) = study();
    let t2 = series(&dicom, is_t2);
    let bytes = fs::read(&t2[7]).unwrap();
    fs::write(&t2[7], &bytes[..bytes.len() / 2]).unwrap();
    let said = Said::analyze(&dicom);
    said.refuses_with("truncated");
    said.refuses_with("missing_contrast");
}

#[test]
fn a_missing_required_contrast_is_named() {
    let (_keep, dicom) = study();
    for path in series(&dicom, is_t2) {
        fs::remove_file(path).unwrap();
    }
    let said = Said::analyze(&dicom);
    said.refuses_with("missing_contrast");
    assert_eq!(said.findings["missing"][0]["contrast"], "T2");
    assert_eq!(said.findings["missing"][0]["required"], true);
    assert!(
        said.findings["reasons"][0]["text"]
            .as_str()
            .unwrap()
            .contains("T2")
    );
}

#[test]
fn a_ct_series() {
    let (_keep, dicom) = study();
    for path in files(&dicom) {
        rewrite(&path, |image| {
            image.put(DataElement::new(tags::MODALITY, VR::CS, "CT"));
            image.put(DataElement::new(
                tags::SOP_CLASS_UID,
                VR::UI,
                uids::CT_IMAGE_STORAGE,
            ));
            image.meta_mut().media_storage_sop_class_uid = uids::CT_IMAGE_STORAGE.into();
        });
    }
    Said::analyze(&dicom).refuses_with("not_mr");
}

#[test]
fn a_uid_that_climbs_out_of_its_folder() {
    let (keep, dicom) = study();
    for path in series(&dicom, is_t2) {
        rewrite(&path, |image| {
            image.put(DataElement::new(
                tags::SERIES_INSTANCE_UID,
                VR::UI,
                "../../escaped",
            ));
        });
    }
    Said::analyze(&dicom).refuses_with("invalid_uid");
    assert!(!keep.path().join("escaped").exists() && !dicom.join("escaped").exists());
}

#[test]
fn an_unusable_package_is_a_failure_of_configuration() {
    let (_keep, dicom) = study();
    let package = tempfile::tempdir().unwrap();
    for entry in ["manifest.toml", "locator.onnx", "reader.onnx"] {
        fs::copy(tests::package().join(entry), package.path().join(entry)).unwrap();
    }
    let mut locator = fs::read(package.path().join("locator.onnx")).unwrap();
    let middle = locator.len() / 2;
    locator[middle] ^= 1;
    fs::write(package.path().join("locator.onnx"), locator).unwrap();
    let done = Command::new(tests::sialoscope())
        .args(["analyze", "--json", "--package"])
        .args([package.path(), &dicom])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let findings: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(findings["outcome"], "cannot_answer");
    assert_eq!(findings["reasons"][0]["code"], "package_hash");
}
