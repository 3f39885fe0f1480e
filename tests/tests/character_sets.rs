//! Every Specific Character Set of PS3.3 C.12.1.1.2: what scanners send in them is on the disk byte
//! for byte, and is read without a crash. An appliance that stored decoded text would lose names.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::open_file;
use tests::made::{ITEM, element, file, item_header};
use tests::peers::{Running, free_port, pydicom_file, succeeds};
use tests::station::{Settings, Station, data_set};

/// One byte per character, without code extensions: defined term, escape sequence of its G1 set with
/// code extensions (PS3.3 Table C.12-3), and a name's letters.
const SINGLE_BYTE: [(&str, &[u8], &[u8]); 12] = [
    ("100", b"\x1B-A", b"Buc^J\xE9r\xF4me"),
    ("101", b"\x1B-B", b"W\xA3\xEAsa^\xA3ukasz"),
    ("109", b"\x1B-C", b"\xA1al^\xE6or\xF5"),
    ("110", b"\x1B-D", b"B\xEBrzi\xF2\xF0^\xB9\xE0nis"),
    ("144", b"\x1B-L", b"\xBB\xEE\xDAce\xDC\xD1yp\xD3"),
    ("127", b"\x1B-G", b"\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1"),
    ("126", b"\x1B-F", b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2"),
    ("138", b"\x1B-H", b"\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4"),
    ("148", b"\x1B-M", b"\xC7avu\xFEo\xF0lu^\xDDbrahim"),
    ("203", b"\x1B-b", b"\xBCuvre^\xBDlga\xA4"),
    ("13", b"\x1B)I", b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3"),
    ("166", b"\x1B-T", b"\xB9\xD2\xC2^\xCA\xC1\xAA\xD2\xC2"),
];

/// Several bytes per character: Specific Character Set and names after PS3.5 Annexes H to K. In some,
/// the second byte of a character is a backslash, a caret or an equals sign.
const MULTI_BYTE: [(&[u8], &[u8]); 9] = [
    (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
    ),
    (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J",
    ),
    (
        b"ISO 2022 IR 6\\ISO 2022 IR 87\\ISO 2022 IR 159",
        b"Yamada^Tarou=\x1B$B;3\x1B$(D0!\x1B(B^\x1B$(D\x30\x5C\x6D\x5E\x1B(B",
    ),
    (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
    ),
    (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
    ),
    (
        b"ISO_IR 192",
        b"Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1=\xF0\xA0\xAE\xB7",
    ),
    (b"GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=\x81\x30\x81\x30\x81\x5C\x81\x5E"),
    (b"GBK", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=\x81\x5C\x81\x5E\x81\x3D"),
    (
        b"ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
        b"J\xE9r\xF4me=\x1B-L\xBB\xEE\xDAce\xDC=\x1B-F\xC4\xE9\xEF\xED",
    ),
];

/// (Specific Character Set, name) of every defined term.
fn all() -> Vec<(Vec<u8>, Vec<u8>)> {
    let plain = [
        (b"".to_vec(), b"Adams^John Robert Quincy^^Rev.".to_vec()),
        (b"ISO 2022 IR 6".to_vec(), b"Adams^John".to_vec()),
    ];
    let single = SINGLE_BYTE
        .iter()
        .map(|(number, _, name)| (format!("ISO_IR {number}").into_bytes(), name.to_vec()));
    let extended = SINGLE_BYTE.iter().map(|(number, escape, name)| {
        // The G1 set must be designated again after each delimiter.
        let again = [b"^", *escape].concat();
        let name = name
            .split(|byte| *byte == b'^')
            .collect::<Vec<_>>()
            .join(&again[..]);
        let name = [b"Adams^John=", *escape, &name].concat();
        (format!("\\ISO 2022 IR {number}").into_bytes(), name)
    });
    let multi = MULTI_BYTE.iter().map(|(set, name)| (set.to_vec(), name.to_vec()));
    plain
        .into_iter()
        .chain(single)
        .chain(extended)
        .chain(multi)
        .collect()
}

/// An MR image whose texts are in a character set, one level down in another one too.
fn written(folder: &Path, number: usize, set: &[u8], name: &[u8]) -> (PathBuf, [String; 3]) {
    let uid = |level: &str| format!("1.2.{number}{level}");
    let [study, series, sop] = ["", ".1", ".1.1"].map(uid);
    // Every byte that is no control and no delimiter, in a value that has no delimiter.
    let every: Vec<u8> = (0x20..0x7F)
        .chain(0xA0..=0xFF)
        .filter(|byte| *byte != b'\\')
        .collect();
    let us = |tag: Tag, value: u16| element(tag, b"US", &value.to_le_bytes());
    let other_name = [
        element(tags::SPECIFIC_CHARACTER_SET, b"CS", b"ISO_IR 192"),
        element(tags::PERSON_NAME, b"PN", "Ωμέγα^Ünï".as_bytes()),
    ]
    .concat();
    let item = [item_header(ITEM, other_name.len() as u32), other_name].concat();
    let bytes = [
        element(tags::SPECIFIC_CHARACTER_SET, b"CS", set),
        element(tags::SOP_CLASS_UID, b"UI", uids::MR_IMAGE_STORAGE.as_bytes()),
        element(tags::SOP_INSTANCE_UID, b"UI", sop.as_bytes()),
        element(tags::MODALITY, b"CS", b"MR"),
        element(
            tags::INSTITUTION_NAME,
            b"LO",
            name.split(|byte| *byte == b'\\').next().unwrap(),
        ),
        element(tags::SERIES_DESCRIPTION, b"LO", b"t2_tse_tra"),
        element(tags::PATIENT_NAME, b"PN", name),
        element(tags::PATIENT_ID, b"LO", b"1"),
        element(tags::PATIENT_COMMENTS, b"LT", &every),
        element(tags::STUDY_INSTANCE_UID, b"UI", study.as_bytes()),
        element(tags::SERIES_INSTANCE_UID, b"UI", series.as_bytes()),
        us(tags::ROWS, 4),
        us(tags::COLUMNS, 4),
        us(tags::BITS_ALLOCATED, 16),
        element(Tag(0x0040, 0xA730), b"SQ", &item),
        element(tags::PIXEL_DATA, b"OW", &[7; 32]),
    ]
    .concat();
    let path = folder.join(format!("{number}.dcm"));
    fs::write(&path, file(&sop, &bytes)).unwrap();
    (path, [study, series, sop])
}

#[test]
fn names_in_every_character_set_are_stored_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let all = all();
    assert_eq!(all.len(), 35);
    let files: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(number, (set, name))| written(folder.path(), number + 1, set, name))
        .collect();
    let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
    let port = station.port.to_string();
    succeeds("storescu", &["-aec", "SIALOSCOPE", "127.0.0.1", &port], &paths);
    for ((path, [study, series, sop]), (set, _)) in files.iter().zip(&all) {
        let set = String::from_utf8_lossy(set);
        assert!(
            data_set(&station.stored(study, series, sop)) == data_set(path),
            "{set}"
        );
    }
    readable(&station);
    assert!(station.terminate().success());
}

/// The value of an element of an Explicit VR Little Endian data set with a short header.
fn value(data_set: &[u8], tag: Tag, vr: &[u8; 2]) -> Vec<u8> {
    let head = [&tag.group().to_le_bytes(), &tag.element().to_le_bytes(), &vr[..]].concat();
    let at = data_set
        .windows(head.len())
        .position(|window| window == head)
        .unwrap()
        + head.len();
    let length = u16::from_le_bytes(data_set[at..at + 2].try_into().unwrap()) as usize;
    data_set[at + 2..at + 2 + length].to_vec()
}

#[test]
fn names_in_every_character_set_reach_the_archive_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (port, archive) = (free_port(), folder.path().join("archive"));
    fs::create_dir(&archive).unwrap();
    let mut storescp = Command::new("storescp");
    storescp
        .args(["--bit-preserving", "-od"])
        .arg(&archive)
        .arg(port.to_string());
    let _storescp = Running::listening(storescp, port);
    let settings = Settings {
        quiet_seconds: 0.5,
        tables: &format!("[[destination]]\nae_title = \"ARCHIVE\"\nhost = \"127.0.0.1\"\nport = {port}\n"),
        ..Settings::default()
    };
    let station = Station::with(folder.path(), &settings);
    let all = all();
    let files: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(number, (set, name))| written(folder.path(), number + 1, set, name))
        .collect();
    let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
    let to = station.port.to_string();
    succeeds("storescu", &["-aec", "SIALOSCOPE", "127.0.0.1", &to], &paths);
    let deadline = Instant::now() + Duration::from_secs(120);
    for ((_, [study, ..]), (set, name)) in files.iter().zip(&all) {
        let record = station.data_dir.join("studies").join(study);
        let delivered = || {
            let told = fs::read_to_string(record.join("delivery.json")).unwrap_or_default();
            told.contains("stored") && !told.contains("waiting")
        };
        while !delivered() {
            let log = || fs::read_to_string(&station.log).unwrap();
            assert!(Instant::now() < deadline, "{study}: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        for object in ["sr.dcm", "sc.dcm"] {
            let object = record.join(object);
            let uid = open_file(&object)
                .unwrap()
                .meta()
                .media_storage_sop_instance_uid()
                .to_owned();
            let arrived = fs::read_dir(&archive)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| path.to_str().unwrap().ends_with(&uid))
                .unwrap();
            let arrived = data_set(&arrived);
            assert_eq!(arrived, data_set(&object));
            let set_text = String::from_utf8_lossy(set);
            let padded = |bytes: &[u8]| [bytes, &b" "[..bytes.len() % 2]].concat();
            assert_eq!(
                value(&arrived, tags::PATIENT_NAME, b"PN"),
                padded(name),
                "{set_text}"
            );
            if !set.is_empty() {
                assert_eq!(
                    value(&arrived, tags::SPECIFIC_CHARACTER_SET, b"CS"),
                    padded(set),
                    "{set_text}"
                );
            }
        }
    }
    assert!(station.terminate().success());
}

#[test]
fn files_of_pydicom_in_eleven_character_sets_are_stored_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(folder.path(), 600.0, tests::no_package());
    let names = [
        "Arab", "Fren", "Germ", "Greek", "H31", "H32", "Hbrw", "I2", "Russ", "X1", "X2",
    ];
    let port = station.port.to_string();
    for name in names {
        let path = pydicom_file(&format!("../charset_files/chr{name}.dcm"));
        let before = station.instances();
        succeeds("storescu", &["127.0.0.1", &port], std::slice::from_ref(&path));
        let now = station.instances();
        let new = now.iter().find(|path| !before.contains(path)).unwrap();
        assert!(data_set(new) == data_set(&path), "{name}");
    }
    readable(&station);
    assert!(station.terminate().success());
}

/// `inspect` goes through all of it.
fn readable(station: &Station) {
    let done = Command::new(tests::sialoscope())
        .arg("inspect")
        .arg(station.data_dir.join("spool"))
        .arg("--json")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&done.stderr);
    assert!(!log.contains("panicked") && !done.stdout.is_empty(), "{log}");
    serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap();
}
