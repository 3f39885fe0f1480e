//! The box is flashed, plugged in, and works.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use box_tests::card::{Card, KEYS, LAMPS, SETTINGS};
use box_tests::guest::{Guest, Machine, PATIENCE};
use box_tests::{images, stick};

/// Seconds to "ready" that are allowed on two idle cores.
const BOOT_SECONDS: u64 = 30;
/// Memory of the whole machine during an analysis that it has.
const GUEST_MIB: u32 = 512;

/// Memory of the appliance with its worker that is allowed.
const APPLIANCE_MIB: u32 = 300;

/// The most that the appliance and the machine took, MiB, by the overlay's scales.
fn weighed(guest: &Guest) -> Option<(u32, u32)> {
    let serial = guest.serial();
    let last = serial.rsplit_once("scales: at most ")?.1;
    let mut numbers = last
        .split(|sign: char| !sign.is_ascii_digit())
        .filter_map(|word| word.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// Time that the host of this machine gave to other ones (`steal` of proc(5)), all cores together.
fn stolen() -> Duration {
    let text = std::fs::read_to_string("/proc/stat").expect("Linux");
    let ticks = text
        .split_whitespace()
        .nth(8)
        .and_then(|steal| steal.parse().ok());
    Duration::from_millis(10 * ticks.unwrap_or(0_u64))
}

/// How many different colours a picture has: a blank one has one or two.
fn colours(file: &Path) -> usize {
    let decoder = png::Decoder::new(BufReader::new(File::open(file).expect("a picture")));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a picture");
    let channels = info.color_type.samples();
    bytes
        .chunks(channels)
        .map(<[u8]>::to_vec)
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// Two pictures of the same screen, taken until they differ.
fn changes(guest: &mut Guest, before: &Path, after: &Path) -> bool {
    let begin = Instant::now();
    let first = std::fs::read(before).expect("a picture");
    while begin.elapsed() < PATIENCE {
        guest.monitor.picture(after);
        if std::fs::read(after).expect("a picture") != first {
            return true;
        }
        thread::sleep(Duration::from_millis(300));
    }
    false
}

#[test]
fn a_study_is_answered_on_the_screen_keys_turn_pages_and_lamps_say_it() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let mut machine = Machine::new(&base, &card.path);
    machine.memory_mib = GUEST_MIB;
    let before = stolen();
    let mut guest = Guest::start(&machine);
    // With SIALOSCOPE_PICTURES the pictures are kept: those of the field guide.
    let kept = std::env::var_os("SIALOSCOPE_PICTURES");
    let picture = |name: &str| match &kept {
        Some(folder) => Path::new(folder).join(name),
        None => card.beside(name),
    };

    let ready = guest.wait_for("box: ready after", 1);
    guest.wait_for("is good", 1);
    let taken = stolen() - before;
    println!(
        "ready {ready:.1?} after power on; until it was good other machines took {taken:.1?} of the cores"
    );
    // Other tests may keep the cores busy: the bound holds where nothing else runs.
    if std::env::var_os("SIALOSCOPE_IDLE").is_some() {
        assert!(
            ready < Duration::from_secs(BOOT_SECONDS),
            "ready only after {ready:?}"
        );
    }
    guest.monitor.picture(&picture("ready.png"));
    assert!(colours(&picture("ready.png")) > 8, "the screen is blank");
    assert_eq!(guest.pins().level(LAMPS[0]), Some(true), "the green lamp is dark");

    let patient = phantom::Patient::draw(7, Some(phantom::Diagnosis::Malignant));
    let study = phantom::write_study(&patient, &card.beside("study")).expect("a study");
    let port = guest.port.to_string();
    let mut storescu = Command::new("storescu");
    storescu.args(["-aec", "SIALOSCOPE", "+sd", "+r", "127.0.0.1", &port]);
    stick::run(storescu.arg(study.dicom));
    // The answer comes up by itself.
    assert!(changes(
        &mut guest,
        &picture("ready.png"),
        &picture("arriving.png")
    ));
    println!("answered {:.0?} after the last image", guest.wait_for_result());
    thread::sleep(Duration::from_secs(5));
    guest.monitor.picture(&picture("result.png"));
    let (appliance, machine) = weighed(&guest).expect("the scales say nothing");
    println!("at most {appliance} MiB of the appliance, {machine} MiB of the machine, which has {GUEST_MIB}");
    assert!(
        appliance < APPLIANCE_MIB,
        "appliance and worker took {appliance} MiB"
    );

    guest.pins().press(KEYS[2], Duration::from_millis(1200));
    assert!(
        changes(&mut guest, &picture("result.png"), &picture("next.png")),
        "the key turned no page"
    );
    for word in ["Out of memory", "oom-kill"] {
        assert!(!guest.serial().contains(word), "{word} within {GUEST_MIB} MiB");
    }
}

#[test]
fn slow_wrong_settings_are_named_by_line_and_the_last_good_ones_stay() {
    let Some(images) = images() else { return };
    let base = images.join("base");
    let card = Card::new(&base, SETTINGS);
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("is good", 1);
    guest.cut();
    assert!(card.read_boot("box.txt").contains("serial number"));

    card.write_settings(&SETTINGS.replace("open = true", "opne = true"));
    let mut guest = Guest::start(&Machine::new(&base, &card.path));
    guest.wait_for("box: ready after", 1);
    let said = guest.said().join("\n");
    // Line 7 of the file that the engineer edited, though the appliance never saw [network].
    assert!(
        said.contains("settings refused") && said.contains(":7:"),
        "{said}"
    );
    assert!(
        said.contains("the last settings that were right are used"),
        "{said}"
    );
}
