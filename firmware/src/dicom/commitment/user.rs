//! As user: whether another system keeps what we sent to it.

use std::time::Duration;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use models::findings::{Fault, Reason};

use super::{CLASS, INSTANCE, REQUEST, Reference, references, to_the_instance};
use crate::dicom::Uid;
use crate::dicom::dimse::{Command, N_EVENT_REPORT_RQ, Status};
use crate::dicom::normalized::{read, too_much, uid};
use crate::dicom::refused::Refused;
use crate::dicom::user::{Response, User, peer};
use crate::limits::MAX_REFERENCES;

/// What a provider says about a request of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Which request.
    pub transaction: Uid,
    /// The instances that it keeps.
    pub kept: Vec<Uid>,
    /// Those that it does not, each with its Failure Reason (0008,1197).
    pub failed: Vec<(Uid, u16)>,
}

/// The presentation context of a request, to be proposed.
pub(crate) fn proposed() -> (String, String) {
    (CLASS.to_owned(), uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned())
}

/// The identifier of that context, where the peer offers the service.
pub(crate) fn context(user: &User) -> Option<u8> {
    user.accepted(|context| context.abstract_syntax == CLASS)
}

/// Asks whether instances are kept, and waits a moment for the answer. It may as well come later, on another
/// association; then there is none.
///
/// # Errors
/// The outer error ends the association, the inner one says that the peer does not take the request.
pub(crate) fn ask(
    user: &mut User,
    context: u8,
    transaction: &Uid,
    instances: &[Reference],
    moment: Duration,
) -> Result<Result<Option<Committed>, Reason>, Reason> {
    let request = Command::action_request(user.next_message(), CLASS, INSTANCE, REQUEST);
    user.command(context, &request)?;
    user.data(context, &mut &data_set(transaction, instances)?[..])?;
    let Response { status, comment } = user.response(&request)?;
    if status != Status::SUCCESS {
        let comment = comment.map(|comment| format!(": {comment}")).unwrap_or_default();
        let text = format!("storage commitment was refused with {status}{comment}");
        return Ok(Err(peer("commitment_refused", text)));
    }
    user.wait_at_most(moment)?;
    // Nobody owes us the report on this association.
    let Ok(message) = user.message() else {
        return Ok(Ok(None));
    };
    let command = &message.command;
    if command.field != N_EVENT_REPORT_RQ {
        return Err(peer(
            "protocol_violation",
            "the peer sent something else than a report",
        ));
    }
    let committed = to_the_instance(command)
        .and_then(|()| Committed::read(&message.data_set, uids::IMPLICIT_VR_LITTLE_ENDIAN));
    let status = committed
        .as_ref()
        .map_or_else(|refused| refused.status, |_| Status::SUCCESS);
    let response = Command {
        affected_sop_class_uid: Some(CLASS.to_owned()),
        affected_sop_instance_uid: Some(INSTANCE.to_owned()),
        ..command.response(status, None)
    };
    user.command(message.context, &response)?;
    Ok(committed.map(Some).map_err(|refused| refused.reason))
}

fn data_set(transaction: &Uid, instances: &[Reference]) -> Result<Vec<u8>, Reason> {
    let items: Vec<_> = instances.iter().map(Reference::item).collect();
    let set = InMemDicomObject::from_element_iter([
        DataElement::new(tags::TRANSACTION_UID, VR::UI, transaction.as_str()),
        DataElement::new(
            tags::REFERENCED_SOP_SEQUENCE,
            VR::SQ,
            DataSetSequence::new(items, Length::UNDEFINED),
        ),
    ]);
    let mut bytes = Vec::new();
    set.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
        .map_err(|error| {
            let text = format!("a request cannot be written: {error}");
            Reason::new("internal", Fault::Us, text)
        })?;
    Ok(bytes)
}

impl Committed {
    /// From the data set of an N-EVENT-REPORT. What it lists decides, not its event type: some providers
    /// report "failures exist" with none.
    pub(in crate::dicom) fn read(data_set: &[u8], transfer_syntax: &str) -> Result<Self, Refused> {
        let wrong = Status::INVALID_ARGUMENT_VALUE;
        let set = read(data_set, transfer_syntax)?;
        let transaction = uid(&set, tags::TRANSACTION_UID, "Transaction UID", wrong)?;
        let kept = set.items(tags::REFERENCED_SOP_SEQUENCE);
        let failed = set.items(tags::FAILED_SOP_SEQUENCE);
        if kept.len() + failed.len() > MAX_REFERENCES {
            return Err(too_much("instances in one report"));
        }
        let kept = references(kept)?.into_iter().map(|reference| reference.instance);
        let reasons = failed.iter().map(|item| {
            let reason = item.whole(tags::FAILURE_REASON);
            reason.and_then(|reason| u16::try_from(reason).ok()).unwrap_or(0)
        });
        let failed = references(failed)?
            .into_iter()
            .map(|reference| reference.instance);
        Ok(Self {
            transaction,
            kept: kept.collect(),
            failed: failed.zip(reasons).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn report(kept: &[&str], failed: &[(&str, u16)]) -> Vec<u8> {
        let reference = |instance: &str| Reference {
            class: parse(uids::COMPREHENSIVE3_DSR_STORAGE),
            instance: parse(instance),
        };
        let kept = kept
            .iter()
            .map(|instance| reference(instance).item())
            .collect::<Vec<_>>();
        let failed = failed.iter().map(|(instance, reason)| {
            let mut item = reference(instance).item();
            let reason = dicom_core::PrimitiveValue::from(*reason);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, reason));
            item
        });
        let sequence = |items: Vec<_>| DataSetSequence::new(items, Length::UNDEFINED);
        let set = InMemDicomObject::from_element_iter([
            DataElement::new(tags::TRANSACTION_UID, VR::UI, "2.25.7"),
            DataElement::new(tags::FAILED_SOP_SEQUENCE, VR::SQ, sequence(failed.collect())),
            DataElement::new(tags::REFERENCED_SOP_SEQUENCE, VR::SQ, sequence(kept)),
        ]);
        let mut bytes = Vec::new();
        set.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
            .unwrap();
        bytes
    }

    #[test]
    fn a_report_says_what_is_kept_and_what_is_not() {
        let read = Committed::read(
            &report(&["1.2.1", "1.2.2"], &[("1.2.3", 0x0112)]),
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        )
        .unwrap();
        assert_eq!(read.transaction, parse("2.25.7"));
        assert_eq!(read.kept, [parse("1.2.1"), parse("1.2.2")]);
        assert_eq!(read.failed, [(parse("1.2.3"), 0x0112)]);
    }

    proptest! {
        #[test]
        fn damaged_reports_never_panic(at: usize, to: u8) {
            let mut bytes = report(&["1.2.1"], &[("1.2.3", 0x0112)]);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = Committed::read(&bytes, uids::IMPLICIT_VR_LITTLE_ENDIAN);
        }
    }
}
