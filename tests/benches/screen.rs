//! How long a page takes, and how long a key waits for its picture while a study is analyzed.
//!
//! `cargo bench --workspace --bench screen`. With `-- --draws N` it only draws N pages and looks for what changed, as
//! the screen does: two such runs under an instruction counter give the instructions of one page (docs/benchmarks.md).

use std::hint::black_box;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use board::damage::damage;
use board::{Action, Display, DisplayError, Frame, Outlet};
use embedded_graphics::prelude::Size;
use embedded_graphics::primitives::Rectangle;
use firmware::analysis::{Worker, WorkerSettings};
use firmware::screen::{Page, Screen, Settings, examples};
use phantom::{Diagnosis, Patient};

const SIZES: [(u32, u32); 5] = [(480, 320), (800, 480), (1024, 600), (1280, 800), (600, 1024)];
const ROUNDS: usize = 200;

/// Between two keys.
const KEYS_EVERY: Duration = Duration::from_millis(60);

fn main() {
    let mut words = std::env::args();
    if words.any(|word| word == "--draws") {
        let count = words.next().and_then(|count| count.parse().ok());
        return draws(count.expect("--draws takes a number"));
    }
    println!(
        "| Page | Size | First, ms | Leafing, median ms | 95 %, ms | With heat map and zoom, median ms |"
    );
    println!("|---|---|---|---|---|---|");
    for (width, height) in SIZES {
        draw(Size::new(width, height));
    }
    println!("\n| While | Keys | Key to picture, median ms | 95 %, ms | slowest, ms |");
    println!("|---|---|---|---|---|");
    keys();
}

/// Leafs through a result at 1024 × 600 so many times.
fn draws(count: usize) {
    let shelf = examples::opened(examples::one_tumour());
    let mut page = Page::new(Settings::default());
    page.tell(Arc::new(examples::busy()), &shelf);
    page.act(Action::Select, &shelf);
    let size = Settings::default().size;
    let (mut before, mut frame) = (Frame::new(size), Frame::new(size));
    for i in 0..count {
        page.act(if i % 8 < 4 { Action::Up } else { Action::Down }, &shelf);
        page.draw_into(&mut frame);
        black_box(damage(&before, &frame));
        std::mem::swap(&mut before, &mut frame);
    }
}

/// A result at one size, leafing through its slices.
fn draw(size: Size) {
    let shelf = examples::opened(examples::one_tumour());
    let settings = Settings {
        size,
        ..Settings::default()
    };
    let mut page = Page::new(settings);
    page.tell(Arc::new(examples::busy()), &shelf);
    page.act(Action::Select, &shelf);
    let mut frame = Frame::new(size);
    let mut time = |page: &mut Page, action: Action| {
        page.act(action, &shelf);
        let began = Instant::now();
        page.draw_into(&mut frame);
        began.elapsed()
    };
    let first = time(&mut page, Action::Up);
    let leafing =
        sorted((0..ROUNDS).map(|i| time(&mut page, if i % 8 < 4 { Action::Up } else { Action::Down })));
    // Past series to zoom, closer, then to the heat map.
    for action in [Action::Select, Action::Select, Action::Up, Action::Up]
        .into_iter()
        .chain([Action::Select; 3])
        .chain([Action::Up])
    {
        time(&mut page, action);
    }
    let warm = sorted((0..ROUNDS).map(|_| time(&mut page, Action::Digit(0))));
    println!(
        "| result | {} × {} | {:.2} | {:.2} | {:.2} | {:.2} |",
        size.width,
        size.height,
        milliseconds(first),
        milliseconds(leafing[ROUNDS / 2]),
        milliseconds(leafing[ROUNDS * 95 / 100]),
        milliseconds(warm[ROUNDS / 2]),
    );
}

/// A display that tells when a picture was shown.
#[derive(Clone)]
struct Watched(Arc<Mutex<Sender<Instant>>>);

impl Display for Watched {
    fn size(&self) -> Option<Size> {
        None
    }

    fn present(&mut self, _: &Frame, _: &[Rectangle]) -> Result<(), DisplayError> {
        // Nobody looks any more at the end.
        let _ = self.0.lock().expect("nobody panics with it").send(Instant::now());
        Ok(())
    }
}

/// Keys pressed while nothing happens, and while the worker analyzes on all cores.
fn keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().join("studies/2.25.100");
    std::fs::create_dir_all(&results).expect("a folder");
    let opened = examples::opened(examples::one_tumour());
    for (name, text) in [
        ("findings.json", serde_json::to_vec(&opened.findings)),
        ("pictures.json", serde_json::to_vec(&opened.pictures)),
    ] {
        std::fs::write(results.join(name), text.expect("JSON")).expect("a file");
    }
    let (told, pictures) = channel();
    let display = Watched(Arc::new(Mutex::new(told)));
    let outlet = Outlet::with_opener(move || Ok(Box::new(display.clone())));
    let screen = Screen::start(
        Settings::default(),
        outlet,
        Default::default(),
        folder.path(),
        drop,
    )
    .expect("a screen");
    screen.tell(examples::busy());
    let sink = screen.sink();
    let press = |action: Action| {
        while pictures.try_recv().is_ok() {}
        let began = Instant::now();
        sink(action);
        let shown = pictures.recv_timeout(Duration::from_secs(5)).expect("a picture");
        shown - began
    };
    std::thread::sleep(Duration::from_millis(500));
    press(Action::Select);

    let measure = |name: &str, until: &mut dyn FnMut(usize) -> bool| {
        let mut waited = Vec::new();
        while !until(waited.len()) {
            let action = if waited.len() % 8 < 4 {
                Action::Up
            } else {
                Action::Down
            };
            waited.push(press(action));
            std::thread::sleep(KEYS_EVERY);
        }
        let waited = sorted(waited.into_iter());
        let at = |share: usize| milliseconds(waited[(waited.len() * share / 100).min(waited.len() - 1)]);
        println!(
            "| {name} | {} | {:.2} | {:.2} | {:.2} |",
            waited.len(),
            at(50),
            at(95),
            at(100)
        );
    };
    measure("nothing happens", &mut |count| count == 50);

    let patient = Patient::draw(7, Some(Diagnosis::Malignant));
    let written = phantom::write_study(&patient, &folder.path().join("scanner")).expect("a study");
    let settings = WorkerSettings {
        program: tests::sialoscope(),
        ..WorkerSettings::new(&tests::package()).expect("settings of the worker")
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (worker, _) = runtime.block_on(Worker::start(settings)).expect("a worker");
    let dicom = written.dicom.clone();
    let analysis = runtime.spawn(async move {
        for _ in 0..5 {
            worker.analyze(&dicom, &|_| {}).await.expect("an answer");
            worker.pictures(&dicom).await.expect("pictures");
        }
    });
    measure("five studies are analyzed", &mut |_| analysis.is_finished());
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
