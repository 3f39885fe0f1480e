//! A computer with UEFI. That updates work there as they do from U-Boot, the other tests show:
//! `SIALOSCOPE_BOX_BOARD=generic-uefi tests/box/run`.

use std::fs;
use std::path::Path;

use box_tests::card::{Card, SETTINGS};
use box_tests::guest::{Guest, Machine, Starter};
use box_tests::{disk, images};

/// Variables of a firmware that knows one key, which everybody has: Debian's for tests of Secure Boot.
const SNAKEOIL: &str = "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd";

/// Most such computers have ACPI, and no pins.
fn without_pins() -> String {
    let end = SETTINGS.find("[screen.keys]").expect("keys");
    SETTINGS[..end].to_owned()
}

/// Starts an image where Secure Boot knows the snakeoil key only.
fn with_secure_boot(image: &Path) -> (Card, Guest) {
    let card = Card::new(image, &without_pins());
    let variables = card.beside("variables");
    fs::copy(SNAKEOIL, &variables).expect("Debian's qemu-efi-aarch64");
    let mut machine = Machine::new(image, &card.path);
    machine.starter = Starter::SecureBoot(variables);
    machine.acpi = true;
    let guest = Guest::start(&machine);
    (card, guest)
}

#[test]
fn slow_secure_boot_and_acpi_start_what_is_signed_with_a_key_that_they_know() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = with_secure_boot(&images.join("uefi-snakeoil"));
    guest.wait_for("slot A is good", 1);
}

#[test]
fn slow_secure_boot_starts_nothing_that_is_signed_with_another_key() {
    let Some(images) = images() else { return };
    let (_card, mut guest) = with_secure_boot(&images.join("generic-uefi"));
    guest.wait_for("Access Denied", 1);
    assert!(!guest.serial().contains("box: "), "{}", guest.serial());
}

#[test]
fn slow_a_bit_of_the_kernel_is_refused_where_the_firmware_checks_nothing() {
    let Some(images) = images() else { return };
    let image = images.join("generic-uefi");
    let card = Card::new(&image, &without_pins());
    let kernel = disk::partition(&card.path, "kernel_A");
    disk::flip_bit(&card.path, kernel.start + (1 << 20), 3);
    let mut guest = Guest::start(&Machine::new(&image, &card.path));
    // There is no other slot yet: both lose their tries, and then it begins again.
    guest.wait_for("slot A is refused: its content is not what was signed", 3);
    guest.wait_for("slot A, tries left after this one: A 0 B 3", 1);
    guest.wait_for("slot B is refused: its partition cannot be read", 3);
    guest.wait_for("no slot has a try left, all over again", 1);
    assert!(!guest.serial().contains("Linux"), "{}", guest.serial());
}
