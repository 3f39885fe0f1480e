//! Reports, segmentations and captures as text, for people.

use std::fmt::Write as _;
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, OpenFileOptions};
use models::findings::{Fault, Reason};

use crate::limits::{MAX_CONTENT_DEPTH, MAX_REPORT_FILE_BYTES};

/// What a DICOM file of one of these kinds says.
///
/// # Errors
/// `unreadable`, `not_dicom`, `too_large`, or `not_a_report` for another kind of object.
pub fn describe(path: &Path) -> Result<String, Reason> {
    let reason = |code, text: String| Reason::new(code, Fault::Data, format!("{}: {text}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| reason("unreadable", error.to_string()))?;
    if !metadata.is_file() {
        return Err(reason("unreadable", "it is no file".to_owned()));
    }
    if metadata.len() > MAX_REPORT_FILE_BYTES {
        return Err(reason("too_large", format!("it has {} bytes", metadata.len())));
    }
    let object = OpenFileOptions::new()
        .open_file(path)
        .map_err(|error| reason("not_dicom", format!("it is no DICOM file: {error}")))?;
    let class = object.meta().media_storage_sop_class_uid().to_owned();
    let mut out = String::new();
    header(&object, &mut out);
    match class.as_str() {
        uids::COMPREHENSIVE3_DSR_STORAGE
        | uids::COMPREHENSIVE_SR_STORAGE
        | uids::ENHANCED_SR_STORAGE
        | uids::BASIC_TEXT_SR_STORAGE => content(&object, 0, &mut out),
        uids::SEGMENTATION_STORAGE => segments(&object, &mut out),
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE => {
            let (columns, rows) = (text(&object, tags::COLUMNS), text(&object, tags::ROWS));
            line(&mut out, 0, &format!("Picture of {columns} x {rows} pixels"));
        }
        _ => {
            return Err(reason(
                "not_a_report",
                "it is no report, segmentation or capture".to_owned(),
            ));
        }
    }
    Ok(out.trim_end().to_owned())
}

fn header(object: &InMemDicomObject, out: &mut String) {
    for (name, tag) in [
        ("Patient", tags::PATIENT_NAME),
        ("Patient ID", tags::PATIENT_ID),
        ("Study", tags::STUDY_INSTANCE_UID),
        ("Accession number", tags::ACCESSION_NUMBER),
        ("Series", tags::SERIES_DESCRIPTION),
        ("Instance", tags::SOP_INSTANCE_UID),
        ("Made", tags::CONTENT_DATE),
        ("By", tags::MANUFACTURER_MODEL_NAME),
        ("Software", tags::SOFTWARE_VERSIONS),
        ("Completion", tags::COMPLETION_FLAG),
        ("Verification", tags::VERIFICATION_FLAG),
        ("Qualification", tags::CONTENT_QUALIFICATION),
        ("Label", tags::CONTENT_LABEL),
    ] {
        let value = text(object, tag);
        if !value.is_empty() {
            line(out, 0, &format!("{name}: {value}"));
        }
    }
    out.push('\n');
}

/// A content item and those below it.
fn content(item: &InMemDicomObject, depth: usize, out: &mut String) {
    let name = meaning(item, tags::CONCEPT_NAME_CODE_SEQUENCE);
    let value = value(item);
    let both = [name, value];
    let both: Vec<&str> = both
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    line(out, depth, &both.join(": "));
    if depth < MAX_CONTENT_DEPTH {
        let below = items(item, tags::CONTENT_SEQUENCE);
        // A series is not listed image by image.
        for alike in below.chunk_by(|a, b| is_image(a) && is_image(b)) {
            match alike {
                [first, _, ..] => {
                    let name = meaning(first, tags::CONCEPT_NAME_CODE_SEQUENCE);
                    line(out, depth + 1, &format!("{name}: {} images", alike.len()));
                }
                _ => alike.iter().for_each(|item| content(item, depth + 1, out)),
            }
        }
    }
}

fn is_image(item: &InMemDicomObject) -> bool {
    text(item, tags::VALUE_TYPE) == "IMAGE"
}

fn value(item: &InMemDicomObject) -> String {
    match text(item, tags::VALUE_TYPE).as_str() {
        "CODE" => meaning(item, tags::CONCEPT_CODE_SEQUENCE),
        "TEXT" => text(item, tags::TEXT_VALUE),
        "UIDREF" => text(item, tags::UID),
        "NUM" => {
            let Some(measured) = items(item, tags::MEASURED_VALUE_SEQUENCE).first() else {
                return "not measured".to_owned();
            };
            let unit = items(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE).first();
            let unit = unit.map(|unit| text(unit, tags::CODE_VALUE)).unwrap_or_default();
            format!("{} {unit}", text(measured, tags::NUMERIC_VALUE))
        }
        "IMAGE" | "COMPOSITE" => {
            let Some(to) = items(item, tags::REFERENCED_SOP_SEQUENCE).first() else {
                return String::new();
            };
            let mut value = text(to, tags::REFERENCED_SOP_INSTANCE_UID);
            for (what, tag) in [
                ("frame", tags::REFERENCED_FRAME_NUMBER),
                ("segment", tags::REFERENCED_SEGMENT_NUMBER),
            ] {
                let number = text(to, tag);
                if !number.is_empty() {
                    let _ = write!(value, ", {what} {number}");
                }
            }
            value
        }
        "DATE" => text(item, tags::DATE),
        "TIME" => text(item, tags::TIME),
        "DATETIME" => text(item, tags::DATE_TIME),
        "PNAME" => text(item, tags::PERSON_NAME),
        _ => String::new(),
    }
}

fn segments(object: &InMemDicomObject, out: &mut String) {
    let groups = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let of = |frame: &InMemDicomObject| {
        let segment = items(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE).first();
        segment.map(|segment| text(segment, tags::REFERENCED_SEGMENT_NUMBER))
    };
    for segment in items(object, tags::SEGMENT_SEQUENCE) {
        let number = text(segment, tags::SEGMENT_NUMBER);
        let frames = groups
            .iter()
            .filter(|frame| of(frame).as_ref() == Some(&number))
            .count();
        let label = text(segment, tags::SEGMENT_LABEL);
        line(out, 0, &format!("Segment {number}: {label}, {frames} frames"));
        for (name, tag) in [
            ("Kind", tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE),
            ("Region", tags::ANATOMIC_REGION_SEQUENCE),
        ] {
            line(out, 1, &format!("{name}: {}", meaning(segment, tag)));
        }
        line(
            out,
            1,
            &format!("Algorithm: {}", text(segment, tags::SEGMENT_ALGORITHM_NAME)),
        );
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Control characters of a foreign file could steer the terminal.
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let _ = writeln!(out, "{:width$}{}", "", plain.trim_end(), width = 2 * depth);
}

fn meaning(object: &InMemDicomObject, sequence: Tag) -> String {
    items(object, sequence)
        .first()
        .map(|code| text(code, tags::CODE_MEANING))
        .unwrap_or_default()
}

fn items(object: &InMemDicomObject, sequence: Tag) -> &[InMemDicomObject] {
    object
        .get(sequence)
        .and_then(|element| element.items())
        .unwrap_or_default()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object
        .get(tag)
        .and_then(|element| element.to_str().ok())
        .map(|text| text.trim_matches([' ', '\0']).to_owned())
        .unwrap_or_default()
}
