//! The page from top to bottom.

use std::fmt::Write as _;

use models::findings::NOTICE;

use super::checklist::Checklist;
use super::html::{confusion, escaped, figure, table};
use super::plot::{Axes, Layer, draw};
use super::results::{ModelResults, Results};
use super::{Report, SIMULATED, slices, tables};
use crate::statistics::Refusal;
use crate::statistics::calibration::{Bin, Calibration};
use crate::statistics::curve::RocPoint;

/// At most so many curves in one diagram.
const CURVES: usize = super::plot::STYLES;

/// The whole page.
pub(super) fn page(report: &Report, results: &Results, checklists: &[Checklist]) -> Result<String, Refusal> {
    let simulated = report.run.simulated;
    let mut out = head(report);
    let section = |out: &mut String, title: &str| {
        let _ = writeln!(out, "<h2>{}</h2>", escaped(title));
    };
    section(&mut out, "Summary");
    out += &table(&tables::summary(results), simulated);
    section(&mut out, "Curves");
    out += "<div class=\"figures\">\n";
    out += &roc_figure(results)?;
    out += &recall_figure(results)?;
    out += "</div>\n";
    section(&mut out, "Operating points");
    for model in &results.models {
        out += &table(&tables::points(model), simulated);
    }
    section(&mut out, "Calibration");
    for model in &results.models {
        out += "<div class=\"figures\">\n";
        out += &reliability_figures(model)?;
        out += "</div>\n";
        out += &table(&tables::calibration(model), simulated);
    }
    section(&mut out, "Classes");
    for (model, input) in results.models.iter().zip(&report.models) {
        let title = format!("{}: most probable class", model.name);
        out += &confusion(&title, &input.classes, &model.summary.confusion, simulated);
        out += &table(&tables::classes(model), simulated);
    }
    if let Some(readers) = tables::readers(results) {
        section(&mut out, "Readers");
        out += &readers_figure(results)?;
        out += &table(&readers, simulated);
    }
    if let Some(comparisons) = tables::comparisons(results) {
        section(&mut out, "Comparisons");
        out += &table(&comparisons, simulated);
    }
    if !report.slices.is_empty() {
        section(&mut out, "Examples");
        out +=
            "<p class=\"note\">Green: outline of the reference. Orange, dashed: outline of the model.</p>\n";
        out += "<div class=\"figures\">\n";
        for slice in &report.slices {
            out += &slices::figure(slice)?;
        }
        out += "</div>\n";
    }
    if !report.curves.is_empty() {
        section(&mut out, "Learning");
        out += "<div class=\"figures\">\n";
        out += &learning_figures(report)?;
        out += "</div>\n";
    }
    if !report.tables.is_empty() {
        section(&mut out, "Tables");
        for input in &report.tables {
            out += &table(input, simulated);
        }
    }
    section(&mut out, "Checklists");
    for list in checklists {
        out += &table(&tables::checklist(list), simulated);
    }
    if !report.provenance.is_empty() {
        section(&mut out, "Provenance");
        out += "<ul>\n";
        for line in &report.provenance {
            let _ = writeln!(out, "<li>{}</li>", escaped(line));
        }
        out += "</ul>\n";
    }
    out += "</body>\n</html>\n";
    Ok(out)
}

fn head(report: &Report) -> String {
    let run = &report.run;
    let title = escaped(&report.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<p class=\"notice\">{NOTICE}.</p>\n",
        include_str!("style.css")
    );
    if run.simulated {
        let _ = writeln!(out, "<p class=\"notice\">{SIMULATED}</p>");
    }
    let _ = writeln!(out, "<h1>{title}</h1>\n<dl>");
    let seed = run.seed.to_string();
    let mut lines = vec![
        ("command", run.command.as_str()),
        ("commit", &run.commit),
        ("seed", &seed),
        ("device", &run.device),
        ("cohort", &run.cohort_sha256),
    ];
    let software: Vec<String> = run.software.iter().map(|(n, v)| format!("{n} {v}")).collect();
    let software = software.join(", ");
    if !software.is_empty() {
        lines.push(("software", &software));
    }
    let patients = if run.simulated { "simulated" } else { "real" };
    lines.push(("patients", patients));
    for (name, value) in lines {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    }
    out += "</dl>\n";
    out
}

fn corners(points: &[RocPoint]) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|p| (p.false_positive, p.true_positive))
        .collect()
}

/// What did not fit into a diagram is said.
fn caption(text: &str, shown: usize, of: usize) -> String {
    if of > shown {
        format!("{text} The first {shown} of {of}.")
    } else {
        text.to_owned()
    }
}

fn with_area(m: &ModelResults) -> String {
    format!("{}: {}", m.name, tables::area(&m.area))
}

fn roc_figure(results: &Results) -> Result<String, Refusal> {
    let mut layers = vec![Layer::Reference([(0.0, 0.0), (1.0, 1.0)])];
    let models: Vec<(usize, &ModelResults)> = results.models.iter().take(CURVES).enumerate().collect();
    if let Some((_, main)) = models.first() {
        let edges = main
            .band
            .iter()
            .map(|p| (p.false_positive, p.true_positive[0], p.true_positive[1]));
        layers.push(Layer::Band(0, edges.collect()));
    }
    layers.extend(models.iter().map(|(i, m)| Layer::Line(*i, corners(&m.roc))));
    let svg = draw(
        &Axes::unit("ROC curves", "1 − specificity", "sensitivity"),
        &layers,
    )?;
    let legend: Vec<_> = models.iter().map(|(i, m)| (*i, with_area(m))).collect();
    let text =
        "ROC curves with areas; the band is the pointwise 95 % of the first model in resamples of patients.";
    Ok(figure(
        &svg,
        &caption(text, legend.len(), results.models.len()),
        &legend,
    ))
}

fn recall_figure(results: &Results) -> Result<String, Refusal> {
    let models: Vec<(usize, &ModelResults)> = results.models.iter().take(CURVES).enumerate().collect();
    let mut layers = Vec::new();
    if let Some((_, m)) = models.first()
        && let Some(a) = m.area
    {
        let share = a.positives as f64 / (a.positives + a.negatives) as f64;
        layers.push(Layer::Reference([(0.0, share), (1.0, share)]));
    }
    for (i, m) in &models {
        // Average precision is the area under these steps.
        let mut steps = Vec::new();
        let mut before = 0.0;
        for p in &m.recall {
            steps.extend([(before, p.precision), (p.recall, p.precision)]);
            before = p.recall;
        }
        layers.push(Layer::Line(*i, steps));
    }
    let svg = draw(
        &Axes::unit("Precision-recall curves", "sensitivity (recall)", "precision"),
        &layers,
    )?;
    let name = |m: &ModelResults| format!("{}: {}", m.name, tables::estimate(&m.average_precision));
    let legend: Vec<_> = models.iter().map(|(i, m)| (*i, name(m))).collect();
    let text = "Precision-recall curves with average precision; the grey line is chance.";
    Ok(figure(
        &svg,
        &caption(text, legend.len(), results.models.len()),
        &legend,
    ))
}

fn readers_figure(results: &Results) -> Result<String, Refusal> {
    let mut layers = vec![Layer::Reference([(0.0, 0.0), (1.0, 1.0)])];
    let mut legend = Vec::new();
    if let Some(main) = &results.beside_readers {
        layers.push(Layer::Line(0, corners(&main.roc)));
        legend.push((0, with_area(main)));
    }
    for (i, reader) in (1..CURVES).zip(&results.readers) {
        let points = corners(&reader.roc);
        let inner = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
        layers.push(Layer::Marks(i, inner.to_vec()));
        layers.push(Layer::Line(i, points));
        legend.push((i, format!("{}: {}", reader.reader, tables::area(&reader.area))));
    }
    let svg = draw(
        &Axes::unit("Readers and model", "1 − specificity", "sensitivity"),
        &layers,
    )?;
    let text =
        "ROC curves of the first model and of the readers' five-point scores (as Liu 2023, figure 4E and F).";
    Ok(figure(
        &svg,
        &caption(text, legend.len(), results.readers.len() + 1),
        &legend,
    ))
}

fn reliability_figures(m: &ModelResults) -> Result<String, Refusal> {
    let mut out = reliability_figure(
        &format!("{}: as the model says it", m.name),
        &m.positive,
        &m.calibration,
    )?;
    if let Some(s) = m.scaled.first() {
        out += &reliability_figure(
            &format!("{}: after {}", m.name, s.form),
            &m.positive,
            &s.calibration,
        )?;
    }
    Ok(out)
}

fn reliability_figure(title: &str, positive: &str, c: &Calibration) -> Result<String, Refusal> {
    let bins: &[Bin] = c
        .classes
        .iter()
        .find(|c| c.class == positive)
        .map_or(&[], |c| &c.equal_mass.bins);
    let bar = |b: &Bin| (b.predicted, b.observed.interval[0], b.observed.interval[1]);
    let mark = |b: &Bin| Some((b.predicted, b.observed.value?));
    let layers = [
        Layer::Reference([(0.0, 0.0), (1.0, 1.0)]),
        Layer::Bars(0, bins.iter().map(bar).collect()),
        Layer::Marks(0, bins.iter().filter_map(mark).collect()),
    ];
    let label = format!("Reliability, {title}");
    let svg = draw(
        &Axes::unit(&label, "mean predicted probability", "share that came true"),
        &layers,
    )?;
    let text = format!("{title}. Probability of {positive}, bins of equal mass, 95 % (Wilson).");
    Ok(figure(&svg, &text, &[]))
}

fn learning_figures(report: &Report) -> Result<String, Refusal> {
    let mut out = String::new();
    for (network, epochs) in &report.curves {
        let losses = || {
            epochs
                .iter()
                .flat_map(|e| [e.train, e.validation])
                .filter(|l| l.is_finite())
        };
        let highest = losses().fold(0.0, f64::max);
        if epochs.is_empty() || highest <= 0.0 {
            continue;
        }
        let lowest = losses().fold(f64::INFINITY, f64::min).min(0.0);
        let of = |f: fn(&crate::fit::Epoch) -> f64| {
            (1..)
                .zip(epochs)
                .map(|(number, e)| (f64::from(number), f(e)))
                .filter(|p| p.1.is_finite())
                .collect::<Vec<_>>()
        };
        let layers = [
            Layer::Line(0, of(|e| e.train)),
            Layer::Line(1, of(|e| e.validation)),
        ];
        let label = format!("Learning curve, {network}");
        let axes = Axes {
            label: &label,
            x: "epoch",
            y: "loss",
            x_range: [1.0, (epochs.len() as f64).max(2.0)],
            y_range: [lowest, 1.05 * highest],
            size: (440, 300),
            whole_x: true,
        };
        let legend = [(0, "training".to_owned()), (1, "validation".to_owned())];
        out += &figure(&draw(&axes, &layers)?, network, &legend);
    }
    Ok(out)
}
