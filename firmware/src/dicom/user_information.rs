//! The user information of an association (PS3.7 D.3.3): what we answer to what the caller proposed.

use dicom_ul::pdu::{AssociationRQ, RequestorRoles, UserVariableItem};

use super::negotiate::{Context, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, trimmed};
use super::services::Service;
use crate::limits::MIN_PDU_BYTES;

/// The asynchronous operations window sub-item (PS3.7 D.3.3.3), which dicom-ul does not know.
const ASYNCHRONOUS_OPERATIONS: u8 = 0x53;

/// One operation at a time in each direction. Who asked for more may go on to send ahead: what comes is
/// answered in its order.
const ONE_AT_A_TIME: [u8; 4] = [0, 1, 0, 1];

/// What we are as provider of storage (PS3.4 B.3.1): level 2, every element is kept; digital signatures
/// level 3, the bytes stay as they come; no coercion. Odd bytes are reserved.
const STORAGE_AS_IT_COMES: [u8; 6] = [2, 0, 3, 0, 0, 0];

/// The roles that the caller wants for itself; none where it says nothing (PS3.7 D.3.3.4): then it is user,
/// and we are provider.
pub(super) fn proposed_roles(request: &AssociationRQ, class: &str) -> Option<RequestorRoles> {
    request.user_variables.iter().find_map(|item| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(of, roles) if trimmed(of) == class => Some(*roles),
        _ => None,
    })
}

/// The longest P-DATA-TF PDU that the caller takes, bytes after the 6-byte header.
pub(super) fn peer_pdu_bytes(request: &AssociationRQ) -> u32 {
    let said = request.user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    match said {
        // 0 means no limit (PS3.8 D.1).
        None | Some(0) => u32::MAX,
        Some(length) => length.max(MIN_PDU_BYTES),
    }
}

/// The answer. What was not proposed is not answered; of what is proposed twice, the first counts.
pub(super) fn answer(request: &AssociationRQ, taken: &[Context], pdu_bytes: u32) -> Vec<UserVariableItem> {
    let mut items = vec![
        UserVariableItem::MaxLength(pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
    ];
    let context_of = |class: &str| {
        let mut all = taken.iter();
        all.find(|context| context.abstract_syntax == trimmed(class))
    };
    for proposed in &request.user_variables {
        let answer = match proposed {
            UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, _) => {
                UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, ONE_AT_A_TIME.to_vec())
            }
            UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) => {
                let Some(context) = context_of(class) else {
                    continue;
                };
                let roles = RequestorRoles {
                    scu: roles.scu && context.we_provide,
                    scp: roles.scp && context.we_use,
                };
                UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), roles)
            }
            UserVariableItem::SopClassExtendedNegotiationSubItem(class, _)
                if context_of(class).is_some_and(|context| context.service == Service::Storage) =>
            {
                let information = STORAGE_AS_IT_COMES.to_vec();
                UserVariableItem::SopClassExtendedNegotiationSubItem(class.clone(), information)
            }
            _ => continue,
        };
        if !items.contains(&answer) {
            items.push(answer);
        }
    }
    items
}
