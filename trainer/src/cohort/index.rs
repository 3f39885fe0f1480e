//! Persons, labels and masks → patients.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use models::package::hex_sha256;

use super::labels::{self, Label};
use super::leaks::refuse_leaks;
use super::report::{Effect, Report};
use super::split::split;
use super::subject::Subject;
use super::walk::{self, Found, Person};
use super::{Cohort, Diagnosis, MADE_BY, Patient, share};
use crate::error::Error;
use crate::mask;

/// What is to be indexed.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The folder, in any layout.
    pub root: &'a Path,
    /// A table of labels; without one, each patient's `truth.json`.
    pub labels: Option<&'a Path>,
    /// A folder of masks.
    pub masks: Option<&'a Path>,
    /// Of the split and the folds.
    pub seed: u64,
    /// Whether everything that leaves a patient out stops instead.
    pub strict: bool,
    /// Patients read at a time.
    pub threads: usize,
    /// The command that asks for it.
    pub command: &'a str,
}

/// What came of it.
#[derive(Debug)]
pub struct Indexed {
    /// What is missing or contradictory.
    pub report: Report,
    /// The cohort, or why there is none.
    pub cohort: Result<Cohort, Error>,
}

/// Walks a folder, pairs patients with labels and masks, splits them, and looks for leaks. `watch` hears how many
/// files, then how many patients are done, of how many where that is known.
///
/// # Errors
/// A folder or table that cannot be read. What is wrong with the data is in [`Indexed`].
pub fn index(order: &Order, watch: &(dyn Fn(usize, usize) + Sync)) -> Result<Indexed, Error> {
    let mut report = Report::default();
    let files = AtomicUsize::new(0);
    let found = walk::walk(order.root, order.threads, || {
        watch(files.fetch_add(1, Ordering::Relaxed) + 1, 0);
    })?;
    for refused in &found.refused {
        report.add(
            "refused",
            Effect::Noted,
            None,
            format!("{}: {}", refused.input, refused.reason.text),
        );
    }
    let mut subjects = subjects(order.root, &found, &mut report);
    label(order, &mut subjects, &mut report)?;
    pair_masks(order, &found, &mut subjects, &mut report)?;

    let shared = walk::shared(found.persons.values().flat_map(|p| p.studies.values()));
    let done = AtomicUsize::new(0);
    let read = share(&subjects, order.threads, |subject| {
        let outcome = subject.read(order.root, &shared);
        watch(done.fetch_add(1, Ordering::Relaxed) + 1, subjects.len());
        outcome
    })?;
    let mut patients = Vec::new();
    for outcome in read {
        report.findings.extend(outcome.findings);
        if let Some((patient, line)) = outcome.patient {
            *report
                .diagnoses
                .entry(patient.diagnosis.name().to_owned())
                .or_default() += 1;
            report.patients.push(line);
            patients.push(patient);
        }
    }
    report.sort();
    let cohort = cohort(order, patients, &report);
    Ok(Indexed { report, cohort })
}

/// The cohort, unless something forbids it.
fn cohort(order: &Order, mut patients: Vec<Patient>, report: &Report) -> Result<Cohort, Error> {
    if let Some(first) = report.stopping(order.strict).next() {
        let more = match report.stopping(order.strict).count() {
            1 => String::new(),
            n => format!("; {} more in the report", n - 1),
        };
        let whose = first
            .patient
            .as_ref()
            .map(|p| format!("{p}: "))
            .unwrap_or_default();
        return Err(Error::Cohort(format!(
            "{whose}{} ({}){more}",
            first.text, first.code
        )));
    }
    if patients.is_empty() {
        let text = match report.count(Effect::LeftOut) {
            0 => format!("no examination in {}", order.root.display()),
            n => format!(
                "no patient is left of {}; {n} are left out, see the report",
                order.root.display()
            ),
        };
        return Err(Error::Cohort(text));
    }
    // A benign tumour outside of the four classes is a class of its own here.
    let tumours = patients.iter().map(|p| p.diagnosis).filter(|d| d.is_tumour());
    let classes: BTreeSet<Option<usize>> = tumours.map(Diagnosis::class).collect();
    if classes.len() < 2 {
        let only = patients
            .iter()
            .map(|p| p.diagnosis)
            .max()
            .unwrap_or(Diagnosis::None);
        let text = format!("nothing to tell apart: the only class of tumour among its patients is “{only}”");
        return Err(Error::Cohort(text));
    }
    refuse_leaks(&patients)?;
    split(&mut patients, order.seed);
    let mut commands = Vec::new();
    let simulated = order.root.join(MADE_BY);
    if simulated.exists() {
        let text = std::fs::read_to_string(&simulated).map_err(Error::file(&simulated))?;
        commands.extend(text.lines().map(str::to_owned));
    }
    commands.push(order.command.to_owned());
    Ok(Cohort {
        seed: order.seed,
        commands,
        patients,
        root: order.root.to_owned(),
    })
}

/// One subject per person, by folder.
fn subjects<'a>(root: &Path, found: &'a Found, report: &mut Report) -> Vec<Subject<'a>> {
    let base = |person: &Person| walk::around(root, person.studies.values().flat_map(|s| &s.images));
    let bases: BTreeMap<&String, PathBuf> = found.persons.iter().map(|(k, p)| (k, base(p))).collect();
    let mut below: HashMap<&Path, usize> = HashMap::new();
    for base in bases.values() {
        for folder in base.ancestors() {
            *below.entry(folder).or_default() += 1;
        }
    }
    let mut owners: BTreeMap<&PathBuf, Vec<String>> = BTreeMap::new();
    let mut subjects = Vec::new();
    for (key, person) in &found.persons {
        let images = person.studies.values().flat_map(|s| &s.images);
        let truths: BTreeSet<&PathBuf> = images
            .flat_map(|i| i.ancestors())
            .filter_map(|folder| found.truths.get(folder))
            .collect();
        let mut base = bases[key].clone();
        if let Some(truth) = truths.first() {
            base.clone_from(truth);
        }
        let mut folder = walk::below(root, &base);
        let alone = below.get(base.as_path()).is_none_or(|n| *n == 1);
        if truths.is_empty() && (!alone || folder.is_empty()) {
            let start: String = hex_sha256(key.as_bytes()).chars().take(8).collect();
            folder = Path::new(&folder)
                .join(format!("person-{start}"))
                .to_string_lossy()
                .into_owned();
        }
        if let [one, other, ..] = truths.iter().collect::<Vec<_>>()[..] {
            let text = format!(
                "{} and {} hold the same person",
                walk::below(root, one),
                walk::below(root, other)
            );
            report.add("same_person", Effect::Stops, None, text);
        }
        for truth in &truths {
            owners
                .entry(*truth)
                .or_default()
                .extend(person.studies.keys().cloned());
        }
        if person.id.is_empty() {
            let text =
                "its images have no Patient ID (0010,0020): two studies of this person would go unnoticed";
            report.add("no_patient_id", Effect::Noted, Some(&folder), text);
        }
        subjects.push(Subject {
            folder,
            base,
            key,
            person,
            labels: Vec::new(),
            truth: truths.first().map(|t| t.join("truth.json")),
            simulated: false,
            anatomy: None,
            masks: Vec::new(),
        });
    }
    for truth in &found.truths {
        let studies = owners.get(truth).map_or(0, Vec::len);
        if studies != 1 {
            let text = format!("dicom/ holds {studies} examinations instead of one");
            report.add(
                "examination",
                Effect::Stops,
                Some(&walk::below(root, truth)),
                text,
            );
        }
    }
    subjects.sort_by(|a, b| a.folder.cmp(&b.folder));
    subjects
}

/// Gives each subject its labels, from the table and from `truth.json`.
fn label(order: &Order, subjects: &mut [Subject], report: &mut Report) -> Result<(), Error> {
    for subject in subjects.iter_mut() {
        if let Err(text) = subject.read_truth()? {
            report.add("truth", Effect::Stops, Some(&subject.folder), text);
        }
    }
    let Some(path) = order.labels else { return Ok(()) };
    let table = labels::open(path)?;
    let at = |label: &Label| format!("{}, line {}", path.display(), label.line);
    for column in &table.ignored {
        report.add(
            "ignored_column",
            Effect::Noted,
            None,
            format!("{}: column “{column}”", path.display()),
        );
    }
    let mut names: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for (n, subject) in subjects.iter().enumerate() {
        for name in [subject.person.id.clone(), subject.folder.clone()] {
            names.entry(name).or_default().insert(n);
        }
    }
    for label in table.rows {
        let meant: Vec<usize> = names.get(&label.patient).into_iter().flatten().copied().collect();
        let &[n] = meant.as_slice() else {
            let text = match meant.len() {
                0 => format!("{}: no such patient in {}", at(&label), order.root.display()),
                _ => format!("{}: the ID of one patient and the folder of another", at(&label)),
            };
            report.add("label_without_patient", Effect::Stops, None, text);
            continue;
        };
        let subject = &mut subjects[n];
        let first = subject.labels.first();
        let clash = if subject.truth.is_some() {
            Some("the patient's folder holds a truth.json as well")
        } else if first.is_some_and(|f| f.diagnosis.is_tumour() != label.diagnosis.is_tumour()) {
            Some("an earlier line says otherwise whether there is a tumour")
        } else if !label.diagnosis.is_tumour() && first.is_some() {
            Some("an earlier line says the same")
        } else if label.lesion.is_some() && subject.labels.iter().any(|l| l.lesion == label.lesion) {
            Some("an earlier line has the same lesion number")
        } else {
            None
        };
        match clash {
            Some(why) => {
                let text = format!("{}: {why}", at(&label));
                report.add("two_labels", Effect::Stops, Some(&subject.folder), text);
            }
            None => subject.labels.push(label),
        }
    }
    Ok(())
}

/// Finds the masks that may belong to each subject.
fn pair_masks(
    order: &Order,
    found: &Found,
    subjects: &mut [Subject],
    report: &mut Report,
) -> Result<(), Error> {
    let mut drawn: Vec<PathBuf> = found.masks.clone();
    let mut named: Vec<PathBuf> = Vec::new();
    if let Some(folder) = order.masks {
        let inside = |path: &PathBuf| {
            let name = path.to_string_lossy().to_lowercase();
            name.ends_with(".nii") || name.ends_with(".nii.gz")
        };
        let (nifti, others): (Vec<PathBuf>, Vec<PathBuf>) =
            walk::every_file(folder)?.into_iter().partition(inside);
        named = nifti;
        // The folder of masks may lie within the other.
        drawn.extend(others.into_iter().filter(|p| !found.masks.contains(p)));
    }
    let references = share(&drawn, order.threads, |path| Ok(mask::references(path)))?;
    let mut owned: BTreeSet<PathBuf> = BTreeSet::new();
    for subject in subjects.iter_mut() {
        let asked = subject.labels.iter().filter_map(|l| l.mask.clone());
        let asked: BTreeSet<PathBuf> = asked.map(|m| order.resolve(&m)).collect();
        let mut masks: Vec<(PathBuf, Option<mask::References>)> =
            asked.into_iter().map(|m| (m, None)).collect();
        if masks.is_empty() && subject.labels.iter().all(|l| l.corners.is_none()) {
            for (path, references) in drawn.iter().zip(&references) {
                if let Ok(references) = references.as_ref()
                    && subject
                        .person
                        .studies
                        .keys()
                        .any(|uid| references.studies.contains(uid))
                {
                    masks.push((path.clone(), Some(references.clone())));
                }
            }
            let beside = ["mask.nii", "mask.nii.gz"].map(|name| subject.base.join(name));
            let beside = beside.into_iter().filter(|path| path.is_file());
            let by_name = named.iter().filter(|path| subject.is_called(path)).cloned();
            let nifti: BTreeSet<PathBuf> = beside.chain(by_name).collect();
            masks.extend(nifti.into_iter().map(|path| (path, None)));
        }
        owned.extend(masks.iter().map(|(path, _)| path.clone()));
        subject.masks = masks;
    }
    for path in named.iter().chain(&drawn).filter(|p| !owned.contains(*p)) {
        let refused = drawn.iter().position(|d| d == path).map(|n| &references[n]);
        let why = match refused {
            Some(Err(reason)) => reason.text.clone(),
            _ => "it belongs to no patient, or another mask is named for it".to_owned(),
        };
        report.add(
            "mask_of_nobody",
            Effect::Noted,
            None,
            format!("{}: {why}", path.display()),
        );
    }
    Ok(())
}

impl Order<'_> {
    /// A mask as a table names it: from the folder of masks, else from the table's own folder.
    fn resolve(&self, mask: &Path) -> PathBuf {
        let beside = self.labels.and_then(Path::parent).unwrap_or(Path::new(""));
        self.masks.unwrap_or(beside).join(mask)
    }
}
