//! Studies and cohorts on disk.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::truth::write_nifti;
use crate::{Diagnosis, Error, Patient, RealHead, Study, Truth, simulate, simulate_on};

/// The most patients of one cohort; their seeds must not run into the next cohort's.
pub const MAX_PATIENTS: usize = 99_999;
/// Largest seed of a cohort whose patients' seeds still fit.
pub const MAX_COHORT_SEED: u64 = (u64::MAX - MAX_PATIENTS as u64) / SEED_STEP;
const SEED_STEP: u64 = 100_000;
/// Threads when the caller does not choose.
pub const DEFAULT_THREADS: usize = 2;

/// What [`write_study`] left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The DICOM folder, one folder per series.
    pub dicom: PathBuf,
    /// How many DICOM files.
    pub files: usize,
    /// The answer, as in truth.json.
    pub truth: Truth,
}

/// Seed of a patient, numbered from 1, in a cohort: cohort seed times 100000 plus the number. Cohorts
/// of different seeds (from 1) share no patient with each other or with single studies of a seed
/// below 100000.
pub fn patient_seed(cohort_seed: u64, number: usize) -> u64 {
    cohort_seed.wrapping_mul(SEED_STEP).wrapping_add(number as u64)
}

/// Simulates a patient and writes `dir/dicom/SERIES/NNNN.dcm`, `dir/truth.json` and `dir/mask.nii`
/// (uint8 on the grid of T2; the label is the lesion's number).
///
/// # Errors
/// [`Error::Io`] when the disk refuses, with the path.
pub fn write_study(patient: &Patient, dir: &Path) -> Result<Written, Error> {
    let study = simulate(patient);
    write_simulated(&study, dir)
}

/// As [`write_study`], for a study already simulated.
///
/// # Errors
/// [`Error::Io`] when the disk refuses, with the path.
pub fn write_simulated(study: &Study, dir: &Path) -> Result<Written, Error> {
    let dicom = dir.join("dicom");
    let mut files = 0;
    let mut folder = PathBuf::new();
    for instance in study.instances()? {
        let wanted = dicom.join(&instance.folder);
        if folder != wanted {
            folder = wanted;
            fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        }
        let path = folder.join(format!("{:04}.dcm", instance.number));
        let file = File::create(&path).map_err(Error::at(&path))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        instance
            .object
            .write_all(&mut out)
            .map_err(|e| Error::Dicom(e.to_string()))?;
        out.flush().map_err(Error::at(&path))?;
        files += 1;
    }
    let path = dir.join("mask.nii");
    let file = File::create(&path).map_err(Error::at(&path))?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    write_nifti(&mut out, study.mask_grid(), &study.mask).map_err(Error::at(&path))?;
    out.flush().map_err(Error::at(&path))?;
    let path = dir.join("truth.json");
    let text = serde_json::to_string_pretty(&study.truth).map_err(|e| Error::Json(e.to_string()))?;
    fs::write(&path, text + "\n").map_err(Error::at(&path))?;
    Ok(Written {
        dicom,
        files,
        truth: study.truth.clone(),
    })
}

/// One finished patient of a cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Patients written so far.
    pub done: usize,
    /// Patients in all.
    pub total: usize,
    /// Diagnosis of the one just written.
    pub diagnosis: Diagnosis,
}

/// Whether this patient's study is there already: truth.json is written last.
fn written(folder: &Path, seed: u64, anatomy: Option<&str>) -> bool {
    fs::read(folder.join("truth.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<Truth>(&text).ok())
        .is_some_and(|truth| truth.seed == seed && truth.anatomy.as_deref() == anatomy)
}

/// Writes `patients` studies as `dir/patient-0001` and so on, with [`DEFAULT_THREADS`] threads. Studies
/// that are there already stay as they are, so that a long cohort goes on where it was interrupted.
/// `progress` hears of each finished patient, in whatever order they finish.
///
/// # Errors
/// [`Error::Cohort`] for a count above [`MAX_PATIENTS`] or a seed above [`MAX_COHORT_SEED`], else as
/// [`write_study`]; studies already written stay.
pub fn write_cohort(
    patients: usize,
    seed: u64,
    dir: &Path,
    progress: impl FnMut(Progress) + Send,
) -> Result<(), Error> {
    write_cohort_with(DEFAULT_THREADS, patients, seed, dir, progress)
}

/// As [`write_cohort`] with a number of threads, which changes nothing but the time it takes.
///
/// # Errors
/// As [`write_cohort`].
pub fn write_cohort_with(
    threads: usize,
    patients: usize,
    seed: u64,
    dir: &Path,
    progress: impl FnMut(Progress) + Send,
) -> Result<(), Error> {
    let all = Share { first: 1, every: 1 };
    write_share(threads, patients, seed, all, None, dir, progress)
}

/// Which of a cohort's patients are meant: from `first` on (counted from 1) every `every`th.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1.
    pub first: usize,
    /// At least 1.
    pub every: usize,
}

/// As [`write_cohort_with`], for the patients of a cohort that have `head` as their anatomy: with three
/// heads, the second one's share is `Share { first: 2, every: 3 }`. Patients of the same number and seed
/// have the same tumours and scanners on whatever head.
///
/// # Errors
/// As [`write_cohort`].
pub fn write_cohort_on(
    head: &RealHead,
    share: Share,
    threads: usize,
    patients: usize,
    seed: u64,
    dir: &Path,
    progress: impl FnMut(Progress) + Send,
) -> Result<(), Error> {
    write_share(threads, patients, seed, share, Some(head), dir, progress)
}

fn write_share(
    threads: usize,
    patients: usize,
    seed: u64,
    share: Share,
    head: Option<&RealHead>,
    dir: &Path,
    progress: impl FnMut(Progress) + Send,
) -> Result<(), Error> {
    if patients > MAX_PATIENTS || seed > MAX_COHORT_SEED {
        return Err(Error::Cohort { patients, seed });
    }
    let every = share.every.max(1);
    let next = AtomicUsize::new(share.first.max(1));
    let heard = Mutex::new((0, progress));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(every, Ordering::Relaxed);
                    if number > patients {
                        return;
                    }
                    let patient = Patient::draw(patient_seed(seed, number), None);
                    let folder = dir.join(format!("patient-{number:04}"));
                    let anatomy = head.map(RealHead::anatomy);
                    let result = if written(&folder, patient.seed, anatomy) {
                        Ok(())
                    } else {
                        let study = match head {
                            Some(head) => simulate_on(&patient, head),
                            None => simulate(&patient),
                        };
                        write_simulated(&study, &folder).map(drop)
                    };
                    match result {
                        Ok(()) => {
                            let mut heard = heard.lock().unwrap_or_else(|p| p.into_inner());
                            heard.0 += 1;
                            let done = heard.0;
                            (heard.1)(Progress {
                                done,
                                total: patients,
                                diagnosis: patient.diagnosis,
                            });
                        }
                        Err(error) => {
                            next.store(patients + 1, Ordering::Relaxed);
                            let mut failed = failed.lock().unwrap_or_else(|p| p.into_inner());
                            failed.get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    failed
        .into_inner()
        .unwrap_or_else(|p| p.into_inner())
        .map_or(Ok(()), Err)
}
