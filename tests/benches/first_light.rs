//! From the last C-STORE response to the finished picture, and the peak memory of the appliance.
//!
//! `cargo bench -p tests --bench first_light` runs the real binary on the shipped package, sends it
//! six-series studies of simulated patients, and prints a table. Timings decide nothing here.

use std::path::Path;
use std::time::{Duration, Instant};

use firmware::dicom::send::{files_under, send};
use firmware::dicom::user::Node;
use phantom::Patient;
use tests::station::Station;

/// Seeds of the patients.
const SEEDS: [u64; 5] = [7, 11, 23, 42, 58];
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let station = Station::start(folder.path(), 30.0, &tests::package());
    println!("| Seed | Images | Last response to picture, ms |\n|---|---|---|");
    let mut slowest = Duration::ZERO;
    for seed in SEEDS {
        let scanner = folder.path().join(format!("scanner-{seed}"));
        let written = phantom::write_study(&Patient::draw(seed, None), &scanner).expect("a simulated study");
        let files = files_under(&[written.dicom]).expect("its files");
        let node = Node {
            ae_title: "SIALOSCOPE".into(),
            address: station.address(),
        };
        let mut last = Instant::now();
        send(&files, &node, "BENCH", |sent| {
            last = Instant::now();
            assert!(sent.is_stored(), "not stored: {:?}", sent.outcome);
        })
        .expect("an association");
        let studies = station.data_dir.join("studies");
        let done = wait_for_picture(
            &studies,
            SEEDS.iter().position(|s| *s == seed).map_or(1, |n| n + 1),
        );
        let latency = done.duration_since(last);
        slowest = slowest.max(latency);
        println!("| {seed} | {} | {} |", files.len(), latency.as_millis());
    }
    println!("\nslowest: {} ms", slowest.as_millis());
    let (appliance, worker) = station.peak_memory_mib();
    println!(
        "peak resident memory: {} MiB = appliance {appliance} + worker {worker}",
        appliance + worker
    );
}

/// The moment at which the `count`-th study has its picture.
fn wait_for_picture(studies: &Path, count: usize) -> Instant {
    let started = Instant::now();
    loop {
        let pictures = std::fs::read_dir(studies)
            .map(|all| {
                all.flatten()
                    .filter(|s| s.path().join("screen.png").exists())
                    .count()
            })
            .unwrap_or(0);
        if pictures >= count {
            return Instant::now();
        }
        assert!(started.elapsed() < PATIENCE, "no picture after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
