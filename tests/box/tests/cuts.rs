//! The power is cut at 200 points of an installation: what U-Boot starts next is whole, every time. And at 200
//! points while a study arrives: what was acknowledged is there, every time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use box_tests::card::{Card, SETTINGS};
use box_tests::data::Data;
use box_tests::environment::next_slot;
use box_tests::guest::{Guest, Machine};
use box_tests::replay::{Dice, Record, copy, recording};
use box_tests::{disk, images, stick};

const CUTS: usize = 200;

/// Why the slot that is started next would not run, if so.
fn wrong(card: &Path, versions: &[[Vec<u8>; 2]; 2]) -> Option<String> {
    let Some(slot) = next_slot(card) else {
        return Some("no slot has a try left".to_owned());
    };
    let read = |name: &str, length: usize| {
        let within = disk::find(card, &format!("{name}_{slot}"))?;
        Some(disk::read(card, within.start, length))
    };
    let whole = versions.iter().any(|[kernel, root]| {
        read("kernel", kernel.len()).as_ref() == Some(kernel)
            && read("root", root.len()).as_ref() == Some(root)
    });
    (!whole).then(|| format!("slot {slot} is started, and is no version that was ever signed"))
}

#[test]
fn slow_two_hundred_cuts_of_an_installation_leave_a_slot_that_starts() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    // The first start makes slot B and data; the installation is what is recorded.
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("finger: nothing to do", 1);
    guest.cut();
    let before = card.copy();

    let stick = card.stick(&[&images.join("good/update.raucb")]);
    let log = card.beside("writes");
    let mut machine = Machine::new(&base, &card.path).with_stick(&stick);
    machine.disk = recording(&card.path, &log);
    let mut guest = Guest::start(&machine);
    guest.wait_for("slot B is good", 1);
    guest.cut();

    let record = Record::open(&log);
    let version = |name: &str| {
        ["kernel.img", "root.img"].map(|file| fs::read(images.join(name).join(file)).expect("a slot"))
    };
    let versions = [version("base"), version("good")];
    let mut dice = Dice(8);
    let work = card.beside("cut");
    let mut started = BTreeMap::<String, usize>::new();
    for _ in 0..CUTS {
        let cut = 1 + usize::try_from(dice.roll()).unwrap_or(0) % (record.writes.len() - 1);
        copy(&before.path, &work);
        record.replay(&work, cut, || dice.roll().is_multiple_of(2));
        assert_eq!(
            wrong(&work, &versions),
            None,
            "cut before write {cut} of {}",
            record.writes.len()
        );
        let next = next_slot(&work).map_or_else(String::new, |slot| slot.to_string());
        *started.entry(next).or_default() += 1;
    }
    println!(
        "{CUTS} cuts among {} writes: started next {started:?}",
        record.writes.len()
    );

    // The control: an installer that switches over before it has written has to be caught by the same eyes.
    let caught = (0..CUTS / 10).any(|step| {
        copy(&before.path, &work);
        record.replay(&work, record.writes.len() * step / (CUTS / 10) + 1, || true);
        record.switch_first(&work, disk::partition(&work, "ubootenv"));
        wrong(&work, &versions).is_some()
    });
    assert!(
        caught,
        "a slot that was switched to before it was written passes for whole"
    );
}

/// Images of a study that are sent, one after the other.
const IMAGES: usize = 40;

/// A study that arrived while every write to the card was recorded.
struct Arrival {
    before: Card,
    /// Holds the record.
    after: Card,
    record: Record,
    /// Writes before the first image.
    begin: usize,
    /// Names in the spool, and how many writes there were when the box had acknowledged each.
    acknowledged: Vec<(OsString, usize)>,
}

impl Arrival {
    /// A study arrives at a box with this image.
    fn record(image: &Path, study: &[PathBuf]) -> Self {
        let card = Card::new(image, SETTINGS);
        let mut guest = Guest::start(&Machine::new(image, &card.path));
        guest.wait_for("finger: nothing to do", 1);
        guest.cut();
        let before = card.copy();

        let log = card.beside("writes");
        let mut machine = Machine::new(image, &card.path);
        machine.disk = recording(&card.path, &log);
        let mut guest = Guest::start(&machine);
        guest.wait_for("finger: nothing to do", 1);
        let writes = || Record::open(&log).writes.len();
        let begin = writes();
        let port = guest.port.to_string();
        let send = |file: &PathBuf| {
            let mut storescu = Command::new("storescu");
            stick::run(
                storescu
                    .args(["-aec", "SIALOSCOPE", "127.0.0.1", &port])
                    .arg(file),
            );
            (name_in_spool(file), writes())
        };
        let acknowledged = study.iter().map(send).collect();
        // Until all of it is on the card, synced or not: what is there then is what was sent.
        thread::sleep(Duration::from_secs(15));
        guest.cut();
        Self {
            before,
            record: Record::open(&log),
            after: card,
            begin,
            acknowledged,
        }
    }

    /// What is in the spool of a card, by name.
    fn spool(card: &Path) -> BTreeMap<OsString, Vec<u8>> {
        let files = Data::after_cut(card).files("/lib/sialoscope/spool");
        let named = files
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.file_name()?.to_owned(), bytes)));
        named.collect()
    }

    /// How many cuts, of so many, lose something that was acknowledged before.
    fn losses(&self, cuts: usize) -> usize {
        let whole = Self::spool(&self.after.path);
        let end = self.acknowledged.last().expect("an image").1;
        let work = self.after.beside("cut");
        let mut dice = Dice(9);
        let mut losses = 0;
        for _ in 0..cuts {
            let cut = self.begin + usize::try_from(dice.roll()).unwrap_or(0) % (end - self.begin) + 1;
            copy(&self.before.path, &work);
            self.record.replay(&work, cut, || dice.roll().is_multiple_of(2));
            let spool = Self::spool(&work);
            let mut before_cut = self.acknowledged.iter().filter(|(_, writes)| *writes <= cut);
            let lost = before_cut.find(|(name, _)| {
                assert!(whole.contains_key(name), "{name:?} never came to the card");
                spool.get(name) != whole.get(name)
            });
            losses += usize::from(lost.is_some());
        }
        losses
    }
}

/// What the spool calls the image in this file.
fn name_in_spool(file: &Path) -> OsString {
    let said = stick::run(Command::new("dcmdump").args(["-s", "+P", "0008,0018"]).arg(file));
    let uid = said.split(['[', ']']).nth(1).expect("a SOP Instance UID");
    format!("{uid}.dcm").into()
}

#[test]
fn slow_two_hundred_cuts_while_a_study_arrives_lose_nothing_that_was_acknowledged() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let patient = phantom::Patient::draw(11, Some(phantom::Diagnosis::Warthin));
    let written = phantom::write_study(&patient, folder.path()).expect("a study");
    let series = fs::read_dir(written.dicom).expect("series");
    let mut study: Vec<_> = series
        .flat_map(|series| fs::read_dir(series.expect("a series").path()).expect("images"))
        .map(|image| image.expect("an image").path())
        .collect();
    study.sort();
    study.truncate(IMAGES);

    let arrival = Arrival::record(&images.join("base"), &study);
    let writes = arrival.record.writes.len() - arrival.begin;
    println!("{CUTS} cuts among {writes} writes");
    assert_eq!(arrival.losses(CUTS), 0, "cuts that lost an acknowledged image");

    // The control: an appliance whose fsync does nothing has to be caught by the same eyes.
    let control = Arrival::record(&images.join("forgets"), &study);
    let losses = control.losses(CUTS / 10);
    println!("without fsync {losses} of {} cuts lose something", CUTS / 10);
    assert!(
        losses > 0,
        "nothing was lost without fsync: the test sees nothing"
    );
}
