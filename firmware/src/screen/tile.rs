//! One contrast on the page: its slice with outlines, orientation and scale, or why there is none.

use board::Frame;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use models::findings::{Outline, View};

use super::{
    model::{Role, Tile},
    style::{AMBER, Cut, HALO, MUTED, PANEL, RULE, SKY, Style, TEXT, UNIT, lesion_color},
    text::Align,
};

/// Half the width of an outline and of the dark line under it, pixels.
const OUTLINE_HALF_PX: f32 = 1.0;
const HALO_HALF_PX: f32 = 2.25;

/// Lengths of the scale bar to choose from, mm.
const SCALE_BARS_MM: [f64; 4] = [50.0, 20.0, 10.0, 5.0];

/// How much of a tile is drawn around its slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Orientation, scale bar, and what the contrast was used for.
    Full,
    /// The name only.
    Thumbnail,
}

/// Height of the line above a picture.
pub(super) fn caption_height(style: &Style) -> u32 {
    style.strong.line_height() + UNIT / 4
}

/// Six tiles in `columns` columns from the top left of `area`, with square pictures as large as fit;
/// returns the rectangle that they take.
pub(super) fn draw_tiles(
    frame: &mut Frame,
    style: &Style,
    area: Rectangle,
    columns: u32,
    (tiles, views): (&[Tile; 6], &[View]),
    detail: Detail,
) -> Rectangle {
    let rows = (tiles.len() as u32).div_ceil(columns);
    let caption = caption_height(style);
    let wide = (area.size.width + UNIT).saturating_sub(columns * UNIT) / columns;
    let high = ((area.size.height + UNIT).saturating_sub(rows * UNIT) / rows).saturating_sub(caption);
    let side = wide.min(high);
    let step = Size::new(side + UNIT, side + caption + UNIT);
    for (i, tile) in tiles.iter().enumerate() {
        let (row, column) = (i as u32 / columns, i as u32 % columns);
        let at = area.top_left + Size::new(column * step.width, row * step.height);
        let place = Rectangle::new(at, Size::new(side, side + caption));
        draw_tile(frame, style, place, tile, views, detail);
    }
    Rectangle::new(
        area.top_left,
        Size::new(columns * step.width - UNIT, rows * step.height - UNIT),
    )
}

fn draw_tile(frame: &mut Frame, style: &Style, area: Rectangle, tile: &Tile, views: &[View], detail: Detail) {
    let mut picture = area;
    let mut caption = picture.cut_top(caption_height(style));
    if detail == Detail::Full {
        let (role, color) = match tile.role {
            Role::ReadByModel => ("read by model", SKY),
            Role::ShownOnly => ("shown only", MUTED),
            Role::Missing { .. } => ("", MUTED),
        };
        let name = caption.cut_left(style.strong.width(&tile.name) + UNIT);
        style.strong.draw_in(frame, name, Align::Left, &tile.name, TEXT);
        style.caption.draw_in(frame, caption, Align::Right, role, color);
    } else {
        style.label.draw_in(frame, caption, Align::Left, &tile.name, TEXT);
    }

    match tile
        .picture
        .and_then(|i| views.get(i))
        .and_then(|view| Slice::of(view, picture))
    {
        Some(slice) => {
            let Ok(()) = frame.fill_solid(&picture, HALO);
            slice.draw(frame);
            if tile.outlined {
                slice.outline(frame, style);
            }
            if detail == Detail::Full {
                slice.mark(frame, style);
            }
        }
        None => empty(frame, style, picture, tile.role, detail),
    }
}

/// A tile without a picture says why.
fn empty(frame: &mut Frame, style: &Style, area: Rectangle, role: Role, detail: Detail) {
    let Ok(()) = frame.fill_solid(&area, RULE);
    let Ok(()) = frame.fill_solid(&area.inset(1, 1), PANEL);
    let (what, color) = match (role, detail) {
        (Role::Missing { .. }, Detail::Full) => ("not in this study", MUTED),
        (Role::Missing { .. }, Detail::Thumbnail) => ("missing", MUTED),
        (_, Detail::Full) => ("no picture", MUTED),
        (_, Detail::Thumbnail) => ("received", SKY),
    };
    let needed = role == Role::Missing { required: true };
    let mut lines = vec![(what, if needed { AMBER } else { color })];
    if needed {
        lines.push((
            if detail == Detail::Full {
                "the model needs it"
            } else {
                "needed"
            },
            AMBER,
        ));
    }
    let height = style.caption.line_height();
    let mut block = Rectangle::with_center(
        area.center(),
        Size::new(area.size.width, height * lines.len() as u32),
    )
    .inset(UNIT / 2, 0);
    for (line, color) in lines {
        style
            .caption
            .draw_in(frame, block.cut_top(height), Align::Centre, line, color);
    }
}

/// A view laid into a rectangle of the screen with its proportions kept.
struct Slice<'a> {
    view: &'a View,
    area: Rectangle,
    /// Screen pixels per view pixel.
    scale: f32,
}

impl<'a> Slice<'a> {
    /// None when the view's size and its pixels do not agree.
    fn of(view: &'a View, room: Rectangle) -> Option<Self> {
        let (width, height) = (view.width, view.height);
        if width == 0 || height == 0 || width.checked_mul(height)? != view.pixels.len() {
            return None;
        }
        let fit = |room: u32, side: usize| room as f32 / side as f32;
        let scale = fit(room.size.width, width).min(fit(room.size.height, height));
        let size = Size::new(
            (width as f32 * scale).round() as u32,
            (height as f32 * scale).round() as u32,
        );
        Some(Self {
            view,
            area: Rectangle::with_center(room.center(), size).intersection(&room),
            scale,
        })
    }

    fn draw(&self, frame: &mut Frame) {
        // Shrinking takes the mean of several samples, or thin structures would come and go.
        let samples = (1.0 / self.scale).ceil().clamp(1.0, 8.0) as u32;
        let origin = self.area.top_left;
        let gray = |at: Point| {
            let mut sum = 0.0;
            for i in 0..samples * samples {
                let offset = |k: u32| (k as f32 + 0.5) / samples as f32;
                let x = ((at.x - origin.x) as f32 + offset(i % samples)) / self.scale - 0.5;
                let y = ((at.y - origin.y) as f32 + offset(i / samples)) / self.scale - 0.5;
                sum += self.sample(x, y);
            }
            let gray = (sum / (samples * samples) as f32).round() as u8;
            Rgb888::new(gray, gray, gray)
        };
        let Ok(()) = frame.fill_contiguous(&self.area, self.area.points().map(gray));
    }

    /// Bilinear between pixel centres, held at the edge.
    fn sample(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, (self.view.width - 1) as f32);
        let y = y.clamp(0.0, (self.view.height - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = (
            (x0 + 1).min(self.view.width - 1),
            (y0 + 1).min(self.view.height - 1),
        );
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let at = |x: usize, y: usize| f32::from(self.view.pixels[y * self.view.width + x]);
        (at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx) * (1.0 - fy)
            + (at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx) * fy
    }

    /// The lesions' outlines, each with its number.
    fn outline(&self, frame: &mut Frame, style: &Style) {
        for outline in &self.view.outlines {
            let distances = Distances::to(&self.on_screen(outline), self.area);
            distances.stroke(frame, HALO_HALF_PX, HALO);
            distances.stroke(frame, OUTLINE_HALF_PX, lesion_color(outline.lesion));
        }
        for outline in &self.view.outlines {
            // The number stands at the upper right of its outline, inside the picture.
            let points = self.on_screen(outline);
            let Some(right) = points.iter().map(|p| p[0]).reduce(f32::max) else {
                continue;
            };
            let Some(top) = points.iter().map(|p| p[1]).reduce(f32::min) else {
                continue;
            };
            let number = outline.lesion.to_string();
            let (width, cap) = (
                style.strong.width(&number) as i32,
                style.strong.cap_height() as i32,
            );
            let (start, end) = (self.area.top_left, self.area.end());
            let x = (right as i32 + 4).min(end.x - width - 2).max(start.x + 2);
            let y = (top as i32).clamp(start.y + cap + 2, (end.y - 2).max(start.y + cap + 2));
            style
                .strong
                .draw_with_halo(frame, Point::new(x, y), &number, lesion_color(outline.lesion));
        }
    }

    /// Outline points as screen positions; whole numbers in a view are pixel centres.
    fn on_screen(&self, outline: &Outline) -> Vec<[f32; 2]> {
        let origin = [self.area.top_left.x as f32, self.area.top_left.y as f32];
        outline
            .points
            .iter()
            .filter(|point| point.iter().all(|v| v.is_finite()))
            .map(|point| std::array::from_fn(|a| origin[a] + (point[a] + 0.5) * self.scale))
            .collect()
    }

    /// The patient's sides, and a bar of known length.
    fn mark(&self, frame: &mut Frame, style: &Style) {
        let face = style.caption;
        let (cap, edge) = (face.cap_height() as i32, 3);
        let (start, end, centre) = (self.area.top_left, self.area.end(), self.area.center());
        let width = |text: &str| face.width(text) as i32;
        for (text, at) in [
            ("R", Point::new(start.x + edge, centre.y + cap / 2)),
            ("L", Point::new(end.x - edge - width("L"), centre.y + cap / 2)),
            ("A", Point::new(centre.x - width("A") / 2, start.y + edge + cap)),
            ("P", Point::new(centre.x - width("P") / 2, end.y - edge)),
        ] {
            face.draw_with_halo(frame, at, text, TEXT);
        }

        let pixels_per_mm = f64::from(self.scale) / self.view.pixel_mm;
        let longest = f64::from(self.area.size.width) / 4.0;
        let Some(mm) = SCALE_BARS_MM.into_iter().find(|mm| mm * pixels_per_mm <= longest) else {
            return;
        };
        let length = (mm * pixels_per_mm).round() as u32;
        let bar = Rectangle::new(
            Point::new(end.x - 6 - length as i32, end.y - 7),
            Size::new(length, 2),
        );
        let Ok(()) = frame.fill_solid(
            &Rectangle::with_center(bar.center(), bar.size + Size::new(2, 2)),
            HALO,
        );
        let Ok(()) = frame.fill_solid(&bar, TEXT);
        let label = format!("{mm:.0} mm");
        face.draw_with_halo(
            frame,
            Point::new(end.x - 6 - width(&label), end.y - 11),
            &label,
            TEXT,
        );
    }
}

/// The distance of each pixel of an area from a closed line, as far as it matters for stroking.
struct Distances {
    area: Rectangle,
    pixels: Vec<f32>,
}

impl Distances {
    fn to(line: &[[f32; 2]], area: Rectangle) -> Self {
        let reach = HALO_HALF_PX + 1.0;
        let mut pixels = vec![f32::INFINITY; (area.size.width * area.size.height) as usize];
        let next = line.iter().cycle().skip(1);
        for (&a, &b) in line.iter().zip(next) {
            // Only the pixels near this piece of the line.
            let corner = |pick: fn(f32, f32) -> f32, by: f32| {
                Point::new(
                    (pick(a[0], b[0]) + by).floor() as i32,
                    (pick(a[1], b[1]) + by).floor() as i32,
                )
            };
            let near = Rectangle::with_corners(corner(f32::min, -reach), corner(f32::max, reach));
            for at in near.intersection(&area).points() {
                let place = at - area.top_left;
                let i = place.y as usize * area.size.width as usize + place.x as usize;
                pixels[i] = pixels[i].min(distance([at.x as f32 + 0.5, at.y as f32 + 0.5], a, b));
            }
        }
        Self { area, pixels }
    }

    /// Colours every pixel by how much of it lies within `half_width` of the line.
    fn stroke(&self, frame: &mut Frame, half_width: f32, color: Rgb888) {
        for (at, distance) in self.area.points().zip(&self.pixels) {
            let coverage = half_width + 0.5 - distance;
            if coverage > 0.0 {
                frame.blend(at, color, coverage);
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
