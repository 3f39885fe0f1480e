//! One row of figures per diagnosis.

use super::{Diagnosis, Malignancy, pooled, reported_adc};

/// What a diagnosis draws its lesions from; times at 3 T.
pub(super) struct Profile {
    pub adc: [f32; 2],
    pub t1: [f32; 2],
    pub t2: [f32; 2],
    /// Correlation of T2 with ADC; a guess.
    pub t2_follows_adc: f32,
    pub kep_ve: [f32; 2],
    /// Bounds of the plasma fraction; a guess, widest for the vessels of a Warthin tumour.
    pub vp: [f32; 2],
    pub diameter: [f32; 4],
    pub superficial: f32,
    pub tail: f32,
    pub irregular: f32,
    pub capsule: f32,
    pub cystic: f32,
    pub thick_cysts: f32,
    pub lobulated: f32,
    pub variety: f32,
}

/// The profile of a diagnosis; of its kind, if malignant.
pub(super) fn profile(diagnosis: Diagnosis, malignancy: Option<Malignancy>) -> Profile {
    let adc = pooled(reported_adc(diagnosis));
    match diagnosis {
        // `None` never reaches here with a lesion to draw; it shares a row to keep the match total.
        Diagnosis::PleomorphicAdenoma | Diagnosis::None => Profile {
            adc: [adc.mean, adc.sd],
            t1: [1600.0, 300.0],
            t2: [120.0, 30.0],
            t2_follows_adc: 0.6,
            kep_ve: [0.69, 0.65],
            vp: [0.01, 0.05],
            diameter: [25.0, 10.0, 9.0, 55.0],
            superficial: 0.72,
            tail: 0.08,
            irregular: 0.1,
            capsule: 0.8,
            cystic: 0.12,
            thick_cysts: 0.1,
            lobulated: 0.75,
            variety: 0.22,
        },
        Diagnosis::Warthin => Profile {
            adc: [adc.mean, adc.sd],
            t1: [1100.0, 200.0],
            t2: [80.0, 12.0],
            t2_follows_adc: 0.5,
            kep_ve: [6.2, 0.11],
            vp: [0.05, 0.24],
            diameter: [24.0, 8.0, 10.0, 40.0],
            superficial: 0.25,
            tail: 0.7,
            irregular: 0.14,
            capsule: 0.5,
            cystic: 0.3,
            thick_cysts: 0.6,
            lobulated: 0.25,
            variety: 0.12,
        },
        Diagnosis::BasalCellAdenoma => Profile {
            adc: [adc.mean, adc.sd],
            t1: [1250.0, 200.0],
            t2: [85.0, 15.0],
            t2_follows_adc: 0.5,
            kep_ve: [2.4, 0.36],
            vp: [0.02, 0.1],
            diameter: [21.0, 7.5, 9.0, 38.0],
            superficial: 0.8,
            tail: 0.1,
            irregular: 0.03,
            capsule: 0.95,
            cystic: 0.85,
            thick_cysts: 0.1,
            lobulated: 0.15,
            variety: 0.12,
        },
        Diagnosis::Malignant => {
            // Kinds are guessed around the pooled mean of the class, which their mix keeps.
            let (offset, sd, t2, irregular, cystic) = match malignancy {
                Some(Malignancy::HighGradeMucoepidermoid) => (-0.15, 0.22, 74.0, 1.0, 0.25),
                Some(Malignancy::LowGradeMucoepidermoid) => (0.20, 0.25, 112.0, 0.4, 0.65),
                Some(Malignancy::AdenoidCystic) => (0.05, 0.24, 90.0, 0.7, 0.2),
                Some(Malignancy::AcinicCell) => (0.0, 0.25, 90.0, 0.4, 0.35),
                Some(Malignancy::SalivaryDuct) | None => (-0.12, 0.20, 75.0, 0.95, 0.25),
            };
            Profile {
                adc: [adc.mean + offset, sd],
                t1: [1250.0, 250.0],
                t2: [t2, 13.0],
                t2_follows_adc: 0.4,
                kep_ve: [1.72, 0.48],
                vp: [0.01, 0.07],
                diameter: [26.0, 10.0, 10.0, 55.0],
                superficial: 0.6,
                tail: 0.12,
                irregular,
                capsule: 0.3,
                cystic,
                thick_cysts: 0.3,
                lobulated: 0.4,
                variety: 0.18,
            }
        }
    }
}
