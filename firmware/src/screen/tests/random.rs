//! Random hands, news and findings.

use super::*;

fn actions() -> impl Strategy<Value = Action> {
    let point = (0..1024i32, 0..600i32).prop_map(|(x, y)| Point::new(x, y));
    let touch = (
        point,
        prop::sample::select(vec![TouchKind::Down, TouchKind::Moved, TouchKind::Up]),
    );
    prop_oneof![
        2 => Just(Action::Up),
        2 => Just(Action::Down),
        3 => Just(Action::Select),
        1 => Just(Action::Back),
        1 => Just(Action::NextPage),
        1 => Just(Action::PreviousPage),
        1 => (0..12u8).prop_map(Action::Digit),
        6 => touch.prop_map(|(at, kind)| Action::Touch(Touch { at, kind })),
    ]
}

/// What happens to the box and to the people before it.
#[derive(Debug, Clone)]
enum Happens {
    Act(Action),
    /// Only these studies are there; these have one more answer.
    Studies(Vec<bool>, Vec<bool>),
    Alarm(Alarm),
    Calm,
    Phase(Phase),
    Wait(u64),
    Resize(u32, u32),
}

fn happenings() -> impl Strategy<Value = Happens> {
    prop_oneof![
        20 => actions().prop_map(Happens::Act),
        3 => (prop::collection::vec(any::<bool>(), 8), prop::collection::vec(any::<bool>(), 8))
            .prop_map(|(there, answered)| Happens::Studies(there, answered)),
        1 => prop::sample::select(vec![Alarm::Disk, Alarm::Clock, Alarm::Temperature]).prop_map(Happens::Alarm),
        1 => Just(Happens::Calm),
        1 => prop::sample::select(vec![Phase::Starting(Start::Model), Phase::Running, Phase::Stopping(Stop::Receiving)])
            .prop_map(Happens::Phase),
        2 => (0..200u64).prop_map(Happens::Wait),
        1 => (240..1300u32, 240..900u32).prop_map(|(width, height)| Happens::Resize(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens: a page comes out, a removed patient is gone from it, and there is a way back to the list.
    #[test]
    fn whatever_happens_there_is_a_page_and_a_way_back(
        happenings in prop::collection::vec(happenings(), 1..60),
        pin in any::<bool>(),
        which in 0..4usize,
    ) {
        let findings = [examples::one_tumour, examples::crowded, examples::no_tumour, examples::cannot_answer][which]();
        let shelf = Each(examples::opened(findings), examples::busy());
        let settings = Settings {
            idle: Some(Duration::from_secs(100)),
            pin: pin.then(|| "1357".to_owned()),
            ..Settings::default()
        };
        let mut desk = Desk::new(settings);
        let mut situation = examples::busy();
        let all = situation.studies.clone();
        let mut now = SECOND;
        desk.tell(Arc::new(situation.clone()), &shelf, now);
        for happens in happenings {
            match happens {
                Happens::Act(action) => desk.act(action, &shelf, now),
                Happens::Studies(there, answered) => {
                    situation.studies = all
                        .iter()
                        .zip(&there)
                        .zip(&answered)
                        .filter(|((_, there), _)| **there)
                        .map(|((study, _), answered)| Study {
                            answers: study.answers + u32::from(*answered),
                            ..study.clone()
                        })
                        .collect();
                    desk.tell(Arc::new(situation.clone()), &shelf, now);
                }
                Happens::Alarm(alarm) => {
                    situation.alarms.push(alarm);
                    situation.alarms.dedup();
                    desk.tell(Arc::new(situation.clone()), &shelf, now);
                }
                Happens::Calm => {
                    situation.alarms.clear();
                    desk.tell(Arc::new(situation.clone()), &shelf, now);
                }
                Happens::Phase(phase) => {
                    situation.phase = phase;
                    desk.tell(Arc::new(situation.clone()), &shelf, now);
                }
                Happens::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    desk.tick(now);
                }
                Happens::Resize(width, height) => desk.resize(Size::new(width, height)),
            }
            let texts = painted(&mut desk);
            for study in &all {
                let there = situation.studies.iter().any(|known| known.uid == study.uid);
                let name = words::patient_name(&study.patient_name);
                let family = name.split(',').next().unwrap_or_default();
                let shown = texts.iter().any(|text| text.starts_with(family));
                prop_assert!(there || !shown, "{} is still seen", name);
            }
        }
        // Awake, running, and then back.
        situation.phase = Phase::Running;
        desk.tell(Arc::new(situation.clone()), &shelf, now);
        for action in [1, 3, 5, 7, 1, 3, 5, 7].map(Action::Digit) {
            desk.act(action, &shelf, now);
        }
        for _ in 0..8 {
            desk.act(Action::Back, &shelf, now);
        }
        desk.resize(DEFAULT_SIZE);
        let texts = painted(&mut desk);
        let is_list = texts.iter().any(|text| text == "MR 2, basement") && !texts.iter().any(|text| text == "Destinations");
        prop_assert!(is_list || texts.iter().any(|text| text == "Locked"), "{:?}", texts);
    }

    /// Whatever the findings say and however small the screen, a page comes out.
    #[test]
    fn no_findings_break_a_page(
        (width, height) in (1..1300u32, 1..800u32),
        words in "\\PC{0,60}",
        probability in 0.0..=1.0f64,
        pixel_mm in prop::sample::select(vec![0.5, 0.0, -1.0, f64::NAN, 1e9]),
        corner in prop::sample::select(vec![0.0f32, -1e9, f32::NAN, 1e9, 159.0]),
    ) {
        let mut findings = examples::crowded();
        findings.study.patient_name.clone_from(&words);
        findings.study.study_date.clone_from(&words);
        findings.quality[0].text.clone_from(&words);
        findings.lesions[0].tasks[0].task.clone_from(&words);
        let label = &mut findings.lesions[0].tasks[0].labels[0];
        label.label.clone_from(&words);
        (label.probability, label.interval) = (probability, [0.0, probability]);
        let mut opened = examples::opened(findings);
        opened.pictures.pixel_mm = pixel_mm;
        opened.pictures.outlines[0].points[0] = [corner, 3.0];
        let settings = Settings { size: Size::new(width, height), ..Settings::default() };
        prop_assert_eq!(capture(&opened.findings, &opened.pictures, &settings).size(), settings.size);
        opened.findings.outcome = Outcome::CannotAnswer;
        opened.findings.reasons.clone_from(&opened.findings.quality);
        opened.pictures.width = 7;
        prop_assert_eq!(capture(&opened.findings, &opened.pictures, &settings).size(), settings.size);
    }
}
