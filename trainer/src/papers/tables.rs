//! The papers' tables, with ours beside them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chang::{Chang, NOTHING};
use super::kaba::{Kaba, Order};
use super::liu::Liu;
use super::workshop::{Answers, Record};
use super::{Plan, Published};
use crate::error::Error;
use crate::statistics::area::area;
use crate::statistics::bootstrap::Estimate;
use crate::statistics::figures::{Figures, figures, summary};
use crate::statistics::operating_point::{Aim, Decisions, OperatingPoint};
use crate::statistics::prediction::Refusal;
use crate::statistics::{Predictions, Validation};

/// A table for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Lines, as long as the header.
    pub rows: Vec<Vec<String>>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

impl Table {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}", self.title, line(&self.header));
        text += &line(&vec!["---".to_owned(); self.header.len()]);
        self.rows.iter().for_each(|row| text += &line(row));
        for note in &self.notes {
            // Writing into a String cannot fail.
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

/// Records of all jobs by name.
pub type Records = BTreeMap<String, Record>;

/// All tables of a plan.
///
/// # Errors
/// A record is missing, or its predictions contradict themselves.
pub fn tables(plan: &Plan, records: &Records, seed: u64) -> Result<Vec<Table>, Error> {
    match plan {
        Plan::Liu(plan) => liu(plan, records, seed),
        Plan::Chang(plan) => chang(plan, records, seed),
        Plan::Kaba(plan) => kaba(plan, records, seed),
    }
}

const INTERVALS: &str = "In brackets 95 % intervals: ours by resampling patients, for areas DeLong 1988 or, with \
                         several images of a patient, Obuchowski 1997; the paper's as printed.";

fn liu(plan: &Liu, records: &Records, seed: u64) -> Result<Vec<Table>, Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in &plan.rows {
        let answers = answers(records, &row.name())?;
        let (validation, test) = (
            predictions(&answers.classes, &answers.validation)?,
            predictions(&answers.classes, &answers.test)?,
        );
        let sought = answers.classes.len() - 1;
        let point =
            OperatingPoint::choose(&Validation::new(validation), sought, Aim::Youden).map_err(refused)?;
        let ours = figures(&point.apply(&test).map_err(refused)?, seed);
        let ratings = test.against_rest(sought);
        let auc = area(&ratings).map_or("not known".to_owned(), |a| {
            interval(Some(a.value), Some(a.interval))
        });
        let mut cells = vec![row.task.clone(), row.input.clone(), row.method.clone()];
        let Published {
            accuracy,
            auc: printed,
            sensitivity,
            specificity,
            ..
        } = &row.published;
        cells.extend(pair(estimate(&ours.accuracy), accuracy));
        cells.extend(pair(auc, printed));
        cells.extend(pair(estimate(&ours.sensitivity), sensitivity));
        cells.extend(pair(estimate(&ours.specificity), specificity));
        let title = format!("Liu 2023, Table {}", row.table);
        match tables.iter_mut().find(|table| table.title == title) {
            Some(table) => table.rows.push(cells),
            None => tables.push(Table {
                title,
                header: header(&["Task", "Input", "Method"], &["Accuracy", "AUC", "Sensitivity", "Specificity"]),
                rows: vec![cells],
                notes: vec![
                    INTERVALS.to_owned(),
                    "The threshold is the one with the highest sensitivity + specificity on validation patients."
                        .to_owned(),
                ],
            }),
        }
    }
    Ok(tables)
}

fn kaba(plan: &Kaba, records: &Records, seed: u64) -> Result<Vec<Table>, Error> {
    let columns = ["Accuracy", "Sensitivity", "Specificity", "Precision", "F1"];
    let mut by_patient = Table {
        title: "Kaba 2025, Table 1, patients held apart".to_owned(),
        header: header(&["Contrast", "Task"], &columns),
        rows: Vec::new(),
        notes: vec![
            INTERVALS.to_owned(),
            "Patients are split first, then training images are rotated; the images that are looked at are not."
                .to_owned(),
        ],
    };
    let mut by_image = Table {
        title: "Kaba 2025, Table 1, rotated copies dealt out".to_owned(),
        notes: vec![
            "Images are rotated first, then all copies are dealt out: copies of one image are on both sides."
                .to_owned(),
        ],
        ..by_patient.clone()
    };
    let mut flattery = Table {
        title: "What dealing out rotated copies flatters".to_owned(),
        header: [
            "Contrast",
            "Task",
            "Patients apart",
            "Copies dealt out",
            "Difference",
            "Paper",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: Vec::new(),
        notes: vec!["Accuracy. The last line is the mean over all others.".to_owned()],
    };
    let mut accuracies: Vec<[f64; 2]> = Vec::new();
    for row in &plan.rows {
        let head = [row.contrast.name().to_owned(), row.task.clone()];
        let Published {
            accuracy,
            sensitivity,
            specificity,
            precision,
            f1,
            ..
        } = &row.published;
        let mut both = [None, None];
        for (table, order) in [
            (&mut by_patient, Order::SplitFirst),
            (&mut by_image, Order::RotateFirst),
        ] {
            let answers = answers(records, &row.name(order))?;
            let test = predictions(&answers.classes, &answers.test)?;
            let (right, ours) = overall(&test, seed);
            both[usize::from(order == Order::RotateFirst)] = right.value;
            let mut cells = head.to_vec();
            cells.extend(pair(estimate(&right), accuracy));
            cells.extend(pair(estimate(&ours.sensitivity), sensitivity));
            cells.extend(pair(estimate(&ours.specificity), specificity));
            cells.extend(pair(estimate(&ours.precision), precision));
            cells.extend(pair(estimate(&ours.f1), f1));
            table.rows.push(cells);
        }
        if let [Some(apart), Some(dealt)] = both {
            accuracies.push([apart, dealt]);
            flattery
                .rows
                .push(compared(head, [apart, dealt], accuracy.clone()));
        }
    }
    let mean = |n: usize| accuracies.iter().map(|a| a[n]).sum::<f64>() / accuracies.len().max(1) as f64;
    flattery.rows.push(compared(
        ["all".to_owned(), "mean".to_owned()],
        [mean(0), mean(1)],
        None,
    ));
    Ok(vec![by_patient, by_image, flattery])
}

/// Share of right answers, and the figures of the class that is looked for or, of more than two, their means.
fn overall(test: &Predictions, seed: u64) -> (Estimate, Figures) {
    let summary = summary(test, seed);
    let figures = match test.classes().len() {
        2 => figures(&Decisions::most_probable(test, 1), seed),
        _ => summary.macro_mean,
    };
    (summary.accuracy, figures)
}

fn compared(head: [String; 2], [apart, dealt]: [f64; 2], paper: Option<String>) -> Vec<String> {
    let figures = [
        format!("{apart:.2}"),
        format!("{dealt:.2}"),
        format!("{:+.2}", dealt - apart),
        paper.unwrap_or_default(),
    ];
    head.into_iter().chain(figures).collect()
}

fn chang(plan: &Chang, records: &Records, seed: u64) -> Result<Vec<Table>, Error> {
    let mut rows = Vec::new();
    for row in &plan.rows {
        let name = row.name();
        let answers = answers(records, &name)?;
        let test = predictions(&answers.classes, &answers.test)?;
        let dice = records
            .get(&name)
            .and_then(|record| record.figures.values().next())
            .map_or("not known".to_owned(), |dice| format!("{dice:.2}"));
        for (class, answer) in plan.task.classes.iter().enumerate() {
            let ours = figures(&Decisions::most_probable(&test, class), seed);
            let nothing = Published::default();
            let Published {
                accuracy,
                sensitivity,
                specificity,
                ..
            } = row.published.get(&answer.name).unwrap_or(&nothing);
            let mut cells = vec![row.input.clone(), answer.name.clone(), dice.clone()];
            cells.extend(pair(estimate(&ours.accuracy), accuracy));
            cells.extend(pair(estimate(&ours.sensitivity), sensitivity));
            cells.extend(pair(estimate(&ours.specificity), specificity));
            rows.push(cells);
        }
    }
    Ok(vec![Table {
        title: "Chang 2021, each class against the others".to_owned(),
        header: header(
            &["Input", "Class", "Dice"],
            &["Accuracy", "Sensitivity", "Specificity"],
        ),
        rows,
        notes: vec![
            INTERVALS.to_owned(),
            format!(
                "The segmented pixels of a patient vote; without any the patient is “{NOTHING}”, which is wrong. \
                     Dice: overlap of segmentation and drawn tumour whatever the class, mean over the test patients. \
                     Only the abstract was at hand: it gives figures for the diffusion-based model alone."
            ),
        ],
    }])
}

fn answers<'a>(records: &'a Records, name: &str) -> Result<&'a Answers, Error> {
    let missing = || Error::Plan(format!("job “{name}” has left no answers"));
    records
        .get(name)
        .and_then(|record| record.answers.as_ref())
        .ok_or_else(missing)
}

fn predictions(classes: &[String], units: &[crate::statistics::Prediction]) -> Result<Predictions, Error> {
    Predictions::new(classes.to_vec(), units.to_vec()).map_err(refused)
}

fn refused(refusal: Refusal) -> Error {
    Error::Cohort(refusal.to_string())
}

fn header(first: &[&str], figures: &[&str]) -> Vec<String> {
    let pairs = figures
        .iter()
        .flat_map(|name| [(*name).to_owned(), "paper".to_owned()]);
    first.iter().map(|name| (*name).to_owned()).chain(pairs).collect()
}

fn pair(ours: String, printed: &Option<String>) -> [String; 2] {
    [ours, printed.clone().unwrap_or_default()]
}

fn estimate(estimate: &Estimate) -> String {
    interval(estimate.value, estimate.interval)
}

fn interval(value: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (value, interval) {
        (Some(value), Some([low, high])) => format!("{value:.2} ({low:.2}–{high:.2})"),
        (Some(value), None) => format!("{value:.2}"),
        (None, _) => "not known".to_owned(),
    }
}
