//! Short sounds for those who do not look.

use embedded_hal::digital::{OutputPin, PinState};

use super::Light;

/// How long one beep is, and the pause between two, milliseconds.
pub const BEEP_MS: u64 = 120;

/// Beeps of a fault.
const FAULT_BEEPS: u64 = 3;

impl Light {
    /// Whether the buzzer sounds `since_ms` milliseconds after the state began: one beep for a result,
    /// three for a fault, then silence; the other states are silent.
    pub fn beeps(self, since_ms: u64) -> bool {
        let beeps = match self {
            Light::Ready | Light::Working => 0,
            Light::Result => 1,
            Light::Fault => FAULT_BEEPS,
        };
        since_ms % (2 * BEEP_MS) < BEEP_MS && since_ms / (2 * BEEP_MS) < beeps
    }
}

/// A buzzer that sounds by itself while its pin is high. A box has none unless its setting names one:
/// an MR suite is loud, and so is a beep in the quiet room beside it.
#[derive(Debug)]
pub struct Buzzer<P> {
    pin: P,
    on: Option<bool>,
}

impl<P: OutputPin> Buzzer<P> {
    /// A buzzer on a pin.
    pub fn new(pin: P) -> Self {
        Self { pin, on: None }
    }

    /// Drives the buzzer for `light`, which began `since_ms` milliseconds ago; call it at least every
    /// 50 ms.
    ///
    /// # Errors
    /// When the pin could not be driven; the next call drives it again.
    pub fn sound(&mut self, light: Light, since_ms: u64) -> Result<(), P::Error> {
        self.drive(light.beeps(since_ms))
    }

    /// Silence.
    ///
    /// # Errors
    /// As [`Buzzer::sound`].
    pub fn silent(&mut self) -> Result<(), P::Error> {
        self.drive(false)
    }

    fn drive(&mut self, on: bool) -> Result<(), P::Error> {
        if self.on == Some(on) {
            return Ok(());
        }
        self.on = None;
        self.pin.set_state(PinState::from(on))?;
        self.on = Some(on);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the buzzer starts and stops, milliseconds.
    fn edges(light: Light) -> Vec<u64> {
        (0..60_000)
            .filter(|&ms| light.beeps(ms) != (ms > 0 && light.beeps(ms - 1)))
            .collect()
    }

    #[test]
    fn a_result_beeps_once_and_a_fault_three_times_and_never_again() {
        assert_eq!(edges(Light::Result), [0, 120]);
        assert_eq!(edges(Light::Fault), [0, 120, 240, 360, 480, 600]);
        assert_eq!(edges(Light::Ready), []);
        assert_eq!(edges(Light::Working), []);
    }
}
