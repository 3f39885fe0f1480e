//! Updates, restarts and support reports, asked for at the screen.

use super::*;
use crate::screen::maintenance::{Installation, Maintenance, SupportReport, Wish};

const LATER: Duration = Duration::from_secs(3600);

fn offered() -> Situation {
    examples::with_stick(None, None)
}

fn told(situation: Situation) -> Desk {
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf(), SECOND);
    desk.tell(Arc::new(situation), &shelf(), 2 * SECOND);
    desk
}

fn press(desk: &mut Desk, actions: &[Action]) -> Option<Wish> {
    for action in actions {
        desk.act(*action, &shelf(), 3 * SECOND);
    }
    desk.take_wish()
}

fn says(desk: &mut Desk, text: &str) -> bool {
    painted(desk).iter().any(|line| line.contains(text))
}

/// With the middle key alone nothing is ever installed, restarted or written.
#[test]
fn what_changes_the_box_needs_another_key_before() {
    let done = |what| examples::with_stick(Some(Installation::Done("0.3.0".to_owned())), what);
    for situation in [offered(), done(None), done(Some(SupportReport::Running))] {
        let mut desk = told(situation);
        for _ in 0..20 {
            assert_eq!(press(&mut desk, &[Action::Select]), None);
        }
    }
}

#[test]
fn an_update_is_confirmed_with_its_version_and_notes_and_followed_to_its_end() {
    let mut desk = told(offered());
    for text in [
        "Update 0.3.0 is on the stick",
        "Release notes 0.3.0",
        "Version 0.1.0 runs now.",
    ] {
        assert!(says(&mut desk, text), "{text}: {:?}", painted(&mut desk));
    }
    let install = [Action::Down, Action::Down, Action::Select];
    let bundle = "/run/sialoscope/stick/sda1/sialoscope-rpi4-0.3.0.raucb".to_owned();
    assert_eq!(press(&mut desk, &install), Some(Wish::Install(bundle)));
    assert!(says(&mut desk, "One moment"), "it is not asked twice");
    assert_eq!(press(&mut desk, &install), None);

    let mut desk = told(offered());
    press(&mut desk, &install);
    for percent in [0, 40] {
        let running = Installation::Running("0.3.0".to_owned(), percent);
        let running = examples::with_stick(Some(running), None);
        desk.tell(Arc::new(running), &shelf(), 4 * SECOND);
        assert!(says(&mut desk, "Installing 0.3.0"));
    }
    let done = examples::with_stick(Some(Installation::Done("0.3.0".to_owned())), None);
    desk.tell(Arc::new(done), &shelf(), 5 * SECOND);
    assert!(says(&mut desk, "0.3.0 is installed"));
    assert_eq!(
        press(&mut desk, &[Action::Down, Action::Select]),
        Some(Wish::Restart)
    );
}

#[test]
fn who_works_is_not_interrupted_and_finds_it_on_the_page_about_the_box() {
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf(), SECOND);
    desk.act(Action::Down, &shelf(), 2 * SECOND);
    desk.tell(Arc::new(offered()), &shelf(), 3 * SECOND);
    assert!(!says(&mut desk, "Update 0.3.0"), "somebody works");
    assert_eq!(press(&mut desk, &[Action::PreviousPage]), None);
    assert!(says(&mut desk, "Update 0.3.0"));
    press(&mut desk, &[Action::Select]);
    assert!(says(&mut desk, "Release notes 0.3.0"));
    // Back leads where one was, and the offer stays.
    press(&mut desk, &[Action::Back]);
    assert!(!says(&mut desk, "Release notes 0.3.0") && says(&mut desk, "Update 0.3.0"));
}

/// An update for another board cannot be installed; why stands there, and a support report can be had.
#[test]
fn a_refused_update_says_why_and_cannot_be_installed() {
    let mut desk = told(examples::with_wrong_stick());
    assert!(says(&mut desk, "for another kind of box"));
    let mut wishes = Vec::new();
    for _ in 0..4 {
        press(&mut desk, &[Action::Down]);
    }
    wishes.extend(press(&mut desk, &[Action::Select]));
    assert_eq!(wishes, [Wish::Support]);
}

#[test]
fn what_was_read_is_not_said_again_until_it_happens_again() {
    let failed = || {
        let why = Reason::new("update_failed", Fault::Data, "I/O error");
        examples::with_stick(Some(Installation::Failed(why)), None)
    };
    let mut desk = told(failed());
    assert!(says(&mut desk, "The update was not installed") && says(&mut desk, "I/O error"));
    press(&mut desk, &[Action::Select]);
    desk.tell(Arc::new(failed()), &shelf(), LATER);
    assert!(!says(&mut desk, "The update was not installed"));
    // The offer is there again; the same failure after another try is news.
    press(&mut desk, &[Action::PreviousPage, Action::Select]);
    let again = press(&mut desk, &[Action::Down, Action::Down, Action::Select]);
    assert!(matches!(again, Some(Wish::Install(_))), "{again:?}");
    let running = Some(Installation::Running("0.3.0".to_owned(), 0));
    desk.tell(Arc::new(examples::with_stick(running, None)), &shelf(), LATER);
    desk.tell(Arc::new(failed()), &shelf(), LATER + SECOND);
    assert!(says(&mut desk, "The update was not installed"));
}

#[test]
fn a_stick_that_is_pulled_out_takes_its_question_along() {
    let mut desk = told(offered());
    assert!(says(&mut desk, "Update 0.3.0"));
    desk.tell(Arc::new(examples::busy()), &shelf(), 4 * SECOND);
    assert!(!says(&mut desk, "Update 0.3.0") && says(&mut desk, "Yılmaz"));
    assert_eq!(press(&mut desk, &[Action::Down, Action::Down]), None);
}

/// Behind the PIN: nobody installs anything at a screen that is locked.
#[test]
fn a_locked_screen_asks_nothing() {
    let mut desk = Desk::new(Settings {
        idle: Some(Duration::from_secs(60)),
        pin: Some("2468".into()),
        ..Settings::default()
    });
    desk.tell(Arc::new(examples::busy()), &shelf(), SECOND);
    desk.tick(LATER);
    desk.tell(Arc::new(offered()), &shelf(), LATER);
    assert!(!says(&mut desk, "Update 0.3.0"));
    let hands = [Action::Down, Action::Down, Action::Down, Action::Select];
    assert_eq!(press(&mut desk, &hands), None);
    assert!(!says(&mut desk, "Release notes"));
}

#[test]
fn a_finger_answers_what_stands_there_and_only_that() {
    let size = Settings::default().size;
    let fresh = || {
        let mut desk = told(offered());
        desk.draw(&mut Frame::new(size));
        desk
    };
    let tap = |desk: &mut Desk, at: Point| {
        for kind in [TouchKind::Down, TouchKind::Up] {
            desk.act(Action::Touch(Touch { kind, at }), &shelf(), 3 * SECOND);
        }
        desk.take_wish()
    };
    let (mut desk, mut found) = (fresh(), Vec::new());
    // The answers stand in the lower half.
    let places = (300..600)
        .step_by(32)
        .flat_map(|y| (32..1024).step_by(64).map(move |x| Point::new(x, y)));
    for at in places {
        let wish = tap(&mut desk, at);
        if wish.is_some() || !says(&mut desk, "Release notes") {
            found.push((at, wish));
            desk = fresh();
        }
    }
    let (install, _) = found
        .iter()
        .find(|(_, wish)| matches!(wish, Some(Wish::Install(_))))
        .unwrap();
    assert!(found.iter().any(|(_, wish)| *wish == Some(Wish::Support)));
    assert!(found.iter().any(|(_, wish)| wish.is_none()), "one closes it");
    // What stood there when the finger came down is no longer offered when it leaves.
    let mut desk = fresh();
    desk.act(
        Action::Touch(Touch {
            kind: TouchKind::Down,
            at: *install,
        }),
        &shelf(),
        3 * SECOND,
    );
    desk.tell(Arc::new(examples::with_wrong_stick()), &shelf(), 4 * SECOND);
    desk.act(
        Action::Touch(Touch {
            kind: TouchKind::Up,
            at: *install,
        }),
        &shelf(),
        5 * SECOND,
    );
    assert_eq!(desk.take_wish(), None);
}

#[test]
fn a_box_without_a_system_below_it_asks_nothing() {
    let mut desk = told(Situation {
        maintenance: Maintenance::default(),
        ..examples::busy()
    });
    assert_eq!(press(&mut desk, &[Action::PreviousPage, Action::Select]), None);
    assert!(
        says(&mut desk, "Yılmaz"),
        "select leads from the box to the studies"
    );
}
