//! Which associations and presentation contexts are taken: decisions without input or output.

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason as UserReason,
    AssociationRJSource, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason,
};

use super::admission::{Admission, NotAdmitted, Origin};
use super::dataset::storable;
use super::services::{Service, Services};
use super::{normalized, user_information};
use crate::limits::MAX_PRESENTATION_CONTEXTS;

/// The DICOM application context (PS3.7 Annex A.2.1).
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Sialoscope's Implementation Class UID: a UUID as UID (PS3.5 B.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.217206603663574593685404347756745025200";

/// Implementation Version Name, at most 16 characters.
pub const IMPLEMENTATION_VERSION: &str = concat!("SIALO_", env!("CARGO_PKG_VERSION"));

/// A presentation context that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub id: u8,
    pub service: Service,
    /// We answer requests of the caller.
    pub we_provide: bool,
    /// The caller answers requests of ours: it reports on storage commitment.
    pub we_use: bool,
    pub abstract_syntax: String,
    pub transfer_syntax: String,
}

/// What was agreed with a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub contexts: Vec<Context>,
    /// The longest P-DATA-TF PDU that the caller takes, bytes after the 6-byte header.
    pub peer_pdu_bytes: u32,
}

/// Why an association is rejected, in words for the log; the PDU says it to the peer.
#[derive(Debug)]
pub(super) struct Rejection {
    pub code: &'static str,
    pub text: String,
    pub pdu: AssociationRJ,
}

/// The answer to a request from `origin`.
pub(super) fn answer(
    request: &AssociationRQ,
    origin: &Origin,
    admission: &Admission,
    services: &Services,
) -> Result<(AssociationAC, Agreed), Rejection> {
    // PS3.8 9.3.2: a receiver tests bit 0 only.
    if request.protocol_version & 1 == 0 {
        let reason = AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported;
        return Err(rejected(
            "protocol_version",
            "it speaks another protocol version",
            AssociationRJSource::ServiceProviderASCE(reason),
        ));
    }
    if trimmed(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(refused_by_user(
            "application_context",
            "its application context is not DICOM",
            UserReason::ApplicationContextNameNotSupported,
        ));
    }
    let calling = request.calling_ae_title.as_str();
    admission
        .admit(calling, &request.called_ae_title, origin)
        .map_err(not_admitted)?;
    let identity = services
        .identities
        .judge(request, origin.address)
        .map_err(|text| refused_by_user("user_identity", text, UserReason::NoReasonGiven))?;
    let may = |service| admission.may(calling, origin, service);
    let proposed = &request.presentation_contexts;
    let distinct = |context: &PresentationContextProposed| {
        context.id % 2 == 1 && proposed.iter().filter(|other| other.id == context.id).count() == 1
    };
    if proposed.is_empty() || proposed.len() > MAX_PRESENTATION_CONTEXTS || !proposed.iter().all(distinct) {
        return Err(refused_by_user(
            "presentation_contexts",
            "its presentation contexts are not numbered as the standard says",
            UserReason::NoReasonGiven,
        ));
    }

    let mut taken = Vec::new();
    let results = proposed
        .iter()
        .map(|context| judge(request, context, services, &may, &mut taken))
        .collect();
    let mut user_variables = user_information::answer(request, &taken, services.pdu_bytes);
    user_variables.extend(identity);
    let accept = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables,
    };
    let agreed = Agreed {
        contexts: taken,
        peer_pdu_bytes: user_information::peer_pdu_bytes(request),
    };
    Ok((accept, agreed))
}

/// The rejection of a caller for whom there is no room now.
pub(super) fn busy(code: &'static str, text: &str) -> Rejection {
    let reason = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
    Rejection {
        code,
        text: text.to_owned(),
        pdu: AssociationRJ {
            result: AssociationRJResult::Transient,
            source: AssociationRJSource::ServiceProviderPresentation(reason),
        },
    }
}

fn not_admitted(why: NotAdmitted) -> Rejection {
    let reason = match why {
        NotAdmitted::CalledAeTitle => UserReason::CalledAETitleNotRecognized,
        _ => UserReason::CallingAETitleNotRecognized,
    };
    refused_by_user(why.code(), &why.to_string(), reason)
}

fn judge(
    request: &AssociationRQ,
    proposed: &PresentationContextProposed,
    services: &Services,
    may: &dyn Fn(Service) -> bool,
    taken: &mut Vec<Context>,
) -> PresentationContextResult {
    let abstract_syntax = trimmed(&proposed.abstract_syntax);
    let roles = user_information::proposed_roles(request, abstract_syntax);
    let offered = services.of(abstract_syntax);
    let we_provide = offered.is_some_and(may) && roles.is_none_or(|roles| roles.scu);
    // Some providers report without saying that they are one.
    let we_use = abstract_syntax == uids::STORAGE_COMMITMENT_PUSH_MODEL
        && services.asks_for_commitment
        && may(Service::CommitmentReport)
        && roles.is_none_or(|roles| roles.scp);
    let service = offered.or(we_use.then_some(Service::CommitmentReport));
    let readable = |uid: &&str| match service {
        Some(Service::Commitment | Service::CommitmentReport | Service::PerformedStep) => {
            normalized::syntax(uid).is_some()
        }
        _ => storable(uid).is_some(),
    };
    // The peer lists what it prefers first; bytes are stored as they come, so that is best for both.
    let mut syntaxes = proposed.transfer_syntaxes.iter().map(|uid| trimmed(uid));
    let (reason, transfer_syntax) = match (service, syntaxes.find(readable)) {
        (None, _) => (
            PresentationContextResultReason::AbstractSyntaxNotSupported,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        (Some(_), _) if !we_provide && !we_use => (
            PresentationContextResultReason::UserRejection,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        (Some(_), None) => (
            PresentationContextResultReason::TransferSyntaxesNotSupported,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        (Some(service), Some(syntax)) => {
            taken.push(Context {
                id: proposed.id,
                service,
                we_provide,
                we_use,
                abstract_syntax: abstract_syntax.to_owned(),
                transfer_syntax: syntax.to_owned(),
            });
            (PresentationContextResultReason::Acceptance, syntax)
        }
    };
    PresentationContextResult {
        id: proposed.id,
        reason,
        transfer_syntax: transfer_syntax.to_owned(),
    }
}

pub(super) fn trimmed(uid: &str) -> &str {
    uid.trim_end_matches(['\0', ' '])
}

fn refused_by_user(code: &'static str, text: &str, reason: UserReason) -> Rejection {
    rejected(code, text, AssociationRJSource::ServiceUser(reason))
}

fn rejected(code: &'static str, text: &str, source: AssociationRJSource) -> Rejection {
    Rejection {
        code,
        text: text.to_owned(),
        pdu: AssociationRJ {
            result: AssociationRJResult::Permanent,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use dicom_ul::pdu::{RequestorRoles, UserVariableItem};

    use super::super::admission::{Caller, Callers};
    use super::*;

    fn here() -> Origin {
        Origin::plain(Ipv4Addr::LOCALHOST.into())
    }

    fn open() -> Admission {
        Admission {
            ae_title: "SIALOSCOPE".into(),
            require_called_ae_title: false,
            callers: Callers::Everybody,
        }
    }

    fn request(contexts: &[(u8, &str, &[&str])]) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "MR1".into(),
            called_ae_title: "ANYBODY".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts
                .iter()
                .map(|(id, class, syntaxes)| PresentationContextProposed {
                    id: *id,
                    abstract_syntax: (*class).into(),
                    transfer_syntaxes: syntaxes.iter().map(|s| (*s).into()).collect(),
                })
                .collect(),
            user_variables: vec![],
        }
    }

    #[test]
    fn each_context_is_judged_for_itself() {
        let request = request(&[
            (
                1,
                uids::MR_IMAGE_STORAGE,
                &[
                    "1.2.3.4",
                    uids::JPEG2000_LOSSLESS,
                    uids::IMPLICIT_VR_LITTLE_ENDIAN,
                ],
            ),
            (
                3,
                uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
                &[uids::IMPLICIT_VR_LITTLE_ENDIAN],
            ),
            (5, uids::CT_IMAGE_STORAGE, &["1.2.3.4"]),
            (7, uids::VERIFICATION, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
        ]);
        let (accept, agreed) = answer(&request, &here(), &open(), &Services::default()).unwrap();
        let reasons: Vec<_> = accept
            .presentation_contexts
            .into_iter()
            .map(|c| c.reason as u8)
            .collect();
        assert_eq!(reasons, [0, 3, 4, 0]);
        assert_eq!(
            agreed.contexts[0].transfer_syntax,
            uids::JPEG2000_LOSSLESS,
            "the peer's first that can be stored"
        );
        let taken = agreed.contexts.iter();
        assert_eq!(taken.map(|c| c.id).collect::<Vec<_>>(), [1, 7]);
    }

    /// The answered items besides length, implementation class and version.
    fn answered(items: Vec<UserVariableItem>, services: &Services) -> Vec<UserVariableItem> {
        let mut request = request(&[
            (1, uids::MR_IMAGE_STORAGE, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
            (3, uids::CT_IMAGE_STORAGE, &["1.2.3.4"]),
        ]);
        request.user_variables = items;
        let (accept, _) = answer(&request, &here(), &open(), services).unwrap();
        accept.user_variables[3..].to_vec()
    }

    #[test]
    fn what_is_proposed_is_answered_and_nothing_else() {
        use UserVariableItem::{
            ScuScpRoleSelectionSubItem as Roles, SopClassExtendedNegotiationSubItem as Extended, Unknown,
        };
        let services = Services::default();
        assert_eq!(answered(vec![], &services), []);
        let (mr, ct) = (uids::MR_IMAGE_STORAGE, uids::CT_IMAGE_STORAGE);
        let both = RequestorRoles { scu: true, scp: true };
        let proposed = vec![
            Unknown(0x53, vec![0, 16, 0, 16]),
            Unknown(0x57, vec![0; 8]),
            Extended(mr.into(), vec![3, 0, 0, 0, 2, 0]),
            Extended(ct.into(), vec![3, 0, 0, 0, 2, 0]),
            Roles(mr.into(), both),
            Roles(ct.into(), both),
        ];
        let roles = RequestorRoles {
            scu: true,
            scp: false,
        };
        assert_eq!(
            answered(proposed, &services),
            [
                Unknown(0x53, vec![0, 1, 0, 1]),
                Extended(mr.into(), vec![2, 0, 3, 0, 0, 0]),
                Roles(mr.into(), roles),
            ]
        );
    }

    #[test]
    fn who_wants_to_be_provider_itself_is_rejected_in_that_context() {
        let syntaxes: &[&str] = &[uids::IMPLICIT_VR_LITTLE_ENDIAN];
        let mut request = request(&[
            (1, uids::MR_IMAGE_STORAGE, syntaxes),
            (3, uids::STORAGE_COMMITMENT_PUSH_MODEL, syntaxes),
        ]);
        let roles = RequestorRoles {
            scu: false,
            scp: true,
        };
        let class = uids::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
        request.user_variables = vec![UserVariableItem::ScuScpRoleSelectionSubItem(class, roles)];
        let (accept, agreed) = answer(&request, &here(), &open(), &Services::default()).unwrap();
        let reasons = accept.presentation_contexts.into_iter().map(|c| c.reason);
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                PresentationContextResultReason::Acceptance,
                PresentationContextResultReason::UserRejection
            ]
        );
        assert_eq!(agreed.contexts.len(), 1);
    }

    #[test]
    fn normalized_services_take_only_what_they_can_read() {
        let class = uids::STORAGE_COMMITMENT_PUSH_MODEL;
        let deflated = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
        let request = request(&[
            (1, class, &[deflated, uids::EXPLICIT_VR_LITTLE_ENDIAN]),
            (3, class, &[deflated]),
            (5, uids::MR_IMAGE_STORAGE, &[deflated]),
        ]);
        let (_, agreed) = answer(&request, &here(), &open(), &Services::default()).unwrap();
        let taken = agreed.contexts.iter().map(|c| (c.id, c.transfer_syntax.as_str()));
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken, [(1, uids::EXPLICIT_VR_LITTLE_ENDIAN), (5, deflated)]);
    }

    #[test]
    fn services_that_are_not_permitted_are_rejected_by_the_user() {
        let syntaxes: &[&str] = &[uids::IMPLICIT_VR_LITTLE_ENDIAN];
        let request = request(&[
            (1, uids::VERIFICATION, syntaxes),
            (3, uids::MR_IMAGE_STORAGE, syntaxes),
        ]);
        let mut admission = open();
        admission.callers = Callers::Listed(vec![Caller {
            ae_title: "MR1".into(),
            network: None,
            certificate: None,
            may: vec![Service::Verification],
        }]);
        let (accept, agreed) = answer(&request, &here(), &admission, &Services::default()).unwrap();
        let reasons: Vec<_> = accept
            .presentation_contexts
            .into_iter()
            .map(|c| c.reason as u8)
            .collect();
        assert_eq!(reasons, [0, 1]);
        assert_eq!(agreed.contexts.iter().map(|c| c.id).collect::<Vec<_>>(), [1]);
        admission.callers = Callers::Listed(vec![]);
        assert_eq!(
            answer(&request, &here(), &admission, &Services::default())
                .unwrap_err()
                .code,
            "unknown_caller"
        );
    }

    #[test]
    fn contexts_numbered_against_the_standard_are_rejected() {
        let syntaxes: &[&str] = &[uids::IMPLICIT_VR_LITTLE_ENDIAN];
        for ids in [&[2_u8][..], &[1, 1], &[]] {
            let contexts: Vec<_> = ids.iter().map(|id| (*id, uids::VERIFICATION, syntaxes)).collect();
            assert_eq!(
                answer(&request(&contexts), &here(), &open(), &Services::default())
                    .unwrap_err()
                    .code,
                "presentation_contexts"
            );
        }
    }
}
