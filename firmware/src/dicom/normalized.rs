//! What the normalized services (DIMSE-N) share: their data sets are small, and read in memory.
//!
//! They are read by the parser of `models`, which copies nothing, takes no memory by a length that the
//! bytes state, and limits how deep sequences nest.

use dicom_core::Tag;
use dicom_dictionary_std::uids;
use models::mr::{Broken, DataSet, Syntax};

use super::Uid;
use super::dimse::{Command, Status};
use super::refused::Refused;
use crate::limits::MAX_MESSAGE_BYTES;

/// How a data set of a normalized service is written. Compressed ones are not taken.
pub(super) fn syntax(transfer_syntax: &str) -> Option<Syntax> {
    match transfer_syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Some(Syntax::IMPLICIT),
        uids::EXPLICIT_VR_LITTLE_ENDIAN => Some(Syntax::EXPLICIT),
        _ => None,
    }
}

/// Finds the elements of a data set.
pub(super) fn read<'b>(bytes: &'b [u8], transfer_syntax: &str) -> Result<DataSet<'b>, Refused> {
    let syntax = syntax(transfer_syntax).ok_or_else(|| {
        let text = "the transfer syntax is not one of this service";
        Refused::peer(Status::PROCESSING_FAILURE, "transfer_syntax", text)
    })?;
    DataSet::parse(bytes, syntax).map_err(|broken| match broken {
        Broken::TooLarge => too_much("elements or nested sequences in the data set"),
        Broken::Truncated => malformed("the data set is truncated"),
        _ => malformed("the data set is not DICOM"),
    })
}

/// Adds to a data set in memory.
pub(super) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Refused> {
    if to.len() + bytes.len() > MAX_MESSAGE_BYTES {
        return Err(too_much("bytes in the data set"));
    }
    to.extend_from_slice(bytes);
    Ok(())
}

/// A UID in a data set that must be there and be one.
pub(super) fn uid(set: &DataSet<'_>, tag: Tag, name: &str, otherwise: Status) -> Result<Uid, Refused> {
    Uid::parse(&set.text(tag).unwrap_or_default()).map_err(|error| {
        Refused::peer(
            otherwise,
            "bad_uid",
            format!("the {name} in the data set {error}"),
        )
    })
}

/// Checks whom a request is about.
pub(super) fn about(request: &Command, class: &str) -> Result<Uid, Refused> {
    if request.sop_class() != Some(class) {
        let text = "the SOP class is not that of the presentation context";
        return Err(Refused::peer(Status::NO_SUCH_SOP_CLASS, "sop_class", text));
    }
    Uid::parse(request.sop_instance().unwrap_or_default())
        .map_err(|error| Refused::bad_uid("SOP Instance UID", error))
}

/// More than our limits allow.
pub(super) fn too_much(what: &str) -> Refused {
    let text = format!("more {what} than we take");
    Refused::peer(Status::RESOURCE_LIMITATION, "too_much", text)
}

fn malformed(text: &str) -> Refused {
    Refused::peer(Status::PROCESSING_FAILURE, "malformed", text)
}
