//! `sialoscope-trainer report` from end to end.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// Twenty patients of each side for validation and testing; the model is mostly right.
fn input() -> Value {
    let units = |prefix: &str| {
        (0..40)
            .map(|i| {
                let wrong = i % 7 == 0;
                let p = if (i < 20) != wrong { 0.2 } else { 0.8 } + 0.01 * f64::from(i % 5);
                let (patient, truth) = (format!("{prefix}{i:02}"), usize::from(i >= 20));
                json!({"patient": patient, "unit": "1", "truth": truth, "probabilities": [1.0 - p, p]})
            })
            .collect::<Vec<_>>()
    };
    json!({
        "title": "Twenty and twenty",
        "run": {
            "command": "sialoscope-trainer train experiment.toml",
            "commit": "0123456789",
            "seed": 1,
            "device": "cpu",
            "cohort_sha256": "c0ffee",
            "simulated": true,
        },
        "models": [{
            "name": "late fusion",
            "classes": ["benign", "malignant"],
            "positive": 1,
            "validation": units("v"),
            "test": units("t"),
        }],
    })
}

fn scores() -> String {
    let rows = (0..40).map(|i| format!("t{i:02},Ada,{}\n", if i < 20 { 1 + i % 3 } else { 3 + i % 3 }));
    "patient,reader,score\n".to_owned() + &rows.collect::<String>()
}

fn report(folder: &Path, input: &Value, scores: &str) -> Output {
    let (predictions, readers) = (folder.join("predictions.json"), folder.join("scores.csv"));
    std::fs::write(&predictions, input.to_string()).unwrap();
    std::fs::write(&readers, scores).unwrap();
    Command::new(env!("CARGO_BIN_EXE_sialoscope-trainer"))
        .arg("report")
        .arg(&predictions)
        .arg("--readers")
        .arg(&readers)
        .arg("--out")
        .arg(folder.join("out"))
        .output()
        .unwrap()
}

#[test]
fn predictions_and_scores_become_a_page_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let done = report(folder.path(), &input(), &scores());
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let out = folder.path().join("out");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        page.contains("Research use only, not for diagnosis.") && page.contains("Simulated patients only.")
    );
    assert!(page.contains("Ada") && page.contains("Twenty and twenty"));
    let figures: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let reading = &figures["results"]["readers"][0];
    assert_eq!(
        (&reading["reader"], &reading["patients"]),
        (&json!("Ada"), &json!(40))
    );
    assert!(reading["difference"]["p"].is_number());
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.lines().count(), 2);
}

#[test]
fn whose_fault_it_is_decides_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |input: &Value, scores: &str, code: i32, why: &str| {
        let done = report(folder.path(), input, scores);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(why), "{said}");
    };
    fails(
        &input(),
        &(scores() + "t00,Ada,6\n"),
        2,
        "line 42: “6” is no score from 1 to 5",
    );
    fails(&json!({"title": "nothing else"}), &scores(), 2, "missing field");
    fails(
        &input(),
        "patient,reader,score\nt00,Ada,3\n",
        1,
        "Ada has no score for patient t01",
    );
    let mut leak = input();
    leak["models"][0]["validation"][3]["patient"] = json!("t05");
    fails(&leak, &scores(), 1, "t05 is a validation patient");
    assert!(
        !folder.path().join("out").exists(),
        "nothing is written for what is refused"
    );
}
