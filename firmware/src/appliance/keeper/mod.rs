//! The keeper of the studies: one thread, one inbox, every decision.

mod analysis;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use models::findings::{Fault, Reason, StudyIdentity};
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::scene::{Scene, StudyView};
use super::{Analyst, Event};
use crate::analysis::Answer;
use crate::dicom::Uid;
use crate::spool::Spool;
use crate::station::refusals::{Refusal, Refusals};
use crate::study::record::{Records, State, fingerprint};
use crate::study::{AssociationId, Effect, Event as Happening, Progress, Stage};

/// What the keeper is told.
pub(super) enum Message {
    /// A new instance is durable.
    Stored { association: AssociationId, study: Uid },
    /// An association is over.
    Ended {
        association: AssociationId,
        released: bool,
    },
    /// Something was turned away.
    Refused(Refusal),
    /// The contrasts of a study were looked through.
    Surveyed {
        study: Uid,
        instances: u64,
        all_there: bool,
    },
    /// The analysis ended.
    Analyzed {
        study: Uid,
        outcome: Result<Box<Answer>, Reason>,
    },
    /// What somebody has to see to before long.
    Notices(Vec<String>),
    /// The appliance stops.
    Stop,
}

/// A study and what is known about it besides its progress.
struct Kept {
    progress: Progress,
    /// Of the instances that the last analysis took up.
    covered: String,
    /// Of the last findings.
    identity: Option<StudyIdentity>,
    /// When the stage last changed.
    since: Duration,
}

pub(super) struct Keeper {
    spool: Arc<Spool>,
    records: Records,
    refusals: Refusals,
    analyst: Arc<dyn Analyst>,
    events: broadcast::Sender<Event>,
    scene: Scene,
    quiet: Duration,
    inbox: SyncSender<Message>,
    runtime: Handle,
    started: Instant,
    studies: BTreeMap<Uid, Kept>,
    /// Complete studies that wait for the analyst, who answers about one at a time.
    waiting: VecDeque<Uid>,
    analyst_busy: bool,
}

impl Keeper {
    /// Must be called within a tokio runtime.
    #[allow(
        clippy::too_many_arguments,
        reason = "the wiring of one private type, in one place"
    )]
    pub(super) fn new(
        spool: Arc<Spool>,
        records: Records,
        refusals: Refusals,
        analyst: Arc<dyn Analyst>,
        events: broadcast::Sender<Event>,
        scene: Scene,
        quiet: Duration,
        inbox: SyncSender<Message>,
    ) -> Self {
        Self {
            spool,
            records,
            refusals,
            analyst,
            events,
            scene,
            quiet,
            inbox,
            runtime: Handle::current(),
            started: Instant::now(),
            studies: BTreeMap::new(),
            waiting: VecDeque::new(),
            analyst_busy: false,
        }
    }

    /// Goes on with what is on disk, then with what comes, until told to stop.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.restore();
        loop {
            self.begin_next();
            let views = self.studies.iter().map(|(uid, kept)| kept.view(uid));
            let redraw = self.scene.refresh(self.started.elapsed(), views);
            match messages.recv_timeout(self.until_next_deadline().min(redraw)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tick();
        }
    }

    fn restore(&mut self) {
        let studies = self.spool.studies().unwrap_or_else(|error| {
            self.disk_failed("the spool cannot be listed", &error);
            Vec::new()
        });
        for study in studies {
            if let Err(error) = self.restore_one(&study) {
                self.disk_failed("a study cannot be restored", &error);
            }
        }
        tracing::info!(studies = self.studies.len(), "went on with the studies on disk");
    }

    fn restore_one(&mut self, study: &Uid) -> std::io::Result<()> {
        let instances = self.spool.instances(study)?;
        if instances.is_empty() {
            return Ok(());
        }
        // A state that cannot be read says nothing; the images are there, so they are analyzed anew.
        let state = self.records.state(study).unwrap_or_else(|error| {
            self.disk_failed("a state file cannot be read", &error);
            None
        });
        let present = fingerprint(&instances);
        let unchanged = state.as_ref().is_none_or(|state| state.instances == present);
        let (stage, attempts) = state.map_or((Stage::Receiving, 0), |state| (state.stage, state.attempts));
        let now = self.started.elapsed();
        let count = instances.len() as u64;
        let was_analyzing = stage == Stage::Analyzing;
        let (progress, effects) = Progress::restore(stage, attempts, count, unchanged, now);
        let given_up = match progress.stage() {
            Stage::Failed(reason) if was_analyzing => Some(reason.clone()),
            _ => None,
        };
        self.studies.insert(
            study.clone(),
            Kept {
                progress,
                covered: present,
                identity: None,
                since: now,
            },
        );
        if let Some(reason) = given_up {
            self.give_up(study, reason);
        }
        self.carry_out(study, effects);
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Stored { association, study } => {
                let now = self.started.elapsed();
                let fresh = || Kept {
                    progress: Progress::new(now),
                    covered: String::new(),
                    identity: None,
                    since: now,
                };
                self.studies.entry(study.clone()).or_insert_with(fresh);
                self.happened(&study, Happening::Stored(association));
                let instances = self
                    .studies
                    .get(&study)
                    .map_or(0, |kept| kept.progress.instances());
                self.tell(Event::InstanceStored { study, instances });
            }
            Message::Ended {
                association,
                released,
            } => {
                for study in self.studies.keys().cloned().collect::<Vec<_>>() {
                    self.happened(
                        &study,
                        Happening::Ended {
                            association,
                            released,
                        },
                    );
                }
            }
            Message::Surveyed {
                study,
                instances,
                all_there,
            } => {
                self.happened(&study, Happening::Surveyed { instances, all_there });
            }
            Message::Analyzed { study, outcome } => {
                self.analyst_busy = false;
                self.analyzed(&study, outcome);
            }
            Message::Refused(refusal) => self.refused(refusal),
            Message::Notices(notices) => self.scene.notices(notices),
            Message::Stop => {}
        }
    }

    fn tick(&mut self) {
        let now = self.started.elapsed();
        let due = |kept: &Kept| {
            kept.progress
                .deadline(self.quiet)
                .is_some_and(|deadline| deadline <= now)
        };
        let due: Vec<_> = self
            .studies
            .iter()
            .filter(|(_, kept)| due(kept))
            .map(|(uid, _)| uid.clone())
            .collect();
        for study in due {
            self.happened(&study, Happening::Tick);
        }
    }

    fn until_next_deadline(&self) -> Duration {
        let deadlines = self
            .studies
            .values()
            .filter_map(|kept| kept.progress.deadline(self.quiet));
        deadlines.min().map_or(Duration::MAX, |deadline| {
            deadline.saturating_sub(self.started.elapsed())
        })
    }

    fn happened(&mut self, study: &Uid, event: Happening) {
        let now = self.started.elapsed();
        let Some(kept) = self.studies.get_mut(study) else {
            return;
        };
        let before = kept.progress.stage().clone();
        let effects = kept.progress.on(event, now, self.quiet);
        if *kept.progress.stage() != before {
            kept.since = now;
        }
        self.carry_out(study, effects);
    }

    fn carry_out(&mut self, study: &Uid, effects: Vec<Effect>) {
        for effect in effects {
            let done = match effect {
                Effect::Persist => self.persist(study),
                Effect::Supersede => self.records.supersede(study),
                Effect::Survey => {
                    self.survey(study);
                    Ok(())
                }
                Effect::Queue => {
                    let instances = self
                        .studies
                        .get(study)
                        .map_or(0, |kept| kept.progress.instances());
                    tracing::info!(study = study.tag(), instances, "study complete");
                    self.tell(Event::StudyComplete {
                        study: study.clone(),
                        instances,
                    });
                    self.waiting.push_back(study.clone());
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.disk_failed("the state of a study cannot be kept", &error);
            }
        }
        self.scene.touch();
    }

    fn persist(&self, study: &Uid) -> std::io::Result<()> {
        let Some(kept) = self.studies.get(study) else {
            return Ok(());
        };
        let stage = kept.progress.stage().clone();
        // Results are about the instances that the analysis took up, not about those that came since
        // and wait in the inbox: after a power cut the difference reopens the study.
        let instances = match stage {
            Stage::Receiving | Stage::Complete => fingerprint(&self.spool.instances(study)?),
            _ => kept.covered.clone(),
        };
        self.records.keep_state(
            study,
            &State {
                stage,
                attempts: kept.progress.attempts(),
                instances,
            },
        )
    }

    fn refused(&mut self, refusal: Refusal) {
        if let Err(error) = self.refusals.record(&refusal) {
            tracing::error!(%error, "the refusal journal cannot be written");
        }
        self.scene.refused(&refusal, self.started.elapsed());
        self.tell(Event::Refused(refusal));
    }

    fn disk_failed(&mut self, what: &str, error: &std::io::Error) {
        let reason = Reason::new("disk", Fault::Hardware, format!("{what}: {error}"));
        tracing::error!(code = reason.code, "{reason}");
        self.refused(Refusal::now("station", None, reason));
    }

    fn tell(&self, event: Event) {
        // Nobody needs to listen.
        let _ = self.events.send(event);
    }
}

impl Kept {
    fn view<'a>(&'a self, study: &'a Uid) -> StudyView<'a> {
        StudyView {
            study,
            stage: self.progress.stage(),
            identity: self.identity.as_ref(),
            images: self.progress.instances(),
            since: self.since,
        }
    }
}
