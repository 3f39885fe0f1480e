//! The pages as pictures and as view models.

#![allow(clippy::unwrap_used)]

use std::{fs, io::Cursor, path::PathBuf};

use board::Frame;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use models::findings::{Findings, LabelProbability, NOTICE, Outcome};
use proptest::prelude::*;

use crate::station::config::MaySend;

use super::{DEFAULT_SIZE, StatusView, model::Page, parts, result_page, samples, status_page, style::Style};

const SMALL: Size = Size::new(800, 480);

/// Every page there is, by name.
fn pages(size: Size) -> Vec<(&'static str, Frame)> {
    let study = |findings: Findings| result_page(&findings, &samples::views(&findings), size);
    vec![
        ("one-tumour", study(samples::one_tumour())),
        ("crowded", study(samples::crowded())),
        ("no-tumour", study(samples::no_tumour())),
        ("cannot-answer", study(samples::cannot_answer())),
        (
            "cannot-answer-without-views",
            result_page(&samples::cannot_answer(), &[], size),
        ),
        ("status", status_page(&samples::busy_status(), size)),
        (
            "status-empty",
            status_page(
                &StatusView {
                    warnings: vec![],
                    studies: vec![],
                    refusals: vec![],
                    ..samples::busy_status()
                },
                size,
            ),
        ),
        (
            "status-nobody",
            status_page(
                &StatusView {
                    studies: vec![],
                    may_send: MaySend::Nobody,
                    notices: vec![
                        "TLS certificate sialoscope.example.org expires in 12 days, on 2026-12-04".into(),
                    ],
                    ..samples::busy_status()
                },
                size,
            ),
        ),
    ]
}

/// The picture that a page is compared with, and how to renew it after looking at the new one:
/// `SIALOSCOPE_RENEW_PICTURES=1 cargo test -p firmware screen`.
fn reference(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "src",
        "screen",
        "pictures",
        &format!("{name}.png"),
    ]
    .iter()
    .collect()
}

#[test]
fn pages_look_as_approved() {
    let renew = std::env::var_os("SIALOSCOPE_RENEW_PICTURES").is_some();
    let approved = [
        ("one-tumour", DEFAULT_SIZE),
        ("cannot-answer", SMALL),
        ("status", SMALL),
    ];
    for (name, size) in approved {
        let (_, frame) = pages(size).into_iter().find(|page| page.0 == name).unwrap();
        if renew {
            fs::create_dir_all(reference(name).parent().unwrap()).unwrap();
            fs::write(reference(name), frame.to_png()).unwrap();
        }
        let mut reader = png::Decoder::new(Cursor::new(fs::read(reference(name)).unwrap()))
            .read_info()
            .unwrap();
        let mut approved = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut approved).unwrap();
        assert_eq!(approved.len(), frame.rgb().len(), "{name} has another size");
        // Rounding differs between processors by one step of a channel, nothing else may.
        let differing = approved
            .iter()
            .zip(frame.rgb())
            .filter(|(a, b)| a.abs_diff(**b) > 2)
            .count();
        if differing > 0 {
            let now = std::env::temp_dir().join(format!("sialoscope-{name}.png"));
            fs::write(&now, frame.to_png()).unwrap();
            panic!(
                "{name} differs in {differing} bytes; it looks like {} now",
                now.display()
            );
        }
    }
}

#[test]
fn who_may_send_and_what_expires_is_plain_to_see() {
    let page = |change: fn(&mut StatusView)| {
        let mut status = samples::busy_status();
        change(&mut status);
        status_page(&status, SMALL).rgb().to_vec()
    };
    let pages = [
        page(|status| status.may_send = MaySend::Everybody),
        page(|status| status.may_send = MaySend::Nobody),
        page(|status| status.may_send = MaySend::Listed),
        page(|status| status.notices.push("TLS certificate x expires in 12 days".into())),
    ];
    for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 3)] {
        assert_ne!(pages[one], pages[other], "{one} and {other}");
    }
}

/// For the eyes: `SIALOSCOPE_PICTURES=DIR` keeps every page at both sizes.
#[test]
fn every_page_fits_both_sizes() {
    for size in [DEFAULT_SIZE, SMALL] {
        for (name, frame) in pages(size) {
            assert_eq!(frame.size(), size);
            if let Some(folder) = std::env::var_os("SIALOSCOPE_PICTURES") {
                let file = format!("{name}-{}.png", size.width);
                fs::write(PathBuf::from(folder).join(file), frame.to_png()).unwrap();
            }
        }
    }
}

#[test]
fn the_notice_stands_on_every_page() {
    for size in [DEFAULT_SIZE, SMALL] {
        let style = Style::for_size(size);
        let (mut expected, mut room) = parts::blank(size);
        let footer = super::model::Footer {
            notice: NOTICE.to_owned(),
            trained_on: String::new(),
            software: String::new(),
        };
        parts::footer(&mut expected, &style, &mut room, &footer);
        // The left part of the footer, where the notice is; not a single pixel may differ.
        let width = style.heading.width(NOTICE) + style.heading.cap_height() + 32;
        let place = Rectangle::new(
            Point::new(0, (size.height - style.footer_height) as i32),
            Size::new(width, style.footer_height),
        );
        let ink = place
            .points()
            .filter(|&at| expected.pixel(at) == Some(super::style::AMBER))
            .count();
        assert!(ink > 500, "the notice itself leaves {ink} pixels only");
        for (name, frame) in pages(size) {
            assert!(
                place.points().all(|at| frame.pixel(at) == expected.pixel(at)),
                "{name} at {size}"
            );
        }
    }
}

#[test]
fn the_result_says_this() {
    let findings = samples::one_tumour();
    insta::assert_debug_snapshot!(Page::new(&findings, &samples::views(&findings)));
}

#[test]
fn the_message_says_this() {
    insta::assert_debug_snapshot!(Page::new(&samples::cannot_answer(), &[]));
}

/// Even when findings without an answer carry numbers by mistake, none of them reaches the page.
#[test]
fn no_answer_means_no_number() {
    let mut findings = samples::one_tumour();
    let views = samples::views(&findings);
    findings.outcome = Outcome::CannotAnswer;
    let page = Page::new(&findings, &views);
    assert!(matches!(page, Page::CannotAnswer(_)));
    let said = format!("{page:?}");
    for figure in ["%", "0.717", "72", "24.3", "Bar {", "probability:"] {
        assert!(!said.contains(figure), "{figure} in {said}");
    }

    // Nor do outlines: the picture is that of an examination without lesions.
    let mut without = findings.clone();
    without.lesions.clear();
    let mut bare = views.clone();
    bare.iter_mut().for_each(|view| view.outlines.clear());
    assert_eq!(
        result_page(&findings, &views, DEFAULT_SIZE),
        result_page(&without, &bare, DEFAULT_SIZE)
    );
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
        let mut findings = samples::one_tumour();
        spoil(&mut findings.lesions[0].tasks[0].labels[0]);
        let Page::CannotAnswer(page) = Page::new(&findings, &[]) else {
            panic!("shown")
        };
        assert_eq!(page.reasons[0].fault, "Sialoscope itself");
    }
}

#[test]
fn an_outlined_tumour_shows_its_colour_on_each_view() {
    let findings = samples::one_tumour();
    let mut bare = samples::views(&findings);
    let outlined = result_page(&findings, &bare, DEFAULT_SIZE);
    bare.iter_mut().for_each(|view| view.outlines.clear());
    let plain = result_page(&findings, &bare, DEFAULT_SIZE);
    let yellow = |frame: &Frame| {
        frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| *p == [0xF0, 0xE4, 0x42])
            .count()
    };
    assert!(
        yellow(&outlined) > yellow(&plain) + 6 * 60,
        "{} and {}",
        yellow(&outlined),
        yellow(&plain)
    );
}

/// The picture changes with its name, so no name of the promised scripts is drawn as another one or not at all.
#[test]
fn names_are_drawn() {
    let drawn = |name: &str| {
        let mut findings = samples::no_tumour();
        findings.study.patient_name = name.to_owned();
        result_page(&findings, &[], DEFAULT_SIZE)
    };
    let none = drawn(" ");
    let names = [
        "Yılmaz^Ayşe",
        "Ğüçlü^İğdır",
        "Петрова^Мария",
        "王^小东",
        "陳^大文",
    ];
    for (i, name) in names.iter().enumerate() {
        assert_ne!(drawn(name), none, "{name}");
        assert!(
            names[i + 1..].iter().all(|other| drawn(name) != drawn(other)),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the findings say and however small the screen, a page comes out.
    #[test]
    fn no_page_panics(
        (width, height) in (1..1300u32, 1..800u32),
        words in "\\PC{0,60}",
        probability in 0.0..=1.0f64,
        pixel_mm in prop::sample::select(vec![0.5, 0.0, -1.0, f64::NAN, 1e9]),
        corner in prop::sample::select(vec![0.0f32, -1e9, f32::NAN, 1e9, 159.0]),
    ) {
        let mut findings = samples::crowded();
        findings.study.patient_name.clone_from(&words);
        findings.study.study_date.clone_from(&words);
        findings.quality[0].text.clone_from(&words);
        findings.lesions[0].tasks[0].task.clone_from(&words);
        let label = &mut findings.lesions[0].tasks[0].labels[0];
        label.label.clone_from(&words);
        (label.probability, label.interval) = (probability, [0.0, probability]);
        let mut views = samples::views(&findings);
        views[0].pixel_mm = pixel_mm;
        views[0].outlines[0].points[0] = [corner, 3.0];
        views[1].width = 7;
        let size = Size::new(width, height);
        prop_assert_eq!(result_page(&findings, &views, size).size(), size);
        findings.outcome = Outcome::CannotAnswer;
        findings.reasons.clone_from(&findings.quality);
        prop_assert_eq!(result_page(&findings, &views, size).size(), size);
        prop_assert_eq!(status_page(&samples::busy_status(), size).size(), size);
        prop_assert_eq!(status_page(&StatusView::default(), size).size(), size);
    }
}

#[test]
fn the_ground_is_dark() {
    for (name, frame) in pages(DEFAULT_SIZE) {
        let bright = frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| p.iter().all(|c| *c > 160))
            .count();
        assert!(
            bright * 5 < frame.rgb().len() / 3,
            "{name}: {bright} bright pixels"
        );
        assert_ne!(frame.pixel(Point::new(2, 300)), Some(Rgb888::WHITE));
    }
}
