//! One bit of what is signed is wrong: it is never run, and the other slot is.

use std::path::{Path, PathBuf};
use std::process::Command;

use box_tests::card::{Card, SETTINGS};
use box_tests::guest::{Guest, Machine};
use box_tests::{disk, images, stick};

/// A card whose both slots are good: A holds 0.1.0, B holds 0.2.0 and runs.
fn both_slots() -> Option<(PathBuf, Card)> {
    let images = images()?;
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let stick = card.stick(&[&images.join("good/update.raucb")]);
    let mut guest = Guest::start(&Machine::new(&base, &card.path).with_stick(&stick));
    guest.wait_for("slot B is good", 1);
    guest.cut();
    Some((base, card))
}

/// Flips this bit of a copy of the card; slot A has to run and to say why.
fn left(base: &Path, card: &Card, (offset, bit): (u64, u8), reason: &str) {
    let flipped = card.copy();
    disk::flip_bit(&flipped.path, offset, bit);
    let mut guest = Guest::start(&Machine::new(base, &flipped.path));
    guest.wait_for("slot A is good", 1);
    let said = guest.said().join("\n");
    assert!(
        said.contains("rolled back from slot B") && said.contains(reason),
        "{reason}:\n{said}"
    );
}

#[test]
fn a_bit_of_the_kernel_starts_the_other_slot() {
    let Some((base, card)) = both_slots() else { return };
    let kernel = disk::partition(&card.path, "kernel_B");
    left(&base, &card, (kernel.start + (1 << 20), 3), "kernel_refused");
}

#[test]
fn slow_a_bit_of_root_hash_root_or_package_starts_the_other_slot() {
    let Some((base, card)) = both_slots() else { return };
    let kernel = disk::partition(&card.path, "kernel_B");
    let root = disk::partition(&card.path, "root_B");
    let hash = find(&card, &kernel, b"sialoscope,root-hash")
        .or_else(|| find(&card, &kernel, b"\nhash=").map(|line| line + 7));
    let hash = hash.expect("a FIT names its properties, a program for UEFI has lines");
    left(&base, &card, (hash, 0), "kernel_refused");
    // The first block ends the start at once, a network only when the appliance reads it.
    left(&base, &card, (root.start + 5, 1), "root_refused");
    let package = find(&card, &root, &packed(&card)).expect("a network lies in the root file system");
    left(&base, &card, (package, 6), "a wrong block of its root 3x");
}

/// Bytes of the locator of the model package as they lie in the root file system: from a squashfs of that file alone,
/// made with the same options.
fn packed(card: &Card) -> Vec<u8> {
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packages/parotid/locator.onnx");
    let alone = card.beside("alone.squashfs");
    let options = [
        "-comp",
        "zstd",
        "-Xcompression-level",
        "15",
        "-b",
        "256K",
        "-quiet",
        "-no-progress",
    ];
    stick::run(Command::new("mksquashfs").arg(network).arg(&alone).args(options));
    // Behind the superblock of 96 bytes the blocks of the file begin.
    std::fs::read(alone).expect("a file system")[96 + 1000..][..64].to_vec()
}

/// Where these bytes lie within a partition.
fn find(card: &Card, within: &std::ops::Range<u64>, bytes: &[u8]) -> Option<u64> {
    let length = usize::try_from(within.end - within.start).ok()?;
    let all = disk::read(&card.path, within.start, length);
    let found = all.windows(bytes.len()).position(|window| window == bytes)?;
    Some(within.start + found as u64)
}
