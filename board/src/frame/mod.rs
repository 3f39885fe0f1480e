//! One picture in memory.

mod terminal;

use std::convert::Infallible;

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// The longest side of a frame, pixels: an 8K panel, so that no size read from a file or a panel
/// makes the box run out of memory.
pub const MAX_SIDE: u32 = 8192;

/// Red, green, blue.
const CHANNELS: usize = 3;

/// A picture of 8-bit RGB pixels, row by row from the top left, without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    size: Size,
    pixels: Vec<u8>,
}

impl Frame {
    /// A black picture. Each side is held between 1 and [`MAX_SIDE`].
    pub fn new(size: Size) -> Self {
        let size = Size::new(size.width.clamp(1, MAX_SIDE), size.height.clamp(1, MAX_SIDE));
        Self {
            size,
            pixels: vec![0; size.width as usize * size.height as usize * CHANNELS],
        }
    }

    /// Pixels per row.
    pub fn width(&self) -> u32 {
        self.size.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.size.height
    }

    /// The bytes `r, g, b` of all pixels, row by row; `3 × width × height` of them.
    pub fn rgb(&self) -> &[u8] {
        &self.pixels
    }

    /// The colour at a point, or none outside the picture.
    pub fn pixel(&self, at: Point) -> Option<Rgb888> {
        let start = self.offset(at)?;
        Some(Rgb888::new(
            self.pixels[start],
            self.pixels[start + 1],
            self.pixels[start + 2],
        ))
    }

    /// Lays `color` over the pixel at a point; `coverage` runs from 0 (nothing) to 1 (all of it).
    /// Outside the picture nothing happens.
    pub fn blend(&mut self, at: Point, color: Rgb888, coverage: f32) {
        let Some(start) = self.offset(at) else { return };
        let coverage = coverage.clamp(0.0, 1.0);
        for (under, over) in self.pixels[start..start + CHANNELS].iter_mut().zip(bytes(color)) {
            *under = (f32::from(*under) * (1.0 - coverage) + f32::from(over) * coverage).round() as u8;
        }
    }

    /// Lays `color` over an area, pixel by pixel as far as `coverage` says, from 0 (nothing) to 255 (all of
    /// it), row by row. What lies outside the picture, or has no coverage, stays as it is.
    pub fn stain(&mut self, area: Rectangle, coverage: &[u8], color: Rgb888) {
        let color = bytes(color).map(u32::from);
        let columns = area.size.width as usize;
        for (at, row) in self.rows_mut(area) {
            let start = (at.y - area.top_left.y) as usize * columns + (at.x - area.top_left.x) as usize;
            let Some(coverage) = coverage.get(start..) else {
                return;
            };
            for (pixel, &covered) in row.chunks_exact_mut(CHANNELS).zip(coverage) {
                if covered > 0 {
                    let over = u32::from(covered);
                    for (under, color) in pixel.iter_mut().zip(color) {
                        *under = ((u32::from(*under) * (255 - over) + color * over + 127) / 255) as u8;
                    }
                }
            }
        }
    }

    /// The rows of an area as far as they lie inside the picture: where each begins, and its bytes `r, g, b`.
    pub fn rows_mut(&mut self, area: Rectangle) -> impl Iterator<Item = (Point, &mut [u8])> {
        let seen = area.intersection(&self.bounding_box());
        // An area without pixels may lie anywhere.
        let seen = if seen.is_zero_sized() {
            Rectangle::zero()
        } else {
            seen
        };
        let (first, stride) = (seen.top_left, self.size.width as usize * CHANNELS);
        let bytes = first.x as usize * CHANNELS..(first.x as usize + seen.size.width as usize) * CHANNELS;
        self.pixels
            .chunks_exact_mut(stride)
            .skip(first.y as usize)
            .take(seen.size.height as usize)
            .zip(first.y..)
            .map(move |(row, y)| (Point::new(first.x, y), &mut row[bytes.clone()]))
    }

    /// The picture as a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            // Encoding fails on a side of 0, on too few bytes, or when the sink fails. `new` excludes
            // the first two, and the sink is memory.
            .expect("a frame of at least 1 × 1 pixels encodes into memory");
        file
    }

    fn offset(&self, at: Point) -> Option<usize> {
        let (x, y) = (u32::try_from(at.x).ok()?, u32::try_from(at.y).ok()?);
        (x < self.size.width && y < self.size.height)
            .then(|| (y as usize * self.size.width as usize + x as usize) * CHANNELS)
    }

    /// The bytes of the columns `x..x + width` of row `y`; the caller has clipped them to the picture.
    fn row(&mut self, x: i32, y: i32, width: u32) -> &mut [u8] {
        if width == 0 {
            // An area without width may still have rows, even outside the picture.
            return &mut [];
        }
        let start = (y as usize * self.size.width as usize + x as usize) * CHANNELS;
        &mut self.pixels[start..start + width as usize * CHANNELS]
    }
}

impl std::fmt::Debug for Frame {
    /// Without the pixels: a page may show a patient, and logs must not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame {} × {}", self.size.width, self.size.height)
    }
}

fn bytes(color: Rgb888) -> [u8; CHANNELS] {
    [color.r(), color.g(), color.b()]
}

impl OriginDimensions for Frame {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Frame {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, color) in pixels {
            if let Some(start) = self.offset(at) {
                self.pixels[start..start + CHANNELS].copy_from_slice(&bytes(color));
            }
        }
        Ok(())
    }

    fn fill_contiguous<I: IntoIterator<Item = Rgb888>>(
        &mut self,
        area: &Rectangle,
        colors: I,
    ) -> Result<(), Infallible> {
        let seen = area.intersection(&self.bounding_box());
        if seen != *area {
            return self.draw_iter(area.points().zip(colors).map(|(at, color)| Pixel(at, color)));
        }
        let mut colors = colors.into_iter();
        for y in seen.rows() {
            for pixel in self
                .row(seen.top_left.x, y, seen.size.width)
                .chunks_exact_mut(CHANNELS)
            {
                let Some(color) = colors.next() else { return Ok(()) };
                pixel.copy_from_slice(&bytes(color));
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
        let seen = area.intersection(&self.bounding_box());
        let color = bytes(color);
        for y in seen.rows() {
            for pixel in self
                .row(seen.top_left.x, y, seen.size.width)
                .chunks_exact_mut(CHANNELS)
            {
                pixel.copy_from_slice(&color);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// The slow and obvious way, to compare the fast ways with.
    fn plotted(size: Size, area: &Rectangle, color: impl Fn(usize) -> Rgb888) -> Frame {
        let mut frame = Frame::new(size);
        frame
            .draw_iter(area.points().enumerate().map(|(i, at)| Pixel(at, color(i))))
            .unwrap();
        frame
    }

    fn areas() -> impl Strategy<Value = Rectangle> {
        (-20..40i32, -20..40i32, 0..50u32, 0..50u32)
            .prop_map(|(x, y, w, h)| Rectangle::new(Point::new(x, y), Size::new(w, h)))
    }

    proptest! {
        #[test]
        fn fast_fills_equal_single_pixels(area in areas()) {
            let size = Size::new(23, 17);
            let color = |i: usize| Rgb888::new(i as u8, (i / 7) as u8, 200);

            let mut contiguous = Frame::new(size);
            let count = area.size.width as usize * area.size.height as usize;
            contiguous.fill_contiguous(&area, (0..count).map(color)).unwrap();
            prop_assert_eq!(contiguous, plotted(size, &area, color));

            let mut solid = Frame::new(size);
            solid.fill_solid(&area, color(9)).unwrap();
            prop_assert_eq!(solid, plotted(size, &area, |_| color(9)));
        }
    }

    /// Found by the property above: such an area has rows, but no pixel.
    #[test]
    fn an_area_without_width_paints_nothing() {
        let area = Rectangle::new(Point::new(0, 3), Size::new(0, 16));
        let mut frame = Frame::new(Size::new(23, 17));
        frame.fill_solid(&area, Rgb888::WHITE).unwrap();
        frame
            .fill_contiguous(&area, std::iter::repeat(Rgb888::WHITE))
            .unwrap();
        assert_eq!(frame, Frame::new(Size::new(23, 17)));
    }

    #[test]
    fn png_reads_back_pixel_for_pixel() {
        let frame = plotted(
            Size::new(5, 3),
            &Rectangle::new(Point::zero(), Size::new(5, 3)),
            |i| Rgb888::new(i as u8 * 10, 255 - i as u8, 7),
        );
        let file = frame.to_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, frame.rgb());
    }

    #[test]
    fn sides_stay_within_limits() {
        assert_eq!(Frame::new(Size::new(0, 0)).size(), Size::new(1, 1));
        assert_eq!(Frame::new(Size::new(u32::MAX, 1)).size(), Size::new(MAX_SIDE, 1));
    }

    proptest! {
        #[test]
        fn stains_equal_single_blends(area in areas(), seed in 0..255u8) {
            let count = area.size.width as usize * area.size.height as usize;
            let coverage: Vec<u8> = (0..count).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect();
            let color = Rgb888::new(250, 120, seed);
            let ground = || {
                let mut frame = Frame::new(Size::new(23, 17));
                let whole = frame.bounding_box();
                frame.fill_solid(&whole, Rgb888::new(10, seed, 90)).unwrap();
                frame
            };
            let (mut stained, mut blended) = (ground(), ground());
            stained.stain(area, &coverage, color);
            for (at, covered) in area.points().zip(&coverage) {
                blended.blend(at, color, f32::from(*covered) / 255.0);
            }
            let far = stained.rgb().iter().zip(blended.rgb()).filter(|(a, b)| a.abs_diff(**b) > 1).count();
            prop_assert_eq!(far, 0);
        }
    }

    #[test]
    fn blending_mixes_and_ignores_the_outside() {
        let mut frame = Frame::new(Size::new(2, 1));
        frame.blend(Point::new(1, 0), Rgb888::new(200, 100, 0), 0.5);
        frame.blend(Point::new(2, 0), Rgb888::WHITE, 1.0);
        frame.blend(Point::new(-1, 0), Rgb888::WHITE, 1.0);
        assert_eq!(frame.rgb(), [0, 0, 0, 100, 50, 0]);
    }
}
