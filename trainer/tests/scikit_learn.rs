//! The statistics against scikit-learn, and against DeLong's and Obuchowski's definitions in plain loops.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use trainer::statistics::area::{Method, area, compare};
use trainer::statistics::calibration::calibration;
use trainer::statistics::curve::{average_precision, precision_recall, roc};
use trainer::statistics::figures::summary;
use trainer::statistics::scaling::{Form, Scaling};
use trainer::statistics::{Prediction, Predictions, Validation};

/// Largest difference that is allowed to any figure of the peer.
const SAME: f64 = 1e-6;

/// Random cases.
const CASES: usize = 600;

/// Both models' predictions on the same units.
struct Case {
    first: Predictions,
    second: Predictions,
    class: usize,
    scale: bool,
}

/// Two to four classes, up to forty patients of one to four units; probabilities in tenths in half of the cases,
/// so that ties are common.
fn case(number: usize) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let classes = rng.random_range(2..=4);
    let patients = rng.random_range(4..=40);
    let most = if number.is_multiple_of(3) {
        rng.random_range(2..=4)
    } else {
        1
    };
    let (coarse, skill) = (number.is_multiple_of(2), rng.random_range(0.0..2.0));
    let mut units = [Vec::new(), Vec::new()];
    for patient in 0..patients {
        let mut truth = rng.random_range(0..classes);
        for unit in 0..rng.random_range(1..=most) {
            // Lesions of one patient may differ, slices of one lesion do not.
            if number.is_multiple_of(6) {
                truth = rng.random_range(0..classes);
            }
            for (model, units) in units.iter_mut().enumerate() {
                let steps = |x: f64| {
                    if coarse {
                        (x * 3.0).round().max(1.0)
                    } else {
                        x + 1e-3
                    }
                };
                let raw: Vec<f64> = (0..classes)
                    .map(|c| {
                        let better = if c == truth {
                            skill * (1.0 - 0.3 * model as f64)
                        } else {
                            0.0
                        };
                        steps(rng.random_range(0.0..1.0) + better)
                    })
                    .collect();
                let sum: f64 = raw.iter().sum();
                units.push(Prediction {
                    patient: format!("p{patient:03}"),
                    unit: format!("u{unit}"),
                    truth,
                    probabilities: raw.iter().map(|r| r / sum).collect(),
                });
            }
        }
    }
    let names: Vec<String> = (0..classes).map(|c| format!("class {c}")).collect();
    let [first, second] = units.map(|units| Predictions::new(names.clone(), units).unwrap());
    Case {
        first,
        second,
        class: number % classes,
        scale: number % 20 == 1,
    }
}

fn asked(case: &Case) -> Value {
    let units = case.first.units();
    let probabilities = |p: &Predictions| {
        p.units()
            .iter()
            .map(|u| u.probabilities.clone())
            .collect::<Vec<_>>()
    };
    json!({
        "classes": case.first.classes().len(),
        "class": case.class,
        "scale": case.scale,
        "patients": units.iter().map(|u| &u.patient).collect::<Vec<_>>(),
        "truth": units.iter().map(|u| u.truth).collect::<Vec<_>>(),
        "first": probabilities(&case.first),
        "second": probabilities(&case.second),
    })
}

/// What the peer says about all cases.
fn answers(cases: &[Case]) -> Vec<Value> {
    let modules = std::env::var_os("SIALOSCOPE_SKLEARN")
        .expect("SIALOSCOPE_SKLEARN names the folder of scikit-learn, numpy and scipy: tests/run sets it");
    let mut python = Command::new("python3")
        .env("PYTHONPATH", modules)
        .args(["-c", include_str!("peers/statistics.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let question = serde_json::to_vec(&cases.iter().map(asked).collect::<Vec<_>>()).unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&question).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{}", output.status);
    // Python writes NaN where a figure is not defined, which is no JSON.
    let text = String::from_utf8(output.stdout).unwrap().replace("NaN", "null");
    serde_json::from_str(&text).unwrap()
}

/// Largest difference seen, by figure.
#[derive(Default)]
struct Apart(std::collections::BTreeMap<&'static str, (usize, f64)>);

impl Apart {
    fn one(&mut self, what: &'static str, number: usize, ours: Option<f64>, theirs: &Value) {
        match (ours, theirs.as_f64()) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => {
                let apart = (ours - theirs).abs();
                assert!(apart <= SAME, "case {number}, {what}: {ours} against {theirs}");
                let seen = self.0.entry(what).or_default();
                *seen = (seen.0 + 1, seen.1.max(apart));
            }
            (ours, theirs) => panic!("case {number}, {what}: {ours:?} against {theirs:?}"),
        }
    }

    fn all(&mut self, what: &'static str, number: usize, ours: &[f64], theirs: &Value) {
        let theirs = theirs.as_array().unwrap();
        assert_eq!(ours.len(), theirs.len(), "case {number}, {what}: {theirs:?}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            self.one(what, number, Some(*ours), theirs);
        }
    }
}

#[test]
fn figures_are_those_of_scikit_learn() {
    let cases: Vec<Case> = (0..CASES).map(case).collect();
    let mut apart = Apart::default();
    let mut tests = 0;
    for (number, (case, answer)) in cases.iter().zip(answers(&cases)).enumerate() {
        let ratings = case.first.against_rest(case.class);
        let second = case.second.against_rest(case.class);
        let found = area(&ratings);
        apart.one("area", number, found.map(|a| a.value), &answer["auc"]);
        apart.one(
            "average precision",
            number,
            average_precision(&ratings),
            &answer["ap"],
        );
        if let Some(points) = roc(&ratings) {
            let of = |f: &dyn Fn(&trainer::statistics::curve::RocPoint) -> f64| {
                points.iter().map(f).collect::<Vec<f64>>()
            };
            apart.all(
                "ROC, false positives",
                number,
                &of(&|p| p.false_positive),
                &answer["roc"][0],
            );
            apart.all(
                "ROC, true positives",
                number,
                &of(&|p| p.true_positive),
                &answer["roc"][1],
            );
            let thresholds: Vec<f64> = points.iter().filter_map(|p| p.threshold).collect();
            apart.all("ROC, thresholds", number, &thresholds, &answer["roc"][2]);
            let points = precision_recall(&ratings).unwrap();
            let recall: Vec<f64> = points.iter().map(|p| p.recall).collect();
            let precision: Vec<f64> = points.iter().map(|p| p.precision).collect();
            // scikit-learn ends where every positive is found; we go on to the lowest score.
            let theirs = answer["pr"][0].as_array().unwrap().len();
            apart.all("PR, recall", number, &recall[..theirs], &answer["pr"][0]);
            apart.all("PR, precision", number, &precision[..theirs], &answer["pr"][1]);
            assert!(recall[theirs - 1..].iter().all(|r| *r == 1.0));
        }
        let variance = found.and_then(|a| a.standard_error).map(|se| se * se);
        apart.one("variance", number, variance, &answer["variance"]);
        if let (Some(variance), Some(a)) = (variance, found)
            && variance > 0.0
        {
            let clustered = case.first.units().len() > case.first.patients().len();
            assert_eq!(a.method == Method::Obuchowski, clustered);
        }
        if let Some(d) = compare(&ratings, &second).unwrap() {
            let there = answer.get("difference").unwrap_or(&Value::Null);
            if !there.is_null() {
                apart.one("difference", number, Some(d.value), &there[0]);
                apart.one("its variance", number, d.standard_error.map(|s| s * s), &there[1]);
            }
            if let Some(test) = answer.get("test") {
                apart.one("z", number, d.z, &test[0]);
                apart.one("p", number, d.p, &test[1]);
                tests += 1;
            }
        }

        let s = summary(&case.first, 1);
        assert_eq!(json!(s.confusion), answer["confusion"], "case {number}");
        apart.one("accuracy", number, s.accuracy.value, &answer["accuracy"]);
        for (c, by_class) in s.classes.iter().enumerate() {
            let f = by_class.figures;
            apart.one("precision", number, f.precision.value, &answer["precision"][c]);
            apart.one("sensitivity", number, f.sensitivity.value, &answer["recall"][c]);
            apart.one(
                "specificity",
                number,
                f.specificity.value,
                &answer["specificity"][c],
            );
            apart.one("F1", number, f.f1.value, &answer["f1"][c]);
        }
        let m = s.macro_mean;
        apart.one(
            "macro sensitivity",
            number,
            m.sensitivity.value,
            &answer["macro"][0],
        );
        apart.one("macro precision", number, m.precision.value, &answer["macro"][1]);
        apart.one("macro F1", number, m.f1.value, &answer["macro"][2]);
        let c = calibration(&case.first);
        if !answer["brier"].is_null() {
            apart.one(
                "Brier",
                number,
                Some(c.classes[case.class].brier),
                &answer["brier"],
            );
        }
        apart.one("log loss", number, Some(c.log_loss), &answer["log_loss"]);
    }
    assert!(tests > CASES / 2, "only {tests} paired tests");
    for (what, (count, largest)) in &apart.0 {
        println!("{what:22} {count:6} values, at most {largest:.1e} apart");
    }
}

/// Our Newton iteration finds what a general-purpose minimiser finds, as far as that goes: its gradients are
/// differences, so its weights are good to some four digits.
#[test]
fn scalings_are_those_of_a_minimiser() {
    let cases: Vec<Case> = (0..CASES).map(case).filter(|c| c.scale).collect();
    let mut largest = 0.0f64;
    for (case, answer) in cases.iter().zip(answers(&cases)) {
        let k = case.first.classes().len();
        let validation = Validation::new(case.first.clone());
        for (form, theirs) in [Form::Temperature, Form::Vector, Form::Dirichlet]
            .into_iter()
            .zip(answer["scaled"].as_array().unwrap())
        {
            let ours = Scaling::fit(&validation, form);
            let ours = match form {
                Form::Temperature => vec![ours.weights()[0]],
                Form::Vector => {
                    let diagonal = (0..k).map(|c| ours.weights()[c * k + c]);
                    diagonal.chain(ours.weights()[k * k..].iter().copied()).collect()
                }
                Form::Dirichlet => ours.weights().to_vec(),
            };
            for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
                let apart = (ours - theirs.as_f64().unwrap()).abs();
                assert!(apart < 1e-3, "{form}: {ours} against {theirs}");
                largest = largest.max(apart);
            }
        }
    }
    assert!(cases.len() >= 30);
    println!("{} fits of each form, at most {largest:.1e} apart", cases.len());
}
