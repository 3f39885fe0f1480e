//! Findings as a table for people.

use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use models::findings::{Findings, Lesion, Outcome, Side};

/// The findings in words; never a number when there is no answer.
pub(super) fn findings_table(findings: &Findings) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    match findings.outcome {
        Outcome::CannotAnswer => {
            row("Outcome", "cannot answer".into());
            for reason in &findings.reasons {
                row("Reason", format!("{} [{}]", reason.text, reason.code));
            }
        }
        Outcome::Answered if findings.lesions.is_empty() => row("Outcome", "no tumour found".into()),
        Outcome::Answered => row(
            "Outcome",
            format!("{} found", count(findings.lesions.len(), "lesion")),
        ),
    }
    for lesion in &findings.lesions {
        row(&format!("Lesion {}", lesion.number), place(lesion));
        for task in &lesion.tasks {
            let lines: Vec<String> = task
                .labels
                .iter()
                .map(|l| {
                    let percent = |p: f64| (p * 100.0).round();
                    let [low, high] = l.interval;
                    format!(
                        "{:>3} % ({}–{} %)  {}",
                        percent(l.probability),
                        percent(low),
                        percent(high),
                        l.label
                    )
                })
                .collect();
            row(&format!("  {}", task.task), lines.join("\n"));
        }
    }
    let used: Vec<String> = findings
        .contrasts
        .iter()
        .map(|c| {
            let b = c
                .b_value
                .filter(|b| *b > 0.0)
                .map_or_else(String::new, |b| format!(" b={b:.0}"));
            format!(
                "{}{b}{}",
                c.contrast,
                if c.used_by_model { "" } else { " (shown only)" }
            )
        })
        .collect();
    row(
        "Contrasts",
        if used.is_empty() {
            "none".into()
        } else {
            used.join(", ")
        },
    );
    if !findings.missing.is_empty() {
        let missing: Vec<String> = findings
            .missing
            .iter()
            .map(|m| format!("{}{}", m.contrast, if m.required { " (required)" } else { "" }))
            .collect();
        row("Missing", missing.join(", "));
    }
    for remark in &findings.quality {
        row("Quality", remark.text.clone());
    }
    if !findings.refused.is_empty() {
        const SHOWN: usize = 5;
        let mut lines: Vec<String> = findings
            .refused
            .iter()
            .take(SHOWN)
            .map(|r| format!("{}: {} [{}]", r.input, r.reason.text, r.reason.code))
            .collect();
        if findings.refused.len() > SHOWN {
            lines.push(format!("and {} more", findings.refused.len() - SHOWN));
        }
        row("Not used", lines.join("\n"));
    }
    if let Some(model) = &findings.model {
        row(
            "Model",
            format!(
                "{} {} – trained on {}",
                model.name, model.version, model.trained_on
            ),
        );
    }
    let steps: Vec<String> = findings
        .timings
        .iter()
        .map(|t| format!("{} {:.0} ms", t.step, t.milliseconds))
        .collect();
    if !steps.is_empty() {
        row("Time", steps.join(", "));
    }
    row("Notice", findings.notice.clone());
    table.to_string()
}

fn place(lesion: &Lesion) -> String {
    let side = match lesion.side {
        Side::Left => "left",
        Side::Right => "right",
    };
    let adc = lesion
        .mean_adc
        .map_or_else(String::new, |a| format!(", mean ADC {a:.2} × 10⁻³ mm²/s"));
    format!(
        "{side} parotid, {:.0} mm, {:.1} ml{adc}",
        lesion.long_axis_mm, lesion.volume_ml
    )
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
