//! Reading a folder of MR into memory with geometry, side by side with `dcm2niix` and pydicom in one run.
//!
//! `cargo bench -p tests --bench mr_reading -- FOLDER...`; each folder is read by all three in turn,
//! several times, and the medians are compared. `SIALOSCOPE_PYTHON` names a Python with pydicom and numpy.
//! A peer that is not installed is left out by name. Timings decide nothing here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use models::mr;

const ROUNDS: usize = 7;

/// Prints the seconds it took, without its own start.
const PYDICOM: &str = "
import sys, time, pathlib
import numpy, pydicom
started = time.perf_counter()
stacks = {}
for path in pathlib.Path(sys.argv[1]).rglob('*'):
    if path.is_file():
        try:
            d = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        geometry = (d.get('ImagePositionPatient'), d.get('ImageOrientationPatient'), d.get('PixelSpacing'))
        values = d.pixel_array.astype(numpy.float32)
        values = values * float(d.get('RescaleSlope', 1)) + float(d.get('RescaleIntercept', 0))
        stacks.setdefault(d.SeriesInstanceUID, []).append((geometry, values))
print(time.perf_counter() - started)
";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, folder] = &arguments[..]
        && flag == "--memory"
    {
        return memory(Path::new(folder));
    }
    if arguments.is_empty() {
        println!("usage: cargo bench -p tests --bench mr_reading -- FOLDER...");
        return;
    }
    println!(
        "| Folder | Sialoscope, ms | dcm2niix, ms | ratio | pydicom, ms | ratio | peak memory, × voxels in f32 |"
    );
    println!("|---|---|---|---|---|---|---|");
    for folder in arguments.iter().map(PathBuf::from) {
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (kept, time) in times
                .iter_mut()
                .zip([ours(&folder), dcm2niix(&folder), pydicom(&folder)])
            {
                kept.extend(time);
            }
        }
        let [own, niix, dicom] = times.map(median);
        let shown = |t: Option<f64>| t.map_or("not here".to_owned(), |t| format!("{:.0}", t * 1e3));
        let ratio = |peer: Option<f64>| match (own, peer) {
            (Some(own), Some(peer)) => format!("{:.2}", own / peer),
            _ => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            folder.file_name().unwrap_or_default().to_string_lossy(),
            shown(own),
            shown(niix),
            ratio(niix),
            shown(dicom),
            ratio(dicom),
            peak(&folder),
        );
    }
}

/// Headers, and the voxels of every volume, kept until the end; how many voxels.
fn read(folder: &Path) -> usize {
    let scan = mr::scan(&[folder.to_owned()]);
    let volumes = scan.series.iter().flat_map(|s| &s.volumes);
    let kept: Vec<_> = volumes.filter_map(|v| v.voxels().ok()).collect();
    std::hint::black_box(&kept);
    kept.iter().map(|v| v.len()).sum()
}

fn ours(folder: &Path) -> Option<f64> {
    let started = Instant::now();
    (read(folder) > 0).then(|| started.elapsed().as_secs_f64())
}

fn dcm2niix(folder: &Path) -> Option<f64> {
    let out = tempfile::tempdir().ok()?;
    let started = Instant::now();
    Command::new("dcm2niix")
        .args(["-z", "n", "-b", "n", "-o"])
        .arg(out.path())
        .arg(folder)
        .output()
        .ok()?;
    Some(started.elapsed().as_secs_f64())
}

fn pydicom(folder: &Path) -> Option<f64> {
    let python = std::env::var_os("SIALOSCOPE_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python)
        .args(["-c", PYDICOM])
        .arg(folder)
        .output()
        .ok()?;
    String::from_utf8(done.stdout).ok()?.trim().parse().ok()
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Of a process of its own that reads the largest volume of the folder.
fn peak(folder: &Path) -> String {
    let own = std::env::current_exe().expect("a program knows its own path");
    let done = Command::new(own).arg("--memory").arg(folder).output();
    done.ok()
        .and_then(|d| String::from_utf8(d.stdout).ok())
        .map_or_else(|| "–".to_owned(), |text| text.trim().to_owned())
}

/// Prints what the largest volume adds to the peak of this process, over its own voxels.
fn memory(folder: &Path) {
    let scan = mr::scan(&[folder.to_owned()]);
    let volumes = scan.series.iter().flat_map(|s| &s.volumes);
    let Some(largest) = volumes.max_by_key(|v| v.grid.shape.iter().product::<usize>()) else {
        return;
    };
    let before = peak_bytes();
    let voxels = largest.voxels().map(|v| v.len()).unwrap_or(0);
    println!("{:.2}", (peak_bytes() - before) / (4 * voxels) as f64);
}

/// VmHWM of this process.
fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib: Option<f64> = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0.0) * 1024.0
}
