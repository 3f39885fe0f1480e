//! Pictures as the rows of bytes that screens take.

use std::borrow::Cow;

use embedded_graphics::{prelude::*, primitives::Rectangle};

use crate::{
    Frame,
    damage::{MAX_DAMAGE, add},
    rotation::Rotation,
};

/// How a screen stores a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Four bytes: blue, green, red, unused.
    Xrgb8888,
    /// Two bytes, the lower first: 5 bits red, 6 green, 5 blue from the top.
    Rgb565,
}

impl Format {
    /// Bytes per pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Format::Xrgb8888 => 4,
            Format::Rgb565 => 2,
        }
    }
}

/// The picture as it fits a display of `size`, and where it differs from the one shown before: as it is
/// where the size is right, otherwise in the middle on black, all of it new.
pub(super) fn fitted<'a>(
    frame: &'a Frame,
    damage: &[Rectangle],
    size: Size,
) -> (Cow<'a, Frame>, heapless::Vec<Rectangle, MAX_DAMAGE>) {
    let mut areas = heapless::Vec::new();
    let mut fits = Cow::Borrowed(frame);
    if frame.size() == size {
        for area in damage {
            add(&mut areas, area.intersection(&frame.bounding_box()));
        }
    } else {
        let mut middle = Frame::new(size);
        let shift = middle.bounding_box().center() - frame.bounding_box().center();
        let shown = frame.bounding_box().translate(shift);
        let colors = frame.bounding_box().points().filter_map(|at| frame.pixel(at));
        let Ok(()) = middle.fill_contiguous(&shown, colors);
        add(&mut areas, middle.bounding_box());
        fits = Cow::Owned(middle);
    }
    (fits, areas)
}

/// Gives the pixels of `areas` of the picture to `put`, row by row, as they stand on the panel that the
/// picture fills when turned by `rotation`: the first column and the row there, and the bytes from that
/// column on. The areas lie within the picture ([`fitted`] sees to that).
///
/// # Errors
/// The first error of `put`.
pub(super) fn rows<E>(
    frame: &Frame,
    rotation: Rotation,
    areas: &[Rectangle],
    format: Format,
    mut put: impl FnMut(usize, usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let panel = rotation.turned(frame.size());
    let mut bytes = Vec::new();
    for area in areas {
        let area = rotation.area_to_panel(*area, panel);
        let x = area.top_left.x;
        for y in area.rows() {
            bytes.clear();
            let first = offset(frame, rotation.to_picture(Point::new(x, y), panel));
            // The next column of the panel is the same number of bytes away all along a row.
            let next = offset(frame, rotation.to_picture(Point::new(x + 1, y), panel));
            let pixels = (0..area.size.width as isize).filter_map(|i| {
                frame
                    .rgb()
                    .get((first + i * (next - first)) as usize..)?
                    .first_chunk()
            });
            encode(pixels, format, &mut bytes);
            put(x as usize, y as usize, &bytes)?;
        }
    }
    Ok(())
}

/// Where a pixel's bytes begin in the picture. One column past its edge is fine: nobody reads there.
fn offset(frame: &Frame, at: Point) -> isize {
    (at.y as isize * frame.width() as isize + at.x as isize) * 3
}

fn encode<'a>(pixels: impl Iterator<Item = &'a [u8; 3]>, format: Format, bytes: &mut Vec<u8>) {
    match format {
        Format::Xrgb8888 => pixels.for_each(|&[r, g, b]| bytes.extend_from_slice(&[b, g, r, 0])),
        Format::Rgb565 => pixels.for_each(|&[r, g, b]| {
            let (r, g, b) = (u16::from(r >> 3), u16::from(g >> 2), u16::from(b >> 3));
            bytes.extend_from_slice(&(r << 11 | g << 5 | b).to_le_bytes());
        }),
    }
}

/// Lays the pixels of `areas` into the memory of a screen with `stride` bytes from row to row. What the
/// memory is too small for is left out.
pub(super) fn paint(
    frame: &Frame,
    rotation: Rotation,
    areas: &[Rectangle],
    format: Format,
    stride: usize,
    memory: &mut [u8],
) {
    let Ok(()) = rows(frame, rotation, areas, format, |x, y, bytes| {
        let start = y * stride + x * format.bytes();
        if let Some(row) = memory.get_mut(start..start + bytes.len()) {
            row.copy_from_slice(bytes);
        }
        Ok::<(), std::convert::Infallible>(())
    });
}

/// What a buffer misses of the newest picture while another one is on the screen, in pixels of the
/// picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Missed(heapless::Vec<Rectangle, MAX_DAMAGE>);

impl Missed {
    /// All of a picture of this size.
    pub(super) fn whole(size: Size) -> Self {
        let mut all = Self::default();
        all.add(&[Rectangle::new(Point::zero(), size)]);
        all
    }

    pub(super) fn add(&mut self, areas: &[Rectangle]) {
        for area in areas {
            add(&mut self.0, *area);
        }
    }

    /// The areas; none are missed any more.
    pub(super) fn take(&mut self) -> heapless::Vec<Rectangle, MAX_DAMAGE> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use embedded_graphics::pixelcolor::Rgb888;
    use proptest::prelude::*;

    use super::*;
    use crate::damage;

    const ROTATIONS: [Rotation; 4] = [
        Rotation::Deg0,
        Rotation::Deg90,
        Rotation::Deg180,
        Rotation::Deg270,
    ];

    /// Every pixel another colour.
    fn colorful(size: Size) -> Frame {
        let mut frame = Frame::new(size);
        let colors = (0..size.width * size.height).map(|i| Rgb888::new(i as u8, (i >> 8) as u8, 77));
        frame.fill_contiguous(&frame.bounding_box(), colors).unwrap();
        frame
    }

    #[test]
    fn every_pixel_arrives_where_the_rotation_says() {
        let panel = Size::new(20, 14);
        let stride = 4 * 20 + 12;
        for rotation in ROTATIONS {
            let frame = colorful(rotation.turned(panel));
            let mut memory = vec![1; stride * 14];
            paint(
                &frame,
                rotation,
                &[frame.bounding_box()],
                Format::Xrgb8888,
                stride,
                &mut memory,
            );
            for at in frame.bounding_box().points() {
                let shown = rotation.to_panel(at, panel);
                let start = shown.y as usize * stride + shown.x as usize * 4;
                let color = frame.pixel(at).unwrap();
                assert_eq!(
                    memory[start..start + 4],
                    [color.b(), color.g(), color.r(), 0],
                    "{rotation:?}"
                );
            }
            assert!(memory[80..92].iter().all(|&b| b == 1), "the padding is not ours");
        }
    }

    #[test]
    fn sixteen_bits_hold_the_upper_bits_of_each_colour() {
        let mut frame = Frame::new(Size::new(4, 1));
        for (x, color) in [Rgb888::RED, Rgb888::GREEN, Rgb888::BLUE, Rgb888::new(8, 4, 8)]
            .into_iter()
            .enumerate()
        {
            frame.blend(Point::new(x as i32, 0), color, 1.0);
        }
        let mut memory = [0; 8];
        paint(
            &frame,
            Rotation::Deg0,
            &[frame.bounding_box()],
            Format::Rgb565,
            8,
            &mut memory,
        );
        assert_eq!(memory, [0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00, 0x21, 0x08]);
    }

    #[test]
    fn a_picture_of_another_size_is_shown_in_the_middle() {
        let small = colorful(Size::new(2, 2));
        let (shown, areas) = fitted(&small, &[], Size::new(4, 6));
        assert_eq!(shown.pixel(Point::new(1, 2)), small.pixel(Point::new(0, 0)));
        assert_eq!(shown.pixel(Point::new(2, 3)), small.pixel(Point::new(1, 1)));
        assert_eq!(shown.pixel(Point::new(0, 0)), Some(Rgb888::BLACK));
        assert_eq!(&areas[..], &[shown.bounding_box()]);

        let large = colorful(Size::new(9, 9));
        let (cut, _) = fitted(&large, &[], Size::new(3, 3));
        assert_eq!(cut.pixel(Point::new(1, 1)), large.pixel(Point::new(4, 4)));
    }

    #[test]
    fn damage_outside_of_the_picture_is_cut_off() {
        let frame = colorful(Size::new(5, 5));
        let wild = Rectangle::new(Point::new(-3, 4), Size::new(100, 100));
        let (_, areas) = fitted(&frame, &[wild], Size::new(5, 5));
        assert_eq!(&areas[..], &[Rectangle::new(Point::new(0, 4), Size::new(5, 1))]);
    }

    proptest! {
        /// Two buffers that take turns, each repaired only where it missed something, always show the
        /// newest picture.
        #[test]
        fn buffers_that_take_turns_stay_whole(
            changes in prop::collection::vec((0..30i32, 0..40i32, 1..9u32, 1..9u32, any::<u8>()), 1..12),
            turn in 0..4usize,
        ) {
            let rotation = ROTATIONS[turn];
            let size = Size::new(30, 40);
            let stride = rotation.turned(size).width as usize * 4;
            let mut buffers = [vec![5; 30 * 40 * 4], vec![6; 30 * 40 * 4]];
            let mut missed = [Missed::whole(size), Missed::whole(size)];
            let mut before = Frame::new(size);
            for (i, (x, y, w, h, red)) in changes.into_iter().enumerate() {
                let mut frame = before.clone();
                let area = Rectangle::new(Point::new(x, y), Size::new(w, h));
                frame.fill_solid(&area, Rgb888::new(red, 1, 2)).unwrap();
                let areas = damage::damage(&before, &frame);
                missed.iter_mut().for_each(|m| m.add(&areas));
                let back = i % 2;
                let repair = missed[back].take();
                paint(&frame, rotation, &repair, Format::Xrgb8888, stride, &mut buffers[back]);

                let mut fresh = vec![0; 30 * 40 * 4];
                paint(&frame, rotation, &[frame.bounding_box()], Format::Xrgb8888, stride, &mut fresh);
                prop_assert!(buffers[back] == fresh, "picture {}", i);
                before = frame;
            }
        }
    }
}
