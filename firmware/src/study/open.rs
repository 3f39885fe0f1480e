//! Which studies are unfinished: a small durable set, so that a start need not look at history.
//!
//! **Invariant**: whenever an instance is acknowledged, either its study's marker is on disk, or the
//! study has a final state that is about this instance. A start that looks at the marked studies only
//! has therefore seen everything that waits.
//!
//! | step | who | a power cut after it leaves |
//! |---|---|---|
//! | the instance gets its name | association | an image that nobody was promised, unmarked: housekeeping finds it, or its sender repeats it |
//! | the marker is created ([`OpenStudies::mark`]) | association | a marked study: looked at |
//! | Success is sent | association | the same |
//! | the final state is kept | keeper | a marked, final study: looked at, found final, settled |
//! | the marker is removed ([`OpenStudies::settle`]) | keeper | a final study that is about all of its images |
//!
//! The last step must not overtake an image that came meanwhile and whose message still lies in the
//! keeper's inbox. So each mark counts until the keeper has taken it in, and a study with such counts
//! is not settled. One lock over count and marker makes both one step.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dicom::Uid;

/// The marked studies, each with the number of its stored instances that the keeper has not yet
/// taken in.
#[derive(Debug, Default)]
pub struct OpenStudies(Mutex<BTreeMap<Uid, u64>>);

impl OpenStudies {
    /// The studies whose markers are on disk at the start.
    pub fn new(marked: impl IntoIterator<Item = Uid>) -> Self {
        Self(Mutex::new(marked.into_iter().map(|study| (study, 0)).collect()))
    }

    /// An instance of a study was stored and will be told to the keeper. `create` makes the marker
    /// durable; it is called when there is none. Nothing is counted when it fails: the instance must
    /// then not be acknowledged.
    pub fn mark(&self, study: &Uid, create: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut open = self.lock();
        match open.get_mut(study) {
            Some(coming) => *coming += 1,
            None => {
                create()?;
                open.insert(study.clone(), 1);
            }
        }
        Ok(())
    }

    /// As [`OpenStudies::mark`], by the keeper itself, who needs no message about it.
    pub fn reopen(&self, study: &Uid, create: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut open = self.lock();
        if !open.contains_key(study) {
            create()?;
            open.insert(study.clone(), 0);
        }
        Ok(())
    }

    /// The keeper took one instance of a study in.
    pub fn taken_in(&self, study: &Uid) {
        if let Some(coming) = self.lock().get_mut(study) {
            *coming = coming.saturating_sub(1);
        }
    }

    /// The state of a study is final. `remove` takes its marker away, unless news is on the way to the
    /// keeper. Gives whether the study is settled.
    pub fn settle(&self, study: &Uid, remove: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
        let mut open = self.lock();
        match open.get(study) {
            None => Ok(true),
            Some(0) => {
                remove()?;
                open.remove(study);
                Ok(true)
            }
            Some(_) => Ok(false),
        }
    }

    /// Whether a study is marked.
    pub fn contains(&self, study: &Uid) -> bool {
        self.lock().contains_key(study)
    }

    /// The marked studies.
    pub fn studies(&self) -> Vec<Uid> {
        self.lock().keys().cloned().collect()
    }

    /// A thread that panicked inside left either both marker and count, or neither.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uid, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_study_with_news_on_the_way_is_not_settled() {
        let study = Uid::parse("1.2").unwrap();
        let (open, markers) = (OpenStudies::default(), Cell::new(0));
        let create = || {
            markers.set(markers.get() + 1);
            Ok(())
        };
        let remove = || {
            markers.set(markers.get() - 1);
            Ok(())
        };
        open.mark(&study, create).unwrap();
        open.mark(&study, create).unwrap();
        assert_eq!(markers.get(), 1, "one marker a study");
        open.taken_in(&study);
        assert!(!open.settle(&study, remove).unwrap());
        open.taken_in(&study);
        assert!(open.settle(&study, remove).unwrap());
        assert!(!open.contains(&study));
        assert_eq!(markers.get(), 0);
    }

    #[test]
    fn a_marker_that_cannot_be_made_counts_nothing() {
        let study = Uid::parse("1.2").unwrap();
        let open = OpenStudies::default();
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        assert!(open.mark(&study, full).is_err());
        assert!(!open.contains(&study));
    }
}
