//! What the boot loader will do with a card: its environment, read by the loader's own reader for UEFI, which shares
//! the form with U-Boot's script.

use std::path::Path;

use loader::environment::{COPIES, COPY_BYTES, Environment};
use loader::tries::Slot;

use crate::disk;

/// The slot that is started next, if any has a try left.
pub fn next_slot(card: &Path) -> Option<Slot> {
    let start = disk::partition(card, "ubootenv").start;
    let [first, second] = COPIES.map(|offset| disk::read(card, start + offset, COPY_BYTES));
    Environment::read([&first, &second]).tries.choose()
}
