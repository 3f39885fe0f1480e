//! What people see when the box cannot start, and what a support engineer gets from a running one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firmware::screen::situation::{Phase, Station};
use firmware::screen::{Page, Situation, examples};
use firmware::station::config::Config;
use firmware::station::self_test::{Check, Outcome};
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

/// What systemd hears: first that it is ready, then signs of life.
#[test]
fn the_supervisor_is_told_and_its_watchdog_fed() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("notify");
    let socket = UnixDatagram::bind(&address).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let mut program = Command::new(sialoscope());
    program
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", "300000");
    let station = station::Station::launch(folder.path(), &station::Settings::default(), program);
    let heard = || {
        let mut words = [0; 256];
        let length = socket.recv(&mut words).unwrap();
        String::from_utf8_lossy(&words[..length]).into_owned()
    };
    assert!(heard().contains("READY=1"));
    for _ in 0..3 {
        assert!(heard().contains("WATCHDOG=1"));
    }
    assert!(station.terminate().success());
    let mut last = heard();
    while last.contains("WATCHDOG=1") {
        last = heard();
    }
    assert!(last.contains("STOPPING=1"), "{last}");
}

fn self_test(settings: &Path) -> (bool, BTreeMap<String, Outcome>) {
    let tested = Command::new(sialoscope())
        .args(["selftest", "--json", "--config"])
        .arg(settings)
        .output()
        .unwrap();
    let checks: Vec<Check> = serde_json::from_slice(&tested.stdout).unwrap();
    let checks = checks.into_iter().map(|check| (check.part, check.outcome));
    (tested.status.success(), checks.collect())
}

#[test]
fn the_self_test_tells_a_box_that_works_from_one_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let package = tests::package();
    let settings = station::Settings {
        package: &package,
        ..station::Settings::default()
    };
    let running = station::Station::with(folder.path(), &settings);
    let file = folder.path().join("s.toml");
    until("its health", || running.data_dir.join("health.json").exists());
    let (passed, checks) = self_test(&file);
    assert!(passed, "{checks:?}");
    for part in ["storage", "space", "memory", "clock", "model", "speed", "network"] {
        assert!(
            matches!(checks[part], Outcome::Passed(_)),
            "{part}: {:?}",
            checks[part]
        );
    }
    let text = format!("{:?}", checks["network"]);
    assert!(text.contains(&running.port.to_string()), "it was asked: {text}");
    // No machine is as fast as this box is said to be.
    let text = fs::read_to_string(&file).unwrap();
    let hurried = folder.path().join("hurried.toml");
    fs::write(&hurried, text.replace("[model]\n", "[model]\nlocator_ms = 0.1\n")).unwrap();
    let (passed, checks) = self_test(&hurried);
    assert!(!passed);
    let slow = |outcome: &Outcome| matches!(outcome, Outcome::Failed(why) if why.code == "slow_inference");
    assert!(slow(&checks["speed"]), "{checks:?}");
    assert_eq!(checks.values().filter(|outcome| slow(outcome)).count(), 1);
    assert!(running.terminate().success());

    // Nobody runs; there is no model, and somebody else has the port.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let broken = fs::read_to_string(&file)
        .unwrap()
        .replace("port = 0", &format!("port = {port}"))
        .replace(package.to_str().unwrap(), tests::no_package().to_str().unwrap());
    fs::write(&file, broken).unwrap();
    let (passed, checks) = self_test(&file);
    assert!(!passed);
    let failed = |part: &str| match &checks[part] {
        Outcome::Failed(reason) => reason.code.clone(),
        other => panic!("{part}: {other:?}"),
    };
    assert_eq!(failed("model"), "package_missing");
    assert_eq!(failed("network"), "listen");
}

/// A package on the box that is damaged is not run: the one before it answers, and people are told.
#[test]
fn a_damaged_package_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let package = tests::package();
    let settings = station::Settings {
        package: &package,
        ..station::Settings::default()
    };
    let first = station::Station::with(folder.path(), &settings);
    let data_dir = first.data_dir.clone();
    assert!(first.terminate().success());
    let file = folder.path().join("s.toml");
    let done = |arguments: &[&str]| {
        let done = Command::new(sialoscope())
            .arg("package")
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        (
            done.status.success(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    };
    assert!(done(&["install", package.to_str().unwrap()]).0);
    assert!(done(&["verify"]).0);
    let (shown, text) = done(&["show"]);
    assert!(shown && text.contains("simulated"), "{text}");
    assert!(!done(&["rollback"]).0, "there is none before it");

    // One bit of a network on the card flips.
    let installed = fs::read_dir(data_dir.join("models"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let installed: Vec<_> = installed.filter(|path| path.is_dir()).collect();
    assert_eq!(installed.len(), 1);
    let network = installed[0].join("locator.onnx");
    let mut bytes = fs::read(&network).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&network, bytes).unwrap();
    assert!(!done(&["verify"]).0);
    let again = station::Station::with(folder.path(), &settings);
    let situation = again.data_dir.join("situation.json");
    until("a situation", || {
        signal(again.process(), Signal::USR1);
        situation.exists()
    });
    let situation: Situation = serde_json::from_slice(&fs::read(&situation).unwrap()).unwrap();
    assert!(situation.station.model.is_some(), "that of the system answers");
    let codes = situation
        .station
        .notices
        .iter()
        .map(|notice| notice.reason.code.as_str());
    assert_eq!(codes.collect::<Vec<_>>(), ["package_hash"]);
    assert!(again.terminate().success());
}
