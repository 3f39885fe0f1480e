//! A virtual box: QEMU with the image that `board/image/build --board virt` made, its serial line, screen, keys,
//! lamps and sticks. The tests beside use it; without an image they say so and pass over.

pub mod card;
pub mod disk;
pub mod environment;
pub mod guest;
pub mod monitor;
pub mod pins;
pub mod replay;
pub mod stick;

use std::path::{Path, PathBuf};

/// Where the images are: `tests/box/run` makes them and sets it.
pub const IMAGES: &str = "SIALOSCOPE_BOX";

/// The folder of images, or a plain sentence on standard error and none.
pub fn images() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os(IMAGES) else {
        eprintln!("not run: {IMAGES} is not set; tests/box/run builds the images and sets it");
        return None;
    };
    Some(PathBuf::from(folder))
}

/// The one file in a folder whose name ends so.
pub fn only(folder: &Path, suffix: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    match &found[..] {
        [one] => one.clone(),
        _ => panic!(
            "{} holds {} files *{suffix}, not one",
            folder.display(),
            found.len()
        ),
    }
}
