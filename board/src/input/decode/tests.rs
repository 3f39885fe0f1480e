use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

const KEY: u16 = EventType::KEY.0;
const ABS: u16 = EventType::ABSOLUTE.0;
const SYN: u16 = EventType::SYNCHRONIZATION.0;
const X: u16 = AbsoluteAxisCode::ABS_X.0;
const Y: u16 = AbsoluteAxisCode::ABS_Y.0;
const MT_X: u16 = AbsoluteAxisCode::ABS_MT_POSITION_X.0;
const MT_Y: u16 = AbsoluteAxisCode::ABS_MT_POSITION_Y.0;
const SLOT: u16 = AbsoluteAxisCode::ABS_MT_SLOT.0;
const ID: u16 = AbsoluteAxisCode::ABS_MT_TRACKING_ID.0;
const REPORT: (u16, u16, i32) = (SYN, 0, 0);
const DROPPED: (u16, u16, i32) = (SYN, 3, 0);

const VIEW: View = View {
    picture: Size::new(800, 480),
    rotation: Rotation::Deg0,
    swap_axes: false,
};

fn axis(most: i32) -> Axis {
    Axis {
        least: 0,
        most,
        now: 0,
    }
}

fn one(contact: KeyCode) -> Decoder {
    let (x, y) = (axis(32767), axis(32767));
    Decoder::new(Pointing::One { x, y, contact })
}

fn fingers() -> Decoder {
    let (x, y) = (axis(799), axis(479));
    Decoder::new(Pointing::Fingers { x, y, slot: 0 })
}

fn played(decoder: &mut Decoder, view: &View, events: &[(u16, u16, i32)]) -> Vec<Action> {
    let actions = RefCell::new(Vec::new());
    for &(kind, code, value) in events {
        decoder.take(Raw { kind, code, value }, view, &|action| {
            actions.borrow_mut().push(action)
        });
    }
    actions.into_inner()
}

fn touch(kind: TouchKind, x: i32, y: i32) -> Action {
    Action::Touch(Touch {
        at: Point::new(x, y),
        kind,
    })
}

use TouchKind::{Down, Moved, Up};

#[test]
fn keys_mean_actions_and_only_steps_repeat() {
    let mut keyboard = Decoder::new(Pointing::No);
    let mut pressed = |key: KeyCode| {
        let events = [
            (KEY, key.0, 1),
            REPORT,
            (KEY, key.0, 2),
            REPORT,
            (KEY, key.0, 0),
            REPORT,
        ];
        played(&mut keyboard, &VIEW, &events)
    };
    assert_eq!(pressed(KeyCode::KEY_UP), [Action::Up; 2]);
    assert_eq!(pressed(KeyCode::KEY_PAGEDOWN), [Action::NextPage; 2]);
    assert_eq!(pressed(KeyCode::KEY_ENTER), [Action::Select]);
    assert_eq!(pressed(KeyCode::KEY_ESC), [Action::Back]);
    assert_eq!(pressed(KeyCode::KEY_KP7), [Action::Digit(7)]);
    assert_eq!(pressed(KeyCode::KEY_0), [Action::Digit(0)]);
    assert_eq!(pressed(KeyCode::KEY_A), []);
}

#[test]
fn every_digit_is_on_both_rows() {
    let digits: Vec<Action> = (0..KeyCode::KEY_KPDOT.0)
        .filter_map(|code| meaning(KeyCode(code)))
        .filter(|action| matches!(action, Action::Digit(_)))
        .collect();
    for digit in 0..10 {
        let count = digits.iter().filter(|&&d| d == Action::Digit(digit)).count();
        assert_eq!(count, 2, "{digit}");
    }
}

/// A tablet moves all the time; only while its button is down is it a finger.
#[test]
fn a_tablet_touches_while_its_button_is_down() {
    let mut tablet = one(KeyCode::BTN_LEFT);
    let button = KeyCode::BTN_LEFT.0;
    let events = [
        (ABS, X, 100),
        (ABS, Y, 100),
        REPORT,
        (ABS, X, 32767),
        REPORT,
        (KEY, button, 1),
        REPORT,
        (ABS, Y, 16384),
        REPORT,
        REPORT,
        (KEY, button, 0),
        REPORT,
        (ABS, X, 0),
        REPORT,
    ];
    assert_eq!(
        played(&mut tablet, &VIEW, &events),
        [touch(Down, 799, 1), touch(Moved, 799, 240), touch(Up, 799, 240)]
    );
}

#[test]
fn only_the_first_finger_counts() {
    let events = [
        (ABS, ID, 7),
        (ABS, MT_X, 10),
        (ABS, MT_Y, 20),
        REPORT,
        // The second comes, both move, the first goes, the second stays and moves.
        (ABS, SLOT, 1),
        (ABS, ID, 8),
        (ABS, MT_X, 500),
        (ABS, MT_Y, 400),
        (ABS, SLOT, 0),
        (ABS, MT_X, 11),
        REPORT,
        (ABS, ID, -1),
        (ABS, SLOT, 1),
        (ABS, MT_X, 501),
        REPORT,
        (ABS, ID, -1),
        REPORT,
    ];
    assert_eq!(
        played(&mut fingers(), &VIEW, &events),
        [touch(Down, 10, 20), touch(Moved, 11, 20), touch(Up, 11, 20)]
    );
}

/// The kernel does not repeat an axis that is where it was at the end of the last touch.
#[test]
fn a_second_touch_in_the_same_column_is_where_it_is() {
    let mut screen = fingers();
    let events = [
        (ABS, ID, 1),
        (ABS, MT_X, 10),
        (ABS, MT_Y, 20),
        REPORT,
        (ABS, ID, -1),
        REPORT,
    ];
    played(&mut screen, &VIEW, &events);
    let events = [(ABS, ID, 2), (ABS, MT_Y, 30), REPORT];
    assert_eq!(played(&mut screen, &VIEW, &events), [touch(Down, 10, 30)]);
}

#[test]
fn a_finger_that_goes_and_comes_in_one_report_is_two_touches() {
    let mut screen = fingers();
    played(&mut screen, &VIEW, &[(ABS, ID, 1), REPORT]);
    let events = [(ABS, ID, -1), (ABS, ID, 2), (ABS, MT_X, 99), REPORT];
    assert_eq!(
        played(&mut screen, &VIEW, &events),
        [touch(Up, 0, 0), touch(Down, 99, 0)]
    );
}

#[test]
fn lost_events_lift_the_finger_and_count_for_nothing() {
    let mut screen = fingers();
    played(&mut screen, &VIEW, &[(ABS, ID, 1), REPORT]);
    let events = [
        DROPPED,
        (KEY, KeyCode::KEY_ENTER.0, 1),
        (ABS, ID, 2),
        REPORT,
        (ABS, MT_X, 5),
        REPORT,
        (ABS, ID, 3),
        REPORT,
    ];
    assert_eq!(
        played(&mut screen, &VIEW, &events),
        [touch(Up, 0, 0), touch(Down, 5, 0)]
    );
}

#[test]
fn corners_of_the_panel_are_corners_of_the_turned_picture() {
    // The panel is 480 wide and 800 high; the reader sees 800 × 480.
    let turned = |rotation, swap_axes, x, y| {
        let view = View {
            rotation,
            swap_axes,
            ..VIEW
        };
        let button = KeyCode::BTN_TOUCH;
        let events = [(ABS, X, x), (ABS, Y, y), (KEY, button.0, 1), REPORT];
        played(&mut one(button), &view, &events)[0]
    };
    let most = 32767;
    assert_eq!(turned(Rotation::Deg0, false, most, 0), touch(Down, 799, 0));
    assert_eq!(turned(Rotation::Deg0, true, most, 0), touch(Down, 0, 479));
    assert_eq!(turned(Rotation::Deg90, false, most, 0), touch(Down, 0, 0));
    assert_eq!(turned(Rotation::Deg180, false, most, 0), touch(Down, 0, 479));
    assert_eq!(turned(Rotation::Deg270, false, most, 0), touch(Down, 799, 479));
}

fn any_raw() -> impl Strategy<Value = (u16, u16, i32)> {
    let value = || prop_oneof![-2..3i32, 0..1000i32, Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let button = prop_oneof![Just(KeyCode::BTN_TOUCH.0), Just(KeyCode::BTN_LEFT.0), 0..120u16];
    let axis = prop_oneof![Just(X), Just(Y), Just(MT_X), Just(MT_Y), Just(SLOT), Just(ID)];
    prop_oneof![
        2 => (Just(SYN), prop_oneof![9 => Just(0u16), 1 => 0..5u16], Just(0)),
        2 => (Just(KEY), button, value()),
        4 => (Just(ABS), axis, value()),
        1 => (any::<u16>(), any::<u16>(), value()),
    ]
}

fn any_pointing() -> impl Strategy<Value = Pointing> {
    let axis = || {
        (any::<i32>(), any::<i32>(), any::<i32>()).prop_map(|(least, most, now)| Axis { least, most, now })
    };
    prop_oneof![
        Just(Pointing::No),
        (axis(), axis()).prop_map(|(x, y)| Pointing::One {
            x,
            y,
            contact: KeyCode::BTN_TOUCH
        }),
        (axis(), axis(), any::<i32>()).prop_map(|(x, y, slot)| Pointing::Fingers { x, y, slot }),
    ]
}

proptest! {
    /// A broken or hostile device: no panic, no place outside of the picture, and each touch is one
    /// `Down`, some `Moved`, at most one `Up`.
    #[test]
    fn whatever_a_device_sends_touches_are_whole_and_inside(
        events in prop::collection::vec(any_raw(), 0..200),
        pointing in any_pointing(),
        picture in (0..5000u32, 0..5000u32),
        turns in 0..4usize,
        swap_axes in any::<bool>(),
    ) {
        let rotation = [Rotation::Deg0, Rotation::Deg90, Rotation::Deg180, Rotation::Deg270][turns];
        let picture = Size::new(picture.0, picture.1);
        let view = View { picture, rotation, swap_axes };
        let mut down = false;
        for action in played(&mut Decoder::new(pointing), &view, &events) {
            let Action::Touch(Touch { at, kind }) = action else { continue };
            prop_assert!((0..picture.width.max(1) as i32).contains(&at.x), "{at:?}");
            prop_assert!((0..picture.height.max(1) as i32).contains(&at.y), "{at:?}");
            prop_assert_eq!(down, kind != Down);
            down = kind != Up;
        }
    }
}
