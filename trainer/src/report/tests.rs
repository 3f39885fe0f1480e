#![allow(clippy::unwrap_used)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const HOSTILE: &str = "\"><script>alert('x')</script>&amp;\u{202E}\u{0}";

const CLASSES: [&str; 4] = [
    "pleomorphic adenoma",
    "Warthin tumour",
    "basal cell adenoma",
    "malignant",
];

/// Patients whose probabilities follow their class as far as `skill` goes; `slices` units each.
fn predictions(prefix: &str, patients: usize, slices: usize, skill: f64, seed: u64) -> Vec<Prediction> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut units = Vec::new();
    for patient in 0..patients {
        let truth = [0, 0, 1, 1, 2, 3, 3][patient % 7];
        for slice in 0..slices {
            let raw: Vec<f64> = (0..CLASSES.len())
                .map(|c| (rng.random_range(0.0..3.0) + if c == truth { skill } else { 0.0 }).exp())
                .collect();
            let sum: f64 = raw.iter().sum();
            units.push(Prediction {
                patient: format!("{prefix}-{patient:03}"),
                unit: slice.to_string(),
                truth,
                probabilities: raw.iter().map(|r| r / sum).collect(),
            });
        }
    }
    units
}

fn model(name: &str, skill: f64, seed: u64) -> Model {
    Model {
        name: name.to_owned(),
        classes: CLASSES.map(str::to_owned).to_vec(),
        positive: 3,
        validation: predictions("validation", 49, 1, skill, seed + 1),
        test: predictions("test", 70, 1, skill, seed),
    }
}

fn example(caption: &str) -> ExampleSlice {
    let grey = |i: u32| {
        let (x, y) = (f64::from(i % 64) - 32.0, f64::from(i / 64) - 32.0);
        (255.0 * (-(x * x + 2.0 * y * y) / 900.0).exp()) as u8
    };
    let circle = |x0: f64, y0: f64, r: f64| {
        (0..24)
            .map(|i| f64::from(i) * std::f64::consts::TAU / 24.0)
            .map(|a| [x0 + r * a.cos(), y0 + r * a.sin()])
            .collect()
    };
    ExampleSlice {
        caption: caption.to_owned(),
        rows: 64,
        columns: 64,
        pixels: (0..64 * 64).map(grey).collect(),
        outlines: vec![
            Outline {
                of: Drawn::Truth,
                points: circle(40.0, 28.0, 9.0),
            },
            Outline {
                of: Drawn::Model,
                points: circle(42.0, 29.0, 8.0),
            },
        ],
    }
}

/// A report with everything in it.
fn whole() -> Report {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut rows = String::from("patient,reader,score\n");
    for unit in predictions("test", 70, 1, 0.0, 0) {
        for (reader, skill) in [("reader A", 2), ("reader B", 1)] {
            let score = rng.random_range(1..=3) + if unit.truth == 3 { skill } else { 0 };
            rows += &format!("{},{reader},{score}\n", unit.patient);
        }
    }
    let epochs = |n: u32| {
        (0..n)
            .map(|i| Epoch {
                train: 1.4 * (-0.3 * f64::from(i)).exp() + 0.1,
                validation: 1.3 * (-0.25 * f64::from(i)).exp() + 0.25 + 0.01 * f64::from(i),
            })
            .collect()
    };
    Report {
        title: "T2 + CE-T1 + DWI, late fusion".to_owned(),
        run: Run {
            command: "sialoscope-trainer train experiment.toml".to_owned(),
            commit: "0123456789".to_owned(),
            seed: 7,
            device: "cpu".to_owned(),
            cohort_sha256: "c0ffee".to_owned(),
            simulated: true,
            software: BTreeMap::from([("libtorch".to_owned(), "2.11.0".to_owned())]),
            split: Some("By patient, 4:1, then 20 % for validation, seed 7.".to_owned()),
            leak_check: Some("One person, one split: by hashes of Patient ID.".to_owned()),
            patients: Some([200, 49, 70]),
            preprocessing: None,
            architecture: Some("ResNet-18, cut.".to_owned()),
            initialisation: None,
            training: Some("Adam.".to_owned()),
            selection: None,
            ensemble: None,
            imbalance: None,
        },
        models: vec![model("T2 + CE-T1 + DWI", 1.6, 10), model("T2 alone", 0.8, 20)],
        tables: vec![Table {
            title: "Cohort".to_owned(),
            header: vec!["split".to_owned(), "patients".to_owned()],
            rows: vec![vec!["test".to_owned(), "70".to_owned()]],
            notes: vec!["As indexed.".to_owned()],
        }],
        curves: BTreeMap::from([
            ("encoders".to_owned(), epochs(20)),
            ("reader".to_owned(), epochs(12)),
        ]),
        readers: Some(Scores::parse(rows.as_bytes()).unwrap()),
        slices: vec![
            example("CE-T1, slice 12: malignant, found"),
            example("T2, slice 12"),
        ],
        provenance: vec!["cohort made by: sialoscope-trainer phantom --patients 319".to_owned()],
    }
}

/// The page without styles, drawings and images: headings, tables, captions.
fn structure(page: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in page.lines() {
        inside |= line.contains("<svg") || line.starts_with("<style>");
        if !inside {
            out += line;
            out.push('\n');
        } else if let Some((_, rest)) = line.split_once("</svg>") {
            out += &format!("[drawing]{rest}\n");
        }
        inside &= !line.contains("</svg>") && !line.starts_with("</style>");
    }
    out
}

#[test]
fn the_page_holds_everything_in_order() {
    let report = whole();
    let (page, figures) = report.render().unwrap();
    assert_eq!(
        (page.clone(), figures.clone()),
        report.render().unwrap(),
        "the same bytes again"
    );
    insta::assert_snapshot!(structure(&page));
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["simulated"], SIMULATED);
    let area = figures["results"]["models"][0]["area"]["value"].as_f64().unwrap();
    assert!(page.contains(&format!("{area:.3} (")));
    if let Some(folder) = std::env::var_os("SIALOSCOPE_PICTURES") {
        write(&report, Path::new(&folder)).unwrap();
    }
}

#[test]
fn the_notices_stand_on_top_and_on_every_table() {
    let mut report = whole();
    let count = |page: &str, text: &str| page.matches(text).count();
    let (page, _) = report.render().unwrap();
    let first = page.split("<h1>").next().unwrap();
    assert!(first.contains(NOTICE) && first.contains(SIMULATED));
    assert_eq!(count(&page, SIMULATED), 1 + count(&page, "<table"));
    report.run.simulated = false;
    let (page, figures) = report.render().unwrap();
    assert!(page.contains(NOTICE) && !page.contains(SIMULATED));
    assert!(!figures.contains(SIMULATED) && figures.contains(NOTICE));
}

#[test]
fn hostile_text_stays_text() {
    let mut report = whole();
    let hostile = || HOSTILE.to_owned();
    report.title = hostile();
    report.run.command = hostile();
    report.run.split = Some(hostile());
    report.run.software.insert(hostile(), hostile());
    for model in &mut report.models {
        model.name = hostile();
        model.classes[3] = hostile();
    }
    report.tables = vec![Table {
        title: hostile(),
        header: vec![hostile()],
        rows: vec![vec![hostile()]],
        notes: vec![hostile()],
    }];
    report.curves = BTreeMap::from([(
        hostile(),
        vec![Epoch {
            train: 1.0,
            validation: 2.0,
        }],
    )]);
    report.slices = vec![example(HOSTILE)];
    report.provenance = vec![hostile()];
    let (page, figures) = report.render().unwrap();
    assert!(!page.contains("<script") && !page.contains('\u{202E}') && !page.contains('\0'));
    assert!(page.matches("&lt;script&gt;").count() > 20);
    serde_json::from_str::<serde_json::Value>(&figures).unwrap();
}

#[test]
fn nothing_is_fetched_from_elsewhere() {
    let (page, _) = whole().render().unwrap();
    let namespaces = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(
        page.matches("http").count(),
        namespaces + page.matches("http-equiv").count()
    );
    for word in ["<script", "<link", "@import", "url(", "src=\"", "<iframe"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn checklists_hold_what_the_run_knows_and_no_more() {
    let mut report = whole();
    let answers = |report: &Report| {
        let results = Results::of(report).unwrap();
        checklist::fill(report, &results)
    };
    let lists = answers(&report);
    assert_eq!([lists[0].items.len(), lists[1].items.len()], [44, 52]);
    let of = |lists: &[Checklist], list: usize, number: &str| {
        lists[list]
            .items
            .iter()
            .find(|i| i.number == number)
            .unwrap()
            .answer
            .clone()
    };
    assert_eq!(of(&lists, 0, "19"), report.run.split);
    assert!(of(&lists, 0, "20").unwrap().starts_with("One person, one split"));
    assert_eq!(
        of(&lists, 0, "5").unwrap(),
        "Neither: the patients are simulated."
    );
    assert!(of(&lists, 0, "23").unwrap().contains("libtorch 2.11.0"));
    assert!(of(&lists, 1, "21").unwrap().contains("200 patients for training"));
    for (list, number) in [
        (0, "9"),
        (0, "21"),
        (0, "24"),
        (0, "26"),
        (0, "33"),
        (0, "44"),
        (1, "10"),
        (1, "13"),
        (1, "14"),
        (1, "17"),
    ] {
        assert_eq!(of(&lists, list, number), None, "{number}");
    }
    report.run.split = None;
    report.run.leak_check = None;
    report.run.simulated = false;
    report.run.software.clear();
    let lists = answers(&report);
    for number in ["5", "19", "20", "23"] {
        assert_eq!(of(&lists, 0, number), None, "{number}");
    }
    let (page, _) = report.render().unwrap();
    let empty = lists
        .iter()
        .flat_map(|l| &l.items)
        .filter(|i| i.answer.is_none())
        .count();
    assert_eq!(page.matches(checklist::BY_AUTHORS).count(), empty);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refused = |change: &dyn Fn(&mut Report)| {
        let mut report = whole();
        change(&mut report);
        report.render().unwrap_err().0
    };
    assert!(refused(&|r| r.models.clear()).contains("no model"));
    assert!(refused(&|r| r.models[0].positive = 4).contains("no class 4"));
    assert!(refused(&|r| r.tables[0].rows[0].push("x".into())).contains("Cohort"));
    assert!(refused(&|r| r.slices[0].pixels.truncate(9)).contains("9 pixels"));
    assert!(refused(&|r| r.slices[0].outlines[0].points[0][0] = f64::NAN).contains("no number"));
    assert!(refused(&|r| r.slices[0].rows = 0).contains("0 rows"));
    assert!(
        refused(&|r| r.readers = Some(Scores::parse(b"patient,reader,score\nx,A,3\n").unwrap()))
            .contains("no score")
    );
    let leak = refused(&|r| r.models[1].validation[3].patient = "test-003".into());
    assert!(leak.contains("T2 alone") && leak.contains("test-003"), "{leak}");
}

/// A model without validation predictions, several slices per patient, and one that saw other patients.
#[test]
fn what_cannot_be_known_is_said() {
    let mut report = whole();
    report.readers = None;
    report.models[0].validation.clear();
    report.models[0].test = predictions("test", 30, 3, 1.0, 3);
    let results = Results::of(&report).unwrap();
    let first = &results.models[0];
    assert!(first.scaled.is_empty() && first.points[0].threshold.is_none());
    assert_eq!(
        first.area.unwrap().method,
        crate::statistics::area::Method::Obuchowski
    );
    assert!(results.comparisons[0].refused.is_some());
    let (page, _) = report.render().unwrap();
    assert!(page.contains("No validation predictions") && page.contains("90 units of 30 patients"));
    assert!(page.contains("are not compared: 90 units against 70"));
}

/// Readers score patients: beside them stands the mean of each patient's slices, not the slices.
#[test]
fn readers_stand_beside_patients() {
    let mut report = whole();
    report.models.truncate(1);
    report.models[0].test = predictions("test", 70, 3, 1.0, 3);
    let results = Results::of(&report).unwrap();
    let beside = results.beside_readers.as_ref().unwrap();
    assert_eq!(
        (results.models[0].units, beside.units, beside.patients),
        (210, 70, 70)
    );
    let reader = &results.readers[0];
    let difference = beside.area.unwrap().value - reader.area.unwrap().value;
    assert!((reader.difference.unwrap().value - difference).abs() < 1e-12);
    assert_ne!(beside.area.unwrap().value, results.models[0].area.unwrap().value);
    let (page, _) = report.render().unwrap();
    assert!(page.contains("Readers beside T2 + CE-T1 + DWI, mean of each patient"));
}

#[test]
fn a_report_goes_through_json() {
    let report = whole();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.json");
    std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
    // The JSON parser rounds the last digit of a number its own way.
    let mut read = Report::open(&path).unwrap();
    for (read, written) in read.models.iter_mut().zip(&report.models) {
        let units = |m: &Model| m.validation.iter().chain(&m.test).cloned().collect::<Vec<_>>();
        for (a, b) in units(read).iter().zip(&units(written)) {
            assert!(
                a.probabilities
                    .iter()
                    .zip(&b.probabilities)
                    .all(|(a, b)| (a - b).abs() < 1e-15)
            );
        }
        read.clone_from(written);
    }
    for (read, written) in read.curves.values_mut().zip(report.curves.values()) {
        assert_eq!(read.len(), written.len());
        read.clone_from(written);
    }
    for (read, written) in read.slices.iter_mut().zip(&report.slices) {
        assert_eq!(read.pixels, written.pixels);
        read.outlines.clone_from(&written.outlines);
    }
    assert!(read == report);
    std::fs::write(&path, "{\"title\": \"x\", \"colour\": 1}").unwrap();
    assert!(matches!(Report::open(&path), Err(Error::Form { .. })));
}
