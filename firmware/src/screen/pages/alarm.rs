//! Something that must be seen to now.

use embedded_graphics::{prelude::*, primitives::Rectangle};

use super::{Footer, footer};
use crate::screen::icons::Icon;
use crate::screen::language::fill;
use crate::screen::paint::{Painter, Tab, Target};
use crate::screen::situation::{Alarm, Situation};
use crate::screen::style::{AMBER, Cut as _, HALO, TEXT};
use crate::screen::text::Align;
use crate::screen::words::gigabytes;

/// Draws the page.
pub(in crate::screen) fn draw(
    painter: &mut Painter<'_>,
    alarm: Alarm,
    situation: &Situation,
    provenance: &str,
) {
    let (style, words) = (painter.style, painter.words);
    let mut page = painter.blank();
    // Where one could go would be behind the alarm.
    painter.interactive = false;
    let foot = Footer {
        unseen: 0,
        here: Tab::Station,
        has_result: false,
        provenance,
    };
    footer(painter, &mut page, foot);
    let station = &situation.station;
    let (icon, title, meaning) = match alarm {
        Alarm::Disk => {
            let gb = |mib: Option<u64>| mib.map_or_else(|| "?".to_owned(), gigabytes);
            let free = gb(station.disk.map(|disk| disk.free_mib));
            let below = gb(station.disk.map(|disk| disk.refused_below_mib));
            let meaning = fill(words.alarm_disk_meaning, &[("free", &free), ("below", &below)]);
            (Icon::Disk, words.alarm_disk, meaning)
        }
        Alarm::Clock => (
            Icon::Clock,
            words.alarm_clock,
            fill(words.alarm_clock_meaning, &[]),
        ),
        Alarm::Temperature => {
            let now = station
                .temperature_c
                .map_or_else(|| "?".to_owned(), |celsius| format!("{celsius:.0}"));
            let meaning = fill(words.alarm_temperature_meaning, &[("now", &now)]);
            (Icon::Temperature, words.alarm_temperature, meaning)
        }
    };
    let side = style.hero.line_height() * 3 / 2;
    let button = style.touch;
    let width = page.size.width * 4 / 5;
    let text = painter.height(width, 6, style.body, &meaning);
    let height = side + style.hero.line_height() + text + button + style.unit * 5;
    let mut block = Rectangle::with_center(page.center(), Size::new(width, height.min(page.size.height)));
    painter.icon(block.cut_top(side), icon, side, AMBER);
    block.cut_top(style.unit);
    painter.line(
        block.cut_top(style.hero.line_height()),
        Align::Centre,
        style.hero,
        title,
        AMBER,
    );
    block.cut_top(style.unit);
    painter.centred(&mut block, 6, style.body, &meaning, TEXT);
    block.cut_top(style.unit * 2);
    let wide = painter.width(style.heading, words.understood) + style.unit * 8;
    let place = block.cut_top(button);
    let place = Rectangle::with_center(place.center(), Size::new(wide, button));
    painter.round(place, style.unit, AMBER);
    painter.line(place, Align::Centre, style.heading, words.understood, HALO);
    painter.touchable(place, Target::Select);
}
