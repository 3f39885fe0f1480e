//! The pins of the virtual box: a PL061 whose lines are pressed and read through QEMU's qtest protocol.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::monitor::{Monitor, connect};

/// Levels that the guest drives, and when each was last changed.
type Levels = Arc<Mutex<BTreeMap<u32, (bool, Instant)>>>;

/// Lines of the chip: what goes in, and the last level of what comes out.
#[derive(Debug)]
pub struct Pins {
    stream: UnixStream,
    chip: String,
    out: Levels,
}

impl Pins {
    /// Listens to the chip of a machine, if it has one: QEMU's with ACPI has none.
    pub fn open(socket: &Path, monitor: &mut Monitor) -> Option<Self> {
        let listed = monitor.ask("qom-list", json!({ "path": "/machine/unattached" }));
        let chip = listed
            .as_array()
            .into_iter()
            .flatten()
            .find(|item| item["type"].as_str().is_some_and(|kind| kind.contains("pl061")))
            .and_then(|item| item["name"].as_str())
            .map(|name| format!("/machine/unattached/{name}"))?;
        let stream = connect(socket);
        let out = Levels::default();
        let (lines, levels) = (
            BufReader::new(stream.try_clone().expect("a socket")),
            Arc::clone(&out),
        );
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // "IRQ raise 4", "IRQ lower 4"
                let mut words = line.split_whitespace();
                if let (Some("IRQ"), Some(what), Some(Ok(number))) =
                    (words.next(), words.next(), words.next().map(str::parse))
                {
                    let mut levels = levels.lock().unwrap_or_else(PoisonError::into_inner);
                    levels.insert(number, (what == "raise", Instant::now()));
                }
            }
        });
        let pins = Self { stream, chip, out };
        let intercept = format!("irq_intercept_out {}", pins.chip);
        pins.send(&intercept);
        Some(pins)
    }

    /// Presses a key for a while: the line is high meanwhile.
    pub fn press(&self, line: u32, held: Duration) {
        for level in [1, 0] {
            let chip = &self.chip;
            let set = format!("set_irq_in {chip} unnamed-gpio-in {line} {level}");
            self.send(&set);
            if level == 1 {
                thread::sleep(held);
            }
        }
    }

    /// The level of a line that the guest drives, if it ever changed.
    pub fn level(&self, line: u32) -> Option<bool> {
        Some(self.last(line)?.0)
    }

    /// For how long a line has been as it is, if it ever changed: a lamp that blinks has not for long.
    pub fn steady(&self, line: u32) -> Option<Duration> {
        Some(self.last(line)?.1.elapsed())
    }

    fn last(&self, line: u32) -> Option<(bool, Instant)> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.get(&line).copied()
    }

    fn send(&self, command: &str) {
        writeln!(&self.stream, "{command}").expect("QEMU is gone");
    }
}
