//! `[screen]` and `[privacy]`: the display, what people touch, lamps, and what of a patient is seen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use board::Rotation;
use board::display::{Outlet, Setting, panel};
use board::input::{self, events, keys};
use board::leds::{Buzzer, Pin, Signals, StatusLights};
use embedded_graphics::prelude::Size;
use serde::{Deserialize, Serialize};

use super::Config;
use crate::screen::Settings;
use crate::screen::situation::PatientOnScreen;

/// A picture has at least and at most this many pixels along a side.
const SIDES: std::ops::RangeInclusive<u32> = 240..=4096;

/// Digits of a PIN.
const PIN_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// `[screen]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Screen {
    /// Which kind of display.
    pub display: Display,
    /// Its device, where it is not the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<PathBuf>,
    /// How far the picture is turned clockwise on it: 0, 90, 180, 270 degrees.
    pub rotation: u16,
    /// Pixels per row, where the display does not say.
    pub width: u32,
    /// Rows, where the display does not say.
    pub height: u32,
    /// Without a touch for this long the screen goes dark and hides patient data; 0: never. Seconds.
    pub idle_seconds: u64,
    /// What unlocks it then.
    #[serde(skip_serializing)]
    pub pin: Option<String>,
    /// Whether keyboards and touch screens are listened to.
    pub touch: bool,
    /// Whether the touch screen calls across what the display calls down.
    pub swap_axes: bool,
    /// The wiring of a panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panel: Option<Panel>,
    /// Three keys on GPIO lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// Three lamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lamps: Option<Lamps>,
}

/// A kind of display.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// A screen behind DRM, else a framebuffer, else none.
    #[default]
    Auto,
    /// A screen behind DRM.
    Drm,
    /// A framebuffer device.
    Framebuffer,
    /// A panel on an SPI bus.
    Panel,
    /// The file `screen.png` in the data folder.
    Png,
    /// None.
    None,
}

/// `[screen.panel]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Its controller.
    pub controller: Controller,
    /// The SPI device.
    pub spi: PathBuf,
    /// The GPIO chip of the lines below.
    pub chip: PathBuf,
    /// The line that tells commands from data.
    pub data_line: u32,
    /// The line that resets the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_line: Option<u32>,
    /// The line that lights it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_line: Option<u32>,
    /// The clock of the bus, Hz.
    #[serde(default = "speed")]
    pub speed_hz: u32,
    /// Whether colours come out as their opposites otherwise.
    #[serde(default)]
    pub inverted: bool,
    /// Whether red and blue are exchanged otherwise.
    #[serde(default)]
    pub blue_first: bool,
}

fn speed() -> u32 {
    panel::SPEED_HZ
}

/// Controllers of panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// ST7789, 240 × 320.
    St7789,
    /// ST7796, 320 × 480.
    St7796,
    /// ILI9341, 240 × 320.
    Ili9341,
    /// ILI9486, 320 × 480.
    Ili9486,
    /// ILI9488, 320 × 480.
    Ili9488,
}

/// `[screen.keys]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The GPIO chip.
    pub chip: PathBuf,
    /// Lines of up, select and down.
    pub lines: [u32; 3],
    /// Whether a pressed key pulls its line low.
    #[serde(default = "yes")]
    pub active_low: bool,
}

fn yes() -> bool {
    true
}

/// `[screen.lamps]`: by GPIO lines, or by names in `/sys/class/leds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamps {
    /// The GPIO chip of the lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<PathBuf>,
    /// Lines of green, amber and red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<[u32; 3]>,
    /// LEDs of the kernel: green, amber and red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leds: Option<[String; 3]>,
    /// The line of a buzzer; silent without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buzzer_line: Option<u32>,
}

/// `[privacy]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// How much of a patient stands on the screen.
    pub patient_on_screen: PatientOnScreen,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            display: Display::Auto,
            device: None,
            rotation: 0,
            width: crate::screen::DEFAULT_SIZE.width,
            height: crate::screen::DEFAULT_SIZE.height,
            idle_seconds: 900,
            pin: None,
            touch: true,
            swap_axes: false,
            panel: None,
            keys: None,
            lamps: None,
        }
    }
}

impl Screen {
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if !SIDES.contains(&side) {
                return Err(format!(
                    "screen.{name} {side} is not between {} and {}",
                    SIDES.start(),
                    SIDES.end()
                ));
            }
        }
        if self.turned().is_none() {
            return Err(format!(
                "screen.rotation {} is not 0, 90, 180 or 270",
                self.rotation
            ));
        }
        if self.display == Display::Auto && self.device.is_some() {
            return Err("screen.device needs screen.display = \"drm\" or \"framebuffer\"".to_owned());
        }
        if self.display == Display::Framebuffer && self.rotation != 0 {
            return Err("screen.rotation: a framebuffer is turned by the kernel (fbcon=rotate)".to_owned());
        }
        if self.display == Display::Panel && self.panel.is_none() {
            return Err("screen.display = \"panel\" needs [screen.panel]".to_owned());
        }
        let is_pin =
            |pin: &String| PIN_DIGITS.contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
        if self.pin.as_ref().is_some_and(|pin| !is_pin(pin)) {
            return Err(format!(
                "screen.pin is not {} to {} digits",
                PIN_DIGITS.start(),
                PIN_DIGITS.end()
            ));
        }
        if self.pin.is_some() && self.idle_seconds == 0 {
            return Err("screen.pin without screen.idle_seconds: the screen would never lock".to_owned());
        }
        match &self.lamps {
            Some(
                Lamps {
                    chip: Some(_),
                    lines: Some(_),
                    leds: None,
                    ..
                }
                | Lamps {
                    lines: None,
                    leds: Some(_),
                    buzzer_line: None,
                    ..
                }
                | Lamps {
                    chip: Some(_),
                    lines: None,
                    leds: Some(_),
                    ..
                },
            )
            | None => Ok(()),
            Some(_) => Err("screen.lamps needs chip and lines, or leds; and chip for buzzer_line".to_owned()),
        }
    }

    fn turned(&self) -> Option<Rotation> {
        Some(match self.rotation {
            0 => Rotation::Deg0,
            90 => Rotation::Deg90,
            180 => Rotation::Deg180,
            270 => Rotation::Deg270,
            _ => return None,
        })
    }

    fn wiring(&self, panel: &Panel) -> panel::Wiring {
        panel::Wiring {
            controller: match panel.controller {
                Controller::St7789 => panel::Controller::St7789,
                Controller::St7796 => panel::Controller::St7796,
                Controller::Ili9341 => panel::Controller::Ili9341,
                Controller::Ili9486 => panel::Controller::Ili9486,
                Controller::Ili9488 => panel::Controller::Ili9488,
            },
            spi: panel.spi.clone(),
            speed_hz: panel.speed_hz,
            chip: panel.chip.clone(),
            data_line: panel.data_line,
            reset_line: panel.reset_line,
            light_line: panel.light_line,
            rotation: self.turned().unwrap_or_default(),
            inverted: panel.inverted,
            blue_first: panel.blue_first,
        }
    }
}

impl Config {
    /// How pages are drawn.
    pub fn screen_settings(&self) -> Settings {
        let screen = &self.screen;
        Settings {
            size: Size::new(screen.width, screen.height),
            language: self.station.language,
            patient: self.privacy.patient_on_screen,
            idle: (screen.idle_seconds > 0).then(|| Duration::from_secs(screen.idle_seconds)),
            pin: screen.pin.clone(),
        }
    }

    /// The display that the settings name.
    pub fn outlet(&self) -> Outlet {
        let screen = &self.screen;
        let rotation = screen.turned().unwrap_or_default();
        let card = screen.device.clone();
        Outlet::new(match (screen.display, &screen.panel) {
            // What the settings say about the screen goes with the kinds that can do it.
            (Display::Auto, _) if rotation != Rotation::Deg0 => Setting::Drm { card, rotation },
            (Display::Auto, _) => Setting::Auto,
            (Display::Drm, _) => Setting::Drm { card, rotation },
            (Display::Framebuffer, _) => Setting::Framebuffer {
                path: card.unwrap_or_else(|| "/dev/fb0".into()),
            },
            (Display::Panel, Some(panel)) => Setting::Panel(screen.wiring(panel)),
            (Display::Png, _) => Setting::Png {
                path: self.station.data_dir.join("screen.png"),
            },
            (Display::None | Display::Panel, _) => Setting::None,
        })
    }

    /// The GPIO lines of keys, lamps and buzzer.
    pub fn lines(&self) -> Vec<(PathBuf, u32)> {
        let keys = self.screen.keys.iter();
        let keys = keys.flat_map(|keys| keys.lines.map(|line| (keys.chip.clone(), line)));
        let lamps = self.screen.lamps.iter().flat_map(|lamps| {
            let chip = lamps.chip.clone().unwrap_or_default();
            let lines = lamps.lines.into_iter().flatten().chain(lamps.buzzer_line);
            lines.map(move |line| (chip.clone(), line))
        });
        keys.chain(lamps).collect()
    }

    /// What people touch.
    pub fn inputs(&self) -> input::Settings {
        let screen = &self.screen;
        let rotation = screen.turned().unwrap_or_default();
        input::Settings {
            keys: screen.keys.as_ref().map(|keys| {
                let [up, select, down] = keys.lines;
                keys::Wiring {
                    chip: keys.chip.clone(),
                    up,
                    select,
                    down,
                    active_low: keys.active_low,
                }
            }),
            events: screen.touch.then(|| events::Setting {
                rotation,
                swap_axes: screen.swap_axes,
                // A PIN that is typed here reaches no console as well.
                grab: screen.pin.is_some(),
                ..events::Setting::default()
            }),
            ..input::Settings::default()
        }
    }

    /// The lamps, where there are any. What fails is logged: a lamp never stops the box.
    pub fn signals(&self) -> Option<Signals> {
        let lamps = self.screen.lamps.as_ref()?;
        let report = |text: &str| tracing::warn!("{text}");
        let pins: Result<Vec<Pin>, String> = match (&lamps.lines, &lamps.leds) {
            (Some(lines), _) => lines.iter().map(|line| open_line(lamps, *line)).collect(),
            (None, Some(names)) => {
                let led = |name: &String| Pin::led(Path::new("/sys/class/leds").join(name));
                names
                    .iter()
                    .map(|name| led(name).map_err(|error| format!("{name}: {error}")))
                    .collect()
            }
            (None, None) => return None,
        };
        let pins: Result<[Pin; 3], String> =
            pins.and_then(|pins| pins.try_into().map_err(|_| "there are three lamps".to_owned()));
        match pins {
            Ok([green, amber, red]) => {
                let buzzer = lamps.buzzer_line.map(|line| open_line(lamps, line));
                let buzzer = buzzer.and_then(|pin| pin.inspect_err(|error| report(error)).ok());
                let lights = StatusLights::new(green, amber, red);
                Some(Signals::start(lights, buzzer.map(Buzzer::new), report))
            }
            Err(error) => {
                report(&format!("the lamps stay dark: {error}"));
                None
            }
        }
    }
}

fn open_line(lamps: &Lamps, line: u32) -> Result<Pin, String> {
    let chip = lamps.chip.clone().unwrap_or_default();
    Pin::line(&chip, line).map_err(|error| format!("{} line {line}: {error}", chip.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("s.toml")).map_err(|error| error.message)
    }

    #[test]
    fn a_box_with_a_panel_keys_and_lamps() {
        let config = parse(
            "[station]\nlanguage = \"tr\"\n[screen]\ndisplay = \"panel\"\nrotation = 90\npin = \"2468\"\n\
             [screen.panel]\ncontroller = \"ili9488\"\nspi = \"/dev/spidev0.0\"\nchip = \"/dev/gpiochip0\"\n\
             data_line = 24\n[screen.keys]\nchip = \"/dev/gpiochip0\"\nlines = [5, 6, 13]\n\
             [screen.lamps]\nleds = [\"green:ready\", \"amber:work\", \"red:fault\"]\n\
             [privacy]\npatient_on_screen = \"initials\"\n",
        )
        .unwrap();
        let mut written = parse(&config.to_toml().unwrap()).unwrap();
        assert_eq!(written.screen.pin, None, "`config check` prints no PIN");
        written.screen.pin.clone_from(&config.screen.pin);
        assert_eq!(written, config);
        let settings = config.screen_settings();
        assert_eq!(settings.patient, PatientOnScreen::Initials);
        assert_eq!(settings.pin.as_deref(), Some("2468"));
        let inputs = config.inputs();
        assert_eq!(inputs.keys.unwrap().select, 6);
        assert_eq!(inputs.events.unwrap().rotation, Rotation::Deg90);
    }

    #[test]
    fn senseless_screens_are_refused_by_name() {
        for (text, name) in [
            ("[screen]\nwidth = 100", "screen.width"),
            ("[screen]\nrotation = 45", "screen.rotation"),
            ("[screen]\ndisplay = \"panel\"", "screen.panel"),
            ("[screen]\ndevice = \"/dev/dri/card1\"", "screen.device"),
            (
                "[screen]\ndisplay = \"framebuffer\"\nrotation = 90",
                "screen.rotation",
            ),
            (
                "[screen.lamps]\nleds = [\"a\", \"b\", \"c\"]\nbuzzer_line = 3",
                "screen.lamps",
            ),
            ("[screen]\npin = \"12\"", "screen.pin"),
            ("[screen]\npin = \"abcd\"", "screen.pin"),
            ("[screen]\npin = \"1234\"\nidle_seconds = 0", "never lock"),
            ("[screen.lamps]\nlines = [1, 2, 3]", "screen.lamps"),
            ("[privacy]\npatient_on_screen = \"maybe\"", "maybe"),
            ("[station]\nlanguage = \"xx\"", "xx"),
        ] {
            assert!(
                parse(text).unwrap_err().contains(name),
                "{text}: {:?}",
                parse(text)
            );
        }
    }
}
