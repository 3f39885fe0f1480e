//! What an engineer does to a card: flashes it, and edits `sialoscope.toml` on its boot partition.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::disk;
use crate::stick::{self, run};

/// Settings for the tests: everybody may send, keys and lamps hang on the pins of the virtual machine.
pub const SETTINGS: &str = r#"[network]
address = "10.0.2.15/24"
gateway = "10.0.2.2"

[station]
ae_title = "SIALOSCOPE"
open = true

[study]
quiet_seconds = 5.0

[screen.keys]
chip = "/dev/gpiochip0"
lines = [0, 1, 2]
active_low = false

[screen.lamps]
chip = "/dev/gpiochip0"
lines = [4, 5, 6]
"#;

/// Lines of the keys: up, select, down.
pub const KEYS: [u32; 3] = [0, 1, 2];
/// Lines of the lamps: green, amber, red.
pub const LAMPS: [u32; 3] = [4, 5, 6];

/// A card in a folder of its own.
#[derive(Debug)]
pub struct Card {
    folder: TempDir,
    /// The card.
    pub path: PathBuf,
}

impl Card {
    /// Flashed with this image, with these settings, as large as a card of 8 GiB: the appliance warns of a small one.
    pub fn new(image: &Path, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("card");
        disk::flash(&crate::flashable(image), &path, 8192);
        let card = Self { folder, path };
        card.write_settings(settings);
        card
    }

    /// Another card with the same content.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("card");
        run(Command::new("cp")
            .arg("--sparse=always")
            .args([&self.path, &path]));
        Self { folder, path }
    }

    /// A stick with these files.
    pub fn stick(&self, files: &[&Path]) -> PathBuf {
        let file = self.beside("stick");
        stick::make(&file, files);
        file
    }

    /// A file beside the card that goes when it goes.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Edits `sialoscope.toml`.
    pub fn write_settings(&self, settings: &str) {
        let file = self.beside("settings");
        fs::write(&file, settings).expect("a file");
        run(Command::new("mcopy")
            .args(["-o", "-i"])
            .arg(disk::boot(&self.path))
            .arg(&file)
            .arg("::sialoscope.toml"));
    }

    /// A file of the boot partition.
    pub fn read_boot(&self, name: &str) -> String {
        run(Command::new("mtype")
            .arg("-i")
            .arg(disk::boot(&self.path))
            .arg(format!("::{name}")))
    }
}
