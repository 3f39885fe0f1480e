//! Radiologists beside the model: their five-point scores, and what these amount to.
//!
//! The scale is that of Liu 2023 (Laryngoscope, 10.1002/lary.30154, "Cross-Validation and Model Evaluation"):
//! 1 definitely benign, 3 undetermined, 5 definitely malignant. Each reader gives an ROC curve with four
//! inner corners at most. To call a tumour malignant a reader has to score it above 3: **an undetermined
//! tumour is not called malignant**, so it counts as missed when it is malignant and as right when it is
//! benign. Liu 2023 does not say how 3 was counted; how often it was given is reported, so that
//! the choice can be weighed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::statistics::Refusal;
use crate::statistics::area::{Area, Difference, area, compare};
use crate::statistics::curve::{RocPoint, roc};
use crate::statistics::figures::{Figures, figures};
use crate::statistics::operating_point::Decisions;
use crate::statistics::{Predictions, Rating};

/// Neither benign nor malignant; above it a tumour is called malignant.
pub const UNDETERMINED: u8 = 3;

/// The scale.
pub const SCALE: std::ops::RangeInclusive<u8> = 1..=5;

/// The columns of the file, in any order.
const COLUMNS: [&str; 3] = ["patient", "reader", "score"];

/// At most so many complaints about a file are listed.
const COMPLAINTS: usize = 20;

/// Every reader's score of every patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores {
    /// By reader and patient.
    readers: BTreeMap<String, BTreeMap<String, u8>>,
}

/// One reader's figures, and the model's difference from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Who.
    pub reader: String,
    /// Area under the ROC curve of the scores.
    pub area: Option<Area>,
    /// Its corners.
    pub roc: Vec<RocPoint>,
    /// Called malignant above [`UNDETERMINED`].
    pub figures: Figures,
    /// Patients scored [`UNDETERMINED`].
    pub undetermined: usize,
    /// Patients.
    pub patients: usize,
    /// The model's area less the reader's, on the same patients.
    pub difference: Option<Difference>,
}

impl Scores {
    /// Reads a CSV file with the columns patient, reader and score.
    ///
    /// # Errors
    /// It cannot be read, or has rows that are contradictory, double, incomplete, out of range, or missing for
    /// a reader whom other patients were shown to; each with its line.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        Self::parse(&bytes).map_err(|Refusal(text)| Error::Form {
            path: path.to_owned(),
            text,
        })
    }

    /// The same from the bytes of a file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        // Spreadsheets put a byte order mark in front of UTF-8.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut file = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let header = file.headers().map_err(|e| Refusal(format!("line 1: {e}")))?;
        let place = |column: &str| {
            let mut places = (0..header.len()).filter(|i| header.get(*i) == Some(column));
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                _ => Err(Refusal(format!(
                    "line 1: the columns are {}, separated by commas; “{column}” has to be there once",
                    COLUMNS.join(", ")
                ))),
            }
        };
        let [patient, reader, score] = [place(COLUMNS[0])?, place(COLUMNS[1])?, place(COLUMNS[2])?];
        let columns = header.len();
        let mut seen: BTreeMap<(String, String), (u8, u64)> = BTreeMap::new();
        let mut complaints = Vec::new();
        for record in file.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    complaints.push(format!("line {line}: not UTF-8 text"));
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            match row(&record, columns, [patient, reader, score]) {
                Err(text) => complaints.push(format!("line {line}: {text}")),
                Ok((whose, value)) => match seen.get(&whose) {
                    Some((before, at)) if *before == value => {
                        complaints.push(format!("line {line}: the same as line {at}"));
                    }
                    Some((before, at)) => {
                        complaints.push(format!("line {line}: {value} contradicts {before} in line {at}"));
                    }
                    None => {
                        seen.insert(whose, (value, line));
                    }
                },
            }
        }
        let mut readers: BTreeMap<String, BTreeMap<String, u8>> = BTreeMap::new();
        let patients: BTreeSet<String> = seen.keys().map(|(_, patient)| patient.clone()).collect();
        for ((reader, patient), (score, _)) in seen {
            readers.entry(reader).or_default().insert(patient, score);
        }
        // Rows that were refused are missing too; they are complained about already.
        if complaints.is_empty() {
            for (reader, scores) in &readers {
                let missing = patients.iter().filter(|p| !scores.contains_key(*p));
                complaints.extend(missing.map(|p| format!("no row: {reader} has no score for {p}")));
            }
            if readers.is_empty() {
                complaints.push("there are no scores".to_owned());
            }
        }
        if complaints.is_empty() {
            return Ok(Self { readers });
        }
        let more = complaints.len().saturating_sub(COMPLAINTS);
        complaints.truncate(COMPLAINTS);
        if more > 0 {
            complaints.push(format!("and {more} more"));
        }
        Err(Refusal(complaints.join("; ")))
    }

    /// Who read.
    pub fn readers(&self) -> impl Iterator<Item = &str> {
        self.readers.keys().map(String::as_str)
    }

    /// Every reader beside a model, patient by patient: units of the model are averaged within patients.
    ///
    /// # Errors
    /// Readers and model have not seen the same patients, or a patient has units of several classes.
    pub fn beside(&self, model: &Predictions, class: usize, seed: u64) -> Result<Vec<Reading>, Refusal> {
        let model = model.by_patient()?;
        let of_model = model.against_rest(class);
        self.readers
            .iter()
            .map(|(reader, scores)| reading(reader, scores, &of_model, seed))
            .collect()
    }
}

fn row(
    record: &csv::StringRecord,
    columns: usize,
    [patient, reader, score]: [usize; 3],
) -> Result<((String, String), u8), String> {
    if record.len() != columns {
        return Err(format!("{} fields instead of {columns}", record.len()));
    }
    let field = |place: usize, name: &str| match record.get(place) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("the {name} is missing")),
    };
    let whose = (field(reader, "reader")?, field(patient, "patient")?);
    let text = field(score, "score")?;
    match text.parse::<u8>() {
        Ok(value) if SCALE.contains(&value) => Ok((whose, value)),
        _ => Err(format!("“{text}” is no score from 1 to 5")),
    }
}

fn reading(
    reader: &str,
    scores: &BTreeMap<String, u8>,
    model: &[Rating],
    seed: u64,
) -> Result<Reading, Refusal> {
    let mut ratings = Vec::with_capacity(model.len());
    for rating in model {
        let Some(score) = scores.get(rating.patient) else {
            let text = format!("{reader} has no score for patient {}", rating.patient);
            return Err(Refusal(text));
        };
        ratings.push(Rating {
            score: f64::from(*score),
            ..*rating
        });
    }
    let known: BTreeSet<&str> = model.iter().map(|r| r.patient).collect();
    if let Some(other) = scores.keys().find(|p| !known.contains(p.as_str())) {
        return Err(Refusal(format!(
            "{reader} scored patient {other}, for whom the model said nothing"
        )));
    }
    Ok(Reading {
        reader: reader.to_owned(),
        area: area(&ratings),
        roc: roc(&ratings).unwrap_or_default(),
        undetermined: scores.values().filter(|s| **s == UNDETERMINED).count(),
        patients: ratings.len(),
        difference: compare(model, &ratings)?,
        figures: figures(&Decisions::above(ratings, f64::from(UNDETERMINED)), seed),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::statistics::prediction::tests::two_classes;

    const GOOD: &str = "patient,reader,score\np1,Ada,5\np2,Ada,3\np3,Ada,1\np4,Ada,4\n";

    fn model() -> Predictions {
        two_classes(&[
            ("p1", "1", true, 0.9),
            ("p1", "2", true, 0.7),
            ("p2", "1", true, 0.8),
            ("p3", "1", false, 0.2),
            ("p4", "1", false, 0.1),
        ])
    }

    #[test]
    fn a_reader_beside_the_model() {
        let scores = Scores::parse(GOOD.as_bytes()).unwrap();
        let [ada] = scores.beside(&model(), 1, 1).unwrap().try_into().unwrap();
        assert_eq!(
            (ada.reader.as_str(), ada.patients, ada.undetermined),
            ("Ada", 4, 1)
        );
        // Of the pairs 5-1, 5-4, 3-1 and 3-4 the last one is in the wrong order.
        assert_eq!(ada.area.unwrap().value, 0.75);
        assert_eq!(ada.difference.unwrap().value, 0.25);
        let f = ada.figures;
        let values = [f.accuracy, f.sensitivity, f.specificity].map(|e| e.value.unwrap());
        assert_eq!(values, [0.5, 0.5, 0.5], "3 is not called malignant, 4 is");
        assert_eq!(ada.roc.len(), 5);
    }

    #[test]
    fn bad_rows_are_refused_with_their_lines() {
        let refused = |text: &str| Scores::parse(text.as_bytes()).unwrap_err().0;
        let with = |line: &str| refused(&format!("{GOOD}{line}\n"));
        assert_eq!(with("p1,Ada,4"), "line 6: 4 contradicts 5 in line 2");
        assert_eq!(with("p1,Ada,5"), "line 6: the same as line 2");
        assert_eq!(with("p5,Ada,6"), "line 6: “6” is no score from 1 to 5");
        assert_eq!(with("p5,Ada,0"), "line 6: “0” is no score from 1 to 5");
        assert_eq!(with("p5,Ada,3.5"), "line 6: “3.5” is no score from 1 to 5");
        assert_eq!(with("p5,Ada,"), "line 6: the score is missing");
        assert_eq!(with(",Ada,3"), "line 6: the patient is missing");
        assert_eq!(with("p5,Ada"), "line 6: 2 fields instead of 3");
        assert_eq!(
            with("p1,Bob,2"),
            "no row: Bob has no score for p2; no row: Bob has no score for p3; no row: Bob has no score for p4"
        );
        assert_eq!(
            with("p5,Ada,9\np6,Ada,x"),
            "line 6: “9” is no score from 1 to 5; line 7: “x” is no score from 1 to 5"
        );
        assert!(refused("patient;reader;score\n").starts_with("line 1"));
        assert!(refused("patient,score,reader,score\n").contains("“score”"));
        assert_eq!(refused("patient,reader,score\n"), "there are no scores");
        let many: String = (0..30).map(|i| format!("q{i},Ada,7\n")).collect();
        assert!(with(&many).ends_with("and 10 more"));
    }

    #[test]
    fn spreadsheets_write_marks_spaces_and_other_orders() {
        let text = "\u{feff}score, reader ,patient\r\n5,\"Ada, senior\", p1\r\n";
        let scores = Scores::parse(text.as_bytes()).unwrap();
        assert_eq!(scores.readers["Ada, senior"]["p1"], 5);
        assert!(
            Scores::parse(b"patient,reader,score\np\xFF,Ada,3\n")
                .unwrap_err()
                .0
                .contains("line 2")
        );
    }

    #[test]
    fn readers_and_model_must_have_seen_the_same_patients() {
        let fewer = Scores::parse(b"patient,reader,score\np1,Ada,5\n").unwrap();
        assert_eq!(
            fewer.beside(&model(), 1, 1).unwrap_err().0,
            "Ada has no score for patient p2"
        );
        let more = Scores::parse(format!("{GOOD}p9,Ada,1\n").as_bytes()).unwrap();
        assert!(more.beside(&model(), 1, 1).unwrap_err().0.contains("p9"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Scores::parse(&bytes);
            let _ = Scores::parse(&[b"patient,reader,score\n".as_slice(), &bytes].concat());
        }

        #[test]
        fn what_is_written_is_read(of in prop::collection::btree_map("[a-z\",\n ]{1,8}[a-z]", 1u8..=5, 1..20)) {
            let mut file = csv::Writer::from_writer(Vec::new());
            file.write_record(COLUMNS).unwrap();
            for (patient, score) in &of {
                file.write_record([format!("x{patient}"), "Ada".to_owned(), score.to_string()]).unwrap();
            }
            let scores = Scores::parse(&file.into_inner().unwrap()).unwrap();
            let found: Vec<u8> = scores.readers["Ada"].values().copied().collect();
            prop_assert_eq!(found, of.into_values().collect::<Vec<_>>());
        }
    }
}
