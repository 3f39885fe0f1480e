//! What `mr::scan` refuses, each by its own name, and that no bytes make it panic.

#![allow(clippy::unwrap_used)]

mod made;

use std::path::{Path, PathBuf};

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use made::{EXPLICIT, Slice, stack, strings, write_all};
use models::limits;
use models::mr::{Scan, scan};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn codes(scan: &Scan) -> Vec<String> {
    let series = scan.series.iter().flat_map(|s| &s.refused);
    scan.refused
        .iter()
        .chain(series)
        .map(|r| r.reason.code.clone())
        .collect()
}

fn scanned(folder: &Path) -> Scan {
    scan(&[folder.to_owned()])
}

#[test]
fn stacks_that_are_no_volume() {
    type Case = (&'static str, fn(&mut Vec<Slice>));
    let cases: [Case; 13] = [
        ("missing_slices", |s| {
            s.remove(3);
        }),
        ("duplicate_slices", |s| {
            let mut again = s[2].clone();
            again.pixels = PrimitiveValue::U16(vec![1; 24].into());
            s.push(again);
        }),
        ("uneven_spacing", |s| {
            s[3].at([-10.0, -20.0, 13.0]);
        }),
        ("uneven_spacing", |s| {
            s[3].at([-8.0, -20.0, 12.0]);
        }),
        ("tilted_gantry", |s| {
            for (i, slice) in s.iter_mut().enumerate() {
                slice.at([-10.0, -20.0 + 0.5 * i as f64, 4.0 * i as f64]);
            }
        }),
        ("mixed_orientation", |s| {
            for slice in &mut s[3..] {
                slice.set(
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    strings(&["0", "1", "0", "0", "0", "-1"]),
                );
            }
        }),
        // Another echo time would make another volume, but not in another plane.
        ("mixed_orientation", |s| {
            for slice in &mut s[3..] {
                slice.set(
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    strings(&["0", "1", "0", "0", "0", "-1"]),
                );
                slice.set(tags::ECHO_TIME, VR::DS, "20");
            }
        }),
        ("localizer", |s| {
            for slice in s.iter_mut() {
                slice.set(
                    tags::IMAGE_TYPE,
                    VR::CS,
                    strings(&["ORIGINAL", "PRIMARY", "LOCALIZER"]),
                );
            }
            s[1].set(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                strings(&["0", "1", "0", "0", "0", "-1"]),
            );
        }),
        ("mixed_size", |s| {
            s[3].set(tags::PIXEL_SPACING, VR::DS, strings(&["1", "1"]));
        }),
        ("too_few_slices", |s| {
            s.truncate(2);
            for slice in s {
                slice.without(tags::SLICE_THICKNESS);
            }
        }),
        ("missing_geometry", |s| {
            s.truncate(1);
            s[0].without(tags::SLICE_THICKNESS);
        }),
        ("missing_geometry", |s| {
            for slice in s {
                slice.without(tags::IMAGE_POSITION_PATIENT);
            }
        }),
        ("invalid_geometry", |s| {
            for slice in s {
                slice.set(
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    strings(&["1", "0", "0", "1", "0", "0"]),
                );
            }
        }),
    ];
    for (code, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut slices = stack(6);
        change(&mut slices);
        write_all(folder.path(), "s", &slices);
        let scan = scanned(folder.path());
        assert_eq!(codes(&scan), [code]);
        assert!(scan.series[0].volumes.is_empty(), "{code}");
        assert_eq!(scan.series[0].refused[0].input, "series 1");
    }
}

#[test]
fn series_that_are_not_read() {
    type Case = (&'static str, fn(&mut Slice));
    let cases: [Case; 7] = [
        ("not_mr", |s| {
            s.set(tags::MODALITY, VR::CS, "CT")
                .set(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
        }),
        ("not_mr", |s| {
            s.set(tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
        }),
        ("multi_frame", |s| {
            s.set(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE);
        }),
        ("no_pixels", |s| {
            s.pixels = PrimitiveValue::Empty;
        }),
        ("not_grayscale", |s| {
            s.set(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR");
        }),
        ("unsupported_pixels", |s| {
            s.set(tags::BITS_STORED, VR::US, 20u16);
        }),
        ("unsupported_pixels", |s| {
            s.set(tags::RESCALE_SLOPE, VR::DS, "0");
        }),
    ];
    for (code, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut slices = stack(3);
        slices.iter_mut().for_each(change);
        write_all(folder.path(), "s", &slices);
        let scan = scanned(folder.path());
        assert_eq!(codes(&scan), [code]);
        assert!(scan.series[0].volumes.is_empty());
        assert!(scan.series[0].refused[0].reason.text.contains("3 of 3 images"));
    }
}

#[test]
fn a_ct_series_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = stack(3);
    slices.iter_mut().for_each(|s| {
        s.set(tags::MODALITY, VR::CS, "CT");
    });
    write_all(folder.path(), "s", &slices);
    let scan = scanned(folder.path());
    assert_eq!(scan.series[0].modality, "CT");
    assert!(scan.series[0].refused[0].reason.text.contains("CT"));
}

#[test]
fn files_that_belong_to_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let good = Slice::new(0.0, 1).write(folder.path(), "good", EXPLICIT);
    let bytes = std::fs::read(&good).unwrap();
    std::fs::remove_file(&good).unwrap();
    let uid = |tag: Tag, uid: &str| {
        let mut slice = Slice::new(0.0, 1);
        slice.set(tag, VR::UI, uid);
        slice.write(folder.path(), "f", EXPLICIT);
    };
    let write = |bytes: &[u8]| std::fs::write(folder.path().join("f"), bytes).unwrap();
    let long = "1".repeat(65);
    type Case<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let cases: Vec<Case> = vec![
        ("not_dicom", Box::new(|| write(b""))),
        ("not_dicom", Box::new(|| write(b"Once upon a time"))),
        ("not_dicom", Box::new(|| write(&[0u8; 4096]))),
        (
            "malformed",
            Box::new(|| write(&[&[0u8; 128][..], b"DICM"].concat())),
        ),
        (
            "malformed",
            Box::new(|| write(&[&[0u8; 128][..], b"DICM", &[0xAA; 64]].concat())),
        ),
        ("truncated", Box::new(|| write(&bytes[..bytes.len() - 1]))),
        ("truncated", Box::new(|| write(&bytes[..bytes.len() / 2]))),
        (
            "truncated",
            Box::new(|| {
                let mut slice = Slice::new(0.0, 1);
                slice.pixels = PrimitiveValue::U16(vec![1; 23].into());
                slice.write(folder.path(), "f", EXPLICIT);
            }),
        ),
        (
            "invalid_uid",
            Box::new(|| uid(tags::STUDY_INSTANCE_UID, "1.2/../../etc")),
        ),
        ("invalid_uid", Box::new(|| uid(tags::SERIES_INSTANCE_UID, "../1"))),
        ("invalid_uid", Box::new(|| uid(tags::SOP_INSTANCE_UID, "1.2.x"))),
        ("invalid_uid", Box::new(|| uid(tags::SOP_INSTANCE_UID, &long))),
        (
            "missing_uid",
            Box::new(|| {
                Slice::new(0.0, 1)
                    .without(tags::SERIES_INSTANCE_UID)
                    .write(folder.path(), "f", EXPLICIT);
            }),
        ),
        (
            "too_large",
            Box::new(|| {
                Slice::new(0.0, 1)
                    .set(tags::ROWS, VR::US, limits::MAX_IMAGE_SIDE as u16 + 1)
                    .write(folder.path(), "f", EXPLICIT);
            }),
        ),
        (
            "too_large",
            Box::new(|| {
                let file = std::fs::File::create(folder.path().join("f")).unwrap();
                file.set_len(limits::MAX_DICOM_FILE_BYTES + 1).unwrap();
            }),
        ),
        (
            "too_large",
            Box::new(|| {
                Slice::new(0.0, 1)
                    .set(Tag(0x0029, 0x1010), VR::OB, vec![0u8; limits::MAX_HEADER_BYTES])
                    .write(folder.path(), "f", EXPLICIT);
            }),
        ),
        (
            // Where the length of an unknown representation stands is unknown.
            "malformed",
            Box::new(|| {
                let data_set_at = bytes.windows(4).position(|w| w == [8, 0, 8, 0]).unwrap();
                let unknown = [8u8, 0, 1, 0, b'Q', b'Q', 0, 0, 0xF0, 0xFF, 0xFF, 0x7F];
                write(&[&bytes[..data_set_at], &unknown[..], &bytes[data_set_at..]].concat());
            }),
        ),
        (
            // A length that lies inside of a sequence that is itself as long as it says.
            "malformed",
            Box::new(|| {
                let data_set_at = bytes.windows(4).position(|w| w == [8, 0, 8, 0]).unwrap();
                let lying = [0x29u8, 0, 0x10, 0x10, b'O', b'B', 0, 0, 0xF0, 0xFF, 0xFF, 0x7F];
                let item = [&[0xFEu8, 0xFF, 0, 0xE0, 12, 0, 0, 0][..], &lying].concat();
                let sequence = [&[8u8, 0, 2, 0, b'S', b'Q', 0, 0, 20, 0, 0, 0][..], &item].concat();
                write(&[&bytes[..data_set_at], &sequence[..], &bytes[data_set_at..]].concat());
            }),
        ),
        (
            "too_large",
            Box::new(|| {
                let nested = [0x29u8, 0, 0x10, 0x10, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
                let item = [0xFEu8, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
                let deep = [&nested[..], &item]
                    .concat()
                    .repeat(limits::MAX_SEQUENCE_DEPTH + 1);
                let data_set_at = bytes.windows(4).position(|w| w == [8, 0, 8, 0]).unwrap();
                write(&[&bytes[..data_set_at], &deep[..]].concat());
            }),
        ),
        (
            "too_large",
            Box::new(|| {
                let data_set_at = bytes.windows(4).position(|w| w == [8, 0, 8, 0]).unwrap();
                let many = [0x29u8, 0, 0x10, 0x10, b'L', b'O', 0, 0].repeat(limits::MAX_HEADER_ELEMENTS + 1);
                write(&[&bytes[..data_set_at], &many[..]].concat());
            }),
        ),
        (
            "unsupported_transfer_syntax",
            Box::new(|| {
                Slice::new(0.0, 1).write(folder.path(), "f", uids::JPIP_REFERENCED_DEFLATE);
            }),
        ),
    ];
    for (i, (code, make)) in cases.iter().enumerate() {
        make();
        let scan = scanned(folder.path());
        assert_eq!(codes(&scan), [*code], "case {i}: {:?}", scan.refused);
        assert!(scan.series.is_empty());
        assert_eq!(scan.refused[0].input, "f");
        std::fs::remove_file(folder.path().join("f")).unwrap();
    }
    assert_eq!(codes(&scan(&[folder.path().join("nowhere")])), ["unreadable"]);
}

#[test]
fn numbers_beyond_any_scanner_are_not_believed() {
    let beyond = (limits::MAX_POSITION_MM + 1.0).to_string();
    let wide = (limits::MAX_STEP_MM + 1.0).to_string();
    for (tag, values) in [
        (tags::IMAGE_POSITION_PATIENT, strings(&["0", "0", &beyond])),
        (tags::PIXEL_SPACING, strings(&[&wide, "1"])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Slice::new(0.0, 1)
            .set(tag, VR::DS, values)
            .write(folder.path(), "f", EXPLICIT);
        assert_eq!(codes(&scanned(folder.path())), ["invalid_geometry"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let b = limits::MAX_B_VALUE_S_PER_MM2 + 1.0;
    Slice::new(0.0, 1)
        .set(tags::DIFFUSION_B_VALUE, VR::FD, b)
        .write(folder.path(), "f", EXPLICIT);
    assert_eq!(scanned(folder.path()).series[0].volumes[0].b_value, None);
}

#[test]
fn more_fragments_than_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    Slice::new(0.0, 1)
        .compressed(vec![vec![0; 2]; limits::MAX_FRAGMENTS])
        .write(folder.path(), "f", uids::RLE_LOSSLESS);
    assert_eq!(codes(&scanned(folder.path())), ["too_large"]);
}

#[test]
fn more_files_than_the_limit_are_refused() {
    let paths = vec![PathBuf::from("/nowhere/at/all"); limits::MAX_FILES + 2];
    let scan = scan(&paths);
    assert_eq!(scan.refused.len(), limits::MAX_FILES + 1);
    assert_eq!(scan.refused[0].reason.code, "too_many_files");
}

#[test]
fn folders_deeper_than_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut deep = folder.path().to_owned();
    for _ in 0..=limits::MAX_FOLDER_DEPTH {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(codes(&scanned(folder.path())), ["too_many_files"]);
}

#[test]
fn more_directions_than_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..=limits::MAX_DIRECTIONS {
        let mut slice = Slice::diffusion(0.0, 1);
        slice.set(tags::SEQUENCE_NAME, VR::SH, format!("ep_b1000#{i}"));
        slice.write(folder.path(), &format!("{i}"), EXPLICIT);
    }
    assert_eq!(codes(&scanned(folder.path())), ["too_many_directions"]);
}

#[test]
fn one_bad_file_leaves_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), "s", &stack(4));
    std::fs::write(folder.path().join("readme.txt"), b"hello").unwrap();
    let scan = scanned(folder.path());
    assert_eq!(codes(&scan), ["not_dicom"]);
    assert_eq!(scan.series[0].volumes[0].grid.shape[0], 4);
}

#[test]
fn a_truncated_slice_leaves_a_hole_that_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), "s", &stack(5));
    let hole = folder.path().join("s002.dcm");
    let bytes = std::fs::read(&hole).unwrap();
    std::fs::write(&hole, &bytes[..bytes.len() - 8]).unwrap();
    assert_eq!(codes(&scanned(folder.path())), ["truncated", "missing_slices"]);
}

#[test]
fn the_same_image_counts_once_and_another_with_its_uid_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = stack(4);
    for (i, slice) in slices.iter_mut().enumerate() {
        slice.set(tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.{i}"));
    }
    write_all(folder.path(), "a", &slices);
    slices[1].write(folder.path(), "copy.dcm", EXPLICIT);
    // The same image in another encoding is the same image.
    slices[2].write(
        folder.path(),
        "copy_implicit.dcm",
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
    );
    let same = scanned(folder.path());
    assert_eq!(codes(&same), Vec::<String>::new());
    assert_eq!(
        (same.series[0].files, same.series[0].volumes[0].grid.shape[0]),
        (4, 4)
    );

    slices[3].pixels = PrimitiveValue::U16(vec![9; 24].into());
    slices[3].write(folder.path(), "other.dcm", EXPLICIT);
    let other = scanned(folder.path());
    assert_eq!(codes(&other), ["conflicting_duplicate"]);
    assert_eq!(other.refused[0].input, "other.dcm");
    assert_eq!(
        other.series[0].volumes[0].load().unwrap().voxels[[3, 0, 0]],
        103.0
    );
}

#[test]
fn several_studies_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    for study in ["1.7", "1.8"] {
        let mut slices = stack(3);
        for slice in &mut slices {
            slice.set(tags::STUDY_INSTANCE_UID, VR::UI, study);
        }
        write_all(folder.path(), study, &slices);
    }
    let scan = scanned(folder.path());
    let uids: Vec<_> = scan
        .studies
        .iter()
        .map(|s| s.study_instance_uid.as_str())
        .collect();
    assert_eq!(uids, ["1.7", "1.8"]);
    assert_eq!(scan.studies[0].patient_name, "Test^Patient");
    assert_eq!(scan.series.len(), 2);
}

#[test]
fn loading_refuses_what_scanning_did_not_promise() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), "s", &stack(3));
    let index = scanned(folder.path()).series.remove(0).volumes.remove(0);
    let code = |index: &models::mr::VolumeIndex| index.load().unwrap_err().code;

    let mut nothing = index.clone();
    nothing.contrast = None;
    assert_eq!(code(&nothing), "no_contrast");
    assert!(nothing.voxels().is_ok());

    let mut huge = index.clone();
    huge.grid.shape = [3, limits::MAX_VOLUME_VOXELS, 1];
    assert_eq!(code(&huge), "too_large");

    let mut adc = index.clone();
    adc.contrast = Some(models::mr::Contrast::Adc);
    assert_eq!(code(&adc), "adc_unit_unknown");

    // Another image takes the place of a file after the scan.
    let mut other = Slice::new(8.0, 1);
    other.set(tags::SOP_INSTANCE_UID, VR::UI, "9.9.9.9.9.9.9.9.9.9.9.9");
    other.write(folder.path(), "s002.dcm", EXPLICIT);
    assert_eq!(code(&index), "changed");
}

#[test]
fn an_encoding_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    Slice::new(0.0, 1)
        .compressed(vec![vec![0; 16]])
        .write(folder.path(), "f", uids::MPEG2MPML);
    let scan = scanned(folder.path());
    assert_eq!(codes(&scan), ["unsupported_transfer_syntax"]);
    assert!(
        scan.series[0].refused[0].reason.text.contains("MPEG2"),
        "{:?}",
        scan.series[0].refused
    );
}

/// Runs `check` on many values, all in one folder.
fn for_many<S: Strategy>(values: S, check: impl Fn(&Path, S::Value)) {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    runner
        .run(&values, |value| {
            check(folder.path(), value);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_bytes_never_panic() {
    let bytes = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..600));
    for_many(bytes, |folder, (dicom, tail)| {
        let mut bytes = if dicom {
            [&[0u8; 128][..], b"DICM"].concat()
        } else {
            Vec::new()
        };
        bytes.extend(tail);
        std::fs::write(folder.join("f"), &bytes).unwrap();
        assert_eq!(scanned(folder).refused.len(), 1);
    });
}

#[test]
fn a_damaged_file_never_panics() {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
    for syntax in [EXPLICIT, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
        let whole = tempfile::tempdir().unwrap();
        let mut slice = Slice::diffusion(0.0, 300);
        slice.private(
            "GEMS_PARM_01",
            Tag(0x0043, 0x1039),
            VR::IS,
            strings(&["1000", "8", "0", "0"]),
        );
        let whole = std::fs::read(slice.write(whole.path(), "f", syntax)).unwrap();
        for_many(&damage, |folder, damage| {
            let mut bytes = whole.clone();
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            std::fs::write(folder.join("f"), &bytes).unwrap();
            for volume in scanned(folder).series.iter().flat_map(|s| &s.volumes) {
                let _ = volume.load();
            }
        });
    }
}
/// What the file meta information says is held against what follows it.
#[test]
fn another_transfer_syntax_than_stated_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let stated = |bytes: &[u8], from: &str, to: &str| {
        // Both UIDs are padded to the same even length.
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut bytes = bytes.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let written = |syntax: &str| {
        let path = Slice::new(0.0, 1).write(folder.path(), "f", syntax);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    };
    let (explicit, big) = ("1.2.840.10008.1.2.1\0", "1.2.840.10008.1.2.2\0");
    let rle = "1.2.840.10008.1.2.5\0";
    for (made, said) in [(explicit, big), (big, explicit), (explicit, rle)] {
        let bytes = stated(&written(made.trim_end_matches('\0')), made, said);
        std::fs::write(folder.path().join("f"), bytes).unwrap();
        assert_eq!(
            codes(&scanned(folder.path())),
            ["wrong_transfer_syntax"],
            "{made} {said}"
        );
    }
    // The UID of implicit is shorter; zeros fill it up.
    let bytes = stated(
        &written(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        explicit,
        "1.2.840.10008.1.2\0\0\0",
    );
    std::fs::write(folder.path().join("f"), bytes).unwrap();
    assert_eq!(codes(&scanned(folder.path())), ["wrong_transfer_syntax"]);

    let mut slice = Slice::new(0.0, 1);
    slice.compressed(vec![vec![0; 16]]);
    let path = slice.write(folder.path(), "f", uids::RLE_LOSSLESS);
    let bytes = stated(&std::fs::read(&path).unwrap(), rle, explicit);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(codes(&scanned(folder.path())), ["wrong_transfer_syntax"]);
}
