//! An intake that writes down who brought what, and who was turned away.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use models::findings::Fault;

use crate::dicom::scp::Intake;
use crate::dicom::{Committed, Identity, Uid};
use crate::spool::{Spool, Stored};
use crate::station::audit::{Alert, Audit, AuditEvent, Source, Transfer};
use crate::station::refusals::Refusal;
use crate::study::AssociationId;
use crate::study::evidence::Announced;

/// Refusals that tell of a bad line or of bad images, and not of somebody who should be looked at.
const HARMLESS: [&str; 5] = [
    "aborted_by_peer",
    "connection_closed",
    "connection_failed",
    "conflicting_duplicate",
    "unknown_operation",
];

/// Tells the audit trail, and whoever else takes things in.
pub(super) struct Audited<I> {
    intake: I,
    spool: Arc<Spool>,
    audit: Arc<Audit>,
    visits: Mutex<HashMap<AssociationId, Visit>>,
}

/// What came in one association.
struct Visit {
    from: Source,
    studies: BTreeMap<Uid, Brought>,
}

/// Of one study.
struct Brought {
    patient_id: String,
    /// How many of which SOP class.
    instances: BTreeMap<String, u64>,
}

impl<I: Intake> Audited<I> {
    pub(super) fn new(intake: I, spool: Arc<Spool>, audit: Arc<Audit>) -> Self {
        Self {
            intake,
            spool,
            audit,
            visits: Mutex::default(),
        }
    }

    /// Each association changes only its own visit.
    fn visits(&self) -> MutexGuard<'_, HashMap<AssociationId, Visit>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an instance; what to write down when it is the first of its study here.
    fn count(&self, association: AssociationId, identity: &Identity) -> Option<Transfer> {
        let known = self
            .visits()
            .get(&association)
            .is_some_and(|visit| visit.studies.contains_key(&identity.study));
        // Read outside of the lock: it waits for the disk.
        let patient_id = if known {
            String::new()
        } else {
            let id = self.spool.patient_id(identity);
            id.inspect_err(|error| tracing::warn!(%error, "an image cannot be read for the audit trail"))
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let mut visits = self.visits();
        let visit = visits.get_mut(&association)?;
        let brought = visit
            .studies
            .entry(identity.study.clone())
            .or_insert_with(|| Brought {
                patient_id,
                instances: BTreeMap::new(),
            });
        *brought
            .instances
            .entry(identity.sop_class.to_string())
            .or_default() += 1;
        (!known).then(|| brought.transfer(&visit.from, &identity.study, true))
    }
}

impl Brought {
    fn transfer(&self, from: &Source, study: &Uid, released: bool) -> Transfer {
        Transfer {
            from: from.clone(),
            study: study.clone(),
            patient_id: self.patient_id.clone(),
            instances: self.instances.clone(),
            released,
        }
    }
}

impl<I: Intake> Intake for Audited<I> {
    fn accepted(&self, association: AssociationId, peer: SocketAddr, calling: &str) {
        let from = Source {
            ae_title: calling.to_owned(),
            address: peer.ip(),
        };
        let visit = Visit {
            from,
            studies: BTreeMap::new(),
        };
        self.visits().insert(association, visit);
        self.intake.accepted(association, peer, calling);
    }

    fn stored(&self, association: AssociationId, stored: &Stored) -> io::Result<()> {
        if let Some(begins) = self.count(association, &stored.identity) {
            self.audit.record(&AuditEvent::TransferBegins(begins));
        }
        self.intake.stored(association, stored)
    }

    fn ended(&self, association: AssociationId, released: bool) {
        let visit = self.visits().remove(&association);
        if let Some(Visit { from, studies }) = visit {
            for (study, brought) in studies {
                let transfer = brought.transfer(&from, &study, released);
                self.audit.record(&AuditEvent::Transferred(transfer));
            }
        }
        self.intake.ended(association, released);
    }

    fn refused(&self, refusal: Refusal) {
        if refusal.reason.fault == Fault::Peer && !HARMLESS.contains(&refusal.reason.code.as_str()) {
            // Without the port, which is another one in each attempt.
            let address = refusal.peer.parse::<SocketAddr>();
            self.audit.record(&AuditEvent::Alert(Alert {
                address: address.map_or_else(|_| refusal.peer.clone(), |peer| peer.ip().to_string()),
                ae_title: refusal.ae_title.clone(),
                code: refusal.reason.code.clone(),
                text: refusal.reason.text.clone(),
                unwritten: 0,
            }));
        }
        self.intake.refused(refusal);
    }

    fn committed(&self, committed: Committed) {
        self.intake.committed(committed);
    }

    fn announced(&self, announced: Announced) {
        self.intake.announced(announced);
    }
}
