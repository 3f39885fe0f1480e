//! A request that is refused: how the peer is told, and how people are.

use models::findings::{Fault, Reason};

use super::UidError;
use super::dimse::Status;

/// A refusal: the status for the peer, the reason for people.
#[derive(Debug)]
pub(super) struct Refused {
    pub status: Status,
    /// Of the service, where its standard defines one (0000,0903).
    pub error_id: Option<u16>,
    pub reason: Reason,
}

impl Refused {
    pub fn new(status: Status, code: &str, fault: Fault, text: impl Into<String>) -> Self {
        Self {
            status,
            error_id: None,
            reason: Reason::new(code, fault, text),
        }
    }

    /// The peer asked for something wrong.
    pub fn peer(status: Status, code: &str, text: impl Into<String>) -> Self {
        Self::new(status, code, Fault::Peer, text)
    }

    pub fn unknown_operation() -> Self {
        Self::peer(
            Status::UNRECOGNIZED_OPERATION,
            "unknown_operation",
            "the service of this presentation context has no such operation",
        )
    }

    pub fn unexpected_data_set() -> Self {
        Self::peer(
            Status::CANNOT_UNDERSTAND,
            "unexpected_data_set",
            "C-ECHO has no data set",
        )
    }

    pub fn no_data_set() -> Self {
        Self::peer(
            Status::CANNOT_UNDERSTAND,
            "no_data_set",
            "C-STORE without a data set",
        )
    }

    pub fn bad_uid(name: &str, error: UidError) -> Self {
        Self::peer(
            Status::INVALID_SOP_INSTANCE,
            "bad_uid",
            format!("the {name} of the command {error}"),
        )
    }

    pub fn sop_class() -> Self {
        let text = "the SOP class is not that of the presentation context";
        Self::peer(Status::SOP_CLASS_NOT_SUPPORTED, "sop_class", text)
    }
}
