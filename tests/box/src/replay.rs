//! Cuts of power. QEMU's `blklogwrites` records every write to the disk with its flushes (the format of Linux'
//! dm-log-writes); from that record the disk is put together again as it may have been at any instant: all that
//! was flushed, and any part of what was not.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// "dm-log-writes", as QEMU writes it.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const SECTOR: u64 = 512;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// One write, in the order in which the disk got them.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    sector: u64,
    sectors: u64,
    flush: bool,
    /// Where its bytes lie in the record; none for a flush or a discard.
    at: Option<u64>,
}

/// What QEMU recorded.
#[derive(Debug)]
pub struct Record {
    file: PathBuf,
    /// The writes.
    pub writes: Vec<Write>,
}

/// Arguments for a machine whose writes to this card are recorded.
pub fn recording(card: &Path, record: &Path) -> Vec<String> {
    File::create(record).expect("a record");
    let arguments = [
        "-blockdev".to_owned(),
        format!("driver=file,filename={},node-name=card-file", card.display()),
        "-blockdev".to_owned(),
        "driver=raw,file=card-file,node-name=card".to_owned(),
        "-blockdev".to_owned(),
        format!("driver=file,filename={},node-name=record", record.display()),
        "-blockdev".to_owned(),
        "driver=blklogwrites,node-name=both,file=card,log=record,log-sector-size=512".to_owned(),
        "-device".to_owned(),
        "virtio-blk-pci,drive=both".to_owned(),
    ];
    arguments.into()
}

impl Record {
    /// Reads the list of writes; their bytes stay in the file.
    pub fn open(file: &Path) -> Self {
        let mut record = File::open(file).expect("a record");
        let length = record.metadata().expect("a length").len();
        let mut header = [0; 28];
        record.read_exact(&mut header).expect("a header");
        assert_eq!(
            number(&header[..8]),
            MAGIC,
            "{} is no record of writes",
            file.display()
        );
        let (count, mut offset, mut writes) = (number(&header[16..24]), SECTOR, Vec::new());
        // The count is written now and then: what follows it is valid until the first empty entry.
        while offset + 32 <= length {
            let mut entry = [0; 32];
            record
                .seek(SeekFrom::Start(offset))
                .and_then(|_| record.read_exact(&mut entry))
                .expect("an entry");
            let (sector, sectors, flags) =
                (number(&entry[..8]), number(&entry[8..16]), number(&entry[16..24]));
            if entry == [0; 32] && writes.len() as u64 >= count {
                break;
            }
            offset += SECTOR;
            let holds_bytes = flags & DISCARD == 0 && sectors > 0;
            if holds_bytes && offset + sectors * SECTOR > length {
                break;
            }
            writes.push(Write {
                sector,
                sectors,
                flush: flags & FLUSH != 0,
                at: holds_bytes.then_some(offset),
            });
            offset += if holds_bytes { sectors * SECTOR } else { 0 };
        }
        Self {
            file: file.to_owned(),
            writes,
        }
    }

    /// The disk after a cut before write number `cut`: `card` is what it was at first and becomes that. Of what
    /// was written after the last flush, `survives` says which writes reached the disk.
    pub fn replay(&self, card: &Path, cut: usize, mut survives: impl FnMut() -> bool) {
        let flushed = self.writes[..cut]
            .iter()
            .rposition(|write| write.flush)
            .unwrap_or(0);
        let mut record = File::open(&self.file).expect("a record");
        let mut disk = OpenOptions::new().write(true).open(card).expect("a card");
        for (index, write) in self.writes[..cut].iter().enumerate() {
            let Some(at) = write.at else { continue };
            if index >= flushed && !survives() {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(write.sectors * SECTOR).expect("a write fits memory")];
            record
                .seek(SeekFrom::Start(at))
                .and_then(|_| record.read_exact(&mut bytes))
                .expect("bytes");
            disk.seek(SeekFrom::Start(write.sector * SECTOR))
                .and_then(|_| disk.write_all(&bytes))
                .expect("a disk");
        }
    }
}

impl Record {
    /// What an installer would leave that switches over first: all writes to this part of the disk are done.
    pub fn switch_first(&self, card: &Path, part: std::ops::Range<u64>) {
        let only: Vec<_> = self
            .writes
            .iter()
            .filter(|write| part.contains(&(write.sector * SECTOR)))
            .copied()
            .collect();
        let switched = Self {
            file: self.file.clone(),
            writes: only,
        };
        switched.replay(card, switched.writes.len(), || true);
    }
}

/// A copy of a card that shares what it can with the original.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_file(to);
    crate::stick::run(
        std::process::Command::new("cp")
            .arg("--sparse=always")
            .arg(from)
            .arg(to),
    );
}

/// Random numbers that are the same every time: a failure has to come again (SplitMix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
