//! What a network is asked: which diagnoses make which class.

use serde::{Deserialize, Serialize};

use crate::cohort::{Diagnosis, Patient};
use crate::dataset::{DrawnLesion, Examination};

/// A question with its possible answers. Of two, the last one is what is looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// In the order of the network's outputs.
    pub classes: Vec<Answer>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What it is called.
    pub name: String,
    /// Which patients it holds. Patients of no class are left out.
    pub diagnoses: Vec<Diagnosis>,
}

impl Task {
    /// The class of a patient; none when the question is not asked of them.
    pub fn class(&self, patient: &Patient) -> Option<usize> {
        let holds = |answer: &Answer| answer.diagnoses.contains(&patient.diagnosis);
        self.classes.iter().position(holds)
    }

    /// Names of the classes.
    pub fn names(&self) -> Vec<String> {
        self.classes.iter().map(|answer| answer.name.clone()).collect()
    }

    /// What is wrong with the question, if anything is.
    pub fn flaw(&self) -> Option<String> {
        let all: Vec<Diagnosis> = self.classes.iter().flat_map(|a| &a.diagnoses).copied().collect();
        if self.classes.len() < 2 {
            return Some("fewer than two classes".to_owned());
        }
        let mut seen = all.iter().enumerate();
        seen.find(|(n, diagnosis)| all[..*n].contains(diagnosis))
            .map(|(_, twice)| format!("“{twice}” is in two classes"))
    }
}

/// A tumour with its class.
#[derive(Debug, Clone, Copy)]
pub struct Lesion<'a> {
    /// Whose.
    pub patient: &'a Patient,
    /// Counted from 1, the largest first.
    pub number: usize,
    /// Index into [`Task::classes`].
    pub class: usize,
    /// Its images.
    pub drawn: &'a DrawnLesion,
}

/// The tumours that a question is asked of.
pub fn lesions<'a>(examinations: &'a [Examination], task: &Task) -> Vec<Lesion<'a>> {
    let of = |examination: &'a Examination| {
        let class = task.class(&examination.patient);
        class.into_iter().flat_map(move |class| {
            let numbered = (1..).zip(&examination.lesions);
            numbered.map(move |(number, drawn)| Lesion {
                patient: &examination.patient,
                number,
                class,
                drawn,
            })
        })
    };
    examinations.iter().flat_map(of).collect()
}
