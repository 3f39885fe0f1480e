#![allow(clippy::unwrap_used)]

use std::{
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use embedded_graphics::prelude::{Point, Size};

use super::*;
use crate::input::{Touch, TouchKind};

/// Events through a pipe, eight bytes each.
struct Piped(PipeReader);

impl AsFd for Piped {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Piped {
    fn read(&mut self, each: &mut dyn FnMut(Raw)) -> io::Result<()> {
        let mut event = [0; 8];
        self.0.read_exact(&mut event)?;
        let [a, b, c, d, value @ ..] = event;
        each(Raw {
            kind: u16::from_le_bytes([a, b]),
            code: u16::from_le_bytes([c, d]),
            value: i32::from_le_bytes(value),
        });
        Ok(())
    }
}

fn send(to: &mut PipeWriter, events: &[(u16, u16, i32)]) {
    for (kind, code, value) in events {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(code.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        to.write_all(&bytes).unwrap();
    }
}

/// The devices that the made-up opener has, by name; `None` is one of no use.
type Shelf = Arc<Mutex<HashMap<String, Option<Piped>>>>;

struct Desk {
    folder: tempfile::TempDir,
    shelf: Shelf,
    opened: Arc<Mutex<Vec<String>>>,
    actions: mpsc::Receiver<Action>,
    stop: Stop,
    fault: Fault,
    thread: thread::JoinHandle<()>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, opened) = (Shelf::default(), Arc::new(Mutex::new(Vec::new())));
        let (stop, fault) = (Stop::default(), Fault::default());
        let (sink, actions) = mpsc::channel();
        let setting = Setting {
            folder: folder.path().into(),
            ..Setting::default()
        };
        let thread = thread::spawn({
            let (shelf, opened, stop, fault) = (shelf.clone(), opened.clone(), stop.clone(), fault.clone());
            move || {
                let open = |path: &Path| {
                    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                    opened.lock().unwrap().push(name.clone());
                    let (x, y) = (axis(99), axis(99));
                    match shelf.lock().unwrap().remove(&name) {
                        Some(Some(device)) => Ok(Some((
                            Box::new(device) as Box<dyn Device>,
                            Pointing::One {
                                x,
                                y,
                                contact: KeyCode::BTN_TOUCH,
                            },
                        ))),
                        Some(None) => Ok(None),
                        None => Err(Errno::ACCESS.into()),
                    }
                };
                let picture = Picture::default();
                picture.set(Size::new(100, 100));
                watch_devices(
                    &setting,
                    &open,
                    &picture,
                    &stop,
                    &|a| sink.send(a).unwrap(),
                    &fault,
                );
            }
        });
        Self {
            folder,
            shelf,
            opened,
            actions,
            stop,
            fault,
            thread,
        }
    }

    fn plug(&self, name: &str, device: Option<Piped>) {
        self.shelf.lock().unwrap().insert(name.into(), device);
        fs::write(self.folder.path().join(name), []).unwrap();
    }

    fn plug_pipe(&self, name: &str) -> PipeWriter {
        let (reader, writer) = pipe().unwrap();
        self.plug(name, Some(Piped(reader)));
        writer
    }

    fn unplug(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn next(&self) -> Action {
        self.actions.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

fn axis(most: i32) -> Axis {
    Axis {
        least: 0,
        most,
        now: 0,
    }
}

const KEY: u16 = 1;
const ABS: u16 = 3;
const REPORT: (u16, u16, i32) = (0, 0, 0);

fn touch(kind: TouchKind, x: i32, y: i32) -> Action {
    Action::Touch(Touch {
        at: Point::new(x, y),
        kind,
    })
}

#[test]
fn devices_come_and_go_and_come_back() {
    let desk = Desk::new();
    let mut keyboard = desk.plug_pipe("event0");
    desk.plug("mouse0", None);
    send(&mut keyboard, &[(KEY, KeyCode::KEY_UP.0, 1), REPORT]);
    assert_eq!(desk.next(), Action::Up);

    // A touch screen joins, and is pulled with a finger on it.
    let mut screen = desk.plug_pipe("event1");
    let down = [(ABS, 0, 50), (ABS, 1, 20), (KEY, KeyCode::BTN_TOUCH.0, 1), REPORT];
    send(&mut screen, &down);
    assert_eq!(desk.next(), touch(TouchKind::Down, 50, 20));
    desk.unplug("event1");
    drop(screen);
    assert_eq!(desk.next(), touch(TouchKind::Up, 50, 20));

    // The keyboard does not mind; another device takes the same name.
    send(&mut keyboard, &[(KEY, KeyCode::KEY_ESC.0, 1), REPORT]);
    assert_eq!(desk.next(), Action::Back);
    let mut other = desk.plug_pipe("event1");
    send(&mut other, &[(KEY, KeyCode::KEY_5.0, 1), REPORT]);
    assert_eq!(desk.next(), Action::Digit(5));

    desk.stop.stop();
    desk.thread.join().unwrap();
    assert_eq!(*desk.opened.lock().unwrap(), ["event0", "event1", "event1"]);
}

#[test]
fn useless_devices_are_opened_once_and_refused_ones_are_told_and_tried_again() {
    let desk = Desk::new();
    desk.plug("event3", None);
    fs::write(desk.folder.path().join("event4"), []).unwrap();
    let count = |name: &str| desk.opened.lock().unwrap().iter().filter(|n| *n == name).count();
    let start = Instant::now();
    while count("event4") < 2 || count("event3") < 1 {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(count("event3"), 1);
    let told = desk.fault.told().unwrap();
    assert!(told.contains("event4"), "{told}");
    desk.stop.stop();
    desk.thread.join().unwrap();
}

#[test]
fn the_devices_of_this_machine_can_be_looked_at() {
    // Whatever is there, or not: no panic, and an ordinary file is an error.
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(open(file.path(), false).is_err());
}
