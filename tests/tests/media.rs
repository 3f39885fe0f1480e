//! `sialoscope export`: a DICOM file set in the eyes of dciodvfy, dcmtk and pydicom.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use firmware::dicom::send::files_under;
use phantom::{Diagnosis, Patient};
use serde_json::Value;
use tests::peers::{highdicom, said, succeeds, tool};
use tests::station::{Settings, Station};

/// A station that has answered about three studies of two patients, one with a Japanese name.
fn answered(folder: &Path) -> PathBuf {
    let settings = Settings {
        package: &tests::package(),
        quiet_seconds: 30.0,
        ..Settings::default()
    };
    let station = Station::with(folder, &settings);
    let yamada = b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=";
    for (before, (seed, name)) in [(7, &yamada[..]), (11, yamada), (3, b"Other^Patient")]
        .into_iter()
        .enumerate()
    {
        let patient = Patient::draw(seed, Some(Diagnosis::Malignant));
        let scanner = folder.join(format!("scanner-{seed}"));
        let written = phantom::write_study(&patient, &scanner).unwrap();
        let files = files_under(&[written.dicom]).unwrap();
        for path in &files {
            let mut image = open_file(path).unwrap();
            let mut put = |tag, vr, bytes: &[u8]| {
                image.put(DataElement::new(tag, vr, PrimitiveValue::U8(bytes.into())));
            };
            put(tags::SPECIFIC_CHARACTER_SET, VR::CS, b"\\ISO 2022 IR 87 ");
            let padded = [name, &b" "[..name.len() % 2]].concat();
            put(tags::PATIENT_NAME, VR::PN, &padded);
            put(tags::PATIENT_ID, VR::LO, if seed == 3 { b"P3" } else { b"P1" });
            image.write_to_file(path).unwrap();
        }
        let port = station.port.to_string();
        succeeds("storescu", &["-aec", "SIALOSCOPE", "127.0.0.1", &port], &files);
        let deadline = Instant::now() + Duration::from_secs(120);
        let done = || {
            let all = fs::read_dir(station.data_dir.join("studies")).unwrap().flatten();
            all.filter(|study| study.path().join("findings.json").exists())
                .count()
                > before
        };
        while !done() {
            assert!(
                Instant::now() < deadline,
                "{}",
                fs::read_to_string(&station.log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(station.terminate().success());
    folder.join("s.toml")
}

fn export(settings: &Path, to: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(tests::sialoscope());
    command
        .args(["export", "--config"])
        .arg(settings)
        .arg("--to")
        .arg(to)
        .args(more);
    command.output().unwrap()
}

/// Walks a file set, opens every file through it, and prints what it found.
const READ: &str = r#"
import json, sys, pydicom
from pydicom.fileset import FileSet
found = []
for instance in FileSet(sys.argv[1] + "/DICOMDIR"):
    file = instance.load()
    assert file.SOPInstanceUID == instance.SOPInstanceUID
    assert file.SOPClassUID == instance.SOPClassUID
    assert file.SeriesInstanceUID == instance.SeriesInstanceUID
    assert file.StudyInstanceUID == instance.StudyInstanceUID
    assert str(file.PatientName) == str(instance.PatientName), (file.PatientName, instance.PatientName)
    found.append([str(instance.PatientID), str(file.PatientName), str(file.StudyInstanceUID), file.Modality])
print(json.dumps(found))
"#;

#[test]
fn a_file_set_is_read_by_others_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let settings = answered(folder.path());
    let [stick, one] = ["stick", "one"].map(|name| folder.path().join(name));
    for folder in [&stick, &one] {
        fs::create_dir(folder).unwrap();
    }
    // What is on the stick already stays.
    fs::write(stick.join("holiday.jpg"), b"not ours").unwrap();
    let done = export(&settings, &stick, &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("about 3 studies"), "{}", said(&done));

    let directory = stick.join("DICOMDIR");
    let verdict = said(&tool("dciodvfy", &[], std::slice::from_ref(&directory)));
    let errors: Vec<_> = verdict.lines().filter(|line| line.starts_with("Error")).collect();
    assert_eq!(errors, Vec::<&str>::new(), "{verdict}");
    succeeds("dcmdump", &["-q"], std::slice::from_ref(&directory));
    // dcmtk reads it to add to it: every offset must lead somewhere.
    let (id, input) = ("+id", stick.to_str().unwrap());
    let copy = folder.path().join("copy");
    fs::copy(&directory, &copy).unwrap();
    let report = fs::read_dir(stick.join("SIALO"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("SC");
    let relative = report.strip_prefix(&stick).unwrap().to_path_buf();
    let arguments = ["--update", "+D", copy.to_str().unwrap(), id, input];
    succeeds("dcmmkdir", &arguments, &[relative]);

    let read = highdicom(READ).arg(&stick).output().unwrap();
    assert!(read.status.success(), "{}", said(&read));
    let found: Value = serde_json::from_slice(&read.stdout).unwrap();
    let found = found.as_array().unwrap();
    let files = files_under(&[stick.join("SIALO")]).unwrap();
    assert_eq!(found.len(), files.len(), "every file is in the directory");
    let of = |patient: &str| found.iter().filter(|row| row[0] == patient).count();
    assert!(of("P1") >= 4 && of("P3") >= 2, "{found:?}");
    assert!(
        found.iter().any(|row| row[1].as_str().unwrap().contains("山田")),
        "{found:?}"
    );

    let again = export(&settings, &stick, &[]);
    assert!(
        !again.status.success() && said(&again).contains("is there already"),
        "{}",
        said(&again)
    );
    let study = found[0][2].as_str().unwrap();
    let done = export(&settings, &one, &["--study", study]);
    assert!(said(&done).contains("about 1 studies"), "{}", said(&done));
    for (more, words) in [
        (["--study", "1.2.3"], "no study 1.2.3"),
        (["--study", "x"], "not made of numbers"),
    ] {
        let refused = export(&settings, &folder.path().join("none"), &more);
        assert!(
            !refused.status.success() && said(&refused).contains(words),
            "{}",
            said(&refused)
        );
    }
    assert_eq!(fs::read(stick.join("holiday.jpg")).unwrap(), b"not ours");
}
