//! Probabilities as bars, each with its interval.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use crate::screen::paint::Painter;
use crate::screen::sheets::study::{Bar, Question, Tone};
use crate::screen::style::{Cut as _, HALO, MUTED, ORANGE, RULE, SKY, TEXT, TRACK};
use crate::screen::text::Align;

/// Least length of a bar, in parts of the grid.
const LEAST_TRACK_UNITS: u32 = 5;

/// How high all questions become.
pub(in crate::screen) fn height(painter: &Painter<'_>, questions: &[Question]) -> u32 {
    let style = painter.style;
    questions
        .iter()
        .map(|question| heading(painter) + row(painter) * question.bars.len() as u32 + style.unit / 2)
        .sum()
}

fn heading(painter: &Painter<'_>) -> u32 {
    painter.style.label.line_height() + painter.style.unit / 2
}

fn row(painter: &Painter<'_>) -> u32 {
    painter.style.body.line_height() + painter.style.unit / 4
}

/// The columns of all bars, so that their ends and digits stand below each other.
struct Columns {
    label: u32,
    percent: u32,
    range: u32,
}

/// All questions from the top of `area`, as far as they fit.
pub(in crate::screen) fn draw(painter: &mut Painter<'_>, area: &mut Rectangle, questions: &[Question]) {
    let style = painter.style;
    let mut columns = Columns {
        label: 0,
        percent: 0,
        range: 0,
    };
    for bar in questions.iter().flat_map(|question| &question.bars) {
        columns.label = columns.label.max(painter.width(style.label, &bar.label));
        columns.percent = columns.percent.max(painter.width(style.strong, &bar.percent));
        columns.range = columns.range.max(painter.width(style.caption, &bar.range));
    }
    // The bars keep some room; the words get the rest.
    let figures = columns.percent + columns.range + style.unit * 5 / 2;
    let least = figures + style.unit * LEAST_TRACK_UNITS;
    columns.label = columns.label.min(area.size.width.saturating_sub(least));
    for (i, question) in questions.iter().enumerate() {
        let mut title = area.cut_top(heading(painter));
        painter.fill(title.cut_bottom(1), RULE);
        let name = painter.line(title, Align::Left, style.label, &question.title, MUTED);
        if i == 0 {
            title.cut_left(name + style.unit * 2);
            painter.line(
                title,
                Align::Right,
                style.caption,
                painter.words.probability_and_interval,
                MUTED,
            );
        }
        for bar in &question.bars {
            let place = area.cut_top(row(painter));
            if place.size.height == row(painter) {
                draw_bar(painter, place, &columns, bar);
            }
        }
        area.cut_top(style.unit / 2);
    }
}

fn draw_bar(painter: &mut Painter<'_>, mut row: Rectangle, columns: &Columns, bar: &Bar) {
    let style = painter.style;
    let (label, face) = if bar.leading {
        (style.label, style.strong)
    } else {
        (style.caption, style.body)
    };
    let color = painter.ink(bar.leading);
    painter.line(row.cut_left(columns.label), Align::Left, label, &bar.label, color);
    row.cut_left(style.unit);
    painter.line(
        row.cut_right(columns.range),
        Align::Right,
        style.caption,
        &bar.range,
        MUTED,
    );
    row.cut_right(style.unit / 2);
    painter.line(
        row.cut_right(columns.percent),
        Align::Right,
        face,
        &bar.percent,
        color,
    );
    row.cut_right(style.unit);

    let track = Rectangle::with_center(row.center(), Size::new(row.size.width, style.unit * 3 / 2));
    painter.fill(track, TRACK);
    let at = |p: f64| (p * f64::from(track.size.width)).round() as u32;
    let filled = Rectangle::new(
        track.top_left,
        Size::new(at(bar.probability).max(1), track.size.height),
    );
    let tone = match bar.tone {
        Tone::Malignant => ORANGE,
        Tone::Benign => SKY,
    };
    painter.fill(filled, tone);
    whisker(painter, track, at(bar.interval[0]), at(bar.interval[1]));
}

/// The 95 % interval: a line from end to end with a stop at each, dark-rimmed to be seen on bar and track.
fn whisker(painter: &mut Painter<'_>, track: Rectangle, from: u32, to: u32) {
    let (left, right) = (track.top_left.x + from as i32, track.top_left.x + to as i32);
    let (middle, reach) = (track.center().y, track.size.height as i32 / 2);
    let stop =
        |x: i32| Rectangle::with_corners(Point::new(x - 1, middle - reach), Point::new(x, middle + reach));
    let line = Rectangle::with_corners(Point::new(left, middle), Point::new(right, middle + 1));
    for part in [line, stop(left), stop(right)] {
        let rim = Rectangle::with_center(part.center(), part.size + Size::new(2, 2));
        painter.fill(rim, HALO);
    }
    for part in [line, stop(left), stop(right)] {
        painter.fill(part, TEXT);
    }
}
