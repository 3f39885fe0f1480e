//! A data set as it stands in a buffer (PS3.5 §7): elements are found once, values are decoded when they
//! are asked for. Nothing is copied and nothing is allocated by a length that a file states.
//!
//! [`super::extent`] hands over the part of a file that is read. Why this is not dicom-object's parser
//! stands in docs/decisions/0007.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::element::{
    ElementHead, ITEM, ITEM_BYTES, ITEM_END, SEQUENCE_END, Syntax, UNDEFINED, dictionary_vr,
};
use super::extent::Broken;
use crate::limits::{MAX_HEADER_ELEMENTS, MAX_SEQUENCE_DEPTH};

/// The elements of a file or of an item, in the order of their tags.
#[derive(Debug, Clone)]
pub struct DataSet<'b> {
    elements: Vec<Element<'b>>,
    /// (0008,0005), its own or that of the data set around it.
    characters: SpecificCharacterSet,
    syntax: Syntax,
}

/// One element.
#[derive(Debug, Clone)]
pub struct Element<'b> {
    tag: Tag,
    vr: Option<VR>,
    value: &'b [u8],
    items: Vec<DataSet<'b>>,
}

impl<'b> DataSet<'b> {
    /// Finds every element of a data set.
    ///
    /// # Errors
    /// `Truncated` where a length reaches behind the end of the bytes, `Malformed`, `TooLarge`.
    pub fn parse(bytes: &'b [u8], syntax: Syntax) -> Result<DataSet<'b>, Broken> {
        let mut parser = Parser {
            bytes,
            at: 0,
            elements: 0,
        };
        parser.data_set(bytes.len(), syntax, &SpecificCharacterSet::default(), 0)
    }

    /// The first element of this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element<'b>> {
        let at = self.elements.partition_point(|e| e.tag < tag);
        self.elements.get(at).filter(|e| e.tag == tag)
    }

    /// The items of a sequence; none when it is absent or empty.
    pub fn items(&self, tag: Tag) -> &[DataSet<'b>] {
        self.get(tag).map_or(&[], Element::items)
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<&DataSet<'b>> {
        self.items(tag).first()
    }

    /// A private element by the name of its block (PS3.5 §7.8.1).
    pub fn private(&self, group: u16, creator: &str, element: u8) -> Option<&Element<'b>> {
        let from = self.elements.partition_point(|e| e.tag < Tag(group, 0x10));
        let mut reserved = self.elements[from..]
            .iter()
            .take_while(|e| e.tag <= Tag(group, 0xFF));
        let block = reserved.find(|e| trimmed(e.value) == creator.as_bytes())?;
        self.get(Tag(group, block.tag.element() << 8 | u16::from(element)))
    }

    /// The trimmed text of an element; none when absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let bytes = trimmed(self.get(tag)?.value);
        // Most values are plain; escapes switch the code of what follows.
        let plain = bytes.is_ascii() && !bytes.contains(&0x1B);
        let text = if plain {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            self.characters.decode(bytes).ok()?.trim().to_owned()
        };
        Some(text).filter(|t| !t.is_empty())
    }

    /// The values of a code string, trimmed, upper case.
    pub fn words(&self, tag: Tag) -> Vec<String> {
        let value = self.get(tag).map_or(&[][..], |e| e.value);
        let words = value.split(|b| *b == b'\\').map(trimmed);
        words
            .filter(|w| !w.is_empty())
            .map(|w| String::from_utf8_lossy(w).to_uppercase())
            .collect()
    }

    /// The first number of an element.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.values(tag)?.next()?.filter(|n| n.is_finite())
    }

    /// The first number, where it is above zero.
    pub fn positive(&self, tag: Tag) -> Option<f64> {
        self.number(tag).filter(|n| *n > 0.0)
    }

    /// The first number, where it is a whole one that fits.
    pub fn whole(&self, tag: Tag) -> Option<u32> {
        self.number(tag)
            .filter(|n| (0.0..=f64::from(u32::MAX)).contains(n))
            .map(|n| n as u32)
    }

    /// Exactly `N` finite numbers.
    pub fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let mut values = self.values(tag)?;
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = values.next()??;
        }
        (values.next().is_none() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }

    fn values(&self, tag: Tag) -> Option<Numbers<'b>> {
        self.get(tag)?.numbers(self.syntax)
    }

    /// All finite numbers of an element that is not of unknown representation.
    pub fn all_numbers(&self, element: &Element<'b>) -> Option<Vec<f64>> {
        element.numbers(self.syntax)?.collect()
    }
}

impl<'b> Element<'b> {
    /// As written, or as the dictionary says; `UN` where neither knows.
    pub fn vr(&self) -> VR {
        self.vr.or_else(|| dictionary_vr(self.tag)).unwrap_or(VR::UN)
    }

    /// The value as it is written.
    pub fn bytes(&self) -> &'b [u8] {
        self.value
    }

    /// The value without the padding of texts.
    pub fn trimmed(&self) -> &'b [u8] {
        trimmed(self.value)
    }

    /// The items of a sequence; none for other values.
    pub fn items(&self) -> &[DataSet<'b>] {
        &self.items
    }

    fn numbers(&self, syntax: Syntax) -> Option<Numbers<'b>> {
        let form = match self.vr() {
            VR::US => Form::U16,
            VR::SS => Form::I16,
            VR::UL => Form::U32,
            VR::SL => Form::I32,
            VR::FL => Form::F32,
            VR::FD => Form::F64,
            VR::DS | VR::IS | VR::CS | VR::LO | VR::SH | VR::LT | VR::ST | VR::UT => Form::Text,
            _ => return None,
        };
        Some(Numbers {
            bytes: self.value,
            form,
            big_endian: syntax.big_endian,
        })
    }
}

/// Without the padding around it: zeros and white space (PS3.5 §6.2).
fn trimmed(mut value: &[u8]) -> &[u8] {
    let padding = |b: &u8| *b == 0 || b.is_ascii_whitespace();
    while let [first, rest @ ..] = value
        && padding(first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && padding(last)
    {
        value = rest;
    }
    value
}

/// How numbers are written in a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Decimals between backslashes.
    Text,
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
}

/// The numbers of a value, one by one; inside none what is no number.
pub(super) struct Numbers<'b> {
    pub bytes: &'b [u8],
    pub form: Form,
    pub big_endian: bool,
}

impl Numbers<'_> {
    fn binary<const N: usize>(&mut self, number: impl Fn([u8; N]) -> f64) -> Option<Option<f64>> {
        let (&(mut bytes), rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        if self.big_endian {
            bytes.reverse();
        }
        Some(Some(number(bytes)))
    }

    fn decimal(&mut self) -> Option<Option<f64>> {
        if self.bytes.is_empty() {
            return None;
        }
        let end = self.bytes.iter().position(|b| *b == b'\\');
        let (value, rest) = match end {
            Some(end) => (&self.bytes[..end], &self.bytes[end + 1..]),
            None => (self.bytes, &[][..]),
        };
        self.bytes = rest;
        let number = std::str::from_utf8(trimmed(value)).ok()?;
        Some(number.parse().ok())
    }
}

impl Iterator for Numbers<'_> {
    type Item = Option<f64>;

    fn next(&mut self) -> Option<Option<f64>> {
        match self.form {
            Form::Text => self.decimal(),
            Form::U16 => self.binary(|b| f64::from(u16::from_le_bytes(b))),
            Form::I16 => self.binary(|b| f64::from(i16::from_le_bytes(b))),
            Form::U32 => self.binary(|b| f64::from(u32::from_le_bytes(b))),
            Form::I32 => self.binary(|b| f64::from(i32::from_le_bytes(b))),
            Form::F32 => self.binary(|b| f64::from(f32::from_le_bytes(b))),
            Form::F64 => self.binary(f64::from_le_bytes),
        }
    }
}

struct Parser<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Of all data sets so far.
    elements: usize,
}

impl<'b> Parser<'b> {
    fn head(&mut self, end: usize, syntax: Syntax) -> Result<ElementHead, Broken> {
        self.elements += 1;
        if self.elements > MAX_HEADER_ELEMENTS {
            return Err(Broken::TooLarge);
        }
        let head = ElementHead::parse(&self.bytes[self.at..end], syntax)?;
        self.at += head.size;
        Ok(head)
    }

    /// The value of so many bytes from here, which ends where its container does or before.
    fn value_end(&self, length: u32, end: usize) -> Result<usize, Broken> {
        self.at
            .checked_add(length as usize)
            .filter(|value_end| *value_end <= end)
            .ok_or(Broken::Malformed)
    }

    /// Elements up to `end` or an item delimiter.
    fn data_set(
        &mut self,
        end: usize,
        syntax: Syntax,
        around: &SpecificCharacterSet,
        depth: usize,
    ) -> Result<DataSet<'b>, Broken> {
        let mut set = DataSet {
            elements: Vec::new(),
            characters: around.clone(),
            syntax,
        };
        while self.at < end {
            let head = self.head(end, syntax)?;
            if head.tag == ITEM_END {
                break;
            }
            let element = self.element(&head, end, &set, depth)?;
            if element.tag == tags::SPECIFIC_CHARACTER_SET {
                set.characters = character_set(element.value).unwrap_or(set.characters);
            }
            set.elements.push(element);
        }
        // Ascending by the standard (PS3.5 §7.1); some writers do not care.
        if !set.elements.is_sorted_by_key(|e| e.tag) {
            set.elements.sort_by_key(|e| e.tag);
        }
        Ok(set)
    }

    fn element(
        &mut self,
        head: &ElementHead,
        end: usize,
        set: &DataSet<'b>,
        depth: usize,
    ) -> Result<Element<'b>, Broken> {
        let mut element = Element {
            tag: head.tag,
            vr: head.vr,
            value: &[],
            items: Vec::new(),
        };
        if head.length == UNDEFINED {
            let syntax = head.inside(set.syntax);
            element.items = self.items(end, syntax, &set.characters, depth + 1)?;
            return Ok(element);
        }
        let value_end = self.value_end(head.length, end)?;
        if head.is_sequence() {
            element.items = self.items(value_end, set.syntax, &set.characters, depth + 1)?;
        } else {
            element.value = &self.bytes[self.at..value_end];
            if head.may_hide_items() && element.value.starts_with(&ITEM_BYTES) {
                // That it is a sequence was a guess, which may fail.
                let items = self.items(value_end, Syntax::IMPLICIT, &set.characters, depth + 1);
                element.items = items.unwrap_or_default();
            }
        }
        self.at = value_end;
        Ok(element)
    }

    /// The items of a sequence that ends at `end` or with its own delimiter.
    fn items(
        &mut self,
        end: usize,
        syntax: Syntax,
        around: &SpecificCharacterSet,
        depth: usize,
    ) -> Result<Vec<DataSet<'b>>, Broken> {
        if depth > MAX_SEQUENCE_DEPTH {
            return Err(Broken::TooLarge);
        }
        let mut items = Vec::new();
        while self.at < end {
            let head = self.head(end, syntax)?;
            let item_end = match head.tag {
                SEQUENCE_END => break,
                ITEM if head.length == UNDEFINED => end,
                ITEM => self.value_end(head.length, end)?,
                _ => return Err(Broken::Malformed),
            };
            items.push(self.data_set(item_end, syntax, around, depth)?);
            if head.length != UNDEFINED {
                self.at = item_end;
            }
        }
        Ok(items)
    }
}

/// The first value of (0008,0005); those behind it are reached by escapes (PS3.3 C.12.1.1.2).
fn character_set(value: &[u8]) -> Option<SpecificCharacterSet> {
    let first = value.split(|b| *b == b'\\').next()?;
    SpecificCharacterSet::from_code(std::str::from_utf8(trimmed(first)).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const BIG_ENDIAN: Syntax = Syntax {
        explicit: true,
        big_endian: true,
    };

    fn explicit(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let tag = [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat();
        let length = (value.len() as u16).to_le_bytes();
        [&tag[..], vr, &length, value].concat()
    }

    #[test]
    fn numbers_in_every_form() {
        let le = [
            explicit(tags::ECHO_TIME, b"DS", b" 12.5\\-1e2\\ "),
            explicit(tags::ROWS, b"US", &[0x34, 0x12]),
            explicit(Tag(0x0028, 0x0120), b"SS", &[0xFE, 0xFF]),
            explicit(Tag(0x0028, 0x9999), b"FD", &0.25f64.to_le_bytes()),
        ]
        .concat();
        let set = DataSet::parse(&le, Syntax::EXPLICIT).unwrap();
        assert_eq!(set.number(tags::ECHO_TIME), Some(12.5));
        // The third value is no number.
        assert_eq!(set.numbers::<3>(tags::ECHO_TIME), None);
        assert_eq!(set.numbers::<2>(tags::ECHO_TIME), None);
        assert_eq!(set.number(tags::ROWS), Some(f64::from(0x1234)));
        assert_eq!(set.number(Tag(0x0028, 0x0120)), Some(-2.0));
        assert_eq!(set.number(Tag(0x0028, 0x9999)), Some(0.25));
        assert_eq!(set.number(tags::COLUMNS), None);

        let be = [0x00, 0x28, 0x00, 0x10, b'U', b'S', 0, 2, 0x12, 0x34];
        let set = DataSet::parse(&be, BIG_ENDIAN).unwrap();
        assert_eq!(set.number(tags::ROWS), Some(f64::from(0x1234)));
    }

    #[test]
    fn the_character_set_holds_inside_of_items_too() {
        let name = explicit(tags::CODE_MEANING, b"LO", b"\xC9cho ");
        let item = [&ITEM_BYTES[..], &(name.len() as u32).to_le_bytes(), &name].concat();
        let head = [8, 0, 0x15, 0x21, b'S', b'Q', 0, 0];
        let length = (item.len() as u32).to_le_bytes();
        let sequence = [&head[..], &length, &item].concat();
        let latin = explicit(tags::SPECIFIC_CHARACTER_SET, b"CS", b"ISO_IR 144");
        let bytes = [latin, sequence].concat();
        let set = DataSet::parse(&bytes, Syntax::EXPLICIT).unwrap();
        let meaning = set.item(Tag(0x0008, 0x2115)).unwrap().text(tags::CODE_MEANING);
        // 0xC9 in ISO 8859-5.
        assert_eq!(meaning.unwrap(), "Щcho");
    }

    #[test]
    fn elements_in_disorder_are_found() {
        let bytes = [
            explicit(tags::ROWS, b"US", &[2, 0]),
            explicit(tags::MODALITY, b"CS", b"MR"),
            explicit(tags::ROWS, b"US", &[3, 0]),
        ]
        .concat();
        let set = DataSet::parse(&bytes, Syntax::EXPLICIT).unwrap();
        assert_eq!(set.text(tags::MODALITY).unwrap(), "MR");
        assert_eq!(set.number(tags::ROWS), Some(2.0));
    }

    #[test]
    fn bytes_that_only_begin_like_items_stay_bytes() {
        let value = [&ITEM_BYTES[..], &[0xF0, 0xFF, 0xFF, 0x7F]].concat();
        let bytes = explicit(Tag(0x0019, 0x1010), b"LO", &value);
        for syntax in [Syntax::EXPLICIT, Syntax::IMPLICIT] {
            let bytes = match syntax.explicit {
                true => bytes.clone(),
                false => [&bytes[..4], &[8, 0, 0, 0], &value].concat(),
            };
            let set = DataSet::parse(&bytes, syntax).unwrap();
            let element = set.get(Tag(0x0019, 0x1010)).unwrap();
            assert_eq!((element.bytes(), element.items().len()), (&value[..], 0));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0..3) {
            let syntax = [Syntax::EXPLICIT, Syntax::IMPLICIT, BIG_ENDIAN][which as usize];
            let _ = DataSet::parse(&bytes, syntax);
        }
    }
}
