//! What keeps a study where it is.
//!
//! A study that is done may go at any moment, also while one of its images comes once more. From the naming
//! of that image until its study is marked nothing on the disk tells of it; so it is remembered here.

use super::Spool;
use crate::dicom::Uid;

/// While this is held, a study is not taken away.
pub(super) struct Stay<'s> {
    spool: &'s Spool,
    study: Uid,
}

impl Spool {
    /// Keeps a study from being taken away. It may be gone already.
    pub(super) fn stay(&self, study: &Uid) -> Stay<'_> {
        *self.names().staying.entry(study.clone()).or_default() += 1;
        Stay {
            spool: self,
            study: study.clone(),
        }
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut names = self.spool.names();
        if let Some(reasons) = names.staying.get_mut(&self.study) {
            *reasons -= 1;
            if *reasons == 0 {
                names.staying.remove(&self.study);
            }
        }
    }
}
