//! Real scans of four makers. They are not part of this project: `SIALOSCOPE_MR_DATA` names their
//! folder; without it each test says that it is skipped.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use models::findings::Reason;
use models::mr::{Confidence, Contrast, Scan, scan};
use models::study::{Inspection, Study};

/// The folder of one scanner, or none, with a line that says so.
fn folder(name: &str) -> Option<PathBuf> {
    match std::env::var_os("SIALOSCOPE_MR_DATA") {
        Some(root) => Some(Path::new(&root).join(name)),
        None => {
            eprintln!("skipped: {name} (SIALOSCOPE_MR_DATA names no folder)");
            None
        }
    }
}

/// Contrast, b-value and shape of all volumes.
fn volumes(scan: &Scan) -> Vec<(Option<Contrast>, Option<f64>, [usize; 3])> {
    let volumes = scan.series.iter().flat_map(|s| &s.volumes);
    volumes.map(|v| (v.contrast, v.b_value, v.grid.shape)).collect()
}

fn series_codes(scan: &Scan) -> Vec<&str> {
    scan.series
        .iter()
        .flat_map(|s| &s.refused)
        .map(|r| r.reason.code.as_str())
        .collect()
}

fn near(a: [f64; 3], b: [f64; 3], tolerance: f64) -> bool {
    (0..3).all(|i| (a[i] - b[i]).abs() < tolerance)
}

#[test]
fn philips_t1_and_diffusion() {
    let Some(folder) = folder("philips-elition-3t") else {
        return;
    };
    let scan = scan(&[folder]);
    assert_eq!(
        volumes(&scan),
        [
            (Some(Contrast::T1), None, [170, 256, 256]),
            (Some(Contrast::DwiB0), Some(0.0), [82, 128, 128]),
            (Some(Contrast::Dwi), Some(1000.0), [82, 128, 128]),
        ]
    );
    assert_eq!(scan.studies.len(), 1);
    let t1 = &scan.series[0].volumes[0];
    let (b0, dwi) = (&scan.series[1].volumes[0], &scan.series[1].volumes[1]);
    assert_eq!(t1.frame_of_reference_uid, b0.frame_of_reference_uid);
    assert!(near(t1.grid.spacing(), [1.0; 3], 1e-3));
    assert!(near(b0.grid.spacing(), [2.0; 3], 1e-3));
    // Sagittal slices, numbered from the patient's left; ours run along the normal.
    assert!(
        near(t1.grid.normal(), [-0.997, -0.039, -0.061], 2e-3),
        "{:?}",
        t1.grid.normal()
    );
    assert!(
        near(b0.grid.normal(), [-0.061, 0.0, 0.998], 2e-3),
        "{:?}",
        b0.grid.normal()
    );
    // All four measured directions, since gradient orientations show that none is a trace.
    assert_eq!(dwi.further_directions.len(), 3);
    let mean = |v: &models::mr::VolumeIndex| f64::from(v.load().unwrap().voxels.mean().unwrap());
    // Diffusion weighting takes signal away.
    assert!(mean(dwi) < 0.5 * mean(b0));
    assert!(mean(t1) > 100.0);
}

#[test]
fn siemens_t1_and_mosaics() {
    let Some(folder) = folder("siemens-prisma-3t") else {
        return;
    };
    let scan = scan(&[folder]);
    assert_eq!(
        volumes(&scan),
        [
            (Some(Contrast::T1), None, [35, 256, 256]),
            (Some(Contrast::DwiB0), Some(0.0), [25, 128, 128]),
            (Some(Contrast::Dwi), Some(1000.0), [25, 128, 128]),
        ]
    );
    let [t1, b0, dwi] = [
        &scan.series[0].volumes[0],
        &scan.series[1].volumes[0],
        &scan.series[1].volumes[1],
    ];
    assert!(near(t1.grid.spacing(), [4.8, 1.015_625, 1.015_625], 1e-3));
    assert!(near(b0.grid.spacing(), [5.2, 1.718_75, 1.718_75], 1e-3));
    assert_eq!(dwi.further_directions.len(), 11);
    // Against the T1 of the same head, which reaches further down.
    let (a, b) = (centre_of_mass(t1), centre_of_mass(b0));
    assert!(
        (a[0] - b[0]).abs() < 5.0 && (a[1] - b[1]).abs() < 15.0,
        "{a:?} {b:?}"
    );
    assert!((0.0..40.0).contains(&(b[2] - a[2])), "{a:?} {b:?}");
    assert!(series_codes(&scan).is_empty(), "{:?}", series_codes(&scan));
}

/// Where the signal is, patient millimetres.
fn centre_of_mass(index: &models::mr::VolumeIndex) -> [f64; 3] {
    let voxels = index.voxels().unwrap();
    let mean = voxels.mean().unwrap();
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for ((s, r, c), value) in voxels.indexed_iter() {
        if *value > mean {
            let p = index.grid.position(s as f64, r as f64, c as f64);
            (0..3).for_each(|a| sum[a] += p[a]);
            count += 1.0;
        }
    }
    sum.map(|v| v / count)
}

#[test]
fn siemens_enhanced_t1_diffusion_and_maps() {
    let Some(folder) = folder("siemens-xa30-enhanced") else {
        return;
    };
    let scan = scan(&[folder]);
    assert_eq!(
        volumes(&scan),
        [
            (Some(Contrast::T1), None, [96, 128, 128]),
            (Some(Contrast::Adc), None, [39, 72, 72]),
            (Some(Contrast::Dwi), Some(2500.0), [39, 72, 72]),
            (None, None, [39, 72, 72]),
            (Some(Contrast::Adc), None, [39, 72, 72]),
            (Some(Contrast::Dwi), Some(2500.0), [39, 72, 72]),
        ]
    );
    let adc = scan.series[1].volumes[0].load().unwrap();
    let typical = adc.voxels.iter().filter(|v| (0.5..1.2).contains(*v)).count();
    assert!(typical > 5_000, "{typical} voxels with the ADC of brain");
    assert!(series_codes(&scan).is_empty(), "{:?}", series_codes(&scan));
}

#[test]
fn ge_t1_diffusion_and_functional() {
    let Some(folder) = folder("ge-signa") else { return };
    for (part, expected) in [
        ("anatomical/001", &[(Some(Contrast::T1), None, [4, 256, 256])][..]),
        (
            "anatomical/001_implicit",
            &[(Some(Contrast::T1), None, [4, 256, 256])],
        ),
        (
            "dti/001",
            &[
                (Some(Contrast::DwiB0), Some(0.0), [4, 128, 128]),
                (Some(Contrast::Dwi), Some(1000.0), [4, 128, 128]),
            ],
        ),
        (
            "dti/001_implicit",
            &[
                (Some(Contrast::DwiB0), Some(0.0), [4, 128, 128]),
                (Some(Contrast::Dwi), Some(1000.0), [4, 128, 128]),
            ],
        ),
        // Left out by name, each of its time points.
        ("fmri/001", &[(None, None, [4, 64, 64]); 2]),
        ("fmri/001_implicit", &[(None, None, [4, 64, 64]); 2]),
    ] {
        assert_eq!(volumes(&scan(&[folder.join(part)])), expected, "{part}");
    }
}

#[test]
fn broken_geometry_is_refused_each_by_its_own_reason() {
    let Some(folder) = folder("broken-geometry") else {
        return;
    };
    for (part, code) in [
        ("gantrytilting/001", "not_mr"),
        ("notavolume/001", "not_mr"),
        ("sliceincrement/001", "not_mr"),
        ("sliceincrement/002", "not_mr"),
        ("slicecount/001", "too_few_slices"),
        ("sliceorientation/001", "mixed_orientation"),
    ] {
        let scan = scan(&[folder.join(part)]);
        assert_eq!(series_codes(&scan), [code], "{part}");
        assert!(volumes(&scan).is_empty(), "{part}");
    }
}

#[test]
fn a_converted_head_is_t1_by_its_description_only() {
    let Some(folder) = folder("studyforrest-t1") else {
        return;
    };
    let scan = scan(&[folder]);
    assert_eq!(volumes(&scan), [(Some(Contrast::T1), None, [384, 384, 274])]);
    assert_eq!(scan.series[0].volumes[0].confidence, Confidence::Low);
}

#[test]
fn one_image_in_nine_encodings_has_the_same_voxels() {
    let Some(folder) = folder("nine-encodings") else {
        return;
    };
    let voxels = |n: usize| {
        let scan = scan(&[folder.join(format!("{n}.dcm"))]);
        let volume = &scan.series[0].volumes[0];
        assert_eq!(volume.contrast, None, "functional imaging is none of ours");
        volume.voxels().unwrap_or_else(|e| panic!("{n}: {}", e.text))
    };
    let first = voxels(1);
    assert!(first.iter().any(|v| *v > 1000.0));
    for n in 2..=9 {
        assert_eq!(first, voxels(n), "{n}");
    }
}

#[test]
fn nothing_in_the_whole_folder_panics() {
    let Some(folder) = folder("") else { return };
    let scan = scan(&[folder]);
    for volume in scan.series.iter().flat_map(|s| &s.volumes) {
        volume.voxels().unwrap();
    }
}

/// Assembles one scanner's folder and says what is wrong with it.
fn inspected(scan: &Scan) -> (Study, Inspection) {
    let study = Study::assemble(scan).unwrap_or_else(|e| panic!("{:?}", e.reasons));
    let inspection = study.inspect();
    (study, inspection)
}

fn said(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|r| r.code.as_str()).collect()
}

#[test]
fn real_heads_look_like_heads() {
    for name in [
        "philips-elition-3t",
        "siemens-prisma-3t",
        "siemens-xa30-enhanced",
        "ge-signa/anatomical/001",
        "ge-signa/dti/001",
        "studyforrest-t1",
    ] {
        let Some(folder) = folder(name) else { return };
        let (_, inspection) = inspected(&scan(&[folder]));
        assert_eq!(
            said(&inspection.refusals),
            [""; 0],
            "{name}: {:?}",
            inspection.refusals
        );
        // Too little of the head, or two diffusion series of the brain alone, may be remarked; these may not.
        for never in [
            "motion_ghosts",
            "contrast_swapped",
            "no_enhancement",
            "contrast_order",
        ] {
            assert!(
                !said(&inspection.remarks).contains(&never),
                "{name}: {:?}",
                inspection.remarks
            );
        }
    }
}

/// A whole head at 1.5 or 3 T, well made: nothing is wrong with it.
#[test]
fn a_good_real_head_has_no_remarks() {
    let Some(folder) = folder("studyforrest-t1") else {
        return;
    };
    let (_, inspection) = inspected(&scan(&[folder]));
    assert_eq!(inspection, Inspection::default());
}

/// Its T1 and its diffusion series have different frames of reference; the scanner's own positions,
/// minutes apart, are the truth as far as the patient lay still.
#[test]
fn a_real_diffusion_series_is_registered_to_its_t1() {
    let Some(folder) = folder("siemens-prisma-3t") else {
        return;
    };
    let scan = scan(&[folder]);
    let (study, _) = inspected(&scan);
    let used = |c: Contrast| study.origins.iter().find(|o| o.contrast == c).unwrap();
    let found = used(Contrast::DwiB0).registered.unwrap();
    assert!(found.shift_mm < 3.0 && found.rotation_degrees < 2.0, "{found:?}");
    assert_eq!(used(Contrast::Dwi).registered, Some(found));
    assert_eq!(used(Contrast::T1).registered, None);
    assert_eq!(said(&study.quality), ["registered"]);
}

/// The same head moved on paper by a known motion is brought back to where it was found before.
#[test]
fn a_real_head_is_found_again_after_a_known_motion() {
    let Some(folder) = folder("philips-elition-3t") else {
        return;
    };
    let mut scan = scan(&[folder]);
    for volume in scan.series.iter_mut().flat_map(|s| &mut s.volumes) {
        if volume.contrast != Some(Contrast::T1) {
            volume.frame_of_reference_uid = Some("1.2.9".to_owned());
        }
    }
    let before = Study::assemble(&scan).unwrap();
    for volume in scan.series.iter_mut().flat_map(|s| &mut s.volumes) {
        if volume.contrast != Some(Contrast::T1) {
            let (sin, cos) = 6f64.to_radians().sin_cos();
            let turn = |v: [f64; 3]| [cos * v[0] - sin * v[1], sin * v[0] + cos * v[1], v[2]];
            let [x, y, z] = turn(volume.grid.origin);
            volume.grid.origin = [x + 10.0, y - 7.0, z + 8.0];
            volume.grid.slice_step = turn(volume.grid.slice_step);
            volume.grid.row_step = turn(volume.grid.row_step);
            volume.grid.column_step = turn(volume.grid.column_step);
        }
    }
    let after = Study::assemble(&scan).unwrap();
    let [a, b] = [&before, &after].map(|s| &s.volumes[&Contrast::DwiB0].grid);
    for index in [[0.0, 30.0, 64.0], [41.0, 64.0, 20.0], [81.0, 64.0, 100.0]] {
        let [p, q] = [a, b].map(|g| g.position(index[0], index[1], index[2]));
        assert!(near(p, q, 3.0), "{p:?} {q:?}");
    }
}
