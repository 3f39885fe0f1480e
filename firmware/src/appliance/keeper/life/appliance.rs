//! The appliance in this world: its own code, fed by hand.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use models::findings::{Fault, Findings, Outcome, Reason, StudyIdentity};
use models::mr::{Contrast, Evidence};
use models::pictures::Pictures;
use rand::RngExt as _;

use super::hospital::{Image, Visit};
use super::world::{Deed, Ended, World};
use super::{
    CUT_EVERY, CUT_OPERATIONS, DATA_DIR, Instances, LIMITS, NAME_BYTES, RETENTION, ROOM, WAITS, archives,
};
use crate::analysis::Answer;
use crate::appliance::Event;
use crate::appliance::intake::Inbox;
use crate::appliance::keeper::Message;
use crate::appliance::keeper::core::{Action, Core, Hands, Rules};
use crate::dicom::Uid;
use crate::dicom::scp::Intake as _;
use crate::disk::simulated::{Faults, SimulatedDisk};
use crate::limits::INBOX_MESSAGES;
use crate::spool::{Spool, StoreError, Stored};
use crate::station::device::Transactions;
use crate::study::open::OpenStudies;
use crate::study::record::{Records, fingerprint};

/// The appliance while it has power.
pub(super) struct Running {
    pub(super) since: Duration,
    pub(super) spool: Arc<Spool>,
    pub(super) open: Arc<OpenStudies>,
    pub(super) core: Core,
    pub(super) inbox: Inbox,
    pub(super) messages: Receiver<Message>,
}

impl World {
    /// The keeper takes what is in its inbox, and does what is due.
    pub(super) fn pump(&mut self) {
        while let Some(on) = &mut self.running
            && let Ok(message) = on.messages.try_recv()
        {
            let actions = on.core.take(message, self.now - on.since);
            self.carry_out(actions);
        }
        self.set_free_bytes();
        if let Some(on) = &mut self.running {
            let actions = on.core.tick(self.now - on.since);
            self.carry_out(actions);
        }
        self.notice_a_cut();
    }

    pub(super) fn set_free_bytes(&self) {
        let free = self.room.saturating_sub(self.disk.names() as u64);
        self.disk.set_free_bytes(free * NAME_BYTES);
    }

    pub(super) fn carry_out(&mut self, actions: Vec<Action>) {
        // What a process without power wanted to do is not done.
        if self.disk.is_off() {
            return;
        }
        for action in actions {
            match action {
                Action::Survey { study, instances } => {
                    let missing = match self.chance.random_range(0..3) {
                        0 => None,
                        1 => Some(vec![]),
                        _ => Some(vec![Contrast::T2]),
                    };
                    let message = Message::Surveyed {
                        study,
                        instances,
                        missing,
                    };
                    let wait = self.moment(Duration::from_secs(3));
                    self.say_in(wait, message);
                }
                Action::Analyze { study, .. } => self.analyze(study),
                Action::Identify { study } => {
                    let wait = self.moment(Duration::from_secs(5));
                    self.say_in(wait, Message::Identified { study, whose: None });
                }
                Action::Deliver(errand) => self.deliver(errand),
                Action::Tell(Event::Reported { study, findings, .. }) => {
                    self.tally.reported += 1;
                    self.tally.without_all += findings.quality.len() as u64;
                    self.ended(study, false);
                }
                Action::Tell(Event::Failed { study, .. }) => {
                    self.tally.failed += 1;
                    self.ended(study, true);
                }
                Action::Tell(Event::Delivered { study }) => {
                    self.tally.delivered += 1;
                    self.check(self.is_delivered(&study), "what is called delivered is not there");
                }
                Action::Tell(Event::Removed { study }) => self.removed(&study),
                Action::Complain(reason) => {
                    self.check(self.room < ROOM, &format!("complains without need: {reason}"));
                }
                Action::Tell(_) | Action::Answered => {}
            }
        }
    }

    pub(super) fn say_in(&mut self, wait: Duration, message: Message) {
        let boot = self.boot;
        self.plan_in(wait, Deed::Say { boot, message });
    }

    /// The analyst looks at the folder, thinks, and answers, or does not.
    fn analyze(&mut self, study: Uid) {
        let seen = self.on_disk(&study);
        let (outcome, within) = match self.chance.random_range(0..100) {
            0..3 => (Err((Fault::Us, "worker_crashed")), 5),
            3 => (Err((Fault::Us, "worker_timeout")), 600),
            4 => (Err((Fault::Data, "unreadable")), 5),
            // Fast enough for all the scanners together; else ever more studies would wait.
            _ => (Ok(answer(&study, &seen)), 8),
        };
        self.seen.insert(study.clone(), seen);
        let outcome = outcome
            .map(Box::new)
            .map_err(|(fault, code)| Reason::new(code, fault, code));
        let wait = self.moment(Duration::from_secs(within));
        if let Some(visit) = self.untimely.remove(&study) {
            let a_little = self.moment(Duration::from_secs(2));
            self.plan_in(wait.saturating_sub(a_little), Deed::Call(visit));
        }
        let analyzed = Message::Analyzed {
            study,
            outcome,
            whose: None,
        };
        self.say_in(wait, analyzed);
    }

    fn ended(&mut self, study: Uid, failed: bool) {
        let seen = self.seen.get(&study).cloned().unwrap_or_default();
        let at = self.now;
        let on_disk = self.running.as_ref().map(|on| on.open.records().objects(&study));
        let listed = on_disk.and_then(Result::ok).unwrap_or_default();
        let uids = listed.into_iter().map(|object| object.sop_instance).collect();
        self.expected.insert(study.clone(), uids);
        if self.ended.insert(study, Ended { at, failed, seen }).is_some() {
            self.tally.reopened += 1;
        }
    }

    fn on_disk(&self, study: &Uid) -> Instances {
        let all = self.running.as_ref().map(|on| on.spool.instances(study));
        all.and_then(Result::ok).unwrap_or_default().into_iter().collect()
    }

    /// One image of an association, then the next, or its end.
    pub(super) fn send_next(&mut self, association: u64) {
        let (Some(on), Some(visit)) = (&self.running, self.visits.get_mut(&association)) else {
            return;
        };
        if visit.breaks_off() || visit.is_over() {
            let released = !visit.breaks_off();
            on.inbox.ended(association, released);
            if let Some(visit) = self.visits.remove(&association) {
                self.come_again(visit);
            }
            return;
        }
        let image = visit.image().clone();
        let stored = store(&on.spool, &image);
        // Without power nobody answers; the sender loses its association when that is noticed.
        let told = stored.and_then(|stored| {
            on.inbox.stored(association, &stored)?;
            Ok(stored.identity)
        });
        visit.answered(told.is_ok());
        match told {
            Ok(identity) => {
                self.tally.stored += 1;
                let key = (identity.series, identity.sop_instance);
                self.acknowledged.entry(identity.study).or_default().insert(key);
            }
            Err(_) => self.tally.turned_away += 1,
        }
        let (boot, pause) = (self.boot, self.moment(Duration::from_millis(400)));
        self.plan_in(pause, Deed::Next { boot, association });
    }

    /// A sender sends again what was not acknowledged.
    pub(super) fn come_again(&mut self, visit: Visit) {
        if let Some(visit) = visit.again() {
            let wait = Duration::from_secs(20) + self.moment(Duration::from_secs(900));
            self.plan_in(wait, Deed::Call(visit));
        }
    }

    pub(super) fn notice_a_cut(&mut self) {
        if !self.disk.is_off() || self.running.take().is_none() {
            return;
        }
        self.tally.cuts += 1;
        self.boot += 1;
        for visit in std::mem::take(&mut self.visits).into_values() {
            self.come_again(visit);
        }
        let wait = Duration::from_secs(5) + self.moment(Duration::from_secs(120));
        self.plan_in(wait, Deed::PowerOn);
    }

    /// The power goes at one of the next operations of the disk.
    pub(super) fn power_off_within(&mut self, operations: u64) {
        let cut_at = self.chance.random_range(1..=operations);
        self.disk.set_faults(Faults {
            cut_at: Some(cut_at),
            ..Faults::default()
        });
    }

    pub(super) fn power_on(&mut self) {
        if self.disk.is_off() {
            self.disk = self.disk.after_cut(self.chance.random_range(0..u64::MAX));
        }
        self.set_free_bytes();
        self.inspect(false);
        // Sometimes the power goes again during the start.
        if self.per_cent(20) {
            self.power_off_within(CUT_OPERATIONS);
        } else if !self.deeds.is_empty() {
            let (boot, wait) = (self.boot, self.moment(CUT_EVERY));
            self.plan_in(wait, Deed::PowerOff { boot });
        }
        match start(&self.disk, self.boot) {
            Some((spool, open, core)) => {
                let (keeper, messages) = sync_channel(INBOX_MESSAGES);
                self.running = Some(Running {
                    since: self.now,
                    inbox: Inbox::new(keeper, Arc::clone(&open)),
                    spool,
                    open,
                    core,
                    messages,
                });
                self.pump();
            }
            None => {
                self.check(self.disk.is_off(), "it does not start");
                self.tally.cuts += 1;
                self.boot += 1;
                self.plan_in(Duration::from_secs(10), Deed::PowerOn);
            }
        }
    }
}

/// Spool, records and marks of a data folder; none when the power goes meanwhile.
pub(super) fn folders(disk: &SimulatedDisk) -> Option<(Arc<Spool>, Arc<Records>, OpenStudies)> {
    let (disk, data_dir) = (Arc::new(disk.clone()), Path::new(DATA_DIR));
    let spool = Arc::new(Spool::open(disk.clone(), data_dir, LIMITS).ok()?);
    let records = Arc::new(Records::open(disk, data_dir).ok()?);
    let open = OpenStudies::open(Arc::clone(&records), &spool).ok()?;
    Some((spool, records, open))
}

fn start(disk: &SimulatedDisk, boot: u64) -> Option<(Arc<Spool>, Arc<OpenStudies>, Core)> {
    let (spool, _, open) = folders(disk)?;
    let open = Arc::new(open);
    let hands = Hands {
        draw: Box::new(|_, _| None),
        compose: Box::new(|answer, _, _| {
            let Findings { study, reasons, .. } = &answer.findings;
            let result = format!("{} {}", study.description, reasons.len());
            Ok(archives::objects(&study.study_instance_uid, &result))
        }),
        witness: Box::new(|_| ()),
        transactions: Transactions::of(&boot.to_string()),
    };
    let rules = Rules {
        waits: WAITS,
        retention: RETENTION,
        destinations: archives::terms(),
    };
    let core = Core::new(Arc::clone(&spool), Arc::clone(&open), rules, hands);
    (!disk.is_off()).then_some((spool, open, core))
}

fn store<'s>(spool: &'s Spool, image: &Image) -> Result<Stored<'s>, StoreError> {
    let mut incoming = spool.receive(image.command())?;
    incoming.write(&image.data_set())?;
    incoming.store()
}

/// Findings that say which images they are about.
fn answer(study: &Uid, seen: &Instances) -> Answer {
    Answer {
        findings: Findings {
            outcome: Outcome::Answered,
            study: StudyIdentity {
                study_instance_uid: study.to_string(),
                description: fingerprint(&seen.iter().cloned().collect()),
                ..StudyIdentity::default()
            },
            ..Findings::blank("")
        },
        pictures: Pictures::default(),
        evidence: Evidence::default(),
    }
}
