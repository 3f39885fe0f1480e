//! DIMSE command sets (PS3.7): flat, Implicit VR Little Endian, group 0000 only.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::limits::MAX_ERROR_COMMENT_CHARS;

/// C-STORE-RQ (PS3.7 E.1).
pub const C_STORE_RQ: u16 = 0x0001;
/// C-ECHO-RQ.
pub const C_ECHO_RQ: u16 = 0x0030;
/// N-EVENT-REPORT-RQ, the one request that we send to whoever called.
pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
/// N-SET-RQ.
pub const N_SET_RQ: u16 = 0x0120;
/// N-ACTION-RQ.
pub const N_ACTION_RQ: u16 = 0x0130;
/// N-CREATE-RQ.
pub const N_CREATE_RQ: u16 = 0x0140;
/// C-CANCEL-RQ, the one request without a response.
pub const C_CANCEL_RQ: u16 = 0x0FFF;
/// Set in the Command Field of every response.
pub const RESPONSE: u16 = 0x8000;
/// The Command Data Set Type that means: no data set follows.
const NO_DATA_SET: u16 = 0x0101;

/// Status of a response (PS3.7 Annex C; PS3.4 B.2.3 for storage, F.7.2 for performed procedure steps).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Done, and durable.
    pub const SUCCESS: Self = Self(0x0000);
    /// A value that the standard does not allow there.
    pub const INVALID_ATTRIBUTE_VALUE: Self = Self(0x0106);
    /// We failed, or the object may no longer be changed.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// Different content under a known SOP Instance UID, once too often; or a second N-CREATE.
    pub const DUPLICATE_SOP_INSTANCE: Self = Self(0x0111);
    /// No object is known by this SOP Instance UID.
    pub const NO_SUCH_SOP_INSTANCE: Self = Self(0x0112);
    /// What the action is to be done with makes no sense.
    pub const INVALID_ARGUMENT_VALUE: Self = Self(0x0115);
    /// The SOP Instance UID breaks the rules of UIDs.
    pub const INVALID_SOP_INSTANCE: Self = Self(0x0117);
    /// The SOP class is not one of this presentation context.
    pub const NO_SUCH_SOP_CLASS: Self = Self(0x0118);
    /// A value that the standard demands is not there.
    pub const MISSING_ATTRIBUTE: Self = Self(0x0120);
    /// The SOP class does not belong to the presentation context.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// The SOP class has no such action.
    pub const NO_SUCH_ACTION: Self = Self(0x0123);
    /// A command that we do not know.
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// More than our limits allow.
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);
    /// The disk is full.
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// The data set contradicts the command.
    pub const DATA_SET_MISMATCH: Self = Self(0xA900);
    /// The data set cannot be read.
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);

    /// Success, or a warning with which the instance was stored nevertheless.
    pub fn is_stored(self) -> bool {
        self.0 == 0 || self.0 & 0xF000 == 0xB000
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Status({self})")
    }
}

/// A command set: the elements that the services here use, as they came, UIDs not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// (0000,0002).
    pub affected_sop_class_uid: Option<String>,
    /// (0000,0003).
    pub requested_sop_class_uid: Option<String>,
    /// (0000,0100).
    pub field: u16,
    /// (0000,0110).
    pub message_id: Option<u16>,
    /// (0000,0120).
    pub message_id_responded_to: Option<u16>,
    /// (0000,0700), 0 for medium.
    pub priority: Option<u16>,
    /// Whether a data set follows (0000,0800).
    pub data_set_follows: bool,
    /// (0000,0900).
    pub status: Option<u16>,
    /// (0000,0902).
    pub error_comment: Option<String>,
    /// (0000,0903).
    pub error_id: Option<u16>,
    /// (0000,1000).
    pub affected_sop_instance_uid: Option<String>,
    /// (0000,1001).
    pub requested_sop_instance_uid: Option<String>,
    /// (0000,1002).
    pub event_type_id: Option<u16>,
    /// (0000,1008).
    pub action_type_id: Option<u16>,
}

/// Why bytes are no command set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An element reaches beyond the end.
    #[error("the command set ends inside an element")]
    Truncated,
    /// An element outside group 0000.
    #[error("the command set holds an element of another group")]
    ForeignElement,
    /// A number of the wrong size.
    #[error("a number in the command set has the wrong length")]
    NotANumber,
    /// No Command Field.
    #[error("the command set has no command field")]
    NoCommandField,
}

impl Command {
    /// What class it is about. C-STORE and N-CREATE say "affected" where the others say "requested".
    pub fn sop_class(&self) -> Option<&str> {
        let requested = self.requested_sop_class_uid.as_deref();
        self.affected_sop_class_uid.as_deref().or(requested)
    }

    /// What instance it is about; the same.
    pub fn sop_instance(&self) -> Option<&str> {
        let requested = self.requested_sop_instance_uid.as_deref();
        self.affected_sop_instance_uid.as_deref().or(requested)
    }

    /// C-ECHO-RQ.
    pub fn echo_request(message_id: u16, sop_class: &str) -> Self {
        Self {
            affected_sop_class_uid: Some(sop_class.to_owned()),
            field: C_ECHO_RQ,
            message_id: Some(message_id),
            ..Self::default()
        }
    }

    /// C-STORE-RQ with medium priority.
    pub fn store_request(message_id: u16, sop_class: &str, sop_instance: &str) -> Self {
        Self {
            affected_sop_class_uid: Some(sop_class.to_owned()),
            field: C_STORE_RQ,
            message_id: Some(message_id),
            priority: Some(0),
            data_set_follows: true,
            affected_sop_instance_uid: Some(sop_instance.to_owned()),
            ..Self::default()
        }
    }

    /// N-ACTION-RQ.
    pub fn action_request(message_id: u16, sop_class: &str, sop_instance: &str, action_type_id: u16) -> Self {
        Self {
            requested_sop_class_uid: Some(sop_class.to_owned()),
            field: N_ACTION_RQ,
            message_id: Some(message_id),
            data_set_follows: true,
            requested_sop_instance_uid: Some(sop_instance.to_owned()),
            action_type_id: Some(action_type_id),
            ..Self::default()
        }
    }

    /// N-EVENT-REPORT-RQ.
    pub fn event_report(message_id: u16, sop_class: &str, sop_instance: &str, event_type_id: u16) -> Self {
        Self {
            affected_sop_class_uid: Some(sop_class.to_owned()),
            field: N_EVENT_REPORT_RQ,
            message_id: Some(message_id),
            data_set_follows: true,
            affected_sop_instance_uid: Some(sop_instance.to_owned()),
            event_type_id: Some(event_type_id),
            ..Self::default()
        }
    }

    /// The response to this request. UIDs are repeated by the caller where they are fit to be repeated.
    pub fn response(&self, status: Status, comment: Option<&str>) -> Self {
        Self {
            field: self.field | RESPONSE,
            message_id_responded_to: Some(self.message_id.unwrap_or(0)),
            status: Some(status.0),
            error_comment: comment.map(error_comment),
            event_type_id: self.event_type_id,
            action_type_id: self.action_type_id,
            ..Self::default()
        }
    }

    /// From Implicit VR Little Endian. Elements that we do not use are skipped.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, CommandError> {
        let mut command = Self::default();
        let mut field = None;
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_first_chunk::<8>().ok_or(CommandError::Truncated)?;
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *header;
            let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
            let length = u32::from_le_bytes([l0, l1, l2, l3]);
            if tag.group() != 0 {
                return Err(CommandError::ForeignElement);
            }
            let (value, rest) = usize::try_from(length)
                .ok()
                .and_then(|n| rest.split_at_checked(n))
                .ok_or(CommandError::Truncated)?;
            bytes = rest;
            match tag {
                tags::AFFECTED_SOP_CLASS_UID => command.affected_sop_class_uid = Some(text(value)),
                tags::REQUESTED_SOP_CLASS_UID => command.requested_sop_class_uid = Some(text(value)),
                tags::COMMAND_FIELD => field = Some(number(value)?),
                tags::MESSAGE_ID => command.message_id = Some(number(value)?),
                tags::MESSAGE_ID_BEING_RESPONDED_TO => command.message_id_responded_to = Some(number(value)?),
                tags::PRIORITY => command.priority = Some(number(value)?),
                tags::COMMAND_DATA_SET_TYPE => command.data_set_follows = number(value)? != NO_DATA_SET,
                tags::STATUS => command.status = Some(number(value)?),
                tags::ERROR_COMMENT => command.error_comment = Some(text(value)),
                tags::ERROR_ID => command.error_id = Some(number(value)?),
                tags::AFFECTED_SOP_INSTANCE_UID => command.affected_sop_instance_uid = Some(text(value)),
                tags::REQUESTED_SOP_INSTANCE_UID => command.requested_sop_instance_uid = Some(text(value)),
                tags::EVENT_TYPE_ID => command.event_type_id = Some(number(value)?),
                tags::ACTION_TYPE_ID => command.action_type_id = Some(number(value)?),
                _ => {}
            }
        }
        command.field = field.ok_or(CommandError::NoCommandField)?;
        Ok(command)
    }

    /// Implicit VR Little Endian, elements in ascending order, with the group length.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        let data_set_type = if self.data_set_follows {
            0x0000
        } else {
            NO_DATA_SET
        };
        let out = &mut body;
        put_uid(
            out,
            tags::AFFECTED_SOP_CLASS_UID,
            self.affected_sop_class_uid.as_deref(),
        );
        put_uid(
            out,
            tags::REQUESTED_SOP_CLASS_UID,
            self.requested_sop_class_uid.as_deref(),
        );
        put_number(out, tags::COMMAND_FIELD, Some(self.field));
        put_number(out, tags::MESSAGE_ID, self.message_id);
        put_number(
            out,
            tags::MESSAGE_ID_BEING_RESPONDED_TO,
            self.message_id_responded_to,
        );
        put_number(out, tags::PRIORITY, self.priority);
        put_number(out, tags::COMMAND_DATA_SET_TYPE, Some(data_set_type));
        put_number(out, tags::STATUS, self.status);
        put_text(out, tags::ERROR_COMMENT, self.error_comment.as_deref(), b' ');
        put_number(out, tags::ERROR_ID, self.error_id);
        put_uid(
            out,
            tags::AFFECTED_SOP_INSTANCE_UID,
            self.affected_sop_instance_uid.as_deref(),
        );
        put_uid(
            out,
            tags::REQUESTED_SOP_INSTANCE_UID,
            self.requested_sop_instance_uid.as_deref(),
        );
        put_number(out, tags::EVENT_TYPE_ID, self.event_type_id);
        put_number(out, tags::ACTION_TYPE_ID, self.action_type_id);

        let mut bytes = Vec::with_capacity(12 + body.len());
        put(
            &mut bytes,
            tags::COMMAND_GROUP_LENGTH,
            &(body.len() as u32).to_le_bytes(),
        );
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// Fits a sentence into an LO: ASCII, no backslash, 64 characters.
fn error_comment(sentence: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != '\\' { c } else { ' ' };
    let fitting: String = sentence
        .chars()
        .map(plain)
        .take(MAX_ERROR_COMMENT_CHARS)
        .collect();
    fitting.trim_end().to_owned()
}

fn number(value: &[u8]) -> Result<u16, CommandError> {
    value
        .try_into()
        .map(u16::from_le_bytes)
        .map_err(|_| CommandError::NotANumber)
}

/// Foreign characters stay visible as such: whoever checks the text must be able to refuse it.
fn text(value: &[u8]) -> String {
    let padding = usize::from(matches!(value.last(), Some(0 | b' ')));
    String::from_utf8_lossy(&value[..value.len() - padding]).into_owned()
}

fn put_number(out: &mut Vec<u8>, tag: Tag, value: Option<u16>) {
    if let Some(value) = value {
        put(out, tag, &value.to_le_bytes());
    }
}

fn put_uid(out: &mut Vec<u8>, tag: Tag, value: Option<&str>) {
    put_text(out, tag, value, 0);
}

fn put_text(out: &mut Vec<u8>, tag: Tag, value: Option<&str>, padding: u8) {
    if let Some(value) = value {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(padding);
        }
        put(out, tag, &bytes);
    }
}

fn put(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    out.extend_from_slice(&tag.group().to_le_bytes());
    out.extend_from_slice(&tag.element().to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_survives_the_wire() {
        let request = Command::store_request(7, "1.2.840.10008.5.1.4.1.1.4", "1.2.3");
        assert_eq!(Command::decode(&request.encode()), Ok(request.clone()));
        let response = request.response(Status::OUT_OF_RESOURCES, Some("no\\space\u{e9}"));
        let back = Command::decode(&response.encode()).unwrap();
        assert_eq!(back.field, C_STORE_RQ | RESPONSE);
        assert_eq!(back.message_id_responded_to, Some(7));
        assert_eq!(back.status, Some(0xA700));
        assert_eq!(back.error_comment.as_deref(), Some("no space"));
        assert!(!back.data_set_follows);
    }

    #[test]
    fn the_elements_of_normalised_services_survive_the_wire() {
        let action = Command {
            requested_sop_class_uid: Some("1.2.840.10008.1.20.1".into()),
            requested_sop_instance_uid: Some("1.2.840.10008.1.20.1.1".into()),
            field: N_ACTION_RQ,
            message_id: Some(9),
            data_set_follows: true,
            action_type_id: Some(1),
            error_id: Some(0xA710),
            ..Command::default()
        };
        assert_eq!(Command::decode(&action.encode()), Ok(action.clone()));
        assert_eq!(action.response(Status::SUCCESS, None).action_type_id, Some(1));
        let report = Command::event_report(3, "1.2", "1.2.1", 2);
        let bytes = report.encode();
        assert_eq!(Command::decode(&bytes), Ok(report));
        let tags: Vec<_> = elements(&bytes);
        assert!(tags.is_sorted(), "{tags:x?}");
        assert_eq!(tags.len(), 7);
    }

    /// The element numbers in the order of their bytes.
    fn elements(mut bytes: &[u8]) -> Vec<u16> {
        let mut found = Vec::new();
        while let [_, _, low, high, a, b, _, _, rest @ ..] = bytes {
            found.push(u16::from_le_bytes([*low, *high]));
            bytes = &rest[usize::from(u16::from_le_bytes([*a, *b]))..];
        }
        found
    }

    #[test]
    fn the_group_length_counts_what_follows_it() {
        let bytes = Command::echo_request(1, "1.2.840.10008.1.1").encode();
        assert_eq!(
            u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize,
            bytes.len() - 12
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Command::decode(&bytes);
        }
    }
}
