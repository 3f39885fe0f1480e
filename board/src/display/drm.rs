//! A screen behind the kernel's mode setting (DRM/KMS): HDMI, DSI, LVDS, virtual machines.
//!
//! Two dumb buffers take turns: the one that nobody sees is repaired where it missed something, then
//! shown by a page flip, so that no half-drawn picture is ever seen. Choosing modes and repairing buffers
//! is tested; the calls to the kernel were not run from here, as no DRM device was at hand.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use drm::{
    Device,
    buffer::{Buffer as _, DrmFourcc},
    control::{
        ClipRect, Device as ControlDevice, Event, Mode, PageFlipFlags, connector, crtc,
        dumbbuffer::DumbBuffer, framebuffer,
    },
};
use embedded_graphics::{prelude::*, primitives::Rectangle};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::{
    Display, DisplayError,
    modes::{self, Offer},
    scanout::{Format, Missed, fitted, paint},
};
use crate::{Frame, rotation::Rotation};

/// Where the kernel puts graphics cards.
const CARDS: &str = "/dev/dri";

/// How long a flip is waited for after a picture was handed over; six pictures at 60 Hz.
const FLIP_LIMIT: Duration = Duration::from_millis(100);

/// How long a late flip is waited for before its buffer is needed again. A screen that is later than
/// this does not work.
const LATE_FLIP_LIMIT: Duration = Duration::from_secs(1);

/// Bits of colour and bits of memory per pixel.
const DEPTH: u32 = 24;
const BITS: u32 = 32;

/// An open card; it is closed, and with it everything made on it, when dropped.
#[derive(Debug)]
struct Card(File);

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Card {}
impl ControlDevice for Card {}

#[derive(Debug)]
struct Buffer {
    memory: DumbBuffer,
    handle: framebuffer::Handle,
    missed: Missed,
}

/// A screen that this process drives alone.
#[derive(Debug)]
pub struct Drm {
    path: PathBuf,
    card: Card,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: Mode,
    /// In pixels of the picture.
    size: Size,
    rotation: Rotation,
    buffers: [Buffer; 2],
    /// Index of the buffer to draw the next picture in.
    back: usize,
    /// The mode was set with one of the buffers.
    lit: bool,
    /// A flip was asked for whose event has not come.
    flipping: bool,
    /// The driver knows page flips, as far as known.
    flips: bool,
}

impl Drm {
    /// Opens the first connected screen of a card, for example `/dev/dri/card0`, or without one of the
    /// first card that has a connected screen. The mode is the one of the size asked for, in pixels of
    /// the panel; otherwise what the kernel's command line sets, the screen's own choice, or the largest.
    ///
    /// # Errors
    /// When no card is there or ours, none has a connected screen, or none has that mode.
    pub fn open(card: Option<&Path>, rotation: Rotation, mode: Option<Size>) -> Result<Self, DisplayError> {
        match card {
            Some(path) => Self::open_card(path, rotation, mode),
            None => Self::open_first(Path::new(CARDS), rotation, mode),
        }
    }

    fn open_first(folder: &Path, rotation: Rotation, mode: Option<Size>) -> Result<Self, DisplayError> {
        let mut reasons = Vec::new();
        for path in modes::cards(folder) {
            match Self::open_card(&path, rotation, mode) {
                Ok(opened) => return Ok(opened),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no card".into());
        }
        Err(DisplayError::unusable(folder, reasons.join("; ")))
    }

    fn open_card(path: &Path, rotation: Rotation, asked: Option<Size>) -> Result<Self, DisplayError> {
        let failed = |error| DisplayError::on(path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let card = Card(file);
        let resources = card.resource_handles().map_err(failed)?;

        let connectors: Vec<connector::Info> = resources
            .connectors()
            .iter()
            .filter_map(|&handle| card.get_connector(handle, true).ok())
            .collect();
        // Some drivers of built-in panels cannot tell whether the panel is there.
        let screen = [connector::State::Connected, connector::State::Unknown]
            .into_iter()
            .find_map(|state| {
                connectors
                    .iter()
                    .find(|info| info.state() == state && !info.modes().is_empty())
            })
            .ok_or_else(|| DisplayError::unusable(path, "no screen is connected"))?;

        let offers: Vec<Offer> = screen.modes().iter().map(Offer::from).collect();
        let mode = modes::mode(&offers, asked)
            .map(|index| screen.modes()[index])
            .map_err(|reason| DisplayError::unusable(path, reason))?;
        let crtc = free_crtc(&card, &resources, screen)
            .ok_or_else(|| DisplayError::unusable(path, "no part of the card can drive the screen"))?;

        let (width, height) = mode.size();
        let size = rotation.turned(Size::new(width.into(), height.into()));
        let buffer = || buffer(&card, mode, size).map_err(failed);
        Ok(Self {
            buffers: [buffer()?, buffer()?],
            path: path.to_owned(),
            connector: screen.handle(),
            card,
            crtc,
            mode,
            size,
            rotation,
            back: 0,
            lit: false,
            flipping: false,
            flips: true,
        })
    }

    /// The screen may have been unplugged, or replaced by one that cannot show our mode.
    fn check(&self) -> Result<(), DisplayError> {
        let info = self
            .card
            .get_connector(self.connector, false)
            .map_err(|error| DisplayError::on(&self.path, error))?;
        let still = info.state() != connector::State::Disconnected && info.modes().contains(&self.mode);
        if still { Ok(()) } else { Err(DisplayError::Gone) }
    }

    /// Brings the hidden buffer up to date with the picture.
    fn draw(&mut self, frame: &Frame) -> io::Result<()> {
        let Buffer { memory, missed, .. } = &mut self.buffers[self.back];
        let stride = memory.pitch() as usize;
        let mut map = self.card.map_dumb_buffer(memory)?;
        paint(
            frame,
            self.rotation,
            &missed.take(),
            Format::Xrgb8888,
            stride,
            map.as_mut(),
        );
        Ok(())
    }

    /// Puts the hidden buffer on the screen.
    fn show(&mut self) -> io::Result<()> {
        let handle = self.buffers[self.back].handle;
        if self.lit && self.flips {
            match self.card.page_flip(self.crtc, handle, PageFlipFlags::EVENT, None) {
                Ok(()) => {
                    self.flipping = true;
                    return self.wait(FLIP_LIMIT);
                }
                Err(error) if unsupported(&error) => self.flips = false,
                Err(error) => return Err(error),
            }
        }
        self.card.set_crtc(
            self.crtc,
            Some(handle),
            (0, 0),
            &[self.connector],
            Some(self.mode),
        )?;
        self.lit = true;
        // Panels with memory of their own show what they are told has changed; all others do not know
        // the call, and need it not.
        let (width, height) = self.mode.size();
        let _ = self
            .card
            .dirty_framebuffer(handle, &[ClipRect::new(0, 0, width, height)]);
        Ok(())
    }

    /// Waits for the flip in progress, at most that long. A late flip is no error: the picture is on its
    /// way.
    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let end = Instant::now() + limit;
        while self.flipping {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut ready = [PollFd::new(&self.card, PollFlags::IN)];
            match rustix::event::poll(&mut ready, Some(&left)) {
                Ok(0) => return Ok(()),
                Ok(_) if ready[0].revents().contains(PollFlags::IN) => {}
                // Nothing to read and yet something to tell: the card was taken away.
                Ok(_) => return Err(Errno::NODEV.into()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in self.card.receive_events()? {
                if matches!(event, Event::PageFlip(_)) {
                    self.flipping = false;
                }
            }
        }
        Ok(())
    }
}

/// Whether the driver does not know the call at all.
fn unsupported(error: &io::Error) -> bool {
    let codes = [Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOTTY].map(|code| code.raw_os_error());
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The scan-out engine that drives the screen now, or the first that could.
fn free_crtc(
    card: &Card,
    resources: &drm::control::ResourceHandles,
    screen: &connector::Info,
) -> Option<crtc::Handle> {
    let encoder = |handle: &_| card.get_encoder(*handle).ok();
    let current = screen
        .current_encoder()
        .and_then(|handle| encoder(&handle)?.crtc());
    current.or_else(|| {
        screen
            .encoders()
            .iter()
            .filter_map(encoder)
            .find_map(|info| resources.filter_crtcs(info.possible_crtcs()).first().copied())
    })
}

fn buffer(card: &Card, mode: Mode, picture: Size) -> io::Result<Buffer> {
    let (width, height) = mode.size();
    let memory = card.create_dumb_buffer((width.into(), height.into()), DrmFourcc::Xrgb8888, BITS)?;
    Ok(Buffer {
        handle: card.add_framebuffer(&memory, DEPTH, BITS)?,
        memory,
        missed: Missed::whole(picture),
    })
}

impl Display for Drm {
    fn size(&self) -> Option<Size> {
        Some(self.size)
    }

    fn present(&mut self, frame: &Frame, damage: &[Rectangle]) -> Result<(), DisplayError> {
        self.check()?;
        let (shown, areas) = fitted(frame, damage, self.size);
        for buffer in &mut self.buffers {
            buffer.missed.add(&areas);
        }
        self.wait(LATE_FLIP_LIMIT)
            .and_then(|()| match self.flipping {
                true => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "it did not show the picture before",
                )),
                false => Ok(()),
            })
            .and_then(|()| self.draw(&shown))
            .and_then(|()| self.show())
            .map_err(|error| DisplayError::on(&self.path, error))?;
        self.back = 1 - self.back;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_without_cards_and_a_card_that_is_none_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Drm::open_first(folder.path(), Rotation::Deg0, None).unwrap_err();
        assert!(open().to_string().contains("there is no card"), "{}", open());

        std::fs::write(folder.path().join("card0"), []).unwrap();
        assert!(open().to_string().contains("card0"), "{}", open());
    }

    #[test]
    fn only_a_call_that_the_driver_does_not_know_is_unsupported() {
        assert!(unsupported(&Errno::NOSYS.into()));
        assert!(!unsupported(&Errno::BUSY.into()));
        assert!(!unsupported(&io::Error::other("no code")));
    }
}
