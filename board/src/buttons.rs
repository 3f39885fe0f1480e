//! Keys: contacts that bounce for some milliseconds become single presses.

use heapless::Deque;

/// A contact must rest this long in its new position to count, milliseconds. Panel keys bounce for
/// less than 10 ms.
pub const SETTLE_MS: u64 = 20;

/// A key held this long is a long press, milliseconds: longer than a firm press lasts, and short enough
/// that nobody lets go in doubt.
pub const LONG_PRESS_MS: u64 = 700;

/// Events that wait to be read; more are counted as lost.
pub const QUEUE: usize = 16;

/// What a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It went down.
    Press,
    /// It has been down for [`LONG_PRESS_MS`].
    LongPress,
    /// It went up.
    Release,
}

/// One thing that one key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Index of the key.
    pub key: usize,
    /// What it did.
    pub change: Change,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    /// The settled position.
    down: bool,
    /// The position last sampled and since when, milliseconds.
    raw: bool,
    raw_since: u64,
    /// When the settled press began; none while up or after its long press was told.
    pressed_at: Option<u64>,
}

/// `N` keys and the events that nobody has read yet. It allocates nothing and never fails.
#[derive(Debug)]
pub struct Buttons<const N: usize> {
    keys: [Key; N],
    events: Deque<Event, QUEUE>,
    lost: u32,
}

impl<const N: usize> Default for Buttons<N> {
    fn default() -> Self {
        let up = Key {
            down: false,
            raw: false,
            raw_since: 0,
            pressed_at: None,
        };
        Self {
            keys: [up; N],
            events: Deque::new(),
            lost: 0,
        }
    }
}

impl<const N: usize> Buttons<N> {
    /// Takes the levels of all keys (true: contact closed) at `now_ms` on a clock that never goes
    /// back. Call it every few milliseconds.
    pub fn sample(&mut self, now_ms: u64, closed: [bool; N]) {
        for (key, closed) in closed.into_iter().enumerate() {
            if let Some(change) = self.keys[key].sample(now_ms, closed) {
                // The oldest events tell what happened first, so the newest is the one to lose.
                if self.events.push_back(Event { key, change }).is_err() {
                    self.lost = self.lost.saturating_add(1);
                }
            }
        }
    }

    /// The oldest event that was not read yet.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many events found the queue full.
    pub fn lost(&self) -> u32 {
        self.lost
    }
}

impl Key {
    fn sample(&mut self, now_ms: u64, closed: bool) -> Option<Change> {
        if closed != self.raw {
            (self.raw, self.raw_since) = (closed, now_ms);
        }
        if self.raw != self.down && now_ms.saturating_sub(self.raw_since) >= SETTLE_MS {
            self.down = self.raw;
            self.pressed_at = self.down.then_some(self.raw_since);
            return Some(if self.down { Change::Press } else { Change::Release });
        }
        let pressed_at = self.pressed_at?;
        // A contact that opened is on its way to a release, which tells more than a long press.
        (self.raw && now_ms.saturating_sub(pressed_at) >= LONG_PRESS_MS).then(|| {
            self.pressed_at = None;
            Change::LongPress
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn played(levels: impl Fn(u64) -> bool, until_ms: u64) -> Vec<Change> {
        let mut buttons = Buttons::<1>::default();
        (0..until_ms)
            .flat_map(|ms| {
                buttons.sample(ms, [levels(ms)]);
                buttons.next_event().map(|event| event.change)
            })
            .collect()
    }

    #[test]
    fn a_held_key_is_pressed_long_pressed_and_released_once() {
        let changes = played(|ms| (100..2000).contains(&ms), 3000);
        assert_eq!(changes, [Change::Press, Change::LongPress, Change::Release]);
    }

    #[test]
    fn a_full_queue_counts_what_it_loses() {
        let mut buttons = Buttons::<1>::default();
        for ms in 0..(QUEUE as u64 + 3) * 100 {
            buttons.sample(ms, [(ms / 100) % 2 == 1]);
        }
        assert_eq!(buttons.lost(), 2);
        assert_eq!(
            buttons.next_event(),
            Some(Event {
                key: 0,
                change: Change::Press
            })
        );
    }

    proptest! {
        /// Any bouncing shorter than the settling time around one press stays one press.
        #[test]
        fn bouncing_is_one_press(bounces in prop::collection::vec(1..SETTLE_MS, 0..12), held in 50..LONG_PRESS_MS) {
            let mut edges = vec![100];
            for bounce in &bounces {
                edges.push(edges[edges.len() - 1] + bounce);
            }
            if edges.len() % 2 == 0 {
                edges.pop();
            }
            let end = edges[edges.len() - 1] + held;
            edges.push(end);
            let closed = |ms: u64| edges.iter().filter(|&&edge| edge <= ms).count() % 2 == 1;
            prop_assert_eq!(played(closed, end + 100), vec![Change::Press, Change::Release]);
        }

        /// Whatever the contacts do, presses and releases take turns.
        #[test]
        fn presses_and_releases_alternate(levels in prop::collection::vec(any::<bool>(), 1..200)) {
            let changes = played(|ms| levels[(ms / 7) as usize % levels.len()], 5000);
            let turns: Vec<_> = changes.into_iter().filter(|a| *a != Change::LongPress).collect();
            for (i, change) in turns.iter().enumerate() {
                prop_assert_eq!(*change, if i % 2 == 0 { Change::Press } else { Change::Release });
            }
        }
    }
}
