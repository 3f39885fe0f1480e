//! What stands in front of a value: tag, representation, length (PS3.5 §7.1).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::extent::Broken;

pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// [`ITEM`] in little endian.
pub(super) const ITEM_BYTES: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
/// A length that is told by a delimiter instead.
pub(super) const UNDEFINED: u32 = u32::MAX;

/// How elements are written (PS3.5 §7.1, §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// Whether each element says its value representation.
    pub explicit: bool,
    /// Whether numbers begin with their highest byte.
    pub big_endian: bool,
}

impl Syntax {
    /// Explicit VR Little Endian.
    pub const EXPLICIT: Syntax = Syntax {
        explicit: true,
        big_endian: false,
    };
    /// Implicit VR Little Endian.
    pub const IMPLICIT: Syntax = Syntax {
        explicit: false,
        big_endian: false,
    };

    fn u16(self, b: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(b)
        } else {
            u16::from_le_bytes(b)
        }
    }

    fn u32(self, b: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(b)
        } else {
            u32::from_le_bytes(b)
        }
    }
}

/// What stands in front of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementHead {
    pub tag: Tag,
    /// Unknown in implicit syntax and for items.
    pub vr: Option<VR>,
    /// Of the value, bytes, or [`UNDEFINED`].
    pub length: u32,
    /// Bytes that the head itself takes.
    pub size: usize,
}

impl ElementHead {
    /// Bytes that any head takes at least, and the most that one takes.
    pub const SIZES: [usize; 2] = [8, 12];

    /// From its first twelve bytes, of which the last four may be missing where the data end.
    ///
    /// # Errors
    /// `Truncated`; `Malformed` for an unknown value representation, whose length has no known place.
    pub fn parse(bytes: &[u8], syntax: Syntax) -> Result<ElementHead, Broken> {
        let &[g0, g1, e0, e1, a, b, c, d] = bytes.first_chunk().ok_or(Broken::Truncated)?;
        let tag = Tag(syntax.u16([g0, g1]), syntax.u16([e0, e1]));
        let [short, long] = ElementHead::SIZES;
        if tag.group() == ITEM.group() || !syntax.explicit {
            return Ok(ElementHead {
                tag,
                vr: None,
                length: syntax.u32([a, b, c, d]),
                size: short,
            });
        }
        let vr = VR::from_binary([a, b]).ok_or(Broken::Malformed)?;
        let (length, size) = match vr {
            VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV => {
                let length = bytes.get(short..).and_then(|rest| rest.first_chunk());
                (syntax.u32(*length.ok_or(Broken::Truncated)?), long)
            }
            _ => (u32::from(syntax.u16([c, d])), short),
        };
        Ok(ElementHead {
            tag,
            vr: Some(vr),
            length,
            size,
        })
    }

    /// Whether its value is items. In implicit syntax the dictionary says so.
    pub fn is_sequence(&self) -> bool {
        match self.vr {
            Some(vr) => vr == VR::SQ,
            None => dictionary_vr(self.tag) == Some(VR::SQ),
        }
    }

    /// Whether only its first bytes can tell that its value is items: of private elements no dictionary is
    /// kept, and what a writer did not know either it wrote down as it was, in implicit syntax (PS3.5 §6.2.2).
    pub fn may_hide_items(&self) -> bool {
        match self.vr {
            Some(vr) => vr == VR::UN,
            None => !self.tag.group().is_multiple_of(2),
        }
    }

    /// The syntax inside of its items: an unknown value of undefined length is a sequence in implicit
    /// syntax (PS3.5 §6.2.2).
    pub fn inside(&self, outer: Syntax) -> Syntax {
        if self.vr == Some(VR::UN) {
            Syntax::IMPLICIT
        } else {
            outer
        }
    }
}

pub(super) fn dictionary_vr(tag: Tag) -> Option<VR> {
    Some(StandardDataDictionary.by_tag(tag)?.vr().relaxed())
}
