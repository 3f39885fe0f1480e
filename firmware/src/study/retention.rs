//! Which study may go, and when: a decision without disk and clock.
//!
//! Ages are counted in the running time of the appliance, which no wrong date can shorten: a box that
//! was switched off for a month has not shown its results to anybody meanwhile.

use std::time::Duration;

use crate::dicom::Uid;
use crate::limits::LEAST_KEPT;

/// The rules of `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a finished study is kept.
    pub age: Duration,
    /// Free space below which finished studies go earlier, bytes.
    pub keep_free_bytes: u64,
    /// Free space below which people are warned, bytes.
    pub warn_free_bytes: u64,
}

/// A study that is done: analyzed, and delivered where there is somebody to deliver to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finished {
    /// Running time of the appliance when it was done. First, so that the order is that of age.
    pub at: Duration,
    /// Which one.
    pub study: Uid,
    /// It failed: nobody has an answer about its images, so only age removes it.
    pub failed: bool,
}

impl Retention {
    /// The study of these that goes next, if any must go.
    pub fn next<'a>(
        &self,
        finished: impl IntoIterator<Item = &'a Finished>,
        running: Duration,
        free_bytes: u64,
    ) -> Option<&'a Finished> {
        let must_go = |study: &&Finished| {
            let age = running.saturating_sub(study.at);
            let for_space = free_bytes < self.keep_free_bytes && !study.failed && age >= LEAST_KEPT;
            for_space || age >= self.age
        };
        finished.into_iter().filter(must_go).min()
    }

    /// Whether finished studies go for the sake of space.
    pub fn is_short(&self, free_bytes: u64) -> bool {
        free_bytes < self.keep_free_bytes
    }

    /// Whether people must be told that the disk fills up.
    pub fn warns(&self, free_bytes: u64) -> bool {
        free_bytes < self.warn_free_bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const RULES: Retention = Retention {
        age: Duration::from_secs(30 * 86_400),
        keep_free_bytes: 4000,
        warn_free_bytes: 2000,
    };

    fn finished(number: u64, at: Duration, failed: bool) -> Finished {
        Finished {
            at,
            study: Uid::parse(&format!("1.{number}")).unwrap(),
            failed,
        }
    }

    #[test]
    fn age_removes_at_its_limit_and_not_before() {
        let all = [finished(1, DAY, true)];
        let month = DAY + RULES.age;
        assert_eq!(RULES.next(&all, month - Duration::from_secs(1), u64::MAX), None);
        assert_eq!(RULES.next(&all, month, u64::MAX), Some(&all[0]));
    }

    #[test]
    fn space_removes_the_oldest_answer_that_people_had_time_to_see() {
        let all = [
            finished(1, DAY, true),
            finished(2, 3 * DAY, false),
            finished(3, 2 * DAY, false),
        ];
        assert_eq!(RULES.next(&all, 4 * DAY, 3999), Some(&all[2]));
        assert_eq!(RULES.next(&all, 4 * DAY, 4000), None);
        let soon = 2 * DAY + LEAST_KEPT - Duration::from_secs(1);
        assert_eq!(RULES.next(&all, soon, 0), None);
    }

    #[test]
    fn the_warning_comes_below_its_threshold() {
        assert!(RULES.warns(1999) && !RULES.warns(2000));
    }

    proptest! {
        /// Removed one after the other: only what may go, the oldest first, and not one more than needed.
        #[test]
        fn only_what_must_go_goes(
            studies in prop::collection::vec((0..60u64, any::<bool>(), 1..2000u64), 0..20),
            mut free in 0..6000u64,
        ) {
            let mut all: Vec<_> = studies.iter().enumerate()
                .map(|(n, (day, failed, bytes))| (finished(n as u64, *day as u32 * DAY, *failed), *bytes))
                .collect();
            let running = 60 * DAY;
            let mut last = (Duration::ZERO, Duration::ZERO);
            while let Some(gone) = RULES.next(all.iter().map(|(study, _)| study), running, free).cloned() {
                let age = running - gone.at;
                let by_age = age >= RULES.age;
                prop_assert!(by_age || (free < RULES.keep_free_bytes && !gone.failed && age >= LEAST_KEPT));
                let before = if gone.failed { &mut last.0 } else { &mut last.1 };
                prop_assert!(*before <= gone.at, "oldest first");
                *before = gone.at;
                let index = all.iter().position(|(study, _)| *study == gone).unwrap();
                free += all.remove(index).1;
            }
            for (left, _) in &all {
                prop_assert!(running - left.at < RULES.age, "too old and still there");
                let young = running - left.at < LEAST_KEPT;
                prop_assert!(left.failed || young || free >= RULES.keep_free_bytes, "space was needed");
            }
        }
    }
}
