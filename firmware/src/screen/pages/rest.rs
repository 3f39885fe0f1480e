//! The screen at rest: dark, without patient data; and locked, where a PIN is set.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use crate::screen::icons::Icon;
use crate::screen::paint::{Painter, Target};
use crate::screen::style::{AMBER, Cut as _, HALO, MUTED, PANEL, RULE, SKY, TEXT};
use crate::screen::text::Align;

/// Most digits of a PIN.
pub(in crate::screen) const PIN_DIGITS: usize = 8;

/// A dark page that says how many results are new.
pub(in crate::screen) fn dark(painter: &mut Painter<'_>, new_results: u64) {
    let (style, words) = (painter.style, painter.words);
    let page = painter.frame.bounding_box();
    painter.fill(page, HALO);
    let height = style.hero.line_height() * 2 + style.caption.line_height() + style.unit;
    let mut block = Rectangle::with_center(page.center(), Size::new(page.size.width, height));
    let place = block.cut_top(style.hero.line_height());
    let line = block.cut_top(style.hero.line_height());
    if new_results > 0 {
        painter.icon(place, Icon::Bell, style.hero.line_height(), SKY);
        let text = words.new_results.fill(new_results);
        painter.line(line, Align::Centre, style.hero, &text, TEXT);
    } else {
        painter.icon(place, Icon::Target, style.hero.line_height() / 2, RULE);
    }
    block.cut_top(style.unit);
    painter.line(block, Align::Centre, style.caption, words.press_any_key, MUTED);
    painter.touchable(page, Target::Select);
}

/// What was typed of the PIN, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::screen) struct Typed {
    pub(in crate::screen) digits: heapless::Vec<u8, PIN_DIGITS>,
    /// The key that up and down have reached: 0 to 9, then the one that erases.
    pub(in crate::screen) key: u8,
    /// The last PIN was another one.
    pub(in crate::screen) wrong: bool,
}

/// The page that asks for the PIN.
pub(in crate::screen) fn locked(painter: &mut Painter<'_>, typed: &Typed, length: usize) {
    let (style, words) = (painter.style, painter.words);
    let page = painter.blank();
    let side = style.hero.line_height();
    let dots = style.heading.line_height();
    let rows = 4;
    let needed = |key: u32| {
        side + style.title.line_height() * 2 + dots + style.unit * 4 + rows * (key + style.unit / 2)
    };
    let mut key = style.touch;
    while key > style.unit && needed(key) > page.size.height {
        key -= 1;
    }
    let width = page.size.width * 9 / 10;
    let mut block =
        Rectangle::with_center(page.center(), Size::new(width, needed(key).min(page.size.height)));
    painter.icon(block.cut_top(side), Icon::Lock, side * 4 / 5, SKY);
    painter.line(
        block.cut_top(style.title.line_height()),
        Align::Centre,
        style.title,
        words.locked,
        TEXT,
    );
    let (text, color) = if typed.wrong {
        (words.wrong_pin, AMBER)
    } else {
        (words.enter_pin, MUTED)
    };
    painter.line(
        block.cut_top(style.title.line_height()),
        Align::Centre,
        style.body,
        text,
        color,
    );
    let place = block.cut_top(dots);
    let step = dots;
    let left = place.center().x - (length as u32 * step / 2) as i32;
    for i in 0..length {
        let dot = Rectangle::new(
            Point::new(left + (i as u32 * step) as i32, place.top_left.y),
            Size::new_equal(dots),
        );
        let color = if i < typed.digits.len() { TEXT } else { RULE };
        painter.round(
            Rectangle::with_center(dot.center(), Size::new_equal(dots / 2)),
            dots / 4,
            color,
        );
    }
    block.cut_top(style.unit * 2);
    let pad = Rectangle::with_center(
        block.center(),
        Size::new(key * 6 + style.unit, rows * (key + style.unit / 2)),
    );
    for (i, digit) in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0].into_iter().enumerate() {
        let (row, column) = (i as u32 / 3, i as u32 % 3);
        let at = pad.top_left + Size::new(column * (key * 2 + style.unit / 2), row * (key + style.unit / 2));
        let place = Rectangle::new(at, Size::new(key * 2, key));
        let chosen = typed.key == digit;
        if chosen {
            painter.ring(place, style.unit, style.unit / 4 + 1, (SKY, PANEL));
        } else {
            painter.round(place, style.unit, PANEL);
        }
        if digit == 10 {
            painter.icon(place, Icon::Back, key * 2 / 3, TEXT);
            painter.touchable(place, Target::Erase);
        } else {
            let text = crate::screen::language::fill("{n}", &[("n", &digit)]);
            painter.line(place, Align::Centre, style.heading, &text, TEXT);
            painter.touchable(place, Target::Digit(digit));
        }
    }
}
