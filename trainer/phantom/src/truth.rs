//! What is true of a simulated patient: JSON beside the study, and a NIfTI-1 mask.

use std::io::{self, Write};

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::acquire::Grid;
use crate::patient::{Patient, Vendor};
use crate::tumour::{Diagnosis, Lobe, Malignancy, Side};

/// Schema of [`Truth`] in JSON.
pub const TRUTH_SCHEMA: &str = "sialoscope-phantom-truth/1";

/// The answer to one study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// [`TRUTH_SCHEMA`].
    pub schema: String,
    /// Seed of the patient.
    pub seed: u64,
    /// (0010,0020) in the study.
    pub patient_id: String,
    /// The real head under the simulation, as a hash; patients of one head are one person to a split.
    /// Absent when the head is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anatomy: Option<String>,
    /// What the patient has.
    pub diagnosis: Diagnosis,
    /// Which malignancy, if malignant.
    pub malignancy: Option<Malignancy>,
    /// Tesla.
    pub field_t: f32,
    /// Maker of the scanner.
    pub vendor: Vendor,
    /// In order of number; a lesion outside the slices is not listed.
    pub lesions: Vec<TrueLesion>,
}

/// A box in patient millimetres (LPS).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxMm {
    /// Smallest corner.
    pub min: [f64; 3],
    /// Largest corner.
    pub max: [f64; 3],
}

/// One tumour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrueLesion {
    /// Its label in the mask.
    pub number: u8,
    /// Side of the patient.
    pub side: Side,
    /// Part of the gland.
    pub lobe: Lobe,
    /// Around the voxels of the mask, edges included.
    pub box_mm: BoxMm,
    /// Mean place of the voxels of the mask.
    pub centroid_mm: [f64; 3],
    /// Largest distance between voxels within one slice plus a pixel.
    pub long_axis_mm: f64,
    /// From the mask.
    pub volume_ml: f64,
    /// Drawn ADC of the solid part, 1e-3 mm²/s.
    pub adc: f64,
    /// Drawn T1 at the scanner's field, ms.
    pub t1_ms: f64,
    /// Drawn T2 at the scanner's field, ms.
    pub t2_ms: f64,
    /// Drawn, per minute.
    pub kep_per_min: f64,
    /// Drawn volume fraction.
    pub ve: f64,
    /// Margin invades.
    pub irregular: bool,
    /// Has a visible capsule.
    pub capsule: bool,
    /// Has fluid inside.
    pub cystic: bool,
}

impl Truth {
    pub(crate) fn of(patient: &Patient, grid: &Grid, mask: &Array3<u8>) -> Self {
        let lesions = (1..)
            .zip(&patient.disease.lesions)
            .filter_map(|(number, lesion)| {
                let extent = Extent::of(number, grid, mask)?;
                Some(TrueLesion {
                    number,
                    side: lesion.side,
                    lobe: lesion.lobe,
                    box_mm: BoxMm {
                        min: extent.box_mm.min.map(written),
                        max: extent.box_mm.max.map(written),
                    },
                    centroid_mm: extent.centroid_mm.map(written),
                    long_axis_mm: written(extent.long_axis_mm),
                    volume_ml: written(extent.volume_ml),
                    adc: written(lesion.adc.into()),
                    t1_ms: written(lesion.t1_ms[patient.scan.field as usize].into()),
                    t2_ms: written(lesion.t2_ms[patient.scan.field as usize].into()),
                    kep_per_min: written(lesion.kep_per_min.into()),
                    ve: written(lesion.ve.into()),
                    irregular: lesion.irregular,
                    capsule: lesion.capsule_mm.is_some(),
                    cystic: lesion.cystic(),
                })
            })
            .collect();
        Truth {
            schema: TRUTH_SCHEMA.to_owned(),
            seed: patient.seed,
            patient_id: patient.id(),
            anatomy: patient.anatomy.clone(),
            diagnosis: patient.diagnosis,
            malignancy: patient.disease.malignancy,
            field_t: patient.scan.field.tesla(),
            vendor: patient.scan.vendor,
            lesions,
        }
    }
}

/// Four decimals: finer than anything measured, and JSON gives back the same number.
fn written(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

struct Extent {
    box_mm: BoxMm,
    centroid_mm: [f64; 3],
    long_axis_mm: f64,
    volume_ml: f64,
}

impl Extent {
    fn of(number: u8, grid: &Grid, mask: &Array3<u8>) -> Option<Self> {
        let mut box_mm = BoxMm {
            min: [f64::MAX; 3],
            max: [f64::MIN; 3],
        };
        let mut sum = [0.0; 3];
        let mut count = 0.0;
        let mut long_axis_mm: f64 = 0.0;
        let half: [f64; 3] = std::array::from_fn(|a| {
            0.5 * (grid.slice_step[a].abs() + grid.row_step[a].abs() + grid.column_step[a].abs())
        });
        let pixel = norm(grid.column_step);
        for (s, slice) in mask.outer_iter().enumerate() {
            let mut ends = Vec::new();
            for (r, row) in slice.outer_iter().enumerate() {
                let hits = row
                    .iter()
                    .enumerate()
                    .filter(|(_, v)| **v == number)
                    .map(|(c, _)| c);
                let (mut first, mut last) = (None, None);
                for c in hits {
                    let p = grid.position(s as f64, r as f64, c as f64);
                    for a in 0..3 {
                        box_mm.min[a] = box_mm.min[a].min(p[a] - half[a]);
                        box_mm.max[a] = box_mm.max[a].max(p[a] + half[a]);
                        sum[a] += p[a];
                    }
                    count += 1.0;
                    first = first.or(Some(p));
                    last = Some(p);
                }
                ends.extend(first);
                ends.extend(last);
            }
            // The farthest pair of a slice always joins ends of rows.
            for (i, a) in ends.iter().enumerate() {
                for b in &ends[i + 1..] {
                    let d = norm(std::array::from_fn(|k| a[k] - b[k]));
                    long_axis_mm = long_axis_mm.max(d + pixel);
                }
            }
        }
        let voxel_ml = norm(grid.slice_step) * norm(grid.row_step) * pixel / 1000.0;
        (count > 0.0).then(|| Extent {
            box_mm,
            centroid_mm: sum.map(|x| x / count),
            long_axis_mm,
            volume_ml: count * voxel_ml,
        })
    }
}

/// Writes a mask as NIfTI-1 (single file, uint8): the file's x runs along columns, y along rows, z
/// along slices; the affine turns DICOM's LPS into NIfTI's RAS by negating x and y.
pub fn write_nifti(out: &mut impl Write, grid: &Grid, mask: &Array3<u8>) -> io::Result<()> {
    const HEADER_BYTES: usize = 348;
    const DATA_OFFSET: f32 = 352.0;
    const UINT8: i16 = 2;
    const MILLIMETRES: u8 = 2;
    const SCANNER_COORDINATES: i16 = 1;
    let mut header = [0u8; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let [slices, rows, columns] = grid.shape;
    put(0, &(HEADER_BYTES as i32).to_le_bytes());
    for (i, n) in [3, columns, rows, slices, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &(n as i16).to_le_bytes());
    }
    put(70, &UINT8.to_le_bytes());
    put(72, &8i16.to_le_bytes());
    let steps = [
        1.0,
        norm(grid.column_step),
        norm(grid.row_step),
        norm(grid.slice_step),
    ];
    for (i, mm) in steps.into_iter().enumerate() {
        put(76 + 4 * i, &(mm as f32).to_le_bytes());
    }
    put(108, &DATA_OFFSET.to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[MILLIMETRES]);
    put(148, b"Simulated lesions");
    put(254, &SCANNER_COORDINATES.to_le_bytes());
    for axis in 0..3 {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        let row = [
            grid.column_step[axis],
            grid.row_step[axis],
            grid.slice_step[axis],
            grid.origin[axis],
        ];
        for (i, x) in row.into_iter().enumerate() {
            put(280 + 16 * axis + 4 * i, &((sign * x) as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    out.write_all(&header)?;
    out.write_all(&[0; 4])?;
    let data: Vec<u8> = mask.iter().copied().collect();
    out.write_all(&data)
}
