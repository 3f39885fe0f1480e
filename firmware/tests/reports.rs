//! Objects about findings: what of the images they repeat, and when there are none.
#![allow(clippy::unwrap_used)]

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTable;
use firmware::report::{Device, Object, objects};
use models::findings::{Findings, StudyIdentity};
use models::mr::{Attribute, DataSet, Evidence, Syntax};
use proptest::prelude::*;
use time::OffsetDateTime;

fn about(attributes: Vec<(Tag, Vec<u8>)>) -> Vec<Object> {
    let attribute = |(tag, value): (Tag, Vec<u8>)| Attribute {
        tag: (tag.group(), tag.element()),
        value,
    };
    let evidence = Evidence {
        attributes: attributes.into_iter().map(attribute).collect(),
        ..Evidence::default()
    };
    let study = StudyIdentity {
        study_instance_uid: "1.2.3".to_owned(),
        ..StudyIdentity::default()
    };
    let findings = Findings {
        study,
        ..Findings::blank("0")
    };
    let device = Device::new("1", "SIALOSCOPE");
    objects(
        &findings,
        &evidence,
        None,
        &device,
        None,
        OffsetDateTime::UNIX_EPOCH,
    )
    .unwrap()
}

/// The data set of an object.
fn data_set(object: &Object) -> Vec<u8> {
    let mut rest = &object.file[128..];
    FileMetaTable::from_reader(&mut rest).unwrap();
    rest.to_vec()
}

#[test]
fn nothing_is_said_about_a_study_of_which_nothing_is_known() {
    assert_eq!(about(vec![]), []);
    assert_eq!(about(vec![(tags::PATIENT_ID, b"P1".to_vec())]).len(), 1);
}

proptest! {
    /// Whatever the character set, names, escapes and delimiters: they arrive byte for byte.
    #[test]
    fn texts_of_the_images_arrive_unchanged(
        name in prop::collection::vec(prop_oneof![4 => 0x21..=0x7E_u8, 4 => 0xA1..=0xFE_u8, 1 => Just(0x1B)], 1..200),
        set in "[A-Z_ 0-9]{0,16}(\\\\ISO 2022 IR [0-9]{1,3}){0,3}",
        weight in prop_oneof![Just("76.5"), Just("1e2"), Just("080")],
    ) {
        let set = set.trim().as_bytes().to_vec();
        let attributes = vec![
            (tags::SPECIFIC_CHARACTER_SET, set),
            (tags::PATIENT_NAME, name),
            (tags::PATIENT_WEIGHT, weight.as_bytes().to_vec()),
        ];
        let attributes: Vec<_> = attributes.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let all = about(attributes.clone());
        let bytes = data_set(&all[0]);
        let read = DataSet::parse(&bytes, Syntax::EXPLICIT).unwrap();
        for (tag, value) in attributes {
            prop_assert_eq!(read.get(tag).unwrap().trimmed(), &value[..], "{}", tag);
        }
    }
}
