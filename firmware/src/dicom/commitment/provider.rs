//! As provider: which instances we promise to keep.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex as _;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use models::findings::{Fault, Reason};
use serde::{Deserialize, Serialize};

use super::{REQUEST, Reference, references, to_the_instance};
use crate::dicom::Uid;
use crate::dicom::dimse::{Command, Status};
use crate::dicom::normalized::{read, too_much, uid};
use crate::dicom::refused::Refused;
use crate::dicom::services::Services;
use crate::limits::MAX_REFERENCES;
use crate::spool::Spool;

/// How requests are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commitment {
    /// Not at all: the presentation context is rejected.
    Off,
    /// Every instance is reported as failed: this appliance is no archive.
    #[default]
    Refuse,
    /// What is durable here is committed, for as long as the appliance keeps it.
    WhileKept,
}

/// What a peer asks us to keep.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dicom) struct Request {
    transaction: Uid,
    references: Vec<Reference>,
}

/// Why an instance is not committed: Failure Reason (0008,1197), PS3.3 C.14.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum Failure {
    /// The disk failed.
    Processing = 0x0110,
    /// Not here.
    NoSuchInstance = 0x0112,
    /// Here, under another SOP class.
    ClassInstanceConflict = 0x0119,
    /// Of a class that is not stored here.
    ClassNotSupported = 0x0122,
    /// Here, and not for long: there is no room to keep it for good.
    ResourceLimitation = 0x0213,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dicom) struct Report {
    transaction: Uid,
    committed: Vec<Reference>,
    failed: Vec<(Reference, Failure)>,
}

/// Whether the data set of a request is worth receiving.
pub(in crate::dicom) fn begin(request: &Command) -> Result<(), Refused> {
    to_the_instance(request)?;
    if request.action_type_id != Some(REQUEST) {
        let text = "storage commitment has no such action";
        return Err(Refused::peer(Status::NO_SUCH_ACTION, "unknown_action", text));
    }
    Ok(())
}

impl Request {
    /// From the data set of the N-ACTION.
    pub(in crate::dicom) fn read(data_set: &[u8], transfer_syntax: &str) -> Result<Self, Refused> {
        let wrong = Status::INVALID_ARGUMENT_VALUE;
        let set = read(data_set, transfer_syntax)?;
        let transaction = uid(&set, tags::TRANSACTION_UID, "Transaction UID", wrong)?;
        let items = set.items(tags::REFERENCED_SOP_SEQUENCE);
        if items.is_empty() {
            let text = "the request refers to no instance";
            return Err(Refused::peer(wrong, "no_references", text));
        }
        if items.len() > MAX_REFERENCES {
            return Err(too_much("instances in one request"));
        }
        Ok(Self {
            transaction,
            references: references(items)?,
        })
    }

    /// Decides about each instance by what lies in the spool now.
    pub(in crate::dicom) fn judge(self, spool: &Spool, services: &Services) -> Report {
        let wanted = self.references.iter().map(|reference| &reference.instance);
        let held = spool.held(&wanted.collect()).inspect_err(|error| {
            let reason = Reason::new(
                "disk",
                Fault::Hardware,
                format!("nothing can be said about the spool: {error}"),
            );
            tracing::error!(code = reason.code, "{reason}");
        });
        let judge = |reference: &Reference| {
            let Ok(held) = &held else {
                return Err(Failure::Processing);
            };
            if !services.stores(reference.class.as_str()) {
                return Err(Failure::ClassNotSupported);
            }
            match held.get(&reference.instance) {
                None => Err(Failure::NoSuchInstance),
                Some(None) => Err(Failure::Processing),
                Some(Some(class)) if *class != reference.class => Err(Failure::ClassInstanceConflict),
                Some(Some(_)) if services.commitment != Commitment::WhileKept => {
                    Err(Failure::ResourceLimitation)
                }
                Some(Some(_)) => Ok(()),
            }
        };
        let mut report = Report {
            transaction: self.transaction,
            committed: Vec::new(),
            failed: Vec::new(),
        };
        for reference in self.references {
            match judge(&reference) {
                Ok(()) => report.committed.push(reference),
                Err(failure) => report.failed.push((reference, failure)),
            }
        }
        report
    }
}

impl Report {
    /// Instances that are committed, and all.
    pub(in crate::dicom) fn counts(&self) -> (usize, usize) {
        (self.committed.len(), self.committed.len() + self.failed.len())
    }

    /// The N-EVENT-REPORT that tells it (PS3.4 J.3.3): event 1 when all are committed, else 2.
    pub(in crate::dicom) fn command(&self, message_id: u16) -> Command {
        Command::event_report(
            message_id,
            uids::STORAGE_COMMITMENT_PUSH_MODEL,
            uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            if self.failed.is_empty() { 1 } else { 2 },
        )
    }

    /// Its data set.
    pub(in crate::dicom) fn data_set(&self, transfer_syntax: &str) -> Result<Vec<u8>, Reason> {
        let ours = |error: &dyn std::fmt::Display| {
            Reason::new(
                "internal",
                Fault::Us,
                format!("a report cannot be written: {error}"),
            )
        };
        let syntax = TransferSyntaxRegistry
            .get(transfer_syntax)
            .ok_or_else(|| ours(&"unknown transfer syntax"))?;
        let committed = self.committed.iter().map(Reference::item).collect::<Vec<_>>();
        let failed = self.failed.iter().map(|(reference, failure)| {
            let mut item = reference.item();
            let reason = PrimitiveValue::from(*failure as u16);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, reason));
            item
        });
        let mut set = InMemDicomObject::from_element_iter([DataElement::new(
            tags::TRANSACTION_UID,
            VR::UI,
            self.transaction.as_str(),
        )]);
        // A sequence without items would be against the standard (PS3.4 Table J.3-2).
        for (tag, items) in [
            (tags::FAILED_SOP_SEQUENCE, failed.collect()),
            (tags::REFERENCED_SOP_SEQUENCE, committed),
        ] {
            if !items.is_empty() {
                let items = DataSetSequence::new(items, Length::UNDEFINED);
                set.put(DataElement::new(tag, VR::SQ, items));
            }
        }
        let mut bytes = Vec::new();
        set.write_dataset_with_ts(&mut bytes, syntax)
            .map_err(|error| ours(&error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const SYNTAXES: [&str; 2] = [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN];

    fn parse(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn encoded(transaction: &str, instances: usize, syntax: &str) -> Vec<u8> {
        let item = |number| {
            let uid = |tag, uid: &str| DataElement::new(tag, VR::UI, uid);
            InMemDicomObject::from_element_iter([
                uid(tags::REFERENCED_SOP_CLASS_UID, uids::MR_IMAGE_STORAGE),
                uid(tags::REFERENCED_SOP_INSTANCE_UID, &format!("1.2.{number}")),
            ])
        };
        let items = DataSetSequence::new((0..instances).map(item).collect::<Vec<_>>(), Length::UNDEFINED);
        let set = InMemDicomObject::from_element_iter([
            DataElement::new(tags::TRANSACTION_UID, VR::UI, transaction),
            DataElement::new(tags::REFERENCED_SOP_SEQUENCE, VR::SQ, items),
        ]);
        let mut bytes = Vec::new();
        let syntax = TransferSyntaxRegistry.get(syntax).unwrap();
        set.write_dataset_with_ts(&mut bytes, syntax).unwrap();
        bytes
    }

    #[test]
    fn a_request_is_read_up_to_the_limit() {
        for syntax in SYNTAXES {
            let request = Request::read(&encoded("2.25.7", 3, syntax), syntax).unwrap();
            assert_eq!(request.transaction, parse("2.25.7"));
            assert_eq!(request.references.len(), 3);
            assert_eq!(request.references[2].instance, parse("1.2.2"));
        }
        let [_, syntax] = SYNTAXES;
        let read = |transaction, instances| {
            let refused = Request::read(&encoded(transaction, instances, syntax), syntax).unwrap_err();
            (refused.status, refused.reason.code)
        };
        assert!(Request::read(&encoded("2.25.7", MAX_REFERENCES, syntax), syntax).is_ok());
        let beyond = read("2.25.7", MAX_REFERENCES + 1);
        assert_eq!(beyond, (Status::RESOURCE_LIMITATION, "too_much".into()));
        for hostile in ["", "../7", "1..2"] {
            let refused = read(hostile, 1);
            assert_eq!(
                refused,
                (Status::INVALID_ARGUMENT_VALUE, "bad_uid".into()),
                "{hostile}"
            );
        }
        assert_eq!(read("2.25.7", 0).1, "no_references");
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        let [_, syntax] = SYNTAXES;
        let level = [
            &[0x08, 0, 0x99, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF][..],
            &[0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF],
        ];
        let refused = Request::read(&level.concat().repeat(100_000), syntax).unwrap_err();
        assert_eq!(refused.status, Status::RESOURCE_LIMITATION);
    }

    #[test]
    fn a_report_says_what_became_of_each() {
        let reference = |instance| Reference {
            class: parse(uids::MR_IMAGE_STORAGE),
            instance: parse(instance),
        };
        let mut report = Report {
            transaction: parse("2.25.7"),
            committed: vec![reference("1.2.1")],
            failed: vec![(reference("1.2.2"), Failure::ClassInstanceConflict)],
        };
        assert_eq!(report.command(5).event_type_id, Some(2));
        for syntax in SYNTAXES {
            let bytes = report.data_set(syntax).unwrap();
            let set = read(&bytes, syntax).unwrap();
            assert_eq!(set.text(tags::TRANSACTION_UID).as_deref(), Some("2.25.7"));
            let failed = set.item(tags::FAILED_SOP_SEQUENCE).unwrap();
            assert_eq!(failed.whole(tags::FAILURE_REASON), Some(0x0119));
            assert_eq!(failed.text(tags::REFERENCED_SOP_INSTANCE_UID).unwrap(), "1.2.2");
            assert_eq!(set.items(tags::REFERENCED_SOP_SEQUENCE).len(), 1);
        }
        report.failed.clear();
        assert_eq!(report.command(5).event_type_id, Some(1));
        let bytes = report.data_set(SYNTAXES[0]).unwrap();
        assert!(
            read(&bytes, SYNTAXES[0])
                .unwrap()
                .get(tags::FAILED_SOP_SEQUENCE)
                .is_none()
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0..2usize) {
            let _ = Request::read(&bytes, SYNTAXES[which]);
        }

        #[test]
        fn damaged_bytes_never_panic(at: usize, to: u8, which in 0..2usize) {
            let mut bytes = encoded("2.25.7", 3, SYNTAXES[which]);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = Request::read(&bytes, SYNTAXES[which]);
        }
    }
}
