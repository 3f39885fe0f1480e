//! From the threads of the associations to the keeper.

use std::sync::mpsc::SyncSender;

use super::keeper::Message;
use crate::dicom::scp::Intake;
use crate::spool::{StoreOutcome, Stored};
use crate::station::refusals::Refusal;
use crate::study::AssociationId;

/// The associations' end of the keeper's inbox.
pub(super) struct Inbox(SyncSender<Message>);

impl Inbox {
    pub(super) fn new(keeper: SyncSender<Message>) -> Self {
        Self(keeper)
    }

    /// Waits while the inbox is full. A keeper that is gone learns of stored instances from their
    /// files at the next start.
    fn send(&self, message: Message) {
        let _ = self.0.send(message);
    }
}

impl Intake for Inbox {
    fn stored(&self, association: AssociationId, stored: &Stored) {
        if stored.outcome == StoreOutcome::New {
            self.send(Message::Stored {
                association,
                study: stored.identity.study.clone(),
            });
        }
    }

    fn ended(&self, association: AssociationId, released: bool) {
        self.send(Message::Ended {
            association,
            released,
        });
    }

    fn refused(&self, refusal: Refusal) {
        self.send(Message::Refused(refusal));
    }
}
