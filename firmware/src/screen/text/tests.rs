#![allow(clippy::unwrap_used)]

use embedded_graphics::pixelcolor::Rgb888;
use proptest::prelude::*;

use super::*;

const FACES: [Face; 4] = [
    Face::regular(11),
    Face::regular(16),
    Face::bold(16),
    Face::bold(44),
];

/// The smallest rectangle around everything that painting `text` touches.
fn ink(type_: &mut Typesetter, face: Face, text: &str) -> Rectangle {
    let mut frame = Frame::new(Size::new(900, 120));
    type_.paint_at(&mut frame, Point::new(20, 70), face, text, Rgb888::WHITE);
    let touched: Vec<Point> = frame
        .bounding_box()
        .points()
        .filter(|&at| frame.pixel(at) != Some(Rgb888::BLACK))
        .collect();
    let first = touched.iter().copied().reduce(Point::component_min);
    let last = touched.iter().copied().reduce(Point::component_max);
    first
        .zip(last)
        .map_or(Rectangle::zero(), |(a, b)| Rectangle::with_corners(a, b))
}

#[test]
fn names_in_every_script_of_dicom_can_be_written() {
    let mut type_ = Typesetter::new();
    for name in [
        "Yılmaz, Ayşe Gülşen İÇĞÖ",
        "Ерёмина, Щукарь Ђорђе",
        "王小东 李雪梅 陳大文 山田太郎",
        "ﾔﾏﾀﾞ やまだ ヤマダ",
        "김희중 홍길동",
        "Παπαδόπουλος Ελένη",
        "שרון דבורה",
        "قباني لنزار",
        "สมชาย ใจดี",
        "Strauß, Łukasz Dvořák Ångström Nguyễn",
    ] {
        for face in FACES {
            assert!(type_.can_write(face, name), "{name}");
            assert!(!ink(&mut type_, face, name).is_zero_sized(), "{name}");
        }
    }
}

/// Alef in the middle of a word joins to the letter before it, so the word is narrower than its letters; and what
/// is written first stands at the right.
#[test]
fn arabic_is_joined_and_runs_from_right_to_left() {
    let (mut type_, face) = (Typesetter::new(), Face::regular(44));
    let letters: u32 = "قباني".chars().map(|c| type_.width(face, &c.to_string())).sum();
    assert!(type_.width(face, "قباني") < letters);

    let places = |line: &Line| line.glyphs.iter().map(|placed| placed.x).collect::<Vec<_>>();
    let (one, three) = (type_.line(face, "ש"), type_.line(face, "שלו"));
    // The first letter of three is the rightmost one.
    let first = one.glyphs[0].glyph;
    let place = three
        .glyphs
        .iter()
        .find(|placed| placed.glyph == first)
        .unwrap()
        .x;
    assert!(places(&three).iter().all(|&x| x <= place), "{three:?}");
}

#[test]
fn an_unknown_character_is_a_box_to_be_seen() {
    let (mut type_, face) = (Typesetter::new(), Face::bold(20));
    for c in ["\u{1F600}", "\u{0}", "\u{202E}", "\u{2067}", "ဏ"] {
        assert!(!type_.can_write(face, c), "{c:?}");
        assert!(!ink(&mut type_, face, c).is_zero_sized(), "{c:?}");
    }
}

/// A mark that turns the direction around must not make one name look like another.
#[test]
fn directions_cannot_be_forged() {
    let (mut type_, face) = (Typesetter::new(), Face::regular(20));
    let letters = |line: &Line| {
        let known = line.glyphs.iter().filter(|placed| placed.glyph != Glyph::Unknown);
        known.map(|placed| placed.glyph).collect::<Vec<_>>()
    };
    let (plain, forged) = (type_.line(face, "Smith"), type_.line(face, "\u{202E}Smith"));
    assert_eq!(letters(&plain), letters(&forged));
}

#[test]
fn cutting_keeps_the_longest_beginning_that_fits() {
    let (mut type_, face) = (Typesetter::new(), Face::regular(16));
    let mut fit = |text: &str, width: u32| type_.fit(face, text, width).concat();
    assert_eq!(fit("Warthin", 500), "Warthin");
    let mut measure = Typesetter::new();
    let width = measure.width(face, "Pleomorphic…");
    assert_eq!(fit("Pleomorphic adenoma", width), "Pleomorphic…");
    assert_eq!(fit("Pleomorphic adenoma", width - 1), "Pleomorphi…");
    assert_eq!(fit("Pleomorphic adenoma", 2), "");
}

#[test]
fn lines_break_at_spaces_and_between_chinese_characters() {
    let (mut type_, face) = (Typesetter::new(), Face::regular(16));
    let width = type_.width(face, "the quick brown");
    assert_eq!(
        *type_.wrap(face, "the quick brown fox jumps", width, 5),
        ["the quick brown", "fox jumps"]
    );
    assert_eq!(
        *type_.wrap(face, "the quick brown fox jumps", width, 1),
        ["the quick bro…"]
    );
    assert_eq!(*type_.wrap(face, "", width, 5), [] as [&str; 0]);
    let width = type_.width(face, "腮腺肿瘤");
    assert_eq!(
        *type_.wrap(face, "腮腺肿瘤，检查", width, 5),
        ["腮腺肿", "瘤，检查"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn wrapped_text_stays_in_its_box(text in "\\PC{0,60}", width in 0..400u32, lines in 0..6usize) {
        let mut type_ = Typesetter::new();
        for face in FACES {
            let wrapped = type_.wrap(face, &text, width, lines);
            prop_assert!(wrapped.len() <= lines);
            for line in wrapped.iter() {
                let wide = type_.width(face, line);
                prop_assert!(wide <= width, "{} > {}: {:?}", wide, width, line);
            }
        }
    }

    #[test]
    fn wrapping_loses_nothing_when_there_is_room(text in "[a-zA-Zçğş腮腺，ب ]{0,60}", width in 60..400u32) {
        let wrapped = Typesetter::new().wrap(Face::regular(16), &text, width, 100).concat();
        let all = |s: &str| s.split_whitespace().collect::<String>();
        prop_assert_eq!(all(&wrapped), all(&text));
    }

    /// What was measured is what is drawn: no ink right of the promised width but the overhang of a letter.
    #[test]
    fn ink_stays_within_the_measured_width(text in "[ -~À-žא-תا-ي一-亿]{1,20}") {
        let mut type_ = Typesetter::new();
        for face in FACES {
            let text = type_.fit(face, &text, 860).concat();
            let ink = ink(&mut type_, face, &text);
            let end = 20 + type_.width(face, &text) as i32;
            let overhang = 1 + i32::from(face.px) / 6;
            prop_assert!(ink.top_left.x + ink.size.width as i32 <= end + overhang, "{:?} ends {}", ink, end);
        }
    }
}
