//! Keyboards, touch screens and tablets behind the kernel's input events (`/dev/input/event*`).
//!
//! Devices may come and go. One is used if it has a key that means something ([`Action`]), or tells
//! places on the screen: the first finger of a touch screen, or a mouse of a virtual machine while its
//! button is down. Touchpads and mice without places are not.

use std::{
    collections::HashMap,
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use evdev::{AbsInfo, AbsoluteAxisCode, KeyCode, PropType, raw_stream::RawDevice};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Action, Fault, Picture,
    decode::{Axis, Decoder, Pointing, Raw, View, meaning},
};
use crate::{rotation::Rotation, stop::Stop};

/// Where the kernel puts input devices.
const INPUT: &str = "/dev/input";

/// How often new devices are looked for.
const RESCAN: Duration = Duration::from_secs(2);

/// How long the thread sleeps at most before it looks whether to end, nanoseconds.
const WAIT_NS: i64 = 200_000_000;

/// Devices used at once; more are left alone.
const MAX_DEVICES: usize = 32;

/// Which devices are used, and how their places become places of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting {
    /// The folder of the devices.
    pub folder: PathBuf,
    /// As the display's: how far the picture is turned on its panel.
    pub rotation: Rotation,
    /// The touch screen calls x what the panel calls y.
    pub swap_axes: bool,
    /// Take the devices for this process alone, so that a digit typed here does not reach a console as
    /// well. Not on a desktop: its keyboard would go silent.
    pub grab: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            folder: INPUT.into(),
            rotation: Rotation::default(),
            swap_axes: false,
            grab: false,
        }
    }
}

/// An open input device, or what stands in for one.
trait Device: AsFd + Send {
    /// Gives on what is there to read. It is called when there is something, and does not wait.
    fn read(&mut self, each: &mut dyn FnMut(Raw)) -> io::Result<()>;
}

impl Device for RawDevice {
    fn read(&mut self, each: &mut dyn FnMut(Raw)) -> io::Result<()> {
        self.fetch_events()?.for_each(|event| {
            each(Raw {
                kind: event.event_type().0,
                code: event.code(),
                value: event.value(),
            });
        });
        Ok(())
    }
}

/// A device with what is known of it; none if it is of no use.
type Opened = io::Result<Option<(Box<dyn Device>, Pointing)>>;

fn open(path: &Path, grab: bool) -> Opened {
    let mut device = RawDevice::open(path)?;
    let pointing = pointing(&device)?;
    let keys = device.supported_keys().into_iter().flat_map(|keys| keys.iter());
    if pointing == Pointing::No && keys.filter_map(meaning).count() == 0 {
        return Ok(None);
    }
    if grab {
        device.grab()?;
    }
    Ok(Some((Box::new(device), pointing)))
}

fn pointing(device: &RawDevice) -> io::Result<Pointing> {
    let has = |key| device.supported_keys().is_some_and(|keys| keys.contains(key));
    // As udev tells touchpads from touch screens.
    if has(KeyCode::BTN_TOOL_FINGER) && !device.properties().contains(PropType::DIRECT) {
        return Ok(Pointing::No);
    }
    let infos: HashMap<AbsoluteAxisCode, AbsInfo> = device.get_absinfo()?.collect();
    let axis = |code| {
        infos.get(&code).map(|info| Axis {
            least: info.minimum(),
            most: info.maximum(),
            now: info.value(),
        })
    };
    let place = |x, y| axis(x).zip(axis(y));
    let fingers = place(
        AbsoluteAxisCode::ABS_MT_POSITION_X,
        AbsoluteAxisCode::ABS_MT_POSITION_Y,
    );
    if let (Some((x, y)), Some(slot)) = (fingers, axis(AbsoluteAxisCode::ABS_MT_SLOT)) {
        return Ok(Pointing::Fingers { x, y, slot: slot.now });
    }
    let contact = [KeyCode::BTN_TOUCH, KeyCode::BTN_LEFT]
        .into_iter()
        .find(|&key| has(key));
    let one = place(AbsoluteAxisCode::ABS_X, AbsoluteAxisCode::ABS_Y);
    Ok(match (one, contact) {
        (Some((x, y)), Some(contact)) => Pointing::One { x, y, contact },
        _ => Pointing::No,
    })
}

struct Used {
    path: PathBuf,
    device: Box<dyn Device>,
    decoder: Decoder,
}

impl AsFd for Used {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// The devices in use and those that are of no use, by path and number of the device file: a device
/// that is plugged in where another one was has a new number.
#[derive(Default)]
struct Devices {
    used: Vec<Used>,
    useless: HashMap<PathBuf, u64>,
}

impl Devices {
    /// Opens what is new; tells what could not be opened.
    fn scan(&mut self, folder: &Path, open: &dyn Fn(&Path) -> Opened) -> Option<String> {
        let mut reason = None;
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"event"))
            })
            .collect();
        paths.sort();
        self.useless.retain(|path, _| paths.contains(path));
        for path in paths {
            let Ok(number) = fs::metadata(&path).map(|meta| meta.ino()) else {
                continue;
            };
            let known =
                self.useless.get(&path) == Some(&number) || self.used.iter().any(|used| used.path == path);
            if known || self.used.len() == MAX_DEVICES {
                continue;
            }
            match open(&path) {
                Ok(Some((device, pointing))) => self.used.push(Used {
                    path,
                    device,
                    decoder: Decoder::new(pointing),
                }),
                Ok(None) => drop(self.useless.insert(path, number)),
                // It went again between the look and the call.
                Err(error) if gone(&error) => {}
                Err(error) => reason = Some(format!("input device {}: {error}", path.display())),
            }
        }
        reason
    }

    /// Waits a moment for events and gives them on; drops devices that went away.
    fn wait(&mut self, view: &View, sink: &dyn Fn(Action)) -> io::Result<()> {
        let mut ready: Vec<PollFd<'_>> = self
            .used
            .iter()
            .map(|used| PollFd::new(used, PollFlags::IN))
            .collect();
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: WAIT_NS,
        };
        match poll(&mut ready, Some(&limit)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let flags: Vec<PollFlags> = ready.iter().map(PollFd::revents).collect();
        let mut flags = flags.into_iter();
        self.used.retain_mut(|used| {
            let flags = flags.next().unwrap_or(PollFlags::empty());
            let well = if flags.contains(PollFlags::IN) {
                let Used { device, decoder, .. } = used;
                device.read(&mut |raw| decoder.take(raw, view, sink)).is_ok()
            } else {
                // Nothing to read and yet something to tell: the device was unplugged.
                flags.is_empty()
            };
            if !well {
                used.decoder.lift(sink);
            }
            well
        });
        Ok(())
    }
}

fn gone(error: &io::Error) -> bool {
    let codes = [Errno::NOENT, Errno::NODEV, Errno::NXIO].map(|code| code.raw_os_error());
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Looks after the devices until told to stop.
pub(super) fn watch(setting: &Setting, picture: &Picture, stop: &Stop, sink: &dyn Fn(Action), fault: &Fault) {
    watch_devices(
        setting,
        &|path| open(path, setting.grab),
        picture,
        stop,
        sink,
        fault,
    );
}

fn watch_devices(
    setting: &Setting,
    open: &dyn Fn(&Path) -> Opened,
    picture: &Picture,
    stop: &Stop,
    sink: &dyn Fn(Action),
    fault: &Fault,
) {
    let mut devices = Devices::default();
    let mut scanned: Option<Instant> = None;
    while !stop.stopped() {
        if scanned.is_none_or(|at| at.elapsed() >= RESCAN) {
            scanned = Some(Instant::now());
            fault.set(devices.scan(&setting.folder, open));
        }
        let view = View {
            picture: picture.get(),
            rotation: setting.rotation,
            swap_axes: setting.swap_axes,
        };
        if let Err(error) = devices.wait(&view, sink) {
            fault.set(Some(format!("input devices: {error}")));
            if stop.pause(RESCAN) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
