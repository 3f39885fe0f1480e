//! The pages, and what surrounds them.

pub(super) mod alarm;
pub(super) mod bars;
pub(super) mod cannot_answer;
pub(super) mod list;
pub(super) mod picture;
pub(super) mod question;
pub(super) mod rest;
pub(super) mod result;
pub(super) mod sections;
pub(super) mod start;

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

use super::icons::Icon;
use super::language::fill;
use super::paint::{Painter, Tab, Target};
use super::sheets::list::{Chip, Progress};
use super::sheets::study::{State, Surround};
use super::sheets::{Mark, Section};
use super::style::{
    AMBER, Arrangement, CHOSEN, Cut as _, GREEN, GROUND, HALO, MUTED, PANEL, RULE, SKY, TEXT, lesion_color,
};
use super::text::Align;

/// A word with its icon in a rounded frame at the right end of `bar`, which it is cut off.
pub(super) fn chip(painter: &mut Painter<'_>, bar: &mut Rectangle, icon: Icon, word: &str, color: Rgb888) {
    let (unit, face) = (painter.style.unit, painter.style.heading);
    let side = face.line_height() * 3 / 4;
    let width = painter.width(face, word) + side + unit * 4;
    let column = bar.cut_right(width);
    let height = (face.line_height() + unit * 3 / 2).min(column.size.height);
    let outline = Rectangle::with_center(column.center(), Size::new(column.size.width, height));
    painter.ring(outline, height / 2, (unit / 4).max(1), (color, GROUND));
    let mut inner = outline.inset(unit * 3 / 2, 0);
    let place = inner.cut_left(side);
    painter.icon(place, icon, side, color);
    inner.cut_left(unit);
    painter.line(inner, Align::Left, face, word, color);
    bar.cut_right(unit * 2);
}

/// The bar at the top of a page: a title and a line below it.
pub(super) fn header(
    painter: &mut Painter<'_>,
    page: &mut Rectangle,
    (icon, word, color): (Icon, &str, Rgb888),
    title: &str,
    line: &str,
) {
    let style = painter.style;
    let bar = page.cut_top(style.header);
    painter.fill(bar, PANEL);
    let mut inner = bar.inset(style.unit * 2, style.unit / 2);
    chip(painter, &mut inner, icon, word, color);
    if style.arrangement == Arrangement::Compact || line.is_empty() {
        painter.line(inner, Align::Left, style.title, title, TEXT);
    } else {
        let upper = inner.cut_top(inner.size.height * 3 / 5);
        painter.line(upper, Align::Left, style.title, title, TEXT);
        painter.line(inner, Align::Left, style.caption, line, MUTED);
    }
}

/// The bar at the top of a study's page.
pub(super) fn study_header(painter: &mut Painter<'_>, page: &mut Rectangle, surround: &Surround) {
    let words = painter.words;
    let chip = match surround.state {
        State::Tumour => (Icon::Target, words.tumour_found, lesion_color(1)),
        State::NoTumour => (Icon::Ring, words.no_tumour_found, SKY),
        State::CannotAnswer => (Icon::Warning, words.cannot_answer, AMBER),
    };
    header(painter, page, chip, &surround.patient, &surround.examination);
}

/// What the bar at the bottom of a page says.
#[derive(Clone, Copy)]
pub(super) struct Footer<'a> {
    pub(super) here: Tab,
    pub(super) has_result: bool,
    /// Results that nobody has opened.
    pub(super) unseen: usize,
    /// Which model answers, and what it was trained on.
    pub(super) provenance: &'a str,
}

/// The bar at the bottom of a page: the notice, where the answers come from, and where one can go.
pub(super) fn footer(painter: &mut Painter<'_>, page: &mut Rectangle, footer: Footer<'_>) {
    let (style, words) = (painter.style, painter.words);
    let mut bar = page.cut_bottom(style.footer);
    painter.fill(bar.cut_top(1), RULE);
    let tabs = [
        (Tab::Station, Icon::Box, words.station),
        (Tab::Result, Icon::Target, words.result),
        (Tab::Studies, Icon::List, words.studies),
    ];
    let unseen = fill("{n}", &[("n", &footer.unseen)]);
    // A number that nobody overlooks has room of its own beside the name.
    let badge_width = match footer.unseen {
        0 => 0,
        _ => (painter.width(style.caption, &unseen) + style.unit).max(style.caption.line_height()),
    };
    let extra = |tab: Tab| match tab {
        Tab::Studies if badge_width > 0 => badge_width + style.unit,
        _ => 0,
    };
    let there = |tab: Tab| painter.interactive && (tab != Tab::Result || footer.has_result);
    let tabs: heapless::Vec<_, 3> = tabs.into_iter().filter(|(tab, ..)| there(*tab)).collect();
    // Names where they leave the notice its room, else icons only.
    let side = style.heading.line_height();
    let names: u32 = tabs
        .iter()
        .map(|(tab, _, name)| painter.width(style.label, name) + side + style.unit * 4 + extra(*tab))
        .sum();
    let notice = painter.width(style.label, words.notice) + side + style.unit * 5;
    let named = notice + names <= bar.size.width;
    for (tab, icon, name) in tabs {
        let text = if named {
            painter.width(style.label, name) + style.unit
        } else {
            0
        };
        let place = bar.cut_right((side + text + style.unit * 3).max(style.touch) + extra(tab));
        let color = if tab == footer.here { SKY } else { MUTED };
        if tab == footer.here {
            painter.fill(place, CHOSEN);
            painter.fill(
                Rectangle::new(place.top_left, Size::new(place.size.width, style.unit / 4 + 1)),
                SKY,
            );
        }
        let mut inner = place.inset(style.unit * 3 / 2, 0);
        if extra(tab) > 0 {
            badge(painter, inner.cut_right(badge_width), &unseen);
            inner.cut_right(style.unit);
        }
        if named {
            let icon_place = inner.cut_left(side);
            painter.icon(icon_place, icon, side, color);
            inner.cut_left(style.unit);
            painter.line(inner, Align::Left, style.label, name, color);
        } else {
            painter.icon(inner, icon, side, color);
        }
        painter.touchable(place, Target::Tab(tab));
    }
    bar.cut_left(style.unit * 2);
    bar.cut_right(style.unit);
    let place = bar.cut_left(side);
    painter.icon(place, Icon::Warning, side * 4 / 5, AMBER);
    bar.cut_left(style.unit);
    let lines = style.label.line_height() + style.caption.line_height();
    let mut block = Rectangle::with_center(
        bar.center(),
        Size::new(bar.size.width, lines.min(bar.size.height)),
    );
    let upper = block.cut_top(style.label.line_height());
    painter.line(upper, Align::Left, style.label, words.notice, AMBER);
    painter.line(block, Align::Left, style.caption, footer.provenance, MUTED);
}

/// A number in a round field as wide as `column`.
fn badge(painter: &mut Painter<'_>, column: Rectangle, text: &str) {
    let caption = painter.style.caption;
    let high = caption.line_height().min(column.size.height);
    let area = Rectangle::with_center(column.center(), Size::new(column.size.width, high));
    painter.round(area, high / 2, SKY);
    painter.line(area, Align::Centre, caption, text, HALO);
}

/// A raised area; returns the room inside its padding.
pub(super) fn panel(painter: &mut Painter<'_>, area: Rectangle) -> Rectangle {
    let unit = painter.style.unit;
    painter.round(area, unit, PANEL);
    area.inset(unit * 3 / 2, unit)
}

pub(super) fn mark_color(mark: Mark) -> Rgb888 {
    match mark {
        Mark::Plain => TEXT,
        Mark::Good => GREEN,
        Mark::Attention => AMBER,
    }
}

pub(super) fn progress_color(progress: Progress) -> Rgb888 {
    match progress {
        Progress::Working => SKY,
        Progress::Done => GREEN,
        Progress::Failed => AMBER,
    }
}

/// The page about the box itself, with a way to what it asks; returns how far one can scroll.
pub(super) fn station(
    painter: &mut Painter<'_>,
    (chip, name, where_to): (Chip, &str, &str),
    asks: Option<&str>,
    (sections, scroll): (&[Section], usize),
    foot: Footer<'_>,
) -> usize {
    let style = painter.style;
    let mut page = painter.blank();
    let (icon, color) = chip_look(chip);
    header(
        painter,
        &mut page,
        (icon, chip.word(painter.words), color),
        name,
        where_to,
    );
    footer(painter, &mut page, foot);
    let mut room = page.inset(style.unit * 2, style.unit);
    let Some(asks) = asks else {
        return sections::draw(painter, room, sections, scroll);
    };
    let button = room.cut_top(style.touch);
    room.cut_top(style.unit);
    let end = sections::draw(painter, room, sections, scroll);
    painter.ring(button, style.unit, style.unit / 4 + 1, (SKY, PANEL));
    let mut inner = button.inset(style.unit * 2, 0);
    let side = style.heading.line_height();
    painter.icon(inner.cut_left(side), Icon::Stick, side, SKY);
    inner.cut_left(style.unit);
    painter.line(inner, Align::Left, style.heading, asks, TEXT);
    painter.touchable(button, Target::Select);
    end
}

fn chip_look(chip: Chip) -> (Icon, Rgb888) {
    match chip {
        Chip::Ready => (Icon::Tick, GREEN),
        Chip::Attention | Chip::NotListening | Chip::NobodyMaySend | Chip::NoModel => (Icon::Warning, AMBER),
    }
}
