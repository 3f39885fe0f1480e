//! What U-Boot will do with a card: the environment on it, read the way `board/image/u-boot/box.env` reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::disk;

const COPY_BYTES: usize = 0x1000;
const SECOND_COPY: u64 = 0x8_0000;

/// The slot that U-Boot starts next, `A` or `B`, if it finds any try left.
pub fn next_slot(card: &Path) -> Option<char> {
    let variables = newest(card).unwrap_or_default();
    let get = |name: &str, default: &str| variables.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let order = get("BOOT_ORDER", "A B");
    order
        .split_whitespace()
        .filter_map(|word| word.chars().next())
        .find(|slot| {
            let left = get(&format!("BOOT_{slot}_LEFT"), "3");
            i64::from_str_radix(left.trim_start_matches("0x"), 16).is_ok_and(|left| left > 0)
        })
}

/// The variables of the newer copy whose checksum is right.
fn newest(card: &Path) -> Option<BTreeMap<String, String>> {
    let start = disk::partition(card, "ubootenv").start;
    let copies = [start, start + SECOND_COPY].map(|offset| {
        let mut bytes = vec![0; COPY_BYTES];
        let mut file = File::open(card).expect("a card");
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .expect("an environment");
        let crc = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        (crc == crc32(&bytes[5..])).then(|| (bytes[4], bytes.split_off(5)))
    });
    let text = match copies {
        [Some((first, a)), Some((second, b))] => {
            let second_is_newer = match (first, second) {
                (0xff, 0) => true,
                (0, 0xff) => false,
                _ => second > first,
            };
            if second_is_newer { b } else { a }
        }
        [Some((_, one)), None] | [None, Some((_, one))] => one,
        [None, None] => return None,
    };
    let lines = text.split(|byte| *byte == 0).take_while(|line| !line.is_empty());
    let pairs = lines.filter_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        line.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}

/// CRC-32 of IEEE 802.3, bit by bit: four kilobytes need no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
