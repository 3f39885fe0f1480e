//! Status lights: what the box is doing, readable from across the room.
//!
//! Colour never carries the meaning alone. Each state blinks in its own way, so that a colour-blind
//! reader, or a board with a single lamp, tells them apart.

use std::path::Path;

use embedded_hal::digital::{OutputPin, PinState};
use linux_embedded_hal::{
    CdevPin,
    gpio_cdev::{self, Chip, LineRequestFlags},
};

/// What the lights say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Light {
    /// Waiting for a study: green, steady.
    Ready,
    /// Receiving or analysing: green steady, amber blinking once a second.
    Working,
    /// A result waits to be read: green, two short flashes every two seconds.
    Result,
    /// Somebody must look: red, four flashes a second.
    Fault,
}

/// Which lamps are lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lamps {
    /// Ready, result.
    pub green: bool,
    /// Working.
    pub amber: bool,
    /// Fault.
    pub red: bool,
}

impl Light {
    /// The lamps that are lit `elapsed_ms` milliseconds after any fixed moment.
    pub fn lamps(self, elapsed_ms: u64) -> Lamps {
        let dark = Lamps {
            green: false,
            amber: false,
            red: false,
        };
        match self {
            Light::Ready => Lamps { green: true, ..dark },
            Light::Working => Lamps {
                green: true,
                amber: elapsed_ms % 1000 < 500,
                ..dark
            },
            Light::Result => {
                let phase = elapsed_ms % 2000;
                Lamps {
                    green: phase < 150 || (300..450).contains(&phase),
                    ..dark
                }
            }
            Light::Fault => Lamps {
                red: elapsed_ms % 250 < 125,
                ..dark
            },
        }
    }
}

/// Three lamps on output pins; a pin is driven only when its lamp changes.
#[derive(Debug)]
pub struct StatusLights<P> {
    green: P,
    amber: P,
    red: P,
    shown: Option<Lamps>,
}

impl<P: OutputPin> StatusLights<P> {
    /// Lamps that light when their pin is high.
    pub fn new(green: P, amber: P, red: P) -> Self {
        Self {
            green,
            amber,
            red,
            shown: None,
        }
    }

    /// Drives the lamps for `light` at `elapsed_ms`; call it at least every 50 ms.
    ///
    /// # Errors
    /// When a pin could not be driven; the next call drives all of them again.
    pub fn show(&mut self, light: Light, elapsed_ms: u64) -> Result<(), P::Error> {
        let lamps = light.lamps(elapsed_ms);
        if self.shown == Some(lamps) {
            return Ok(());
        }
        self.shown = None;
        self.green.set_state(PinState::from(lamps.green))?;
        self.amber.set_state(PinState::from(lamps.amber))?;
        self.red.set_state(PinState::from(lamps.red))?;
        self.shown = Some(lamps);
        Ok(())
    }
}

impl StatusLights<CdevPin> {
    /// Lamps on three lines of a Linux GPIO chip, for example `/dev/gpiochip0`; dark at first.
    ///
    /// # Errors
    /// When the chip is missing, or a line does not exist or belongs to someone else.
    pub fn on_chip(chip: impl AsRef<Path>, lines: [u32; 3]) -> Result<Self, gpio_cdev::Error> {
        let mut chip = Chip::new(chip)?;
        let mut pin = |line| {
            let handle = chip
                .get_line(line)?
                .request(LineRequestFlags::OUTPUT, 0, "sialoscope")?;
            CdevPin::new(handle)
        };
        let [green, amber, red] = lines;
        Ok(Self::new(pin(green)?, pin(amber)?, pin(red)?))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashSet, convert::Infallible};

    use embedded_hal::digital::ErrorType;

    use super::*;

    const ALL: [Light; 4] = [Light::Ready, Light::Working, Light::Result, Light::Fault];

    /// Writes down every level that it was driven to.
    struct Recorder<'a>(&'a RefCell<Vec<(char, bool)>>, char);

    impl ErrorType for Recorder<'_> {
        type Error = Infallible;
    }

    impl OutputPin for Recorder<'_> {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push((self.1, false));
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push((self.1, true));
            Ok(())
        }
    }

    #[test]
    fn pins_follow_the_pattern_and_are_driven_on_change_only() {
        let log = RefCell::new(Vec::new());
        let mut lights = StatusLights::new(Recorder(&log, 'g'), Recorder(&log, 'a'), Recorder(&log, 'r'));
        for ms in 0..1000 {
            let Ok(()) = lights.show(Light::Working, ms);
        }
        let expected = [
            ('g', true),
            ('a', true),
            ('r', false),
            ('g', true),
            ('a', false),
            ('r', false),
        ];
        assert_eq!(*log.borrow(), expected);
    }

    #[test]
    fn states_differ_without_colour() {
        let rhythms: HashSet<Vec<usize>> = ALL
            .iter()
            .map(|light| {
                let lit = |ms| {
                    let lamps = light.lamps(ms);
                    [lamps.green, lamps.amber, lamps.red]
                        .into_iter()
                        .filter(|&on| on)
                        .count()
                };
                (0..2000).step_by(25).map(lit).collect()
            })
            .collect();
        assert_eq!(rhythms.len(), ALL.len());
    }

    #[test]
    fn red_means_fault_and_nothing_else() {
        for light in ALL {
            let ever_red = (0..2000).any(|ms| light.lamps(ms).red);
            assert_eq!(ever_red, light == Light::Fault, "{light:?}");
        }
    }

    #[test]
    fn a_missing_chip_is_an_error() {
        assert!(StatusLights::on_chip("/dev/no-such-gpiochip", [1, 2, 3]).is_err());
    }
}
