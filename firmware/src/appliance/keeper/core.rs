//! Every decision about studies, deterministic: messages and monotonic time in, actions out.
//!
//! What it decides is durable before anything follows from it. It knows no thread, no socket and no
//! clock, and its disk may be a simulated one: the tests live through days of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use board::Frame;
use models::findings::{Fault, Findings, Reason, StudyIdentity};
use models::pictures::Pictures;

use super::Message;
use super::deliveries::Queues;
use super::housekeeping::Housekeeping;
use crate::analysis::{Answer, Whose};
use crate::appliance::Event;
use crate::appliance::scene::StudyView;
use crate::dicom::Uid;
use crate::limits::MAX_ANNOUNCED_STUDIES;
use crate::outbox::Errand;
use crate::outbox::delivery::Delivery;
use crate::outbox::destination::Terms;
use crate::report::{Object, Predecessor};
use crate::screen::situation::{Delivery as Shown, Verdict};
use crate::spool::Spool;
use crate::station::audit::AuditEvent;
use crate::station::device::Transactions;
use crate::study::evidence::{Announced, Missing};
use crate::study::open::OpenStudies;
use crate::study::record::{Records, State, fingerprint};
use crate::study::retention::Retention;
use crate::study::{Arrival, Effect, Event as Happening, Progress, Stage, Waits};

/// The settings that decide.
#[derive(Debug, Clone)]
pub(in crate::appliance) struct Rules {
    pub waits: Waits,
    pub retention: Retention,
    /// Where findings go. A study is not done before they are there.
    pub destinations: Vec<Terms>,
}

/// Draws the page about findings; none when that failed.
pub(in crate::appliance) type Draw = Box<dyn Fn(&Findings, &Pictures) -> Option<Frame> + Send>;

/// Makes the DICOM objects about an answer.
pub(in crate::appliance) type Compose =
    Box<dyn Fn(&Answer, Option<&Frame>, Option<&Predecessor>) -> Result<Vec<Object>, Reason> + Send>;

/// Writes into the audit trail, durably.
pub(in crate::appliance) type Witness = Box<dyn Fn(AuditEvent) + Send>;

/// What the core has done for it.
pub(super) struct Hands {
    pub draw: Draw,
    pub compose: Compose,
    pub witness: Witness,
    pub transactions: Transactions,
}

/// What the keeper must see to, in this order.
pub(super) enum Action {
    /// Ask which contrasts are there.
    Survey { study: Uid, instances: u64 },
    /// Ask for findings. The analyses are numbered.
    Analyze { study: Uid, number: u64 },
    /// Ask whose study it is.
    Identify { study: Uid },
    /// Send a courier out.
    Deliver(Errand),
    /// Tell whoever watches.
    Tell(Event),
    /// Tell people that there is a result.
    Answered,
    /// Tell people that something of ours does not work.
    Complain(Reason),
}

/// A study in memory: it is unfinished, or an association that brought its images is still open.
pub(super) struct Kept {
    pub(super) progress: Progress,
    /// Of the instances that the last analysis took up.
    pub(super) covered: String,
    /// What the running analysis had to begin without.
    pub(super) remark: Option<Reason>,
    /// Of the last findings.
    pub(super) identity: Option<StudyIdentity>,
    pub(super) verdict: Option<Verdict>,
    /// Raised with every answer.
    pub(super) answers: u32,
    /// Raised whenever there is more or less to see of it.
    pub(super) pictures: u32,
    /// The step of the running analysis.
    pub(super) step: Option<String>,
    /// The number of the last analysis.
    pub(super) analysis: u64,
    /// When the stage last changed; none where that was before the start.
    pub(super) since: Option<Duration>,
    /// The state could not be kept; it is tried again.
    pub(super) unsaved: bool,
    /// Whose it is, as an analysis that failed left it.
    pub(super) whose: Option<Box<Whose>>,
    /// Findings that say why there are none could not be kept; they are tried again, and the state waits.
    pub(super) owed: Option<Reason>,
    /// Given up by a start for this reason; it waits to be told whose study it is.
    pub(super) nameless: Option<Reason>,
    /// How far its objects are on their way; none where nobody is to get them.
    pub(super) delivery: Option<Delivery>,
    /// That could not be kept; it is tried again.
    pub(super) unsaved_delivery: bool,
}

/// A finished study as the status page remembers it.
pub(super) struct Settled {
    pub(super) study: Uid,
    pub(super) stage: Stage,
    pub(super) identity: Option<StudyIdentity>,
    pub(super) verdict: Option<Verdict>,
    pub(super) answers: u32,
    pub(super) pictures: u32,
    pub(super) analysis: u64,
    pub(super) images: u64,
    /// None where it was finished before the start.
    pub(super) since: Option<Duration>,
}

/// The keeper without its surroundings.
pub(super) struct Core {
    pub(super) spool: Arc<Spool>,
    pub(super) records: Arc<Records>,
    pub(super) open: Arc<OpenStudies>,
    pub(super) rules: Rules,
    pub(super) hands: Hands,
    pub(super) studies: BTreeMap<Uid, Kept>,
    /// Marked studies that the disk would not let us read; tried again.
    pub(super) unread: BTreeSet<Uid>,
    /// The last finished ones, the newest first.
    pub(super) settled: VecDeque<Settled>,
    /// Announcements about studies that are not in memory, the oldest first.
    pub(super) announced: VecDeque<Announced>,
    /// Complete studies that wait for the analyst, who answers about one at a time.
    waiting: VecDeque<Uid>,
    pub(super) analyst_busy: bool,
    /// Analyses that began since the start.
    analyses: u64,
    /// Of the message or tick that is being dealt with, since the start.
    pub(super) now: Duration,
    /// How long the appliance had run before this start.
    pub(super) ran_before: Duration,
    pub(super) housekeeping: Housekeeping,
    pub(super) queues: Queues,
    pub(super) actions: Vec<Action>,
}

impl Core {
    /// Goes on with the unfinished studies, and with nothing else.
    pub(super) fn new(spool: Arc<Spool>, open: Arc<OpenStudies>, rules: Rules, hands: Hands) -> Self {
        let mut core = Self {
            queues: Queues::new(&rules.destinations),
            spool,
            records: Arc::clone(open.records()),
            open,
            rules,
            hands,
            studies: BTreeMap::new(),
            unread: BTreeSet::new(),
            settled: VecDeque::new(),
            announced: VecDeque::new(),
            waiting: VecDeque::new(),
            analyst_busy: false,
            analyses: 0,
            now: Duration::ZERO,
            ran_before: Duration::ZERO,
            housekeeping: Housekeeping::default(),
            actions: Vec::new(),
        };
        match core.records.running() {
            Ok(running) => core.ran_before = running,
            // Everything looks young then, and is kept longer.
            Err(error) => core.disk_failed("the running time cannot be read", &error),
        }
        core.recall();
        for study in core.open.studies() {
            core.load(&study, true);
        }
        core.begin_next();
        core.send_couriers();
        core
    }

    /// Deals with a message at its time.
    pub(super) fn take(&mut self, message: Message, now: Duration) -> Vec<Action> {
        self.now = now;
        match message {
            Message::Stored {
                study,
                arrival,
                is_new,
            } => self.stored(study, arrival, is_new),
            Message::Announced(announced) => self.announced(announced),
            Message::Ended {
                association,
                released,
            } => {
                let fed = self
                    .studies
                    .iter()
                    .filter(|(_, kept)| kept.progress.is_fed_by(association));
                for study in fed.map(|(study, _)| study.clone()).collect::<Vec<_>>() {
                    let ended = Happening::Ended {
                        association,
                        released,
                    };
                    self.happened(&study, ended);
                }
            }
            Message::Surveyed {
                study,
                instances,
                missing,
            } => {
                // Who knows no contrasts has nothing to say about them.
                if let Some(missing) = missing {
                    self.happened(&study, Happening::Surveyed { instances, missing });
                }
            }
            Message::Analyzed {
                study,
                outcome,
                whose,
            } => {
                self.analyst_busy = false;
                if let Some(kept) = self.studies.get_mut(&study) {
                    kept.whose = whose;
                }
                self.analyzed(&study, outcome);
            }
            Message::Identified { study, whose } => self.identified(&study, whose),
            Message::Step { study, step } => self.stepped(&study, step),
            Message::Pictured { study, number, draft } => self.pictured(&study, number, &draft),
            Message::Visited(visit) => self.visited(*visit),
            Message::Committed(committed) => self.committed(&committed),
            Message::Called { .. }
            | Message::Refused(_)
            | Message::Notices(..)
            | Message::Certificates(_)
            | Message::Record
            | Message::Stopping
            | Message::Stop => {}
        }
        self.begin_next();
        self.send_couriers();
        std::mem::take(&mut self.actions)
    }

    /// Does what has become due.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Action> {
        self.now = now;
        let waits = self.rules.waits;
        let due = |kept: &Kept| kept.progress.deadline(waits).is_some_and(|due| due <= now);
        let due: Vec<_> = self
            .studies
            .iter()
            .filter(|(_, kept)| due(kept))
            .map(|(uid, _)| uid.clone())
            .collect();
        for study in due {
            self.happened(&study, Happening::Tick);
        }
        self.keep_house();
        self.begin_next();
        self.send_couriers();
        std::mem::take(&mut self.actions)
    }

    /// When [`Core::tick`] is next due.
    pub(super) fn due(&self) -> Duration {
        let deadlines = self.studies.values();
        deadlines
            .filter_map(|kept| kept.progress.deadline(self.rules.waits))
            .chain(self.queues.due())
            .fold(self.housekeeping.due, Duration::min)
    }

    /// The last word before a stop.
    pub(super) fn stop(&mut self, now: Duration) -> Vec<Action> {
        self.now = now;
        self.keep_running();
        std::mem::take(&mut self.actions)
    }

    /// How many studies are in memory.
    pub(super) fn unfinished(&self) -> usize {
        self.studies.len()
    }

    /// Running time of the appliance, this start and all before.
    pub(super) fn running(&self) -> Duration {
        self.ran_before + self.now
    }

    /// What the status page shows.
    pub(super) fn views(&self) -> impl Iterator<Item = StudyView<'_>> {
        let unfinished = self.studies.iter().map(|(study, kept)| StudyView {
            study,
            stage: kept.progress.stage(),
            missing: kept.progress.missing(),
            step: kept.step.as_deref(),
            delivery: kept
                .delivery
                .as_ref()
                .map_or(Shown::Nowhere, |delivery| self.delivery_view(study, delivery)),
            patient_name: patient_name(kept.identity.as_ref()),
            verdict: kept.verdict,
            answers: kept.answers,
            pictures: kept.pictures,
            images: kept.progress.instances(),
            since: kept.since,
        });
        unfinished.chain(self.settled.iter().map(|settled| StudyView {
            study: &settled.study,
            stage: &settled.stage,
            missing: Missing::default(),
            step: None,
            delivery: Shown::Nowhere,
            patient_name: patient_name(settled.identity.as_ref()),
            verdict: settled.verdict,
            answers: settled.answers,
            pictures: settled.pictures,
            images: settled.images,
            since: settled.since,
        }))
    }

    /// A step of the running analysis begins.
    fn stepped(&mut self, study: &Uid, step: String) {
        if let Some(kept) = self.studies.get_mut(study)
            && *kept.progress.stage() == Stage::Analyzing
        {
            kept.step = Some(step);
        }
    }

    /// All pictures of a study, where the findings that are kept are those of this analysis.
    fn pictured(&mut self, study: &Uid, number: u64, draft: &Path) {
        let kept = self.studies.get_mut(study).filter(|kept| {
            // Else they are superseded, or about to be.
            kept.analysis == number && matches!(kept.progress.stage(), Stage::Reported | Stage::Delivered)
        });
        let settled = self.settled.iter_mut();
        let mut settled = settled.filter(|one| one.study == *study && one.analysis == number);
        let pictures = match kept {
            Some(kept) => Some(&mut kept.pictures),
            None => settled.next().map(|settled| &mut settled.pictures),
        };
        let done = match pictures {
            Some(pictures) => self.records.keep_all_pictures(study, draft).map(|()| {
                *pictures += 1;
                let study = study.clone();
                self.actions.push(Action::Tell(Event::Pictured { study }));
            }),
            None => self.records.drop_draft(draft),
        };
        if let Err(error) = done {
            tracing::warn!(study = study.tag(), %error, "the pictures cannot be kept");
        }
    }

    fn stored(&mut self, study: Uid, arrival: Arrival, is_new: bool) {
        if !self.studies.contains_key(&study) {
            self.load(&study, false);
        }
        self.happened(&study, Happening::Stored(arrival));
        // Only now: until then the study must not be settled.
        self.open.taken_in(&study);
        if is_new {
            let instances = self.instances(&study);
            self.tell(Event::InstanceStored { study, instances });
        }
    }

    fn announced(&mut self, announced: Announced) {
        if self.studies.contains_key(&announced.study) {
            let study = announced.study.clone();
            return self.happened(&study, Happening::Announced(announced));
        }
        // The images come later, or the study is finished and stays so until they do.
        self.announced.retain(|earlier| earlier.study != announced.study);
        if self.announced.len() == MAX_ANNOUNCED_STUDIES {
            self.announced.pop_front();
        }
        self.announced.push_back(announced);
    }

    pub(super) fn happened(&mut self, study: &Uid, event: Happening) {
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        let before = kept.progress.stage().clone();
        let effects = kept.progress.on(event, self.now, self.rules.waits);
        if *kept.progress.stage() != before {
            kept.since = Some(self.now);
            kept.owed = None;
            kept.nameless = None;
            kept.step = None;
        }
        self.carry_out(study, effects);
        self.settle(study);
    }

    pub(super) fn carry_out(&mut self, study: &Uid, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist => self.persist(study),
                Effect::Supersede => {
                    self.withdraw(study);
                    if let Some(kept) = self.studies.get_mut(study) {
                        // Nobody goes on looking at them.
                        kept.pictures += 1;
                        kept.verdict = None;
                    }
                    if let Err(error) = self.records.supersede(study) {
                        self.disk_failed("earlier findings cannot be put aside", &error);
                    }
                }
                Effect::Survey => {
                    let instances = self.instances(study);
                    self.actions.push(Action::Survey {
                        study: study.clone(),
                        instances,
                    });
                }
                Effect::Queue => {
                    let instances = self.instances(study);
                    tracing::info!(study = study.tag(), instances, "study complete");
                    self.tell(Event::StudyComplete {
                        study: study.clone(),
                        instances,
                    });
                    if !self.waiting.contains(study) {
                        self.waiting.push_back(study.clone());
                    }
                }
            }
        }
    }

    pub(super) fn persist(&mut self, study: &Uid) {
        let running = self.running();
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        kept.unsaved = true;
        if kept.owed.is_some() || kept.nameless.is_some() {
            return;
        }
        let stage = kept.progress.stage().clone();
        // Results are about the instances that the analysis took up, not about those that came since
        // and wait in the inbox: after a power cut the difference reopens the study.
        let instances = match stage {
            Stage::Receiving | Stage::Complete => fingerprint(kept.progress.present()),
            _ => kept.covered.clone(),
        };
        let state = State {
            // Rounded up, so that it never goes early.
            finished_at_s: stage.is_final().then_some(running.as_secs() + 1),
            stage,
            attempts: kept.progress.attempts(),
            instances,
            expected: kept.progress.expected().clone(),
        };
        let done = self.records.keep_state(study, &state);
        kept.unsaved = done.is_err();
        if let Err(error) = done {
            self.disk_failed("the state of a study cannot be kept", &error);
        }
    }

    /// Takes the next complete study to the analyst.
    fn begin_next(&mut self) {
        while !self.analyst_busy
            && let Some(study) = self.waiting.pop_front()
        {
            let Some(kept) = self.studies.get_mut(&study) else {
                continue;
            };
            // Reopened since.
            if *kept.progress.stage() != Stage::Complete {
                continue;
            }
            kept.covered = fingerprint(kept.progress.present());
            kept.remark = kept.progress.missing().remark();
            self.happened(&study, Happening::Began);
            tracing::info!(study = study.tag(), "analysis began");
            self.tell(Event::Analyzing { study: study.clone() });
            self.analyses += 1;
            let number = self.analyses;
            if let Some(kept) = self.studies.get_mut(&study) {
                kept.analysis = number;
            }
            self.actions.push(Action::Analyze { study, number });
            self.analyst_busy = true;
        }
    }

    fn instances(&self, study: &Uid) -> u64 {
        self.studies
            .get(study)
            .map_or(0, |kept| kept.progress.instances())
    }

    pub(super) fn disk_failed(&mut self, what: &str, error: &io::Error) {
        // A file that was read well and makes no sense is no fault of the disk.
        if !matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::FileTooLarge
        ) {
            self.spool.distrust(error);
        }
        self.complain(Reason::new("disk", Fault::Hardware, format!("{what}: {error}")));
    }

    pub(super) fn complain(&mut self, reason: Reason) {
        self.actions.push(Action::Complain(reason));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.actions.push(Action::Tell(event));
    }
}

fn patient_name(identity: Option<&StudyIdentity>) -> &str {
    identity.map_or("", |identity| &identity.patient_name)
}
