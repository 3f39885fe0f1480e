//! How a study proceeds: a state machine without input, output or clock.
//!
//! Time is monotonic, as the duration since the appliance started.

use std::collections::BTreeSet;
use std::time::Duration;

use models::findings::{Fault, Reason};
use models::mr::Contrast;
use serde::{Deserialize, Serialize};

use super::evidence::{Announced, Expected, Missing, Present};
use crate::dicom::Uid;
use crate::dicom::dataset::Counts;
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

impl Stage {
    /// Nothing more will be done about the images that are there.
    pub fn is_final(&self) -> bool {
        matches!(self, Stage::Reported | Stage::Delivered | Stage::Failed(_))
    }
}

/// How long to wait for what may still come. Both count from the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// When nothing says that more will come.
    pub quiet: Duration,
    /// When something says so: more was announced than is there, or an association is still open.
    pub patience: Duration,
}

/// An instance that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Which association brought it.
    pub association: AssociationId,
    /// Series Instance UID.
    pub series: Uid,
    /// SOP Instance UID.
    pub sop: Uid,
    /// What it states about its study.
    pub counts: Counts,
}

/// What happens to a study.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An instance is durable, newly or once more.
    Stored(Arrival),
    /// A procedure step says what belongs to the study.
    Announced(Announced),
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
        /// The contrasts that the model knows and the images lack.
        missing: Vec<Contrast>,
    },
    /// Time passed.
    Tick,
    /// The analysis took up all instances that are there.
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

/// What is known of a study after a restart, or when it is looked at again.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The instances on disk.
    pub present: Present,
    /// How far it was; none when no state was kept.
    pub stage: Option<Stage>,
    /// Analyses that began, as it was kept.
    pub attempts: u32,
    /// Whether the kept stage is about the instances on disk.
    pub unchanged: bool,
    /// What was said about the study, as it was kept.
    pub expected: Expected,
    /// The appliance stopped since: whoever was sending lost the connection.
    pub interrupted: bool,
}

/// One study on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    stage: Stage,
    present: Present,
    expected: Expected,
    /// More is expected since the state was last kept. Kept when the association ends, since some
    /// systems count upwards as they send.
    unkept: bool,
    /// What the last look at the images did not find; only shown.
    no_contrasts: Vec<Contrast>,
    /// Of the instances, how many the running or last analysis took up.
    covered: u64,
    /// Analyses of the present instances that began.
    attempts: u32,
    /// Associations that brought images and are not over.
    open: BTreeSet<AssociationId>,
    /// One of them broke off; then contrasts do not tell that nothing more comes.
    broken_off: bool,
    /// When the last image came, or the last association ended.
    last_change: Duration,
}

impl Progress {
    /// A study whose first image is about to come.
    pub fn new(now: Duration) -> Self {
        Self {
            stage: Stage::Receiving,
            present: Present::default(),
            expected: Expected::default(),
            unkept: false,
            no_contrasts: Vec::new(),
            covered: 0,
            attempts: 0,
            open: BTreeSet::new(),
            broken_off: false,
            last_change: now,
        }
    }

    /// A study as it is after a restart.
    pub fn restore(known: Known, now: Duration) -> (Self, Vec<Effect>) {
        let mut study = Self {
            covered: known.present.count(),
            present: known.present,
            expected: known.expected,
            attempts: known.attempts,
            broken_off: known.interrupted,
            ..Self::new(now)
        };
        let Some(stage) = known.stage else {
            return (study, vec![Effect::Persist]);
        };
        if !known.unchanged {
            study.reopen();
            let effects = if stage.is_final() {
                vec![Effect::Supersede, Effect::Persist]
            } else {
                vec![]
            };
            return (study, effects);
        }
        match stage {
            Stage::Receiving => {
                study.reopen();
                (study, vec![])
            }
            Stage::Complete => {
                study.stage = Stage::Complete;
                (study, vec![Effect::Queue])
            }
            Stage::Analyzing => {
                let died = "the appliance stopped during its analysis";
                study.stage = Stage::Analyzing;
                let effects = study.stopped(Reason::new("interrupted", Fault::Us, died));
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

    /// The durable instances.
    pub fn present(&self) -> &Present {
        &self.present
    }

    /// Durable instances.
    pub fn instances(&self) -> u64 {
        self.present.count()
    }

    /// What was said about the study.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Analyses of the present instances that began.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the running or last analysis took up every instance.
    pub fn covers_all(&self) -> bool {
        self.covered == self.instances()
    }

    /// Whether an association that brought images may bring more.
    pub fn is_fed(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether this association brought images and is not over.
    pub fn is_fed_by(&self, association: AssociationId) -> bool {
        self.open.contains(&association)
    }

    /// What is not there and perhaps should be.
    pub fn missing(&self) -> Missing {
        Missing {
            contrasts: self.no_contrasts.clone(),
            ..self.present.lacks(&self.expected)
        }
    }

    /// When time alone will make it complete, if nothing else happens.
    pub fn deadline(&self, waits: Waits) -> Option<Duration> {
        if self.stage != Stage::Receiving || self.instances() == 0 {
            return None;
        }
        let more_will_come = !self.present.lacks(&self.expected).is_nothing();
        let more_may_come = || self.is_fed() && !self.present.reaches(&self.expected);
        let wait = if more_will_come || more_may_come() {
            waits.patience.max(waits.quiet)
        } else {
            waits.quiet
        };
        Some(self.last_change.saturating_add(wait))
    }

    /// Takes in an event and says what must be done. Events that do not fit the stage change nothing.
    pub fn on(&mut self, event: Event, now: Duration, waits: Waits) -> Vec<Effect> {
        match event {
            Event::Stored(arrival) => self.stored(arrival, now),
            Event::Announced(announced) => {
                if !self.expected.announced(&announced) {
                    return vec![];
                }
                let complete = self.complete_by_counts();
                if complete.is_empty() {
                    vec![Effect::Persist]
                } else {
                    complete
                }
            }
            Event::Ended {
                association,
                released,
            } => self.ended(association, released, now),
            Event::Surveyed { instances, missing } => {
                if self.stage != Stage::Receiving || instances != self.instances() {
                    return vec![];
                }
                self.no_contrasts = missing;
                let nothing_against =
                    !self.is_fed() && !self.broken_off && self.present.lacks(&self.expected).is_nothing();
                if self.no_contrasts.is_empty() && nothing_against {
                    self.complete()
                } else {
                    vec![]
                }
            }
            Event::Tick => match self.deadline(waits) {
                Some(deadline) if now >= deadline => self.complete(),
                _ => vec![],
            },
            Event::Began if self.stage == Stage::Complete => {
                self.covered = self.instances();
                self.attempts += 1;
                self.to(Stage::Analyzing)
            }
            Event::Answered if self.stage == Stage::Analyzing => self.to(Stage::Reported),
            Event::Stopped(reason) if self.stage == Stage::Analyzing => self.stopped(reason),
            Event::Delivered if self.stage == Stage::Reported => self.to(Stage::Delivered),
            Event::Began | Event::Answered | Event::Stopped(_) | Event::Delivered => vec![],
        }
    }

    fn stored(&mut self, arrival: Arrival, now: Duration) -> Vec<Effect> {
        let Arrival {
            association,
            series,
            sop,
            counts,
        } = arrival;
        self.open.insert(association);
        self.unkept |= self.expected.stated(&series, counts);
        if !self.present.add(series, sop) {
            return vec![];
        }
        self.last_change = now;
        match self.stage {
            Stage::Receiving if self.instances() == 1 => vec![Effect::Persist],
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

    fn ended(&mut self, association: AssociationId, released: bool, now: Duration) -> Vec<Effect> {
        if !self.open.remove(&association) {
            return vec![];
        }
        if self.stage != Stage::Receiving {
            return vec![];
        }
        self.broken_off |= !released;
        self.last_change = now;
        let complete = self.complete_by_counts();
        if !complete.is_empty() {
            return complete;
        }
        let mut effects = Vec::new();
        if std::mem::take(&mut self.unkept) {
            effects.push(Effect::Persist);
        }
        if !self.is_fed() {
            effects.push(Effect::Survey);
        }
        effects
    }

    fn stopped(&mut self, reason: Reason) -> Vec<Effect> {
        let passing = matches!(reason.fault, Fault::Us | Fault::Hardware);
        if passing && self.attempts < MAX_ATTEMPTS {
            return self.complete();
        }
        self.to(Stage::Failed(reason))
    }

    fn reopen(&mut self) {
        self.stage = Stage::Receiving;
        self.no_contrasts.clear();
        self.covered = 0;
        self.attempts = 0;
    }

    /// Everything that was announced is there. Not while somebody is still sending: some systems count
    /// upwards as they send, and each of their images would complete the study.
    fn complete_by_counts(&mut self) -> Vec<Effect> {
        let receiving = self.stage == Stage::Receiving && !self.is_fed();
        if receiving && self.present.reaches(&self.expected) {
            self.complete()
        } else {
            vec![]
        }
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
