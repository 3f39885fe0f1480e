//! Whether the parts of the box make progress, and the supervisor who wants to know it.
//!
//! Each part beats while it works. systemd is fed only while every part has beaten within its time: a part that hangs
//! becomes a restart of the appliance, restarts that do not help a reboot, and reboots that do not help the system in
//! the other slot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Of one part.
#[derive(Debug)]
pub struct Heart {
    /// Whose it is.
    pub part: &'static str,
    /// It beats at least as often while the part works.
    allowed: Duration,
    started: Instant,
    /// The last beat, milliseconds after the start.
    beat_ms: AtomicU64,
}

impl Heart {
    /// A heart that has just beaten.
    pub fn new(part: &'static str, allowed: Duration) -> Arc<Self> {
        Arc::new(Self {
            part,
            allowed,
            started: Instant::now(),
            beat_ms: AtomicU64::new(0),
        })
    }

    /// The part makes progress.
    pub fn beat(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.beat_ms.store(now, Ordering::Relaxed);
    }

    /// Whether it has beaten in time.
    pub fn is_alive(&self) -> bool {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat) <= self.allowed
    }
}

/// Tells systemd that the box is ready, and feeds its watchdog from then on, where it wants that.
pub struct Supervised {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Supervised {
    /// Begins with it. Where systemd is not, nobody is told.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(hearts: Vec<Arc<Heart>>) -> io::Result<Self> {
        tell(NotifyState::Ready);
        let (stop, stopped) = channel();
        let Some(limit) = sd_notify::watchdog_enabled() else {
            return Ok(Self { stop, thread: None });
        };
        let watch = move || feed(&hearts, limit / 3, &stopped, || tell(NotifyState::Watchdog));
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(watch)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

/// Feeds while all hearts beat, until it is stopped.
fn feed(hearts: &[Arc<Heart>], every: Duration, stopped: &Receiver<()>, mut food: impl FnMut()) {
    let mut hanging = Vec::new();
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let late = hearts.iter().filter(|heart| !heart.is_alive());
        let late: Vec<_> = late.map(|heart| heart.part).collect();
        if late.is_empty() {
            food();
        } else if late != hanging {
            tracing::error!(parts = ?late, "the box hangs: its watchdog is not fed");
        }
        hanging = late;
    }
}

impl Drop for Supervised {
    /// A stop has a time limit of its own, by the unit.
    fn drop(&mut self) {
        tell(NotifyState::Stopping);
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            // A panic over there was printed there.
            let _ = thread.join();
        }
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heart_that_stops_is_noticed_and_may_begin_again() {
        let heart = Heart::new("test", Duration::from_millis(100));
        assert!(heart.is_alive());
        std::thread::sleep(Duration::from_millis(150));
        assert!(!heart.is_alive());
        heart.beat();
        assert!(heart.is_alive());
    }

    /// One part of two hangs: the watchdog gets nothing more, and something again when it goes on.
    #[test]
    fn the_watchdog_is_fed_while_every_part_beats() {
        let parts = [
            Heart::new("well", Duration::from_secs(60)),
            Heart::new("ill", Duration::from_millis(50)),
        ];
        let ill = Arc::clone(&parts[1]);
        let (stop, stopped) = channel();
        let (food, fed) = channel();
        let watch = std::thread::spawn(move || {
            feed(&parts, Duration::from_millis(10), &stopped, || {
                let _ = food.send(());
            });
        });
        let patience = Duration::from_secs(20);
        assert!(fed.recv_timeout(patience).is_ok());
        std::thread::sleep(Duration::from_millis(200));
        while fed.try_recv().is_ok() {}
        std::thread::sleep(Duration::from_millis(100));
        assert!(fed.try_recv().is_err(), "it hangs");
        ill.beat();
        assert!(fed.recv_timeout(patience).is_ok());
        drop(stop);
        assert!(watch.join().is_ok());
    }
}
