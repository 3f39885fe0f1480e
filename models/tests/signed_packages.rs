//! Packages are taken from those whom the settings name, and from nobody else.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use minisign::KeyPair;
use models::package::{Key, MANIFEST, Package, SIGNATURE};

fn key(pair: &KeyPair) -> Key {
    pair.pk.to_base64().parse().unwrap()
}

/// The shipped package in a folder of its own, signed by somebody.
fn signed_by(pair: &KeyPair) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/parotid");
    for (name, bytes) in Package::open(&shipped).unwrap().contents().unwrap() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let manifest = fs::read(folder.path().join(MANIFEST)).unwrap();
    let signature = minisign::sign(None, &pair.sk, Cursor::new(manifest), None, None).unwrap();
    fs::write(folder.path().join(SIGNATURE), signature.into_string()).unwrap();
    folder
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn refusal(folder: &Path, keys: &[Key]) -> String {
    Package::open_signed(folder, keys).unwrap_err().code
}

#[test]
fn a_package_of_a_named_signer_is_taken_and_comes_whole() {
    let (ours, other) = (pair(), pair());
    let folder = signed_by(&ours);
    let package = Package::open_signed(folder.path(), &[key(&other), key(&ours)]).unwrap();
    let names: Vec<_> = package
        .contents()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(names.iter().any(|name| name == SIGNATURE), "{names:?}");
    assert_eq!(names.last().unwrap(), MANIFEST);
}

#[test]
fn foreign_missing_and_broken_signatures_are_refused() {
    let (ours, other) = (pair(), pair());
    let folder = signed_by(&other);
    let (folder, keys) = (folder.path(), [key(&ours)]);
    assert_eq!(refusal(folder, &keys), "package_signature");
    // Nobody is named: everybody may have made it.
    assert!(Package::open(folder).is_ok());
    fs::write(folder.join(SIGNATURE), "no signature").unwrap();
    assert_eq!(refusal(folder, &keys), "package_signature");
    fs::write(folder.join(SIGNATURE), [0xFF; 40]).unwrap();
    assert_eq!(refusal(folder, &keys), "package_signature");
    fs::remove_file(folder.join(SIGNATURE)).unwrap();
    assert_eq!(refusal(folder, &keys), "package_signature");
}

/// One bit of anything that is signed for.
#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let ours = pair();
    let folder = signed_by(&ours);
    let (folder, keys) = (folder.path(), [key(&ours)]);
    let files = Package::open_signed(folder, &keys).unwrap().contents().unwrap();
    for (name, bytes) in files.into_iter().filter(|(name, _)| name != "card.md") {
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        fs::write(folder.join(&name), &flipped).unwrap();
        let code = refusal(folder, &keys);
        assert!(
            ["package_signature", "package_hash"].contains(&code.as_str()),
            "{name}: {code}"
        );
        fs::write(folder.join(&name), bytes).unwrap();
    }
    assert!(Package::open_signed(folder, &keys).is_ok());
}

#[test]
fn what_is_no_key_is_said_to_be_none() {
    for text in ["", "RW", "untrusted comment: key", &"A".repeat(56)] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}
