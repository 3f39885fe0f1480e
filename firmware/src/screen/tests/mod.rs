//! The pages as pictures, as words, and under random hands.

#![allow(clippy::unwrap_used)]

mod hands;
mod maintenance;
mod pictures;
mod random;
mod truth;

use std::fs;
use std::path::PathBuf;

use board::input::{Touch, TouchKind};
use clap::ValueEnum as _;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use models::findings::{Fault, LabelProbability, Outcome, Reason};
use proptest::prelude::*;

use super::desk::Desk;
use super::language::Language;
use super::situation::{Alarm, Delivery, PatientOnScreen, Phase, Start, State, Stop, Study, Verdict};
use super::*;
use crate::command::screen::{Name, SIZES, draw as drawn};

const SECOND: Duration = Duration::from_secs(1);

/// A shelf with the same findings for every study, each with its own patient.
struct Each(Opened, Situation);

impl Shelf for Each {
    fn open(&self, study: &str) -> Option<Opened> {
        let study = self.1.studies.iter().find(|known| known.uid == study)?;
        // Nothing is there to be read before there is an answer, and when it was superseded.
        if !matches!(study.state, State::Answered(_) | State::Failed(_)) {
            return None;
        }
        let mut opened = self.0.clone();
        opened.findings.study.patient_name.clone_from(&study.patient_name);
        Some(opened)
    }
}

fn shelf() -> Opened {
    examples::opened(examples::one_tumour())
}

fn page(name: Name, size: Size, language: Language) -> Frame {
    let mut settings = Settings {
        size,
        language,
        ..Settings::default()
    };
    drawn(name, &mut settings, None, None, &[])
}

/// The desk behind a page of the gallery.
fn desk(name: Name, size: Size, language: Language) -> Desk {
    let mut settings = Settings {
        size,
        language,
        ..Settings::default()
    };
    crate::command::screen::page(name, &mut settings, None, None, &[]).into_desk()
}

fn painted(desk: &mut Desk) -> Vec<String> {
    desk.kit().type_.painted.clear();
    let mut frame = Frame::new(desk.size());
    desk.draw(&mut frame);
    std::mem::take(&mut desk.kit().type_.painted)
}
