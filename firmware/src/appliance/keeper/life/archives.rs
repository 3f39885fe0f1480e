//! The systems that findings go to, each with its own faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use models::findings::{Fault, Reason};
use rand::RngExt as _;

use super::world::{Deed, World};
use crate::appliance::keeper::Message;
use crate::dicom::{Committed, Uid};
use crate::outbox::destination::{Commitment, Terms, Way};
use crate::outbox::{Answer, Errand, Visit};
use crate::report::{Kind, Object};

/// Takes everything, and is never asked to commit.
pub(super) const NEAR: &str = "NEAR";
/// Is away for long, is full at times, and knows no commitment.
pub(super) const FAR: &str = "FAR";
/// Breaks off, refuses objects, commits later, forgets to say so, and loses what it took.
pub(super) const MOODY: &str = "MOODY";

/// What the appliance knows of them.
pub(in super::super) fn terms() -> Vec<Terms> {
    let commitments = [
        (NEAR, Commitment::Never),
        (FAR, Commitment::IfOffered),
        (MOODY, Commitment::Required),
    ];
    let terms = |(name, commitment): (&str, _)| {
        let way = Way::Dicom(format!("{name}@{name}:104").parse().expect("a node"));
        Terms::new(name, &way, Kind::ALL.into(), commitment)
    };
    commitments.map(terms).into()
}

/// What one of them has.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// Each instance, and how often it came.
    pub(super) has: BTreeMap<Uid, u32>,
    pub(super) committed: BTreeSet<Uid>,
    /// Nobody answers there.
    pub(super) away: bool,
}

/// The objects about a result, whose UIDs follow from it.
pub(in super::super) fn objects(study: &str, result: &str) -> Vec<Object> {
    let object = |kind: Kind| Object {
        kind,
        sop_class: Uid::derived(&["class"]),
        sop_instance: Uid::derived(&[study, result, kind.file_name()]),
        series: Uid::derived(&[study, kind.file_name()]),
        file: vec![0; 8],
    };
    vec![object(Kind::Report), object(Kind::Capture)]
}

impl World {
    /// A courier goes, and comes back after a while, unless the power goes meanwhile.
    pub(super) fn deliver(&mut self, errand: Errand) {
        let (visit, takes) = self.visit(errand);
        let wait = self.moment(takes);
        self.say_in(wait, Message::Visited(Box::new(visit)));
    }

    fn visit(&mut self, errand: Errand) -> (Visit, Duration) {
        let mut visit = Visit::of(&errand);
        let mood = if errand.destination == NEAR {
            100
        } else {
            self.chance.random_range(0..100)
        };
        let reason = |code: &str| Reason::new(code, Fault::Peer, code);
        let archive = self.archives.entry(errand.destination.clone()).or_default();
        if archive.away {
            visit.trouble = Some(reason("unreachable"));
            return (visit, Duration::from_secs(10));
        }
        // In the order of the references; those that are there already are not sent again.
        let on_disk = self
            .running
            .as_ref()
            .map(|on| on.open.records().objects(&errand.study));
        let listed = on_disk.and_then(Result::ok).unwrap_or_default();
        let wanted = listed.iter().filter(|object| errand.send.contains(&object.kind));
        let about = |uid: &Uid| errand.about.iter().any(|reference| reference.instance == *uid);
        let sending: Vec<Uid> = wanted
            .map(|object| object.sop_instance.clone())
            .filter(about)
            .collect();
        for (at, instance) in sending.iter().enumerate() {
            match mood {
                // It has it, and we do not know.
                0..4 if at == 1 => {
                    *archive.has.entry(instance.clone()).or_default() += 1;
                    visit.trouble = Some(reason("broken"));
                    return (visit, Duration::from_secs(60));
                }
                4..7 => {
                    visit
                        .sent
                        .push((instance.clone(), Err(reason("out_of_resources"))));
                    visit.trouble = Some(reason("out_of_resources"));
                    return (visit, Duration::from_secs(1));
                }
                7..9 if at == 1 => visit.sent.push((instance.clone(), Err(reason("not_stored")))),
                _ => {
                    *archive.has.entry(instance.clone()).or_default() += 1;
                    visit.sent.push((instance.clone(), Ok(())));
                }
            }
        }
        let all_stored = visit.sent.iter().all(|(_, outcome)| outcome.is_ok());
        if let Some(transaction) = errand.ask.filter(|_| all_stored) {
            let asked = errand.about.iter().map(|reference| reference.instance.clone());
            visit.commitment = Some(self.asked(&errand.destination, transaction, asked.collect(), mood));
        }
        (visit, Duration::from_secs(2))
    }

    fn asked(&mut self, destination: &str, transaction: Uid, about: Vec<Uid>, mood: u32) -> Answer {
        if destination == FAR {
            return Answer::NotOffered;
        }
        let Some(archive) = self.archives.get_mut(destination) else {
            return Answer::NotOffered;
        };
        let (mut kept, mut failed): (Vec<_>, Vec<_>) =
            about.into_iter().partition(|uid| archive.has.contains_key(uid));
        if mood < 15
            && let Some(lost) = kept.pop()
        {
            archive.has.remove(&lost);
            archive.committed.remove(&lost);
            failed.push(lost);
        }
        archive.committed.extend(kept.iter().cloned());
        let committed = Committed {
            transaction,
            kept,
            failed: failed.into_iter().map(|uid| (uid, 0x0112)).collect(),
        };
        match mood {
            15..50 => Answer::Now(committed),
            // It forgets to tell.
            50..55 => Answer::Later,
            55..57 => Answer::Refused(Reason::new("commitment_refused", Fault::Peer, "not now")),
            _ => {
                let wait = self.moment(Duration::from_secs(120));
                self.say_in(wait, Message::Committed(committed));
                Answer::Later
            }
        }
    }

    /// Whether everything about the last result of a study is where it should be.
    pub(super) fn is_delivered(&self, study: &Uid) -> bool {
        let Some(expected) = self.expected.get(study) else {
            return true;
        };
        let at = |name: &str, uid: &Uid| {
            self.archives.get(name).is_some_and(|archive| {
                archive.has.contains_key(uid) && (name != MOODY || archive.committed.contains(uid))
            })
        };
        expected
            .iter()
            .all(|uid| [NEAR, FAR, MOODY].iter().all(|name| at(name, uid)))
    }

    /// The end of an absence: whoever was there all the time has got everything but what was only just
    /// reported, or is between two attempts.
    pub(super) fn look_at_absence(&self, away: &str) {
        let Some(on) = &self.running else {
            return;
        };
        let studies = on.open.studies().len();
        let here = |name: &str, uid: &Uid| self.archives.get(name).is_some_and(|it| it.has.contains_key(uid));
        let lacks = |name: &str| {
            let expected = self.expected.values();
            expected
                .filter(|uids| !uids.iter().all(|uid| here(name, uid)))
                .count()
        };
        // Some are always between two attempts.
        let most = (studies / 5).max(20);
        for name in [NEAR, MOODY].iter().filter(|name| **name != away) {
            self.check(
                lacks(name) <= most,
                &format!("{name} suffers from {away}: {} of {studies}", lacks(name)),
            );
        }
    }

    /// A destination goes away, and comes back.
    pub(super) fn plan_absence(&mut self, name: &'static str, at: Duration, time: Duration) {
        self.plan_at(at, Deed::Away(name, true));
        self.plan_at(at + time, Deed::Away(name, false));
    }
}
