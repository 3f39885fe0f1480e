//! `sialoscope inspect --json` keeps to its schema, docs/schemas/inspect.schema.json.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use boon::{Compiler, Schemas};
use phantom::{Diagnosis, Patient};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/schemas/inspect.schema.json");

fn inspected(folder: &Path) -> Value {
    let done = Command::new(tests::sialoscope())
        .arg("inspect")
        .arg(folder)
        .arg("--json")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What the schema says against an answer.
fn complaints(answer: &Value) -> Option<String> {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler
        .add_resource("inspect.json", serde_json::from_str(SCHEMA).unwrap())
        .unwrap();
    let schema = compiler.compile("inspect.json", &mut schemas).unwrap();
    schemas.validate(answer, schema).err().map(|e| e.to_string())
}

#[test]
fn a_study_and_its_refusals_keep_to_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let patient = Patient::draw(3, Some(Diagnosis::Warthin));
    phantom::write_study(&patient, folder.path()).unwrap();
    std::fs::write(folder.path().join("dicom/notes.txt"), "no image").unwrap();
    let mut answer = inspected(&folder.path().join("dicom"));

    assert_eq!(complaints(&answer), None);
    assert_eq!(answer["refused"][0]["reason"]["code"], "not_dicom");
    let volumes = answer["series"].as_array().unwrap().iter();
    let contrasts: Vec<&Value> = volumes
        .flat_map(|s| s["volumes"].as_array().unwrap())
        .map(|v| &v["contrast"])
        .collect();
    for expected in ["T1", "T2", "CE-T1", "DWI-b0", "DWI", "ADC"] {
        assert!(contrasts.iter().any(|c| **c == expected), "{expected} in {contrasts:?}");
    }

    // The schema is one that can say no.
    answer["series"][0]["volumes"][0]["contrast"] = "PD".into();
    assert!(complaints(&answer).is_some());
}
