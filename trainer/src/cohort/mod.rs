//! A cohort: which patients there are, what they have, where it is drawn, and what each is used for.
//!
//! | module | owns |
//! |---|---|
//! | [`diagnosis`] | the closed list of diagnoses |
//! | [`labels`] | tables of labels |
//! | [`report`] | what is missing or contradictory |
//! | [`picture`] | fingerprints of images |
//! | `walk` | a folder in any layout → persons and studies |
//! | `index` | persons, labels and masks → patients |
//! | `subject` | one person's study, mask and lesions |
//! | `split` | Liu's split and five folds |
//! | `leaks` | one person under two names |
//!
//! The cohort file names no patient: only folders and hashes. The hashes have no salt, so that two cohorts can be
//! compared: who knows a person's name and date of birth can find out whether they are in it.

pub mod diagnosis;
mod index;
pub mod labels;
mod leaks;
pub mod picture;
pub mod report;
mod split;
mod subject;
mod walk;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use models::findings::Side;
use models::package::hex_sha256;
use serde::{Deserialize, Serialize};

pub use self::diagnosis::{Diagnosis, KabaClass};
pub use self::index::{Indexed, Order, index};
pub use self::leaks::MIN_DISTANCE;
use self::leaks::refuse_leaks;
use self::picture::Fingerprint;
pub use self::split::FOLDS;
use self::split::refuse_torn_heads;
use crate::error::Error;
use crate::limits::MAX_COHORT_BYTES;
use crate::mask::Corners;

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
    /// Seed of the split and the folds.
    pub seed: u64,
    /// The commands that made it.
    pub commands: Vec<String>,
    /// In the order of their folders' names.
    #[serde(rename = "patient")]
    pub patients: Vec<Patient>,
    /// The folder that was indexed, as seen from the cohort file.
    pub root: PathBuf,
}

/// One patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patient {
    /// What the patient is called here: the folder below [`Cohort::root`] that holds nobody else, or, where several
    /// patients share one, that folder and a part of a hash.
    pub folder: String,
    /// Folders or files of the study, below [`Cohort::root`]; nothing else lies in them.
    pub dicom: Vec<PathBuf>,
    /// The drawn lesions, below [`Cohort::root`] or absolute; none without a tumour and where boxes say where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<PathBuf>,
    /// The gravest of the lesions' diagnoses.
    pub diagnosis: Diagnosis,
    /// What the patient is used for.
    pub split: Split,
    /// 0 to 4: which fold of a cross-validation over all patients.
    pub fold: u8,
    /// SHA-256 over the names and contents of the study's files, the mask and `truth.json`, in order.
    pub sha256: String,
    /// SHA-256 of Patient ID (0010,0020), to find one person in two folders without naming anyone; of Study
    /// Instance UID where there is none.
    pub person_sha256: String,
    /// SHA-256 of name (0010,0010) and date of birth (0010,0030), where both are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_sha256: Option<String>,
    /// SHA-256 of Study Instance UID (0020,000D).
    pub study_sha256: String,
    /// Of the images, to find one examination under two names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Whether the phantom made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// The real head under a simulated patient, as `truth.json` names it. Patients of one head are one
    /// person to the split, whatever their tumours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anatomy: Option<String>,
    /// Every drawn lesion, by number; empty without a tumour.
    #[serde(default, rename = "lesion", skip_serializing_if = "Vec::is_empty")]
    pub lesions: Vec<Lesion>,
}

/// One lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesion {
    /// Its number in the mask.
    pub number: u8,
    /// What it is.
    pub diagnosis: Diagnosis,
    /// Of the patient; from where it is drawn.
    pub side: Side,
    /// Where it is, without a mask.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub corners: Option<Corners>,
}

impl Patient {
    /// Index into [`crate::nets::CLASSES`]; none without a tumour and where it is [`Diagnosis::OtherBenign`].
    pub fn class(&self) -> Option<usize> {
        self.diagnosis.class()
    }

    /// Whether the appliance's four classes, or no tumour at all, tell what the patient has.
    pub fn is_within_classes(&self) -> bool {
        self.class().is_some() || !self.diagnosis.is_tumour()
    }
}

/// In a simulated cohort's folder: the command that made it.
pub const MADE_BY: &str = "made-by.txt";

impl Cohort {
    /// Reads a cohort file; [`Cohort::root`] becomes relative to the working folder.
    ///
    /// # Errors
    /// Unreadable, of another form, or with one person twice, or one head in two splits.
    pub fn open(path: &Path) -> Result<Cohort, Error> {
        let form = |text: String| Error::Form {
            path: path.to_owned(),
            text,
        };
        let bytes = read_limited(path, MAX_COHORT_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| form("it is not written in UTF-8".to_owned()))?;
        let mut cohort: Cohort = toml::from_str(&text).map_err(|e| {
            form(format!(
                "{e}\n(a cohort file of an earlier version is made anew with `sialoscope-trainer index`)"
            ))
        })?;
        if let Some(patient) = cohort.patients.iter().find(|p| p.fold >= FOLDS) {
            return Err(form(format!(
                "{} is in fold {} of {FOLDS}",
                patient.folder, patient.fold
            )));
        }
        refuse_leaks(&cohort.patients)?;
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

    /// The patients of one split that the four classes know.
    pub fn of(&self, split: Split) -> impl Iterator<Item = &Patient> {
        self.within_classes().filter(move |p| p.split == split)
    }

    /// All patients that the four classes know; see [`Patient::is_within_classes`].
    pub fn within_classes(&self) -> impl Iterator<Item = &Patient> {
        self.patients.iter().filter(|p| p.is_within_classes())
    }

    /// SHA-256 over every patient's hash, lesions and split: what a model was trained on.
    pub fn sha256(&self) -> String {
        let lines: Vec<String> = self
            .patients
            .iter()
            .map(|p| {
                format!(
                    "{} {} {:?} {} {:?}\n",
                    p.sha256, p.diagnosis, p.split, p.fold, p.lesions
                )
            })
            .collect();
        hex_sha256(lines.concat().as_bytes())
    }
}

/// A file's bytes, refused beyond a limit.
fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = std::fs::File::open(path).map_err(Error::file(path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::file(path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Form {
            path: path.to_owned(),
            text: format!("larger than {} MiB", limit >> 20),
        });
    }
    Ok(bytes)
}

/// Does the same work for every item, `threads` at a time; the answers in the order of the items.
///
/// # Errors
/// The first that is met.
fn share<T: Sync, A: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<A, Error> + Sync,
) -> Result<Vec<A>, Error> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, A)>> = Mutex::new(Vec::with_capacity(items.len()));
    let some = || -> Result<(), Error> {
        while !failed.load(Ordering::Relaxed) {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { break };
            let answer = work(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            // A poisoned lock means that another thread already fails.
            if let Ok(mut done) = done.lock() {
                done.push((n, answer));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(some)).collect();
        workers
            .into_iter()
            .try_for_each(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(n, _)| *n);
    Ok(done.into_iter().map(|(_, answer)| answer).collect())
}

/// Patients with nothing in common, of the diagnoses at these places of the list.
#[cfg(test)]
pub(crate) fn patients(diagnoses: &[usize]) -> Vec<Patient> {
    let one = |(i, diagnosis): (usize, &usize)| Patient {
        folder: format!("{i:04}"),
        dicom: vec![format!("{i:04}/dicom").into()],
        mask: None,
        diagnosis: Diagnosis::ALL[*diagnosis],
        split: Split::Train,
        fold: 0,
        sha256: format!("files {i}"),
        person_sha256: format!("person {i}"),
        name_sha256: None,
        study_sha256: format!("study {i}"),
        fingerprint: None,
        simulated: false,
        anatomy: None,
        lesions: Vec::new(),
    };
    diagnoses.iter().enumerate().map(one).collect()
}
