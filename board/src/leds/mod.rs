//! Status lights: what the box is doing, readable from across the room.
//!
//! Colour never carries the meaning alone. Each state blinks in its own way, so that a colour-blind
//! reader, or a board with a single lamp, tells them apart.
//!
//! | module | owns |
//! |---|---|
//! | `pin` | an output: a GPIO line or a lamp that the kernel drives (`/sys/class/leds`) |
//! | `buzzer` | short sounds for those who do not look |
//! | `signals` | a thread that keeps lamps and buzzer going |
//!
//! Lamps in folders made up for tests are all that was lit from here.

mod buzzer;
mod pin;
mod signals;

use std::path::Path;

use embedded_hal::digital::{OutputPin, PinState};
use linux_embedded_hal::{CdevPin, gpio_cdev};

use crate::gpio;

pub use buzzer::{BEEP_MS, Buzzer};
pub use pin::{Pin, PinError};
pub use signals::Signals;

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

impl Lamps {
    /// None of them.
    pub const DARK: Self = Self {
        green: false,
        amber: false,
        red: false,
    };
}

impl Light {
    /// The lamps that are lit `elapsed_ms` milliseconds after any fixed moment.
    pub fn lamps(self, elapsed_ms: u64) -> Lamps {
        match self {
            Light::Ready => Lamps {
                green: true,
                ..Lamps::DARK
            },
            Light::Working => Lamps {
                green: true,
                amber: elapsed_ms % 1000 < 500,
                ..Lamps::DARK
            },
            Light::Result => {
                let phase = elapsed_ms % 2000;
                Lamps {
                    green: phase < 150 || (300..450).contains(&phase),
                    ..Lamps::DARK
                }
            }
            Light::Fault => Lamps {
                red: elapsed_ms % 250 < 125,
                ..Lamps::DARK
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
        self.drive(light.lamps(elapsed_ms))
    }

    /// Puts all lamps out.
    ///
    /// # Errors
    /// As [`StatusLights::show`].
    pub fn dark(&mut self) -> Result<(), P::Error> {
        self.drive(Lamps::DARK)
    }

    fn drive(&mut self, lamps: Lamps) -> Result<(), P::Error> {
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
        let chip = chip.as_ref();
        let pin = |line| gpio::output(chip, line);
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
    fn dark_puts_every_lamp_out() {
        let log = RefCell::new(Vec::new());
        let mut lights = StatusLights::new(Recorder(&log, 'g'), Recorder(&log, 'a'), Recorder(&log, 'r'));
        let Ok(()) = lights.show(Light::Fault, 0);
        let Ok(()) = lights.dark();
        assert_eq!(log.borrow()[3..], [('g', false), ('a', false), ('r', false)]);
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
