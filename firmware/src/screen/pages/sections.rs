//! Named values under titles: the page about the box, and the details of a study.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{mark_color, panel};
use crate::screen::paint::{Painter, Target};
use crate::screen::sheets::{Entry, Mark, Section};
use crate::screen::style::{AMBER, Arrangement, Cut as _, MUTED, RULE, SKY, TEXT};
use crate::screen::text::Align;

/// Lines of one value.
const LINES: usize = 4;

/// Draws sections into `room` from the one numbered `first`, in columns where there is room for them. Returns
/// how many sections there are that one can scroll past: up to there `first` makes sense.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    room: Rectangle,
    sections: &[Section],
    first: usize,
) -> usize {
    let style = painter.style;
    let gap = style.unit;
    let columns = match style.arrangement {
        Arrangement::Wide => 2,
        Arrangement::Compact | Arrangement::Tall => 1,
    };
    let bar = style.unit / 2;
    let mut inner = room;
    let mut scroll = inner.cut_right(bar);
    inner.cut_right(gap / 2);
    let width = ((inner.size.width + gap) / columns).saturating_sub(gap);
    let heights = |painter: &mut Painter<'_>, from: usize| -> usize {
        // How many sections from `from` on fit.
        let mut at = from;
        for _ in 0..columns {
            let mut left = inner.size.height;
            let mut empty = true;
            while let Some(section) = sections.get(at) {
                let height = height(painter, width, section);
                if height > left && !empty {
                    break;
                }
                empty = false;
                left = left.saturating_sub(height + gap);
                at += 1;
            }
        }
        at
    };
    // The furthest one can scroll: the last sections fill the page.
    let mut last = 0;
    while heights(painter, last) < sections.len() {
        last += 1;
    }
    let first = first.min(last);
    let mut at = first;
    for column in 0..columns {
        let x = inner.top_left.x + (column * (width + gap)) as i32;
        let mut area = Rectangle::new(
            Point::new(x, inner.top_left.y),
            Size::new(width, inner.size.height),
        );
        let mut empty = true;
        while let Some(section) = sections.get(at) {
            let needed = height(painter, width, section);
            if needed > area.size.height && !empty {
                break;
            }
            draw_section(painter, area.cut_top(needed), section);
            area.cut_top(gap);
            empty = false;
            at += 1;
        }
    }
    if last > 0 {
        painter.fill(scroll, RULE);
        let part = scroll.size.height / (last as u32 + 1);
        scroll.cut_top(part * first as u32);
        painter.fill(scroll.cut_top(part), SKY);
    }
    painter.touchable(room, Target::Scroll);
    last
}

fn name_width(painter: &mut Painter<'_>, width: u32, section: &Section) -> u32 {
    let style = painter.style;
    let widest = section
        .entries
        .iter()
        .map(|entry| painter.width(style.caption, &entry.name))
        .max();
    widest.unwrap_or(0).min(width * 2 / 5)
}

fn height(painter: &mut Painter<'_>, width: u32, section: &Section) -> u32 {
    let style = painter.style;
    let width = width.saturating_sub(style.unit * 3);
    let names = name_width(painter, width, section);
    let entries: u32 = section
        .entries
        .iter()
        .map(|entry| {
            let width = value_width(painter, width, names, entry);
            painter
                .height(width, LINES, style.caption, &entry.value)
                .max(style.caption.line_height())
        })
        .sum();
    style.strong.line_height() + style.unit / 2 + entries + style.unit * 2
}

fn value_width(painter: &Painter<'_>, width: u32, names: u32, entry: &Entry) -> u32 {
    if entry.name.is_empty() {
        width
    } else {
        width.saturating_sub(names + painter.style.unit)
    }
}

fn draw_section(painter: &mut Painter<'_>, area: Rectangle, section: &Section) {
    let style = painter.style;
    let mut inner = panel(painter, area);
    let mut title = inner.cut_top(style.strong.line_height());
    let side = style.strong.line_height();
    let color = if section.mark == Mark::Attention {
        AMBER
    } else {
        SKY
    };
    let place = title.cut_left(side);
    painter.icon(place, section.icon, side * 5 / 6, color);
    title.cut_left(style.unit);
    painter.line(title, Align::Left, style.strong, &section.title, TEXT);
    inner.cut_top(style.unit / 2);
    let names = name_width(painter, inner.size.width, section);
    for entry in &section.entries {
        let width = value_width(painter, inner.size.width, names, entry);
        let height = painter.height(width, LINES, style.caption, &entry.value);
        let mut row = inner.cut_top(height.max(style.caption.line_height()));
        if !entry.name.is_empty() {
            let mut name = row.cut_left(names);
            name.size.height = style.caption.line_height();
            painter.line(name, Align::Left, style.caption, &entry.name, MUTED);
            row.cut_left(style.unit);
        }
        painter.paragraph(
            &mut row,
            LINES,
            style.caption,
            &entry.value,
            mark_color(entry.mark),
        );
    }
}
