//! Three keys on GPIO lines.
//!
//! | key | pressed | held [`LONG_PRESS_MS`](crate::buttons::LONG_PRESS_MS) |
//! |---|---|---|
//! | up | [`Action::Up`] | [`Action::PreviousPage`] |
//! | select | [`Action::Select`] | [`Action::Back`] |
//! | down | [`Action::Down`] | [`Action::NextPage`] |
//!
//! A press counts when the key is let go, as only then is it known not to be a long one; a long press
//! counts while the key is still held. Holding repeats nothing: it means another thing.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use embedded_hal::digital::InputPin;
use linux_embedded_hal::CdevPin;

use super::{Action, Fault};
use crate::{
    buttons::{Buttons, Change, Event},
    gpio,
    stop::Stop,
};

/// How often the keys are looked at; a quarter of the time in which a contact settles.
const SAMPLE: Duration = Duration::from_millis(5);

/// How long after a failure the lines are asked for again.
const RETRY: Duration = Duration::from_secs(2);

/// Which lines the keys are on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wiring {
    /// The GPIO chip, for example `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// The line of the upper key.
    pub up: u32,
    /// The line of the middle key.
    pub select: u32,
    /// The line of the lower key.
    pub down: u32,
    /// A pressed key pulls its line low. Pull-ups are the board's or the device tree's business.
    pub active_low: bool,
}

impl Wiring {
    /// Keys that pull their lines low: up, select, down.
    pub fn on(chip: impl Into<PathBuf>, [up, select, down]: [u32; 3]) -> Self {
        Self {
            chip: chip.into(),
            up,
            select,
            down,
            active_low: true,
        }
    }

    fn open(&self) -> Result<[CdevPin; 3], String> {
        let line = |line| {
            gpio::input(&self.chip, line)
                .map_err(|error| format!("key on line {line} of {}: {error}", self.chip.display()))
        };
        Ok([line(self.up)?, line(self.select)?, line(self.down)?])
    }
}

/// What the changes of three keys mean.
#[derive(Debug, Default)]
struct Presses {
    /// The press in progress was long, and has had its effect.
    used: [bool; 3],
}

impl Presses {
    fn take(&mut self, Event { key, change }: Event) -> Option<Action> {
        let short = [Action::Up, Action::Select, Action::Down];
        let long = [Action::PreviousPage, Action::Back, Action::NextPage];
        match change {
            Change::Press => {
                self.used[key] = false;
                None
            }
            Change::LongPress => {
                self.used[key] = true;
                Some(long[key])
            }
            Change::Release => (!self.used[key]).then_some(short[key]),
        }
    }
}

/// Looks after the keys until told to stop.
pub(super) fn watch(wiring: &Wiring, stop: &Stop, sink: &dyn Fn(Action), fault: &Fault) {
    watch_pins(|| wiring.open(), wiring.active_low, stop, sink, fault);
}

fn watch_pins<P: InputPin>(
    mut open: impl FnMut() -> Result<[P; 3], String>,
    active_low: bool,
    stop: &Stop,
    sink: &dyn Fn(Action),
    fault: &Fault,
) {
    let start = Instant::now();
    loop {
        let reason = match open() {
            Ok(mut pins) => {
                fault.set(None);
                // Presses that the failure interrupted are forgotten.
                let (mut buttons, mut presses) = (Buttons::<3>::default(), Presses::default());
                loop {
                    let levels = pins.each_mut().map(|pin| match active_low {
                        true => pin.is_low(),
                        false => pin.is_high(),
                    });
                    let [Ok(up), Ok(select), Ok(down)] = levels else {
                        break "the keys cannot be read".into();
                    };
                    buttons.sample(start.elapsed().as_millis() as u64, [up, select, down]);
                    while let Some(event) = buttons.next_event() {
                        presses.take(event).map(sink);
                    }
                    if stop.pause(SAMPLE) {
                        return;
                    }
                }
            }
            Err(reason) => reason,
        };
        fault.set(Some(reason));
        if stop.pause(RETRY) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        sync::{
            Arc,
            atomic::{AtomicU8, Ordering},
            mpsc,
        },
        thread,
    };

    use embedded_hal::digital::{ErrorKind, ErrorType};

    use super::*;
    use crate::buttons::LONG_PRESS_MS;

    /// The actions when a key is closed in these milliseconds.
    fn played(key: usize, closed: &[std::ops::Range<u64>]) -> Vec<Action> {
        let (mut buttons, mut presses) = (Buttons::<3>::default(), Presses::default());
        let mut actions = Vec::new();
        for ms in (0..10_000).step_by(5) {
            let mut levels = [false; 3];
            levels[key] = closed.iter().any(|range| range.contains(&ms));
            buttons.sample(ms, levels);
            actions
                .extend(std::iter::from_fn(|| buttons.next_event()).filter_map(|event| presses.take(event)));
        }
        actions
    }

    #[test]
    fn short_and_long_presses_mean_what_the_table_says() {
        let (short, long) = (100..300, 100..100 + LONG_PRESS_MS + 100);
        let table = [
            (0, Action::Up, Action::PreviousPage),
            (1, Action::Select, Action::Back),
            (2, Action::Down, Action::NextPage),
        ];
        for (key, pressed, held) in table {
            assert_eq!(played(key, std::slice::from_ref(&short)), [pressed]);
            assert_eq!(played(key, std::slice::from_ref(&long)), [held]);
            // A long press leaves nothing behind for the next one.
            assert_eq!(played(key, &[long.clone(), 5000..5200]), [held, pressed]);
        }
    }

    /// A line whose level is a bit; 0x80 is a line that cannot be read.
    struct Line(Arc<AtomicU8>, u8);

    impl ErrorType for Line {
        type Error = ErrorKind;
    }

    impl InputPin for Line {
        fn is_high(&mut self) -> Result<bool, ErrorKind> {
            let levels = self.0.load(Ordering::SeqCst);
            if levels & 0x80 != 0 {
                return Err(ErrorKind::Other);
            }
            Ok(levels & self.1 != 0)
        }

        fn is_low(&mut self) -> Result<bool, ErrorKind> {
            self.is_high().map(|high| !high)
        }
    }

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn keys_that_pull_low_act_and_lines_that_fail_are_told() {
        let levels = Arc::new(AtomicU8::new(0b111));
        let (stop, fault) = (Stop::default(), Fault::default());
        let (sink, actions) = mpsc::channel();
        let thread = thread::spawn({
            let (levels, stop, fault) = (levels.clone(), stop.clone(), fault.clone());
            let open = move || Ok([1, 2, 4].map(|bit| Line(levels.clone(), bit)));
            move || watch_pins(open, true, &stop, &|action| sink.send(action).unwrap(), &fault)
        });
        let patience = Duration::from_secs(20);
        // Long presses, as they come however late the threads run.
        for (bit, action) in [
            (1, Action::PreviousPage),
            (2, Action::Back),
            (4, Action::NextPage),
        ] {
            levels.fetch_and(!bit, Ordering::SeqCst);
            assert_eq!(actions.recv_timeout(patience), Ok(action));
            levels.fetch_or(bit, Ordering::SeqCst);
        }
        levels.store(0x80, Ordering::SeqCst);
        eventually("told", || fault.told().is_some());
        levels.store(0b111, Ordering::SeqCst);
        eventually("well again", || fault.told().is_none());
        stop.stop();
        thread.join().unwrap();
        assert!(actions.recv().is_err(), "no more actions");
    }
}
