//! Small panels on an SPI bus, with a controller that `mipidsi` knows.
//!
//! Such a panel keeps its picture, and the bus is slow: only damage is sent. What goes to the panel is
//! tested up to the bus; no panel was at hand.

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
};

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use embedded_hal::{
    digital::{OutputPin, PinState},
    spi::SpiDevice,
};
use linux_embedded_hal::{
    CdevPin, Delay, SpidevDevice,
    spidev::{SpiModeFlags, SpidevOptions},
};
use mipidsi::{
    Builder, NoResetPin,
    interface::{Interface, InterfaceKind, InterfacePixelFormat},
    models::{self, Model},
    options::{ColorInversion, ColorOrder, Orientation},
};

use super::{Display, DisplayError, scanout::fitted};
use crate::{Frame, gpio, rotation::Rotation};

/// The most bytes in one transfer. The kernel's `spidev` takes no more unless told otherwise.
const TRANSFER_BYTES: usize = 4096;

/// A clock that every one of these controllers and a short cable bear, hertz.
pub const SPEED_HZ: u32 = 16_000_000;

/// Which controller the panel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Controller {
    /// ST7789, 240 × 320.
    St7789,
    /// ST7796, 320 × 480.
    St7796,
    /// ILI9341, 240 × 320.
    Ili9341,
    /// ILI9486, 320 × 480; it takes 18 bits per pixel.
    Ili9486,
    /// ILI9488, 320 × 480; on SPI it takes 18 bits per pixel only.
    Ili9488,
}

/// How a panel is wired.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wiring {
    /// Its controller.
    pub controller: Controller,
    /// The SPI device, for example `/dev/spidev0.0`.
    pub spi: PathBuf,
    /// The clock of the bus, hertz; [`SPEED_HZ`] is safe.
    pub speed_hz: u32,
    /// The GPIO chip of the lines below, for example `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// The line that tells commands (low) from data (high), often called D/C or RS.
    pub data_line: u32,
    /// The line that resets the panel when low, if it has one of its own.
    pub reset_line: Option<u32>,
    /// The line that lights the panel when high, if it does not shine all the time.
    pub light_line: Option<u32>,
    /// How far the picture is turned on the panel, which is higher than wide.
    pub rotation: Rotation,
    /// Colours come out as their opposites without this; most ST7789 panels need it.
    pub inverted: bool,
    /// Red and blue are exchanged without this.
    pub blue_first: bool,
}

/// A panel, or anything else that draws rectangles of pixels.
pub struct Panel<T> {
    target: T,
    /// What an error is told of.
    path: PathBuf,
    /// Held so that the panel stays lit.
    _light: Option<CdevPin>,
    /// Nothing was shown yet.
    fresh: bool,
}

impl<T> Panel<T> {
    /// Pictures go to `target`, which errors call `path`.
    pub fn new(target: T, path: impl Into<PathBuf>) -> Self {
        Self {
            target,
            path: path.into(),
            _light: None,
            fresh: true,
        }
    }
}

impl<T> Display for Panel<T>
where
    T: DrawTarget,
    T::Color: From<Rgb888>,
    T::Error: Debug,
{
    fn size(&self) -> Option<Size> {
        Some(self.target.bounding_box().size)
    }

    fn present(&mut self, frame: &Frame, damage: &[Rectangle]) -> Result<(), DisplayError> {
        let whole = [frame.bounding_box()];
        let size = self.target.bounding_box().size;
        let (shown, areas) = fitted(frame, if self.fresh { &whole } else { damage }, size);
        for area in &areas {
            let colors = area.points().filter_map(|at| shown.pixel(at)).map(T::Color::from);
            self.target
                .fill_contiguous(area, colors)
                .map_err(|error| failed(&self.path, error))?;
        }
        self.fresh = false;
        Ok(())
    }
}

/// Wakes the panel that is wired so.
///
/// # Errors
/// When the bus or a line is missing or not ours, or the bus takes nothing. A panel that is not there
/// cannot be told from one that is: it never answers.
pub fn open(wiring: &Wiring) -> Result<Box<dyn Display + Send>, DisplayError> {
    match wiring.controller {
        Controller::St7789 => woken(models::ST7789, wiring),
        Controller::St7796 => woken(models::ST7796, wiring),
        Controller::Ili9341 => woken(models::ILI9341Rgb565, wiring),
        Controller::Ili9486 => woken(models::ILI9486Rgb666, wiring),
        Controller::Ili9488 => woken(models::ILI9488Rgb666, wiring),
    }
}

fn woken<M>(model: M, wiring: &Wiring) -> Result<Box<dyn Display + Send>, DisplayError>
where
    M: Model + Send + 'static,
    M::ColorFormat: InterfacePixelFormat<u8> + From<Rgb888>,
{
    let mut spi = SpidevDevice::open(&wiring.spi).map_err(|error| failed(&wiring.spi, error))?;
    let options = SpidevOptions::new()
        .bits_per_word(8)
        .max_speed_hz(wiring.speed_hz)
        .mode(SpiModeFlags::SPI_MODE_0)
        .build();
    spi.configure(&options)
        .map_err(|error| DisplayError::on(&wiring.spi, error))?;
    let line = |line| gpio::output(&wiring.chip, line).map_err(|error| failed(&wiring.chip, error));
    let wire = Wire {
        spi,
        data: line(wiring.data_line)?,
        bytes: Vec::with_capacity(TRANSFER_BYTES),
    };
    let builder = configured(model, wire, wiring);

    let mut panel: Box<dyn Display + Send> = match wiring.reset_line {
        Some(reset) => {
            let target = builder.reset_pin(line(reset)?).init(&mut Delay);
            Box::new(Panel {
                _light: lit(wiring)?,
                ..Panel::new(target.map_err(|error| failed(&wiring.spi, error))?, &wiring.spi)
            })
        }
        None => {
            let target = builder.init(&mut Delay);
            Box::new(Panel {
                _light: lit(wiring)?,
                ..Panel::new(target.map_err(|error| failed(&wiring.spi, error))?, &wiring.spi)
            })
        }
    };
    // What its memory holds after power-up is noise.
    let size = panel.size().unwrap_or_default();
    panel.present(&Frame::new(size), &[])?;
    Ok(panel)
}

fn configured<M, W>(model: M, wire: W, wiring: &Wiring) -> Builder<W, M, NoResetPin>
where
    M: Model,
    W: Interface<Word = u8>,
    M::ColorFormat: InterfacePixelFormat<u8>,
{
    let rotation = match wiring.rotation {
        Rotation::Deg0 => mipidsi::options::Rotation::Deg0,
        Rotation::Deg90 => mipidsi::options::Rotation::Deg90,
        Rotation::Deg180 => mipidsi::options::Rotation::Deg180,
        Rotation::Deg270 => mipidsi::options::Rotation::Deg270,
    };
    let inversion = match wiring.inverted {
        true => ColorInversion::Inverted,
        false => ColorInversion::Normal,
    };
    let order = match wiring.blue_first {
        true => ColorOrder::Bgr,
        false => ColorOrder::Rgb,
    };
    Builder::new(model, wire)
        .orientation(Orientation::new().rotate(rotation))
        .invert_colors(inversion)
        .color_order(order)
}

fn lit(wiring: &Wiring) -> Result<Option<CdevPin>, DisplayError> {
    let Some(line) = wiring.light_line else {
        return Ok(None);
    };
    let failed = |error: &dyn Debug| failed(&wiring.chip, error);
    let mut pin = gpio::output(&wiring.chip, line).map_err(|error| failed(&error))?;
    pin.set_state(PinState::High).map_err(|error| failed(&error))?;
    Ok(Some(pin))
}

/// What the drivers below say has no common form but the one for developers.
fn failed(path: &Path, error: impl Debug) -> DisplayError {
    DisplayError::on(path, io::Error::other(format!("{error:?}")))
}

/// Four-wire SPI: the data line tells commands from data. The buffer of `mipidsi`'s own is borrowed, and
/// a panel that is opened again and again must own it.
struct Wire<S, D> {
    spi: S,
    data: D,
    bytes: Vec<u8>,
}

/// What failed on the way to the panel.
#[derive(Debug)]
enum WireError<S, D> {
    Spi(S),
    DataLine(D),
}

impl<S: SpiDevice, D: OutputPin> Wire<S, D> {
    /// Adds a pixel, and sends all of them when they fill a transfer.
    fn collect(&mut self, pixel: &[u8]) -> Result<(), WireError<S::Error, D::Error>> {
        if self.bytes.len() + pixel.len() > TRANSFER_BYTES {
            self.send()?;
        }
        self.bytes.extend_from_slice(pixel);
        Ok(())
    }

    fn send(&mut self) -> Result<(), WireError<S::Error, D::Error>> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let sent = self.spi.write(&self.bytes).map_err(WireError::Spi);
        self.bytes.clear();
        sent
    }
}

impl<S: SpiDevice, D: OutputPin> Interface for Wire<S, D> {
    type Word = u8;
    type Error = WireError<S::Error, D::Error>;
    const KIND: InterfaceKind = InterfaceKind::Serial4Line;

    fn send_command(&mut self, command: u8, args: &[u8]) -> Result<(), Self::Error> {
        self.data.set_low().map_err(WireError::DataLine)?;
        self.spi.write(&[command]).map_err(WireError::Spi)?;
        self.data.set_high().map_err(WireError::DataLine)?;
        self.bytes.extend_from_slice(args);
        self.send()
    }

    fn send_pixels<const N: usize>(
        &mut self,
        pixels: impl IntoIterator<Item = [u8; N]>,
    ) -> Result<(), Self::Error> {
        for pixel in pixels {
            self.collect(&pixel)?;
        }
        self.send()
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), Self::Error> {
        self.send_pixels(std::iter::repeat_n(pixel, count as usize))
    }
}

#[cfg(test)]
mod tests;
