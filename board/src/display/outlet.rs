//! A screen that may be unplugged and plugged in again.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{
    Display, DisplayError, Drm, Framebuffer, PngFile, Terminal,
    panel::{self, Wiring},
};
use crate::{Frame, rotation::Rotation};

/// A display that failed is not opened again sooner than this after it was opened last.
pub const RETRY: Duration = Duration::from_secs(2);

/// The framebuffer that [`Setting::Auto`] tries.
const FIRST_FRAMEBUFFER: &str = "/dev/fb0";

/// Which display pictures go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Setting {
    /// The first screen behind DRM, else the first framebuffer; a box without either goes on without.
    #[default]
    Auto,
    /// A screen behind DRM.
    Drm {
        /// The card, for example `/dev/dri/card0`; none: the first that has a connected screen.
        card: Option<PathBuf>,
        /// How the screen is mounted.
        rotation: Rotation,
    },
    /// A framebuffer device, for example `/dev/fb0`.
    Framebuffer {
        /// The device.
        path: PathBuf,
    },
    /// A panel on an SPI bus.
    Panel(Wiring),
    /// A PNG file.
    Png {
        /// The file; its folder must exist.
        path: PathBuf,
    },
    /// This process's standard output.
    Terminal {
        /// Characters per line.
        columns: usize,
    },
    /// No display: pictures go nowhere, and nothing is missing.
    None,
}

/// Whether the newest picture is on the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is, or none was wanted.
    Shown,
    /// It is not, with the reason in words. Present again: the display may be back.
    Missing(String),
}

/// Opens the display again whenever it failed.
type Opener = Box<dyn FnMut() -> Result<Box<dyn Display + Send>, DisplayError> + Send>;

/// A display that is opened when first needed and again after it failed. No failure is fatal.
pub struct Outlet {
    opener: Opener,
    display: Option<Box<dyn Display + Send>>,
    /// When it was opened last, or tried to.
    tried: Option<Duration>,
    /// The display has not shown a picture since it was opened.
    fresh: bool,
    /// Why there is no display.
    reason: String,
}

impl Outlet {
    /// A display by its setting; nothing is opened yet.
    pub fn new(setting: Setting) -> Self {
        Self::with_opener(move || open(&setting))
    }

    /// A display that `opener` opens: a window, or one that is made up for a test.
    pub fn with_opener(
        opener: impl FnMut() -> Result<Box<dyn Display + Send>, DisplayError> + Send + 'static,
    ) -> Self {
        Self {
            opener: Box::new(opener),
            display: None,
            tried: None,
            fresh: true,
            reason: String::new(),
        }
    }

    /// The size in pixels that the display wants pictures in; none while it is missing, or where any
    /// will do.
    pub fn size(&self) -> Option<Size> {
        self.display.as_ref()?.size()
    }

    /// Whether there is a display that somebody can look at.
    pub fn is_seen(&self) -> bool {
        self.display.as_ref().is_some_and(|display| display.is_seen())
    }

    /// Opens a missing display if it is time to, so that [`Outlet::size`] is known before the first
    /// picture is drawn. `now` is the time since any fixed moment, on a clock that never goes back.
    pub fn open(&mut self, now: Duration) {
        let due = self.tried.is_none_or(|tried| now.saturating_sub(tried) >= RETRY);
        if self.display.is_some() || !due {
            return;
        }
        self.tried = Some(now);
        match (self.opener)() {
            Ok(display) => {
                self.display = Some(display);
                self.fresh = true;
            }
            Err(error) => self.reason = error.to_string(),
        }
    }

    /// Shows the picture, on a display just opened all of it. `damage` is as for [`Display::present`],
    /// against the picture presented here before, whether or not it was shown; `now` as for
    /// [`Outlet::open`]. While the display is missing, present at least every few seconds: nothing else
    /// opens it.
    pub fn present(&mut self, frame: &Frame, damage: &[Rectangle], now: Duration) -> State {
        // A display that fails long after it was opened is opened again at once: it may have been
        // another screen's cable that moved.
        for _ in 0..2 {
            self.open(now);
            let Some(display) = &mut self.display else { break };
            let whole = [frame.bounding_box()];
            match display.present(frame, if self.fresh { &whole } else { damage }) {
                Ok(()) => {
                    self.fresh = false;
                    return State::Shown;
                }
                Err(error) => {
                    self.reason = error.to_string();
                    self.display = None;
                }
            }
        }
        State::Missing(self.reason.clone())
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open = self.display.is_some();
        f.debug_struct("Outlet")
            .field("open", &open)
            .finish_non_exhaustive()
    }
}

fn open(setting: &Setting) -> Result<Box<dyn Display + Send>, DisplayError> {
    Ok(match setting {
        Setting::Auto => return first(),
        Setting::Drm { card, rotation } => Box::new(Drm::open(card.as_deref(), *rotation, None)?),
        Setting::Framebuffer { path } => Box::new(Framebuffer::open(path)?),
        Setting::Panel(wiring) => return panel::open(wiring),
        Setting::Png { path } => Box::new(PngFile::new(path)),
        Setting::Terminal { columns } => Box::new(Terminal::new(io::stdout(), *columns)),
        Setting::None => Box::new(Nowhere),
    })
}

fn first() -> Result<Box<dyn Display + Send>, DisplayError> {
    let no_drm = match Drm::open(None, Rotation::Deg0, None) {
        Ok(screen) => return Ok(Box::new(screen)),
        Err(error) => error,
    };
    match Framebuffer::open(FIRST_FRAMEBUFFER) {
        Ok(screen) => Ok(Box::new(screen)),
        Err(error) => Err(DisplayError::unusable(
            Path::new("/dev"),
            format!("{no_drm}; {error}"),
        )),
    }
}

/// Swallows pictures.
struct Nowhere;

impl Display for Nowhere {
    fn is_seen(&self) -> bool {
        false
    }

    fn size(&self) -> Option<Size> {
        None
    }

    fn present(&mut self, _: &Frame, _: &[Rectangle]) -> Result<(), DisplayError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use super::*;

    /// A cable that can be pulled, and what came through it.
    #[derive(Default)]
    struct Cable {
        plugged: bool,
        broken: bool,
        openings: usize,
        damages: Vec<Vec<Rectangle>>,
    }

    struct Screen(Arc<Mutex<Cable>>);

    impl Display for Screen {
        fn size(&self) -> Option<Size> {
            Some(Size::new(8, 6))
        }

        fn present(&mut self, _: &Frame, damage: &[Rectangle]) -> Result<(), DisplayError> {
            let mut cable = self.0.lock().unwrap();
            if !cable.plugged || cable.broken {
                return Err(DisplayError::Gone);
            }
            cable.damages.push(damage.to_vec());
            Ok(())
        }
    }

    fn outlet() -> (Outlet, Arc<Mutex<Cable>>) {
        let cable = Arc::new(Mutex::new(Cable::default()));
        let at_opener = cable.clone();
        let outlet = Outlet::with_opener(move || {
            let mut cable = at_opener.lock().unwrap();
            cable.openings += 1;
            match cable.plugged {
                true => Ok(Box::new(Screen(at_opener.clone()))),
                false => Err(DisplayError::unusable(Path::new("/dev/x"), "no cable")),
            }
        });
        (outlet, cable)
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_screen_comes_goes_and_comes_back_whole() {
        let (mut outlet, cable) = outlet();
        let frame = Frame::new(Size::new(8, 6));
        let whole = frame.bounding_box();
        let corner = Rectangle::new(Point::zero(), Size::new(1, 1));
        assert_eq!(outlet.size(), None);

        let State::Missing(reason) = outlet.present(&frame, &[], at(0)) else {
            panic!("shown on nothing")
        };
        assert!(reason.contains("no cable"), "{reason}");

        cable.lock().unwrap().plugged = true;
        assert!(matches!(outlet.present(&frame, &[], at(1999)), State::Missing(_)));
        assert_eq!(outlet.present(&frame, &[corner], at(2000)), State::Shown);
        assert_eq!(outlet.size(), Some(Size::new(8, 6)));
        assert_eq!(outlet.present(&frame, &[corner], at(2100)), State::Shown);
        assert_eq!(outlet.present(&frame, &[], at(2200)), State::Shown);

        cable.lock().unwrap().plugged = false;
        assert!(matches!(
            outlet.present(&frame, &[corner], at(9000)),
            State::Missing(_)
        ));
        assert_eq!(outlet.size(), None);
        cable.lock().unwrap().plugged = true;
        assert_eq!(outlet.present(&frame, &[corner], at(11_000)), State::Shown);
        let expected = [vec![whole], vec![corner], vec![], vec![whole]];
        assert_eq!(cable.lock().unwrap().damages, expected);
    }

    #[test]
    fn a_screen_that_opens_but_never_shows_is_opened_every_two_seconds_only() {
        let (mut outlet, cable) = outlet();
        (cable.lock().unwrap().plugged, cable.lock().unwrap().broken) = (true, true);
        let frame = Frame::new(Size::new(8, 6));
        for ms in (0..10_000).step_by(50) {
            assert!(matches!(outlet.present(&frame, &[], at(ms)), State::Missing(_)));
        }
        assert_eq!(cable.lock().unwrap().openings, 5);
    }

    #[test]
    fn a_failure_long_after_opening_is_repaired_within_the_same_picture() {
        let (mut outlet, cable) = outlet();
        cable.lock().unwrap().plugged = true;
        let frame = Frame::new(Size::new(8, 6));
        outlet.present(&frame, &[], at(0));
        // The screen object fails, a new one works.
        outlet.display = Some(Box::new(Screen(Arc::default())));
        assert_eq!(outlet.present(&frame, &[], at(60_000)), State::Shown);
        assert_eq!(cable.lock().unwrap().openings, 2);
    }

    #[test]
    fn settings_open_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("screen.png");
        let frame = Frame::new(Size::new(3, 3));
        let mut outlet = Outlet::new(Setting::Png { path: path.clone() });
        assert_eq!(outlet.present(&frame, &[], at(0)), State::Shown);
        assert_eq!(std::fs::read(path).unwrap(), frame.to_png());
        assert_eq!(
            Outlet::new(Setting::None).present(&frame, &[], at(0)),
            State::Shown
        );

        let gone = Setting::Framebuffer {
            path: "/dev/no-such-fb".into(),
        };
        assert!(matches!(
            Outlet::new(gone).present(&frame, &[], at(0)),
            State::Missing(_)
        ));
        let gone = Setting::Drm {
            card: Some("/dev/no-such-card".into()),
            rotation: Rotation::Deg90,
        };
        let State::Missing(reason) = Outlet::new(gone).present(&frame, &[], at(0)) else {
            panic!("shown on no card")
        };
        assert!(reason.contains("/dev/no-such-card"), "{reason}");
    }
}
