//! What the whole-system tests share.

pub mod made;
pub mod nifti;
pub mod peers;
pub mod station;
pub mod tls;
pub mod wire;

use std::path::{Path, PathBuf};

/// The model package that this repository ships.
pub fn package() -> PathBuf {
    root().join("models/packages/parotid")
}

/// The `sialoscope` binary that was built along with the tests, in a folder above the running one's.
///
/// # Panics
/// When it was not built; `cargo build --release --workspace` builds it.
pub fn sialoscope() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let found = own
        .ancestors()
        .map(|folder| folder.join("sialoscope"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no sialoscope binary above {}: build the whole workspace",
            own.display()
        )
    })
}

/// A package that is not there, for tests in which no model is wanted.
pub fn no_package() -> &'static Path {
    Path::new("/nonexistent")
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
}
