//! Which contrast a volume is: physics and Image Type first, words last, always with a reason.

#![allow(clippy::unwrap_used)]

mod made;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use made::{EXPLICIT, Slice, strings};
use models::mr::{Confidence, Contrast, VolumeIndex, scan};

use Confidence::{High, Low, Medium};
use Contrast::{Adc, CeT1, Dwi, DwiB0, T1, T2};

/// The volume of three slices that `change` was done to.
fn recognised(change: impl Fn(&mut Slice)) -> VolumeIndex {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..3 {
        let mut slice = Slice::new(4.0 * f64::from(i), 100);
        change(&mut slice);
        slice.write(folder.path(), &format!("{i}"), EXPLICIT);
    }
    let mut scan = scan(&[folder.path().to_owned()]);
    assert!(scan.series[0].refused.is_empty(), "{:?}", scan.series[0].refused);
    scan.series[0].volumes.remove(0)
}

/// Scanning sequence, variant, TR, TE, TI, flip angle; a zero is not written.
type Physics = (&'static str, &'static str, f64, f64, f64, f64);

fn set_physics(slice: &mut Slice, (sequence, variant, tr, te, ti, flip): Physics) {
    slice.set(
        tags::SCANNING_SEQUENCE,
        VR::CS,
        strings(&sequence.split('\\').collect::<Vec<_>>()),
    );
    slice.set(
        tags::SEQUENCE_VARIANT,
        VR::CS,
        strings(&variant.split('\\').collect::<Vec<_>>()),
    );
    for (tag, value) in [
        (tags::REPETITION_TIME, tr),
        (tags::ECHO_TIME, te),
        (tags::INVERSION_TIME, ti),
        (tags::FLIP_ANGLE, flip),
    ] {
        slice.without(tag);
        if value > 0.0 {
            slice.set(tag, VR::DS, value.to_string());
        }
    }
}

#[test]
fn the_physics_of_the_sequence_decides() {
    let cases: [(&str, Physics, Option<Contrast>); 17] = [
        ("T1 spin echo", ("SE", "SK", 600.0, 10.0, 0.0, 90.0), Some(T1)),
        (
            "T1 turbo spin echo of Liu 2023",
            ("SE", "SK\\SP", 849.0, 11.0, 0.0, 150.0),
            Some(T1),
        ),
        (
            "T2 turbo spin echo of Liu 2023",
            ("SE", "SK\\SP", 4460.0, 78.0, 0.0, 150.0),
            Some(T2),
        ),
        (
            "VIBE of Liu 2023",
            ("GR", "SP\\OSP", 3.73, 1.52, 0.0, 9.0),
            Some(T1),
        ),
        ("FLASH", ("GR", "SP\\OSP", 300.0, 2.46, 0.0, 80.0), Some(T1)),
        (
            "MPRAGE of Siemens",
            ("GR\\IR", "SK\\SP\\MP", 2300.0, 2.98, 900.0, 9.0),
            Some(T1),
        ),
        (
            "IR-prepared SPGR of GE",
            ("GR", "SS\\SP\\SK", 8.9, 3.164, 900.0, 0.0),
            Some(T1),
        ),
        (
            "turbo field echo of Philips",
            ("GR", "MP", 6.5, 2.93, 0.0, 9.0),
            Some(T1),
        ),
        ("STIR", ("SE\\IR", "SK", 4000.0, 60.0, 220.0, 150.0), Some(T2)),
        (
            "T1 inversion recovery",
            ("SE\\IR", "SK", 2200.0, 10.0, 860.0, 150.0),
            Some(T1),
        ),
        (
            "FLAIR",
            ("SE\\IR", "SK\\SP\\MP", 6000.0, 394.0, 2200.0, 120.0),
            None,
        ),
        ("proton density", ("SE", "SK", 3000.0, 15.0, 0.0, 150.0), None),
        ("hydrographic", ("SE", "SK", 4000.0, 800.0, 0.0, 150.0), None),
        ("T2*", ("GR", "SP", 600.0, 20.0, 0.0, 20.0), None),
        ("balanced steady state", ("GR", "SS", 5.0, 2.2, 0.0, 50.0), None),
        (
            "flip angle below the Ernst angle",
            ("GR", "SP", 30.0, 3.0, 0.0, 5.0),
            None,
        ),
        ("functional", ("EP\\GR", "SS", 2500.0, 28.0, 0.0, 80.0), None),
    ];
    for (name, physics, expected) in cases {
        let volume = recognised(|s| {
            set_physics(s, physics);
            // Words must not win against physics.
            s.set(tags::SERIES_DESCRIPTION, VR::LO, "some series");
        });
        assert_eq!(volume.contrast, expected, "{name}: {}", volume.reason);
        assert_eq!(volume.confidence, High, "{name}");
        assert!(volume.reason.ends_with('.'), "{name}: {}", volume.reason);
    }
}

#[test]
fn words_that_contradict_physics_lower_the_confidence_only() {
    let volume = recognised(|s| {
        s.set(tags::SERIES_DESCRIPTION, VR::LO, "t2_tse_tra");
    });
    assert_eq!((volume.contrast, volume.confidence), (Some(T1), Medium));
    assert!(
        volume.reason.contains("although its description says T2"),
        "{}",
        volume.reason
    );
}

#[test]
fn a_contrast_agent_makes_t1_to_ce_t1() {
    let with = |agent: &'static str, words: &'static str| {
        let volume = recognised(move |s| {
            s.set(tags::CONTRAST_BOLUS_AGENT, VR::LO, agent)
                .set(tags::SERIES_DESCRIPTION, VR::LO, words);
        });
        (volume.contrast.unwrap(), volume.confidence)
    };
    assert_eq!(with("Gadobutrol", "t1_tse_fs"), (CeT1, High));
    assert_eq!(with("", "t1_tse_fs"), (T1, High));
    assert_eq!(with("NONE", "t1_tse_fs"), (T1, High));
    assert_eq!(with("Gadobutrol", "t1 tse nativ"), (T1, Medium));
    assert_eq!(with("Gadobutrol", "t1 tse no fatsat"), (CeT1, High));
    let after = [
        "Ax T1 FS +C",
        "T1_VIBE_FS_C+",
        "t1 tse fs post",
        "T1 FS GAD",
        "t1 tse quer KM",
        "T1 nach KM",
        "t1_fs_Gd",
        "Т1 с контрастом",
        "T1 kontrastlı",
        "T1 增强",
        "T1 con mdc",
        "T1 après injection",
        "CE-T1",
        "T1 post-contrast",
    ];
    for words in after {
        assert_eq!(with("", words), (CeT1, Medium), "{words}");
    }
    for words in [
        "T1 without contrast",
        "T1 w/o contrast",
        "T1 ohne KM",
        "Т1 без контраста",
        "T1 non-contrast",
        "T1 pre-contrast",
    ] {
        assert_eq!(with("", words).0, T1, "{words}");
    }
}

#[test]
fn image_type_tells_what_is_none_of_ours() {
    let kinds = [
        "LOCALIZER",
        "PROJECTION IMAGE",
        "MIP",
        "FA",
        "EADC",
        "P",
        "PHASE MAP",
        "R",
        "SUBTRACTION",
        "TTP",
        "OPP_PHASE",
    ];
    for kind in kinds {
        let volume = recognised(|s| {
            s.set(tags::IMAGE_TYPE, VR::CS, strings(&["DERIVED", "PRIMARY", kind]));
        });
        assert_eq!(volume.contrast, None, "{kind}");
        assert!(volume.reason.contains(kind), "{}", volume.reason);
    }
    for words in [
        "localizer",
        "AAHead_Scout",
        "t1_mip_tra",
        "T1 SUB",
        "TOF_3D_multi-slab",
        "gre_field_mapping",
        "dti_FA",
    ] {
        let volume = recognised(|s| {
            s.set(tags::SERIES_DESCRIPTION, VR::LO, words);
        });
        assert_eq!(volume.contrast, None, "{words}: {}", volume.reason);
    }
}

/// The magnitude image of a map of the main field, B0, is a gradient echo like those that weight for T1.
#[test]
fn b0_of_a_gradient_echo_is_the_main_field() {
    let with = |words: &str| {
        recognised(|s| {
            set_physics(s, ("GR", "SP", 6.0, 1.52, 0.0, 9.0));
            s.set(tags::SERIES_DESCRIPTION, VR::LO, words);
        })
    };
    let map = with("B0 NS");
    assert_eq!(map.contrast, None);
    assert!(map.reason.contains("field map"), "{}", map.reason);
    assert_eq!(with("T1 VIBE").contrast, Some(T1));
}

#[test]
fn adc_is_told_by_image_type_or_by_words() {
    let with = |image_type: &[&str], words: &str| {
        let volume = recognised(|s| {
            set_physics(s, ("EP\\SE", "SK", 3600.0, 65.0, 0.0, 90.0));
            s.set(tags::IMAGE_TYPE, VR::CS, strings(image_type))
                .set(tags::SERIES_DESCRIPTION, VR::LO, words);
        });
        (volume.contrast, volume.confidence)
    };
    assert_eq!(
        with(&["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "ep2d"),
        (Some(Adc), High)
    );
    assert_eq!(
        with(
            &["ORIGINAL", "PRIMARY", "ADC_UNSPECIFIED", "ADC", "UNSPECIFIED"],
            "x"
        ),
        (Some(Adc), High)
    );
    assert_eq!(
        with(&["DERIVED", "SECONDARY", "OTHER"], "dADC tra"),
        (Some(Adc), Medium)
    );
    assert_eq!(
        with(
            &["ORIGINAL", "PRIMARY", "OTHER"],
            "Apparent Diffusion Coefficient"
        ),
        (Some(Adc), Low)
    );
    assert_eq!(
        with(&["ORIGINAL", "PRIMARY", "OTHER"], "ИКД карта"),
        (Some(Adc), Low)
    );
    assert_eq!(with(&["DERIVED", "PRIMARY", "OTHER"], "eADC").0, None);
}

#[test]
fn b_zero_needs_evidence_of_diffusion() {
    let with = |change: &dyn Fn(&mut Slice)| {
        let volume = recognised(|s| {
            set_physics(s, ("EP\\SE", "SK", 3600.0, 65.0, 0.0, 90.0));
            change(s);
        });
        (volume.contrast, volume.confidence)
    };
    let siemens = |s: &mut Slice| {
        s.private("SIEMENS MR HEADER", dicom_core::Tag(0x0019, 0x100C), VR::IS, "0");
    };
    assert_eq!(with(&|_| ()), (None, High));
    assert_eq!(with(&siemens), (None, High));
    assert_eq!(
        with(&|s| {
            siemens(s);
            s.set(tags::SERIES_DESCRIPTION, VR::LO, "resolve_tra");
        }),
        (Some(DwiB0), Medium)
    );
    assert_eq!(
        with(&|s| {
            siemens(s);
            s.set(
                tags::IMAGE_TYPE,
                VR::CS,
                strings(&["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]),
            );
        }),
        (Some(DwiB0), Medium)
    );
    assert_eq!(
        with(&|s| {
            s.set(tags::DIFFUSION_B_VALUE, VR::FD, 0.0);
            s.set(
                tags::IMAGE_TYPE,
                VR::CS,
                strings(&["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]),
            );
        }),
        (Some(DwiB0), High)
    );
}

#[test]
fn words_are_the_last_resort() {
    let with = |words: &str| {
        let volume = recognised(|s| {
            for tag in [tags::SCANNING_SEQUENCE, tags::REPETITION_TIME, tags::ECHO_TIME] {
                s.without(tag);
            }
            s.set(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192").set(
                tags::SERIES_DESCRIPTION,
                VR::LO,
                words,
            );
        });
        assert!(volume.contrast.is_none() || volume.confidence == Low, "{words}");
        (volume.contrast, volume.b_value)
    };
    for words in [
        "anat-T1w",
        "AXT1",
        "Ax T1 FSE",
        "sag 3D MPRAGE",
        "Т1 ВИ акс",
        "横断位 T1",
    ] {
        assert_eq!(with(words), (Some(T1), None), "{words}");
    }
    for words in ["T2W_SPAIR", "t2_tse_tra", "OAx T2 frFSE fs", "cor STIR", "Т2 ВИ"] {
        assert_eq!(with(words), (Some(T2), None), "{words}");
    }
    for words in [
        "DWI b1000",
        "diff_b=1000",
        "弥散 b1000",
        "Диффузия b1000",
        "difüzyon b 1000",
    ] {
        assert_eq!(with(words), (Some(Dwi), Some(1000.0)), "{words}");
    }
    assert_eq!(with("DWI b0"), (Some(DwiB0), Some(0.0)));
    for words in [
        "",
        "DWI",
        "DWI b0 b1000",
        "T10 spine",
        "T1 T2 mix",
        "FLAIR",
        "T2*",
        "проба",
    ] {
        assert_eq!(with(words).0, None, "{words}");
    }
}
