//! Lines of a Linux GPIO chip.

use std::path::Path;

use linux_embedded_hal::{
    CdevPin,
    gpio_cdev::{Chip, Error, LineRequestFlags},
};

/// Who holds a line, as `gpioinfo` shows it.
const HOLDER: &str = "sialoscope";

/// A line of a chip such as `/dev/gpiochip0` as an output, low at first.
///
/// # Errors
/// When the chip is missing, or the line does not exist or belongs to someone else.
pub(crate) fn output(chip: impl AsRef<Path>, line: u32) -> Result<CdevPin, Error> {
    request(chip.as_ref(), line, LineRequestFlags::OUTPUT)
}

/// As [`output`], as an input. Pull-ups are the board's or the device tree's business.
pub(crate) fn input(chip: impl AsRef<Path>, line: u32) -> Result<CdevPin, Error> {
    request(chip.as_ref(), line, LineRequestFlags::INPUT)
}

/// Whether a line is there and free, without changing it.
///
/// # Errors
/// As [`input`].
pub fn probe(chip: impl AsRef<Path>, line: u32) -> Result<(), Error> {
    input(chip, line).map(drop)
}

fn request(chip: &Path, line: u32, flags: LineRequestFlags) -> Result<CdevPin, Error> {
    CdevPin::new(Chip::new(chip)?.get_line(line)?.request(flags, 0, HOLDER)?)
}
