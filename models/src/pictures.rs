//! The pictures of one examination as the screen shows them: every contrast on the same slices.
//!
//! Rows run to posterior and columns to the patient's left, slices from foot to head, so a picture has the
//! radiological convention: the patient's right is on the viewer's left.

use serde::{Deserialize, Serialize};

use crate::findings::base64_bytes;
use crate::mr::Contrast;

/// Every contrast on the slices of one grid, windowed to 8 bits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How many slices.
    pub slices: usize,
    /// Edge of a pixel, millimetres.
    pub pixel_mm: f64,
    /// From one slice to the next, millimetres.
    pub slice_mm: f64,
    /// Which slice of the examination the first one is: all of them, or one of the middle while the others are made.
    #[serde(default)]
    pub first_slice: usize,
    /// How many slices the examination has.
    #[serde(default)]
    pub of: usize,
    /// The slice to look at first: where the first lesion is largest, else the middle one.
    pub first_shown: usize,
    /// One for each contrast of the study, in the order of [`Contrast::ALL`].
    pub contrasts: Vec<Picture>,
    /// Where lesions lie, in no order.
    pub outlines: Vec<Outline>,
    /// What the locator thought of every place; none where no model looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heat: Option<Heat>,
    /// What each slice did for the answer about a lesion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub influence: Vec<Influence>,
}

/// One contrast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Which one.
    pub contrast: Contrast,
    /// s/mm², for diffusion.
    pub b_value: Option<f64>,
    /// Slice by slice, row by row; 0 black to 255 white. `slices × height × width` of them.
    #[serde(with = "base64_bytes")]
    pub pixels: Vec<u8>,
}

/// A closed line around a lesion on one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// [`crate::findings::Lesion::number`].
    pub lesion: u32,
    /// On which slice.
    pub slice: usize,
    /// `[x, y]` in pixels; pixel centres at whole numbers.
    pub points: Vec<[f32; 2]>,
}

/// The locator's probability of tumour over the same field of view as the pictures, in coarser pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heat {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Slice by slice, row by row; 0 to 255 for a probability of 0 to 1.
    #[serde(with = "base64_bytes")]
    pub probability: Vec<u8>,
}

/// How much the probability of the leading answer about a lesion falls when the model does not see a slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// [`crate::findings::Lesion::number`].
    pub lesion: u32,
    /// The question, as in [`crate::findings::TaskAnswer::task`].
    pub task: String,
    /// The answer, as in [`crate::findings::LabelProbability::label`].
    pub label: String,
    /// The slices that the model read, each with the fall, −1 to 1. Below 0 the slice spoke against it.
    pub slices: Vec<(usize, f32)>,
}

impl Pictures {
    /// Whether sizes and counts agree, so that every pixel that is asked for is there.
    pub fn is_sound(&self) -> bool {
        let count = |width: usize, height: usize| self.slices.checked_mul(height)?.checked_mul(width);
        let pixels = count(self.width, self.height);
        let heat = self.heat.as_ref();
        pixels.is_some_and(|all| all > 0)
            && self.first_shown < self.slices
            && self.contrasts.iter().all(|one| Some(one.pixels.len()) == pixels)
            && heat.is_none_or(|heat| {
                !heat.probability.is_empty() && Some(heat.probability.len()) == count(heat.width, heat.height)
            })
            && self.pixel_mm > 0.0
            && self.slice_mm > 0.0
    }

    /// One contrast on one slice: `height × width` pixels.
    pub fn slice(&self, contrast: Contrast, slice: usize) -> Option<&[u8]> {
        let picture = self.contrasts.iter().find(|one| one.contrast == contrast)?;
        let size = self.width * self.height;
        picture.pixels.get(slice * size..(slice + 1) * size)
    }

    /// The lesions' outlines on one slice.
    pub fn outlines_on(&self, slice: usize) -> impl Iterator<Item = &Outline> + Clone {
        self.outlines.iter().filter(move |outline| outline.slice == slice)
    }

    /// The slices on which a lesion has an outline: the first and the last; none for a lesion without one.
    pub fn extent(&self, lesion: u32) -> Option<(usize, usize)> {
        let mut slices = self
            .outlines
            .iter()
            .filter(|o| o.lesion == lesion)
            .map(|o| o.slice);
        let first = slices.next()?;
        Some(slices.fold((first, first), |(low, high), slice| {
            (low.min(slice), high.max(slice))
        }))
    }
}
