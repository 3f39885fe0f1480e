//! Which associations and presentation contexts are taken: decisions without input or output.

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason as UserReason,
    AssociationRJSource, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, UserVariableItem,
};

use super::admission::{Admission, NotAdmitted, Origin, Service};
use super::dataset::storable;
use crate::limits::{MAX_PDU_BYTES, MAX_PRESENTATION_CONTEXTS};

/// The DICOM application context (PS3.7 Annex A.2.1).
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Standard storage SOP classes have this root (PS3.4 B.5), the ones still to come too.
const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";

/// Sialoscope's Implementation Class UID: a UUID as UID (PS3.5 B.2).
pub(crate) const IMPLEMENTATION_CLASS_UID: &str = "2.25.217206603663574593685404347756745025200";

/// Implementation Version Name, at most 16 characters.
pub(crate) const IMPLEMENTATION_VERSION: &str = concat!("SIALO_", env!("CARGO_PKG_VERSION"));

/// A presentation context that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub id: u8,
    pub abstract_syntax: String,
    pub transfer_syntax: String,
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
) -> Result<(AssociationAC, Vec<Context>), Rejection> {
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
        .map(|context| judge(context, &may, &mut taken))
        .collect();
    let accept = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: vec![
            UserVariableItem::MaxLength(MAX_PDU_BYTES),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
            UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
        ],
    };
    Ok((accept, taken))
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
    proposed: &PresentationContextProposed,
    may: &dyn Fn(Service) -> bool,
    taken: &mut Vec<Context>,
) -> PresentationContextResult {
    let abstract_syntax = trimmed(&proposed.abstract_syntax);
    let known = abstract_syntax == uids::VERIFICATION || abstract_syntax.starts_with(STORAGE_ROOT);
    // The peer lists what it prefers first; bytes are stored as they come, so that is best for both.
    let syntax = proposed
        .transfer_syntaxes
        .iter()
        .map(|uid| trimmed(uid))
        .find(|uid| storable(uid).is_some());
    let (reason, transfer_syntax) = match syntax {
        _ if !known => (
            PresentationContextResultReason::AbstractSyntaxNotSupported,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        _ if !may(Service::of(abstract_syntax)) => (
            PresentationContextResultReason::UserRejection,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        None => (
            PresentationContextResultReason::TransferSyntaxesNotSupported,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ),
        Some(syntax) => {
            taken.push(Context {
                id: proposed.id,
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

fn trimmed(uid: &str) -> &str {
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
        let (accept, taken) = answer(&request, &here(), &open()).unwrap();
        let reasons: Vec<_> = accept
            .presentation_contexts
            .into_iter()
            .map(|c| c.reason as u8)
            .collect();
        assert_eq!(reasons, [0, 3, 4, 0]);
        assert_eq!(
            taken[0].transfer_syntax,
            uids::JPEG2000_LOSSLESS,
            "the peer's first that can be stored"
        );
        assert_eq!(taken.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 7]);
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
            may: vec![Service::Echo],
        }]);
        let (accept, taken) = answer(&request, &here(), &admission).unwrap();
        let reasons: Vec<_> = accept
            .presentation_contexts
            .into_iter()
            .map(|c| c.reason as u8)
            .collect();
        assert_eq!(reasons, [0, 1]);
        assert_eq!(taken.iter().map(|c| c.id).collect::<Vec<_>>(), [1]);
        admission.callers = Callers::Listed(vec![]);
        assert_eq!(
            answer(&request, &here(), &admission).unwrap_err().code,
            "unknown_caller"
        );
    }

    #[test]
    fn contexts_numbered_against_the_standard_are_rejected() {
        let syntaxes: &[&str] = &[uids::IMPLICIT_VR_LITTLE_ENDIAN];
        for ids in [&[2_u8][..], &[1, 1], &[]] {
            let contexts: Vec<_> = ids.iter().map(|id| (*id, uids::VERIFICATION, syntaxes)).collect();
            assert_eq!(
                answer(&request(&contexts), &here(), &open()).unwrap_err().code,
                "presentation_contexts"
            );
        }
    }
}
