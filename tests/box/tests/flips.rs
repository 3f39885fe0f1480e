//! One bit of what is signed is wrong: it is never run, and the other slot is.

use box_tests::card::{Card, SETTINGS};
use box_tests::guest::{Guest, Machine};
use box_tests::{disk, images, stick};

/// A card whose both slots are good: A holds 0.1.0, B holds 0.2.0 and runs.
fn both_slots() -> Option<(std::path::PathBuf, Card)> {
    let images = images()?;
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let file = card.beside("stick");
    stick::make(&file, &[&images.join("good/update.raucb")]);
    let mut guest = Guest::start(&Machine::new(&base, &card.path).with_stick(&file));
    guest.wait_for("slot B is good", 1);
    guest.cut();
    Some((base, card))
}

#[test]
fn a_bit_of_kernel_hash_or_root_starts_the_other_slot() {
    let Some((base, card)) = both_slots() else { return };
    let kernel = disk::partition(&card.path, "kernel_B");
    let root = disk::partition(&card.path, "root_B");
    // The middle of the kernel; the root hash within the signed configuration; the first block of the root.
    let hash =
        find(&card, &kernel, b"sialoscope,root-hash").expect("names of properties lie at the end of a FIT");
    for (offset, bit, reason) in [
        (kernel.start + (1 << 20), 3, "kernel_refused"),
        (hash, 0, "kernel_refused"),
        (root.start + 5, 1, "root_refused"),
    ] {
        let flipped = card.copy();
        disk::flip_bit(&flipped.path, offset, bit);
        let mut guest = Guest::start(&Machine::new(&base, &flipped.path));
        guest.wait_for("slot A is good", 1);
        let said = guest.said().join("\n");
        assert!(
            said.contains("rolled back from slot B") && said.contains(reason),
            "{reason}:\n{said}"
        );
    }
}

/// Where these bytes lie within a partition.
fn find(card: &Card, within: &std::ops::Range<u64>, bytes: &[u8]) -> Option<u64> {
    let all = std::fs::read(&card.path).expect("a card");
    let (start, end) = (
        usize::try_from(within.start).ok()?,
        usize::try_from(within.end).ok()?,
    );
    let found = all[start..end]
        .windows(bytes.len())
        .position(|window| window == bytes)?;
    Some(within.start + found as u64)
}
