//! The pixel data of one file as they are stored, frame by frame.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::codec;
use super::extent::{self, Fragment, PixelSpan};
use super::fragments::of_frame;
use super::header::Image;
use crate::findings::{Fault, Reason};

/// Where the pixel data of a file are, as its header says.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    pub path: PathBuf,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Of the file when its header was read.
    pub version: Version,
    /// How the pixel data of the whole file are stored.
    pub image: Image,
    pub transfer_syntax: String,
    pub pixels: Option<PixelSpan>,
    /// Whether the offsets of `pixels` refer to the inflated data set (PS3.5 A.5).
    pub deflated: bool,
}

/// What differs when a file was written again: device, number, length, times of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version([i64; 7]);

impl Version {
    pub fn of(metadata: &Metadata) -> Version {
        Version([
            metadata.dev().cast_signed(),
            metadata.ino().cast_signed(),
            metadata.len().cast_signed(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ])
    }
}

impl StoredFile {
    /// Opens it for reading frames.
    ///
    /// # Errors
    /// `changed` when it is no longer the file whose header was read, `unreadable`.
    pub fn open(&self) -> Result<Frames<'_>, Reason> {
        let mut file = File::open(&self.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if Version::of(&metadata) != self.version {
            return Err(changed());
        }
        let inflated = if self.deflated {
            let walked = extent::walk(&mut file, metadata.len()).map_err(|_| changed())?;
            walked.inflated
        } else {
            None
        };
        Ok(Frames {
            stored: self,
            file,
            length: metadata.len(),
            inflated,
            kept: None,
        })
    }

    /// Whether its pixels must be decoded.
    pub fn compressed(&self) -> bool {
        self.pixels.as_ref().is_some_and(|p| p.fragments.is_some())
    }

    /// All pixel data as they are stored; none when there are none or they cannot be read.
    pub fn pixel_bytes(&self) -> Option<Vec<u8>> {
        let span = self.pixels.as_ref()?;
        self.open().ok()?.bytes(span.offset, span.length).ok()
    }
}

/// A file whose frames are read one after the other.
pub(super) struct Frames<'a> {
    stored: &'a StoredFile,
    file: File,
    /// Of the file, bytes.
    length: u64,
    inflated: Option<Vec<u8>>,
    /// The last frame that was read.
    kept: Option<(usize, Vec<u8>)>,
}

impl Frames<'_> {
    /// Whether these are the frames of that file.
    pub fn is_of(&self, stored: &StoredFile) -> bool {
        std::ptr::eq(self.stored, stored)
    }

    /// The pixels of one frame as stored, uncompressed.
    ///
    /// # Errors
    /// `undecodable`, `unsupported_transfer_syntax`, `unreadable`, `changed`.
    pub fn frame(&mut self, n: usize) -> Result<&[u8], Reason> {
        let frame = match self.kept.take().filter(|(kept, _)| *kept == n) {
            Some(frame) => frame,
            None => (n, self.read(n)?),
        };
        Ok(&self.kept.insert(frame).1)
    }

    fn read(&mut self, n: usize) -> Result<Vec<u8>, Reason> {
        let stored = self.stored;
        let one = Image {
            frames: 1,
            ..stored.image.clone()
        };
        let length = one.stored_bytes().unwrap_or(u64::MAX);
        if n >= stored.image.frames {
            return Err(changed());
        }
        let span = stored
            .pixels
            .as_ref()
            .ok_or_else(|| undecodable("A file has no pixels."))?;
        let bytes = match &span.fragments {
            Some(fragments) => {
                let stream = self.code_stream(fragments, n)?;
                codec::decode(&stored.transfer_syntax, &stream, &one)?
            }
            None => self.bytes(span.offset + length * n as u64, length)?,
        };
        if (bytes.len() as u64) < length {
            return Err(undecodable("A file holds fewer pixels than it states."));
        }
        Ok(bytes)
    }

    /// The code stream of one frame, put together from its fragments.
    fn code_stream(&mut self, fragments: &[Fragment], n: usize) -> Result<Vec<u8>, Reason> {
        let no_frames = || undecodable("Its compressed frames cannot be told apart.");
        let (table, fragments) = fragments.split_first().ok_or_else(no_frames)?;
        let offsets = self.bytes(table.offset, u64::from(table.length))?;
        let offsets: Vec<u32> = offsets
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect();
        // SOI of JPEG and JPEG-LS, SOC and SIZ of JPEG 2000.
        let starts = |fragment: &Fragment| {
            let head = self.bytes(fragment.offset, 3);
            head.is_ok_and(|head| matches!(head[..], [0xFF, 0xD8, 0xFF] | [0xFF, 0x4F, 0xFF]))
        };
        let frames = self.stored.image.frames;
        let range = of_frame(fragments, &offsets, frames, n, starts).ok_or_else(no_frames)?;
        let mut stream = Vec::new();
        for fragment in &fragments[range] {
            stream.extend(self.bytes(fragment.offset, u64::from(fragment.length))?);
        }
        Ok(stream)
    }

    /// At most so many bytes from an offset; fewer where the file ends.
    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, Reason> {
        if let Some(inflated) = &self.inflated {
            let rest = inflated.get(offset as usize..).unwrap_or_default();
            return Ok(rest[..rest.len().min(length as usize)].to_vec());
        }
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let there = self.length.saturating_sub(offset);
        let mut bytes = Vec::with_capacity(there.min(length) as usize);
        file.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }
}

pub(super) fn changed() -> Reason {
    Reason::new(
        "changed",
        Fault::Us,
        "A file is no longer the one that was scanned.",
    )
}

fn unreadable(error: std::io::Error) -> Reason {
    let text = format!("The file cannot be read: {}.", error.kind());
    Reason::new("unreadable", Fault::Hardware, text)
}

fn undecodable(text: &str) -> Reason {
    Reason::new("undecodable", Fault::Data, text)
}
