//! Pictures of an examination for the result page.

use ndarray::{Array2, Array3, Axis};

use crate::limits::MAX_PICTURE_BYTES;
use crate::mr::{Contrast, Grid};
use crate::pictures::{Heat, Influence, Outline, Picture, Pictures};
use crate::study::Study;

/// Pixels per row and rows of a picture, the finest first; of 240 mm, the field of view of the protocol (Liu 2023),
/// the first are 0.94 mm wide.
const SIDES: [usize; 5] = [256, 192, 128, 96, 64];
/// ADC is shown from 0 to this, 1e-3 mm²/s; free water at 37 °C has about 3.
const ADC_WHITE: f32 = 3.0;
/// This share of the pixels may be whiter than white.
const SATURATED: f64 = 0.005;

/// A lesion's membership on the locator's grid: 1 inside, 0 outside, in between on the rim.
pub(super) struct Membership {
    pub(super) lesion: u32,
    pub(super) values: Array3<f32>,
}

/// What is there to be shown, besides the study itself.
pub(super) struct Subject {
    /// The grid whose slices and field of view are shown.
    pub(super) grid: Grid,
    /// The slice to look at first.
    pub(super) slice: usize,
    pub(super) lesions: Vec<Membership>,
    /// From which membership on a voxel is inside.
    pub(super) threshold: f32,
    /// The locator's probability on the grid.
    pub(super) heat: Option<Array3<f32>>,
    pub(super) influence: Vec<Influence>,
}

impl Subject {
    /// A study about which no model said anything: the middle slice first.
    pub(super) fn unexamined(grid: Grid) -> Self {
        Self {
            slice: grid.shape[0] / 2,
            grid,
            lesions: Vec::new(),
            threshold: 0.5,
            heat: None,
            influence: Vec::new(),
        }
    }

    /// The picture of every contrast on the slice to look at first, and nothing else.
    pub(super) fn first(&self, study: &Study) -> Pictures {
        let side = SIDES[0];
        let target = picture_grid(&self.grid, self.slice..self.slice + 1, side);
        let contrasts = Contrast::ALL.into_iter().filter_map(|contrast| {
            let image = study.resample(contrast, &target).ok()?;
            Some(picture(study, contrast, &image, white(contrast, &image)))
        });
        let mut outlines = self.outlines(self.slice, side);
        outlines.iter_mut().for_each(|outline| outline.slice = 0);
        Pictures {
            slices: 1,
            first_slice: self.slice,
            contrasts: contrasts.collect(),
            outlines,
            ..self.frame(side)
        }
    }

    /// Every contrast on every slice, the work shared among threads.
    pub(super) fn all(&self, study: &Study, threads: usize) -> Pictures {
        let slices = self.grid.shape[0];
        let bytes = |side: usize| side * side * slices * Contrast::ALL.len();
        let side = SIDES.into_iter().find(|side| bytes(*side) <= MAX_PICTURE_BYTES);
        let side = side.unwrap_or(SIDES[SIDES.len() - 1]);
        let key = picture_grid(&self.grid, self.slice..self.slice + 1, side);
        let target = picture_grid(&self.grid, 0..slices, side);
        let draw = |contrast: Contrast| {
            // White as on the first slice, so that nothing becomes brighter when the others arrive.
            let white = white(contrast, &study.resample(contrast, &key).ok()?);
            Some(picture(
                study,
                contrast,
                &study.resample(contrast, &target).ok()?,
                white,
            ))
        };
        let threads = threads.clamp(1, Contrast::ALL.len());
        let work = |first: usize| -> Vec<Option<Picture>> {
            Contrast::ALL
                .into_iter()
                .skip(first)
                .step_by(threads)
                .map(draw)
                .collect()
        };
        let work = &work;
        let parts: Vec<Vec<Option<Picture>>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|first| scope.spawn(move || work(first)))
                .collect();
            let own = work(0);
            // A thread that panicked leaves its contrasts out.
            let others = others.into_iter().map(|thread| thread.join().unwrap_or_default());
            std::iter::once(own).chain(others).collect()
        });
        let mut contrasts: Vec<Picture> = parts.into_iter().flatten().flatten().collect();
        contrasts.sort_by_key(|picture| picture.contrast);
        let heat = self.heat.as_ref().map(|probability| Heat {
            width: probability.dim().2,
            height: probability.dim().1,
            probability: probability
                .iter()
                .map(|p| (p * 255.0).round().clamp(0.0, 255.0) as u8)
                .collect(),
        });
        Pictures {
            slices,
            first_shown: self.slice,
            contrasts,
            outlines: (0..slices).flat_map(|slice| self.outlines(slice, side)).collect(),
            heat,
            influence: self.influence.clone(),
            ..self.frame(side)
        }
    }

    /// Sizes, and nothing in them.
    fn frame(&self, side: usize) -> Pictures {
        let [slice_mm, _, pixel_mm] = self.grid.spacing();
        Pictures {
            width: side,
            height: side,
            of: self.grid.shape[0],
            pixel_mm: pixel_mm * self.grid.shape[2] as f64 / side as f64,
            slice_mm,
            ..Pictures::default()
        }
    }

    fn outlines(&self, slice: usize, side: usize) -> Vec<Outline> {
        let lines = self.lesions.iter().flat_map(|lesion| {
            let plane = lesion.values.index_axis(Axis(0), slice).to_owned();
            contours(&plane, self.threshold)
                .into_iter()
                .map(|line| (lesion.lesion, line))
        });
        lines
            .map(|(lesion, line)| Outline {
                lesion,
                slice,
                points: to_picture(&line, &self.grid, side),
            })
            .collect()
    }
}

fn picture(study: &Study, contrast: Contrast, image: &Array3<f32>, white: f32) -> Picture {
    let grey = |v: &f32| (v / white * 255.0).clamp(0.0, 255.0) as u8;
    Picture {
        contrast,
        b_value: study.volume(contrast).and_then(|volume| volume.b_value),
        pixels: image.as_standard_layout().map(grey).into_raw_vec_and_offset().0,
    }
}

/// The planes of some slices with finer pixels, the same centre and the same field of view.
fn picture_grid(grid: &Grid, slices: std::ops::Range<usize>, side: usize) -> Grid {
    let ratio = grid.shape[2] as f64 / side as f64;
    let finer = |step: [f64; 3]| step.map(|v| v * ratio);
    let (row_step, column_step) = (finer(grid.row_step), finer(grid.column_step));
    let half = |n: usize| (n as f64 - 1.0) / 2.0;
    let centre = grid.position(slices.start as f64, half(grid.shape[1]), half(grid.shape[2]));
    let origin = std::array::from_fn(|a| centre[a] - half(side) * (row_step[a] + column_step[a]));
    Grid {
        origin,
        slice_step: grid.slice_step,
        row_step,
        column_step,
        shape: [slices.len(), side, side],
    }
}

/// From (column, row) of the grid to pixels of the picture, pixel centres at whole numbers.
fn to_picture(line: &[[f32; 2]], grid: &Grid, side: usize) -> Vec<[f32; 2]> {
    let half = |n: usize| (n as f64 - 1.0) / 2.0;
    let scale = side as f64 / grid.shape[2] as f64;
    let at = |v: f32, n: usize| ((f64::from(v) - half(n)) * scale + half(side)) as f32;
    line.iter()
        .map(|p| [at(p[0], grid.shape[2]), at(p[1], grid.shape[1])])
        .collect()
}

/// The signal that is shown white.
fn white(contrast: Contrast, image: &Array3<f32>) -> f32 {
    if contrast == Contrast::Adc {
        return ADC_WHITE;
    }
    let mut values: Vec<f32> = image.iter().copied().collect();
    let at = ((values.len() as f64 * (1.0 - SATURATED)) as usize).min(values.len() - 1);
    let (_, white, _) = values.select_nth_unstable_by(at, f32::total_cmp);
    white.max(f32::MIN_POSITIVE)
}

/// Closed lines where the field crosses `level` (marching squares), as (column, row).
///
/// The field is surrounded by zeros, so that every line closes.
fn contours(field: &Array2<f32>, level: f32) -> Vec<Vec<[f32; 2]>> {
    let (rows, columns) = field.dim();
    let value = |r: usize, c: usize| {
        let inside = (1..=rows).contains(&r) && (1..=columns).contains(&c);
        if inside { field[[r - 1, c - 1]] } else { 0.0 }
    };
    // Each cell edge is named by its lower corner and its direction: (row, column, 0 along the row
    // or 1 along the column). A line leaves every edge at most once, since inside stays on its left.
    let mut next = std::collections::BTreeMap::new();
    for r in 0..=rows {
        for c in 0..=columns {
            let corner = [value(r, c), value(r, c + 1), value(r + 1, c + 1), value(r + 1, c)];
            let above = corner.map(|v| v >= level);
            let edges = [(r, c, 0u8), (r, c + 1, 1), (r + 1, c, 0), (r, c, 1)];
            let crossing: Vec<usize> = (0..4).filter(|&e| above[e] != above[(e + 1) % 4]).collect();
            for &e in &crossing {
                // Going around the cell, the line enters where outside follows inside.
                if above[e] && !above[(e + 1) % 4] {
                    let leave = (1..4).map(|k| (e + k) % 4).find(|k| crossing.contains(k));
                    if let Some(leave) = leave {
                        next.insert(edges[e], edges[leave]);
                    }
                }
            }
        }
    }
    let point = |(r, c, direction): (usize, usize, u8)| {
        let (a, b) = (
            value(r, c),
            if direction == 0 {
                value(r, c + 1)
            } else {
                value(r + 1, c)
            },
        );
        let t = if a == b {
            0.5
        } else {
            ((level - a) / (b - a)).clamp(0.0, 1.0)
        };
        let (dx, dy) = if direction == 0 { (t, 0.0) } else { (0.0, t) };
        [c as f32 - 1.0 + dx, r as f32 - 1.0 + dy]
    };
    let mut lines = Vec::new();
    while let Some((start, mut edge)) = next.pop_first() {
        let mut line = vec![point(start)];
        while edge != start {
            line.push(point(edge));
            match next.remove(&edge) {
                Some(following) => edge = following,
                None => break,
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(line: &[[f32; 2]]) -> f32 {
        let n = line.len();
        (0..n)
            .map(|i| line[i][0] * line[(i + 1) % n][1] - line[(i + 1) % n][0] * line[i][1])
            .sum::<f32>()
            .abs()
            / 2.0
    }

    #[test]
    fn a_disc_gives_one_closed_line_of_its_area() {
        let field = Array2::from_shape_fn((40, 40), |(r, c)| {
            let d = ((r as f32 - 20.0).powi(2) + (c as f32 - 18.0).powi(2)).sqrt();
            (10.5 - d).clamp(0.0, 1.0)
        });
        let lines = contours(&field, 0.5);
        assert_eq!(lines.len(), 1);
        assert!((area(&lines[0]) - std::f32::consts::PI * 100.0).abs() < 5.0);
    }

    #[test]
    fn two_blobs_a_hole_and_the_picture_edge_all_close() {
        let mut field = Array2::zeros((20, 20));
        field.slice_mut(ndarray::s![0..4, 0..4]).fill(1.0); // at the corner of the picture
        field.slice_mut(ndarray::s![8..16, 8..16]).fill(1.0);
        field.slice_mut(ndarray::s![11..13, 11..13]).fill(0.0); // a hole
        field[[5, 5]] = 1.0; // touches nothing but a diagonal
        field[[4, 4]] = 1.0;
        let lines = contours(&field, 0.5);
        assert!(lines.len() >= 3, "{} lines", lines.len());
        for line in &lines {
            let (first, last) = (line[0], line[line.len() - 1]);
            let gap = ((first[0] - last[0]).powi(2) + (first[1] - last[1]).powi(2)).sqrt();
            assert!(gap <= 1.5, "gap of {gap} pixels");
        }
    }
}
