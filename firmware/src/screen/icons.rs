//! Icons of our own: lines on a square of 24 units, drawn at any size.

use std::collections::HashMap;

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use swash::zeno::{Cap, Join, Mask, Stroke, Transform};

use board::Frame;

/// An icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Icon {
    Warning,
    Tick,
    Cross,
    Dash,
    Ring,
    Target,
    List,
    Box,
    Incoming,
    Gauge,
    Sent,
    Slices,
    Lesion,
    Series,
    Zoom,
    Brightness,
    Contrast,
    Heat,
    Details,
    Disk,
    Temperature,
    Clock,
    Network,
    Certificate,
    Chip,
    Update,
    Health,
    Lock,
    Back,
    Bell,
    Stick,
}

/// Side of the square that the paths are written for.
const SQUARE: f32 = 24.0;

impl Icon {
    /// An SVG path.
    fn path(self) -> &'static str {
        match self {
            Icon::Warning => "M12 3.5L22 20.5L2 20.5ZM12 10L12 14.5M12 17.4L12 17.6",
            Icon::Tick => "M4 12.5L9.5 18L20 6",
            Icon::Cross => "M6 6L18 18M18 6L6 18",
            Icon::Dash => "M5 12L19 12",
            Icon::Ring => "M12 4A8 8 0 1 1 11.99 4Z",
            Icon::Target => "M12 5A7 7 0 1 1 11.99 5ZM12 1.5L12 8M12 16L12 22.5M1.5 12L8 12M16 12L22.5 12",
            Icon::List => "M8 6L21 6M8 12L21 12M8 18L21 18M3 6L3.2 6M3 12L3.2 12M3 18L3.2 18",
            Icon::Box => "M3 5L21 5L21 16L3 16ZM8 20.5L16 20.5M12 16L12 20.5",
            Icon::Incoming => "M12 3L12 15M7 10.5L12 15.5L17 10.5M3.5 15L3.5 20.5L20.5 20.5L20.5 15",
            Icon::Gauge => "M4 19A10 10 0 1 1 20 19M12 14L16.5 8.5",
            Icon::Sent => "M12 16L12 4M7 8.5L12 3.5L17 8.5M3.5 15L3.5 20.5L20.5 20.5L20.5 15",
            Icon::Slices => "M12 3L21 8L12 13L3 8ZM3 12.5L12 17.5L21 12.5M3 16.5L12 21.5L21 16.5",
            Icon::Lesion => "M7 5C12 1.5 20 5 20.5 11C21 18 15 22 10 20.5C4 19 2.5 9 7 5ZM11.9 12L12.1 12",
            Icon::Series => {
                "M3 3L10 3L10 10L3 10ZM14 3L21 3L21 10L14 10ZM3 14L10 14L10 21L3 21ZM14 14L21 14L21 21L14 21Z"
            }
            Icon::Zoom => "M10.5 4A6.5 6.5 0 1 1 10.49 4ZM15.5 15.5L21 21M10.5 8L10.5 13M8 10.5L13 10.5",
            Icon::Brightness => {
                "M12 8A4 4 0 1 1 11.99 8ZM12 1.5L12 4M12 20L12 22.5M1.5 12L4 12M20 12L22.5 12M4.6 4.6L6.3 6.3M17.7 \
                 17.7L19.4 19.4M4.6 19.4L6.3 17.7M17.7 6.3L19.4 4.6"
            }
            Icon::Contrast => "M12 3A9 9 0 1 1 11.99 3ZM12 3L12 21M15 5.5L15 18.5M18 8L18 16",
            Icon::Heat => {
                "M12 21.5C6 21.5 4 16.5 6.5 12.5C8 10 9.5 9 9.5 5C13 6 13.5 9 13 11.5C14.5 11 15 10 15 8.5C18.5 11.5 20 21.5 12 21.5Z"
            }
            Icon::Details => {
                "M5 2.5L15 2.5L19 6.5L19 21.5L5 21.5ZM8.5 10L15.5 10M8.5 14L15.5 14M8.5 18L13 18"
            }
            Icon::Disk => {
                "M12 3C17 3 20 4.5 20 6C20 7.5 17 9 12 9C7 9 4 7.5 4 6C4 4.5 7 3 12 3ZM4 6L4 18C4 19.5 7 21 12 21C17 21 20 19.5 20 18L20 6M4 12C4 13.5 7 15 12 15C17 15 20 13.5 20 12"
            }
            Icon::Temperature => "M10 14L10 5A2 2 0 0 1 14 5L14 14A4.3 4.3 0 1 1 10 14ZM12 9L12 17.5",
            Icon::Clock => "M12 3A9 9 0 1 1 11.99 3ZM12 7L12 12.5L15.5 15",
            Icon::Network => {
                "M9 3L15 3L15 8L9 8ZM3 16L9 16L9 21L3 21ZM15 16L21 16L21 21L15 21ZM12 8L12 12M6 16L6 12L18 12L18 16"
            }
            Icon::Certificate => {
                "M12 2.5L20 5.5L20 11.5C20 16.5 16.5 20 12 21.8C7.5 20 4 16.5 4 11.5L4 5.5ZM8.5 12L11 14.5L15.5 9.5"
            }
            Icon::Chip => {
                "M6 6L18 6L18 18L6 18ZM9.5 2.5L9.5 6M14.5 2.5L14.5 6M9.5 18L9.5 21.5M14.5 18L14.5 21.5M2.5 9.5L6 9.5M2.5 14.5L6 14.5M18 9.5L21.5 9.5M18 14.5L21.5 14.5"
            }
            Icon::Update => "M20 12A8 8 0 1 1 17.2 5.9M17.5 2L17.5 6.5L13 6.5",
            Icon::Stick => "M7 10L17 10L17 21.5L7 21.5ZM9 10L9 2.5L15 2.5L15 10M11 6L11.2 6M12.8 6L13 6",
            Icon::Health => "M2 12L7 12L10 5L14 19L17 12L22 12",
            Icon::Lock => "M5 11L19 11L19 21L5 21ZM8 11L8 7.5A4 4 0 0 1 16 7.5L16 11",
            Icon::Back => "M15 5L8 12L15 19",
            Icon::Bell => {
                "M5 17.5L19 17.5L17.5 15L17.5 10.5C17.5 7 15 4.5 12 4.5C9 4.5 6.5 7 6.5 10.5L6.5 15ZM10 20.5L14 20.5"
            }
        }
    }
}

/// Icons that were drawn once, by side in pixels.
#[derive(Default)]
pub(super) struct Icons {
    drawn: HashMap<(Icon, u32), Vec<u8>>,
}

impl Icons {
    /// Draws an icon into the middle of `area`, `side` pixels wide.
    pub(super) fn paint(&mut self, frame: &mut Frame, area: Rectangle, icon: Icon, side: u32, color: Rgb888) {
        let coverage = self.drawn.entry((icon, side)).or_insert_with(|| {
            let scale = side as f32 / SQUARE;
            // Lines of one and a half pixels at least, so that small icons stay visible.
            let mut stroke = Stroke::new((2.0_f32).max(1.5 / scale));
            stroke.cap(Cap::Round).join(Join::Round);
            let mut coverage = vec![0; (side * side) as usize];
            Mask::new(icon.path())
                .style(stroke)
                .transform(Some(Transform::scale(scale, scale)))
                .size(side, side)
                .render_into(&mut coverage, None);
            coverage
        });
        let slack = |room: u32| (room as i32 - side as i32) / 2;
        let at = area.top_left + Point::new(slack(area.size.width), slack(area.size.height));
        frame.stain(Rectangle::new(at, Size::new_equal(side)), coverage, color);
    }
}
