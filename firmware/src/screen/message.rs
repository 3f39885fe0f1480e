//! The page of a study that gets no answer: why, whose fault, what helps, what came in.

use board::Frame;
use embedded_graphics::{prelude::*, primitives::Rectangle};
use models::findings::View;

use super::{
    model::{CannotAnswerPage, ReasonCard, Role, Tile},
    parts::{self, Sign},
    style::{AMBER, Cut, MUTED, Style, TEXT, UNIT},
    text::Align,
    tile::{self, Detail},
};

/// Draws the page.
pub(super) fn draw(page: &CannotAnswerPage, views: &[View], size: Size) -> Frame {
    let style = &Style::for_size(size);
    let (mut frame, mut room) = parts::blank(size);
    parts::header(&mut frame, style, &mut room, &page.surround);
    parts::footer(&mut frame, style, &mut room, &page.surround.footer);
    let mut room = room.inset(UNIT * 2, UNIT);

    let mut left = room.cut_left(room.size.width * 58 / 100);
    room.cut_left(UNIT * 2);
    if page.tiles.iter().any(|tile| tile.picture.is_some()) {
        let side = left.size.width.saturating_sub(UNIT * 5) / 6;
        let strip = left.cut_bottom(side + tile::caption_height(style));
        left.cut_bottom(UNIT);
        tile::draw_tiles(
            &mut frame,
            style,
            strip,
            6,
            (&page.tiles, views),
            Detail::Thumbnail,
        );
    }
    why(&mut frame, style, left, page);
    came_in(&mut frame, style, room, page);
    frame
}

fn why(frame: &mut Frame, style: &Style, mut area: Rectangle, page: &CannotAnswerPage) {
    let mut heading = area.cut_top(style.hero.line_height() + UNIT / 2);
    let place = heading.cut_left(style.hero.cap_height());
    let square = Rectangle::with_center(place.center(), Size::new_equal(place.size.width));
    parts::draw_sign(frame, square, Sign::Warning, AMBER);
    heading.cut_left(UNIT * 3 / 2);
    style
        .hero
        .draw_in(frame, heading, Align::Left, page.statement, AMBER);
    let lines = style.body.wrap(page.explanation, area.size.width, 3);
    parts::paragraph(frame, style.body, &mut area, &lines, TEXT);
    area.cut_top(UNIT);

    // Each reason stays whole; those that find no room are counted.
    for (i, reason) in page.reasons.iter().enumerate() {
        let lines = ReasonLines::of(style, reason, area.size.width.saturating_sub(UNIT * 3));
        let last = i + 1 == page.reasons.len();
        let kept = if last { 0 } else { style.body.line_height() };
        if lines.height(style) + kept > area.size.height {
            let more = format!("+{} more reasons", page.reasons.len() - i);
            style.body.draw_in(
                frame,
                area.cut_top(style.body.line_height()),
                Align::Left,
                &more,
                AMBER,
            );
            return;
        }
        let mut inner = parts::panel(frame, area.cut_top(lines.height(style)));
        parts::paragraph(frame, style.strong, &mut inner, &lines.text, TEXT);
        inner.cut_top(UNIT / 4);
        parts::paragraph(frame, style.body, &mut inner, &lines.hint, TEXT);
        parts::paragraph(frame, style.caption, &mut inner, &lines.fault, MUTED);
        area.cut_top(UNIT);
    }
}

/// A reason broken into lines.
struct ReasonLines {
    text: Vec<String>,
    hint: Vec<String>,
    fault: Vec<String>,
}

impl ReasonLines {
    fn of(style: &Style, reason: &ReasonCard, width: u32) -> Self {
        Self {
            text: style.strong.wrap(&reason.text, width, 3),
            hint: style.body.wrap(reason.hint, width, 2),
            fault: style.caption.wrap(&format!("Cause: {}", reason.fault), width, 1),
        }
    }

    fn height(&self, style: &Style) -> u32 {
        style.strong.line_height() * self.text.len() as u32
            + style.body.line_height() * self.hint.len() as u32
            + style.caption.line_height() * self.fault.len() as u32
            + UNIT * 2
            + UNIT / 4
    }
}

fn came_in(frame: &mut Frame, style: &Style, area: Rectangle, page: &CannotAnswerPage) {
    let mut inner = parts::panel(frame, area);
    parts::section(frame, style, &mut inner, "Received", "");
    let names = page
        .tiles
        .iter()
        .map(|tile| style.strong.width(&tile.name))
        .max()
        .unwrap_or(0);
    for tile in &page.tiles {
        contrast(frame, style, &mut inner, tile, names + UNIT);
    }
    if !page.refused.is_empty() {
        inner.cut_top(UNIT);
        parts::section(frame, style, &mut inner, "Not used", "");
        parts::list(frame, style.caption, &mut inner, &page.refused, TEXT);
    }
}

/// One contrast: a sign, its name, which series it is and why, or that it is not there.
fn contrast(frame: &mut Frame, style: &Style, area: &mut Rectangle, tile: &Tile, names: u32) {
    let (sign, text, color) = match tile.role {
        Role::Missing { required: true } => (Sign::Warning, "not in this study; the model needs it", AMBER),
        Role::Missing { required: false } => (Sign::Dash, "not in this study", MUTED),
        Role::ReadByModel | Role::ShownOnly => (Sign::Tick, tile.source.as_str(), TEXT),
    };
    let indent = style.strong.cap_height() + UNIT;
    let width = area.size.width.saturating_sub(indent + names);
    let lines = style.caption.wrap(text, width, 2);
    let first = style.strong.line_height();
    let mut row = area.cut_top(first + style.caption.line_height() * lines.len().saturating_sub(1) as u32);
    let mut head = row.cut_left(indent + names);
    head.size.height = first;
    let place = head.cut_left(indent - UNIT);
    let square = Rectangle::with_center(place.center(), Size::new_equal(place.size.width * 3 / 4));
    parts::draw_sign(
        frame,
        square,
        sign,
        if sign == Sign::Dash {
            MUTED
        } else {
            parts::sign_color(sign)
        },
    );
    head.cut_left(UNIT);
    style.strong.draw_in(frame, head, Align::Left, &tile.name, TEXT);
    for (i, line) in lines.iter().enumerate() {
        let height = if i == 0 {
            first
        } else {
            style.caption.line_height()
        };
        style
            .caption
            .draw_in(frame, row.cut_top(height), Align::Left, line, color);
    }
    area.cut_top(UNIT / 4);
}
