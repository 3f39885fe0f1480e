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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Records;
use crate::dicom::Uid;
use crate::spool::Spool;

/// The marked studies, each with the number of its stored instances that the keeper has not yet
/// taken in.
pub struct OpenStudies {
    records: Arc<Records>,
    marked: Mutex<BTreeMap<Uid, u64>>,
}

impl OpenStudies {
    /// Reads the marks. Where none were ever made, every study is marked: each is looked at once.
    pub fn open(records: Arc<Records>, spool: &Spool) -> io::Result<Self> {
        let marked = match records.marked()? {
            Some(marked) => marked,
            None => {
                let all = spool.studies()?;
                tracing::info!(
                    studies = all.len(),
                    "no marks of unfinished studies: looking at all once"
                );
                records.mark_all(&all)?;
                all
            }
        };
        let marked = marked.into_iter().map(|study| (study, 0)).collect();
        Ok(Self {
            records,
            marked: Mutex::new(marked),
        })
    }

    /// The records that the marks belong to.
    pub fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// An instance of a study was stored and will be told to the keeper. Nothing is counted when the
    /// mark cannot be made: the instance must then not be acknowledged.
    pub fn mark(&self, study: &Uid) -> io::Result<()> {
        let mut marked = self.lock();
        match marked.get_mut(study) {
            Some(coming) => *coming += 1,
            None => {
                self.records.mark(study)?;
                marked.insert(study.clone(), 1);
            }
        }
        Ok(())
    }

    /// As [`OpenStudies::mark`], by the keeper itself, who needs no message about it.
    pub fn reopen(&self, study: &Uid) -> io::Result<()> {
        let mut marked = self.lock();
        if !marked.contains_key(study) {
            self.records.mark(study)?;
            marked.insert(study.clone(), 0);
        }
        Ok(())
    }

    /// The keeper took one instance of a study in.
    pub fn taken_in(&self, study: &Uid) {
        if let Some(coming) = self.lock().get_mut(study) {
            *coming = coming.saturating_sub(1);
        }
    }

    /// The state of a study is final. Takes its mark away, unless news is on the way to the keeper.
    /// Gives whether the study is settled.
    pub fn settle(&self, study: &Uid) -> io::Result<bool> {
        let mut marked = self.lock();
        match marked.get(study) {
            None => Ok(true),
            Some(0) => {
                self.records.unmark(study)?;
                marked.remove(study);
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
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::disk::simulated::{Faults, SimulatedDisk};
    use crate::spool::SpoolLimits;

    fn opened(disk: &SimulatedDisk) -> OpenStudies {
        let (data_dir, disk) = (Path::new("/data"), Arc::new(disk.clone()));
        let limits = SpoolLimits {
            object_bytes: 1 << 20,
            free_bytes: 0,
        };
        let spool = Spool::open(disk.clone(), data_dir, limits).unwrap();
        OpenStudies::open(Arc::new(Records::open(disk, data_dir).unwrap()), &spool).unwrap()
    }

    #[test]
    fn a_study_with_news_on_the_way_is_not_settled() {
        let disk = SimulatedDisk::new(Path::new("/data"));
        let (open, study) = (opened(&disk), Uid::parse("1.2").unwrap());
        open.mark(&study).unwrap();
        open.mark(&study).unwrap();
        open.taken_in(&study);
        assert!(!open.settle(&study).unwrap());
        assert!(opened(&disk.after_cut(0)).contains(&study));
        open.taken_in(&study);
        assert!(open.settle(&study).unwrap());
        assert!(!open.contains(&study));
        assert_eq!(opened(&disk).studies(), []);
    }

    #[test]
    fn a_mark_that_cannot_be_made_counts_nothing() {
        let disk = SimulatedDisk::new(Path::new("/data"));
        let (open, study) = (opened(&disk), Uid::parse("1.2").unwrap());
        disk.set_faults(Faults {
            error_at: Some(1),
            ..Faults::default()
        });
        assert!(open.mark(&study).is_err());
        assert!(!open.contains(&study));
    }
}
