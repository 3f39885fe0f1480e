//! Objects that lie about themselves, by history: sent over the network by a peer that speaks well, each
//! is stored or refused by name. What was stored goes through the analysis, which refuses it by name.
//! Each test ends with a well-behaved peer whose study arrives whole.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use firmware::dicom::dataset::storable;
use firmware::dicom::dimse::Status;
use serde_json::Value;
use tests::made::{
    ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, Slice, UNDEFINED, element, header, item_header,
};
use tests::peers::a_good_study_arrives_whole;
use tests::station::{Settings, Station};
use tests::wire::{Peer, Request};

/// Enough slices for a series.
const SLICES: usize = 8;

/// What may be in the memory of the appliance beyond what it had before, MiB.
const MEMORY_SLACK_MIB: u64 = 24;

fn station(limits: &str) -> (tempfile::TempDir, Station) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let station = Station::with(folder.path(), &settings);
    (folder, station)
}

fn mr(station: &Station, syntax: &str) -> Peer {
    Peer::associate_with(
        &station.address(),
        &Request::with_context(uids::MR_IMAGE_STORAGE, syntax),
    )
}

/// Sends one object that must be refused, with this status, and leaves nothing.
fn refused(station: &Station, syntax: &str, sop: &str, data_set: &[u8], status: Status, code: &str) {
    let before = station.instances();
    let told = mr(station, syntax).store(uids::MR_IMAGE_STORAGE, sop, data_set);
    assert_eq!(told, status, "{code}");
    station.has_refused(&[code]);
    assert_eq!(station.instances(), before);
}

/// Sends a series with the same flaw in each slice, and lets the stored study be analyzed.
fn stored_and_not_answered(station: &Station, study: &str, syntax: &str, flaw: impl Fn(Slice) -> Slice) {
    let mut peer = mr(station, syntax);
    for number in 1..=SLICES {
        let sop = format!("{study}.1.{number}");
        let slice = flaw(Slice::new(study, number));
        assert_eq!(
            peer.store(uids::MR_IMAGE_STORAGE, &sop, &slice.bytes()),
            Status::SUCCESS,
            "{study}"
        );
    }
    not_answered(&station.data_dir.join("spool").join(study));
}

/// `analyze` and `inspect` end with reasons and without a crash.
fn not_answered(folder: &Path) {
    let out = tempfile::tempdir().unwrap();
    let analyze = ["analyze", "--json", "--package"].map(str::to_owned);
    let mut analyzing = Command::new(tests::sialoscope());
    analyzing
        .args(analyze)
        .arg(tests::package())
        .arg("--out")
        .arg(out.path())
        .arg(folder);
    let mut inspecting = Command::new(tests::sialoscope());
    inspecting.args(["inspect", "--json"]).arg(folder);
    for mut program in [inspecting, analyzing] {
        let done = program.output().unwrap();
        let log = String::from_utf8_lossy(&done.stderr);
        assert!(
            !log.contains("panicked") && done.status.code().is_some(),
            "{folder:?}: {} {log}",
            done.status
        );
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let Some(outcome) = said.get("outcome") else {
            continue;
        };
        assert_eq!(outcome, "cannot_answer", "{said}");
        assert_eq!(said["lesions"], Value::Array(vec![]));
        let all = said["reasons"].as_array().unwrap().iter();
        assert!(
            all.clone().count() > 0 && all.clone().all(|reason| reason["code"].is_string()),
            "{said}"
        );
    }
}

/// Orthanc CVE-2026-5437 to -5445: deflate bombs.
#[test]
fn orthanc_cve_2026_5437_deflate_bombs() {
    let (_folder, station) = station("free_mib = 1\nobject_mib = 4");
    let before = station.peak_memory_mib().0;
    let deflated = |mebibytes: usize, sop: &str| {
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, value);
        let object = InMemDicomObject::from_element_iter([
            text(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
            text(tags::SOP_INSTANCE_UID, VR::UI, sop),
            text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.1"),
            text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.1.1"),
            DataElement::new(
                tags::PIXEL_DATA,
                VR::OW,
                PrimitiveValue::U8(vec![0; mebibytes << 20].into()),
            ),
        ]);
        let mut bytes = Vec::new();
        let syntax = storable(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        object.write_dataset_with_ts(&mut bytes, syntax).unwrap();
        bytes
    };
    let syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    let bomb = deflated(256, "1.2.1.1.1");
    assert!(bomb.len() < 2 << 20, "a bomb is small: {}", bomb.len());
    refused(
        &station,
        syntax,
        "1.2.1.1.1",
        &bomb,
        Status::CANNOT_UNDERSTAND,
        "truncated",
    );
    let cut = &bomb[..bomb.len() / 2];
    refused(
        &station,
        syntax,
        "1.2.1.1.1",
        cut,
        Status::CANNOT_UNDERSTAND,
        "truncated",
    );
    refused(
        &station,
        syntax,
        "1.2.1.1.1",
        &[0xFF; 4096],
        Status::CANNOT_UNDERSTAND,
        "not_dicom",
    );
    // Below the limit it is an object like another.
    let told = mr(&station, syntax).store(uids::MR_IMAGE_STORAGE, "1.2.1.1.2", &deflated(3, "1.2.1.1.2"));
    assert_eq!(told, Status::SUCCESS);
    not_answered(&station.data_dir.join("spool/1.2.1"));
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
    a_good_study_arrives_whole(&station);
}

/// Orthanc CVE-2026-5437 to -5445: Rows and its kin in another VR, of another length, of another count.
#[test]
fn orthanc_cve_2026_5438_rows_of_the_wrong_vr() {
    let (_folder, station) = station("free_mib = 1");
    let flaws: [(&[u8; 2], &[u8]); 7] = [
        (b"LO", b"64"),
        (b"UL", &[64, 0, 0, 0]),
        (b"US", &[]),
        (b"US", &[64, 0, 64, 0, 64, 0, 64, 0]),
        (b"FD", &f64::NAN.to_le_bytes()),
        (b"DS", b"1e300"),
        (b"OB", &[0xFF; 3]),
    ];
    for (number, (vr, value)) in flaws.into_iter().enumerate() {
        let study = format!("1.2.{number}");
        stored_and_not_answered(&station, &study, uids::EXPLICIT_VR_LITTLE_ENDIAN, |slice| {
            slice.put(tags::ROWS, vr, value).put(tags::COLUMNS, vr, value)
        });
    }
    a_good_study_arrives_whole(&station);
}

/// Orthanc CVE-2026-5437 to -5445: RLE segments outside of their fragment, too many, or none.
#[test]
fn orthanc_cve_2026_5439_rle_that_lies() {
    let (_folder, station) = station("free_mib = 1");
    let offsets = |count: u32, all: [u32; 2], rest: &[u8]| {
        let mut header = count.to_le_bytes().to_vec();
        all.iter()
            .for_each(|offset| header.extend_from_slice(&offset.to_le_bytes()));
        header.resize(64, 0);
        [&header[..], rest].concat()
    };
    let fragments = [
        vec![],
        vec![2, 0, 0],
        offsets(0, [0, 0], &[0; 16]),
        offsets(255, [64, 65], &[0x81; 64]),
        offsets(2, [64, u32::MAX], &[0x81; 64]),
        offsets(2, [0, 64], &[0x81; 64]),
        offsets(2, [66, 64], &[0x81; 64]),
        // Runs that go on beyond the image, and literals that go on beyond the fragment.
        offsets(2, [64, 1064], &[0x81; 2000]),
        offsets(2, [64, 66], &[0x7F; 4]),
    ];
    for (number, fragment) in fragments.iter().enumerate() {
        let study = format!("1.2.{number}");
        stored_and_not_answered(&station, &study, uids::RLE_LOSSLESS, |slice| {
            slice.fragment(fragment)
        });
    }
    a_good_study_arrives_whole(&station);
}

/// Orthanc CVE-2026-5437 to -5445: a palette that is shorter than its descriptor says.
#[test]
fn orthanc_cve_2026_5440_palettes_that_overflow() {
    let (_folder, station) = station("free_mib = 1");
    for (number, entries) in [0_u16, 4, 0xFFFF].into_iter().enumerate() {
        let descriptor: Vec<u8> = [entries, 0xFFF0, 16]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        stored_and_not_answered(
            &station,
            &format!("1.2.{number}"),
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            |slice| {
                let slice = slice.put(tags::PHOTOMETRIC_INTERPRETATION, b"CS", b"PALETTE COLOR");
                (0..3).fold(slice, |slice, colour| {
                    slice.put(Tag(0x0028, 0x1101 + colour), b"US", &descriptor).put(
                        Tag(0x0028, 0x1201 + colour),
                        b"OW",
                        &[0xFF; 4],
                    )
                })
            },
        );
    }
    a_good_study_arrives_whole(&station);
}

/// GDCM CVE-2026-3650: a length beyond the remaining bytes, in an element, an item, a fragment.
#[test]
fn gdcm_cve_2026_3650_lengths_beyond_the_end() {
    let (_folder, station) = station("free_mib = 1");
    let before = station.peak_memory_mib().0;
    let whole = Slice::new("1.2.1", 1);
    let sequence = |length, inside: &[u8]| {
        [
            &header(tags::REFERENCED_IMAGE_SEQUENCE, b"SQ", length)[..],
            inside,
        ]
        .concat()
    };
    let fragments = |inside: &[u8]| [&header(tags::PIXEL_DATA, b"OB", UNDEFINED)[..], inside].concat();
    let flaws = [
        (tags::PIXEL_DATA, header(tags::PIXEL_DATA, b"OW", 0xFFFF_FFFE)),
        (tags::PIXEL_DATA, header(tags::PIXEL_DATA, b"OW", 0x7FFF_FFFE)),
        (tags::PIXEL_DATA, header(tags::PIXEL_DATA, b"OW", 2)),
        (tags::REFERENCED_IMAGE_SEQUENCE, sequence(0xFFFF_FFF0, &[])),
        (
            tags::PIXEL_DATA,
            sequence(UNDEFINED, &item_header(ITEM, 0xFFFF_FFF0)),
        ),
        (
            tags::PIXEL_DATA,
            sequence(UNDEFINED, &item_header(ITEM, UNDEFINED)),
        ),
        (tags::PIXEL_DATA, fragments(&item_header(ITEM, 0xFFFF_FFF0))),
        (tags::PIXEL_DATA, fragments(&[])),
    ];
    for (tag, flaw) in flaws {
        let bytes = whole.clone().raw(tag, flaw).bytes();
        refused(
            &station,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            "1.2.1.1.1",
            &bytes,
            Status::CANNOT_UNDERSTAND,
            "truncated",
        );
    }
    assert!(station.peak_memory_mib().0 < before + MEMORY_SLACK_MIB);
    a_good_study_arrives_whole(&station);
}

/// fo-dicom#2146: sequences within sequences until the stack ends.
#[test]
fn fo_dicom_2146_bottomless_nesting() {
    let (_folder, station) = station("free_mib = 1");
    let level = [
        header(tags::REFERENCED_IMAGE_SEQUENCE, b"SQ", UNDEFINED),
        item_header(ITEM, UNDEFINED),
    ]
    .concat();
    let end = [
        item_header(ITEM_DELIMITATION, 0),
        item_header(SEQUENCE_DELIMITATION, 0),
    ]
    .concat();
    let open = |depth: usize| [level.repeat(depth), end.repeat(depth)].concat();
    for depth in [1_000, 100_000] {
        let bytes = Slice::new("1.2.1", 1)
            .raw(tags::REFERENCED_IMAGE_SEQUENCE, open(depth))
            .bytes();
        refused(
            &station,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            "1.2.1.1.1",
            &bytes,
            Status::CANNOT_UNDERSTAND,
            "too_deep",
        );
    }
    // With true lengths they are skipped as a whole, and the analysis must bear them.
    let mut inner = element(tags::PATIENT_ID, b"LO", b"1");
    for _ in 0..2_000 {
        inner = element(
            tags::REFERENCED_IMAGE_SEQUENCE,
            b"SQ",
            &[item_header(ITEM, inner.len() as u32), inner].concat(),
        );
    }
    stored_and_not_answered(&station, "1.2.2", uids::EXPLICIT_VR_LITTLE_ENDIAN, |slice| {
        slice.raw(tags::REFERENCED_IMAGE_SEQUENCE, inner.clone())
    });
    stored_and_not_answered(&station, "1.2.3", uids::EXPLICIT_VR_LITTLE_ENDIAN, |slice| {
        slice.raw(tags::REFERENCED_IMAGE_SEQUENCE, open(20))
    });
    a_good_study_arrives_whole(&station);
}

/// DCMTK CVE-2022-2121, CVE-2024-47796 and CVE-2024-52333: more pixels announced than there are.
#[test]
fn dcmtk_cve_2024_47796_pixel_counts_that_do_not_fit() {
    let (_folder, station) = station("free_mib = 1");
    let flaws: [fn(Slice) -> Slice; 6] = [
        |slice| slice.number(tags::ROWS, 0xFFFF).number(tags::COLUMNS, 0xFFFF),
        |slice| slice.put(tags::NUMBER_OF_FRAMES, b"IS", b"2147483647"),
        |slice| slice.put(tags::NUMBER_OF_FRAMES, b"IS", b"-1"),
        |slice| {
            slice
                .number(tags::BITS_ALLOCATED, 0xFFFF)
                .number(tags::SAMPLES_PER_PIXEL, 0xFFFF)
        },
        |slice| slice.number(tags::ROWS, 0),
        |slice| slice.put(tags::PIXEL_DATA, b"OW", &[]),
    ];
    for (number, flaw) in flaws.into_iter().enumerate() {
        stored_and_not_answered(
            &station,
            &format!("1.2.{number}"),
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            flaw,
        );
    }
    a_good_study_arrives_whole(&station);
}

/// A data set in another encoding than its presentation context says.
#[test]
fn the_wrong_transfer_syntax() {
    let (_folder, station) = station("free_mib = 1");
    let bytes = Slice::new("1.2.1", 1).bytes();
    for syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let told = mr(&station, syntax).store(uids::MR_IMAGE_STORAGE, "1.2.1.1.1", &bytes);
        assert_ne!(told, Status::SUCCESS, "{syntax}");
    }
    assert!(station.instances().is_empty());
    // Native pixels where encapsulated ones belong, and the reverse: the bytes are whole, so they are kept.
    stored_and_not_answered(&station, "1.2.2", uids::JPEG2000_LOSSLESS, |slice| slice);
    stored_and_not_answered(&station, "1.2.3", uids::EXPLICIT_VR_LITTLE_ENDIAN, |slice| {
        slice.fragment(&[0xFF; 64])
    });
    a_good_study_arrives_whole(&station);
}

/// Truncated, duplicated and zero-length objects, and two contents under one UID.
#[test]
fn truncated_duplicated_empty_and_contradicting_objects() {
    let (_folder, station) = station("free_mib = 1");
    let explicit = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    let whole = Slice::new("1.2.1", 1).bytes();
    refused(
        &station,
        explicit,
        "1.2.1.1.1",
        &[],
        Status::DATA_SET_MISMATCH,
        "missing_uid",
    );
    for kept in [1, 7, whole.len() / 2, whole.len() - 1] {
        refused(
            &station,
            explicit,
            "1.2.1.1.1",
            &whole[..kept],
            Status::CANNOT_UNDERSTAND,
            "truncated",
        );
    }
    let mut peer = mr(&station, explicit);
    for _ in 0..3 {
        assert_eq!(
            peer.store(uids::MR_IMAGE_STORAGE, "1.2.1.1.1", &whole),
            Status::SUCCESS
        );
    }
    let [stored] = &station.instances()[..] else {
        panic!("{:?}", station.instances())
    };
    assert!(tests::station::data_set(stored) == whole);
    // Another content under the same UID: the first is used, the other kept apart and reported.
    let other = Slice::new("1.2.1", 1).put(tags::PATIENT_ID, b"LO", b"2").bytes();
    let told = peer.store(uids::MR_IMAGE_STORAGE, "1.2.1.1.1", &other);
    assert!(told.is_stored(), "{told}");
    station.has_refused(&["conflicting_duplicate"]);
    assert!(tests::station::data_set(stored) == whole);
    let conflicts = firmware::dicom::send::files_under(&[station.data_dir.join("conflicts")]).unwrap();
    let [conflict] = &conflicts[..] else {
        panic!("{conflicts:?}")
    };
    assert!(tests::station::data_set(conflict) == other);
    a_good_study_arrives_whole(&station);
}

/// Values of the right form and of no sense where paths, counts and texts are made of them.
#[test]
fn texts_without_sense() {
    let (_folder, station) = station("free_mib = 1");
    let long = vec![b'9'; 0xFFFE];
    let flaws: [(Tag, &[u8; 2], &[u8]); 9] = [
        (tags::INSTANCE_NUMBER, b"IS", b"99999999999999999999"),
        (tags::IMAGE_POSITION_PATIENT, b"DS", b"nan\\inf\\-inf"),
        (tags::IMAGE_ORIENTATION_PATIENT, b"DS", b"0\\0\\0\\0\\0\\0"),
        (tags::PIXEL_SPACING, b"DS", b"0\\-1"),
        (tags::PATIENT_NAME, b"PN", &[0xFF; 0xFFFE]),
        (tags::PATIENT_NAME, b"PN", b"\x1B[2J\x1B]0;x\x07\0\r\n"),
        (tags::STUDY_DATE, b"DA", b"99999999"),
        (tags::ECHO_TIME, b"DS", &long),
        (
            tags::SPECIFIC_CHARACTER_SET,
            b"CS",
            b"ISO_IR 999\\\\\\GB18030\\ISO 2022 IR 87",
        ),
    ];
    for (number, (tag, vr, value)) in flaws.into_iter().enumerate() {
        let study = format!("1.2.{number}");
        stored_and_not_answered(&station, &study, uids::EXPLICIT_VR_LITTLE_ENDIAN, |slice| {
            slice.put(tag, vr, value)
        });
    }
    let log = std::fs::read(&station.log).unwrap();
    assert!(!log.contains(&0x1B), "what a peer sent went to the log");
    a_good_study_arrives_whole(&station);
}
