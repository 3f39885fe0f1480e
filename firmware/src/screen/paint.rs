//! What pages are drawn with: a frame, type, icons, and the places that can be touched.

use board::Frame;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use heapless::Vec;

use super::icons::{Icon, Icons};
use super::language::Words;
use super::sheets::question::Answer;
use super::style::{GROUND, Style, TEXT};
use super::text::{Align, Face, Typesetter};

/// Places on one page that can be touched; more are not felt.
pub(super) const MAX_TARGETS: usize = 64;

/// What is kept from one drawing to the next.
pub(super) struct Kit {
    pub(super) type_: Typesetter,
    pub(super) icons: Icons,
    pub(super) scratch: Scratch,
}

/// Room for intermediate results, so that drawing a page again allocates nothing.
#[derive(Default)]
pub(super) struct Scratch {
    /// For each column of a picture on the screen: pixel of the picture, and the share of its right neighbour.
    pub(super) columns: std::vec::Vec<(usize, usize, u32)>,
    /// Distances from an outline.
    pub(super) distances: std::vec::Vec<f32>,
    /// An outline in pixels of the screen.
    pub(super) points: std::vec::Vec<[f32; 2]>,
}

impl Kit {
    pub(super) fn new() -> Self {
        Self {
            type_: Typesetter::new(),
            icons: Icons::default(),
            scratch: Scratch::default(),
        }
    }
}

/// What touching a place does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Goes to a page.
    Tab(Tab),
    /// Opens the study in this row of the list.
    Row(usize),
    /// Takes up a tool of the result.
    Tool(Tool),
    /// A picture: what dragging does depends on the tool.
    Picture,
    /// The strip of slices: its left end is the first one.
    Strip,
    /// Text that can be scrolled.
    Scroll,
    /// A digit of the PIN.
    Digit(u8),
    /// Takes the last digit back.
    Erase,
    /// Gives this answer to the question on the screen.
    Answer(Answer),
    /// Whatever select does.
    Select,
}

/// The pages that one can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Tab {
    Studies,
    Result,
    Station,
}

/// What up and down change on the page of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Tool {
    Slice,
    Lesion,
    Series,
    Zoom,
    Brightness,
    Contrast,
    Heat,
    Details,
}

/// Everything that a page needs to be drawn.
pub(super) struct Painter<'a> {
    pub(super) frame: &'a mut Frame,
    pub(super) kit: &'a mut Kit,
    pub(super) style: Style,
    pub(super) words: &'static Words,
    /// Whether anybody can touch it: a capture for the PACS has neither tools nor tabs.
    pub(super) interactive: bool,
    pub(super) targets: &'a mut Vec<(Rectangle, Target), MAX_TARGETS>,
}

impl Painter<'_> {
    /// An empty page.
    pub(super) fn blank(&mut self) -> Rectangle {
        let whole = self.frame.bounding_box();
        self.fill(whole, GROUND);
        whole
    }

    pub(super) fn fill(&mut self, area: Rectangle, color: Rgb888) {
        let Ok(()) = self.frame.fill_solid(&area, color);
    }

    /// A rectangle with round corners.
    pub(super) fn round(&mut self, area: Rectangle, radius: u32, color: Rgb888) {
        let radius = radius.min(area.size.width / 2).min(area.size.height / 2);
        let (r, size) = (radius as i32, area.size);
        let middle = Rectangle::new(
            area.top_left + Point::new(0, r),
            Size::new(size.width, size.height - 2 * radius),
        );
        self.fill(middle, color);
        for y in 0..r {
            // How far the corner reaches in, on this row; the last pixel by its share.
            let up = r as f32 - y as f32 - 0.5;
            let inset = r as f32 - (r as f32 * r as f32 - up * up).max(0.0).sqrt();
            let whole = inset.ceil() as i32;
            for row in [area.top_left.y + y, area.top_left.y + size.height as i32 - 1 - y] {
                let line = Rectangle::new(
                    Point::new(area.top_left.x + whole, row),
                    Size::new(size.width.saturating_sub(2 * whole as u32), 1),
                );
                self.fill(line, color);
                if whole > 0 {
                    let share = whole as f32 - inset;
                    for x in [line.top_left.x - 1, line.top_left.x + line.size.width as i32] {
                        self.frame.blend(Point::new(x, row), color, share);
                    }
                }
            }
        }
    }

    /// A frame with round corners around `ground`.
    pub(super) fn ring(
        &mut self,
        area: Rectangle,
        radius: u32,
        width: u32,
        (color, ground): (Rgb888, Rgb888),
    ) {
        self.round(area, radius, color);
        let inner = Rectangle::new(
            area.top_left + Size::new_equal(width),
            area.size.saturating_sub(Size::new_equal(2 * width)),
        );
        self.round(inner, radius.saturating_sub(width), ground);
    }

    pub(super) fn icon(&mut self, area: Rectangle, icon: Icon, side: u32, color: Rgb888) {
        self.kit.icons.paint(self.frame, area, icon, side, color);
    }

    /// One line of text, cut visibly when it is too wide; returns how wide it is.
    pub(super) fn line(
        &mut self,
        area: Rectangle,
        align: Align,
        face: Face,
        text: &str,
        color: Rgb888,
    ) -> u32 {
        self.kit.type_.paint(self.frame, (area, align), face, text, color)
    }

    pub(super) fn width(&mut self, face: Face, text: &str) -> u32 {
        self.kit.type_.width(face, text)
    }

    /// Text with a dark rim, for reading on top of an image; `at` is the left end of the baseline.
    pub(super) fn on_image(&mut self, at: Point, face: Face, text: &str, color: Rgb888) {
        for (dx, dy) in [
            (-1, -1),
            (0, -1),
            (1, -1),
            (-1, 0),
            (1, 0),
            (-1, 1),
            (0, 1),
            (1, 1),
        ] {
            let halo = at + Point::new(dx, dy);
            self.kit
                .type_
                .paint_at(self.frame, halo, face, text, super::style::HALO);
        }
        self.kit.type_.paint_at(self.frame, at, face, text, color);
    }

    /// Text on as many lines as it needs, at most `lines`, cut off the top of `area`.
    pub(super) fn paragraph(
        &mut self,
        area: &mut Rectangle,
        lines: usize,
        face: Face,
        text: &str,
        color: Rgb888,
    ) {
        self.lines(area, Align::Left, lines, (face, text, color));
    }

    /// The same, each line in the middle.
    pub(super) fn centred(
        &mut self,
        area: &mut Rectangle,
        lines: usize,
        face: Face,
        text: &str,
        color: Rgb888,
    ) {
        self.lines(area, Align::Centre, lines, (face, text, color));
    }

    fn lines(
        &mut self,
        area: &mut Rectangle,
        align: Align,
        lines: usize,
        (face, text, color): (Face, &str, Rgb888),
    ) {
        use super::style::Cut as _;
        let height = face.line_height();
        let lines = lines.min((area.size.height / height) as usize);
        let wrapped = self.kit.type_.wrap(face, text, area.size.width, lines);
        for line in wrapped.iter() {
            self.line(area.cut_top(height), align, face, line, color);
        }
    }

    /// How high a paragraph becomes.
    pub(super) fn height(&mut self, width: u32, lines: usize, face: Face, text: &str) -> u32 {
        self.kit.type_.wrap(face, text, width, lines).len() as u32 * face.line_height()
    }

    /// The place can be touched.
    pub(super) fn touchable(&mut self, area: Rectangle, target: Target) {
        // More places than fit can still be reached by keys.
        let _ = self.targets.push((area, target));
    }

    /// Muted or plain, by whether it matters now.
    pub(super) fn ink(&self, matters: bool) -> Rgb888 {
        if matters { TEXT } else { super::style::MUTED }
    }
}
