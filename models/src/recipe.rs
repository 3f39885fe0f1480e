//! Preprocessing: how volumes become tensors.
//!
//! Declared in the package's manifest and run by the same code for training and inference, so that
//! the two cannot drift apart.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, Axis, s};
use serde::{Deserialize, Serialize};

use crate::findings::Reason;
use crate::mr::{Contrast, Grid, Volume};
use crate::share::share;
use crate::study::{Study, missing_contrast, tissue_level};

/// How one examination becomes the inputs of the networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Whose slices the grids stand on.
    pub anchor: Contrast,
    /// For the network that finds lesions.
    pub locator: LocatorRecipe,
    /// For the networks that classify a lesion.
    pub reader: ReaderRecipe,
}

/// Input of the locator: whole axial slices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatorRecipe {
    /// Channels, in this order.
    pub contrasts: Vec<Contrast>,
    /// Edge of a pixel, mm.
    pub pixel_mm: f64,
    /// Pixels per row and rows.
    pub size: usize,
    /// Slices on either side that go in as further channels.
    pub neighbours: usize,
}

/// Input of the slice encoders: a square around the lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderRecipe {
    /// One encoder each, spliced in this order (Liu 2023, late fusion "Spl.").
    pub contrasts: Vec<Contrast>,
    /// Edge of a pixel, mm.
    pub pixel_mm: f64,
    /// Pixels per row and rows.
    pub size: usize,
    /// Slices per lesion that the sequence network takes.
    pub max_slices: usize,
}

impl Default for Recipe {
    /// Liu 2023's best combination: T2, CE-T1 and DWI b = 1000 s/mm².
    fn default() -> Self {
        let contrasts = vec![Contrast::T2, Contrast::CeT1, Contrast::Dwi];
        Recipe {
            anchor: Contrast::T2,
            locator: LocatorRecipe {
                contrasts: contrasts.clone(),
                pixel_mm: 1.875,
                size: 128,
                neighbours: 1,
            },
            reader: ReaderRecipe {
                contrasts,
                pixel_mm: 0.9375,
                size: 128,
                max_slices: 16,
            },
        }
    }
}

/// Whole slices, normalised.
#[derive(Debug, Clone)]
pub struct LocatorInput {
    /// Where the voxels are.
    pub grid: Grid,
    /// (slice, contrast, row, column).
    pub images: Array4<f32>,
    /// Slices on either side in [`LocatorInput::stack`].
    pub neighbours: usize,
}

/// The part of a lesion that lies in one slice, in pixels of the locator's grid; pixel `i` covers
/// `[i, i + 1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SliceBox {
    /// Slice index.
    pub slice: usize,
    /// Left edge.
    pub x0: f32,
    /// Upper edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Lower edge.
    pub y1: f32,
}

/// Squares around one lesion, normalised, one per slice and contrast.
#[derive(Debug, Clone)]
pub struct ReaderInput {
    /// (slice, contrast, row, column).
    pub images: Array4<f32>,
    /// (slice, [x0, y0, x1, y1]) in pixels of the square; pixel `i` covers `[i, i + 1)`.
    pub boxes: Array2<f32>,
    /// Which slices of the locator's grid they are.
    pub slices: Vec<usize>,
}

impl Recipe {
    /// Contrasts without which no tensor can be made.
    pub fn required(&self) -> Vec<Contrast> {
        let mut all: Vec<Contrast> = self
            .locator
            .contrasts
            .iter()
            .chain(&self.reader.contrasts)
            .copied()
            .collect();
        all.push(self.anchor);
        all.sort();
        all.dedup();
        all
    }

    /// Measures the signals of a study, on so many threads.
    ///
    /// # Errors
    /// A contrast is missing.
    pub fn prepare<'a>(&'a self, study: &'a Study, threads: usize) -> Result<Prepared<'a>, Reason> {
        let contrasts = self.required();
        let measured = share(threads, contrasts.len(), |n| {
            let contrast = contrasts[n];
            let volume = study.volume(contrast).ok_or_else(|| missing_contrast(contrast))?;
            Ok((contrast, gain(volume)))
        })?;
        Ok(Prepared {
            recipe: self,
            study,
            gains: measured.into_iter().collect(),
            threads,
        })
    }
}

/// A study whose signals can be made comparable: what tensors are made of.
pub struct Prepared<'a> {
    recipe: &'a Recipe,
    study: &'a Study,
    /// What the signals of each contrast are multiplied with.
    gains: BTreeMap<Contrast, f32>,
    threads: usize,
}

impl Prepared<'_> {
    /// Whole slices for the locator.
    ///
    /// # Errors
    /// The anchor is not axial.
    pub fn locator_input(&self) -> Result<LocatorInput, Reason> {
        let recipe = &self.recipe.locator;
        let grid = self
            .study
            .axial_grid(self.recipe.anchor, recipe.pixel_mm, recipe.size)?;
        let volumes = self.normalised(&recipe.contrasts, std::slice::from_ref(&grid))?;
        let [slices, rows, columns] = grid.shape;
        let mut images = Array4::zeros((slices, volumes.len(), rows, columns));
        for (n, volume) in volumes.iter().enumerate() {
            images.index_axis_mut(Axis(1), n).assign(volume);
        }
        Ok(LocatorInput {
            grid,
            images,
            neighbours: recipe.neighbours,
        })
    }

    /// Squares around a lesion for the slice encoders.
    ///
    /// With more slices than `max_slices`, evenly spread ones are taken, first and last included.
    ///
    /// # Errors
    /// The anchor is not axial.
    pub fn reader_input(&self, lesion: &[SliceBox]) -> Result<ReaderInput, Reason> {
        let (recipe, locator) = (&self.recipe.reader, &self.recipe.locator);
        let whole = self
            .study
            .axial_grid(self.recipe.anchor, locator.pixel_mm, locator.size)?;
        let lesion = spread(lesion, recipe.max_slices);
        let (cx, cy) = middle(&lesion);
        let scale = locator.pixel_mm / recipe.pixel_mm;
        let half = recipe.size as f64 / 2.0;

        let contrasts = recipe.contrasts.len();
        let mut images = Array4::zeros((lesion.len(), contrasts, recipe.size, recipe.size));
        let mut boxes = Array2::zeros((lesion.len(), 4));
        let slices = lesion.iter().map(|part| part.slice).collect();
        let square = |part: &SliceBox| square_around(&whole, part.slice, cx, cy, recipe);
        let squares: Vec<Grid> = lesion.iter().map(square).collect();
        for (n, image) in self.normalised(&recipe.contrasts, &squares)?.iter().enumerate() {
            images
                .slice_mut(s![n / contrasts, n % contrasts, .., ..])
                .assign(&image.index_axis(Axis(0), 0));
        }
        for (n, part) in lesion.iter().enumerate() {
            let at = |v: f32, centre: f64| ((f64::from(v) - centre) * scale + half) as f32;
            let corners = [at(part.x0, cx), at(part.y0, cy), at(part.x1, cx), at(part.y1, cy)];
            for (i, corner) in corners.into_iter().enumerate() {
                boxes[[n, i]] = corner.clamp(0.0, recipe.size as f32);
            }
        }
        Ok(ReaderInput {
            images,
            boxes,
            slices,
        })
    }

    /// Contrasts on grids: all of the first grid, then all of the next.
    fn normalised(&self, contrasts: &[Contrast], grids: &[Grid]) -> Result<Vec<Array3<f32>>, Reason> {
        let jobs = grids.len() * contrasts.len();
        let normalise = |job: usize| {
            let (grid, contrast) = (&grids[job / contrasts.len()], contrasts[job % contrasts.len()]);
            let mut image = self.study.resample(contrast, grid)?;
            let gain = self
                .gains
                .get(&contrast)
                .ok_or_else(|| missing_contrast(contrast))?;
            image.mapv_inplace(|v| (v * gain).clamp(0.0, MAX_TISSUE_LEVELS) / MAX_TISSUE_LEVELS * 2.0);
            Ok(image)
        };
        share(self.threads, jobs, normalise)
    }
}

impl LocatorInput {
    /// One slice with its neighbours as channels: (slice − n: all contrasts, …, slice + n: all
    /// contrasts), the outermost slices repeated.
    pub fn stack(&self, slice: usize) -> Array3<f32> {
        let (slices, contrasts, rows, columns) = self.images.dim();
        let n = self.neighbours;
        let mut out = Array3::zeros((contrasts * (2 * n + 1), rows, columns));
        for step in 0..=2 * n {
            let from = (slice + step).saturating_sub(n).min(slices - 1);
            let block = step * contrasts..(step + 1) * contrasts;
            out.slice_mut(s![block, .., ..])
                .assign(&self.images.index_axis(Axis(0), from));
        }
        out
    }
}

/// Brighter voxels are cut off at this many times the mean tissue signal.
const MAX_TISSUE_LEVELS: f32 = 5.0;

/// What the signals are multiplied with.
///
/// MR signals have no unit; dividing by the level of tissue makes scanners, coils and gains comparable
/// without looking at any single structure.
fn gain(volume: &Volume) -> f32 {
    let level = tissue_level(volume.voxels.view());
    if level.is_finite() && level > 0.0 {
        1.0 / level
    } else {
        1.0
    }
}

fn spread(lesion: &[SliceBox], most: usize) -> Vec<SliceBox> {
    if lesion.len() <= most || most < 2 {
        return lesion.iter().take(most).copied().collect();
    }
    (0..most)
        .map(|i| lesion[i * (lesion.len() - 1) / (most - 1)])
        .collect()
}

/// Centre of the box around all parts, locator pixels.
fn middle(lesion: &[SliceBox]) -> (f64, f64) {
    let mut x = (f32::INFINITY, f32::NEG_INFINITY);
    let mut y = (f32::INFINITY, f32::NEG_INFINITY);
    for part in lesion {
        x = (x.0.min(part.x0), x.1.max(part.x1));
        y = (y.0.min(part.y0), y.1.max(part.y1));
    }
    (f64::from(x.0 + x.1) / 2.0, f64::from(y.0 + y.1) / 2.0)
}

/// One slice of `size` × `size` finer pixels whose centre lies at locator pixel (`cx`, `cy`).
fn square_around(whole: &Grid, slice: usize, cx: f64, cy: f64, recipe: &ReaderRecipe) -> Grid {
    let finer = |step: [f64; 3]| {
        let length = step.iter().map(|v| v * v).sum::<f64>().sqrt();
        step.map(|v| v / length * recipe.pixel_mm)
    };
    let (row_step, column_step) = (finer(whole.row_step), finer(whole.column_step));
    // A pixel's centre lies half a pixel behind its edge.
    let centre = whole.position(slice as f64, cy - 0.5, cx - 0.5);
    let back = (recipe.size as f64 - 1.0) / 2.0;
    let origin = std::array::from_fn(|a| centre[a] - back * (row_step[a] + column_step[a]));
    let shape = [1, recipe.size, recipe.size];
    Grid {
        origin,
        slice_step: whole.slice_step,
        row_step,
        column_step,
        shape,
    }
}
