//! A 72-hour life in a minute: the keeper's own code with the spool and the records on a simulated disk,
//! in simulated time, among scanners, cuts, full disks, late images and an analyst with a will of its own.
//!
//! | file | owns |
//! |---|---|
//! | `world` | time, chance, and what is to happen |
//! | `hospital` | who sends what, and when |
//! | `appliance` | the code of the appliance in this world |
//! | `archives` | where findings go |
//! | `clock` | a wall clock that can be moved |
//! | `inspection` | what must be true |
//!
//! Everything that happens follows from one seed, which a failure names: `SIALOSCOPE_SEED=N` lives that life
//! again. `SIALOSCOPE_LIVES=N` lives N of them.
//!
//! Both clocks jump. The monotonic one leaps ahead, as when a machine was stalled for hours. The wall clock
//! goes anywhere at any time; nothing may follow from it, which is why a life with and a life without such
//! jumps must be the same to the last byte on the disk.

mod appliance;
pub(super) mod archives;
mod clock;
mod hospital;
mod inspection;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use models::findings::{Fault, Reason};

use self::world::World;
use crate::dicom::Uid;
use crate::spool::SpoolLimits;
use crate::station::refusals::Refusal;
use crate::study::Waits;
use crate::study::retention::Retention;

const DATA_DIR: &str = "/data";
const HOUR: Duration = Duration::from_secs(3600);
/// Each name on the simulated disk takes so many bytes of it.
const NAME_BYTES: u64 = 4096;
/// Names for which there is room.
const ROOM: u64 = 16_000;
/// The power goes so long after it came, at most. By time and not by work: a cut makes work, and so would make
/// more cuts.
const CUT_EVERY: Duration = Duration::from_secs(20 * 60);
/// And then at one of so many operations of the disk.
const CUT_OPERATIONS: u64 = 100;

const WAITS: Waits = Waits {
    quiet: Duration::from_secs(30),
    patience: Duration::from_secs(300),
};

const RETENTION: Retention = Retention {
    age: Duration::from_secs(12 * 3600),
    keep_free_bytes: 3000 * NAME_BYTES,
    warn_free_bytes: 1500 * NAME_BYTES,
};

const LIMITS: SpoolLimits = SpoolLimits {
    object_bytes: 1 << 20,
    free_bytes: 500 * NAME_BYTES,
};

/// The instances of a study.
type Instances = BTreeSet<(Uid, Uid)>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    cuts: u64,
    stored: u64,
    turned_away: u64,
    reported: u64,
    failed: u64,
    reopened: u64,
    removed: u64,
    without_all: u64,
    delivered: u64,
}

/// A life and what is left of it: the tally, and all that is on the disk.
fn live(seed: u64, studies: usize, hours: u32, clock_jumps: bool) -> (Tally, BTreeMap<PathBuf, Vec<u8>>) {
    let mut world = World::new(seed, studies, hours, clock_jumps);
    world.live();
    (world.tally, world.disk.files())
}

/// A life that is long enough must have had everything in it.
fn live_through(seed: u64, studies: usize, hours: u32) {
    let (tally, _) = live(seed, studies, hours, true);
    eprintln!("seed {seed}: {tally:#?}");
    let Tally {
        cuts,
        stored: _,
        turned_away,
        reported: _,
        failed,
        reopened,
        removed,
        without_all,
        delivered,
    } = tally;
    for often in [
        cuts,
        turned_away,
        failed,
        reopened,
        removed,
        without_all,
        delivered,
    ] {
        assert!(often > 5, "too easy a life");
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seven_hours() {
    match from_environment("SIALOSCOPE_SEED") {
        Some(seed) => live_through(seed, 1_500, 7),
        None => (1..=2).for_each(|seed| live_through(seed, 1_500, 7)),
    }
}

#[test]
fn twenty_thousand_studies_in_three_days() {
    let lives = from_environment("SIALOSCOPE_LIVES").unwrap_or(1);
    let first = from_environment("SIALOSCOPE_SEED").unwrap_or(4);
    for seed in first..first + lives {
        live_through(seed, 20_000, 72);
    }
}

/// One destination is away from the beginning to the end; nothing else goes wrong there for ever.
#[test]
fn a_destination_is_away_for_three_days() {
    let mut world = World::new(11, 300, 68, false);
    world.plan_absence(archives::FAR, Duration::ZERO, 72 * HOUR);
    world.live();
    let tally = world.tally;
    assert!(
        tally.removed < tally.delivered,
        "nothing goes before it is delivered: {tally:?}"
    );
    assert!(tally.delivered >= 300, "{tally:?}");
}

#[test]
fn the_same_seed_is_the_same_life() {
    assert_eq!(live(7, 200, 2, false), live(7, 200, 2, false));
    assert_ne!(live(7, 200, 2, false), live(8, 200, 2, false));
}

#[test]
fn nothing_follows_from_the_wall_clock() {
    let by_the_right_clock = live(9, 400, 4, false);
    assert_eq!(live(9, 400, 4, true), by_the_right_clock);
    // The clock was moved indeed, and for whoever asks.
    clock::set(1);
    assert_eq!(SystemTime::now(), UNIX_EPOCH + Duration::from_secs(1));
    assert_eq!(
        Refusal::now("", None, Reason::new("", Fault::Us, "")).at,
        "1970-01-01T00:00:01Z"
    );
}
