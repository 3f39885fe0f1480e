//! `sialoscope inspect`: which contrast each series is, and why; what is refused, and why.

use std::path::PathBuf;

use clap::Args;
use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use models::findings::{Fault, Reason, RefusedInput};
use models::mr::{self, Confidence, Contrast, Grid, Scan};
use schemars::JsonSchema;
use serde::Serialize;

use super::print;

/// `sialoscope inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Files, and folders with files.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The JSON form of `sialoscope inspect --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Inspection {
    /// By series number.
    pub series: Vec<InspectedSeries>,
    /// Files that belong to no series.
    pub refused: Vec<RefusedInput>,
}

/// One series.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InspectedSeries {
    /// (0020,000E).
    pub uid: String,
    /// (0020,0011).
    pub number: Option<i64>,
    /// (0008,103E).
    pub description: String,
    /// (0008,0060).
    pub modality: String,
    /// How many files.
    pub files: usize,
    /// Its volumes.
    pub volumes: Vec<InspectedVolume>,
    /// What was refused in it.
    pub refused: Vec<RefusedInput>,
}

/// One volume.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InspectedVolume {
    /// A name of ours, or null.
    pub contrast: Option<Contrast>,
    /// s/mm².
    pub b_value: Option<f64>,
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// Between slices, rows and columns, mm.
    pub spacing_mm: [f64; 3],
    /// `axial`, `coronal` or `sagittal`, the nearest.
    pub orientation: &'static str,
    /// From voxel index (slice, row, column) to patient millimetres (LPS).
    pub grid: Grid,
    /// Why this contrast, or why none.
    pub reason: String,
    /// How sure.
    pub confidence: Confidence,
}

/// Reads the headers and prints what they say.
///
/// # Errors
/// A path does not exist, or nothing at all was found under the paths.
pub fn inspect(command: &Inspect) -> Result<(), Reason> {
    let scan = scan(&command.paths)?;
    let inspection = Inspection::of(&scan);
    if command.json {
        let text = serde_json::to_string_pretty(&inspection)
            .map_err(|e| Reason::new("json", Fault::Us, e.to_string()))?;
        print(&text);
    } else {
        print(&inspection.table());
    }
    Ok(())
}

/// Headers of everything under the paths.
pub(super) fn scan(paths: &[PathBuf]) -> Result<Scan, Reason> {
    if let Some(path) = paths.iter().find(|p| !p.exists()) {
        let text = format!("{} does not exist", path.display());
        return Err(Reason::new("no_such_path", Fault::Configuration, text));
    }
    Ok(mr::scan(paths))
}

impl InspectedVolume {
    /// Whether the table says the same of both: repeated acquisitions are one row.
    fn reads_as(&self, other: &Self) -> bool {
        (self.contrast, self.shape, self.orientation) == (other.contrast, other.shape, other.orientation)
            && self.b_value == other.b_value
            && self.reason == other.reason
    }
}

impl Inspection {
    fn of(scan: &Scan) -> Self {
        let volume = |v: &mr::VolumeIndex| InspectedVolume {
            contrast: v.contrast,
            b_value: v.b_value,
            shape: v.grid.shape,
            spacing_mm: v.grid.spacing(),
            orientation: orientation(&v.grid),
            grid: v.grid.clone(),
            reason: v.reason.clone(),
            confidence: v.confidence,
        };
        let series = scan
            .series
            .iter()
            .map(|s| InspectedSeries {
                uid: s.uid.clone(),
                number: s.number,
                description: s.description.clone(),
                modality: s.modality.clone(),
                files: s.files,
                volumes: s.volumes.iter().map(volume).collect(),
                refused: s.refused.clone(),
            })
            .collect();
        Self {
            series,
            refused: scan.refused.clone(),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header([
            "Series",
            "Files",
            "Contrast",
            "b",
            "Shape",
            "Spacing mm",
            "Orientation",
            "Sure",
            "Why",
        ]);
        for series in &self.series {
            let number = series.number.map_or_else(|| "–".to_owned(), |n| n.to_string());
            let mut name = format!("{number} {} ({})", series.description, series.modality);
            let mut files = series.files.to_string();
            for alike in series.volumes.chunk_by(InspectedVolume::reads_as) {
                let volume = &alike[0];
                let [s, r, c] = volume.shape;
                let spacing: Vec<String> = volume.spacing_mm.iter().map(|v| format!("{v:.2}")).collect();
                let times = match alike.len() {
                    1 => String::new(),
                    n => format!("{n} × "),
                };
                table.add_row([
                    std::mem::take(&mut name),
                    std::mem::take(&mut files),
                    times + volume.contrast.map_or("–", Contrast::name),
                    volume.b_value.map_or_else(String::new, |b| format!("{b:.0}")),
                    format!("{s}×{r}×{c}"),
                    spacing.join(" × "),
                    volume.orientation.to_owned(),
                    format!("{:?}", volume.confidence).to_lowercase(),
                    volume.reason.clone(),
                ]);
            }
            for refused in &series.refused {
                table.add_row(refusal_row(
                    std::mem::take(&mut name),
                    std::mem::take(&mut files),
                    refused,
                ));
            }
        }
        for refused in &self.refused {
            table.add_row(refusal_row(refused.input.clone(), String::new(), refused));
        }
        table.to_string()
    }
}

fn refusal_row(name: String, files: String, refused: &RefusedInput) -> [String; 9] {
    let why = if name == refused.input {
        refused.reason.text.clone()
    } else {
        format!("{}: {}", refused.input, refused.reason.text)
    };
    let none = String::new;
    [
        name,
        files,
        "refused".to_owned(),
        none(),
        none(),
        none(),
        none(),
        none(),
        format!("{why} [{}]", refused.reason.code),
    ]
}

/// The patient axis nearest to the normal of the slices: head–foot, front–back or left–right.
fn orientation(grid: &Grid) -> &'static str {
    let (r, c) = (grid.row_step, grid.column_step);
    let normal = [
        (c[1] * r[2] - c[2] * r[1]).abs(),
        (c[2] * r[0] - c[0] * r[2]).abs(),
        (c[0] * r[1] - c[1] * r[0]).abs(),
    ];
    let largest = (0..3)
        .max_by(|a, b| normal[*a].total_cmp(&normal[*b]))
        .unwrap_or(2);
    ["sagittal", "coronal", "axial"][largest]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The schema in docs is made from the types: `UPDATE_SCHEMA=1` writes it anew.
    #[test]
    fn the_schema_in_docs_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/inspect.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Inspection)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema);
    }
}
