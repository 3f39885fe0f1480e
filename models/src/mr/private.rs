//! Blocks of private elements (PS3.5 §7.8).
//!
//! Anonymised files often lose the private creator; its element is then looked for in block 10,
//! where these vendors write it, and only in files of that vendor.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::data_set::{DataSet, Element, Form, Numbers};

/// A block of private elements (PS3.5 §7.8).
pub(super) struct Private {
    pub group: u16,
    pub creator: &'static str,
    /// Start of (0008,0070) in upper case.
    pub vendor: &'static str,
}

impl Private {
    pub fn element<'d, 'b>(&self, d: &'d DataSet<'b>, element: u8) -> Option<&'d Element<'b>> {
        if let Some(found) = d.private(self.group, self.creator, element) {
            return Some(found);
        }
        let of_vendor = d
            .text(tags::MANUFACTURER)?
            .to_uppercase()
            .starts_with(self.vendor);
        let nameless = d.get(Tag(self.group, 0x0010)).is_none();
        (of_vendor && nameless)
            .then(|| d.get(Tag(self.group, 0x1000 | u16::from(element))))
            .flatten()
    }

    pub fn text(&self, d: &DataSet, element: u8) -> Option<String> {
        let text = String::from_utf8_lossy(self.element(d, element)?.trimmed()).into_owned();
        Some(text).filter(|t| !t.is_empty())
    }

    /// Its numbers; `form` says how they are written where the file calls their representation unknown
    /// (`UN`), or takes them for bytes.
    pub fn numbers(&self, d: &DataSet, element: u8, form: Form) -> Option<Vec<f64>> {
        let value = self.element(d, element)?;
        let numbers: Vec<f64> = match value.vr() {
            VR::UN | VR::OB => Numbers {
                bytes: value.bytes(),
                form,
                big_endian: false,
            }
            .collect::<Option<_>>()?,
            _ => d.all_numbers(value)?,
        };
        (!numbers.is_empty() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }
}
