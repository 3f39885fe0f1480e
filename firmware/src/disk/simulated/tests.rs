//! The disk keeps what it promises, and nothing more.
#![allow(clippy::unwrap_used)]

use super::*;

const ROOT: &str = "/data";

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// Whether a file has these bytes after a cut, for many outcomes of the cut.
fn outcomes(disk: &SimulatedDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| disk.after_cut(seed).read_at_most(&path(name), 100).ok())
        .collect()
}

#[test]
fn only_what_was_synced_survives_for_sure() {
    let disk = SimulatedDisk::new(Path::new(ROOT));
    let mut file = disk.create(&path("a")).unwrap();
    file.write_all(b"bytes").unwrap();
    assert!(outcomes(&disk, "a").len() > 5, "nothing synced: anything goes");
    file.sync().unwrap();
    let both: BTreeSet<_> = [None, Some(b"bytes".to_vec())].into();
    assert_eq!(outcomes(&disk, "a"), both, "its name may be lost, its bytes not");
    disk.sync_folder(Path::new(ROOT)).unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(b"bytes".to_vec())].into());
}

#[test]
fn a_rename_is_whole_or_not_there() {
    let disk = SimulatedDisk::new(Path::new(ROOT));
    for (name, bytes) in [("a", b"new"), ("b", b"old")] {
        let mut file = disk.create(&path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    }
    disk.sync_folder(Path::new(ROOT)).unwrap();
    disk.rename(&path("a"), &path("b")).unwrap();
    let either: BTreeSet<_> = [Some(b"new".to_vec()), Some(b"old".to_vec())].into();
    assert_eq!(outcomes(&disk, "b"), either);
    disk.sync_folder(Path::new(ROOT)).unwrap();
    assert_eq!(outcomes(&disk, "b"), [Some(b"new".to_vec())].into());
    assert_eq!(outcomes(&disk, "a"), [None].into());
}

#[test]
fn a_name_in_a_folder_that_was_not_synced_is_lost_with_it() {
    let disk = SimulatedDisk::new(Path::new(ROOT));
    disk.create_folder(&path("sub")).unwrap();
    disk.create(&path("sub/a")).unwrap().sync().unwrap();
    disk.sync_folder(&path("sub")).unwrap();
    assert!(outcomes(&disk, "sub/a").contains(&None));
    disk.sync_folder(Path::new(ROOT)).unwrap();
    assert!(!outcomes(&disk, "sub/a").contains(&None));
}

#[test]
fn after_the_cut_nothing_works() {
    let disk = SimulatedDisk::new(Path::new(ROOT));
    disk.set_faults(Faults {
        cut_at: Some(2),
        ..Faults::default()
    });
    let mut file = disk.create(&path("a")).unwrap();
    assert!(file.write_all(b"1234").is_err());
    assert!(disk.is_off() && file.sync().is_err() && disk.list(Path::new(ROOT)).is_err());
}
