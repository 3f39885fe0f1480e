//! Commands and data sets within an association: right, damaged, in pieces and out of order.
#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use dicom_dictionary_std::uids;
use firmware::dicom::dimse::{
    C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, N_ACTION_RQ, N_CREATE_RQ, N_EVENT_REPORT_RQ, N_SET_RQ,
    RESPONSE,
};
use fuzz::{Receiver, associate, data, pdu};
use libfuzzer_sys::fuzz_target;

/// Bits of a message control header.
const COMMAND: u8 = 1;
const LAST: u8 = 2;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A request whose fields are what they like.
    Request { context: u8, request: Fields },
    /// A command set of any bytes.
    Command { context: u8, bytes: Vec<u8>, last: bool },
    /// A C-STORE of an image, some of its bytes changed, cut somewhere, in pieces of some size.
    Image {
        context: u8,
        sop: u8,
        edits: Vec<(u16, u8)>,
        cut: Option<u16>,
        piece: u16,
    },
    /// A part of a data set.
    Data { context: u8, bytes: Vec<u8>, last: bool },
    /// A PDU of any type.
    Other { kind: u8, bytes: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
struct Fields {
    field: Field,
    message_id: Option<u16>,
    responded_to: Option<u16>,
    priority: Option<u16>,
    data_set_follows: bool,
    status: Option<u16>,
    class: Option<Text>,
    instance: Option<Text>,
    requested_class: Option<Text>,
    requested_instance: Option<Text>,
    action_type: Option<u16>,
}

#[derive(Arbitrary, Debug)]
enum Field {
    Store,
    Echo,
    Action,
    Create,
    Set,
    ReportResponse,
    Cancel,
    Any(u16),
}

#[derive(Arbitrary, Debug)]
enum Text {
    Mr,
    Verification,
    Commitment,
    TheCommitment,
    PerformedStep,
    Uid(u8),
    Any(String),
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Mr => uids::MR_IMAGE_STORAGE.to_owned(),
            Self::Verification => uids::VERIFICATION.to_owned(),
            Self::Commitment => uids::STORAGE_COMMITMENT_PUSH_MODEL.to_owned(),
            Self::TheCommitment => uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE.to_owned(),
            Self::PerformedStep => uids::MODALITY_PERFORMED_PROCEDURE_STEP.to_owned(),
            Self::Uid(number) => format!("1.2.{number}"),
            Self::Any(text) => text.clone(),
        }
    }
}

impl Fields {
    fn command(&self) -> Command {
        let field = match self.field {
            Field::Store => C_STORE_RQ,
            Field::Echo => C_ECHO_RQ,
            Field::Action => N_ACTION_RQ,
            Field::Create => N_CREATE_RQ,
            Field::Set => N_SET_RQ,
            Field::ReportResponse => N_EVENT_REPORT_RQ | RESPONSE,
            Field::Cancel => C_CANCEL_RQ,
            Field::Any(field) => field,
        };
        Command {
            field,
            message_id: self.message_id,
            message_id_responded_to: self.responded_to,
            priority: self.priority,
            data_set_follows: self.data_set_follows,
            status: self.status,
            affected_sop_class_uid: self.class.as_ref().map(Text::text),
            affected_sop_instance_uid: self.instance.as_ref().map(Text::text),
            requested_sop_class_uid: self.requested_class.as_ref().map(Text::text),
            requested_sop_instance_uid: self.requested_instance.as_ref().map(Text::text),
            action_type_id: self.action_type,
            ..Command::default()
        }
    }
}

/// An image with a sequence and encapsulated pixels in Explicit VR Little Endian.
fn image(sop: u8) -> Vec<u8> {
    let short = |group: u16, number: u16, vr: &[u8; 2], value: &str| {
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        let length = (value.len() as u16).to_le_bytes();
        [
            &group.to_le_bytes()[..],
            &number.to_le_bytes(),
            vr,
            &length,
            &value,
        ]
        .concat()
    };
    let long = |group: u16, number: u16, vr: &[u8; 2], length: u32| {
        [
            &group.to_le_bytes()[..],
            &number.to_le_bytes(),
            vr,
            &[0, 0],
            &length.to_le_bytes(),
        ]
        .concat()
    };
    let item = |number: u16, length: u32| {
        [
            &0xFFFE_u16.to_le_bytes()[..],
            &number.to_le_bytes(),
            &length.to_le_bytes(),
        ]
        .concat()
    };
    [
        short(8, 0x16, b"UI", uids::MR_IMAGE_STORAGE),
        short(8, 0x18, b"UI", &format!("1.2.{sop}")),
        long(8, 0x1140, b"SQ", u32::MAX),
        item(0xE000, u32::MAX),
        short(8, 0x1155, b"UI", "1.2.9"),
        item(0xE00D, 0),
        item(0xE0DD, 0),
        short(0x20, 0xD, b"UI", "1.2"),
        short(0x20, 0xE, b"UI", "1.2.1"),
        long(0x7FE0, 0x10, b"OB", u32::MAX),
        item(0xE000, 0),
        item(0xE000, 4),
        vec![sop; 4],
        item(0xE0DD, 0),
    ]
    .concat()
}

fn said(step: &Step) -> Vec<u8> {
    let flag = |set: bool| if set { LAST } else { 0 };
    match step {
        Step::Request { context, request } => data(*context, COMMAND | LAST, &request.command().encode()),
        Step::Command { context, bytes, last } => data(*context, COMMAND | flag(*last), bytes),
        Step::Data { context, bytes, last } => data(*context, flag(*last), bytes),
        Step::Other { kind, bytes } => pdu(*kind, bytes),
        Step::Image {
            context,
            sop,
            edits,
            cut,
            piece,
        } => {
            let request = Command::store_request(1, uids::MR_IMAGE_STORAGE, &format!("1.2.{sop}"));
            let mut bytes = image(*sop);
            for (at, to) in edits {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *to;
            }
            bytes.truncate(cut.map_or(usize::MAX, usize::from));
            let mut all = data(*context, COMMAND | LAST, &request.encode());
            for part in bytes.chunks(usize::from(*piece).max(16)) {
                all.extend(data(*context, 0, part));
            }
            all.extend(data(*context, LAST, &[]));
            all
        }
    }
}

thread_local! {
    static RECEIVER: RefCell<Receiver> = RefCell::default();
}

fuzz_target!(|steps: Vec<Step>| {
    let all: Vec<u8> = std::iter::once(associate())
        .chain(steps.iter().map(said))
        .flatten()
        .collect();
    RECEIVER.with_borrow_mut(|receiver| receiver.hear(&all));
});
