//! What a sequence of the kernel's input events means (Linux, Documentation/input/event-codes.rst and
//! multi-touch-protocol.rst, type B). No device is needed to try it.

use embedded_graphics::prelude::{Point, Size};
use evdev::{AbsoluteAxisCode, EventType, KeyCode, SynchronizationCode};

use super::{Action, Touch, TouchKind};
use crate::rotation::Rotation;

/// Fingers that a touch screen may tell apart; those beyond are not looked at.
const MAX_SLOTS: usize = 16;

/// One event as it comes from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) kind: u16,
    pub(super) code: u16,
    pub(super) value: i32,
}

/// The range of an axis and where it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) least: i32,
    pub(super) most: i32,
    pub(super) now: i32,
}

/// How a device tells where a finger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pointing {
    /// It does not.
    No,
    /// One place, and a key that says whether it counts.
    One { x: Axis, y: Axis, contact: KeyCode },
    /// A place for each finger; the first finger counts.
    Fingers { x: Axis, y: Axis, slot: i32 },
}

/// How places on the device become places in the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Pixels.
    pub(super) picture: Size,
    pub(super) rotation: Rotation,
    /// The device calls x what the panel calls y.
    pub(super) swap_axes: bool,
}

/// A place in the device's own numbers.
type Place = [i32; 2];

/// What is known of one device.
#[derive(Debug)]
pub(super) struct Decoder {
    pointing: Pointing,
    /// The newest place of each finger. The kernel tells an axis only when it changes, even from one
    /// touch to the next. Without fingers only the first is used.
    places: [Place; MAX_SLOTS],
    /// The finger that the events are about.
    slot: i32,
    /// The finger that counts, while it is down.
    finger: Option<i32>,
    /// The place that was told last, while a touch was told and has not ended.
    told: Option<Point>,
    /// Events were lost; what comes up to the next report is worth nothing.
    lost: bool,
}

impl Decoder {
    pub(super) fn new(pointing: Pointing) -> Self {
        let (place, slot) = match pointing {
            Pointing::No => ([0, 0], 0),
            Pointing::One { x, y, .. } => ([x.now, y.now], 0),
            Pointing::Fingers { x, y, slot } => ([x.now, y.now], slot),
        };
        Self {
            pointing,
            places: [place; MAX_SLOTS],
            slot,
            finger: None,
            told: None,
            lost: false,
        }
    }

    /// Takes one event. Whatever comes, places lie within the picture.
    pub(super) fn take(&mut self, raw: Raw, view: &View, sink: &dyn Fn(Action)) {
        let kind = EventType(raw.kind);
        if kind == EventType::SYNCHRONIZATION {
            match SynchronizationCode(raw.code) {
                // The kernel's buffer overflowed. Nobody knows whether the finger is still down.
                SynchronizationCode::SYN_DROPPED => {
                    self.lost = true;
                    self.lift(sink);
                }
                SynchronizationCode::SYN_REPORT if self.lost => self.lost = false,
                SynchronizationCode::SYN_REPORT => self.report(view, sink),
                _ => {}
            }
        } else if self.lost {
        } else if kind == EventType::KEY {
            self.key(KeyCode(raw.code), raw.value, sink);
        } else if kind == EventType::ABSOLUTE {
            self.axis(AbsoluteAxisCode(raw.code), raw.value, sink);
        }
    }

    /// Ends a touch that was told, as when the device is unplugged.
    pub(super) fn lift(&mut self, sink: &dyn Fn(Action)) {
        self.finger = None;
        if let Some(at) = self.told.take() {
            let kind = TouchKind::Up;
            sink(Action::Touch(Touch { at, kind }));
        }
    }

    fn key(&mut self, key: KeyCode, value: i32, sink: &dyn Fn(Action)) {
        if matches!(self.pointing, Pointing::One { contact, .. } if contact == key) {
            match value {
                0 => self.lift(sink),
                _ => self.finger = Some(0),
            }
        } else if let Some(action) = meaning(key) {
            // 1 is a press, 2 its repetition while held.
            if value == 1 || (value == 2 && action.repeats()) {
                sink(action);
            }
        }
    }

    fn axis(&mut self, axis: AbsoluteAxisCode, value: i32, sink: &dyn Fn(Action)) {
        match (self.pointing, axis) {
            (Pointing::One { .. }, AbsoluteAxisCode::ABS_X) => self.places[0][0] = value,
            (Pointing::One { .. }, AbsoluteAxisCode::ABS_Y) => self.places[0][1] = value,
            (Pointing::Fingers { .. }, AbsoluteAxisCode::ABS_MT_SLOT) => self.slot = value,
            (Pointing::Fingers { .. }, AbsoluteAxisCode::ABS_MT_POSITION_X) => self.place(0, value),
            (Pointing::Fingers { .. }, AbsoluteAxisCode::ABS_MT_POSITION_Y) => self.place(1, value),
            (Pointing::Fingers { .. }, AbsoluteAxisCode::ABS_MT_TRACKING_ID) => {
                // Every finger that goes and every one that comes has its own number; -1 is none. The
                // one that counts may go and come within one report.
                if self.finger == Some(self.slot) {
                    self.lift(sink);
                }
                if value >= 0 && self.finger.is_none() && place_of(self.slot).is_some() {
                    self.finger = Some(self.slot);
                }
            }
            _ => {}
        }
    }

    fn place(&mut self, axis: usize, value: i32) {
        if let Some(slot) = place_of(self.slot) {
            self.places[slot][axis] = value;
        }
    }

    /// All of one moment has been told.
    fn report(&mut self, view: &View, sink: &dyn Fn(Action)) {
        let Some(slot) = self.finger.and_then(place_of) else {
            return;
        };
        let (Pointing::One { x, y, .. } | Pointing::Fingers { x, y, .. }) = self.pointing else {
            return;
        };
        let at = view.place(self.places[slot], [x, y]);
        let kind = match self.told.replace(at) {
            None => TouchKind::Down,
            Some(before) if before != at => TouchKind::Moved,
            Some(_) => return,
        };
        sink(Action::Touch(Touch { at, kind }));
    }
}

fn place_of(slot: i32) -> Option<usize> {
    usize::try_from(slot).ok().filter(|&slot| slot < MAX_SLOTS)
}

impl View {
    fn place(&self, place: Place, axes: [Axis; 2]) -> Point {
        let panel = self.rotation.turned(self.picture);
        let along = |i: usize, side: u32| axes[i].pixel(place[i], side);
        let at = match self.swap_axes {
            false => Point::new(along(0, panel.width), along(1, panel.height)),
            true => Point::new(along(1, panel.width), along(0, panel.height)),
        };
        self.rotation.to_picture(at, panel)
    }
}

impl Axis {
    /// The pixel, of `side` pixels that the axis spans, that a value is on; the nearest one for values
    /// that the device said it would not send.
    fn pixel(&self, value: i32, side: u32) -> i32 {
        let span = (i64::from(self.most) - i64::from(self.least) + 1).max(1);
        let from_start = i64::from(value) - i64::from(self.least);
        let last = i64::from(side.clamp(1, i32::MAX as u32)) - 1;
        // At most 2^33 by 2^31.
        ((i128::from(from_start) * i128::from(side) / i128::from(span)) as i64).clamp(0, last) as i32
    }
}

/// What a key of a keyboard means.
pub(super) fn meaning(key: KeyCode) -> Option<Action> {
    Some(match key {
        KeyCode::KEY_UP => Action::Up,
        KeyCode::KEY_DOWN => Action::Down,
        KeyCode::KEY_ENTER | KeyCode::KEY_KPENTER | KeyCode::KEY_SELECT | KeyCode::KEY_OK => Action::Select,
        KeyCode::KEY_ESC | KeyCode::KEY_BACKSPACE | KeyCode::KEY_BACK => Action::Back,
        KeyCode::KEY_PAGEUP | KeyCode::KEY_LEFT => Action::PreviousPage,
        KeyCode::KEY_PAGEDOWN | KeyCode::KEY_RIGHT => Action::NextPage,
        KeyCode::KEY_0 | KeyCode::KEY_KP0 => Action::Digit(0),
        KeyCode::KEY_1 | KeyCode::KEY_KP1 => Action::Digit(1),
        KeyCode::KEY_2 | KeyCode::KEY_KP2 => Action::Digit(2),
        KeyCode::KEY_3 | KeyCode::KEY_KP3 => Action::Digit(3),
        KeyCode::KEY_4 | KeyCode::KEY_KP4 => Action::Digit(4),
        KeyCode::KEY_5 | KeyCode::KEY_KP5 => Action::Digit(5),
        KeyCode::KEY_6 | KeyCode::KEY_KP6 => Action::Digit(6),
        KeyCode::KEY_7 | KeyCode::KEY_KP7 => Action::Digit(7),
        KeyCode::KEY_8 | KeyCode::KEY_KP8 => Action::Digit(8),
        KeyCode::KEY_9 | KeyCode::KEY_KP9 => Action::Digit(9),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
