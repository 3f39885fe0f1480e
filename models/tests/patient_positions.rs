//! Left stays left however the patient lies in the bore (PS3.3 C.7.3.1.1.2): one bright spot on the patient's
//! left comes out on the left of the axial grid in all eight positions.

#![allow(clippy::unwrap_used)]

mod made;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use made::{COLUMNS, EXPLICIT, ROWS, Slice, decimals, strings};
use models::mr::{Contrast, scan};
use models::study::Study;

/// In patient coordinates.
type Axis = [f64; 3];

/// The bore's axes in patient coordinates (LPS) for a patient who lies so: to the right of a viewer who
/// looks into it, down to the floor, and into it: a right-handed frame.
const POSITIONS: [(&str, Axis, Axis, Axis); 8] = [
    ("HFS", [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
    ("HFP", [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]),
    ("HFDR", [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
    ("HFDL", [0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
    ("FFS", [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]),
    ("FFP", [1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]),
    ("FFDR", [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]),
    ("FFDL", [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]),
];
const SLICES: usize = 5;
/// Rows, columns, slices; as [`Slice::new`] writes them.
const SPACING: [f64; 3] = [0.5, 0.75, 4.0];

#[test]
fn a_spot_on_the_left_stays_there_in_every_position() {
    for (name, right, down, into) in POSITIONS {
        // A voxel off the middle in every direction.
        let spot = [1usize, 4, 3];
        let position = |[row, column, slice]: [usize; 3]| -> [f64; 3] {
            std::array::from_fn(|axis| {
                let middle = |n: usize, size: usize| n as f64 - (size as f64 - 1.0) / 2.0;
                down[axis] * middle(row, ROWS) * SPACING[0]
                    + right[axis] * middle(column, COLUMNS) * SPACING[1]
                    + into[axis] * middle(slice, SLICES) * SPACING[2]
            })
        };
        let folder = tempfile::tempdir().unwrap();
        for slice in 0..SLICES {
            let mut image = Slice::new(0.0, 0);
            let mut pixels = vec![10u16; ROWS * COLUMNS];
            if slice == spot[2] {
                pixels[spot[0] * COLUMNS + spot[1]] = 1000;
            }
            image.pixels = PrimitiveValue::U16(pixels.into());
            let cosines = [right, down].concat();
            image
                .at(position([0, 0, slice]))
                .set(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, decimals(&cosines))
                .set(tags::PATIENT_POSITION, VR::CS, strings(&[name]))
                // Numbered against the order of the positions.
                .set(tags::INSTANCE_NUMBER, VR::IS, (SLICES - slice).to_string());
            image.write(folder.path(), &format!("{slice}.dcm"), EXPLICIT);
        }
        let study = Study::assemble(&scan(&[folder.path().to_owned()])).unwrap();
        let grid = study.axial_grid(Contrast::T1, 0.5, 16).unwrap();
        let voxels = study.resample(Contrast::T1, &grid).unwrap();
        let (at, _) = voxels.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        let found = grid.position(at.0 as f64, at.1 as f64, at.2 as f64);
        let truth = position(spot);
        for axis in 0..3 {
            let away = (found[axis] - truth[axis]).abs();
            assert!(away < 0.5, "{name}: {found:?} for {truth:?}");
        }
        // On screen: the patient's left on the right-hand side, posterior below, the head above.
        assert_eq!(at.2 > 8, truth[0] > 0.25, "{name} {at:?} {truth:?}");
    }
}
