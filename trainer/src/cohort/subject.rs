//! One person with their labels and masks → a patient, or why there is none.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use models::findings::Side;
use models::mr::{Contrast, Scan, VolumeIndex};
use models::package::{hex, hex_sha256};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::labels::Label;
use super::report::{Effect, Finding, Line};
use super::walk::{self, Files, Person};
use super::{Diagnosis, Lesion, Patient, Split, picture, read_limited};
use crate::error::Error;
use crate::limits::{MAX_TRUTH_BYTES, MIN_MASK_WITHIN};
use crate::mask::{self, Extent, Mask};

/// One person with everything that may be about them.
pub(super) struct Subject<'a> {
    /// What the person is called: see [`Patient::folder`].
    pub folder: String,
    /// All of their files lie below it.
    pub base: PathBuf,
    pub key: &'a str,
    pub person: &'a Person,
    pub labels: Vec<Label>,
    /// The `truth.json` of their folder.
    pub truth: Option<PathBuf>,
    pub simulated: bool,
    pub anatomy: Option<String>,
    /// Masks that may be theirs, with the series or studies that each one names.
    pub masks: Vec<(PathBuf, Option<mask::References>)>,
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

/// A patient, or why there is none.
#[derive(Default)]
pub(super) struct Outcome {
    pub patient: Option<(Patient, Line)>,
    pub findings: Vec<Finding>,
}

/// Why a patient is left out: code and text.
type Flaw = (String, String);

fn flaw<T>(code: &str, text: impl Into<String>) -> Result<T, Flaw> {
    Err((code.to_owned(), text.into()))
}

impl Subject<'_> {
    /// Whether a mask is called as the patient: `ID.nii`, `FOLDER.nii.gz`.
    pub(super) fn is_called(&self, mask: &Path) -> bool {
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

    pub(super) fn read_truth(&mut self) -> Result<Result<(), String>, Error> {
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

    pub(super) fn read(&self, root: &Path, shared: &HashSet<PathBuf>) -> Result<Outcome, Error> {
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
