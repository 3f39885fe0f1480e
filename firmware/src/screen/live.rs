//! The thread that owns the display: news and actions in, pictures out.
//!
//! It shares nothing with intake and analysis but one slot for the latest situation, so neither waits for the
//! other. A display that is missing, or an error of ours in a drawing, ends nothing.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use board::damage::damage;
use board::display::{RETRY, State as Outcome};
use board::input::{self, Queue, Sources};
use board::{Frame, Outlet};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use models::pictures::Pictures;

use super::desk::{Desk, Shelf};
use super::maintenance::Wish;
use super::situation::{Opened, Phase, Settings, Situation, Station};
use crate::limits::{DISPLAY_CHECK, HEART_IDLE, HEART_SCREEN, MAX_ANSWER_BYTES, MAX_FINDINGS_BYTES};
use crate::station::heart::Heart;

/// The screen, from start-up to shutdown.
pub struct Screen {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of the screen and everybody else know.
struct Shared {
    actions: Queue,
    news: Mutex<News>,
    woken: Condvar,
    /// The display takes pictures.
    seen: AtomicBool,
    heart: Arc<Heart>,
}

#[derive(Default)]
struct News {
    situation: Option<Arc<Situation>>,
    /// An action lies in the queue.
    acted: bool,
    stop: bool,
}

impl Screen {
    /// Begins to draw on a display, and to listen to people. Studies are read from the records in `data_dir`; what
    /// people want of the system is told to `grant`, which must not wait.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        settings: Settings,
        mut outlet: Outlet,
        inputs: input::Settings,
        data_dir: &Path,
        grant: impl FnMut(Wish) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            actions: Queue::new(),
            news: Mutex::default(),
            woken: Condvar::new(),
            seen: AtomicBool::new(false),
            heart: Heart::new("screen", HEART_SCREEN),
        });
        outlet.open(Duration::ZERO);
        shared.seen.store(outlet.is_seen(), Ordering::Relaxed);
        let size = outlet.size().unwrap_or(settings.size);
        // The first picture waits for nothing.
        shared.lock().acted = true;
        let sink = sink(&shared);
        let inputs = input::Settings {
            picture: size,
            ..inputs
        };
        let player = Player {
            desk: desk(&settings, size),
            settings,
            situation: Arc::default(),
            outlet,
            shelf: Folder(data_dir.join("studies")),
            grant: Box::new(grant),
            sources: Sources::start(inputs, sink),
            presented: Duration::ZERO,
            before: None,
            back: Frame::new(size),
            missing: None,
        };
        let playing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || player.play(&playing))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes what people do elsewhere, for example in a window.
    pub fn sink(&self) -> input::Sink {
        sink(&self.shared)
    }

    /// What there is to show now. It never waits.
    pub fn tell(&self, situation: impl Into<Arc<Situation>>) {
        self.shared.lock().situation = Some(situation.into());
        self.shared.woken.notify_one();
    }

    /// How far the box itself is, where there is nothing else to show.
    pub fn tell_phase(&self, phase: Phase) {
        let station = Station {
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Station::default()
        };
        self.tell(Situation {
            phase,
            station,
            ..Situation::default()
        });
    }

    /// Whether it makes progress.
    pub fn heart(&self) -> Arc<Heart> {
        Arc::clone(&self.shared.heart)
    }

    /// Whether there is a display that somebody can look at.
    pub fn is_seen(&self) -> bool {
        self.shared.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Screen {
    /// Shows the last situation, then ends.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take() {
            // It catches its own panics.
            let _ = thread.join();
        }
    }
}

fn sink(shared: &Arc<Shared>) -> input::Sink {
    let shared = Arc::clone(shared);
    Arc::new(move |action| {
        shared.actions.push(action);
        shared.lock().acted = true;
        shared.woken.notify_one();
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news, at most so long. Gives them, and whether this was the last time.
    fn wait(&self, longest: Duration) -> (Option<Arc<Situation>>, bool) {
        let idle = |news: &mut News| news.situation.is_none() && !news.acted && !news.stop;
        let (mut news, _) = self
            .woken
            .wait_timeout_while(self.lock(), longest, idle)
            .unwrap_or_else(PoisonError::into_inner);
        news.acted = false;
        (news.situation.take(), news.stop)
    }
}

/// What the thread of the screen works with.
struct Player {
    desk: Desk,
    settings: Settings,
    situation: Arc<Situation>,
    outlet: Outlet,
    shelf: Folder,
    grant: Box<dyn FnMut(Wish) + Send>,
    /// Keys, keyboards, fingers; they end with the screen.
    sources: Sources,
    /// When the display was last given something.
    presented: Duration,
    /// The picture that was shown last.
    before: Option<Frame>,
    back: Frame,
    /// Why nothing is seen, as it was last logged.
    missing: Option<String>,
}

impl Player {
    fn play(mut self, shared: &Shared) {
        let started = Instant::now();
        let mut ends = false;
        while !ends {
            let now = started.elapsed();
            let retry = match (&self.missing, self.outlet.size()) {
                (Some(_), _) => now + RETRY,
                // A screen that was unplugged while nothing changed is found missing by this.
                (None, Some(_)) => self.presented + DISPLAY_CHECK,
                (None, None) => Duration::MAX,
            };
            let due = self.desk.due().unwrap_or(Duration::MAX).min(retry);
            let (situation, last) = shared.wait(due.saturating_sub(now).min(HEART_IDLE));
            shared.heart.beat();
            ends = last;
            let now = started.elapsed();
            let drawn = catch_unwind(AssertUnwindSafe(|| self.step(situation.clone(), shared, now)));
            if drawn.is_err() {
                tracing::error!("a page could not be drawn");
                self.begin_anew(situation, now);
            }
        }
    }

    fn step(&mut self, situation: Option<Arc<Situation>>, shared: &Shared, now: Duration) {
        // What people did is about the picture that they saw.
        while let Some(action) = shared.actions.pop() {
            self.desk.act(action, &self.shelf, now);
            if let Some(wish) = self.desk.take_wish() {
                (self.grant)(wish);
            }
        }
        if let Some(situation) = situation {
            self.situation = Arc::clone(&situation);
            self.desk.tell(situation, &self.shelf, now);
        }
        self.desk.tick(now);
        self.fit();
        self.desk.draw(&mut self.back);
        let areas = match &self.before {
            Some(before) => damage(before, &self.back),
            None => heapless::Vec::from_iter([self.back_area()]),
        };
        let is_asked = self.outlet.size().is_some() && now >= self.presented + DISPLAY_CHECK;
        if areas.is_empty() && self.missing.is_none() && !is_asked {
            return;
        }
        self.presented = now;
        let outcome = self.outlet.present(&self.back, &areas, now);
        self.log(outcome);
        let is_seen = self.missing.is_none() && self.outlet.is_seen();
        shared.seen.store(is_seen, Ordering::Relaxed);
        let shown = self
            .before
            .take()
            .unwrap_or_else(|| Frame::new(self.back_area().size));
        self.before = Some(std::mem::replace(&mut self.back, shown));
    }

    /// The size of the display, or of the settings where it does not say.
    fn size(&self) -> Size {
        self.outlet.size().unwrap_or(self.settings.size)
    }

    fn back_area(&self) -> Rectangle {
        self.back.bounding_box()
    }

    /// A display that was plugged in may have another size.
    fn fit(&mut self) {
        let size = self.size();
        if size != self.back.size() {
            self.desk.resize(size);
            self.back = Frame::new(size);
            self.before = None;
            self.sources.set_picture(size);
        }
    }

    /// After an error of ours: the page that the situation asks for, and nothing that was open.
    fn begin_anew(&mut self, situation: Option<Arc<Situation>>, now: Duration) {
        let situation = situation.unwrap_or_else(|| Arc::clone(&self.situation));
        let size = self.size();
        self.desk = desk(&self.settings, size);
        self.before = None;
        let told = catch_unwind(AssertUnwindSafe(|| {
            self.desk.tell(Arc::clone(&situation), &Empty, now);
        }));
        if told.is_err() {
            tracing::error!("the situation cannot be shown");
        }
        // Whoever is on the picture that cannot be replaced must not stay there.
        let blank = Frame::new(size);
        let outcome = self.outlet.present(&blank, &[blank.bounding_box()], now);
        self.log(outcome);
    }

    fn log(&mut self, outcome: Outcome) {
        let missing = match outcome {
            Outcome::Shown => None,
            Outcome::Missing(why) => Some(why),
        };
        if missing != self.missing {
            match &missing {
                Some(why) => tracing::warn!("no display: {why}"),
                None => tracing::info!("the display shows pictures"),
            }
            self.missing = missing;
        }
    }
}

/// A desk of the display's size.
fn desk(settings: &Settings, size: Size) -> Desk {
    Desk::new(Settings {
        size,
        ..settings.clone()
    })
}

/// The records of studies, as the screen reads them.
struct Folder(PathBuf);

impl Shelf for Folder {
    fn open(&self, study: &str) -> Option<Opened> {
        // The UID comes from our own records, but it becomes a path.
        let is_name = study.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !study.starts_with('.');
        let folder = is_name.then(|| self.0.join(study))?;
        open(&folder)
            .inspect_err(|error| tracing::warn!(%error, "findings cannot be shown"))
            .ok()
    }
}

/// Findings and pictures in the folder of a study; without pictures where there are none.
///
/// # Errors
/// There are no findings, or they cannot be read.
pub fn open(folder: &Path) -> std::io::Result<Opened> {
    let findings = read(&folder.join("findings.json"), MAX_FINDINGS_BYTES)?;
    let pictures: std::io::Result<Pictures> = read(&folder.join("pictures.json"), MAX_ANSWER_BYTES);
    let pictures = match pictures {
        Ok(pictures) => pictures,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Pictures::default(),
        Err(error) => {
            tracing::warn!(%error, "pictures cannot be shown");
            Pictures::default()
        }
    };
    Ok(Opened { findings, pictures })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, most: u64) -> std::io::Result<T> {
    let file = File::open(path)?;
    if file.metadata()?.len() > most {
        return Err(std::io::Error::other("the file is larger than any of ours"));
    }
    Ok(serde_json::from_reader(BufReader::new(file))?)
}

/// No study at all.
struct Empty;

impl Shelf for Empty {
    fn open(&self, _: &str) -> Option<Opened> {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::{Receiver, Sender, channel};

    use board::{Action, Display, DisplayError};

    use super::*;
    use crate::screen::examples;

    const WAIT: Duration = Duration::from_secs(10);

    /// A display that hands over what it is shown, and can be unplugged.
    struct Plugged {
        shown: Sender<Frame>,
        unplugged: Arc<AtomicBool>,
    }

    impl Display for Plugged {
        fn size(&self) -> Option<Size> {
            Some(Size::new(800, 480))
        }

        fn present(&mut self, frame: &Frame, _: &[Rectangle]) -> Result<(), DisplayError> {
            if self.unplugged.load(Ordering::Relaxed) {
                return Err(DisplayError::Gone);
            }
            // Who no longer looks has seen enough.
            let _ = self.shown.send(frame.clone());
            Ok(())
        }
    }

    fn plugged() -> (Outlet, Receiver<Frame>, Arc<AtomicBool>) {
        let (shown, pictures) = channel();
        let unplugged = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&unplugged);
        let outlet = Outlet::with_opener(move || {
            if there.load(Ordering::Relaxed) {
                return Err(DisplayError::Gone);
            }
            Ok(Box::new(Plugged {
                shown: shown.clone(),
                unplugged: Arc::clone(&there),
            }))
        });
        (outlet, pictures, unplugged)
    }

    fn start(outlet: Outlet, data_dir: &Path) -> Screen {
        Screen::start(
            Settings::default(),
            outlet,
            input::Settings::default(),
            data_dir,
            drop,
        )
        .unwrap()
    }

    /// The next picture that differs from one before.
    fn other(pictures: &Receiver<Frame>, before: &Frame) -> Frame {
        loop {
            let picture = pictures.recv_timeout(WAIT).unwrap();
            if picture != *before {
                return picture;
            }
        }
    }

    #[test]
    fn news_and_hands_become_pictures_of_the_displays_size() {
        let folder = tempfile::tempdir().unwrap();
        let (outlet, pictures, _) = plugged();
        let screen = start(outlet, folder.path());
        let first = pictures.recv_timeout(WAIT).unwrap();
        assert_eq!(first.size(), Size::new(800, 480));
        screen.tell(examples::busy());
        let list = other(&pictures, &first);
        let sink = screen.sink();
        sink(Action::Down);
        let below = other(&pictures, &list);
        sink(Action::Up);
        assert_eq!(other(&pictures, &below), list);
    }

    /// A study on the disk is opened; one that is no folder of ours is not.
    #[test]
    fn studies_come_from_the_records() {
        let folder = tempfile::tempdir().unwrap();
        let study = examples::busy().studies[0].uid.clone();
        let results = folder.path().join("studies").join(&study);
        std::fs::create_dir_all(&results).unwrap();
        let opened = examples::opened(examples::one_tumour());
        std::fs::write(
            results.join("findings.json"),
            serde_json::to_vec(&opened.findings).unwrap(),
        )
        .unwrap();
        let shelf = Folder(folder.path().join("studies"));
        let read = shelf.open(&study).unwrap();
        assert_eq!(read.findings.study, opened.findings.study);
        assert_eq!(read.findings.lesions.len(), 1);
        assert_eq!(read.pictures, Pictures::default(), "no pictures yet");
        std::fs::write(results.join("pictures.json"), b"{ broken").unwrap();
        assert_eq!(shelf.open(&study).unwrap().pictures, Pictures::default());
        for elsewhere in ["../studies", "", ".", "1.2.3", "..", "/etc"] {
            assert!(shelf.open(elsewhere).is_none(), "{elsewhere}");
        }
    }

    #[test]
    fn a_display_that_is_unplugged_ends_nothing_and_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let (outlet, pictures, unplugged) = plugged();
        let screen = start(outlet, folder.path());
        let first = pictures.recv_timeout(WAIT).unwrap();
        unplugged.store(true, Ordering::Relaxed);
        screen.tell(examples::busy());
        std::thread::sleep(Duration::from_millis(200));
        assert!(pictures.try_recv().is_err());
        unplugged.store(false, Ordering::Relaxed);
        // Nobody touches it, and nothing new happens.
        other(&pictures, &first);
    }
}
