//! The list of studies.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{Footer, chip_look, footer, header, panel, progress_color};
use crate::screen::icons::Icon;
use crate::screen::language::fill;
use crate::screen::paint::{Painter, Target};
use crate::screen::sheets::list::{ListSheet, Row};
use crate::screen::style::{AMBER, CHOSEN, Cut as _, MUTED, SKY, TEXT, TRACK};
use crate::screen::text::Align;

/// What hands have done with the list.
#[derive(Clone, Copy)]
pub(in crate::screen) struct Reading<'a> {
    /// The row that select opens.
    pub(in crate::screen) selected: usize,
    /// Studies whose newest result nobody has opened.
    pub(in crate::screen) unseen: &'a [String],
    /// The study that was asked for has nothing to be opened.
    pub(in crate::screen) nothing_yet: bool,
}

/// Draws the page.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    sheet: &ListSheet,
    reading: Reading<'_>,
    foot: Footer<'_>,
) {
    let (style, words) = (painter.style, painter.words);
    let mut page = painter.blank();
    let (icon, color) = chip_look(sheet.chip);
    header(
        painter,
        &mut page,
        (icon, sheet.chip.word(words), color),
        &sheet.station,
        &sheet.where_to,
    );
    footer(painter, &mut page, foot);
    let mut room = page.inset(style.unit * 2, style.unit);
    for banner in &sheet.banners {
        banner_line(painter, &mut room, banner);
    }
    if reading.nothing_yet {
        let row = room.cut_bottom(style.body.line_height() + style.unit);
        painter.line(row, Align::Left, style.label, words.nothing_yet, AMBER);
    } else if let Some((text, ago)) = &sheet.refused {
        let mut row = room.cut_bottom(style.body.line_height() + style.unit);
        let ago_width = painter.width(style.caption, ago);
        let when = row.cut_right(ago_width);
        painter.line(when, Align::Right, style.caption, ago, MUTED);
        row.cut_right(style.unit);
        let title = painter.width(style.label, words.turned_away);
        let place = row.cut_left(title);
        painter.line(place, Align::Left, style.label, words.turned_away, AMBER);
        row.cut_left(style.unit);
        painter.line(row, Align::Left, style.caption, text, TEXT);
    }
    if sheet.rows.is_empty() {
        empty(painter, room, sheet);
    } else {
        rows(painter, room, sheet, reading);
    }
}

fn banner_line(painter: &mut Painter<'_>, room: &mut Rectangle, text: &str) {
    let style = painter.style;
    let side = style.strong.line_height();
    let width = room.size.width.saturating_sub(side + style.unit);
    let height = painter.height(width, 2, style.strong, text);
    let mut row = room.cut_top(height);
    let place = row.cut_left(side);
    painter.icon(place, Icon::Warning, side * 4 / 5, AMBER);
    row.cut_left(style.unit);
    painter.paragraph(&mut row, 2, style.strong, text, AMBER);
    room.cut_top(style.unit / 2);
}

/// Instead of an empty list: how to fill it.
fn empty(painter: &mut Painter<'_>, room: Rectangle, sheet: &ListSheet) {
    let style = painter.style;
    let side = style.hero.line_height();
    let text = style.body.line_height() * 3;
    let height = side + style.hero.line_height() + text + style.unit * 2;
    let mut block = Rectangle::with_center(
        room.center(),
        Size::new(room.size.width, height.min(room.size.height)),
    );
    let place = block.cut_top(side);
    painter.icon(place, Icon::Incoming, side, SKY);
    block.cut_top(style.unit);
    let title = block.cut_top(style.hero.line_height());
    painter.line(
        title,
        Align::Centre,
        style.hero,
        painter.words.waiting_for_a_study,
        TEXT,
    );
    block.cut_top(style.unit);
    painter.centred(&mut block, 3, style.body, &sheet.empty, MUTED);
}

fn rows(painter: &mut Painter<'_>, room: Rectangle, sheet: &ListSheet, reading: Reading<'_>) {
    let (style, selected) = (painter.style, reading.selected);
    let gap = style.unit / 2;
    let height =
        (style.strong.line_height() + style.body.line_height() + style.unit * 5 / 2).max(style.touch);
    let more_height = style.caption.line_height();
    let mut fitting = ((room.size.height + gap) / (height + gap)) as usize;
    let count = sheet.rows.len();
    if count > fitting {
        fitting = ((room.size.height.saturating_sub(more_height) + gap) / (height + gap)) as usize;
    }
    let fitting = fitting.max(1);
    // The selected row stays in the middle while there is more on both sides.
    let first = selected
        .saturating_sub(fitting / 2)
        .min(count.saturating_sub(fitting));
    let mut room = room;
    for (i, row) in sheet.rows.iter().enumerate().skip(first).take(fitting) {
        let place = room.cut_top(height);
        room.cut_top(gap);
        let unseen = reading.unseen.contains(&row.uid);
        draw_row(painter, place, row, (i == selected, unseen));
        painter.touchable(place, Target::Row(i));
    }
    let hidden = count.saturating_sub(fitting);
    if hidden > 0 {
        let more = fill(painter.words.more, &[("n", &hidden)]);
        painter.line(
            room.cut_top(more_height),
            Align::Left,
            style.caption,
            &more,
            MUTED,
        );
    }
}

fn draw_row(painter: &mut Painter<'_>, place: Rectangle, row: &Row, (selected, unseen): (bool, bool)) {
    let style = painter.style;
    let mut inner = panel(painter, place);
    if selected {
        painter.round(place, style.unit, CHOSEN);
        let mut edge = place.inset(0, style.unit / 2);
        painter.fill(edge.cut_left(style.unit / 2), SKY);
    }
    let color = progress_color(row.progress);
    let side = style.heading.line_height();
    let sign = inner.cut_left(side);
    painter.icon(sign, row.progress.icon(), side, color);
    inner.cut_left(style.unit * 3 / 2);
    if let Some(share) = row.share {
        let track = inner.cut_bottom(style.unit / 2);
        painter.fill(track, TRACK);
        let done = (track.size.width as f32 * share) as u32;
        painter.fill(
            Rectangle::new(track.top_left, Size::new(done, track.size.height)),
            SKY,
        );
    }

    let mut upper = inner.cut_top(style.strong.line_height());
    let ago = painter.width(style.caption, &row.ago);
    let when = upper.cut_right(ago);
    painter.line(when, Align::Right, style.caption, &row.ago, MUTED);
    upper.cut_right(style.unit);
    if unseen {
        let side = style.unit * 3 / 2;
        let dot = Rectangle::with_center(upper.cut_left(side).center(), Size::new_equal(side));
        painter.round(dot, side / 2, SKY);
        upper.cut_left(style.unit);
    }
    painter.line(upper, Align::Left, style.strong, &row.name, TEXT);

    let mut lower = inner.cut_top(style.body.line_height());
    let images = painter.width(style.caption, &row.images);
    let count = lower.cut_right(images);
    painter.line(count, Align::Right, style.caption, &row.images, MUTED);
    lower.cut_right(style.unit * 2);
    if let Some((delivery, progress)) = &row.delivery {
        let width = painter.width(style.caption, delivery) + style.caption.line_height() + style.unit / 2;
        let mut way = lower.cut_right(width.min(lower.size.width / 2));
        let sign = way.cut_left(style.caption.line_height());
        painter.icon(
            sign,
            Icon::Sent,
            style.caption.line_height() * 3 / 4,
            progress_color(*progress),
        );
        way.cut_left(style.unit / 2);
        painter.line(
            way,
            Align::Left,
            style.caption,
            delivery,
            progress_color(*progress),
        );
        lower.cut_right(style.unit * 2);
    }
    painter.line(lower, Align::Left, style.body, &row.state, color);
}
