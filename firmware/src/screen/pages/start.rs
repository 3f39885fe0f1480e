//! Start-up and shutdown.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use crate::screen::icons::Icon;
use crate::screen::paint::Painter;
use crate::screen::situation::{Phase, Start};
use crate::screen::style::{AMBER, Cut as _, GREEN, MUTED, SKY, TEXT, TRACK};
use crate::screen::text::Align;

/// Draws the page; nothing while the box works.
pub(in crate::screen) fn draw(painter: &mut Painter<'_>, phase: Phase, version: &str) {
    let (style, words) = (painter.style, painter.words);
    let page = painter.blank();
    let steps = [
        (Start::Model, words.start_model),
        (Start::Storage, words.start_storage),
        (Start::Studies, words.start_studies),
        (Start::Network, words.start_network),
    ];
    let (title, note, color) = match phase {
        Phase::Starting(_) => (words.starting, "", SKY),
        Phase::Stopping => (words.stopping, words.stopping_meaning, AMBER),
        Phase::Stopped => (words.stopped, "", GREEN),
        Phase::Running => return,
    };
    let width = page.size.width * 3 / 4;
    let logo = style.hero.line_height() * 3 / 2;
    let row = style.body.line_height() + style.unit;
    let height = logo + style.hero.line_height() + style.unit * 4 + row * 4 + style.caption.line_height();
    let mut block = Rectangle::with_center(page.center(), Size::new(width, height.min(page.size.height)));
    painter.icon(block.cut_top(logo), Icon::Target, logo, color);
    block.cut_top(style.unit);
    painter.line(
        block.cut_top(style.hero.line_height()),
        Align::Centre,
        style.hero,
        title,
        TEXT,
    );
    block.cut_top(style.unit);
    if let Phase::Starting(now) = phase {
        let mut track = block.cut_top(style.unit);
        painter.fill(track, TRACK);
        let done = steps.iter().filter(|(step, _)| *step < now).count() as u32;
        painter.fill(
            track.cut_left(width * (2 * done + 1) / (2 * steps.len() as u32)),
            SKY,
        );
        block.cut_top(style.unit);
        for (step, name) in steps {
            let mut line = block.cut_top(row).inset(style.unit * 2, 0);
            let side = style.body.line_height();
            let (icon, color) = match step {
                _ if step < now => (Icon::Tick, GREEN),
                _ if step == now => (Icon::Gauge, SKY),
                _ => (Icon::Dash, MUTED),
            };
            painter.icon(line.cut_left(side), icon, side, color);
            line.cut_left(style.unit);
            let ink = painter.ink(step <= now);
            painter.line(line, Align::Left, style.body, name, ink);
        }
    } else {
        painter.centred(&mut block, 4, style.body, note, TEXT);
    }
    let foot = page
        .inset(style.unit * 2, style.unit)
        .cut_bottom(style.caption.line_height());
    painter.line(foot, Align::Left, style.label, words.notice, AMBER);
    let mut right = foot;
    let notice = painter.width(style.label, words.notice) + style.unit * 2;
    right.cut_left(notice);
    painter.line(right, Align::Right, style.caption, version, MUTED);
}
