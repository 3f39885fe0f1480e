//! Actions that wait to be read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use heapless::Deque;

use super::{Action, TouchKind};

/// Actions that may wait; a person who is not answered does not do more within a second.
pub const QUEUE: usize = 64;

/// A queue between the sources and whoever draws. It allocates nothing and never waits long.
///
/// Movements of a finger give way: one that follows another takes its place, and in a full queue the
/// oldest makes room for what matters more. Only then is the newest action lost, and counted.
#[derive(Debug)]
pub struct Queue(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    actions: Deque<Action, QUEUE>,
    lost: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self(Mutex::new(Waiting {
            actions: Deque::new(),
            lost: 0,
        }))
    }

    /// Adds an action behind all others.
    pub fn push(&self, action: Action) {
        let mut waiting = self.waiting();
        if moved(&action) {
            match waiting.actions.back_mut() {
                Some(last) if moved(last) => *last = action,
                // A movement without room is no loss: the finger's next action says where it is.
                _ => drop(waiting.actions.push_back(action)),
            }
            return;
        }
        if waiting.actions.is_full() {
            waiting.forget_a_movement();
        }
        if waiting.actions.push_back(action).is_err() {
            waiting.lost = waiting.lost.saturating_add(1);
        }
    }

    /// The oldest action.
    pub fn pop(&self) -> Option<Action> {
        self.waiting().actions.pop_front()
    }

    /// How many actions, movements apart, found the queue full.
    pub fn lost(&self) -> u32 {
        self.waiting().lost
    }

    /// Whole actions are all that a thread that panicked can have left.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes the oldest movement out, keeping the order of the rest.
    fn forget_a_movement(&mut self) {
        let mut found = false;
        for _ in 0..self.actions.len() {
            let Some(action) = self.actions.pop_front() else {
                return;
            };
            if !found && moved(&action) {
                found = true;
            } else {
                // There is room: one was just taken out.
                let _ = self.actions.push_back(action);
            }
        }
    }
}

fn moved(action: &Action) -> bool {
    matches!(action, Action::Touch(touch) if touch.kind == TouchKind::Moved)
}

#[cfg(test)]
mod tests {
    use embedded_graphics::prelude::Point;
    use proptest::prelude::*;

    use super::*;
    use crate::input::Touch;

    fn touch(x: i32, kind: TouchKind) -> Action {
        Action::Touch(Touch {
            at: Point::new(x, 0),
            kind,
        })
    }

    fn drained(queue: &Queue) -> Vec<Action> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn movements_in_a_row_become_the_last_one() {
        let queue = Queue::new();
        let down = touch(0, TouchKind::Down);
        for action in [
            down,
            touch(1, TouchKind::Moved),
            touch(2, TouchKind::Moved),
            Action::Up,
        ] {
            queue.push(action);
        }
        queue.push(touch(3, TouchKind::Moved));
        let expected = [
            down,
            touch(2, TouchKind::Moved),
            Action::Up,
            touch(3, TouchKind::Moved),
        ];
        assert_eq!(drained(&queue), expected);
    }

    #[test]
    fn a_full_queue_forgets_movements_first_and_then_counts() {
        let queue = Queue::new();
        for i in 0..QUEUE as i32 / 2 {
            queue.push(touch(i, TouchKind::Moved));
            queue.push(Action::Digit((i % 10) as u8));
        }
        for _ in 0..QUEUE / 2 {
            queue.push(Action::Select);
        }
        assert_eq!(queue.lost(), 0);
        queue.push(Action::Back);
        queue.push(touch(0, TouchKind::Moved));
        assert_eq!(queue.lost(), 1);
        let actions = drained(&queue);
        let digits = (0..QUEUE / 2).map(|i| Action::Digit((i % 10) as u8));
        let expected: Vec<_> = digits.chain([Action::Select; QUEUE / 2]).collect();
        assert_eq!(actions, expected);
    }

    proptest! {
        /// Whatever is pushed and popped, nothing but movements is lost uncounted, and the order stays.
        #[test]
        fn all_but_movements_come_through_in_order(steps in prop::collection::vec(0..12u8, 0..400)) {
            let queue = Queue::new();
            let (mut pushed, mut popped) = (Vec::new(), Vec::new());
            for (i, step) in steps.into_iter().enumerate() {
                match step {
                    0 => popped.extend(queue.pop()),
                    1..5 => queue.push(touch(i as i32, TouchKind::Moved)),
                    _ => {
                        let (action, lost) = (touch(i as i32, TouchKind::Down), queue.lost());
                        queue.push(action);
                        if queue.lost() == lost {
                            pushed.push(action);
                        }
                    }
                }
            }
            popped.extend(drained(&queue));
            popped.retain(|action| !moved(action));
            prop_assert_eq!(popped, pushed);
        }
    }
}
