//! A thread that keeps lamps and buzzer going.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use embedded_hal::digital::OutputPin;

use super::{Buzzer, Light, StatusLights};
use crate::stop::Stop;

/// How often lamps and buzzer are looked after. Beeps are a whole number of these.
const TICK: Duration = Duration::from_millis(40);

/// Lamps and a buzzer that follow what the box is doing. When dropped, they go dark and silent.
#[derive(Debug)]
pub struct Signals {
    said: Arc<AtomicU32>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// The lights by number; 0 is none.
const LIGHTS: [Light; 4] = [Light::Ready, Light::Working, Light::Result, Light::Fault];

/// Of what the lamps say, the bits with the number of the light; above them, how often something was announced.
const LIGHT: u32 = 0xFF;

fn number(light: Light) -> u32 {
    LIGHTS
        .iter()
        .position(|&l| l == light)
        .map_or(0, |i| i as u32 + 1)
}

impl Signals {
    /// Takes the lamps, and a buzzer where there is one; dark and silent until the first
    /// [`Signals::set`]. Hardware that fails is told to `report` once, in words, and driven on: a lamp
    /// never stops the box.
    pub fn start<P>(
        lights: StatusLights<P>,
        buzzer: Option<Buzzer<P>>,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self
    where
        P: OutputPin<Error: Display> + Send + 'static,
    {
        let (said, stop) = (Arc::new(AtomicU32::new(0)), Stop::default());
        let report = Arc::new(report);
        let spawned = thread::Builder::new().name("lamps".into()).spawn({
            let (said, stop, report) = (said.clone(), stop.clone(), report.clone());
            move || run(lights, buzzer, &said, &stop, &*report)
        });
        let thread = spawned
            .inspect_err(|error| report(&format!("the lamps stay dark: {error}")))
            .ok();
        Self { said, stop, thread }
    }

    /// What the lamps say from now on. A light that is set again begins no new beep.
    pub fn set(&self, light: Light) {
        let before = self.said.load(Ordering::Relaxed);
        self.said
            .store(before & !LIGHT | number(light), Ordering::Relaxed);
    }

    /// The same with a new beep, although the lamps may have said so before: there is one more result.
    pub fn announce(&self, light: Light) {
        let before = self.said.load(Ordering::Relaxed);
        let times = (before & !LIGHT).wrapping_add(LIGHT + 1);
        self.said.store(times | number(light), Ordering::Relaxed);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            // A panic over there was printed there; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn run<P: OutputPin<Error: Display>>(
    mut lights: StatusLights<P>,
    mut buzzer: Option<Buzzer<P>>,
    said: &AtomicU32,
    stop: &Stop,
    report: &dyn Fn(&str),
) {
    let start = Instant::now();
    let (mut heard, mut shown, mut since) = (0, None, start);
    let mut told = [false; 2];
    let mut tell = |which: usize, name: &str, outcome: Result<(), P::Error>| {
        if let Err(error) = outcome
            && !std::mem::replace(&mut told[which], true)
        {
            report(&format!("{name}: {error}"));
        }
    };
    loop {
        let now = Instant::now();
        let says = said.load(Ordering::Relaxed);
        if says != heard {
            (heard, since) = (says, now);
            shown = (says & LIGHT).checked_sub(1).map(|i| LIGHTS[i as usize]);
        }
        let ms = |from: Instant| (now - from).as_millis() as u64;
        let last = stop.stopped();
        tell(
            0,
            "the lamps fail",
            match shown.filter(|_| !last) {
                Some(light) => lights.show(light, ms(start)),
                None => lights.dark(),
            },
        );
        if let Some(buzzer) = &mut buzzer {
            tell(
                1,
                "the buzzer fails",
                match shown.filter(|_| !last) {
                    Some(light) => buzzer.sound(light, ms(since)),
                    None => buzzer.silent(),
                },
            );
        }
        if last {
            return;
        }
        stop.pause(TICK);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Mutex, mpsc};

    use embedded_hal::digital::{ErrorKind, ErrorType};

    use super::*;

    /// Tells each level that it is driven to, or fails while told to.
    struct Wire {
        name: char,
        levels: mpsc::Sender<(char, bool)>,
        broken: bool,
    }

    impl ErrorType for Wire {
        type Error = ErrorKind;
    }

    impl OutputPin for Wire {
        fn set_low(&mut self) -> Result<(), ErrorKind> {
            let _ = self.levels.send((self.name, false));
            if self.broken {
                Err(ErrorKind::Other)
            } else {
                Ok(())
            }
        }

        fn set_high(&mut self) -> Result<(), ErrorKind> {
            let _ = self.levels.send((self.name, true));
            if self.broken {
                Err(ErrorKind::Other)
            } else {
                Ok(())
            }
        }
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    type Levels = mpsc::Receiver<(char, bool)>;

    fn started(broken: bool) -> (Signals, Levels, Arc<Mutex<Vec<String>>>) {
        let (levels, seen) = mpsc::channel();
        let wire = |name| Wire {
            name,
            levels: levels.clone(),
            broken,
        };
        let reports = Arc::new(Mutex::new(Vec::new()));
        let sink = reports.clone();
        let signals = Signals::start(
            StatusLights::new(wire('g'), wire('a'), wire('r')),
            Some(Buzzer::new(wire('b'))),
            move |text| sink.lock().unwrap().push(text.to_owned()),
        );
        (signals, seen, reports)
    }

    fn await_level(seen: &Levels, level: (char, bool)) {
        let start = Instant::now();
        while seen.recv_timeout(PATIENCE).expect("some level comes") != level {
            assert!(start.elapsed() < PATIENCE, "{level:?} never came");
        }
    }

    #[test]
    fn lamps_and_buzzer_follow_and_end_dark() {
        let (signals, seen, reports) = started(false);
        // A state's first beep comes however late the thread runs, and every beep ends.
        signals.set(Light::Result);
        await_level(&seen, ('b', true));
        await_level(&seen, ('b', false));
        await_level(&seen, ('g', true));
        // One more result while the lamps still tell of the one before.
        signals.announce(Light::Result);
        await_level(&seen, ('b', true));
        await_level(&seen, ('b', false));
        signals.set(Light::Fault);
        await_level(&seen, ('b', true));
        await_level(&seen, ('r', true));
        drop(signals);
        let mut last = std::collections::HashMap::new();
        last.extend(seen.iter());
        assert!(last.values().all(|on| !on), "{last:?}");
        assert!(reports.lock().unwrap().is_empty());
    }

    #[test]
    fn broken_hardware_is_told_once_and_tried_on() {
        let (signals, seen, reports) = started(true);
        signals.set(Light::Ready);
        for _ in 0..4 {
            await_level(&seen, ('g', true));
        }
        drop(signals);
        let told = reports.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("lamps") && told[1].contains("buzzer"),
            "{told:?}"
        );
    }
}
