//! How fast receivers take MR images, side by side: `sialoscope run`, which acknowledges what is durable,
//! and dcmtk's storescp, Orthanc and pynetdicom, which do not, each in its best configuration.
//!
//! `cargo build --release --workspace --bins && cargo bench --workspace --bench receivers` prints the tables
//! of docs/benchmarks.md and writes every single measurement to docs/raw. Arguments after `--`:
//! `--rounds N` (5), `--images N` (500), `--out FILE`, `--only WORD` (receivers whose name has it).
//! Receivers and loads take turns, so that what else happens on the machine meets them all.
//! Timings decide nothing here.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

mod load;
mod machine;
mod receiver;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use load::{Images, LOADS, Load};
use receiver::{ALL, Receiver};
use serde_json::json;

/// Bytes of one large object, and how many associations send one at once.
const LARGE_BYTES: usize = 100 << 20;
const LARGE_AT_ONCE: usize = 8;

struct Options {
    rounds: usize,
    images: usize,
    out: PathBuf,
    only: String,
}

impl Options {
    fn from_arguments() -> Self {
        let raw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/raw");
        let mut options = Self {
            rounds: 5,
            images: 500,
            out: raw.join(format!("receivers-{}.json", machine::today())),
            only: String::new(),
        };
        // cargo adds --bench.
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().expect("each argument has a value");
            match name.as_str() {
                "--rounds" => options.rounds = value.parse().expect("a number"),
                "--images" => options.images = value.parse().expect("a number"),
                "--out" => options.out = value.into(),
                "--only" => options.only = value,
                other => panic!("{other}: --rounds, --images, --out or --only"),
            }
        }
        options
    }
}

fn main() {
    let options = Options::from_arguments();
    let receivers: Vec<_> = ALL
        .iter()
        .filter(|one| one.name.contains(&options.only))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let machine = machine::describe(folder.path());
    let images = Images::make(&folder.path().join("images"), options.images);
    eprintln!("{} images of {} bytes", options.images, images.bytes_each());

    // Images per second of each round.
    let mut rates: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for round in 1..=options.rounds {
        for receiver in &receivers {
            for load in &LOADS {
                let rate = measure(receiver, load, &images, folder.path());
                eprintln!(
                    "round {round}: {}, {}: {rate:.0} images/s",
                    receiver.name, load.name
                );
                rates.entry((receiver.name, load.name)).or_default().push(rate);
            }
        }
    }
    let memory: BTreeMap<&str, u64> = receivers
        .iter()
        .filter(|receiver| receiver.one_process)
        .map(|receiver| (receiver.name, peak_memory_mib(receiver, folder.path())))
        .collect();

    let raw = json!({
        "machine": machine,
        "date": machine::today(),
        "images": options.images,
        "bytes_per_image": images.bytes_each(),
        "images_per_second": rates
            .iter()
            .map(|((receiver, load), rates)| json!({"receiver": receiver, "load": load, "rounds": rates}))
            .collect::<Vec<_>>(),
        "peak_memory_mib": memory,
    });
    std::fs::create_dir_all(options.out.parent().unwrap()).unwrap();
    std::fs::write(&options.out, format!("{raw:#}\n")).unwrap();
    print(&receivers, &rates, &memory);
}

/// Images per second into a receiver that starts with an empty folder.
fn measure(receiver: &Receiver, load: &Load, images: &Images, scratch: &Path) -> f64 {
    let folder = tempfile::tempdir_in(scratch).unwrap().keep();
    let running = (receiver.start)(&folder);
    let took = (load.send)(images, running.port());
    assert!(
        running.files() >= images.len(),
        "{} acknowledged {} images and has {} files",
        receiver.name,
        images.len(),
        running.files()
    );
    drop(running);
    empty(&folder);
    images.len() as f64 / took.as_secs_f64()
}

/// Frees the space of all files and leaves them there. ext4 looks for a free inode past all that were deleted
/// in the last minutes: some thousands of them make each new file 0.5 ms slower, for whoever comes next.
fn empty(folder: &Path) {
    for file in firmware::dicom::send::files_under(&[folder.to_owned()]).unwrap() {
        std::fs::File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_len(0)
            .unwrap();
    }
}

fn peak_memory_mib(receiver: &Receiver, scratch: &Path) -> u64 {
    let folder = tempfile::tempdir_in(scratch).unwrap();
    let running = (receiver.start)(folder.path());
    load::large_objects(running.port(), LARGE_AT_ONCE, LARGE_BYTES);
    tests::station::high_water_mib(&running.process().to_string())
}

/// Medians over the rounds, and the rate of Sialoscope divided by that of the others.
fn print(receivers: &[&Receiver], rates: &BTreeMap<(&str, &str), Vec<f64>>, memory: &BTreeMap<&str, u64>) {
    let median = |receiver: &str, load: &str| machine::median(&rates[&(receiver, load)]);
    let names: Vec<_> = LOADS.iter().map(|load| load.name).collect();
    println!("| Receiver | {} | peak memory, MiB |", names.join(" | "));
    println!("|---|{}", "---|".repeat(LOADS.len() + 1));
    let ours = ALL[0].name;
    for receiver in receivers {
        let cells: Vec<String> = names
            .iter()
            .map(|load| {
                let rate = median(receiver.name, load);
                let ratio = rates
                    .contains_key(&(ours, load))
                    .then(|| median(ours, load) / rate);
                match ratio.filter(|_| receiver.name != ours) {
                    Some(ratio) => format!("{rate:.0} (× {ratio:.2})"),
                    None => format!("{rate:.0}"),
                }
            })
            .collect();
        let memory = memory.get(receiver.name).map_or("–".to_owned(), u64::to_string);
        println!("| {} | {} | {memory} |", receiver.name, cells.join(" | "));
    }
}
