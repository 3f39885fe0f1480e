//! Diagnoses and what they look like: figures from the literature, drawn per lesion.
//!
//! ADC sources: A Eur J Radiol 2021;144:109980 · B Li, Chin J MRI 2023;14(4):34 · C PMC6511721 ·
//! D Yerli, Acta Radiol 2007;48:980. Kep and Ve: review, doi 10.2478/raon-2026-0025. Form and place:
//! Warthin, J Laryngol Otol 2023 (n = 290); basal cell adenoma, Oral Radiol s11282-015-0209-5 and A;
//! malignant, A. What the sources do not give is a guess and says so.

mod profile;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::profile::{Profile, profile};
use crate::dice::Dice;

/// What the simulated patient has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Diagnosis {
    /// Pleomorphic adenoma.
    #[serde(rename = "pleomorphic adenoma")]
    PleomorphicAdenoma,
    /// Warthin tumour.
    #[serde(rename = "Warthin tumour")]
    Warthin,
    /// Basal cell adenoma.
    #[serde(rename = "basal cell adenoma")]
    BasalCellAdenoma,
    /// One of the [`Malignancy`] kinds.
    #[serde(rename = "malignant")]
    Malignant,
    /// No tumour.
    #[serde(rename = "none")]
    None,
}

impl Diagnosis {
    /// All of them.
    pub const ALL: [Diagnosis; 5] = [
        Diagnosis::PleomorphicAdenoma,
        Diagnosis::Warthin,
        Diagnosis::BasalCellAdenoma,
        Diagnosis::Malignant,
        Diagnosis::None,
    ];

    /// The name in truth files.
    pub fn name(self) -> &'static str {
        match self {
            Diagnosis::PleomorphicAdenoma => "pleomorphic adenoma",
            Diagnosis::Warthin => "Warthin tumour",
            Diagnosis::BasalCellAdenoma => "basal cell adenoma",
            Diagnosis::Malignant => "malignant",
            Diagnosis::None => "none",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown diagnosis '{0}': expected pa, warthin, bca, malignant or none")]
pub struct UnknownDiagnosis(String);

impl FromStr for Diagnosis {
    type Err = UnknownDiagnosis;

    fn from_str(word: &str) -> Result<Self, UnknownDiagnosis> {
        match word.to_ascii_lowercase().as_str() {
            "pa" | "pleomorphic adenoma" => Ok(Diagnosis::PleomorphicAdenoma),
            "warthin" | "wt" | "warthin tumour" => Ok(Diagnosis::Warthin),
            "bca" | "basal cell adenoma" => Ok(Diagnosis::BasalCellAdenoma),
            "malignant" => Ok(Diagnosis::Malignant),
            "none" => Ok(Diagnosis::None),
            _ => Err(UnknownDiagnosis(word.to_owned())),
        }
    }
}

/// Shares of the diagnoses when none is asked for. The malignant share lies near Liu's 48 of 266,
/// raised so that a few hundred patients train every class; the others follow Kaba's 43 pleomorphic
/// adenomas to 45 Warthin tumours, with the rare basal cell adenoma raised likewise. The tumour-free
/// share is a guess.
pub const DIAGNOSIS_MIX: [(Diagnosis, f32); 5] = [
    (Diagnosis::PleomorphicAdenoma, 0.27),
    (Diagnosis::Warthin, 0.24),
    (Diagnosis::BasalCellAdenoma, 0.12),
    (Diagnosis::Malignant, 0.25),
    (Diagnosis::None, 0.12),
];

/// Kinds of malignant tumour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Malignancy {
    /// Ill-defined, low ADC and T2.
    #[serde(rename = "high-grade mucoepidermoid carcinoma")]
    HighGradeMucoepidermoid,
    /// T2-bright in 11 of 12, often cystic.
    #[serde(rename = "low-grade mucoepidermoid carcinoma")]
    LowGradeMucoepidermoid,
    /// Between the two.
    #[serde(rename = "adenoid cystic carcinoma")]
    AdenoidCystic,
    /// Often looks benign.
    #[serde(rename = "acinic cell carcinoma")]
    AcinicCell,
    /// Aggressive, irregular.
    #[serde(rename = "salivary duct carcinoma")]
    SalivaryDuct,
}

/// One published mean ± standard deviation, with the number of tumours.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub sd: f32,
    /// Tumours.
    pub n: f32,
}

const fn reported(mean: f32, sd: f32, n: f32) -> Reported {
    Reported { mean, sd, n }
}

/// Published ADC of a diagnosis, 1e-3 mm²/s, in the order of the sources A to D; empty for none.
pub fn reported_adc(diagnosis: Diagnosis) -> &'static [Reported] {
    match diagnosis {
        Diagnosis::PleomorphicAdenoma => {
            const {
                &[
                    reported(1.61, 0.32, 66.0),
                    reported(1.74, 0.36, 38.0),
                    reported(1.73, 0.38, 37.0),
                    reported(1.74, 0.37, 9.0),
                ]
            }
        }
        Diagnosis::Warthin => {
            const {
                &[
                    reported(0.81, 0.19, 30.0),
                    reported(1.17, 0.46, 36.0),
                    reported(0.97, 0.16, 11.0),
                ]
            }
        }
        Diagnosis::BasalCellAdenoma => const { &[reported(1.21, 0.20, 13.0), reported(1.32, 0.13, 17.0)] },
        Diagnosis::Malignant => const { &[reported(1.12, 0.25, 27.0), reported(1.04, 0.35, 7.0)] },
        Diagnosis::None => &[],
    }
}

/// All published tumours of a diagnosis taken as one sample: mean and standard deviation.
pub fn pooled(rows: &[Reported]) -> Reported {
    let n: f32 = rows.iter().map(|r| r.n).sum();
    let mean = rows.iter().map(|r| r.n * r.mean).sum::<f32>() / n;
    let variance = rows
        .iter()
        .map(|r| r.n * (r.sd.powi(2) + (r.mean - mean).powi(2)))
        .sum::<f32>()
        / n;
    Reported {
        mean,
        sd: variance.sqrt(),
        n,
    }
}

/// Left or right of the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Patient's left, +x.
    Left,
    /// Patient's right, -x.
    Right,
}

impl Side {
    pub(crate) fn sign(self) -> f32 {
        match self {
            Side::Left => 1.0,
            Side::Right => -1.0,
        }
    }

    fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Which part of the gland; the plane of the facial nerve between them runs beside the retromandibular vein.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lobe {
    /// Lateral to the vein.
    Superficial,
    /// Medial to the vein, behind the mandible.
    Deep,
    /// The lower pole.
    Tail,
}

/// A fluid space inside a lesion, in shares of its radii.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cyst {
    pub centre: [f32; 3],
    pub radius: f32,
    pub thick: bool,
}

/// One tumour as drawn.
#[derive(Debug, Clone)]
pub struct Lesion {
    /// Side of the gland.
    pub side: Side,
    /// Part of the gland.
    pub lobe: Lobe,
    /// Of the solid part, 1e-3 mm²/s.
    pub adc: f32,
    /// At the scanner's field, ms at [1.5 T, 3 T].
    pub t1_ms: [f32; 2],
    /// At [1.5 T, 3 T], ms.
    pub t2_ms: [f32; 2],
    /// Per minute.
    pub kep_per_min: f32,
    /// Volume fraction.
    pub ve: f32,
    /// Plasma volume fraction.
    pub vp: f32,
    /// Invades instead of displacing.
    pub irregular: bool,
    /// Thickness of a visible capsule, mm.
    pub capsule_mm: Option<f32>,
    pub(crate) cysts: Vec<Cyst>,
    /// Mean radius, mm.
    pub(crate) radius: f32,
    /// Shares of the mean radius along x, y, z.
    pub(crate) aspect: [f32; 3],
    pub(crate) turn: [f32; 3],
    /// Displacement of the surface, mm, and the size of its bumps, mm.
    pub(crate) bumps: [f32; 2],
    /// Width over which the margin fades, mm.
    pub(crate) fade: f32,
    /// How unlike its parts are, as a share of T2 and ADC.
    pub(crate) variety: f32,
    /// Where in the lobe, each -1 to 1.
    pub(crate) place: [f32; 3],
}

/// The lesions of one patient.
#[derive(Debug, Clone)]
pub struct Disease {
    /// Which malignancy, if malignant.
    pub malignancy: Option<Malignancy>,
    /// In order of number, from 1.
    pub lesions: Vec<Lesion>,
    /// Enlarged nodes beside the tumour.
    pub(crate) nodal_spread: bool,
}

/// Weights of the malignant kinds; a guess.
const MALIGNANCIES: [(Malignancy, f32); 5] = [
    (Malignancy::HighGradeMucoepidermoid, 0.20),
    (Malignancy::LowGradeMucoepidermoid, 0.25),
    (Malignancy::AdenoidCystic, 0.20),
    (Malignancy::AcinicCell, 0.18),
    (Malignancy::SalivaryDuct, 0.17),
];

/// Warthin tumours on both sides, of 290 (J Laryngol Otol 2023).
const BILATERAL: f32 = 0.245;
/// Several Warthin tumours in one gland.
const MULTICENTRIC: f32 = 0.20;
/// Malignant with enlarged nodes; a guess.
const NODAL_SPREAD: f32 = 0.35;
/// T1 at 1.5 T over T1 at 3 T; a guess.
const T1_RATIO: f32 = 0.75;

impl Disease {
    pub(crate) fn draw(diagnosis: Diagnosis, dice: &mut Dice) -> Self {
        let malignancy = (diagnosis == Diagnosis::Malignant).then(|| dice.weighted(&MALIGNANCIES));
        let mut lesions = Vec::new();
        if diagnosis != Diagnosis::None {
            let profile = profile(diagnosis, malignancy);
            let side = dice.one_of(&[Side::Left, Side::Right]);
            let first = Lesion::draw(&profile, side, dice);
            if diagnosis == Diagnosis::Warthin {
                if dice.chance(MULTICENTRIC) {
                    let mut second = Lesion::draw(&profile, side, dice);
                    second.radius = (second.radius * 0.6).clamp(5.0, 9.0);
                    second.place = [0.0, -0.5, 0.7];
                    second.lobe = Lobe::Superficial;
                    lesions.push(second.akin(&first));
                }
                if dice.chance(BILATERAL) {
                    lesions.push(Lesion::draw(&profile, side.other(), dice).akin(&first));
                }
            }
            lesions.insert(0, first);
        }
        let nodal_spread = malignancy.is_some() && dice.chance(NODAL_SPREAD);
        Disease {
            malignancy,
            lesions,
            nodal_spread,
        }
    }
}

impl Lesion {
    fn draw(profile: &Profile, side: Side, dice: &mut Dice) -> Self {
        let [adc_mean, adc_sd] = profile.adc;
        let adc = dice.normal_within(
            adc_mean,
            adc_sd,
            (adc_mean - 2.2 * adc_sd).max(0.4),
            adc_mean + 2.2 * adc_sd,
        );
        let z = (adc - adc_mean) / adc_sd;
        let r = profile.t2_follows_adc;
        let own = dice.normal_within(0.0, 1.0, -2.2, 2.2);
        let t2 = (profile.t2[0] + profile.t2[1] * (r * z + (1.0 - r * r).sqrt() * own)).max(50.0);
        let t1 = dice.normal_within(profile.t1[0], profile.t1[1], 650.0, 2400.0);
        let [mean, sd, low, high] = profile.diameter;
        let diameter = dice.normal_within(mean, sd, low, high);
        let radius = diameter / 2.0;
        let lobe = match dice.uniform(0.0, 1.0) {
            u if u < profile.superficial => Lobe::Superficial,
            u if u < profile.superficial + profile.tail => Lobe::Tail,
            _ => Lobe::Deep,
        };
        let irregular = dice.chance(profile.irregular);
        let capsule_mm = (!irregular && dice.chance(profile.capsule)).then(|| dice.uniform(0.5, 1.3));
        let lobulated = dice.chance(profile.lobulated);
        let bumps = match (irregular, lobulated) {
            (true, _) => [radius * dice.uniform(0.22, 0.42), dice.uniform(3.5, 7.0)],
            (false, true) => [
                radius * dice.uniform(0.12, 0.24),
                radius * dice.uniform(0.55, 0.9),
            ],
            (false, false) => [radius * dice.uniform(0.03, 0.09), radius],
        };
        let mut cysts = Vec::new();
        if dice.chance(profile.cystic) {
            for _ in 0..1 + dice.below(3) {
                let centre = std::array::from_fn(|_| dice.uniform(-0.45, 0.45));
                cysts.push(Cyst {
                    centre,
                    radius: dice.uniform(0.14, 0.42),
                    thick: dice.chance(profile.thick_cysts),
                });
            }
        }
        // The spread between tumours of one class is a guess: the review gives means only. One
        // pleomorphic adenoma in four enhances like a malignant tumour (curve C in 10 of 38, B).
        let plateau = profile.kep_ve[0] < 1.0 && dice.chance(10.0 / 38.0);
        let kep_median = if plateau { 1.72 } else { profile.kep_ve[0] };
        Lesion {
            side,
            lobe,
            adc,
            t1_ms: [t1 * T1_RATIO, t1],
            t2_ms: [t2 * 1.04, t2],
            kep_per_min: dice.about(kep_median, 0.4).clamp(0.2, 15.0),
            ve: dice.about(profile.kep_ve[1], 0.42).clamp(0.04, 0.9),
            vp: dice.uniform(profile.vp[0], profile.vp[1]),
            irregular,
            capsule_mm,
            cysts,
            radius,
            aspect: std::array::from_fn(|_| dice.uniform(0.82, 1.18)),
            turn: std::array::from_fn(|_| dice.uniform(-0.6, 0.6)),
            bumps,
            fade: if irregular { dice.uniform(1.0, 3.5) } else { 0.0 },
            variety: profile.variety * dice.uniform(0.4, 1.6),
            place: std::array::from_fn(|_| dice.uniform(-1.0, 1.0)),
        }
    }

    /// Tumours of one patient resemble each other more than two patients do.
    fn akin(mut self, first: &Lesion) -> Self {
        let near = |own: f32, first: f32| 0.35 * own + 0.65 * first;
        self.adc = near(self.adc, first.adc);
        self.kep_per_min = near(self.kep_per_min, first.kep_per_min);
        self.ve = near(self.ve, first.ve);
        for i in 0..2 {
            self.t1_ms[i] = near(self.t1_ms[i], first.t1_ms[i]);
            self.t2_ms[i] = near(self.t2_ms[i], first.t2_ms[i]);
        }
        self
    }

    /// Has fluid inside.
    pub fn cystic(&self) -> bool {
        !self.cysts.is_empty()
    }
}
