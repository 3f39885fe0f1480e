//! Made-up examinations and a made-up box: for pictures in documents, for tests, and for support, who want to see
//! a page without a patient.

use std::f32::consts::TAU;

use models::findings::{
    BoxMm, ContrastUse, Fault, Findings, LabelProbability, Lesion, Mask, MissingContrast, ModelIdentity,
    NOTICE, Outcome, Reason, RefusedInput, SCHEMA, Side, StudyIdentity, TaskAnswer, Timing,
};
use models::mr::{Confidence, Contrast, Grid};
use models::pictures::{Heat, Influence, Outline, Picture, Pictures};

use super::maintenance::{Installation, Maintenance, Offer, SupportReport};
use super::situation::{
    Alarm, Certificate, Clock, Delivery, Destination, Disk, Model, Opened, Phase, Refused, SelfTest, Sender,
    Situation, State, Station, Study, Update, Verdict,
};
use crate::station::config::MaySend;
use crate::station::notice::Notice;

/// One tumour on the right; all six contrasts.
pub fn one_tumour() -> Findings {
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
            [0.19, 0.08, 0.013, 0.717],
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
pub fn crowded() -> Findings {
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
pub fn no_tumour() -> Findings {
    let mut findings = one_tumour();
    findings.study.patient_name = "Петрова^Мария Ивановна".to_owned();
    findings.lesions.clear();
    findings.quality.clear();
    findings
}

/// A diffusion series alone.
pub fn cannot_answer() -> Findings {
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

/// Slices of the pictures, and the side of one.
const SLICES: usize = 18;
const SIDE: usize = 128;

/// A head in section for each contrast of the findings, with the first lesions outlined.
pub fn pictures(findings: &Findings) -> Pictures {
    // Where the lesions are, in pixels and slices, and how large: x, y, slice, radius, half the slices.
    let places = [
        (27.0, 67.0, 11.0, 10.5, 3.0),
        (101.0, 64.0, 8.0, 6.5, 2.0),
        (96.0, 83.0, 6.0, 4.0, 1.0),
    ];
    let lesions: Vec<_> = findings.lesions.iter().zip(places).collect();
    let radius = |slice: usize, (_, _, middle, radius, half): (f32, f32, f32, f32, f32)| {
        let far = (slice as f32 - middle) / (half + 0.7);
        (far.abs() < 1.0).then(|| radius * (1.0 - far * far).sqrt())
    };
    let contrasts = findings.contrasts.iter().map(|used| {
        let [fat, muscle, gland, tumour] = match used.contrast {
            Contrast::T1 => [200, 70, 120, 60],
            Contrast::T2 => [60, 80, 90, 190],
            Contrast::CeT1 => [70, 80, 140, 215],
            Contrast::DwiB0 => [30, 60, 80, 170],
            Contrast::Dwi => [15, 50, 60, 210],
            Contrast::Adc => [20, 90, 110, 60],
        };
        let inside = |x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32| {
            ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0
        };
        let pixel = |i: usize| {
            let (slice, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
            let (x, y) = (x as f32, y as f32);
            // Narrower towards the chin.
            let size = 0.8 + 0.2 * slice as f32 / SLICES as f32;
            let mut gray = 0;
            for (cx, cy, rx, ry, shade) in [
                (64.0, 66.0, 54.0 * size, 59.0 * size, fat),
                (64.0, 64.0, 48.0 * size, 53.0 * size, muscle),
                (30.0, 70.0, 13.0 * size, 17.0 * size, gland),
                (98.0, 70.0, 13.0 * size, 17.0 * size, gland),
                (64.0, 42.0, 8.0, 11.0, 4),
                (64.0, 94.0, 11.0, 9.0, tumour / 2 + 40),
            ] {
                if inside(x, y, cx, cy, rx, ry) {
                    gray = shade;
                }
            }
            for (_, place) in &lesions {
                if radius(slice, *place).is_some_and(|r| inside(x, y, place.0, place.1, r, r * 1.2)) {
                    gray = tumour;
                }
            }
            gray
        };
        Picture {
            contrast: used.contrast,
            b_value: used.b_value,
            pixels: (0..SLICES * SIDE * SIDE).map(pixel).collect(),
        }
    });
    let outlines = lesions.iter().flat_map(|(lesion, place)| {
        (0..SLICES).filter_map(|slice| {
            let r = radius(slice, *place)?;
            let point = |k: usize| {
                let angle = k as f32 / 48.0 * TAU;
                [place.0 + r * angle.cos(), place.1 + r * 1.2 * angle.sin()]
            };
            Some(Outline {
                lesion: lesion.number,
                slice,
                points: (0..48).map(point).collect(),
            })
        })
    });
    let half = SIDE / 2;
    let heat = |i: usize| {
        let (slice, y, x) = (i / (half * half), i / half % half, i % half);
        let warmth = lesions.iter().map(|(_, place)| {
            let far = ((x as f32 * 2.0 - place.0) / place.3).powi(2)
                + ((y as f32 * 2.0 - place.1) / place.3).powi(2);
            250.0 * (-far / 2.0 - ((slice as f32 - place.2) / place.4).powi(2)).exp()
        });
        warmth.fold(0.0, f32::max) as u8
    };
    let influence = lesions.iter().map(|(lesion, place)| {
        let first = (place.2 - place.4) as usize;
        let fall = |slice: usize| 0.12 * (1.0 - ((slice as f32 - place.2) / (place.4 + 1.0)).powi(2)) - 0.03;
        Influence {
            lesion: lesion.number,
            task: "subtype".to_owned(),
            label: "malignant".to_owned(),
            slices: (first..=first + 2 * place.4 as usize)
                .map(|slice| (slice, fall(slice)))
                .collect(),
        }
    });
    let answered = findings.outcome == Outcome::Answered;
    Pictures {
        width: SIDE,
        height: SIDE,
        slices: SLICES,
        first_slice: 0,
        of: SLICES,
        pixel_mm: 1.4,
        slice_mm: 4.0,
        first_shown: if findings.lesions.is_empty() {
            SLICES / 2
        } else {
            11
        },
        contrasts: contrasts.collect(),
        outlines: outlines.collect(),
        heat: answered.then(|| Heat {
            width: half,
            height: half,
            probability: (0..SLICES * half * half).map(heat).collect(),
        }),
        influence: influence.collect(),
    }
}

/// A study with its pictures.
pub fn opened(findings: Findings) -> Opened {
    Opened {
        pictures: pictures(&findings),
        findings,
    }
}

/// A box at work.
pub fn busy() -> Situation {
    let unreachable = Reason::new(
        "unreachable",
        Fault::Peer,
        "archive.example.org: connection refused",
    );
    let study = |name: &str, state, images, age_s| Study {
        uid: format!("2.25.{}", images + age_s),
        tag: format!("{:04X}", 977 * (images + age_s) % 65_536),
        patient_name: name.to_owned(),
        images,
        expected: None,
        series: None,
        state,
        delivery: Delivery::Nowhere,
        answers: 1,
        pictures: 0,
        age_s: Some(age_s),
    };
    let missing = vec![Contrast::T2, Contrast::CeT1];
    let disk = Reason::new(
        "disk",
        Fault::Hardware,
        "the findings cannot be kept: No space left on device",
    );
    Situation {
        phase: Phase::Running,
        station: Station {
            name: "MR 2, basement".to_owned(),
            ae_title: "SIALOSCOPE".to_owned(),
            address: Some("10.20.30.40:11112".to_owned()),
            tls_address: Some("10.20.30.40:2762".to_owned()),
            may_send: MaySend::Listed,
            model: Some(Model {
                name: "liu-phantom 0.1.0".to_owned(),
                trained_on: "simulated examinations of 1200 patients, no real one".to_owned(),
            }),
            software_version: "0.1.0".to_owned(),
            serial_number: "7F3A-22C1-90DE".to_owned(),
            senders: vec![
                Sender {
                    ae_title: "MODALITY1".to_owned(),
                    address: Some("10.20.30.11".to_owned()),
                    heard_s: Some(4),
                },
                Sender {
                    ae_title: "MODALITY2".to_owned(),
                    address: Some("10.20.30.0/24".to_owned()),
                    heard_s: None,
                },
            ],
            destinations: vec![
                Destination {
                    name: "PACS".to_owned(),
                    waiting: 0,
                    trouble: None,
                },
                Destination {
                    name: "Archive".to_owned(),
                    waiting: 3,
                    trouble: Some(unreachable.clone()),
                },
            ],
            disk: Some(Disk {
                free_mib: 21_480,
                total_mib: 29_800,
                refused_below_mib: 512,
            }),
            temperature_c: Some(54.0),
            clock: Some(Clock {
                time: "2026-11-22 14:05".to_owned(),
                plausible: true,
            }),
            certificates: vec![Certificate {
                name: "sialoscope.example.org".to_owned(),
                until: "2026-12-04".to_owned(),
                ends_soon: true,
            }],
            notices: vec![Notice::new(
                "TLS certificate sialoscope.example.org",
                Reason::new(
                    "certificate_ends",
                    Fault::Configuration,
                    "expires in 12 days, on 2026-12-04",
                ),
            )],
            update: Some(Update {
                version: "0.1.0".to_owned(),
                date: "2026-10-02".to_owned(),
                rolled_back: Some(Reason::new(
                    "golden_vectors",
                    Fault::Us,
                    "0.2.0: golden vector 3 differs",
                )),
            }),
            self_test: SelfTest::Passed,
        },
        studies: vec![
            Study {
                expected: Some(144),
                ..study("Yılmaz^Ayşe Gül", State::Receiving(missing), 96, 4)
            },
            study(
                "Петрова^Мария Ивановна",
                State::Analyzing(Some("align".to_owned())),
                144,
                65,
            ),
            study(
                "Wang^XiaoDong=王^小东",
                State::Answered(Verdict::CannotAnswer),
                48,
                700,
            ),
            Study {
                delivery: Delivery::Blocked("Archive".to_owned()),
                ..study("Okonkwo^Chidi", State::Answered(Verdict::Tumour), 145, 4000)
            },
            Study {
                delivery: Delivery::Done,
                ..study("קוהן^שרה", State::Answered(Verdict::NoTumour), 146, 7000)
            },
            study("Müller^Jürgen", State::Failed(disk), 147, 8000),
            Study {
                delivery: Delivery::Waiting("PACS".to_owned()),
                ..study("قباني^لنزار", State::Answered(Verdict::Tumour), 140, 9000)
            },
            Study {
                delivery: Delivery::Done,
                age_s: None,
                ..study(
                    "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine",
                    State::Answered(Verdict::NoTumour),
                    1440,
                    90_000,
                )
            },
        ],
        refusals: vec![
            Refused {
                peer: "MODALITY7".to_owned(),
                reason: Reason::new("not_mr", Fault::Peer, "CT image: only MR is accepted"),
                age_s: 340,
            },
            Refused {
                peer: "10.20.30.99".to_owned(),
                reason: Reason::new("called_ae_title", Fault::Peer, "Called AE title was ANY-SCP"),
                age_s: 7300,
            },
        ],
        alarms: Vec::new(),
        maintenance: Maintenance::default(),
    }
}

/// The same box with a stick in it.
pub fn with_stick(installation: Option<Installation>, support: Option<SupportReport>) -> Situation {
    Situation {
        maintenance: Maintenance {
            stick: true,
            offer: Some(Offer {
                bundle: "/run/sialoscope/stick/sda1/sialoscope-rpi4-0.3.0.raucb".to_owned(),
                version: "0.3.0".to_owned(),
                notes:
                    "Release notes 0.3.0: reads the fat-suppressed T2 of two more makers; mends a slow start."
                        .to_owned(),
                refused: None,
            }),
            installation,
            support,
        },
        ..busy()
    }
}

/// The same with a stick whose update is another board's.
pub fn with_wrong_stick() -> Situation {
    let mut situation = with_stick(None, None);
    if let Some(offer) = &mut situation.maintenance.offer {
        let text = "sialoscope-imx8mp-evk; this is sialoscope-rpi4";
        offer.refused = Some(Reason::new("update_board", Fault::Data, text));
    }
    situation
}

/// The same box with nothing to do.
pub fn idle() -> Situation {
    let busy = busy();
    Situation {
        studies: Vec::new(),
        refusals: Vec::new(),
        station: Station {
            notices: Vec::new(),
            ..busy.station
        },
        ..busy
    }
}

/// Why the same box could not start.
pub fn start_failure() -> Reason {
    Reason::new(
        "configuration",
        Fault::Configuration,
        "sialoscope.toml, line 12, column 1: unknown field `ae_titel`, expected one of `name`, `ae_title`, `bind`",
    )
}

/// The same box with an alarm.
pub fn alarmed(alarm: Alarm) -> Situation {
    let mut situation = busy();
    situation.alarms.push(alarm);
    match alarm {
        Alarm::Disk => {
            situation.station.disk = Some(Disk {
                free_mib: 1804,
                total_mib: 29_800,
                refused_below_mib: 512,
            });
        }
        Alarm::Clock => {
            situation.station.clock = Some(Clock {
                time: "1970-01-01 00:07".to_owned(),
                plausible: false,
            });
        }
        Alarm::Temperature => situation.station.temperature_c = Some(84.0),
    }
    situation
}
