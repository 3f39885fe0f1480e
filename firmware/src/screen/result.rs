//! The result page: six contrasts on the left, the answer and what it rests on at the right.

use board::Frame;
use embedded_graphics::{
    prelude::*,
    primitives::{CornerRadii, PrimitiveStyle, Rectangle, RoundedRectangle},
};
use models::findings::View;

use super::{
    model::{Answer, Bar, LesionCard, Measure, OtherLesion, Question, ResultPage, Tone},
    parts,
    style::{Cut, HALO, MUTED, ORANGE, SKY, Style, TEXT, TRACK, UNIT, lesion_color},
    text::Align,
    tile::{self, Detail},
};

/// Draws the page.
pub(super) fn draw(page: &ResultPage, views: &[View], size: Size) -> Frame {
    let style = &Style::for_size(size);
    let (mut frame, mut room) = parts::blank(size);
    parts::header(&mut frame, style, &mut room, &page.surround);
    parts::footer(&mut frame, style, &mut room, &page.surround.footer);
    let mut room = room.inset(UNIT * 2, UNIT);

    let mut left = room.cut_left(room.size.width * 60 / 100);
    let legend = left.cut_bottom(style.caption.line_height());
    left.cut_bottom(UNIT / 2);
    let tiles = (&page.tiles, views);
    let taken = tile::draw_tiles(&mut frame, style, left, 3, tiles, Detail::Full);
    let place = Point::new(legend.top_left.x, taken.end().y + UNIT as i32 / 2);
    let legend = Rectangle::new(place, Size::new(taken.size.width, legend.size.height));
    let text = format!("{}. The patient's right is on the left.", page.slice);
    style
        .caption
        .draw_in(&mut frame, legend, Align::Left, &text, MUTED);

    // What the tiles leave free goes to the words.
    let start = taken.end().x + UNIT as i32 * 2;
    let right = Rectangle::new(
        Point::new(start, room.top_left.y),
        Size::new(room.end().x.abs_diff(start), room.size.height),
    );
    let rest = answer(&mut frame, style, right, &page.answer);
    basis(&mut frame, style, rest, page);
    frame
}

/// The panel with the answer; returns the room below it.
fn answer(frame: &mut Frame, style: &Style, mut area: Rectangle, answer: &Answer) -> Rectangle {
    match answer {
        Answer::Lesions { first, others } => {
            let inner = parts::panel(frame, area.cut_top(card_height(style, first, area.size.height)));
            card(frame, style, inner, first);
            area.cut_top(UNIT);
            other_lesions(frame, style, &mut area, others);
        }
        Answer::Nothing { statement, meaning } => {
            let width = area.size.width.saturating_sub(UNIT * 3);
            let statement = style.title.wrap(statement, width, 3);
            let meaning = style.body.wrap(meaning, width, 12);
            let height = style.title.line_height() * statement.len() as u32
                + style.body.line_height() * meaning.len() as u32
                + UNIT * 4;
            let mut inner = parts::panel(frame, area.cut_top(height));
            inner.cut_top(UNIT / 2);
            parts::paragraph(frame, style.title, &mut inner, &statement, TEXT);
            inner.cut_top(UNIT);
            parts::paragraph(frame, style.body, &mut inner, &meaning, MUTED);
            area.cut_top(UNIT);
        }
    }
    area
}

fn measures_height(style: &Style) -> u32 {
    style.caption.line_height() + style.title.line_height()
}

/// As high as its rows need, but some room stays for what the answer rests on.
fn card_height(style: &Style, card: &LesionCard, available: u32) -> u32 {
    let questions: u32 = card
        .questions
        .iter()
        .map(|question| question_height(style, question))
        .sum();
    let wanted =
        UNIT * 2 + style.title.line_height() + UNIT / 2 + measures_height(style) + questions + UNIT / 2;
    wanted.min(available.saturating_sub(6 * style.caption.line_height()))
}

fn question_height(style: &Style, question: &Question) -> u32 {
    UNIT / 2 + style.strong.line_height() + UNIT + style.bar_row * question.bars.len() as u32
}

fn card(frame: &mut Frame, style: &Style, mut area: Rectangle, card: &LesionCard) {
    let mut heading = area.cut_top(style.title.line_height());
    badge(frame, style, &mut heading, card.number);
    style
        .title
        .draw_in(frame, heading, Align::Left, &card.title, TEXT);
    area.cut_top(UNIT / 2);

    let mut row = area.cut_top(measures_height(style));
    let width = row.size.width / 7;
    // The third needs most room for its unit.
    for (measure, parts) in card.measures.iter().zip([2, 2, 3]) {
        draw_measure(frame, style, row.cut_left(width * parts), measure);
    }

    let columns = Columns::of(style, area.size.width, &card.questions);
    for question in &card.questions {
        area.cut_top(UNIT / 2);
        parts::section(
            frame,
            style,
            &mut area,
            &question.title,
            "probability (95 % interval)",
        );
        let fitting = (area.size.height / style.bar_row) as usize;
        let shown = if question.bars.len() > fitting {
            fitting.saturating_sub(1)
        } else {
            fitting
        };
        for bar in question.bars.iter().take(shown) {
            draw_bar(frame, style, area.cut_top(style.bar_row), &columns, bar);
        }
        if question.bars.len() > shown {
            let more = format!("+{} more", question.bars.len() - shown);
            style
                .caption
                .draw_in(frame, area.cut_top(style.bar_row), Align::Left, &more, MUTED);
        }
    }
}

/// The lesion's number in its outline's colour, cut off the left of `row`.
fn badge(frame: &mut Frame, style: &Style, row: &mut Rectangle, number: u32) {
    let number_text = number.to_string();
    let side = style.strong.line_height().min(row.size.height);
    let width = side.max(style.strong.width(&number_text) + UNIT);
    let place = row.cut_left(width);
    let square = Rectangle::with_center(place.center(), Size::new(width, side));
    let radii = CornerRadii::new(Size::new_equal(UNIT / 2));
    let fill = PrimitiveStyle::with_fill(lesion_color(number));
    let Ok(()) = RoundedRectangle::new(square, radii).into_styled(fill).draw(frame);
    style
        .strong
        .draw_in(frame, square, Align::Centre, &number_text, HALO);
    row.cut_left(UNIT);
}

fn draw_measure(frame: &mut Frame, style: &Style, mut area: Rectangle, measure: &Measure) {
    style.caption.draw_in(
        frame,
        area.cut_top(style.caption.line_height()),
        Align::Left,
        measure.name,
        MUTED,
    );
    let baseline = area.top_left + Point::new(0, style.title.cap_height() as i32 + 2);
    let value = style.title.fit(&measure.value, area.size.width);
    let end = style.title.draw(frame, baseline, &value, TEXT);
    let room = (area.end().x - end - 4).max(0) as u32;
    let unit = style.caption.fit(measure.unit, room);
    style
        .caption
        .draw(frame, Point::new(end + 4, baseline.y), &unit, MUTED);
}

/// The columns of all bars of a lesion, so that their ends and digits stand below each other.
struct Columns {
    label: u32,
    percent: u32,
    range: u32,
}

impl Columns {
    fn of(style: &Style, width: u32, questions: &[Question]) -> Self {
        let widest = |width: &dyn Fn(&Bar) -> u32| {
            questions
                .iter()
                .flat_map(|question| &question.bars)
                .map(width)
                .max()
                .unwrap_or(0)
        };
        Self {
            label: widest(&|bar| style.label.width(&bar.label)).min(width / 2),
            percent: widest(&|bar| style.strong.width(&bar.percent)),
            range: widest(&|bar| style.caption.width(&bar.range)),
        }
    }
}

fn draw_bar(frame: &mut Frame, style: &Style, mut row: Rectangle, columns: &Columns, bar: &Bar) {
    let (label, face, color) = if bar.leading {
        (style.label, style.strong, TEXT)
    } else {
        (style.caption, style.body, MUTED)
    };
    label.draw_in(frame, row.cut_left(columns.label), Align::Left, &bar.label, color);
    row.cut_left(UNIT);
    style.caption.draw_in(
        frame,
        row.cut_right(columns.range),
        Align::Right,
        &bar.range,
        MUTED,
    );
    row.cut_right(UNIT / 2);
    face.draw_in(
        frame,
        row.cut_right(columns.percent),
        Align::Right,
        &bar.percent,
        color,
    );
    row.cut_right(UNIT);

    let track = Rectangle::with_center(row.center(), Size::new(row.size.width, style.bar_height));
    let Ok(()) = frame.fill_solid(&track, TRACK);
    let tone = match bar.tone {
        Tone::Malignant => ORANGE,
        Tone::Benign => SKY,
    };
    let at = |p: f64| (p * f64::from(track.size.width)).round() as u32;
    let mut rest = track;
    let Ok(()) = frame.fill_solid(&rest.cut_left(at(bar.probability).max(1)), tone);
    whisker(frame, track, at(bar.interval[0]), at(bar.interval[1]));
}

/// The 95 % interval: a line from end to end with a stop at each, dark-rimmed to be seen on bar and track.
fn whisker(frame: &mut Frame, track: Rectangle, from: u32, to: u32) {
    let (left, right) = (track.top_left.x + from as i32, track.top_left.x + to as i32);
    let (middle, reach) = (track.center().y, track.size.height as i32 / 2);
    let stop =
        |x: i32| Rectangle::with_corners(Point::new(x - 1, middle - reach), Point::new(x, middle + reach));
    let line = Rectangle::with_corners(Point::new(left, middle), Point::new(right, middle + 1));
    for part in [line, stop(left), stop(right)] {
        let Ok(()) = frame.fill_solid(
            &Rectangle::with_center(part.center(), part.size + Size::new(2, 2)),
            HALO,
        );
    }
    for part in [line, stop(left), stop(right)] {
        let Ok(()) = frame.fill_solid(&part, TEXT);
    }
}

fn other_lesions(frame: &mut Frame, style: &Style, area: &mut Rectangle, others: &[OtherLesion]) {
    if others.is_empty() {
        return;
    }
    let height = style.strong.line_height();
    // At most three, so that what the answer rests on keeps its place.
    let shown = if others.len() > 3 { 2 } else { others.len() };
    for other in &others[..shown] {
        let mut row = area.cut_top(height);
        badge(frame, style, &mut row, other.number);
        style.body.draw_in(frame, row, Align::Left, &other.text, TEXT);
        area.cut_top(UNIT / 4);
    }
    if others.len() > shown {
        let more = format!("+{} more lesions", others.len() - shown);
        style
            .caption
            .draw_in(frame, area.cut_top(height), Align::Left, &more, MUTED);
    }
    area.cut_top(UNIT / 2);
}

/// What the answer rests on: contrasts, time, remarks about quality and what was left out.
fn basis(frame: &mut Frame, style: &Style, mut area: Rectangle, page: &ResultPage) {
    let face = style.caption;
    let titles = page
        .evidence
        .iter()
        .map(|(title, _)| face.width(title))
        .max()
        .unwrap_or(0)
        + UNIT * 3 / 2;
    // One line is kept for the list below, which says what it leaves out.
    let fitting = (area.size.height / face.line_height()).saturating_sub(1) as usize;
    let (rows, crowded_out) = page.evidence.split_at(fitting.min(page.evidence.len()));
    for (title, text) in rows {
        let mut row = area.cut_top(face.line_height());
        face.draw_in(frame, row.cut_left(titles), Align::Left, title, MUTED);
        face.draw_in(frame, row, Align::Left, text, TEXT);
    }
    let mut items: Vec<String> = crowded_out
        .iter()
        .map(|(title, text)| format!("{title}: {text}"))
        .collect();
    items.extend_from_slice(&page.remarks);
    if area.size.height > face.line_height() + UNIT / 2 {
        area.cut_top(UNIT / 2);
    }
    parts::list(frame, face, &mut area, &items, TEXT);

    // The single steps are for those who wonder, where nothing else wants the room.
    let steps = face.wrap(&page.steps, area.size.width, 2);
    let mut bottom = area.cut_bottom(face.line_height() * steps.len() as u32);
    if area.size.height >= face.line_height() {
        parts::paragraph(frame, face, &mut bottom, &steps, MUTED);
    }
}
