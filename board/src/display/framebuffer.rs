//! A screen behind the kernel's older interface, `/dev/fb0`: the last resort where there is no DRM.
//!
//! Rows are written to the device as to a file. What `/sys/class/graphics/fb0` says about the geometry
//! is believed; the virtual size is taken for the visible one, as it is unless somebody asked the kernel
//! for more. Tried on ordinary files only; no framebuffer device was at hand.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{
    Display, DisplayError,
    scanout::{Format, fitted, rows},
};
use crate::{Frame, frame::MAX_SIDE, rotation::Rotation};

/// Where the kernel describes framebuffers.
const GRAPHICS: &str = "/sys/class/graphics";

/// The most bytes from one row to the next that are believed.
const MAX_STRIDE: usize = 4 * MAX_SIDE as usize * 4;

/// An open framebuffer.
#[derive(Debug)]
pub struct Framebuffer {
    path: PathBuf,
    file: File,
    size: Size,
    format: Format,
    stride: usize,
    /// Nothing was shown yet.
    fresh: bool,
}

impl Framebuffer {
    /// Opens a framebuffer device, for example `/dev/fb0`, with 32 or 16 bits per pixel.
    ///
    /// # Errors
    /// When it is missing or not ours, or is described by no usable geometry.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DisplayError> {
        Self::open_described(path, Path::new(GRAPHICS))
    }

    /// As [`Framebuffer::open`], with the folder that holds the description `fb0/…`.
    fn open_described(path: impl Into<PathBuf>, graphics: &Path) -> Result<Self, DisplayError> {
        let path = path.into();
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|error| DisplayError::on(&path, error))?;
        let name = path.file_name().unwrap_or_default();
        let (size, format, stride) = geometry(&graphics.join(name))?;
        Ok(Self {
            path,
            file,
            size,
            format,
            stride,
            fresh: true,
        })
    }
}

/// Size in pixels, format of a pixel and bytes from row to row.
fn geometry(folder: &Path) -> Result<(Size, Format, usize), DisplayError> {
    let told = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|error| DisplayError::on(&path, error))
    };
    let unusable =
        |what: &str, text: &str| DisplayError::unusable(folder, format!("{what} is {}", text.trim()));

    let sides = told("virtual_size")?;
    let size = sides
        .trim()
        .split_once(',')
        .and_then(|(width, height)| Some(Size::new(width.parse().ok()?, height.parse().ok()?)))
        .filter(|size| (1..=MAX_SIDE).contains(&size.width) && (1..=MAX_SIDE).contains(&size.height))
        .ok_or_else(|| unusable("its size", &sides))?;

    let bits = told("bits_per_pixel")?;
    let format = match bits.trim() {
        "32" => Format::Xrgb8888,
        "16" => Format::Rgb565,
        _ => return Err(unusable("its bits per pixel, 16 or 32 wanted,", &bits)),
    };

    let stride = told("stride")?;
    let row = size.width as usize * format.bytes();
    let bytes = stride
        .trim()
        .parse()
        .ok()
        .filter(|bytes| (row..=MAX_STRIDE).contains(bytes))
        .ok_or_else(|| unusable("its row in bytes", &stride))?;
    Ok((size, format, bytes))
}

impl Display for Framebuffer {
    fn size(&self) -> Option<Size> {
        Some(self.size)
    }

    fn present(&mut self, frame: &Frame, damage: &[Rectangle]) -> Result<(), DisplayError> {
        let whole = [frame.bounding_box()];
        let (shown, areas) = fitted(frame, if self.fresh { &whole } else { damage }, self.size);
        rows(&shown, Rotation::Deg0, &areas, self.format, |x, y, bytes| {
            let start = y * self.stride + x * self.format.bytes();
            self.file.write_all_at(bytes, start as u64)
        })
        .map_err(|error| DisplayError::on(&self.path, error))?;
        self.fresh = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use embedded_graphics::pixelcolor::Rgb888;

    use super::*;

    /// A file in the place of the device, beside a folder in the place of sysfs.
    fn made_up(size: &str, bits: &str, stride: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let described = folder.path().join("fb0");
        fs::create_dir(&described).unwrap();
        for (name, text) in [
            ("virtual_size", size),
            ("bits_per_pixel", bits),
            ("stride", stride),
        ] {
            fs::write(described.join(name), format!("{text}\n")).unwrap();
        }
        let device = folder.path().join("dev");
        fs::create_dir(&device).unwrap();
        let device = device.join("fb0");
        fs::write(&device, []).unwrap();
        (folder, device)
    }

    fn opened(folder: &tempfile::TempDir, device: &Path) -> Result<Framebuffer, DisplayError> {
        Framebuffer::open_described(device, folder.path())
    }

    fn red_at(size: Size, at: Point) -> Frame {
        let mut frame = Frame::new(size);
        frame.blend(at, Rgb888::RED, 1.0);
        frame
    }

    #[test]
    fn the_first_picture_is_whole_and_the_next_only_its_damage() {
        let (folder, device) = made_up("3,2", "32", "16");
        let mut display = opened(&folder, &device).unwrap();
        assert_eq!(display.size(), Some(Size::new(3, 2)));

        display
            .present(&red_at(Size::new(3, 2), Point::new(2, 1)), &[])
            .unwrap();
        let mut expected = vec![0; 28];
        expected[16 + 2 * 4 + 2] = 255;
        assert_eq!(fs::read(&device).unwrap(), expected);

        // Both pixels changed; only the damaged one is written.
        let next = red_at(Size::new(3, 2), Point::new(0, 0));
        display
            .present(&next, &[Rectangle::new(Point::zero(), Size::new(1, 1))])
            .unwrap();
        expected[2] = 255;
        assert_eq!(fs::read(&device).unwrap(), expected);
    }

    #[test]
    fn sixteen_bits_per_pixel_work() {
        let (folder, device) = made_up("2,1", "16", "4");
        let frame = red_at(Size::new(2, 1), Point::new(1, 0));
        opened(&folder, &device).unwrap().present(&frame, &[]).unwrap();
        assert_eq!(fs::read(&device).unwrap(), [0, 0, 0x00, 0xf8]);
    }

    #[test]
    fn a_geometry_that_cannot_be_is_refused_with_its_words() {
        for (size, bits, stride, word) in [
            ("0,2", "32", "16", "0,2"),
            ("9000,2", "32", "36000", "9000,2"),
            ("wide", "32", "16", "wide"),
            ("3,2", "24", "9", "24"),
            ("3,2", "32", "11", "11"),
            ("3,2", "32", "999999999", "999999999"),
        ] {
            let (folder, device) = made_up(size, bits, stride);
            let error = opened(&folder, &device).unwrap_err();
            assert!(matches!(error, DisplayError::Unusable { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_missing_device_is_named() {
        let error = Framebuffer::open("/dev/no-such-fb").unwrap_err();
        assert!(error.to_string().contains("/dev/no-such-fb"), "{error}");
    }
}
