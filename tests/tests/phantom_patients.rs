//! Simulated patients that no network has seen: the table that stands in the README, the least that the shipped
//! package must reach on them, and the same answers from tract without our operators.
//!
//! `cargo nextest run --release -p tests --test phantom_patients --no-capture` prints the table.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use models::findings::{BoxMm, Findings, Lesion};
use models::mr;
use models::package::Package;
use models::run::{Model, examine};
use models::statistics::{Share, auc};
use phantom::{Diagnosis, Patient, Truth};

/// Seeds 1 to 60, or to what `SIALOSCOPE_PATIENTS` says, for narrower intervals; cohorts for training never
/// use seeds this low.
fn seeds() -> std::ops::RangeInclusive<u64> {
    1..=std::env::var("SIALOSCOPE_PATIENTS").map_or(60, |n| n.parse().unwrap())
}

/// One patient and what the appliance's models said.
struct Case {
    truth: Truth,
    findings: Findings,
    /// From the same networks on tract without our own operators.
    by_tract: Findings,
}

impl Case {
    fn has_tumour(&self) -> bool {
        self.truth.diagnosis != Diagnosis::None
    }

    /// Number of the first reported lesion whose box overlaps a true one.
    fn hit(&self) -> Option<usize> {
        self.findings.lesions.iter().position(|found| {
            self.truth.lesions.iter().any(|t| {
                found.box_mm.overlaps(&BoxMm {
                    min: t.box_mm.min,
                    max: t.box_mm.max,
                })
            })
        })
    }

    /// Probability of malignancy of the lesion that was hit; a tumour that was missed counts as 0.
    fn malignant(&self) -> f64 {
        self.hit()
            .map_or(0.0, |n| self.probability(n, "malignancy", "malignant"))
    }

    fn probability(&self, lesion: usize, task: &str, label: &str) -> f64 {
        let tasks = &self.findings.lesions[lesion].tasks;
        let task = tasks.iter().find(|t| t.task == task).unwrap();
        task.labels.iter().find(|l| l.label == label).unwrap().probability
    }

    /// The most probable subtype of the lesion that was hit.
    fn called(&self) -> Option<&str> {
        let tasks = &self.findings.lesions[self.hit()?].tasks;
        let task = tasks.iter().find(|t| t.task == "subtype").unwrap();
        let best = task
            .labels
            .iter()
            .max_by(|a, b| a.probability.total_cmp(&b.probability))?;
        Some(&best.label)
    }
}

/// As many patients of each diagnosis, in the order of the seeds.
fn cases() -> Vec<Case> {
    let seeds = seeds();
    let package = || Package::open(&tests::package()).unwrap();
    let (model, tract) = (
        Model::of(package(), 1).unwrap(),
        Model::of_stock(package(), 1).unwrap(),
    );
    let next = AtomicU64::new(*seeds.start());
    let cases = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let diagnosis = Diagnosis::ALL[(seed % 5) as usize];
            let folder = tempfile::tempdir().unwrap();
            let patient = Patient::draw(seed, Some(diagnosis));
            let written = phantom::write_study(&patient, folder.path()).unwrap();
            let scan = mr::scan(&[written.dicom]);
            let [findings, by_tract] =
                [&model, &tract].map(|model| examine(Ok(model), &scan, "test").findings);
            cases.lock().unwrap().push(Case {
                truth: written.truth,
                findings,
                by_tract,
            });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let mut cases = cases.into_inner().unwrap();
    cases.sort_by_key(|c| c.truth.seed);
    cases
}

fn count(cases: &[Case], of: impl Fn(&Case) -> bool, hit: impl Fn(&Case) -> bool) -> Share {
    Share::count(cases.iter().filter(|c| of(c)).map(hit))
}

/// How far our operators and tract's are apart over all lesions of a patient: voxels of the masks, score, probabilities.
fn apart(case: &Case) -> [f64; 3] {
    let (ours, tract) = (&case.findings, &case.by_tract);
    assert_eq!(ours.outcome, tract.outcome, "seed {}", case.truth.seed);
    assert_eq!(
        ours.lesions.len(),
        tract.lesions.len(),
        "seed {}",
        case.truth.seed
    );
    let voxels = |lesion: &Lesion| -> BTreeSet<usize> {
        let runs = lesion.mask.runs.iter();
        runs.flat_map(|run| run[0]..run[1]).collect()
    };
    let labels = |lesion: &Lesion| -> Vec<f64> {
        let labels = lesion.tasks.iter().flat_map(|task| &task.labels);
        labels.map(|label| label.probability).collect()
    };
    let mut most = [0.0_f64; 3];
    for (one, other) in ours.lesions.iter().zip(&tract.lesions) {
        let probabilities = labels(one).into_iter().zip(labels(other));
        let apart = [
            voxels(one).symmetric_difference(&voxels(other)).count() as f64,
            (one.detection - other.detection).abs(),
            probabilities.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max),
        ];
        most = std::array::from_fn(|i| most[i].max(apart[i]));
    }
    most
}

#[test]
fn the_shipped_package_on_fresh_patients() {
    let cases = cases();
    let tumours = |c: &Case| c.has_tumour();
    let located = count(&cases, tumours, |c| c.hit().is_some());
    let clear = count(&cases, |c| !c.has_tumour(), |c| c.findings.lesions.is_empty());
    let side = count(
        &cases,
        |c| c.hit().is_some(),
        |c| {
            let found = c.findings.lesions[c.hit().unwrap()].side;
            let name = format!("{found:?}");
            c.truth.lesions.iter().any(|t| format!("{:?}", t.side) == name)
        },
    );
    let scores = |malignant: bool| -> Vec<f64> {
        cases
            .iter()
            .filter(|c| c.has_tumour() && (c.truth.diagnosis == Diagnosis::Malignant) == malignant)
            .map(Case::malignant)
            .collect()
    };
    let area = auc(&scores(true), &scores(false)).unwrap();
    println!("| Figure | Value (95 % interval) |\n|---|---|");
    println!("| Tumour located: box overlaps the true one | {located} |");
    println!("| Right side, of those located | {side} |");
    println!("| No finding in tumour-free patients | {clear} |");
    println!("| Malignant against benign, area under the ROC curve | {area} |");
    for diagnosis in Diagnosis::ALL.into_iter().filter(|d| *d != Diagnosis::None) {
        let right = count(
            &cases,
            |c| c.truth.diagnosis == diagnosis,
            |c| c.called() == Some(diagnosis.name()),
        );
        println!("| {diagnosis} called {diagnosis} | {right} |");
    }
    for case in cases.iter().filter(|c| c.has_tumour() && c.hit().is_none()) {
        println!("missed: seed {}, {}", case.truth.seed, case.truth.diagnosis);
    }
    for case in cases
        .iter()
        .filter(|c| !c.has_tumour() && !c.findings.lesions.is_empty())
    {
        let l = &case.findings.lesions[0];
        println!(
            "false alarm: seed {}, {:?}, {:.2}, {:.1} ml",
            case.truth.seed, l.side, l.detection, l.volume_ml
        );
    }

    let apart: Vec<[f64; 3]> = cases.iter().map(apart).collect();
    let alike = apart.iter().filter(|apart| **apart == [0.0; 3]).count();
    let [voxels, score, probability] =
        std::array::from_fn(|i| apart.iter().map(|apart| apart[i]).fold(0.0, f64::max));
    println!(
        "as on tract alone to the last bit: {alike} of {}; apart by at most {voxels} voxels, {score:.1e} in scores, \
         {probability:.1e} in probabilities",
        cases.len()
    );

    // Sums of reals are added in another order, so that a value between two steps may fall to either side: one step of
    // 8 bits, and a voxel that lay on the edge.
    assert!(voxels <= 2.0, "{voxels} voxels");
    assert!(score.max(probability) <= 1.0 / 255.0, "{score} {probability}");
    assert!(located.value >= Some(0.9), "located {located}");
    assert!(clear.value >= Some(0.8), "no finding {clear}");
    assert!(side.value >= Some(0.97), "right side {side}");
    // Twelve malignant tumours measure the area to about ±0.15: a package that sixty patients show to be
    // below the aim of 0.85 is refused here, and three hundred say where it stands (docs/results.md).
    assert!(area.interval[1] >= 0.85, "malignant {area}");
    // A phantom on which nobody errs would be too easy to mean anything.
    assert!(area.value < 1.0, "malignant {area}");
}
