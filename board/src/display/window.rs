//! A desktop window in place of the screen, for developers (feature `window`).
//!
//! Desktops want their events taken on the main thread: [`run`] takes them there, and what shows
//! pictures runs on a thread of its own. It was tried by hand under Xvfb; not under Wayland.

mod app;
mod fit;

use std::{
    panic,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use embedded_graphics::{prelude::Size, primitives::Rectangle};
use winit::event_loop::EventLoop;

use super::{Display, DisplayError};
use crate::{Frame, input::Sink};
use app::{App, Wake};

/// Why no window could be opened: there is no desktop, or it is none that can be used.
#[derive(Debug, thiserror::Error)]
#[error("no window: {0}")]
pub struct WindowError(String);

/// The display that a window is. Clones show on the same window.
#[derive(Clone)]
pub struct Window {
    size: Size,
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The picture to show next; one that was never shown is replaced.
    newest: Mutex<Option<Frame>>,
    closed: AtomicBool,
}

impl Window {
    /// Whether the window is closed, and `work` should end.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }
}

impl Display for Window {
    fn size(&self) -> Option<Size> {
        Some(self.size)
    }

    fn present(&mut self, frame: &Frame, _damage: &[Rectangle]) -> Result<(), DisplayError> {
        if self.is_closed() {
            return Err(DisplayError::Gone);
        }
        *self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.clone());
        (self.wake)();
        Ok(())
    }
}

/// Opens a window of `size` pixels and runs `work` beside it until `work` returns; what it returns is
/// the answer. When the window is closed, [`Window::is_closed`] and [`DisplayError::Gone`] say so, and
/// this waits for `work` to end. The window may be made larger and smaller: the picture is scaled.
///
/// Arrows, Enter, Escape, Backspace, Page Up, Page Down and digits go to `sink` as the actions of
/// [`crate::input`], the mouse with its left button as a finger. It is called on this thread.
///
/// Call it on the main thread, once: the desktop's library panics elsewhere.
///
/// # Errors
/// When there is no desktop, or it gives no window. `work` has not run, or has seen the window closed
/// from the start.
pub fn run<T: Send + 'static>(
    size: Size,
    title: &str,
    sink: Sink,
    work: impl FnOnce(Window) -> T + Send + 'static,
) -> Result<T, WindowError> {
    let words = |error: &dyn std::error::Error| WindowError(error.to_string());
    let events = EventLoop::<Wake>::with_user_event()
        .build()
        .map_err(|error| words(&error))?;
    let shared = Arc::new(Shared::default());
    let proxy = events.create_proxy();
    let window = Window {
        size,
        shared: shared.clone(),
        wake: Arc::new(move || {
            // A loop that has ended is told by `closed`.
            let _ = proxy.send_event(Wake::Picture);
        }),
    };
    let done = Done(events.create_proxy());
    let worker = thread::Builder::new()
        .name("window".into())
        .spawn(move || {
            let _done = done;
            work(window)
        })
        .map_err(|error| words(&error))?;

    let mut app = App::new(size, title, shared.clone(), sink);
    let ended = events.run_app(&mut app);
    shared.closed.store(true, Ordering::Relaxed);
    let failed = app.into_error();
    let answer = worker
        .join()
        .unwrap_or_else(|panicked| panic::resume_unwind(panicked));
    ended.map_err(|error| words(&error))?;
    match failed {
        Some(reason) => Err(WindowError(reason)),
        None => Ok(answer),
    }
}

/// Ends the loop when the work ends, by a panic too.
struct Done(winit::event_loop::EventLoopProxy<Wake>);

impl Drop for Done {
    fn drop(&mut self) {
        // A loop that has ended needs no end.
        let _ = self.0.send_event(Wake::Done);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_closed_window_takes_no_pictures() {
        let wakes = Arc::new(Mutex::new(0));
        let count = wakes.clone();
        let mut window = Window {
            size: Size::new(4, 3),
            shared: Arc::default(),
            wake: Arc::new(move || *count.lock().unwrap() += 1),
        };
        let frame = Frame::new(Size::new(4, 3));
        window.clone().present(&frame, &[]).unwrap();
        assert_eq!(*wakes.lock().unwrap(), 1);
        assert_eq!(window.shared.newest.lock().unwrap().take(), Some(frame.clone()));

        window.shared.closed.store(true, Ordering::Relaxed);
        assert!(matches!(window.present(&frame, &[]), Err(DisplayError::Gone)));
        assert_eq!(*wakes.lock().unwrap(), 1);
    }
}
