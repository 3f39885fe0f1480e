//! Small MR studies made on the spot: smooth random heads in a few slices; and masks about them.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub const ROWS: usize = 48;
pub const COLUMNS: usize = 64;
pub const SLICES: usize = 12;
/// Between rows, columns, slices, mm.
pub const STEP: [f64; 3] = [3.0, 2.5, 4.0];

/// One study.
#[derive(Clone)]
pub struct Made {
    pub id: &'static str,
    pub name: &'static str,
    pub birth: &'static str,
    pub study: String,
    pub frame: String,
    pub date: &'static str,
    /// Two heads of one seed look the same.
    pub seed: u64,
    /// What a stored value of 1 means, what 0, and how far noise moves it.
    pub slope: f64,
    pub intercept: f64,
    pub noise: f64,
    /// Along a row, down a column.
    pub axes: [f64; 6],
}

impl Made {
    pub fn new(seed: u64, id: &'static str) -> Made {
        Made {
            id,
            name: "",
            birth: "",
            study: format!("1.2.826.0.1.77.{seed}"),
            frame: format!("1.2.826.0.1.77.{seed}.1"),
            date: "20240101",
            seed,
            slope: 1.0,
            intercept: 0.0,
            noise: 0.0,
            axes: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        }
    }

    pub fn series(&self) -> String {
        format!("{}.2", self.study)
    }

    /// Middle of a pixel, mm; the volume is centred on the origin.
    pub fn place(&self, slice: f64, row: f64, column: f64) -> [f64; 3] {
        let [a, b, c, d, e, f] = self.axes;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let half = |n: usize| (n as f64 - 1.0) / 2.0;
        let (r, k, s) = (
            (row - half(ROWS)) * STEP[0],
            (column - half(COLUMNS)) * STEP[1],
            (slice - half(SLICES)) * STEP[2],
        );
        std::array::from_fn(|i| k * [a, b, c][i] + r * [d, e, f][i] + s * normal[i])
    }

    /// Writes its T2 series, one file per slice.
    pub fn write(&self, folder: &Path) -> Vec<PathBuf> {
        std::fs::create_dir_all(folder).unwrap();
        let bumps = self.bumps();
        let mut noise = Lcg(self.seed ^ 0x5DEE_CE66);
        (0..SLICES)
            .map(|slice| {
                let mut pixels = Vec::with_capacity(ROWS * COLUMNS);
                for row in 0..ROWS {
                    for column in 0..COLUMNS {
                        let [x, y, z] = Made {
                            axes: AXIAL,
                            ..self.clone()
                        }
                        .place(slice as f64, row as f64, column as f64);
                        let head = if (x / 70.0).powi(2) + (y / 65.0).powi(2) < 1.0 {
                            300.0
                        } else {
                            10.0
                        };
                        let bright: f64 = bumps
                            .iter()
                            .map(|[h, a, b, c, w]| {
                                h * (-((x - a).powi(2) + (y - b).powi(2) + (z - c).powi(2)) / (w * w)).exp()
                            })
                            .sum();
                        let value = head + if head > 100.0 { bright } else { 0.0 };
                        let value = value + self.noise * (noise.next() + noise.next() + noise.next() - 1.5);
                        pixels.push(
                            ((value - self.intercept) / self.slope)
                                .round()
                                .clamp(0.0, 65535.0) as u16,
                        );
                    }
                }
                let path = folder.join(format!("{slice:04}.dcm"));
                self.object(slice, &pixels, &path);
                path
            })
            .collect()
    }

    /// Height, place and width.
    fn bumps(&self) -> Vec<[f64; 5]> {
        let mut dice = Lcg(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
        let mut between = |low: f64, high: f64| low + (high - low) * dice.next();
        (0..60)
            .map(|_| {
                [
                    between(-200.0, 400.0),
                    between(-65.0, 65.0),
                    between(-60.0, 60.0),
                    between(-25.0, 25.0),
                    between(6.0, 20.0),
                ]
            })
            .collect()
    }

    fn object(&self, slice: usize, pixels: &[u16], path: &Path) {
        let sop = format!("{}.{}", self.series(), slice + 1);
        let mut o = InMemDicomObject::new_empty();
        let mut put = |tag, vr, text: String| o.put(DataElement::new(tag, vr, text));
        put(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE.into());
        put(tags::SOP_INSTANCE_UID, VR::UI, sop.clone());
        put(tags::STUDY_INSTANCE_UID, VR::UI, self.study.clone());
        put(tags::SERIES_INSTANCE_UID, VR::UI, self.series());
        put(tags::FRAME_OF_REFERENCE_UID, VR::UI, self.frame.clone());
        put(tags::MODALITY, VR::CS, "MR".into());
        put(tags::PATIENT_ID, VR::LO, self.id.into());
        put(tags::PATIENT_NAME, VR::PN, self.name.into());
        put(tags::PATIENT_BIRTH_DATE, VR::DA, self.birth.into());
        put(tags::PATIENT_SEX, VR::CS, String::new());
        put(tags::STUDY_ID, VR::SH, String::new());
        put(tags::ACCESSION_NUMBER, VR::SH, String::new());
        put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, String::new());
        put(tags::MANUFACTURER, VR::LO, "None".into());
        put(tags::STUDY_DATE, VR::DA, self.date.into());
        put(tags::STUDY_TIME, VR::TM, "120000".into());
        put(tags::SERIES_DESCRIPTION, VR::LO, "T2 TSE".into());
        put(tags::SERIES_NUMBER, VR::IS, "1".into());
        put(tags::INSTANCE_NUMBER, VR::IS, (slice + 1).to_string());
        put(tags::SCANNING_SEQUENCE, VR::CS, "SE".into());
        put(tags::SEQUENCE_VARIANT, VR::CS, "SK".into());
        put(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\M".into());
        put(tags::REPETITION_TIME, VR::DS, "4460".into());
        put(tags::ECHO_TIME, VR::DS, "78".into());
        put(tags::FLIP_ANGLE, VR::DS, "90".into());
        // Slices with a gap between them.
        put(tags::SLICE_THICKNESS, VR::DS, (STEP[2] - 0.5).to_string());
        put(tags::PIXEL_SPACING, VR::DS, format!("{}\\{}", STEP[0], STEP[1]));
        let numbers = |n: &[f64]| n.iter().map(|x| format!("{x:.6}")).collect::<Vec<_>>().join("\\");
        put(
            tags::IMAGE_POSITION_PATIENT,
            VR::DS,
            numbers(&self.place(slice as f64, 0.0, 0.0)),
        );
        put(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, numbers(&self.axes));
        put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
        put(tags::RESCALE_SLOPE, VR::DS, self.slope.to_string());
        put(tags::RESCALE_INTERCEPT, VR::DS, self.intercept.to_string());
        let mut number = |tag, n: u16| o.put(DataElement::new(tag, VR::US, dicom_value!(U16, n)));
        number(tags::ROWS, ROWS as u16);
        number(tags::COLUMNS, COLUMNS as u16);
        number(tags::BITS_ALLOCATED, 16);
        number(tags::BITS_STORED, 16);
        number(tags::HIGH_BIT, 15);
        number(tags::PIXEL_REPRESENTATION, 0);
        number(tags::SAMPLES_PER_PIXEL, 1);
        o.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(pixels.into()),
        ));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(sop);
        o.with_meta(meta).unwrap().write_to_file(path).unwrap();
    }
}

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

/// Numbers from 0 to 1 that are the same everywhere.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// A folder with a study and the masks of `peers.py` about it.
pub fn written(made: &Made) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    made.write(&folder.path().join("study"));
    let modules = std::env::var_os("SIALOSCOPE_HIGHDICOM")
        .expect("SIALOSCOPE_HIGHDICOM names the folder of highdicom: tests/run sets it");
    let done = Command::new("python3")
        .env("PYTHONPATH", modules)
        .args(["-c", include_str!("peers.py")])
        .arg(folder.path().join("study"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

/// Writes balls of 9 mm as a compressed NIfTI mask on the grid of a study: place in mm and number of each.
pub fn nifti(path: &Path, made: &Made, balls: &[([f64; 3], u8)]) {
    let mut bytes = vec![0u8; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348i32.to_le_bytes());
    for (i, n) in [3, COLUMNS, ROWS, SLICES, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &(n as i16).to_le_bytes());
    }
    put(70, &2i16.to_le_bytes());
    put(108, &352f32.to_le_bytes());
    put(254, &1i16.to_le_bytes());
    let origin = made.place(0.0, 0.0, 0.0);
    let steps = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]].map(|[s, r, c]| made.place(s, r, c));
    for axis in 0..3 {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        let row = steps.map(|step| step[axis] - origin[axis]);
        for (i, x) in row.into_iter().chain([origin[axis]]).enumerate() {
            put(280 + 16 * axis + 4 * i, &((sign * x) as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    for s in 0..SLICES {
        for r in 0..ROWS {
            for c in 0..COLUMNS {
                let p = made.place(s as f64, r as f64, c as f64);
                let near =
                    |centre: &[f64; 3]| (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() <= 81.0;
                bytes.push(
                    balls
                        .iter()
                        .find(|(centre, _)| near(centre))
                        .map_or(0, |(_, n)| *n),
                );
            }
        }
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file =
        flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(&bytes).unwrap();
    file.finish().unwrap();
}
