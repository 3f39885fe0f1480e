//! Real heads as anatomy. They are not part of this project: `SIALOSCOPE_MR_DATA` names their folder;
//! without it each test says that it is skipped.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use models::findings::Fault;
use models::mr::{Contrast, scan};
use phantom::{Diagnosis, FoundGland, Patient, Side, simulate_on, write_simulated};
use trainer::anatomy::{Heads, heads};
use trainer::error::Error;

/// The folder of one scanner, or none, with a line that says so.
fn folder(name: &str) -> Option<PathBuf> {
    match std::env::var_os("SIALOSCOPE_MR_DATA") {
        Some(root) => Some(Path::new(&root).join(name)),
        None => {
            eprintln!("skipped: {name} (SIALOSCOPE_MR_DATA names no folder)");
            None
        }
    }
}

/// Both glands lie beside each other, of believable size, at about one height.
fn assert_pair(glands: [FoundGland; 2]) {
    let [left, right] = glands;
    assert_eq!((left.side, right.side), (Side::Left, Side::Right));
    let apart: Vec<f64> = (0..3).map(|a| left.centre_mm[a] - right.centre_mm[a]).collect();
    assert!((80.0..140.0).contains(&apart[0]), "{glands:?}");
    assert!(apart[1].abs() < 20.0 && apart[2].abs() < 20.0, "{glands:?}");
}

fn usable(found: Result<Heads, Error>) -> Heads {
    found.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn two_whole_heads_have_both_parotids_and_give_all_contrasts() {
    for (name, suppressed) in [("philips-elition-3t/t1_mprage", false), ("studyforrest-t1", true)] {
        let Some(folder) = folder(name) else { return };
        let heads = usable(heads(&folder));
        let [head] = heads.found.as_slice() else {
            panic!("{name}: {} heads", heads.found.len())
        };
        assert_eq!(head.anatomy().len(), 64, "a SHA-256");
        assert_eq!(head.fat_suppressed(), suppressed, "{name}");
        assert_pair(head.glands());
        let study = simulate_on(&Patient::draw(3, Some(Diagnosis::PleomorphicAdenoma)), head);
        assert_eq!(study.truth.lesions.len(), 1, "{name}");
        let dir = tempfile::tempdir().unwrap();
        let written = write_simulated(&study, dir.path()).unwrap();
        let scan = scan(&[written.dicom]);
        let volumes = scan.series.iter().flat_map(|s| &s.volumes);
        let mut seen: Vec<Contrast> = volumes.filter_map(|v| v.contrast).collect();
        seen.sort();
        assert_eq!(seen, Contrast::ALL, "{name}");
    }
}

#[test]
fn a_few_slices_are_refused_as_the_data_s_fault() {
    let Some(folder) = folder("ge-signa/anatomical/001") else {
        return;
    };
    let Err(error) = heads(&folder) else {
        panic!("four slices hold no parotids")
    };
    assert_eq!(error.fault(), Fault::Data);
    assert!(error.to_string().contains("field_of_view"), "{error}");
}
