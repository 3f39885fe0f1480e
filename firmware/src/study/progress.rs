//! How a study proceeds: a state machine without input, output or clock.
//!
//! Time is monotonic, as the duration since the appliance started.

use std::collections::BTreeSet;
use std::time::Duration;

use models::findings::{Fault, Reason};
use serde::{Deserialize, Serialize};

use crate::limits::MAX_ATTEMPTS;

/// An association, numbered since the appliance started.
pub type AssociationId = u64;

/// How far a study is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Images come, or may still come.
    Receiving,
    /// All is there; waits for the analysis.
    Complete,
    /// The analysis runs.
    Analyzing,
    /// The findings are on disk and on the screen.
    Reported,
    /// The findings are at every destination.
    Delivered,
    /// The analysis gave no answer, and will not.
    Failed(Reason),
}

/// What happens to a study.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A new instance is durable.
    Stored(AssociationId),
    /// An association is over; `released` as the standard says, or broken off.
    Ended {
        /// Which one.
        association: AssociationId,
        /// Released by the peer. A broken one will probably be repeated.
        released: bool,
    },
    /// The images were looked through when there were `instances` of them.
    Surveyed {
        /// How many there were.
        instances: u64,
        /// Whether all contrasts that the model knows are there.
        all_there: bool,
    },
    /// Time passed.
    Tick,
    /// The analysis took up all instances.
    Began,
    /// The findings of the running analysis are on disk.
    Answered,
    /// The running analysis ended without an answer.
    Stopped(Reason),
    /// The findings are at every destination.
    Delivered,
}

/// What must now be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Keep the stage on disk.
    Persist,
    /// Earlier findings no longer tell about all images: put them aside.
    Supersede,
    /// Look which contrasts are there.
    Survey,
    /// Analyze when the worker is free.
    Queue,
}

/// One study on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    stage: Stage,
    /// Durable instances.
    instances: u64,
    /// Of these, how many the running or last analysis took up.
    covered: u64,
    /// Analyses of the present instances that began.
    attempts: u32,
    /// Associations that brought images and are not over.
    open: BTreeSet<AssociationId>,
    /// One of them broke off; then only quiet time tells that nothing more comes.
    broken_off: bool,
    /// When the last image came, or the last association ended.
    last_change: Duration,
}

impl Progress {
    /// A study whose first image is about to come.
    pub fn new(now: Duration) -> Self {
        Self {
            stage: Stage::Receiving,
            instances: 0,
            covered: 0,
            attempts: 0,
            open: BTreeSet::new(),
            broken_off: false,
            last_change: now,
        }
    }

    /// A study as it is after a restart. `stage` and `attempts` as they were kept; `unchanged` says
    /// whether the `instances` on disk are those that the stage was about.
    pub fn restore(
        stage: Stage,
        attempts: u32,
        instances: u64,
        unchanged: bool,
        now: Duration,
    ) -> (Self, Vec<Effect>) {
        let mut study = Self {
            instances,
            attempts,
            covered: instances,
            ..Self::new(now)
        };
        if !unchanged {
            let had_findings = matches!(stage, Stage::Reported | Stage::Delivered | Stage::Failed(_));
            study.reopen();
            return (
                study,
                if had_findings {
                    vec![Effect::Supersede, Effect::Persist]
                } else {
                    vec![]
                },
            );
        }
        match stage {
            // Whoever was sending lost the connection, so only quiet time can end it.
            Stage::Receiving => {
                study.reopen();
                study.broken_off = true;
                (study, vec![])
            }
            Stage::Complete => {
                study.stage = Stage::Complete;
                (study, vec![Effect::Queue])
            }
            Stage::Analyzing => {
                let died = "the appliance stopped during its analysis";
                study.stage = Stage::Analyzing;
                let effects = study.on(
                    Event::Stopped(Reason::new("interrupted", Fault::Us, died)),
                    now,
                    Duration::ZERO,
                );
                (study, effects)
            }
            stage => {
                study.stage = stage;
                (study, vec![])
            }
        }
    }

    /// How far it is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Durable instances.
    pub fn instances(&self) -> u64 {
        self.instances
    }

    /// Analyses of the present instances that began.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the running or last analysis took up every instance.
    pub fn covers_all(&self) -> bool {
        self.covered == self.instances
    }

    /// When quiet time will make it complete, if nothing else happens.
    pub fn deadline(&self, quiet: Duration) -> Option<Duration> {
        (self.stage == Stage::Receiving && self.instances > 0 && self.open.is_empty())
            .then(|| self.last_change.saturating_add(quiet))
    }

    /// Takes in an event and says what must be done. Events that do not fit the stage change nothing.
    pub fn on(&mut self, event: Event, now: Duration, quiet: Duration) -> Vec<Effect> {
        match event {
            Event::Stored(association) => self.stored(association, now),
            Event::Ended {
                association,
                released,
            } => {
                if !self.open.remove(&association) {
                    return vec![];
                }
                self.broken_off |= !released;
                self.last_change = now;
                let look = self.stage == Stage::Receiving && self.open.is_empty() && !self.broken_off;
                if look { vec![Effect::Survey] } else { vec![] }
            }
            Event::Surveyed { instances, all_there } => {
                let still_so = instances == self.instances && self.open.is_empty() && !self.broken_off;
                if self.stage == Stage::Receiving && all_there && still_so {
                    self.complete()
                } else {
                    vec![]
                }
            }
            Event::Tick => match self.deadline(quiet) {
                Some(deadline) if now >= deadline => self.complete(),
                _ => vec![],
            },
            Event::Began if self.stage == Stage::Complete => {
                self.covered = self.instances;
                self.attempts += 1;
                self.to(Stage::Analyzing)
            }
            Event::Answered if self.stage == Stage::Analyzing => self.to(Stage::Reported),
            Event::Stopped(reason) if self.stage == Stage::Analyzing => {
                let passing = matches!(reason.fault, Fault::Us | Fault::Hardware);
                if passing && self.attempts < MAX_ATTEMPTS {
                    return self.complete();
                }
                self.to(Stage::Failed(reason))
            }
            Event::Delivered if self.stage == Stage::Reported => self.to(Stage::Delivered),
            Event::Began | Event::Answered | Event::Stopped(_) | Event::Delivered => vec![],
        }
    }

    fn stored(&mut self, association: AssociationId, now: Duration) -> Vec<Effect> {
        self.instances += 1;
        self.open.insert(association);
        self.last_change = now;
        let first = self.instances == 1;
        match self.stage {
            Stage::Receiving if first => vec![Effect::Persist],
            Stage::Receiving => vec![],
            Stage::Complete | Stage::Analyzing => {
                self.reopen();
                vec![Effect::Persist]
            }
            Stage::Reported | Stage::Delivered | Stage::Failed(_) => {
                self.reopen();
                vec![Effect::Supersede, Effect::Persist]
            }
        }
    }

    fn reopen(&mut self) {
        self.stage = Stage::Receiving;
        self.covered = 0;
        self.attempts = 0;
    }

    fn complete(&mut self) -> Vec<Effect> {
        self.stage = Stage::Complete;
        self.broken_off = false;
        vec![Effect::Persist, Effect::Queue]
    }

    fn to(&mut self, stage: Stage) -> Vec<Effect> {
        self.stage = stage;
        vec![Effect::Persist]
    }
}

#[cfg(test)]
mod tests;
