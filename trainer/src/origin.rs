//! Where a result comes from: the commit of this program and what was typed.

use std::process::Command;

/// What the user typed, without the folder of the program, and the commit of the program.
pub fn command_line() -> String {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let commit = commit();
    let short = commit.get(..10).unwrap_or(&commit);
    let dirty = if commit.ends_with("-dirty") { "-dirty" } else { "" };
    format!("sialoscope-trainer {}  # at {short}{dirty}", typed.join(" "))
}

/// Commit of the source that this program was built from, with `-dirty` after it when files differ.
pub fn commit() -> String {
    Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
        ])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
