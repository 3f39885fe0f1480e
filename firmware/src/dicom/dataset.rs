//! A walk over a stored data set: whether it is whole, and which object it says it is.
//!
//! The walk is iterative, holds no values but a few short ones, and follows sequences of undefined length
//! only as far as it must to find their end. It looks at every element up to the last byte, so that a
//! data set that was cut off anywhere outside its last value's padding is noticed; the values that say
//! nothing about that are jumped over.

use std::io::{self, Read, Seek};

use dicom_core::header::{HasLength as _, Header as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::DynDecoder;
use dicom_encoding::{Codec, TransferSyntax, TransferSyntaxIndex as _};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::elements::{Elements, Inflated, Plain};
use super::{Uid, UidError};
use crate::limits::{MAX_SEQUENCE_DEPTH, MAX_UID_CHARS};

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITATION: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITATION: Tag = Tag(0xFFFE, 0xE0DD);

/// Which object a data set says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// (0008,0016).
    pub sop_class: Uid,
    /// (0008,0018).
    pub sop_instance: Uid,
    /// (0020,000D).
    pub study: Uid,
    /// (0020,000E).
    pub series: Uid,
}

/// What an image states about how much its study has. Query attributes (PS3.4 C.3.4) that some systems
/// write into the images; a value that is no number says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of Study Related Series (0020,1206).
    pub study_series: Option<u32>,
    /// Number of Study Related Instances (0020,1208).
    pub study_instances: Option<u32>,
    /// Number of Series Related Instances (0020,1209).
    pub series_instances: Option<u32>,
}

/// Why a data set is not stored.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// It ends inside an element or with open sequences, or goes on beyond the limit.
    #[error("the data set is truncated")]
    Truncated,
    /// The bytes are no elements.
    #[error("the data set is not DICOM: {0}")]
    NotDicom(&'static str),
    /// More levels of sequences than anybody needs.
    #[error("the data set nests more than {MAX_SEQUENCE_DEPTH} sequences")]
    TooDeep,
    /// Not a transfer syntax that [`storable`] takes.
    #[error("the transfer syntax cannot be stored")]
    TransferSyntax,
    /// One of the four identifying UIDs is not there.
    #[error("the data set has no {0}")]
    Missing(&'static str),
    /// One of the four identifying UIDs is none.
    #[error("the {0} in the data set {1}")]
    BadUid(&'static str, UidError),
    /// The disk failed.
    #[error("the stored bytes cannot be read back: {0}")]
    Io(#[source] io::Error),
}

/// The transfer syntax of this UID, if a data set in it can be stored: its elements can be walked.
/// Whether anybody here can decode its pixels does not matter.
pub fn storable(uid: &str) -> Option<&'static TransferSyntax> {
    let known = TransferSyntaxRegistry.get(uid)?;
    let walkable = !matches!(known.codec(), Codec::Dataset(None));
    (walkable && known.decoder_for::<dyn Read>().is_some()).then_some(known)
}

/// Walks a whole data set, from where `source` stands to its end: at most `limit` bytes, after inflation.
pub fn identify(
    source: impl Read + Seek,
    syntax: &TransferSyntax,
    limit: u64,
) -> Result<(Identity, Counts), DataSetError> {
    match syntax.codec() {
        Codec::Dataset(Some(codec)) => Walk::new(Inflated::new(source, &**codec, limit), syntax)?.run(),
        Codec::Dataset(None) => Err(DataSetError::TransferSyntax),
        _ => Walk::new(Plain::new(source, limit).map_err(DataSetError::Io)?, syntax)?.run(),
    }
}

/// Patient ID (0010,0020), read no further than it stands; none where it is absent or longer than the
/// standard allows.
pub fn patient_id(source: impl Read + Seek, syntax: &TransferSyntax, limit: u64) -> Option<String> {
    match syntax.codec() {
        Codec::Dataset(Some(codec)) => Walk::new(Inflated::new(source, &**codec, limit), syntax)
            .ok()?
            .patient(),
        Codec::Dataset(None) => None,
        _ => Walk::new(Plain::new(source, limit).ok()?, syntax).ok()?.patient(),
    }
}

/// What is open around the next element. Things of defined length are skipped as a whole and are
/// never open.
#[derive(Clone, Copy)]
struct Level {
    kind: Kind,
    /// Inside UN of undefined length everything is Implicit VR Little Endian (PS3.5 6.2.2).
    implicit: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sequence,
    Item,
    Fragments,
}

struct Walk<R: Read> {
    source: R,
    declared: DynDecoder<R>,
    implicit: DynDecoder<R>,
    open: Vec<Level>,
    values: [Option<String>; 4],
    counts: Counts,
    patient_id: Option<String>,
}

/// The identifying elements, in the order of [`Identity`].
const WANTED: [(Tag, &str); 4] = [
    (tags::SOP_CLASS_UID, "SOP Class UID"),
    (tags::SOP_INSTANCE_UID, "SOP Instance UID"),
    (tags::STUDY_INSTANCE_UID, "Study Instance UID"),
    (tags::SERIES_INSTANCE_UID, "Series Instance UID"),
];

/// The elements of [`Counts`].
const COUNTED: [Tag; 3] = [
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

/// Longest value of VR IS (PS3.5 6.2).
const MAX_IS_BYTES: u32 = 12;
/// Longest value of VR LO, of four bytes a character.
const MAX_LO_BYTES: u32 = 4 * 64;

impl<R: Elements> Walk<R> {
    fn new(source: R, syntax: &TransferSyntax) -> Result<Self, DataSetError> {
        let declared = syntax.decoder_for().ok_or(DataSetError::TransferSyntax)?;
        let implicit = TransferSyntaxRegistry
            .get(uids::IMPLICIT_VR_LITTLE_ENDIAN)
            .and_then(|syntax| syntax.decoder_for())
            .ok_or(DataSetError::TransferSyntax)?;
        Ok(Self {
            source,
            declared,
            implicit,
            open: Vec::new(),
            values: Default::default(),
            counts: Counts::default(),
            patient_id: None,
        })
    }

    fn run(mut self) -> Result<(Identity, Counts), DataSetError> {
        while !(self.open.is_empty() && self.source.fill_buf().map_err(foreign_io)?.is_empty()) {
            self.element()?;
        }
        let [sop_class, sop_instance, study, series] = self.values;
        let uid = |value: Option<String>, index: usize| {
            let name = WANTED[index].1;
            let value = value.ok_or(DataSetError::Missing(name))?;
            Uid::parse(&value).map_err(|error| DataSetError::BadUid(name, error))
        };
        let identity = Identity {
            sop_class: uid(sop_class, 0)?,
            sop_instance: uid(sop_instance, 1)?,
            study: uid(study, 2)?,
            series: uid(series, 3)?,
        };
        Ok((identity, self.counts))
    }

    fn patient(mut self) -> Option<String> {
        while self.patient_id.is_none() && !self.source.fill_buf().ok()?.is_empty() {
            self.element().ok()?;
        }
        self.patient_id
    }

    fn element(&mut self) -> Result<(), DataSetError> {
        let level = self.open.last().copied();
        let implicit = level.is_some_and(|level| level.implicit);
        let decoder = if implicit { &self.implicit } else { &self.declared };
        // The decoders fail for one reason: the header is not there in full.
        let (header, _) = decoder
            .decode_header(&mut self.source)
            .map_err(|_| DataSetError::Truncated)?;
        let tag = header.tag();
        let length = header.length().get();
        match (level.map(|level| level.kind), tag) {
            (Some(Kind::Sequence | Kind::Fragments), SEQUENCE_DELIMITATION)
            | (Some(Kind::Item), ITEM_DELIMITATION) => {
                self.open.pop();
                Ok(())
            }
            (Some(Kind::Sequence), ITEM) => match length {
                Some(length) => self.skip(length),
                None => self.enter(Kind::Item, implicit),
            },
            (Some(Kind::Fragments), ITEM) => {
                self.skip(length.ok_or(DataSetError::NotDicom("a pixel fragment has no length"))?)
            }
            (None | Some(Kind::Item), tag) if tag.group() != 0xFFFE => match length {
                None if tag == tags::PIXEL_DATA => self.enter(Kind::Fragments, implicit),
                None => self.enter(Kind::Sequence, implicit || header.vr() == VR::UN),
                Some(length) => match WANTED.iter().position(|(wanted, _)| *wanted == tag) {
                    Some(index) if level.is_none() => self.keep(index, length),
                    None if level.is_none() && COUNTED.contains(&tag) => self.count(tag, length),
                    None if level.is_none() && tag == tags::PATIENT_ID && length <= MAX_LO_BYTES => {
                        self.name_patient(length)
                    }
                    _ => self.skip(length),
                },
            },
            _ => Err(DataSetError::NotDicom(
                "an item or a delimiter stands at the wrong place",
            )),
        }
    }

    fn enter(&mut self, kind: Kind, implicit: bool) -> Result<(), DataSetError> {
        // A sequence and its item are two levels here.
        if self.open.len() >= 2 * MAX_SEQUENCE_DEPTH {
            return Err(DataSetError::TooDeep);
        }
        self.open.push(Level { kind, implicit });
        Ok(())
    }

    fn keep(&mut self, index: usize, length: u32) -> Result<(), DataSetError> {
        if length as usize > MAX_UID_CHARS {
            return Err(DataSetError::BadUid(WANTED[index].1, UidError::TooLong));
        }
        let mut value = vec![0; length as usize];
        self.source.read_exact(&mut value).map_err(foreign_io)?;
        let malformed = |_| DataSetError::BadUid(WANTED[index].1, UidError::Malformed);
        self.values[index] = Some(String::from_utf8(value).map_err(malformed)?);
        Ok(())
    }

    fn name_patient(&mut self, length: u32) -> Result<(), DataSetError> {
        let mut value = vec![0; length as usize];
        self.source.read_exact(&mut value).map_err(foreign_io)?;
        let text = String::from_utf8_lossy(&value);
        self.patient_id = Some(text.trim_matches([' ', '\0']).to_owned());
        Ok(())
    }

    fn count(&mut self, tag: Tag, length: u32) -> Result<(), DataSetError> {
        if length > MAX_IS_BYTES {
            return self.skip(length);
        }
        let mut value = vec![0; length as usize];
        self.source.read_exact(&mut value).map_err(foreign_io)?;
        let text = std::str::from_utf8(&value).unwrap_or_default();
        let number = text.trim_matches([' ', '\0']).parse().ok();
        match tag {
            tags::NUMBER_OF_STUDY_RELATED_SERIES => self.counts.study_series = number,
            tags::NUMBER_OF_STUDY_RELATED_INSTANCES => self.counts.study_instances = number,
            _ => self.counts.series_instances = number,
        }
        Ok(())
    }

    fn skip(&mut self, length: u32) -> Result<(), DataSetError> {
        let skipped = self.source.skip(u64::from(length)).map_err(foreign_io)?;
        if skipped == u64::from(length) {
            Ok(())
        } else {
            Err(DataSetError::Truncated)
        }
    }
}

/// Errors while reading: the end, a broken deflate stream, or a broken disk.
fn foreign_io(error: io::Error) -> DataSetError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DataSetError::Truncated,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            DataSetError::NotDicom("its deflate stream is broken")
        }
        _ => DataSetError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use dicom_core::value::{DataSetSequence, Value};
    use dicom_core::{DataElement, Length};
    use dicom_object::InMemDicomObject;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn syntax(uid: &str) -> &'static TransferSyntax {
        storable(uid).unwrap()
    }

    fn object() -> InMemDicomObject {
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, value);
        let inner = InMemDicomObject::from_element_iter([text(tags::SOP_INSTANCE_UID, VR::UI, "9.9.9")]);
        InMemDicomObject::from_element_iter([
            text(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
            text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
            text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.1"),
            DataElement::new(
                tags::REFERENCED_IMAGE_SEQUENCE,
                VR::SQ,
                Value::Sequence(DataSetSequence::new(vec![inner], Length::UNDEFINED)),
            ),
            DataElement::new(
                tags::PIXEL_DATA,
                VR::OW,
                dicom_core::PrimitiveValue::U16(vec![7; 64].into()),
            ),
        ])
    }

    fn encoded(uid: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        object().write_dataset_with_ts(&mut bytes, syntax(uid)).unwrap();
        bytes
    }

    const SYNTAXES: [&str; 4] = [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2", // Explicit VR Big Endian, retired, still met
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ];

    #[test]
    fn finds_the_top_level_identity_in_every_encoding() {
        for uid in SYNTAXES {
            let (identity, counts) = identify(Cursor::new(&encoded(uid)[..]), syntax(uid), LIMIT).unwrap();
            assert_eq!(counts, Counts::default(), "nothing is stated");
            assert_eq!(
                identity.sop_instance.as_str(),
                "1.2.3",
                "{uid}: not that of the referenced image"
            );
            assert_eq!(identity.series.as_str(), "1.2.1");
        }
        assert!(
            !object()
                .element(tags::REFERENCED_IMAGE_SEQUENCE)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn counts_are_read_where_they_are_numbers() {
        let uid = uids::EXPLICIT_VR_LITTLE_ENDIAN;
        let stated = |series: &str, instances: &str| {
            let mut object = object();
            object.put(DataElement::new(
                tags::NUMBER_OF_STUDY_RELATED_SERIES,
                VR::IS,
                series,
            ));
            object.put(DataElement::new(
                tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
                VR::IS,
                instances,
            ));
            let mut bytes = Vec::new();
            object.write_dataset_with_ts(&mut bytes, syntax(uid)).unwrap();
            identify(Cursor::new(&bytes[..]), syntax(uid), LIMIT).unwrap().1
        };
        let good = Counts {
            study_series: Some(6),
            study_instances: Some(144),
            series_instances: None,
        };
        assert_eq!(stated(" 6", "144 "), good);
        for bad in ["-1", "many", "1e3", "99999999999", "1\\2", ""] {
            assert_eq!(stated(bad, bad), Counts::default(), "{bad:?}");
        }
    }

    #[test]
    fn the_patient_is_that_of_the_data_set_itself() {
        let mut object = object();
        let text = |value: &str| DataElement::new(tags::PATIENT_ID, VR::LO, value);
        for uid in SYNTAXES {
            let written = |object: &InMemDicomObject| {
                let mut bytes = Vec::new();
                object.write_dataset_with_ts(&mut bytes, syntax(uid)).unwrap();
                patient_id(Cursor::new(&bytes[..]), syntax(uid), LIMIT)
            };
            object.remove_element(tags::PATIENT_ID);
            assert_eq!(written(&object), None, "{uid}");
            object.put(text("P-1"));
            assert_eq!(written(&object).as_deref(), Some("P-1"), "{uid}");
            object.put(text(&"1".repeat(MAX_LO_BYTES as usize + 2)));
            assert_eq!(written(&object), None, "{uid}");
        }
    }

    #[test]
    fn a_cut_anywhere_is_noticed_or_leaves_the_pixels_out() {
        let uid = uids::EXPLICIT_VR_LITTLE_ENDIAN;
        let whole = encoded(uid);
        let pixel_data = whole
            .windows(4)
            .position(|w| w == [0xE0, 0x7F, 0x10, 0x00])
            .unwrap();
        for end in 0..whole.len() {
            let outcome = identify(Cursor::new(&whole[..end]), syntax(uid), LIMIT);
            // A cut exactly between two elements cannot be told from a shorter object.
            assert!(
                outcome.is_err() || end == pixel_data || end < pixel_data,
                "cut at {end}"
            );
        }
    }

    #[test]
    fn encapsulated_pixels_without_their_end_are_truncated() {
        let uid = uids::JPEG2000_LOSSLESS;
        let mut bytes = encoded(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        bytes.truncate(
            bytes
                .windows(4)
                .position(|w| w == [0xE0, 0x7F, 0x10, 0x00])
                .unwrap(),
        );
        bytes.extend_from_slice(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0, 4, 0, 0, 0, 1, 2, 3, 4]);
        assert!(matches!(
            identify(Cursor::new(&bytes[..]), syntax(uid), LIMIT),
            Err(DataSetError::Truncated)
        ));
        bytes.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        assert!(identify(Cursor::new(&bytes[..]), syntax(uid), LIMIT).is_ok());
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend_from_slice(&[0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
            bytes.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
        }
        let outcome = identify(
            Cursor::new(&bytes[..]),
            syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN),
            1 << 30,
        );
        assert!(matches!(outcome, Err(DataSetError::TooDeep)));
    }

    #[test]
    fn a_deflate_bomb_ends_at_the_limit() {
        let uid = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
        assert!(matches!(
            identify(Cursor::new(&encoded(uid)[..]), syntax(uid), 100),
            Err(DataSetError::Truncated)
        ));
    }

    #[test]
    fn unknown_transfer_syntaxes_are_not_storable() {
        assert!(storable("1.2.3.4").is_none());
        assert!(storable(uids::JPEG2000_LOSSLESS).is_some());
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0..4usize) {
            let _ = identify(Cursor::new(&bytes[..]), syntax(SYNTAXES[which]), LIMIT);
        }

        #[test]
        fn damaged_bytes_never_panic(at in 0..300usize, to: u8, which in 0..3usize) {
            let mut bytes = encoded(SYNTAXES[which]);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = identify(Cursor::new(&bytes[..]), syntax(SYNTAXES[which]), LIMIT);
        }
    }
}
