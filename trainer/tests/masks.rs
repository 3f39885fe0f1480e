//! Masks that others wrote: DICOM SEG by highdicom, RTSTRUCT by pydicom, and what becomes of them when they are damaged.

mod made;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use made::{Made, STEP};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trainer::mask::{self, Mask};

/// Writes SEG objects of two balls, and a structure set of a ring and a disc, about the study in a folder.
const WRITE: &str = r#"
import sys, math, pathlib, numpy as np, pydicom, highdicom as hd
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
study, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
images = [pydicom.dcmread(p) for p in sorted(study.iterdir())]
rows, columns = images[0].Rows, images[0].Columns
k, r, c = np.mgrid[:len(images), :rows, :columns]
balls = [(k-3)**2*4 + (r-15)**2 + (c-20)**2 <= 36, (k-8)**2*4 + (r-30)**2 + (c-45)**2 <= 64]
def segment(n):
    return hd.seg.SegmentDescription(segment_number=n, segment_label=f'Lesion {n}',
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure, segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL)
def save(name, pixels, kind, syntax=ExplicitVRLittleEndian, **more):
    seg = hd.seg.Segmentation(source_images=images, pixel_array=pixels, segmentation_type=kind,
        segment_descriptions=[segment(1), segment(2)], series_instance_uid=generate_uid(), series_number=9,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer='peer', manufacturer_model_name='peer',
        software_versions='1', device_serial_number='1', transfer_syntax_uid=ExplicitVRLittleEndian, **more)
    seg.file_meta.TransferSyntaxUID = syntax
    seg.save_as(out / name)
    return seg
both = np.stack(balls, axis=-1)
save('binary.dcm', both.astype(np.uint8), 'BINARY')
save('deflated.dcm', both.astype(np.uint8), 'BINARY', DeflatedExplicitVRLittleEndian)
save('whole.dcm', both.astype(np.uint8), 'BINARY', omit_empty_frames=False)
soft = np.where(both, 0.8, 0.3 * (np.roll(both, 1, axis=1)))
save('fractional.dcm', soft.astype(np.float32), 'FRACTIONAL')
save('labelmap.dcm', (balls[0] + 2 * balls[1]).astype(np.uint8), 'LABELMAP')
big = both.copy()
big[..., 1] |= balls[0]
save('overlap.dcm', big.astype(np.uint8), 'BINARY')

rt = FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=b'\0'*128)
rt.file_meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.481.3'
rt.file_meta.MediaStorageSOPInstanceUID = generate_uid()
rt.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
rt.SOPClassUID, rt.SOPInstanceUID = rt.file_meta.MediaStorageSOPClassUID, rt.file_meta.MediaStorageSOPInstanceUID
rt.Modality, rt.PatientID, rt.StudyInstanceUID, rt.SeriesInstanceUID = 'RTSTRUCT', images[0].PatientID, images[0].StudyInstanceUID, generate_uid()
frame, in_study, in_series = Dataset(), Dataset(), Dataset()
in_series.SeriesInstanceUID = images[0].SeriesInstanceUID
in_study.ReferencedSOPInstanceUID, in_study.RTReferencedSeriesSequence = images[0].StudyInstanceUID, [in_series]
frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = images[0].FrameOfReferenceUID, [in_study]
rt.ReferencedFrameOfReferenceSequence = [frame]
def circle(image, row, column, mm, points=120):
    o = np.array(image.ImageOrientationPatient, float)
    middle = np.array(image.ImagePositionPatient, float) + column*image.PixelSpacing[1]*o[:3] + row*image.PixelSpacing[0]*o[3:]
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = 'CLOSED_PLANAR', points
    turns = [2*math.pi*n/points for n in range(points)]
    contour.ContourData = [f'{x:.4f}' for t in turns for x in middle + mm*(math.cos(t)*o[:3] + math.sin(t)*o[3:])]
    return contour
def region(number, name, contours):
    info, drawn = Dataset(), Dataset()
    info.ROINumber, info.ROIName, info.ReferencedFrameOfReferenceUID = number, name, images[0].FrameOfReferenceUID
    drawn.ReferencedROINumber, drawn.ContourSequence = number, contours
    return info, drawn
ring = [circle(images[n], 20.3, 30.2, mm) for n in (4, 5, 6) for mm in (24, 9)]
disc = [circle(images[n], 30.6, 50.4, 13) for n in (9, 10)]
regions = [region(7, 'tumour', ring), region(900, 'gland', disc)]
rt.StructureSetROISequence, rt.ROIContourSequence = [a for a, _ in regions], [b for _, b in regions]
rt.save_as(out / 'rt.dcm', enforce_file_format=True)
"#;

fn written(made: &Made) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    made.write(&folder.path().join("study"));
    let modules = std::env::var_os("SIALOSCOPE_HIGHDICOM")
        .expect("SIALOSCOPE_HIGHDICOM names the folder of highdicom: tests/run sets it");
    let done = Command::new("python3")
        .env("PYTHONPATH", modules)
        .args(["-c", WRITE])
        .arg(folder.path().join("study"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

fn open(folder: &Path, name: &str, wanted: Option<&BTreeSet<u8>>) -> Result<Mask, models::findings::Reason> {
    mask::open(&folder.join(name), wanted, || models::mr::scan(&[folder.join("study")]))
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

/// As the balls of [`WRITE`].
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
        for name in ["binary.dcm", "deflated.dcm", "whole.dcm", "fractional.dcm", "labelmap.dcm"] {
            let mask = open(folder.path(), name, None).unwrap();
            let mut inside = 0;
            for ((s, r, c), number) in mask.voxels.indexed_iter() {
                let place = mask.grid.position(s as f64, r as f64, c as f64);
                let index = images.index_of(place);
                let [s, r, c] = index.map(|i| i.round() as i64);
                assert!(index.iter().zip([s, r, c]).all(|(i, n)| (i - n as f64).abs() < 1e-3), "{name}: {index:?}");
                assert_eq!(*number, ball(s, r, c), "{name} at {s} {r} {c}");
                inside += usize::from(*number > 0);
            }
            assert_eq!(inside, expected, "{name}");
            assert_eq!(mask.names[&2], "Lesion 2", "{name}");
            assert_eq!(mask.frame_of_reference_uid.as_deref(), Some(made.frame.as_str()), "{name}");
            let second = open(folder.path(), name, Some(&[2].into())).unwrap();
            assert_eq!(second.extents().keys().copied().collect::<Vec<_>>(), [2], "{name}");
        }
        assert_eq!(open(folder.path(), "overlap.dcm", None).unwrap_err().code, "mask_overlap");
        assert!(open(folder.path(), "overlap.dcm", Some(&[1].into())).is_ok());
        let references = mask::references(&folder.path().join("binary.dcm")).unwrap();
        assert!(references.studies.contains(&made.study) && references.series.contains(&made.series()));
    }
}

#[test]
fn contours_are_filled_on_the_slices_they_were_drawn_on() {
    for made in [Made::new(4, "P4"), oblique()] {
        let folder = written(&made);
        assert_eq!(open(folder.path(), "rt.dcm", None).unwrap_err().code, "mask_number");
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
    for name in ["binary.dcm", "deflated.dcm", "fractional.dcm", "labelmap.dcm", "rt.dcm"] {
        let whole = std::fs::read(folder.path().join(name)).unwrap();
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
        // Most of the bytes are pixels; damage to what comes before them matters more.
        let near = prop_oneof![Just(whole.len()), Just(2000.min(whole.len()))];
        runner
            .run(&(changes, near, any::<prop::sample::Index>(), any::<bool>()), |(changes, near, end, cut)| {
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
            })
            .unwrap();
    }
}
