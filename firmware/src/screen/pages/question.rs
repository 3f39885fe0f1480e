//! A question of the box, and what can be answered.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{Footer, footer, mark_color};
use crate::screen::paint::{Painter, Tab, Target};
use crate::screen::sheets::Mark;
use crate::screen::sheets::question::{Answer, Question};
use crate::screen::style::{Cut as _, HALO, PANEL, SKY, TEXT, TRACK};
use crate::screen::text::Align;

/// Lines of one paragraph.
const LINES: usize = 4;

/// Draws the page; `chosen` is the answer that the keys have reached.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    question: &Question,
    chosen: Answer,
    provenance: &str,
) {
    let style = painter.style;
    let mut page = painter.blank();
    // Where one could go would be behind the question.
    painter.interactive = false;
    let foot = Footer {
        unseen: 0,
        here: Tab::Station,
        has_result: false,
        provenance,
    };
    footer(painter, &mut page, foot);
    let color = match question.mark {
        Mark::Plain => SKY,
        mark => mark_color(mark),
    };
    let gap = style.unit;
    let width = page.size.width * 9 / 10;
    let title = painter.height(width, 2, style.title, &question.title);
    let lines: u32 = question
        .lines
        .iter()
        .map(|line| painter.height(width, LINES, style.body, line) + gap / 2)
        .sum();
    let track = if question.percent.is_some() { gap * 3 } else { 0 };
    let buttons = buttons_height(painter, width, question);
    let without_icon = title + lines + track + buttons + gap * 3;
    // The icon is the first to give way where there is little room.
    let side = (style.hero.line_height() * 3 / 2).min(page.size.height.saturating_sub(without_icon));
    let height = (side + without_icon).min(page.size.height);
    let mut block = Rectangle::with_center(page.center(), Size::new(width, height));
    painter.icon(block.cut_top(side), question.icon, side, color);
    block.cut_top(gap);
    let mut answers = block.cut_bottom(buttons);
    block.cut_bottom(gap);
    painter.centred(&mut block, 2, style.title, &question.title, color);
    block.cut_top(gap);
    if let Some(percent) = question.percent {
        let mut track = block.cut_top(gap);
        painter.fill(track, TRACK);
        let done = track.size.width * u32::from(percent.min(100)) / 100;
        painter.fill(track.cut_left(done), SKY);
        block.cut_top(gap * 2);
    }
    for line in &question.lines {
        painter.centred(&mut block, LINES, style.body, line, TEXT);
        block.cut_top(gap / 2);
    }
    let stacked = answers.size.height > style.touch;
    let widths = row(painter, question);
    let all: u32 = widths.iter().map(|width| width + gap).sum::<u32>() - gap;
    if !stacked {
        answers = Rectangle::with_center(answers.center(), Size::new(all, style.touch));
    }
    for ((answer, word), width) in question.answers.iter().zip(widths) {
        let place = match stacked {
            true => {
                let place = answers.cut_top(style.touch);
                answers.cut_top(gap / 2);
                place
            }
            false => {
                let place = answers.cut_left(width);
                answers.cut_left(gap);
                place
            }
        };
        if *answer == chosen {
            painter.round(place, gap, SKY);
            painter.line(place, Align::Centre, style.heading, word, HALO);
        } else {
            painter.ring(place, gap, gap / 4 + 1, (SKY, PANEL));
            painter.line(place, Align::Centre, style.heading, word, TEXT);
        }
        painter.touchable(place, Target::Answer(*answer));
    }
}

/// How wide each answer is.
fn row(painter: &mut Painter<'_>, question: &Question) -> heapless::Vec<u32, 3> {
    let (heading, unit) = (painter.style.heading, painter.style.unit);
    let words = question.answers.iter();
    words
        .map(|(_, word)| painter.width(heading, word) + unit * 5)
        .collect()
}

/// Beside each other where they fit, else below each other.
fn buttons_height(painter: &mut Painter<'_>, width: u32, question: &Question) -> u32 {
    let (touch, gap) = (painter.style.touch, painter.style.unit);
    let widths = row(painter, question);
    let count = widths.len() as u32;
    let all = widths.iter().sum::<u32>() + gap * count.saturating_sub(1);
    if all <= width {
        touch
    } else {
        count * touch + count.saturating_sub(1) * (gap / 2)
    }
}
