//! Text: which glyphs, how wide, where the line breaks, and what happens when it does not fit.
//!
//! Every script of DICOM's character sets (PS3.3 C.12.1.1.2) can be written, from right to left where it is
//! written so. A character that no font has becomes a hollow box, so that a reader sees that something is there
//! that this screen cannot write. Whatever was laid out or drawn once is kept: a page that is drawn again
//! allocates nothing.

mod fonts;
mod glyphs;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use board::Frame;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use swash::shape::ShapeContext;

use self::fonts::Fonts;
use self::glyphs::Glyphs;
use self::shape::{Glyph, Line};

/// Lines and broken texts that are kept; when there are more, all are laid out anew.
const MAX_KEPT: usize = 4096;

const ELLIPSIS: char = '…';

/// Height of a capital letter and from line to line, in parts of the type size: so that the marks of Thai and
/// Vietnamese find room.
const CAP_HEIGHT: f32 = 0.714;
const LINE_HEIGHT: f32 = 1.36;

/// The thickness of strokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// One size and weight of type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Face {
    /// Type size: from line to line without leading, pixels.
    px: u16,
    weight: Weight,
}

impl Face {
    pub(super) const fn regular(px: u16) -> Self {
        Self {
            px,
            weight: Weight::Regular,
        }
    }

    pub(super) const fn bold(px: u16) -> Self {
        Self {
            px,
            weight: Weight::Bold,
        }
    }

    /// Height of a capital letter, pixels.
    pub(super) fn cap_height(self) -> u32 {
        (f32::from(self.px) * CAP_HEIGHT).round() as u32
    }

    /// From one line to the next, pixels.
    pub(super) fn line_height(self) -> u32 {
        (f32::from(self.px) * LINE_HEIGHT).ceil() as u32
    }
}

/// Where a line of text sits between the left and the right edge of its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// Lays out text and paints it.
pub(super) struct Typesetter {
    fonts: Fonts,
    shaper: ShapeContext,
    glyphs: Glyphs,
    lines: Kept<Line>,
    broken: Kept<Vec<String>>,
    /// What was painted, and what of it did not fit.
    #[cfg(test)]
    pub(super) painted: Vec<String>,
    #[cfg(test)]
    pub(super) cut: Vec<String>,
}

impl Typesetter {
    pub(super) fn new() -> Self {
        Self {
            fonts: Fonts::open(),
            shaper: ShapeContext::new(),
            glyphs: Glyphs::new(),
            lines: Kept::default(),
            broken: Kept::default(),
            #[cfg(test)]
            painted: Vec::new(),
            #[cfg(test)]
            cut: Vec::new(),
        }
    }

    /// How wide `text` is on one line, pixels.
    pub(super) fn width(&mut self, face: Face, text: &str) -> u32 {
        self.line(face, text).width.ceil() as u32
    }

    /// Whether every character of `text` can be written.
    #[cfg(test)]
    pub(super) fn can_write(&mut self, face: Face, text: &str) -> bool {
        self.line(face, text)
            .glyphs
            .iter()
            .all(|placed| placed.glyph != Glyph::Unknown)
    }

    /// `text` in at most `lines` lines of at most `width` pixels. Lines break at spaces and between Chinese or
    /// Japanese characters, and inside a word only when it is wider than a line. What is left over is cut with
    /// an ellipsis.
    pub(super) fn wrap(&mut self, face: Face, text: &str, width: u32, lines: usize) -> Arc<Vec<String>> {
        #[cfg(test)]
        self.note_cut(face, text, width, lines);
        let question = (text, (face, width, lines));
        if let Some(kept) = self.broken.get(question) {
            return kept;
        }
        let wrapped = self.wrapped(face, text, width, lines);
        self.broken.keep(question, wrapped)
    }

    /// `text`, or its longest beginning with an ellipsis that is at most `width` pixels wide; empty when not
    /// even the ellipsis fits.
    pub(super) fn fit(&mut self, face: Face, text: &str, width: u32) -> Arc<Vec<String>> {
        self.wrap(face, text, width, 1)
    }

    /// Paints `text` on one line in a box, centred between top and bottom by its capitals, cut with an ellipsis
    /// when it is too wide. Returns the width that it took.
    pub(super) fn paint(
        &mut self,
        frame: &mut Frame,
        (area, align): (Rectangle, Align),
        face: Face,
        text: &str,
        color: Rgb888,
    ) -> u32 {
        #[cfg(test)]
        self.painted.push(text.to_owned());
        let room = area.size.width;
        if self.width(face, text) > room {
            let cut = self.fit(face, text, room);
            // The beginning that fits is never cut again.
            return cut
                .first()
                .map_or(0, |text| self.paint(frame, (area, align), face, text, color));
        }
        let width = self.width(face, text);
        let left = match align {
            Align::Left => 0,
            Align::Centre => (room - width) / 2,
            Align::Right => room - width,
        };
        let baseline = (area.size.height as i32 + face.cap_height() as i32) / 2;
        self.paint_at(
            frame,
            area.top_left + Point::new(left as i32, baseline),
            face,
            text,
            color,
        );
        width
    }

    /// Paints `text` from `at` (left end of the baseline) without fitting.
    pub(super) fn paint_at(&mut self, frame: &mut Frame, at: Point, face: Face, text: &str, color: Rgb888) {
        let line = self.line(face, text);
        for placed in &line.glyphs {
            let (x, y) = (at.x as f32 + placed.x, at.y as f32 - placed.y);
            if placed.glyph == Glyph::Unknown {
                hollow_box(frame, x, y, face, color);
            } else {
                let (area, coverage) = self.glyphs.get(&self.fonts, placed.glyph, face, x, y);
                frame.stain(area, coverage, color);
            }
        }
    }

    #[cfg(test)]
    fn note_cut(&mut self, face: Face, text: &str, width: u32, lines: usize) {
        let all = self.wrapped(face, text, width, lines + 8);
        if all.len() > lines
            || all
                .iter()
                .any(|line| line.contains(ELLIPSIS) && !text.contains(ELLIPSIS))
        {
            self.cut.push(text.to_owned());
        }
    }

    fn line(&mut self, face: Face, text: &str) -> Arc<Line> {
        if let Some(line) = self.lines.get((text, (face, 0, 0))) {
            return line;
        }
        let line = shape::shape(&self.fonts, &mut self.shaper, text, face);
        self.lines.keep((text, (face, 0, 0)), line)
    }

    fn wrapped(&mut self, face: Face, text: &str, width: u32, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() && wrapped.len() < lines {
            if wrapped.len() + 1 == lines {
                wrapped.push(self.cut(face, rest, width));
                break;
            }
            let end = self.line_end(face, rest, width);
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
    fn line_end(&mut self, face: Face, text: &str, width: u32) -> usize {
        if self.measure(face, text) <= width {
            return text.len();
        }
        let mut end = 0;
        for break_at in breaks(text) {
            if self.measure(face, text[..break_at].trim_end()) > width {
                break;
            }
            end = break_at;
        }
        if end > 0 {
            return end;
        }
        // A word that is wider than the line.
        let ends: Vec<usize> = text.char_indices().map(|(i, c)| i + c.len_utf8()).collect();
        let fitting = ends.partition_point(|&end| self.measure(face, &text[..end]) <= width);
        fitting.checked_sub(1).map_or(0, |last| ends[last])
    }

    fn cut(&mut self, face: Face, text: &str, width: u32) -> String {
        if self.measure(face, text) <= width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        let shortened = |end: usize| format!("{}{ELLIPSIS}", text[..end].trim_end());
        // Joined letters may make a longer beginning narrower by a hair, so what the search gives is checked.
        let mut count = ends.partition_point(|&end| self.measure(face, &shortened(end)) <= width);
        while count > 0 {
            let cut = shortened(ends[count - 1]);
            if self.measure(face, &cut) <= width {
                return cut;
            }
            count -= 1;
        }
        String::new()
    }

    /// As [`Typesetter::width`], for texts that are not painted: nothing is kept of them.
    fn measure(&mut self, face: Face, text: &str) -> u32 {
        match self.lines.get((text, (face, 0, 0))) {
            Some(line) => line.width.ceil() as u32,
            None => shape::shape(&self.fonts, &mut self.shaper, text, face)
                .width
                .ceil() as u32,
        }
    }
}

/// Where `text` may be broken: behind spaces, and between characters that are written without spaces.
fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let next = text.char_indices().skip(1);
    text.chars().zip(next).filter_map(|(before, (at, after))| {
        let behind_space = before.is_whitespace() && before != '\u{A0}' && !after.is_whitespace();
        let between = (is_unspaced(before) || is_unspaced(after)) && !before.is_whitespace();
        // No line begins with what closes, or ends with what opens.
        let closes = "，。、；：！？）」』》”’%,.;:!?)]}".contains(after) || after.is_whitespace();
        let opens = "（「『《“‘([{".contains(before);
        (behind_space || between && !closes && !opens).then_some(at)
    })
}

/// Chinese characters, kana and their punctuation.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{FF00}'..='\u{FF60}')
}

fn hollow_box(frame: &mut Frame, x: f32, y: f32, face: Face, color: Rgb888) {
    let height = face.cap_height();
    let top_left = Point::new(x as i32 + 1, y as i32 - height as i32);
    let size = Size::new(u32::from(face.px) / 2, height);
    let sides = [
        Rectangle::new(top_left, Size::new(size.width, 1)),
        Rectangle::new(top_left + Size::new(0, size.height - 1), Size::new(size.width, 1)),
        Rectangle::new(top_left, Size::new(1, size.height)),
        Rectangle::new(top_left + Size::new(size.width - 1, 0), Size::new(1, size.height)),
    ];
    for side in sides {
        let Ok(()) = frame.fill_solid(&side, color);
    }
}

/// Answers about texts, by text and the rest of the question.
struct Kept<T> {
    answers: HashMap<u64, Answered<T>>,
}

/// Face, width and lines; the last two are 0 where they do not matter.
type Rest = (Face, u32, usize);

struct Answered<T> {
    text: Box<str>,
    rest: Rest,
    answer: Arc<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            answers: HashMap::new(),
        }
    }
}

impl<T> Kept<T> {
    fn get(&self, (text, rest): (&str, Rest)) -> Option<Arc<T>> {
        let answered = self.answers.get(&digest(text, rest))?;
        // Two questions may share a digest.
        (*answered.text == *text && answered.rest == rest).then(|| Arc::clone(&answered.answer))
    }

    fn keep(&mut self, (text, rest): (&str, Rest), answer: T) -> Arc<T> {
        if self.answers.len() >= MAX_KEPT {
            self.answers.clear();
        }
        let answer = Arc::new(answer);
        let answered = Answered {
            text: text.into(),
            rest,
            answer: Arc::clone(&answer),
        };
        self.answers.insert(digest(text, rest), answered);
        answer
    }
}

fn digest(text: &str, rest: Rest) -> u64 {
    let mut hasher = DefaultHasher::new();
    (text, rest).hash(&mut hasher);
    hasher.finish()
}
