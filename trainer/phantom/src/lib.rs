//! Simulated head-and-neck MR examinations written as real DICOM.
//!
//! A seed decides a [`Patient`]: a head with both parotids, perhaps with tumours, and a scanner with
//! its habits and faults. [`simulate`] gives the six volumes of the Liu 2023 protocol (T1, T2 fat-sat,
//! CE-T1 fat-sat, diffusion b 0 and 1000, ADC) with the truth; [`write_study`] and [`write_cohort`]
//! write them as a scanner would send them. Nothing here is a patient, and every image says so.
//!
//! The head is drawn, or it is a real one: [`RealHead::find`] estimates tissues and parotids from a T1
//! volume, [`simulate_on`] and [`write_cohort_on`] put tumours into it and examine it in the same scanner.
//!
//! | module | owns |
//! |---|---|
//! | `patient` | who is examined, in which scanner |
//! | [`tumour`] | diagnoses and the distributions of what they look like |
//! | [`tissue`] | relaxation, diffusion, enhancement, with sources |
//! | `anatomy`, `scene`, `shape`, `space` | the head as overlapping solids in millimetres |
//! | `head` | a real T1 head as tissue shares, with its parotids |
//! | [`sequence`] | signal equations and contrast agent |
//! | `acquire`, `artefact` | sampling and partial volume; shading, ghosts, distortion, noise |
//! | `dicom`, `vendor` | instances and the makers' habits |
//! | `truth`, `cohort` | answers, files, many patients |

mod acquire;
mod anatomy;
mod artefact;
mod cohort;
mod dice;
mod dicom;
mod head;
mod patient;
mod scene;
pub mod sequence;
mod shape;
mod space;
pub mod tissue;
mod truth;
pub mod tumour;
mod vendor;

use std::io;
use std::path::{Path, PathBuf};

use ndarray::Array3;

pub use acquire::{Contrast, Grid, Volume};
pub use cohort::{
    DEFAULT_THREADS, MAX_COHORT_SEED, MAX_PATIENTS, Progress, Share, Written, patient_seed, write_cohort,
    write_cohort_on, write_cohort_with, write_simulated, write_study,
};
pub use dicom::Instance;
pub use head::{FoundGland, HeadScan, RealHead, Unfit};
pub use patient::{Patient, Scan, Sex, Vendor};
pub use truth::{BoxMm, TRUTH_SCHEMA, TrueLesion, Truth, write_nifti};
pub use tumour::{DIAGNOSIS_MIX, Diagnosis, Disease, Lesion, Lobe, Malignancy, Side};

/// Why a study could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A DICOM object could not be encoded: a mistake of this crate.
    #[error("simulated image cannot be encoded: {0}")]
    Dicom(String),
    /// The truth could not be encoded: a mistake of this crate.
    #[error("truth cannot be encoded: {0}")]
    Json(String),
    /// Too many patients, or a seed too large to keep patients apart.
    #[error("cohort of {patients} patients with seed {seed}: at most {MAX_PATIENTS} and {MAX_COHORT_SEED}")]
    Cohort {
        /// Asked for.
        patients: usize,
        /// Asked for.
        seed: u64,
    },
}

impl Error {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        |source| Error::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// One simulated examination in memory.
pub struct Study {
    /// Who.
    pub patient: Patient,
    /// T1, T2, CE-T1, DWI-b0, DWI, ADC.
    pub volumes: Vec<Volume>,
    /// (slice, row, column) on the grid of T2: 0 or the number of the lesion.
    pub mask: Array3<u8>,
    /// The answer.
    pub truth: Truth,
}

/// Examines a patient. The same patient always gives the same voxels.
pub fn simulate(patient: &Patient) -> Study {
    examine(patient.clone(), None)
}

/// Examines a patient whose anatomy is a real head: the patient's tumours lie in the head's parotids. The
/// same patient on the same head always gives the same voxels. The head's own size is kept but for a few
/// per cent; half of the patients are mirrored.
pub fn simulate_on(patient: &Patient, head: &RealHead) -> Study {
    let patient = Patient {
        anatomy: Some(head.anatomy().to_owned()),
        ..patient.clone()
    };
    examine(patient, Some(head))
}

fn examine(patient: Patient, head: Option<&RealHead>) -> Study {
    let acquire::Acquired { volumes, mask } = acquire::acquire(&patient, head);
    let truth = Truth::of(&patient, &Grid::structural(&patient), &mask);
    Study {
        patient,
        volumes,
        mask,
        truth,
    }
}

impl Study {
    /// Where the voxels of the mask are.
    pub fn mask_grid(&self) -> &Grid {
        &self.volumes[1].grid
    }

    /// The DICOM objects, series by series in instance order; pixel data are copied.
    ///
    /// # Errors
    /// [`Error::Dicom`], which no patient is known to cause.
    pub fn instances(&self) -> Result<Vec<Instance>, Error> {
        dicom::instances(&self.patient, &self.volumes)
    }
}
