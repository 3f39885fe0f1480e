//! The examination as classic MR Image Storage instances (DICOM PS3.3 A.4), Explicit VR Little Endian.

use dicom_core::header::Tag;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};

use crate::Error;
use crate::acquire::{Contrast, Volume};
use crate::dice::{Dice, Purpose};
use crate::patient::{Patient, Sex};
use crate::sequence::VIBE_FLIP_DEG;
use crate::vendor;

/// A date that no real examination of this project has.
const STUDY_DATE: &str = "20200102";
const STUDY_YEAR: u32 = 2020;
/// The words that mark every image.
const MARK: &str = "SIMULATED DATA, NOT A PATIENT, NOT FOR DIAGNOSIS";

/// One DICOM file to be.
pub struct Instance {
    /// Folder of the series, such as `2_t1_tse_tra`.
    pub folder: String,
    /// (0020,0013); the file is named after it.
    pub number: u32,
    /// Ready to write or send.
    pub object: FileDicomObject<InMemDicomObject>,
}

/// The words that mark every image on a real head.
const MARK_REAL_HEAD: &str = "SIMULATED DATA ON THE ANATOMY OF A REAL HEAD, NOT A PATIENT, NOT FOR DIAGNOSIS; THE FACE MAY BE RECOGNISABLE";

/// Decides the unique identifiers of a patient: the seed, and the real head if there is one (FNV-1a).
fn uid_seed(patient: &Patient) -> u64 {
    let Some(anatomy) = &patient.anatomy else {
        return patient.seed;
    };
    let hash = anatomy.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ patient.seed
}

/// Unique identifiers of one patient: 2.25 and a UUID (PS3.5 B.2) drawn from [`uid_seed`].
fn uid(seed: u64, object: u64) -> String {
    let bits = Dice::new(seed, Purpose::Uid(object)).bits128();
    // Version 4, variant 1, as RFC 9562 asks of random UUIDs.
    let version = (bits & !(0xf << 76)) | (0x4 << 76);
    let uuid = (version & !(0x3 << 62)) | (0x2 << 62);
    format!("2.25.{uuid}")
}

/// A decimal string of at most 16 bytes (PS3.5 6.2, DS).
fn decimal(value: f64) -> String {
    // Minus zero would be written with its sign.
    let value = if value == 0.0 { 0.0 } else { value };
    let shortest = value.to_string();
    if shortest.len() <= 16 {
        return shortest;
    }
    (0..=12)
        .rev()
        .map(|digits| format!("{value:.digits$}"))
        .find(|text| text.len() <= 16)
        .unwrap_or_else(|| format!("{value:.8e}"))
}

fn decimals(values: impl IntoIterator<Item = f64>) -> PrimitiveValue {
    PrimitiveValue::Strs(values.into_iter().map(decimal).collect())
}

fn texts(values: &[&str]) -> PrimitiveValue {
    PrimitiveValue::Strs(values.iter().map(|s| (*s).to_owned()).collect())
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    object.put(DataElement::new(tag, vr, value.into()));
}

/// Every instance of an examination, series by series, in instance order.
pub(crate) fn instances(patient: &Patient, volumes: &[Volume]) -> Result<Vec<Instance>, Error> {
    let mut list = Vec::new();
    for (place, members) in vendor::series(&patient.scan).iter().enumerate() {
        let start = list.len();
        for (order, &member) in members.iter().enumerate() {
            let volume = &volumes[member];
            let head = header(patient, volume, place);
            for slice in 0..volume.grid.shape[0] {
                let number =
                    vendor::instance_number(&patient.scan, order, slice, members.len(), volume.grid.shape[0]);
                list.push(instance(patient, volume, &head, place, slice, number)?);
            }
        }
        list[start..].sort_by_key(|i| i.number);
    }
    Ok(list)
}

/// What all slices of a volume share.
fn header(patient: &Patient, volume: &Volume, place: usize) -> InMemDicomObject {
    let mut o = InMemDicomObject::new_empty();
    let (scan, seed) = (&patient.scan, uid_seed(patient));
    let (model, software) = vendor::model(scan);
    let time = format!("10{:02}00", 5 * place + 2);

    put(&mut o, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
    put(
        &mut o,
        tags::IMAGE_TYPE,
        VR::CS,
        texts(vendor::image_type(scan.vendor, volume.contrast)),
    );
    put(&mut o, tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE);
    for tag in [
        tags::STUDY_DATE,
        tags::SERIES_DATE,
        tags::ACQUISITION_DATE,
        tags::CONTENT_DATE,
    ] {
        put(&mut o, tag, VR::DA, STUDY_DATE);
    }
    put(&mut o, tags::STUDY_TIME, VR::TM, "100000");
    for tag in [tags::SERIES_TIME, tags::ACQUISITION_TIME, tags::CONTENT_TIME] {
        put(&mut o, tag, VR::TM, time.as_str());
    }
    put(&mut o, tags::ACCESSION_NUMBER, VR::SH, "");
    put(&mut o, tags::MODALITY, VR::CS, "MR");
    put(&mut o, tags::MANUFACTURER, VR::LO, scan.vendor.manufacturer());
    put(&mut o, tags::INSTITUTION_NAME, VR::LO, "Simulated hospital");
    put(&mut o, tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
    put(&mut o, tags::STUDY_DESCRIPTION, VR::LO, "MR parotid (simulated)");
    put(
        &mut o,
        tags::SERIES_DESCRIPTION,
        VR::LO,
        vendor::description(scan, volume.contrast),
    );
    put(&mut o, tags::MANUFACTURER_MODEL_NAME, VR::LO, model);

    put(&mut o, tags::PATIENT_NAME, VR::PN, patient.name());
    put(&mut o, tags::PATIENT_ID, VR::LO, patient.id());
    put(
        &mut o,
        tags::PATIENT_BIRTH_DATE,
        VR::DA,
        format!("{}0101", STUDY_YEAR - patient.age),
    );
    put(
        &mut o,
        tags::PATIENT_SEX,
        VR::CS,
        if patient.sex == Sex::Male { "M" } else { "F" },
    );
    put(&mut o, tags::PATIENT_AGE, VR::AS, format!("{:03}Y", patient.age));
    put(
        &mut o,
        tags::PATIENT_WEIGHT,
        VR::DS,
        format!("{:.0}", patient.weight_kg),
    );

    put(&mut o, tags::BODY_PART_EXAMINED, VR::CS, "HEADNECK");
    put(
        &mut o,
        tags::MAGNETIC_FIELD_STRENGTH,
        VR::DS,
        decimal(f64::from(scan.field.tesla())),
    );
    put(&mut o, tags::SOFTWARE_VERSIONS, VR::LO, software);
    put(
        &mut o,
        tags::PROTOCOL_NAME,
        VR::LO,
        vendor::description(scan, volume.contrast),
    );
    put(&mut o, tags::PATIENT_POSITION, VR::CS, "HFS");
    acquisition(&mut o, patient, volume);

    put(&mut o, tags::STUDY_INSTANCE_UID, VR::UI, uid(seed, 0));
    put(&mut o, tags::FRAME_OF_REFERENCE_UID, VR::UI, uid(seed, 1));
    put(
        &mut o,
        tags::SERIES_INSTANCE_UID,
        VR::UI,
        uid(seed, 100 + place as u64),
    );
    put(&mut o, tags::STUDY_ID, VR::SH, "1");
    put(
        &mut o,
        tags::SERIES_NUMBER,
        VR::IS,
        vendor::series_number(scan.vendor, place).to_string(),
    );
    put(&mut o, tags::ACQUISITION_NUMBER, VR::IS, "1");
    put(&mut o, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    if patient.anatomy.is_some() {
        put(&mut o, tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "YES");
        put(&mut o, tags::IMAGE_COMMENTS, VR::LT, MARK_REAL_HEAD);
    } else {
        put(&mut o, tags::IMAGE_COMMENTS, VR::LT, MARK);
    }

    pixels(&mut o, patient, volume);
    o
}

/// The MR Image module (PS3.3 C.8.3.1): how the volume was acquired.
fn acquisition(o: &mut InMemDicomObject, patient: &Patient, volume: &Volume) {
    let scan = &patient.scan;
    let grid = &volume.grid;
    let [_, rows, columns] = grid.shape;
    let diffusion = matches!(volume.contrast, Contrast::DwiB0 | Contrast::Dwi | Contrast::Adc);
    let (sequence, variant, tr, te, flip, train): (&[&str], &[&str], f64, f64, f64, u32) =
        match volume.contrast {
            Contrast::T1 => (&["SE"], &["SK", "SP", "OSP"], 849.0, 11.0, 150.0, 3),
            Contrast::T2 => (&["SE"], &["SK", "SP", "OSP"], 4460.0, 78.0, 150.0, 14),
            Contrast::CeT1 => (&["GR"], &["SP", "OSP"], 3.73, 1.52, f64::from(VIBE_FLIP_DEG), 1),
            Contrast::DwiB0 | Contrast::Dwi | Contrast::Adc => {
                (&["EP", "SE"], &["SK", "SP"], 3600.0, 65.0, 90.0, 47)
            }
        };
    put(o, tags::SCANNING_SEQUENCE, VR::CS, texts(sequence));
    put(o, tags::SEQUENCE_VARIANT, VR::CS, texts(variant));
    let suppressed = volume.contrast != Contrast::T1;
    put(o, tags::SCAN_OPTIONS, VR::CS, if suppressed { "FS" } else { "" });
    let three_d = volume.contrast == Contrast::CeT1;
    put(
        o,
        tags::MR_ACQUISITION_TYPE,
        VR::CS,
        if three_d { "3D" } else { "2D" },
    );
    put(o, tags::REPETITION_TIME, VR::DS, decimal(tr));
    put(o, tags::ECHO_TIME, VR::DS, decimal(te));
    put(o, tags::FLIP_ANGLE, VR::DS, decimal(flip));
    put(o, tags::ECHO_TRAIN_LENGTH, VR::IS, train.to_string());
    put(o, tags::NUMBER_OF_AVERAGES, VR::DS, "1");
    put(o, tags::IMAGED_NUCLEUS, VR::SH, "1H");
    put(
        o,
        tags::IMAGING_FREQUENCY,
        VR::DS,
        decimal(f64::from(scan.field.tesla()) * 42.577),
    );
    put(o, tags::ECHO_NUMBERS, VR::IS, "1");
    put(o, tags::SLICE_THICKNESS, VR::DS, decimal(grid.thickness_mm));
    put(
        o,
        tags::SPACING_BETWEEN_SLICES,
        VR::DS,
        decimal(norm(grid.slice_step)),
    );
    // Frequency rows, columns; phase rows, columns.
    let (matrix, phase) = if diffusion {
        ([0, columns as u16, rows as u16, 0], "COL")
    } else {
        ([320, 0, 0, 240], "ROW")
    };
    put(
        o,
        tags::ACQUISITION_MATRIX,
        VR::US,
        PrimitiveValue::U16(matrix.into_iter().collect()),
    );
    put(o, tags::IN_PLANE_PHASE_ENCODING_DIRECTION, VR::CS, phase);
    if three_d {
        put(o, tags::CONTRAST_BOLUS_AGENT, VR::LO, "Gadobutrol");
        put(o, tags::CONTRAST_BOLUS_ROUTE, VR::LO, "IV");
        let ml = 0.1 * f64::from(patient.weight_kg);
        put(o, tags::CONTRAST_BOLUS_VOLUME, VR::DS, format!("{ml:.1}"));
    }
    if let Some(b) = volume.b_value {
        if scan.standard_b {
            put(o, tags::DIFFUSION_B_VALUE, VR::FD, f64::from(b));
        }
        vendor::put_b_value(o, scan, b);
    }
}

/// Image pixel and plane attributes that the slices share.
fn pixels(o: &mut InMemDicomObject, patient: &Patient, volume: &Volume) {
    let grid = &volume.grid;
    let [_, rows, columns] = grid.shape;
    let (right, down) = (norm(grid.column_step), norm(grid.row_step));
    let cosines = grid
        .column_step
        .map(|x| x / right)
        .into_iter()
        .chain(grid.row_step.map(|x| x / down));
    put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, decimals(cosines));
    put(o, tags::PIXEL_SPACING, VR::DS, decimals([down, right]));
    put(o, tags::SAMPLES_PER_PIXEL, VR::US, 1u16);
    put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    put(o, tags::ROWS, VR::US, rows as u16);
    put(o, tags::COLUMNS, VR::US, columns as u16);
    put(o, tags::BITS_ALLOCATED, VR::US, 16u16);
    put(o, tags::BITS_STORED, VR::US, 12u16);
    put(o, tags::HIGH_BIT, VR::US, 11u16);
    put(o, tags::PIXEL_REPRESENTATION, VR::US, 0u16);
    let (center, width) = match volume.contrast {
        Contrast::Adc => (1200.0, 2400.0),
        _ => (
            0.6 * f64::from(patient.scan.gain),
            1.2 * f64::from(patient.scan.gain),
        ),
    };
    put(o, tags::WINDOW_CENTER, VR::DS, format!("{center:.0}"));
    put(o, tags::WINDOW_WIDTH, VR::DS, format!("{width:.0}"));
    if let Some((intercept, slope)) = vendor::rescale(&patient.scan, volume.contrast) {
        put(o, tags::RESCALE_INTERCEPT, VR::DS, decimal(intercept));
        put(o, tags::RESCALE_SLOPE, VR::DS, decimal(slope));
        put(o, tags::RESCALE_TYPE, VR::LO, "normalized");
    }
}

fn instance(
    patient: &Patient,
    volume: &Volume,
    head: &InMemDicomObject,
    place: usize,
    slice: usize,
    number: u32,
) -> Result<Instance, Error> {
    let mut o = head.clone();
    let grid = &volume.grid;
    let uid = uid(
        uid_seed(patient),
        1_000_000 + 10_000 * place as u64 + u64::from(number),
    );
    put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, uid.as_str());
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, number.to_string());
    let position = grid.position(slice as f64, 0.0, 0.0);
    put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, decimals(position));
    let normal = norm(grid.slice_step);
    let location = (0..3).map(|a| position[a] * grid.slice_step[a] / normal).sum();
    put(&mut o, tags::SLICE_LOCATION, VR::DS, decimal(location));
    let rescale = vendor::rescale(&patient.scan, volume.contrast);
    let values = volume.voxels.index_axis(ndarray::Axis(0), slice);
    let words = values.iter().map(|&v| vendor::stored(v, rescale)).collect();
    o.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(words),
    ));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(uid)
        .build()
        .map_err(|e| Error::Dicom(e.to_string()))?;
    let words = vendor::description(&patient.scan, volume.contrast);
    let safe: String = words
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    Ok(Instance {
        folder: format!("{}_{safe}", vendor::series_number(patient.scan.vendor, place)),
        number,
        object: o.with_exact_meta(meta),
    })
}

fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}
