//! Which of several series becomes a contrast, and what is said about the others.

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
