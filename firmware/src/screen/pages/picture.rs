//! One contrast on one slice: its pixels as they are looked at, outlines, heat, orientation and scale.

use embedded_graphics::{prelude::*, primitives::Rectangle};
use models::pictures::{Heat, Outline, Pictures};

use crate::screen::icons::Icon;
use crate::screen::look::Look;
use crate::screen::paint::Painter;
use crate::screen::sheets::study::{Role, Tile};
use crate::screen::style::{AMBER, Cut as _, HALO, MUTED, PANEL, RULE, SKY, TEXT, lesion_color};
use crate::screen::text::Align;

/// Half the width of an outline and of the dark line under it, pixels.
const OUTLINE_HALF_PX: f32 = 1.0;
const HALO_HALF_PX: f32 = 2.25;

/// Lengths of the scale bar to choose from, mm.
const SCALE_BARS_MM: [f64; 4] = [50.0, 20.0, 10.0, 5.0];

/// The patient's sides, as every reader of images knows them.
const SIDES: [&str; 4] = ["R", "L", "A", "P"];

/// Heat below this probability is not coloured, of 255.
const COLD: u32 = 24;

/// How a picture is cut out and shown.
#[derive(Clone, Copy)]
struct Cutout {
    /// On the screen.
    area: Rectangle,
    /// The pixel of the picture in the middle of the area.
    centre: [f32; 2],
    /// Pixels of the screen per pixel of the picture.
    scale: f32,
}

/// A contrast with its name above its picture, or why there is none. With `outlined`, lesions are shown.
pub(in crate::screen) fn tile(
    painter: &mut Painter<'_>,
    mut area: Rectangle,
    tile: &Tile,
    pictures: &Pictures,
    (look, outlined): (&Look, bool),
) {
    let style = painter.style;
    let mut caption = area.cut_top(caption_height(painter));
    let name = painter.width(style.label, &tile.name);
    painter.line(caption.cut_left(name), Align::Left, style.label, &tile.name, TEXT);
    caption.cut_left(style.unit);
    let (role, color) = match tile.role {
        Role::ReadByModel => (painter.words.read_by_model, SKY),
        Role::ShownOnly => (painter.words.shown_only, MUTED),
        Role::Missing { .. } => ("", MUTED),
    };
    if painter.width(style.caption, role) <= caption.size.width {
        painter.line(caption, Align::Right, style.caption, role, color);
    } else if tile.role == Role::ReadByModel {
        let side = caption.size.height;
        painter.icon(caption.cut_right(side), Icon::Chip, side * 4 / 5, SKY);
    }
    let pixels = pictures
        .slice(tile.contrast, look.slice)
        .filter(|_| tile.has_picture);
    match pixels {
        Some(pixels) => {
            let cutout = Cutout::of(area, pictures, look);
            draw(painter, &cutout, pixels, pictures.width, look);
            if let Some(heat) = pictures.heat.as_ref().filter(|_| outlined && look.heat) {
                warm(painter, &cutout, heat, pictures, look.slice);
            }
            if outlined {
                outlines(painter, &cutout, pictures.outlines_on(look.slice));
            }
            marks(painter, &cutout, pictures.pixel_mm);
        }
        None => empty(painter, area, tile),
    }
}

/// Height of the line above a picture.
pub(in crate::screen) fn caption_height(painter: &Painter<'_>) -> u32 {
    painter.style.label.line_height() + painter.style.unit / 4
}

/// A tile without a picture says why.
fn empty(painter: &mut Painter<'_>, area: Rectangle, tile: &Tile) {
    let (style, words) = (painter.style, painter.words);
    painter.ring(area, style.unit / 2, 1, (RULE, PANEL));
    let needed = tile.role == Role::Missing { required: true };
    let first = match tile.role {
        Role::Missing { .. } => words.not_in_study,
        _ => words.no_picture,
    };
    let width = area.size.width.saturating_sub(style.unit);
    let more = if needed { words.model_needs_it } else { "" };
    let height =
        painter.height(width, 3, style.caption, first) + painter.height(width, 3, style.caption, more);
    let mut block = Rectangle::with_center(area.center(), Size::new(width, height));
    let first_color = if needed { AMBER } else { MUTED };
    painter.centred(&mut block, 3, style.caption, first, first_color);
    painter.centred(&mut block, 3, style.caption, more, AMBER);
}

impl Cutout {
    fn of(area: Rectangle, pictures: &Pictures, look: &Look) -> Self {
        let fit = |room: u32, side: usize| room as f32 / side.max(1) as f32;
        let whole = fit(area.size.width, pictures.width).min(fit(area.size.height, pictures.height));
        Self {
            area,
            centre: look.centre,
            scale: whole * look.zoom(),
        }
    }

    /// From the middle of a pixel of the screen to a place in the picture, along one axis.
    fn place(&self, axis: usize, at: i32) -> f32 {
        let (start, length) = match axis {
            0 => (self.area.top_left.x, self.area.size.width),
            _ => (self.area.top_left.y, self.area.size.height),
        };
        self.centre[axis] + ((at - start) as f32 + 0.5 - length as f32 / 2.0) / self.scale
    }

    fn on_screen(&self, point: [f32; 2]) -> [f32; 2] {
        let middle = [
            self.area.top_left.x as f32 + self.area.size.width as f32 / 2.0,
            self.area.top_left.y as f32 + self.area.size.height as f32 / 2.0,
        ];
        std::array::from_fn(|a| middle[a] + (point[a] - self.centre[a]) * self.scale)
    }
}

/// Between which pixels a place lies, and how near to the second one: 0 to 256. None outside the picture.
fn between(place: f32, length: usize) -> Option<(usize, usize, u32)> {
    if place < -0.5 || place > length as f32 - 0.5 {
        return None;
    }
    let place = place.clamp(0.0, (length - 1) as f32);
    let first = place as usize;
    Some((
        first,
        (first + 1).min(length - 1),
        ((place - first as f32) * 256.0) as u32,
    ))
}

/// The pixels, bilinear between their centres, through the window.
fn draw(painter: &mut Painter<'_>, cutout: &Cutout, pixels: &[u8], width: usize, look: &Look) {
    let height = pixels.len() / width.max(1);
    let window = look.window();
    let columns = &mut painter.kit.scratch.columns;
    columns.clear();
    let xs = cutout.area.columns();
    // Outside the picture both neighbours are the same far column, which no row has.
    columns.extend(xs.map(|x| between(cutout.place(0, x), width).unwrap_or((usize::MAX, usize::MAX, 0))));
    for (at, row) in painter.frame.rows_mut(cutout.area) {
        let Some((above, below, down)) = between(cutout.place(1, at.y), height) else {
            row.fill(0);
            continue;
        };
        let (above, below) = (
            &pixels[above * width..][..width],
            &pixels[below * width..][..width],
        );
        let columns = columns.iter().skip((at.x - cutout.area.top_left.x) as usize);
        for (pixel, &(left, right, across)) in row.chunks_exact_mut(3).zip(columns) {
            let gray = match (above.get(left), above.get(right)) {
                (Some(&a), Some(&b)) => {
                    let upper = u32::from(a) * (256 - across) + u32::from(b) * across;
                    let lower = u32::from(below[left]) * (256 - across) + u32::from(below[right]) * across;
                    window[((upper * (256 - down) + lower * down) >> 16) as usize]
                }
                _ => 0,
            };
            pixel.fill(gray);
        }
    }
}

/// The locator's probability as a colour over the picture: from amber to red, the denser the more probable.
fn warm(painter: &mut Painter<'_>, cutout: &Cutout, heat: &Heat, pictures: &Pictures, slice: usize) {
    let size = heat.width * heat.height;
    let Some(plane) = heat.probability.get(slice * size..(slice + 1) * size) else {
        return;
    };
    // Both cover the same field of view; pixel centres at whole numbers.
    let coarse = |place: f32, fine: usize, coarse: usize| (place + 0.5) * coarse as f32 / fine as f32 - 0.5;
    let columns = &mut painter.kit.scratch.columns;
    columns.clear();
    columns.extend(cutout.area.columns().map(|x| {
        let place = coarse(cutout.place(0, x), pictures.width, heat.width);
        between(place, heat.width).unwrap_or((usize::MAX, usize::MAX, 0))
    }));
    for (at, row) in painter.frame.rows_mut(cutout.area) {
        let place = coarse(cutout.place(1, at.y), pictures.height, heat.height);
        let Some((above, below, down)) = between(place, heat.height) else {
            continue;
        };
        let (above, below) = (
            &plane[above * heat.width..][..heat.width],
            &plane[below * heat.width..][..heat.width],
        );
        let columns = columns.iter().skip((at.x - cutout.area.top_left.x) as usize);
        for (pixel, &(left, right, across)) in row.chunks_exact_mut(3).zip(columns) {
            let (Some(&a), Some(&b)) = (above.get(left), above.get(right)) else {
                continue;
            };
            let upper = u32::from(a) * (256 - across) + u32::from(b) * across;
            let lower = u32::from(below[left]) * (256 - across) + u32::from(below[right]) * across;
            let probability = (upper * (256 - down) + lower * down) >> 16;
            if probability < COLD {
                continue;
            }
            // At most 70 % of the colour, so that the tissue stays visible.
            let share = probability * 7 / 10;
            let color = [255, 190 - probability * 150 / 255, 40];
            for (under, over) in pixel.iter_mut().zip(color) {
                *under = ((u32::from(*under) * (255 - share) + over * share) / 255) as u8;
            }
        }
    }
}

/// The lesions' outlines, each with its number.
fn outlines<'a>(
    painter: &mut Painter<'_>,
    cutout: &Cutout,
    outlines: impl Iterator<Item = &'a Outline> + Clone,
) {
    for outline in outlines.clone() {
        stroke(painter, cutout, outline);
    }
    let face = painter.style.label;
    for outline in outlines {
        // The number stands at the upper right of its outline, inside the picture.
        let points = || {
            outline
                .points
                .iter()
                .filter(|p| p.iter().all(|v| v.is_finite()))
                .map(|p| cutout.on_screen(*p))
        };
        let Some(right) = points().map(|p| p[0]).reduce(f32::max) else {
            continue;
        };
        let Some(top) = points().map(|p| p[1]).reduce(f32::min) else {
            continue;
        };
        let number = crate::screen::language::fill("{n}", &[("n", &outline.lesion)]);
        let (wide, cap) = (painter.width(face, &number) as i32, face.cap_height() as i32);
        let (start, end) = (cutout.area.top_left, cutout.area.end());
        if right < start.x as f32 || right > (end.x + 40) as f32 || top > end.y as f32 {
            continue;
        }
        let x = (right as i32 + 4).min(end.x - wide - 2).max(start.x + 2);
        let y = (top as i32).clamp(start.y + cap + 2, (end.y - 2).max(start.y + cap + 2));
        painter.on_image(Point::new(x, y), face, &number, lesion_color(outline.lesion));
    }
}

fn stroke(painter: &mut Painter<'_>, cutout: &Cutout, outline: &Outline) {
    let reach = HALO_HALF_PX + 1.0;
    let scratch = &mut painter.kit.scratch;
    scratch.points.clear();
    let finite = outline
        .points
        .iter()
        .filter(|point| point.iter().all(|v| v.is_finite() && v.abs() < 1e5));
    scratch
        .points
        .extend(finite.map(|point| cutout.on_screen(*point)));
    let line = &scratch.points;
    // Only where the line is.
    let bound = |pick: fn(f32, f32) -> f32, axis: usize| line.iter().map(|p| p[axis]).reduce(pick);
    let (Some(left), Some(right), Some(top), Some(bottom)) = (
        bound(f32::min, 0),
        bound(f32::max, 0),
        bound(f32::min, 1),
        bound(f32::max, 1),
    ) else {
        return;
    };
    let corner = |x: f32, y: f32| Point::new(x.clamp(-1e6, 1e6) as i32, y.clamp(-1e6, 1e6) as i32);
    let around = Rectangle::with_corners(
        corner(left - reach, top - reach),
        corner(right + reach, bottom + reach),
    );
    let area = around.intersection(&cutout.area);
    if area.is_zero_sized() {
        return;
    }
    let distances = &mut scratch.distances;
    distances.clear();
    distances.resize((area.size.width * area.size.height) as usize, f32::INFINITY);
    for (&a, &b) in line.iter().zip(line.iter().cycle().skip(1)) {
        let near = Rectangle::with_corners(
            corner(a[0].min(b[0]) - reach, a[1].min(b[1]) - reach),
            corner(a[0].max(b[0]) + reach, a[1].max(b[1]) + reach),
        );
        for at in near.intersection(&area).points() {
            let place = at - area.top_left;
            let i = place.y as usize * area.size.width as usize + place.x as usize;
            distances[i] = distances[i].min(distance([at.x as f32 + 0.5, at.y as f32 + 0.5], a, b));
        }
    }
    for (half_width, color) in [
        (HALO_HALF_PX, HALO),
        (OUTLINE_HALF_PX, lesion_color(outline.lesion)),
    ] {
        for (at, distance) in area.points().zip(distances.iter()) {
            let coverage = half_width + 0.5 - distance;
            if coverage > 0.0 {
                painter.frame.blend(at, color, coverage);
            }
        }
    }
}

/// From a point to the piece of line between `a` and `b`.
fn distance(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length2 = along[0] * along[0] + along[1] * along[1];
    let t = if length2 > 0.0 {
        (to[0] * along[0] + to[1] * along[1]) / length2
    } else {
        0.0
    };
    let t = t.clamp(0.0, 1.0);
    (to[0] - t * along[0]).hypot(to[1] - t * along[1])
}

/// The patient's sides, and a bar of known length.
fn marks(painter: &mut Painter<'_>, cutout: &Cutout, pixel_mm: f64) {
    let face = painter.style.caption;
    let (cap, edge) = (face.cap_height() as i32, painter.style.unit as i32 / 2);
    let area = cutout.area;
    let (start, end, centre) = (area.top_left, area.end(), area.center());
    for (i, side) in SIDES.into_iter().enumerate() {
        let wide = painter.width(face, side) as i32;
        let at = match i {
            0 => Point::new(start.x + edge, centre.y + cap / 2),
            1 => Point::new(end.x - edge - wide, centre.y + cap / 2),
            2 => Point::new(centre.x - wide / 2, start.y + edge + cap),
            _ => Point::new(centre.x - wide / 2, end.y - edge),
        };
        painter.on_image(at, face, side, TEXT);
    }
    let pixels_per_mm = f64::from(cutout.scale) / pixel_mm;
    let longest = f64::from(area.size.width) / 4.0;
    let Some(mm) = SCALE_BARS_MM.into_iter().find(|mm| mm * pixels_per_mm <= longest) else {
        return;
    };
    let length = (mm * pixels_per_mm).round() as u32;
    let bar = Rectangle::new(
        Point::new(end.x - edge - 2 - length as i32, end.y - edge - 3),
        Size::new(length, 2),
    );
    painter.fill(
        Rectangle::with_center(bar.center(), bar.size + Size::new(2, 2)),
        HALO,
    );
    painter.fill(bar, TEXT);
    let label = crate::screen::language::fill("{n} mm", &[("n", &mm)]);
    let wide = painter.width(face, &label) as i32;
    painter.on_image(
        Point::new(end.x - edge - 2 - wide, end.y - edge - 7),
        face,
        &label,
        TEXT,
    );
}

/// The picture alone, as it was acquired.
pub(in crate::screen) fn plain(
    painter: &mut Painter<'_>,
    area: Rectangle,
    tile: &Tile,
    pictures: &Pictures,
    look: &Look,
) {
    if let Some(pixels) = pictures.slice(tile.contrast, look.slice) {
        draw(
            painter,
            &Cutout::of(area, pictures, look),
            pixels,
            pictures.width,
            look,
        );
    }
}
