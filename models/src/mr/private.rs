//! Blocks of private elements (PS3.5 §7.8).
//!
//! Anonymised files often lose the private creator; its element is then looked for in block 10,
//! where these vendors write it, and only in files of that vendor.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;

use super::header::{DataSet, text};

/// How a private value is encoded where the file calls it unknown (VR `UN`).
#[derive(Clone, Copy)]
pub(super) enum Form {
    Text,
    U16,
    F32,
    F64,
}

/// A block of private elements (PS3.5 §7.8).
pub(super) struct Private {
    pub group: u16,
    pub creator: &'static str,
    /// Start of (0008,0070) in upper case.
    pub vendor: &'static str,
}

impl Private {
    pub fn element<'d>(&self, d: &'d DataSet, element: u8) -> Option<&'d InMemElement> {
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

    pub fn text(&self, d: &DataSet, element: u8) -> Option<String> {
        let value = self.element(d, element)?;
        let text = match value.vr() {
            VR::UN | VR::OB => String::from_utf8_lossy(&value.to_bytes().ok()?).into_owned(),
            _ => value.to_str().ok()?.into_owned(),
        };
        Some(
            text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
                .to_owned(),
        )
        .filter(|t| !t.is_empty())
    }

    pub fn numbers(&self, d: &DataSet, element: u8, form: Form) -> Option<Vec<f64>> {
        let value = self.element(d, element)?;
        let numbers: Vec<f64> = match (value.vr(), form) {
            (VR::UN | VR::OB, Form::U16) => chunks(&value.to_bytes().ok()?)
                .map(|b| f64::from(u16::from_le_bytes(b)))
                .collect(),
            (VR::UN | VR::OB, Form::F32) => chunks(&value.to_bytes().ok()?)
                .map(|b| f64::from(f32::from_le_bytes(b)))
                .collect(),
            (VR::UN | VR::OB, Form::F64) => chunks(&value.to_bytes().ok()?).map(f64::from_le_bytes).collect(),
            (VR::UN | VR::OB, Form::Text) => self
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
