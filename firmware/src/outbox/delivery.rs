//! How far the objects of a study are on their way to each destination. Data and rules, no input or output.

use std::collections::BTreeSet;

use models::findings::{Fault, Reason};
use serde::{Deserialize, Serialize};

use super::destination::{Commitment, Terms};
use super::{Answer, Errand, Visit};
use crate::dicom::{Committed, Reference, Uid};
use crate::report::Kind;
use crate::study::record::Listed;

/// `delivery.json`: what each destination is to get of one result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delivery(Vec<Consignment>);

/// What one destination is to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consignment {
    /// The name of the destination in the settings.
    pub destination: String,
    /// Each object.
    pub objects: Vec<Parcel>,
    /// What is known of storage commitment.
    #[serde(default)]
    pub asked: Asked,
}

/// One object on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Which one.
    pub kind: Kind,
    /// (0008,0016).
    pub sop_class: Uid,
    /// (0008,0018).
    pub sop_instance: Uid,
    /// How far it is.
    pub progress: Progress,
    /// Why the destination did not take it or does not keep it, when it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Reason>,
}

/// How far an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Not there yet.
    Waiting,
    /// The destination has acknowledged it.
    Stored,
    /// The destination has promised to keep it.
    Committed,
}

/// What is known of storage commitment by a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// It was not asked yet.
    #[default]
    NotYet,
    /// It does not offer the service.
    NotOffered,
    /// It was asked, and has not told yet.
    Waiting {
        /// By this Transaction UID.
        transaction: Uid,
    },
}

/// What comes next for a consignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: everything is there.
    Done,
    /// A report about what is kept, or else another visit.
    Report,
    /// Another visit, after a while: something was refused.
    Later(Reason),
}

impl Delivery {
    /// Everything still to be sent. Nothing for a destination that wants none of the objects.
    pub fn new(destinations: &[Terms], objects: &[Listed]) -> Self {
        let consignments = destinations.iter().map(|terms| Consignment::new(terms, objects));
        Self(consignments.filter(|one| !one.objects.is_empty()).collect())
    }

    /// Whether nobody is to get anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each destination is to get.
    pub fn consignments(&self) -> &[Consignment] {
        &self.0
    }

    /// What one destination is to get.
    pub fn to(&mut self, destination: &str) -> Option<&mut Consignment> {
        self.0.iter_mut().find(|one| one.destination == destination)
    }

    /// Whether all is where it should be. A destination that the settings name no more has not got what was
    /// not delivered before.
    pub fn is_done(&self, destinations: &[Terms]) -> bool {
        self.0.iter().all(|consignment| {
            let terms = destinations
                .iter()
                .find(|terms| terms.name == consignment.destination);
            consignment.is_done(terms)
        })
    }

    /// The destinations in the settings that have not got everything.
    pub fn open<'d>(&'d self, destinations: &'d [Terms]) -> impl Iterator<Item = &'d Consignment> {
        self.0.iter().filter(|consignment| {
            let terms = destinations
                .iter()
                .find(|terms| terms.name == consignment.destination);
            terms.is_some() && !consignment.is_done(terms)
        })
    }

    /// Takes in what a destination says it keeps. Gives which one it was, if it was about this delivery.
    pub fn committed(&mut self, committed: &Committed) -> Option<&mut Consignment> {
        let waiting = Asked::Waiting {
            transaction: committed.transaction.clone(),
        };
        let consignment = self.0.iter_mut().find(|one| one.asked == waiting)?;
        consignment.committed(committed);
        Some(consignment)
    }
}

impl Consignment {
    fn new(terms: &Terms, objects: &[Listed]) -> Self {
        let wanted = objects.iter().filter(|object| terms.kinds.contains(&object.kind));
        Self {
            destination: terms.name.clone(),
            objects: wanted.map(Parcel::new).collect(),
            asked: Asked::NotYet,
        }
    }

    /// Whether everything is there, committed or not.
    pub fn is_stored(&self) -> bool {
        self.objects
            .iter()
            .all(|object| object.progress >= Progress::Stored)
    }

    /// Terms are none where the settings do not name the destination any more.
    fn is_done(&self, terms: Option<&Terms>) -> bool {
        let wish = terms.map_or(Commitment::IfOffered, |terms| terms.commitment);
        let enough = match wish {
            Commitment::Never => Progress::Stored,
            Commitment::IfOffered if self.asked == Asked::NotOffered => Progress::Stored,
            Commitment::IfOffered | Commitment::Required => Progress::Committed,
        };
        self.objects.iter().all(|object| object.progress >= enough)
    }

    /// What a courier is to do now: send what is not there, and ask about all if it is to be asked.
    pub fn errand(&mut self, study: &Uid, terms: &Terms, transaction: Uid) -> Errand {
        let send = |parcel: &&Parcel| parcel.progress == Progress::Waiting;
        let ask = (terms.commitment != Commitment::Never).then(|| {
            // From now on its report may come.
            self.asked = Asked::Waiting {
                transaction: transaction.clone(),
            };
            transaction
        });
        Errand {
            study: study.clone(),
            destination: self.destination.clone(),
            send: self
                .objects
                .iter()
                .filter(send)
                .map(|parcel| parcel.kind)
                .collect(),
            about: self.objects.iter().map(Parcel::reference).collect(),
            ask,
        }
    }

    /// Whether a visit was about these objects, and not about some that are superseded.
    pub fn is_about(&self, visit: &Visit) -> bool {
        self.objects
            .iter()
            .map(Parcel::reference)
            .eq(visit.about.iter().cloned())
    }

    /// Takes in what came of a visit about these objects.
    pub fn visited(&mut self, visit: &Visit, terms: &Terms) -> Next {
        for (sop_instance, outcome) in &visit.sent {
            let Some(parcel) = self.parcel(sop_instance) else {
                continue;
            };
            match outcome {
                Ok(()) => {
                    parcel.progress = parcel.progress.max(Progress::Stored);
                    parcel.refused = None;
                }
                Err(reason) => parcel.refused = Some(reason.clone()),
            }
        }
        match &visit.commitment {
            None | Some(Answer::Later) => {}
            Some(Answer::NotOffered) => self.asked = Asked::NotOffered,
            Some(Answer::Now(committed)) => self.committed(committed),
            Some(Answer::Refused(reason)) => return Next::Later(reason.clone()),
        }
        self.next(terms)
    }

    /// What is to come now.
    pub fn next(&self, terms: &Terms) -> Next {
        if self.is_done(Some(terms)) {
            return Next::Done;
        }
        if let Some(reason) = self.objects.iter().find_map(|parcel| parcel.refused.clone()) {
            return Next::Later(reason);
        }
        if self.asked == Asked::NotOffered {
            let text = "it does not offer storage commitment, which the settings require";
            return Next::Later(Reason::new("no_commitment", Fault::Configuration, text));
        }
        Next::Report
    }

    fn committed(&mut self, committed: &Committed) {
        let kept: BTreeSet<_> = committed.kept.iter().collect();
        for parcel in &mut self.objects {
            if kept.contains(&parcel.sop_instance) {
                parcel.progress = Progress::Committed;
                parcel.refused = None;
            }
        }
        for (sop_instance, why) in &committed.failed {
            if let Some(parcel) = self.parcel(sop_instance) {
                let text = format!(
                    "it does not keep the {}: failure reason {why:04X}",
                    parcel.kind.name()
                );
                parcel.progress = Progress::Waiting;
                parcel.refused = Some(Reason::new("not_committed", Fault::Peer, text));
            }
        }
        self.asked = Asked::NotYet;
    }

    fn parcel(&mut self, sop_instance: &Uid) -> Option<&mut Parcel> {
        self.objects
            .iter_mut()
            .find(|parcel| parcel.sop_instance == *sop_instance)
    }
}

impl Parcel {
    fn new(object: &Listed) -> Self {
        Self {
            kind: object.kind,
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            progress: Progress::Waiting,
            refused: None,
        }
    }

    fn reference(&self) -> Reference {
        Reference {
            class: self.sop_class.clone(),
            instance: self.sop_instance.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::destination::Way;
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn terms(name: &str, kinds: &[Kind], commitment: Commitment) -> Terms {
        let way = Way::Dicom(format!("{name}@host:104").parse().unwrap());
        Terms::new(name, &way, kinds.into(), commitment)
    }

    fn listed() -> Vec<Listed> {
        let object = |kind: Kind| Listed {
            kind,
            sop_class: uid(kind.sop_class()),
            sop_instance: uid(&format!("1.2.{}", kind.series_number())),
            series: uid("1.3"),
        };
        [Kind::Report, Kind::Capture].map(object).into()
    }

    /// A delivery to one destination whose courier was sent out, and its errand.
    fn errand(terms: &Terms) -> (Delivery, Errand) {
        let mut delivery = Delivery::new(std::slice::from_ref(terms), &listed());
        let errand = delivery
            .to(&terms.name)
            .unwrap()
            .errand(&uid("1.2.3"), terms, uid("2.25.1"));
        (delivery, errand)
    }

    fn visit(errand: &Errand, outcome: Result<(), Reason>, commitment: Option<Answer>) -> Visit {
        let instances = errand.about.iter().map(|reference| reference.instance.clone());
        Visit {
            study: errand.study.clone(),
            destination: errand.destination.clone(),
            about: errand.about.clone(),
            sent: instances.map(|instance| (instance, outcome.clone())).collect(),
            commitment,
            trouble: None,
            warnings: vec![],
        }
    }

    fn committed(transaction: &str, errand: &Errand) -> Committed {
        let instances = errand.about.iter().map(|reference| reference.instance.clone());
        Committed {
            transaction: uid(transaction),
            kept: instances.collect(),
            failed: vec![],
        }
    }

    #[test]
    fn who_wants_nothing_of_it_gets_no_consignment() {
        let picky = terms("PICKY", &[Kind::Segmentation], Commitment::Never);
        assert!(Delivery::new(&[picky], &listed()).is_empty());
    }

    #[test]
    fn what_counts_is_what_was_agreed() {
        let not_offered = || Some(Answer::NotOffered);
        for (commitment, answer, done) in [
            (Commitment::Never, None, true),
            (Commitment::IfOffered, not_offered(), true),
            (Commitment::IfOffered, Some(Answer::Later), false),
            (Commitment::Required, not_offered(), false),
            (Commitment::Required, Some(Answer::Later), false),
        ] {
            let terms = terms("PACS", &Kind::ALL, commitment);
            let (mut delivery, errand) = errand(&terms);
            assert_eq!(errand.ask.is_some(), commitment != Commitment::Never);
            let next = delivery
                .to("PACS")
                .unwrap()
                .visited(&visit(&errand, Ok(()), answer), &terms);
            assert_eq!(next == Next::Done, done, "{commitment:?}");
            assert_eq!(delivery.is_done(std::slice::from_ref(&terms)), done);
            assert_eq!(delivery.open(&[terms]).next().is_none(), done);
        }
        let required = terms("PACS", &Kind::ALL, Commitment::Required);
        let (mut delivery, errand) = errand(&required);
        let next = delivery
            .to("PACS")
            .unwrap()
            .visited(&visit(&errand, Ok(()), not_offered()), &required);
        assert!(matches!(next, Next::Later(reason) if reason.code == "no_commitment"));
    }

    #[test]
    fn a_report_counts_once_for_its_own_transaction_and_is_not_taken_back() {
        let terms = terms("PACS", &Kind::ALL, Commitment::Required);
        let (mut delivery, errand) = errand(&terms);
        assert!(delivery.committed(&committed("2.25.2", &errand)).is_none());
        // It may come before the courier is back.
        assert!(delivery.committed(&committed("2.25.1", &errand)).is_some());
        assert!(delivery.committed(&committed("2.25.1", &errand)).is_none());
        let late = visit(&errand, Ok(()), Some(Answer::Later));
        assert_eq!(delivery.to("PACS").unwrap().visited(&late, &terms), Next::Done);
        assert!(delivery.is_done(&[terms]));
    }

    #[test]
    fn what_is_there_is_not_sent_again() {
        let terms = terms("PACS", &Kind::ALL, Commitment::IfOffered);
        let (mut delivery, errand) = errand(&terms);
        let mut half = visit(&errand, Ok(()), None);
        half.sent.truncate(1);
        half.trouble = Some(Reason::new("broken", Fault::Peer, "broken"));
        let consignment = delivery.to("PACS").unwrap();
        consignment.visited(&half, &terms);
        let again = consignment.errand(&uid("1.2.3"), &terms, uid("2.25.2"));
        assert_eq!(again.send, [Kind::Capture]);
        assert_eq!(again.about.len(), 2, "it is asked about all");
        consignment.visited(&visit(&again, Ok(()), Some(Answer::Later)), &terms);
        let report = consignment.errand(&uid("1.2.3"), &terms, uid("2.25.3"));
        assert_eq!(report.send, []);
        assert!(report.ask.is_some());
    }

    #[test]
    fn what_is_refused_waits_with_its_reason_until_it_is_taken() {
        let terms = terms("PACS", &Kind::ALL, Commitment::Never);
        let (mut delivery, errand) = errand(&terms);
        let reason = Reason::new("not_stored", Fault::Peer, "status A900");
        let consignment = delivery.to("PACS").unwrap();
        let refused = visit(&errand, Err(reason.clone()), None);
        assert_eq!(consignment.visited(&refused, &terms), Next::Later(reason));
        let again = consignment.errand(&uid("1.2.3"), &terms, uid("2.25.2"));
        assert_eq!(again.send, [Kind::Report, Kind::Capture]);
        assert_eq!(
            consignment.visited(&visit(&again, Ok(()), None), &terms),
            Next::Done
        );
        assert!(consignment.objects.iter().all(|parcel| parcel.refused.is_none()));
    }
}
