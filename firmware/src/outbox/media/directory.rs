//! A DICOMDIR: the directory of a file set (PS3.3 Annex F, PS3.10 8).
//!
//! Records point at each other by the offset of their item from the first byte of the file. Offsets have a
//! fixed length, so the records are laid out first and written afterwards.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use models::findings::Reason;

use crate::dicom::Uid;
use crate::report::Set;

/// The longest component of a File ID, and of a File-set ID, characters (PS3.10 8.2, 8.1).
pub(super) const COMPONENT: usize = 8;

/// A record with those below it.
pub(super) struct Record {
    /// PATIENT, STUDY, SERIES, IMAGE or SR DOCUMENT.
    pub kind: &'static str,
    /// What tells it apart (PS3.3 F.5).
    pub keys: Set,
    pub below: Vec<Record>,
}

/// Offsets from the first byte of the file; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Links {
    next: u32,
    below: u32,
}

/// Tag and length of an item, or of a sequence with its representation.
const ITEM_HEADER: usize = 8;
const SEQUENCE_HEADER: usize = 12;

/// The file.
///
/// # Errors
/// `internal`: it cannot be written.
pub(super) fn file(name: &str, roots: &[Record]) -> Result<Vec<u8>, Reason> {
    let mut sizes = Vec::new();
    measure(roots, &mut sizes)?;
    let head = head(name, 0, 0)?.len();
    let first = head + SEQUENCE_HEADER;
    // Where each record begins, in the order in which they are written.
    let mut starts = vec![first];
    for size in &sizes {
        starts.push(starts.last().unwrap_or(&first) + ITEM_HEADER + size);
    }
    let starts: Vec<u32> = starts.iter().map(|start| offset(*start)).collect();
    let mut body = Vec::new();
    let mut at = 0;
    let last = write(roots, &starts, &mut at, &mut body)?;
    let (first, last) = if roots.is_empty() {
        (0, 0)
    } else {
        (starts[0], last)
    };
    let mut bytes = self::head(name, first, last)?;
    bytes.extend(header(tags::DIRECTORY_RECORD_SEQUENCE));
    bytes.extend(b"SQ\0\0");
    bytes.extend(offset(body.len()).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// File meta information and what stands before the records (PS3.3 F.3.2.2).
fn head(name: &str, first: u32, last: u32) -> Result<Vec<u8>, Reason> {
    Set::new()
        .text(tags::FILE_SET_ID, VR::CS, name)
        .put(
            tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            VR::UL,
            first,
        )
        .put(
            tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            VR::UL,
            last,
        )
        .put(tags::FILE_SET_CONSISTENCY_FLAG, VR::US, 0_u16)
        .file(
            uids::MEDIA_STORAGE_DIRECTORY_STORAGE,
            &Uid::derived(&["file set", name]),
        )
}

fn encoded(record: &Record, links: Links) -> Result<Vec<u8>, Reason> {
    const IN_USE: u16 = 0xFFFF;
    let set = Set::new()
        .put(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD, VR::UL, links.next)
        .put(tags::RECORD_IN_USE_FLAG, VR::US, IN_USE)
        .put(
            tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
            VR::UL,
            links.below,
        )
        .text(tags::DIRECTORY_RECORD_TYPE, VR::CS, record.kind);
    set.and(record.keys.clone()).bytes()
}

fn measure(records: &[Record], sizes: &mut Vec<usize>) -> Result<(), Reason> {
    for record in records {
        sizes.push(encoded(record, Links::default())?.len());
        measure(&record.below, sizes)?;
    }
    Ok(())
}

/// How many records a record is, with those below it.
fn count(record: &Record) -> usize {
    1 + record.below.iter().map(count).sum::<usize>()
}

/// Writes records of one level. Gives where the last of them begins.
fn write(records: &[Record], starts: &[u32], at: &mut usize, to: &mut Vec<u8>) -> Result<u32, Reason> {
    let mut begins = 0;
    for (number, record) in records.iter().enumerate() {
        begins = starts[*at];
        let links = Links {
            next: if number + 1 < records.len() {
                starts[*at + count(record)]
            } else {
                0
            },
            below: if record.below.is_empty() {
                0
            } else {
                starts[*at + 1]
            },
        };
        let bytes = encoded(record, links)?;
        to.extend(header(Tag(0xFFFE, 0xE000)));
        to.extend(offset(bytes.len()).to_le_bytes());
        to.extend(bytes);
        *at += 1;
        write(&record.below, starts, at, to)?;
    }
    Ok(begins)
}

fn header(Tag(group, element): Tag) -> [u8; 4] {
    let [a, b] = group.to_le_bytes();
    let [c, d] = element.to_le_bytes();
    [a, b, c, d]
}

/// A directory of 4 GiB would have some ten million records.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
