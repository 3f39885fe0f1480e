//! What several pages draw: the bar at the top, the lines at the bottom, panels, chips.

use board::Frame;
use embedded_graphics::{
    pixelcolor::Rgb888,
    prelude::*,
    primitives::{
        Circle, CornerRadii, Line, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, RoundedRectangle,
        Triangle,
    },
};

use super::{
    model::{Footer, State, Surround},
    style::{AMBER, Cut, GREEN, GROUND, MUTED, PANEL, RULE, SKY, Style, TEXT, UNIT, lesion_color},
    text::{Align, Face},
};

/// The sign in front of a chip's word, so that its colour is not needed to tell it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Ring,
    Dash,
    Tick,
    Warning,
}

/// An empty page and the room between its margins.
pub(super) fn blank(size: Size) -> (Frame, Rectangle) {
    let mut frame = Frame::new(size);
    let whole = frame.bounding_box();
    let Ok(()) = frame.fill_solid(&whole, GROUND);
    (frame, whole)
}

/// A raised area; returns the room inside its padding.
pub(super) fn panel(frame: &mut Frame, area: Rectangle) -> Rectangle {
    let radii = CornerRadii::new(Size::new_equal(UNIT / 2));
    let Ok(()) = RoundedRectangle::new(area, radii)
        .into_styled(PrimitiveStyle::with_fill(PANEL))
        .draw(frame);
    area.inset(UNIT * 3 / 2, UNIT)
}

/// The bar at the top of a study's page, cut off `area`.
pub(super) fn header(frame: &mut Frame, style: &Style, area: &mut Rectangle, surround: &Surround) {
    let bar = area.cut_top(style.header_height);
    let Ok(()) = frame.fill_solid(&bar, PANEL);
    let mut inner = bar.inset(UNIT * 2, UNIT / 2);

    let (word, sign, color) = match surround.state {
        State::Tumour => ("Tumour found", Sign::Ring, lesion_color(1)),
        State::NoTumour => ("No tumour found", Sign::Dash, SKY),
        State::CannotAnswer => ("Cannot answer", Sign::Warning, AMBER),
    };
    chip(frame, style.heading, &mut inner, sign, word, color);
    inner.cut_right(UNIT * 3);

    let mut model = inner.cut_right(inner.size.width * 3 / 10);
    let mut patient = inner;
    patient.size.width = patient.size.width.saturating_sub(UNIT * 2);
    let upper = style.title.line_height() + UNIT / 4;
    style.title.draw_in(
        frame,
        patient.cut_top(upper),
        Align::Left,
        &surround.patient,
        TEXT,
    );
    style
        .caption
        .draw_in(frame, patient, Align::Left, &surround.examination, MUTED);
    style
        .caption
        .draw_in(frame, model.cut_top(upper), Align::Right, "Model", MUTED);
    style
        .caption
        .draw_in(frame, model, Align::Right, &surround.model, TEXT);
}

/// A word with its sign in a rounded frame at the right end of `area`, which it is cut off.
pub(super) fn chip(
    frame: &mut Frame,
    face: Face,
    area: &mut Rectangle,
    sign: Sign,
    word: &str,
    color: Rgb888,
) {
    let side = face.cap_height();
    let height = face.line_height() + UNIT;
    let width = face.width(word) + side + UNIT * 4;
    let column = area.cut_right(width);
    let top = column.top_left.y + (column.size.height.saturating_sub(height) / 2) as i32;
    let outline = Rectangle::new(
        Point::new(column.top_left.x, top),
        Size::new(column.size.width, height),
    );
    let border = PrimitiveStyleBuilder::new()
        .stroke_color(color)
        .stroke_width(2)
        .fill_color(GROUND)
        .build();
    let radii = CornerRadii::new(Size::new_equal(height / 2));
    let Ok(()) = RoundedRectangle::new(outline, radii)
        .into_styled(border)
        .draw(frame);

    let mut inner = outline.inset(UNIT * 3 / 2, 0);
    let place = inner.cut_left(side);
    draw_sign(
        frame,
        Rectangle::with_center(place.center(), Size::new_equal(side)),
        sign,
        color,
    );
    inner.cut_left(UNIT);
    face.draw_in(frame, inner, Align::Left, word, color);
}

/// The sign in a square.
pub(super) fn draw_sign(frame: &mut Frame, square: Rectangle, sign: Sign, color: Rgb888) {
    let (side, line) = (square.size.width, PrimitiveStyle::with_stroke(color, 2));
    let at = |x: u32, y: u32| square.top_left + Size::new(side * x / 8, side * y / 8);
    let Ok(()) = match sign {
        Sign::Ring => Circle::new(square.top_left, side).into_styled(line).draw(frame),
        Sign::Dash => Line::new(at(0, 4), at(8, 4)).into_styled(line).draw(frame),
        Sign::Tick => {
            let Ok(()) = Line::new(at(0, 4), at(3, 7)).into_styled(line).draw(frame);
            Line::new(at(3, 7), at(8, 1)).into_styled(line).draw(frame)
        }
        Sign::Warning => {
            let solid = PrimitiveStyle::with_fill(color);
            let Ok(()) = Triangle::new(at(4, 0), at(0, 8), at(8, 8))
                .into_styled(solid)
                .draw(frame);
            let stroke = Size::new(2, side / 3);
            let Ok(()) = frame.fill_solid(&Rectangle::new(at(4, 3) - Size::new(1, 0), stroke), GROUND);
            frame.fill_solid(
                &Rectangle::new(at(4, 7) - Size::new(1, 0), Size::new(2, 1)),
                GROUND,
            )
        }
    };
}

/// The lines at the bottom of every page, cut off `area`.
pub(super) fn footer(frame: &mut Frame, style: &Style, area: &mut Rectangle, footer: &Footer) {
    let mut bar = area.cut_bottom(style.footer_height);
    let Ok(()) = frame.fill_solid(&bar.cut_top(1), RULE);
    let mut inner = bar.inset(UNIT * 2, UNIT / 2);

    // The notice comes first and is never cut; the rest takes what is left.
    let notice = notice_box(style, inner, &footer.notice);
    let mut left = inner.cut_left(notice.size.width);
    let sign = left.cut_left(style.heading.cap_height());
    let square = Rectangle::with_center(sign.center(), Size::new_equal(sign.size.width));
    draw_sign(frame, square, Sign::Warning, AMBER);
    left.cut_left(UNIT);
    style
        .heading
        .draw_in(frame, left, Align::Left, &footer.notice, AMBER);

    inner.cut_left(UNIT * 4);
    let upper = inner.cut_top(inner.size.height / 2);
    style
        .caption
        .draw_in(frame, upper, Align::Right, &footer.trained_on, MUTED);
    style
        .caption
        .draw_in(frame, inner, Align::Right, &footer.software, MUTED);
}

/// Where the notice stands inside the padding of the footer.
fn notice_box(style: &Style, mut inner: Rectangle, notice: &str) -> Rectangle {
    inner.cut_left(style.heading.cap_height() + UNIT + style.heading.width(notice))
}

/// A small heading, with a note at its right end and a rule below it, cut off the top of `area`.
pub(super) fn section(frame: &mut Frame, style: &Style, area: &mut Rectangle, title: &str, note: &str) {
    let mut row = area.cut_top(style.strong.line_height() + UNIT / 2);
    let Ok(()) = frame.fill_solid(&row.cut_bottom(1), RULE);
    style.caption.draw_in(
        frame,
        row.cut_right(style.caption.width(note)),
        Align::Right,
        note,
        MUTED,
    );
    style.strong.draw_in(frame, row, Align::Left, title, MUTED);
    area.cut_top(UNIT / 2);
}

/// Lines of text, each cut off the top of `area`; stops where the area ends.
pub(super) fn paragraph(
    frame: &mut Frame,
    face: Face,
    area: &mut Rectangle,
    lines: &[String],
    color: Rgb888,
) {
    for line in lines {
        if area.size.height < face.line_height() {
            return;
        }
        face.draw_in(frame, area.cut_top(face.line_height()), Align::Left, line, color);
    }
}

/// Items with bullets in the rest of `area`; what does not fit is counted.
pub(super) fn list(frame: &mut Frame, face: Face, area: &mut Rectangle, items: &[String], color: Rgb888) {
    let indent = UNIT * 3 / 2;
    let lines = (area.size.height / face.line_height()) as usize;
    for (begins, line) in face.list(items, area.size.width.saturating_sub(indent), 3, lines) {
        let mut row = area.cut_top(face.line_height());
        let bullet = row.cut_left(indent);
        if begins {
            let dot = Rectangle::with_center(bullet.center() - Point::new(4, 0), Size::new_equal(3));
            let Ok(()) = frame.fill_solid(&dot, AMBER);
        }
        face.draw_in(frame, row, Align::Left, &line, color);
    }
}

/// The colour that goes with a sign.
pub(super) fn sign_color(sign: Sign) -> Rgb888 {
    match sign {
        Sign::Ring | Sign::Dash => SKY,
        Sign::Tick => GREEN,
        Sign::Warning => AMBER,
    }
}
