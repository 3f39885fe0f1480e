//! One example for each transition, and whatever order for all of them.

use proptest::prelude::*;

use super::*;

const QUIET: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_secs(100);

fn second(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn received() -> Progress {
    let mut study = Progress::new(Duration::ZERO);
    assert_eq!(study.on(Event::Stored(1), second(0), QUIET), [Effect::Persist]);
    assert_eq!(study.on(Event::Stored(1), second(1), QUIET), []);
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
        QUIET,
    );
    study.on(Event::Tick, LATER, QUIET);
    study.on(Event::Began, LATER, QUIET);
    study.on(Event::Answered, LATER, QUIET);
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
            QUIET
        ),
        [Effect::Survey]
    );
    let effects = study.on(
        Event::Surveyed {
            instances: 2,
            all_there: true,
        },
        second(2),
        QUIET,
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
        QUIET,
    );
    study.on(Event::Stored(2), second(3), QUIET);
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                all_there: true
            },
            second(3),
            QUIET
        ),
        []
    );
    study.on(
        Event::Ended {
            association: 2,
            released: true,
        },
        second(4),
        QUIET,
    );
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                all_there: true
            },
            second(4),
            QUIET
        ),
        []
    );
    assert_eq!(*study.stage(), Stage::Receiving);
}

#[test]
fn an_open_association_holds_the_quiet_time_back() {
    let mut study = received();
    assert_eq!(study.on(Event::Tick, LATER, QUIET), []);
    study.on(
        Event::Ended {
            association: 1,
            released: false,
        },
        LATER,
        QUIET,
    );
    assert_eq!(study.deadline(QUIET), Some(LATER + QUIET));
    assert_eq!(
        study.on(
            Event::Surveyed {
                instances: 2,
                all_there: true
            },
            LATER,
            QUIET
        ),
        [],
        "it broke off"
    );
    assert_eq!(
        study.on(Event::Tick, LATER + QUIET, QUIET),
        [Effect::Persist, Effect::Queue]
    );
}

#[test]
fn a_late_image_reopens_and_supersedes() {
    let mut study = reported();
    assert_eq!(
        study.on(Event::Stored(5), LATER, QUIET),
        [Effect::Supersede, Effect::Persist]
    );
    assert_eq!(*study.stage(), Stage::Receiving);
    assert_eq!(
        study.on(Event::Answered, LATER, QUIET),
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
        QUIET,
    );
    study.on(Event::Tick, LATER, QUIET);
    let crash = Reason::new("worker_crashed", Fault::Us, "it died");
    for _ in 1..MAX_ATTEMPTS {
        study.on(Event::Began, LATER, QUIET);
        assert_eq!(
            study.on(Event::Stopped(crash.clone()), LATER, QUIET),
            [Effect::Persist, Effect::Queue]
        );
    }
    study.on(Event::Began, LATER, QUIET);
    assert_eq!(
        study.on(Event::Stopped(crash.clone()), LATER, QUIET),
        [Effect::Persist]
    );
    assert_eq!(*study.stage(), Stage::Failed(crash));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let (study, effects) = Progress::restore(Stage::Analyzing, 1, 7, true, second(0));
    assert_eq!(
        (study.stage(), effects),
        (&Stage::Complete, vec![Effect::Persist, Effect::Queue])
    );
    let (study, effects) = Progress::restore(Stage::Analyzing, MAX_ATTEMPTS, 7, true, second(0));
    assert!(
        matches!(study.stage(), Stage::Failed(_)),
        "it stops the appliance each time"
    );
    assert_eq!(effects, [Effect::Persist]);
    let (study, effects) = Progress::restore(Stage::Receiving, 0, 7, true, second(0));
    assert_eq!((study.deadline(QUIET), effects), (Some(QUIET), vec![]));
    let (study, effects) = Progress::restore(Stage::Reported, 1, 8, false, second(0));
    assert_eq!(
        (study.stage(), effects),
        (&Stage::Receiving, vec![Effect::Supersede, Effect::Persist])
    );
}

fn event() -> impl Strategy<Value = Event> {
    let association = 0..3u64;
    prop_oneof![
        4 => association.clone().prop_map(Event::Stored),
        4 => (association, any::<bool>())
            .prop_map(|(association, released)| Event::Ended { association, released }),
        2 => (0..8u64, any::<bool>())
            .prop_map(|(instances, all_there)| Event::Surveyed { instances, all_there }),
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
        let (mut stored, mut queued) = (0, false);
        for (event, wait) in steps {
            now += second(wait);
            stored += u64::from(matches!(event, Event::Stored(_)));
            let before = study.stage().clone();
            let effects = study.on(event.clone(), now, QUIET);
            queued = effects.contains(&Effect::Queue) || queued && *study.stage() == Stage::Complete;
            prop_assert_eq!(study.instances(), stored);
            prop_assert_eq!(before != *study.stage(), before != *study.stage() && effects.contains(&Effect::Persist));
            if matches!(study.stage(), Stage::Reported | Stage::Delivered | Stage::Failed(_)) {
                prop_assert!(study.covers_all());
            }
            prop_assert!(*study.stage() != Stage::Complete || queued);
            if matches!(before, Stage::Reported | Stage::Delivered) && *study.stage() == Stage::Receiving {
                prop_assert!(effects.contains(&Effect::Supersede));
            }
        }
        for association in 0..3 {
            study.on(Event::Ended { association, released: true }, now, QUIET);
        }
        study.on(Event::Tick, now + QUIET, QUIET);
        prop_assert!(stored == 0 || *study.stage() != Stage::Receiving);
    }
}
