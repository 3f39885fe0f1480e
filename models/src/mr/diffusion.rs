//! b-value and direction of a diffusion-weighted image, from the standard tags (PS3.3 C.8.13.5.9)
//! or those of the vendors.
//!
//! | vendor | b-value | directionality | direction |
//! |---|---|---|---|
//! | standard | (0018,9087) | (0018,9075) | (0018,9089) |
//! | Siemens, `SIEMENS MR HEADER` | (0019,xx0C) | (0019,xx0D) | (0019,xx0E) |
//! | GE, `GEMS_PARM_01`, `GEMS_ACQU_01` | (0043,xx39) first value | | (0019,xxBB), BC, BD |
//! | Philips, `Philips Imaging DD 001` | (2001,xx03) | (2001,xx04): I isotropic | |
//! | United Imaging, `Image Private Header` | (0065,xx09) | | (0065,xx37) |
//!
//! Anonymised files often lose the private creator; its element is then looked for in block 10,
//! where these vendors write it, and only in files of that vendor.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::header::{DataSet, number, numbers, text};
use crate::limits::{MAX_B_VALUE_S_PER_MM2, MAX_B0_S_PER_MM2};

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
        }
    }
}

impl Diffusion {
    pub fn from_data_set(d: &DataSet, image_type: &[String]) -> Diffusion {
        let sequence = text(d, tags::SEQUENCE_NAME).unwrap_or_default();
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

fn b_value(d: &DataSet, sequence: &str) -> Option<BValue> {
    let private = |group, creator, vendor, element, form, name| {
        let value = *Private {
            group,
            creator,
            vendor,
        }
        .numbers(d, element, form)?
        .first()?;
        Some(BValue {
            value,
            source: Source::Private(name),
        })
    };
    number(d, tags::DIFFUSION_B_VALUE)
        .map(|value| BValue {
            value,
            source: Source::Standard,
        })
        .or_else(|| {
            private(
                0x0019,
                "SIEMENS MR HEADER",
                "SIEMENS",
                0x0C,
                Form::Text,
                "Siemens (0019,100C)",
            )
        })
        .or_else(|| {
            let ge = private(0x0043, "GEMS_PARM_01", "GE", 0x39, Form::Text, "GE (0043,1039)")?;
            // Some releases add 1e9 to tell b-values from the slop of older ones.
            let value = if ge.value >= 1e9 { ge.value - 1e9 } else { ge.value };
            Some(BValue { value, ..ge })
        })
        .or_else(|| {
            private(
                0x2001,
                "Philips Imaging DD 001",
                "PHILIPS",
                0x03,
                Form::F32,
                "Philips (2001,1003)",
            )
        })
        .or_else(|| {
            private(
                0x0065,
                "Image Private Header",
                "UIH",
                0x09,
                Form::F64,
                "United Imaging (0065,1009)",
            )
        })
        .or_else(|| {
            let digits = after_b(sequence)?.0;
            Some(BValue {
                value: digits.parse().ok()?,
                source: Source::SequenceName,
            })
        })
}

/// Of `*ep_b1000#4` the digits and what follows them.
fn after_b(sequence: &str) -> Option<(&str, &str)> {
    let (_, tail) = sequence.split_once("_b")?;
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    (end > 0).then(|| tail.split_at(end))
}

fn weighting(d: &DataSet, sequence: &str, image_type: &[String]) -> Weighting {
    let is = |word: &str| image_type.iter().any(|t| t == word);
    if is("TRACEW") || is("TRACE") || is("CALC_BVALUE") || is("ISOTROPIC") {
        return Weighting::Trace;
    }
    let siemens = Private {
        group: 0x0019,
        creator: "SIEMENS MR HEADER",
        vendor: "SIEMENS",
    };
    let ge = Private {
        group: 0x0019,
        creator: "GEMS_ACQU_01",
        vendor: "GE",
    };
    let philips = Private {
        group: 0x2001,
        creator: "Philips Imaging DD 001",
        vendor: "PHILIPS",
    };
    let uih = Private {
        group: 0x0065,
        creator: "Image Private Header",
        vendor: "UIH",
    };
    let stated = text(d, tags::DIFFUSION_DIRECTIONALITY).or_else(|| siemens.text(d, 0x0D));
    if stated.as_deref() == Some("ISOTROPIC")
        || after_b(sequence).is_some_and(|(_, tail)| tail.starts_with('t'))
    {
        return Weighting::Trace;
    }
    let vector = numbers::<3>(d, tags::DIFFUSION_GRADIENT_ORIENTATION)
        .or_else(|| siemens.numbers(d, 0x0E, Form::F64)?.try_into().ok())
        .or_else(|| uih.numbers(d, 0x37, Form::F64)?.try_into().ok())
        .or_else(|| {
            let axis = |element| ge.numbers(d, element, Form::Text)?.first().copied();
            Some([axis(0xBB)?, axis(0xBC)?, axis(0xBD)?])
        });
    if let Some(v) = vector {
        // Scanners write a null vector for what has no single direction.
        let null = v.iter().all(|x| x.abs() < 1e-3);
        return if null {
            Weighting::Trace
        } else {
            Weighting::Direction(format!("{:.2} {:.2} {:.2}", v[0], v[1], v[2]))
        };
    }
    match philips.text(d, 0x04).as_deref() {
        Some("I") => return Weighting::Trace,
        Some(letter) => return Weighting::Direction(letter.to_owned()),
        None => {}
    }
    match after_b(sequence) {
        Some((_, number)) if number.starts_with('#') => Weighting::Direction(number.to_owned()),
        _ => Weighting::Unstated,
    }
}

/// How a private value is encoded where the file calls it unknown (VR `UN`).
#[derive(Clone, Copy)]
enum Form {
    Text,
    F32,
    F64,
}

/// A block of private elements (PS3.5 §7.8).
struct Private {
    group: u16,
    creator: &'static str,
    /// Start of (0008,0070) in upper case.
    vendor: &'static str,
}

impl Private {
    fn element<'d>(&self, d: &'d DataSet, element: u8) -> Option<&'d dicom_object::mem::InMemElement> {
        if let Ok(found) = d.private_element(self.group, self.creator, element) {
            return Some(found);
        }
        let of_vendor = text(d, tags::MANUFACTURER)?
            .to_uppercase()
            .starts_with(self.vendor);
        let nameless = d.get(Tag(self.group, 0x0010)).is_none();
        (of_vendor && nameless)
            .then(|| d.get(Tag(self.group, 0x1000 | u16::from(element))))
            .flatten()
    }

    fn text(&self, d: &DataSet, element: u8) -> Option<String> {
        let value = self.element(d, element)?;
        let text = match value.vr() {
            dicom_core::VR::UN | dicom_core::VR::OB => {
                String::from_utf8_lossy(&value.to_bytes().ok()?).into_owned()
            }
            _ => value.to_str().ok()?.into_owned(),
        };
        Some(
            text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
                .to_owned(),
        )
        .filter(|t| !t.is_empty())
    }

    fn numbers(&self, d: &DataSet, element: u8, form: Form) -> Option<Vec<f64>> {
        let value = self.element(d, element)?;
        let numbers: Vec<f64> = match (value.vr(), form) {
            (dicom_core::VR::UN | dicom_core::VR::OB, Form::F32) => chunks(&value.to_bytes().ok()?)
                .map(|b| f64::from(f32::from_le_bytes(b)))
                .collect(),
            (dicom_core::VR::UN | dicom_core::VR::OB, Form::F64) => {
                chunks(&value.to_bytes().ok()?).map(f64::from_le_bytes).collect()
            }
            (dicom_core::VR::UN | dicom_core::VR::OB, Form::Text) => self
                .text(d, element)?
                .split('\\')
                .map(|n| n.trim().parse().ok())
                .collect::<Option<_>>()?,
            _ => value.to_multi_float64().ok()?,
        };
        (!numbers.is_empty() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
