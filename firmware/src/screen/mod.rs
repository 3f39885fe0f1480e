//! Findings and status as pages.
//!
//! A page is made in two steps: `model` decides what it says, the drawing modules decide where. The
//! layout follows from the size, from 800 × 480 pixels on; text that does not fit is cut visibly, by an
//! ellipsis or by saying how much more there is.
//!
//! | module | owns |
//! |---|---|
//! | `model` | the view model: which page, which words, which digits |
//! | `words` | codes and numbers in a reader's words |
//! | `style` | grid, type scale, colours |
//! | `text` | glyphs, widths, line breaks |
//! | `parts` | what all pages draw: top bar, bottom line, panels, chips |
//! | `tile` | one contrast with outlines, orientation and scale |
//! | `result`, `message`, `status` | the three pages |

mod message;
mod model;
mod parts;
mod result;
#[cfg(test)]
mod samples;
mod status;
mod style;
#[cfg(test)]
mod tests;
mod text;
mod tile;
mod words;

use board::Frame;
use embedded_graphics::prelude::{RgbColor as _, Size};
use models::findings::{Findings, View};

pub use status::{Progress, RefusalLine, StatusView, StudyLine};

/// The size of a page where no panel says otherwise: a 7-inch panel.
pub const DEFAULT_SIZE: Size = Size::new(1024, 600);

/// The page about one study: the result, or plainly that there is none and why.
pub fn result_page(findings: &Findings, views: &[View], size: Size) -> Frame {
    match model::Page::new(findings, views) {
        model::Page::Result(page) => result::draw(&page, views, size),
        model::Page::CannotAnswer(page) => message::draw(&page, views, size),
    }
}

/// The colour of the outline of a lesion, by its number.
pub fn lesion_rgb(number: u32) -> [u8; 3] {
    let color = style::lesion_color(number);
    [color.r(), color.g(), color.b()]
}

/// The page about the box itself.
pub fn status_page(status: &StatusView, size: Size) -> Frame {
    status::draw(status, size)
}
