//! Masks that others wrote: DICOM SEG by highdicom, RTSTRUCT by pydicom, and what becomes of them when they are damaged.

mod made;

use std::collections::BTreeSet;
use std::path::Path;

use made::{Made, STEP, written};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trainer::mask::{self, Mask};

fn open(folder: &Path, name: &str, wanted: Option<&BTreeSet<u8>>) -> Result<Mask, models::findings::Reason> {
    mask::open(&folder.join(name), wanted, || {
        models::mr::scan(&[folder.join("study")])
    })
}

/// A study tilted around two axes.
fn oblique() -> Made {
    let (a, b) = (0.3f64, 0.2f64);
    let row = [a.cos(), a.sin(), 0.0];
    let column = [-a.sin() * b.cos(), a.cos() * b.cos(), b.sin()];
    Made {
        axes: [row[0], row[1], row[2], column[0], column[1], column[2]],
        ..Made::new(5, "P5")
    }
}

/// As the balls of made/peers.py.
fn ball(slice: i64, row: i64, column: i64) -> u8 {
    let first = (slice - 3).pow(2) * 4 + (row - 15).pow(2) + (column - 20).pow(2) <= 36;
    let second = (slice - 8).pow(2) * 4 + (row - 30).pow(2) + (column - 45).pow(2) <= 64;
    u8::from(first) + 2 * u8::from(second)
}

#[test]
fn segmentations_of_highdicom_are_where_they_were_drawn() {
    for made in [Made::new(4, "P4"), oblique()] {
        let folder = written(&made);
        let scan = models::mr::scan(&[folder.path().join("study")]);
        let images = &scan.series[0].volumes[0].grid;
        let expected: usize = (0..12)
            .flat_map(|s| (0..48).flat_map(move |r| (0..64).map(move |c| usize::from(ball(s, r, c) > 0))))
            .sum();
        for name in [
            "binary.dcm",
            "bare.dcm",
            "deflated.dcm",
            "whole.dcm",
            "fractional.dcm",
            "labelmap.dcm",
        ] {
            let mask = open(folder.path(), name, None).unwrap();
            let mut inside = 0;
            for ((s, r, c), number) in mask.voxels.indexed_iter() {
                let place = mask.grid.position(s as f64, r as f64, c as f64);
                let index = images.index_of(place);
                let [s, r, c] = index.map(|i| i.round() as i64);
                assert!(
                    index
                        .iter()
                        .zip([s, r, c])
                        .all(|(i, n)| (i - n as f64).abs() < 1e-3),
                    "{name}: {index:?}"
                );
                assert_eq!(*number, ball(s, r, c), "{name} at {s} {r} {c}");
                inside += usize::from(*number > 0);
            }
            assert_eq!(inside, expected, "{name}");
            assert_eq!(mask.names[&2], "Lesion 2", "{name}");
            assert_eq!(
                mask.frame_of_reference_uid.as_deref(),
                Some(made.frame.as_str()),
                "{name}"
            );
            let second = open(folder.path(), name, Some(&[2].into())).unwrap();
            assert_eq!(
                second.extents().keys().copied().collect::<Vec<_>>(),
                [2],
                "{name}"
            );
        }
        assert_eq!(
            open(folder.path(), "overlap.dcm", None).unwrap_err().code,
            "mask_overlap"
        );
        assert!(open(folder.path(), "overlap.dcm", Some(&[1].into())).is_ok());
        let references = mask::references(&folder.path().join("binary.dcm")).unwrap();
        assert!(references.studies.contains(&made.study) && references.series.contains(&made.series()));
    }
}

#[test]
fn contours_are_filled_on_the_slices_they_were_drawn_on() {
    for made in [Made::new(4, "P4"), oblique()] {
        let folder = written(&made);
        assert_eq!(
            open(folder.path(), "rt.dcm", None).unwrap_err().code,
            "mask_number"
        );
        let mask = open(folder.path(), "rt.dcm", Some(&[7].into())).unwrap();
        assert_eq!(mask.names[&7], "tumour");
        let found = mask.extents()[&7];
        let area = found.voxels as f64 * STEP[0] * STEP[1] / 3.0;
        let ring = std::f64::consts::PI * (24.0f64.powi(2) - 9.0f64.powi(2));
        assert!((area / ring - 1.0).abs() < 0.03, "{area} mm² instead of {ring}");
        let middle = made.place(5.0, 20.3, 30.2);
        let off: f64 = (0..3).map(|a| (found.centroid[a] - middle[a]).powi(2)).sum();
        assert!(off.sqrt() < 0.5, "{:?} instead of {middle:?}", found.centroid);
        // The hole.
        let [s, r, c] = mask.grid.index_of(middle).map(|i| i.round() as usize);
        assert_eq!(mask.voxels[[s, r, c]], 0);
        let references = mask::references(&folder.path().join("rt.dcm")).unwrap();
        assert!(references.series.contains(&made.series()) && references.frames.contains(&made.frame));

        let other = models::mr::scan(&[]);
        let refused = mask::open(&folder.path().join("rt.dcm"), Some(&[7].into()), || other).unwrap_err();
        assert_eq!(refused.code, "mask_reference");
    }
}

#[test]
fn images_and_other_files_are_no_masks() {
    let folder = tempfile::tempdir().unwrap();
    let images = Made::new(4, "P4").write(&folder.path().join("study"));
    let code = |path: &Path| mask::open(path, None, || models::mr::scan(&[])).unwrap_err().code;
    assert_eq!(code(&images[0]), "mask_form");
    assert_eq!(code(&folder.path().join("nothing.nii")), "mask_unreadable");
    assert_eq!(code(folder.path()), "mask_unreadable");
    let file = folder.path().join("mask.nii.gz");
    std::fs::write(&file, b"\x1F\x8B\x08 no").unwrap();
    assert_eq!(code(&file), "mask_form");
    std::fs::write(&file, b"").unwrap();
    assert_eq!(code(&file), "mask_form");
}

/// Whatever happens to the bytes of a mask, there is a mask of its own size or a reason, and never a panic.
#[test]
fn damaged_objects_are_answered() {
    let folder = written(&Made::new(4, "P4"));
    let scan = models::mr::scan(&[folder.path().join("study")]);
    let file = folder.path().join("damaged.dcm");
    let mut runner = TestRunner::new(Config::with_cases(150));
    for name in [
        "binary.dcm",
        "deflated.dcm",
        "fractional.dcm",
        "labelmap.dcm",
        "rt.dcm",
    ] {
        let whole = std::fs::read(folder.path().join(name)).unwrap();
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
        // Most of the bytes are pixels; damage to what comes before them matters more.
        let near = prop_oneof![Just(whole.len()), Just(2000.min(whole.len()))];
        runner
            .run(
                &(changes, near, any::<prop::sample::Index>(), any::<bool>()),
                |(changes, near, end, cut)| {
                    let mut bytes = whole.clone();
                    for (at, byte) in &changes {
                        bytes[at.index(near)] ^= byte;
                    }
                    if cut {
                        bytes.truncate(end.index(bytes.len()));
                    }
                    std::fs::write(&file, &bytes).unwrap();
                    let _ = mask::references(&file);
                    if let Ok(mask) = mask::open(&file, Some(&[1, 2, 7].into()), || scan.clone()) {
                        prop_assert_eq!(mask.voxels.shape(), &mask.grid.shape[..]);
                        prop_assert!(!cut || name == "deflated.dcm", "{} cut short is read", name);
                    }
                    Ok(())
                },
            )
            .unwrap();
    }
}
