//! Orthanc as a sender: C-ECHO and C-STORE from its REST interface, compressed and not.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use dicom_core::header::Header as _;
use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, open_file};
use tests::peers::{Orthanc, pydicom_file};
use tests::station::{Station, data_set, image};

/// A file of pydicom's under a SOP Instance UID of its own: several there are one image in other syntaxes.
fn copy(name: &str, into: &Path, ending: &[u8; 4]) -> PathBuf {
    let mut bytes = fs::read(pydicom_file(name)).unwrap();
    let uid = open_file(pydicom_file(name))
        .unwrap()
        .meta()
        .media_storage_sop_instance_uid()
        .to_owned();
    let places: Vec<_> = bytes
        .windows(uid.len())
        .enumerate()
        .filter(|(_, window)| *window == uid.as_bytes())
        .map(|(at, _)| at + uid.len())
        .collect();
    assert_eq!(
        places.len(),
        2,
        "{name}: once in the file meta information, once in the data set"
    );
    for end in places {
        bytes[end - 4..end].copy_from_slice(ending);
    }
    let path = into.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Elements, values and items are the same, whatever the lengths of sequences look like: dcmtk, which
/// Orthanc sends with, writes them anew and leaves the padding behind the last element out.
fn same(a: &InMemDicomObject, b: &InMemDicomObject) -> bool {
    let padding = |tag| tag == tags::DATA_SET_TRAILING_PADDING;
    let elements = |object: &'_ InMemDicomObject| object.iter().filter(|one| !padding(one.tag())).count();
    let pairs = a.iter().zip(b.iter()).take(elements(a));
    elements(a) == elements(b)
        && pairs.into_iter().all(|(one, other)| {
            one.tag() == other.tag()
                && match (one.value(), other.value()) {
                    (Value::Sequence(one), Value::Sequence(other)) => {
                        let (one, other) = (one.items(), other.items());
                        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
                    }
                    (one, other) => one == other,
                }
        })
}

#[test]
fn it_sends_compressed_and_uncompressed_images_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&folder.path().join("station"), 600.0, tests::no_package());
    let orthanc = Orthanc::start(&folder.path().join("orthanc"), "");
    orthanc.knows(&station);
    orthanc.echo();
    let files = [
        copy("MR_small.dcm", folder.path(), b"1001"),
        copy("MR_small_implicit.dcm", folder.path(), b"1002"),
        copy("MR_small_bigendian.dcm", folder.path(), b"1003"),
        copy("MR_small_jp2klossless.dcm", folder.path(), b"1004"),
        copy("MR_small_jpeg_ls_lossless.dcm", folder.path(), b"1005"),
        copy("MR_small_RLE.dcm", folder.path(), b"1006"),
        copy("JPEG2000.dcm", folder.path(), b"1007"),
        copy("JPEG-lossy.dcm", folder.path(), b"1008"),
        pydicom_file("image_dfl.dcm"),
        copy("liver_1frame.dcm", folder.path(), b"1010"),
    ];
    let instances: Vec<_> = files.iter().map(|file| orthanc.upload(file)).collect();
    let answer = orthanc.store(&instances);
    assert_eq!(answer["FailedInstancesCount"], 0, "{answer}");
    let stored = station.instances();
    assert_eq!(stored.len(), files.len());
    for file in files {
        let sent = open_file(&file).unwrap();
        let uid = sent.meta().media_storage_sop_instance_uid();
        let copy = stored
            .iter()
            .find(|path| path.file_stem().is_some_and(|stem| stem == uid));
        let copy = open_file(copy.unwrap()).unwrap();
        assert_eq!(
            copy.meta().transfer_syntax(),
            sent.meta().transfer_syntax(),
            "{file:?}"
        );
        assert!(same(&copy, &sent), "{file:?}");
    }
    assert!(station.terminate().success());
}

#[test]
fn it_sends_a_study_of_a_hundred_images() {
    let folder = tempfile::tempdir().unwrap();
    let station = Station::start(&folder.path().join("station"), 600.0, tests::no_package());
    let orthanc = Orthanc::start(&folder.path().join("orthanc"), "");
    orthanc.knows(&station);
    let images: Vec<_> = (1..=100)
        .map(|number| image(folder.path(), "1.2.9", "1.2.9.1", number))
        .collect();
    let instances: Vec<_> = images.iter().map(|(path, _)| orthanc.upload(path)).collect();
    let answer = orthanc.store(&instances);
    assert_eq!(answer["FailedInstancesCount"], 0, "{answer}");
    for (path, sop) in images {
        assert_eq!(
            data_set(&station.stored("1.2.9", "1.2.9.1", &sop)),
            data_set(&path)
        );
    }
    assert!(station.terminate().success());
}
