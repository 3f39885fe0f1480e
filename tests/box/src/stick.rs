//! USB sticks: a FAT file system in a file, written by mtools.

use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Makes a stick that holds these files, each under its own name.
///
/// # Panics
/// If mtools or dosfstools are missing.
pub fn make(stick: &Path, files: &[&Path]) {
    let bytes: u64 = files
        .iter()
        .map(|file| file.metadata().expect("a file").len())
        .sum();
    let file = File::create(stick).expect("a stick");
    // FAT32 needs some tens of MiB to be one that everybody reads.
    file.set_len(bytes + bytes / 8 + (64 << 20))
        .expect("room for a stick");
    run(Command::new("/usr/sbin/mkdosfs")
        .args(["-F", "32", "-n", "STICK"])
        .arg(stick));
    for file in files {
        run(Command::new("mcopy").arg("-i").arg(stick).arg(file).arg("::"));
    }
}

/// Runs a tool that has to succeed, and hands back what it said.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().to_string_lossy()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    said
}
