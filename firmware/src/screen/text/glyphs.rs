//! Glyphs as coverage, kept after they were drawn once.

use std::collections::HashMap;
use std::ops::Range;

use embedded_graphics::{prelude::*, primitives::Rectangle};
use swash::scale::{Render, ScaleContext, Source};
use swash::zeno::{Format, Vector};

use super::fonts::{FontName, Fonts};
use super::shape::Glyph;
use super::{Face, Weight};

/// When the coverage of all glyphs together is larger, drawing begins anew, bytes.
const MAX_BYTES: usize = 4 << 20;

/// A glyph is drawn at this many positions within a pixel, so that the gaps between letters are even.
const POSITIONS: f32 = 4.0;

/// Bold of fonts that have none: thicker by this share of the type size.
const EMBOLDEN: f32 = 1.0 / 50.0;

/// All glyphs that were drawn so far.
pub(super) struct Glyphs {
    scaler: ScaleContext,
    drawn: HashMap<Key, Drawn>,
    bytes: Vec<u8>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    font: FontName,
    glyph: u16,
    face: Face,
    position: u8,
}

/// Where the glyph's coverage lies: relative to its point on the baseline, and among the bytes.
#[derive(Clone)]
struct Drawn {
    area: Rectangle,
    bytes: Range<usize>,
}

impl Glyphs {
    pub(super) fn new() -> Self {
        Self {
            scaler: ScaleContext::new(),
            drawn: HashMap::new(),
            bytes: Vec::new(),
        }
    }

    /// A glyph whose point on the baseline is at (x, y): the area that it covers, and how much of each pixel.
    pub(super) fn get(
        &mut self,
        fonts: &Fonts,
        glyph: Glyph,
        face: Face,
        x: f32,
        y: f32,
    ) -> (Rectangle, &[u8]) {
        let Glyph::Of(font, glyph) = glyph else {
            return (Rectangle::zero(), &[]);
        };
        let position = ((x - x.floor()) * POSITIONS) as u8;
        let key = Key {
            font,
            glyph,
            face,
            position,
        };
        if self.bytes.len() > MAX_BYTES {
            self.drawn.clear();
            self.bytes.clear();
        }
        let (scaler, bytes) = (&mut self.scaler, &mut self.bytes);
        let drawn = self
            .drawn
            .entry(key)
            .or_insert_with_key(|key| draw(fonts, scaler, bytes, key));
        let at = Point::new(x.floor() as i32, y.round() as i32);
        (drawn.area.translate(at), &self.bytes[drawn.bytes.clone()])
    }
}

fn draw(fonts: &Fonts, scaler: &mut ScaleContext, bytes: &mut Vec<u8>, key: &Key) -> Drawn {
    let face = key.face;
    let mut scaler = scaler
        .builder(fonts.get(key.font))
        .size(f32::from(face.px))
        .build();
    let lacks_bold = face.weight == Weight::Bold && key.font != FontName::Bold;
    let image = Render::new(&[Source::Outline])
        .format(Format::Alpha)
        .offset(Vector::new(f32::from(key.position) / POSITIONS, 0.0))
        .embolden(if lacks_bold {
            f32::from(face.px) * EMBOLDEN
        } else {
            0.0
        })
        .render(&mut scaler, key.glyph);
    let start = bytes.len();
    // A space has no outline.
    let area = image.map_or(Rectangle::zero(), |image| {
        bytes.extend_from_slice(&image.data);
        let place = image.placement;
        Rectangle::new(
            Point::new(place.left, -place.top),
            Size::new(place.width, place.height),
        )
    });
    Drawn {
        area,
        bytes: start..bytes.len(),
    }
}
