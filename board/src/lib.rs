//! The parts of the box that people see and touch: the picture, the lamps, the keys.
//!
//! | module | owns |
//! |---|---|
//! | [`frame`] | one picture in memory, its PNG form and its form in a terminal |
//! | [`display`] | where a picture goes: a PNG file, a terminal; a panel behind DRM takes the same trait |
//! | [`leds`] | status lights: which lamp is lit in which state at which millisecond |
//! | [`buttons`] | debounced keys |
//!
//! Pages are drawn elsewhere, on a [`Frame`] as an `embedded-graphics` target; this crate knows no
//! study and no finding.

pub mod buttons;
pub mod display;
pub mod frame;
pub mod leds;

pub use display::{Display, DisplayError, PngFile, Terminal};
pub use frame::Frame;
