//! The keeper of the studies: one thread, one inbox, every decision.
//!
//! | file | owns |
//! |---|---|
//! | `core` | the decisions: messages and time in, actions out |
//! | `memory` | which studies it holds |
//! | `answers` | what becomes of an analysis |
//! | `deliveries` | what becomes of its findings |
//! | `housekeeping` | what goes to make room |
//! | here | the thread around them: clock, inbox, analyst, screen, journal |

mod answers;
mod core;
mod deliveries;
mod housekeeping;
#[cfg(test)]
mod life;
mod memory;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use board::Frame;
use models::findings::{Fault, Reason};
use models::mr::Contrast;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use self::core::{Action, Core, Hands};
use super::scene::Scene;
use super::{Analyst, Event};
use crate::analysis::{Answer, Whose};
use crate::dicom::{Committed, Uid};
use crate::limits::HEART_IDLE;
use crate::outbox::{Couriers, Visit};
use crate::report::{self, Device, Predecessor};
use crate::screen::situation::{Certificate, Phase, Stop};
use crate::spool::Spool;
use crate::station::audit::Audit;
use crate::station::device::Transactions;
use crate::station::heart::Heart;
use crate::station::notice::Notice;
use crate::station::refusals::{Refusal, Refusals};
use crate::study::evidence::Announced;
use crate::study::open::OpenStudies;
use crate::study::{Arrival, AssociationId};

pub(super) use self::core::{Draw, Rules};

/// What the keeper is told.
pub(super) enum Message {
    /// An instance is durable and its study marked.
    Stored {
        study: Uid,
        arrival: Arrival,
        /// Else it was there already.
        is_new: bool,
    },
    /// A procedure step says what belongs to a study.
    Announced(Announced),
    /// An association is over.
    Ended {
        association: AssociationId,
        released: bool,
    },
    /// A system was let in.
    Called { ae_title: String, address: IpAddr },
    /// Something was turned away.
    Refused(Refusal),
    /// The contrasts of a study were looked through.
    Surveyed {
        study: Uid,
        instances: u64,
        /// None when the analyst knows no contrasts.
        missing: Option<Vec<Contrast>>,
    },
    /// The analysis ended.
    Analyzed {
        study: Uid,
        outcome: Result<Box<Answer>, Reason>,
        /// Whose study it is, where there is no answer that says it.
        whose: Option<Box<Whose>>,
    },
    /// A step of an analysis begins.
    Step { study: Uid, step: String },
    /// All pictures of a study lie in a file, as the analysis of this number saw it.
    Pictured { study: Uid, number: u64, draft: PathBuf },
    /// Our certificates.
    Certificates(Vec<Certificate>),
    /// Whose study it is, where that can be said.
    Identified { study: Uid, whose: Option<Box<Whose>> },
    /// A courier is back.
    Visited(Box<Visit>),
    /// A destination says what it keeps.
    Committed(Committed),
    /// What somebody has to see to before long; all that there is about this now.
    Notices(Topic, Vec<Notice>),
    /// What the screen shows is to be written down.
    Record,
    /// The appliance takes nothing more, and ends what is under way.
    Stopping,
    /// The appliance stops.
    Stop,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// Certificates of callers and for them.
    Certificates,
    /// The way of the audit trail to its server.
    AuditTrail,
    /// The ways of findings to their destinations.
    Destinations,
    /// What the start met with.
    Start,
    /// The box's own network.
    Network,
}

/// The keeper's surroundings.
pub(super) struct Keeper {
    pub spool: Arc<Spool>,
    pub open: Arc<OpenStudies>,
    pub rules: Rules,
    pub refusals: Refusals,
    pub audit: Arc<Audit>,
    pub analyst: Arc<dyn Analyst>,
    pub events: broadcast::Sender<Event>,
    pub scene: Scene,
    /// Beats while it decides.
    pub heart: Arc<Heart>,
    /// Who brings findings to their destinations.
    pub couriers: Couriers,
    /// For requests of ours.
    pub transactions: Transactions,
    /// Who signs the objects.
    pub device: Device,
    pub inbox: SyncSender<Message>,
    /// Where the analyst is asked.
    pub runtime: Handle,
}

impl Keeper {
    /// Goes on with what is on disk, then with what comes, until told to stop.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let started = Instant::now();
        let (spool, open) = (Arc::clone(&self.spool), Arc::clone(&self.open));
        let audit = Arc::clone(&self.audit);
        let witness = move |event| audit.record(&event);
        let device = self.device.clone();
        let compose = move |answer: &Answer, page: Option<&Frame>, before: Option<&Predecessor>| {
            let made = OffsetDateTime::now_utc();
            report::objects(&answer.findings, &answer.evidence, page, &device, before, made)
        };
        let hands = Hands {
            draw: self.scene.drawing(),
            compose: Box::new(compose),
            witness: Box::new(witness),
            transactions: self.transactions.clone(),
        };
        let mut core = Core::new(spool, open, self.rules.clone(), hands);
        tracing::info!(studies = core.unfinished(), "went on with the unfinished studies");
        let mut actions = core.tick(Duration::ZERO);
        loop {
            let now = started.elapsed();
            self.heart.beat();
            if !actions.is_empty() {
                self.scene.touch();
            }
            actions.into_iter().for_each(|action| self.act(action, now));
            self.scene.notices(Topic::Destinations, core.queues.notices());
            let short = core.short_of_space().is_some();
            let redraw = self.scene.refresh(now, core.views(), core.queues.stand(), short);
            let next = core
                .due()
                .saturating_sub(started.elapsed())
                .min(redraw)
                .min(HEART_IDLE);
            actions = match messages.recv_timeout(next) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    let last = core.stop(started.elapsed());
                    last.into_iter().for_each(|action| self.act(action, now));
                    self.scene.stops(Phase::Stopping(Stop::Delivering));
                    self.couriers.stop();
                    self.scene.stops(Phase::Stopped);
                    return;
                }
                Ok(Message::Refused(refusal)) => {
                    self.refused(refusal, now);
                    Vec::new()
                }
                Ok(Message::Notices(topic, notices)) => {
                    self.scene.notices(topic, notices);
                    Vec::new()
                }
                Ok(Message::Called { ae_title, address }) => {
                    self.scene.called(ae_title, address, now);
                    Vec::new()
                }
                Ok(Message::Record) => {
                    self.scene.record();
                    Vec::new()
                }
                Ok(Message::Stopping) => {
                    self.scene.stops(Phase::Stopping(Stop::Receiving));
                    Vec::new()
                }
                Ok(Message::Certificates(certificates)) => {
                    self.scene.certificates(certificates);
                    Vec::new()
                }
                Ok(message) => {
                    self.scene.touch();
                    core.take(message, started.elapsed())
                }
                Err(RecvTimeoutError::Timeout) => Vec::new(),
            };
            actions.extend(core.tick(started.elapsed()));
        }
    }

    fn act(&mut self, action: Action, now: Duration) {
        match action {
            Action::Survey { study, instances } => self.survey(study, instances),
            Action::Analyze { study, number } => self.analyze(study, number),
            Action::Identify { study } => self.identify(study),
            Action::Deliver(errand) => self.couriers.send(errand),
            // Nobody needs to listen.
            Action::Tell(event) => drop(self.events.send(event)),
            Action::Answered => self.scene.answered(now),
            Action::Complain(reason) => {
                tracing::error!(code = reason.code, "{reason}");
                self.refused(Refusal::now("station", None, reason), now);
            }
        }
    }

    fn survey(&self, study: Uid, instances: u64) {
        let (analyst, inbox) = (Arc::clone(&self.analyst), self.inbox.clone());
        let folder = self.spool.folder(&study);
        self.runtime.spawn(async move {
            let missing = analyst.missing_contrasts(&folder).await;
            let surveyed = Message::Surveyed {
                study,
                instances,
                missing,
            };
            report(inbox, surveyed).await;
        });
    }

    fn analyze(&self, study: Uid, number: u64) {
        let (analyst, inbox) = (Arc::clone(&self.analyst), self.inbox.clone());
        let folder = self.spool.folder(&study);
        let draft = self.open.records().draft(&study, number);
        self.runtime.spawn(async move {
            // In a task of its own, so that even an error of ours in it comes back as a reason.
            let (analyzing, its_folder) = (Arc::clone(&analyst), folder.clone());
            let (steps, stepping) = (inbox.clone(), study.clone());
            let told = move |step: &str| {
                let (study, step) = (stepping.clone(), step.to_owned());
                // For the eyes only: a keeper that is busy may miss one.
                let _ = steps.try_send(Message::Step { study, step });
            };
            let analysis = tokio::spawn(async move { analyzing.analyze(&its_folder, &told).await });
            let outcome = analysis.await.unwrap_or_else(|_| {
                let text = "the analysis ended by an error of ours";
                Err(Reason::new("internal", Fault::Us, text))
            });
            let whose = match &outcome {
                Ok(_) => None,
                Err(_) => analyst.identify(&folder).await.map(Box::new),
            };
            let is_answer = outcome.is_ok();
            let analyzed = Message::Analyzed {
                study: study.clone(),
                outcome: outcome.map(Box::new),
                whose,
            };
            report(inbox.clone(), analyzed).await;
            if is_answer
                && let Some(pictures) = analyst.pictures(&folder).await
                && let Some(draft) = draft_pictures(draft, pictures).await
            {
                let pictured = Message::Pictured { study, number, draft };
                report(inbox, pictured).await;
            }
        });
    }

    fn identify(&self, study: Uid) {
        let (analyst, inbox) = (Arc::clone(&self.analyst), self.inbox.clone());
        let folder = self.spool.folder(&study);
        self.runtime.spawn(async move {
            let whose = analyst.identify(&folder).await.map(Box::new);
            report(inbox, Message::Identified { study, whose }).await;
        });
    }

    fn refused(&mut self, refusal: Refusal, now: Duration) {
        if let Err(error) = self.refusals.record(&refusal) {
            tracing::error!(%error, "the refusal journal cannot be written");
        }
        self.scene.refused(&refusal, now);
        let _ = self.events.send(Event::Refused(refusal));
    }
}

/// Writes all slices beside the first one, durably, so that the keeper has only to rename them.
async fn draft_pictures(draft: PathBuf, pictures: Vec<u8>) -> Option<PathBuf> {
    let keep = move || -> std::io::Result<PathBuf> {
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&pictures)?;
            file.sync_all()
        });
        // A full disk does not become fuller.
        written.inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
        Ok(draft)
    };
    let kept = tokio::task::spawn_blocking(keep).await.ok()?;
    kept.inspect_err(|error| tracing::warn!(%error, "the pictures cannot be kept"))
        .ok()
}

/// To the keeper, without holding up a thread of the runtime while its inbox is full.
async fn report(inbox: SyncSender<Message>, message: Message) {
    let sent = tokio::task::spawn_blocking(move || drop(inbox.send(message)));
    // A keeper that is gone needs no reports.
    let _ = sent.await;
}
