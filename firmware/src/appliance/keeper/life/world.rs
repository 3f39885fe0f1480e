//! The world around the appliance: time, chance, and what is to happen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::appliance::Running;
use super::archives::{self, Archive};
use super::hospital::{self, Visit};
use super::{CUT_OPERATIONS, DATA_DIR, HOUR, Instances, ROOM, Tally, clock};
use crate::appliance::keeper::Message;
use crate::dicom::Uid;
use crate::dicom::scp::Intake as _;
use crate::disk::simulated::SimulatedDisk;
use crate::limits::INBOX_MESSAGES;
use crate::study::evidence::Announced;

/// What is to happen.
pub(super) enum Deed {
    /// A scanner calls.
    Call(Visit),
    /// It sends its next image.
    Next { boot: u64, association: u64 },
    /// Somebody says something to the keeper.
    Say { boot: u64, message: Message },
    /// A procedure step is told.
    Announce(Announced),
    /// The power is about to go.
    PowerOff { boot: u64 },
    /// It comes back.
    PowerOn,
    /// The machine stands still.
    Stall(Duration),
    /// A destination goes away, or comes back.
    Away(&'static str, bool),
    /// Other data takes room on the disk, or is gone: so many names have room.
    Room(u64),
}

/// How a study ended, as the world outside saw it.
pub(super) struct Ended {
    /// When, at the earliest.
    pub(super) at: Duration,
    pub(super) failed: bool,
    /// What the analysis saw.
    pub(super) seen: Instances,
}

pub(super) struct World {
    seed: u64,
    pub(super) chance: ChaCha8Rng,
    pub(super) now: Duration,
    /// When everything must be over.
    rest_by: Duration,
    pub(super) deeds: BTreeMap<(Duration, u64), Deed>,
    planned: u64,
    pub(super) boot: u64,
    pub(super) disk: SimulatedDisk,
    pub(super) room: u64,
    pub(super) running: Option<Running>,
    /// When the wall clock jumps; none where it is right.
    clock: Option<ChaCha8Rng>,
    /// Associations under way.
    pub(super) visits: BTreeMap<u64, Visit>,
    pub(super) associations: u64,
    /// Visits that are made when the answer about their study is due.
    pub(super) untimely: BTreeMap<Uid, Visit>,
    /// What was acknowledged and not removed since.
    pub(super) acknowledged: BTreeMap<Uid, Instances>,
    /// What the analysis of a study last saw.
    pub(super) seen: BTreeMap<Uid, Instances>,
    pub(super) ended: BTreeMap<Uid, Ended>,
    /// The systems that findings go to.
    pub(super) archives: BTreeMap<String, Archive>,
    /// The SOP Instance UIDs about the last result of a study.
    pub(super) expected: BTreeMap<Uid, Vec<Uid>>,
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn new(seed: u64, studies: usize, hours: u32, jumps: bool) -> Self {
        let disk = SimulatedDisk::new(Path::new(DATA_DIR));
        let mut world = Self {
            seed,
            chance: ChaCha8Rng::seed_from_u64(seed),
            now: Duration::ZERO,
            rest_by: (hours + 24) * HOUR,
            deeds: BTreeMap::new(),
            planned: 0,
            boot: 0,
            disk,
            room: ROOM,
            running: None,
            clock: jumps.then(|| ChaCha8Rng::seed_from_u64(seed)),
            visits: BTreeMap::new(),
            associations: 0,
            untimely: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            seen: BTreeMap::new(),
            ended: BTreeMap::new(),
            archives: BTreeMap::new(),
            expected: BTreeMap::new(),
            tally: Tally::default(),
        };
        world.plan_at(Duration::ZERO, Deed::PowerOn);
        for number in 0..studies {
            hospital::plan(&mut world, number, hours * HOUR);
        }
        for _ in 0..hours.div_ceil(12) {
            let (at, time) = (world.moment(hours * HOUR), world.moment(2 * HOUR));
            world.plan_at(at, Deed::Stall(time));
        }
        for _ in 0..hours.div_ceil(6) {
            let (at, time) = (world.moment(hours * HOUR), world.moment(HOUR / 2));
            world.plan_absence(archives::FAR, at, time);
        }
        for _ in 0..hours.div_ceil(6) {
            let at = world.moment(hours * HOUR);
            let until = at + world.moment(HOUR);
            let room = world.chance.random_range(0..ROOM / 4);
            world.plan_at(at, Deed::Room(room));
            world.plan_at(until, Deed::Room(ROOM));
        }
        world
    }

    pub(super) fn plan_at(&mut self, at: Duration, deed: Deed) {
        self.planned += 1;
        self.deeds.insert((at, self.planned), deed);
    }

    pub(super) fn plan_in(&mut self, wait: Duration, deed: Deed) {
        self.plan_at(self.now + wait, deed);
    }

    pub(super) fn moment(&mut self, within: Duration) -> Duration {
        Duration::from_millis(self.chance.random_range(0..=within.as_millis() as u64))
    }

    pub(super) fn per_cent(&mut self, share: u32) -> bool {
        self.chance.random_range(0..100) < share
    }

    pub(super) fn check(&self, holds: bool, what: &str) {
        assert!(
            holds,
            "{what}, at {:?}, boot {}, {:?}. Live it again: SIALOSCOPE_SEED={}",
            self.now, self.boot, self.tally, self.seed
        );
    }

    /// The wall clock jumps: back to 1970, or to any time until 2106.
    fn jump(&mut self) {
        if let Some(chance) = &mut self.clock {
            let far = chance.random_range(0..u64::from(u32::MAX));
            clock::set(if chance.random_bool(0.3) { 0 } else { far });
        }
    }

    /// Lives until nothing is left to happen.
    pub(super) fn live(&mut self) {
        let mut idle_since = None;
        loop {
            let tick = self.running.as_ref().map(|on| on.since + on.core.due());
            let next = self.deeds.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = next.into_iter().chain(tick).min() else {
                return self.check(false, "the power never came back");
            };
            self.now = self.now.max(at);
            self.check(self.now < self.rest_by, "somebody cannot get rid of images");
            if next == Some(at) {
                if let Some((_, deed)) = self.deeds.pop_first() {
                    self.happen(deed);
                }
                idle_since = None;
            } else {
                self.pump();
            }
            if self.deeds.is_empty() {
                let settled = |on: &Running| on.open.studies().is_empty();
                if self.running.as_ref().is_some_and(settled) {
                    return self.inspect(true);
                }
                let since = *idle_since.get_or_insert(self.now);
                self.check(self.now < since + 4 * HOUR, "a study waits for ever");
            }
        }
    }

    fn happen(&mut self, deed: Deed) {
        self.jump();
        match deed {
            Deed::PowerOff { boot } if boot == self.boot => self.power_off_within(CUT_OPERATIONS),
            Deed::PowerOn => self.power_on(),
            Deed::Room(names) => {
                self.room = names;
                self.set_free_bytes();
            }
            Deed::Away(name, away) => {
                if !away {
                    self.look_at_absence(name);
                }
                self.archives.entry(name.to_owned()).or_default().away = away;
            }
            Deed::Stall(time) => self.now += time,
            Deed::Call(visit) if self.running.is_none() => self.come_again(visit),
            Deed::Call(visit) => {
                self.associations += 1;
                let (boot, association) = (self.boot, self.associations);
                self.visits.insert(association, visit);
                self.plan_in(Duration::ZERO, Deed::Next { boot, association });
            }
            Deed::Next { boot, association } if boot == self.boot => self.send_next(association),
            Deed::Say { boot, message } if boot == self.boot => {
                if let Some(on) = &mut self.running {
                    let actions = on.core.take(message, self.now - on.since);
                    self.carry_out(actions);
                }
            }
            Deed::Announce(announced) => {
                if let Some(on) = &self.running {
                    on.inbox.announced(announced);
                }
            }
            Deed::Next { .. } | Deed::Say { .. } | Deed::PowerOff { .. } => {}
        }
        // Now and then the keeper has no time, and the inbox fills.
        let full = self
            .running
            .as_ref()
            .is_some_and(|on| on.core.studies.len() > 200);
        if full || self.per_cent(70) || self.visits.len() > INBOX_MESSAGES / 2 {
            self.pump();
        }
        self.notice_a_cut();
    }
}
