//! Whether a volume shows a head: a bottle, a fruit or a knee must not be answered.
//!
//! What is asked holds for a head at any contrast and field strength: its size, that its inside is
//! varied (a bottle's is not), that its right mirrors its left, and that it is longer than wide or
//! at least has a front unlike its back (a fruit has neither).

use super::outline::{EDGE_MM, Outline, Toward};
use crate::limits::{
    HEAD_DEPTH_MM, HEAD_WIDTH_MM, MIN_HEAD_DEPTH_TO_WIDTH, MIN_HEAD_FIELD_MM, MIN_HEAD_MIRROR,
    MIN_HEAD_MIRROR_LEAD, MIN_HEAD_TEXTURE, MIN_LONG_DEPTH_TO_WIDTH,
};
use crate::mr::{Grid, Volume};
use crate::study::image::{Reduced, quantile};
use crate::study::interpolation::Interpolation;
use crate::study::resample::moved;

/// Slices with less of a body than this are its very top, cm².
const MIN_AREA_CM2: f64 = 40.0;
/// Only so much from the top counts, mm: what lies further down may be shoulders.
const TOP_MM: f64 = 140.0;
/// A body's edge is cut off by the field of view from this contact on, mm.
pub(super) const CUT_MM: f64 = 40.0;

/// What tells a head from other things.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Looks {
    /// From right to left, mm.
    pub width_mm: f64,
    /// From front to back, mm.
    pub depth_mm: f64,
    /// Whether the field of view cuts the front or the back.
    pub depth_cut: bool,
    /// Whether it cuts the right or the left.
    pub width_cut: bool,
    /// Median over the inside of standard deviation over mean within 2 cm.
    pub texture: f64,
    /// Correlation with the mirror image at the best plane between right and left.
    pub mirror: f64,
    /// The same between front and back.
    pub mirror_front_back: f64,
}

/// Whether the field of view is large enough to tell.
pub(super) fn can_tell(outline: &Outline) -> bool {
    let field = outline.grid.shape.map(|n| n as f64 * EDGE_MM);
    (0..3).all(|a| field[a] >= MIN_HEAD_FIELD_MM[a])
}

/// Looks at a body; none where it is smaller than any slice of a head.
pub(super) fn looks(outline: &Outline) -> Option<Looks> {
    let slices = outline.slices(MIN_AREA_CM2);
    let top = *slices.last()?;
    let slices: Vec<usize> = slices
        .into_iter()
        .filter(|z| (top - z) as f64 * EDGE_MM <= TOP_MM)
        .collect();
    let largest = |axis: usize| {
        let extents = slices.iter().map(|z| outline.extent_mm(*z)[axis] as f32);
        f64::from(quantile(extents.collect(), 0.9))
    };
    let cut = |toward: Toward| {
        let touching = slices.iter().filter(|z| outline.cut_mm(**z, toward) >= CUT_MM);
        2 * touching.count() > slices.len()
    };
    let [mirror, mirror_front_back] = mirrors(outline, &slices);
    let looks = Looks {
        width_mm: largest(0),
        depth_mm: largest(1),
        depth_cut: cut(Toward::Front) || cut(Toward::Back),
        width_cut: cut(Toward::Right) || cut(Toward::Left),
        texture: texture(outline, &slices),
        mirror,
        mirror_front_back,
    };
    tracing::debug!(?looks, slices = slices.len(), "looks");
    Some(looks)
}

impl Looks {
    /// What speaks against a head, in words; none when nothing does.
    pub fn against(&self) -> Option<String> {
        let (width, depth) = (self.width_mm, self.depth_mm);
        let size = |name: &str, mm: f64, [low, high]: [f64; 2], cut: bool| {
            let small = mm < low && !cut;
            (small || mm > high)
                .then(|| format!("it is {mm:.0} mm {name}, a head is {low:.0} to {high:.0} mm"))
        };
        size("wide", width, HEAD_WIDTH_MM, self.width_cut)
            .or_else(|| size("deep from front to back", depth, HEAD_DEPTH_MM, self.depth_cut))
            .or_else(|| {
                let flat = depth < MIN_HEAD_DEPTH_TO_WIDTH * width && !self.depth_cut;
                flat.then(|| format!("it is {width:.0} mm wide and only {depth:.0} mm deep"))
            })
            .or_else(|| {
                (self.texture < MIN_HEAD_TEXTURE).then(|| {
                    format!(
                        "its inside is even (variation {:.0} %, a head has at least {:.0} %), as of a bottle",
                        100.0 * self.texture,
                        100.0 * MIN_HEAD_TEXTURE
                    )
                })
            })
            .or_else(|| {
                // Half a head mirrors nothing.
                (self.mirror < MIN_HEAD_MIRROR && !self.width_cut).then(|| {
                    format!("its right does not mirror its left (correlation {:.2})", self.mirror)
                })
            })
            .or_else(|| {
                let lead = self.mirror - self.mirror_front_back;
                let round = depth < MIN_LONG_DEPTH_TO_WIDTH * width && !self.depth_cut && !self.width_cut;
                (round && lead < MIN_HEAD_MIRROR_LEAD).then(|| {
                    format!(
                        "it is round, and its front mirrors its back (correlation {:.2}) as its right its left ({:.2})",
                        self.mirror_front_back, self.mirror
                    )
                })
            })
    }
}

/// How varied the inside is, on the scale of organs and free of the coil's shading.
fn texture(outline: &Outline, slices: &[usize]) -> f64 {
    /// Half the window, cubes: windows of 2 cm.
    const REACH: usize = 2;
    let [_, rows, columns] = outline.grid.shape;
    let mut all = Vec::new();
    for &z in slices {
        for y in REACH..rows.saturating_sub(REACH) {
            for x in REACH..columns.saturating_sub(REACH) {
                let window = |y: usize, x: usize| {
                    (y - REACH..=y + REACH).flat_map(move |y| (x - REACH..=x + REACH).map(move |x| [z, y, x]))
                };
                if !window(y, x).all(|at| outline.body[at]) {
                    continue;
                }
                let count = ((2 * REACH + 1) * (2 * REACH + 1)) as f32;
                let sum: f32 = window(y, x).map(|at| outline.signal[at]).sum();
                let mean = sum / count;
                let square: f32 = window(y, x).map(|at| (outline.signal[at] - mean).powi(2)).sum();
                if mean > 0.0 {
                    all.push((square / count).sqrt() / mean);
                }
            }
        }
    }
    f64::from(quantile(all, 0.5))
}

/// The best correlations with the mirror image across planes between right and left, and between
/// front and back.
fn mirrors(outline: &Outline, slices: &[usize]) -> [f64; 2] {
    /// Edge of the cubes for this, mm: no head is symmetric in detail.
    const COARSE_MM: f64 = 8.0;
    /// Of so many cubes along each axis one is asked at first.
    const SPARSE: usize = 2;
    /// Planes that are looked at closely then.
    const PROMISING: usize = 24;
    /// A few very bright cubes are not to decide.
    const BRIGHTEST: f64 = 0.95;
    let (Some(&bottom), Some(&top)) = (slices.first(), slices.last()) else {
        return [0.0; 2];
    };
    let inside: Vec<f32> = outline
        .signal
        .iter()
        .zip(&outline.body)
        .filter(|(_, b)| **b)
        .map(|(v, _)| *v)
        .collect();
    let brightest = quantile(inside, BRIGHTEST);
    let mut masked = outline.signal.clone();
    masked.zip_mut_with(&outline.body, |v, b| *v = if *b { v.min(brightest) } else { 0.0 });
    let part = masked.slice(ndarray::s![bottom..=top, .., ..]).to_owned();
    let grid = Grid {
        origin: outline.grid.position(bottom as f64, 0.0, 0.0),
        shape: [part.dim().0, part.dim().1, part.dim().2],
        ..outline.grid.clone()
    };
    let volume = Volume {
        contrast: crate::mr::Contrast::T1,
        b_value: None,
        grid,
        voxels: part,
    };
    let image = Reduced::of(&volume, COARSE_MM);
    let middle = middle(&image);
    let best = |front_back: bool| {
        let mut planes = Vec::new();
        for yaw in -4..=4 {
            for roll in -2..=2 {
                let (yaw, roll) = (f64::from(yaw) * 6.0, f64::from(roll) * 7.0);
                let (sin, cos) = yaw.to_radians().sin_cos();
                let (up, along) = roll.to_radians().sin_cos();
                let normal = if front_back {
                    [-sin * along, cos * along, up]
                } else {
                    [cos * along, sin * along, up]
                };
                for offset in -4..=4 {
                    let offset = f64::from(offset) * 4.0;
                    planes.push((mirrored(&image, middle, normal, offset, SPARSE), normal, offset));
                }
            }
        }
        // Every second cube tells which planes are worth all of them.
        planes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let promising = planes.iter().take(PROMISING);
        promising
            .map(|(_, normal, offset)| mirrored(&image, middle, *normal, *offset, 1))
            .fold(-1.0, f64::max)
    };
    [best(false), best(true)]
}

/// Correlation of an image with its mirror image, where either is more than air, at one of `every` voxels along each axis.
fn mirrored(image: &Reduced, middle: [f64; 3], normal: [f64; 3], offset: f64, every: usize) -> f64 {
    let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let across = |p: [f64; 3]| {
        let height = (0..3).map(|i| (p[i] - middle[i]) * normal[i]).sum::<f64>() - offset;
        image
            .grid
            .index_of(std::array::from_fn(|i| p[i] - 2.0 * height * normal[i]))
    };
    // The mirror image of an index is affine in it.
    let base = across(image.grid.position(0.0, 0.0, 0.0));
    let [along_z, along_y, along_x]: [[f64; 3]; 3] = std::array::from_fn(|axis| {
        let unit = |i: usize| if i == axis { 1.0 } else { 0.0 };
        let end = across(image.grid.position(unit(0), unit(1), unit(2)));
        std::array::from_fn(|a| end[a] - base[a])
    });
    let mirror = Interpolation::of(&image.voxels);
    for (z, slice) in image.voxels.outer_iter().enumerate().step_by(every) {
        let in_slice = moved(base, z as f64, along_z);
        for (y, row) in slice.outer_iter().enumerate().step_by(every) {
            let in_row = moved(in_slice, y as f64, along_y);
            for (x, value) in row.iter().enumerate().step_by(every) {
                let (u, v) = (*value, mirror.at(moved(in_row, x as f64, along_x)));
                if u > 0.0 || v > 0.0 {
                    let (u, v) = (f64::from(u), f64::from(v));
                    n += 1.0;
                    a += u;
                    b += v;
                    aa += u * u;
                    bb += v * v;
                    ab += u * v;
                }
            }
        }
    }
    let spread = ((n * aa - a * a) * (n * bb - b * b)).sqrt();
    if spread > 0.0 {
        (n * ab - a * b) / spread
    } else {
        0.0
    }
}

/// Middle of the box around what is not air.
fn middle(image: &Reduced) -> [f64; 3] {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for ((z, y, x), _) in image.voxels.indexed_iter().filter(|(_, v)| **v > 0.0) {
        let p = image.grid.position(z as f64, y as f64, x as f64);
        for a in 0..3 {
            low[a] = low[a].min(p[a]);
            high[a] = high[a].max(p[a]);
        }
    }
    std::array::from_fn(|a| (low[a] + high[a]) / 2.0)
}
