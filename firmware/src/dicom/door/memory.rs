//! The memory that message units of all associations share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many bytes. An association waits for its share; what is here never grows.
pub(in crate::dicom) struct Memory {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// Bytes that an association may use until it drops them.
pub(in crate::dicom) struct Share<'m> {
    memory: &'m Memory,
    bytes: u64,
}

impl Memory {
    pub(in crate::dicom) fn new(total: u64) -> Self {
        Self {
            total,
            free: Mutex::new(total),
            freed: Condvar::new(),
        }
    }

    /// Waits for a share, at most `patience`. Whoever needs more than there is gets all of it, alone.
    pub(in crate::dicom) fn take(&self, bytes: u64, patience: Duration) -> Option<Share<'_>> {
        let bytes = bytes.min(self.total);
        let waited = self
            .freed
            .wait_timeout_while(self.lock(), patience, |free| *free < bytes);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(bytes)?;
        Some(Share { memory: self, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.memory.lock() += self.bytes;
        self.memory.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn who_finds_no_memory_waits_for_it() {
        let memory = Memory::new(100);
        let first = memory.take(60, SHORT).unwrap();
        let _second = memory.take(40, SHORT).unwrap();
        assert!(memory.take(1, SHORT).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.take(60, LONG).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(*memory.lock(), 60, "and gave it back");
    }

    #[test]
    fn a_need_beyond_all_memory_waits_for_all_of_it() {
        let memory = Memory::new(100);
        let small = memory.take(1, SHORT).unwrap();
        assert!(memory.take(1000, SHORT).is_none());
        drop(small);
        let all = memory.take(1000, SHORT).unwrap();
        assert!(memory.take(1, SHORT).is_none());
        drop(all);
        assert_eq!(*memory.lock(), 100);
    }
}
