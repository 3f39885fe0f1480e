//! Text: which glyph, how wide, where the line breaks, and what happens when it does not fit.
//!
//! The Latin alphabets (Turkish among them) come from X11's Helvetica in proportional cuts. Other
//! scripts fall back to bitmap fonts of 16 pixels: Cyrillic, Greek, simplified Chinese, Japanese kanji
//! (which hold most traditional Chinese characters) and Korean. A character that no font has becomes a
//! hollow box, so that a reader sees that something is there that this screen cannot write.

use board::Frame;
use embedded_graphics::{
    pixelcolor::Rgb888,
    prelude::*,
    primitives::{PrimitiveStyle, Rectangle},
};
use u8g2_fonts::{
    FontRenderer, fonts,
    types::{FontColor, RenderedDimensions, VerticalPosition},
};

use super::style::HALO;

static HELVETICA_R08: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvR08_te>();
static HELVETICA_R10: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvR10_te>();
static HELVETICA_R12: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvR12_te>();
static HELVETICA_B08: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB08_te>();
static HELVETICA_B10: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB10_te>();
static HELVETICA_B12: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB12_te>();
static HELVETICA_B14: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB14_te>();
static HELVETICA_B18: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB18_te>();
static HELVETICA_B24: FontRenderer = FontRenderer::new::<fonts::u8g2_font_helvB24_te>();

static CYRILLIC_SMALL: FontRenderer = FontRenderer::new::<fonts::u8g2_font_unifont_t_cyrillic>();
static CYRILLIC_LARGE: FontRenderer = FontRenderer::new::<fonts::u8g2_font_10x20_t_cyrillic>();

/// Asked in this order after the face's own fonts.
static FALLBACKS: [FontRenderer; 4] = [
    FontRenderer::new::<fonts::u8g2_font_unifont_t_greek>(),
    FontRenderer::new::<fonts::u8g2_font_unifont_t_gb2312>(),
    FontRenderer::new::<fonts::u8g2_font_b16_t_japanese3>(),
    FontRenderer::new::<fonts::u8g2_font_unifont_t_korean2>(),
];

pub(super) const REGULAR_8: Face = Face::new(&HELVETICA_R08, 1);
pub(super) const REGULAR_10: Face = Face::new(&HELVETICA_R10, 1);
pub(super) const REGULAR_12: Face = Face::new(&HELVETICA_R12, 1);
pub(super) const BOLD_8: Face = Face::new(&HELVETICA_B08, 1);
pub(super) const BOLD_10: Face = Face::new(&HELVETICA_B10, 2);
pub(super) const BOLD_12: Face = Face::new(&HELVETICA_B12, 2);
pub(super) const BOLD_14: Face = Face::new(&HELVETICA_B14, 2);
pub(super) const BOLD_18: Face = Face {
    cyrillic: &CYRILLIC_LARGE,
    ..Face::new(&HELVETICA_B18, 2)
};
pub(super) const BOLD_24: Face = Face {
    cyrillic: &CYRILLIC_LARGE,
    ..Face::new(&HELVETICA_B24, 3)
};

const ELLIPSIS: char = '…';

/// One size and weight of type.
#[derive(Clone, Copy)]
pub(super) struct Face {
    latin: &'static FontRenderer,
    cyrillic: &'static FontRenderer,
    /// Thickness of the strokes, pixels; for the marks that the fonts lack.
    stroke: u32,
}

/// Where a line of text sits between the left and the right edge of its box.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// How one character is drawn.
enum Glyph {
    Drawn(&'static FontRenderer, char, RenderedDimensions),
    /// A horizontal stroke, which the Latin fonts lack: en dash, em dash, minus, raised minus.
    Stroke {
        width: i32,
        above_baseline: i32,
    },
    /// The hollow box.
    Unknown {
        width: i32,
    },
}

impl Glyph {
    fn advance(&self) -> i32 {
        match self {
            Glyph::Drawn(_, _, dimensions) => dimensions.advance.x,
            Glyph::Stroke { width, .. } | Glyph::Unknown { width } => width + 2,
        }
    }
}

impl Face {
    const fn new(latin: &'static FontRenderer, stroke: u32) -> Self {
        Self {
            latin,
            cyrillic: &CYRILLIC_SMALL,
            stroke,
        }
    }

    /// Height of a capital letter, pixels.
    pub(super) fn cap_height(&self) -> u32 {
        self.latin.get_ascent().unsigned_abs().into()
    }

    /// From one line to the next, pixels. Lines of 14 still let the fallback fonts (16 pixels) be read.
    pub(super) fn line_height(&self) -> u32 {
        (self.cap_height() + u32::from(self.latin.get_descent().unsigned_abs()) + 3).max(14)
    }

    /// How wide `text` is on one line, pixels.
    pub(super) fn width(&self, text: &str) -> u32 {
        spelled(text).map(|c| self.glyph(c).advance()).sum::<i32>().max(0) as u32
    }

    /// `text`, or its longest beginning with an ellipsis that is at most `width` pixels wide; empty when
    /// not even the ellipsis fits.
    pub(super) fn fit(&self, text: &str, width: u32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut ends: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        // Widths grow with every character, so the last beginning that fits can be searched.
        let fits = |end: &usize| self.width(&shortened(&text[..*end])) <= width;
        let count = ends.partition_point(fits);
        ends.truncate(count);
        ends.last()
            .map_or_else(String::new, |&end| shortened(&text[..end]))
    }

    /// `text` in at most `lines` lines of at most `width` pixels. Lines break at spaces, and inside a
    /// word only when it is wider than a line. What is left over is cut with an ellipsis.
    pub(super) fn wrap(&self, text: &str, width: u32, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() && wrapped.len() < lines {
            if wrapped.len() + 1 == lines {
                wrapped.push(self.fit(rest, width));
                break;
            }
            let end = self.line_end(rest, width);
            if end == 0 {
                break;
            }
            wrapped.push(rest[..end].trim_end().to_owned());
            rest = rest[end..].trim_start();
        }
        wrapped.retain(|line| !line.is_empty());
        wrapped
    }

    /// How many bytes of `text` go on a line.
    fn line_end(&self, text: &str, width: u32) -> usize {
        let (mut x, mut last_space) = (0, None);
        for (i, c) in text.char_indices() {
            x += self.width(&text[i..i + c.len_utf8()]);
            if c.is_whitespace() {
                // At the end of a line a space takes no room.
                last_space = Some(i);
            } else if x > width {
                return last_space.unwrap_or(i);
            }
        }
        text.len()
    }

    /// Items one below the other in at most `lines` lines, each item in at most `lines_each`; when not all
    /// fit, the last line says how many more there are. Each line goes with whether an item begins on it.
    pub(super) fn list(
        &self,
        items: &[String],
        width: u32,
        lines_each: usize,
        lines: usize,
    ) -> Vec<(bool, String)> {
        let wrapped: Vec<Vec<String>> = items
            .iter()
            .map(|item| self.wrap(item, width, lines_each))
            .collect();
        let all: usize = wrapped.iter().map(Vec::len).sum();
        // One line is kept for "+N more" unless everything fits.
        let room = if all <= lines {
            lines
        } else {
            lines.saturating_sub(1)
        };
        let mut listed = Vec::new();
        let mut shown = 0;
        for item in &wrapped {
            if listed.len() + item.len() > room {
                break;
            }
            listed.extend(item.iter().enumerate().map(|(i, line)| (i == 0, line.clone())));
            shown += 1;
        }
        if shown < wrapped.len() && lines > 0 {
            listed.push((true, self.fit(&format!("+{} more", wrapped.len() - shown), width)));
        }
        listed
    }

    /// Draws `text` from `at` (left end of the baseline) without fitting; returns the x behind it.
    pub(super) fn draw(&self, frame: &mut Frame, at: Point, text: &str, color: Rgb888) -> i32 {
        let mut at = at;
        for c in spelled(text) {
            let glyph = self.glyph(c);
            match &glyph {
                Glyph::Drawn(font, c, _) => {
                    let ink = FontColor::Transparent(color);
                    // `glyph` found the character in this font, and drawing into memory cannot fail.
                    let _ = font.render(*c, at, VerticalPosition::Baseline, ink, frame);
                }
                Glyph::Stroke {
                    width,
                    above_baseline,
                } => {
                    let top_left = at + Point::new(1, -above_baseline);
                    let stroke = Rectangle::new(top_left, Size::new(*width as u32, self.stroke.min(2)));
                    let Ok(()) = frame.fill_solid(&stroke, color);
                }
                Glyph::Unknown { width } => {
                    let height = self.cap_height();
                    let size = Size::new(*width as u32, height);
                    let hollow = Rectangle::new(at + Point::new(1, -(height as i32)), size);
                    let Ok(()) = hollow
                        .into_styled(PrimitiveStyle::with_stroke(color, 1))
                        .draw(frame);
                }
            }
            at.x += glyph.advance();
        }
        at.x
    }

    /// Draws `text` on one line in a box, centred between top and bottom by its capitals, cut with an
    /// ellipsis when it is too wide.
    pub(super) fn draw_in(
        &self,
        frame: &mut Frame,
        area: Rectangle,
        align: Align,
        text: &str,
        color: Rgb888,
    ) {
        let text = self.fit(text, area.size.width);
        let slack = area.size.width.saturating_sub(self.width(&text)) as i32;
        let left = match align {
            Align::Left => 0,
            Align::Centre => slack / 2,
            Align::Right => slack,
        };
        let baseline = (area.size.height as i32 + self.cap_height() as i32) / 2;
        self.draw(frame, area.top_left + Point::new(left, baseline), &text, color);
    }

    /// Draws `text` with a dark rim, for reading on top of an image.
    pub(super) fn draw_with_halo(&self, frame: &mut Frame, at: Point, text: &str, color: Rgb888) {
        for (dx, dy) in [
            (-1, -1),
            (0, -1),
            (1, -1),
            (-1, 0),
            (1, 0),
            (-1, 1),
            (0, 1),
            (1, 1),
        ] {
            self.draw(frame, at + Point::new(dx, dy), text, HALO);
        }
        self.draw(frame, at, text, color);
    }

    fn glyph(&self, c: char) -> Glyph {
        let cap = self.cap_height() as i32;
        match c {
            '–' => {
                return Glyph::Stroke {
                    width: cap / 2 + 1,
                    above_baseline: cap / 2,
                };
            }
            '−' => {
                return Glyph::Stroke {
                    width: cap / 2,
                    above_baseline: cap / 2,
                };
            }
            '—' => {
                return Glyph::Stroke {
                    width: cap,
                    above_baseline: cap / 2,
                };
            }
            '⁻' => {
                return Glyph::Stroke {
                    width: cap / 3,
                    above_baseline: cap * 3 / 4,
                };
            }
            _ => {}
        }
        let c = if c.is_whitespace() { ' ' } else { c };
        let fonts = [self.latin, self.cyrillic].into_iter().chain(&FALLBACKS);
        fonts
            // Some fonts hold pictures for control characters, which would pass for letters.
            .filter(|_| !c.is_control())
            .find_map(|font| {
                let dimensions = font
                    .get_rendered_dimensions(c, Point::zero(), VerticalPosition::Baseline)
                    .ok()?;
                Some(Glyph::Drawn(font, c, dimensions))
            })
            .unwrap_or(Glyph::Unknown { width: cap * 2 / 3 })
    }
}

/// The characters that are drawn for `text`: the ellipsis as three full stops, which every face has.
fn spelled(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|c| {
        let (c, times) = if c == ELLIPSIS { ('.', 3) } else { (c, 1) };
        std::iter::repeat_n(c, times)
    })
}

fn shortened(beginning: &str) -> String {
    format!("{}{ELLIPSIS}", beginning.trim_end())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const FACES: [Face; 9] = [
        REGULAR_8, REGULAR_10, REGULAR_12, BOLD_8, BOLD_10, BOLD_12, BOLD_14, BOLD_18, BOLD_24,
    ];

    /// The smallest rectangle around everything that drawing `text` touches.
    fn ink(face: Face, text: &str) -> Rectangle {
        let mut frame = Frame::new(Size::new(600, 80));
        face.draw(&mut frame, Point::new(20, 50), text, Rgb888::WHITE);
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
    fn names_of_all_promised_scripts_have_glyphs() {
        for face in FACES {
            for name in [
                "Yılmaz, Ayşe Gülşen İÇĞÖ",
                "Ерёмина, Щукарь Ђорђе",
                "王小东 李雪梅",
                "陳大文 山田太郎",
                "김철수",
                "Παπαδόπουλος",
                "Strauß, Łukasz Dvořák Ångström",
            ] {
                for c in name.chars().filter(|c| !c.is_whitespace()) {
                    assert!(matches!(face.glyph(c), Glyph::Drawn(..)), "{c} has no glyph");
                    assert!(!ink(face, &c.to_string()).is_zero_sized(), "{c} leaves no ink");
                }
            }
        }
    }

    #[test]
    fn an_unknown_character_is_a_box_to_be_seen() {
        for c in ['\u{1F600}', '\u{0}', '\u{202E}', 'ဏ', '\u{301}'] {
            assert!(matches!(BOLD_14.glyph(c), Glyph::Unknown { .. }), "{c:?}");
            assert!(!ink(BOLD_14, &c.to_string()).is_zero_sized(), "{c:?}");
        }
    }

    #[test]
    fn marks_that_the_fonts_lack_are_drawn() {
        for mark in ["–", "−", "—", "⁻", "…"] {
            assert!(!ink(REGULAR_12, mark).is_zero_sized(), "{mark}");
        }
    }

    #[test]
    fn cutting_keeps_the_longest_beginning_that_fits() {
        let face = REGULAR_12;
        assert_eq!(face.fit("Warthin", 500), "Warthin");
        let width = face.width("Pleomorphic…");
        assert_eq!(face.fit("Pleomorphic adenoma", width), "Pleomorphic…");
        assert_eq!(face.fit("Pleomorphic adenoma", width - 1), "Pleomorphi…");
        assert_eq!(face.fit("Pleomorphic adenoma", 2), "");
    }

    #[test]
    fn lines_break_at_spaces_and_the_rest_is_cut() {
        let face = REGULAR_12;
        let width = face.width("the quick brown");
        assert_eq!(
            face.wrap("the quick brown fox jumps", width, 5),
            ["the quick brown", "fox jumps"]
        );
        assert_eq!(
            face.wrap("the quick brown fox jumps", width, 1),
            ["the quick bro…"]
        );
        assert_eq!(face.wrap("", width, 5), [] as [&str; 0]);
    }

    #[test]
    fn a_list_says_how_much_it_leaves_out() {
        let items: Vec<String> = ["one", "two", "three", "four"].map(String::from).into();
        let lines = |n| {
            REGULAR_12
                .list(&items, 200, 2, n)
                .into_iter()
                .map(|l| l.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(4), ["one", "two", "three", "four"]);
        assert_eq!(lines(3), ["one", "two", "+2 more"]);
        assert_eq!(lines(1), ["+4 more"]);
        assert_eq!(lines(0), [] as [&str; 0]);
    }

    proptest! {
        #[test]
        fn wrapped_text_stays_in_its_box(text in "\\PC{0,80}", width in 0..400u32, lines in 0..6usize) {
            for face in FACES {
                let wrapped = face.wrap(&text, width, lines);
                prop_assert!(wrapped.len() <= lines);
                for line in wrapped {
                    prop_assert!(face.width(&line) <= width, "{} > {}: {:?}", face.width(&line), width, line);
                }
                prop_assert!(face.width(&face.fit(&text, width)) <= width);
            }
        }

        #[test]
        fn wrapping_loses_nothing_when_there_is_room(text in "[a-zA-Zçğş ]{0,80}", width in 60..400u32) {
            let wrapped: String = REGULAR_12.wrap(&text, width, 100).concat();
            let all = |s: &str| s.split_whitespace().collect::<String>();
            prop_assert_eq!(all(&wrapped), all(&text));
        }

        /// What was measured is what is drawn: no ink right of the promised width.
        #[test]
        fn ink_stays_within_the_measured_width(text in "[ -~À-ž]{1,30}") {
            for face in FACES {
                let text = face.fit(&text, 560);
                let ink = ink(face, &text);
                let end = 20 + face.width(&text) as i32;
                prop_assert!(ink.top_left.x + ink.size.width as i32 <= end + 1, "{:?} ends {}", ink, end);
            }
        }
    }
}
