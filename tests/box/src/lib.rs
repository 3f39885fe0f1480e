//! A virtual box: QEMU with the image that `board/image/build --board virt` made, its serial line, screen, keys,
//! lamps and sticks. The tests beside use it; without an image they say so and pass over.

pub mod card;
pub mod data;
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

/// The file that is flashed, in a folder that `board/image/build` left.
pub fn flashable(image: &Path) -> PathBuf {
    let entries = std::fs::read_dir(image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    let found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("sialoscope-") && name.ends_with(".img")
        })
        .collect();
    match &found[..] {
        [one] => one.clone(),
        _ => panic!("{} holds {} images, not one", image.display(), found.len()),
    }
}
