//! The study that is being looked at: its sheet, and what tools and keys change about the look at it.

use heapless::Vec;
use models::mr::Contrast;
use models::pictures::Pictures;

use super::look::Look;
use super::pages::{self, Footer};
use super::paint::{Painter, Tool};
use super::sheets::study::{ResultSheet, StudySheet, Tile};
use super::situation::Opened;

/// The study that is being looked at.
pub(super) struct OpenStudy {
    pub(super) uid: String,
    /// Answers and pictures as they were when it was opened.
    pub(super) version: (u32, u32),
    pub(super) opened: Opened,
    pub(super) sheet: StudySheet,
    pub(super) look: Look,
}

impl OpenStudy {
    pub(super) fn draw(&self, painter: &mut Painter<'_>, foot: Footer<'_>) -> usize {
        let pictures = &self.opened.pictures;
        let foot = Footer {
            provenance: &self.sheet.surround().provenance,
            ..foot
        };
        match &self.sheet {
            StudySheet::Result(sheet) => pages::result::draw(painter, sheet, pictures, &self.look, foot),
            StudySheet::CannotAnswer(sheet) => {
                pages::cannot_answer::draw(painter, sheet, pictures, &self.look, foot)
            }
        }
    }

    fn tiles(&self) -> &[Tile; 6] {
        match &self.sheet {
            StudySheet::Result(sheet) => &sheet.tiles,
            StudySheet::CannotAnswer(sheet) => &sheet.tiles,
        }
    }

    pub(super) fn has_picture(&self, contrast: usize) -> bool {
        self.tiles().get(contrast).is_some_and(|tile| tile.has_picture)
    }

    /// The contrast that is shown where there is room for one only: T2 shows most; else the first that there is.
    pub(super) fn first_series(&self) -> usize {
        let t2 = self
            .tiles()
            .iter()
            .position(|tile| tile.contrast == Contrast::T2 && tile.has_picture);
        t2.or_else(|| self.tiles().iter().position(|tile| tile.has_picture))
            .unwrap_or(0)
    }

    /// The next tool; where there is no answer, details and back.
    pub(super) fn next_tool(&mut self) {
        let next = match &self.sheet {
            StudySheet::CannotAnswer(_) if self.look.tool == Tool::Details => Tool::Slice,
            StudySheet::CannotAnswer(_) => Tool::Details,
            StudySheet::Result(sheet) => {
                let tools = pages::result::tools(sheet, &self.opened.pictures);
                let at = tools
                    .iter()
                    .position(|tool| *tool == self.look.tool)
                    .map_or(0, |at| at + 1);
                tools
                    .get(at % tools.len().max(1))
                    .copied()
                    .unwrap_or(Tool::Details)
            }
        };
        self.look.tool = next;
        self.look.scroll = 0;
    }

    /// A finger takes a tool up; on the one that it has, it does the next thing.
    pub(super) fn take(&mut self, tool: Tool) {
        if self.look.tool != tool {
            self.look.tool = tool;
            self.look.scroll = 0;
            if tool == Tool::Heat {
                self.look.heat = true;
            }
            return;
        }
        match tool {
            Tool::Details => {
                self.look.tool = Tool::Slice;
                self.look.scroll = 0;
            }
            // After the closest but one, everything again.
            Tool::Zoom if self.look.zoom() >= 4.0 => self.look.show_all(&self.opened.pictures),
            Tool::Series | Tool::Lesion => self.step(1, 0),
            _ => self.step(-1, 0),
        }
    }

    /// Up is −1: one slice towards the head, closer, brighter.
    pub(super) fn step(&mut self, by: isize, scroll_end: usize) {
        let pictures = &self.opened.pictures;
        let look = &mut self.look;
        let StudySheet::Result(sheet) = &self.sheet else {
            look.scroll = look.scroll.saturating_add_signed(by).min(scroll_end);
            return;
        };
        match look.tool {
            // Slices run from foot to head.
            Tool::Slice => look.step_slice(-by, pictures),
            Tool::Lesion => {
                let count = sheet.lesions.len().max(1) as isize;
                look.lesion = (look.lesion as isize + by).rem_euclid(count) as usize;
                if let Some(lesion) = sheet.lesions.get(look.lesion) {
                    let slice = lesion.slice.saturating_sub(pictures.first_slice);
                    look.slice = slice.min(pictures.slices.saturating_sub(1));
                }
            }
            Tool::Series => look.series = next_series(sheet, look.series, by),
            Tool::Zoom => {
                let lesion = sheet.lesions.get(look.lesion).map(|lesion| lesion.number);
                let middle = lesion.and_then(|number| middle_of(pictures, number, look.slice));
                look.step_zoom(-by, pictures, middle);
            }
            Tool::Brightness => look.step_brightness(-by as i8),
            Tool::Contrast => look.step_contrast(-by as i8),
            Tool::Heat => look.heat = !look.heat,
            Tool::Details => look.scroll = look.scroll.saturating_add_signed(by).min(scroll_end),
        }
    }
}

/// All contrasts, then each that has a picture, and around.
fn next_series(sheet: &ResultSheet, now: Option<usize>, by: isize) -> Option<usize> {
    let shown: Vec<Option<usize>, 7> = [None]
        .into_iter()
        .chain(
            sheet
                .tiles
                .iter()
                .enumerate()
                .filter(|(_, tile)| tile.has_picture)
                .map(|(i, _)| Some(i)),
        )
        .collect();
    let at = shown.iter().position(|one| *one == now).unwrap_or(0) as isize;
    shown[(at + by).rem_euclid(shown.len() as isize) as usize]
}

/// The middle of a lesion on a slice, in pixels of the pictures.
fn middle_of(pictures: &Pictures, lesion: u32, slice: usize) -> Option<[f32; 2]> {
    let of = |on: &dyn Fn(usize) -> bool| {
        let lines = pictures
            .outlines
            .iter()
            .filter(|line| line.lesion == lesion && on(line.slice));
        let points = lines
            .flat_map(|line| &line.points)
            .filter(|p| p.iter().all(|v| v.is_finite()));
        let (sum, count) = points.fold(([0.0, 0.0], 0.0), |(sum, count), p| {
            ([sum[0] + p[0], sum[1] + p[1]], count + 1.0)
        });
        (count > 0.0).then(|| sum.map(|all: f32| all / count))
    };
    of(&|at| at == slice).or_else(|| of(&|_| true))
}
