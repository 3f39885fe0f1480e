//! An engineer at the screen: with a keyboard, a stick and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use box_tests::card::{Card, SETTINGS};
use box_tests::data::Data;
use box_tests::guest::{Guest, Machine};
use box_tests::stick::run;
use box_tests::{disk, images};

/// Time for the screen to follow a stick or a key, on an emulated machine.
const SETTLE: Duration = Duration::from_secs(8);

/// A box that is good, with a stick that may be written to and that nobody but the screen asks about.
fn with_stick(images: &Path, files: &[&Path]) -> (Card, Guest, PathBuf) {
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let by_hand = card.beside("by-hand");
    std::fs::write(&by_hand, "").expect("a file");
    let stick = card.stick(&[files, &[&by_hand]].concat());
    let mut machine = Machine::new(&base, &card.path).with_stick(&stick);
    machine.stick_is_writable = true;
    let mut guest = Guest::start(&machine);
    guest.wait_for("slot A is good", 1);
    guest.wait_for("finger: nothing to do", 1);
    thread::sleep(SETTLE);
    (card, guest, stick)
}

fn press(guest: &mut Guest, keys: &[&str]) {
    for key in keys {
        guest.monitor.key(key);
        thread::sleep(Duration::from_millis(700));
    }
}

/// A picture for the field guide, where SIALOSCOPE_PICTURES names a folder.
fn picture(guest: &mut Guest, name: &str) {
    if let Some(folder) = std::env::var_os("SIALOSCOPE_PICTURES") {
        guest.monitor.picture(&Path::new(&folder).join(name));
    }
}

#[test]
fn slow_an_update_is_confirmed_at_the_screen_and_runs_after_a_restart() {
    let Some(images) = images() else { return };
    let bundle = images.join("good/update.raucb");
    let (_card, mut guest, _) = with_stick(&images, &[&bundle]);
    let said = guest.said().join("\n");
    assert!(said.contains("a stick offers update.raucb 0.2.0"), "{said}");
    assert!(!said.contains("state="), "nothing is installed by itself: {said}");
    picture(&mut guest, "update-offered.png");
    // The key that is reached first changes nothing; the last one installs.
    press(&mut guest, &["down", "down", "ret"]);
    guest.wait_for("update: state=installing version=0.2.0", 1);
    picture(&mut guest, "update-installing.png");
    guest.wait_for("update: state=installed version=0.2.0", 1);
    thread::sleep(SETTLE);
    picture(&mut guest, "update-installed.png");
    press(&mut guest, &["down", "ret"]);
    guest.wait_for("slot B, version 0.2.0", 1);
    guest.wait_for("slot B is good", 1);
}

#[test]
fn slow_a_bundle_in_the_data_folder_is_installed_when_the_console_asks_for_it() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("slot A is good", 1);
    guest.cut();
    let data = Data::after_cut(&card.path);
    data.write(&images.join("good/update.raucb"), "/lib/sialoscope/new.raucb");
    data.put_back(&card.path);
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("update: state=installed version=0.2.0", 1);
    guest.wait_for("slot B is good", 1);
}

#[test]
fn slow_a_version_that_comes_back_uses_the_settings_that_it_knew() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let stick = card.stick(&[&images.join("tomorrow/update.raucb")]);
    let mut guest = Guest::start(&Machine::new(&base, &card.path).with_stick(&stick));
    guest.wait_for("slot B is good", 1);
    guest.cut();
    // The newer version has a setting more, and the engineer uses it.
    card.write_settings(&SETTINGS.replace("open = true", "open = true\ntomorrow = 1"));
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("slot B is good", 1);
    assert!(!guest.serial().contains("settings refused"));
    guest.cut();
    let kernel = disk::partition(&card.path, "kernel_B");
    disk::flip_bit(&card.path, kernel.start + (1 << 20), 3);
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("slot A is good", 1);
    let said = guest.said().join("\n");
    assert!(
        said.contains("settings refused") && said.contains("tomorrow"),
        "{said}"
    );
    assert!(
        said.contains("the last settings that were right are used"),
        "{said}"
    );
}

#[test]
fn slow_a_support_report_goes_to_the_stick_without_passwords_and_patients() {
    let Some(images) = images() else { return };
    let (card, mut guest, stick) = with_stick(&images, &[]);
    let patient = phantom::Patient::draw(7, Some(phantom::Diagnosis::Malignant));
    let study = phantom::write_study(&patient, &card.beside("study"))
        .expect("a study")
        .dicom;
    let port = guest.port.to_string();
    run(Command::new("storescu")
        .args(["-aec", "SIALOSCOPE", "+sd", "+r", "127.0.0.1", &port])
        .arg(&study));
    // The result takes the screen; from its page on to that of the station, where the stick waits.
    guest.wait_for_result();
    thread::sleep(SETTLE);
    press(&mut guest, &["pgdn", "ret"]);
    picture(&mut guest, "stick.png");
    press(&mut guest, &["down", "ret"]);
    let written = "support report: state=written file=";
    guest.wait_for(written, 1);
    thread::sleep(SETTLE);
    picture(&mut guest, "support-report.png");
    let said = guest.said().join("\n");
    let name = said.split(written).nth(1).and_then(|rest| rest.lines().next());
    let name = name.expect("its name").trim().to_owned();
    guest.cut();

    let sealed = card.beside("report.cms");
    run(Command::new("mcopy")
        .arg("-i")
        .arg(&stick)
        .arg(format!("::{name}"))
        .arg(&sealed));
    let bytes = std::fs::read(&sealed).expect("the report");
    let open = card.beside("report.tar.gz");
    if name.ends_with(".cms") {
        let key = PathBuf::from(std::env::var_os("SIALOSCOPE_BOX_KEYS").expect("keys")).join("support.key");
        assert!(!bytes.starts_with(&[0x1F, 0x8B]), "it is not encrypted");
        run(Command::new("openssl")
            .args(["cms", "-decrypt", "-inform", "DER", "-in"])
            .arg(&sealed)
            .arg("-inkey")
            .arg(key)
            .arg("-out")
            .arg(&open));
    } else {
        std::fs::copy(&sealed, &open).expect("a copy");
    }
    let text = run(Command::new("tar").arg("-xzOf").arg(&open));
    for part in [
        "IMAGE_VERSION=0.1.0",
        "slot=A",
        "MemTotal",
        "listening on",
        "[station]",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    let names = run(Command::new("dcmdump")
        .arg("+P")
        .arg("PatientName")
        .arg("+sd")
        .arg("+r")
        .arg(&study));
    let name = names.split(['[', ']']).nth(1).expect("a name");
    for secret in [name, "PRIVATE KEY", "$6$"] {
        assert!(!text.contains(secret), "{secret} is in the report");
    }
}
