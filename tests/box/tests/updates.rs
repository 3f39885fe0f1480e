//! Updates by stick: what is taken, what is refused, and how the box comes back from one that was bad.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use box_tests::card::{Card, SETTINGS};
use box_tests::data::Data;
use box_tests::guest::{Guest, Machine};
use box_tests::images;
use box_tests::stick::run;

/// A card with version 0.1.0 and a stick with one bundle; it is switched on and has said it is good.
fn with_stick(images: &Path, bundle: &Path) -> (Card, Guest) {
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let stick = card.stick(&[bundle]);
    let mut guest = Guest::start(&Machine::new(&base, &card.path).with_stick(&stick));
    guest.wait_for("slot A is good", 1);
    (card, guest)
}

/// The same content under another version or board, signed with these keys.
fn bundle(images: &Path, folder: &Path, change: (&str, &str), keys: &str) -> PathBuf {
    let source = images.join("good");
    let content = folder.join("content");
    fs::create_dir_all(&content).expect("a folder");
    for name in ["root.img", "kernel.img"] {
        fs::copy(source.join(name), content.join(name)).expect("a copy");
    }
    let info = fs::read_to_string(source.join("image.info")).expect("image.info");
    fs::write(content.join("image.info"), info.replace(change.0, change.1)).expect("image.info");
    let keys = std::env::var_os(keys).unwrap_or_else(|| panic!("{keys} is not set"));
    let made = folder.join("changed.raucb");
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board/update");
    run(Command::new(tool).arg("make").arg(&content).arg(keys).arg(&made));
    made
}

fn refused(guest: &mut Guest, reason: &str) {
    guest.wait_until("a refusal", |serial| {
        serial.contains("update: state=failed") || serial.contains("state=refused")
    });
    guest.wait_for("finger: nothing to do", 1);
    let said = guest.said().join("\n");
    assert!(
        said.to_lowercase().contains(reason),
        "the reason is not {reason:?}:\n{said}"
    );
}

#[test]
fn slow_a_good_bundle_is_installed_and_stays() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = with_stick(&images, &images.join("good/update.raucb"));
    guest.wait_for("slot B, version 0.2.0", 1);
    guest.wait_for("slot B is good", 1);
    let said = guest.said().join("\n");
    assert!(!said.contains("rolled back"), "{said}");
}

#[test]
fn a_foreign_signature_is_refused() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&images, folder.path(), ("", ""), "SIALOSCOPE_BOX_FOREIGN");
    let (_card, mut guest) = with_stick(&images, &bundle);
    refused(&mut guest, "signature");
}

#[test]
fn slow_a_truncated_bundle_is_refused() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.raucb");
    fs::copy(images.join("good/update.raucb"), &cut).expect("a copy");
    let file = OpenOptions::new().write(true).open(&cut).expect("a bundle");
    let length = file.metadata().expect("a length").len();
    file.set_len(length - 5000).expect("a shorter bundle");
    let (_card, mut guest) = with_stick(&images, &cut);
    refused(&mut guest, "");
}

#[test]
fn slow_a_bundle_for_another_board_is_refused() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(
        &images,
        folder.path(),
        ("board=", "board=another-"),
        "SIALOSCOPE_BOX_KEYS",
    );
    let (_card, mut guest) = with_stick(&images, &bundle);
    refused(&mut guest, "compatible");
}

#[test]
fn slow_a_version_below_the_floor_is_refused() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(
        &images,
        folder.path(),
        ("version=0.2.0", "version=0.0.9"),
        "SIALOSCOPE_BOX_KEYS",
    );
    let (_card, mut guest) = with_stick(&images, &bundle);
    refused(&mut guest, "older than");
}

/// Installs a bundle whose system is bad, and waits until version 0.1.0 is back and says why.
fn falls_back(images: &Path, name: &str, reason: &str) {
    let (_card, mut guest) = with_stick(images, &images.join(name).join("update.raucb"));
    guest.wait_for("slot B, tries left", 3);
    guest.wait_for("rolled back from slot B", 1);
    guest.wait_for("slot A is good", 2);
    let said = guest.said().join("\n");
    let why = said
        .lines()
        .find(|line| line.contains("rolled back"))
        .unwrap_or_default();
    assert!(
        why.contains(reason),
        "the reason is not {reason:?}: {why}\n{said}"
    );
}

#[test]
fn slow_a_system_that_hangs_is_left_by_the_watchdog() {
    let Some(images) = images() else { return };
    falls_back(&images, "hangs", "watchdog");
}

#[test]
fn slow_a_system_that_crashes_is_left() {
    let Some(images) = images() else { return };
    falls_back(&images, "crashes", "never_good");
}

#[test]
fn slow_a_system_that_is_never_good_is_left_with_the_failed_check() {
    let Some(images) = images() else { return };
    falls_back(&images, "never-good", "self_test: model");
}

#[test]
fn slow_a_system_whose_appliance_dies_is_left_with_that_reason() {
    let Some(images) = images() else { return };
    falls_back(&images, "dies", "self_test: appliance");
}

#[test]
fn slow_a_stick_that_is_pulled_during_the_copy_changes_nothing() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = with_stick(&images, &images.join("good/update.raucb"));
    guest.wait_for("update: state=installing", 1);
    thread::sleep(Duration::from_secs(1));
    guest.pull_stick();
    refused(&mut guest, "state=failed");
    guest.reset();
    guest.wait_for("slot A is good", 2);
    let said = guest.said().join("\n");
    assert!(
        !said.contains("rolled back") && !said.contains("slot B"),
        "{said}"
    );
}

#[test]
fn slow_a_full_data_partition_refuses_the_update_and_costs_no_slot() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("finger: nothing to do", 1);
    guest.cut();
    let data = Data::after_cut(&card.path);
    data.fill();
    data.put_back(&card.path);

    let stick = card.stick(&[&images.join("good/update.raucb")]);
    let mut guest = Guest::start(&Machine::new(&base, &card.path).with_stick(&stick));
    refused(&mut guest, "full");
    // As often as a slot has tries, and once more.
    for start in 2..6 {
        guest.reset();
        guest.wait_for("box: slot A, version 0.1.0", start);
        guest.wait_for("box: ready after", start);
        guest.wait_for("finger: nothing to do", start);
    }
    let said = guest.said().join("\n");
    assert!(!said.contains("rolled back"), "{said}");
}
