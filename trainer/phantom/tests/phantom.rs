//! What others may rely on: seeds, class statistics, files, geometry, truth.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use dicom_core::header::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, open_file};
use phantom::tumour::{Reported, pooled, reported_adc};
use phantom::{
    Contrast, Diagnosis, Patient, Side, Truth, Vendor, patient_seed, simulate, write_cohort_with, write_study,
};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                list.push(path)
            }
        }
    }
    list.sort();
    list
}

fn fingerprint(dir: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files(dir) {
        hasher.write(path.strip_prefix(dir).unwrap().to_string_lossy().as_bytes());
        hasher.write(&fs::read(&path).unwrap());
    }
    hasher.finish()
}

fn floats(object: &DefaultDicomObject, tag: Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

fn word(object: &DefaultDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim().to_owned()
}

#[test]
fn a_seed_decides_every_byte_and_another_seed_differs() {
    let dir = tempfile::tempdir().unwrap();
    for (name, seed) in [("a", 5), ("b", 5), ("c", 6)] {
        write_study(
            &Patient::draw(seed, Some(Diagnosis::BasalCellAdenoma)),
            &dir.path().join(name),
        )
        .unwrap();
    }
    let print = |name: &str| fingerprint(&dir.path().join(name));
    assert_eq!(print("a"), print("b"));
    assert_ne!(print("a"), print("c"));
}

#[test]
fn threads_do_not_change_a_cohort() {
    let dir = tempfile::tempdir().unwrap();
    let mut heard = 0;
    write_cohort_with(1, 3, 9, &dir.path().join("one"), |p| heard = p.done).unwrap();
    write_cohort_with(2, 3, 9, &dir.path().join("two"), |_| ()).unwrap();
    assert_eq!(heard, 3);
    assert!(dir.path().join("one/patient-0003/truth.json").exists());
    assert_eq!(
        fingerprint(&dir.path().join("one")),
        fingerprint(&dir.path().join("two"))
    );
}

#[test]
fn cohorts_share_no_patient() {
    assert_eq!(patient_seed(7, 12), 700_012);
    assert!(phantom::write_cohort(phantom::MAX_PATIENTS + 1, 1, Path::new("unused"), |_| ()).is_err());
    assert!(phantom::write_cohort(1, phantom::MAX_COHORT_SEED + 1, Path::new("unused"), |_| ()).is_err());
}

#[test]
fn words_name_diagnoses() {
    for diagnosis in Diagnosis::ALL {
        assert_eq!(diagnosis.name().parse::<Diagnosis>().unwrap(), diagnosis);
        assert_eq!(serde_json::to_value(diagnosis).unwrap(), diagnosis.name());
    }
    assert_eq!("PA".parse::<Diagnosis>().unwrap(), Diagnosis::PleomorphicAdenoma);
    assert!(
        "cyst"
            .parse::<Diagnosis>()
            .unwrap_err()
            .to_string()
            .contains("'cyst'")
    );
}

fn drawn_adc(diagnosis: Diagnosis) -> Vec<f32> {
    (0..1500)
        .map(|seed| Patient::draw(seed, Some(diagnosis)).disease.lesions[0].adc)
        .collect()
}

#[test]
fn drawn_adc_follows_the_literature() {
    for diagnosis in &Diagnosis::ALL[..4] {
        let drawn = drawn_adc(*diagnosis);
        let n = drawn.len() as f32;
        let mean = drawn.iter().sum::<f32>() / n;
        let sd = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt();
        let Reported {
            mean: expected,
            sd: spread,
            ..
        } = pooled(reported_adc(*diagnosis));
        assert!(
            (mean - expected).abs() < 0.05,
            "{diagnosis}: mean {mean}, literature {expected}"
        );
        assert!(
            sd > 0.75 * spread && sd < 1.15 * spread,
            "{diagnosis}: sd {sd}, literature {spread}"
        );
    }
}

/// Chance that a draw of the first class exceeds one of the second.
fn auc(high: &[f32], low: &[f32]) -> f32 {
    let wins = high
        .iter()
        .map(|h| low.iter().filter(|l| h > l).count())
        .sum::<usize>();
    wins as f32 / (high.len() * low.len()) as f32
}

#[test]
fn classes_overlap_as_they_do_in_patients() {
    let malignant = drawn_adc(Diagnosis::Malignant);
    let warthin = auc(&malignant, &drawn_adc(Diagnosis::Warthin));
    assert!((0.45..0.7).contains(&warthin), "malignant over Warthin {warthin}");
    let basal = auc(&drawn_adc(Diagnosis::BasalCellAdenoma), &malignant);
    assert!(
        (0.6..0.85).contains(&basal),
        "basal cell adenoma over malignant {basal}"
    );
    let pleomorphic = auc(&drawn_adc(Diagnosis::PleomorphicAdenoma), &malignant);
    assert!(
        (0.85..0.97).contains(&pleomorphic),
        "pleomorphic adenoma over malignant {pleomorphic}"
    );
}

#[test]
fn the_mask_agrees_with_the_truth() {
    for (seed, diagnosis) in [
        (21, Diagnosis::PleomorphicAdenoma),
        (22, Diagnosis::Warthin),
        (23, Diagnosis::BasalCellAdenoma),
        (24, Diagnosis::Malignant),
        (25, Diagnosis::None),
    ] {
        let patient = Patient::draw(seed, Some(diagnosis));
        let study = simulate(&patient);
        assert_eq!(
            study.truth.lesions.len(),
            patient.disease.lesions.len(),
            "seed {seed}"
        );
        let voxels = study.mask.iter().filter(|v| **v > 0).count();
        assert_eq!(voxels == 0, diagnosis == Diagnosis::None);
        for lesion in &study.truth.lesions {
            let grid = study.mask_grid();
            for ((s, r, c), _) in study.mask.indexed_iter().filter(|(_, v)| **v == lesion.number) {
                let p = grid.position(s as f64, r as f64, c as f64);
                let within = |a: usize| p[a] >= lesion.box_mm.min[a] && p[a] <= lesion.box_mm.max[a];
                assert!((0..3).all(within), "seed {seed}: voxel outside the box");
            }
            let middle = patient.scan.shift[0] as f64;
            assert_eq!(
                lesion.centroid_mm[0] > middle,
                lesion.side == Side::Left,
                "seed {seed}"
            );
            let extent = (0..3)
                .map(|a| lesion.box_mm.max[a] - lesion.box_mm.min[a])
                .fold(0.0, f64::max);
            assert!(lesion.long_axis_mm > 5.0 && lesion.long_axis_mm < 1.6 * extent);
        }
    }
}

#[test]
fn the_measured_adc_is_the_drawn_one() {
    // A large tumour without cysts: the ROI mean of a noisy map lies near the truth.
    let patient = (0..)
        .map(|seed| Patient::draw(seed, Some(Diagnosis::PleomorphicAdenoma)))
        .find(|p| !p.disease.lesions[0].cystic() && p.disease.lesions[0].adc > 1.5)
        .unwrap();
    let study = simulate(&patient);
    let lesion = &study.truth.lesions[0];
    let adc = &study.volumes[5];
    let inside = |p: [f64; 3]| {
        let radius = 0.2 * lesion.long_axis_mm;
        (0..3)
            .map(|a| (p[a] - lesion.centroid_mm[a]).powi(2))
            .sum::<f64>()
            .sqrt()
            < radius
    };
    let values: Vec<f64> = adc
        .voxels
        .indexed_iter()
        .filter(|((s, r, c), _)| inside(adc.grid.position(*s as f64, *r as f64, *c as f64)))
        .map(|(_, v)| f64::from(*v) / 1000.0)
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!(
        (mean - lesion.adc).abs() < 0.35,
        "measured {mean}, drawn {}",
        lesion.adc
    );
}

fn patient_of(vendor: Vendor) -> Patient {
    (100..)
        .map(|seed| Patient::draw(seed, Some(Diagnosis::PleomorphicAdenoma)))
        .find(|p| p.scan.vendor == vendor)
        .unwrap()
}

/// Type 1 and 2 attributes of the MR Image IOD (PS3.3 A.4) that every image of ours needs.
const REQUIRED: &[Tag] = &[
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::MODALITY,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::PATIENT_POSITION,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::MANUFACTURER,
    tags::INSTANCE_NUMBER,
    tags::PIXEL_SPACING,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::IMAGE_POSITION_PATIENT,
    tags::SLICE_THICKNESS,
    tags::IMAGE_TYPE,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::ROWS,
    tags::COLUMNS,
    tags::SCANNING_SEQUENCE,
    tags::SEQUENCE_VARIANT,
    tags::SCAN_OPTIONS,
    tags::MR_ACQUISITION_TYPE,
    tags::REPETITION_TIME,
    tags::ECHO_TIME,
    tags::ECHO_TRAIN_LENGTH,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
];

#[test]
fn files_are_valid_mr_images_with_each_makers_b_values() {
    for vendor in [Vendor::Siemens, Vendor::Ge, Vendor::Philips] {
        let dir = tempfile::tempdir().unwrap();
        let written = write_study(&patient_of(vendor), dir.path()).unwrap();
        assert_eq!(written.files, 6 * 24);
        let mut by_b = BTreeMap::new();
        let mut uids_seen = std::collections::BTreeSet::new();
        for path in files(&written.dicom) {
            let o = open_file(&path).unwrap();
            for tag in REQUIRED {
                assert!(
                    o.element(*tag).is_ok(),
                    "{vendor:?}: {tag} missing in {}",
                    path.display()
                );
            }
            assert_eq!(word(&o, tags::SOP_CLASS_UID), uids::MR_IMAGE_STORAGE);
            assert_eq!(o.meta().transfer_syntax(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
            assert!(word(&o, tags::IMAGE_COMMENTS).contains("SIMULATED"));
            let uid = word(&o, tags::SOP_INSTANCE_UID);
            assert!(uid.len() <= 64 && uid.starts_with("2.25."));
            assert!(uids_seen.insert(uid));
            let pixels = o.element(tags::ROWS).unwrap().to_int::<usize>().unwrap()
                * o.element(tags::COLUMNS).unwrap().to_int::<usize>().unwrap();
            assert_eq!(
                o.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len(),
                2 * pixels
            );
            let b_tag = match vendor {
                Vendor::Siemens => Tag(0x0019, 0x100C),
                Vendor::Ge => Tag(0x0043, 0x1039),
                Vendor::Philips => Tag(0x2001, 0x1003),
            };
            if let Ok(element) = o.element(b_tag) {
                let b = element.to_multi_float64().unwrap()[0] as i64 % 1_000_000_000;
                *by_b.entry(b).or_insert(0) += 1;
            }
        }
        assert_eq!(by_b, BTreeMap::from([(0, 24), (1000, 24)]), "{vendor:?}");
    }
}

#[test]
fn the_tumour_is_where_the_headers_say() {
    for vendor in [Vendor::Siemens, Vendor::Ge, Vendor::Philips] {
        let dir = tempfile::tempdir().unwrap();
        let patient = patient_of(vendor);
        let study = simulate(&patient);
        let written = phantom::write_simulated(&study, dir.path()).unwrap();
        let truth: Truth =
            serde_json::from_str(&fs::read_to_string(dir.path().join("truth.json")).unwrap()).unwrap();
        assert_eq!(truth, study.truth);
        // The slices of T2 from the files alone, ordered by position along the normal.
        let mut slices = Vec::new();
        for path in files(&written.dicom) {
            let o = open_file(&path).unwrap();
            if floats(&o, tags::ECHO_TIME)[0] != 78.0 {
                continue;
            }
            let position = floats(&o, tags::IMAGE_POSITION_PATIENT);
            let cosines = floats(&o, tags::IMAGE_ORIENTATION_PATIENT);
            let normal = [
                cosines[1] * cosines[5] - cosines[2] * cosines[4],
                cosines[2] * cosines[3] - cosines[0] * cosines[5],
                cosines[0] * cosines[4] - cosines[1] * cosines[3],
            ];
            let height: f64 = (0..3).map(|a| normal[a] * position[a]).sum();
            slices.push((height, position, cosines, floats(&o, tags::PIXEL_SPACING)));
        }
        slices.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(slices.len(), 24);
        let mask = fs::read(dir.path().join("mask.nii")).unwrap();
        let affine: Vec<f32> = mask[280..328]
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        let data = &mask[352..];
        let mut sums = [[0.0; 3]; 2];
        let mut count = 0.0;
        for (i, _) in data.iter().enumerate().filter(|(_, v)| **v == 1) {
            let (s, r, c) = (i / (320 * 320), i / 320 % 320, i % 320);
            let (_, position, cosines, spacing) = &slices[s];
            for a in 0..3 {
                sums[0][a] +=
                    position[a] + cosines[a] * spacing[1] * c as f64 + cosines[3 + a] * spacing[0] * r as f64;
                let row = &affine[4 * a..4 * a + 4];
                let ras = f64::from(row[0]) * c as f64
                    + f64::from(row[1]) * r as f64
                    + f64::from(row[2]) * s as f64
                    + f64::from(row[3]);
                sums[1][a] += if a < 2 { -ras } else { ras };
            }
            count += 1.0;
        }
        for sum in sums {
            for (axis, (total, expected)) in sum.iter().zip(truth.lesions[0].centroid_mm).enumerate() {
                let off = (total / count - expected).abs();
                assert!(off < 0.01, "{vendor:?}, axis {axis}: {off} mm");
            }
        }
    }
}

#[test]
fn contrasts_look_as_they_should() {
    // Without motion, so that the mask of the tumour fits every structural volume.
    let patient = (300..)
        .map(|seed| Patient::draw(seed, Some(Diagnosis::PleomorphicAdenoma)))
        .find(|p| p.scan.movement == [[0.0; 3]; 3] && !p.disease.lesions[0].cystic())
        .unwrap();
    let study = simulate(&patient);
    let mean = |contrast: Contrast| {
        let volume = study.volumes.iter().find(|v| v.contrast == contrast).unwrap();
        let inside: Vec<f64> = volume
            .voxels
            .indexed_iter()
            .filter(|(i, _)| study.mask[*i] == 1)
            .map(|(_, v)| f64::from(*v))
            .collect();
        let whole: Vec<f64> = volume
            .voxels
            .iter()
            .map(|v| f64::from(*v))
            .filter(|v| *v > 120.0)
            .collect();
        let average = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        average(&inside) / average(&whole)
    };
    assert!(mean(Contrast::T2) > 1.5, "pleomorphic adenoma is bright in T2");
    assert!(mean(Contrast::CeT1) > 1.2, "and takes up contrast agent");
    assert!(mean(Contrast::T1) < 1.0, "and is dark beside fat in T1");
}
