//! What hands, news and time do to the pages.

use super::*;

/// Dark without a patient, and a PIN before there is one again.
#[test]
fn at_rest_no_patient_is_seen_and_the_pin_wakes() {
    let settings = Settings {
        idle: Some(Duration::from_secs(60)),
        pin: Some("2468".into()),
        ..Settings::default()
    };
    let mut desk = Desk::new(settings);
    let shelf = shelf();
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.act(Action::Select, &shelf, SECOND);
    assert_eq!(desk.due(), Some(61 * SECOND));
    desk.tick(60 * SECOND);
    assert!(painted(&mut desk).iter().any(|text| text.contains("Yılmaz")));
    desk.tick(61 * SECOND);
    assert_eq!(painted(&mut desk), ["Press a key or touch the screen"]);

    // A new result is announced and not shown.
    let mut news = examples::busy();
    news.studies[1].state = State::Answered(Verdict::Tumour);
    news.studies[1].answers += 1;
    desk.tell(Arc::new(news), &shelf, 70 * SECOND);
    assert!(painted(&mut desk).contains(&"1 new result".to_owned()));

    // The key that wakes is no digit yet; the wrong PIN is refused.
    let press = |desk: &mut Desk, action| desk.act(action, &shelf, 80 * SECOND);
    press(&mut desk, Action::Digit(2));
    for digit in [2, 4, 6, 9] {
        press(&mut desk, Action::Digit(digit));
    }
    assert!(painted(&mut desk).contains(&"That is not the PIN".to_owned()));
    // With three keys: down to the digit, select.
    for digit in [2, 4, 6, 8] {
        for _ in 0..11 {
            press(&mut desk, Action::Down);
        }
        for _ in 0..digit {
            press(&mut desk, Action::Down);
        }
        press(&mut desk, Action::Select);
        for _ in 0..digit {
            press(&mut desk, Action::Up);
        }
    }
    assert!(
        painted(&mut desk).iter().any(|text| text.contains("Yılmaz")),
        "{:?}",
        painted(&mut desk)
    );
}

#[test]
fn a_new_result_comes_up_by_itself_unless_somebody_is_at_work() {
    let shelf = shelf();
    let mut news = examples::busy();
    news.studies[1].state = State::Answered(Verdict::Tumour);
    news.studies[1].answers += 1;
    let is_result = |desk: &mut Desk| painted(desk).iter().any(|text| text == "Right parotid gland");

    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    assert!(!is_result(&mut desk), "what was there at the start is no news");
    desk.tell(Arc::new(news.clone()), &shelf, 2 * SECOND);
    assert!(is_result(&mut desk));

    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.act(Action::Down, &shelf, 2 * SECOND);
    desk.tell(Arc::new(news), &shelf, 3 * SECOND);
    assert!(!is_result(&mut desk), "somebody is reading");
}

/// One answer is one new result, although its other slices come later; who looks goes on looking.
#[test]
fn more_pictures_are_no_new_result() {
    let shelf = shelf();
    let mut news = examples::busy();
    news.studies[1].state = State::Answered(Verdict::Tumour);
    news.studies[1].answers += 1;
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.tell(Arc::new(news.clone()), &shelf, 2 * SECOND);
    desk.act(Action::Select, &shelf, 3 * SECOND);
    desk.act(Action::Down, &shelf, 3 * SECOND);
    let alone = painted(&mut desk);
    assert!(!alone.iter().any(|text| text == "ADC"), "one series alone");
    news.studies[1].pictures += 1;
    desk.tell(Arc::new(news.clone()), &shelf, 100 * SECOND);
    assert_eq!(painted(&mut desk), alone);

    let settings = Settings {
        idle: Some(60 * SECOND),
        pin: Some("2468".into()),
        ..Settings::default()
    };
    let mut desk = Desk::new(settings);
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.tick(100 * SECOND);
    for pictures in 0..3 {
        news.studies[1].pictures = pictures;
        desk.tell(Arc::new(news.clone()), &shelf, 101 * SECOND);
    }
    assert!(painted(&mut desk).contains(&"1 new result".to_owned()));
}

/// What was superseded is not looked at any longer, although its study is still there.
#[test]
fn superseded_findings_leave_the_screen() {
    let mut desk = Desk::new(Settings::default());
    let mut situation = examples::busy();
    situation.studies.truncate(1);
    situation.studies[0].state = State::Answered(Verdict::Tumour);
    let there = Each(examples::opened(examples::one_tumour()), situation.clone());
    desk.tell(Arc::new(situation.clone()), &there, SECOND);
    desk.act(Action::Select, &there, SECOND);
    assert!(
        painted(&mut desk)
            .iter()
            .any(|text| text == "Right parotid gland")
    );
    situation.studies[0].state = State::Receiving(vec![]);
    situation.studies[0].pictures += 1;
    let gone = Each(there.0.clone(), situation.clone());
    desk.tell(Arc::new(situation), &gone, 2 * SECOND);
    assert!(!painted(&mut desk).iter().any(|text| text.contains('%')));
}

/// A finger opens the study that it came down on, although the rows have moved.
#[test]
fn a_finger_means_what_it_saw() {
    let situation = examples::busy();
    let shelf = Each(examples::opened(examples::one_tumour()), situation.clone());
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(situation.clone()), &shelf, SECOND);
    painted(&mut desk);
    let touch = |desk: &mut Desk, kind| {
        let at = Point::new(300, 320);
        desk.act(Action::Touch(Touch { at, kind }), &shelf, SECOND);
    };
    touch(&mut desk, TouchKind::Down);
    let mut moved = situation;
    moved.studies.rotate_right(1);
    desk.tell(Arc::new(moved), &shelf, SECOND);
    painted(&mut desk);
    touch(&mut desk, TouchKind::Up);
    assert!(
        painted(&mut desk)[0].contains("Okonkwo")
            || painted(&mut desk).iter().any(|text| text.contains("Okonkwo"))
    );
    assert!(
        painted(&mut desk)
            .iter()
            .any(|text| text == "Right parotid gland")
    );
}

#[test]
fn an_alarm_is_seen_in_the_dark_and_nothing_behind_it_is_touched() {
    let shelf = shelf();
    let settings = Settings {
        idle: Some(60 * SECOND),
        pin: Some("2468".into()),
        ..Settings::default()
    };
    let mut desk = Desk::new(settings);
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.tick(100 * SECOND);
    desk.tell(Arc::new(examples::alarmed(Alarm::Disk)), &shelf, 101 * SECOND);
    let texts = painted(&mut desk);
    assert!(texts.contains(&"The disk is filling up".to_owned()), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("Yılmaz")));
    desk.act(Action::Select, &shelf, 102 * SECOND);
    assert_eq!(painted(&mut desk), ["Press a key or touch the screen"]);
}

#[test]
fn trying_pins_takes_days() {
    let shelf = shelf();
    let settings = Settings {
        idle: Some(600 * SECOND),
        pin: Some("2468".into()),
        ..Settings::default()
    };
    let mut desk = Desk::new(settings);
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.tick(1000 * SECOND);
    desk.act(Action::Select, &shelf, 1001 * SECOND);
    let type_ = |desk: &mut Desk, pin: [u8; 4], now: u64| {
        for digit in pin {
            desk.act(Action::Digit(digit), &shelf, Duration::from_secs(now));
        }
        !painted(desk).iter().any(|text| text == "Locked")
    };
    for _ in 0..5 {
        assert!(!type_(&mut desk, [1, 1, 1, 1], 1001));
    }
    assert!(
        !type_(&mut desk, [2, 4, 6, 8], 1010),
        "too soon after five wrong ones"
    );
    assert!(type_(&mut desk, [2, 4, 6, 8], 1040));
}

#[test]
fn a_box_that_does_not_run_has_nothing_due() {
    let mut desk = Desk::new(Settings {
        idle: Some(SECOND),
        ..Settings::default()
    });
    let starting = Situation {
        phase: Phase::Starting(Start::Model),
        ..Situation::default()
    };
    desk.tell(Arc::new(starting), &shelf(), 100 * SECOND);
    assert_eq!(desk.due(), None);
}

#[test]
fn a_removed_study_leaves_the_screen_at_once() {
    let shelf = shelf();
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.act(Action::Select, &shelf, SECOND);
    assert!(painted(&mut desk).iter().any(|text| text.contains("Yılmaz")));
    let mut without = examples::busy();
    without.studies.remove(0);
    desk.tell(Arc::new(without), &shelf, 2 * SECOND);
    assert!(!painted(&mut desk).iter().any(|text| text.contains("Yılmaz")));
}

/// The three keys reach every tool and every page; up is towards the head and closer.
#[test]
fn three_keys_are_enough() {
    let shelf = shelf();
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    let press = |desk: &mut Desk, action| {
        desk.act(action, &shelf, SECOND);
        painted(desk)
    };
    let says = |texts: &[String], text: &str| texts.iter().any(|painted| painted == text);
    assert!(says(&press(&mut desk, Action::Select), "Slice 12 of 18"));
    assert!(says(&press(&mut desk, Action::Up), "Slice 13 of 18"));
    assert!(says(&press(&mut desk, Action::Down), "Slice 12 of 18"));
    press(&mut desk, Action::Select);
    assert!(
        says(&press(&mut desk, Action::Down), "T1"),
        "the first series alone"
    );
    assert!(!says(&press(&mut desk, Action::Down), "ADC"), "T2 alone");
    press(&mut desk, Action::Up);
    press(&mut desk, Action::Up);
    press(&mut desk, Action::Select);
    assert!(says(&press(&mut desk, Action::Up), "1.5×"));
    press(&mut desk, Action::Select);
    assert!(says(&press(&mut desk, Action::Up), "+1"), "brighter");
    press(&mut desk, Action::Select);
    assert!(says(&press(&mut desk, Action::Down), "−1"), "less contrast");
    press(&mut desk, Action::Select);
    assert!(says(&press(&mut desk, Action::Up), "on"));
    assert!(says(&press(&mut desk, Action::Select), "Quality of the images"));
    assert!(says(&press(&mut desk, Action::Back), "Slice 12 of 18"));
    assert!(says(&press(&mut desk, Action::NextPage), "Destinations"));
    assert!(says(&press(&mut desk, Action::PreviousPage), "Slice 12 of 18"));
    assert!(says(
        &press(&mut desk, Action::Back),
        "Analyzing: aligning the series"
    ));
}

/// A finger does what the keys do, on the places that are drawn.
#[test]
fn a_finger_leafs_zooms_and_opens() {
    let shelf = shelf();
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    let touch = |desk: &mut Desk, x, y, kind| {
        desk.act(
            Action::Touch(Touch {
                at: Point::new(x, y),
                kind,
            }),
            &shelf,
            SECOND,
        );
        painted(desk)
    };
    let says = |texts: &[String], text: &str| texts.iter().any(|painted| painted == text);
    painted(&mut desk);
    touch(&mut desk, 300, 120, TouchKind::Down);
    assert!(
        says(&touch(&mut desk, 300, 120, TouchKind::Up), "Slice 12 of 18"),
        "a row opens"
    );
    // Over the pictures: down is towards the feet or the head, by the way of the finger.
    touch(&mut desk, 100, 150, TouchKind::Down);
    touch(&mut desk, 100, 150 + 48, TouchKind::Moved);
    assert!(says(
        &touch(&mut desk, 100, 150 + 48, TouchKind::Up),
        "Slice 15 of 18"
    ));
    // The strip goes straight there.
    touch(&mut desk, 14, 480, TouchKind::Down);
    assert!(says(&touch(&mut desk, 14, 480, TouchKind::Up), "Slice 1 of 18"));
    // A touch enlarges a picture, and another brings the others back.
    touch(&mut desk, 100, 150, TouchKind::Down);
    assert!(!says(&touch(&mut desk, 100, 150, TouchKind::Up), "ADC"));
    touch(&mut desk, 100, 150, TouchKind::Down);
    assert!(says(&touch(&mut desk, 100, 150, TouchKind::Up), "ADC"));
    // Nobody touched anything where nothing is.
    touch(&mut desk, 700, 30, TouchKind::Down);
    touch(&mut desk, 700, 30, TouchKind::Up);
}

/// Who reads a result finds the same patient on the page three minutes later; the new one is counted and marked.
#[test]
fn a_result_that_is_read_is_not_replaced() {
    let shelf = shelf();
    let mut news = examples::busy();
    news.studies[1].state = State::Answered(Verdict::Tumour);
    news.studies[1].answers += 1;
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
    desk.act(Action::Select, &shelf, 2 * SECOND);
    let read = desk.opened().map(str::to_owned);
    assert_eq!(read.as_ref(), Some(&news.studies[0].uid));
    desk.tell(Arc::new(news.clone()), &shelf, 100 * SECOND);
    assert_eq!(desk.opened().map(str::to_owned), read);
    desk.act(Action::Back, &shelf, 101 * SECOND);
    let one_unseen = |desk: &mut Desk| painted(desk).contains(&"1".to_owned());
    assert!(one_unseen(&mut desk), "beside the list");
    desk.act(Action::Down, &shelf, 101 * SECOND);
    desk.act(Action::Select, &shelf, 101 * SECOND);
    assert_eq!(desk.opened(), Some(news.studies[1].uid.as_str()));
    desk.act(Action::Back, &shelf, 102 * SECOND);
    assert!(!one_unseen(&mut desk), "it was seen");
    desk.act(Action::Select, &shelf, 103 * SECOND);

    // Nobody reads any more.
    news.studies[2].answers += 1;
    desk.tell(Arc::new(news.clone()), &shelf, 300 * SECOND);
    assert_eq!(desk.opened(), Some(news.studies[2].uid.as_str()));
}

#[test]
fn a_study_with_nothing_to_show_says_so_until_the_next_key() {
    let situation = examples::busy();
    let shelf = Each(examples::opened(examples::one_tumour()), situation.clone());
    let mut desk = Desk::new(Settings::default());
    desk.tell(Arc::new(situation), &shelf, SECOND);
    let nothing = "There is nothing to show of this study yet.".to_owned();
    desk.act(Action::Select, &shelf, SECOND);
    assert!(painted(&mut desk).contains(&nothing));
    desk.act(Action::Down, &shelf, SECOND);
    assert!(!painted(&mut desk).contains(&nothing));
}
