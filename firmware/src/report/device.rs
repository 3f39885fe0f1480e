//! Which device made an object.

use crate::dicom::Uid;

/// Ours, in every object.
pub(super) const MANUFACTURER: &str = "Sialoscope";
/// (0008,1090).
pub(super) const MODEL: &str = "Sialoscope";

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// (0018,1000).
    pub serial_number: String,
    /// (0008,1010): its AE title.
    pub station_name: String,
}

impl Device {
    /// The box with a serial number.
    pub fn new(serial_number: &str, station_name: &str) -> Self {
        Self {
            serial_number: serial_number.to_owned(),
            station_name: station_name.to_owned(),
        }
    }

    /// (0018,1002): follows from the serial number.
    pub fn uid(&self) -> Uid {
        Uid::derived(&["device", &self.serial_number])
    }
}
