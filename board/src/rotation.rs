//! Screens that are mounted on their side or upside down.

use embedded_graphics::{prelude::*, primitives::Rectangle};

/// How far the picture is turned on the panel, clockwise, so that it stands upright for the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// The panel is mounted as it was built.
    #[default]
    Deg0,
    /// A quarter turn: the top of the picture is at the panel's right side.
    Deg90,
    /// Upside down.
    Deg180,
    /// Three quarters: the top of the picture is at the panel's left side.
    Deg270,
}

impl Rotation {
    /// The size of the picture that fills a panel of this size; as well the size of the panel that a
    /// picture of this size fills.
    pub fn turned(self, size: Size) -> Size {
        match self {
            Rotation::Deg0 | Rotation::Deg180 => size,
            Rotation::Deg90 | Rotation::Deg270 => Size::new(size.height, size.width),
        }
    }

    /// The panel's pixel that shows the picture's pixel `at`, for a panel of the size `panel`.
    pub fn to_panel(self, at: Point, panel: Size) -> Point {
        let (right, bottom) = last(panel);
        match self {
            Rotation::Deg0 => at,
            Rotation::Deg90 => Point::new(right - at.y, at.x),
            Rotation::Deg180 => Point::new(right - at.x, bottom - at.y),
            Rotation::Deg270 => Point::new(at.y, bottom - at.x),
        }
    }

    /// The picture's pixel that the panel's pixel `at` shows, for a panel of the size `panel`.
    pub fn to_picture(self, at: Point, panel: Size) -> Point {
        let (right, bottom) = last(panel);
        match self {
            Rotation::Deg0 => at,
            Rotation::Deg90 => Point::new(at.y, right - at.x),
            Rotation::Deg180 => Point::new(right - at.x, bottom - at.y),
            Rotation::Deg270 => Point::new(bottom - at.y, at.x),
        }
    }

    /// The part of the panel that shows a part of the picture.
    pub fn area_to_panel(self, area: Rectangle, panel: Size) -> Rectangle {
        let Some(corner) = area.bottom_right() else {
            return Rectangle::zero();
        };
        Rectangle::with_corners(self.to_panel(area.top_left, panel), self.to_panel(corner, panel))
    }
}

/// The last column and the last row.
fn last(size: Size) -> (i32, i32) {
    (
        size.width.saturating_sub(1) as i32,
        size.height.saturating_sub(1) as i32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: Size = Size::new(5, 3);

    #[test]
    fn the_top_left_of_the_picture_is_where_the_reader_looks_for_it() {
        let corners = [
            (Rotation::Deg0, Point::new(0, 0)),
            (Rotation::Deg90, Point::new(4, 0)),
            (Rotation::Deg180, Point::new(4, 2)),
            (Rotation::Deg270, Point::new(0, 2)),
        ];
        for (rotation, corner) in corners {
            assert_eq!(rotation.to_panel(Point::zero(), PANEL), corner, "{rotation:?}");
        }
    }

    #[test]
    fn there_and_back_again_within_the_panel() {
        for rotation in [
            Rotation::Deg0,
            Rotation::Deg90,
            Rotation::Deg180,
            Rotation::Deg270,
        ] {
            let picture = Rectangle::new(Point::zero(), rotation.turned(PANEL));
            let panel = Rectangle::new(Point::zero(), PANEL);
            for at in picture.points() {
                let shown = rotation.to_panel(at, PANEL);
                assert!(panel.contains(shown), "{rotation:?} {at:?}");
                assert_eq!(rotation.to_picture(shown, PANEL), at, "{rotation:?}");
            }
            assert_eq!(rotation.area_to_panel(picture, PANEL), panel);
        }
    }
}
