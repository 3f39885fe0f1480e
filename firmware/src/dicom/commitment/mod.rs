//! Storage commitment, push model (PS3.4 Annex J).
//!
//! N-ACTION asks, and is answered at once: the request was understood. N-EVENT-REPORT says of each
//! instance what became of it, on the same association or on one that the provider asks for.

mod provider;
mod user;

use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use models::mr::DataSet;

use super::Uid;
use super::dimse::{Command, Status};
use super::normalized::{about, uid};
use super::refused::Refused;

pub use provider::Commitment;
pub(super) use provider::{Report, Request, begin};
pub use user::Committed;
pub(crate) use user::{ask, context, proposed};

/// Request Storage Commitment, the one action (PS3.4 J.3.2).
const REQUEST: u16 = 1;

const CLASS: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const INSTANCE: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;

/// Whether a request or a report is about the one instance that the service has.
pub(super) fn to_the_instance(request: &Command) -> Result<(), Refused> {
    if about(request, CLASS)?.as_str() != INSTANCE {
        let text = "storage commitment has one instance, which is another one";
        return Err(Refused::peer(Status::NO_SUCH_SOP_INSTANCE, "sop_instance", text));
    }
    Ok(())
}

/// An instance that is referred to (PS3.3 10.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its SOP class.
    pub class: Uid,
    /// Its SOP Instance UID.
    pub instance: Uid,
}

impl Reference {
    fn item(&self) -> InMemDicomObject {
        let uid = |tag, uid: &Uid| DataElement::new(tag, VR::UI, uid.as_str());
        InMemDicomObject::from_element_iter([
            uid(tags::REFERENCED_SOP_CLASS_UID, &self.class),
            uid(tags::REFERENCED_SOP_INSTANCE_UID, &self.instance),
        ])
    }

    fn read(item: &DataSet<'_>) -> Result<Self, Refused> {
        let uid = |tag, name| uid(item, tag, name, Status::INVALID_ARGUMENT_VALUE);
        Ok(Self {
            class: uid(tags::REFERENCED_SOP_CLASS_UID, "Referenced SOP Class UID")?,
            instance: uid(tags::REFERENCED_SOP_INSTANCE_UID, "Referenced SOP Instance UID")?,
        })
    }
}

fn references(items: &[DataSet<'_>]) -> Result<Vec<Reference>, Refused> {
    items.iter().map(Reference::read).collect()
}
