//! Data sets in the making.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::uids;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use models::findings::{Fault, Reason};

use crate::dicom::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, Uid};

/// A data set, or an item of a sequence.
#[derive(Debug, Clone)]
pub(crate) struct Set(InMemDicomObject);

impl Set {
    pub fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// One that is there already.
    pub fn of(object: InMemDicomObject) -> Self {
        Self(object)
    }

    /// Any value.
    pub fn put(mut self, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> Self {
        let value: PrimitiveValue = value.into();
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// A text; an empty one is an element without a value.
    pub fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        match text {
            "" => self.put(tag, vr, PrimitiveValue::Empty),
            text => self.put(tag, vr, text),
        }
    }

    /// Several texts.
    pub fn texts(self, tag: Tag, vr: VR, texts: &[&str]) -> Self {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        self.put(tag, vr, PrimitiveValue::Strs(texts.into()))
    }

    /// A text in bytes, as its own character set has it.
    pub fn written(self, tag: Tag, vr: VR, value: &[u8]) -> Self {
        match vr {
            // The writer would take bytes for numbers.
            VR::DS | VR::IS => self.text(tag, vr, &String::from_utf8_lossy(value)),
            _ => {
                let mut value = value.to_vec();
                if value.len() % 2 == 1 {
                    value.push(if vr == VR::UI { 0 } else { b' ' });
                }
                self.put(tag, vr, PrimitiveValue::U8(value.into()))
            }
        }
    }

    /// Rows or columns of an image.
    pub fn side(self, tag: Tag, pixels: usize) -> Self {
        self.put(tag, VR::US, u16::try_from(pixels).unwrap_or(u16::MAX))
    }

    /// Decimal strings.
    pub fn decimals(self, tag: Tag, numbers: &[f64]) -> Self {
        let texts: Vec<String> = numbers.iter().map(|number| decimal(*number)).collect();
        self.put(tag, VR::DS, PrimitiveValue::Strs(texts.into()))
    }

    /// A sequence; one without items is an element without a value.
    pub fn items(mut self, tag: Tag, items: impl IntoIterator<Item = Set>) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| item.0).collect();
        let items = DataSetSequence::new(items, Length::UNDEFINED);
        self.0.put(DataElement::new(tag, VR::SQ, items));
        self
    }

    /// A sequence, left out where it would be empty.
    pub fn some_items(self, tag: Tag, items: Vec<Set>) -> Self {
        if items.is_empty() {
            self
        } else {
            self.items(tag, items)
        }
    }

    /// What another set has too.
    pub fn and(mut self, other: Set) -> Self {
        for element in other.0 {
            self.0.put(element);
        }
        self
    }

    /// As a DICOM file (PS3.10 7) in Explicit VR Little Endian.
    pub fn file(&self, sop_class: &str, sop_instance: &Uid) -> Result<Vec<u8>, Reason> {
        let mut bytes = vec![0; 128];
        bytes.extend_from_slice(b"DICM");
        FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(sop_class)
            .media_storage_sop_instance_uid(sop_instance.as_str())
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION)
            .build()
            .and_then(|table| table.write(&mut bytes))
            .map_err(|error| unwritable(&error))?;
        bytes.extend(self.bytes()?);
        Ok(bytes)
    }

    /// Its elements in Explicit VR Little Endian.
    pub fn bytes(&self) -> Result<Vec<u8>, Reason> {
        let mut bytes = Vec::new();
        self.0
            .write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
            .map_err(|error| unwritable(&error))?;
        Ok(bytes)
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> Reason {
    let text = format!("an object cannot be written: {error}");
    Reason::new("internal", Fault::Us, text)
}

/// A number in the 16 characters of a decimal string (PS3.5 6.2), as exact as fits.
pub(super) fn decimal(number: f64) -> String {
    const LONGEST: usize = 16;
    let plain = format!("{number}");
    if plain.len() <= LONGEST {
        return plain;
    }
    // A sign, a point and an exponent leave at least nine digits.
    (0..LONGEST)
        .rev()
        .flat_map(|digits| [format!("{number:.digits$}"), format!("{number:.digits$e}")])
        .filter(|text| text.len() <= LONGEST)
        .min_by(|a, b| {
            let off = |text: &String| text.parse::<f64>().map_or(f64::INFINITY, |n| (n - number).abs());
            off(a).total_cmp(&off(b))
        })
        .unwrap_or_default()
}

/// Text of ours in the letters that every character set has (PS3.3 C.12.1.1.2: all begin with ASCII but for
/// two characters of JIS X 0201). What has no such form becomes a question mark.
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '²' => plain.push('2'),
            '³' => plain.push('3'),
            '×' => plain.push('x'),
            '·' => plain.push('*'),
            '°' => plain.push_str(" deg"),
            '±' => plain.push_str("+/-"),
            '–' | '—' | '−' => plain.push('-'),
            '“' | '”' => plain.push('"'),
            '‘' | '’' => plain.push('\''),
            '…' => plain.push_str("..."),
            'µ' | 'μ' => plain.push('u'),
            '\\' | '~' => plain.push('?'),
            '\n' | '\t' => plain.push(' '),
            printable if printable.is_ascii() && !printable.is_ascii_control() => plain.push(printable),
            _ => plain.push('?'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_and_stay_near() {
        for (number, text) in [
            (0.0, "0"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (-123.456_789_012_345_67, "-123.45678901235"),
        ] {
            assert_eq!(decimal(number), text);
        }
        for number in [
            1e-12,
            -1.234_567_890_123e-9,
            1.0 / 7.0,
            6.022_140_76e23,
            f64::MIN_POSITIVE,
        ] {
            let text = decimal(number);
            assert!(text.len() <= 16, "{text}");
            let read: f64 = text.parse().unwrap_or(f64::NAN);
            assert!(
                (read - number).abs() <= 1e-9 * number.abs(),
                "{number} became {text}"
            );
        }
    }

    #[test]
    fn our_sentences_survive_every_character_set() {
        assert_eq!(
            ascii("b = 1000 s/mm², 90° – “T2”"),
            "b = 1000 s/mm2, 90 deg - \"T2\""
        );
        assert_eq!(ascii("耳下腺\\"), "????");
    }
}
