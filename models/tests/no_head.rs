//! A bottle in the scanner: the whole way from DICOM files to an answer that is none.

#![allow(clippy::unwrap_used)]

mod made;

use std::path::Path;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use made::{Slice, decimals, write_all};
use models::findings::Outcome;
use models::mr::scan;
use models::run::{Model, examine};

/// Pixels of 2.4 mm per row and column.
const SIDE: usize = 100;

/// A T2-weighted water bottle of 13 cm diameter, as its slices come from the scanner.
fn bottle() -> Vec<Slice> {
    let half = (SIDE as f64 - 1.0) / 2.0 * 2.4;
    let pixel = |i: usize| i as f64 * 2.4 - half;
    (0..24u32)
        .map(|n| {
            let mut noise = n;
            let pixels = (0..SIDE * SIDE).map(|i| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let inside = pixel(i / SIDE).hypot(pixel(i % SIDE)) < 65.0;
                let signal = if inside { 900 } else { 10 };
                signal + (noise >> 28) as u16
            });
            let mut slice = Slice::new(3.85 * f64::from(n), 0);
            slice.pixels = PrimitiveValue::U16(pixels.collect());
            slice
                .set(tags::ROWS, VR::US, SIDE as u16)
                .set(tags::COLUMNS, VR::US, SIDE as u16)
                .set(tags::PIXEL_SPACING, VR::DS, decimals(&[2.4, 2.4]))
                .set(tags::REPETITION_TIME, VR::DS, "4460")
                .set(tags::ECHO_TIME, VR::DS, "78")
                .at([-half, -half, 3.85 * f64::from(n)]);
            slice
        })
        .collect()
}

#[test]
fn a_bottle_is_not_answered_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), "bottle", &bottle());
    let scan = scan(&[folder.path().to_owned()]);
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid");
    let model = Model::load(&package, 1).unwrap();
    let findings = examine(Ok(&model), &scan, "test").findings;
    assert_eq!(findings.outcome, Outcome::CannotAnswer);
    let codes: Vec<&str> = findings.reasons.iter().map(|r| r.code.as_str()).collect();
    // What is missing beside it would only distract.
    assert_eq!(codes, ["not_a_head"], "{:?}", findings.reasons);
    assert!(findings.quality.is_empty());
    assert!(findings.lesions.is_empty());
}

/// Without a model the reason still reaches the page, beside that of the model.
#[test]
fn a_bottle_is_named_even_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), "bottle", &bottle());
    let scan = scan(&[folder.path().to_owned()]);
    let missing = models::findings::Reason::new(
        "package_missing",
        models::findings::Fault::Configuration,
        "no model",
    );
    let findings = examine(Err(&missing), &scan, "test").findings;
    let codes: Vec<&str> = findings.reasons.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["not_a_head", "package_missing"]);
}
