//! The screen beside the scanner.
//!
//! The appliance tells a [`Situation`]; the thread of [`Screen`] makes pages of it and of what people do. A page is made
//! in two steps: `sheets` decide what it says, `pages` decide where. The layout follows from the size, from
//! 480 × 320 pixels on; text that does not fit is cut visibly, by an ellipsis or by saying how much more there is.
//!
//! | module | owns |
//! |---|---|
//! | [`situation`], [`maintenance`] | what the appliance tells: data only, in no language |
//! | `desk` | which page is open and what hands change about it; no input, output or clock |
//! | `asking` | the conversation about updates, restarts and support reports |
//! | [`live`] | the thread with the display, the keys and the records |
//! | `sheets` | the view models: which words, which digits |
//! | `pages` | where they stand |
//! | `open_study`, `look` | the study that is being looked at; how a result is being looked at: slice, zoom, window |
//! | `paint`, `style`, `icons`, `text` | what pages are drawn with |
//! | [`language`], `words` | six languages; names, dates and numbers |
//! | [`examples`] | a made-up box and made-up examinations |

mod asking;
mod desk;
pub mod examples;
mod icons;
pub mod language;
pub mod live;
mod look;
pub mod maintenance;
mod open_study;
mod pages;
mod paint;
mod sheets;
pub mod situation;
mod style;
#[cfg(test)]
mod tests;
mod text;
mod words;

use std::sync::Arc;
use std::time::Duration;

use board::{Action, Frame};
use embedded_graphics::prelude::{RgbColor as _, Size};
use models::findings::Findings;
use models::pictures::Pictures;

pub use desk::Shelf;
pub use live::Screen;
pub use maintenance::Wish;
pub use situation::{Opened, Settings, Situation};

use self::look::Look;
use self::pages::Footer;
use self::paint::{Kit, Painter, Tab};
use self::sheets::study::StudySheet;
use self::style::Style;

/// The size of a page where no panel says otherwise: a 7-inch panel.
pub const DEFAULT_SIZE: Size = Size::new(1024, 600);

/// The page about one study as a picture for the PACS: without anything that could be touched.
pub fn capture(findings: &Findings, pictures: &Pictures, settings: &Settings) -> Frame {
    let mut frame = Frame::new(settings.size);
    let none = Pictures::default();
    let pictures = if pictures.is_sound() { pictures } else { &none };
    let words = settings.language.words();
    let sheet = StudySheet::new(findings, pictures, words, settings.patient);
    let look = Look::new(pictures, None);
    let (mut kit, mut targets) = (Kit::new(), heapless::Vec::new());
    let mut painter = Painter {
        frame: &mut frame,
        kit: &mut kit,
        style: Style::for_size(settings.size),
        words,
        interactive: false,
        targets: &mut targets,
    };
    let provenance = &sheet.surround().provenance;
    let foot = Footer {
        here: Tab::Result,
        has_result: true,
        unseen: 0,
        provenance,
    };
    match &sheet {
        StudySheet::Result(sheet) => pages::result::draw(&mut painter, sheet, pictures, &look, foot),
        StudySheet::CannotAnswer(sheet) => {
            pages::cannot_answer::draw(&mut painter, sheet, pictures, &look, foot)
        }
    };
    frame
}

/// The screen without a display or a clock: for documents, support and tests.
pub struct Page(desk::Desk, Duration);

impl Page {
    /// A screen at its start.
    pub fn new(settings: Settings) -> Self {
        Self(desk::Desk::new(settings), Duration::from_secs(1))
    }

    /// What there is to show now.
    pub fn tell(&mut self, situation: Arc<Situation>, shelf: &dyn Shelf) {
        self.0.tell(situation, shelf, self.1);
    }

    /// Somebody does something.
    pub fn act(&mut self, action: Action, shelf: &dyn Shelf) {
        self.0.act(action, shelf, self.1);
    }

    /// Nobody does anything for an hour.
    pub fn rest(&mut self) {
        self.1 += Duration::from_secs(3600);
        self.0.tick(self.1);
    }

    /// Draws into a picture that is there already; its size must be that of the settings.
    pub fn draw_into(&mut self, frame: &mut Frame) {
        self.0.draw(frame);
    }

    #[cfg(test)]
    fn into_desk(self) -> desk::Desk {
        self.0
    }

    /// Draws.
    pub fn draw(&mut self) -> Frame {
        let mut frame = Frame::new(self.0.size());
        self.0.draw(&mut frame);
        frame
    }
}

/// The colour of the outline of a lesion, by its number.
pub fn lesion_rgb(number: u32) -> [u8; 3] {
    let color = style::lesion_color(number);
    [color.r(), color.g(), color.b()]
}
