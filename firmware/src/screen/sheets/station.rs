//! What the page about the box says.

use super::study::in_detail;
use super::{Entry, Mark, Section};
use crate::screen::icons::Icon;
use crate::screen::language::{Words, fill};
use crate::screen::situation::{Alarm, SelfTest, Situation};
use crate::screen::words::gigabytes;
use crate::station::config::MaySend;

/// Things that were turned away, on this page.
const REFUSALS: usize = 8;

/// All sections, in their order.
pub(in crate::screen) fn sections(situation: &Situation, words: &Words) -> Vec<Section> {
    let mut sections = Vec::new();
    let station = &situation.station;
    if !station.notices.is_empty() {
        let entries = station.notices.iter().map(|notice| {
            Entry::new(&notice.about, in_detail(&notice.reason, words)).marked(Mark::Attention)
        });
        sections.push(Section::new(Icon::Warning, words.notices, entries.collect()));
    }
    sections.extend([network(situation, words)]);
    if !station.senders.is_empty() {
        sections.push(senders(situation, words));
    }
    sections.extend([
        destinations(situation, words),
        storage(situation, words),
        health(situation, words),
        certificates(situation, words),
        versions(situation, words),
        updates(situation, words),
    ]);
    if !situation.refusals.is_empty() {
        let entries = situation.refusals.iter().take(REFUSALS).map(|refused| {
            let text = words.plain(&refused.reason).unwrap_or(&refused.reason.text);
            Entry::new(&refused.peer, format!("{text} ({})", words.ago(refused.age_s)))
        });
        sections.push(Section::new(Icon::Cross, words.turned_away, entries.collect()));
    }
    sections
}

fn network(situation: &Situation, words: &Words) -> Section {
    let station = &situation.station;
    let mut entries = vec![Entry::new(words.ae_title, &station.ae_title)];
    match &station.address {
        Some(address) => entries.push(Entry::new(words.address, address)),
        None if station.tls_address.is_none() => {
            entries.push(Entry::new(words.address, words.not_listening).marked(Mark::Attention));
        }
        None => {}
    }
    if let Some(address) = &station.tls_address {
        entries.push(Entry::new(words.encrypted, address));
    }
    let (who, mark) = match station.may_send {
        MaySend::Everybody => (words.everybody, Mark::Attention),
        MaySend::Listed => (words.listed, Mark::Good),
        MaySend::Nobody => (words.nobody, Mark::Attention),
    };
    entries.push(Entry::new(words.may_send, who).marked(mark));
    Section::new(Icon::Network, words.network, entries)
}

fn senders(situation: &Situation, words: &Words) -> Section {
    let entries = situation.station.senders.iter().map(|sender| {
        let heard = sender.heard_s.map(|heard| words.ago(heard));
        let heard = heard.as_deref().unwrap_or(words.not_heard);
        let said = match &sender.address {
            Some(address) => format!("{address} · {heard}"),
            None => heard.to_owned(),
        };
        let mark = match sender.heard_s {
            Some(_) => Mark::Good,
            None => Mark::Plain,
        };
        Entry::new(&sender.ae_title, said).marked(mark)
    });
    Section::new(Icon::Incoming, words.senders, entries.collect())
}

fn destinations(situation: &Situation, words: &Words) -> Section {
    let mut entries = Vec::new();
    for destination in &situation.station.destinations {
        let queue = match destination.waiting {
            0 => words.nothing_waits.to_owned(),
            n => fill(words.waiting, &[("n", &n)]).to_string(),
        };
        match &destination.trouble {
            None => entries.push(Entry::new(&destination.name, queue).marked(Mark::Good)),
            Some(trouble) => {
                entries.push(Entry::new(&destination.name, queue).marked(Mark::Attention));
                entries.push(Entry::sentence(in_detail(trouble, words)).marked(Mark::Attention));
            }
        }
    }
    if entries.is_empty() {
        entries.push(Entry::sentence(words.no_destination));
    }
    Section::new(Icon::Sent, words.destinations, entries)
}

fn storage(situation: &Situation, words: &Words) -> Section {
    let entries = match situation.station.disk {
        None => vec![Entry::sentence(words.unknown)],
        Some(disk) => {
            let (free, of) = (gigabytes(disk.free_mib), gigabytes(disk.total_mib));
            let short = situation.alarms.contains(&Alarm::Disk);
            let mark = if short { Mark::Attention } else { Mark::Good };
            vec![
                Entry::sentence(fill(words.free_of, &[("free", &free), ("of", &of)]).as_str()).marked(mark),
                Entry::sentence(
                    fill(words.refused_below, &[("n", &gigabytes(disk.refused_below_mib))]).as_str(),
                ),
            ]
        }
    };
    Section::new(Icon::Disk, words.storage, entries)
}

fn health(situation: &Situation, words: &Words) -> Section {
    let station = &situation.station;
    let temperature = match station.temperature_c {
        Some(celsius) => {
            let hot = situation.alarms.contains(&Alarm::Temperature);
            let mark = if hot { Mark::Attention } else { Mark::Good };
            Entry::new(words.temperature, format!("{celsius:.0} °C")).marked(mark)
        }
        None => Entry::new(words.temperature, words.unknown),
    };
    let clock = match &station.clock {
        Some(clock) => {
            let mark = if clock.plausible {
                Mark::Good
            } else {
                Mark::Attention
            };
            Entry::new(words.clock, &clock.time).marked(mark)
        }
        None => Entry::new(words.clock, words.unknown),
    };
    let mut entries = vec![temperature, clock];
    match &station.self_test {
        SelfTest::NotRun => entries.push(Entry::new(words.self_test, words.not_run)),
        SelfTest::Passed => entries.push(Entry::new(words.self_test, words.passed).marked(Mark::Good)),
        SelfTest::Failed(what) => entries.extend(
            what.iter()
                .map(|what| Entry::new(&what.about, in_detail(&what.reason, words)).marked(Mark::Attention)),
        ),
    }
    Section::new(Icon::Health, words.health, entries)
}

fn certificates(situation: &Situation, words: &Words) -> Section {
    let mut entries: Vec<_> = situation
        .station
        .certificates
        .iter()
        .map(|one| {
            let mark = if one.ends_soon {
                Mark::Attention
            } else {
                Mark::Good
            };
            let until = fill(words.valid_until, &[("date", &one.until)]);
            Entry::new(&one.name, until.as_str()).marked(mark)
        })
        .collect();
    if entries.is_empty() {
        entries.push(Entry::sentence(words.no_certificate));
    }
    Section::new(Icon::Certificate, words.certificates, entries)
}

fn versions(situation: &Situation, words: &Words) -> Section {
    let station = &situation.station;
    let mut entries = vec![Entry::new(
        words.software,
        format!("Sialoscope {}", station.software_version),
    )];
    match &station.model {
        Some(model) => {
            entries.push(Entry::new(words.model, &model.name));
            entries.push(Entry::new(words.trained_on, &model.trained_on));
        }
        None => entries.push(Entry::new(words.model, words.no_model).marked(Mark::Attention)),
    }
    if !station.serial_number.is_empty() {
        entries.push(Entry::new(words.serial_number, &station.serial_number));
    }
    Section::new(Icon::Chip, words.versions, entries)
}

fn updates(situation: &Situation, words: &Words) -> Section {
    let entries =
        match &situation.station.update {
            None => vec![Entry::new(words.last_update, words.never_updated)],
            Some(update) => {
                let last = Entry::new(words.last_update, format!("{} · {}", update.version, update.date));
                let back = update.rolled_back.as_ref();
                [last]
                    .into_iter()
                    .chain(back.map(|why| {
                        Entry::new(words.rolled_back, in_detail(why, words)).marked(Mark::Attention)
                    }))
                    .collect()
            }
        };
    Section::new(Icon::Update, words.updates, entries)
}
