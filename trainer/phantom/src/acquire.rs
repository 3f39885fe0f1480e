//! From a head to the voxels of six volumes: each series samples the head on its own grid, with
//! partial volume; `artefact` does the rest.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::anatomy;
use crate::artefact::{Distortion, Look, Plane, Slow};
use crate::dice::{Dice, Purpose};
use crate::head::RealHead;
use crate::patient::Patient;
use crate::scene::{Gives, MAX_LESIONS, Sample, Scene};
use crate::sequence::{Sequence, T1_TSE, T2_TSE, resolve, signal, vibe};
use crate::space::{Rotation, add, scale};
use crate::tissue::{self, Substance};

/// The contrasts of one examination, by the names of the project's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Contrast {
    /// T1-weighted without contrast agent.
    T1,
    /// T2-weighted, fat-suppressed.
    T2,
    /// T1-weighted with contrast agent, fat-suppressed.
    #[serde(rename = "CE-T1")]
    CeT1,
    /// Diffusion series, b = 0.
    #[serde(rename = "DWI-b0")]
    DwiB0,
    /// Diffusion series, b = 1000 s/mm², trace.
    #[serde(rename = "DWI")]
    Dwi,
    /// Apparent diffusion coefficient.
    #[serde(rename = "ADC")]
    Adc,
}

/// Where voxels are: an affine map from indices to patient millimetres (LPS).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Centre of voxel (0, 0, 0), mm.
    pub origin: [f64; 3],
    /// From one slice to the next, toward the head, mm.
    pub slice_step: [f64; 3],
    /// From one row to the next, toward the back, mm.
    pub row_step: [f64; 3],
    /// From one column to the next, toward the left, mm.
    pub column_step: [f64; 3],
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// Thickness of a slice without the gap, mm.
    pub thickness_mm: f64,
}

impl Grid {
    /// Patient millimetres of a voxel centre; indices may be fractional.
    pub fn position(&self, slice: f64, row: f64, column: f64) -> [f64; 3] {
        std::array::from_fn(|a| {
            self.origin[a]
                + slice * self.slice_step[a]
                + row * self.row_step[a]
                + column * self.column_step[a]
        })
    }

    fn placed(patient: &Patient, shape: [usize; 3], step_mm: [f64; 3], thickness_mm: f64) -> Self {
        let [rx, ry, rz] = patient.scan.tilt;
        let axes = Rotation::about_axes(rx, ry, rz);
        let along = |axis: usize, mm: f64| -> [f64; 3] {
            let mut e = [0.0; 3];
            e[axis] = 1.0;
            let e = axes.apply(e).map(f64::from);
            // Renormalised, since direction cosines are written with more digits than f32 carries.
            let n = e.iter().map(|x| x * x).sum::<f64>().sqrt();
            e.map(|x| x / n * mm)
        };
        let mut grid = Grid {
            origin: [0.0; 3],
            slice_step: along(2, step_mm[0]),
            row_step: along(1, step_mm[1]),
            column_step: along(0, step_mm[2]),
            shape,
            thickness_mm,
        };
        let half = |n: usize| (n as f64 - 1.0) / 2.0;
        let middle = grid.position(half(shape[0]), half(shape[1]), half(shape[2]));
        grid.origin = std::array::from_fn(|a| f64::from(patient.scan.centre[a]) - middle[a]);
        grid
    }

    /// T1, T2 and CE-T1: 24 slices of 3.5 mm every 3.85 mm, 320 × 320 pixels of 0.75 mm.
    pub fn structural(patient: &Patient) -> Self {
        Grid::placed(patient, [24, 320, 320], [3.85, 0.75, 0.75], 3.5)
    }

    /// Diffusion: 24 slices of 4 mm every 4.1 mm, 110 × 115 pixels of 2 mm.
    pub fn diffusion(patient: &Patient) -> Self {
        Grid::placed(patient, [24, 110, 115], [4.1, 2.0, 2.0], 4.0)
    }
}

/// One volume as the scanner stores it.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Which.
    pub contrast: Contrast,
    /// s/mm², for diffusion.
    pub b_value: Option<f32>,
    /// Where.
    pub grid: Grid,
    /// (slice, row, column); ADC in 1e-6 mm²/s, the rest in arbitrary units.
    pub voxels: Array3<u16>,
}

/// Voxels and truth mask of one examination.
pub(crate) struct Acquired {
    /// T1, T2, CE-T1, b0, b1000, ADC.
    pub volumes: Vec<Volume>,
    /// On the grid of T2: 0 or the number of the lesion.
    pub mask: Array3<u8>,
}

/// The largest stored value: twelve bits, as scanners write.
const MAX_STORED: f32 = 4095.0;
/// b-value of the diffusion-weighted volume, s/mm².
pub(crate) const HIGH_B: f32 = 1000.0;
/// ADC is written as 0 where b0 does not rise above this many noise deviations.
const ADC_FLOOR: f32 = 4.0;
/// Edge of the tiles for which nearby parts are listed, pixels.
const TILE: usize = 16;

/// Examines a drawn head, or a real one.
pub(crate) fn acquire(patient: &Patient, real: Option<&RealHead>) -> Acquired {
    let mut scene = match real {
        Some(real) => anatomy::head_on(patient, real),
        None => anatomy::head(patient),
    };
    let (structural, diffusion) = (Grid::structural(patient), Grid::diffusion(patient));
    let scan = &patient.scan;
    let [first, second, third] = scan.movement;
    let ce = vibe(scan.minutes);
    let shift = scene.shift;
    let together = first == second;
    let mut mask = Array3::zeros(structural.shape);

    scene.shift = add(shift, first);
    let sequences: &[Sequence] = if together {
        &[T1_TSE, T2_TSE, ce]
    } else {
        &[T1_TSE, T2_TSE]
    };
    let mut volumes = expose(patient, &scene, structural, sequences, Some(&mut mask));
    if !together {
        scene.shift = add(shift, second);
        volumes.extend(expose(patient, &scene, structural, &[ce], None));
    }
    scene.shift = add(shift, third);
    volumes.extend(expose(
        patient,
        &scene,
        diffusion,
        &[resolve(0.0), resolve(HIGH_B)],
        None,
    ));
    let adc = adc(patient, &volumes[3], &volumes[4]);
    volumes.push(adc);
    Acquired { volumes, mask }
}

fn palette(patient: &Patient, scene: &Scene, sequences: &[Sequence]) -> Vec<Gives> {
    let field = patient.scan.field;
    scene
        .materials
        .iter()
        .map(|m| {
            let mut gives = Gives::default();
            for (i, s) in [m.main, m.other].iter().enumerate() {
                if s.fat {
                    gives.fat[i] = 1.0;
                } else {
                    for (v, &sequence) in sequences.iter().enumerate() {
                        gives.water[i][v] = signal(s, sequence, field);
                    }
                }
            }
            gives
        })
        .collect()
}

/// Which series of the examination a sequence is: its place in `Scan::snr` and its noise stream.
fn place(sequence: Sequence) -> usize {
    match sequence {
        s if s == T1_TSE => 0,
        Sequence::SpinEcho { .. } => 1,
        Sequence::SpoiledGradientEcho { .. } => 2,
        Sequence::Diffusion { b: 0.0, .. } => 3,
        Sequence::Diffusion { .. } => 4,
    }
}

const CONTRASTS: [Contrast; 5] = [
    Contrast::T1,
    Contrast::T2,
    Contrast::CeT1,
    Contrast::DwiB0,
    Contrast::Dwi,
];

/// One pass over the head: up to three volumes on one grid with one head position.
fn expose(
    patient: &Patient,
    scene: &Scene,
    grid: Grid,
    sequences: &[Sequence],
    mut mask: Option<&mut Array3<u8>>,
) -> Vec<Volume> {
    let scan = &patient.scan;
    let [slices, rows, columns] = grid.shape;
    let planar = matches!(sequences[0], Sequence::Diffusion { .. });
    let palette = palette(patient, scene, sequences);
    let mut plane = Plane {
        water: vec![[0.0; 3]; rows * columns],
        fat: vec![0.0; rows * columns],
    };
    let mut volumes: Vec<Volume> = sequences
        .iter()
        .map(|&s| Volume {
            contrast: CONTRASTS[place(s)],
            b_value: if let Sequence::Diffusion { b, .. } = s {
                Some(b)
            } else {
                None
            },
            grid,
            voxels: Array3::zeros(grid.shape),
        })
        .collect();
    let mut dice: Vec<Dice> = sequences
        .iter()
        .map(|&s| Dice::new(patient.seed, Purpose::Noise(place(s) as u64)))
        .collect();
    let field = Distortion::of(patient, planar);
    for slice in 0..slices {
        scene.expose_slice(&grid, slice, &palette, &field, &mut plane, mask.as_deref_mut());
        let slow = Slow::over(patient, scene, &grid, slice, &plane);
        for (v, &sequence) in sequences.iter().enumerate() {
            let which = place(sequence);
            let look = Look {
                fat: signal(&tissue::FAT, sequence, scan.field),
                suppressed: which != 0,
                noise: noise_level(patient, sequence),
                ghost: scan.ghost[usize::from(planar)],
                brightness: scan.gain / REFERENCE[which],
                fat_shift: FAT_SHIFT[which],
                planar,
            };
            let image = look.develop(&grid, v, &plane, &slow, &mut dice[v]);
            let mut out = volumes[v].voxels.index_axis_mut(ndarray::Axis(0), slice);
            for (stored, value) in out.iter_mut().zip(image) {
                *stored = value.round().clamp(0.0, MAX_STORED) as u16;
            }
        }
    }
    volumes
}

/// Signal that is written at the patient's gain: typical bright tissue of each sequence.
const REFERENCE: [f32; 5] = [0.75, 0.5, 0.075, 0.6, 0.6];
/// Fat lies this many columns (structural) or rows (echo-planar) off; a guess from usual bandwidths.
const FAT_SHIFT: [usize; 5] = [1, 1, 0, 4, 4];

fn noise_level(patient: &Patient, sequence: Sequence) -> f32 {
    let scan = &patient.scan;
    let of = |s: &Substance| signal(s, sequence, scan.field);
    match place(sequence) {
        0 => of(&tissue::FAT) / scan.snr[0],
        1 => of(&tissue::MUCOSA) / scan.snr[1],
        2 => of(&tissue::MUCOSA) / scan.snr[2],
        // Both b-values share their noise.
        _ => signal(&tissue::PAROTID, resolve(0.0), scan.field) / scan.snr[3],
    }
}

impl Scene {
    fn expose_slice(
        &self,
        grid: &Grid,
        slice: usize,
        palette: &[Gives],
        field: &Distortion,
        plane: &mut Plane,
        mut mask: Option<&mut Array3<u8>>,
    ) {
        let [_, rows, columns] = grid.shape;
        let f32s = |v: [f64; 3]| v.map(|x| x as f32);
        let origin = f32s(grid.position(slice as f64, 0.0, 0.0));
        let (down, across) = (f32s(grid.row_step), f32s(grid.column_step));
        let pixel = across.iter().map(|x| x * x).sum::<f32>().sqrt();
        let normal = f32s(grid.slice_step);
        let step = normal.iter().map(|x| x * x).sum::<f32>().sqrt();
        // Two sheets per slice carry the partial volume through it.
        let sheet = scale(normal, 0.27 * grid.thickness_mm as f32 / step);
        let phase = scale(down, 1.0 / pixel);
        let reach = 0.71 * TILE as f32 * pixel + grid.thickness_mm as f32;
        let mut near = Vec::new();
        for top in (0..rows).step_by(TILE) {
            for start in (0..columns).step_by(TILE) {
                let half = TILE as f32 / 2.0;
                let middle = add(
                    add(origin, scale(down, top as f32 + half)),
                    scale(across, start as f32 + half),
                );
                let inside = self.near(middle, reach + field.reach_mm(), &mut near);
                for row in top..(top + TILE).min(rows) {
                    for column in start..(start + TILE).min(columns) {
                        let at = row * columns + column;
                        if !inside {
                            (plane.water[at], plane.fat[at]) = ([0.0; 3], 0.0);
                            continue;
                        }
                        let p = add(add(origin, scale(down, row as f32)), scale(across, column as f32));
                        let mut sample = Sample::default();
                        let mut stretch = 1.0;
                        for side in [-1.0, 1.0] {
                            let q = add(p, scale(sheet, side));
                            let mut head = self.to_head(q);
                            if !field.wells.is_empty() {
                                let here = field.shift(head);
                                let next = field.shift(add(head, phase));
                                // Signal piles up where the shift falls, thins where it grows.
                                stretch = (1.0 + next - here).clamp(0.4, 1.8);
                                head = add(head, scale(phase, here));
                            }
                            self.sample(head, pixel * 1.1, &near, palette, &mut sample);
                        }
                        plane.water[at] = sample.water.map(|s| 0.5 * s * stretch);
                        plane.fat[at] = 0.5 * sample.fat * stretch;
                        if let Some(mask) = mask.as_deref_mut() {
                            mask[[slice, row, column]] = label(&sample.lesion);
                        }
                    }
                }
            }
        }
    }
}

/// The lesion that fills most of a sample of two sheets, if lesions fill half of it.
fn label(shares: &[f32; MAX_LESIONS]) -> u8 {
    let total: f32 = shares.iter().sum();
    if total < 1.0 {
        return 0;
    }
    let mut best = 0;
    for (i, share) in shares.iter().enumerate() {
        if *share > shares[best] {
            best = i;
        }
    }
    best as u8 + 1
}

/// ADC as a scanner computes it, from the two noisy volumes; 1e-6 mm²/s.
fn adc(patient: &Patient, low: &Volume, high: &Volume) -> Volume {
    let b = high.b_value.unwrap_or(HIGH_B) - low.b_value.unwrap_or(0.0);
    let noise = noise_level(patient, resolve(0.0)) * patient.scan.gain / REFERENCE[3];
    let floor = ADC_FLOOR * noise;
    let mut voxels = Array3::zeros(low.grid.shape);
    ndarray::Zip::from(&mut voxels)
        .and(&low.voxels)
        .and(&high.voxels)
        .for_each(|out, &s0, &s1| {
            let (s0, s1) = (f32::from(s0), f32::from(s1).max(1.0));
            if s0 > floor {
                *out = (1e6 * (s0 / s1).ln() / b).round().clamp(0.0, MAX_STORED) as u16;
            }
        });
    Volume {
        contrast: Contrast::Adc,
        b_value: None,
        grid: low.grid,
        voxels,
    }
}
