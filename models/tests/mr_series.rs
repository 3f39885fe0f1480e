//! `mr::scan` and `VolumeIndex::load` on files made in code: order, geometry, diffusion, pixels.

#![allow(clippy::unwrap_used)]

mod made;

use std::path::Path;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use made::{BIG_ENDIAN, COLUMNS, EXPLICIT, IMPLICIT, ROWS, Slice, decimals, stack, strings, write_all};
use models::mr::{Confidence, Contrast, Grid, Scan, VolumeIndex, scan};
use proptest::prelude::*;

fn scanned(folder: &Path) -> Scan {
    scan(&[folder.to_owned()])
}

/// The only volume of the only series, with nothing refused.
fn only_volume(folder: &Path) -> VolumeIndex {
    let mut scan = scanned(folder);
    assert!(scan.refused.is_empty(), "{:?}", scan.refused);
    assert_eq!(scan.series.len(), 1);
    assert!(scan.series[0].refused.is_empty(), "{:?}", scan.series[0].refused);
    assert_eq!(scan.series[0].volumes.len(), 1, "{:?}", scan.series[0].volumes);
    scan.series[0].volumes.remove(0)
}

fn codes(scan: &Scan) -> Vec<String> {
    let series = scan.series.iter().flat_map(|s| &s.refused);
    scan.refused
        .iter()
        .chain(series)
        .map(|r| r.reason.code.clone())
        .collect()
}

#[test]
fn slices_are_ordered_by_position_whatever_their_numbers_and_names() {
    let folder = tempfile::tempdir().unwrap();
    for (i, &height) in [3usize, 0, 4, 1, 2].iter().enumerate() {
        let mut slice = Slice::new(4.0 * height as f64, 100 + height as u16);
        slice.set(tags::INSTANCE_NUMBER, VR::IS, (50 - i).to_string());
        slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
    }
    let index = only_volume(folder.path());
    assert_eq!(index.contrast, Some(Contrast::T1));
    assert_eq!(index.confidence, Confidence::High);
    assert_eq!(index.frame_of_reference_uid.as_deref(), Some("1.2.3.9"));
    assert_eq!(index.slice_thickness_mm, Some(4.0));
    let volume = index.load().unwrap();
    assert_eq!(volume.grid.shape, [5, ROWS, COLUMNS]);
    assert_eq!(volume.grid.slice_step, [0.0, 0.0, 4.0]);
    for slice in 0..5 {
        assert_eq!(volume.voxels[[slice, 0, 0]], 100.0 + slice as f32);
    }
}

#[test]
fn columns_run_to_the_patients_left_and_rows_to_posterior() {
    let folder = tempfile::tempdir().unwrap();
    for (i, slice) in stack(3).iter_mut().enumerate() {
        let mut pixels = vec![0u16; ROWS * COLUMNS];
        // Row 1, column 4.
        pixels[COLUMNS + 4] = 7;
        slice.pixels = PrimitiveValue::U16(pixels.into());
        slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
    }
    let volume = only_volume(folder.path()).load().unwrap();
    let bright = volume.voxels.indexed_iter().find(|(_, v)| **v == 7.0).unwrap().0;
    assert_eq!(bright, (0, 1, 4));
    // Spacing is written rows first (0.5), then columns (0.75); +x is left, +y posterior.
    assert_eq!(
        volume.grid.position(0.0, 1.0, 4.0),
        [-10.0 + 4.0 * 0.75, -20.0 + 0.5, 0.0]
    );
}

type Vendor = (&'static str, fn(&mut Slice, u32));

/// Every place where a b-value is written.
const VENDORS: [Vendor; 7] = [
    ("standard", |s, b| {
        s.set(tags::DIFFUSION_B_VALUE, VR::FD, f64::from(b));
    }),
    ("siemens", |s, b| {
        s.private("SIEMENS MR HEADER", Tag(0x0019, 0x110C), VR::IS, b.to_string());
    }),
    ("ge", |s, b| {
        s.private(
            "GEMS_PARM_01",
            Tag(0x0043, 0x1039),
            VR::IS,
            strings(&[&b.to_string(), "8", "0", "0"]),
        );
    }),
    ("ge with offset", |s, b| {
        let value = (1_000_000_000 + b).to_string();
        s.private(
            "GEMS_PARM_01",
            Tag(0x0043, 0x1039),
            VR::IS,
            strings(&[&value, "8", "0", "0"]),
        );
    }),
    ("philips", |s, b| {
        s.private("Philips Imaging DD 001", Tag(0x2001, 0x1003), VR::FL, b as f32);
    }),
    ("united imaging", |s, b| {
        s.private("Image Private Header", Tag(0x0065, 0x1009), VR::FD, f64::from(b));
    }),
    ("sequence name", |s, b| {
        s.set(tags::SEQUENCE_NAME, VR::SH, format!("*ep_b{b}t"));
    }),
];

#[test]
fn interleaved_b_values_part_into_volumes_for_every_vendor() {
    for (vendor, set) in VENDORS {
        for syntax in [EXPLICIT, IMPLICIT] {
            let folder = tempfile::tempdir().unwrap();
            for i in 0..8u32 {
                let (height, b) = (i / 2, 1000 * (i % 2));
                let mut slice = Slice::diffusion(4.0 * f64::from(height), if b == 0 { 200 } else { 80 });
                set(&mut slice, b);
                slice.set(tags::INSTANCE_NUMBER, VR::IS, i.to_string());
                slice.write(folder.path(), &format!("{i}.dcm"), syntax);
            }
            let scan = scanned(folder.path());
            assert_eq!(codes(&scan), Vec::<String>::new(), "{vendor} {syntax}");
            let found: Vec<_> = scan.series[0]
                .volumes
                .iter()
                .map(|v| (v.contrast, v.b_value))
                .collect();
            let expected = [
                (Some(Contrast::DwiB0), Some(0.0)),
                (Some(Contrast::Dwi), Some(1000.0)),
            ];
            assert_eq!(found, expected, "{vendor} {syntax}");
            for (volume, value) in scan.series[0].volumes.iter().zip([200.0, 80.0]) {
                let volume = volume.load().unwrap();
                assert_eq!(volume.grid.shape[0], 4, "{vendor} {syntax}");
                assert!(volume.voxels.iter().all(|v| *v == value), "{vendor} {syntax}");
            }
        }
    }
}

#[test]
fn private_tags_of_another_creator_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for (i, slice) in stack(3).iter_mut().enumerate() {
        slice.set(tags::MANUFACTURER, VR::LO, "GE MEDICAL SYSTEMS");
        slice.private("SOMEBODY ELSE", Tag(0x0043, 0x1039), VR::IS, "1000");
        slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
    }
    assert_eq!(only_volume(folder.path()).contrast, Some(Contrast::T1));
}

/// Three slices per direction; `letter` names what Philips calls the direction.
fn write_direction(folder: &Path, name: &str, b: f64, vector: [f64; 3], value: u16) {
    for i in 0..3 {
        let mut slice = Slice::diffusion(4.0 * f64::from(i), value);
        slice.set(tags::DIFFUSION_B_VALUE, VR::FD, b);
        slice.set(
            tags::DIFFUSION_GRADIENT_ORIENTATION,
            VR::FD,
            PrimitiveValue::F64(vector.to_vec().into()),
        );
        slice.write(folder, &format!("{name}{i}.dcm"), EXPLICIT);
    }
}

#[test]
fn directions_alone_are_averaged_to_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    write_direction(folder.path(), "b0", 0.0, [0.0; 3], 500);
    write_direction(folder.path(), "x", 1000.0, [1.0, 0.0, 0.0], 40);
    write_direction(folder.path(), "y", 1000.0, [0.0, 1.0, 0.0], 80);
    write_direction(folder.path(), "z", 1000.0, [0.0, 0.0, 1.0], 160);
    let scan = scanned(folder.path());
    assert_eq!(codes(&scan), Vec::<String>::new());
    let high = scan.series[0]
        .volumes
        .iter()
        .find(|v| v.contrast == Some(Contrast::Dwi))
        .unwrap();
    assert_eq!(high.further_directions.len(), 2);
    assert!(high.reason.contains("3 gradient directions"), "{}", high.reason);
    // The geometric mean, not the arithmetic one (93.3).
    assert!((high.load().unwrap().voxels[[1, 1, 1]] - 80.0).abs() < 1e-3);
}

#[test]
fn directions_beside_their_trace_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write_direction(folder.path(), "x", 1000.0, [1.0, 0.0, 0.0], 40);
    write_direction(folder.path(), "y", 1000.0, [0.0, 1.0, 0.0], 80);
    write_direction(folder.path(), "trace", 1000.0, [0.0; 3], 60);
    let scan = scanned(folder.path());
    assert_eq!(codes(&scan), ["single_direction"]);
    assert_eq!(scan.series[0].volumes.len(), 1);
    assert_eq!(scan.series[0].volumes[0].load().unwrap().voxels[[0, 0, 0]], 60.0);
}

#[test]
fn a_b_value_of_zero_alone_makes_no_diffusion_image() {
    let folder = tempfile::tempdir().unwrap();
    for (i, slice) in stack(3).iter_mut().enumerate() {
        slice.set(tags::DIFFUSION_B_VALUE, VR::FD, 0.0);
        slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
    }
    assert_eq!(only_volume(folder.path()).contrast, Some(Contrast::T1));
}

/// Philips sends several b = 0 images of each slice that differ in nothing but their number.
#[test]
fn repeated_images_are_told_apart_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = Vec::new();
    for turn in 0..3u16 {
        for (n, mut slice) in stack(5).into_iter().enumerate() {
            slice.pixels = PrimitiveValue::U16(vec![100 * turn; ROWS * COLUMNS].into());
            slice.set(
                tags::INSTANCE_NUMBER,
                VR::IS,
                (3 * n + usize::from(turn)).to_string(),
            );
            slices.push(slice);
        }
    }
    write_all(folder.path(), "s", &slices);
    let read = scanned(folder.path());
    let values = |v: &VolumeIndex| v.load().unwrap().voxels[[2, 1, 1]];
    let volumes: Vec<f32> = read.series[0].volumes.iter().map(values).collect();
    assert_eq!(volumes, [0.0, 100.0, 200.0]);

    // One image more is no whole turn.
    let mut again = slices[4].clone();
    again.set(tags::INSTANCE_NUMBER, VR::IS, "99");
    again.write(folder.path(), "again", EXPLICIT);
    let read = scanned(folder.path());
    assert!(read.series[0].volumes.is_empty());
    assert_eq!(read.series[0].refused[0].reason.code, "duplicate_slices");
}

#[test]
fn repeated_acquisitions_are_volumes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for (tag, name) in [
        (tags::TEMPORAL_POSITION_IDENTIFIER, "t"),
        (tags::ACQUISITION_NUMBER, "a"),
    ] {
        let inside = folder.path().join(name);
        std::fs::create_dir(&inside).unwrap();
        for phase in 1..=2u16 {
            for i in 0..3u16 {
                let mut slice = Slice::new(4.0 * f64::from(i), 10 * phase);
                slice.set(tag, VR::IS, phase.to_string());
                slice.set(
                    tags::SERIES_INSTANCE_UID,
                    VR::UI,
                    format!("1.2.3.{}", tag.element()),
                );
                slice.write(&inside, &format!("{name}{phase}{i}.dcm"), EXPLICIT);
            }
        }
    }
    let scan = scanned(folder.path());
    assert_eq!(codes(&scan), Vec::<String>::new());
    for series in &scan.series {
        let values: Vec<f32> = series
            .volumes
            .iter()
            .map(|v| v.load().unwrap().voxels[[0, 0, 0]])
            .collect();
        assert_eq!(values, [10.0, 20.0]);
    }
}

#[test]
fn stored_values_become_signals() {
    let words = |w: &[u16]| PrimitiveValue::U16(w.iter().copied().cycle().take(24).collect());
    let bytes = |b: &[u8]| PrimitiveValue::U8(b.iter().copied().cycle().take(24).collect());
    type Case = (
        &'static str,
        &'static str,
        PrimitiveValue,
        fn(&mut Slice),
        [f32; 2],
    );
    let cases: [Case; 8] = [
        ("unsigned", EXPLICIT, words(&[0, 65535]), |_| (), [0.0, 65535.0]),
        ("implicit", IMPLICIT, words(&[1, 513]), |_| (), [1.0, 513.0]),
        ("big endian", BIG_ENDIAN, words(&[1, 513]), |_| (), [1.0, 513.0]),
        (
            "signed",
            EXPLICIT,
            words(&[0xFFFF, 5]),
            |s| {
                s.set(tags::PIXEL_REPRESENTATION, VR::US, 1u16);
            },
            [-1.0, 5.0],
        ),
        (
            "12 bits with a sign, and overlay bits above",
            EXPLICIT,
            words(&[0xF800, 0x17FF]),
            |s| {
                s.set(tags::PIXEL_REPRESENTATION, VR::US, 1u16);
                s.set(tags::BITS_STORED, VR::US, 12u16)
                    .set(tags::HIGH_BIT, VR::US, 11u16);
            },
            [-2048.0, 2047.0],
        ),
        (
            "rescaled",
            EXPLICIT,
            words(&[10, 20]),
            |s| {
                s.set(tags::RESCALE_SLOPE, VR::DS, "2.5")
                    .set(tags::RESCALE_INTERCEPT, VR::DS, "-5");
            },
            [20.0, 45.0],
        ),
        (
            "inverted",
            EXPLICIT,
            words(&[0, 4000]),
            |s| {
                s.set(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
                s.set(tags::BITS_STORED, VR::US, 12u16)
                    .set(tags::HIGH_BIT, VR::US, 11u16);
            },
            [4095.0, 95.0],
        ),
        (
            "8 bits",
            EXPLICIT,
            bytes(&[3, 200]),
            |s| {
                s.set(tags::BITS_ALLOCATED, VR::US, 8u16);
                s.set(tags::BITS_STORED, VR::US, 8u16)
                    .set(tags::HIGH_BIT, VR::US, 7u16);
            },
            [3.0, 200.0],
        ),
    ];
    for (name, syntax, pixels, change, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        for (i, slice) in stack(3).iter_mut().enumerate() {
            slice.pixels = pixels.clone();
            change(slice);
            slice.write(folder.path(), &format!("{i}.dcm"), syntax);
        }
        let voxels = only_volume(folder.path()).load().unwrap().voxels;
        assert_eq!([voxels[[1, 0, 0]], voxels[[1, 0, 1]]], expected, "{name}");
    }
}

#[test]
fn compressed_pixels_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    for (i, slice) in stack(3).iter_mut().enumerate() {
        // RLE (PS3.5 annex G): two segments, the high bytes and the low bytes, 24 times the same.
        let mut frame = Vec::new();
        for word in [2u32, 64, 66].into_iter().chain([0; 13]) {
            frame.extend(word.to_le_bytes());
        }
        let repeated = (1i16 - 24) as i8 as u8;
        frame.extend([repeated, 1, repeated, 20 + i as u8]);
        slice.compressed(vec![frame]);
        slice.write(folder.path(), &format!("{i}.dcm"), uids::RLE_LOSSLESS);
    }
    let voxels = only_volume(folder.path()).load().unwrap().voxels;
    assert_eq!([voxels[[0, 0, 0]], voxels[[2, 3, 5]]], [276.0, 278.0]);
}

#[test]
fn adc_comes_in_one_unit() {
    for (name, value, slope) in [
        ("1e-6 mm2/s", 1500, "1"),
        ("1e-3 mm2/s", 1500, "0.001"),
        ("mm2/s", 1500, "0.000001"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..3 {
            let mut slice = Slice::diffusion(4.0 * f64::from(i), value);
            slice.set(
                tags::IMAGE_TYPE,
                VR::CS,
                strings(&["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
            );
            slice
                .set(tags::RESCALE_SLOPE, VR::DS, slope)
                .set(tags::RESCALE_INTERCEPT, VR::DS, "0");
            slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
        }
        let volume = only_volume(folder.path()).load().unwrap();
        assert_eq!(volume.contrast, Contrast::Adc);
        assert!(
            (volume.voxels[[0, 0, 0]] - 1.5).abs() < 1e-4,
            "{name}: {}",
            volume.voxels[[0, 0, 0]]
        );
    }
}

#[test]
fn sequences_in_front_of_the_pixels_are_walked_over() {
    let folder = tempfile::tempdir().unwrap();
    for syntax in [EXPLICIT, IMPLICIT, BIG_ENDIAN] {
        for (i, slice) in stack(3).iter_mut().enumerate() {
            let mut item = dicom_object::InMemDicomObject::new_empty();
            item.put(DataElement::new(
                tags::REFERENCED_SOP_INSTANCE_UID,
                VR::UI,
                "1.2.3",
            ));
            // Pixels of an icon must not be taken for those of the image.
            item.put(DataElement::new(
                tags::PIXEL_DATA,
                VR::OW,
                PrimitiveValue::U16(vec![9; 4].into()),
            ));
            slice.data.put(DataElement::new(
                tags::ICON_IMAGE_SEQUENCE,
                VR::SQ,
                DataSetSequence::from(vec![item]),
            ));
            slice.set(tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.{i}"));
            slice.write(folder.path(), &format!("{i}.dcm"), syntax);
        }
        assert_eq!(
            only_volume(folder.path()).load().unwrap().voxels[[2, 0, 0]],
            102.0,
            "{syntax}"
        );
    }
}

/// A rotation from three angles: unit vectors along a row, down a column, across both.
fn axes([a, b, c]: [f64; 3]) -> [[f64; 3]; 3] {
    let (sa, ca, sb, cb, sc, cc) = (a.sin(), a.cos(), b.sin(), b.cos(), c.sin(), c.cos());
    let row = [ca * cb, sa * cb, -sb];
    let column = [ca * sb * sc - sa * cc, sa * sb * sc + ca * cc, cb * sc];
    let normal = [ca * sb * cc + sa * sc, sa * sb * cc - ca * sc, cb * cc];
    [row, column, normal]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn index_of_is_the_inverse_of_position(
        angles in prop::array::uniform3(-3.2f64..3.2),
        origin in prop::array::uniform3(-300.0f64..300.0),
        spacing in prop::array::uniform3(0.2f64..8.0),
        index in prop::array::uniform3(-20.0f64..400.0),
    ) {
        let [row, column, normal] = axes(angles);
        let grid = Grid {
            origin,
            slice_step: normal.map(|x| x * spacing[0]),
            row_step: column.map(|x| x * spacing[1]),
            column_step: row.map(|x| x * spacing[2]),
            shape: [10, 10, 10],
        };
        let back = grid.index_of(grid.position(index[0], index[1], index[2]));
        for a in 0..3 {
            prop_assert!((back[a] - index[a]).abs() < 1e-6, "{back:?} {index:?}");
            prop_assert!((grid.spacing()[a] - spacing[a]).abs() < 1e-9);
            prop_assert!((grid.normal()[a] - normal[a]).abs() < 1e-9);
        }
        prop_assert!((grid.voxel_volume() - spacing.iter().product::<f64>()).abs() < 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn any_orientation_and_order_of_files_gives_the_same_volume(
        angles in prop::array::uniform3(-3.2f64..3.2),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        step in 0.5f64..6.0,
    ) {
        let [row, column, normal] = axes(angles);
        let folder = tempfile::tempdir().unwrap();
        for (i, &height) in order.iter().enumerate() {
            let mut slice = Slice::new(0.0, height as u16);
            slice.at(normal.map(|n| n * step * height as f64));
            slice.set(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, decimals(&[row, column].concat()));
            slice.write(folder.path(), &format!("{i}.dcm"), EXPLICIT);
        }
        let volume = only_volume(folder.path()).load().unwrap();
        for (found, along) in volume.grid.slice_step.into_iter().zip(normal) {
            prop_assert!((found - along * step).abs() < 1e-4);
        }
        for slice in 0..6 {
            prop_assert_eq!(volume.voxels[[slice, 0, 0]], slice as f32);
        }
    }
}

/// As Toshiba writes it: only weighted images state a b-value.
#[test]
fn images_without_a_b_value_among_weighted_ones_are_b_0() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let z = 4.0 * f64::from(n);
        Slice::diffusion(z, 200).write(folder.path(), &format!("a{n}"), EXPLICIT);
        let mut weighted = Slice::diffusion(z, 60);
        weighted.set(tags::DIFFUSION_B_VALUE, VR::FD, 1000.0);
        weighted.write(folder.path(), &format!("b{n}"), EXPLICIT);
    }
    let scan = scan(&[folder.path().to_owned()]);
    let found: Vec<_> = scan.series[0]
        .volumes
        .iter()
        .map(|v| (v.contrast, v.b_value))
        .collect();
    assert_eq!(
        found,
        [
            (Some(Contrast::DwiB0), Some(0.0)),
            (Some(Contrast::Dwi), Some(1000.0))
        ]
    );
}

/// As United Imaging writes it: the b-value of each direction includes its share of the imaging gradients.
#[test]
fn directions_of_nearly_one_b_value_are_one_volume() {
    let folder = tempfile::tempdir().unwrap();
    for (n, b) in [928.0, 930.0, 935.0].into_iter().enumerate() {
        for slice in 0..2 {
            let mut image = Slice::diffusion(4.0 * f64::from(slice), 60);
            let mut direction = [0.0; 3];
            direction[n] = 1.0;
            image.set(tags::DIFFUSION_B_VALUE, VR::FD, b).set(
                tags::DIFFUSION_GRADIENT_ORIENTATION,
                VR::FD,
                PrimitiveValue::F64(direction.to_vec().into()),
            );
            image.write(folder.path(), &format!("{n}{slice}"), EXPLICIT);
        }
    }
    let scan = scan(&[folder.path().to_owned()]);
    let [volume] = &scan.series[0].volumes[..] else {
        panic!("{:?}", scan.series[0])
    };
    assert_eq!(
        (volume.b_value, volume.further_directions.len()),
        (Some(931.0), 2)
    );
}
