//! The pages as pictures, as words, and under random hands.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use board::input::{Touch, TouchKind};
use clap::ValueEnum as _;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use models::findings::{Fault, LabelProbability, Outcome, Reason};
use proptest::prelude::*;

use super::desk::Desk;
use super::language::Language;
use super::situation::{Alarm, Delivery, PatientOnScreen, Phase, Start, State, Study, Verdict};
use super::*;
use crate::command::screen::{Name, SIZES, draw as drawn};

/// Pictures are kept as the means of squares of so many pixels: enough to see a line that moved by one pixel, and
/// small enough for every page, size and language.
const SQUARE: u32 = 8;

/// How far a mean may be off: rounding differs between processors.
const TOLERANCE: u8 = 3;

const SECOND: Duration = Duration::from_secs(1);

/// A shelf with the same findings for every study, each with its own patient.
struct Each(Opened, Situation);

impl Shelf for Each {
    fn open(&self, study: &str) -> Option<Opened> {
        let study = self.1.studies.iter().find(|known| known.uid == study)?;
        // Nothing is there to be read before there is an answer, and when it was superseded.
        if !matches!(study.state, State::Answered(_) | State::Failed(_)) {
            return None;
        }
        let mut opened = self.0.clone();
        opened.findings.study.patient_name.clone_from(&study.patient_name);
        Some(opened)
    }
}

fn shelf() -> Opened {
    examples::opened(examples::one_tumour())
}

fn page(name: Name, size: Size, language: Language) -> Frame {
    let mut settings = Settings {
        size,
        language,
        ..Settings::default()
    };
    drawn(name, &mut settings, None, None, &[])
}

/// The page in small: the mean of each square.
fn reduced(frame: &Frame) -> Frame {
    let size = Size::new(frame.width().div_ceil(SQUARE), frame.height().div_ceil(SQUARE));
    let mut small = Frame::new(size);
    for at in small.bounding_box().points() {
        let (mut sum, mut count) = ([0u32; 3], 0);
        for y in 0..SQUARE as i32 {
            for x in 0..SQUARE as i32 {
                if let Some(color) = frame.pixel(at * SQUARE as i32 + Point::new(x, y)) {
                    sum[0] += u32::from(color.r());
                    sum[1] += u32::from(color.g());
                    sum[2] += u32::from(color.b());
                    count += 1;
                }
            }
        }
        let mean = sum.map(|all| (all / count.max(1)) as u8);
        small
            .draw_iter([Pixel(at, Rgb888::new(mean[0], mean[1], mean[2]))])
            .unwrap();
    }
    small
}

/// All pages of one size and language below each other, in small.
fn sheet(pages: &[Frame]) -> Frame {
    let small: Vec<Frame> = pages.iter().map(reduced).collect();
    let height = small.iter().map(Frame::height).sum();
    let mut sheet = Frame::new(Size::new(small[0].width(), height));
    let mut top = 0;
    for page in &small {
        let area = page.bounding_box().translate(Point::new(0, top));
        let colors = page.bounding_box().points().map(|at| page.pixel(at).unwrap());
        sheet.fill_contiguous(&area, colors).unwrap();
        top += page.height() as i32;
    }
    sheet
}

/// The picture that a sheet is compared with, and how to renew it after looking at the new one:
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

fn decode(file: &[u8]) -> (u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    (reader.info().width, pixels)
}

#[test]
fn every_page_looks_as_approved_in_every_size_and_language() {
    let renew = std::env::var_os("SIALOSCOPE_RENEW_PICTURES").is_some();
    let names = Name::value_variants();
    for language in Language::ALL {
        for size in SIZES {
            let pages: Vec<Frame> = names.iter().map(|name| page(*name, size, language)).collect();
            let sheet = sheet(&pages);
            let name = format!("{}x{}-{}", size.width, size.height, language.code());
            if renew {
                fs::create_dir_all(reference(&name).parent().unwrap()).unwrap();
                fs::write(reference(&name), sheet.to_png()).unwrap();
            }
            let (width, approved) = decode(&fs::read(reference(&name)).unwrap());
            assert_eq!(
                (width, approved.len()),
                (sheet.width(), sheet.rgb().len()),
                "{name} has another size"
            );
            compare(&name, &approved, &sheet, &pages);
        }
    }
}

/// Where a sheet differs, the page is written out with the differing squares framed.
fn compare(name: &str, approved: &[u8], sheet: &Frame, pages: &[Frame]) {
    let differs = |at: Point| {
        let start = (at.y as usize * sheet.width() as usize + at.x as usize) * 3;
        let (one, other) = (&approved[start..start + 3], &sheet.rgb()[start..start + 3]);
        one.iter().zip(other).any(|(a, b)| a.abs_diff(*b) > TOLERANCE)
    };
    let rows = sheet.height() as i32 / pages.len() as i32;
    for (number, page) in pages.iter().enumerate() {
        let top = number as i32 * rows;
        let squares: Vec<Point> = (0..rows)
            .flat_map(|y| (0..sheet.width() as i32).map(move |x| Point::new(x, y)))
            .filter(|at| differs(*at + Point::new(0, top)))
            .collect();
        if squares.is_empty() {
            continue;
        }
        let mut marked = page.clone();
        for square in &squares {
            let area = Rectangle::new(*square * SQUARE as i32, Size::new_equal(SQUARE));
            for at in area.points().filter(|at| !area.offset(-1).contains(*at)) {
                marked.draw_iter([Pixel(at, Rgb888::MAGENTA)]).unwrap();
            }
        }
        let page = Name::value_variants()[number];
        let file = std::env::temp_dir().join(format!("sialoscope-{page:?}-{name}.png"));
        fs::write(&file, marked.to_png()).unwrap();
        panic!(
            "{page:?} {name} differs in {} squares: {}",
            squares.len(),
            file.display()
        );
    }
}

/// What the examples say in their own words may be cut, since a patient's name can have any length; no word of ours
/// may.
fn is_data(text: &str) -> bool {
    [
        "Wolfeschlegel",
        "Speicheldrüsen",
        "liu-phantom",
        "simulated examinations",
        "TLS certificate",
        "TR ",
        "diffusion series",
        "image type",
        "Remark ",
        "The study has no",
        "No space left",
        "10.20.30.",
        "MODALITY7",
        "Петрова",
        "Archive",
        "PACS",
        "0.2.0",
    ]
    .iter()
    .any(|part| text.contains(part))
}

#[test]
fn no_word_of_ours_is_cut_in_any_language_and_size() {
    let mut wrong = Vec::new();
    for language in Language::ALL {
        for size in SIZES {
            for name in Name::value_variants() {
                let mut desk = desk(*name, size, language);
                let mut frame = Frame::new(size);
                desk.draw(&mut frame);
                let cut = desk.kit().type_.cut.iter().filter(|text| !is_data(text));
                wrong.extend(cut.map(|text| {
                    format!(
                        "{name:?} {}x{} {}: {text}",
                        size.width,
                        size.height,
                        language.code()
                    )
                }));
            }
        }
    }
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} texts are cut:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The desk behind a page of the gallery.
fn desk(name: Name, size: Size, language: Language) -> Desk {
    let mut settings = Settings {
        size,
        language,
        ..Settings::default()
    };
    crate::command::screen::page(name, &mut settings, None, None, &[]).into_desk()
}

fn painted(desk: &mut Desk) -> Vec<String> {
    desk.kit().type_.painted.clear();
    let mut frame = Frame::new(desk.size());
    desk.draw(&mut frame);
    std::mem::take(&mut desk.kit().type_.painted)
}

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
        1 => prop::sample::select(vec![Phase::Starting(Start::Model), Phase::Running, Phase::Stopping])
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

#[test]
fn an_outlined_tumour_shows_its_colour_on_each_picture() {
    let settings = Settings::default();
    let mut opened = examples::opened(examples::one_tumour());
    let yellow = |frame: &Frame| {
        frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| *p == lesion_rgb(1))
            .count()
    };
    let outlined = yellow(&capture(&opened.findings, &opened.pictures, &settings));
    opened.pictures.outlines.clear();
    let plain = yellow(&capture(&opened.findings, &opened.pictures, &settings));
    assert!(outlined > plain + 6 * 40, "{outlined} and {plain}");
}

#[test]
fn the_ground_is_dark() {
    for name in Name::value_variants() {
        let frame = page(*name, DEFAULT_SIZE, Language::English);
        let bright = frame
            .rgb()
            .chunks_exact(3)
            .filter(|p| p.iter().all(|c| *c > 160))
            .count();
        assert!(
            bright * 8 < frame.rgb().len() / 3,
            "{name:?}: {bright} bright pixels"
        );
    }
}
