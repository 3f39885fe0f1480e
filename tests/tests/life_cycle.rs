//! What people see when the box cannot start, and what a support engineer gets from a running one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firmware::screen::situation::{Phase, Station};
use firmware::screen::{Page, Situation, examples};
use firmware::station::config::Config;
use models::findings::{Fault, Reason};
use rustix::process::{Pid, Signal, kill_process};
use tests::sialoscope;
use tests::station;

const WAIT: Duration = Duration::from_secs(30);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A box that shall listen where somebody else does.
fn run(folder: &Path, listen_on: u16, display: &str) -> Child {
    let settings = folder.join("sialoscope.toml");
    let data_dir = folder.join("data");
    let text = format!(
        "[station]\nbind = \"127.0.0.1\"\nport = {listen_on}\ndata_dir = {data_dir:?}\n\
         [model]\npackage = {:?}\n[screen]\ndisplay = {display:?}\ntouch = false\n",
        tests::no_package()
    );
    fs::write(&settings, text).unwrap();
    Command::new(sialoscope())
        .args(["run", "--config"])
        .arg(&settings)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

/// A page of the appliance as the command line draws it.
fn page(arguments: &[&str], folder: &Path) -> Vec<u8> {
    let out = folder.join("page.png");
    let drawn = Command::new(sialoscope())
        .args(["screen", "--size", "800x480", "--out"])
        .arg(&out)
        .args(arguments)
        .status();
    assert!(drawn.unwrap().success());
    fs::read(out).unwrap()
}

#[test]
fn a_box_that_cannot_start_says_why_on_its_screen() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let unseen = run(folder.path(), port, "none").wait_with_output().unwrap();
    assert!(!unseen.status.success(), "nobody can read: it ends at once");
    let said = String::from_utf8(unseen.stderr).unwrap();
    let text = said.lines().last().unwrap().strip_prefix("sialoscope: ").unwrap();
    let reason = Reason::new("listen", Fault::Configuration, text);

    let mut process = run(folder.path(), port, "png");
    let expected = failed(reason);
    let shown = folder.path().join("data/screen.png");
    until("the reason on the screen", || {
        fs::read(&shown).is_ok_and(|picture| picture == expected)
    });
    assert!(process.try_wait().unwrap().is_none(), "people are still reading");
    signal(process.id(), Signal::TERM);
    assert!(!process.wait().unwrap().success());
}

/// The page that says why a box could not start.
fn failed(reason: Reason) -> Vec<u8> {
    let settings = Config::default().screen_settings();
    let mut page = Page::new(settings);
    let station = Station {
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Station::default()
    };
    let situation = Situation {
        phase: Phase::Failed(reason),
        station,
        ..Situation::default()
    };
    page.tell(Arc::new(situation), &examples::opened(examples::no_tumour()));
    page.draw().to_png()
}

#[test]
fn what_the_screen_shows_is_written_down_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let station = station::Station::start(folder.path(), 0.05, tests::no_package());
    let file = station.data_dir.join("situation.json");
    until("a situation", || {
        signal(station.process(), Signal::USR1);
        file.exists()
    });
    let situation: Situation = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(situation.station.ae_title, "SIALOSCOPE");
    let state = ["--page", "station", "--state", file.to_str().unwrap()];
    let recorded = page(&state, folder.path());
    assert_ne!(
        recorded,
        page(&["--page", "station"], folder.path()),
        "not the made-up one"
    );
    assert!(station.terminate().success());
}
