//! Contrasts of different frames of reference: registered, marked, or refused.
//!
//! A simulated patient is written as a scanner would send it; then the headers of some series are
//! turned and shifted as if the patient had left the table in between.

#![allow(clippy::unwrap_used)]

use models::findings::Registration;
use models::mr::{Contrast, Grid, Scan, scan};
use models::study::Study;
use phantom::{Patient, simulate, write_simulated};

const DIFFUSION: [Contrast; 3] = [Contrast::DwiB0, Contrast::Dwi, Contrast::Adc];

/// The headers of one simulated patient, and the folder that holds the files.
fn patient() -> (tempfile::TempDir, Scan) {
    let folder = tempfile::tempdir().unwrap();
    let study = simulate(&Patient::draw(7, None));
    write_simulated(&study, folder.path()).unwrap();
    let scan = scan(&[folder.path().join("dicom")]);
    (folder, scan)
}

/// Turns a grid about z by some degrees around the origin, then shifts it.
fn moved(grid: &Grid, degrees: f64, shift: [f64; 3]) -> Grid {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turn = |v: [f64; 3]| [cos * v[0] - sin * v[1], sin * v[0] + cos * v[1], v[2]];
    let origin = turn(grid.origin);
    Grid {
        origin: std::array::from_fn(|a| origin[a] + shift[a]),
        slice_step: turn(grid.slice_step),
        row_step: turn(grid.row_step),
        column_step: turn(grid.column_step),
        shape: grid.shape,
    }
}

/// Gives some contrasts another frame of reference, in which they lie elsewhere.
fn displace(scan: &mut Scan, contrasts: &[Contrast], frame: Option<&str>) {
    for volume in scan.series.iter_mut().flat_map(|s| &mut s.volumes) {
        if volume.contrast.is_some_and(|c| contrasts.contains(&c)) {
            volume.frame_of_reference_uid = frame.map(str::to_owned);
            volume.grid = moved(&volume.grid, 5.0, [12.0, -8.0, 9.0]);
        }
    }
}

/// How far apart two grids put the same voxels, mm: the largest over the corners of 8 cm around the
/// middle.
fn apart(a: &Grid, b: &Grid) -> f64 {
    let half = a.shape.map(|n| (n as f64 - 1.0) / 2.0);
    let middle = a.position(half[0], half[1], half[2]);
    let mut worst = 0.0f64;
    for axis in 0..3 {
        for side in [-80.0, 80.0] {
            let mut corner = middle;
            corner[axis] += side;
            let [s, r, c] = a.index_of(corner);
            let there = b.position(s, r, c);
            let distance = (0..3).map(|i| (there[i] - corner[i]).powi(2)).sum::<f64>().sqrt();
            worst = worst.max(distance);
        }
    }
    worst
}

fn registration(study: &Study, contrast: Contrast) -> Option<Registration> {
    study.origins.iter().find(|o| o.contrast == contrast)?.registered
}

#[test]
fn one_frame_is_left_as_the_scanner_says() {
    let (_folder, scan) = patient();
    let study = Study::assemble(&scan).unwrap();
    assert_eq!(study.volumes.len(), 6);
    assert!(study.origins.iter().all(|o| o.registered.is_none()));
    assert!(study.quality.is_empty());
    for series in &scan.series {
        for index in &series.volumes {
            assert_eq!(study.volumes[&index.contrast.unwrap()].grid, index.grid);
        }
    }
}

#[test]
fn another_frame_is_registered_and_marked() {
    let (_folder, mut scan) = patient();
    let truth = Study::assemble(&scan).unwrap();
    displace(&mut scan, &[Contrast::CeT1], Some("1.2.9"));
    let study = Study::assemble(&scan).unwrap();
    let error = apart(
        &truth.volumes[&Contrast::CeT1].grid,
        &study.volumes[&Contrast::CeT1].grid,
    );
    // The simulated patient moves by up to 1.5 mm between series, and that is found too.
    assert!(error < 2.5, "{error} mm");
    let marked = registration(&study, Contrast::CeT1).unwrap();
    assert!((marked.rotation_degrees - 5.0).abs() < 1.0, "{marked:?}");
    assert_eq!(study.quality.len(), 1);
    assert_eq!(study.quality[0].code, "registered");
    assert!(
        study.quality[0].text.contains("CE-T1"),
        "{}",
        study.quality[0].text
    );
    assert_eq!(registration(&study, Contrast::T1), None);
}

#[test]
fn diffusion_moves_together() {
    let (_folder, mut scan) = patient();
    let truth = Study::assemble(&scan).unwrap();
    displace(&mut scan, &DIFFUSION, Some("1.2.9"));
    let study = Study::assemble(&scan).unwrap();
    let first = registration(&study, Contrast::DwiB0).unwrap();
    for contrast in DIFFUSION {
        assert_eq!(registration(&study, contrast), Some(first), "{contrast}");
        let error = apart(&truth.volumes[&contrast].grid, &study.volumes[&contrast].grid);
        assert!(error < 3.0, "{contrast}: {error} mm");
    }
    assert_eq!(study.quality.len(), 1, "one remark for the three");
}

/// A map that was computed elsewhere and lost its frame of reference goes with its diffusion series.
#[test]
fn a_map_without_a_frame_goes_with_its_series() {
    let (_folder, mut scan) = patient();
    displace(&mut scan, &DIFFUSION[..2], Some("1.2.9"));
    displace(&mut scan, &DIFFUSION[2..], None);
    let study = Study::assemble(&scan).unwrap();
    let [b0, adc] = [Contrast::DwiB0, Contrast::Adc].map(|c| registration(&study, c));
    assert!(b0.is_some());
    assert_eq!(b0, adc);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (_folder, mut scan) = patient();
    // The slices of the T1 in another order are no head any more.
    for volume in scan.series.iter_mut().flat_map(|s| &mut s.volumes) {
        if volume.contrast == Some(Contrast::T1) {
            volume.frame_of_reference_uid = Some("1.2.9".to_owned());
            let count = volume.slices.len();
            let mixed = (0..count).map(|i| volume.slices[i * 7 % count].clone());
            volume.slices = mixed.collect();
            volume.grid.slice_step = volume.grid.slice_step.map(|v| 3.0 * v);
        }
    }
    let study = Study::assemble(&scan).unwrap();
    assert!(study.volume(Contrast::T1).is_none());
    assert!(
        study.refused.iter().any(|r| r.reason.code == "not_registered"),
        "{:?}",
        study.refused
    );
    assert!(study.quality.is_empty());
}

/// A series in the anchor's frame goes before a better one that would have to be registered.
#[test]
fn the_scanners_geometry_goes_before_registration() {
    let (_folder, mut scan) = patient();
    let own = scan
        .series
        .iter()
        .position(|s| s.volumes.iter().any(|v| v.contrast == Some(Contrast::T1)))
        .unwrap();
    let mut repeat = scan.series[own].clone();
    repeat.uid += ".1";
    // Later series are preferred, all else being equal.
    repeat.number = repeat.number.map(|n| n + 100);
    repeat.volumes[0].frame_of_reference_uid = Some("1.2.9".to_owned());
    scan.series.push(repeat);
    let study = Study::assemble(&scan).unwrap();
    assert_eq!(registration(&study, Contrast::T1), None);
    assert!(study.refused.iter().any(|r| r.reason.code == "not_chosen"));
}

/// Findings written before registration existed still read.
#[test]
fn findings_from_before_registration_still_read() {
    let old = r#"{"contrast":"T1","b_value":null,"series_instance_uid":"1.2","series_number":1,
        "description":"t1","reason":"T1-weighted.","confidence":"high","used_by_model":false}"#;
    let used: models::findings::ContrastUse = serde_json::from_str(old).unwrap();
    assert_eq!(used.registered, None);
    assert_eq!(used.acquired, None);
    assert!(!serde_json::to_string(&used).unwrap().contains("registered"));
}
