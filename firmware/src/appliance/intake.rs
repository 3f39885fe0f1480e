//! From the threads of the associations to the keeper.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::keeper::Message;
use crate::dicom::Committed;
use crate::dicom::scp::Intake;
use crate::spool::{StoreOutcome, Stored};
use crate::station::refusals::Refusal;
use crate::study::evidence::Announced;
use crate::study::open::OpenStudies;
use crate::study::{Arrival, AssociationId};

/// The associations' end of the keeper's inbox.
pub(super) struct Inbox {
    keeper: SyncSender<Message>,
    open: Arc<OpenStudies>,
}

impl Inbox {
    pub(super) fn new(keeper: SyncSender<Message>, open: Arc<OpenStudies>) -> Self {
        Self { keeper, open }
    }

    /// Waits while the inbox is full. A keeper that is gone learns of stored instances from their
    /// files at the next start.
    fn send(&self, message: Message) {
        let _ = self.keeper.send(message);
    }
}

impl Intake for Inbox {
    fn accepted(&self, _: AssociationId, peer: SocketAddr, calling: &str) {
        let called = Message::Called {
            ae_title: calling.to_owned(),
            address: peer.ip(),
        };
        // For the eyes only: no caller waits for that, and no crowd of callers holds up the keeper.
        let _ = self.keeper.try_send(called);
    }

    fn stored(&self, association: AssociationId, stored: &Stored) -> io::Result<()> {
        let identity = &stored.identity;
        // Also for what was there already: perhaps it was stored before a power cut and never marked.
        self.open.mark(&identity.study)?;
        self.send(Message::Stored {
            study: identity.study.clone(),
            arrival: Arrival {
                association,
                series: identity.series.clone(),
                sop: identity.sop_instance.clone(),
                counts: stored.counts,
            },
            is_new: stored.outcome == StoreOutcome::New,
        });
        Ok(())
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

    fn committed(&self, committed: Committed) {
        self.send(Message::Committed(committed));
    }

    fn announced(&self, announced: Announced) {
        self.send(Message::Announced(announced));
    }
}
