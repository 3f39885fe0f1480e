//! A picture scaled into a window of another size.

use embedded_graphics::prelude::{Point, Size};

use crate::Frame;

/// Where in a window a picture is: as large as it fits, in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    picture: Size,
    top_left: Point,
    shown: Size,
}

impl Fit {
    /// For sizes in pixels; every side counts as at least one.
    pub(super) fn new(picture: Size, window: Size) -> Self {
        let [picture, window] = [picture, window].map(|size| size.component_max(Size::new(1, 1)));
        let scaled = |side: u32, to: u32, of: u32| (u64::from(side) * u64::from(to) / u64::from(of)) as u32;
        let by_width = scaled(picture.height, window.width, picture.width);
        let shown = match by_width <= window.height {
            true => Size::new(window.width, by_width),
            false => Size::new(
                scaled(picture.width, window.height, picture.height),
                window.height,
            ),
        }
        .component_max(Size::new(1, 1));
        let rest = window.saturating_sub(shown);
        Self {
            picture,
            top_left: Point::new((rest.width / 2) as i32, (rest.height / 2) as i32),
            shown,
        }
    }

    /// The pixel of the picture that is at a place of the window; none on the margin.
    pub(super) fn picture_at(&self, window: Point) -> Option<Point> {
        let x = pixel(window.x - self.top_left.x, self.shown.width, self.picture.width)?;
        let y = pixel(window.y - self.top_left.y, self.shown.height, self.picture.height)?;
        Some(Point::new(x, y))
    }

    /// As [`Fit::picture_at`], on the margin the nearest pixel.
    pub(super) fn nearest(&self, window: Point) -> Point {
        let held = |at: i32, start: i32, side: u32| at.clamp(start, start + side as i32 - 1);
        let inside = Point::new(
            held(window.x, self.top_left.x, self.shown.width),
            held(window.y, self.top_left.y, self.shown.height),
        );
        self.picture_at(inside).unwrap_or_default()
    }

    /// Fills the window, `width` pixels wide, with the picture on black, as `0RGB` numbers.
    pub(super) fn paint(&self, frame: &Frame, width: u32, window: &mut [u32]) {
        let columns: Vec<Option<i32>> = (0..width as i32)
            .map(|x| pixel(x - self.top_left.x, self.shown.width, self.picture.width))
            .collect();
        let rgb = frame.rgb();
        for (y, row) in window.chunks_mut(width.max(1) as usize).enumerate() {
            let from = pixel(y as i32 - self.top_left.y, self.shown.height, self.picture.height);
            for (to, column) in row.iter_mut().zip(&columns) {
                let at = from
                    .zip(*column)
                    .map(|(y, x)| y as usize * frame.width() as usize + x as usize);
                *to = match at.and_then(|at| rgb.get(at * 3..at * 3 + 3)) {
                    Some(&[r, g, b]) => u32::from_be_bytes([0, r, g, b]),
                    _ => 0,
                };
            }
        }
    }
}

/// The pixel of `picture` that is `at` of `shown` pixels.
fn pixel(at: i32, shown: u32, picture: u32) -> Option<i32> {
    let at = u32::try_from(at).ok().filter(|&at| at < shown)?;
    Some((u64::from(at) * u64::from(picture) / u64::from(shown)) as i32)
}

#[cfg(test)]
mod tests {
    use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_picture_is_scaled_into_the_middle() {
        let mut frame = Frame::new(Size::new(2, 1));
        frame.blend(Point::new(0, 0), Rgb888::RED, 1.0);
        frame.blend(Point::new(1, 0), Rgb888::GREEN, 1.0);
        let fit = Fit::new(Size::new(2, 1), Size::new(4, 4));
        let mut window = [7; 16];
        fit.paint(&frame, 4, &mut window);
        let (r, g) = (0xff_0000, 0x00_ff00);
        let line = [r, r, g, g];
        assert_eq!(window, [[0; 4], line, line, [0; 4]].concat()[..]);

        assert_eq!(fit.picture_at(Point::new(2, 1)), Some(Point::new(1, 0)));
        assert_eq!(fit.picture_at(Point::new(2, 0)), None);
        assert_eq!(fit.nearest(Point::new(9, -4)), Point::new(1, 0));
    }

    proptest! {
        #[test]
        fn places_are_in_the_picture_and_the_picture_in_the_window(
            picture in (0..9000u32, 0..9000u32), window in (0..9000u32, 0..9000u32), at in (-100..9100i32, -100..9100i32),
        ) {
            let (picture, window) = (Size::new(picture.0, picture.1), Size::new(window.0, window.1));
            let fit = Fit::new(picture, window);
            let nearest = fit.nearest(Point::new(at.0, at.1));
            prop_assert!((0..picture.width.max(1) as i32).contains(&nearest.x));
            prop_assert!((0..picture.height.max(1) as i32).contains(&nearest.y));
            let end = fit.top_left + fit.shown;
            prop_assert!(end.x <= window.width.max(1) as i32 && end.y <= window.height.max(1) as i32);
        }
    }
}
