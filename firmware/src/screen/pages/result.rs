//! The result: pictures that can be leafed through, and the answer with what it rests on.

use embedded_graphics::{prelude::*, primitives::Rectangle};
use models::pictures::Pictures;

use super::{Footer, bars, footer, mark_color, panel, picture, sections, study_header};
use crate::screen::icons::Icon;
use crate::screen::language::{Filled, fill};
use crate::screen::look::Look;
use crate::screen::paint::{Painter, Target, Tool};
use crate::screen::sheets::Entry;
use crate::screen::sheets::study::{LesionCard, Measure, ResultSheet, Tile, Tone};
use crate::screen::style::{
    AMBER, Arrangement, CHOSEN, Cut as _, HALO, MUTED, ORANGE, PANEL, SKY, TEXT, TRACK, lesion_color,
};
use crate::screen::text::{Align, Face};

/// Draws the page.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    sheet: &ResultSheet,
    pictures: &Pictures,
    look: &Look,
    foot: Footer<'_>,
) -> usize {
    let style = painter.style;
    let mut page = painter.blank();
    study_header(painter, &mut page, &sheet.surround);
    footer(painter, &mut page, foot);
    let mut room = page.inset(style.unit * 3 / 2, style.unit);
    if painter.interactive {
        let tools = room.cut_bottom(style.touch);
        draw_tools(painter, tools, sheet, pictures, look);
        room.cut_bottom(style.unit / 2);
    }
    if look.tool == Tool::Details {
        return sections::draw(painter, room, &sheet.surround.details, look.scroll);
    }
    match style.arrangement {
        Arrangement::Wide | Arrangement::Compact => {
            let share = if style.arrangement == Arrangement::Wide {
                56
            } else {
                42
            };
            let left = room.cut_left(room.size.width * share / 100);
            let taken = draw_pictures(painter, left, sheet, pictures, look);
            // What the pictures leave free goes to the words.
            let start = taken + style.unit as i32 * 3 / 2;
            let right = Rectangle::new(
                Point::new(start, room.top_left.y),
                Size::new(room.end().x.abs_diff(start), room.size.height),
            );
            draw_words(painter, right, sheet, look);
        }
        Arrangement::Tall => {
            let words = room.cut_bottom(room.size.height * 47 / 100);
            room.cut_bottom(style.unit);
            draw_pictures(painter, room, sheet, pictures, look);
            draw_words(painter, words, sheet, look);
        }
    }
    0
}

/// The pictures and the strip of slices below them; returns where they end at the right.
fn draw_pictures(
    painter: &mut Painter<'_>,
    mut area: Rectangle,
    sheet: &ResultSheet,
    pictures: &Pictures,
    look: &Look,
) -> i32 {
    let unit = painter.style.unit;
    let strip = area.cut_bottom(painter.style.caption.line_height() + unit * 4);
    area.cut_bottom(unit / 2);
    let caption = picture::caption_height(painter);
    let shown: &[Tile] = match look.series {
        Some(only) => std::slice::from_ref(&sheet.tiles[only.min(5)]),
        None => &sheet.tiles,
    };
    let (columns, rows) = if shown.len() == 1 { (1, 1) } else { (3, 2) };
    let wide = ((area.size.width + unit) / columns).saturating_sub(unit);
    let high = ((area.size.height + unit) / rows).saturating_sub(unit + caption);
    // A single picture takes all the room that there is.
    let side = if shown.len() == 1 {
        Size::new(wide, high)
    } else {
        Size::new_equal(wide.min(high))
    };
    for (i, tile) in shown.iter().enumerate() {
        let (row, column) = (i as u32 / columns, i as u32 % columns);
        let step = side + Size::new(unit, caption + unit);
        let at = area.top_left + Size::new(column * step.width, row * step.height);
        let place = Rectangle::new(at, side + Size::new(0, caption));
        picture::tile(painter, place, tile, pictures, (look, true));
        painter.touchable(place, Target::Picture);
    }
    let width = columns * (side.width + unit) - unit;
    let below = area.top_left.y + (rows * (side.height + caption + unit)) as i32 - unit as i32 / 2;
    let strip = Rectangle::new(
        Point::new(strip.top_left.x, below.min(strip.top_left.y)),
        Size::new(width, strip.size.height),
    );
    draw_strip(painter, strip, sheet, pictures, look);
    area.top_left.x + width as i32
}

/// One cell for each slice: where the lesion is, and how much the slice weighed.
fn draw_strip(
    painter: &mut Painter<'_>,
    mut area: Rectangle,
    sheet: &ResultSheet,
    pictures: &Pictures,
    look: &Look,
) {
    let (style, words) = (painter.style, painter.words);
    let mut caption = area.cut_top(style.caption.line_height());
    if pictures.slices == 0 {
        return;
    }
    let (number, of) = number_of(look, pictures);
    let text = fill(words.slice_of, &[("n", &number), ("of", &of)]);
    let wide = painter.line(caption, Align::Left, style.label, &text, TEXT);
    caption.cut_left(wide + style.unit * 2);
    let lesion = sheet.lesions.get(look.lesion);
    let influence = lesion.and_then(|lesion| {
        pictures
            .influence
            .iter()
            .find(|influence| influence.lesion == lesion.number)
    });
    let legend = if look.heat {
        words.heat_legend
    } else if influence.is_some() {
        words.slice_weights
    } else {
        words.patients_right
    };
    // On a small panel the picture speaks for itself.
    if painter.width(style.caption, legend) <= caption.size.width {
        painter.line(caption, Align::Right, style.caption, legend, MUTED);
    }
    // One slice needs no strip; the others are on their way.
    if pictures.slices == 1 {
        return;
    }
    let edge = |slice: usize| (area.size.width as usize * slice / pictures.slices) as i32;
    let strongest = influence
        .map(|influence| {
            influence
                .slices
                .iter()
                .map(|(_, fall)| fall.abs())
                .fold(0.0, f32::max)
        })
        .unwrap_or_default();
    let extent = lesion.and_then(|lesion| pictures.extent(lesion.number));
    let foot = (style.unit / 2).max(2);
    for slice in 0..pictures.slices {
        let (from, to) = (edge(slice), edge(slice + 1));
        let cell = Rectangle::new(
            area.top_left + Point::new(from, 0),
            Size::new((to - from - 1).max(1) as u32, area.size.height),
        );
        let mut inner = cell;
        let below = inner.cut_bottom(foot);
        painter.fill(inner, TRACK);
        if let (Some(lesion), Some((first, last))) = (lesion, extent)
            && (first..=last).contains(&slice)
        {
            painter.fill(below, lesion_color(lesion.number));
        }
        let fall = influence.and_then(|one| one.slices.iter().find(|(at, _)| *at == slice));
        if let Some((_, fall)) = fall.filter(|_| strongest > 0.0) {
            let high = (inner.size.height as f32 * fall.abs() / strongest).round() as u32;
            let color = if *fall >= 0.0 { SKY } else { ORANGE };
            painter.fill(inner.cut_bottom(high.max(1)), color);
        }
        if slice == look.slice {
            let width = (style.unit / 4).max(2);
            for side in [
                Rectangle::new(cell.top_left, Size::new(cell.size.width, width)),
                Rectangle::new(
                    Point::new(cell.top_left.x, cell.end().y - width as i32),
                    Size::new(cell.size.width, width),
                ),
                Rectangle::new(
                    cell.top_left - Point::new(1, 0),
                    Size::new(width, cell.size.height),
                ),
                Rectangle::new(
                    Point::new(cell.end().x - width as i32 + 1, cell.top_left.y),
                    Size::new(width, cell.size.height),
                ),
            ] {
                painter.fill(side, TEXT);
            }
        }
    }
    painter.touchable(area, Target::Strip);
}

/// The tools that there are for a result, in the order in which select goes through them.
pub(in crate::screen) fn tools(sheet: &ResultSheet, pictures: &Pictures) -> heapless::Vec<Tool, 8> {
    let all = [
        Tool::Slice,
        Tool::Lesion,
        Tool::Series,
        Tool::Zoom,
        Tool::Brightness,
        Tool::Contrast,
        Tool::Heat,
        Tool::Details,
    ];
    let has_pictures = !pictures.contrasts.is_empty();
    all.into_iter()
        .filter(|tool| match tool {
            Tool::Lesion => sheet.lesions.len() > 1,
            Tool::Heat => pictures.heat.is_some(),
            Tool::Details => true,
            _ => has_pictures,
        })
        .collect()
}

fn draw_tools(
    painter: &mut Painter<'_>,
    mut area: Rectangle,
    sheet: &ResultSheet,
    pictures: &Pictures,
    look: &Look,
) {
    let (style, words) = (painter.style, painter.words);
    let tools = tools(sheet, pictures);
    let gap = if tools.len() > 7 {
        style.unit / 4
    } else {
        style.unit / 2
    };
    let width = ((area.size.width + gap) / tools.len().max(1) as u32).saturating_sub(gap);
    for tool in tools {
        let place = area.cut_left(width);
        area.cut_left(gap);
        let chosen = tool == look.tool;
        if chosen {
            painter.ring(place, style.unit / 2, (style.unit / 4).max(1), (SKY, CHOSEN));
        } else {
            painter.round(place, style.unit / 2, PANEL);
        }
        let (icon, name) = match tool {
            Tool::Slice => (Icon::Slices, words.tool_slice),
            Tool::Lesion => (Icon::Lesion, words.tool_lesion),
            Tool::Series => (Icon::Series, words.tool_series),
            Tool::Zoom => (Icon::Zoom, words.tool_zoom),
            Tool::Brightness => (Icon::Brightness, words.tool_brightness),
            Tool::Contrast => (Icon::Contrast, words.tool_contrast),
            Tool::Heat => (Icon::Heat, words.tool_heat),
            Tool::Details => (Icon::Details, words.details),
        };
        let value = value(tool, sheet, pictures, look, painter);
        let color = if chosen { SKY } else { MUTED };
        let mut inner = place.inset(style.unit / 2, style.unit / 4);
        let side = style.heading.line_height().min(inner.size.height);
        // The name below icon and value, where there is room for both.
        let name_height = style.caption.line_height();
        let has_name = inner.size.height >= side.min(style.caption.line_height()) + name_height;
        if has_name {
            let below = inner.cut_bottom(name_height);
            let below = Rectangle::new(
                Point::new(place.top_left.x + 1, below.top_left.y),
                Size::new(place.size.width.saturating_sub(2), below.size.height),
            );
            painter.line(below, Align::Centre, style.caption, name, painter.ink(chosen));
        }
        let side = side.min(inner.size.height);
        let text = painter.width(style.label, &value);
        let wide = side
            + if value.is_empty() {
                0
            } else {
                text + style.unit / 2
            };
        if wide <= inner.size.width || value.is_empty() {
            let mut middle = Rectangle::with_center(inner.center(), Size::new(wide, inner.size.height));
            painter.icon(middle.cut_left(side), icon, side, color);
            middle.cut_left(style.unit / 2);
            painter.line(middle, Align::Left, style.label, &value, TEXT);
        } else {
            painter.line(inner, Align::Centre, style.label, &value, TEXT);
        }
        painter.touchable(place, Target::Tool(tool));
    }
}

/// Which slice of how many in the examination is shown, counted from 1.
fn number_of(look: &Look, pictures: &Pictures) -> (usize, usize) {
    (
        look.slice + pictures.first_slice + 1,
        pictures.of.max(pictures.slices),
    )
}

/// What a tool stands at.
fn value(tool: Tool, sheet: &ResultSheet, pictures: &Pictures, look: &Look, painter: &Painter<'_>) -> Filled {
    let signed = |step: i8| match step {
        0 => Filled::new(),
        step if step > 0 => fill("+{n}", &[("n", &step)]),
        step => fill("−{n}", &[("n", &step.unsigned_abs())]),
    };
    match tool {
        Tool::Slice => {
            let (number, of) = number_of(look, pictures);
            fill("{n}/{of}", &[("n", &number), ("of", &of)])
        }
        Tool::Lesion => {
            let number = sheet.lesions.get(look.lesion).map_or(0, |lesion| lesion.number);
            fill("{n}/{of}", &[("n", &number), ("of", &sheet.lesions.len())])
        }
        Tool::Series => match look.series {
            Some(only) => fill("{n}", &[("n", &sheet.tiles[only.min(5)].contrast.name())]),
            None => Filled::new(),
        },
        Tool::Zoom => fill("{n}×", &[("n", &look.zoom())]),
        Tool::Brightness => signed(look.brightness()),
        Tool::Contrast => signed(look.contrast()),
        Tool::Heat => {
            let state = if look.heat {
                painter.words.on
            } else {
                painter.words.off
            };
            fill("{n}", &[("n", &state)])
        }
        Tool::Details => Filled::new(),
    }
}

/// The answer, and what it rests on as far as there is room.
fn draw_words(painter: &mut Painter<'_>, area: Rectangle, sheet: &ResultSheet, look: &Look) {
    let mut inner = panel(painter, area);
    match sheet.lesions.get(look.lesion) {
        Some(lesion) => card(painter, &mut inner, lesion, sheet.lesions.len()),
        None => nothing(painter, &mut inner),
    }
    // What finds no room is counted; it stands in the details.
    for (i, entry) in sheet.basis.iter().enumerate() {
        let is_last = i + 1 == sheet.basis.len();
        let line = painter.style.caption.line_height();
        let kept = if is_last { 0 } else { line };
        if basis_height(painter, inner.size.width, entry) + kept > inner.size.height {
            let more = fill(painter.words.more, &[("n", &(sheet.basis.len() - i))]);
            let place = inner.cut_top(line);
            painter.line(place, Align::Left, painter.style.caption, &more, AMBER);
            return;
        }
        basis(painter, &mut inner, entry);
    }
}

fn nothing(painter: &mut Painter<'_>, inner: &mut Rectangle) {
    let (style, words) = (painter.style, painter.words);
    painter.paragraph(inner, 3, style.title, words.no_tumour_statement, TEXT);
    inner.cut_top(style.unit);
    painter.paragraph(inner, 12, style.body, words.no_tumour_meaning, MUTED);
    inner.cut_top(style.unit);
}

fn card(painter: &mut Painter<'_>, inner: &mut Rectangle, lesion: &LesionCard, count: usize) {
    let style = painter.style;
    let mut heading = inner.cut_top(style.title.line_height());
    badge(painter, &mut heading, lesion.number);
    if count > 1 {
        let of = fill("{n}/{of}", &[("n", &lesion.number), ("of", &count)]);
        let wide = painter.width(style.caption, &of);
        painter.line(heading.cut_right(wide), Align::Right, style.caption, &of, MUTED);
    }
    painter.line(heading, Align::Left, style.title, lesion.title, TEXT);

    if let Some(verdict) = &lesion.verdict {
        let color = match verdict.tone {
            Tone::Malignant => ORANGE,
            Tone::Benign => SKY,
        };
        // What is read from afar: as large as the word allows, on one line where that is large enough.
        let width = inner.size.width;
        let range = painter.width(style.heading, &verdict.range) + style.unit;
        let mut fits = |face: Face, parts: &[&str]| {
            let gaps = style.unit * parts.len() as u32;
            parts.iter().map(|part| painter.width(face, part)).sum::<u32>() + gaps + range <= width
        };
        let both = [verdict.label.as_str(), verdict.percent.as_str()];
        let one_line = if fits(style.hero, &both) {
            Some(style.hero)
        } else if style.arrangement == Arrangement::Compact && fits(style.title, &both) {
            Some(style.title)
        } else {
            None
        };
        let large = one_line.unwrap_or(style.hero);
        let mut figures = inner.cut_top(large.line_height());
        if one_line.is_some() {
            let wide = painter.line(figures, Align::Left, large, &verdict.label, color);
            figures.cut_left(wide + style.unit);
        } else {
            let face = if painter.width(style.hero, &verdict.label) <= width {
                style.hero
            } else {
                style.title
            };
            painter.line(figures, Align::Left, face, &verdict.label, color);
            figures = inner.cut_top(large.line_height());
        }
        let wide = painter.line(figures, Align::Left, large, &verdict.percent, color);
        figures.cut_left(wide + style.unit);
        painter.line(figures, Align::Left, style.heading, &verdict.range, MUTED);
    }

    if style.arrangement == Arrangement::Compact {
        let mut row = inner.cut_top(style.caption.line_height());
        for measure in &lesion.measures {
            let text = fill("{v} {u}", &[("v", &measure.value), ("u", &measure.unit)]);
            let wide = painter.line(row, Align::Left, style.caption, &text, TEXT);
            row.cut_left(wide + style.unit * 2);
        }
    } else {
        let mut row = inner.cut_top(style.caption.line_height() + style.title.line_height());
        let width = row.size.width / 7;
        // The third needs most room for its unit.
        for (measure, parts) in lesion.measures.iter().zip([2, 2, 3]) {
            draw_measure(painter, row.cut_left(width * parts), measure);
        }
        inner.cut_top(style.unit / 2);
    }
    let height = bars::height(painter, &lesion.questions);
    let mut questions = inner.cut_top(height);
    bars::draw(painter, &mut questions, &lesion.questions);
}

/// The lesion's number in its outline's colour, cut off the left of `row`.
fn badge(painter: &mut Painter<'_>, row: &mut Rectangle, number: u32) {
    let style = painter.style;
    let text = fill("{n}", &[("n", &number)]);
    let side = style.strong.line_height().min(row.size.height);
    let width = painter.width(style.strong, &text) + style.unit;
    let place = row.cut_left(side.max(width));
    let square = Rectangle::with_center(place.center(), Size::new(place.size.width, side));
    painter.round(square, style.unit / 2, lesion_color(number));
    painter.line(square, Align::Centre, style.strong, &text, HALO);
    row.cut_left(style.unit);
}

fn draw_measure(painter: &mut Painter<'_>, mut area: Rectangle, measure: &Measure) {
    let style = painter.style;
    let name = area.cut_top(style.caption.line_height());
    painter.line(name, Align::Left, style.caption, measure.name, MUTED);
    let wide = painter.line(area, Align::Left, style.title, &measure.value, TEXT);
    area.cut_left(wide + style.unit / 2);
    // On the baseline of the figure.
    let drop = (style.title.cap_height() - style.caption.cap_height()) / 2;
    let unit = area.translate(Point::new(0, drop as i32));
    painter.line(unit, Align::Left, style.caption, measure.unit, MUTED);
}

fn basis_height(painter: &mut Painter<'_>, width: u32, entry: &Entry) -> u32 {
    let caption = painter.style.caption;
    if entry.name.is_empty() {
        painter.height(width, 2, caption, &entry.value)
    } else {
        caption.line_height()
    }
}

/// One line about what the answer rests on; a remark gets two.
fn basis(painter: &mut Painter<'_>, inner: &mut Rectangle, entry: &Entry) {
    let style = painter.style;
    let height = style.caption.line_height();
    if entry.name.is_empty() {
        painter.paragraph(inner, 2, style.caption, &entry.value, mark_color(entry.mark));
        return;
    }
    let mut row = inner.cut_top(height);
    let name = painter.line(row, Align::Left, style.caption, &entry.name, MUTED);
    row.cut_left(name + style.unit);
    painter.line(row, Align::Left, style.caption, &entry.value, TEXT);
}
