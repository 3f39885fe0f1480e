//! How a result is being looked at: which slice, how large, how bright.

use models::pictures::Pictures;
use serde::{Deserialize, Serialize};

use super::paint::Tool;

/// Factors of the zoom.
const ZOOMS: [f32; 6] = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Steps of brightness and contrast to each side of the middle, and how far one goes.
const STEPS: i8 = 8;
const BRIGHTNESS_STEP: f32 = 14.0;
const CONTRAST_STEP: f32 = 1.2;

/// How a result is being looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Look {
    /// What up and down change.
    pub(super) tool: Tool,
    pub(super) slice: usize,
    /// Which lesion the words are about: its place in the list.
    pub(super) lesion: usize,
    /// The only contrast that is shown, by its place among all; none for all of them.
    pub(super) series: Option<usize>,
    pub(super) zoom: usize,
    pub(super) brightness: i8,
    pub(super) contrast: i8,
    pub(super) heat: bool,
    /// The pixel of the pictures in the middle of every tile.
    pub(super) centre: [f32; 2],
    /// The first of the details that is shown.
    pub(super) scroll: usize,
}

impl Look {
    /// The first look: everything, on the slice that matters.
    pub(super) fn new(pictures: &Pictures, series: Option<usize>) -> Self {
        Self {
            tool: Tool::Slice,
            slice: pictures.first_shown,
            lesion: 0,
            series,
            zoom: 0,
            brightness: 0,
            contrast: 0,
            heat: false,
            centre: middle(pictures),
            scroll: 0,
        }
    }

    pub(super) fn zoom(&self) -> f32 {
        ZOOMS[self.zoom]
    }

    pub(super) fn brightness(&self) -> i8 {
        self.brightness
    }

    pub(super) fn contrast(&self) -> i8 {
        self.contrast
    }

    /// Grays on the screen for those of the pictures.
    pub(super) fn window(&self) -> [u8; 256] {
        let gain = CONTRAST_STEP.powi(i32::from(self.contrast));
        let offset = f32::from(self.brightness) * BRIGHTNESS_STEP;
        std::array::from_fn(|gray| ((gray as f32 - 128.0) * gain + 128.0 + offset).clamp(0.0, 255.0) as u8)
    }

    pub(super) fn step_slice(&mut self, by: isize, pictures: &Pictures) {
        self.slice = self
            .slice
            .saturating_add_signed(by)
            .min(pictures.slices.saturating_sub(1));
    }

    /// Closer or further; closer goes to `lesion`, a place in the pictures.
    pub(super) fn step_zoom(&mut self, by: isize, pictures: &Pictures, lesion: Option<[f32; 2]>) {
        let before = self.zoom;
        self.zoom = self.zoom.saturating_add_signed(by).min(ZOOMS.len() - 1);
        if self.zoom == 0 {
            self.show_all(pictures);
        } else if let (0, Some(lesion)) = (before, lesion) {
            self.centre = lesion;
        }
        self.hold(pictures);
    }

    /// The whole picture again.
    pub(super) fn show_all(&mut self, pictures: &Pictures) {
        self.zoom = 0;
        self.centre = middle(pictures);
    }

    pub(super) fn step_brightness(&mut self, by: i8) {
        self.brightness = self.brightness.saturating_add(by).clamp(-STEPS, STEPS);
    }

    pub(super) fn step_contrast(&mut self, by: i8) {
        self.contrast = self.contrast.saturating_add(by).clamp(-STEPS, STEPS);
    }

    /// Moves the pictures under the finger, by pixels of the pictures.
    pub(super) fn shift(&mut self, by: [f32; 2], pictures: &Pictures) {
        self.centre = std::array::from_fn(|a| self.centre[a] - by[a]);
        self.hold(pictures);
    }

    /// The picture stays under the tile.
    fn hold(&mut self, pictures: &Pictures) {
        let sides = [pictures.width, pictures.height];
        self.centre = std::array::from_fn(|a| {
            let (middle, free) = (
                sides[a] as f32 / 2.0 - 0.5,
                sides[a] as f32 / 2.0 * (1.0 - 1.0 / self.zoom()),
            );
            self.centre[a].clamp(middle - free, middle + free)
        });
    }
}

fn middle(pictures: &Pictures) -> [f32; 2] {
    [
        pictures.width as f32 / 2.0 - 0.5,
        pictures.height as f32 / 2.0 - 0.5,
    ]
}
