//! Ending threads that mostly wait.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A word shared with a thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Tells the thread to end, also out of [`Stop::pause`].
    pub(crate) fn stop(&self) {
        *self.word() = true;
        self.0.1.notify_all();
    }

    /// Whether to end now.
    pub(crate) fn stopped(&self) -> bool {
        *self.word()
    }

    /// Waits that long, or until told to end; true then.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let (word, _) = (self.0.1)
            .wait_timeout_while(self.word(), time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *word
    }

    /// The word is true or false whatever a thread that panicked was doing.
    fn word(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
