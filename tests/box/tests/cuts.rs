//! The power is cut at 200 points of an installation: what U-Boot starts next is whole, every time.

use std::fs;
use std::path::Path;

use box_tests::card::{Card, SETTINGS};
use box_tests::environment::next_slot;
use box_tests::guest::{Guest, Machine};
use box_tests::replay::{Dice, Record, copy, recording};
use box_tests::{disk, images, only, stick};

const CUTS: usize = 200;

/// Why the slot that is started next would not run, if so.
fn wrong(card: &Path, versions: &[[Vec<u8>; 2]; 2]) -> Option<String> {
    let Some(slot) = next_slot(card) else {
        return Some("no slot has a try left".to_owned());
    };
    let read = |name: &str, length: usize| {
        let within = disk::find(card, &format!("{name}_{slot}"))?;
        let mut file = fs::File::open(card).ok()?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(within.start)).ok()?;
        let mut bytes = vec![0; length];
        std::io::Read::read_exact(&mut file, &mut bytes).ok()?;
        Some(bytes)
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
    let card = Card::new(&only(&base, ".img"), SETTINGS);
    // The first start makes slot B and data; the installation is what is recorded.
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("finger: nothing to do", 1);
    guest.cut();
    let before = card.copy();

    let (file, log) = (card.beside("stick"), card.beside("writes"));
    stick::make(&file, &[&images.join("good/update.raucb")]);
    let mut machine = Machine::new(&base, &card.path).with_stick(&file);
    machine.disk = recording(&card.path, &log);
    let mut guest = Guest::start(&machine);
    guest.wait_for("slot B is good", 1);
    guest.cut();

    let record = Record::open(&log);
    let version = |name: &str| {
        ["kernel.fit", "root.img"].map(|file| fs::read(images.join(name).join(file)).expect("a slot"))
    };
    let versions = [version("base"), version("good")];
    let mut dice = Dice(8);
    let work = card.beside("cut");
    let mut started = std::collections::BTreeMap::<char, usize>::new();
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
        *started.entry(next_slot(&work).unwrap_or('-')).or_default() += 1;
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
