//! What people do, whatever they do it with.
//!
//! | module | owns |
//! |---|---|
//! | [`keys`] | three keys on GPIO lines |
//! | [`events`] | keyboards, touch screens and tablets behind the kernel's input events |
//! | `decode` | what a sequence of the kernel's events means; no device is needed to try it |
//! | `queue` | actions that wait to be read |
//!
//! Each source runs in a thread of its own, bears its hardware being unplugged, and ends when
//! [`Sources`] is dropped. The threads were run against pipes and made-up keys; no key, keyboard or touch
//! screen was at hand.

mod decode;
pub mod events;
pub mod keys;
mod queue;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use embedded_graphics::prelude::{Point, Size};

use crate::stop::Stop;

pub use queue::{QUEUE, Queue};

/// What people do, whatever with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// One step up or back in what is chosen: the upper key, the arrow up.
    Up,
    /// One step down: the lower key, the arrow down.
    Down,
    /// Take what is chosen: the middle key, Enter.
    Select,
    /// Leave: the middle key held, Escape, Backspace.
    Back,
    /// The page before: the upper key held, Page Up, the arrow left.
    PreviousPage,
    /// The page after: the lower key held, Page Down, the arrow right.
    NextPage,
    /// A digit, 0 to 9, of a keyboard.
    Digit(u8),
    /// A finger on the screen, or a mouse with its button pressed.
    Touch(Touch),
}

impl Action {
    /// Whether holding the key does it again and again: steps do, decisions do not.
    pub(crate) fn repeats(self) -> bool {
        matches!(
            self,
            Action::Up | Action::Down | Action::PreviousPage | Action::NextPage
        )
    }
}

/// A finger on the screen. Each touch is one `Down`, any number of `Moved`, one `Up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Touch {
    /// Where, in pixels of the picture; always within it.
    pub at: Point,
    /// What it does there.
    pub kind: TouchKind,
}

/// What a finger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TouchKind {
    /// It comes down.
    Down,
    /// It moves, still down.
    Moved,
    /// It lifts, where it was last.
    Up,
}

/// Where actions go. It is called on the threads of the sources, one call at a time from each: it must
/// return soon.
pub type Sink = Arc<dyn Fn(Action) + Send + Sync>;

/// Which sources there are.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Keys on GPIO lines.
    pub keys: Option<keys::Wiring>,
    /// Keyboards and touch screens.
    pub events: Option<events::Setting>,
    /// The size of the picture, pixels; [`Sources::set_picture`] changes it.
    pub picture: Size,
}

/// The running sources. They end when this is dropped, within a quarter of a second; it must not be
/// dropped by the sink.
#[derive(Debug)]
pub struct Sources {
    stop: Stop,
    picture: Arc<Picture>,
    faults: Vec<Fault>,
    threads: Vec<JoinHandle<()>>,
}

impl Sources {
    /// Starts them. Hardware that is not there is waited for; [`Sources::faults`] says what is missing.
    pub fn start(settings: Settings, sink: Sink) -> Self {
        let mut sources = Self {
            stop: Stop::default(),
            picture: Arc::default(),
            faults: Vec::new(),
            threads: Vec::new(),
        };
        sources.set_picture(settings.picture);
        let stop = sources.stop.clone();
        if let Some(wiring) = settings.keys {
            let (stop, sink) = (stop.clone(), sink.clone());
            sources.spawn("keys", move |fault| keys::watch(&wiring, &stop, &*sink, fault));
        }
        if let Some(setting) = settings.events {
            let picture = sources.picture.clone();
            sources.spawn("input", move |fault| {
                events::watch(&setting, &picture, &stop, &*sink, fault);
            });
        }
        sources
    }

    /// Touches are told in pixels of a picture of this size from now on.
    pub fn set_picture(&self, size: Size) {
        self.picture.set(size);
    }

    /// What of the sources asked for does not work now, each in words; none while all is well. Keyboards
    /// and touch screens may come and go: their absence is no fault.
    pub fn faults(&self) -> Vec<String> {
        self.faults.iter().filter_map(Fault::told).collect()
    }

    /// Ends the threads and waits for them, as dropping does.
    pub fn stop(self) {}

    fn spawn(&mut self, name: &str, work: impl FnOnce(&Fault) + Send + 'static) {
        let fault = Fault::default();
        self.faults.push(fault.clone());
        let inside = fault.clone();
        let spawned = thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&inside));
        match spawned {
            Ok(thread) => self.threads.push(thread),
            Err(error) => fault.set(Some(format!("{name}: no thread: {error}"))),
        }
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop.stop();
        for thread in self.threads.drain(..) {
            // A panic over there was printed there; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// The size of the picture, shared with a thread. A size read between the two halves of another one
/// being set is wrong for one touch of a picture that is just being replaced.
#[derive(Debug, Default)]
struct Picture {
    width: AtomicU32,
    height: AtomicU32,
}

impl Picture {
    fn set(&self, size: Size) {
        self.width.store(size.width, Ordering::Relaxed);
        self.height.store(size.height, Ordering::Relaxed);
    }

    fn get(&self) -> Size {
        Size::new(
            self.width.load(Ordering::Relaxed),
            self.height.load(Ordering::Relaxed),
        )
    }
}

/// What is wrong with a source, if anything. Clones share it.
#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    fn set(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A box without any of the hardware: nothing is acted, one fault is told, and the threads end.
    #[test]
    fn sources_without_hardware_say_so_and_end() {
        let sources = Sources::start(
            Settings {
                keys: Some(keys::Wiring::on("/dev/no-such-gpiochip", [1, 2, 3])),
                events: Some(events::Setting {
                    folder: "/dev/no-such-input".into(),
                    ..events::Setting::default()
                }),
                picture: Size::new(800, 480),
            },
            Arc::new(|action| panic!("{action:?} out of nowhere")),
        );
        let start = Instant::now();
        while sources.faults().is_empty() && start.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(5));
        }
        let faults = sources.faults();
        assert!(
            faults.len() == 1 && faults[0].contains("no-such-gpiochip"),
            "{faults:?}"
        );

        let stop = sources.stop.clone();
        sources.stop();
        assert!(stop.stopped());
    }
}
