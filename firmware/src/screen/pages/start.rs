//! Start-up and shutdown, and why a start failed.

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

use crate::screen::icons::Icon;
use crate::screen::language::fill;
use crate::screen::paint::Painter;
use crate::screen::sheets::study::ReasonCard;
use crate::screen::situation::{Phase, Start, Stop};
use crate::screen::style::{AMBER, Cut as _, GREEN, MUTED, SKY, TEXT, TRACK};
use crate::screen::text::Align;

/// Draws the page; nothing while the box works.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    phase: &Phase,
    failure: Option<&ReasonCard>,
    version: &str,
) {
    let (style, words) = (painter.style, painter.words);
    let page = painter.blank();
    let (title, color) = match phase {
        Phase::Starting(_) => (words.starting, SKY),
        Phase::Failed(_) => (words.start_failed, AMBER),
        Phase::Stopping(_) => (words.stopping, AMBER),
        Phase::Stopped => (words.stopped, GREEN),
        Phase::Running => return,
    };
    let mut room = page.inset(page.size.width / 8, style.unit);
    let foot = room.cut_bottom(style.caption.line_height());
    footer(
        painter,
        Rectangle::new(
            Point::new(style.unit as i32 * 2, foot.top_left.y),
            Size::new(page.size.width.saturating_sub(style.unit * 4), foot.size.height),
        ),
        version,
    );
    let logo = style.hero.line_height() * 3 / 2;
    let row = style.body.line_height() + style.unit;
    let below = match failure {
        Some(_) => style.title.line_height() * 2 + style.body.line_height() * 4 + style.caption.line_height(),
        None => row * 4,
    };
    let height = logo + style.hero.line_height() + style.unit * 4 + below + style.caption.line_height();
    let size = Size::new(room.size.width, height.min(room.size.height));
    let mut block = Rectangle::with_center(room.center(), size);
    painter.icon(
        block.cut_top(logo),
        if failure.is_some() {
            Icon::Warning
        } else {
            Icon::Target
        },
        logo,
        color,
    );
    block.cut_top(style.unit);
    let line = block.cut_top(style.hero.line_height());
    painter.line(line, Align::Centre, style.hero, title, TEXT);
    block.cut_top(style.unit);
    match (phase, failure) {
        (Phase::Starting(now), _) => {
            let names = [
                words.start_model,
                words.start_storage,
                words.start_studies,
                words.start_network,
            ];
            let all = [Start::Model, Start::Storage, Start::Studies, Start::Network];
            steps(
                painter,
                &mut block,
                &names,
                all.iter().position(|step| step == now),
            );
        }
        (Phase::Stopping(now), _) => {
            let names = [words.stop_receiving, words.stop_delivering];
            let all = [Stop::Receiving, Stop::Delivering];
            steps(
                painter,
                &mut block,
                &names,
                all.iter().position(|step| step == now),
            );
            block.cut_top(style.unit);
            painter.centred(&mut block, 2, style.body, words.stopping_meaning, TEXT);
        }
        (_, Some(failure)) => why(painter, &mut block, failure),
        (_, None) => {}
    }
}

/// The steps, those before number `now` done.
fn steps(painter: &mut Painter<'_>, block: &mut Rectangle, names: &[&str], now: Option<usize>) {
    let style = painter.style;
    let now = now.unwrap_or(0);
    let mut track = block.cut_top(style.unit);
    painter.fill(track, TRACK);
    let share = (2 * now as u32 + 1) * track.size.width / (2 * names.len() as u32);
    painter.fill(track.cut_left(share), SKY);
    block.cut_top(style.unit);
    for (number, name) in names.iter().enumerate() {
        let mut line = block
            .cut_top(style.body.line_height() + style.unit)
            .inset(style.unit * 2, 0);
        let side = style.body.line_height();
        let (icon, color): (Icon, Rgb888) = match number {
            number if number < now => (Icon::Tick, GREEN),
            number if number == now => (Icon::Gauge, SKY),
            _ => (Icon::Dash, MUTED),
        };
        painter.icon(line.cut_left(side), icon, side, color);
        line.cut_left(style.unit);
        let ink = painter.ink(number <= now);
        painter.line(line, Align::Left, style.body, name, ink);
    }
}

fn why(painter: &mut Painter<'_>, block: &mut Rectangle, failure: &ReasonCard) {
    let (style, words) = (painter.style, painter.words);
    painter.centred(block, 2, style.title, &failure.plain, TEXT);
    painter.centred(block, 2, style.body, failure.remedy, SKY);
    block.cut_top(style.unit);
    if let Some(detail) = &failure.detail {
        painter.centred(block, 3, style.body, detail, TEXT);
        block.cut_top(style.unit);
    }
    let cause = fill(
        "{cause}: {fault}",
        &[("cause", &words.cause), ("fault", &failure.fault)],
    );
    painter.centred(block, 1, style.caption, &cause, MUTED);
    painter.centred(block, 1, style.caption, words.start_again, MUTED);
}

/// The notice and the version.
fn footer(painter: &mut Painter<'_>, mut foot: Rectangle, version: &str) {
    let style = painter.style;
    let wide = painter.line(foot, Align::Left, style.label, painter.words.notice, AMBER);
    foot.cut_left(wide + style.unit * 2);
    painter.line(foot, Align::Right, style.caption, version, MUTED);
}
