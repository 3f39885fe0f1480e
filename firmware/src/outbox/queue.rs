//! Whose turn it is at one destination. No input, output or clock.
//!
//! Studies go in the order in which they became due. What the destination as a whole does not take holds up
//! all of them; what it does not take of one study holds up that one only. Either is tried again after ever
//! longer pauses, for as long as it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use models::findings::Reason;

use crate::dicom::Uid;
use crate::limits::{COMMITMENT_RETRY, DELIVERY_RETRY, REFUSAL_RETRY};
use crate::station::notice::Notice;

/// Between one attempt and the next: at first, and at most. It doubles from one to the next.
type Pauses = (Duration, Duration);

/// The queue of one destination.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Uid, Turn>,
    /// Turns given so far: of two that are due at the same time, the earlier given goes first.
    given: u64,
    /// The study that is being delivered.
    visiting: Option<Uid>,
    /// Nothing is tried earlier.
    not_before: Duration,
    pause: Duration,
    /// Why it took nothing when it was last tried.
    trouble: Option<Reason>,
    /// Certificates that end soon.
    warnings: Vec<Notice>,
}

/// The next turn of a study.
#[derive(Debug, Clone)]
struct Turn {
    due: Duration,
    number: u64,
    pause: Duration,
    refused: Option<Reason>,
}

impl Queue {
    /// A study has something for this destination. Where it is waiting already, it keeps its turn.
    pub fn put(&mut self, study: &Uid, now: Duration) {
        if !self.waiting.contains_key(study) {
            let turn = Turn {
                due: now,
                number: self.number(),
                pause: Duration::ZERO,
                refused: None,
            };
            self.waiting.insert(study.clone(), turn);
        }
    }

    /// A study has nothing more for it.
    pub fn take_out(&mut self, study: &Uid) {
        self.waiting.remove(study);
    }

    /// The study whose turn it is now, if a courier is free and somebody is due.
    pub fn next(&mut self, now: Duration) -> Option<Uid> {
        if self.visiting.is_some() || now < self.not_before {
            return None;
        }
        let due = self.waiting.iter().filter(|(_, turn)| turn.due <= now);
        let (study, _) = due.min_by_key(|(_, turn)| (turn.due, turn.number))?;
        self.visiting = Some(study.clone());
        self.visiting.clone()
    }

    /// When [`Queue::next`] may give something, if nothing else happens.
    pub fn due(&self) -> Option<Duration> {
        if self.visiting.is_some() {
            return None;
        }
        let first = self.waiting.values().map(|turn| turn.due).min()?;
        Some(first.max(self.not_before))
    }

    /// A courier is back: from a destination that could be reached, or why not.
    pub fn returned(&mut self, trouble: Option<Reason>, warnings: Vec<Notice>, now: Duration) {
        self.visiting = None;
        self.warnings = warnings;
        match &trouble {
            None => self.pause = Duration::ZERO,
            Some(_) => self.not_before = now + longer(&mut self.pause, DELIVERY_RETRY),
        }
        self.trouble = trouble;
    }

    /// A study goes behind all that are due.
    pub fn last(&mut self, study: &Uid, now: Duration) {
        let number = self.number();
        if let Some(turn) = self.waiting.get_mut(study) {
            (turn.due, turn.number) = (now, number);
        }
    }

    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// A study comes back for another visit, because something was refused.
    pub fn refused(&mut self, study: &Uid, reason: Reason, now: Duration) {
        if let Some(turn) = self.waiting.get_mut(study) {
            turn.due = now + longer(&mut turn.pause, REFUSAL_RETRY);
            turn.refused = Some(reason);
        }
    }

    /// A study waits for a report, and asks again if it does not come.
    pub fn asked(&mut self, study: &Uid, now: Duration) {
        if let Some(turn) = self.waiting.get_mut(study) {
            turn.due = now + longer(&mut turn.pause, COMMITMENT_RETRY);
            turn.refused = None;
        }
    }

    /// Why something of a study was refused, when it was last tried.
    pub fn refusal(&self, study: &Uid) -> Option<&Reason> {
        self.waiting.get(study)?.refused.as_ref()
    }

    /// Whether the destination took nothing when it was last tried.
    pub fn is_blocked(&self) -> bool {
        self.trouble.is_some()
    }

    /// Studies that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Why it takes nothing, or not something of a study.
    pub fn trouble(&self) -> Option<&Reason> {
        let refused = || self.waiting.values().find_map(|turn| turn.refused.as_ref());
        self.trouble.as_ref().or_else(refused)
    }

    /// What people should know.
    pub fn notices(&self, name: &str) -> impl Iterator<Item = Notice> {
        let trouble = self.trouble().map(|reason| Notice::new(name, reason.clone()));
        trouble.into_iter().chain(self.warnings.iter().cloned())
    }
}

fn longer(pause: &mut Duration, (first, most): Pauses) -> Duration {
    *pause = (2 * *pause).clamp(first, most);
    *pause
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use models::findings::Fault;

    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::parse(&format!("1.2.{number}")).unwrap()
    }

    fn reason(text: &str) -> Reason {
        Reason::new("x", Fault::Peer, text)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_due_goes_first_and_one_at_a_time() {
        let mut queue = Queue::default();
        assert_eq!((queue.due(), queue.next(SECOND)), (None, None));
        queue.put(&uid(2), SECOND);
        queue.put(&uid(1), 2 * SECOND);
        queue.put(&uid(2), 9 * SECOND);
        assert_eq!(queue.due(), Some(SECOND));
        assert_eq!(queue.next(Duration::ZERO), None);
        assert_eq!(queue.next(5 * SECOND), Some(uid(2)));
        assert_eq!(
            (queue.due(), queue.next(5 * SECOND)),
            (None, None),
            "its courier is away"
        );
        queue.returned(None, vec![], 6 * SECOND);
        queue.take_out(&uid(2));
        assert_eq!(queue.next(6 * SECOND), Some(uid(1)));
    }

    #[test]
    fn a_destination_that_is_away_is_asked_ever_more_rarely_and_for_ever() {
        let mut queue = Queue::default();
        queue.put(&uid(1), Duration::ZERO);
        let (mut now, mut pauses) = (Duration::ZERO, Vec::new());
        while now < Duration::from_secs(3 * 86_400) {
            assert_eq!(queue.next(now), Some(uid(1)));
            queue.returned(Some(reason("away")), vec![], now);
            assert!(
                queue
                    .notices("PACS")
                    .any(|notice| notice == Notice::new("PACS", reason("away")))
            );
            let due = queue.due().unwrap();
            assert_eq!(queue.next(due - Duration::from_nanos(1)), None);
            pauses.push(due - now);
            now = due;
        }
        assert_eq!(
            pauses[..3],
            [DELIVERY_RETRY.0, 2 * DELIVERY_RETRY.0, 4 * DELIVERY_RETRY.0]
        );
        assert_eq!(*pauses.last().unwrap(), DELIVERY_RETRY.1);
        assert_eq!(queue.next(now), Some(uid(1)));
        queue.returned(None, vec![], now);
        assert_eq!(queue.notices("PACS").count(), 0);
        assert_eq!(queue.next(now), Some(uid(1)), "the pause is over");
    }

    #[test]
    fn a_study_that_brings_the_destination_down_goes_behind_the_others() {
        let mut queue = Queue::default();
        queue.put(&uid(1), Duration::ZERO);
        queue.put(&uid(2), SECOND);
        let mut now = SECOND;
        for expected in [1, 2, 1, 2] {
            assert_eq!(queue.next(now), Some(uid(expected)));
            queue.returned(Some(reason("broken")), vec![], now);
            queue.last(&uid(expected), now);
            now = queue.due().unwrap();
        }
    }

    #[test]
    fn a_refused_study_holds_up_nobody_else() {
        let mut queue = Queue::default();
        queue.put(&uid(1), Duration::ZERO);
        queue.put(&uid(2), SECOND);
        assert_eq!(queue.next(SECOND), Some(uid(1)));
        let warning = Notice::new("PACS certificate", reason("ends soon"));
        queue.returned(None, vec![warning.clone()], SECOND);
        queue.refused(&uid(1), reason("A900"), SECOND);
        assert_eq!(queue.refusal(&uid(1)), Some(&reason("A900")));
        assert_eq!(queue.refusal(&uid(2)), None);
        assert_eq!(queue.next(SECOND), Some(uid(2)));
        queue.returned(None, vec![warning.clone()], SECOND);
        queue.take_out(&uid(2));
        assert_eq!(queue.due(), Some(SECOND + REFUSAL_RETRY.0));
        let notices: Vec<_> = queue.notices("PACS").collect();
        assert_eq!(notices, [Notice::new("PACS", reason("A900")), warning]);
    }
}
