//! The parts of the box that people see and touch: the picture, the lamps, the keys.
//!
//! | module | owns |
//! |---|---|
//! | [`frame`] | one picture in memory, its PNG form and its form in a terminal |
//! | [`damage`](mod@damage) | where two pictures differ |
//! | [`rotation`] | screens mounted on their side |
//! | [`display`] | where a picture goes: a screen, a panel, a window, a file, a terminal; screens that come and go |
//! | [`leds`] | status lights and the buzzer: what is lit or sounds in which state at which millisecond |
//! | [`buttons`] | contacts that bounce become presses |
//! | [`input`] | keys, keyboards and touch screens as the same few actions |
//!
//! Pages are drawn elsewhere, on a [`Frame`] as an `embedded-graphics` target; this crate knows no
//! study and no finding.

pub mod buttons;
pub mod damage;
pub mod display;
pub mod frame;
pub mod gpio;
pub mod input;
pub mod leds;
pub mod rotation;
mod stop;

pub use display::{Display, DisplayError, Outlet, PngFile, Terminal};
pub use frame::Frame;
pub use input::Action;
pub use rotation::Rotation;
