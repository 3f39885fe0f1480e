//! Our MR reader against `dcm2niix` on the same real studies: affine to 1e-3 mm, values to rounding.
//!
//! `SIALOSCOPE_MR_DATA` names the folder of the studies; without it, or without `dcm2niix`, the test says
//! that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use models::mr::{self, Contrast, VolumeIndex};
use tests::nifti::Nifti;

/// The first voxels of two grids lie this near, millimetres.
const MAX_DISTANCE_MM: f64 = 1e-3;
/// And each step from voxel to voxel is as long to this, millimetres: the peer takes the nominal distance of
/// slices, we the mean of their positions, which are written with few digits.
const MAX_STEP_DIFFERENCE_MM: f64 = 1e-5;

/// One converted series with its sidecar.
struct Converted {
    series: i64,
    nifti: Nifti,
    /// Of each frame, s/mm².
    b_values: Option<Vec<f64>>,
}

fn convert(folder: &Path) -> Vec<Converted> {
    let out = tempfile::tempdir().unwrap();
    // Without Philips' "precise" scaling: the standard's rescale is what every other reader shows.
    let done = Command::new("dcm2niix")
        .args(["-z", "n", "-b", "y", "-p", "n", "-f", "%s_%n", "-o"])
        .arg(out.path())
        .arg(folder)
        .output()
        .unwrap();
    assert!(
        done.status.code().is_some(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let mut all = Vec::new();
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "nii") {
            continue;
        }
        let Some(nifti) = Nifti::read(&path) else { continue };
        // Rotated copies and the like come without one.
        let Ok(sidecar) = std::fs::read(path.with_extension("json")) else {
            continue;
        };
        let sidecar: serde_json::Value = serde_json::from_slice(&sidecar).unwrap();
        let b_values = std::fs::read_to_string(path.with_extension("bval")).ok();
        all.push(Converted {
            series: sidecar["SeriesNumber"].as_i64().unwrap(),
            nifti,
            b_values: b_values.map(|t| t.split_whitespace().map(|n| n.parse().unwrap()).collect()),
        });
    }
    all
}

/// For each of our voxels the peer's index, when both grids are the same voxels.
fn same_voxels(volume: &VolumeIndex, nifti: &Nifti) -> Option<impl Fn([usize; 3]) -> [usize; 3] + use<>> {
    let grid = &volume.grid;
    let last = grid.shape.map(|n| n - 1);
    let spacing = nifti.spacing();
    let mut ends = Vec::new();
    for corner in 0..8 {
        let at: [usize; 3] = std::array::from_fn(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0 });
        let index = nifti.index_of(grid.position(at[0] as f64, at[1] as f64, at[2] as f64));
        for axis in 0..3 {
            let away = (index[axis] - index[axis].round()).abs() * spacing[axis];
            let inside = (-0.5..nifti.shape[axis] as f64 - 0.5).contains(&index[axis]);
            let steps: usize = at.iter().sum();
            if away > MAX_DISTANCE_MM + MAX_STEP_DIFFERENCE_MM * steps as f64 || !inside {
                return None;
            }
        }
        ends.push(index.map(|i| i.round() as i64));
    }
    let mut count = nifti.shape[..3].to_vec();
    let mut own = grid.shape.to_vec();
    count.sort_unstable();
    own.sort_unstable();
    if count != own {
        return None;
    }
    let (origin, shape) = (ends[0], grid.shape);
    let step = move |axis: usize, n: usize| {
        (ends[1 << axis][n] - origin[n])
            .checked_div(shape[axis] as i64 - 1)
            .unwrap_or(0)
    };
    Some(move |at: [usize; 3]| {
        std::array::from_fn(|n| {
            let moved: i64 = (0..3).map(|axis| at[axis] as i64 * step(axis, n)).sum();
            (origin[n] + moved) as usize
        })
    })
}

/// Whether the peer has the same volume, value by value; else why not.
fn compare(volume: &VolumeIndex, converted: &Converted) -> Result<(), String> {
    let nifti = &converted.nifti;
    let to_peer = same_voxels(volume, nifti).ok_or("another grid")?;
    let ours = volume.voxels().map_err(|e| e.text)?;
    let difference = |frames: &[usize]| {
        let mut worst = 0f32;
        for ((s, r, c), value) in ours.indexed_iter() {
            let at = to_peer([s, r, c]);
            let value = if volume.contrast == Some(Contrast::Adc) {
                value * 1e3
            } else {
                *value
            };
            let theirs = match frames {
                [one] => nifti.value(at, *one),
                _ => {
                    let log = |f: &usize| nifti.value(at, *f).max(1e-3).ln();
                    (frames.iter().map(log).sum::<f32>() / frames.len() as f32).exp()
                }
            };
            worst = worst.max((value - theirs).abs() / theirs.abs().max(1.0));
        }
        worst
    };
    let worst = match (&converted.b_values, volume.b_value) {
        (Some(all), Some(b)) if !volume.further_directions.is_empty() => {
            let same: Vec<usize> = (0..all.len()).filter(|n| (all[*n] - b).abs() < 1.0).collect();
            let directions = 1 + volume.further_directions.len();
            if same.len() < directions {
                return Err(format!("{} frames for {directions} directions", same.len()));
            }
            difference(&same)
        }
        // One of the peer's frames: of a time series we have each by itself.
        _ => (0..nifti.shape[3])
            .map(|n| difference(&[n]))
            .fold(f32::INFINITY, f32::min),
    };
    if worst > 1e-4 {
        Err(format!("values differ by {worst}"))
    } else {
        Ok(())
    }
}

/// Folders that hold files, each by itself: the peer takes what lies together for one acquisition.
fn leaves(root: &Path) -> Vec<PathBuf> {
    let mut open = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let entries: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        if entries.iter().any(|p| p.is_file()) {
            found.push(folder);
        }
        open.extend(entries.into_iter().filter(|p| p.is_dir()));
    }
    found.sort();
    found
}

#[test]
fn volumes_agree_with_dcm2niix() {
    let Some(root) = std::env::var_os("SIALOSCOPE_MR_DATA").map(PathBuf::from) else {
        eprintln!("skipped: SIALOSCOPE_MR_DATA names no folder");
        return;
    };
    if Command::new("dcm2niix").arg("-v").output().is_err() {
        eprintln!("skipped: dcm2niix is not installed");
        return;
    }
    let mut failed = Vec::new();
    let mut compared = 0;
    for folder in leaves(&root) {
        let part = folder
            .strip_prefix(&root)
            .unwrap_or(&folder)
            .display()
            .to_string();
        let peer = convert(&folder);
        for series in mr::scan(&[folder]).series {
            for volume in &series.volumes {
                let same = peer.iter().filter(|c| Some(c.series) == series.number);
                let answers: Vec<_> = same.map(|c| compare(volume, c)).collect();
                let what = format!(
                    "{part} series {:?} {:?} {:?}",
                    series.number, volume.contrast, volume.b_value
                );
                println!("{what}: {answers:?}");
                // What the peer does not read is no disagreement.
                if answers.is_empty() {
                    continue;
                }
                compared += 1;
                if !answers.iter().any(Result::is_ok) {
                    failed.push(what);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(compared >= 10, "only {compared} volumes were compared");
}
