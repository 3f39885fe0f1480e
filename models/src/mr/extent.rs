//! Where the header of a DICOM file ends and its pixel data lie (PS3.5 §7, PS3.10 §7.1).
//!
//! This walk over tags and lengths comes before any parser: every declared length is held against
//! the bytes that are there and against our limits, so a parser never sees a length that lies.
//! Nothing behind the start of the pixel data is read, except the headers of compressed fragments.

use std::io::{Cursor, Read, Seek, SeekFrom};

use dicom_core::Tag;
use dicom_dictionary_std::tags::{PIXEL_DATA, TRANSFER_SYNTAX_UID};
use flate2::read::DeflateDecoder;

use super::element::{ElementHead, ITEM, ITEM_END, SEQUENCE_END, Syntax, UNDEFINED};
use crate::limits::{
    MAX_DICOM_FILE_BYTES, MAX_FRAGMENTS, MAX_HEADER_BYTES, MAX_HEADER_ELEMENTS, MAX_INFLATED_BYTES,
    MAX_SEQUENCE_DEPTH,
};

const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const PREAMBLE: usize = 128;
const MAGIC: &[u8; 4] = b"DICM";
/// Groups of which something is read anywhere in this module: the others, above all the private ones of
/// Philips and Siemens, are most of a header, and parsing them most of the time.
const READ_GROUPS: [u16; 14] = [
    0x0002, 0x0008, 0x0010, 0x0012, 0x0018, 0x0019, 0x0020, 0x0028, 0x0029, 0x0040, 0x0043, 0x0065, 0x2001,
    0x5200,
];
/// Headers of classic MR files mostly fit into one read of this size.
const CHUNK: usize = 32 * 1024;

/// Whether anything asks for such an element. The CSA header of the image is (0029,xx10); that of the
/// series, a hundred kilobytes in (0029,xx20), is not read.
fn is_read(Tag(group, element): Tag) -> bool {
    let unread_csa = group == 0x0029 && element > 0xFF && element & 0xFF != 0x10;
    READ_GROUPS.contains(&group) && !unread_csa
}

/// Why the bytes were not walked to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
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
    /// The data set in front of the pixel data, without the elements of other groups than [`READ_GROUPS`].
    pub header: Vec<u8>,
    /// How it is written.
    pub syntax: Syntax,
    /// (0002,0010).
    pub transfer_syntax: String,
    /// None for objects without pixels.
    pub pixels: Option<PixelSpan>,
    /// Of a deflated data set (PS3.5 A.5) the preamble, the file meta information and the data set,
    /// inflated: what all offsets refer to.
    pub inflated: Option<Vec<u8>>,
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
    match transfer_syntax.as_str() {
        DEFLATED => {
            let inflated = walk.inflate()?;
            let walk = Walk {
                file_len: inflated.len() as u64,
                source: Cursor::new(&inflated),
                bytes: Vec::new(),
                base: 0,
                at: walk.at,
                elements: 0,
                syntax: Syntax::EXPLICIT,
            };
            let extent = walk.data_set(transfer_syntax)?;
            return Ok(Extent {
                inflated: Some(inflated),
                ..extent
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
    walk.data_set(transfer_syntax)
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
    fn data_set(mut self, transfer_syntax: String) -> Result<Extent, Broken> {
        self.check_syntax()?;
        let syntax = self.syntax;
        let mut header = Vec::new();
        let mut pixels = None;
        // The run of elements to be kept that the walk is in.
        let mut kept_from = self.at;
        let mut kept_to = self.at;
        while !self.ended() {
            let element = self.head()?;
            if element.tag == PIXEL_DATA {
                pixels = Some(self.pixel_span(&element)?);
            }
            if element.tag >= PIXEL_DATA {
                break;
            }
            self.skip(&element, self.file_len, 0)?;
            if is_read(element.tag) {
                self.need(self.at)?;
            } else {
                header.extend_from_slice(self.read(kept_from, kept_to));
                kept_from = self.at;
                self.leap()?;
            }
            kept_to = self.at;
        }
        header.extend_from_slice(self.read(kept_from, kept_to));
        Ok(Extent {
            header,
            syntax,
            transfer_syntax,
            pixels,
            inflated: None,
        })
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

    /// The head of the next element; the walk stands at its value.
    fn head(&mut self) -> Result<ElementHead, Broken> {
        self.elements += 1;
        if self.elements > MAX_HEADER_ELEMENTS {
            return Err(Broken::TooLarge);
        }
        let [short, long] = ElementHead::SIZES;
        self.need(self.at + short)?;
        let end = (self.at as u64 + long as u64).min(self.file_len) as usize;
        self.need(end)?;
        let head = ElementHead::parse(self.read(self.at, end), self.syntax)?;
        self.at += head.size;
        Ok(head)
    }

    /// The transfer syntax of group 0002, which is always in explicit little endian.
    fn file_meta(&mut self) -> Result<String, Broken> {
        let mut transfer_syntax = None;
        while !self.ended() {
            let before = self.at;
            self.need(before + 2)?;
            if self.bytes[before..before + 2] != [0x02, 0x00] {
                break;
            }
            let element = self.head()?;
            let value_at = self.at;
            self.skip(&element, self.file_len, 0)?;
            self.need(self.at)?;
            if element.tag == TRANSFER_SYNTAX_UID {
                let text = String::from_utf8_lossy(&self.bytes[value_at..self.at]);
                transfer_syntax = Some(text.trim_matches(|c: char| c == '\0' || c == ' ').to_owned());
            }
        }
        transfer_syntax.ok_or(Broken::Malformed)
    }

    /// Goes behind the value of an element, which is not behind the end of what it lies in. Where no length
    /// says where that is, its items are walked.
    fn skip(&mut self, element: &ElementHead, container_end: u64, depth: usize) -> Result<(), Broken> {
        if element.length != UNDEFINED {
            self.at = self.end_of(element, container_end)?;
            return Ok(());
        }
        let outer = self.syntax;
        self.syntax = element.inside(outer);
        self.items(container_end, depth + 1)?;
        self.syntax = outer;
        Ok(())
    }

    /// Where an element of known length ends.
    fn end_of(&self, element: &ElementHead, container_end: u64) -> Result<usize, Broken> {
        let end = self.at as u64 + u64::from(element.length);
        if end > self.file_len {
            return Err(Broken::Truncated);
        }
        if end > container_end {
            return Err(Broken::Malformed);
        }
        Ok(end as usize)
    }

    /// The items of a sequence that ends with its own delimiter.
    fn items(&mut self, end: u64, depth: usize) -> Result<(), Broken> {
        if depth > MAX_SEQUENCE_DEPTH {
            return Err(Broken::TooLarge);
        }
        while (self.at as u64) < end {
            let item = self.head()?;
            match item.tag {
                SEQUENCE_END => return Ok(()),
                ITEM if item.length == UNDEFINED => self.open_item(end, depth)?,
                ITEM => self.at = self.end_of(&item, end)?,
                _ => return Err(Broken::Malformed),
            }
        }
        Ok(())
    }

    /// The elements of an item that ends with its own delimiter.
    fn open_item(&mut self, end: u64, depth: usize) -> Result<(), Broken> {
        while (self.at as u64) < end {
            let element = self.head()?;
            if element.tag == ITEM_END {
                break;
            }
            self.skip(&element, end, depth)?;
        }
        Ok(())
    }

    fn pixel_span(&mut self, element: &ElementHead) -> Result<PixelSpan, Broken> {
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
            match Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1])) {
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
