//! What the whole-system tests share.

use std::path::{Path, PathBuf};

/// The model package that this repository ships.
pub fn package() -> PathBuf {
    root().join("models/packages/parotid")
}

/// The `sialoscope` binary that was built along with the tests: it lies beside the folder of the
/// running test's own binary.
///
/// # Panics
/// When it was not built; `cargo nextest run --release --workspace` builds it.
pub fn sialoscope() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let binary = own.ancestors().nth(2).map(|target| target.join("sialoscope"));
    binary
        .filter(|path| path.is_file())
        .unwrap_or_else(|| panic!("no sialoscope binary beside {}: build the whole workspace", own.display()))
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}
