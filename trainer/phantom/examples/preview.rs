//! Six contrasts of one slice as a PNG: `cargo run --release -p phantom --example preview -- SEED DIAGNOSIS FILE [SLICE]`.
//! The slice is the tumour's largest unless given; the truth is outlined in the seventh and eighth panel.

use std::fs::File;
use std::io::BufWriter;

use ndarray::Axis;
use phantom::{Diagnosis, Patient, Volume, simulate};

const PANEL: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [seed, diagnosis, file, ..] = words.as_slice() else {
        return Err("preview SEED DIAGNOSIS FILE [SLICE]".into());
    };
    let patient = Patient::draw(seed.parse()?, Some(diagnosis.parse::<Diagnosis>()?));
    let start = std::time::Instant::now();
    let study = simulate(&patient);
    println!("simulated in {:.2?}", start.elapsed());
    println!("{}", serde_json::to_string_pretty(&study.truth)?);
    let areas: Vec<usize> = study
        .mask
        .axis_iter(Axis(0))
        .map(|s| s.iter().filter(|v| **v > 0).count())
        .collect();
    let largest = areas.iter().max().copied().unwrap_or(0);
    let default = if largest > 0 {
        areas.iter().position(|a| *a == largest)
    } else {
        Some(11)
    };
    let slice = match words.get(3) {
        Some(word) => word.parse()?,
        None => default.unwrap_or(11),
    };
    let (width, height) = (4 * PANEL, 2 * PANEL);
    let mut picture = vec![0u8; width * height * 3];
    let grid = *study.mask_grid();
    for panel in 0..8 {
        let (left, top) = (panel % 4 * PANEL, panel / 4 * PANEL);
        let (volume, outline) = match panel {
            6 => (&study.volumes[1], true),
            7 => (&study.volumes[5], true),
            v => (&study.volumes[v], false),
        };
        let white = white_level(volume, slice);
        for y in 0..PANEL {
            for x in 0..PANEL {
                let row = y as f64 / PANEL as f64 * grid.shape[1] as f64;
                let column = x as f64 / PANEL as f64 * grid.shape[2] as f64;
                let value = at(volume, grid.position(slice as f64, row, column));
                let grey = (255.0 * value / white).clamp(0.0, 255.0) as u8;
                let (r, c) = (row as usize, column as usize);
                let edge = outline && {
                    let m = |r: usize, c: usize| study.mask.get([slice, r, c]).copied().unwrap_or(0);
                    m(r, c) != m(r + 1, c) || m(r, c) != m(r, c + 1)
                };
                let out = 3 * ((top + y) * width + left + x);
                picture[out..out + 3].copy_from_slice(&if edge { [255, 60, 60] } else { [grey; 3] });
            }
        }
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&picture)?;
    Ok(())
}

/// The 99.3rd percentile of the slice; fixed for ADC.
fn white_level(volume: &Volume, slice: usize) -> f64 {
    if volume.contrast == phantom::Contrast::Adc {
        return 2800.0;
    }
    let mut values: Vec<u16> = volume.voxels.index_axis(Axis(0), slice).iter().copied().collect();
    values.sort_unstable();
    f64::from(values[values.len() * 993 / 1000]).max(1.0)
}

/// Nearest voxel along the slices, linear within.
fn at(volume: &Volume, p: [f64; 3]) -> f64 {
    let g = &volume.grid;
    let along = |step: [f64; 3]| {
        let n: f64 = step.iter().map(|x| x * x).sum();
        (0..3).map(|a| (p[a] - g.origin[a]) * step[a]).sum::<f64>() / n
    };
    let (s, r, c) = (
        along(g.slice_step).round(),
        along(g.row_step),
        along(g.column_step),
    );
    let inside = |x: f64, n: usize| x >= 0.0 && x <= (n - 1) as f64;
    if !inside(s, g.shape[0]) || !inside(r, g.shape[1]) || !inside(c, g.shape[2]) {
        return 0.0;
    }
    let (r0, c0) = (r.floor(), c.floor());
    let v = |dr: usize, dc: usize| {
        let at = [
            s as usize,
            (r0 as usize + dr).min(g.shape[1] - 1),
            (c0 as usize + dc).min(g.shape[2] - 1),
        ];
        f64::from(volume.voxels[at])
    };
    let (fr, fc) = (r - r0, c - c0);
    (v(0, 0) * (1.0 - fc) + v(0, 1) * fc) * (1.0 - fr) + (v(1, 0) * (1.0 - fc) + v(1, 1) * fc) * fr
}
