//! Which box this is: a serial number that is drawn once and stays.

use std::io;
use std::path::Path;

use models::package::hex;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::dicom::Uid;
use crate::disk::Disk;
use crate::limits::MAX_STATE_BYTES;
use crate::report::Device;

/// Digits of a serial number, bytes.
const SERIAL_BYTES: usize = 6;

/// The device whose data are in this folder, under its AE title. A folder without a serial number gets one.
///
/// # Errors
/// The disk failed, or the file of the serial number holds something else.
pub fn open(disk: &dyn Disk, data_dir: &Path, ae_title: &str) -> io::Result<Device> {
    let path = data_dir.join("serial_number");
    let serial = match disk.read_at_most(&path, MAX_STATE_BYTES) {
        Ok(bytes) => read(&bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let serial = hex(&random::<SERIAL_BYTES>()?).to_uppercase();
            disk.replace(&path, serial.as_bytes())?;
            serial
        }
        Err(error) => return Err(error),
    };
    Ok(Device::new(&serial, ae_title))
}

/// Transaction UIDs that nobody has and nobody guesses: of bytes that are drawn once, and a count.
#[derive(Debug, Clone)]
pub struct Transactions {
    drawn: String,
    count: u64,
}

impl Transactions {
    /// Of bytes drawn now.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn draw() -> io::Result<Self> {
        Ok(Self::of(&hex(&random::<16>()?)))
    }

    /// Of these.
    pub fn of(drawn: &str) -> Self {
        Self {
            drawn: drawn.to_owned(),
            count: 0,
        }
    }

    /// The next one.
    pub fn next_uid(&mut self) -> Uid {
        self.count += 1;
        Uid::derived(&["transaction", &self.drawn, &self.count.to_string()])
    }
}

fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut random = [0; BYTES];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(random)
}

fn read(bytes: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim_end();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if text.is_empty() || text.len() > 64 || !plain {
        let text = "serial_number is not 1 to 64 letters, digits and hyphens";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_serial_number_is_drawn_once_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let open_there = || open(&RealDisk, folder.path(), "SIALOSCOPE");
        let first = open_there().unwrap();
        assert_eq!(first.serial_number.len(), 2 * SERIAL_BYTES);
        assert_eq!(open_there().unwrap(), first);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(
            open(&RealDisk, elsewhere.path(), "SIALOSCOPE").unwrap().uid(),
            first.uid()
        );
        for (text, good) in [("SN-0042\n", true), ("", false), ("a b", false), ("../x", false)] {
            std::fs::write(folder.path().join("serial_number"), text).unwrap();
            assert_eq!(open_there().is_ok(), good, "{text:?}");
        }
    }
}
