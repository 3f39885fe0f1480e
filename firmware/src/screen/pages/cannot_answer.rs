//! The page of a study that gets no answer: why, what helps, whose fault, what came in.

use embedded_graphics::{prelude::*, primitives::Rectangle};
use models::pictures::Pictures;

use super::{Footer, footer, panel, picture, sections, study_header};
use crate::screen::icons::Icon;
use crate::screen::language::fill;
use crate::screen::look::Look;
use crate::screen::paint::{Painter, Target, Tool};
use crate::screen::sheets::study::{CannotAnswerSheet, ReasonCard, Role, Tile};
use crate::screen::style::{AMBER, Arrangement, Cut as _, GREEN, MUTED, SKY, TEXT};
use crate::screen::text::Align;

/// Lines of a reason, of what helps, of the detail.
const LINES: [usize; 3] = [3, 3, 4];

/// Draws the page; returns how far one can scroll.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    sheet: &CannotAnswerSheet,
    pictures: &Pictures,
    look: &Look,
    foot: Footer<'_>,
) -> usize {
    let style = painter.style;
    let mut page = painter.blank();
    study_header(painter, &mut page, &sheet.surround);
    footer(painter, &mut page, foot);
    let mut room = page.inset(style.unit * 2, style.unit);
    let details = look.tool == Tool::Details;
    if painter.interactive {
        button(painter, &mut room, details);
    }
    if details {
        return sections::draw(painter, room, &sheet.surround.details, look.scroll);
    }

    match style.arrangement {
        Arrangement::Wide => {
            let mut left = room.cut_left(room.size.width * 60 / 100);
            room.cut_left(style.unit * 2);
            thumbnails(painter, &mut left, sheet, pictures, look);
            why(painter, left, sheet, look.scroll);
            came_in(painter, room, &sheet.tiles);
        }
        Arrangement::Tall => {
            let received = room.cut_bottom(room.size.height * 30 / 100);
            room.cut_bottom(style.unit);
            thumbnails(painter, &mut room, sheet, pictures, look);
            why(painter, room, sheet, look.scroll);
            came_in(painter, received, &sheet.tiles);
        }
        Arrangement::Compact => why(painter, room, sheet, look.scroll),
    }
    sheet.reasons.len().saturating_sub(1)
}

/// To the details, or back, cut off the bottom.
fn button(painter: &mut Painter<'_>, room: &mut Rectangle, details: bool) {
    let (style, words) = (painter.style, painter.words);
    let row = room.cut_bottom(style.touch);
    room.cut_bottom(style.unit / 2);
    let (icon, name) = if details {
        (Icon::Back, words.back)
    } else {
        (Icon::Details, words.details)
    };
    let side = style.heading.line_height();
    let wide = painter.width(style.label, name) + side + style.unit * 4;
    let place = Rectangle::new(row.top_left, Size::new(wide, row.size.height));
    let mut inner = panel(painter, place);
    painter.icon(inner.cut_left(side), icon, side, SKY);
    inner.cut_left(style.unit);
    painter.line(inner, Align::Left, style.label, name, TEXT);
    painter.touchable(place, Target::Select);
}

/// What arrived, in small pictures, cut off the bottom. Outlines would be findings.
fn thumbnails(
    painter: &mut Painter<'_>,
    area: &mut Rectangle,
    sheet: &CannotAnswerSheet,
    pictures: &Pictures,
    look: &Look,
) {
    if !sheet.tiles.iter().any(|tile| tile.has_picture) {
        return;
    }
    let unit = painter.style.unit;
    let shown: heapless::Vec<&Tile, 6> = sheet.tiles.iter().filter(|tile| tile.has_picture).collect();
    let side = (area.size.width / 6).saturating_sub(unit);
    let mut strip = area.cut_bottom(side + picture::caption_height(painter));
    area.cut_bottom(unit);
    for tile in shown {
        let mut place = strip.cut_left(side);
        strip.cut_left(unit);
        let caption = place.cut_top(picture::caption_height(painter));
        let style = painter.style;
        painter.line(caption, Align::Left, style.label, &tile.name, TEXT);
        picture::plain(painter, place, tile, pictures, look);
    }
}

fn why(painter: &mut Painter<'_>, mut area: Rectangle, sheet: &CannotAnswerSheet, first: usize) {
    let (style, words) = (painter.style, painter.words);
    if style.arrangement != Arrangement::Compact {
        let mut heading = area.cut_top(style.hero.line_height());
        let side = style.hero.line_height() * 4 / 5;
        painter.icon(heading.cut_left(side), Icon::Warning, side, AMBER);
        heading.cut_left(style.unit);
        painter.line(heading, Align::Left, style.hero, words.cannot_answer, AMBER);
        painter.paragraph(&mut area, 3, style.body, words.cannot_answer_meaning, TEXT);
        area.cut_top(style.unit);
    }
    // Each reason stays whole; those that find no room are counted, and scrolling reaches them.
    let reasons = sheet
        .reasons
        .get(first.min(sheet.reasons.len().saturating_sub(1))..)
        .unwrap_or_default();
    for (i, reason) in reasons.iter().enumerate() {
        let height = card_height(painter, area.size.width, reason);
        let is_last = i + 1 == reasons.len();
        let kept = if is_last { 0 } else { style.body.line_height() };
        if i > 0 && height + kept > area.size.height {
            let more = fill(words.more, &[("n", &(reasons.len() - i))]);
            painter.line(
                area.cut_top(style.body.line_height()),
                Align::Left,
                style.body,
                &more,
                AMBER,
            );
            return;
        }
        let mut inner = panel(painter, area.cut_top(height));
        painter.paragraph(&mut inner, LINES[0], style.strong, &reason.plain, TEXT);
        painter.paragraph(&mut inner, LINES[1], style.body, reason.remedy, SKY);
        inner.cut_top(style.unit / 4);
        if let Some(detail) = &reason.detail {
            painter.paragraph(&mut inner, LINES[2], style.caption, detail, MUTED);
        }
        let cause = fill(
            "{cause}: {fault}",
            &[("cause", &words.cause), ("fault", &reason.fault)],
        );
        painter.paragraph(&mut inner, 1, style.caption, &cause, MUTED);
        area.cut_top(style.unit);
    }
}

fn card_height(painter: &mut Painter<'_>, width: u32, reason: &ReasonCard) -> u32 {
    let style = painter.style;
    let width = width.saturating_sub(style.unit * 3);
    painter.height(width, LINES[0], style.strong, &reason.plain)
        + painter.height(width, LINES[1], style.body, reason.remedy)
        + reason
            .detail
            .as_ref()
            .map_or(0, |detail| painter.height(width, LINES[2], style.caption, detail))
        + style.caption.line_height()
        + style.unit * 2
        + style.unit / 4
}

fn came_in(painter: &mut Painter<'_>, area: Rectangle, tiles: &[Tile; 6]) {
    let (style, words) = (painter.style, painter.words);
    let mut inner = panel(painter, area);
    let title = inner.cut_top(style.strong.line_height());
    painter.line(title, Align::Left, style.strong, words.received, MUTED);
    let names = tiles
        .iter()
        .map(|tile| painter.width(style.label, &tile.name))
        .max()
        .unwrap_or(0);
    for tile in tiles {
        let (icon, color, text) = match tile.role {
            Role::Missing { required: true } => (Icon::Warning, AMBER, words.model_needs_it),
            Role::Missing { required: false } => (Icon::Dash, MUTED, words.not_in_study),
            Role::ReadByModel | Role::ShownOnly => (Icon::Tick, GREEN, tile.source.as_str()),
        };
        let side = style.body.line_height();
        let indent = side + names + style.unit * 2;
        let width = inner.size.width.saturating_sub(indent);
        let height = painter.height(width, 2, style.caption, text).max(side);
        let mut row = inner.cut_top(height);
        let mut head = row.cut_left(indent);
        head.size.height = side;
        painter.icon(head.cut_left(side), icon, side * 3 / 4, color);
        head.cut_left(style.unit / 2);
        painter.line(head, Align::Left, style.label, &tile.name, TEXT);
        let color = if icon == Icon::Tick { TEXT } else { color };
        painter.paragraph(&mut row, 2, style.caption, text, color);
        inner.cut_top(style.unit / 4);
    }
}
