//! b-value and direction of a diffusion-weighted image, from the standard tags (PS3.3 C.8.13.5.9)
//! or those of the vendors.
//!
//! | vendor | b-value | directionality | direction |
//! |---|---|---|---|
//! | standard | (0018,9087) | (0018,9075) | (0018,9089) |
//! | Siemens, `SIEMENS MR HEADER` | (0019,xx0C) | (0019,xx0D) | (0019,xx0E) |
//! | Siemens, CSA header | `B_value` | `DiffusionDirectionality` | `DiffusionGradientDirection` |
//! | GE, `GEMS_PARM_01`, `GEMS_ACQU_01` | (0043,xx39) first value less (0043,xx7F) | | (0019,xxBB), BC, BD |
//! | Philips, `Philips Imaging DD 001` | (2001,xx03) | (2001,xx04): I isotropic | |
//! | United Imaging, `Image Private Header` | (0065,xx09) | | (0065,xx37) |
//! | Canon, Toshiba | standard, or (0020,4000) `b=1000(x,y,z)` | | the same |

use dicom_dictionary_std::tags;

use super::csa;
use super::data_set::{DataSet, Form};
use super::private::Private;
use crate::limits::{MAX_B_VALUE_S_PER_MM2, MAX_B0_S_PER_MM2};

const SIEMENS: Private = Private {
    group: 0x0019,
    creator: "SIEMENS MR HEADER",
    vendor: "SIEMENS",
};
const GE_ACQUISITION: Private = Private {
    group: 0x0019,
    creator: "GEMS_ACQU_01",
    vendor: "GE",
};
const GE_PARAMETERS: Private = Private {
    group: 0x0043,
    creator: "GEMS_PARM_01",
    vendor: "GE",
};
const PHILIPS: Private = Private {
    group: 0x2001,
    creator: "Philips Imaging DD 001",
    vendor: "PHILIPS",
};
const UNITED_IMAGING: Private = Private {
    group: 0x0065,
    creator: "Image Private Header",
    vendor: "UIH",
};

/// How an image is diffusion-weighted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Diffusion {
    pub b: Option<BValue>,
    pub weighting: Weighting,
}

/// A b-value and which tag says so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BValue {
    /// s/mm².
    pub value: f64,
    pub source: Source,
}

/// Where a b-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// (0018,9087).
    Standard,
    /// A vendor's private tag, by name.
    Private(&'static str),
    /// (0018,0024), as Siemens names its sequences: `ep_b1000#4`.
    SequenceName,
    /// (0020,4000), as Canon writes it: `b=1000(0.4,-0.2,0.9)`.
    ImageComments,
}

/// Along what the gradients lay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weighting {
    /// No word about directions: b = 0, or a map, or a scanner that only writes the trace.
    Unstated,
    /// The average over directions.
    Trace,
    /// One direction, named so that equal names are equal directions.
    Direction(String),
}

impl Source {
    /// For the reason sentence.
    pub fn name(self) -> &'static str {
        match self {
            Source::Standard => "Diffusion b-value (0018,9087)",
            Source::Private(name) => name,
            Source::SequenceName => "the sequence name (0018,0024)",
            Source::ImageComments => "the image comments (0020,4000)",
        }
    }
}

impl Diffusion {
    pub fn from_data_set(d: &DataSet, image_type: &[String]) -> Diffusion {
        let sequence = d.text(tags::SEQUENCE_NAME).unwrap_or_default();
        let b = b_value(d, &sequence).filter(|b| (0.0..=MAX_B_VALUE_S_PER_MM2).contains(&b.value));
        let weighted = b.as_ref().is_some_and(|b| b.value >= MAX_B0_S_PER_MM2);
        let weighting = if weighted {
            weighting(d, &sequence, image_type)
        } else {
            Weighting::Unstated
        };
        Diffusion { b, weighting }
    }
}

impl Diffusion {
    /// From the MR Diffusion macro of an enhanced image (PS3.3 C.8.13.5.9).
    pub fn from_functional_group(item: &DataSet, image_type: &[String]) -> Diffusion {
        let b = item
            .number(tags::DIFFUSION_B_VALUE)
            .filter(|b| (0.0..=MAX_B_VALUE_S_PER_MM2).contains(b))
            .map(|value| BValue {
                value,
                source: Source::Standard,
            });
        let weighted = b.as_ref().is_some_and(|b| b.value >= MAX_B0_S_PER_MM2);
        let direction = || {
            let item = item.item(tags::DIFFUSION_GRADIENT_DIRECTION_SEQUENCE)?;
            item.numbers::<3>(tags::DIFFUSION_GRADIENT_ORIENTATION)
        };
        let weighting = match item.text(tags::DIFFUSION_DIRECTIONALITY).as_deref() {
            _ if !weighted => Weighting::Unstated,
            Some("ISOTROPIC") => Weighting::Trace,
            _ if trace_by_type(image_type) => Weighting::Trace,
            _ => direction().map_or(Weighting::Unstated, along),
        };
        Diffusion { b, weighting }
    }
}

fn trace_by_type(image_type: &[String]) -> bool {
    let is = |word: &str| image_type.iter().any(|t| t == word);
    is("TRACEW") || is("TRACE") || is("CALC_BVALUE") || is("ISOTROPIC")
}

/// Scanners write a null vector for what has no single direction.
fn along(v: [f64; 3]) -> Weighting {
    if v.iter().all(|x| x.abs() < 1e-3) {
        Weighting::Trace
    } else {
        Weighting::Direction(format!("{:.2} {:.2} {:.2}", v[0], v[1], v[2]))
    }
}

/// The standard tag, then the vendors' own, then words.
fn b_value(d: &DataSet, sequence: &str) -> Option<BValue> {
    let private = |block: &Private, element, form, name| {
        let value = *block.numbers(d, element, form)?.first()?;
        Some((value, Source::Private(name)))
    };
    let (value, source) = d
        .number(tags::DIFFUSION_B_VALUE)
        .map(|value| (value, Source::Standard))
        .or_else(|| private(&SIEMENS, 0x0C, Form::Text, "Siemens (0019,100C)"))
        .or_else(|| {
            Some((
                csa_number(d, "B_value")?,
                Source::Private("Siemens CSA header, B_value"),
            ))
        })
        .or_else(|| Some((ge_b_value(d)?, Source::Private("GE (0043,1039)"))))
        .or_else(|| private(&PHILIPS, 0x03, Form::F32, "Philips (2001,1003)"))
        .or_else(|| private(&UNITED_IMAGING, 0x09, Form::F64, "United Imaging (0065,1009)"))
        .or_else(|| Some((after_b(sequence)?.0.parse().ok()?, Source::SequenceName)))
        .or_else(|| Some((commented(d)?.0, Source::ImageComments)))?;
    Some(BValue { value, source })
}

/// GE adds a bias to tell b-values from what older releases wrote into the same element; the bias stands in
/// (0043,107F), or is 1e9 where that is missing or something else.
fn ge_b_value(d: &DataSet) -> Option<f64> {
    const BIAS: f64 = 1e9;
    let first = |element| GE_PARAMETERS.numbers(d, element, Form::Text)?.first().copied();
    let stored = first(0x39)?;
    let bias = first(0x7F).filter(|bias| (MAX_B_VALUE_S_PER_MM2..=stored).contains(bias));
    Some(bias.map_or_else(|| stored.rem_euclid(BIAS), |bias| stored - bias))
}

fn csa_number(d: &DataSet, name: &str) -> Option<f64> {
    csa::of_image(d, name)?
        .first()?
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
}

/// b-value and, in brackets, the direction of Canon's and Toshiba's image comments.
fn commented(d: &DataSet) -> Option<(f64, Option<[f64; 3]>)> {
    let comments = d.text(tags::IMAGE_COMMENTS)?;
    let (b, rest) = match comments.strip_prefix("b=")?.split_once('(') {
        Some((b, rest)) => (b, Some(rest)),
        None => (comments.strip_prefix("b=")?, None),
    };
    let direction = || {
        let (numbers, _) = rest?.split_once(')')?;
        let values: Option<Vec<f64>> = numbers.split(',').map(|n| n.trim().parse().ok()).collect();
        values?.try_into().ok()
    };
    Some((
        b.trim().parse().ok().filter(|b: &f64| b.is_finite())?,
        direction(),
    ))
}

/// Of `*ep_b1000#4` the digits and what follows them.
fn after_b(sequence: &str) -> Option<(&str, &str)> {
    let (_, tail) = sequence.split_once("_b")?;
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    (end > 0).then(|| tail.split_at(end))
}

fn weighting(d: &DataSet, sequence: &str, image_type: &[String]) -> Weighting {
    if trace_by_type(image_type) {
        return Weighting::Trace;
    }
    let stated = d
        .text(tags::DIFFUSION_DIRECTIONALITY)
        .or_else(|| SIEMENS.text(d, 0x0D))
        .or_else(|| csa::of_image(d, "DiffusionDirectionality")?.first().cloned());
    if stated.as_deref() == Some("ISOTROPIC")
        || after_b(sequence).is_some_and(|(_, tail)| tail.starts_with('t'))
    {
        return Weighting::Trace;
    }
    let vector = d
        .numbers::<3>(tags::DIFFUSION_GRADIENT_ORIENTATION)
        .or_else(|| SIEMENS.numbers(d, 0x0E, Form::F64)?.try_into().ok())
        .or_else(|| {
            let parts = csa::of_image(d, "DiffusionGradientDirection")?;
            let parts: Option<Vec<f64>> = parts.iter().map(|n| n.parse().ok()).collect();
            parts?.try_into().ok()
        })
        .or_else(|| UNITED_IMAGING.numbers(d, 0x37, Form::F64)?.try_into().ok())
        .or_else(|| {
            let axis = |element| GE_ACQUISITION.numbers(d, element, Form::Text)?.first().copied();
            Some([axis(0xBB)?, axis(0xBC)?, axis(0xBD)?])
        })
        .or_else(|| commented(d)?.1);
    if let Some(v) = vector {
        return along(v);
    }
    match PHILIPS.text(d, 0x04).as_deref() {
        Some("I") => return Weighting::Trace,
        Some(letter) => return Weighting::Direction(letter.to_owned()),
        None => {}
    }
    match after_b(sequence) {
        Some((_, number)) if number.starts_with('#') => Weighting::Direction(number.to_owned()),
        _ => Weighting::Unstated,
    }
}
