//! What becomes of findings after they were reported: until every destination has them.
//!
//! A study stays in memory, and marked as unfinished, as long as a destination of the settings lacks something
//! of it. What its `delivery.json` says survives; whose turn it is begins anew with each start.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::core::{Action, Core};
use models::findings::{Fault, Reason};

use crate::appliance::Event;
use crate::dicom::{Committed, Uid};
use crate::outbox::delivery::{Delivery, Next};
use crate::outbox::destination::Terms;
use crate::outbox::queue::Queue;
use crate::outbox::{Errand, Visit};
use crate::report::Object;
use crate::screen::situation::{Delivery as Shown, Destination};
use crate::station::audit::{AuditEvent, Export};
use crate::station::notice::Notice;
use crate::study::record::Listed;
use crate::study::{Event as Happening, Stage};

/// The destinations, each with its queue.
#[derive(Debug, Default)]
pub(super) struct Queues(BTreeMap<String, Queue>);

impl Queues {
    pub(super) fn new(destinations: &[Terms]) -> Self {
        let queues = destinations
            .iter()
            .map(|terms| (terms.name.clone(), Queue::default()));
        Self(queues.collect())
    }

    fn take_out(&mut self, study: &Uid) {
        self.0.values_mut().for_each(|queue| queue.take_out(study));
    }

    /// When a courier may be sent out, if nothing else happens.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.values().filter_map(Queue::due).min()
    }

    /// How the destinations stand.
    pub(super) fn stand(&self) -> impl Iterator<Item = Destination> {
        self.0.iter().map(|(name, queue)| Destination {
            name: name.clone(),
            waiting: queue.waiting(),
            trouble: queue.trouble().cloned(),
        })
    }

    /// What people should know about the destinations.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.0
            .iter()
            .flat_map(|(name, queue)| queue.notices(name))
            .collect()
    }
}

impl Core {
    /// Writes down that these objects are to be delivered. Before the study is reported, so that no cut
    /// forgets it.
    pub(super) fn owe(&mut self, study: &Uid, objects: &[Object]) -> io::Result<()> {
        let listed: Vec<_> = objects.iter().map(Listed::of).collect();
        let delivery = Delivery::new(&self.rules.destinations, &listed);
        let delivery = (!delivery.is_empty()).then_some(delivery);
        if let Some(delivery) = &delivery {
            self.records.keep_delivery(study, delivery)?;
        }
        if let Some(kept) = self.studies.get_mut(study) {
            kept.delivery = delivery;
        }
        Ok(())
    }

    /// Images came, or another analysis: what is under way is no more what people should see.
    pub(super) fn withdraw(&mut self, study: &Uid) {
        self.queues.take_out(study);
        if let Some(kept) = self.studies.get_mut(study) {
            kept.delivery = None;
            kept.unsaved_delivery = false;
        }
    }

    /// Puts a finished study where something of it is still to be delivered. Gives whether there is.
    pub(super) fn is_owed(&mut self, study: &Uid) -> bool {
        let destinations = &self.rules.destinations;
        let Some(delivery) = self.studies.get(study).and_then(|kept| kept.delivery.as_ref()) else {
            return false;
        };
        let mut owed = false;
        for consignment in delivery.open(destinations) {
            if let Some(queue) = self.queues.0.get_mut(&consignment.destination) {
                queue.put(study, self.now);
                owed = true;
            }
        }
        owed
    }

    /// Sends out each courier who is free and whose turn somebody's is.
    pub(super) fn send_couriers(&mut self) {
        for at in 0..self.rules.destinations.len() {
            let terms = &self.rules.destinations[at];
            let Some(queue) = self.queues.0.get_mut(&terms.name) else {
                continue;
            };
            let Some(study) = queue.next(self.now) else {
                continue;
            };
            let kept = self.studies.get_mut(&study);
            let consignment = kept
                .and_then(|kept| kept.delivery.as_mut())
                .and_then(|delivery| delivery.to(&terms.name));
            match consignment {
                Some(consignment) => {
                    let errand = consignment.errand(&study, terms, self.hands.transactions.next_uid());
                    self.deliver(errand);
                }
                None => {
                    queue.take_out(&study);
                    queue.returned(None, Vec::new(), self.now);
                }
            }
        }
    }

    /// A courier is back.
    pub(super) fn visited(&mut self, visit: Visit) {
        let Visit {
            study, destination, ..
        } = &visit;
        let terms = self
            .rules
            .destinations
            .iter()
            .find(|terms| terms.name == *destination);
        let (Some(terms), Some(queue)) = (terms, self.queues.0.get_mut(destination)) else {
            return;
        };
        // Our own trouble with this study is none of the destination, and holds up nobody else.
        let ours = |reason: &Reason| !matches!(reason.fault, Fault::Peer | Fault::Configuration);
        let (own, theirs) = match visit.trouble.clone() {
            Some(reason) if ours(&reason) => (Some(reason), None),
            theirs => (None, theirs),
        };
        queue.returned(theirs.clone(), visit.warnings.clone(), self.now);
        let consignment = self
            .studies
            .get_mut(study)
            .and_then(|kept| kept.delivery.as_mut())
            .and_then(|delivery| delivery.to(destination))
            .filter(|consignment| consignment.is_about(&visit));
        let Some(consignment) = consignment else {
            return;
        };
        match (consignment.visited(&visit, terms), own, theirs) {
            (Next::Done, ..) => queue.take_out(study),
            (_, Some(own), _) => queue.refused(study, own, self.now),
            // Perhaps it is this study that the destination cannot bear: the others go first now.
            (_, None, Some(_)) => queue.last(study, self.now),
            (next, None, None) => turn(queue, study, next, self.now),
        }
        self.audit_export(&visit);
        self.keep_delivery(study);
    }

    /// A destination says what it keeps.
    pub(super) fn committed(&mut self, committed: &Committed) {
        let destinations = &self.rules.destinations;
        let found = self.studies.iter_mut().find_map(|(study, kept)| {
            let consignment = kept.delivery.as_mut()?.committed(committed)?;
            let terms = destinations
                .iter()
                .find(|terms| terms.name == consignment.destination)?;
            Some((study.clone(), terms.name.clone(), consignment.next(terms)))
        });
        let Some((study, destination, next)) = found else {
            return tracing::info!("a storage commitment report about nothing that we wait for");
        };
        if let Some(queue) = self.queues.0.get_mut(&destination) {
            turn(queue, &study, next, self.now);
        }
        self.keep_delivery(&study);
    }

    /// Keeps how far a delivery is, and ends it where everything is there. What cannot be kept is tried again.
    pub(super) fn keep_delivery(&mut self, study: &Uid) {
        let Some(delivery) = self.studies.get(study).and_then(|kept| kept.delivery.clone()) else {
            return;
        };
        let done = self.records.keep_delivery(study, &delivery);
        if let Some(kept) = self.studies.get_mut(study) {
            kept.unsaved_delivery = done.is_err();
        }
        if let Err(error) = done {
            return self.disk_failed("how far a delivery is cannot be kept", &error);
        }
        if delivery.is_done(&self.rules.destinations) {
            self.happened(study, Happening::Delivered);
            tracing::info!(study = study.tag(), "delivered");
            self.tell(Event::Delivered { study: study.clone() });
        } else {
            self.settle(study);
        }
    }

    /// After a restart: the last word about a delivery may have been written, and its end not.
    pub(super) fn end_delivery(&mut self, study: &Uid) {
        let kept = self.studies.get(study);
        let done = kept.is_some_and(|kept| {
            let delivery = kept.delivery.as_ref();
            *kept.progress.stage() == Stage::Reported
                && delivery.is_some_and(|delivery| delivery.is_done(&self.rules.destinations))
        });
        if done {
            self.happened(study, Happening::Delivered);
        }
    }

    /// Whether something of a study that is not in memory is still to be delivered.
    pub(super) fn owes(&self, study: &Uid) -> io::Result<bool> {
        if self.rules.destinations.is_empty() {
            return Ok(false);
        }
        let delivery = match self.records.delivery(study) {
            // One that makes no sense cannot be gone on with.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            delivery => delivery?,
        };
        Ok(delivery.is_some_and(|delivery| delivery.open(&self.rules.destinations).next().is_some()))
    }

    /// What the screen says about a delivery that is under way: where it has to go still, and whether something
    /// holds it up.
    pub(super) fn delivery_view(&self, study: &Uid, delivery: &Delivery) -> Shown {
        let (mut on_its_way, mut held_up) = (Vec::new(), Vec::new());
        for consignment in delivery.open(&self.rules.destinations) {
            let name = consignment.destination.as_str();
            let queue = self.queues.0.get(name);
            let is_held_up = queue.is_some_and(|queue| queue.is_blocked() || queue.refusal(study).is_some());
            if is_held_up { &mut held_up } else { &mut on_its_way }.push(name);
        }
        match (held_up.as_slice(), on_its_way.as_slice()) {
            ([], []) => Shown::Nowhere,
            ([], names) => Shown::Waiting(names.join(", ")),
            (names, _) => Shown::Blocked(names.join(", ")),
        }
    }

    fn deliver(&mut self, errand: Errand) {
        self.actions.push(Action::Deliver(errand));
    }

    fn audit_export(&mut self, visit: &Visit) {
        let terms = self
            .rules
            .destinations
            .iter()
            .find(|terms| terms.name == visit.destination);
        let Some(terms) = terms else {
            return;
        };
        let stored: Vec<_> = visit.sent.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        if stored.is_empty() {
            return;
        }
        let delivery = self
            .studies
            .get(&visit.study)
            .and_then(|kept| kept.delivery.as_ref());
        let parcels = delivery.into_iter().flat_map(|delivery| delivery.consignments());
        let mut instances = BTreeMap::new();
        for parcel in parcels
            .filter(|consignment| consignment.destination == visit.destination)
            .flat_map(|consignment| &consignment.objects)
        {
            if stored
                .iter()
                .any(|(instance, _)| *instance == parcel.sop_instance)
            {
                *instances.entry(parcel.sop_class.to_string()).or_insert(0) += 1;
            }
        }
        let patient_id = self.spool.patient_of(&visit.study).unwrap_or_else(|error| {
            tracing::warn!(%error, "an image cannot be read for the audit trail");
            None
        });
        (self.hands.witness)(AuditEvent::Exported(Export {
            to: terms.title.clone(),
            host: terms.host.clone(),
            study: visit.study.clone(),
            patient_id: patient_id.unwrap_or_default(),
            instances,
            complete: visit.trouble.is_none(),
        }));
    }
}

fn turn(queue: &mut Queue, study: &Uid, next: Next, now: Duration) {
    match next {
        Next::Done => queue.take_out(study),
        Next::Report => queue.asked(study, now),
        Next::Later(reason) => queue.refused(study, reason, now),
    }
}
