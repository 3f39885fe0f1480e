//! Made-up examinations for the tests of the pages.

use models::{
    findings::{
        BoxMm, ContrastUse, Fault, Findings, LabelProbability, Lesion, Mask, MissingContrast, ModelIdentity,
        NOTICE, Outcome, Outline, Reason, RefusedInput, SCHEMA, Side, StudyIdentity, TaskAnswer, Timing,
        View,
    },
    mr::{Confidence, Contrast, Grid},
};

use super::{Progress, RefusalLine, StatusView, StudyLine};
use crate::station::config::MaySend;

/// One tumour on the right; all six contrasts.
pub(super) fn one_tumour() -> Findings {
    Findings {
        schema: SCHEMA,
        notice: NOTICE.to_owned(),
        outcome: Outcome::Answered,
        reasons: Vec::new(),
        study: StudyIdentity {
            study_instance_uid: "2.25.1".to_owned(),
            patient_name: "Yılmaz^Ayşe Gül".to_owned(),
            patient_id: "P-0042".to_owned(),
            study_date: "20240314".to_owned(),
            accession_number: "A-17".to_owned(),
            description: "MR neck with contrast".to_owned(),
        },
        lesions: vec![lesion(
            1,
            Side::Right,
            24.3,
            [0.283, 0.717],
            [0.21, 0.09, 0.02, 0.68],
        )],
        contrasts: Contrast::ALL.map(used).into(),
        missing: Vec::new(),
        refused: Vec::new(),
        quality: vec![Reason::new(
            "motion",
            Fault::Data,
            "Some motion between T2 and CE-T1 (2.1 mm).",
        )],
        model: Some(ModelIdentity {
            name: "liu-phantom".to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "00".repeat(32),
            trained_on: "simulated examinations of 1200 patients, no real one".to_owned(),
        }),
        software_version: "0.1.0".to_owned(),
        timings: [
            ("read", 812.0),
            ("align", 304.0),
            ("locate", 395.0),
            ("classify", 478.0),
            ("views", 61.0),
        ]
        .map(|(step, milliseconds)| Timing {
            step: step.to_owned(),
            milliseconds,
        })
        .into(),
    }
}

/// Three tumours, two contrasts missing, long names and many remarks.
pub(super) fn crowded() -> Findings {
    let mut findings = one_tumour();
    findings.study.patient_name =
        "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Maximilian=王^小东".to_owned();
    findings.study.description =
        "MRT Hals und Speicheldrüsen nativ und mit Kontrastmittel, Verlaufskontrolle nach Biopsie".to_owned();
    findings.lesions[0].mean_adc = None;
    findings.lesions.extend((2..=6).map(|number| {
        lesion(
            number,
            Side::Left,
            30.0 - f64::from(number) * 4.0,
            [0.9, 0.1],
            [0.1, 0.8, 0.05, 0.05],
        )
    }));
    findings
        .contrasts
        .retain(|used| !matches!(used.contrast, Contrast::T1 | Contrast::Adc));
    findings.missing = [Contrast::T1, Contrast::Adc]
        .map(|contrast| MissingContrast {
            contrast,
            required: false,
        })
        .into();
    findings.quality.extend((1..=9).map(|i| {
        Reason::new("distortion", Fault::Data, format!("Remark {i}: the diffusion images are distorted near the mastoid air cells, so that outlines there can be shifted."))
    }));
    findings
}

/// Answered, and nothing found.
pub(super) fn no_tumour() -> Findings {
    let mut findings = one_tumour();
    findings.study.patient_name = "Петрова^Мария Ивановна".to_owned();
    findings.lesions.clear();
    findings.quality.clear();
    findings
}

/// A diffusion series alone.
pub(super) fn cannot_answer() -> Findings {
    let mut findings = one_tumour();
    findings.study.patient_name = "Wang^XiaoDong=王^小东".to_owned();
    findings.outcome = Outcome::CannotAnswer;
    findings.lesions.clear();
    findings.quality.clear();
    findings
        .contrasts
        .retain(|used| matches!(used.contrast, Contrast::T1 | Contrast::DwiB0 | Contrast::Dwi));
    findings
        .contrasts
        .iter_mut()
        .for_each(|used| used.used_by_model = false);
    findings.missing = [
        (Contrast::T2, true),
        (Contrast::CeT1, true),
        (Contrast::Adc, false),
    ]
    .map(|(contrast, required)| MissingContrast { contrast, required })
    .into();
    findings.reasons = [("T2", "T2-weighted"), ("CE-T1", "contrast-enhanced T1-weighted")]
        .map(|(name, words)| {
            let text =
                format!("The study has no {words} series ({name}), and the model cannot answer without.");
            Reason::new("missing_contrast", Fault::Data, text)
        })
        .into();
    findings.refused = (1..=14)
        .map(|i| RefusedInput {
            input: format!("IM_{i:04}"),
            reason: Reason::new("truncated", Fault::Data, "The file ends before its pixels do."),
        })
        .collect();
    findings
}

fn lesion(number: u32, side: Side, long_axis_mm: f64, malignancy: [f64; 2], subtype: [f64; 4]) -> Lesion {
    let task = |task: &str, labels: &[(&str, f64)]| TaskAnswer {
        task: task.to_owned(),
        labels: labels
            .iter()
            .map(|&(label, probability)| LabelProbability {
                label: label.to_owned(),
                probability,
                interval: [(probability - 0.11).max(0.0), (probability + 0.13).min(1.0)],
            })
            .collect(),
    };
    let names = [
        "pleomorphic adenoma",
        "Warthin tumour",
        "basal cell adenoma",
        "malignant",
    ];
    let subtype: Vec<_> = names.into_iter().zip(subtype).collect();
    Lesion {
        number,
        side,
        box_mm: BoxMm {
            min: [-60.0, -10.0, 5.0],
            max: [-38.0, 14.0, 29.0],
        },
        long_axis_mm,
        volume_ml: 6.84,
        mean_adc: Some(1.237),
        detection: 0.97,
        largest_slice: 11,
        mask: Mask {
            grid: Grid {
                origin: [0.0; 3],
                slice_step: [0.0, 0.0, 4.0],
                row_step: [0.0, 1.0, 0.0],
                column_step: [1.0, 0.0, 0.0],
                shape: [1, 1, 1],
            },
            runs: vec![[0, 1]],
        },
        tasks: vec![
            task(
                "malignancy",
                &[("benign", malignancy[0]), ("malignant", malignancy[1])],
            ),
            task("subtype", &subtype),
        ],
    }
}

fn used(contrast: Contrast) -> ContrastUse {
    let (b_value, reason) = match contrast {
        Contrast::T1 => (None, "TR 560 ms, TE 10 ms, no contrast agent"),
        Contrast::T2 => (None, "TR 4200 ms, TE 95 ms"),
        Contrast::CeT1 => (None, "TR 580 ms, TE 10 ms, contrast agent given"),
        Contrast::DwiB0 => (Some(0.0), "diffusion series, b = 0 s/mm²"),
        Contrast::Dwi => (Some(1000.0), "diffusion series, b = 1000 s/mm²"),
        Contrast::Adc => (None, "image type names ADC"),
    };
    ContrastUse {
        contrast,
        b_value,
        series_instance_uid: "2.25.7".to_owned(),
        series_number: Some(301 + contrast as i64),
        description: contrast.name().to_owned(),
        reason: reason.to_owned(),
        confidence: if contrast == Contrast::Adc {
            Confidence::Medium
        } else {
            Confidence::High
        },
        used_by_model: matches!(contrast, Contrast::T2 | Contrast::CeT1 | Contrast::Dwi),
        registered: None,
        computed: false,
        acquired: None,
    }
}

/// A head in section for each contrast of the findings, with the first lesions outlined.
pub(super) fn views(findings: &Findings) -> Vec<View> {
    let side = 160;
    let shade = |contrast: Contrast| match contrast {
        Contrast::T1 => [200, 70, 120, 60],
        Contrast::T2 => [60, 80, 90, 190],
        Contrast::CeT1 => [70, 80, 140, 215],
        Contrast::DwiB0 => [30, 60, 80, 170],
        Contrast::Dwi => [15, 50, 60, 210],
        Contrast::Adc => [20, 90, 110, 60],
    };
    let tumours = [(34.0, 84.0, 13.0), (126.0, 80.0, 8.0), (120.0, 104.0, 5.0)];
    let view = |used: &ContrastUse| {
        let [fat, muscle, gland, tumour] = shade(used.contrast);
        let inside = |x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32| {
            ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0
        };
        let pixels = (0..side * side).map(|i| {
            let (x, y) = ((i % side) as f32, (i / side) as f32);
            let mut gray = 0;
            if inside(x, y, 80.0, 82.0, 68.0, 74.0) {
                gray = fat;
            }
            if inside(x, y, 80.0, 80.0, 60.0, 66.0) {
                gray = muscle;
            }
            if inside(x, y, 38.0, 88.0, 16.0, 22.0) || inside(x, y, 122.0, 88.0, 16.0, 22.0) {
                gray = gland;
            }
            if inside(x, y, 80.0, 52.0, 10.0, 14.0) {
                gray = 4;
            }
            if inside(x, y, 80.0, 118.0, 14.0, 12.0) {
                gray = tumour / 2 + 40;
            }
            for (cx, cy, r) in tumours.iter().take(findings.lesions.len()) {
                if inside(x, y, *cx, *cy, *r, *r * 1.2) {
                    gray = tumour;
                }
            }
            gray
        });
        let outlines = tumours
            .iter()
            .zip(&findings.lesions)
            .map(|((cx, cy, r), lesion)| Outline {
                lesion: lesion.number,
                points: (0..48)
                    .map(|k| {
                        let angle = k as f32 / 48.0 * std::f32::consts::TAU;
                        [cx + r * angle.cos(), cy + r * 1.2 * angle.sin()]
                    })
                    .collect(),
            });
        View {
            contrast: used.contrast,
            b_value: used.b_value,
            width: side,
            height: side,
            pixel_mm: 1.1,
            pixels: pixels.collect(),
            outlines: outlines.collect(),
        }
    };
    findings.contrasts.iter().map(view).collect()
}

/// A box at work.
pub(super) fn busy_status() -> StatusView {
    let study = |label: &str, progress, state: &str, images, age_s| StudyLine {
        label: label.to_owned(),
        progress,
        state: state.to_owned(),
        images,
        age_s,
    };
    StatusView {
        station: "MR 2, basement".to_owned(),
        ae_title: "SIALOSCOPE".to_owned(),
        address: Some("10.20.30.40:11112".to_owned()),
        may_send: MaySend::Everybody,
        notices: Vec::new(),
        model: Some("liu-phantom 0.1.0".to_owned()),
        trained_on: "simulated examinations of 1200 patients, no real one".to_owned(),
        software_version: "0.1.0".to_owned(),
        warnings: vec!["The disk is filling: 1804 MiB are left, below 512 MiB images are refused".to_owned()],
        studies: vec![
            study(
                "Yılmaz^Ayşe Gül",
                Progress::Working,
                "waits: 2 of 6 series, T2 not yet there",
                96,
                4,
            ),
            study(
                "Петрова^Мария Ивановна",
                Progress::Working,
                "analysing: align",
                144,
                65,
            ),
            study(
                "Wang^XiaoDong=王^小东",
                Progress::Failed,
                "cannot answer: no T2-weighted series, no contrast-enhanced series",
                48,
                700,
            ),
            study("Okonkwo^Chidi", Progress::Done, "reported", 144, 4000),
            study(
                "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine",
                Progress::Done,
                "delivered",
                1440,
                90_000,
            ),
        ],
        refusals: vec![
            RefusalLine {
                text: "CT image from MODALITY7: only MR is accepted".to_owned(),
                age_s: 340,
            },
            RefusalLine {
                text: "Association from 10.20.30.99: called AE title was ANY-SCP".to_owned(),
                age_s: 7300,
            },
        ],
    }
}
