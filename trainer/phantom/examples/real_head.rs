//! Looks at a real head without a DICOM reader: `cargo run --release -p phantom --example real_head -- HEAD.raw SEED DIAGNOSIS OUT`.
//! HEAD.raw begins with five lines of text: slices rows columns; origin; slice step; row step; column step
//! (mm, LPS); then little-endian f32 voxels. OUT/ gets the study, each contrast as raw u16, the mask, and where
//! the glands are on a lattice of 1.5 mm. Never into the project: faces can be recognised.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ndarray::Array3;
use phantom::{Diagnosis, Grid, HeadScan, Patient, RealHead, simulate_on, write_simulated};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, seed, diagnosis, out] = words.as_slice() else {
        return Err("real_head HEAD.raw SEED DIAGNOSIS OUT".into());
    };
    let out = PathBuf::from(out);
    fs::create_dir_all(&out)?;
    let start = Instant::now();
    let scan = read(&fs::read(file)?)?;
    let head = RealHead::find(&scan)?;
    println!(
        "found in {:.1?}: fit {:.3}, fat suppressed: {}",
        start.elapsed(),
        head.fit(),
        head.fat_suppressed()
    );
    for gland in head.glands() {
        println!("{gland:?}");
    }
    glands(&scan, &head, &out)?;
    let patient = Patient::draw(seed.parse()?, Some(diagnosis.parse::<Diagnosis>()?));
    let start = Instant::now();
    let study = simulate_on(&patient, &head);
    println!("simulated in {:.1?}", start.elapsed());
    println!("{}", serde_json::to_string(&study.truth)?);
    write_simulated(&study, &out.join("study"))?;
    for volume in &study.volumes {
        let bytes: Vec<u8> = volume.voxels.iter().flat_map(|v| v.to_le_bytes()).collect();
        let [s, r, c] = volume.grid.shape;
        fs::write(out.join(format!("{:?}_{s}_{r}_{c}.u16", volume.contrast)), bytes)?;
    }
    fs::write(
        out.join("mask.u8"),
        study.mask.iter().copied().collect::<Vec<u8>>(),
    )?;
    Ok(())
}

fn read(bytes: &[u8]) -> Result<HeadScan, Box<dyn std::error::Error>> {
    let mut rest = bytes;
    let mut line = || -> Result<Vec<f64>, Box<dyn std::error::Error>> {
        let end = rest.iter().position(|b| *b == b'\n').ok_or("header ends early")?;
        let text = std::str::from_utf8(&rest[..end])?;
        rest = &rest[end + 1..];
        Ok(text.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    };
    let shape = line()?;
    let mut vector = || -> Result<[f64; 3], Box<dyn std::error::Error>> {
        line()?.try_into().map_err(|_| "three numbers expected".into())
    };
    let (origin, slice_step, row_step, column_step) = (vector()?, vector()?, vector()?, vector()?);
    let shape = [shape[0] as usize, shape[1] as usize, shape[2] as usize];
    let values = rest
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(HeadScan {
        grid: Grid {
            origin,
            slice_step,
            row_step,
            column_step,
            shape,
            thickness_mm: slice_step.iter().map(|x| x * x).sum::<f64>().sqrt(),
        },
        voxels: Array3::from_shape_vec(shape, values.collect())?,
        anatomy: "example".to_owned(),
    })
}

fn glands(scan: &HeadScan, head: &RealHead, out: &std::path::Path) -> std::io::Result<()> {
    const STEP_MM: f64 = 1.5;
    let [slices, rows, columns] = scan.grid.shape.map(|n| n as f64 - 1.0);
    let (mut min, mut max) = ([f64::MAX; 3], [f64::MIN; 3]);
    for s in [0.0, slices] {
        for r in [0.0, rows] {
            for c in [0.0, columns] {
                let p = scan.grid.position(s, r, c);
                for a in 0..3 {
                    (min[a], max[a]) = (min[a].min(p[a]), max[a].max(p[a]));
                }
            }
        }
    }
    let n: [usize; 3] = std::array::from_fn(|a| ((max[a] - min[a]) / STEP_MM).ceil() as usize + 1);
    let mut mask = Vec::new();
    for z in 0..n[2] {
        for y in 0..n[1] {
            for x in 0..n[0] {
                let p = std::array::from_fn(|a| min[a] + STEP_MM * [x, y, z][a] as f64);
                mask.push(u8::from(head.in_gland(p)));
            }
        }
    }
    fs::write(out.join("glands.u8"), mask)
}
