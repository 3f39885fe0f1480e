//! Which of some instances are here, so that it may be promised that they are.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::{Spool, open_data_set};
use crate::dicom::Uid;

impl Spool {
    /// The SOP class of each of these instances that is here, none where its file cannot be read; what is
    /// not here is left out. What is told is durable: its folder is synced first, since another
    /// association may have named it a moment ago.
    ///
    /// # Errors
    /// The disk failed, now or earlier.
    pub fn held(&self, wanted: &HashSet<&Uid>) -> io::Result<HashMap<Uid, Option<Uid>>> {
        let mut found = HashMap::new();
        for study in self.studies()? {
            let _stay = self.stay(&study);
            let mut synced = HashSet::new();
            for (series, instance) in self.instances(&study)? {
                if !wanted.contains(&instance) {
                    continue;
                }
                let folder = self.folder(&study).join(series.as_str());
                let class = self.class_of(&folder.join(format!("{instance}.dcm")));
                if synced.insert(series) {
                    self.watched(self.commits.sync(&*self.disk, &folder))?;
                }
                found.insert(instance, class);
            }
        }
        match self.trouble() {
            Some(trouble) => Err(io::Error::other(trouble)),
            None => Ok(found),
        }
    }

    /// The SOP class in the file meta information, which was that of the data set when it was stored.
    fn class_of(&self, path: &Path) -> Option<Uid> {
        let (_, meta) = open_data_set(self.disk.open(path).ok()?).ok()?;
        Uid::parse(meta.media_storage_sop_class_uid()).ok()
    }
}
