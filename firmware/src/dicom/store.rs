//! C-STORE and C-ECHO: what is taken, and how a refusal is told.

use dicom_dictionary_std::uids;
use models::findings::{Fault, Reason};

use super::Uid;
use super::dataset::DataSetError;
use super::dimse::{Command, Status};
use super::negotiate::Context;
use super::refused::Refused;
use super::services::Service;
use crate::spool::{Announced, Incoming, Spool, StoreError, StoreOutcome, Stored};

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        let (status, code, fault) = match &error {
            StoreError::NoSpace(_) => (Status::OUT_OF_RESOURCES, "no_space", Fault::Hardware),
            StoreError::TooLarge(_) => (Status::OUT_OF_RESOURCES, "too_large", Fault::Data),
            StoreError::Mismatch(_) => (Status::DATA_SET_MISMATCH, "mismatch", Fault::Data),
            StoreError::TooManyConflicts => {
                (Status::DUPLICATE_SOP_INSTANCE, "too_many_conflicts", Fault::Data)
            }
            StoreError::Meta(_) => (Status::PROCESSING_FAILURE, "internal", Fault::Us),
            StoreError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                (Status::OUT_OF_RESOURCES, "no_space", Fault::Hardware)
            }
            StoreError::Latched(_) | StoreError::Io(_) | StoreError::DataSet(DataSetError::Io(_)) => {
                (Status::PROCESSING_FAILURE, "disk", Fault::Hardware)
            }
            StoreError::DataSet(DataSetError::Missing(_)) => {
                (Status::DATA_SET_MISMATCH, "missing_uid", Fault::Data)
            }
            StoreError::DataSet(DataSetError::BadUid(..)) => {
                (Status::DATA_SET_MISMATCH, "bad_uid", Fault::Data)
            }
            StoreError::DataSet(DataSetError::Truncated) => {
                (Status::CANNOT_UNDERSTAND, "truncated", Fault::Data)
            }
            StoreError::DataSet(DataSetError::TooDeep) => {
                (Status::CANNOT_UNDERSTAND, "too_deep", Fault::Data)
            }
            StoreError::DataSet(DataSetError::NotDicom(_) | DataSetError::TransferSyntax) => {
                (Status::CANNOT_UNDERSTAND, "not_dicom", Fault::Data)
            }
        };
        Self::new(status, code, fault, text)
    }
}

/// C-ECHO: nothing to receive.
pub(super) fn verify(request: &Command, context: &Context) -> Result<(), Refused> {
    let class = request.affected_sop_class_uid.as_deref();
    if class == Some(uids::VERIFICATION) && context.service == Service::Verification {
        Ok(())
    } else {
        Err(Refused::sop_class())
    }
}

/// C-STORE: where the data set goes. Every UID is checked before anything else is done with it.
pub(super) fn begin<'p>(
    spool: &'p Spool,
    request: &Command,
    context: &Context,
    calling: &str,
) -> Result<Incoming<'p>, Refused> {
    let uid = |name, uid: &Option<String>| {
        Uid::parse(uid.as_deref().unwrap_or_default()).map_err(|error| Refused::bad_uid(name, error))
    };
    let sop_class = uid("Affected SOP Class UID", &request.affected_sop_class_uid)?;
    let sop_instance = uid("Affected SOP Instance UID", &request.affected_sop_instance_uid)?;
    if sop_class.as_str() != context.abstract_syntax || context.service != Service::Storage {
        return Err(Refused::sop_class());
    }
    let announced = Announced {
        sop_class,
        sop_instance,
        transfer_syntax: context.transfer_syntax.clone(),
        source: calling.to_owned(),
    };
    Ok(spool.receive(announced)?)
}

/// What people should know about an instance although it was stored.
pub(super) fn remark(stored: &Stored) -> Option<Reason> {
    (stored.outcome == StoreOutcome::Conflicting).then(|| {
        let text = "an image came twice with different content; the first is used, both are kept";
        Reason::new("conflicting_duplicate", Fault::Peer, text)
    })
}
