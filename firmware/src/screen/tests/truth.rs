//! What the pages say, and what they never say.

use super::*;

#[test]
fn the_notice_stands_whole_on_every_page_that_shows_a_patient() {
    for language in Language::ALL {
        for size in SIZES {
            for name in Name::value_variants() {
                if matches!(name, Name::Dark | Name::Locked) {
                    continue;
                }
                let painted = painted(&mut desk(*name, size, language));
                let notice = language.words().notice;
                assert!(
                    painted.iter().any(|text| text == notice),
                    "{name:?} {size} {language:?}"
                );
            }
        }
    }
}

/// Every probability is painted with its interval beside it.
#[test]
fn no_probability_without_its_interval() {
    for size in SIZES {
        for name in [Name::Result, Name::Crowded] {
            let painted = painted(&mut desk(name, size, Language::English));
            let is_percent = |text: &&String| text.ends_with(" %");
            let is_range =
                |text: &&String| text.starts_with('(') && text.ends_with(')') && text.contains('–');
            let percents = painted.iter().filter(is_percent).count();
            assert!(percents >= 7, "{name:?} {size}: {painted:?}");
            assert_eq!(
                percents,
                painted.iter().filter(is_range).count(),
                "{name:?} {size}: {painted:?}"
            );
        }
    }
}

/// Even when findings without an answer carry numbers by mistake, none of them reaches the page.
#[test]
fn no_answer_means_no_number() {
    let mut findings = examples::one_tumour();
    findings.outcome = Outcome::CannotAnswer;
    findings.reasons = vec![Reason::new("missing_contrast", Fault::Data, "no T2")];
    let shelf = examples::opened(findings);
    for size in SIZES {
        let mut desk = Desk::new(Settings {
            size,
            ..Settings::default()
        });
        desk.tell(Arc::new(examples::busy()), &shelf, SECOND);
        desk.act(Action::Select, &shelf, SECOND);
        let painted = painted(&mut desk);
        assert!(painted.iter().any(|text| text == "Cannot answer"), "{painted:?}");
        for text in &painted {
            assert!(
                !text.contains('%') && !text.contains("72") && !text.contains("24 mm"),
                "{text}"
            );
        }
    }
    // Nor do outlines: yellow is the colour of the first lesion only.
    let frame = page(Name::CannotAnswer, DEFAULT_SIZE, Language::English);
    let yellow = lesion_rgb(1);
    assert!(frame.rgb().chunks_exact(3).all(|pixel| pixel != yellow));
}

#[test]
fn impossible_numbers_are_not_shown() {
    let spoil: [fn(&mut LabelProbability); 5] = [
        |label| label.probability = f64::NAN,
        |label| label.probability = 1.2,
        |label| label.interval = [0.7, 0.3],
        |label| label.interval[1] = f64::INFINITY,
        |label| label.interval[0] = -0.1,
    ];
    for spoil in spoil {
        let mut findings = examples::one_tumour();
        spoil(&mut findings.lesions[0].tasks[0].labels[0]);
        let words = Language::English.words();
        let sheet = StudySheet::new(&findings, &Default::default(), words, PatientOnScreen::Full);
        let StudySheet::CannotAnswer(sheet) = sheet else {
            panic!("shown")
        };
        assert_eq!(sheet.reasons[0].fault, "Sialoscope itself");
    }
}

#[test]
fn the_result_says_this() {
    let opened = examples::opened(examples::one_tumour());
    let words = Language::English.words();
    insta::assert_debug_snapshot!(StudySheet::new(
        &opened.findings,
        &opened.pictures,
        words,
        PatientOnScreen::Full
    ));
}

#[test]
fn the_message_says_this() {
    let opened = examples::opened(examples::cannot_answer());
    let words = Language::Spanish.words();
    insta::assert_debug_snapshot!(StudySheet::new(
        &opened.findings,
        &opened.pictures,
        words,
        PatientOnScreen::Full
    ));
}

#[test]
fn delivered_is_said_of_what_was_delivered_only() {
    for (delivery, said) in [
        (Delivery::Nowhere, false),
        (Delivery::Waiting("PACS".into()), false),
        (Delivery::Blocked("PACS".into()), false),
        (Delivery::Done, true),
    ] {
        let mut situation = examples::busy();
        situation.studies.truncate(1);
        situation.studies[0].state = State::Answered(Verdict::Tumour);
        situation.studies[0].delivery = delivery.clone();
        let mut desk = Desk::new(Settings::default());
        desk.tell(Arc::new(situation), &shelf(), SECOND);
        assert_eq!(
            painted(&mut desk).iter().any(|text| text == "Delivered"),
            said,
            "{delivery:?}"
        );
    }
}

#[test]
fn as_much_of_a_patient_is_shown_as_the_settings_allow() {
    for (patient, full, short) in [
        (PatientOnScreen::Full, true, false),
        (PatientOnScreen::Initials, false, true),
        (PatientOnScreen::Hidden, false, false),
    ] {
        let mut desk = Desk::new(Settings {
            patient,
            ..Settings::default()
        });
        desk.tell(Arc::new(examples::busy()), &shelf(), SECOND);
        let mut texts = painted(&mut desk);
        desk.act(Action::Select, &shelf(), SECOND);
        texts.extend(painted(&mut desk));
        assert_eq!(texts.iter().any(|text| text.contains("Ayşe")), full, "{texts:?}");
        assert_eq!(
            texts.iter().any(|text| text.contains("Y. A.")),
            short,
            "{texts:?}"
        );
        assert_eq!(texts.iter().any(|text| text.contains("2024-03-14")), full);
    }
}

/// What finds no room on the page of a result is counted there, and stands in its details.
#[test]
fn remarks_without_room_are_counted() {
    for size in SIZES {
        let mut desk = desk(Name::Crowded, size, Language::English);
        let painted = painted(&mut desk);
        let findings = examples::crowded();
        let shown = findings.quality.iter().filter(|remark| {
            let plain = Language::English.words().plain(remark).unwrap_or(&remark.text);
            let start = plain.get(..12).unwrap_or(plain);
            painted.iter().any(|text| text.starts_with(start))
        });
        let counted = painted
            .iter()
            .any(|text| text.starts_with('+') && text.ends_with("more"));
        assert!(
            counted || shown.count() == findings.quality.len(),
            "{size}: {painted:?}"
        );
    }
}

#[test]
fn what_was_finished_before_the_start_has_no_age() {
    let mut situation = examples::busy();
    situation.studies.truncate(1);
    for (age_s, said) in [(Some(240), "4 min ago"), (None, "before the start")] {
        situation.studies[0].age_s = age_s;
        let mut desk = Desk::new(Settings::default());
        desk.tell(Arc::new(situation.clone()), &shelf(), SECOND);
        assert!(painted(&mut desk).contains(&said.to_owned()), "{said}");
    }
}
