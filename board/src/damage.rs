//! Where two pictures differ, as few rectangles: a slow panel is sent only these.

use std::ops::Range;

use embedded_graphics::{prelude::*, primitives::Rectangle};

use crate::Frame;

/// The most rectangles that [`damage`] gives. Each costs a panel one command, so a few large ones are
/// better than many small ones.
pub const MAX_DAMAGE: usize = 16;

/// Rows that are looked at together: about one line of text.
const BAND_ROWS: usize = 16;

/// Bytes per pixel.
const CHANNELS: usize = 3;

/// Rectangles of `after`, in pixels, that cover every pixel that differs from `before`: none for equal
/// pictures, the whole of `after` for pictures of different sizes. They may overlap. It allocates
/// nothing.
pub fn damage(before: &Frame, after: &Frame) -> heapless::Vec<Rectangle, MAX_DAMAGE> {
    let mut found = heapless::Vec::new();
    if before.size() != after.size() {
        add(&mut found, after.bounding_box());
        return found;
    }
    let stride = after.width() as usize * CHANNELS;
    let bands = before
        .rgb()
        .chunks(stride * BAND_ROWS)
        .zip(after.rgb().chunks(stride * BAND_ROWS));
    for (band, (old, new)) in bands.enumerate() {
        // One comparison of memory settles most bands.
        if old != new {
            add_beside(&mut found, changed(old, new, stride, band * BAND_ROWS));
        }
    }
    found
}

/// The smallest rectangle around what differs in one band, whose first row is `top`.
fn changed(old: &[u8], new: &[u8], stride: usize, top: usize) -> Rectangle {
    let (mut rows, mut columns): (Range<usize>, Range<usize>) = (0..0, 0..0);
    for (y, (old, new)) in old.chunks(stride).zip(new.chunks(stride)).enumerate() {
        if old == new {
            continue;
        }
        let differs = |(old, new): (&u8, &u8)| old != new;
        let first = old.iter().zip(new).position(differs).unwrap_or(0) / CHANNELS;
        let last = old.iter().zip(new).rposition(differs).unwrap_or(stride - 1) / CHANNELS;
        if rows.is_empty() {
            (rows, columns) = (y..y + 1, first..last + 1);
        } else {
            rows.end = y + 1;
            columns = columns.start.min(first)..columns.end.max(last + 1);
        }
    }
    // Frames are at most `frame::MAX_SIDE` pixels wide and high.
    Rectangle::new(
        Point::new(columns.start as i32, (top + rows.start) as i32),
        Size::new(columns.len() as u32, rows.len() as u32),
    )
}

/// Adds the next band's rectangle, made one with that of the band above where this sends hardly more.
fn add_beside<const N: usize>(list: &mut heapless::Vec<Rectangle, N>, next: Rectangle) {
    if let Some(last) = list.last_mut() {
        let joined = around(last, &next);
        let apart = area(last) + area(&next);
        if area(&joined) <= apart + apart / 4 {
            *last = joined;
            return;
        }
    }
    add(list, next);
}

/// Adds a rectangle to a list. In a full list the two are made one for which this costs least; a list
/// that can hold nothing stays empty.
pub(crate) fn add<const N: usize>(list: &mut heapless::Vec<Rectangle, N>, next: Rectangle) {
    if next.is_zero_sized() {
        return;
    }
    let Err(mut next) = list.push(next) else { return };
    let growth = |a: &Rectangle, b: &Rectangle| {
        area(&around(a, b))
            .saturating_sub(area(a))
            .saturating_sub(area(b))
    };
    let pairs = (0..list.len()).flat_map(|i| (i + 1..list.len()).map(move |j| (i, j)));
    let best_pair = pairs.min_by_key(|&(i, j)| growth(&list[i], &list[j]));
    let best_single = (0..list.len()).min_by_key(|&i| growth(&list[i], &next));
    if let (Some((i, j)), Some(single)) = (best_pair, best_single)
        && growth(&list[i], &list[j]) < growth(&list[single], &next)
    {
        list[i] = around(&list[i], &list[j]);
        std::mem::swap(&mut list[j], &mut next);
        return;
    }
    if let Some(single) = best_single {
        list[single] = around(&list[single], &next);
    }
}

/// The smallest rectangle that holds both; neither is empty.
fn around(a: &Rectangle, b: &Rectangle) -> Rectangle {
    let corner = |of: &Rectangle| of.top_left + of.size - Point::new(1, 1);
    Rectangle::with_corners(
        a.top_left.component_min(b.top_left),
        corner(a).component_max(corner(b)),
    )
}

fn area(of: &Rectangle) -> u64 {
    u64::from(of.size.width) * u64::from(of.size.height)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use embedded_graphics::pixelcolor::Rgb888;
    use proptest::prelude::*;

    use super::*;

    const SIDE: Size = Size::new(70, 90);

    fn inside() -> impl Strategy<Value = Rectangle> {
        (0..70i32, 0..90i32, 1..40u32, 1..60u32).prop_map(|(x, y, w, h)| {
            Rectangle::new(Point::new(x, y), Size::new(w, h))
                .intersection(&Rectangle::new(Point::zero(), SIDE))
        })
    }

    fn drawn(on: &Frame, areas: &[Rectangle]) -> Frame {
        let mut frame = on.clone();
        for (i, area) in areas.iter().enumerate() {
            let Ok(()) = frame.fill_solid(area, Rgb888::new(9, i as u8 + 1, 0));
        }
        frame
    }

    proptest! {
        /// The one promise: whatever changed is in some rectangle, and all of them are in the picture.
        #[test]
        fn every_changed_pixel_is_covered(areas in prop::collection::vec(inside(), 0..60)) {
            let before = Frame::new(SIDE);
            let after = drawn(&before, &areas);
            let found = damage(&before, &after);
            for at in after.bounding_box().points() {
                let same = before.pixel(at) == after.pixel(at);
                prop_assert!(same || found.iter().any(|area| area.contains(at)), "{at:?} is not covered");
            }
            for area in &found {
                prop_assert_eq!(area.intersection(&after.bounding_box()), *area);
            }
        }

        /// One rectangle that changed wholly is found as it is.
        #[test]
        fn one_changed_rectangle_is_found_exactly(area in inside()) {
            let before = Frame::new(SIDE);
            prop_assert_eq!(&damage(&before, &drawn(&before, &[area]))[..], &[area]);
        }

        /// Lists of any length keep what they were given.
        #[test]
        fn a_full_list_still_covers(areas in prop::collection::vec(inside(), 0..30)) {
            let mut list = heapless::Vec::<Rectangle, 4>::new();
            for area in &areas {
                add(&mut list, *area);
            }
            for area in &areas {
                for at in area.points() {
                    prop_assert!(list.iter().any(|kept| kept.contains(at)));
                }
            }
        }
    }

    #[test]
    fn equal_pictures_have_no_damage() {
        let frame = drawn(
            &Frame::new(SIDE),
            &[Rectangle::new(Point::new(3, 4), Size::new(5, 6))],
        );
        assert!(damage(&frame, &frame.clone()).is_empty());
    }

    #[test]
    fn another_size_is_all_damage() {
        let after = Frame::new(Size::new(70, 91));
        assert_eq!(&damage(&Frame::new(SIDE), &after)[..], &[after.bounding_box()]);
    }

    /// A line of text above and one below must not make the panel redraw what lies between.
    #[test]
    fn changes_far_apart_stay_apart() {
        let size = Size::new(200, 400);
        let areas = [
            Rectangle::new(Point::new(10, 5), Size::new(50, 10)),
            Rectangle::new(Point::new(120, 300), Size::new(60, 12)),
        ];
        let before = Frame::new(size);
        let found = damage(&before, &drawn(&before, &areas));
        assert_eq!(&found[..], &areas);
    }

    #[test]
    fn more_changes_than_rectangles_are_joined() {
        let size = Size::new(400, (MAX_DAMAGE as u32 + 4) * 32);
        let areas: Vec<_> = (0..MAX_DAMAGE as i32 + 4)
            .map(|i| Rectangle::new(Point::new((i % 2) * 300, i * 32), Size::new(40, 8)))
            .collect();
        let before = Frame::new(size);
        let found = damage(&before, &drawn(&before, &areas));
        assert_eq!(found.len(), MAX_DAMAGE);
        for area in areas {
            assert!(found.iter().any(|f| f.intersection(&area) == area), "{area:?}");
        }
    }
}
