//! An output: a GPIO line, or a lamp that a driver of the kernel owns.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use embedded_hal::digital::{self, ErrorType, OutputPin};
use linux_embedded_hal::{CdevPin, gpio_cdev};

use crate::gpio;

/// An output of either kind, so that a board may mix them.
pub struct Pin(Kind);

enum Kind {
    Line(CdevPin),
    /// The file that takes the brightness, and what is fully lit.
    Led {
        brightness: PathBuf,
        full: u32,
    },
}

impl Pin {
    /// A line of a GPIO chip, for example line 17 of `/dev/gpiochip0`; low at first.
    ///
    /// # Errors
    /// When the chip is missing, or the line does not exist or belongs to someone else: the board's
    /// wiring or its setting.
    pub fn line(chip: impl AsRef<Path>, line: u32) -> Result<Self, gpio_cdev::Error> {
        gpio::output(chip, line).map(|pin| Self(Kind::Line(pin)))
    }

    /// A lamp in its folder, for example `/sys/class/leds/green:status`. What drove it before, such as a
    /// heartbeat, is switched off, and it is dark at first.
    ///
    /// # Errors
    /// When the folder is missing, not ours to write, or describes no lamp.
    pub fn led(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        let full = fs::read_to_string(folder.join("max_brightness"))?;
        let full = full
            .trim()
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "max_brightness is no number"))?;
        let trigger = folder.join("trigger");
        if trigger.exists() {
            fs::write(trigger, "none")?;
        }
        let mut pin = Self(Kind::Led {
            brightness: folder.join("brightness"),
            full,
        });
        match pin.set_low() {
            Err(PinError(Cause::Led { source, .. })) => Err(source),
            _ => Ok(pin),
        }
    }

    fn drive(&mut self, high: bool) -> Result<(), PinError> {
        match &mut self.0 {
            Kind::Line(pin) => pin
                .set_state(digital::PinState::from(high))
                .map_err(|error| PinError(Cause::Line(error.to_string()))),
            Kind::Led { brightness, full } => {
                let level = if high { *full } else { 0 };
                fs::write(&*brightness, level.to_string()).map_err(|source| {
                    PinError(Cause::Led {
                        path: brightness.clone(),
                        source,
                    })
                })
            }
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Line(_) => "Pin on a GPIO line",
            Kind::Led { .. } => "Pin on a lamp of the kernel",
        })
    }
}

impl ErrorType for Pin {
    type Error = PinError;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.drive(false)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.drive(true)
    }
}

/// Why an output could not be driven: the hardware, or it was taken from us.
#[derive(Debug)]
pub struct PinError(Cause);

#[derive(Debug)]
enum Cause {
    Line(String),
    Led { path: PathBuf, source: io::Error },
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Line(error) => write!(f, "cannot drive a GPIO line: {error}"),
            Cause::Led { path, source } => write!(f, "cannot drive the lamp {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for PinError {}

impl digital::Error for PinError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lamp(full: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("max_brightness", full),
            ("brightness", "7"),
            ("trigger", "heartbeat"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_lamp_of_the_kernel_is_taken_over_and_driven() {
        let folder = lamp("255\n");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let mut pin = Pin::led(folder.path()).unwrap();
        assert_eq!((read("trigger"), read("brightness")), ("none".into(), "0".into()));
        pin.set_high().unwrap();
        assert_eq!(read("brightness"), "255");
        pin.set_low().unwrap();
        assert_eq!(read("brightness"), "0");
    }

    #[test]
    fn a_lamp_that_goes_away_is_an_error_that_names_it() {
        let folder = lamp("1");
        let mut pin = Pin::led(folder.path()).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        let error = pin.set_high().unwrap_err();
        assert!(error.to_string().contains("brightness"), "{error}");
    }

    #[test]
    fn what_is_no_lamp_is_refused() {
        assert!(Pin::led(lamp("bright").path()).is_err());
        assert!(Pin::led("/sys/class/leds/no-such-lamp").is_err());
        assert!(Pin::line("/dev/no-such-gpiochip", 3).is_err());
    }
}
