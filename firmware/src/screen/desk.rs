//! What is on the screen, and what people's hands change about it. No input, output or clock: situation,
//! actions and time in, a picture out.
//!
//! Three buttons, a keyboard and a finger do the same things. Up and down change what the page is about, select
//! goes on, back goes back; a finger goes straight there.

use std::sync::Arc;
use std::time::Duration;

use board::Frame;
use board::input::{Action, Touch, TouchKind};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use heapless::Vec;

use super::asking::Asking;
use super::look::Look;
use super::maintenance::Wish;
use super::open_study::OpenStudy;
use super::pages::list::Reading;
use super::pages::{self, Footer, rest::PIN_DIGITS, rest::Typed};
use super::paint::{Kit, MAX_TARGETS, Painter, Tab, Target, Tool};
use super::sheets::Section;
use super::sheets::list::ListSheet;
use super::sheets::question::{Answer, Question};
use super::sheets::station;
use super::sheets::study::{ReasonCard, StudySheet};
use super::situation::{Alarm, Opened, Phase, Settings, Situation, State, Study};
use super::style::{Arrangement, Style};
use crate::limits::{PIN_PAUSE, PIN_TRIES};

/// A finger that moved less is a touch, more is a drag; in parts of the grid.
const DRAG_UNITS: u32 = 2;

/// A finger goes this far from one slice to the next, in parts of the grid.
const SLICE_UNITS: u32 = 2;

/// So long after a touch a new result does not take the screen.
const BUSY: Duration = Duration::from_secs(20);

/// The same where somebody reads a result: nobody must find another patient on the page he looks back to.
const READING: Duration = Duration::from_secs(180);

/// Who brings a study that is to be looked at.
pub trait Shelf: Send {
    /// Findings and pictures of a study; none where there are none, or they cannot be read.
    fn open(&self, study: &str) -> Option<Opened>;
}

/// A study alone is a shelf that has it under every name.
impl Shelf for Opened {
    fn open(&self, _: &str) -> Option<Opened> {
        Some(self.clone())
    }
}

/// The screen's state.
pub(super) struct Desk {
    settings: Settings,
    style: Style,
    situation: Arc<Situation>,
    list: ListSheet,
    station: std::vec::Vec<Section>,
    tab: Tab,
    /// The study that the list has reached.
    selected: Option<String>,
    scroll: usize,
    study: Option<OpenStudy>,
    /// What was not yet said to be understood.
    alarms: Vec<Alarm, 4>,
    asking: Asking,
    /// What there is to ask, whether it is on the screen or not.
    question: Option<Question>,
    rest: Rest,
    last_touch: Duration,
    /// Until then a new result does not take the screen.
    busy_until: Duration,
    wrong_pins: u32,
    pin_not_before: Duration,
    finger: Option<Finger>,
    targets: Vec<(Rectangle, Target), MAX_TARGETS>,
    /// How far the page on the screen can be scrolled.
    scroll_end: usize,
    /// Answers that are known, to see new ones: study and how many.
    answers: std::vec::Vec<(String, u32)>,
    /// Studies whose newest answer nobody has opened.
    unseen: std::vec::Vec<String>,
    /// The study that was asked for last has nothing to be opened.
    nothing_yet: bool,
    /// Why the box could not start.
    failure: Option<ReasonCard>,
    kit: Kit,
}

/// Whether anybody is there.
#[derive(Debug, Clone, PartialEq)]
enum Rest {
    Awake,
    /// So many new results since.
    Dark(u64),
    /// The same, while the PIN is asked for.
    Locked(Typed, u64),
}

/// A finger on the screen.
struct Finger {
    target: Option<Target>,
    /// The study in the row that it came down on: rows move.
    row: Option<String>,
    start: Point,
    /// Where the last step of a drag was made.
    at: Point,
    is_drag: bool,
}

impl Desk {
    pub(super) fn new(settings: Settings) -> Self {
        let words = settings.language.words();
        let situation = Situation::default();
        Self {
            style: Style::for_size(settings.size),
            list: ListSheet::new(&situation, words, settings.patient),
            station: station::sections(&situation, words),
            settings,
            situation: Arc::new(situation),
            tab: Tab::Studies,
            selected: None,
            scroll: 0,
            study: None,
            alarms: Vec::new(),
            asking: Asking::default(),
            question: None,
            rest: Rest::Awake,
            last_touch: Duration::ZERO,
            busy_until: Duration::ZERO,
            wrong_pins: 0,
            pin_not_before: Duration::ZERO,
            finger: None,
            targets: Vec::new(),
            scroll_end: 0,
            answers: std::vec::Vec::new(),
            unseen: std::vec::Vec::new(),
            nothing_yet: false,
            failure: None,
            kit: Kit::new(),
        }
    }

    /// The appliance has news. A study that is no longer there leaves the screen at once.
    pub(super) fn tell(&mut self, situation: Arc<Situation>, shelf: &dyn Shelf, now: Duration) {
        let words = self.settings.language.words();
        self.list = ListSheet::new(&situation, words, self.settings.patient);
        self.station = station::sections(&situation, words);
        let new_alarms = situation
            .alarms
            .iter()
            .filter(|alarm| !self.situation.alarms.contains(alarm));
        for alarm in new_alarms {
            // An alarm of each kind finds room.
            let _ = self.alarms.push(*alarm);
        }
        self.alarms.retain(|alarm| situation.alarms.contains(alarm));
        let news = self.news(&situation);
        self.failure = match &situation.phase {
            Phase::Failed(reason) => Some(ReasonCard::new(reason, words)),
            _ => None,
        };
        let asks = self.asking.tell(&situation.maintenance);
        self.situation = situation;
        self.ask_anew();
        self.close_what_is_gone(shelf);
        let studies = &self.situation.studies;
        self.unseen
            .retain(|unseen| studies.iter().any(|study| study.uid == *unseen));
        for study in news {
            if !self.unseen.contains(&study) {
                self.unseen.push(study.clone());
            }
            match &mut self.rest {
                Rest::Locked(_, new_results) => *new_results += 1,
                Rest::Dark(new_results) if self.settings.pin.is_some() => *new_results += 1,
                _ if now < self.busy_until => {}
                Rest::Awake | Rest::Dark(_) => {
                    self.open(&study, shelf);
                    // Who comes now has the whole time to look.
                    self.rest = Rest::Awake;
                    self.last_touch = now;
                }
            }
        }
        // Whoever plugs in a stick stands before the screen.
        let may_wake =
            self.rest == Rest::Awake || (matches!(self.rest, Rest::Dark(_)) && self.settings.pin.is_none());
        if asks && self.question.is_some() && may_wake && now >= self.busy_until {
            self.rest = Rest::Awake;
            self.last_touch = now;
            self.asking.open();
        }
    }

    /// What there is to ask may have changed.
    fn ask_anew(&mut self) {
        let words = self.settings.language.words();
        let version = &self.situation.station.software_version;
        self.question = self.asking.question(version, words);
        if self.question.is_none() {
            self.asking.close();
        }
    }

    /// What somebody wants of the system under the box, once.
    pub(super) fn take_wish(&mut self) -> Option<Wish> {
        self.asking.take_wish()
    }

    /// Studies with an answer that was not there before.
    fn news(&mut self, situation: &Situation) -> std::vec::Vec<String> {
        let answered = |study: &&Study| matches!(study.state, State::Answered(_) | State::Failed(_));
        let now: std::vec::Vec<_> = situation
            .studies
            .iter()
            .filter(answered)
            .map(|study| (study.uid.clone(), study.answers))
            .collect();
        // What was there when the box began to work is no news.
        let begins =
            self.situation.phase != Phase::Running || self.situation.station.software_version.is_empty();
        let news = now.iter().filter(|one| !begins && !self.answers.contains(one));
        let news = news.map(|(uid, _)| uid.clone()).rev().collect();
        self.answers = now;
        news
    }

    fn close_what_is_gone(&mut self, shelf: &dyn Shelf) {
        let Some(open) = &self.study else { return };
        let known = self.situation.studies.iter().find(|study| study.uid == open.uid);
        match known {
            None => {
                self.study = None;
                if self.tab == Tab::Result {
                    self.tab = Tab::Studies;
                }
            }
            Some(study) if (study.answers, study.pictures) != open.version => {
                let (uid, tab) = (study.uid.clone(), self.tab);
                // Two studies at once would be twice the pictures.
                let before = self.study.take().map(|open| (open.look, open.opened.findings));
                self.open(&uid, shelf);
                self.tab = if self.study.is_some() { tab } else { Tab::Studies };
                // The other slices have arrived: who looks already goes on looking.
                if let (Some((look, findings)), Some(open)) = (before, &mut self.study)
                    && findings == open.opened.findings
                {
                    let (slice, centre) = (open.look.slice, open.look.centre);
                    open.look = Look {
                        slice,
                        centre,
                        ..look
                    };
                }
            }
            Some(_) => {}
        }
    }

    /// Shows a study; where it cannot be opened, the list.
    pub(super) fn open(&mut self, uid: &str, shelf: &dyn Shelf) {
        self.study = None;
        self.tab = Tab::Studies;
        self.selected = Some(uid.to_owned());
        self.nothing_yet = false;
        let Some(known) = self.situation.studies.iter().find(|study| study.uid == uid) else {
            return;
        };
        let Some(mut opened) = shelf.open(uid) else { return };
        if !opened.pictures.is_sound() {
            opened.pictures = Default::default();
        }
        let words = self.settings.language.words();
        let sheet = StudySheet::new(&opened.findings, &opened.pictures, words, self.settings.patient);
        let look = Look::new(&opened.pictures, None);
        let mut open = OpenStudy {
            uid: uid.to_owned(),
            version: (known.answers, known.pictures),
            opened,
            sheet,
            look,
        };
        if self.style.arrangement == Arrangement::Compact {
            open.look.series = Some(open.first_series());
        }
        if open.opened.pictures.contrasts.is_empty() && matches!(open.sheet, StudySheet::Result(_)) {
            open.look.tool = Tool::Details;
        }
        self.study = Some(open);
        self.tab = Tab::Result;
        self.unseen.retain(|unseen| unseen != uid);
    }

    /// Somebody wants to see a study.
    fn ask(&mut self, uid: &str, shelf: &dyn Shelf) {
        self.open(uid, shelf);
        self.nothing_yet = self.study.is_none();
    }

    pub(super) fn size(&self) -> Size {
        self.settings.size
    }

    /// The study that is open.
    #[cfg(test)]
    pub(super) fn opened(&self) -> Option<&str> {
        self.study.as_ref().map(|open| open.uid.as_str())
    }

    #[cfg(test)]
    pub(super) fn kit(&mut self) -> &mut Kit {
        &mut self.kit
    }

    /// The display has another size.
    pub(super) fn resize(&mut self, size: Size) {
        self.settings.size = size;
        self.style = Style::for_size(size);
        self.finger = None;
        self.targets.clear();
        if let Some(open) = &mut self.study {
            let series = open.first_series();
            open.look.series = (self.style.arrangement == Arrangement::Compact).then_some(series);
        }
    }

    /// When the picture changes without anybody's doing; none where it does not.
    pub(super) fn due(&self) -> Option<Duration> {
        match (&self.rest, self.settings.idle) {
            (Rest::Awake | Rest::Locked(..), Some(idle)) if self.situation.phase == Phase::Running => {
                Some(self.last_touch + idle)
            }
            _ => None,
        }
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.due().is_some_and(|due| now >= due) {
            let new_results = match self.rest {
                Rest::Locked(_, new_results) => new_results,
                Rest::Awake | Rest::Dark(_) => 0,
            };
            self.rest = Rest::Dark(new_results);
            self.asking.close();
            self.ask_anew();
            self.forget_touches();
            if self.settings.pin.is_some() {
                self.tab = Tab::Studies;
                self.study = None;
            }
        }
    }

    /// What is under a finger is no longer what was drawn.
    fn forget_touches(&mut self) {
        self.finger = None;
        self.targets.clear();
    }

    /// Somebody does something.
    pub(super) fn act(&mut self, action: Action, shelf: &dyn Shelf, now: Duration) {
        self.last_touch = now;
        self.nothing_yet = false;
        if self.situation.phase != Phase::Running {
            return;
        }
        if !self.alarms.is_empty() {
            return self.understand(action, shelf);
        }
        if let Rest::Dark(new_results) = self.rest {
            // The first touch only wakes, whatever it hits.
            if !matches!(
                action,
                Action::Touch(Touch {
                    kind: TouchKind::Moved | TouchKind::Up,
                    ..
                })
            ) {
                self.rest = match self.settings.pin {
                    Some(_) => Rest::Locked(Typed::default(), new_results),
                    None => Rest::Awake,
                };
                self.forget_touches();
            }
            return;
        }
        if let Rest::Locked(..) = self.rest {
            return match action {
                Action::Touch(touch) => self.touch(touch, shelf),
                _ => self.unlock(action),
            };
        }
        if self.asking.is_open() {
            self.reply(action, shelf);
            // Whoever answers waits for what comes of it.
            self.busy_until = now;
            return;
        }
        self.work(action, shelf);
        let reads = self.tab == Tab::Result;
        self.busy_until = now + if reads { READING } else { BUSY };
    }

    /// What hands do while somebody is there.
    fn work(&mut self, action: Action, shelf: &dyn Shelf) {
        match action {
            Action::PreviousPage => self.turn(-1),
            Action::NextPage => self.turn(1),
            Action::Back => self.back(),
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::Select => self.select(shelf),
            Action::Touch(touch) => self.touch(touch, shelf),
            Action::Digit(_) => {}
        }
    }

    /// While there is an alarm, all that can be done is to understand it.
    fn understand(&mut self, action: Action, shelf: &dyn Shelf) {
        match action {
            Action::Select | Action::Back => drop(self.alarms.pop()),
            Action::Touch(touch) => self.touch(touch, shelf),
            _ => {}
        }
    }

    /// While there is a question, hands answer it.
    fn reply(&mut self, action: Action, shelf: &dyn Shelf) {
        let Some(question) = &self.question else { return };
        match action {
            Action::Up | Action::PreviousPage => self.asking.step(-1, question),
            Action::Down | Action::NextPage => self.asking.step(1, question),
            Action::Select => self.answer(self.asking.chosen()),
            Action::Back => self.answer(Answer::Close),
            Action::Touch(touch) => self.touch(touch, shelf),
            Action::Digit(_) => {}
        }
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(question) = &self.question {
            self.asking.answer(answer, question);
        }
        self.forget_touches();
        self.ask_anew();
    }

    /// Around the pages that there are.
    fn turn(&mut self, by: isize) {
        let tabs: &[Tab] = match self.study {
            Some(_) => &[Tab::Studies, Tab::Result, Tab::Station],
            None => &[Tab::Studies, Tab::Station],
        };
        let at = tabs.iter().position(|tab| *tab == self.tab).unwrap_or(0) as isize;
        self.go(tabs[(at + by).rem_euclid(tabs.len() as isize) as usize]);
    }

    fn go(&mut self, tab: Tab) {
        if tab != Tab::Result || self.study.is_some() {
            self.forget_touches();
            self.tab = tab;
            self.scroll = 0;
        }
    }

    fn back(&mut self) {
        match (&mut self.study, self.tab) {
            (Some(open), Tab::Result)
                if open.look.tool == Tool::Details && !open.opened.pictures.contrasts.is_empty() =>
            {
                open.look.tool = Tool::Slice;
                open.look.scroll = 0;
            }
            _ => self.go(Tab::Studies),
        }
    }

    fn selected_row(&self) -> usize {
        let at = self
            .list
            .rows
            .iter()
            .position(|row| Some(&row.uid) == self.selected.as_ref());
        at.unwrap_or(0)
    }

    fn step(&mut self, by: isize) {
        let scroll_end = self.scroll_end;
        match (self.tab, &mut self.study) {
            (Tab::Studies, _) => {
                let row = self.selected_row().saturating_add_signed(by);
                let row = row.min(self.list.rows.len().saturating_sub(1));
                self.selected = self.list.rows.get(row).map(|row| row.uid.clone());
            }
            (Tab::Station, _) => self.scroll = self.scroll.saturating_add_signed(by).min(scroll_end),
            (Tab::Result, Some(open)) => open.step(by, scroll_end),
            (Tab::Result, None) => {}
        }
    }

    fn select(&mut self, shelf: &dyn Shelf) {
        match (self.tab, &mut self.study) {
            (Tab::Studies, _) => {
                if let Some(row) = self.list.rows.get(self.selected_row()) {
                    let uid = row.uid.clone();
                    self.ask(&uid, shelf);
                }
            }
            (Tab::Result, Some(open)) => open.next_tool(),
            (Tab::Result, None) => {}
            (Tab::Station, _) if self.question.is_some() => {
                self.forget_touches();
                self.asking.open();
            }
            (Tab::Station, _) => self.go(Tab::Studies),
        }
    }

    /// Keys while locked: up and down go over the digits, select types.
    fn unlock(&mut self, action: Action) {
        let Rest::Locked(typed, _) = &mut self.rest else {
            return;
        };
        match action {
            Action::Up => typed.key = (typed.key + 10) % 11,
            Action::Down => typed.key = (typed.key + 1) % 11,
            Action::Select if typed.key < 10 => {
                let digit = typed.key;
                self.type_digit(digit);
            }
            Action::Digit(digit) => self.type_digit(digit),
            Action::Select | Action::Back => drop(typed.digits.pop()),
            Action::PreviousPage | Action::NextPage | Action::Touch(_) => {}
        }
    }

    /// How many digits the PIN has.
    fn pin_digits(&self) -> usize {
        self.settings
            .pin
            .as_ref()
            .map_or(0, |pin| pin.len().min(PIN_DIGITS))
    }

    fn type_digit(&mut self, digit: u8) {
        let length = self.pin_digits();
        let (Rest::Locked(typed, _), Some(pin)) = (&mut self.rest, &self.settings.pin) else {
            return;
        };
        // Whoever tries all of them needs days.
        if self.last_touch < self.pin_not_before {
            return;
        }
        let _ = typed.digits.push(digit.min(9));
        if typed.digits.len() == length {
            // Every digit is compared, so that the time tells nothing.
            let differ = pin
                .bytes()
                .zip(&typed.digits)
                .fold(0, |all, (want, have)| all | (want ^ (b'0' + have)));
            if differ == 0 {
                self.rest = Rest::Awake;
                self.wrong_pins = 0;
                self.forget_touches();
            } else {
                typed.digits.clear();
                typed.wrong = true;
                self.wrong_pins += 1;
                if self.wrong_pins >= PIN_TRIES {
                    self.pin_not_before = self.last_touch + PIN_PAUSE;
                }
            }
        }
    }

    fn touch(&mut self, touch: Touch, shelf: &dyn Shelf) {
        match touch.kind {
            TouchKind::Down => {
                let hit = self
                    .targets
                    .iter()
                    .rev()
                    .find(|(area, _)| area.contains(touch.at));
                let target = hit.map(|(_, target)| *target);
                let row = match target {
                    Some(Target::Row(row)) => self.list.rows.get(row).map(|row| row.uid.clone()),
                    _ => None,
                };
                self.finger = Some(Finger {
                    target,
                    row,
                    start: touch.at,
                    at: touch.at,
                    is_drag: false,
                });
                if target == Some(Target::Strip) {
                    self.seek(touch.at);
                }
            }
            TouchKind::Moved => self.drag(touch.at),
            TouchKind::Up => {
                let finger = self.finger.take();
                if let Some(Finger {
                    target: Some(target),
                    row,
                    is_drag: false,
                    ..
                }) = finger
                {
                    match row {
                        Some(uid) => self.ask(&uid, shelf),
                        None => self.hit(target, touch.at, shelf),
                    }
                }
            }
        }
    }

    fn drag(&mut self, at: Point) {
        let unit = self.style.unit as i32;
        let Some(finger) = &mut self.finger else { return };
        let far = (at - finger.start).abs();
        finger.is_drag |= far.x.max(far.y) > unit * DRAG_UNITS as i32;
        let (target, from) = (finger.target, finger.at);
        let step = unit * SLICE_UNITS as i32;
        let steps = (at.y - from.y) / step;
        match target {
            Some(Target::Strip) => self.seek(at),
            Some(Target::Picture) => self.drag_picture(at, from),
            Some(Target::Scroll | Target::Row(_)) if finger.is_drag && steps != 0 => {
                finger.at.y += steps * step;
                // What is under the finger goes with it.
                for _ in 0..steps.abs() {
                    self.step(-steps.signum() as isize);
                }
            }
            _ => {}
        }
    }

    /// What dragging a picture does depends on the tool.
    fn drag_picture(&mut self, at: Point, from: Point) {
        let unit = self.style.unit as i32;
        let side = self.targets.iter().find(|(_, target)| *target == Target::Picture);
        let side = side.map_or(1, |(area, _)| area.size.width).max(1);
        let (Some(open), Some(finger)) = (&mut self.study, &mut self.finger) else {
            return;
        };
        if !finger.is_drag {
            return;
        }
        let by = at - from;
        let pictures = &open.opened.pictures;
        match open.look.tool {
            Tool::Zoom if open.look.zoom() > 1.0 => {
                let scale = pictures.width as f32 / side as f32 / open.look.zoom();
                open.look
                    .shift([by.x as f32 * scale, by.y as f32 * scale], pictures);
                finger.at = at;
            }
            Tool::Brightness | Tool::Contrast => {
                let (across, down) = (by.x / (unit * 3), by.y / (unit * 3));
                open.look.step_contrast(across as i8);
                open.look.step_brightness(-down as i8);
                finger.at += Point::new(across * unit * 3, down * unit * 3);
            }
            _ => {
                let steps = by.y / (unit * SLICE_UNITS as i32);
                open.look.step_slice(steps as isize, pictures);
                finger.at.y += steps * unit * SLICE_UNITS as i32;
            }
        }
    }

    /// To the slice under the finger.
    fn seek(&mut self, at: Point) {
        let strip = self.targets.iter().find(|(_, target)| *target == Target::Strip);
        let (Some((area, _)), Some(open)) = (strip, &mut self.study) else {
            return;
        };
        let across = (at.x - area.top_left.x).clamp(0, area.size.width.saturating_sub(1) as i32) as usize;
        let slices = open.opened.pictures.slices;
        open.look.slice = (across * slices / area.size.width.max(1) as usize).min(slices.saturating_sub(1));
    }

    fn hit(&mut self, target: Target, at: Point, shelf: &dyn Shelf) {
        match target {
            Target::Select if !self.alarms.is_empty() => drop(self.alarms.pop()),
            // Nothing behind an alarm or a lock is touched.
            _ if !self.alarms.is_empty() => {}
            Target::Digit(digit) => self.type_digit(digit),
            Target::Erase => {
                if let Rest::Locked(typed, _) = &mut self.rest {
                    typed.digits.pop();
                }
            }
            _ if matches!(self.rest, Rest::Locked(..)) => {}
            Target::Answer(answer) => self.answer(answer),
            Target::Tab(tab) => {
                self.go(tab);
            }
            Target::Tool(tool) => {
                if let Some(open) = &mut self.study {
                    open.take(tool);
                }
            }
            Target::Picture => {
                let pictures = self
                    .targets
                    .iter()
                    .filter(|(_, target)| *target == Target::Picture);
                let which = pictures.clone().position(|(area, _)| area.contains(at));
                let single = self.style.arrangement == Arrangement::Compact;
                if let (Some(open), Some(which), false) = (&mut self.study, which, single) {
                    open.look.series = match open.look.series {
                        Some(_) => None,
                        None => open.has_picture(which).then_some(which),
                    };
                }
            }
            Target::Strip | Target::Scroll | Target::Row(_) => {}
            Target::Select => self.select(shelf),
        }
    }

    /// Draws what is on the screen now.
    pub(super) fn draw(&mut self, frame: &mut Frame) {
        let (selected, pin_digits) = (self.selected_row(), self.pin_digits());
        self.targets.clear();
        let mut painter = Painter {
            frame,
            kit: &mut self.kit,
            style: self.style,
            words: self.settings.language.words(),
            interactive: true,
            targets: &mut self.targets,
        };
        let situation = &self.situation;
        self.scroll_end = 0;
        if situation.phase != Phase::Running {
            let version = &situation.station.software_version;
            pages::start::draw(&mut painter, &situation.phase, self.failure.as_ref(), version);
            return;
        }
        if let Some(alarm) = self.alarms.last() {
            return pages::alarm::draw(&mut painter, *alarm, situation, &self.list.provenance);
        }
        match &self.rest {
            Rest::Dark(new_results) => return pages::rest::dark(&mut painter, *new_results),
            Rest::Locked(typed, _) => return pages::rest::locked(&mut painter, typed, pin_digits),
            Rest::Awake => {}
        }
        if let (true, Some(question)) = (self.asking.is_open(), &self.question) {
            let provenance = &self.list.provenance;
            return pages::question::draw(&mut painter, question, self.asking.chosen(), provenance);
        }
        let foot = Footer {
            here: self.tab,
            has_result: self.study.is_some(),
            unseen: self.unseen.len(),
            provenance: &self.list.provenance,
        };
        self.scroll_end = match (self.tab, &self.study) {
            (Tab::Result, Some(open)) => open.draw(&mut painter, foot),
            (Tab::Station, _) => {
                let chip = self.list.chip;
                let title = (chip, self.list.station.as_str(), self.list.where_to.as_str());
                let asks = self.question.as_ref().map(|question| question.title.as_str());
                pages::station(&mut painter, title, asks, (&self.station, self.scroll), foot)
            }
            (Tab::Studies | Tab::Result, _) => {
                let reading = Reading {
                    selected,
                    unseen: &self.unseen,
                    nothing_yet: self.nothing_yet,
                };
                pages::list::draw(&mut painter, &self.list, reading, foot);
                0
            }
        };
    }
}
