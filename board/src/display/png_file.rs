//! A picture file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use embedded_graphics::{prelude::Size, primitives::Rectangle};

use super::{Display, DisplayError};
use crate::Frame;

/// A PNG file that always holds one whole picture: each is written beside it, then renamed over it.
/// Nothing is synced: a picture that the power took away is drawn again, and images wait for the disk.
#[derive(Debug)]
pub struct PngFile {
    path: PathBuf,
}

impl PngFile {
    /// Pictures go to `path`; its folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the picture is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(bytes)
            .and_then(|()| fs::rename(&beside, &self.path))
            .inspect_err(|_| {
                // The first error is the one to tell; a leftover is overwritten next time.
                let _ = fs::remove_file(&beside);
            })
    }
}

impl Display for PngFile {
    fn size(&self) -> Option<Size> {
        None
    }

    fn present(&mut self, frame: &Frame, _damage: &[Rectangle]) -> Result<(), DisplayError> {
        self.replace(&frame.to_png())
            .map_err(|source| DisplayError::File {
                path: self.path.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_picture_replaces_the_one_before_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut display = PngFile::new(folder.path().join("screen.png"));
        for side in [3, 9] {
            let frame = Frame::new(Size::new(side, side));
            display.present(&frame, &[]).unwrap();
            assert_eq!(fs::read(display.path()).unwrap(), frame.to_png());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_picture_names_its_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        // A folder in the place of the file: the rename must fail.
        let path = folder.path().join("screen.png");
        fs::create_dir(&path).unwrap();
        let error = PngFile::new(&path)
            .present(&Frame::new(Size::new(1, 1)), &[])
            .unwrap_err();
        assert!(error.to_string().contains("screen.png"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
