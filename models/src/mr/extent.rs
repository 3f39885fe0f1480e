//! Where the header of a DICOM file ends and its pixel data lie (PS3.5 §7, PS3.10 §7.1).
//!
//! This walk over tags and lengths comes before any parser: every declared length is held against
//! the bytes that are there and against our limits, so a parser never sees a length that lies.
//! Nothing behind the start of the pixel data is read, except the headers of compressed fragments.

use std::io::{Cursor, Read, Seek, SeekFrom};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use flate2::read::DeflateDecoder;

use crate::limits::{
    MAX_DICOM_FILE_BYTES, MAX_FRAGMENTS, MAX_HEADER_BYTES, MAX_HEADER_ELEMENTS, MAX_INFLATED_BYTES,
    MAX_SEQUENCE_DEPTH,
};

const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const PREAMBLE: usize = 128;
const MAGIC: &[u8; 4] = b"DICM";
const PIXEL_DATA: (u16, u16) = (0x7FE0, 0x0010);
const ITEM: (u16, u16) = (0xFFFE, 0xE000);
const ITEM_END: (u16, u16) = (0xFFFE, 0xE00D);
const SEQUENCE_END: (u16, u16) = (0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;
/// Groups of which something is read anywhere in this module: the others, above all the private ones of
/// Philips and Siemens, are most of a header, and parsing them most of the time.
const READ_GROUPS: [u16; 13] = [
    0x0002, 0x0008, 0x0010, 0x0018, 0x0019, 0x0020, 0x0028, 0x0029, 0x0040, 0x0043, 0x0065, 0x2001, 0x5200,
];
/// Headers of classic MR files mostly fit into one read of this size.
const CHUNK: usize = 32 * 1024;

/// Whether anything asks for such an element. The CSA header of the image is (0029,xx10); that of the
/// series, a hundred kilobytes in (0029,xx20), is not read.
fn is_read((group, element): (u16, u16)) -> bool {
    let unread_csa = group == 0x0029 && element > 0xFF && element & 0xFF != 0x10;
    READ_GROUPS.contains(&group) && !unread_csa
}

/// Why the bytes were not walked to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// No preamble with `DICM`.
    NotDicom,
    /// A declared length reaches behind the end.
    Truncated,
    /// Bytes that are no data set.
    Malformed,
    /// Not written as its file meta information says.
    OtherSyntax,
    /// More than our limits allow.
    TooLarge,
    /// A data set compressed as a whole for streaming (JPIP).
    Streamed,
    /// The medium failed.
    Unreadable,
}

/// A file, walked.
#[derive(Debug)]
pub(super) struct Extent {
    /// What is in front of the pixel data, preamble included, without the elements of other groups than
    /// [`READ_GROUPS`].
    pub header: Vec<u8>,
    /// (0002,0010).
    pub transfer_syntax: String,
    /// None for objects without pixels.
    pub pixels: Option<PixelSpan>,
    /// Of a deflated data set (PS3.5 A.5) the preamble, the file meta information and the data set,
    /// inflated: what all offsets refer to.
    pub inflated: Option<Vec<u8>>,
    /// Where the data set starts.
    pub data_set: usize,
}

/// Where the pixel data of a file lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PixelSpan {
    /// From the start of the file, bytes.
    pub offset: u64,
    /// Bytes; for compressed pixels of all fragments with their item headers.
    pub length: u64,
    /// The items of compressed pixel data (PS3.5 A.4), the first of which is the offset table.
    pub fragments: Option<Vec<Fragment>>,
}

/// One item of compressed pixel data, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    /// From the start of the file, bytes.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

/// Walks a file of `file_len` bytes up to its pixel data.
pub(super) fn walk<R: Read + Seek>(source: R, file_len: u64) -> Result<Extent, Broken> {
    if file_len > MAX_DICOM_FILE_BYTES {
        return Err(Broken::TooLarge);
    }
    let mut walk = Walk {
        source,
        file_len,
        bytes: Vec::new(),
        base: 0,
        at: 0,
        elements: 0,
        syntax: Syntax::EXPLICIT,
    };
    let start = PREAMBLE + MAGIC.len();
    if walk.need(start).is_err() || &walk.bytes[PREAMBLE..start] != MAGIC {
        return Err(Broken::NotDicom);
    }
    walk.at = start;
    let transfer_syntax = walk.file_meta()?;
    let data_set = walk.at;
    match transfer_syntax.as_str() {
        DEFLATED => {
            let inflated = walk.inflate()?;
            let walk = Walk {
                file_len: inflated.len() as u64,
                source: Cursor::new(&inflated),
                bytes: Vec::new(),
                base: 0,
                at: data_set,
                elements: 0,
                syntax: Syntax::EXPLICIT,
            };
            let (header, pixels) = walk.data_set()?;
            return Ok(Extent {
                header,
                transfer_syntax,
                pixels,
                inflated: Some(inflated),
                data_set,
            });
        }
        "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => return Err(Broken::Streamed),
        "1.2.840.10008.1.2" => walk.syntax = Syntax::IMPLICIT,
        "1.2.840.10008.1.2.2" => {
            walk.syntax = Syntax {
                explicit: true,
                big_endian: true,
            }
        }
        _ => {}
    }
    let (header, pixels) = walk.data_set()?;
    Ok(Extent {
        header,
        transfer_syntax,
        pixels,
        inflated: None,
        data_set,
    })
}

#[derive(Clone, Copy)]
struct Syntax {
    explicit: bool,
    big_endian: bool,
}

impl Syntax {
    const EXPLICIT: Syntax = Syntax {
        explicit: true,
        big_endian: false,
    };
    const IMPLICIT: Syntax = Syntax {
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

/// Tag, value representation and length of one element; the walk stands at its value.
struct Element {
    tag: (u16, u16),
    /// Unknown in implicit syntax and for items.
    vr: Option<[u8; 2]>,
    length: u32,
}

struct Walk<R> {
    source: R,
    file_len: u64,
    /// The file from `base` on, as far as it was needed.
    bytes: Vec<u8>,
    base: usize,
    /// From the start of the file.
    at: usize,
    elements: usize,
    syntax: Syntax,
}

impl<R: Read + Seek> Walk<R> {
    /// What is read of the elements up to the pixel data, and where those are.
    fn data_set(mut self) -> Result<(Vec<u8>, Option<PixelSpan>), Broken> {
        self.check_syntax()?;
        let mut header = self.bytes.get(..self.at).unwrap_or_default().to_vec();
        let mut pixels = None;
        // The run of elements to be kept that the walk is in.
        let mut kept_from = self.at;
        while !self.ended() {
            let element_at = self.at;
            let element = self.element()?;
            if element.tag == PIXEL_DATA {
                pixels = Some(self.pixel_span(&element)?);
            }
            if element.tag >= PIXEL_DATA {
                header.extend_from_slice(self.read(kept_from, element_at));
                return Ok((header, pixels));
            }
            self.skip(&element)?;
            if is_read(element.tag) {
                self.need(self.at)?;
            } else {
                header.extend_from_slice(self.read(kept_from, element_at));
                kept_from = self.at;
                self.leap()?;
            }
        }
        header.extend_from_slice(self.read(kept_from, self.at));
        Ok((header, pixels))
    }

    /// Bytes of the file that are in memory.
    fn read(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[from - self.base..to - self.base]
    }

    /// Goes on from here, and forgets everything before where the walk has skipped unread bytes.
    fn leap(&mut self) -> Result<(), Broken> {
        self.fits(self.at)?;
        if self.at > self.base + self.bytes.len() {
            let to = SeekFrom::Start(self.at as u64);
            self.source.seek(to).map_err(|_| Broken::Unreadable)?;
            self.bytes.clear();
            self.base = self.at;
        }
        Ok(())
    }

    /// Holds the first element against the stated syntax: a data set starts at group 0008 or lower, and an
    /// explicit element names its value representation where an implicit one has a small length.
    fn check_syntax(&mut self) -> Result<(), Broken> {
        const FIRST: usize = 6;
        if self.need(self.at + FIRST).is_err() {
            return Ok(());
        }
        let first = self.read(self.at, self.at + FIRST);
        let explicit = first[4..].iter().all(u8::is_ascii_uppercase);
        // The other byte order would make a group of 0x0800 out of 0x0008.
        let big_endian = first[0] == 0 && first[1] != 0;
        if explicit != self.syntax.explicit || big_endian != self.syntax.big_endian {
            return Err(Broken::OtherSyntax);
        }
        Ok(())
    }

    /// What is behind the file meta information, inflated, with everything in front of it kept.
    fn inflate(&mut self) -> Result<Vec<u8>, Broken> {
        self.source
            .seek(SeekFrom::Start(self.at as u64))
            .map_err(|_| Broken::Unreadable)?;
        let mut out = self.bytes[..self.at].to_vec();
        let mut inflater = DeflateDecoder::new(&mut self.source).take(MAX_INFLATED_BYTES + 1);
        let inflated = inflater.read_to_end(&mut out).map_err(|_| Broken::Malformed)?;
        if inflated as u64 > MAX_INFLATED_BYTES {
            return Err(Broken::TooLarge);
        }
        Ok(out)
    }

    fn ended(&self) -> bool {
        self.at as u64 >= self.file_len
    }

    /// Whether the file has an offset, and our limits allow to go there.
    fn fits(&self, end: usize) -> Result<(), Broken> {
        if end as u64 > self.file_len {
            return Err(Broken::Truncated);
        }
        if end > MAX_HEADER_BYTES {
            return Err(Broken::TooLarge);
        }
        Ok(())
    }

    /// Has the bytes up to `end` in memory.
    fn need(&mut self, end: usize) -> Result<(), Broken> {
        self.fits(end)?;
        let there = self.base + self.bytes.len();
        if there < end {
            let want = end.next_multiple_of(CHUNK) - there;
            let left = self.file_len.saturating_sub(there as u64);
            self.bytes.reserve(want.min(left as usize));
            (&mut self.source)
                .take(want as u64)
                .read_to_end(&mut self.bytes)
                .map_err(|_| Broken::Unreadable)?;
        }
        // The file may have shrunk since its length was asked.
        if self.base + self.bytes.len() < end {
            Err(Broken::Truncated)
        } else {
            Ok(())
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let end = self.at + N;
        self.need(end)?;
        let mut out = [0; N];
        out.copy_from_slice(self.read(self.at, end));
        self.at = end;
        Ok(out)
    }

    fn u16(&mut self) -> Result<u16, Broken> {
        let b = self.take()?;
        Ok(self.syntax.u16(b))
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        let b = self.take()?;
        Ok(self.syntax.u32(b))
    }

    fn element(&mut self) -> Result<Element, Broken> {
        self.elements += 1;
        if self.elements > MAX_HEADER_ELEMENTS {
            return Err(Broken::TooLarge);
        }
        let tag = (self.u16()?, self.u16()?);
        if tag.0 == ITEM.0 || !self.syntax.explicit {
            return Ok(Element {
                tag,
                vr: None,
                length: self.u32()?,
            });
        }
        let vr: [u8; 2] = self.take()?;
        let length = match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
            | b"UV" => {
                let _reserved: [u8; 2] = self.take()?;
                self.u32()?
            }
            // The parser takes what it does not know for UN, whose length has another place.
            other if VR::from_binary(*other).is_some() => u32::from(self.u16()?),
            _ => return Err(Broken::Malformed),
        };
        Ok(Element {
            tag,
            vr: Some(vr),
            length,
        })
    }

    /// Group 0002, always in explicit little endian.
    fn file_meta(&mut self) -> Result<String, Broken> {
        let mut transfer_syntax = None;
        while !self.ended() {
            let before = self.at;
            self.need(before + 2)?;
            if self.bytes[before..before + 2] != [0x02, 0x00] {
                break;
            }
            let element = self.element()?;
            let value_at = self.at;
            self.skip(&element)?;
            if element.tag == (0x0002, 0x0010) {
                self.need(self.at)?;
                let text = String::from_utf8_lossy(&self.bytes[value_at..self.at]);
                transfer_syntax = Some(text.trim_matches(|c: char| c == '\0' || c == ' ').to_owned());
            }
        }
        transfer_syntax.ok_or(Broken::Malformed)
    }

    /// Stands behind an element of the data set itself. What is read of it is looked through: the lengths
    /// inside of sequences lie as easily as others, and the parser allocates by them.
    fn skip(&mut self, element: &Element) -> Result<(), Broken> {
        let file_end = self.file_len;
        if is_read(element.tag) || element.length == UNDEFINED {
            return self.look_through(element, file_end, 0);
        }
        self.at = self.end_of(element, file_end)?;
        Ok(())
    }

    /// Where an element of known length ends, which is not behind the end of what it lies in.
    fn end_of(&self, element: &Element, container_end: u64) -> Result<usize, Broken> {
        let end = self.at as u64 + u64::from(element.length);
        if end > self.file_len {
            return Err(Broken::Truncated);
        }
        if end > container_end {
            return Err(Broken::Malformed);
        }
        Ok(end as usize)
    }

    fn look_through(&mut self, element: &Element, container_end: u64, depth: usize) -> Result<(), Broken> {
        if element.length != UNDEFINED {
            let end = self.end_of(element, container_end)?;
            if !self.is_sequence(element) {
                self.at = end;
                return Ok(());
            }
            return self.items(end as u64, depth + 1);
        }
        // An unknown value of undefined length is a sequence in implicit syntax (PS3.5 §6.2.2).
        let outer = self.syntax;
        if element.vr == Some(*b"UN") {
            self.syntax = Syntax::IMPLICIT;
        }
        self.items(container_end, depth + 1)?;
        self.syntax = outer;
        Ok(())
    }

    /// As the parser takes it: in implicit syntax by the dictionary.
    fn is_sequence(&self, element: &Element) -> bool {
        match element.vr {
            Some(vr) => vr == *b"SQ",
            None => StandardDataDictionary
                .by_tag(Tag(element.tag.0, element.tag.1))
                .is_some_and(|known| known.vr().relaxed() == VR::SQ),
        }
    }

    /// The items of a sequence that ends at `end` or with its own delimiter.
    fn items(&mut self, end: u64, depth: usize) -> Result<(), Broken> {
        if depth > MAX_SEQUENCE_DEPTH {
            return Err(Broken::TooLarge);
        }
        while (self.at as u64) < end {
            let item = self.element()?;
            let item_end = match item.tag {
                SEQUENCE_END => return Ok(()),
                ITEM if item.length == UNDEFINED => end,
                ITEM => self.end_of(&item, end)? as u64,
                _ => return Err(Broken::Malformed),
            };
            while (self.at as u64) < item_end {
                let element = self.element()?;
                if element.tag == ITEM_END {
                    break;
                }
                self.look_through(&element, item_end, depth)?;
            }
        }
        Ok(())
    }

    fn pixel_span(&mut self, element: &Element) -> Result<PixelSpan, Broken> {
        let offset = self.at as u64;
        if element.length != UNDEFINED {
            let length = u64::from(element.length);
            if offset + length > self.file_len {
                return Err(Broken::Truncated);
            }
            return Ok(PixelSpan {
                offset,
                length,
                fragments: None,
            });
        }
        let mut at = offset;
        let mut fragments = Vec::new();
        while fragments.len() <= MAX_FRAGMENTS {
            let mut head = [0u8; 8];
            if at + 8 > self.file_len {
                return Err(Broken::Truncated);
            }
            self.source
                .seek(SeekFrom::Start(at))
                .map_err(|_| Broken::Unreadable)?;
            self.source
                .read_exact(&mut head)
                .map_err(|_| Broken::Unreadable)?;
            at += 8;
            let [g0, g1, e0, e1, length @ ..] = head;
            match (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1])) {
                SEQUENCE_END => {
                    return Ok(PixelSpan {
                        offset,
                        length: at - offset,
                        fragments: Some(fragments),
                    });
                }
                ITEM => {
                    let length = u32::from_le_bytes(length);
                    fragments.push(Fragment { offset: at, length });
                    at += u64::from(length);
                }
                _ => return Err(Broken::Malformed),
            }
        }
        Err(Broken::TooLarge)
    }
}
