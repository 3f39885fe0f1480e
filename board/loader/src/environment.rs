//! The partition `ubootenv`: two copies, each a CRC-32, a count and the variables (libubootenv's redundant form).
//! They are written in turn, so that a write that is cut off spoils the older one only.

use alloc::vec::Vec;

use crate::tries::Tries;

/// Bytes of a copy.
pub const COPY_BYTES: usize = 0x1000;
/// Where the copies lie in the partition.
pub const COPIES: [u64; 2] = [0, 0x8_0000];

/// What stands in the partition, and where the next copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The variables of the newer copy; those of a new disk where neither is whole.
    pub tries: Tries,
    newest: usize,
    count: u8,
}

impl Environment {
    /// From the bytes of both copies.
    pub fn read(copies: [&[u8]; 2]) -> Self {
        let [first, second] = copies.map(whole);
        let newest = match (first, second) {
            (Some((a, _)), Some((b, _))) => usize::from(is_newer(b, a)),
            (None, Some(_)) => 1,
            _ => 0,
        };
        match [first, second][newest] {
            Some((count, text)) => Self {
                tries: Tries::parse(text),
                newest,
                count,
            },
            None => Self {
                tries: Tries::default(),
                newest,
                count: 0,
            },
        }
    }

    /// The next copy: where in the partition it goes, and its bytes. From now on it is the newer one.
    pub fn next_copy(&mut self) -> (u64, Vec<u8>) {
        self.newest = 1 - self.newest;
        self.count = self.count.wrapping_add(1);
        let mut bytes = Vec::with_capacity(COPY_BYTES);
        bytes.extend([0, 0, 0, 0, self.count]);
        bytes.extend(self.tries.text());
        bytes.resize(COPY_BYTES, 0);
        let checksum = crc32fast::hash(&bytes[5..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        (COPIES[self.newest], bytes)
    }
}

/// Count and text of a copy, if its checksum is right.
fn whole(copy: &[u8]) -> Option<(u8, &[u8])> {
    let (checksum, rest) = copy.split_first_chunk()?;
    let (count, text) = rest.split_first()?;
    (crc32fast::hash(text) == u32::from_le_bytes(*checksum)).then_some((*count, text))
}

/// Whether a count follows the other: after 255 comes 0.
fn is_newer(count: u8, other: u8) -> bool {
    match (count, other) {
        (0, 0xff) => true,
        (0xff, 0) => false,
        _ => count > other,
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::vec;

    use super::*;

    /// The disk's two copies, written to the way the loader does.
    fn write(disk: &mut [Vec<u8>; 2], environment: &mut Environment) {
        let (offset, bytes) = environment.next_copy();
        disk[usize::from(offset != 0)] = bytes;
    }

    fn read(disk: &[Vec<u8>; 2]) -> Environment {
        Environment::read([&disk[0], &disk[1]])
    }

    #[test]
    fn what_was_written_last_is_read_also_when_the_count_turns_over() {
        let mut disk = [vec![0xff; COPY_BYTES], vec![0xff; COPY_BYTES]];
        for round in 0..600_u32 {
            let mut environment = read(&disk);
            assert_eq!(environment.tries.exhausted, round);
            environment.tries.exhausted += 1;
            write(&mut disk, &mut environment);
            assert_eq!(read(&disk), environment);
        }
    }

    #[test]
    fn a_torn_write_costs_the_older_copy_only() {
        let mut disk = [vec![0; COPY_BYTES], vec![0; COPY_BYTES]];
        let mut environment = read(&disk);
        for _ in 0..5 {
            environment.tries.exhausted += 1;
            write(&mut disk, &mut environment);
            let before = read(&disk);
            let mut next = environment.clone();
            next.tries.left = [0, 0];
            let (offset, bytes) = next.next_copy();
            for torn in [1, 4, 5, 40, 100] {
                let mut disk = disk.clone();
                disk[usize::from(offset != 0)][..torn].copy_from_slice(&bytes[..torn]);
                let read = read(&disk);
                assert!(
                    read.tries == before.tries || read.tries == next.tries,
                    "{torn}: {read:?}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn foreign_bytes_start_a_slot_or_none(mut copy in proptest::collection::vec(0_u8.., 0..200), right in 0..2) {
            if right == 1 && copy.len() > 5 {
                let checksum = crc32fast::hash(&copy[5..]);
                copy[..4].copy_from_slice(&checksum.to_le_bytes());
            }
            let mut environment = Environment::read([&copy, &[]]);
            let _ = environment.tries.choose();
            let mut disk = [copy.to_owned(), vec![]];
            write(&mut disk, &mut environment);
            // A zero byte ends the text, and an order with one in it cannot come from a text.
            proptest::prop_assert_eq!(read(&disk).tries, environment.tries);
        }
    }
}
