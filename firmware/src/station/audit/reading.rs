//! The records of a trail in order, read while it is being written and turned over.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::trail::{self, Record};

/// A place in a trail.
pub(super) struct Reading {
    folder: PathBuf,
    next: u64,
    /// Number of the first record of the file that is open, and what follows in it.
    open: Option<(u64, BufReader<File>)>,
    /// Was read, but others should have come before it.
    ahead: Option<Record>,
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The next record.
    Record(Record),
    /// No file holds the records up to this one any more.
    Missing {
        /// The last of them.
        to: u64,
    },
}

/// The first record that is still there; none in an empty trail.
pub(super) fn oldest(data_dir: &Path) -> io::Result<Option<u64>> {
    let files = trail::files(&trail::folder(data_dir))?;
    Ok(files.first().map(|(first, _)| *first))
}

impl Reading {
    /// From a record on.
    pub(super) fn from(data_dir: &Path, next: u64) -> Self {
        Self {
            folder: trail::folder(data_dir),
            next,
            open: None,
            ahead: None,
        }
    }

    /// What stands next, up to `last`. What is behind that may not be durable yet.
    pub(super) fn next(&mut self, last: u64) -> io::Result<Option<Found>> {
        if self.next > last {
            return Ok(None);
        }
        let record = match self.ahead.take() {
            Some(record) => Some(record),
            None => self.read(last)?,
        };
        let found = match record {
            Some(record) if record.number == self.next => Found::Record(record),
            Some(record) => {
                let to = record.number - 1;
                self.ahead = Some(record);
                Found::Missing { to }
            }
            None => {
                // The search may have gone past records that are not durable yet.
                self.open = None;
                Found::Missing { to: last }
            }
        };
        self.next = match &found {
            Found::Record(record) => record.number + 1,
            Found::Missing { to } => to + 1,
        };
        Ok(Some(found))
    }

    /// The first record from the wanted one to `last` that is there.
    fn read(&mut self, last: u64) -> io::Result<Option<Record>> {
        loop {
            if let Some((_, lines)) = &mut self.open {
                while let Some(line) = whole_line(lines)? {
                    // What is no record was changed by somebody; the trail itself tells of that.
                    let record = serde_json::from_slice::<Record>(&line).ok();
                    let wanted = |record: &Record| (self.next..=last).contains(&record.number);
                    if let Some(record) = record.filter(wanted) {
                        return Ok(Some(record));
                    }
                }
            }
            let files = trail::files(&self.folder)?;
            let file = match &self.open {
                Some((first, _)) => files.into_iter().find(|(number, _)| number > first),
                None => {
                    let holds = files.iter().rposition(|(number, _)| *number <= self.next);
                    files.into_iter().nth(holds.unwrap_or(0))
                }
            };
            let Some((first, path)) = file else {
                return Ok(None);
            };
            match File::open(path) {
                Ok(file) => self.open = Some((first, BufReader::new(file))),
                // Turned over meanwhile: the list is another one now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The next line that is complete; none at the end, to which more may be written.
fn whole_line(lines: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let line = trail::read_line(lines)?;
    // Of a line beyond the limit the rest is looked at next; it is no record either.
    Ok(trail::is_whole(&line).then_some(line))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::limits::AUDIT_FILE_BYTES;
    use crate::station::audit::trail::Trail;

    fn number(found: Option<Found>) -> u64 {
        match found {
            Some(Found::Record(record)) => record.number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_come_in_order_over_all_files_while_more_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let long = "x".repeat(AUDIT_FILE_BYTES as usize / 2);
        let mut reading = Reading::from(folder.path(), 1);
        assert_eq!(reading.next(0).unwrap(), None);
        for last in 1..=9 {
            trail.append("", &long).unwrap();
            assert_eq!(number(reading.next(last).unwrap()), last);
            assert_eq!(reading.next(last).unwrap(), None);
        }
        assert!(trail::files(&trail::folder(folder.path())).unwrap().len() > 2);
        for from in 1..=9 {
            assert_eq!(number(Reading::from(folder.path(), from).next(9).unwrap()), from);
        }
    }

    #[test]
    fn what_is_not_there_is_named_and_the_rest_read() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        for _ in 0..5 {
            trail.append("", "m").unwrap();
        }
        let (_, path) = trail::files(&trail::folder(folder.path())).unwrap().remove(0);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        fs::write(&path, [lines[0], "no record\n", lines[3], lines[4]].concat()).unwrap();
        let mut reading = Reading::from(folder.path(), 1);
        assert_eq!(number(reading.next(4).unwrap()), 1);
        assert_eq!(reading.next(4).unwrap(), Some(Found::Missing { to: 3 }));
        assert_eq!(number(reading.next(4).unwrap()), 4);
        assert_eq!(reading.next(4).unwrap(), None);
        assert_eq!(number(reading.next(5).unwrap()), 5);
        assert_eq!(reading.next(7).unwrap(), Some(Found::Missing { to: 7 }));
    }
}
