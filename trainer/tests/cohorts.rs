//! Folders as hospitals have them, and everything that can be wrong with them.

#![allow(clippy::unwrap_used)]

mod made;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use made::{Made, nifti, written};
use models::findings::Side;
use trainer::cohort::report::Effect;
use trainer::cohort::{Cohort, Diagnosis, Indexed, MIN_DISTANCE, Order, Patient, index};
use trainer::error::Error;

const LEFT: [f64; 3] = [45.0, 10.0, 0.0];
const RIGHT: [f64; 3] = [-45.0, 10.0, 0.0];
const TWO: &str = "patient,diagnosis,side\nP1,Warthin,left\nP2,Mucoepidermoid carcinoma,right\n";

/// A hospital's folders: `dicom`, `masks`, `labels.csv`.
struct Site(tempfile::TempDir);

impl Site {
    /// Two patients with a mask each, in two layouts.
    fn two(labels: &str) -> (Site, [Made; 2]) {
        let site = Site::empty(labels);
        let made = [Made::new(1, "P1"), Made::new(2, "P2")];
        made[0].write(&site.at("dicom/somewhere/else/t2"));
        made[1].write(&site.at("dicom/P2"));
        nifti(&site.at("masks/P1.nii.gz"), &made[0], &[(LEFT, 1)]);
        nifti(&site.at("masks/P2.nii.gz"), &made[1], &[(RIGHT, 1)]);
        (site, made)
    }

    fn empty(labels: &str) -> Site {
        let site = Site(tempfile::tempdir().unwrap());
        std::fs::create_dir(site.at("dicom")).unwrap();
        std::fs::create_dir(site.at("masks")).unwrap();
        std::fs::write(site.at("labels.csv"), labels).unwrap();
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn try_index(&self, strict: bool) -> Result<Indexed, Error> {
        let order = Order {
            root: &self.at("dicom"),
            labels: Some(&self.at("labels.csv")),
            masks: Some(&self.at("masks")),
            seed: 1,
            strict,
            threads: 2,
            command: "index",
        };
        index(&order, &|_, _| ())
    }

    fn index(&self) -> Indexed {
        self.try_index(false).unwrap()
    }

    /// The cohort's error.
    fn refused(&self) -> String {
        self.index().cohort.unwrap_err().to_string()
    }
}

/// The effect and words of the only finding of a code.
fn finding(indexed: &Indexed, code: &str) -> (Effect, String) {
    let of: Vec<_> = indexed
        .report
        .findings
        .iter()
        .filter(|f| f.code == code)
        .collect();
    assert_eq!(of.len(), 1, "{code} in {:#?}", indexed.report.findings);
    let patient = of[0].patient.clone().unwrap_or_default();
    (of[0].effect, format!("{patient}: {}", of[0].text))
}

fn left_out(site: &Site, code: &str, words: &str) {
    let indexed = site.index();
    let (effect, text) = finding(&indexed, code);
    assert_eq!(effect, Effect::LeftOut, "{text}");
    assert!(text.contains(words), "{text}");
    let strict = site.try_index(true).unwrap().cohort.unwrap_err().to_string();
    assert!(strict.contains(code) && strict.contains(words), "{strict}");
}

fn patient<'a>(cohort: &'a Cohort, folder: &str) -> &'a Patient {
    cohort.patients.iter().find(|p| p.folder == folder).unwrap()
}

#[test]
fn any_layout_and_every_kind_of_mask_become_a_cohort() {
    let (site, _) = Site::two(
        "\u{FEFF}Patient;Age;Diagnosis;Side;Lesion;Mask;Box\r\nP1;60;\"Warthin's tumor\";left;;;\r\n\
         P2;61;MEC;right;;;\r\nP3;62;PA;right;;;-53 -2 -8 -38 12 8\r\nP4;63;warthin;left;1;;\r\n\
         P4;63;warthin;right;2;;\r\nP5;64;hemangioma;;2;drawn.dcm;\r\nP6;65;BCA;;7;;\r\nP7;66;none;;;;\r\n",
    );
    // Two patients in one flat folder.
    for (seed, id) in [(3, "P3"), (4, "P4")] {
        for file in Made::new(seed, id).write(&site.at("parts")) {
            std::fs::rename(
                &file,
                site.at("dicom")
                    .join(format!("{id}-{}", file.file_name().unwrap().display())),
            )
            .unwrap();
        }
    }
    nifti(
        &site.at("masks/P4.nii.gz"),
        &Made::new(4, "P4"),
        &[(LEFT, 1), (RIGHT, 2)],
    );
    // A SEG that the table names, and a structure set among the images that nobody names.
    for (seed, id, mask, to) in [
        (5, "P5", "binary.dcm", "masks/drawn.dcm"),
        (6, "P6", "rt.dcm", "dicom/P6/RT"),
    ] {
        let made = Made::new(seed, id);
        let peers = written(&made);
        made.write(&site.at("dicom").join(id).join("t2"));
        std::fs::copy(peers.path().join(mask), site.at(to)).unwrap();
    }
    Made::new(7, "P7").write(&site.at("dicom/P7"));
    let Indexed { report, cohort } = site.index();
    let cohort = cohort.unwrap();
    assert_eq!(report.count(Effect::LeftOut), 0, "{report}");
    assert_eq!(cohort.patients.len(), 7);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.code == "ignored_column" && f.text.contains("Age"))
    );
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.code == "missing_contrasts" && f.text.contains("CE-T1"))
    );
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.code == "outside_the_classes" && f.patient.as_deref() == Some("P5/t2"))
    );

    // What was written is what is read, and each patient's paths hold their study alone.
    let file = site.at("cohort.toml");
    cohort.save(&file).unwrap();
    let opened = Cohort::open(&file).unwrap();
    assert_eq!(opened.sha256(), cohort.sha256());
    assert_eq!(opened.patients, cohort.patients);
    let mut studies = BTreeSet::new();
    for patient in &opened.patients {
        let paths: Vec<PathBuf> = patient.dicom.iter().map(|p| opened.root.join(p)).collect();
        let scan = models::mr::scan(&paths);
        let images: usize = scan
            .series
            .iter()
            .filter(|s| s.modality == "MR")
            .map(|s| s.files)
            .sum();
        assert_eq!(
            (scan.studies.len(), images),
            (1, made::SLICES),
            "{}",
            patient.folder
        );
        studies.insert(scan.studies[0].study_instance_uid.clone());
    }
    assert_eq!(studies.len(), 7);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("1.2.826"), "no UID is in the file");

    let lesions = |folder: &str| {
        let of = patient(&cohort, folder).lesions.iter();
        of.map(|l| (l.number, l.diagnosis, l.side)).collect::<Vec<_>>()
    };
    assert_eq!(
        lesions("somewhere/else/t2"),
        [(1, Diagnosis::Warthin, Side::Left)]
    );
    assert_eq!(lesions("P2"), [(1, Diagnosis::Mucoepidermoid, Side::Right)]);
    assert_eq!(lesions("P5/t2"), [(2, Diagnosis::OtherBenign, Side::Left)]);
    assert_eq!(lesions("P6/t2"), [(7, Diagnosis::BasalCellAdenoma, Side::Right)]);
    assert_eq!(lesions("P7"), []);
    let flat: Vec<&Patient> = cohort
        .patients
        .iter()
        .filter(|p| p.folder.starts_with("person-"))
        .collect();
    assert_eq!(flat.len(), 2);
    let boxed = flat
        .iter()
        .find(|p| p.diagnosis == Diagnosis::PleomorphicAdenoma)
        .unwrap();
    assert!(
        boxed.mask.is_none() && boxed.lesions[0].corners.is_some() && boxed.lesions[0].side == Side::Right
    );
    let bilateral = flat.iter().find(|p| p.diagnosis == Diagnosis::Warthin).unwrap();
    assert_eq!(bilateral.lesions.len(), 2);
    assert_eq!(
        cohort.within_classes().count(),
        6,
        "the haemangioma is none of the four classes"
    );
}

#[test]
fn an_empty_folder_one_class_and_an_absent_folder_are_told() {
    let site = Site::empty(TWO);
    assert!(site.refused().contains("line 2: no such patient"));
    let alone = |name| {
        let root = &site.at(name);
        let order = Order {
            root,
            labels: None,
            masks: None,
            seed: 1,
            strict: false,
            threads: 1,
            command: "",
        };
        index(&order, &|_, _| ())
    };
    let none = alone("masks").unwrap().cohort.unwrap_err().to_string();
    assert!(none.contains("no examination in"), "{none}");
    assert!(matches!(alone("nowhere"), Err(Error::File { .. })));
    let (site, _) = Site::two("patient,diagnosis\nP1,Warthin\nP2,Warthin\n");
    let said = site.refused();
    assert!(
        said.contains("the only class of tumour among its patients is “Warthin tumour”"),
        "{said}"
    );
    let (site, _) = Site::two("patient,diagnosis\nP1,MEC\nP2,lymphoma\n");
    assert!(
        site.refused().contains("the only class of tumour"),
        "two malignant tumours are one class"
    );
}

#[test]
fn labels_and_patients_that_do_not_meet_are_told() {
    let (site, _) = Site::two(&format!("{TWO}P9,PA,\n"));
    let said = site.refused();
    assert!(said.contains("labels.csv, line 4: no such patient"), "{said}");
    let (site, made) = Site::two(TWO);
    Made::new(3, "P3").write(&site.at("dicom/P3"));
    left_out(&site, "no_label", "P3: no label; its first file is P3/0000.dcm");
    nifti(&site.at("masks/P3.nii.gz"), &made[0], &[(LEFT, 1)]);
    left_out(&site, "no_label", "P3: no label, but a mask");
    assert_eq!(site.index().cohort.unwrap().patients.len(), 2);
    for (row, words) in [
        (
            "P1,none,\n",
            "an earlier line says otherwise whether there is a tumour",
        ),
        ("P9,PA,\n", "no such patient"),
    ] {
        std::fs::write(site.at("labels.csv"), format!("{TWO}{row}")).unwrap();
        let said = site.refused();
        assert!(said.contains(words) && said.contains("line 4"), "{said}");
    }
    std::fs::write(site.at("labels.csv"), "patient,diagnosis\nP1,Whartin\n").unwrap();
    let said = site.try_index(false).unwrap_err();
    assert!(
        said.to_string()
            .contains("labels.csv: line 2: “Whartin” is no known diagnosis"),
        "{said}"
    );
}

#[test]
fn masks_that_contradict_are_told() {
    let (site, made) = Site::two("patient,diagnosis,side\nP1,Warthin,right\nP2,PA,right\n");
    left_out(
        &site,
        "side_against_mask",
        "labelled right, but drawn on the patient's left: x = 4",
    );
    std::fs::write(site.at("labels.csv"), TWO).unwrap();

    std::fs::remove_file(site.at("masks/P1.nii.gz")).unwrap();
    left_out(&site, "no_mask", "a tumour, but no mask and no box");
    nifti(&site.at("masks/P1.nii.gz"), &made[0], &[]);
    left_out(&site, "no_mask", "nothing is drawn in P1.nii.gz");
    nifti(&site.at("masks/P1.nii.gz"), &made[0], &[(LEFT, 1)]);
    nifti(&site.at("masks/somewhere_else_t2.nii.gz"), &made[0], &[(LEFT, 1)]);
    left_out(&site, "several_masks", "P1.nii.gz, somewhere_else_t2.nii.gz");
    std::fs::remove_file(site.at("masks/somewhere_else_t2.nii.gz")).unwrap();

    // A mask of another examination: its voxels lie beside this one.
    let beside = Made {
        axes: [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
        ..made[0].clone()
    };
    nifti(&site.at("masks/P1.nii.gz"), &beside, &[([0.0, 70.0, 60.0], 1)]);
    left_out(
        &site,
        "mask_of_other_geometry",
        "only 0 % of the drawn voxels lie within",
    );
    std::fs::write(site.at("masks/P1.nii.gz"), b"no mask").unwrap();
    left_out(&site, "mask_form", "no NIfTI-1 file");
    nifti(&site.at("masks/P1.nii.gz"), &made[0], &[(LEFT, 1)]);

    std::fs::write(
        site.at("labels.csv"),
        "patient,diagnosis,lesion\nP1,PA,3\nP2,MEC,1\n",
    )
    .unwrap();
    left_out(&site, "lesion_not_in_mask", "lesion 3 is labelled, but not drawn");
    std::fs::write(
        site.at("labels.csv"),
        "patient,diagnosis,side\nP1,PA,left\nP1,MEC,right\nP2,MEC,\n",
    )
    .unwrap();
    left_out(
        &site,
        "lesion_not_in_mask",
        "the lesion on the right is labelled, but not drawn",
    );
    std::fs::write(
        site.at("labels.csv"),
        "patient,diagnosis,side\nP1,PA,left\nP1,MEC,left\nP2,MEC,\n",
    )
    .unwrap();
    left_out(
        &site,
        "lesion_unclear",
        "2 labels that neither numbers nor sides tell apart",
    );
    std::fs::write(site.at("labels.csv"), "patient,diagnosis\nP1,none\nP2,MEC\n").unwrap();
    left_out(
        &site,
        "mask_without_tumour",
        "no tumour, but 1 lesions in P1.nii.gz",
    );
    std::fs::write(site.at("labels.csv"), TWO).unwrap();
    nifti(&site.at("masks/P8.nii.gz"), &made[0], &[(LEFT, 1)]);
    let (effect, text) = finding(&site.index(), "mask_of_nobody");
    assert!(effect == Effect::Noted && text.contains("P8.nii.gz"), "{text}");
}

#[test]
fn a_mask_in_another_frame_of_reference_is_told() {
    let (site, made) = Site::two("patient,diagnosis,lesion\nP1,Warthin,1\nP2,MEC,1\n");
    // Drawn on images that were made anew with another frame of reference.
    let peers = written(&Made {
        frame: "1.2.826.0.1.99".to_owned(),
        ..made[0].clone()
    });
    std::fs::remove_file(site.at("masks/P1.nii.gz")).unwrap();
    std::fs::copy(peers.path().join("binary.dcm"), site.at("dicom/seg")).unwrap();
    left_out(&site, "mask_of_other_geometry", "another frame of reference");
}

#[test]
fn unreadable_files_among_good_ones_are_named_and_left() {
    let (site, _) = Site::two(TWO);
    let good = std::fs::read(site.at("dicom/P2/0003.dcm")).unwrap();
    std::fs::write(site.at("dicom/P2/cut.dcm"), &good[..good.len() / 2]).unwrap();
    std::fs::write(site.at("dicom/P2/notes.txt"), "not DICOM").unwrap();
    let indexed = site.index();
    let (effect, text) = finding(&indexed, "refused");
    assert!(
        effect == Effect::Noted && text.contains("P2/cut.dcm") && text.contains("ends before"),
        "{text}"
    );
    assert_eq!(indexed.cohort.unwrap().patients.len(), 2);
}

#[test]
fn of_two_studies_the_drawn_one_then_the_earlier_one_is_taken() {
    let (site, made) = Site::two(TWO);
    let later = Made {
        study: "1.2.826.0.1.78".to_owned(),
        date: "20250101",
        ..made[1].clone()
    };
    later.write(&site.at("dicom/P2/later"));
    let indexed = site.index();
    let (effect, text) = finding(&indexed, "two_studies");
    assert!(
        effect == Effect::Noted && text.contains("the one of 20240101 is taken"),
        "{text}"
    );
    let peers = written(&later);
    std::fs::remove_file(site.at("masks/P2.nii.gz")).unwrap();
    std::fs::copy(peers.path().join("binary.dcm"), site.at("dicom/P2/seg")).unwrap();
    std::fs::write(
        site.at("labels.csv"),
        "patient,diagnosis,lesion\nP1,Warthin,\nP2,MEC,1\n",
    )
    .unwrap();
    let indexed = site.index();
    let (_, text) = finding(&indexed, "two_studies");
    assert!(
        text.contains("the one of 20250101 is taken: a mask names it"),
        "{text}"
    );
    let cohort = indexed.cohort.unwrap();
    assert_eq!(
        patient(&cohort, "P2").dicom.len(),
        1,
        "{:?}",
        patient(&cohort, "P2").dicom
    );
}

#[test]
fn one_person_under_two_names_is_refused() {
    let (site, made) = Site::two(&format!("{TWO}P3,PA,left\n"));
    let other = |edit: &dyn Fn(&mut Made)| {
        let mut twin = Made {
            id: "P3",
            ..Made::new(3, "P3")
        };
        edit(&mut twin);
        let _ = std::fs::remove_dir_all(site.at("dicom/P3"));
        twin.write(&site.at("dicom/P3"));
        nifti(&site.at("masks/P3.nii.gz"), &twin, &[(LEFT, 1)]);
        site.index().cohort
    };
    assert!(other(&|_| ()).is_ok());
    let said = other(&|t| t.study.clone_from(&made[1].study))
        .unwrap_err()
        .to_string();
    assert!(said.contains("P2 and P3 hold the same examination"), "{said}");
    // Another export: other identifiers, another scale, a little noise.
    let exported = |t: &mut Made| {
        *t = Made {
            id: "P3",
            slope: 0.37,
            intercept: -20.0,
            noise: 8.0,
            ..made[1].clone()
        };
        t.study = "1.2.826.0.1.79".to_owned();
        t.frame = "1.2.826.0.1.79.5".to_owned();
    };
    let said = other(&exported).unwrap_err().to_string();
    assert!(said.contains("P2 and P3 hold nearly the same images"), "{said}");
    let named = Made {
        name: "Doe^Jane",
        birth: "19600102",
        ..made[1].clone()
    };
    named.write(&site.at("dicom/P2"));
    let said = other(&|t| (t.name, t.birth) = ("DOE JANE", "19600102"))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("P2 and P3 hold the same name and date of birth"),
        "{said}"
    );
    assert!(!said.to_lowercase().contains("doe"), "nobody is named");
}

/// A cohort file that was put together by hand is looked through as well.
#[test]
fn opening_a_cohort_file_looks_for_leaks() {
    let (site, _) = Site::two(TWO);
    let good = site.index().cohort.unwrap();
    let file = site.at("cohort.toml");
    let mut leaky = good.clone();
    leaky.patients[1].fingerprint = leaky.patients[0].fingerprint.clone();
    leaky.save(&file).unwrap();
    assert!(
        Cohort::open(&file)
            .unwrap_err()
            .to_string()
            .contains("nearly the same images")
    );
    let mut wrong = good.clone();
    wrong.patients[0].fold = 5;
    wrong.save(&file).unwrap();
    assert!(
        Cohort::open(&file)
            .unwrap_err()
            .to_string()
            .contains("fold 5 of 5")
    );
    std::fs::write(&file, "seed = 1\n[[patient]]\nfolder = \"a\"\n").unwrap();
    assert!(Cohort::open(&file).unwrap_err().to_string().contains("made anew"));
}

/// Changes every image of a phantom patient as another export would: identifiers, scale and a little noise.
fn exported_again(from: &Path, to: &Path) {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    let mut open = vec![from.to_owned()];
    let mut state = 1u32;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let mut object = dicom_object::open_file(&path).unwrap();
        for tag in [
            tags::STUDY_INSTANCE_UID,
            tags::SERIES_INSTANCE_UID,
            tags::SOP_INSTANCE_UID,
            tags::FRAME_OF_REFERENCE_UID,
        ] {
            let uid = object.element(tag).unwrap().to_str().unwrap().into_owned();
            object.put(DataElement::new(
                tag,
                VR::UI,
                format!("{}9", uid.trim_end_matches('\0')),
            ));
        }
        object.put(DataElement::new(tags::PATIENT_ID, VR::LO, "SOMEBODY"));
        object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, "Else^Somebody"));
        let pixels = object
            .element(tags::PIXEL_DATA)
            .unwrap()
            .to_multi_int::<i32>()
            .unwrap();
        let bright = f64::from(*pixels.iter().max().unwrap());
        let changed: Vec<u16> = pixels
            .iter()
            .map(|value| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = 0.03 * bright * (f64::from(state >> 8) / f64::from(1 << 24) - 0.5);
                (0.6 * (f64::from(*value) + noise) + 5.0).clamp(0.0, 32767.0) as u16
            })
            .collect();
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(changed.into()),
        ));
        let out = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(out.parent().unwrap()).unwrap();
        object.write_to_file(&out).unwrap();
    }
}

/// The phantom's layout needs neither table nor masks; its patients are far apart, a copy of one is not.
#[test]
fn simulated_patients_are_indexed_by_their_truth_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    phantom::write_cohort_with(2, 8, 21, folder.path(), |_| ()).unwrap();
    std::fs::write(folder.path().join("made-by.txt"), "the command\n").unwrap();
    let order = Order {
        root: folder.path(),
        labels: None,
        masks: None,
        seed: 5,
        strict: true,
        threads: 2,
        command: "index",
    };
    let cohort = index(&order, &|_, _| ()).unwrap().cohort.unwrap();
    assert_eq!(cohort.commands, ["the command", "index"]);
    assert_eq!(cohort.patients.len(), 8);
    for patient in &cohort.patients {
        let text = std::fs::read_to_string(folder.path().join(&patient.folder).join("truth.json")).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
        let word = truth["malignancy"]
            .as_str()
            .or(truth["diagnosis"].as_str())
            .unwrap();
        assert_eq!(Some(patient.diagnosis), Diagnosis::parse(word));
        assert_eq!(patient.dicom, [Path::new(&patient.folder).join("dicom")]);
        let sides = |side: Side| if side == Side::Left { "left" } else { "right" };
        let have: Vec<_> = patient
            .lesions
            .iter()
            .map(|l| (u64::from(l.number), sides(l.side)))
            .collect();
        let lesions = truth["lesions"].as_array().unwrap().iter();
        let want: Vec<_> = lesions
            .map(|l| (l["number"].as_u64().unwrap(), l["side"].as_str().unwrap()))
            .collect();
        assert_eq!(have, want, "{}", patient.folder);
        assert!(patient.simulated);
    }
    let prints: Vec<_> = cohort
        .patients
        .iter()
        .map(|p| p.fingerprint.clone().unwrap())
        .collect();
    let mut nearest = 1.0f64;
    for (n, one) in prints.iter().enumerate() {
        for other in &prints[n + 1..] {
            nearest = nearest.min(one.distance(other).unwrap());
        }
    }
    assert!(nearest > MIN_DISTANCE, "{nearest}");

    let first = folder.path().join("patient-0001");
    let copy = folder.path().join("patient-0009");
    exported_again(&first.join("dicom"), &copy.join("dicom"));
    for name in ["truth.json", "mask.nii"] {
        std::fs::copy(first.join(name), copy.join(name)).unwrap();
    }
    let said = index(&order, &|_, _| ()).unwrap().cohort.unwrap_err().to_string();
    println!("nearest two patients {nearest:.3}; {said}");
    assert!(
        said.contains("patient-0001 and patient-0009 hold nearly the same images"),
        "{said}"
    );

    // The same files in two folders are one person in two folders.
    std::fs::remove_dir_all(copy.join("dicom")).unwrap();
    std::fs::create_dir_all(copy.join("dicom/t2")).unwrap();
    for entry in std::fs::read_dir(first.join("dicom")).unwrap() {
        let series = entry.unwrap();
        for image in std::fs::read_dir(series.path()).unwrap() {
            let image = image.unwrap();
            let name = format!("{}-{}", series.file_name().display(), image.file_name().display());
            std::fs::copy(image.path(), copy.join("dicom/t2").join(name)).unwrap();
        }
    }
    let said = index(&order, &|_, _| ()).unwrap().cohort.unwrap_err().to_string();
    assert!(
        said.contains("patient-0001 and patient-0009 hold the same person"),
        "{said}"
    );
}
