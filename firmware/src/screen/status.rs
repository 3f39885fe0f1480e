//! The status page: is the box listening, what is it doing, what did it turn away.

use board::Frame;
use embedded_graphics::{prelude::*, primitives::Rectangle};
use models::findings::NOTICE;

use super::{
    model::Footer,
    parts::{self, Sign},
    style::{AMBER, Cut, GREEN, MUTED, PANEL, RULE, SKY, Style, TEXT, UNIT},
    text::Align,
    words,
};
use crate::station::config::MaySend;

/// What the status page shows. Ages are counted on a monotonic clock, so a wrong date does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusView {
    /// Name of the station, as people call it.
    pub station: String,
    /// The AE title that a scanner sends to.
    pub ae_title: String,
    /// The address and port that a scanner sends to, for example `10.1.2.3:11112`; none while not listening.
    pub address: Option<String>,
    /// Who may send.
    pub may_send: MaySend,
    /// What somebody has to see to before long, for example a certificate that expires.
    pub notices: Vec<String>,
    /// Name and version of the model; none when no valid model is loaded.
    pub model: Option<String>,
    /// What the model was trained on, in words.
    pub trained_on: String,
    /// Version of the appliance software.
    pub software_version: String,
    /// What somebody should see to before it becomes a fault.
    pub warnings: Vec<String>,
    /// The newest first.
    pub studies: Vec<StudyLine>,
    /// What was turned away, the newest first.
    pub refusals: Vec<RefusalLine>,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyLine {
    /// Whose: the person name (0010,0010) as DICOM writes it, or an identifier.
    pub label: String,
    /// What kind of state it is in.
    pub progress: Progress,
    /// The state in words, for example `receiving` or `cannot answer: no T2`.
    pub state: String,
    /// How many images are on disk.
    pub images: usize,
    /// Seconds since the state last changed.
    pub age_s: u64,
}

/// How far a study is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Images are coming in, or the analysis runs.
    Working,
    /// There is a result.
    Done,
    /// There is no result, and the state says why.
    Failed,
}

/// One thing that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalLine {
    /// What and why, without patient data.
    pub text: String,
    /// Seconds since it happened.
    pub age_s: u64,
}

/// Draws the page.
pub(super) fn draw(status: &StatusView, size: Size) -> Frame {
    let style = &Style::for_size(size);
    let (mut frame, mut room) = parts::blank(size);
    header(&mut frame, style, &mut room, status);
    let footer = Footer {
        notice: NOTICE.to_owned(),
        trained_on: match (&status.model, status.trained_on.as_str()) {
            (None, _) => "No valid model is loaded".to_owned(),
            (Some(model), "") => format!("Model {model}"),
            (Some(model), trained_on) => format!("Model {model}, trained on {trained_on}"),
        },
        software: format!("Sialoscope {}", status.software_version),
    };
    parts::footer(&mut frame, style, &mut room, &footer);
    let mut room = room.inset(UNIT * 2, UNIT);
    for notice in status.notices.iter().chain(&status.warnings) {
        warn(&mut frame, style, &mut room, notice);
    }

    // Up to a third for what was turned away, and only as much as it needs.
    if !status.refusals.is_empty() {
        let row = style.body.line_height() + UNIT / 2;
        let head = style.strong.line_height() + UNIT * 3;
        let rows = (status.refusals.len() as u32)
            .min((room.size.height / 3).saturating_sub(head) / row)
            .max(1);
        refusals(
            &mut frame,
            style,
            room.cut_bottom(head + rows * row),
            &status.refusals,
        );
        room.cut_bottom(UNIT);
    }
    if status.studies.is_empty() {
        waiting(&mut frame, style, room, status);
    } else {
        studies(&mut frame, style, room, &status.studies);
    }
    frame
}

/// The bar at the top: who this is, where to send to, whether it is ready.
fn header(frame: &mut Frame, style: &Style, area: &mut Rectangle, status: &StatusView) {
    let bar = area.cut_top(style.header_height);
    let Ok(()) = frame.fill_solid(&bar, PANEL);
    let mut inner = bar.inset(UNIT * 2, UNIT / 2);
    let (word, sign, color) = match (&status.address, &status.model) {
        (None, _) => ("Not listening", Sign::Warning, AMBER),
        _ if status.may_send == MaySend::Nobody => ("Nobody may send", Sign::Warning, AMBER),
        (_, None) => ("No model", Sign::Warning, AMBER),
        _ => ("Ready", Sign::Tick, GREEN),
    };
    parts::chip(frame, style.heading, &mut inner, sign, word, color);
    inner.cut_right(UNIT * 3);

    let mut where_to = inner.cut_right(inner.size.width / 2);
    let upper = style.title.line_height() + UNIT / 4;
    style
        .title
        .draw_in(frame, inner.cut_top(upper), Align::Left, &status.station, TEXT);
    let (remark, color) = match status.may_send {
        MaySend::Everybody => ("Open: anybody on the network may send", AMBER),
        MaySend::Nobody => ("Nobody may send: list peers in the settings", AMBER),
        MaySend::Listed => ("Only configured systems may send", MUTED),
    };
    style.caption.draw_in(frame, inner, Align::Left, remark, color);
    let title = format!("AE title {}", status.ae_title);
    style
        .heading
        .draw_in(frame, where_to.cut_top(upper), Align::Right, &title, TEXT);
    let address = status.address.as_deref().unwrap_or("no address");
    style
        .caption
        .draw_in(frame, where_to, Align::Right, address, MUTED);
}

/// One line with a sign.
fn warn(frame: &mut Frame, style: &Style, area: &mut Rectangle, warning: &str) {
    let mut row = area.cut_top(style.strong.line_height() + UNIT);
    let place = row.cut_left(style.strong.cap_height());
    let sign = Rectangle::with_center(place.center(), Size::new_equal(place.size.width));
    parts::draw_sign(frame, sign, Sign::Warning, AMBER);
    row.cut_left(UNIT);
    style.strong.draw_in(frame, row, Align::Left, warning, AMBER);
}

/// Instead of an empty list: how to fill it.
fn waiting(frame: &mut Frame, style: &Style, area: Rectangle, status: &StatusView) {
    let how = match &status.address {
        Some(_) if status.may_send == MaySend::Nobody => {
            "List each scanner as [[peer]] in the settings, or choose station.open = true.".to_owned()
        }
        Some(address) => format!("Send an MR study to AE title {} at {address}.", status.ae_title),
        None => "This box is not listening on the network yet.".to_owned(),
    };
    let (hero, body) = (style.hero.line_height() + UNIT, style.body.line_height());
    let mut block = Rectangle::with_center(area.center(), Size::new(area.size.width, hero + body));
    style.hero.draw_in(
        frame,
        block.cut_top(hero),
        Align::Centre,
        "Waiting for a study",
        TEXT,
    );
    style
        .body
        .draw_in(frame, block.cut_top(body), Align::Centre, &how, MUTED);
}

fn studies(frame: &mut Frame, style: &Style, area: Rectangle, studies: &[StudyLine]) {
    let mut inner = parts::panel(frame, area);
    let columns = |mut row: Rectangle| {
        let age = row.cut_right(style.body.width("000 min ago"));
        row.cut_right(UNIT * 2);
        let images = row.cut_right(style.strong.width("Images"));
        row.cut_right(UNIT * 2);
        let mut name = row.cut_left(row.size.width * 2 / 5);
        let sign = name.cut_left(style.body.cap_height());
        name.cut_left(UNIT * 3 / 2);
        name.cut_right(UNIT * 2);
        (sign, name, row, images, age)
    };
    let mut head = inner.cut_top(style.strong.line_height() + UNIT / 2);
    let Ok(()) = frame.fill_solid(&head.cut_bottom(1), RULE);
    let (_, name, state, images, age) = columns(head);
    for (place, align, title) in [
        (name, Align::Left, "Study"),
        (state, Align::Left, "State"),
        (images, Align::Right, "Images"),
        (age, Align::Right, "Changed"),
    ] {
        style.caption.draw_in(frame, place, align, title, MUTED);
    }

    let row_height = style.body.line_height() + UNIT;
    let fitting = (inner.size.height / row_height) as usize;
    let shown = if studies.len() > fitting {
        fitting.saturating_sub(1)
    } else {
        studies.len()
    };
    for study in &studies[..shown] {
        let mut row = inner.cut_top(row_height);
        let Ok(()) = frame.fill_solid(&row.cut_bottom(1), RULE);
        let (sign, name, state, images, age) = columns(row);
        let (kind, color) = match study.progress {
            Progress::Working => (Sign::Ring, SKY),
            Progress::Done => (Sign::Tick, GREEN),
            Progress::Failed => (Sign::Warning, AMBER),
        };
        parts::draw_sign(
            frame,
            Rectangle::with_center(sign.center(), Size::new_equal(sign.size.width)),
            kind,
            color,
        );
        style
            .strong
            .draw_in(frame, name, Align::Left, &words::patient_name(&study.label), TEXT);
        style.body.draw_in(frame, state, Align::Left, &study.state, color);
        style
            .body
            .draw_in(frame, images, Align::Right, &study.images.to_string(), TEXT);
        style
            .body
            .draw_in(frame, age, Align::Right, &words::ago(study.age_s), MUTED);
    }
    if studies.len() > shown {
        let more = format!("+{} more", studies.len() - shown);
        style
            .body
            .draw_in(frame, inner.cut_top(row_height), Align::Left, &more, MUTED);
    }
}

fn refusals(frame: &mut Frame, style: &Style, area: Rectangle, refusals: &[RefusalLine]) {
    let mut inner = parts::panel(frame, area);
    parts::section(frame, style, &mut inner, "Turned away", "");
    let row_height = style.body.line_height() + UNIT / 2;
    let fitting = (inner.size.height / row_height) as usize;
    let shown = if refusals.len() > fitting {
        fitting.saturating_sub(1)
    } else {
        refusals.len()
    };
    for refusal in &refusals[..shown] {
        let mut row = inner.cut_top(row_height);
        let age = row.cut_right(style.body.width("000 min ago"));
        row.cut_right(UNIT * 2);
        style.body.draw_in(frame, row, Align::Left, &refusal.text, TEXT);
        style
            .body
            .draw_in(frame, age, Align::Right, &words::ago(refusal.age_s), MUTED);
    }
    if refusals.len() > shown {
        let more = format!("+{} more", refusals.len() - shown);
        style
            .body
            .draw_in(frame, inner.cut_top(row_height), Align::Left, &more, MUTED);
    }
}
