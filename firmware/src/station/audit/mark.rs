//! How far the trail is durable: told by those who write it to the one who sends it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Number of the last durable record, and whether the appliance stops.
pub(super) struct Mark {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    last: u64,
    stopping: bool,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// There is a further record.
    Record,
    /// There is none, and the appliance stops.
    Stopping,
    /// The time is over.
    Timeout,
}

impl Mark {
    pub(super) fn new(last: u64) -> Self {
        Self {
            state: Mutex::new(State {
                last,
                stopping: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.state().last
    }

    /// A record is durable.
    pub(super) fn reach(&self, number: u64) {
        self.state().last = number;
        self.changed.notify_all();
    }

    /// The appliance stops: no record follows.
    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.changed.notify_all();
    }

    /// Waits for a record beyond one.
    pub(super) fn wait(&self, beyond: u64, at_most: Duration) -> Woken {
        let until = Instant::now() + at_most;
        let mut state = self.state();
        loop {
            if state.last > beyond {
                return Woken::Record;
            }
            if state.stopping {
                return Woken::Stopping;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Timeout;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the stop only; whether it came.
    pub(super) fn wait_for_stop(&self, at_most: Duration) -> bool {
        self.wait(u64::MAX, at_most) == Woken::Stopping
    }

    /// Both values are whole at any time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
