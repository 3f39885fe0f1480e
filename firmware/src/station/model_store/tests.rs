#![allow(clippy::unwrap_used)]

use std::fs;

use models::package::{MANIFEST, Manifest, hex_sha256};

use super::*;
use crate::disk::RealDisk;
use crate::disk::simulated::{Faults, SimulatedDisk};

/// A package like the shipped one, with small files in place of its networks.
fn package(folder: &Path, version: &str) -> Package {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/packages/parotid");
    let text = fs::read_to_string(shipped.join(MANIFEST)).unwrap();
    let mut manifest: Manifest = toml::from_str(&text).unwrap();
    manifest.version = version.to_owned();
    fs::create_dir_all(folder.join("golden")).unwrap();
    let networks = &mut manifest.networks;
    let files = std::iter::once(&mut networks.locator)
        .chain(&mut networks.encoders)
        .chain(std::iter::once(&mut networks.reader))
        .chain(manifest.golden.iter_mut().map(|golden| &mut golden.vectors));
    for file in files {
        let bytes = format!("{} of {version}", file.file);
        fs::write(folder.join(&file.file), &bytes).unwrap();
        file.sha256 = hex_sha256(bytes.as_bytes());
    }
    fs::write(folder.join(MANIFEST), toml::to_string(&manifest).unwrap()).unwrap();
    Package::open(folder).unwrap()
}

fn two() -> (tempfile::TempDir, Package, Package) {
    let folder = tempfile::tempdir().unwrap();
    let first = package(&folder.path().join("first"), "1.0.0");
    let second = package(&folder.path().join("second"), "1.1.0");
    (folder, first, second)
}

fn versions(store: &ModelStore) -> Vec<String> {
    let packages = store.packages().unwrap();
    packages
        .iter()
        .map(|folder| Package::open(folder).unwrap().manifest.version)
        .collect()
}

#[test]
fn a_package_is_taken_into_use_and_the_one_before_can_come_back() {
    let (folder, first, second) = two();
    let root = folder.path().join("data/models");
    fs::create_dir(folder.path().join("data")).unwrap();
    let store = ModelStore::new(Arc::new(RealDisk), &root);
    assert!(store.packages().unwrap().is_empty());
    assert_eq!(store.rollback().unwrap_err().code, "no_previous_package");
    store.install(&first, |_| Ok(())).unwrap();
    store
        .install(&second, |copy| Package::open(copy).map(drop))
        .unwrap();
    assert_eq!(versions(&store), ["1.1.0", "1.0.0"]);
    // The same once more changes nothing: what was before is still before.
    store.install(&second, |_| Ok(())).unwrap();
    assert_eq!(versions(&store), ["1.1.0", "1.0.0"]);
    store.rollback().unwrap();
    assert_eq!(versions(&store), ["1.0.0", "1.1.0"]);
    let third = package(&folder.path().join("third"), "2.0.0");
    store.install(&third, |_| Ok(())).unwrap();
    assert_eq!(versions(&store), ["2.0.0", "1.0.0"]);
    // Two packages and the list of them.
    assert_eq!(fs::read_dir(&root).unwrap().count(), 3);
}

#[test]
fn a_package_that_fails_its_check_changes_nothing_and_takes_no_room() {
    let (folder, first, second) = two();
    let root = folder.path().join("models");
    let store = ModelStore::new(Arc::new(RealDisk), &root);
    store.install(&first, |_| Ok(())).unwrap();
    let refused = store.install(&second, |_| {
        Err(Reason::new("golden_vectors", Fault::Us, "they differ"))
    });
    assert_eq!(refused.unwrap_err().code, "golden_vectors");
    assert_eq!(versions(&store), ["1.0.0"]);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
}

/// Whenever the power goes while a package is installed, a whole package is in use.
#[test]
fn whenever_the_power_goes_a_whole_package_is_in_use() {
    let (_folder, first, second) = two();
    let root = Path::new("/data/models");
    let (mut cut_at, mut seen) = (1, std::collections::BTreeSet::new());
    loop {
        let disk = SimulatedDisk::new(Path::new("/data"));
        let store = ModelStore::new(Arc::new(disk.clone()), root);
        store.install(&first, |_| Ok(())).unwrap();
        disk.set_faults(Faults {
            cut_at: Some(cut_at),
            ..Faults::default()
        });
        let _ = store.install(&second, |_| Ok(()));
        let uncut = !disk.is_off();
        let after: Arc<dyn Disk> = Arc::new(disk.after_cut(cut_at));
        let again = ModelStore::new(Arc::clone(&after), root);
        let in_use = again.packages().unwrap().remove(0);
        let package = if in_use.to_string_lossy().contains("1.1.0") {
            &second
        } else {
            &first
        };
        for (name, bytes) in package.contents().unwrap() {
            let kept = after.read_at_most(&in_use.join(&name), 1 << 20);
            assert_eq!(kept.unwrap(), bytes, "cut at {cut_at}: {name}");
        }
        seen.insert(package.manifest.version.clone());
        // And the next attempt succeeds.
        again.install(&second, |_| Ok(())).unwrap();
        assert!(again.packages().unwrap()[0].to_string_lossy().contains("1.1.0"));
        if uncut {
            break;
        }
        cut_at += 1;
    }
    assert!(cut_at > 20, "{cut_at}");
    assert_eq!(seen.len(), 2, "cuts before and behind the change");
}

#[test]
fn names_from_the_list_do_not_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::new(Arc::new(RealDisk), folder.path());
    for name in ["../elsewhere", "", ".incoming", "a/b", "/etc"] {
        let list = serde_json::json!({ "current": name, "previous": null });
        fs::write(folder.path().join(IN_USE), list.to_string()).unwrap();
        assert_eq!(store.packages().unwrap_err().code, "package_missing", "{name}");
    }
    fs::write(folder.path().join(IN_USE), "{").unwrap();
    assert_eq!(store.packages().unwrap_err().code, "models");
}
