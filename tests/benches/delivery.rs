//! From the worker's findings to the last object at a destination on loopback.
//!
//! `cargo bench --workspace --bench delivery` runs the whole appliance on the shipped package with dcmtk's storescp
//! as destination, and prints a table. Within the
//! time lie the page, the three objects, their way to the disk and to the destination. Timings decide nothing here.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use board::Outlet;
use board::display::Setting;
use firmware::analysis::{Answer, Whose, Worker, WorkerSettings};
use firmware::appliance::{Analyst, Answering, Appliance, Event, Parts};
use firmware::dicom::send::{files_under, send};
use firmware::dicom::user::Node;
use firmware::screen::Screen;
use firmware::station::config::Config;
use models::findings::Reason;
use models::mr::Contrast;
use phantom::{Diagnosis, Patient};
use tests::peers::{Running, free_port};

/// Seeds of the patients.
const SEEDS: [u64; 5] = [7, 11, 23, 42, 58];
const PATIENCE: Duration = Duration::from_secs(120);

/// The worker, with a note of when it last answered.
struct Timed {
    worker: Worker,
    answered: Mutex<Instant>,
}

impl Analyst for Timed {
    fn analyze<'a>(
        &'a self,
        folder: &'a Path,
        told: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Answering<'a, Result<Answer, Reason>> {
        Box::pin(async move {
            let answer = Worker::analyze(&self.worker, folder, told).await;
            *self.answered.lock().expect("nobody panics with it") = Instant::now();
            answer
        })
    }

    fn missing_contrasts<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Vec<Contrast>>> {
        Analyst::missing_contrasts(&self.worker, folder)
    }

    fn identify<'a>(&'a self, folder: &'a Path) -> Answering<'a, Option<Whose>> {
        Analyst::identify(&self.worker, folder)
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (port, archive) = (free_port(), folder.path().join("archive"));
    std::fs::create_dir(&archive).expect("a folder");
    let mut storescp = Command::new("storescp");
    storescp.arg("-od").arg(&archive).arg(port.to_string());
    let _storescp = Running::listening(storescp, port);
    let settings = format!(
        "[station]\nbind = \"127.0.0.1\"\nport = 0\nopen = true\ndata_dir = {:?}\n[limits]\nfree_mib = 1\n\
         [[destination]]\nae_title = \"STORESCP\"\nhost = \"127.0.0.1\"\nport = {port}\n",
        folder.path().join("data")
    );
    let config = Config::parse(&settings, Path::new("settings")).expect("settings");
    let settings = WorkerSettings {
        program: tests::sialoscope(),
        ..WorkerSettings::new(&tests::package()).expect("settings of the worker")
    };
    let (worker, model) = Worker::start(settings).await.expect("a worker");
    let analyst = Arc::new(Timed {
        worker,
        answered: Mutex::new(Instant::now()),
    });
    let screen = Screen::start(
        config.screen_settings(),
        Outlet::new(Setting::None),
        Default::default(),
        folder.path(),
        drop,
    );
    let parts = Parts::new(
        Arc::clone(&analyst) as Arc<dyn Analyst>,
        model,
        screen.expect("a screen"),
    );
    let mut events = parts.events.subscribe();
    let appliance = Appliance::start(&config, parts).await.expect("an appliance");
    println!(
        "| Seed | Findings to page and objects on the disk, ms | Findings to last object delivered, ms |"
    );
    println!("|---|---|---|");
    let mut slowest = Duration::ZERO;
    for seed in SEEDS {
        let patient = Patient::draw(seed, Some(Diagnosis::Malignant));
        let scanner = folder.path().join(format!("scanner-{seed}"));
        let written = phantom::write_study(&patient, &scanner).expect("a simulated study");
        let files = files_under(&[written.dicom]).expect("its files");
        let node = Node {
            ae_title: "SIALOSCOPE".into(),
            address: appliance.address().to_string(),
        };
        let sent =
            tokio::task::spawn_blocking(move || send(&files, &node, "BENCH", |one| assert!(one.is_stored())));
        sent.await.expect("a thread").expect("an association");
        let mut reported = None;
        let delivered = loop {
            match tokio::time::timeout(PATIENCE, events.recv()).await {
                Ok(Ok(Event::Reported { .. })) => reported = Some(Instant::now()),
                Ok(Ok(Event::Delivered { .. })) => break Instant::now(),
                Ok(Ok(_)) => {}
                failed => panic!("no delivery: {failed:?}"),
            }
        };
        let from = *analyst.answered.lock().expect("nobody panics with it");
        let on_disk = reported.map_or(0, |at| at.duration_since(from).as_millis());
        let there = delivered.duration_since(from);
        slowest = slowest.max(there);
        println!("| {seed} | {on_disk} | {} |", there.as_millis());
    }
    println!("\nslowest: {} ms", slowest.as_millis());
    appliance.stop().await;
}
