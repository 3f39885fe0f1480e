//! The program `sialoscope-trainer reproduce` on a few simulated patients.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn trainer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sialoscope-trainer"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

/// The plan of a paper, cut down to `rows` lines and to a preset that takes seconds.
fn plan(paper: &str, rows: usize, changes: &[(&str, &str)]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("experiments")
        .join(paper)
        .with_extension("toml");
    let whole = std::fs::read_to_string(file).unwrap();
    let mut parts = whole.split("[[row]]");
    let mut short = parts.next().unwrap().to_owned();
    for row in parts.take(rows) {
        short += "[[row]]";
        short += row;
    }
    for (from, to) in changes {
        assert!(short.contains(from), "{paper} has no “{from}”");
        short = short.replacen(from, to, 1);
    }
    short
}

fn reproduce(paper: &str, plan: &Path, out: &Path, cohort: &Path, more: &[&str]) -> Output {
    let [plan, out, cohort] = [plan, out, cohort].map(|path| path.to_str().unwrap());
    let mut arguments = vec![
        "reproduce",
        paper,
        "--plan",
        plan,
        "--out",
        out,
        "--cohort",
        cohort,
    ];
    arguments.extend(["--threads", "2"]);
    arguments.extend(more);
    trainer(&arguments)
}

/// Each paper on the same patients, its tables whole; what is done is not done again; the same seed gives the same
/// figures.
#[test]
fn papers_on_a_few_simulated_patients() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let studies = at("patients");
    let cohort = at("cohort.toml");
    let made = trainer(&[
        "phantom",
        "--patients",
        "40",
        "--seed",
        "5",
        "--out",
        studies.to_str().unwrap(),
    ]);
    assert!(made.status.success(), "{}", text(&made));
    let indexed = trainer(&[
        "index",
        studies.to_str().unwrap(),
        "--seed",
        "5",
        "--out",
        cohort.to_str().unwrap(),
    ]);
    assert!(indexed.status.success(), "{}", text(&indexed));

    let short = [
        (
            "liu",
            2,
            vec![("epochs = 8", "epochs = 1"), ("epochs = 40", "epochs = 2")],
        ),
        (
            "chang",
            1,
            vec![("epochs = 12", "epochs = 1"), ("steps = 30", "steps = 2")],
        ),
        (
            "kaba",
            2,
            vec![("epochs = 9", "epochs = 1"), ("copies = 3", "copies = 1")],
        ),
    ];
    for (paper, rows, changes) in &short {
        let file = at(&format!("{paper}.toml"));
        std::fs::write(&file, plan(paper, *rows, changes)).unwrap();
        let out = at(paper);
        let first = reproduce(paper, &file, &out, &cohort, &[]);
        assert!(first.status.success(), "{paper}: {}", text(&first));
        let tables = std::fs::read_to_string(out.join("tables.md")).unwrap();
        let lines = tables.lines().filter(|line| line.starts_with("| ")).count();
        assert!(lines > *rows, "{tables}");
        assert!(tables.contains("Simulated patients only"), "{tables}");
        let again = reproduce(paper, &file, &out, &cohort, &[]);
        assert_eq!(again.stdout, first.stdout, "{paper}");
        let elsewhere = reproduce(paper, &file, &at(&format!("{paper} again")), &cohort, &[]);
        assert_eq!(elsewhere.stdout, first.stdout, "{paper}, bit for bit");
        let unknown = reproduce(paper, &file, &out, &cohort, &["--job", "somebody"]);
        assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    }
}
