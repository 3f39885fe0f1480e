//! The header of one DICOM file, reduced to what this crate asks about.

use std::fs::File;
use std::path::Path;

use dicom_dictionary_std::tags;

use super::Part;
use super::data_set::DataSet;
use super::diffusion::Diffusion;
use super::extent::{self, Broken};
use super::stored::{StoredFile, Version};
use super::{codec, enhanced, mosaic};
use crate::findings::{Fault, Reason, StudyIdentity};
use crate::limits::{MAX_DICOM_FILE_BYTES, MAX_FRAMES, MAX_IMAGE_SIDE};

/// What a file says about one image in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub study: StudyIdentity,
    pub series_uid: String,
    pub sop_instance_uid: String,
    pub sop_class_uid: String,
    pub modality: String,
    pub series_number: Option<i64>,
    pub description: String,
    pub frame_of_reference_uid: Option<String>,
    /// (0020,0013); tells the order of repeated images, never that of slices.
    pub instance_number: Option<i64>,
    /// `YYYYMMDDHHMMSS`.
    pub acquired: Option<String>,
    pub part: Part,
    pub image: Image,
    pub place: Place,
    pub sequence: Sequence,
    pub diffusion: Diffusion,
}

/// How the pixels are stored (PS3.3 C.7.6.3), and what a stored value means (C.11.1).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub rows: usize,
    pub columns: usize,
    pub frames: usize,
    pub samples: u32,
    pub photometric: String,
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub signed: bool,
    pub slope: f64,
    pub intercept: f64,
    /// Stored values between these two mean that nothing was measured (C.7.5.1.1.2).
    pub padding: Option<[i32; 2]>,
    pub real_world: Option<RealWorld>,
}

/// What stored values mean in a physical unit (C.7.6.16.2.11): value = stored · slope + intercept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RealWorld {
    pub slope: f64,
    pub intercept: f64,
    /// UCUM code.
    pub unit: String,
}

/// Where the pixels are (PS3.3 C.7.6.2), as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub position: Option<[f64; 3]>,
    pub orientation: Option<[f64; 6]>,
    /// Between rows, between columns, mm.
    pub spacing: Option<[f64; 2]>,
    pub thickness: Option<f64>,
    /// (0018,0088), from centre to centre.
    pub slice_distance: Option<f64>,
}

/// How the image was made (PS3.3 C.8.3.1). Times in milliseconds, angles in degrees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sequence {
    pub manufacturer: String,
    pub image_type: Vec<String>,
    pub scanning_sequence: Vec<String>,
    pub variant: Vec<String>,
    pub options: Vec<String>,
    pub name: String,
    pub protocol: String,
    pub repetition_time: Option<f64>,
    pub echo_time: Option<f64>,
    pub inversion_time: Option<f64>,
    pub flip_angle: Option<f64>,
    pub echo_train: Option<f64>,
    pub angiography: bool,
    /// (0008,9209), of enhanced images.
    pub acquisition_contrast: Option<String>,
    /// (0018,0010), or a sign of an injection in the tags beside it.
    pub contrast_agent: Option<String>,
    pub temporal_position: Option<i64>,
    pub acquisition: Option<i64>,
}

/// The images of one file and where its pixels are.
#[derive(Debug, Clone)]
pub(super) struct FileHeader {
    /// At least one; as many as an enhanced image has frames, or a mosaic tiles.
    pub images: Vec<Header>,
    /// Where their pixels are.
    pub stored: StoredFile,
}

/// Reads the header of a file, never its pixel data.
///
/// # Errors
/// A [`Reason`] with one of the codes of files in [`crate::mr`].
pub(super) fn read(path: &Path) -> Result<FileHeader, Reason> {
    // Asked before opening: to open a named pipe is to wait for its other end.
    let metadata = std::fs::metadata(path).map_err(|e| unreadable(&e))?;
    if !metadata.is_file() {
        return Err(Reason::new("unreadable", Fault::Data, "It is no regular file."));
    }
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let extent = extent::walk(file, metadata.len()).map_err(broken)?;
    let data_set = DataSet::parse(&extent.header, extent.syntax).map_err(broken)?;
    let whole = Header::from_data_set(&data_set)?;
    let stored = whole.image.clone();
    let (sop_class_uid, sop_instance_uid) = (whole.sop_class_uid.clone(), whole.sop_instance_uid.clone());
    if let Some(pixels) = &extent.pixels
        && pixels.fragments.is_none() != codec::uncompressed(&extent.transfer_syntax)
        && codec::readable(&extent.transfer_syntax).is_ok()
    {
        return Err(broken(Broken::OtherSyntax));
    }
    if let Some(pixels) = &extent.pixels
        && pixels.fragments.is_none()
        && stored.stored_bytes().is_none_or(|needed| needed > pixels.length)
    {
        return Err(broken(Broken::Truncated));
    }
    let images = match (whole.modality.as_str(), &extent.pixels) {
        // What is no MR image is refused later, with its series.
        ("MR", Some(_)) => enhanced::frames(&whole, &data_set)
            .or_else(|| mosaic::tiles(&whole, &data_set))
            .transpose()?
            .unwrap_or_else(|| vec![whole]),
        _ => vec![whole],
    };
    Ok(FileHeader {
        images,
        stored: StoredFile {
            path: path.to_owned(),
            sop_class_uid,
            sop_instance_uid,
            version: Version::of(&metadata),
            image: stored,
            transfer_syntax: extent.transfer_syntax,
            pixels: extent.pixels,
            deflated: extent.inflated.is_some(),
        },
    })
}

fn unreadable(error: &std::io::Error) -> Reason {
    Reason::new(
        "unreadable",
        Fault::Hardware,
        format!("The file cannot be read: {}.", error.kind()),
    )
}

fn broken(why: Broken) -> Reason {
    let (code, text) = match why {
        Broken::NotDicom => ("not_dicom", "It is no DICOM file.".to_owned()),
        Broken::Truncated => (
            "truncated",
            "The file ends before its image is complete.".to_owned(),
        ),
        Broken::Malformed => ("malformed", "Its DICOM header cannot be parsed.".to_owned()),
        Broken::TooLarge => (
            "too_large",
            format!(
                "Its header or the file (limit {} MiB) is too large.",
                MAX_DICOM_FILE_BYTES >> 20
            ),
        ),
        Broken::OtherSyntax => (
            "wrong_transfer_syntax",
            "It is written in another transfer syntax than its file meta information (0002,0010) states."
                .to_owned(),
        ),
        Broken::Streamed => (
            "unsupported_transfer_syntax",
            "Its pixels are on a server (JPIP), not in the file.".to_owned(),
        ),
        Broken::Unreadable => {
            return Reason::new("unreadable", Fault::Hardware, "The file cannot be read.");
        }
    };
    Reason::new(code, Fault::Data, text)
}

impl Image {
    /// Bytes of uncompressed pixel data; none when the numbers are beyond any image.
    pub fn stored_bytes(&self) -> Option<u64> {
        let bits = [
            self.rows,
            self.columns,
            self.frames,
            self.samples as usize,
            self.bits_allocated as usize,
        ]
        .into_iter()
        .try_fold(1u64, |product, n| product.checked_mul(n as u64))?;
        Some(bits.div_ceil(8))
    }
}

impl Header {
    fn from_data_set(d: &DataSet) -> Result<Header, Reason> {
        let uid = |tag, what| checked_uid(d.text(tag), what);
        let size = |tag| match d.number(tag) {
            Some(n) if n <= MAX_IMAGE_SIDE as f64 => Ok(n.max(0.0) as usize),
            Some(_) => Err(Reason::new(
                "too_large",
                Fault::Data,
                format!("The image has more than {MAX_IMAGE_SIDE} rows or columns."),
            )),
            None => Ok(0),
        };
        let study = StudyIdentity {
            study_instance_uid: uid(tags::STUDY_INSTANCE_UID, "Study Instance UID (0020,000D)")?,
            patient_name: d.text(tags::PATIENT_NAME).unwrap_or_default(),
            patient_id: d.text(tags::PATIENT_ID).unwrap_or_default(),
            study_date: d.text(tags::STUDY_DATE).unwrap_or_default(),
            accession_number: d.text(tags::ACCESSION_NUMBER).unwrap_or_default(),
            description: d.text(tags::STUDY_DESCRIPTION).unwrap_or_default(),
        };
        let bits_allocated = d.whole(tags::BITS_ALLOCATED).unwrap_or(0);
        let bits_stored = d.whole(tags::BITS_STORED).unwrap_or(bits_allocated);
        let image_type = d.words(tags::IMAGE_TYPE);
        let image = Image {
            rows: size(tags::ROWS)?,
            columns: size(tags::COLUMNS)?,
            frames: frames(d)?,
            samples: d.whole(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            photometric: d.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default(),
            bits_allocated,
            bits_stored,
            high_bit: d.whole(tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1)),
            signed: d.whole(tags::PIXEL_REPRESENTATION) == Some(1),
            slope: d.number(tags::RESCALE_SLOPE).unwrap_or(1.0),
            intercept: d.number(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            padding: padding(d),
            real_world: real_world(d),
        };
        Ok(Header {
            study,
            series_uid: uid(tags::SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)")?,
            sop_instance_uid: uid(tags::SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)")?,
            sop_class_uid: d.text(tags::SOP_CLASS_UID).unwrap_or_default(),
            modality: d.text(tags::MODALITY).unwrap_or_default(),
            series_number: d.number(tags::SERIES_NUMBER).map(|n| n as i64),
            description: d.text(tags::SERIES_DESCRIPTION).unwrap_or_default(),
            frame_of_reference_uid: d
                .text(tags::FRAME_OF_REFERENCE_UID)
                .map(|uid| checked_uid(Some(uid), "Frame of Reference UID (0020,0052)"))
                .transpose()?,
            instance_number: d.number(tags::INSTANCE_NUMBER).map(|n| n as i64),
            acquired: acquired(d),
            part: Part::Whole,
            image,
            place: Place {
                position: d.numbers(tags::IMAGE_POSITION_PATIENT),
                orientation: d.numbers(tags::IMAGE_ORIENTATION_PATIENT),
                spacing: d.numbers(tags::PIXEL_SPACING),
                thickness: d.number(tags::SLICE_THICKNESS).filter(|t| *t > 0.0),
                slice_distance: d
                    .number(tags::SPACING_BETWEEN_SLICES)
                    .map(f64::abs)
                    .filter(|s| *s > 0.0),
            },
            diffusion: Diffusion::from_data_set(d, &image_type),
            sequence: Sequence {
                manufacturer: d.text(tags::MANUFACTURER).unwrap_or_default(),
                image_type,
                scanning_sequence: d.words(tags::SCANNING_SEQUENCE),
                variant: d.words(tags::SEQUENCE_VARIANT),
                options: d.words(tags::SCAN_OPTIONS),
                name: d.text(tags::SEQUENCE_NAME).unwrap_or_default(),
                protocol: d.text(tags::PROTOCOL_NAME).unwrap_or_default(),
                repetition_time: d.positive(tags::REPETITION_TIME),
                echo_time: d.positive(tags::ECHO_TIME),
                inversion_time: d.positive(tags::INVERSION_TIME),
                flip_angle: d.positive(tags::FLIP_ANGLE),
                echo_train: d.positive(tags::ECHO_TRAIN_LENGTH),
                angiography: d.text(tags::ANGIO_FLAG).is_some_and(|f| f == "Y"),
                acquisition_contrast: d.text(tags::ACQUISITION_CONTRAST),
                contrast_agent: contrast_agent(d),
                temporal_position: d.number(tags::TEMPORAL_POSITION_IDENTIFIER).map(|n| n as i64),
                acquisition: d.number(tags::ACQUISITION_NUMBER).map(|n| n as i64),
            },
        })
    }
}

fn frames(d: &DataSet) -> Result<usize, Reason> {
    match d.number(tags::NUMBER_OF_FRAMES) {
        None => Ok(1),
        Some(n) if (1.0..=MAX_FRAMES as f64).contains(&n) => Ok(n as usize),
        Some(_) => Err(Reason::new(
            "too_large",
            Fault::Data,
            format!("The image has no frame, or more than {MAX_FRAMES}."),
        )),
    }
}

/// The range limit is absent where a single value means padding.
fn padding(d: &DataSet) -> Option<[i32; 2]> {
    let stored = |tag| d.number(tag).map(|n| n as i32);
    let value = stored(tags::PIXEL_PADDING_VALUE)?;
    let limit = stored(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
    Some([value, limit])
}

/// The first linear mapping of a data set or functional group; those by table are not read.
pub(super) fn real_world(d: &DataSet) -> Option<RealWorld> {
    let item = d.item(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE)?;
    let unit = item.item(tags::MEASUREMENT_UNITS_CODE_SEQUENCE)?;
    Some(RealWorld {
        slope: item
            .number(tags::REAL_WORLD_VALUE_SLOPE)
            .filter(|slope| *slope != 0.0)?,
        intercept: item.number(tags::REAL_WORLD_VALUE_INTERCEPT)?,
        unit: unit.text(tags::CODE_VALUE)?,
    })
}

/// UIDs become parts of file names and reports, so nothing but PS3.5 §9.1 passes.
fn checked_uid(value: Option<String>, what: &str) -> Result<String, Reason> {
    match value {
        None => Err(Reason::new(
            "missing_uid",
            Fault::Data,
            format!("It has no {what}."),
        )),
        Some(uid) if uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.') => Ok(uid),
        Some(_) => Err(Reason::new(
            "invalid_uid",
            Fault::Data,
            format!("Its {what} is no valid UID."),
        )),
    }
}

pub(super) fn contrast_agent(d: &DataSet) -> Option<String> {
    const NONE: [&str; 8] = ["", "no", "n", "none", "0", "without", "no contrast", "unknown"];
    let said = |tag| d.text(tag).filter(|t| !NONE.contains(&t.to_lowercase().as_str()));
    let coded = || {
        d.item(tags::CONTRAST_BOLUS_AGENT_SEQUENCE)?
            .text(tags::CODE_MEANING)
    };
    said(tags::CONTRAST_BOLUS_AGENT)
        .or_else(coded)
        .or_else(|| said(tags::CONTRAST_BOLUS_INGREDIENT))
        .or_else(|| {
            d.positive(tags::CONTRAST_BOLUS_VOLUME)
                .map(|ml| format!("{ml} ml of an agent"))
        })
}

/// Date and time of acquisition to the second (PS3.5 table 6.2-1: DT, DA and TM).
fn acquired(d: &DataSet) -> Option<String> {
    /// `YYYYMMDDHHMMSS`.
    const DIGITS: usize = 14;
    let apart = || {
        let (date, time) = (d.text(tags::ACQUISITION_DATE)?, d.text(tags::ACQUISITION_TIME)?);
        Some(date + &time)
    };
    let whole = d.text(tags::ACQUISITION_DATE_TIME).or_else(apart)?;
    let seconds = whole.get(..DIGITS)?;
    seconds
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| seconds.to_owned())
}
