//! Figures as tables of text.

use super::Table;
use super::checklist::Checklist;
use super::results::{ModelResults, Results};
use crate::statistics::area::{Area, Difference, Method};
use crate::statistics::bootstrap::Estimate;
use crate::statistics::figures::Figures;

/// What stands where there is no figure.
const NOT_KNOWN: &str = "not known";

pub(super) fn estimate(e: &Estimate) -> String {
    match (e.value, e.interval) {
        (Some(value), Some([low, high])) => format!("{value:.3} ({low:.3}\u{A0}to\u{A0}{high:.3})"),
        (Some(value), None) => format!("{value:.3} (no interval)"),
        (None, _) => NOT_KNOWN.to_owned(),
    }
}

pub(super) fn area(a: &Option<Area>) -> String {
    match a {
        Some(Area {
            value,
            interval: [low, high],
            ..
        }) => format!("{value:.3} ({low:.3}\u{A0}to\u{A0}{high:.3})"),
        None => NOT_KNOWN.to_owned(),
    }
}

fn difference(d: &Option<Difference>) -> String {
    match d {
        Some(Difference {
            value,
            interval: Some([low, high]),
            ..
        }) => format!("{value:+.3} ({low:+.3}\u{A0}to\u{A0}{high:+.3})"),
        Some(Difference { value, .. }) => format!("{value:+.3} (no interval)"),
        None => NOT_KNOWN.to_owned(),
    }
}

fn signed(e: &Estimate) -> String {
    match (e.value, e.interval) {
        (Some(value), Some([low, high])) => format!("{value:+.3} ({low:+.3}\u{A0}to\u{A0}{high:+.3})"),
        (Some(value), None) => format!("{value:+.3} (no interval)"),
        (None, _) => NOT_KNOWN.to_owned(),
    }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
        None => NOT_KNOWN.to_owned(),
    }
}

fn five(f: &Figures) -> [String; 5] {
    [f.accuracy, f.sensitivity, f.specificity, f.precision, f.f1].map(|e| estimate(&e))
}

fn text(of: &[&str]) -> Vec<String> {
    of.iter().map(|s| (*s).to_owned()).collect()
}

fn made(title: String, header: &[&str], rows: Vec<Vec<String>>, notes: Vec<String>) -> Table {
    Table {
        title,
        header: text(header),
        rows,
        notes,
    }
}

/// One row per model.
pub(super) fn summary(results: &Results) -> Table {
    let header = [
        "model",
        "patients",
        "ROC AUC",
        "average precision",
        "accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "F1",
    ];
    let row = |m: &ModelResults| {
        let mut row = vec![
            m.name.clone(),
            m.patients.to_string(),
            area(&m.area),
            estimate(&m.average_precision),
        ];
        match m.points.first() {
            Some(point) => row.extend(five(&point.figures)),
            None => row.extend(std::iter::repeat_n(NOT_KNOWN.to_owned(), 5)),
        }
        row
    };
    let mut notes = vec![format!(
        "95 % intervals in parentheses: AUC by {}, the others from {} resamples of patients, stratified by class; Wilson's for shares of 0 or 1.",
        if results
            .models
            .iter()
            .any(|m| m.area.is_some_and(|a| a.method == Method::Obuchowski))
        {
            "Obuchowski (1997), several units per patient"
        } else {
            "DeLong (1988) on the logit scale"
        },
        results.resamples
    )];
    for m in &results.models {
        if let Some(point) = m.points.first() {
            notes.push(match point.threshold {
                Some(t) => format!(
                    "{}: {} from {t:.3} on; {}, chosen on {} validation patients.",
                    m.name,
                    m.positive,
                    point.chosen,
                    point.chosen_on.unwrap_or(0)
                ),
                None => format!("{}: {} where it is the {}.", m.name, m.positive, point.chosen),
            });
        }
        notes.extend(m.remarks.iter().map(|r| format!("{}: {r}", m.name)));
    }
    let title = match results.models.first() {
        Some(m) => format!("{} against the rest, test patients", m.positive),
        None => "Test patients".to_owned(),
    };
    made(title, &header, results.models.iter().map(row).collect(), notes)
}

/// One row per operating point.
pub(super) fn points(m: &ModelResults) -> Table {
    let header = [
        "chosen for",
        "from",
        "accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "F1",
    ];
    let rows = m.points.iter().map(|p| {
        let from = p.threshold.map_or_else(|| "–".to_owned(), |t| format!("{t:.3}"));
        let mut row = vec![p.chosen.clone(), from];
        row.extend(five(&p.figures));
        row
    });
    let notes = vec![
        "What a threshold was chosen for holds on the validation patients; these are the test patients."
            .to_owned(),
    ];
    made(
        format!("{}: operating points", m.name),
        &header,
        rows.collect(),
        notes,
    )
}

/// One row per class and their means.
pub(super) fn classes(m: &ModelResults) -> Table {
    let header = [
        "class",
        "units",
        "ROC AUC",
        "accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "F1",
    ];
    let mut rows = Vec::new();
    for (class, a) in m.summary.classes.iter().zip(&m.class_areas) {
        let mut row = vec![class.class.clone(), class.units.to_string(), area(a)];
        row.extend(five(&class.figures));
        rows.push(row);
    }
    let mut mean = vec![
        "mean of the classes".to_owned(),
        m.units.to_string(),
        String::new(),
    ];
    mean.extend(five(&m.summary.macro_mean));
    rows.push(mean);
    let notes = vec![
        format!("Most probable class is right: {}.", estimate(&m.summary.accuracy)),
        "A class that is never chosen has no precision; then the mean has none either.".to_owned(),
    ];
    made(
        format!(
            "{}: each class against the rest, by the most probable class",
            m.name
        ),
        &header,
        rows,
        notes,
    )
}

/// Before and after each map.
pub(super) fn calibration(m: &ModelResults) -> Table {
    let header = [
        "probabilities",
        "Brier, all classes",
        "log loss",
        "Brier",
        "ECE, equal mass",
        "ECE, equal width",
        "ECE of the most probable class",
    ];
    let positive = |c: &crate::statistics::calibration::Calibration| {
        c.classes.iter().find(|c| c.class == m.positive).map(|c| {
            [c.brier, c.equal_mass.expected_error, c.equal_width.expected_error].map(|v| format!("{v:.3}"))
        })
    };
    let row = |name: String, c: &crate::statistics::calibration::Calibration| {
        let mut row = vec![name, format!("{:.3}", c.brier), format!("{:.3}", c.log_loss)];
        row.extend(positive(c).into_iter().flatten());
        row.push(format!("{:.3}", c.confidence.expected_error));
        row
    };
    let mut rows = vec![row("as the model says them".to_owned(), &m.calibration)];
    rows.extend(m.scaled.iter().map(|s| {
        row(
            format!("{}, fitted to {} validation patients", s.form, s.chosen_on),
            &s.calibration,
        )
    }));
    let notes = vec![format!(
        "Brier and calibration error (ECE, ten bins) without further words are those of {}. Lower is better.",
        m.positive
    )];
    made(
        format!("{}: calibration on the test patients", m.name),
        &header,
        rows,
        notes,
    )
}

/// One row per reader, and the model.
pub(super) fn readers(results: &Results) -> Option<Table> {
    let model = results.beside_readers.as_ref()?;
    let header = [
        "",
        "patients",
        "ROC AUC",
        "accuracy",
        "sensitivity",
        "specificity",
        "scored 3",
        "model − reader, AUC",
        "p",
    ];
    let mut rows = Vec::new();
    for r in &results.readers {
        let mut row = vec![r.reader.clone(), r.patients.to_string(), area(&r.area)];
        row.extend([r.figures.accuracy, r.figures.sensitivity, r.figures.specificity].map(|e| estimate(&e)));
        row.extend([
            r.undetermined.to_string(),
            difference(&r.difference),
            p_value(r.difference.and_then(|d| d.p)),
        ]);
        rows.push(row);
    }
    let mut row = vec![model.name.clone(), model.patients.to_string(), area(&model.area)];
    if let Some(point) = model.points.first() {
        let f = point.figures;
        row.extend([f.accuracy, f.sensitivity, f.specificity].map(|e| estimate(&e)));
    }
    row.resize(header.len(), "–".to_owned());
    rows.push(row);
    let notes = vec![
        "Readers score from 1 (definitely benign) to 5 (definitely malignant), after Liu 2023. Above 3 is called malignant; 3 (undetermined) is not.".to_owned(),
        "Model against reader: paired test of DeLong (1988) on the same patients; not adjusted for the number of readers.".to_owned(),
    ];
    Some(made(
        format!("Readers beside {}", model.name),
        &header,
        rows,
        notes,
    ))
}

/// One row per pair of models.
pub(super) fn comparisons(results: &Results) -> Option<Table> {
    if results.comparisons.is_empty() {
        return None;
    }
    let header = [
        "first − second",
        "ROC AUC",
        "p",
        "p, Holm",
        "accuracy",
        "sensitivity",
        "specificity",
    ];
    let mut notes = vec![
        "Areas: paired test of DeLong (1988), with several units per patient in the form of Obuchowski (1997). Other figures: the same resamples of patients for both. Holm adjusts for the number of pairs.".to_owned(),
    ];
    let mut rows = Vec::new();
    for c in &results.comparisons {
        let mut row = vec![format!("{} − {}", c.first, c.second)];
        match &c.figures {
            Some(f) => {
                row.extend([
                    difference(&c.area),
                    p_value(c.area.and_then(|a| a.p)),
                    p_value(c.adjusted_p),
                    signed(&f.accuracy),
                    signed(&f.sensitivity),
                    signed(&f.specificity),
                ]);
            }
            None => row.resize(header.len(), "–".to_owned()),
        }
        rows.push(row);
        if let Some(why) = &c.refused {
            notes.push(format!("{} and {} are not compared: {why}.", c.first, c.second));
        }
    }
    Some(made(
        "Models on the same test patients".to_owned(),
        &header,
        rows,
        notes,
    ))
}

/// One row per item.
pub(super) fn checklist(list: &Checklist) -> Table {
    let rows = list.items.iter().map(|i| {
        let answer = i
            .answer
            .clone()
            .unwrap_or_else(|| super::checklist::BY_AUTHORS.to_owned());
        vec![
            i.number.to_owned(),
            i.section.to_owned(),
            i.wording.to_owned(),
            answer,
        ]
    });
    let filled = list.items.iter().filter(|i| i.answer.is_some()).count();
    let notes = vec![
        format!("{filled} of {} items are filled from the run.", list.items.len()),
        format!("Items after: {} Short wordings are ours.", list.source),
    ];
    made(
        list.name.to_owned(),
        &["item", "section", "what is asked", "answer"],
        rows.collect(),
        notes,
    )
}
