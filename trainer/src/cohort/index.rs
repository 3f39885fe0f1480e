//! Persons, labels and masks → patients.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use models::findings::Side;
use models::mr::{Contrast, Scan, VolumeIndex};
use models::package::{hex, hex_sha256};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::labels::{self, Label};
use super::leaks::refuse_leaks;
use super::report::{Effect, Finding, Line, Report};
use super::split::split;
use super::walk::{self, Files, Found, Person};
use super::{Cohort, Diagnosis, Lesion, MADE_BY, Patient, Split, picture, read_limited, share};
use crate::error::Error;
use crate::limits::{MAX_TRUTH_BYTES, MIN_MASK_WITHIN};
use crate::mask::{self, Extent, Mask};

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

/// One person with everything that may be about them.
struct Subject<'a> {
    /// What the person is called: see [`Patient::folder`].
    folder: String,
    /// All of their files lie below it.
    base: PathBuf,
    key: &'a str,
    person: &'a Person,
    labels: Vec<Label>,
    /// The `truth.json` of their folder.
    truth: Option<PathBuf>,
    simulated: bool,
    anatomy: Option<String>,
    /// Masks that may be theirs, with the series or studies that each one names.
    masks: Vec<(PathBuf, Option<mask::References>)>,
}

/// The part of `truth.json` that is read.
#[derive(Deserialize)]
struct Truth {
    #[serde(default)]
    schema: String,
    diagnosis: String,
    #[serde(default)]
    malignancy: Option<String>,
    #[serde(default)]
    anatomy: Option<String>,
    #[serde(default)]
    lesions: Vec<TrueLesion>,
}

#[derive(Deserialize)]
struct TrueLesion {
    number: u8,
    #[serde(default)]
    side: Option<Side>,
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

/// A patient, or why there is none.
#[derive(Default)]
struct Outcome {
    patient: Option<(Patient, Line)>,
    findings: Vec<Finding>,
}

/// Why a patient is left out: code and text.
type Flaw = (String, String);

fn flaw<T>(code: &str, text: impl Into<String>) -> Result<T, Flaw> {
    Err((code.to_owned(), text.into()))
}

impl Subject<'_> {
    /// Whether a mask is called as the patient: `ID.nii`, `FOLDER.nii.gz`.
    fn is_called(&self, mask: &Path) -> bool {
        let name = mask.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_lowercase();
        let length = [".nii.gz", ".nii"]
            .iter()
            .find_map(|end| lower.strip_suffix(end))
            .map(str::len);
        let stem = length.and_then(|n| name.get(..n));
        let last = self.folder.rsplit('/').next().unwrap_or_default();
        stem.is_some_and(|s| {
            !s.is_empty() && [self.person.id.as_str(), last, &self.folder.replace('/', "_")].contains(&s)
        })
    }

    fn read_truth(&mut self) -> Result<Result<(), String>, Error> {
        let Some(path) = &self.truth else {
            return Ok(Ok(()));
        };
        let bytes = read_limited(path, MAX_TRUTH_BYTES)?;
        let truth: Truth = match serde_json::from_slice(&bytes) {
            Ok(truth) => truth,
            Err(e) => return Ok(Err(format!("truth.json: {e}"))),
        };
        // The kind of a malignant tumour says more than that it is one.
        let word = truth.malignancy.as_deref().unwrap_or(&truth.diagnosis);
        let Some(diagnosis) = Diagnosis::parse(word) else {
            return Ok(Err(format!("truth.json: “{word}” is no known diagnosis")));
        };
        let stated = Diagnosis::parse(&truth.diagnosis);
        if stated.is_none_or(|d| d.is_malignant() != diagnosis.is_malignant()) {
            return Ok(Err(format!(
                "truth.json: “{}” with the malignancy “{word}”",
                truth.diagnosis
            )));
        }
        let label = |lesion: Option<u8>, side| Label {
            patient: self.folder.clone(),
            diagnosis,
            side,
            lesion,
            mask: None,
            corners: None,
            line: 1,
        };
        self.labels = truth
            .lesions
            .iter()
            .map(|l| label(Some(l.number), l.side))
            .collect();
        if self.labels.is_empty() {
            self.labels.push(label(None, None));
        }
        self.simulated = truth.schema == phantom::TRUTH_SCHEMA;
        self.anatomy = truth.anatomy;
        Ok(Ok(()))
    }

    fn read(&self, root: &Path, shared: &HashSet<PathBuf>) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let mut add = |code: &str, effect, text: String| {
            outcome.findings.push(Finding {
                code: code.to_owned(),
                effect,
                patient: Some(self.folder.clone()),
                text,
            });
        };
        if self.labels.is_empty() {
            let mut text = "no label".to_owned();
            if !self.masks.is_empty() {
                text += ", but a mask";
            }
            if let Some(file) = self.person.studies.values().find_map(|s| s.images.first()) {
                text += &format!("; its first file is {}", walk::below(root, file));
            }
            add("no_label", Effect::LeftOut, text);
            return Ok(outcome);
        }
        let candidates = self.candidates();
        let mut chosen: Option<(usize, Drawn)> = None;
        let mut first_flaw = None;
        for (n, candidate) in candidates.iter().enumerate() {
            match self.drawn(candidate) {
                Ok(drawn) => {
                    chosen = Some((n, drawn));
                    break;
                }
                Err(flaw) => first_flaw = first_flaw.or(Some(flaw)),
            }
        }
        let Some((n, drawn)) = chosen else {
            let (code, text) =
                first_flaw.unwrap_or_else(|| ("no_known_contrast".to_owned(), "no study".to_owned()));
            add(&code, Effect::LeftOut, text);
            return Ok(outcome);
        };
        let candidate = &candidates[n];
        if candidates.len() > 1 {
            let text = format!(
                "{} studies; the one of {} is taken: {}, {} of the six contrasts",
                candidates.len(),
                if candidate.files.date.is_empty() {
                    "an unknown day"
                } else {
                    &candidate.files.date
                },
                if candidate.meant {
                    "a mask names it"
                } else {
                    "its mask fits, or none is needed"
                },
                candidate.contrasts.len()
            );
            add("two_studies", Effect::Noted, text);
        }
        let missing: Vec<Contrast> = Contrast::ALL
            .into_iter()
            .filter(|c| !candidate.contrasts.contains(c))
            .collect();
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|c| c.name()).collect();
            add(
                "missing_contrasts",
                Effect::Noted,
                format!("without {}", names.join(", ")),
            );
        }
        let of_series = candidate.scan.series.iter().flat_map(|s| &s.refused);
        for refused in of_series.chain(&candidate.scan.refused) {
            let text = format!(
                "{}: {} ({})",
                refused.input, refused.reason.text, refused.reason.code
            );
            add("refused", Effect::Noted, text);
        }
        let diagnosis = self
            .labels
            .iter()
            .map(|l| l.diagnosis)
            .max()
            .unwrap_or(Diagnosis::None);
        if diagnosis == Diagnosis::OtherBenign {
            let text = "a benign tumour that is none of the appliance's four classes: not used to train or evaluate them";
            add("outside_the_classes", Effect::Noted, text.to_owned());
        }
        let fingerprint = match picture::fingerprint(&candidate.scan) {
            Some(Ok(fingerprint)) => Some(fingerprint),
            Some(Err(reason)) => {
                add("no_fingerprint", Effect::Noted, reason.text);
                None
            }
            None => None,
        };
        let mut hashed = candidate.files.images.clone();
        hashed.extend(drawn.mask.iter().chain(&self.truth).cloned());
        let person = if self.person.id.is_empty() {
            self.key
        } else {
            &self.person.id
        };
        let line = Line {
            patient: self.folder.clone(),
            diagnosis,
            lesions: drawn.lesions.len(),
            contrasts: candidate.contrasts.iter().copied().collect(),
            missing,
        };
        let patient = Patient {
            folder: self.folder.clone(),
            dicom: walk::named(root, &candidate.files.images, shared),
            mask: drawn.mask.map(|m| stored(root, &m)).transpose()?,
            diagnosis,
            split: Split::Train,
            fold: 0,
            sha256: hash(&self.base, hashed)?,
            person_sha256: hex_sha256(person.as_bytes()),
            name_sha256: self.person.name_sha256.clone(),
            study_sha256: hex_sha256(candidate.uid.as_bytes()),
            fingerprint,
            simulated: self.simulated,
            anatomy: self.anatomy.clone(),
            lesions: drawn.lesions,
        };
        outcome.patient = Some((patient, line));
        Ok(outcome)
    }

    /// The person's studies, the best first: one that a mask names, then the one with the most contrasts, then the
    /// earliest, which is the one before treatment.
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate> = self
            .person
            .studies
            .iter()
            .map(|(uid, files)| {
                let scan = walk::scan(files);
                let volumes = scan.series.iter().flat_map(|s| &s.volumes);
                let contrasts = volumes.filter_map(|v| v.contrast).collect();
                let names = |r: &mask::References| r.studies.contains(uid);
                let meant = self.masks.iter().any(|(_, r)| r.as_ref().is_some_and(names));
                Candidate {
                    uid,
                    files,
                    scan,
                    contrasts,
                    meant,
                }
            })
            .collect();
        candidates.sort_by_key(|c| {
            let undated = c.files.date.is_empty();
            (
                !c.meant,
                std::cmp::Reverse(c.contrasts.len()),
                undated,
                c.files.date.clone(),
                c.uid,
            )
        });
        candidates
    }

    /// The lesions of this person in one study, and where they are drawn.
    fn drawn(&self, candidate: &Candidate) -> Result<Drawn, Flaw> {
        let Some(anchor) = picture::anchor(&candidate.scan) else {
            return flaw(
                "no_known_contrast",
                "no series is one of T1, T2, CE-T1, DWI or ADC",
            );
        };
        let named = |(path, references): &&(PathBuf, Option<mask::References>)| {
            let fits = references
                .as_ref()
                .is_none_or(|r| r.studies.contains(candidate.uid));
            fits.then(|| path.clone())
        };
        let paths: Vec<PathBuf> = self.masks.iter().filter_map(|m| named(&m)).collect();
        let boxes: Vec<&Label> = self.labels.iter().filter(|l| l.corners.is_some()).collect();
        let has_tumour = self.labels.iter().any(|l| l.diagnosis.is_tumour());
        let listed = || paths.iter().map(|p| name(p)).collect::<Vec<_>>().join(", ");
        if paths.len() + usize::from(!boxes.is_empty()) > 1 {
            return flaw("several_masks", format!("several masks: {}", listed()));
        }
        if !boxes.is_empty() {
            return self.boxed(&boxes, anchor);
        }
        let Some(path) = paths.first() else {
            return match has_tumour {
                true => flaw("no_mask", "a tumour, but no mask and no box"),
                false => Ok(Drawn::default()),
            };
        };
        let numbers: BTreeSet<u8> = self.labels.iter().filter_map(|l| l.lesion).collect();
        let unnumbered = self.labels.iter().filter(|l| l.lesion.is_none()).count();
        let wanted = (unnumbered == 0).then_some(&numbers);
        let mask = mask::open(path, wanted, || candidate.scan.clone()).map_err(|r| (r.code, r.text))?;
        let extents = mask.extents();
        if !has_tumour {
            return match extents.len() {
                0 => Ok(Drawn::default()),
                n => flaw(
                    "mask_without_tumour",
                    format!("no tumour, but {n} lesions in {}", name(path)),
                ),
            };
        }
        if extents.is_empty() && unnumbered > 0 {
            return flaw(
                "no_mask",
                format!("a tumour, but nothing is drawn in {}", name(path)),
            );
        }
        if !extents.is_empty() {
            fits(&mask, anchor)?;
        }
        let lesions = paired(&self.labels, &extents)?;
        Ok(Drawn {
            lesions,
            mask: Some(path.clone()),
        })
    }

    fn boxed(&self, boxes: &[&Label], anchor: &VolumeIndex) -> Result<Drawn, Flaw> {
        if boxes.len() < self.labels.len() {
            return flaw("no_mask", "some lesions have a box and others nothing");
        }
        // Numbers that the table does not give are those of its rows.
        let number = |n: usize, l: &Label| l.lesion.or(u8::try_from(n + 1).ok());
        let mut numbered = Vec::new();
        for (n, label) in boxes.iter().enumerate() {
            let (Some(number), Some(corners)) = (number(n, label), label.corners) else {
                return flaw("mask_number", "more lesions than numbers");
            };
            numbered.push((number, corners));
        }
        let mask = mask::of_boxes(&numbered).map_err(|r| (r.code, r.text))?;
        fits(&mask, anchor)?;
        let labels: Vec<Label> = boxes
            .iter()
            .zip(&numbered)
            .map(|(label, (n, _))| Label {
                lesion: Some(*n),
                ..(*label).clone()
            })
            .collect();
        let mut lesions = paired(&labels, &mask.extents())?;
        for lesion in &mut lesions {
            lesion.corners = numbered
                .iter()
                .find(|(n, _)| *n == lesion.number)
                .map(|(_, c)| *c);
        }
        Ok(Drawn { lesions, mask: None })
    }
}

/// One study of a person.
struct Candidate<'a> {
    uid: &'a String,
    files: &'a Files,
    scan: Scan,
    contrasts: BTreeSet<Contrast>,
    /// Whether a mask names it.
    meant: bool,
}

/// Lesions and the file they are drawn in.
#[derive(Default)]
struct Drawn {
    lesions: Vec<Lesion>,
    mask: Option<PathBuf>,
}

/// Refuses a mask that lies beside the images or in another frame of reference.
fn fits(mask: &Mask, anchor: &VolumeIndex) -> Result<(), Flaw> {
    const CODE: &str = "mask_of_other_geometry";
    if let (Some(own), Some(theirs)) = (&mask.frame_of_reference_uid, &anchor.frame_of_reference_uid)
        && own != theirs
    {
        return flaw(
            CODE,
            "the mask is drawn in another frame of reference than the examination's anatomy",
        );
    }
    let within = mask.share_within(&anchor.grid);
    if within < MIN_MASK_WITHIN {
        let text = format!(
            "only {:.0} % of the drawn voxels lie within the examination: the mask is of another geometry",
            100.0 * within
        );
        return flaw(CODE, text);
    }
    Ok(())
}

/// Which label each drawn lesion has.
fn paired(labels: &[Label], extents: &BTreeMap<u8, Extent>) -> Result<Vec<Lesion>, Flaw> {
    let numbered = labels.iter().filter(|l| l.lesion.is_some()).count();
    if numbered != 0 && numbered != labels.len() {
        return flaw(
            "lesion_unclear",
            "some labels name their lesion's number and others do not",
        );
    }
    let alike = labels
        .iter()
        .all(|l| l.side.is_none() && Some(l.diagnosis) == labels.first().map(|l| l.diagnosis));
    let mut lesions = Vec::with_capacity(extents.len());
    let mut used = vec![false; labels.len()];
    for (number, extent) in extents {
        let side = extent.side();
        let label = match labels {
            _ if numbered > 0 => labels.iter().position(|l| l.lesion == Some(*number)),
            [_] => Some(0),
            _ if alike => Some(0),
            _ => {
                let of_side = |l: &Label| l.side == Some(side);
                match labels.iter().filter(|l| of_side(l)).count() {
                    1 => labels.iter().position(of_side),
                    _ => return flaw("lesion_unclear", several(labels)),
                }
            }
        };
        let Some(n) = label else { continue };
        used[n] = true;
        let label = &labels[n];
        if label.side.is_some_and(|s| s != side) {
            let text = format!(
                "lesion {number} is labelled {}, but drawn on the patient's {}: x = {:.0} mm",
                word(label.side.unwrap_or(side)),
                word(side),
                extent.centroid[0]
            );
            return flaw("side_against_mask", text);
        }
        lesions.push(Lesion {
            number: *number,
            diagnosis: label.diagnosis,
            side,
            corners: None,
        });
    }
    let unused = labels.iter().zip(&used).find(|(_, used)| !**used && !alike);
    let none = lesions.is_empty() && !labels.is_empty();
    if let Some(label) = unused.map(|(l, _)| l).or(labels.first().filter(|_| none)) {
        let which = match (label.lesion, label.side) {
            (Some(n), _) => format!("lesion {n}"),
            (None, Some(side)) => format!("the lesion on the {}", word(side)),
            (None, None) => "a lesion".to_owned(),
        };
        return flaw(
            "lesion_not_in_mask",
            format!("{which} is labelled, but not drawn"),
        );
    }
    Ok(lesions)
}

fn several(labels: &[Label]) -> String {
    format!(
        "{} labels that neither numbers nor sides tell apart",
        labels.len()
    )
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A path as the cohort file has it.
fn stored(root: &Path, path: &Path) -> Result<PathBuf, Error> {
    let absolute = |p: &Path| std::path::absolute(p).map_err(Error::file(p));
    let (full, root) = (absolute(path)?, absolute(root)?);
    Ok(full.strip_prefix(&root).map_or(full.clone(), Path::to_owned))
}

/// SHA-256 over names, as seen from `base`, and contents of files.
fn hash(base: &Path, mut files: Vec<PathBuf>) -> Result<String, Error> {
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let name = match file.strip_prefix(base) {
            Ok(name) => name.to_string_lossy().into_owned(),
            Err(_) => name(&file),
        };
        let bytes = std::fs::read(&file).map_err(Error::file(&file))?;
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hex(&hasher.finalize()))
}
