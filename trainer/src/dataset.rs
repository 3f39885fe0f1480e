//! Patients as tensors: each examination is read once, kept on disk and then in memory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use models::findings::{Fault, Reason};
use models::mr::{Contrast, Grid, Scan, Volume};
use models::package::{OperatingPoints, hex_sha256};
use models::recipe::{LocatorInput, ReaderInput, Recipe};
use models::run::candidates;
use models::study::Study;
use ndarray::Array3;
use tch::{Kind, Tensor};

use crate::cohort::{Cohort, Lesion, Patient};
use crate::error::Error;
use crate::mask;
use crate::nets::tensor;

/// One patient's examination as tensors, images in half precision.
#[derive(Debug)]
pub struct Examination {
    /// Folder, label and split.
    pub patient: Patient,
    /// (slice, contrast, H, W), the locator's images.
    pub slices: Tensor,
    /// (slice, H, W), which share of each pixel is tumour.
    pub truth: Tensor,
    /// The drawn tumours of the patient's class, the largest first.
    pub lesions: Vec<DrawnLesion>,
}

/// A drawn tumour as the reader sees it.
#[derive(Debug)]
pub struct DrawnLesion {
    /// (slice, contrast, H, W).
    pub images: Tensor,
    /// x0, y0, x1, y1 per slice, in pixels of the crop.
    pub boxes: Vec<[f32; 4]>,
}

/// Truth pixels count as tumour from this share on; the same for every recipe.
const INSIDE: f32 = 0.5;

/// The headers of a patient's study.
fn scan(cohort: &Cohort, patient: &Patient) -> Scan {
    let paths: Vec<PathBuf> = patient.dicom.iter().map(|p| cohort.root.join(p)).collect();
    models::mr::scan(&paths)
}

/// Loads one patient's examination from its DICOM files.
///
/// # Errors
/// Whatever [`Study::assemble`] refuses.
pub fn open_study(cohort: &Cohort, patient: &Patient) -> Result<Study, Error> {
    Study::assemble(&scan(cohort, patient)).map_err(|failed| {
        let unknown = || Reason::new("unassembled", Fault::Data, "the examination cannot be assembled");
        let reason = failed.reasons.first().cloned().unwrap_or_else(unknown);
        Error::Patient {
            patient: patient.folder.clone(),
            reason,
        }
    })
}

/// The drawn lesions of a patient that `wanted` asks for, on the grid of the locator: the share of each pixel that is
/// inside. All zero where there are none.
///
/// # Errors
/// The mask cannot be read.
pub fn open_truth(
    cohort: &Cohort,
    patient: &Patient,
    grid: &Grid,
    wanted: impl Fn(&Lesion) -> bool,
) -> Result<Array3<f32>, Error> {
    let of_patient = |reason| Error::Patient {
        patient: patient.folder.clone(),
        reason,
    };
    let lesions: Vec<&Lesion> = patient.lesions.iter().filter(|l| wanted(l)).collect();
    if lesions.is_empty() {
        return Ok(Array3::zeros(grid.shape));
    }
    let numbers: BTreeSet<u8> = lesions.iter().map(|l| l.number).collect();
    let mask = match &patient.mask {
        Some(path) => mask::open(&cohort.root.join(path), Some(&numbers), || scan(cohort, patient)),
        None => {
            let boxes = lesions.iter().filter_map(|l| Some((l.number, l.corners?)));
            mask::of_boxes(&boxes.collect::<Vec<_>>())
        }
    };
    let mask = mask.map_err(of_patient)?;
    let voxels = mask.inside(&numbers);
    // The mask goes through the same interpolation as the images.
    let volume = Volume {
        contrast: Contrast::T2,
        b_value: None,
        grid: mask.grid,
        voxels,
    };
    let drawn = Study {
        identity: Default::default(),
        volumes: [(Contrast::T2, volume)].into(),
        origins: Vec::new(),
        sources: Vec::new(),
        anchor: None,
        refused: Vec::new(),
        quality: Vec::new(),
    };
    drawn.resample(Contrast::T2, grid).map_err(of_patient)
}

/// Reads the patients of a cohort, `threads` at a time; what was read before comes from `cache`.
///
/// # Errors
/// The first patient that cannot be used.
pub fn load(
    cohort: &Cohort,
    patients: &[&Patient],
    recipe: &Recipe,
    cache: &Path,
    threads: usize,
    each: impl Fn() + Sync,
) -> Result<Vec<Examination>, Error> {
    std::fs::create_dir_all(cache).map_err(Error::file(cache))?;
    let recipe_text = format!("{recipe:?}");
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Examination)>> = Mutex::new(Vec::with_capacity(patients.len()));
    let work = || -> Result<(), Error> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(patient) = patients.get(n) else {
                return Ok(());
            };
            let key =
                hex_sha256(format!("{} {:?} {recipe_text}", patient.sha256, patient.lesions).as_bytes());
            let file = cache.join(format!("{}.safetensors", &key[..32]));
            let examination = match restore(&file, patient) {
                Some(examination) => examination,
                None => {
                    let examination = read(cohort, patient, recipe)?;
                    store(&file, &examination)?;
                    examination
                }
            };
            // A poisoned lock means that another thread already fails.
            if let Ok(mut done) = done.lock() {
                done.push((n, examination));
            }
            each();
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(n, _)| *n);
    Ok(done.into_iter().map(|(_, e)| e).collect())
}

fn read(cohort: &Cohort, patient: &Patient, recipe: &Recipe) -> Result<Examination, Error> {
    let of_patient = |reason| Error::Patient {
        patient: patient.folder.clone(),
        reason,
    };
    let study = open_study(cohort, patient)?;
    let prepared = recipe.prepare(&study, 1).map_err(of_patient)?;
    let LocatorInput { grid, images, .. } = prepared.locator_input().map_err(of_patient)?;
    let truth = open_truth(cohort, patient, &grid, |_| true)?;
    // The reader learns one class a patient: what it sees is of that class.
    let of_class = |l: &Lesion| l.diagnosis.class() == patient.class();
    let alike = patient.lesions.iter().all(of_class);
    let read = if alike {
        truth.clone()
    } else {
        open_truth(cohort, patient, &grid, of_class)?
    };
    let mut lesions = Vec::new();
    for drawn in drawn_lesions(&read) {
        let input = prepared.reader_input(&drawn.slice_boxes()).map_err(of_patient)?;
        lesions.push(DrawnLesion::new(input));
    }
    if patient.diagnosis.is_tumour() == lesions.is_empty() {
        let text = format!(
            "labelled “{}”, but the mask holds {} tumours",
            patient.diagnosis,
            lesions.len()
        );
        return Err(of_patient(Reason::new("label_against_mask", Fault::Data, text)));
    }
    let (slices, contrasts, rows, columns) = images.dim();
    Ok(Examination {
        patient: patient.clone(),
        slices: tensor(images.iter(), &[slices, contrasts, rows, columns]).to_kind(Kind::Half),
        truth: tensor(truth.iter(), &[slices, rows, columns]).to_kind(Kind::Half),
        lesions,
    })
}

/// Parts of a drawn tumour with fewer voxels are stray corners of a larger one.
const STRAY_VOXELS: usize = 6;

/// Connected parts of a drawn tumour, the largest first.
pub fn drawn_lesions(truth: &Array3<f32>) -> Vec<models::run::Candidate> {
    let highest = truth.iter().copied().fold(0.0, f32::max);
    // A tumour thinner than a pixel never fills half of one.
    let inside = if highest >= INSIDE {
        INSIDE
    } else {
        highest.max(f32::MIN_POSITIVE)
    };
    let points = OperatingPoints {
        voxel_probability: inside,
        lesion_score: 0.0,
        lesion_voxels: 1,
        malignant: 0.5,
    };
    let mut lesions = candidates(truth, &points);
    lesions.sort_by_key(|l| std::cmp::Reverse(l.voxels.len()));
    let largest = lesions.first().map_or(0, |l| l.voxels.len());
    lesions.retain(|l| l.voxels.len() >= STRAY_VOXELS.min(largest));
    lesions
}

impl DrawnLesion {
    fn new(input: ReaderInput) -> Self {
        let (slices, contrasts, rows, columns) = input.images.dim();
        let images = tensor(input.images.iter(), &[slices, contrasts, rows, columns]).to_kind(Kind::Half);
        let boxes = input
            .boxes
            .rows()
            .into_iter()
            .map(|b| [b[0], b[1], b[2], b[3]])
            .collect();
        Self { images, boxes }
    }
}

fn store(file: &PathBuf, examination: &Examination) -> Result<(), Error> {
    let mut tensors = vec![
        ("slices".to_owned(), examination.slices.shallow_clone()),
        ("truth".to_owned(), examination.truth.shallow_clone()),
    ];
    for (n, lesion) in examination.lesions.iter().enumerate() {
        let boxes = tensor(lesion.boxes.as_flattened().iter(), &[lesion.boxes.len(), 4]);
        tensors.push((format!("images{n}"), lesion.images.shallow_clone()));
        tensors.push((format!("boxes{n}"), boxes));
    }
    let partial = file.with_extension("partial");
    Tensor::write_safetensors(&tensors, &partial)?;
    std::fs::rename(&partial, file).map_err(Error::file(file))
}

fn restore(file: &PathBuf, patient: &Patient) -> Option<Examination> {
    let mut tensors: std::collections::HashMap<String, Tensor> =
        Tensor::read_safetensors(file).ok()?.into_iter().collect();
    let mut lesions = Vec::new();
    while let Some(images) = tensors.remove(&format!("images{}", lesions.len())) {
        let boxes = tensors.remove(&format!("boxes{}", lesions.len()))?;
        let flat = Vec::<f32>::try_from(boxes.flatten(0, -1)).ok()?;
        let boxes = flat.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]).collect();
        lesions.push(DrawnLesion { images, boxes });
    }
    let (slices, truth) = (tensors.remove("slices")?, tensors.remove("truth")?);
    Some(Examination {
        patient: patient.clone(),
        slices,
        truth,
        lesions,
    })
}
