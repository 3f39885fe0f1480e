//! What `analyze --out` writes, in the eyes of others: PixelMed's and David Clunie's validators, dcmtk, pydicom and
//! highdicom.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, open_file};
use firmware::dicom::send::files_under;
use phantom::{Diagnosis, Patient};
use serde_json::Value;
use tests::peers::{highdicom, said, succeeds, tool};

/// PixelMed's validator compiles rules that are larger than Java's XPath allows by default.
const NO_LIMITS: [&str; 3] = [
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathTotalOpLimit=0",
];

/// A study, changed before it is looked at.
struct Case {
    name: &'static str,
    diagnosis: Diagnosis,
    seed: u64,
    change: fn(&mut DefaultDicomObject) -> Keep,
    outcome: &'static str,
}

/// Whether a changed image stays in the study.
type Keep = bool;

fn as_it_is(_: &mut DefaultDicomObject) -> Keep {
    true
}

fn described(image: &DefaultDicomObject, words: &str) -> bool {
    let text = image.element(tags::SERIES_DESCRIPTION).unwrap().to_str().unwrap();
    text.to_lowercase().contains(words)
}

fn numbers<const N: usize>(image: &DefaultDicomObject, tag: dicom_core::Tag) -> [f64; N] {
    let all = image.element(tag).unwrap().to_multi_float64().unwrap();
    all.try_into().unwrap()
}

fn put_numbers(image: &mut DefaultDicomObject, tag: dicom_core::Tag, numbers: &[f64]) {
    let texts = numbers.iter().map(|number| format!("{number:.9}"));
    image.put(DataElement::new(
        tag,
        VR::DS,
        PrimitiveValue::Strs(texts.collect()),
    ));
}

/// Moves all images in the patient's space.
fn turn(image: &mut DefaultDicomObject, turned: impl Fn([f64; 3]) -> [f64; 3]) -> Keep {
    let position: [f64; 3] = numbers(image, tags::IMAGE_POSITION_PATIENT);
    let [a, b, c, d, e, f] = numbers::<6>(image, tags::IMAGE_ORIENTATION_PATIENT);
    put_numbers(image, tags::IMAGE_POSITION_PATIENT, &turned(position));
    let orientation = [turned([a, b, c]), turned([d, e, f])].concat();
    put_numbers(image, tags::IMAGE_ORIENTATION_PATIENT, &orientation);
    true
}

/// The slices are tilted by 14 degrees and turned by 9, as for a patient who lies askew.
fn oblique(image: &mut DefaultDicomObject) -> Keep {
    let (st, ct) = 14_f64.to_radians().sin_cos();
    let (sz, cz) = 9_f64.to_radians().sin_cos();
    turn(image, |[x, y, z]| {
        let [x, y] = [x * cz - y * sz, x * sz + y * cz];
        [x, y * ct - z * st, y * st + z * ct]
    })
}

/// The rows of the images run from front to back, as of a patient who lies on the side and whose images
/// were not turned: the pixels are turned with them, so the head stays where it was.
fn decubitus(image: &mut DefaultDicomObject) -> Keep {
    let position: [f64; 3] = numbers(image, tags::IMAGE_POSITION_PATIENT);
    let [a, b, c, d, e, f] = numbers::<6>(image, tags::IMAGE_ORIENTATION_PATIENT);
    let [between_rows, between_columns] = numbers::<2>(image, tags::PIXEL_SPACING);
    let side = |tag| image.element(tag).unwrap().to_int::<usize>().unwrap();
    let (rows, columns) = (side(tags::ROWS), side(tags::COLUMNS));
    let pixels = image
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap()
        .to_vec();
    // New row r is old column r, from the last; new column c is old row c.
    let mut turned = Vec::with_capacity(pixels.len());
    for row in 0..columns {
        for column in 0..rows {
            let at = 2 * (column * columns + (columns - 1 - row));
            turned.extend_from_slice(&pixels[at..at + 2]);
        }
    }
    let corner: Vec<f64> = (0..3)
        .map(|i| position[i] + [a, b, c][i] * between_columns * (columns - 1) as f64)
        .collect();
    put_numbers(image, tags::IMAGE_POSITION_PATIENT, &corner);
    put_numbers(image, tags::IMAGE_ORIENTATION_PATIENT, &[d, e, f, -a, -b, -c]);
    put_numbers(image, tags::PIXEL_SPACING, &[between_columns, between_rows]);
    image.put(DataElement::new(
        tags::ROWS,
        VR::US,
        PrimitiveValue::from(columns as u16),
    ));
    image.put(DataElement::new(
        tags::COLUMNS,
        VR::US,
        PrimitiveValue::from(rows as u16),
    ));
    image.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U8(turned.into()),
    ));
    true
}

fn without_t2(image: &mut DefaultDicomObject) -> Keep {
    !described(image, "t2")
}

fn without_adc(image: &mut DefaultDicomObject) -> Keep {
    !described(image, "adc")
}

/// Another modality all over: nothing can be read, and everybody learns why.
fn of_a_ct(image: &mut DefaultDicomObject) -> Keep {
    image.put(DataElement::new(tags::MODALITY, VR::CS, "CT"));
    true
}

/// A name in Japanese with escapes, an accession number, a time zone.
fn of_yamada(image: &mut DefaultDicomObject) -> Keep {
    let bytes = |tag, vr, bytes: &[u8]| DataElement::new(tag, vr, PrimitiveValue::U8(bytes.into()));
    image.put(bytes(tags::SPECIFIC_CHARACTER_SET, VR::CS, b"\\ISO 2022 IR 87 "));
    let name = b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B ";
    image.put(bytes(tags::PATIENT_NAME, VR::PN, name));
    image.put(bytes(tags::ACCESSION_NUMBER, VR::SH, b"A-0815"));
    image.put(bytes(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, b"+0900 "));
    true
}

#[rustfmt::skip]
const CASES: [Case; 10] = [
    Case { name: "pleomorphic adenoma", diagnosis: Diagnosis::PleomorphicAdenoma, seed: 11, change: as_it_is, outcome: "answered" },
    Case { name: "Warthin tumour", diagnosis: Diagnosis::Warthin, seed: 3, change: as_it_is, outcome: "answered" },
    Case { name: "basal cell adenoma", diagnosis: Diagnosis::BasalCellAdenoma, seed: 4, change: as_it_is, outcome: "answered" },
    Case { name: "malignant, Japanese name", diagnosis: Diagnosis::Malignant, seed: 7, change: of_yamada, outcome: "answered" },
    Case { name: "oblique", diagnosis: Diagnosis::Malignant, seed: 7, change: oblique, outcome: "answered" },
    Case { name: "decubitus", diagnosis: Diagnosis::Malignant, seed: 7, change: decubitus, outcome: "answered" },
    Case { name: "ADC computed", diagnosis: Diagnosis::PleomorphicAdenoma, seed: 11, change: without_adc, outcome: "answered" },
    Case { name: "no tumour", diagnosis: Diagnosis::None, seed: 5, change: as_it_is, outcome: "answered" },
    Case { name: "no T2", diagnosis: Diagnosis::Malignant, seed: 7, change: without_t2, outcome: "cannot_answer" },
    Case { name: "CT", diagnosis: Diagnosis::Malignant, seed: 7, change: of_a_ct, outcome: "cannot_answer" },
];

/// The study of a case, and what became of it.
struct Reported {
    _folder: tempfile::TempDir,
    images: PathBuf,
    out: PathBuf,
    findings: Value,
}

impl Case {
    fn report(&self) -> Reported {
        let folder = tempfile::tempdir().unwrap();
        let (images, out) = (folder.path().join("images"), folder.path().join("out"));
        let patient = Patient::draw(self.seed, Some(self.diagnosis));
        let written = phantom::write_study(&patient, &folder.path().join("phantom")).unwrap();
        fs::create_dir(&images).unwrap();
        for (number, path) in files_under(&[written.dicom]).unwrap().iter().enumerate() {
            let mut image = open_file(path).unwrap();
            if (self.change)(&mut image) {
                image.write_to_file(images.join(format!("{number}.dcm"))).unwrap();
            }
        }
        let findings = analyze(&images, &out);
        assert_eq!(
            findings["outcome"], self.outcome,
            "{}: {}",
            self.name, findings["reasons"]
        );
        Reported {
            _folder: folder,
            images,
            out,
            findings,
        }
    }
}

fn analyze(images: &Path, out: &Path) -> Value {
    let done = Command::new(tests::sialoscope())
        .arg("analyze")
        .arg(images)
        .args(["--json", "--out"])
        .arg(out)
        .arg("--package")
        .arg(tests::package())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

impl Reported {
    fn report(&self) -> PathBuf {
        self.out.join("sr.dcm")
    }

    fn objects(&self) -> Vec<PathBuf> {
        let all = ["sr.dcm", "seg.dcm", "sc.dcm"].map(|name| self.out.join(name));
        all.into_iter().filter(|path| path.exists()).collect()
    }
}

/// Lines of a validator that begin with the word for an error.
fn errors(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("Error")).collect()
}

/// Compiles its rules once and looks at every file.
const VALIDATE: &str = r#"
validator = new com.pixelmed.validate.DicomSRValidator();
for (file : bsh.args) { print("File " + file); print(validator.validate(file)); }
"#;

/// What PixelMed's validator says about each of several reports.
fn pixelmed(reports: &[PathBuf]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("validate.bsh");
    fs::write(&script, VALIDATE).unwrap();
    let mut arguments = NO_LIMITS.to_vec();
    arguments.extend([
        "-cp",
        "/usr/share/java/bsh.jar:/usr/share/java/pixelmed.jar",
        "bsh.Interpreter",
    ]);
    let files: Vec<PathBuf> = std::iter::once(script).chain(reports.iter().cloned()).collect();
    let all = said(&tool("java", &arguments, &files));
    let parts: Vec<String> = all.split("File ").skip(1).map(str::to_owned).collect();
    assert_eq!(parts.len(), reports.len(), "{all}");
    parts
}

#[test]
fn validators_and_readers_of_others_find_no_error_in_ten_results() {
    let all: Vec<Reported> = CASES.iter().map(Case::report).collect();
    for (case, reported) in CASES.iter().zip(&all) {
        let objects = reported.objects();
        let lesions = reported.findings["lesions"].as_array().unwrap().len();
        assert_eq!(objects.len(), if lesions > 0 { 3 } else { 2 }, "{}", case.name);
        for object in &objects {
            let said = said(&tool("dciodvfy", &[], std::slice::from_ref(object)));
            assert_eq!(
                errors(&said),
                Vec::<&str>::new(),
                "{}: {}",
                case.name,
                object.display()
            );
        }
        succeeds("dsrdump", &["+Pc"], &[reported.report()]);
        let read = highdicom(include_str!("check.py"))
            .args([&reported.out, &reported.images])
            .output()
            .unwrap();
        assert!(read.status.success(), "{}: {}", case.name, said(&read));
        eprintln!("{}: {}", case.name, said(&read).trim());
    }
    // One that is wrong, so that it is known that wrong ones are found.
    let mut reports: Vec<PathBuf> = all.iter().map(Reported::report).collect();
    let wrong = all[0].out.join("wrong.dcm");
    without_its_observer(&reports[0], &wrong);
    reports.push(wrong);
    let mut said = pixelmed(&reports);
    let of_wrong = said.pop().unwrap();
    assert!(!errors(&of_wrong).is_empty(), "{of_wrong}");
    for (case, said) in CASES.iter().zip(said) {
        let whole = said.contains("Found Root Template TID_1500") && said.contains("IOD validation complete");
        assert!(whole, "{}: {said}", case.name);
        assert_eq!(errors(&said), Vec::<&str>::new(), "{}", case.name);
    }
}

/// Without the UID of the device that observed, which TID 1004 asks for.
fn without_its_observer(report: &Path, to: &Path) {
    let mut broken = open_file(report).unwrap();
    broken.update_value(tags::CONTENT_SEQUENCE, |items| {
        let items = items.items_mut().unwrap();
        items.retain(|item| item.element(tags::VALUE_TYPE).unwrap().to_str().unwrap() != "UIDREF");
    });
    broken.write_to_file(to).unwrap();
}

/// And dciodvfy's silence is worth something too.
#[test]
fn a_report_without_its_required_attributes_is_found() {
    let reported = CASES[0].report();
    let mut broken = open_file(reported.report()).unwrap();
    broken.remove_element(tags::COMPLETION_FLAG);
    let path = reported.out.join("broken.dcm");
    broken.write_to_file(&path).unwrap();
    assert!(!errors(&said(&tool("dciodvfy", &[], &[path]))).is_empty());
}

/// Made twice, the same; about other images, another one.
#[test]
fn the_same_result_has_the_same_names() {
    let reported = CASES[0].report();
    let uids_of = |out: &Path| {
        ["sr.dcm", "seg.dcm", "sc.dcm"].map(|name| {
            let object = open_file(out.join(name)).unwrap();
            let uid = |tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
            (uid(tags::SERIES_INSTANCE_UID), uid(tags::SOP_INSTANCE_UID))
        })
    };
    let first = uids_of(&reported.out);
    analyze(&reported.images, &reported.out);
    assert_eq!(uids_of(&reported.out), first);
    let without_adc = files_under(std::slice::from_ref(&reported.images)).unwrap();
    for path in without_adc {
        if described(&open_file(&path).unwrap(), "adc") {
            fs::remove_file(path).unwrap();
        }
    }
    analyze(&reported.images, &reported.out);
    for ((series, instance), (same_series, another)) in uids_of(&reported.out).iter().zip(&first) {
        assert_eq!(series, same_series);
        assert_ne!(instance, another);
    }
}

/// `sialoscope report` tells people what stands in the objects, and refuses the rest.
#[test]
fn reports_are_printed_as_text() {
    let reported = CASES[3].report();
    let print = |path: &Path| {
        let done = Command::new(tests::sialoscope())
            .arg("report")
            .arg(path)
            .output()
            .unwrap();
        (done.status.code(), said(&done))
    };
    let (code, text) = print(&reported.out.join("sr.dcm"));
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "Qualification: RESEARCH",
        "Verification: UNVERIFIED",
        "Research use only, not for diagnosis",
        "Laterality: Right",
        "Probability of malignant tumour",
        "Source: ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (code, text) = print(&reported.out.join("seg.dcm"));
    assert!(
        code == Some(0) && text.contains("Lesion 1, right parotid gland"),
        "{text}"
    );
    assert_eq!(print(&reported.out.join("sc.dcm")).0, Some(0));
    let image = files_under(std::slice::from_ref(&reported.images))
        .unwrap()
        .remove(0);
    assert_eq!(
        open_file(&image).unwrap().meta().media_storage_sop_class_uid(),
        uids::MR_IMAGE_STORAGE
    );
    for other in [
        image,
        reported.out.join("findings.json"),
        reported.out.join("nothing"),
    ] {
        let (code, text) = print(&other);
        assert_eq!(code, Some(1), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}
