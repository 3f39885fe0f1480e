//! From characters to glyphs in their places: scripts, joining, right to left.

use swash::shape::{Direction, ShapeContext};
use swash::text::{Codepoint as _, Script};
use unicode_bidi::{BidiInfo, Level};

use super::fonts::{FontName, Fonts};
use super::{Face, Weight};

/// A line of text, ready to be painted.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) glyphs: Vec<Placed>,
    /// Pixels.
    pub(super) width: f32,
}

/// A glyph in its place on the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) glyph: Glyph,
    /// Pixels right of the line's left end, and above the baseline.
    pub(super) x: f32,
    pub(super) y: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    Of(FontName, u16),
    /// A hollow box: a character that no font here has.
    Unknown,
}

/// Stands for every character that is not drawn as itself. It is neutral in direction.
const UNKNOWN: char = '\u{FFFC}';

/// Width of the hollow box and the room around it, in parts of the type size.
const UNKNOWN_ADVANCE: f32 = 0.7;

/// Lays out `text` on one line.
pub(super) fn shape(fonts: &Fonts, shaper: &mut ShapeContext, text: &str, face: Face) -> Line {
    let drawn: String = text.chars().map(|c| stand_in(fonts, c, face.weight)).collect();
    let directions = BidiInfo::new(&drawn, None);
    let mut line = Line::default();
    // Line ends have become spaces, so there is one paragraph at most.
    for paragraph in &directions.paragraphs {
        let (levels, runs) = directions.visual_runs(paragraph, paragraph.range.clone());
        for run in runs {
            add_run(
                fonts,
                shaper,
                &mut line,
                &drawn[run.clone()],
                levels[run.start],
                face,
            );
        }
    }
    line
}

/// The character that is drawn for `c`. Control characters and marks that change directions are made
/// visible: in a name they are an error or an attack.
fn stand_in(fonts: &Fonts, c: char, weight: Weight) -> char {
    match c {
        _ if c.is_whitespace() => ' ',
        '‑' => '-',
        '\u{200C}' | '\u{200D}' => c,
        _ if is_directional(c) || c.is_control() || fonts.with(c, weight).is_none() => UNKNOWN,
        _ => c,
    }
}

fn is_directional(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A run in one direction: its parts in one font each, from left to right.
fn add_run(fonts: &Fonts, shaper: &mut ShapeContext, line: &mut Line, run: &str, level: Level, face: Face) {
    let mut parts = parts(fonts, run, face.weight);
    if level.is_rtl() {
        parts.reverse();
    }
    for (font, part) in parts {
        let Some(font) = font else {
            for _ in part.chars() {
                line.glyphs.push(Placed {
                    glyph: Glyph::Unknown,
                    x: line.width,
                    y: 0.0,
                });
                line.width += UNKNOWN_ADVANCE * f32::from(face.px);
            }
            continue;
        };
        let script = part
            .chars()
            .map(|c| c.script())
            .find(|script| !matches!(script, Script::Common | Script::Inherited | Script::Unknown));
        let mut shaping = shaper
            .builder(fonts.get(font))
            .script(script.unwrap_or(Script::Latin))
            .direction(if level.is_rtl() {
                Direction::RightToLeft
            } else {
                Direction::LeftToRight
            })
            .size(f32::from(face.px))
            .build();
        shaping.add_str(part);
        // Clusters come in the order of reading, each with its glyphs from left to right.
        let (start, first) = (line.width, line.glyphs.len());
        let mut advance = 0.0;
        shaping.shape_with(|cluster| {
            let width: f32 = cluster.glyphs.iter().map(|glyph| glyph.advance).sum();
            let mut x = if level.is_rtl() { -advance - width } else { advance };
            advance += width;
            for glyph in cluster.glyphs {
                let placed = Placed {
                    glyph: Glyph::Of(font, glyph.id),
                    x: start + x + glyph.x,
                    y: glyph.y,
                };
                line.glyphs.push(placed);
                x += glyph.advance;
            }
        });
        if level.is_rtl() {
            line.glyphs[first..]
                .iter_mut()
                .for_each(|placed| placed.x += advance);
        }
        line.width += advance;
    }
}

/// The longest parts in one font each; none where no font has the characters.
fn parts<'a>(fonts: &Fonts, run: &'a str, weight: Weight) -> Vec<(Option<FontName>, &'a str)> {
    let mut parts: Vec<(Option<FontName>, &str)> = Vec::new();
    let mut start = 0;
    let mut current = None;
    for (i, c) in run.char_indices() {
        // Spaces, digits and marks stay with what they stand beside, so that marks find their letter.
        let font = match current {
            _ if c == UNKNOWN => None,
            Some(Some(font)) if !c.is_alphabetic() && fonts.has(font, c) => Some(font),
            _ => fonts.with(c, weight),
        };
        match current {
            None => current = Some(font),
            Some(before) if before != font => {
                parts.push((before, &run[start..i]));
                (start, current) = (i, Some(font));
            }
            Some(_) => {}
        }
    }
    if let Some(font) = current {
        parts.push((font, &run[start..]));
    }
    parts
}
