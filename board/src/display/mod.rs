//! Where a picture goes.
//!
//! | module | shows pictures on |
//! |---|---|
//! | `png_file` | a file that always holds one whole picture |
//! | `terminal` | a terminal in true colour |
//! | `drm` | a screen behind the kernel's mode setting (HDMI, DSI, LVDS, virtual machines) |
//! | `framebuffer` | a screen behind the older `/dev/fb0` |
//! | [`panel`] | a small panel on an SPI bus |
//! | `window` | a desktop window for developers (feature `window`) |
//! | `outlet` | any of them by setting; it outlives the screen being unplugged |
//!
//! `scanout` turns pictures into the rows of bytes that screens take, `modes` chooses a screen's mode.

mod drm;
mod framebuffer;
mod modes;
mod outlet;
pub mod panel;
mod png_file;
mod scanout;
mod terminal;
#[cfg(feature = "window")]
pub mod window;

use std::{
    io,
    path::{Path, PathBuf},
};

use embedded_graphics::{prelude::Size, primitives::Rectangle};

use crate::Frame;

pub use self::drm::Drm;
pub use framebuffer::Framebuffer;
pub use outlet::{Outlet, RETRY, Setting, State};
pub use panel::Panel;
pub use png_file::PngFile;
pub use terminal::{Terminal, terminal_columns};

/// Something that shows frames.
pub trait Display {
    /// Whether somebody can look at it.
    fn is_seen(&self) -> bool {
        true
    }

    /// The size in pixels that it wants pictures in; none where any will do (files, a terminal). A
    /// picture of another size is shown in the middle, cut where it is larger.
    fn size(&self) -> Option<Size>;

    /// Shows the picture until the next one. `damage` says where it differs from the one shown before,
    /// in pixels; a display may use it or not. The first picture is shown whole.
    ///
    /// # Errors
    /// When the picture could not be shown; the one before, or a part of it, may still be there.
    fn present(&mut self, frame: &Frame, damage: &[Rectangle]) -> Result<(), DisplayError>;
}

/// Why a picture could not be shown. The fault lies with the disk, the terminal, the screen or the
/// setting that names it; never with the picture.
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
    /// A device did not do what was asked: hardware, or its driver, or our right to use it.
    #[error("the screen {} failed: {source}", path.display())]
    Device {
        /// The device file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The device is there, but no picture can go there: nothing is plugged in, or its format or size is
    /// none that this crate knows.
    #[error("no picture can go to {}: {reason}", path.display())]
    Unusable {
        /// The device file, or the folder in which none was found.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// The screen was unplugged, or the window closed.
    #[error("the screen was unplugged")]
    Gone,
}

impl DisplayError {
    /// What an error of the system on a device means.
    fn on(path: &Path, error: impl Into<io::Error>) -> Self {
        let source = error.into();
        let gone = [rustix::io::Errno::NODEV, rustix::io::Errno::NXIO].map(|e| e.raw_os_error());
        match source.raw_os_error() {
            Some(code) if gone.contains(&code) => DisplayError::Gone,
            _ => DisplayError::Device {
                path: path.to_owned(),
                source,
            },
        }
    }

    fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        DisplayError::Unusable {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
