//! One example for each transition, and whatever order for all of them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const QUIET: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(300);
const WAITS: Waits = Waits {
    quiet: QUIET,
    patience: PATIENCE,
};
const LATER: Duration = Duration::from_secs(100);

fn second(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// The image with this number, of the only series.
fn stored(association: AssociationId, number: u64) -> Event {
    stating(association, number, Counts::default())
}

fn stating(association: AssociationId, number: u64, counts: Counts) -> Event {
    Event::Stored(Arrival {
        association,
        series: uid("1.2.1"),
        sop: uid(&format!("1.2.1.{number}")),
        counts,
    })
}

fn released(association: AssociationId) -> Event {
    Event::Ended {
        association,
        released: true,
    }
}

fn of_study(instances: u32) -> Counts {
    Counts {
        study_instances: Some(instances),
        ..Counts::default()
    }
}

fn step(instances: u32, finished: bool) -> Event {
    Event::Announced(Announced {
        study: uid("1.2"),
        series: vec![(uid("1.2.1"), instances)],
        finished,
    })
}

fn kept(stage: Stage, attempts: u32, instances: u64, unchanged: bool) -> Known {
    let present = (0..instances).map(|n| (uid("1.2.1"), uid(&format!("1.2.1.{n}"))));
    Known {
        present: present.collect(),
        stage: Some(stage),
        attempts,
        unchanged,
        expected: Expected::default(),
        interrupted: true,
    }
}

fn received() -> Progress {
    let mut study = Progress::new(Duration::ZERO);
    assert_eq!(study.on(stored(1, 1), second(0), WAITS), [Effect::Persist]);
    assert_eq!(study.on(stored(1, 2), second(1), WAITS), []);
    study
}

fn reported() -> Progress {
    let mut study = received();
    study.on(
        Event::Ended {
            association: 1,
            released: true,
        },
        second(2),
        WAITS,
    );
    study.on(Event::Tick, LATER, WAITS);
    study.on(Event::Began, LATER, WAITS);
    study.on(Event::Answered, LATER, WAITS);
    assert_eq!(*study.stage(), Stage::Reported);
    study
}

#[test]
fn contrasts_complete_a_released_study_at_once() {
    let mut study = received();
    assert_eq!(
        study.on(
            Event::Ended {
                association: 1,
                released: true
            },
            second(2),
            WAITS
        ),
        [Effect::Survey]
    );
    let effects = study.on(
        Event::Surveyed {
            instances: 2,
            missing: vec![],
        },
        second(2),
        WAITS,
    );
    assert_eq!(effects, [Effect::Persist, Effect::Queue]);
    assert_eq!(*study.stage(), Stage::Complete);
}

#[test]
fn a_survey_that_was_overtaken_says_nothing() {
    let mut study = received();
    study.on(
        Event::Ended {
            association: 1,
            released: true,
        },
        second(2),
        WAITS,
    );
    study.on(stored(2, 3), second(3), WAITS);
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                missing: vec![]
            },
            second(3),
            WAITS
        ),
        []
    );
    study.on(
        Event::Ended {
            association: 2,
            released: true,
        },
        second(4),
        WAITS,
    );
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                missing: vec![]
            },
            second(4),
            WAITS
        ),
        []
    );
    assert_eq!(*study.stage(), Stage::Receiving);
}

#[test]
fn an_open_association_holds_the_quiet_time_back() {
    let mut study = received();
    assert_eq!(study.on(Event::Tick, LATER, WAITS), []);
    study.on(
        Event::Ended {
            association: 1,
            released: false,
        },
        LATER,
        WAITS,
    );
    assert_eq!(study.deadline(WAITS), Some(LATER + QUIET));
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                missing: vec![]
            },
            LATER,
            WAITS
        ),
        [],
        "it broke off"
    );
    assert_eq!(
        study.on(Event::Tick, LATER + QUIET, WAITS),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn a_late_image_reopens_and_supersedes() {
    let mut study = reported();
    assert_eq!(
        study.on(stored(5, 3), LATER, WAITS),
        [Effect::Supersede, Effect::Persist]
    );
    assert_eq!(*study.stage(), Stage::Receiving);
    assert_eq!(
        study.on(Event::Answered, LATER, WAITS),
        [],
        "an answer about fewer images"
    );
}

#[test]
fn what_stops_us_is_tried_again_a_few_times() {
    let mut study = received();
    study.on(
        Event::Ended {
            association: 1,
            released: true,
        },
        second(2),
        WAITS,
    );
    study.on(Event::Tick, LATER, WAITS);
    let crash = Reason::new("worker_crashed", Fault::Us, "it died");
    for _ in 1..MAX_ATTEMPTS {
        study.on(Event::Began, LATER, WAITS);
        assert_eq!(
            study.on(Event::Stopped(crash.clone()), LATER, WAITS),
            [Effect::Persist, Effect::Queue]
        );
    }
    study.on(Event::Began, LATER, WAITS);
    assert_eq!(
        study.on(Event::Stopped(crash.clone()), LATER, WAITS),
        [Effect::Persist]
    );
    assert_eq!(*study.stage(), Stage::Failed(crash));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let (study, effects) = Progress::restore(kept(Stage::Analyzing, 1, 7, true), second(0));
    assert_eq!(
        (study.stage(), effects),
        (&Stage::Complete, vec![Effect::Persist, Effect::Queue])
    );
    let (study, effects) = Progress::restore(kept(Stage::Analyzing, MAX_ATTEMPTS, 7, true), second(0));
    assert!(
        matches!(study.stage(), Stage::Failed(_)),
        "it stops the appliance each time"
    );
    assert_eq!(effects, [Effect::Persist]);
    let (study, effects) = Progress::restore(kept(Stage::Receiving, 0, 7, true), second(0));
    assert_eq!((study.deadline(WAITS), effects), (Some(QUIET), vec![]));
    let (study, effects) = Progress::restore(kept(Stage::Reported, 1, 8, false), second(0));
    assert_eq!(
        (study.stage(), effects),
        (&Stage::Receiving, vec![Effect::Supersede, Effect::Persist])
    );
}

#[test]
fn counts_that_are_reached_complete_a_study_without_its_contrasts() {
    let mut study = Progress::new(Duration::ZERO);
    study.on(stating(1, 1, of_study(2)), second(0), WAITS);
    study.on(stating(1, 2, of_study(2)), second(1), WAITS);
    assert_eq!(study.stage(), &Stage::Receiving, "somebody is still sending");
    assert_eq!(
        study.on(released(1), second(2), WAITS),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn counts_also_tell_that_a_broken_association_had_brought_everything() {
    let mut study = Progress::new(Duration::ZERO);
    study.on(stating(1, 1, of_study(1)), second(0), WAITS);
    let broken = Event::Ended {
        association: 1,
        released: false,
    };
    assert_eq!(
        study.on(broken, second(2), WAITS),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn more_announced_than_there_waits_longer_and_not_for_ever() {
    let mut study = Progress::new(Duration::ZERO);
    study.on(stating(1, 1, of_study(3)), second(0), WAITS);
    assert_eq!(
        study.on(released(1), second(1), WAITS),
        [Effect::Persist, Effect::Survey],
        "what is expected outlives a restart"
    );
    let all_contrasts = Event::Surveyed {
        instances: 1,
        missing: vec![],
    };
    assert_eq!(
        study.on(all_contrasts, second(1), WAITS),
        [],
        "more was announced"
    );
    assert_eq!(study.on(Event::Tick, second(1) + QUIET, WAITS), []);
    assert_eq!(study.missing().to_string(), "1 of 3 images");
    assert_eq!(
        study.on(Event::Tick, second(1) + PATIENCE, WAITS),
        [Effect::Persist, Effect::Queue]
    );
    assert_eq!(study.missing().remark().unwrap().code, "incomplete_study");
}

#[test]
fn an_association_that_stays_open_does_not_hold_a_study_for_ever() {
    let mut study = received();
    assert_eq!(study.on(Event::Tick, second(1) + QUIET, WAITS), []);
    assert_eq!(
        study.on(Event::Tick, second(1) + PATIENCE, WAITS),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn a_procedure_step_completes_a_study_when_it_is_finished() {
    let mut study = received();
    study.on(released(1), second(2), WAITS);
    assert_eq!(study.on(step(2, false), second(3), WAITS), [Effect::Persist]);
    assert_eq!(
        study.deadline(WAITS),
        Some(second(2) + PATIENCE),
        "the scanner is not done"
    );
    assert_eq!(
        study.on(step(2, true), second(4), WAITS),
        [Effect::Persist, Effect::Queue]
    );
    let mut study = received();
    study.on(released(1), second(2), WAITS);
    assert_eq!(study.on(step(3, true), second(4), WAITS), [Effect::Persist]);
    study.on(stored(2, 3), second(5), WAITS);
    assert_eq!(
        study.on(released(2), second(6), WAITS),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn an_image_that_comes_again_changes_nothing() {
    let mut study = reported();
    assert_eq!(study.on(stored(5, 2), LATER, WAITS), []);
    assert_eq!(study.stage(), &Stage::Reported);
    assert!(study.is_fed(), "but others may follow it");
    assert_eq!(study.on(released(5), LATER, WAITS), []);
}

fn event() -> impl Strategy<Value = Event> {
    let association = 0..3u64;
    prop_oneof![
        4 => (association.clone(), 0..30u64, 0..4u32).prop_map(|(association, number, announced)| {
            stating(association, number, of_study(10 * announced))
        }),
        1 => (1..20u32, any::<bool>()).prop_map(|(instances, finished)| step(instances, finished)),
        4 => (association, any::<bool>())
            .prop_map(|(association, released)| Event::Ended { association, released }),
        2 => (0..8u64, any::<bool>()).prop_map(|(instances, all_there)| Event::Surveyed {
            instances,
            missing: if all_there { vec![] } else { vec![Contrast::T2] },
        }),
        4 => Just(Event::Tick),
        2 => Just(Event::Began),
        2 => Just(Event::Answered),
        1 => prop_oneof![Just(Fault::Us), Just(Fault::Data)]
            .prop_map(|fault| Event::Stopped(Reason::new("stopped", fault, "stopped"))),
        1 => Just(Event::Delivered),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no result stands for images that it did not see, no
    /// completed study waits for a worker that was not told, and quiet brings every study to its end.
    #[test]
    fn no_image_is_forgotten(steps in prop::collection::vec((event(), 0..40u64), 0..60)) {
        let mut study = Progress::new(Duration::ZERO);
        let mut now = Duration::ZERO;
        let (mut stored, mut queued) = (BTreeSet::new(), false);
        for (event, wait) in steps {
            now += second(wait);
            if let Event::Stored(arrival) = &event {
                stored.insert(arrival.sop.clone());
            }
            let before = study.stage().clone();
            let effects = study.on(event.clone(), now, WAITS);
            queued = effects.contains(&Effect::Queue) || queued && *study.stage() == Stage::Complete;
            prop_assert_eq!(study.instances(), stored.len() as u64);
            prop_assert!(before == *study.stage() || effects.contains(&Effect::Persist));
            if matches!(study.stage(), Stage::Reported | Stage::Delivered | Stage::Failed(_)) {
                prop_assert!(study.covers_all());
            }
            prop_assert!(*study.stage() != Stage::Complete || queued);
            if matches!(before, Stage::Reported | Stage::Delivered) && *study.stage() == Stage::Receiving {
                prop_assert!(effects.contains(&Effect::Supersede));
            }
        }
        for association in 0..3 {
            study.on(Event::Ended { association, released: true }, now, WAITS);
        }
        study.on(Event::Tick, now + PATIENCE, WAITS);
        prop_assert!(stored.is_empty() || *study.stage() != Stage::Receiving);
    }
}
