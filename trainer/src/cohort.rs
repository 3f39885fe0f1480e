//! The index of a cohort: which folders hold which patients, their labels, hashes and split.
//!
//! A patient is a folder with `dicom/` (the examination), `truth.json` (at least
//! `{"diagnosis": "…"}`, one of [`crate::nets::CLASSES`] or `none`) and `mask.nii` (the tumour, drawn on
//! any series). The cohort file names no patient: only folders and hashes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};
use models::mr::Scan;
use models::package::{hex, hex_sha256};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::nets::CLASSES;

/// The label of patients without a tumour.
pub const NO_TUMOUR: &str = "none";

/// What a patient is used for. All examinations of a patient have the same use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted to these.
    Train,
    /// Epochs, temperature and operating points are chosen on these.
    Validation,
    /// Looked at once, at the end.
    Test,
}

/// A cohort file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Seed of the split.
    pub seed: u64,
    /// The commands that made it.
    pub commands: Vec<String>,
    /// In the order of their folders' names.
    #[serde(rename = "patient")]
    pub patients: Vec<Patient>,
    /// Where the patients' folders lie: the folder that was indexed, as seen from the cohort file.
    pub root: PathBuf,
}

/// One patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patient {
    /// Name of the folder below [`Cohort::root`].
    pub folder: String,
    /// One of [`CLASSES`] or [`NO_TUMOUR`].
    pub diagnosis: String,
    /// What the patient is used for.
    pub split: Split,
    /// SHA-256 over the names and contents of all files of the folder, in order.
    pub sha256: String,
    /// SHA-256 of Patient ID (0010,0020), to find one person in two folders without naming anyone.
    pub person_sha256: String,
    /// SHA-256 of Study Instance UID (0020,000D).
    pub study_sha256: String,
    /// The real head under a simulated patient, as `truth.json` names it. Patients of one head are one
    /// person to the split, whatever their tumours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anatomy: Option<String>,
}

impl Patient {
    /// Index into [`CLASSES`]; none without a tumour.
    pub fn class(&self) -> Option<usize> {
        CLASSES.iter().position(|c| *c == self.diagnosis)
    }
}

/// The part of `truth.json` that the trainer reads.
#[derive(Deserialize)]
struct Truth {
    diagnosis: String,
    #[serde(default)]
    anatomy: Option<String>,
}

/// In a simulated cohort's folder: the command that made it.
pub const MADE_BY: &str = "made-by.txt";

impl Cohort {
    /// Walks `root`, reads every patient's headers and labels, and splits; `command` is the one that asks
    /// for it.
    ///
    /// # Errors
    /// A folder without an examination, a label of no known class, or one person, examination or file
    /// set in two folders.
    pub fn index(root: &Path, seed: u64, command: &str, each: impl Fn()) -> Result<Cohort, Error> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(root).map_err(Error::file(root))? {
            let path = entry.map_err(Error::file(root))?.path();
            if path.join("dicom").is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        let mut patients = Vec::with_capacity(folders.len());
        for folder in &folders {
            patients.push(read_patient(folder)?);
            each();
        }
        refuse_duplicates(&patients)?;
        split(&mut patients, seed);
        let mut commands = Vec::new();
        let simulated = root.join(MADE_BY);
        if simulated.exists() {
            let text = std::fs::read_to_string(&simulated).map_err(Error::file(&simulated))?;
            commands.extend(text.lines().map(str::to_owned));
        }
        commands.push(command.to_owned());
        Ok(Cohort {
            seed,
            commands,
            patients,
            root: root.to_owned(),
        })
    }

    /// Reads a cohort file; [`Cohort::root`] becomes relative to the working folder.
    ///
    /// # Errors
    /// Unreadable, of another form, or with one person in two splits.
    pub fn open(path: &Path) -> Result<Cohort, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let mut cohort: Cohort = toml::from_str(&text).map_err(|e| Error::Form {
            path: path.to_owned(),
            text: e.to_string(),
        })?;
        refuse_duplicates(&cohort.patients)?;
        refuse_torn_heads(&cohort.patients)?;
        cohort.root = path.parent().unwrap_or(Path::new("")).join(&cohort.root);
        Ok(cohort)
    }

    /// Writes a cohort file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let mut stored = self.clone();
        let absolute = std::path::absolute(path).map_err(Error::file(path))?;
        let root = std::path::absolute(&self.root).map_err(Error::file(&self.root))?;
        let parent = absolute.parent().unwrap_or(Path::new("/"));
        stored.root = root.strip_prefix(parent).map_or(root.clone(), Path::to_owned);
        let text = toml::to_string(&stored).map_err(|e| Error::Form {
            path: path.to_owned(),
            text: e.to_string(),
        })?;
        std::fs::write(path, text).map_err(Error::file(path))
    }

    /// The patients of one split.
    pub fn of(&self, split: Split) -> impl Iterator<Item = &Patient> {
        self.patients.iter().filter(move |p| p.split == split)
    }

    /// SHA-256 over every patient's hash, label and split: what a model was trained on.
    pub fn sha256(&self) -> String {
        let lines: Vec<String> = self
            .patients
            .iter()
            .map(|p| format!("{} {} {:?}\n", p.sha256, p.diagnosis, p.split))
            .collect();
        hex_sha256(lines.concat().as_bytes())
    }
}

fn read_patient(folder: &Path) -> Result<Patient, Error> {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let complain = |code: &str, text: String| Error::Patient {
        patient: name.clone(),
        reason: Reason::new(code, Fault::Data, text),
    };
    let path = folder.join("truth.json");
    let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    let truth: Truth =
        serde_json::from_str(&text).map_err(|e| complain("label", format!("truth.json: {e}")))?;
    if truth.diagnosis != NO_TUMOUR && !CLASSES.contains(&truth.diagnosis.as_str()) {
        let text = format!(
            "“{}” is no class: {} or {NO_TUMOUR}",
            truth.diagnosis,
            CLASSES.join(", ")
        );
        return Err(complain("label", text));
    }
    let scan: Scan = models::mr::scan(&[folder.join("dicom")]);
    let [study] = scan.studies.as_slice() else {
        let text = format!("dicom/ holds {} examinations instead of one", scan.studies.len());
        return Err(complain("examination", text));
    };
    Ok(Patient {
        folder: name,
        diagnosis: truth.diagnosis,
        split: Split::Train,
        sha256: hash_folder(folder)?,
        person_sha256: hex_sha256(study.patient_id.as_bytes()),
        study_sha256: hex_sha256(study.study_instance_uid.as_bytes()),
        anatomy: truth.anatomy,
    })
}

fn hash_folder(folder: &Path) -> Result<String, Error> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).map_err(Error::file(&dir))? {
            let path = entry.map_err(Error::file(&dir))?.path();
            if path.is_dir() {
                open.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let name = file
            .strip_prefix(folder)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let bytes = std::fs::read(&file).map_err(Error::file(&file))?;
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hex(&hasher.finalize()))
}

/// The same person, examination or files twice would leak between splits or count double.
fn refuse_duplicates(patients: &[Patient]) -> Result<(), Error> {
    type Key = fn(&Patient) -> &String;
    let kinds: [(&str, Key); 3] = [
        ("person", |p| &p.person_sha256),
        ("examination", |p| &p.study_sha256),
        ("set of files", |p| &p.sha256),
    ];
    for (what, key) in kinds {
        let mut seen: HashMap<&String, &str> = HashMap::new();
        for patient in patients {
            if let Some(other) = seen.insert(key(patient), &patient.folder) {
                let text = format!("{other} and {} hold the same {what}", patient.folder);
                return Err(Error::Cohort(text));
            }
        }
    }
    Ok(())
}

/// Patients on one real head in two splits would let a network recognise the head.
fn refuse_torn_heads(patients: &[Patient]) -> Result<(), Error> {
    let mut seen: HashMap<&str, (Split, &str)> = HashMap::new();
    for patient in patients {
        let Some(anatomy) = &patient.anatomy else { continue };
        let (split, other) = *seen.entry(anatomy).or_insert((patient.split, &patient.folder));
        if split != patient.split {
            let text = format!(
                "{other} and {} have one real head as their anatomy and are in two splits",
                patient.folder
            );
            return Err(Error::Cohort(text));
        }
    }
    Ok(())
}

/// Liu 2023: training and test 4:1, then 20 % of the training patients for validation; each diagnosis
/// is split by itself. Patients of one real head stay together: see [`split_heads`].
fn split(patients: &mut [Patient], seed: u64) {
    let mut strata: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, patient) in patients.iter().enumerate().filter(|(_, p)| p.anatomy.is_none()) {
        strata.entry(patient.diagnosis.clone()).or_default().push(i);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for indices in strata.values_mut() {
        indices.shuffle(&mut rng);
        let test = (indices.len() as f64 * 0.2).round() as usize;
        let validation = ((indices.len() - test) as f64 * 0.2).round() as usize;
        for (rank, &i) in indices.iter().enumerate() {
            patients[i].split = match rank {
                _ if rank < test => Split::Test,
                _ if rank < test + validation => Split::Validation,
                _ => Split::Train,
            };
        }
    }
    split_heads(patients, &mut rng);
}

/// Gives whole heads to the splits, the head with the most patients first, each to the split that lacks
/// the largest share of what Liu's proportions ask for; heads of equal size in a drawn order. With fewer
/// than three heads some split stays without any.
fn split_heads(patients: &mut [Patient], rng: &mut ChaCha8Rng) {
    const WANTED: [(Split, f64); 3] = [
        (Split::Train, 0.64),
        (Split::Test, 0.2),
        (Split::Validation, 0.16),
    ];
    let mut heads: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, patient) in patients.iter().enumerate() {
        if let Some(anatomy) = &patient.anatomy {
            heads.entry(anatomy.clone()).or_default().push(i);
        }
    }
    let total: usize = heads.values().map(Vec::len).sum();
    let mut groups: Vec<Vec<usize>> = heads.into_values().collect();
    groups.shuffle(rng);
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let mut given = [0usize; 3];
    for group in groups {
        let lack = |i: usize| 1.0 - given[i] as f64 / (WANTED[i].1 * total as f64);
        let place = (0..3).fold(0, |best, i| if lack(i) > lack(best) { i } else { best });
        given[place] += group.len();
        for i in group {
            patients[i].split = WANTED[place].0;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn patients(classes: &[usize]) -> Vec<Patient> {
        let names: Vec<&str> = CLASSES.iter().copied().chain([NO_TUMOUR]).collect();
        let one = |(i, class): (usize, &usize)| Patient {
            folder: format!("{i:04}"),
            diagnosis: names[*class].to_owned(),
            split: Split::Train,
            sha256: format!("files {i}"),
            person_sha256: format!("person {i}"),
            study_sha256: format!("study {i}"),
            anatomy: None,
        };
        classes.iter().enumerate().map(one).collect()
    }

    proptest! {
        /// Nobody is lost or moved, and every diagnosis keeps Liu's proportions within one patient.
        #[test]
        fn splits_are_disjoint_and_stratified(classes in prop::collection::vec(0usize..5, 1..200), seed: u64) {
            let mut cohort = patients(&classes);
            split(&mut cohort, seed);
            let again = { let mut p = patients(&classes); split(&mut p, seed); p };
            prop_assert_eq!(&cohort, &again);
            for class in 0..5 {
                let of: Vec<&Patient> = cohort.iter().zip(&classes).filter(|(_, c)| **c == class).map(|(p, _)| p).collect();
                let count = |s: Split| of.iter().filter(|p| p.split == s).count() as f64;
                let n = of.len() as f64;
                prop_assert!((count(Split::Test) - 0.2 * n).abs() <= 1.0);
                prop_assert!((count(Split::Validation) - 0.16 * n).abs() <= 1.0);
                prop_assert_eq!(count(Split::Test) + count(Split::Validation) + count(Split::Train), n);
            }
            refuse_duplicates(&cohort).unwrap();
        }

        /// However many patients share a real head, no head is in two splits, nobody is lost, and drawn
        /// patients stay where they would be without the real heads.
        #[test]
        fn one_head_is_in_one_split(
            classes in prop::collection::vec((0usize..5, prop::option::of(0usize..12)), 1..200),
            seed: u64,
        ) {
            let labels: Vec<usize> = classes.iter().map(|(c, _)| *c).collect();
            let mut cohort = patients(&labels);
            for (patient, (_, head)) in cohort.iter_mut().zip(&classes) {
                patient.anatomy = head.map(|h| format!("head {h}"));
            }
            let drawn: Vec<Patient> = cohort.iter().filter(|p| p.anatomy.is_none()).cloned().collect();
            let again = { let mut p = cohort.clone(); split(&mut p, seed); p };
            split(&mut cohort, seed);
            prop_assert_eq!(&cohort, &again);
            refuse_torn_heads(&cohort).unwrap();
            let alone = { let mut p = drawn; split(&mut p, seed); p };
            prop_assert_eq!(cohort.iter().filter(|p| p.anatomy.is_none()).cloned().collect::<Vec<_>>(), alone);
            let heads: std::collections::BTreeSet<_> = cohort.iter().filter_map(|p| p.anatomy.clone()).collect();
            let splits: std::collections::BTreeSet<_> =
                cohort.iter().filter(|p| p.anatomy.is_some()).map(|p| p.split).collect();
            prop_assert_eq!(splits.len(), heads.len().min(3), "every split has a head once there are three");
        }

        /// A cohort file that tears a head apart is refused, whichever patient was moved.
        #[test]
        fn a_torn_head_is_refused(n in 2usize..30, moved: prop::sample::Index) {
            let mut cohort = patients(&vec![0; n]);
            for patient in &mut cohort {
                patient.anatomy = Some("one head".to_owned());
            }
            prop_assert!(refuse_torn_heads(&cohort).is_ok());
            cohort[moved.index(n)].split = Split::Test;
            prop_assert!(refuse_torn_heads(&cohort).is_err());
        }

        /// Whichever patient comes in twice, the cohort is refused.
        #[test]
        fn a_leak_is_refused(n in 2usize..40, a: prop::sample::Index, b: prop::sample::Index, kind in 0..3) {
            let mut cohort = patients(&vec![0; n]);
            let (a, b) = (a.index(n), b.index(n));
            prop_assume!(a != b);
            let twin = cohort[a].clone();
            match kind {
                0 => cohort[b].person_sha256 = twin.person_sha256,
                1 => cohort[b].study_sha256 = twin.study_sha256,
                _ => cohort[b].sha256 = twin.sha256,
            }
            prop_assert!(refuse_duplicates(&cohort).is_err());
        }
    }
}
