//! Which of several series becomes a contrast, what is said about the others, and what is computed in the
//! place of one that is not there.

#![allow(clippy::unwrap_used)]

mod made;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use made::{EXPLICIT, Slice, stack};
use models::mr::{Contrast, scan};
use models::study::Study;

/// Number of the series, acquisition time, agent.
type Made = (u32, &'static str, Option<&'static str>);

fn study(series: &[Made]) -> Study {
    let folder = tempfile::tempdir().unwrap();
    for (number, time, agent) in series {
        for (n, slice) in stack(6).iter_mut().enumerate() {
            slice
                .set(tags::SERIES_INSTANCE_UID, VR::UI, format!("1.2.3.{number}"))
                .set(tags::SERIES_NUMBER, VR::IS, number.to_string())
                .set(tags::ACQUISITION_DATE, VR::DA, "20260101")
                .set(tags::ACQUISITION_TIME, VR::TM, *time);
            if let Some(agent) = agent {
                slice.set(tags::CONTRAST_BOLUS_AGENT, VR::LO, *agent);
            }
            Slice::write(slice, folder.path(), &format!("{number}-{n}"), EXPLICIT);
        }
    }
    Study::assemble(&scan(&[folder.path().to_owned()])).unwrap()
}

fn chosen(study: &Study, contrast: Contrast) -> Option<i64> {
    let origin = study.origins.iter().find(|o| o.contrast == contrast)?;
    origin.series_number
}

fn refusals(study: &Study) -> Vec<(&str, &str)> {
    let refused = study.refused.iter();
    refused
        .map(|r| (r.input.as_str(), r.reason.code.as_str()))
        .collect()
}

#[test]
fn a_series_repeated_after_motion_replaces_the_first() {
    let study = study(&[(3, "100000", Some("Gadovist")), (2, "101000", Some("Gadovist"))]);
    assert_eq!(chosen(&study, Contrast::CeT1), Some(2));
    assert_eq!(refusals(&study), [("series 3 “”", "not_chosen")]);
}

#[test]
fn a_t1_after_contrast_agent_is_no_t1() {
    let study = study(&[
        (2, "100000", None),
        (3, "101000", Some("Gadovist")),
        (4, "102000", None),
    ]);
    assert_eq!(chosen(&study, Contrast::T1), Some(2));
    assert_eq!(chosen(&study, Contrast::CeT1), Some(3));
    assert_eq!(refusals(&study), [("series 4 “”", "contrast_agent_unknown")]);
    assert!(study.quality.is_empty());
}

#[test]
fn two_t1_without_a_word_of_contrast_agent_are_ambiguous() {
    let study = study(&[(2, "100000", None), (3, "101000", None)]);
    assert_eq!(chosen(&study, Contrast::T1), Some(2));
    assert_eq!(chosen(&study, Contrast::CeT1), None);
    assert_eq!(study.quality.len(), 1);
    assert_eq!(study.quality[0].code, "contrast_agent_unknown");
    assert!(
        study.quality[0].text.contains("series 3"),
        "{}",
        study.quality[0].text
    );
}

/// The simulated scanner's own map is the truth; it was made before noise and distortion of magnitudes were
/// rounded to integers, so the two differ a little.
#[test]
fn an_adc_map_that_was_not_sent_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let written = phantom::write_study(&phantom::Patient::draw(7, None), folder.path()).unwrap();
    let mut scan = scan(&[written.dicom]);
    let sent = Study::assemble(&scan).unwrap();
    for series in &mut scan.series {
        series.volumes.retain(|v| v.contrast != Some(Contrast::Adc));
    }
    let study = Study::assemble(&scan).unwrap();
    let origin = study
        .origins
        .iter()
        .find(|o| o.contrast == Contrast::Adc)
        .unwrap();
    assert!(origin.computed, "{origin:?}");
    assert!(origin.reason.contains("b = 1000"), "{}", origin.reason);
    assert!(sent.origins.iter().all(|o| !o.computed));

    let [truth, computed] = [&sent, &study].map(|s| &s.volume(Contrast::Adc).unwrap().voxels);
    let b0 = &study.volume(Contrast::DwiB0).unwrap().voxels;
    let bright = 0.3 * b0.iter().copied().fold(0.0, f32::max);
    let mut apart: Vec<f32> = Vec::new();
    for ((truth, computed), b0) in truth.iter().zip(computed).zip(b0) {
        if *b0 > bright && *truth > 0.3 && *truth < 2.0 {
            apart.push((computed - truth).abs() / truth);
        }
    }
    apart.sort_by(f32::total_cmp);
    assert!(apart.len() > 1000, "{}", apart.len());
    let median = apart[apart.len() / 2];
    assert!(median < 0.05, "{median}");

    // Without the high b-value there is nothing to compute it from.
    for series in &mut scan.series {
        series.volumes.retain(|v| v.contrast != Some(Contrast::Dwi));
    }
    assert!(Study::assemble(&scan).unwrap().volume(Contrast::Adc).is_none());
}
