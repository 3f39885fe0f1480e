//! `sialoscope screen`: any page as a picture.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use board::{Action, Frame};
use clap::{Args, ValueEnum};
use embedded_graphics::prelude::Size;
use models::findings::{Fault, Reason};

use super::{io_failure, print};
use crate::screen::language::Language;
use crate::screen::maintenance::{Installation, SupportReport};
use crate::screen::situation::{Alarm, PatientOnScreen, Phase, Start, Stop};
use crate::screen::{Opened, Page, Settings, Situation, examples, live};

/// `sialoscope screen`.
#[derive(Debug, Args)]
pub struct Screen {
    /// Which page.
    #[arg(long, value_enum)]
    pub page: Option<Name>,
    /// Pixels: WIDTHxHEIGHT.
    #[arg(long, default_value = "1024x600", value_parser = size)]
    pub size: Size,
    /// Language: en, zh, tr, es, de or fr.
    #[arg(long, default_value = "en", value_parser = language)]
    pub lang: Language,
    /// The PNG file to write.
    #[arg(long, value_name = "FILE", required_unless_present = "gallery")]
    pub out: Option<PathBuf>,
    /// A recorded situation (JSON) in place of the made-up one.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// A folder with findings.json and pictures.json in place of a made-up study: of `analyze --out`, or of the
    /// appliance's records.
    #[arg(long, value_name = "FOLDER")]
    pub study: Option<PathBuf>,
    /// How much of a patient is shown: full, initials or hidden.
    #[arg(long, value_enum, default_value_t = Patient::Full)]
    pub patient: Patient,
    /// Keys that are pressed before the picture is taken, in this order: up, down, select, back, previous, next.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub keys: Vec<Key>,
    /// Write every page of this size and language to a folder, and the result in every other, with an index.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["page", "out", "state"])]
    pub gallery: Option<PathBuf>,
    /// With --gallery: every page in every size and language.
    #[arg(long, requires = "gallery")]
    pub everything: bool,
}

/// The pages by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The list of studies.
    Studies,
    /// The same with a result that nobody has opened.
    Unseen,
    /// The same with nothing to do.
    Waiting,
    /// A tumour.
    Result,
    /// Several lesions, missing contrasts, many remarks.
    Crowded,
    /// No tumour.
    NoTumour,
    /// The heat map, enlarged.
    HeatMap,
    /// What an answer rests on.
    Details,
    /// No answer, and why.
    CannotAnswer,
    /// The box itself.
    Station,
    /// Start-up.
    StartUp,
    /// A start that failed.
    StartFailed,
    /// Shutdown.
    Shutdown,
    /// The disk is filling.
    AlarmDisk,
    /// The clock is wrong.
    AlarmClock,
    /// The box is too hot.
    AlarmTemperature,
    /// A stick with an update is plugged in.
    UpdateOffered,
    /// The update on it is not for this box.
    UpdateRefused,
    /// The update is being installed.
    UpdateInstalling,
    /// The update is installed; the box is to be restarted.
    UpdateInstalled,
    /// The support report is on the stick.
    SupportReport,
    /// Nobody is there.
    Dark,
    /// The PIN is asked for.
    Locked,
}

/// How much of a patient is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Patient {
    /// Name and date.
    Full,
    /// Initials.
    Initials,
    /// Nothing.
    Hidden,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// The upper one.
    Up,
    /// The lower one.
    Down,
    /// The middle one.
    Select,
    /// The middle one, held.
    Back,
    /// The upper one, held.
    Previous,
    /// The lower one, held.
    Next,
}

/// The sizes of the gallery: panels from 3.5 to 10 inches, and one upright.
pub const SIZES: [Size; 5] = [
    Size::new(480, 320),
    Size::new(800, 480),
    Size::new(1024, 600),
    Size::new(1280, 800),
    Size::new(600, 1024),
];

/// Draws and writes.
///
/// # Errors
/// A recorded state that is none, or a file that cannot be written.
pub fn screen(what: &Screen) -> Result<(), Reason> {
    if let Some(folder) = &what.gallery {
        return gallery(what, folder);
    }
    let page = what.page.unwrap_or(Name::Studies);
    let opened = match &what.study {
        Some(folder) => Some(live::open(folder).map_err(|error| unreadable(folder, &error))?),
        None => None,
    };
    let situation = match &what.state {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
            let read: Situation =
                serde_json::from_slice(&bytes).map_err(|error| unreadable(file, &error.into()))?;
            Some(read)
        }
        None => None,
    };
    let mut settings = Settings {
        size: what.size,
        language: what.lang,
        patient: match what.patient {
            Patient::Full => PatientOnScreen::Full,
            Patient::Initials => PatientOnScreen::Initials,
            Patient::Hidden => PatientOnScreen::Hidden,
        },
        ..Settings::default()
    };
    let frame = draw(page, &mut settings, situation, opened, &what.keys);
    let out = what.out.clone().unwrap_or_default();
    std::fs::write(&out, frame.to_png()).map_err(|error| io_failure(&out.display().to_string(), &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Reason {
    Reason::new(
        "unreadable",
        Fault::Configuration,
        format!("{}: {error}", path.display()),
    )
}

/// A picture of a page of a recorded or made-up state.
pub fn draw(
    name: Name,
    settings: &mut Settings,
    recorded: Option<Situation>,
    opened: Option<Opened>,
    keys: &[Key],
) -> Frame {
    page(name, settings, recorded, opened, keys).draw()
}

/// The same before it is drawn.
pub(crate) fn page(
    page: Name,
    settings: &mut Settings,
    recorded: Option<Situation>,
    opened: Option<Opened>,
    keys: &[Key],
) -> Page {
    let mut situation = recorded.unwrap_or_else(|| match page {
        Name::Waiting => examples::idle(),
        Name::AlarmDisk => examples::alarmed(Alarm::Disk),
        Name::AlarmClock => examples::alarmed(Alarm::Clock),
        Name::AlarmTemperature => examples::alarmed(Alarm::Temperature),
        Name::UpdateOffered => examples::with_stick(None, None),
        Name::UpdateRefused => examples::with_wrong_stick(),
        Name::UpdateInstalling => {
            examples::with_stick(Some(Installation::Running("0.3.0".to_owned(), 43)), None)
        }
        Name::UpdateInstalled => examples::with_stick(Some(Installation::Done("0.3.0".to_owned())), None),
        Name::SupportReport => {
            let file = "sialoscope-7F3A-22C1-90DE-2026-11-22.tar.gz".to_owned();
            examples::with_stick(None, Some(SupportReport::Done(file)))
        }
        _ => examples::busy(),
    });
    match page {
        Name::StartUp => situation.phase = Phase::Starting(Start::Studies),
        Name::StartFailed => situation.phase = Phase::Failed(examples::start_failure()),
        Name::Shutdown => situation.phase = Phase::Stopping(Stop::Delivering),
        Name::Locked => settings.pin = Some("2468".to_owned()),
        _ => {}
    }
    settings.idle = Some(Duration::from_secs(60));
    let findings = match page {
        Name::Crowded => examples::crowded(),
        Name::NoTumour => examples::no_tumour(),
        Name::CannotAnswer => examples::cannot_answer(),
        _ => examples::one_tumour(),
    };
    let shelf = opened.unwrap_or_else(|| examples::opened(findings));
    let mut shown = Page::new(settings.clone());
    shown.tell(Arc::new(situation), &shelf);
    let press: &[Action] = match page {
        Name::Result | Name::Crowded | Name::NoTumour | Name::CannotAnswer => &[Action::Select],
        // Past slice, series, zoom (two steps closer), brightness and contrast to the heat map, and on.
        Name::HeatMap => &[
            Action::Select,
            Action::Select,
            Action::Select,
            Action::Up,
            Action::Up,
            Action::Select,
            Action::Select,
            Action::Select,
            Action::Down,
        ],
        Name::Details => &[Action::Select; 7],
        Name::Station => &[Action::NextPage],
        // Somebody is at work, so that it does not come up by itself.
        Name::Unseen => &[Action::Down],
        _ => &[],
    };
    for action in press {
        shown.act(*action, &shelf);
    }
    if page == Name::Unseen {
        let mut news = examples::busy();
        news.studies[3].answers += 1;
        shown.tell(Arc::new(news), &shelf);
    }
    match page {
        Name::Dark => shown.rest(),
        Name::Locked => {
            shown.rest();
            for action in [Action::Select, Action::Digit(2), Action::Digit(4)] {
                shown.act(action, &shelf);
            }
        }
        _ => {}
    }
    for key in keys {
        let action = match key {
            Key::Up => Action::Up,
            Key::Down => Action::Down,
            Key::Select => Action::Select,
            Key::Back => Action::Back,
            Key::Previous => Action::PreviousPage,
            Key::Next => Action::NextPage,
        };
        shown.act(action, &shelf);
    }
    shown
}

/// Every page in one size and language, and the result in every other; or really everything.
fn gallery(what: &Screen, folder: &Path) -> Result<(), Reason> {
    let failed = |error: std::io::Error| io_failure(&folder.display().to_string(), &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let opened = match &what.study {
        Some(study) => Some(live::open(study).map_err(|error| unreadable(study, &error))?),
        None => None,
    };
    let mut index = String::from(
        "# The pages of the screen\n\nMade-up patients. Research use only, not for diagnosis.\n\n\
         Made by `sialoscope screen --gallery FOLDER`.\n",
    );
    for language in Language::ALL {
        for size in SIZES {
            let is_chosen = language == what.lang && size == what.size;
            let shown: Vec<Name> = if what.everything || is_chosen {
                Name::value_variants().to_vec()
            } else if language == what.lang || size == what.size {
                vec![Name::Result]
            } else {
                continue;
            };
            index += &format!("\n## {} · {} × {}\n", language.code(), size.width, size.height);
            for name in shown {
                let mut settings = Settings {
                    size,
                    language,
                    ..Settings::default()
                };
                let frame = draw(name, &mut settings, None, opened.clone(), &[]);
                let value = name.to_possible_value();
                let page = value.as_ref().map_or("", |value| value.get_name());
                let file = format!("{page}-{}x{}-{}.png", size.width, size.height, language.code());
                std::fs::write(folder.join(&file), frame.to_png()).map_err(failed)?;
                index += &format!("\n{page}\n\n![{page}]({file})\n");
            }
        }
    }
    std::fs::write(folder.join("README.md"), index).map_err(failed)?;
    print(&folder.join("README.md").display().to_string());
    Ok(())
}

fn size(text: &str) -> Result<Size, String> {
    let parts = text
        .split_once('x')
        .ok_or("a size is WIDTHxHEIGHT, for example 1024x600")?;
    let side = |text: &str| match text.parse() {
        Ok(side @ 240..=4096) => Ok(side),
        _ => Err(format!("{text} is not between 240 and 4096 pixels")),
    };
    Ok(Size::new(side(parts.0)?, side(parts.1)?))
}

fn language(text: &str) -> Result<Language, String> {
    Language::from_code(text).ok_or_else(|| format!("{text} is not one of en, zh, tr, es, de, fr"))
}
