//! A picture as text.

use std::{io::Write, os::fd::AsFd};

use embedded_graphics::{prelude::Size, primitives::Rectangle};

use super::{Display, DisplayError};
use crate::Frame;

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
    fn size(&self) -> Option<Size> {
        None
    }

    fn present(&mut self, frame: &Frame, _damage: &[Rectangle]) -> Result<(), DisplayError> {
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

    use super::*;

    #[test]
    fn a_terminal_gets_the_half_blocks() {
        let mut text = Vec::new();
        let frame = Frame::new(Size::new(8, 4));
        Terminal::new(&mut text, 8).present(&frame, &[]).unwrap();
        assert_eq!(text, frame.half_blocks(8).into_bytes());
    }

    #[test]
    fn a_file_has_no_columns() {
        assert_eq!(terminal_columns(tempfile::tempfile().unwrap()), None);
    }
}
