//! Disks of the virtual box: a copy of the flashed image on a larger card, and where its partitions lie.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use crate::stick::run;

/// Sectors of GPT, bytes.
const SECTOR: u64 = 512;

/// Puts an image on a card of this size, as `board/flash` does.
pub fn flash(image: &Path, card: &Path, card_mib: u64) {
    std::fs::copy(image, card).expect("the image can be copied");
    let file = OpenOptions::new().write(true).open(card).expect("a card");
    file.set_len(card_mib << 20).expect("room for a card");
}

/// Where the partition of this name lies, bytes.
///
/// # Panics
/// If there is none.
pub fn partition(card: &Path, name: &str) -> Range<u64> {
    find(card, name).unwrap_or_else(|| panic!("{} has no partition {name}", card.display()))
}

/// Where the partition of this name lies, bytes, if there is one.
pub fn find(card: &Path, name: &str) -> Option<Range<u64>> {
    let entry = entry(card, name)?;
    Some(number(&entry[32..40]) * SECTOR..(number(&entry[40..48]) + 1) * SECTOR)
}

/// Whether the partition of this name is one where UEFI looks for programs (UEFI 2.10, 5.3.3), as fdisk knows
/// them.
pub fn is_efi_system(card: &Path, name: &str) -> bool {
    let mut fdisk = Command::new("/usr/sbin/sfdisk");
    let table = run(fdisk.arg("--json").arg(card));
    let table: serde_json::Value = serde_json::from_str(&table).expect("a table");
    let partitions = table["partitiontable"]["partitions"]
        .as_array()
        .expect("partitions");
    let named = partitions.iter().find(|partition| partition["name"] == name);
    let kind = named
        .and_then(|partition| partition["type"].as_str())
        .unwrap_or_default();
    // What the list of types that fdisk brings calls it.
    let types = run(Command::new("/usr/sbin/sfdisk").args(["--label", "gpt", "--list-types"]));
    types
        .lines()
        .any(|line| line.contains(kind) && line.contains("EFI System"))
}

/// What the table says of the partition of this name.
fn entry(card: &Path, name: &str) -> Option<Vec<u8>> {
    let header = read(card, SECTOR, 92);
    assert_eq!(&header[..8], b"EFI PART", "{} has no GPT", card.display());
    let (entries, count, size) = (
        number(&header[72..80]),
        number(&header[80..84]),
        number(&header[84..88]),
    );
    let mut all = (0..count).map(|index| read(card, entries * SECTOR + index * size, 128));
    all.find(|entry| {
        let units: Vec<u16> = entry[56..128]
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units).trim_end_matches('\0') == name
    })
}

/// Copies this part of a file to this place of another one, the holes in it left out: cards are mostly holes.
pub fn copy_part(from: &Path, part: Range<u64>, to: &Path, place: u64) {
    use rustix::fs::{SeekFrom as Sparse, seek};
    let mut source = File::open(from).expect("a disk");
    let mut target = OpenOptions::new().write(true).open(to).expect("a disk");
    let mut at = part.start;
    while let Ok(data) = seek(&source, Sparse::Data(at)) {
        if data >= part.end {
            break;
        }
        let hole = seek(&source, Sparse::Hole(data)).expect("an end of the data");
        at = hole.min(part.end);
        source.seek(SeekFrom::Start(data)).expect("a place");
        target
            .seek(SeekFrom::Start(data - part.start + place))
            .and_then(|_| std::io::copy(&mut (&source).take(at - data), &mut target))
            .expect("a disk can be copied");
    }
}

/// Turns one bit over.
pub fn flip_bit(card: &Path, offset: u64, bit: u8) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(card)
        .expect("a card");
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut byte))
        .expect("a byte");
    byte[0] ^= 1 << bit;
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.write_all(&byte))
        .expect("a byte");
}

/// So many bytes from there on.
///
/// # Panics
/// If the card ends before.
pub fn read(card: &Path, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut file = File::open(card).expect("a card");
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes))
        .expect("the card can be read");
    bytes
}

/// The boot partition, as mtools want it to be called.
pub fn boot(card: &Path) -> String {
    format!("{}@@{}", card.display(), partition(card, "boot").start)
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
