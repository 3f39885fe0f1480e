//! A computer with UEFI and Secure Boot. That slots, tries and updates work there as they do from U-Boot, the other
//! tests show: `SIALOSCOPE_BOX_BOARD=generic-uefi tests/box/run`.

use std::fs;
use std::path::Path;

use box_tests::card::{Card, SETTINGS};
use box_tests::guest::{Guest, Machine, Starter};
use box_tests::images;

/// Variables of a firmware that knows one key, which everybody has: Debian's for tests of Secure Boot.
const SNAKEOIL: &str = "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd";

/// Starts an image where Secure Boot knows the snakeoil key only.
fn started(image: &Path) -> (Card, Guest) {
    let card = Card::new(image, SETTINGS);
    let variables = card.beside("variables");
    fs::copy(SNAKEOIL, &variables).expect("Debian's qemu-efi-aarch64");
    let mut machine = Machine::new(image, &card.path);
    machine.starter = Starter::SecureBoot(variables);
    let guest = Guest::start(&machine);
    (card, guest)
}

#[test]
fn slow_secure_boot_starts_what_is_signed_with_a_key_that_it_knows() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = started(&images.join("uefi-snakeoil"));
    guest.wait_for("slot A is good", 1);
}

#[test]
fn slow_secure_boot_starts_nothing_that_is_signed_with_another_key() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = started(&images.join("generic-uefi"));
    guest.wait_for("Access Denied", 1);
    assert!(!guest.serial().contains("box: "), "{}", guest.serial());
}
