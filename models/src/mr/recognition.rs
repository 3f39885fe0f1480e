//! Which contrast a volume is, and why.
//!
//! Asked in this order: Image Type (maps, projections, localizers), the b-value, the physics of the
//! sequence, and only then words. Each answer is a sentence that a radiologist can check.

use super::diffusion::Source;
use super::header::{Header, Sequence};
use super::words::Words;
use super::{Confidence, Contrast};
use crate::limits::MAX_B0_S_PER_MM2;

/// A contrast, or none, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recognition {
    pub contrast: Option<Contrast>,
    pub b_value: Option<f64>,
    pub reason: String,
    pub confidence: Confidence,
    /// Scouts lie in several orientations and are refused as what they are.
    pub localizer: bool,
}

/// The longest TR of a T1-weighted spin echo, ms: about the T1 of muscle at 3 T, so that tissues
/// still differ in their recovery. Engineering bound; Liu's T1 TSE has 849 ms.
const T1_MAX_TR: f64 = 1200.0;
/// The longest TE of a T1-weighted sequence, ms: below the T2 of every soft tissue.
const T1_MAX_TE: f64 = 40.0;
/// The shortest TR of a T2-weighted spin echo, ms.
const T2_MIN_TR: f64 = 1800.0;
/// The shortest TE of a T2-weighted spin echo, ms: the T2 of muscle.
const T2_MIN_TE: f64 = 45.0;
/// Beyond this TE only fluid is left, ms.
const T2_MAX_TE: f64 = 500.0;
/// From this TE on a gradient echo is T2*-weighted, ms.
const T2_STAR_TE: f64 = 12.0;
/// T1 against which the Ernst angle of a gradient echo is taken, ms: muscle at 3 T.
const ERNST_T1: f64 = 1400.0;
/// Inversion times that null fat, ms.
const STIR_TI: std::ops::RangeInclusive<f64> = 90.0..=320.0;
/// The shortest inversion time that nulls fluid, ms.
const FLAIR_TI: f64 = 1400.0;

/// Recognises one volume by the header of one of its images.
///
/// `diffusion_series` tells whether other volumes of the series have a higher b-value: a b-value of
/// zero alone proves nothing, since some scanners write it into every image.
pub(super) fn recognise(header: &Header, diffusion_series: bool) -> Recognition {
    let words = Words::of(&header.description, &header.sequence.protocol);
    left_out(header, &words)
        .or_else(|| adc(header, &words))
        .or_else(|| diffusion(header, &words, diffusion_series))
        .unwrap_or_else(|| anatomy(header, &words))
}

fn none(reason: impl Into<String>) -> Recognition {
    Recognition {
        contrast: None,
        b_value: None,
        reason: reason.into(),
        confidence: Confidence::High,
        localizer: false,
    }
}

fn some(contrast: Contrast, confidence: Confidence, reason: impl Into<String>) -> Recognition {
    Recognition {
        contrast: Some(contrast),
        confidence,
        ..none(reason)
    }
}

/// What is a picture of something else, by Image Type (PS3.3 C.8.3.1.1.1) or by its name.
fn left_out(header: &Header, words: &Words) -> Option<Recognition> {
    const KINDS: [(&[&str], &str); 9] = [
        (&["LOCALIZER", "SURVEY"], "a localizer"),
        (
            &[
                "PROJECTION IMAGE",
                "MIP",
                "MNIP",
                "MINIP",
                "MIN_IP",
                "MAX_IP",
                "CPR",
            ],
            "a projection",
        ),
        (
            &[
                "FA",
                "FRACTIONAL_ANISO",
                "COLFA",
                "TENSOR",
                "TENSOR_B0",
                "RA",
                "VR",
            ],
            "a map of anisotropy",
        ),
        (&["EADC", "EXPONENTIAL", "EXP"], "an exponential ADC map"),
        (
            &[
                "P",
                "PHASE",
                "PHASE MAP",
                "P_SE",
                "P_FFE",
                "P_IR",
                "B0 MAP",
                "B1 MAP",
                "VELOCITY",
            ],
            "a phase image",
        ),
        (
            &["R", "I", "REAL", "IMAGINARY", "R_SE", "I_SE", "R_FFE", "I_FFE"],
            "a real or imaginary part",
        ),
        (&["SUB", "SUBTRACT", "SUBTRACTION"], "a subtraction"),
        (
            &[
                "PERFUSION",
                "CBF",
                "CBV",
                "RCBV",
                "MTT",
                "TTP",
                "PBP",
                "KTRANS",
                "T1 MAP",
                "T2 MAP",
                "T2_STAR MAP",
                "R2",
                "FAT_FRACTION",
            ],
            "a computed map",
        ),
        (
            &["FAT", "F", "OPP_PHASE", "OUT_PHASE", "OP"],
            "a Dixon image other than of water",
        ),
    ];
    let of_type = || {
        // The first two values say original or derived, primary or secondary.
        let special = header.sequence.image_type.iter().skip(2);
        special.into_iter().find_map(|word| {
            let (_, kind) = KINDS.iter().find(|(list, _)| list.contains(&word.as_str()))?;
            Some((
                *kind,
                format!("It is {kind} by its Image Type (0008,0008) {word}."),
            ))
        })
    };
    let of_tags = || {
        header
            .sequence
            .angiography
            .then(|| ("angiography", "It is angiography by (0018,0025).".to_owned()))
    };
    let of_words = || {
        words
            .left_out()
            .map(|kind| (kind, format!("It is {kind} by its description.")))
    };
    let (kind, reason) = of_type().or_else(of_tags).or_else(of_words)?;
    Some(Recognition {
        localizer: kind == "a localizer",
        ..none(reason)
    })
}

fn adc(header: &Header, words: &Words) -> Option<Recognition> {
    let sequence = &header.sequence;
    let unit = match header.image.diffusivity().and(header.image.real_world.as_ref()) {
        Some(stated) => format!("its unit is stated as {} (0040,08EA)", stated.unit),
        None => "its unit is told from its values".to_owned(),
    };
    if let Some(word) = sequence.image_type.iter().find(|w| w.starts_with("ADC")) {
        let reason = format!("ADC by its Image Type (0008,0008) {word}; {unit}.");
        return Some(some(Contrast::Adc, Confidence::High, reason));
    }
    if !words.adc() {
        return None;
    }
    let derived = sequence.image_type.first().is_some_and(|w| w == "DERIVED");
    let (confidence, how) = if derived {
        (
            Confidence::Medium,
            "ADC by its description, and its Image Type says derived",
        )
    } else {
        (Confidence::Low, "ADC by its description only")
    };
    Some(some(Contrast::Adc, confidence, format!("{how}; {unit}.")))
}

fn diffusion(header: &Header, words: &Words, diffusion_series: bool) -> Option<Recognition> {
    let sequence = &header.sequence;
    let typed = sequence
        .image_type
        .iter()
        .any(|w| w == "DIFFUSION" || w == "TRACEW");
    let named = words.diffusion();
    let echo_planar = sequence.is("EP");
    let stated = header.diffusion.b.as_ref();
    if let Some(b) = stated.filter(|b| b.value >= MAX_B0_S_PER_MM2) {
        let confidence = if b.source == Source::Standard {
            Confidence::High
        } else {
            Confidence::Medium
        };
        let reason = format!(
            "Diffusion-weighted: b = {:.0} s/mm² by {}.",
            b.value,
            b.source.name()
        );
        return Some(Recognition {
            b_value: Some(b.value),
            ..some(Contrast::Dwi, confidence, reason)
        });
    }
    if let Some(b) = stated {
        let evidence = if diffusion_series {
            "the series holds higher b-values too"
        } else if typed {
            "its Image Type (0008,0008) says diffusion"
        } else if b.source == Source::SequenceName {
            "the sequence is a diffusion sequence"
        } else if named {
            "its description says diffusion"
        } else if echo_planar && !sequence.is("GR") && b.source == Source::Standard {
            "it is an echo-planar spin echo"
        } else {
            return echo_planar.then(not_weighted);
        };
        let certain = b.source == Source::Standard && (diffusion_series || typed);
        let confidence = if certain {
            Confidence::High
        } else {
            Confidence::Medium
        };
        let reason = format!(
            "Diffusion series with b = {:.0} s/mm² by {}; {evidence}.",
            b.value,
            b.source.name()
        );
        return Some(Recognition {
            b_value: Some(b.value),
            ..some(Contrast::DwiB0, confidence, reason)
        });
    }
    if diffusion_series {
        return Some(Recognition {
            b_value: Some(0.0),
            ..some(
                Contrast::DwiB0,
                Confidence::Medium,
                "Diffusion series with b = 0: the other images of the series state a b-value and these do not.",
            )
        });
    }
    if !(named || typed) {
        return echo_planar.then(not_weighted);
    }
    Some(match words.b_value() {
        Some(b) => {
            let contrast = if b < MAX_B0_S_PER_MM2 {
                Contrast::DwiB0
            } else {
                Contrast::Dwi
            };
            let reason = format!("Diffusion with b = {b} s/mm² by its description only.");
            Recognition {
                b_value: Some(b),
                ..some(contrast, Confidence::Low, reason)
            }
        }
        None => none("It is of a diffusion sequence, but no tag and no word gives its b-value."),
    })
}

fn not_weighted() -> Recognition {
    none("It is echo-planar without diffusion weighting, as for functional or perfusion imaging.")
}

/// What the sequence weights for.
enum Weighting {
    T1,
    T2,
    /// None of ours.
    Other(&'static str),
    /// The tags do not tell.
    Unknown,
}

fn anatomy(header: &Header, words: &Words) -> Recognition {
    let sequence = &header.sequence;
    let how = sequence.in_words();
    let said = (words.t1(), words.t2());
    if sequence.is("GR") && words.b_value() == Some(0.0) && said == (false, false) {
        return none("It is a field map: its description says B0, and it is no diffusion sequence.");
    }
    match weighting(sequence) {
        Weighting::T1 => with_agent(header, words, sequence.certainty(said == (false, true)), &how),
        Weighting::T2 => {
            let doubt = if said == (true, false) {
                ", although its description says T1"
            } else {
                ""
            };
            let reason = format!("T2-weighted: {how}{doubt}.");
            some(Contrast::T2, sequence.certainty(said == (true, false)), reason)
        }
        Weighting::Other(what) => none(format!("It is {what}: {how}.")),
        Weighting::Unknown if words.flair() => none("It is fluid-attenuated (FLAIR) by its description."),
        Weighting::Unknown if words.t2_star() => none("It is T2*-weighted by its description."),
        Weighting::Unknown => match said {
            (true, false) => with_agent(
                header,
                words,
                Confidence::Low,
                "its description says so and no tag speaks against it",
            ),
            (false, true) => some(
                Contrast::T2,
                Confidence::Low,
                "T2-weighted: its description says so and no tag speaks against it.",
            ),
            _ => none(format!(
                "Neither its tags ({how}) nor its description tell the contrast."
            )),
        },
    }
}

/// A T1-weighted volume is before or after the agent.
fn with_agent(header: &Header, words: &Words, confidence: Confidence, how: &str) -> Recognition {
    let doubt = if words.t2() && !words.t1() {
        ", although its description says T2"
    } else {
        ""
    };
    let agent = header.sequence.contrast_agent.as_deref();
    match agent {
        Some(_) if words.before_contrast() => some(
            Contrast::T1,
            confidence.min(Confidence::Medium),
            format!(
                "T1-weighted: {how}{doubt}; a contrast agent is entered, but its description says before."
            ),
        ),
        Some(agent) => some(
            Contrast::CeT1,
            confidence,
            format!("T1-weighted after contrast agent: {how}{doubt}; (0018,0010) says {agent}."),
        ),
        None if words.after_contrast() => some(
            Contrast::CeT1,
            confidence.min(Confidence::Medium),
            format!(
                "T1-weighted after contrast agent: {how}{doubt}; the agent stands in its description only."
            ),
        ),
        None => some(
            Contrast::T1,
            confidence,
            format!("T1-weighted: {how}{doubt}; no word of a contrast agent."),
        ),
    }
}

fn weighting(s: &Sequence) -> Weighting {
    let (Some(tr), Some(te)) = (s.repetition_time, s.echo_time) else {
        return Weighting::Unknown;
    };
    if let Some(ti) = s.inversion_time
        && s.is("IR")
        && !s.is("GR")
    {
        return match () {
            () if te < T1_MAX_TE && !STIR_TI.contains(&ti) => Weighting::T1,
            () if ti >= FLAIR_TI => Weighting::Other("fluid-attenuated (FLAIR)"),
            () if STIR_TI.contains(&ti) && tr >= T2_MIN_TR => Weighting::T2,
            () => Weighting::Unknown,
        };
    }
    if s.is("GR") {
        return gradient_echo(s, tr, te);
    }
    match () {
        () if tr <= T1_MAX_TR && te <= T1_MAX_TE => Weighting::T1,
        () if te > T2_MAX_TE => Weighting::Other("so heavily T2-weighted that only fluid is left"),
        () if tr >= T2_MIN_TR && te >= T2_MIN_TE => Weighting::T2,
        () if tr >= T2_MIN_TR && te < T1_MAX_TE => Weighting::Other("proton-density-weighted"),
        () => Weighting::Unknown,
    }
}

fn gradient_echo(s: &Sequence, tr: f64, te: f64) -> Weighting {
    let variant = |word: &str| s.variant.iter().any(|v| v == word);
    if te >= T2_STAR_TE {
        return Weighting::Other("a T2*-weighted gradient echo");
    }
    // A magnetization-prepared gradient echo is T1-weighted by its inversion.
    if variant("MP") || s.inversion_time.is_some_and(|ti| ti >= 400.0) {
        return Weighting::T1;
    }
    if variant("SS") && !variant("SP") {
        return Weighting::Other("a steady-state gradient echo of mixed weighting");
    }
    let ernst = (-tr / ERNST_T1).exp().acos().to_degrees();
    match s.flip_angle {
        Some(flip) if tr <= T1_MAX_TR && flip >= ernst => Weighting::T1,
        Some(_) => {
            Weighting::Other("a gradient echo with a flip angle below the Ernst angle, not T1-weighted")
        }
        None => Weighting::Unknown,
    }
}

impl Sequence {
    fn is(&self, word: &str) -> bool {
        self.scanning_sequence.iter().any(|s| s == word)
    }

    /// Physics is sure when it knows the kind of echo and no word contradicts.
    fn certainty(&self, contradicted: bool) -> Confidence {
        let known = self.is("SE") || self.is("GR") || self.is("IR");
        if known && !contradicted {
            Confidence::High
        } else {
            Confidence::Medium
        }
    }

    fn in_words(&self) -> String {
        let kind = match () {
            () if self.is("EP") => "echo-planar",
            () if self.is("GR") => "gradient echo",
            () if self.is("IR") => "inversion recovery",
            () if self.is("SE") && self.echo_train.is_some_and(|n| n > 1.0) => "turbo spin echo",
            () if self.is("SE") => "spin echo",
            () => "unnamed sequence",
        };
        let mut out = kind.to_owned();
        for (name, value, unit) in [
            ("TR", self.repetition_time, "ms"),
            ("TE", self.echo_time, "ms"),
            ("TI", self.inversion_time, "ms"),
            ("flip angle", self.flip_angle, "degrees"),
        ] {
            if let Some(value) = value {
                out += &format!(", {name} {} {unit}", (value * 100.0).round() / 100.0);
            }
        }
        if self.options.iter().any(|o| o == "FS") {
            out += ", fat-suppressed";
        }
        out
    }
}
