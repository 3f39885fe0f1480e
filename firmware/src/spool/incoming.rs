//! One data set on its way to the disk.

use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use dicom_object::meta::FileMetaTableBuilder;

use super::{Announced, Spool, StoreError, Stored};
use crate::dicom::dataset::{Counts, Identity, identify, storable};
use crate::dicom::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION};
use crate::disk::DiskFile;
use crate::limits::WRITE_BUFFER_BYTES;

/// Before the `DICM` of a file (PS3.10 7.1).
pub(super) const PREAMBLE_BYTES: u64 = 128;

/// A data set that is being received. Dropped before [`Incoming::store`], nothing of it remains.
pub struct Incoming<'a> {
    announced: Announced,
    part: Part<'a>,
    file: BufWriter<Box<dyn DiskFile>>,
    /// Length of preamble and file meta information.
    header_bytes: u64,
    data_set_bytes: u64,
}

/// The temporary file, removed when dropped unless it was moved away.
struct Part<'a> {
    spool: &'a Spool,
    path: PathBuf,
    moved: bool,
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.moved {
            // The next start removes what cannot be removed now.
            let _ = self.spool.disk.remove_file(&self.path);
        }
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn create(spool: &'a Spool, path: PathBuf, announced: Announced) -> Result<Self, StoreError> {
        let mut header = vec![0; PREAMBLE_BYTES as usize];
        header.extend_from_slice(b"DICM");
        FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(announced.sop_class.as_str())
            .media_storage_sop_instance_uid(announced.sop_instance.as_str())
            .transfer_syntax(&announced.transfer_syntax)
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION)
            .source_application_entity_title(&announced.source)
            .build()
            .and_then(|table| table.write(&mut header))
            .map_err(|error| StoreError::Meta(error.to_string()))?;

        let file = spool.watched(spool.disk.create(&path))?;
        let part = Part {
            spool,
            path,
            moved: false,
        };
        let mut file = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        spool.watched(file.write_all(&header))?;
        Ok(Self {
            announced,
            part,
            file,
            header_bytes: header.len() as u64,
            data_set_bytes: 0,
        })
    }

    /// The next bytes of the data set.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.data_set_bytes += bytes.len() as u64;
        let limit = self.part.spool.limits.object_bytes;
        if self.data_set_bytes > limit {
            return Err(StoreError::TooLarge(limit));
        }
        Ok(self.part.spool.watched(self.file.write_all(bytes))?)
    }

    /// The data set is complete: checks it, and makes it durable under its own name.
    pub fn store(mut self) -> Result<Stored<'a>, StoreError> {
        let spool = self.part.spool;
        spool.watched(self.file.flush())?;
        let (identity, counts) = spool.watched_store(self.check())?;
        spool.watched(self.file.get_ref().sync())?;
        let stay = spool.stay(&identity.study);
        let outcome = spool.keep(&self.part.path, &identity)?;
        self.part.moved = true;
        Ok(Stored {
            identity,
            counts,
            outcome,
            _stay: stay,
        })
    }

    fn check(&mut self) -> Result<(Identity, Counts), StoreError> {
        let syntax = storable(&self.announced.transfer_syntax)
            .ok_or(crate::dicom::dataset::DataSetError::TransferSyntax)?;
        let limit = self.part.spool.limits.object_bytes;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(self.header_bytes))?;
        let (identity, counts) = identify(file, syntax, limit)?;
        if identity.sop_instance != self.announced.sop_instance {
            return Err(StoreError::Mismatch("SOP Instance UID"));
        }
        if identity.sop_class != self.announced.sop_class {
            return Err(StoreError::Mismatch("SOP Class UID"));
        }
        Ok((identity, counts))
    }
}
