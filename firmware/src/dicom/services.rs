//! Which services are offered, and under which conditions. Decided by the settings.

use dicom_dictionary_std::uids;
use serde::{Deserialize, Serialize};

use super::Uid;
use super::commitment::Commitment;
use super::identity::Identities;
use super::user::Node;
use crate::limits::DEFAULT_PDU_KIB;

/// A service, as we provide it unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// C-ECHO (PS3.4 Annex A).
    #[serde(rename = "echo")]
    Verification,
    /// C-STORE (PS3.4 Annex B).
    #[serde(rename = "store")]
    Storage,
    /// N-ACTION and N-EVENT-REPORT (PS3.4 Annex J).
    #[serde(rename = "commit")]
    Commitment,
    /// N-EVENT-REPORT about what we sent (PS3.4 Annex J), as user.
    #[serde(rename = "report")]
    CommitmentReport,
    /// N-CREATE and N-SET of the modality performed procedure step (PS3.4 Annex F).
    #[serde(rename = "mpps")]
    PerformedStep,
}

impl Service {
    /// Every service that we provide.
    pub const ALL: [Self; 4] = [
        Self::Verification,
        Self::Storage,
        Self::Commitment,
        Self::PerformedStep,
    ];
}

/// What is offered to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Storage SOP classes that are taken besides the standard ones.
    pub storage_classes: Vec<Uid>,
    /// Whether the standard ones are taken.
    pub standard_storage: bool,
    /// How requests to commit to storage are answered.
    pub commitment: Commitment,
    /// Whether performed procedure steps are taken.
    pub performed_steps: bool,
    /// Who a caller must say that it is.
    pub identities: Identities,
    /// Longest P-DATA-TF PDU that we announce and accept, bytes after the 6-byte header.
    pub pdu_bytes: u32,
    /// Whether we ask others to commit to storage, and take their reports.
    pub asks_for_commitment: bool,
    /// Where the systems of these AE titles take event reports when their association is over.
    pub report_to: Vec<Node>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            storage_classes: Vec::new(),
            standard_storage: true,
            commitment: Commitment::default(),
            performed_steps: true,
            identities: Identities::Ignored,
            pdu_bytes: DEFAULT_PDU_KIB * 1024,
            asks_for_commitment: false,
            report_to: Vec::new(),
        }
    }
}

impl Services {
    /// The service of an abstract syntax, if it is offered.
    pub fn of(&self, abstract_syntax: &str) -> Option<Service> {
        match abstract_syntax {
            uids::VERIFICATION => Some(Service::Verification),
            uids::STORAGE_COMMITMENT_PUSH_MODEL => {
                (self.commitment != Commitment::Off).then_some(Service::Commitment)
            }
            uids::MODALITY_PERFORMED_PROCEDURE_STEP => self.performed_steps.then_some(Service::PerformedStep),
            class => self.stores(class).then_some(Service::Storage),
        }
    }

    /// Whether instances of a SOP class are stored.
    pub fn stores(&self, class: &str) -> bool {
        (self.standard_storage && is_standard_storage(class))
            || self.storage_classes.iter().any(|listed| listed.as_str() == class)
    }
}

/// Standard storage SOP classes have this root (PS3.4 B.5), the ones still to come too.
const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";

/// Storage SOP classes of radiotherapy that stand elsewhere.
const STORAGE_ELSEWHERE: [&str; 2] = ["1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"];

/// What stands under the root and stores nothing: queries, and the management of inventories.
const NO_STORAGE: [&str; 9] = [
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_FIND,
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_MOVE,
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_GET,
    uids::STORAGE_MANAGEMENT_INSTANCE,
    uids::INVENTORY_FIND,
    uids::INVENTORY_MOVE,
    uids::INVENTORY_GET,
    uids::INVENTORY_CREATION,
    uids::REPOSITORY_QUERY,
];

fn is_standard_storage(class: &str) -> bool {
    (class.starts_with(STORAGE_ROOT) && !NO_STORAGE.contains(&class)) || STORAGE_ELSEWHERE.contains(&class)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_standard_storage_class_is_stored_and_no_query_is() {
        let services = Services::default();
        for class in [
            uids::MR_IMAGE_STORAGE,
            uids::ENHANCED_MR_IMAGE_STORAGE,
            uids::MR_SPECTROSCOPY_STORAGE,
            uids::SEGMENTATION_STORAGE,
            uids::COMPREHENSIVE3_DSR_STORAGE,
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::ENCAPSULATED_PDF_STORAGE,
            uids::RAW_DATA_STORAGE,
            uids::RT_BEAMS_DELIVERY_INSTRUCTION_STORAGE,
            "1.2.840.10008.5.1.4.1.1.999.1", // still to come
        ] {
            assert_eq!(services.of(class), Some(Service::Storage), "{class}");
        }
        for class in NO_STORAGE.into_iter().chain([
            uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
            uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
            "1.3.12.2.1107.5.9.1", // private, not listed
            "",
        ]) {
            assert_eq!(services.of(class), None, "{class}");
        }
    }

    #[test]
    fn listed_classes_come_on_top_or_instead() {
        let private = "1.3.12.2.1107.5.9.1";
        let mut services = Services {
            storage_classes: vec![Uid::parse(private).unwrap()],
            ..Services::default()
        };
        assert_eq!(services.of(private), Some(Service::Storage));
        assert!(services.stores(uids::MR_IMAGE_STORAGE));
        services.standard_storage = false;
        assert_eq!(services.of(private), Some(Service::Storage));
        assert_eq!(services.of(uids::MR_IMAGE_STORAGE), None);
        assert_eq!(services.of(uids::VERIFICATION), Some(Service::Verification));
    }

    #[test]
    fn what_is_switched_off_is_not_offered() {
        let services = Services {
            commitment: Commitment::Off,
            performed_steps: false,
            ..Services::default()
        };
        for class in [
            uids::STORAGE_COMMITMENT_PUSH_MODEL,
            uids::MODALITY_PERFORMED_PROCEDURE_STEP,
        ] {
            assert_eq!(services.of(class), None);
            assert!(Services::default().of(class).is_some());
        }
    }
}
