//! Where a picture goes.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use crate::Frame;

/// Something that shows frames. A panel behind DRM or SPI implements the same trait.
pub trait Display {
    /// Shows the picture until the next one.
    ///
    /// # Errors
    /// When the picture could not be shown; the one before may still be there.
    fn present(&mut self, frame: &Frame) -> Result<(), DisplayError>;
}

/// Why a picture could not be shown: the fault lies with the disk or the terminal.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// The PNG file could not be written.
    #[error("cannot write the picture {}: {source}", path.display())]
    File {
        /// The file that should have been written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The terminal took no text.
    #[error("cannot write the picture to the terminal: {0}")]
    Terminal(#[source] io::Error),
}

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
    fn present(&mut self, frame: &Frame) -> Result<(), DisplayError> {
        self.replace(&frame.to_png())
            .map_err(|source| DisplayError::File {
                path: self.path.clone(),
                source,
            })
    }
}

/// A terminal in true colour, over which the picture scrolls by as text.
#[derive(Debug)]
pub struct Terminal<W> {
    writer: W,
    columns: usize,
}

impl<W: Write> Terminal<W> {
    /// Pictures become `columns` characters wide.
    pub fn new(writer: W, columns: usize) -> Self {
        Self { writer, columns }
    }
}

impl<W: Write> Display for Terminal<W> {
    fn present(&mut self, frame: &Frame) -> Result<(), DisplayError> {
        self.writer
            .write_all(frame.half_blocks(self.columns).as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(DisplayError::Terminal)
    }
}

/// How many characters a line of this terminal holds; none when it is no terminal or does not say.
pub fn terminal_columns(terminal: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use embedded_graphics::prelude::Size;

    use super::*;

    #[test]
    fn a_picture_replaces_the_one_before_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut display = PngFile::new(folder.path().join("screen.png"));
        for side in [3, 9] {
            let frame = Frame::new(Size::new(side, side));
            display.present(&frame).unwrap();
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
            .present(&Frame::new(Size::new(1, 1)))
            .unwrap_err();
        assert!(error.to_string().contains("screen.png"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_terminal_gets_the_half_blocks() {
        let mut text = Vec::new();
        let frame = Frame::new(Size::new(8, 4));
        Terminal::new(&mut text, 8).present(&frame).unwrap();
        assert_eq!(text, frame.half_blocks(8).into_bytes());
    }

    #[test]
    fn a_file_has_no_columns() {
        assert_eq!(terminal_columns(tempfile::tempfile().unwrap()), None);
    }
}
