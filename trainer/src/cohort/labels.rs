//! Tables of labels: who has what, on which side, and where it is drawn.
//!
//! A row is a lesion; several rows of one patient are several lesions. CSV with commas, semicolons or tabs, or TOML
//! with `[[label]]` tables of the same keys:
//!
//! | column | needed | holds |
//! |---|---|---|
//! | `patient` | yes | Patient ID (0010,0020), or the patient's folder below the indexed one |
//! | `diagnosis` | yes | a name or synonym of [`Diagnosis`] |
//! | `side` | no | `left` or `right`, of the patient |
//! | `lesion` | no | the lesion's number in the mask, 1 to 255 |
//! | `mask` | no | a mask file, as seen from the folder of masks |
//! | `box` | no | two opposite corners, x y z x y z in patient millimetres |
//!
//! Other columns are left alone and reported.

use std::path::{Path, PathBuf};

use models::findings::Side;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::Diagnosis;
use crate::error::Error;
use crate::limits::{MAX_LABELS, MAX_LABELS_BYTES};
use crate::mask::Corners;

/// One lesion of one patient, as labelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Patient ID or folder.
    pub patient: String,
    /// What it is.
    pub diagnosis: Diagnosis,
    /// Of the patient.
    pub side: Option<Side>,
    /// Its number in the mask.
    pub lesion: Option<u8>,
    /// A mask file, as written.
    pub mask: Option<PathBuf>,
    /// Where it is, without a mask.
    pub corners: Option<Corners>,
    /// Where it stands in its file, counted from 1.
    pub line: u64,
}

/// A table, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// In the order of the file.
    pub rows: Vec<Label>,
    /// Columns that mean nothing here.
    pub ignored: Vec<String>,
}

/// The column names, in the order of [`Raw`].
const COLUMNS: [&str; 6] = ["patient", "diagnosis", "side", "lesion", "mask", "box"];

/// One row before its words are understood.
#[derive(Debug, Default)]
struct Raw {
    patient: String,
    diagnosis: String,
    side: String,
    lesion: String,
    mask: String,
    corners: String,
}

/// Reads a table; TOML where the name ends in `.toml`, else CSV.
///
/// # Errors
/// Which line cannot be understood, and why.
pub fn open(path: &Path) -> Result<Labels, Error> {
    let bytes = super::read_limited(path, MAX_LABELS_BYTES)?;
    let form = |text: String| Error::Form {
        path: path.to_owned(),
        text,
    };
    let toml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    let labels = if toml { from_toml(&bytes) } else { from_csv(&bytes) }.map_err(form)?;
    if labels.rows.is_empty() {
        return Err(form("the table holds no label".to_owned()));
    }
    Ok(labels)
}

fn from_csv(bytes: &[u8]) -> Result<Labels, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("the table is written in UTF-16; save it as CSV UTF-8".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let headers = reader.headers().map_err(|e| said(&e))?.clone();
    let mut places: [Option<usize>; COLUMNS.len()] = Default::default();
    let mut ignored = Vec::new();
    for (at, header) in headers.iter().enumerate() {
        let name = header.to_lowercase();
        match COLUMNS.iter().position(|c| *c == name) {
            Some(column) if places[column].is_some() => return Err(format!("line 1: two columns “{name}”")),
            Some(column) => places[column] = Some(at),
            None if header.is_empty() => {}
            None => ignored.push(header.to_owned()),
        }
    }
    if let Some(missing) = (0..2).find(|c| places[*c].is_none()) {
        let found: Vec<&str> = headers.iter().collect();
        return Err(format!(
            "line 1: no column “{}”; the columns are {}",
            COLUMNS[missing],
            found.join(", ")
        ));
    }
    let mut rows = Vec::new();
    let mut lines = Lines {
        bytes,
        at: 0,
        line: 1,
    };
    for record in reader.records() {
        let record = record.map_err(|e| said(&e))?;
        let line = lines.of(record.position());
        if record.iter().all(str::is_empty) {
            continue;
        }
        let cell = |column: usize| {
            let text = places[column].and_then(|at| record.get(at));
            text.unwrap_or_default().to_owned()
        };
        let raw = Raw {
            patient: cell(0),
            diagnosis: cell(1),
            side: cell(2),
            lesion: cell(3),
            mask: cell(4),
            corners: cell(5),
        };
        add(&mut rows, raw, line)?;
    }
    Ok(Labels { rows, ignored })
}

/// The separator that the heading uses most; commas where it holds one column.
fn delimiter(bytes: &[u8]) -> u8 {
    let heading = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in heading {
        quoted ^= *byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && byte == separator);
        }
    }
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0);
    counts.iter().find(|(_, n)| *n == most).map_or(b',', |(s, _)| *s)
}

/// Counts lines: the reader's own count of a record is one too low behind a line that ends in CR LF.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line that a record begins on, for records in order.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.map_or(self.at, |p| p.byte() as usize);
        while let Some(byte) = self.bytes.get(self.at)
            && (self.at < start || b"\r\n".contains(byte))
        {
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// What the reader complains about, with its line.
fn said(error: &csv::Error) -> String {
    let line = error
        .position()
        .map(|p| format!("line {}: ", p.line()))
        .unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => {
            format!("{line}the table is not written in UTF-8; save it as CSV UTF-8")
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{line}{len} columns instead of {expected_len}")
        }
        _ => format!("{line}{error}"),
    }
}

/// The TOML form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    label: Vec<Spanned<Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    patient: String,
    diagnosis: String,
    #[serde(default)]
    side: String,
    #[serde(default, deserialize_with = "whole")]
    lesion: String,
    #[serde(default)]
    mask: String,
    #[serde(default, rename = "box", deserialize_with = "six")]
    corners: String,
}

fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    i64::deserialize(d).map(|n| n.to_string())
}

fn six<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let numbers = Vec::<f64>::deserialize(d)?;
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    Ok(words.join(" "))
}

fn from_toml(bytes: &[u8]) -> Result<Labels, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the table is not written in UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let document: Document = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for table in document.label {
        let before = text.get(..table.span().start).unwrap_or_default();
        let line = 1 + before.matches('\n').count() as u64;
        let table = table.into_inner();
        let raw = Raw {
            patient: table.patient,
            diagnosis: table.diagnosis,
            side: table.side,
            lesion: table.lesion,
            mask: table.mask,
            corners: table.corners,
        };
        add(&mut rows, raw, line)?;
    }
    Ok(Labels {
        rows,
        ignored: Vec::new(),
    })
}

fn add(rows: &mut Vec<Label>, raw: Raw, line: u64) -> Result<(), String> {
    if rows.len() >= MAX_LABELS {
        return Err(format!("line {line}: more than {MAX_LABELS} labels"));
    }
    let label = understood(&raw, line).map_err(|text| format!("line {line}: {text}"))?;
    rows.push(label);
    Ok(())
}

fn understood(raw: &Raw, line: u64) -> Result<Label, String> {
    if raw.patient.trim().is_empty() {
        return Err("no patient".to_owned());
    }
    let diagnosis = Diagnosis::parse(&raw.diagnosis).ok_or_else(|| {
        let names: Vec<&str> = Diagnosis::ALL.iter().map(|d| d.name()).collect();
        format!(
            "“{}” is no known diagnosis; the list is {}, and synonyms in docs/training.md",
            raw.diagnosis,
            names.join(", ")
        )
    })?;
    let side = match raw.side.trim().to_lowercase().as_str() {
        "" => None,
        "l" | "left" => Some(Side::Left),
        "r" | "right" => Some(Side::Right),
        other => {
            return Err(format!(
                "“{other}” is no side; left or right, one row for each lesion"
            ));
        }
    };
    let lesion = match raw.lesion.trim() {
        "" => None,
        text => match text.parse::<u8>() {
            Ok(n) if n > 0 => Some(n),
            _ => return Err(format!("“{text}” is no lesion number from 1 to 255")),
        },
    };
    let corners = corners(&raw.corners)?;
    let mask = Some(raw.mask.trim()).filter(|m| !m.is_empty()).map(PathBuf::from);
    if mask.is_some() && corners.is_some() {
        return Err("a mask and a box; one of them says where the lesion is".to_owned());
    }
    if !diagnosis.is_tumour() && (side.is_some() || lesion.is_some() || corners.is_some()) {
        return Err("no tumour, but a side, a lesion number or a box".to_owned());
    }
    Ok(Label {
        patient: raw.patient.trim().to_owned(),
        diagnosis,
        side,
        lesion,
        mask,
        corners,
        line,
    })
}

fn corners(text: &str) -> Result<Option<Corners>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Ok(None);
    }
    let numbers: Vec<f64> = words.iter().filter_map(|w| w.parse().ok()).collect();
    let numbers: [f64; 6] = match numbers.try_into() {
        Ok(numbers) if words.len() == 6 => numbers,
        _ => {
            let text =
                format!("“{text}” is no box: x y z x y z in millimetres, six numbers with decimal points");
            return Err(text);
        }
    };
    let corners = Corners(numbers);
    corners
        .check()
        .map_err(|text| format!("the box is impossible: {text}"))?;
    Ok(Some(corners))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "patient,diagnosis,side,lesion,mask,box\n\
        A,Warthin,left,1,a.nii.gz,\n\
        A,Warthin,right,2,a.nii.gz,\n\
        B,none,,,,\n\
        C,PA,R,,,-60 0 10 -40 15 22.5\n";

    fn rows(text: &[u8]) -> Vec<Label> {
        from_csv(text).unwrap().rows
    }

    #[test]
    fn every_dialect_says_the_same() {
        let plain = rows(PLAIN.as_bytes());
        assert_eq!(plain.len(), 4);
        assert_eq!(plain[1].side, Some(Side::Right));
        assert_eq!(plain[1].line, 3);
        assert_eq!(plain[3].corners.unwrap().sorted()[1], [-40.0, 15.0, 22.5]);
        let bom = [b"\xEF\xBB\xBF", PLAIN.as_bytes()].concat();
        assert_eq!(rows(&bom), plain);
        assert_eq!(rows(PLAIN.replace(',', ";").as_bytes()), plain);
        assert_eq!(rows(PLAIN.replace(',', "\t").as_bytes()), plain);
        assert_eq!(rows(PLAIN.replace('\n', "\r\n").as_bytes()), plain);
        let quoted: Vec<String> = PLAIN
            .lines()
            .map(|l| {
                l.split(',')
                    .map(|c| format!("\" {c}\""))
                    .collect::<Vec<_>>()
                    .join(",")
            })
            .collect();
        assert_eq!(rows(quoted.join("\n").as_bytes()), plain);
        let toml = "\u{FEFF}\n[[label]]\npatient = \"A\"\ndiagnosis = \"warthin\"\nside = \"left\"\nlesion = 1\n\
            mask = \"a.nii.gz\"\n[[label]]\npatient = \"A\"\ndiagnosis = \"Warthin\"\nside = \"right\"\nlesion = 2\n\
            mask = \"a.nii.gz\"\n[[label]]\npatient = \"B\"\ndiagnosis = \"none\"\n[[label]]\npatient = \"C\"\n\
            diagnosis = \"PA\"\nside = \"right\"\nbox = [-60.0, 0, 10, -40, 15, 22.5]\n";
        let lines: Vec<u64> = from_toml(toml.as_bytes())
            .unwrap()
            .rows
            .iter()
            .map(|l| l.line)
            .collect();
        assert_eq!(lines, [2, 8, 14, 17]);
        let renumbered = |rows: Vec<Label>| {
            rows.into_iter()
                .map(|l| Label { line: 0, ..l })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            renumbered(from_toml(toml.as_bytes()).unwrap().rows),
            renumbered(plain)
        );
    }

    #[test]
    fn other_columns_and_empty_lines_are_left_alone() {
        let labels = from_csv(b"Age;Patient;Diagnosis\n61;A;PA\n;;\n").unwrap();
        assert_eq!((labels.rows.len(), labels.ignored), (1, vec!["Age".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, words) in [
            (
                "patient,diagnosis\nA,adenomatosis\n",
                "line 2: “adenomatosis” is no known diagnosis",
            ),
            ("patient,diagnosis\nA,PA\n,PA\n", "line 3: no patient"),
            ("patient,diagnosis\nA,PA,left\n", "line 2: 3 columns instead of 2"),
            ("patient,side\nA,left\n", "line 1: no column “diagnosis”"),
            (
                "patient,diagnosis,patient\nA,PA,B\n",
                "line 1: two columns “patient”",
            ),
            ("patient,diagnosis,side\nA,PA,both\n", "line 2: “both” is no side"),
            (
                "patient,diagnosis,lesion\nA,PA,0\n",
                "line 2: “0” is no lesion number",
            ),
            (
                "patient;diagnosis;box\nA;PA;1,5 2 3 4 5 6\n",
                "line 2: “1,5 2 3 4 5 6” is no box",
            ),
            (
                "patient;diagnosis;box\nA;PA;0 0 0 1 1 900\n",
                "line 2: the box is impossible: its edge along z",
            ),
            (
                "patient,diagnosis,side\nA,none,left\n",
                "line 2: no tumour, but a side",
            ),
            (
                "patient,diagnosis,mask,box\nA,PA,m.nii,0 0 0 9 9 9\n",
                "line 2: a mask and a box",
            ),
        ] {
            let said = from_csv(text.as_bytes()).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        let latin = b"patient,diagnosis\nM\xFCller,PA\n";
        assert!(from_csv(latin).unwrap_err().contains("UTF-8"));
        assert!(from_csv(b"\xFF\xFEp\0a\0").unwrap_err().contains("UTF-16"));
        let toml = from_toml(b"[[label]]\npatient = \"A\"\ndiagnossis = \"PA\"\n").unwrap_err();
        assert!(toml.contains("line 3") && toml.contains("diagnossis"), "{toml}");
        let toml = from_toml(b"\n[[label]]\npatient = \"A\"\ndiagnosis = \"?\"\n").unwrap_err();
        assert!(
            toml.contains("line 2") && toml.contains("no known diagnosis"),
            "{toml}"
        );
    }

    proptest! {
        /// Whatever the bytes, there is an answer.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_csv(&bytes);
            let _ = from_toml(&bytes);
        }

        /// Whatever is changed in a good table, either a line is named or all rows are whole.
        #[test]
        fn changed_tables_are_answered(at in 0usize..150, byte: u8) {
            let mut bytes = PLAIN.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(labels) = from_csv(&bytes) {
                prop_assert!(labels.rows.iter().all(|l| !l.patient.is_empty()));
            }
        }
    }
}
