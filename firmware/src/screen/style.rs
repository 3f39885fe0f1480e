//! What all pages share: the grid, the type scale, the colours, and how a page is laid out on which size.
//!
//! Text keeps a contrast of at least 7 : 1 on the ground it stands on (WCAG 2.2, level AAA). The colours that
//! mean something come from the Okabe–Ito set or are lightened from it, so that they stay apart for colour-blind
//! readers, and each goes with a word, a number or a shape.

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

use super::text::Face;

pub(super) const GROUND: Rgb888 = rgb(0x0B_0F_14);
pub(super) const PANEL: Rgb888 = rgb(0x15_1B_23);
/// A panel that is chosen.
pub(super) const CHOSEN: Rgb888 = rgb(0x17_22_2E);
pub(super) const RULE: Rgb888 = rgb(0x2E_39_46);
pub(super) const TRACK: Rgb888 = rgb(0x26_30_3B);
pub(super) const TEXT: Rgb888 = rgb(0xE8_ED_F2);
pub(super) const MUTED: Rgb888 = rgb(0xB4_BE_CA);
pub(super) const HALO: Rgb888 = rgb(0x00_00_00);

/// Attention: the notice, what is missing, what was refused.
pub(super) const AMBER: Rgb888 = rgb(0xFF_C2_47);
/// Speaks for a malignant tumour.
pub(super) const ORANGE: Rgb888 = rgb(0xF5_9A_3C);
/// Speaks for a benign tumour; also work in progress, and what is chosen.
pub(super) const SKY: Rgb888 = rgb(0x6C_BF_F0);
/// Done, present.
pub(super) const GREEN: Rgb888 = rgb(0x5F_D0_A8);

/// Outlines by lesion number; a fifth lesion starts over, and its number tells it apart.
const LESIONS: [Rgb888; 4] = [rgb(0xF0_E4_42), SKY, rgb(0xF2_9C_CB), GREEN];

const fn rgb(hex: u32) -> Rgb888 {
    Rgb888::new((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// The colour of the outline of lesion `number` (counted from 1).
pub(super) fn lesion_color(number: u32) -> Rgb888 {
    LESIONS[(number.saturating_sub(1) as usize) % LESIONS.len()]
}

/// How a page is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// A panel of a few inches: one picture at a time, short lists.
    Compact,
    /// Pictures beside words.
    Wide,
    /// Pictures above words.
    Tall,
}

/// The type scale and the measures for one size of screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) arrangement: Arrangement,
    pub(super) caption: Face,
    pub(super) label: Face,
    pub(super) body: Face,
    pub(super) strong: Face,
    pub(super) heading: Face,
    pub(super) title: Face,
    pub(super) hero: Face,
    /// The grid: distances are multiples of it, or half of it inside a group; pixels.
    pub(super) unit: u32,
    /// Least height of what can be touched.
    pub(super) touch: u32,
    pub(super) header: u32,
    pub(super) footer: u32,
}

impl Style {
    pub(super) fn for_size(size: Size) -> Self {
        let (short, long) = (size.width.min(size.height), size.width.max(size.height));
        let arrangement = match size {
            _ if short < 400 => Arrangement::Compact,
            _ if size.width < size.height => Arrangement::Tall,
            _ => Arrangement::Wide,
        };
        // 1 on a panel of 1024 × 600 pixels.
        let scale = (short as f32 / 600.0).min(long as f32 / 1024.0);
        let scaled = |px: f32, least: f32| (px * scale).round().max(least);
        let px = |px: f32, least: f32| scaled(px, least) as u16;
        Self {
            arrangement,
            caption: Face::regular(px(13.0, 10.0)),
            label: Face::bold(px(13.0, 10.0)),
            body: Face::regular(px(16.0, 11.0)),
            strong: Face::bold(px(16.0, 11.0)),
            heading: Face::bold(px(18.0, 12.0)),
            title: Face::bold(px(23.0, 14.0)),
            hero: Face::bold(px(34.0, 18.0)),
            unit: scaled(8.0, 4.0) as u32,
            touch: scaled(44.0, 30.0) as u32,
            header: scaled(60.0, 36.0) as u32,
            footer: scaled(48.0, 32.0) as u32,
        }
    }
}

/// Cutting a rectangle into parts, from the outside in. Asking for more than there is gives what there is.
pub(super) trait Cut: Sized {
    /// Takes `height` off the top.
    fn cut_top(&mut self, height: u32) -> Rectangle;
    /// Takes `height` off the bottom.
    fn cut_bottom(&mut self, height: u32) -> Rectangle;
    /// Takes `width` off the left.
    fn cut_left(&mut self, width: u32) -> Rectangle;
    /// Takes `width` off the right.
    fn cut_right(&mut self, width: u32) -> Rectangle;
    /// The same centre, smaller by `x` on the left and the right and by `y` above and below.
    fn inset(self, x: u32, y: u32) -> Rectangle;
    /// One past the right and the bottom edge.
    fn end(&self) -> Point;
}

impl Cut for Rectangle {
    fn cut_top(&mut self, height: u32) -> Rectangle {
        let height = height.min(self.size.height);
        let top = Rectangle::new(self.top_left, Size::new(self.size.width, height));
        self.top_left.y += height as i32;
        self.size.height -= height;
        top
    }

    fn cut_bottom(&mut self, height: u32) -> Rectangle {
        let height = height.min(self.size.height);
        self.size.height -= height;
        let at = Point::new(self.top_left.x, self.end().y);
        Rectangle::new(at, Size::new(self.size.width, height))
    }

    fn cut_left(&mut self, width: u32) -> Rectangle {
        let width = width.min(self.size.width);
        let left = Rectangle::new(self.top_left, Size::new(width, self.size.height));
        self.top_left.x += width as i32;
        self.size.width -= width;
        left
    }

    fn cut_right(&mut self, width: u32) -> Rectangle {
        let width = width.min(self.size.width);
        self.size.width -= width;
        let at = Point::new(self.end().x, self.top_left.y);
        Rectangle::new(at, Size::new(width, self.size.height))
    }

    fn inset(self, x: u32, y: u32) -> Rectangle {
        let (x, y) = (x.min(self.size.width / 2), y.min(self.size.height / 2));
        Rectangle::new(
            self.top_left + Size::new(x, y),
            self.size - Size::new(2 * x, 2 * y),
        )
    }

    fn end(&self) -> Point {
        self.top_left + self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) with relative luminances.
    fn contrast(a: Rgb888, b: Rgb888) -> f64 {
        let luminance = |c: Rgb888| {
            let linear = |byte: u8| {
                let s = f64::from(byte) / 255.0;
                if s <= 0.04045 {
                    s / 12.92
                } else {
                    ((s + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_colour_is_readable_on_every_ground() {
        for text in [
            TEXT, MUTED, AMBER, ORANGE, SKY, GREEN, LESIONS[0], LESIONS[1], LESIONS[2], LESIONS[3],
        ] {
            for ground in [GROUND, PANEL, CHOSEN, HALO] {
                let contrast = contrast(text, ground);
                assert!(contrast >= 7.0, "{text:?} on {ground:?}: {contrast:.1}");
            }
        }
    }

    #[test]
    fn cuts_never_overlap_and_never_exceed() {
        let whole = Rectangle::new(Point::new(8, 16), Size::new(100, 50));
        let mut rest = whole;
        let parts = [
            rest.cut_top(10),
            rest.cut_left(30),
            rest.cut_right(20),
            rest.cut_bottom(100),
            rest,
        ];
        let area: u32 = parts.iter().map(|p| p.size.width * p.size.height).sum();
        assert_eq!(area, 100 * 50);
        for (i, a) in parts.iter().enumerate() {
            assert_eq!(a.intersection(&whole).size, a.size);
            assert!(
                parts[i + 1..].iter().all(|b| a.intersection(b).is_zero_sized()),
                "{parts:?}"
            );
        }
    }
}
