//! What people write into series descriptions and protocol names, in the languages of our screens
//! and some more. Words are the last resort of recognition, see [`super::recognition`].

/// The words of one series.
pub(super) struct Words {
    text: String,
    tokens: Vec<String>,
}

/// Scan planes that people glue to the next word: `AXT1`.
const PLANES: [&str; 10] = [
    "oax", "osag", "ocor", "axial", "ax", "sag", "cor", "tra", "3d", "2d",
];
const T1_SEQUENCES: &[&str] = &[
    "mprage", "mpr", "bravo", "spgr", "vibe", "lava", "thrive", "ethrive",
];
const T2_SEQUENCES: &[&str] = &["stir", "tirm", "haste"];
const SUSCEPTIBILITY: &[&str] = &["swi", "swan", "t2star", "hemo"];
const ANGIOGRAPHY: &[&str] = &["tof", "mra", "angio*", "cemra", "venbold", "pca"];
const FIELD_MAPS: &[&str] = &["fieldmap*", "b0map", "b1map", "shim"];
const LOCALIZERS: &[&str] = &[
    "locali*",
    "loc",
    "scout*",
    "survey",
    "3plane",
    "3pl",
    "aahead",
    "lokali*",
    "топограмма",
];
const PROJECTIONS: &[&str] = &["mip", "minip", "mnip", "projection"];
const SUBTRACTIONS: &[&str] = &["sub", "subtr*", "субтракц*"];
const OTHER_MAPS: &[&str] = &["fa", "eadc", "exponential", "colfa", "ktrans", "perfusion"];
const DIFFUSION: &[&str] = &[
    "dwi*",
    "ddwi",
    "diff",
    "diffusion*",
    "dti",
    "trace*",
    "resolve",
    "difüzyon*",
    "difuzyon*",
    "difusi*",
    "difusão",
    "дви",
    "диффуз*",
];
const ADC: &[&str] = &["adc*", "dadc", "икд", "идк"];
/// A trailing star stands for any ending.
const AGENT: &[&str] = &[
    "ce",
    "gd",
    "gad",
    "gado*",
    "postgd",
    "postgad",
    "km",
    "kontrast",
    "kontrastl*",
    "kontrastm*",
    "mdc",
    "contrast",
    "contraste",
    "contrasto",
    "inj*",
    "cet1",
    "t1ce",
    "t1c",
    "enhanced",
    "контраст*",
];
const AFTER: &[&str] = &[
    "post",
    "postcontrast",
    "nach",
    "après",
    "apres",
    "после",
    "sonrası",
];
const BEFORE: &[&str] = &[
    "pre",
    "precontrast",
    "pregd",
    "native",
    "nativ",
    "nativo",
    "kontrastsız",
    "kontrastsiz",
    "нативн*",
];
const WITHOUT: &[&str] = &[
    "no", "non", "without", "wo", "ohne", "sans", "sin", "senza", "sem", "без", "pre", "vor",
];

fn is_one_of(token: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(stem) => token.starts_with(stem),
        None => token == *pattern,
    })
}

impl Words {
    /// Of a description and a protocol name.
    pub fn of(description: &str, protocol: &str) -> Words {
        let text = format!("{description} {protocol}")
            .to_lowercase()
            .replace("w/o", "without");
        let tokens = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        Words {
            tokens: tokens.collect(),
            text,
        }
    }

    pub fn adc(&self) -> bool {
        self.any(ADC)
            || self.text.contains("apparent diffusion")
            || self.text.contains("表观")
            || self.text.contains("коэффициент диффузии")
    }

    pub fn diffusion(&self) -> bool {
        self.any(DIFFUSION) || self.text.contains("弥散") || self.text.contains("扩散")
    }

    /// The only b-value that is named, s/mm².
    pub fn b_value(&self) -> Option<f64> {
        let digits = |t: &str| !t.is_empty() && t.len() <= 5 && t.bytes().all(|b| b.is_ascii_digit());
        let mut found: Vec<&str> = self
            .tokens
            .iter()
            .filter_map(|t| t.strip_prefix('b'))
            .filter(|t| digits(t))
            .collect();
        found.extend(
            self.tokens
                .windows(2)
                .filter(|w| w[0] == "b" && digits(&w[1]))
                .map(|w| w[1].as_str()),
        );
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [one] => one.parse().ok(),
            _ => None,
        }
    }

    pub fn t1(&self) -> bool {
        self.weighted("t1") || self.weighted("т1") || self.any(T1_SEQUENCES)
    }

    pub fn t2(&self) -> bool {
        (self.weighted("t2") || self.weighted("т2") || self.any(T2_SEQUENCES)) && !self.t2_star()
    }

    pub fn t2_star(&self) -> bool {
        self.any(SUSCEPTIBILITY) || self.text.contains("t2*")
    }

    /// Fluid is suppressed and the weighting is not T1.
    pub fn flair(&self) -> bool {
        self.tokens.iter().any(|t| t.contains("flair")) && !self.t1()
    }

    /// Said to be after a contrast agent.
    pub fn after_contrast(&self) -> bool {
        let plus = self.text.split_whitespace().any(|word| {
            ["+c", "c+", "+gd", "gd+"]
                .iter()
                .any(|mark| word.split('_').any(|part| part.ends_with(mark)))
        });
        plus || self.text.contains("增强") || self.any(AFTER) || self.agent(false)
    }

    /// Said to be before any contrast agent.
    pub fn before_contrast(&self) -> bool {
        let before = self.any(BEFORE) || self.agent(true) || self.text.contains("平扫");
        before && !self.after_contrast()
    }

    /// Whether an agent is named, denied by the word before it or not.
    fn agent(&self, denied: bool) -> bool {
        self.tokens.iter().enumerate().any(|(i, token)| {
            let negated = i > 0 && is_one_of(&self.tokens[i - 1], WITHOUT);
            is_one_of(token, AGENT) && negated == denied
        })
    }

    /// What the description calls something that is none of our contrasts.
    pub fn left_out(&self) -> Option<&'static str> {
        let kinds: [(&[&str], &str); 6] = [
            (LOCALIZERS, "a localizer"),
            (PROJECTIONS, "a projection"),
            (SUBTRACTIONS, "a subtraction"),
            (ANGIOGRAPHY, "angiography"),
            (FIELD_MAPS, "a field map"),
            (OTHER_MAPS, "a derived map"),
        ];
        if self.text.contains("field map") || self.text.contains("field_map") {
            return Some("a field map");
        }
        kinds
            .into_iter()
            .find(|(words, _)| self.any(words))
            .map(|(_, kind)| kind)
    }

    fn any(&self, words: &[&str]) -> bool {
        self.tokens.iter().any(|t| is_one_of(t, words))
    }

    /// `t1`, `t1w`, `axt1`, not `t10`.
    fn weighted(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| {
            let bare = PLANES.iter().find_map(|p| token.strip_prefix(p)).unwrap_or(token);
            [token.as_str(), bare].into_iter().any(|t| {
                t.strip_prefix(name)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            })
        })
    }
}
