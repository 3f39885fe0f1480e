//! What the makers write differently: words, private tags, numbering, which volumes share a series.
//!
//! Plausible rather than exact: tags follow the makers' documented private dictionaries as commonly
//! known, the words were not checked against their conformance statements.

use dicom_core::header::Tag;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_object::InMemDicomObject;

use crate::acquire::Contrast;
use crate::patient::{Scan, Vendor};
use crate::tissue::Field;

impl Vendor {
    /// (0008,0070).
    pub(crate) fn manufacturer(self) -> &'static str {
        match self {
            Vendor::Siemens => "SIEMENS",
            Vendor::Ge => "GE MEDICAL SYSTEMS",
            Vendor::Philips => "Philips",
        }
    }
}

/// (0008,1090) and (0018,1020).
pub(crate) fn model(scan: &Scan) -> (&'static str, &'static str) {
    match (scan.vendor, scan.field) {
        (Vendor::Siemens, Field::T3) => (
            ["MAGNETOM Skyra", "MAGNETOM Prisma", "MAGNETOM Vida"][scan.habit],
            "syngo MR E11",
        ),
        (Vendor::Siemens, Field::T15) => (
            ["MAGNETOM Aera", "MAGNETOM Avanto", "MAGNETOM Sola"][scan.habit],
            "syngo MR E11",
        ),
        (Vendor::Ge, Field::T3) => (
            ["DISCOVERY MR750w", "SIGNA Premier", "SIGNA Pioneer"][scan.habit],
            "DV29.1_R02",
        ),
        (Vendor::Ge, Field::T15) => (
            ["SIGNA Artist", "Optima MR450w", "SIGNA Voyager"][scan.habit],
            "DV26.0_R05",
        ),
        (Vendor::Philips, Field::T3) => (
            ["Ingenia", "Ingenia Elition X", "Achieva dStream"][scan.habit],
            "5.7.1",
        ),
        (Vendor::Philips, Field::T15) => (["Ingenia", "Ingenia Ambition X", "Achieva"][scan.habit], "5.6.1"),
    }
}

/// (0008,103E).
pub(crate) fn description(scan: &Scan, contrast: Contrast) -> &'static str {
    use Contrast::{Adc, CeT1, Dwi, DwiB0, T1, T2};
    let choices: [&str; 3] = match (scan.vendor, contrast) {
        (Vendor::Siemens, T1) => ["t1_tse_tra", "T1_TSE_TRA_320", "t1 tse quer"],
        (Vendor::Siemens, T2) => ["t2_tse_fs_tra", "T2_TSE_FS_TRA_320", "t2 tse fs quer"],
        (Vendor::Siemens, CeT1) => ["t1_vibe_fs_tra_+C", "T1_VIBE_FS_TRA_C+", "t1 vibe fs quer KM"],
        (Vendor::Siemens, Dwi | DwiB0) => [
            "resolve_tra_TRACEW",
            "RESOLVE_DWI_B1000_TRACEW",
            "diff quer_TRACEW",
        ],
        (Vendor::Siemens, Adc) => ["resolve_tra_ADC", "RESOLVE_DWI_B1000_ADC", "diff quer_ADC"],
        (Vendor::Ge, T1) => ["Ax T1 FSE", "AX T1", "OAx T1 FSE"],
        (Vendor::Ge, T2) => ["Ax T2 FS FSE", "AX T2 FS", "OAx T2 frFSE fs"],
        (Vendor::Ge, CeT1) => ["Ax LAVA +C", "AX T1 FS+C", "OAx LAVA C+"],
        (Vendor::Ge, Dwi | DwiB0) => ["Ax DWI b1000", "AX DWI", "OAx DWI MUSE"],
        (Vendor::Ge, Adc) => [
            "ADC (10^-6 mm2/s)",
            "Apparent Diffusion Coefficient",
            "OAx DWI MUSE ADC",
        ],
        (Vendor::Philips, T1) => ["T1W_TSE", "T1W TSE tra", "T1_TSE_TRA CLEAR"],
        (Vendor::Philips, T2) => ["T2W_SPAIR", "T2W TSE SPAIR tra", "T2_TSE_FS_TRA"],
        (Vendor::Philips, CeT1) => ["eTHRIVE +C", "e-THRIVE tra KM", "T1_THRIVE_FS_C"],
        (Vendor::Philips, Dwi | DwiB0) => ["DWI_0_1000", "DWI SSh tra", "DWI_TSE_b1000"],
        (Vendor::Philips, Adc) => ["ADC map", "dADC tra", "dDWI_0_1000"],
    };
    choices[scan.habit]
}

/// (0008,0008).
pub(crate) fn image_type(vendor: Vendor, contrast: Contrast) -> &'static [&'static str] {
    use Contrast::{Adc, CeT1, Dwi, DwiB0};
    match (vendor, contrast) {
        (Vendor::Siemens, DwiB0) => &["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "NORM"],
        (Vendor::Siemens, Dwi) => &["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND", "NORM"],
        (Vendor::Siemens, Adc) => &["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND", "NORM"],
        (Vendor::Siemens, _) => &["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
        (Vendor::Ge, Adc) => &["DERIVED", "SECONDARY", "ADC"],
        (Vendor::Ge, _) => &["ORIGINAL", "PRIMARY", "OTHER"],
        (Vendor::Philips, Adc) => &["ORIGINAL", "PRIMARY", "ADC", "SE", "ADC"],
        (Vendor::Philips, CeT1) => &["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
        (Vendor::Philips, _) => &["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    }
}

/// Volumes of one series, as indices into the examination's volumes: T1, T2, CE-T1, b0, b1000, ADC.
pub(crate) fn series(scan: &Scan) -> Vec<Vec<usize>> {
    let mut series = vec![vec![0], vec![1]];
    match (scan.vendor, scan.habit) {
        // One Siemens site sends b0 and trace images as series of their own.
        (Vendor::Siemens, 1) => series.extend([vec![3], vec![4]]),
        _ => series.push(vec![3, 4]),
    }
    series.extend([vec![5], vec![2]]);
    series
}

/// (0020,0011) of the series at a place in [`series`].
pub(crate) fn series_number(vendor: Vendor, place: usize) -> u32 {
    let n = place as u32;
    match vendor {
        Vendor::Siemens => n + 2,
        // GE numbers what it computes a hundredfold; the plain number is as common.
        Vendor::Ge => n + 3,
        Vendor::Philips => (n + 2) * 100 + 1,
    }
}

/// (0028,1052) and (0028,1053): intercept and slope; none where the maker writes plain values.
pub(crate) fn rescale(scan: &Scan, contrast: Contrast) -> Option<(f64, f64)> {
    match (scan.vendor, contrast) {
        (Vendor::Philips, Contrast::Adc) => Some((0.0, 1.25)),
        (Vendor::Philips, _) => Some((0.0, 2.5)),
        _ => None,
    }
}

/// The stored value of a voxel, given the maker's rescaling.
pub(crate) fn stored(value: u16, rescale: Option<(f64, f64)>) -> u16 {
    match rescale {
        Some((intercept, slope)) => ((f64::from(value) - intercept) / slope).round() as u16,
        None => value,
    }
}

/// Writes the b-value where this maker's readers look for it; s/mm².
pub(crate) fn put_b_value(object: &mut InMemDicomObject, scan: &Scan, b: f32) {
    let mut private = |creator_at: Tag, creator: &str, at: Tag, vr: VR, value: PrimitiveValue| {
        object.put(DataElement::new(creator_at, VR::LO, creator));
        object.put(DataElement::new(at, vr, value));
    };
    match scan.vendor {
        Vendor::Siemens => private(
            Tag(0x0019, 0x0010),
            "SIEMENS MR HEADER",
            Tag(0x0019, 0x100C),
            VR::IS,
            PrimitiveValue::from(format!("{b:.0}")),
        ),
        Vendor::Ge => {
            // Newer software adds 1e9 to tell the b-value apart from other uses of the field.
            let shown = if scan.habit == 0 {
                1_000_000_000 + b as i64
            } else {
                b as i64
            };
            let four = [shown.to_string(), "8".into(), "0".into(), "0".into()];
            private(
                Tag(0x0043, 0x0010),
                "GEMS_PARM_01",
                Tag(0x0043, 0x1039),
                VR::IS,
                PrimitiveValue::Strs(four.into_iter().collect()),
            );
        }
        Vendor::Philips => private(
            Tag(0x2001, 0x0010),
            "Philips Imaging DD 001",
            Tag(0x2001, 0x1003),
            VR::FL,
            PrimitiveValue::from(b),
        ),
    }
}

/// Instance number, from 1, of a slice of a volume, when `volumes` of `slices` share a series.
pub(crate) fn instance_number(
    scan: &Scan,
    volume: usize,
    slice: usize,
    volumes: usize,
    slices: usize,
) -> u32 {
    let slice = if scan.head_first {
        slices - 1 - slice
    } else {
        slice
    };
    let index = match scan.vendor {
        // Philips counts through the b-values of a slice first.
        Vendor::Philips => slice * volumes + volume,
        Vendor::Siemens | Vendor::Ge => volume * slices + slice,
    };
    index as u32 + 1
}
