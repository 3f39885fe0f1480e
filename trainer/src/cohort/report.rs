//! What is missing or contradictory in a cohort, in words and as JSON.
//!
//! | code | means | effect |
//! |---|---|---|
//! | `label_without_patient` | a label names nobody in the folder | stops |
//! | `two_labels` | one patient labelled by table and `truth.json`, twice as one lesion, or as with and without a tumour | stops |
//! | `same_person`, `examination` | one person in two folders with a `truth.json`, or such a folder without exactly one study | stops |
//! | `truth` | a `truth.json` that cannot be understood | stops |
//! | `no_label` | a patient without a label | left out |
//! | `no_mask` | a tumour without a mask or box | left out |
//! | `several_masks` | more than one mask may be meant | left out |
//! | `mask_without_tumour` | a mask of a patient without a tumour | left out |
//! | `lesion_not_in_mask` | a labelled number that nobody drew | left out |
//! | `lesion_unclear` | several labels without numbers that the sides do not tell apart | left out |
//! | `side_against_mask` | the label's side is not that of the drawn lesion | left out |
//! | `mask_geometry` and the other codes of [`crate::mask`] | a mask that cannot be used | left out |
//! | `mask_of_other_geometry` | a mask beside the examination, or in another frame of reference | left out |
//! | `no_known_contrast` | nothing recognised in the examination | left out |
//! | `two_studies` | several studies of a patient; says which one is taken | noted |
//! | `no_patient_id` | images without (0010,0020): nobody can tell two studies of this person | noted |
//! | `missing_contrasts` | which of the six are missing | noted |
//! | `outside_the_classes` | a benign tumour that the appliance's four classes do not know | noted |
//! | `refused` | a series or file that is not read | noted |
//! | `mask_of_nobody` | a mask that belongs to no patient of the folder | noted |
//! | `ignored_column` | a column of the table that means nothing | noted |
//! | `no_fingerprint` | no picture to compare with other patients' | noted |

use std::collections::BTreeMap;
use std::fmt;

use models::mr::Contrast;
use serde::Serialize;

use super::Diagnosis;

/// Form of the JSON.
pub const SCHEMA: &str = "sialoscope-cohort-report/1";

/// What a finding does to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// There is no cohort file.
    Stops,
    /// The patient is not in the cohort file; with `--strict` there is none.
    LeftOut,
    /// Nothing changes.
    Noted,
}

/// One thing that is missing or contradictory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, of the table above.
    pub code: String,
    /// What follows.
    pub effect: Effect,
    /// Folder of the patient; none where it is about the cohort or a file.
    pub patient: Option<String>,
    /// What it is.
    pub text: String,
}

/// One patient of the cohort file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its folder.
    pub patient: String,
    /// Its diagnosis.
    pub diagnosis: Diagnosis,
    /// How many lesions.
    pub lesions: usize,
    /// Contrasts of the study, in the order of [`Contrast::ALL`].
    pub contrasts: Vec<Contrast>,
    /// And those it lacks.
    pub missing: Vec<Contrast>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What it is for.
    pub notice: String,
    /// In the order of the cohort file.
    pub patients: Vec<Line>,
    /// Patients by diagnosis.
    pub diagnoses: BTreeMap<String, usize>,
    /// What stops first.
    pub findings: Vec<Finding>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            notice: "Research use only, not for diagnosis.".to_owned(),
            patients: Vec::new(),
            diagnoses: BTreeMap::new(),
            findings: Vec::new(),
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, code: &str, effect: Effect, patient: Option<&str>, text: impl Into<String>) {
        self.findings.push(Finding {
            code: code.to_owned(),
            effect,
            patient: patient.map(str::to_owned),
            text: text.into(),
        });
    }

    pub(super) fn sort(&mut self) {
        self.findings
            .sort_by(|a, b| (a.effect, &a.patient).cmp(&(b.effect, &b.patient)));
    }

    /// How many findings have an effect.
    pub fn count(&self, effect: Effect) -> usize {
        self.findings.iter().filter(|f| f.effect == effect).count()
    }

    /// The findings that forbid a cohort file: with `strict` also those that leave a patient out.
    pub fn stopping(&self, strict: bool) -> impl Iterator<Item = &Finding> {
        let last = if strict { Effect::LeftOut } else { Effect::Stops };
        self.findings.iter().filter(move |f| f.effect <= last)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Stops => "stops",
            Effect::LeftOut => "left out",
            Effect::Noted => "noted",
        };
        match &self.patient {
            Some(patient) => write!(f, "{effect:9} {:24} {patient}: {}", self.code, self.text),
            None => write!(f, "{effect:9} {:24} {}", self.code, self.text),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.notice)?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for (diagnosis, patients) in &self.diagnoses {
            writeln!(f, "{patients:5} {diagnosis}")?;
        }
        for contrast in Contrast::ALL {
            let with = self
                .patients
                .iter()
                .filter(|p| p.contrasts.contains(&contrast))
                .count();
            writeln!(f, "{with:5} of {} have {contrast}", self.patients.len())?;
        }
        Ok(())
    }
}
