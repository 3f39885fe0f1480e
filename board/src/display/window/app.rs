//! What the window does with the desktop's events.

use std::{
    num::NonZeroU32,
    rc::Rc,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use embedded_graphics::prelude::{OriginDimensions, Point, Size};
use softbuffer::{Context, Surface};
use winit::{
    application::ApplicationHandler,
    dpi::PhysicalSize,
    event::{ElementState, KeyEvent, MouseButton, WindowEvent},
    event_loop::{ActiveEventLoop, OwnedDisplayHandle},
    keyboard::{Key, NamedKey},
    window::{Window as Desktop, WindowId},
};

use super::{Shared, fit::Fit};
use crate::{
    Frame,
    input::{Action, Sink, Touch, TouchKind},
};

/// Why the event loop is woken.
#[derive(Debug)]
pub(super) enum Wake {
    /// A new picture waits.
    Picture,
    /// The work has ended.
    Done,
}

pub(super) struct App {
    size: Size,
    title: String,
    shared: Arc<Shared>,
    sink: Sink,
    window: Option<Opened>,
    picture: Frame,
    pointer: Pointer,
    error: Option<String>,
}

struct Opened {
    window: Rc<Desktop>,
    /// Told by the desktop: asking for it panics when the window was taken away.
    size: PhysicalSize<u32>,
    surface: Surface<OwnedDisplayHandle, Rc<Desktop>>,
}

impl App {
    pub(super) fn new(size: Size, title: &str, shared: Arc<Shared>, sink: Sink) -> Self {
        Self {
            size,
            title: title.to_owned(),
            shared,
            sink,
            window: None,
            picture: Frame::new(size),
            pointer: Pointer::default(),
            error: None,
        }
    }

    /// What ended the loop before its time.
    pub(super) fn into_error(self) -> Option<String> {
        self.error
    }

    fn open(&self, events: &ActiveEventLoop) -> Result<Opened, Box<dyn std::error::Error>> {
        let wanted = Desktop::default_attributes()
            .with_title(&self.title)
            .with_inner_size(PhysicalSize::new(self.size.width, self.size.height));
        let window = Rc::new(events.create_window(wanted)?);
        let context = Context::new(events.owned_display_handle())?;
        let surface = Surface::new(&context, window.clone())?;
        let size = window.inner_size();
        Ok(Opened {
            window,
            size,
            surface,
        })
    }

    fn paint(&mut self) -> Result<(), softbuffer::SoftBufferError> {
        let Some(Opened { size, surface, .. }) = &mut self.window else {
            return Ok(());
        };
        // A window without area, such as one being hidden, shows nothing.
        let (Some(width), Some(height)) = (NonZeroU32::new(size.width), NonZeroU32::new(size.height)) else {
            return Ok(());
        };
        surface.resize(width, height)?;
        let mut buffer = surface.buffer_mut()?;
        let fit = Fit::new(self.picture.size(), Size::new(size.width, size.height));
        fit.paint(&self.picture, size.width, &mut buffer);
        buffer.present()
    }

    fn fit(&self) -> Fit {
        let window = self.window.as_ref().map(|opened| opened.size);
        let window = window.map_or(self.size, |size| Size::new(size.width, size.height));
        Fit::new(self.picture.size(), window)
    }

    fn close(&mut self, events: &ActiveEventLoop, error: Option<String>) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.error = self.error.take().or(error);
        events.exit();
    }
}

impl ApplicationHandler<Wake> for App {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.window.is_none() {
            match self.open(events) {
                Ok(opened) => self.window = Some(opened),
                Err(error) => self.close(events, Some(error.to_string())),
            }
        }
    }

    fn user_event(&mut self, events: &ActiveEventLoop, wake: Wake) {
        match wake {
            Wake::Picture => {
                let newest = self.shared.newest.lock();
                if let Some(picture) = newest.unwrap_or_else(PoisonError::into_inner).take() {
                    self.picture = picture;
                }
                if let Some(opened) = &self.window {
                    opened.window.request_redraw();
                }
            }
            Wake::Done => self.close(events, None),
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let action = match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => {
                self.close(events, None);
                None
            }
            WindowEvent::Resized(size) => {
                if let Some(opened) = &mut self.window {
                    opened.size = size;
                    opened.window.request_redraw();
                }
                None
            }
            WindowEvent::RedrawRequested => {
                if let Err(error) = self.paint() {
                    self.close(events, Some(error.to_string()));
                }
                None
            }
            WindowEvent::KeyboardInput { event, .. } => pressed(&event),
            WindowEvent::CursorMoved { position, .. } => {
                let at = Point::new(position.x as i32, position.y as i32);
                self.pointer.moved(&self.fit(), at)
            }
            WindowEvent::MouseInput {
                state,
                button: MouseButton::Left,
                ..
            } => self.pointer.button(&self.fit(), state == ElementState::Pressed),
            _ => None,
        };
        if let Some(action) = action {
            (self.sink)(action);
        }
    }
}

fn pressed(event: &KeyEvent) -> Option<Action> {
    let action = meaning(&event.logical_key)?;
    let counts = event.state == ElementState::Pressed && (!event.repeat || action.repeats());
    counts.then_some(action)
}

fn meaning(key: &Key) -> Option<Action> {
    Some(match key {
        Key::Named(NamedKey::ArrowUp) => Action::Up,
        Key::Named(NamedKey::ArrowDown) => Action::Down,
        Key::Named(NamedKey::Enter) => Action::Select,
        Key::Named(NamedKey::Escape | NamedKey::Backspace) => Action::Back,
        Key::Named(NamedKey::PageUp | NamedKey::ArrowLeft) => Action::PreviousPage,
        Key::Named(NamedKey::PageDown | NamedKey::ArrowRight) => Action::NextPage,
        Key::Character(text) => Action::Digit(text.parse().ok().filter(|digit| *digit <= 9)?),
        _ => return None,
    })
}

/// The mouse as a finger.
#[derive(Debug, Default)]
struct Pointer {
    /// In pixels of the window.
    at: Point,
    /// Where the finger was told last, in pixels of the picture; none while it is up.
    told: Option<Point>,
}

impl Pointer {
    fn moved(&mut self, fit: &Fit, at: Point) -> Option<Action> {
        self.at = at;
        let (before, at) = (self.told?, fit.nearest(at));
        self.told = Some(at);
        (before != at).then(|| touch(at, TouchKind::Moved))
    }

    fn button(&mut self, fit: &Fit, down: bool) -> Option<Action> {
        if down {
            self.told = Some(fit.picture_at(self.at)?);
            Some(touch(self.told?, TouchKind::Down))
        } else {
            Some(touch(self.told.take()?, TouchKind::Up))
        }
    }
}

fn touch(at: Point, kind: TouchKind) -> Action {
    Action::Touch(Touch { at, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mouse_is_a_finger_while_its_button_is_down() {
        // The picture is in the middle, twice as large, with 20 pixels of margin above and below.
        let fit = Fit::new(Size::new(50, 30), Size::new(100, 100));
        let mut mouse = Pointer::default();
        assert_eq!(mouse.moved(&fit, Point::new(50, 5)), None);
        assert_eq!(
            mouse.button(&fit, true),
            None,
            "a press beside the picture is none"
        );
        assert_eq!(mouse.button(&fit, false), None);
        assert_eq!(mouse.moved(&fit, Point::new(50, 40)), None);
        let (start, end) = (Point::new(25, 10), Point::new(49, 29));
        assert_eq!(mouse.button(&fit, true), Some(touch(start, TouchKind::Down)));
        assert_eq!(mouse.moved(&fit, Point::new(51, 41)), None, "the same pixel");
        assert_eq!(
            mouse.moved(&fit, Point::new(400, 400)),
            Some(touch(end, TouchKind::Moved))
        );
        assert_eq!(mouse.button(&fit, false), Some(touch(end, TouchKind::Up)));
    }

    #[test]
    fn keys_mean_what_they_mean_on_the_box() {
        let named = |key| meaning(&Key::Named(key));
        assert_eq!(named(NamedKey::ArrowUp), Some(Action::Up));
        assert_eq!(named(NamedKey::Enter), Some(Action::Select));
        assert_eq!(named(NamedKey::PageDown), Some(Action::NextPage));
        assert_eq!(meaning(&Key::Character("7".into())), Some(Action::Digit(7)));
        assert_eq!(meaning(&Key::Character("12".into())), None);
        assert_eq!(meaning(&Key::Character("a".into())), None);
    }
}
