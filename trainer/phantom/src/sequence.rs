//! Signal equations of the Liu 2023 protocol, and the contrast agent in each compartment.

use crate::tissue::{Field, Substance};

/// How one volume is acquired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sequence {
    /// Turbo spin echo: ρ·(1-exp(-TR/T1))·exp(-TE/T2).
    SpinEcho {
        /// Repetition time, ms.
        tr_ms: f32,
        /// Effective echo time, ms.
        te_ms: f32,
    },
    /// Spoiled gradient echo after contrast agent.
    SpoiledGradientEcho {
        /// Repetition time, ms.
        tr_ms: f32,
        /// Echo time, ms.
        te_ms: f32,
        /// Flip angle, degrees.
        flip_deg: f32,
        /// Minutes from injection to the centre of k-space.
        minutes: f32,
    },
    /// Diffusion-weighted spin-echo EPI, trace-weighted.
    Diffusion {
        /// Repetition time, ms.
        tr_ms: f32,
        /// Echo time, ms.
        te_ms: f32,
        /// s/mm².
        b: f32,
    },
}

/// T1 TSE of Liu 2023.
pub const T1_TSE: Sequence = Sequence::SpinEcho {
    tr_ms: 849.0,
    te_ms: 11.0,
};
/// T2 fat-saturated TSE of Liu 2023.
pub const T2_TSE: Sequence = Sequence::SpinEcho {
    tr_ms: 4460.0,
    te_ms: 78.0,
};
/// Flip angle of the VIBE, degrees; Liu 2023 does not give it, a guess.
pub const VIBE_FLIP_DEG: f32 = 11.0;

/// VIBE of Liu 2023 at a time after injection.
pub fn vibe(minutes: f32) -> Sequence {
    Sequence::SpoiledGradientEcho {
        tr_ms: 3.73,
        te_ms: 1.52,
        flip_deg: VIBE_FLIP_DEG,
        minutes,
    }
}

/// RESOLVE of Liu 2023 at a b-value.
pub fn resolve(b: f32) -> Sequence {
    Sequence::Diffusion {
        tr_ms: 3600.0,
        te_ms: 65.0,
        b,
    }
}

/// Dose of Liu 2023, mmol per kg of body weight.
const DOSE_MMOL_PER_KG: f32 = 0.1;
/// Plasma curve after a bolus, kg/l and per minute: Tofts and Kermode, Magn Reson Med 1991;17:357.
const PLASMA: [(f32, f32); 2] = [(3.99, 0.144), (4.78, 0.0111)];
/// Relaxivity of gadobutrol in plasma at [1.5 T, 3 T], per mmol/l and second: Rohrer, Invest Radiol 2005;40:715.
const R1: [f32; 2] = [5.2, 5.0];
const R2: [f32; 2] = [6.1, 7.1];
/// T2* over T2 in soft tissue; a guess.
const T2_STAR_SHARE: f32 = 0.4;

/// Concentration of contrast agent averaged over the tissue, mmol/l (extended Tofts model).
pub fn concentration(substance: &Substance, minutes: f32) -> f32 {
    let kep = substance.kep_per_min;
    let transfer = kep * substance.ve;
    PLASMA
        .iter()
        .map(|&(a, m)| {
            let plasma = a * (-m * minutes).exp();
            // kep never meets m: tissue exchanges within minutes, plasma clears over hours.
            let tissue = transfer * a * ((-m * minutes).exp() - (-kep * minutes).exp()) / (kep - m);
            DOSE_MMOL_PER_KG * (tissue + substance.vp * plasma)
        })
        .sum()
}

/// Signal of a substance, relative to fully relaxed water; fat as if not suppressed.
pub fn signal(substance: &Substance, sequence: Sequence, field: Field) -> f32 {
    let (t1, t2) = (substance.t1_at(field), substance.t2_at(field));
    let spin_echo = |tr: f32, te: f32| {
        substance.density * substance.echo_survival * (1.0 - (-tr / t1).exp()) * (-te / t2).exp()
    };
    match sequence {
        Sequence::SpinEcho { tr_ms, te_ms } => spin_echo(tr_ms, te_ms),
        Sequence::Diffusion { tr_ms, te_ms, b } => {
            // b in s/mm² times ADC in 1e-3 mm²/s.
            spin_echo(tr_ms, te_ms) * (-b * substance.adc * 1e-3).exp()
        }
        Sequence::SpoiledGradientEcho {
            tr_ms,
            te_ms,
            flip_deg,
            minutes,
        } => {
            let mmol = concentration(substance, minutes);
            let r1 = 1.0 / t1 + R1[field as usize] * mmol * 1e-3;
            let r2 = 1.0 / (t2 * T2_STAR_SHARE) + R2[field as usize] * mmol * 1e-3;
            let (sin, cos) = flip_deg.to_radians().sin_cos();
            let e1 = (-tr_ms * r1).exp();
            substance.density * sin * (1.0 - e1) / (1.0 - cos * e1) * (-te_ms * r2).exp()
        }
    }
}
