//! The tissue table: relaxation, diffusion and enhancement at 1.5 and 3 T, each row with its source.
//!
//! Sources by letter, as in the `source` words: **Stanisz** Magn Reson Med 2005;54:507 ·
//! **Gold** AJR 2004;183:343 · **Rooney** Magn Reson Med 2007;57:308 · **raon** review,
//! doi 10.2478/raon-2026-0025 · **C** PMC6511721. `guess` marks an engineering guess without a
//! source; a row that says `guess` beside a source guesses what the source does not give.

/// What one kind of spin does in the scanner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Substance {
    /// Name for people.
    pub name: &'static str,
    /// Proton density relative to water.
    pub density: f32,
    /// Longitudinal relaxation, ms, at [1.5 T, 3 T].
    pub t1_ms: [f32; 2],
    /// Transverse relaxation, ms, at [1.5 T, 3 T].
    pub t2_ms: [f32; 2],
    /// Apparent diffusion coefficient, 1e-3 mm²/s.
    pub adc: f32,
    /// Rate constant from the extravascular space back to plasma, per minute.
    pub kep_per_min: f32,
    /// Extravascular extracellular volume fraction.
    pub ve: f32,
    /// Plasma volume fraction.
    pub vp: f32,
    /// Fat resonates 3.4 ppm lower: suppressed by fat saturation and shifted by the readout.
    pub fat: bool,
    /// Share of the spin-echo signal that survives flow.
    pub echo_survival: f32,
    /// Where the figures come from.
    pub source: &'static str,
}

const STILL: Substance = Substance {
    name: "",
    density: 0.0,
    t1_ms: [1000.0, 1000.0],
    t2_ms: [50.0, 50.0],
    adc: 0.0,
    kep_per_min: 1.0,
    ve: 0.0,
    vp: 0.0,
    fat: false,
    echo_survival: 1.0,
    source: "",
};

/// Air, also the lumen of sinuses and pharynx.
pub const AIR: Substance = Substance {
    name: "air",
    source: "no protons",
    ..STILL
};

/// Cortical bone and tooth.
pub const CORTEX: Substance = Substance {
    name: "cortical bone",
    density: 0.06,
    t1_ms: [350.0, 400.0],
    t2_ms: [2.0, 2.0],
    adc: 0.3,
    source: "guess: signal void at clinical echo times",
    ..STILL
};

/// Fat of skin, marrow and spaces.
pub const FAT: Substance = Substance {
    name: "fat",
    density: 0.95,
    t1_ms: [288.0, 371.0],
    t2_ms: [165.0, 133.0],
    adc: 0.05,
    ve: 0.01,
    fat: true,
    source: "Gold; density and ADC guess",
    ..STILL
};

/// Skin.
pub const SKIN: Substance = Substance {
    name: "skin",
    density: 0.75,
    t1_ms: [900.0, 1100.0],
    t2_ms: [38.0, 35.0],
    adc: 1.2,
    kep_per_min: 0.8,
    ve: 0.2,
    source: "guess",
    ..STILL
};

/// Skeletal muscle.
pub const MUSCLE: Substance = Substance {
    name: "muscle",
    density: 0.82,
    t1_ms: [1008.0, 1412.0],
    t2_ms: [44.0, 50.0],
    adc: 1.5,
    kep_per_min: 0.6,
    ve: 0.09,
    vp: 0.01,
    source: "Stanisz; density, ADC, enhancement guess",
    ..STILL
};

/// The watery part of the parotid; with fat mixed in, the whole gland comes near T1 628 ms, T2 81 ms (raon).
pub const PAROTID: Substance = Substance {
    name: "parotid parenchyma",
    density: 0.9,
    t1_ms: [640.0, 790.0],
    t2_ms: [79.0, 81.0],
    adc: 0.98,
    kep_per_min: 1.3,
    ve: 0.22,
    vp: 0.03,
    source: "raon and C, less the fat share; enhancement guess",
    ..STILL
};

/// The watery part of the submandibular gland.
pub const SUBMANDIBULAR: Substance = Substance {
    name: "submandibular parenchyma",
    density: 0.88,
    t1_ms: [800.0, 1000.0],
    t2_ms: [84.0, 86.0],
    adc: 1.25,
    kep_per_min: 1.5,
    ve: 0.3,
    vp: 0.04,
    source: "guess: less fat and longer T2 than parotid",
    ..STILL
};

/// Lymph node.
pub const NODE: Substance = Substance {
    name: "lymph node",
    density: 0.88,
    t1_ms: [900.0, 1200.0],
    t2_ms: [82.0, 84.0],
    adc: 0.92,
    kep_per_min: 1.6,
    ve: 0.3,
    vp: 0.04,
    source: "guess",
    ..STILL
};

/// Pharyngeal mucosa and tonsil.
pub const MUCOSA: Substance = Substance {
    name: "mucosa",
    density: 0.86,
    t1_ms: [1000.0, 1300.0],
    t2_ms: [88.0, 84.0],
    adc: 1.05,
    kep_per_min: 1.4,
    ve: 0.33,
    vp: 0.04,
    source: "guess",
    ..STILL
};

/// Blood in arteries: fast, so void in spin echoes.
pub const ARTERY: Substance = Substance {
    name: "arterial blood",
    density: 0.95,
    t1_ms: [1441.0, 1932.0],
    t2_ms: [290.0, 275.0],
    adc: 3.0,
    vp: 0.58,
    echo_survival: 0.06,
    source: "Stanisz; plasma share 1 - haematocrit; flow guess",
    ..STILL
};

/// Blood in veins: slower.
pub const VEIN: Substance = Substance {
    name: "venous blood",
    echo_survival: 0.28,
    vp: 0.55,
    ..ARTERY
};

/// Cerebrospinal fluid.
pub const CSF: Substance = Substance {
    name: "cerebrospinal fluid",
    density: 1.0,
    t1_ms: [4000.0, 4300.0],
    t2_ms: [2000.0, 2000.0],
    adc: 3.0,
    echo_survival: 0.9,
    source: "Rooney; flow guess",
    ..STILL
};

/// White matter, also of the spinal cord.
pub const WHITE_MATTER: Substance = Substance {
    name: "white matter",
    density: 0.72,
    t1_ms: [884.0, 1084.0],
    t2_ms: [72.0, 69.0],
    adc: 0.75,
    vp: 0.015,
    source: "Stanisz; density, ADC guess",
    ..STILL
};

/// Grey matter.
pub const GREY_MATTER: Substance = Substance {
    name: "grey matter",
    density: 0.84,
    t1_ms: [1124.0, 1820.0],
    t2_ms: [95.0, 99.0],
    adc: 0.84,
    vp: 0.03,
    source: "Stanisz; density, ADC guess",
    ..STILL
};

/// The watery part of marrow.
pub const RED_MARROW: Substance = Substance {
    name: "red marrow",
    density: 0.6,
    t1_ms: [549.0, 586.0],
    t2_ms: [49.0, 49.0],
    adc: 0.6,
    kep_per_min: 1.0,
    ve: 0.1,
    vp: 0.04,
    source: "de Bazelaire, Radiology 2004;230:652; rest guess",
    ..STILL
};

/// Fluid of a cyst.
pub const CYST: Substance = Substance {
    name: "cyst",
    density: 1.0,
    t1_ms: [2850.0, 3620.0],
    t2_ms: [1210.0, 767.0],
    adc: 2.5,
    source: "Gold, synovial fluid as stand-in; ADC guess",
    ..STILL
};

/// Cyst with protein or blood, as in a Warthin tumour: T1-bright, diffusion restricted.
pub const THICK_CYST: Substance = Substance {
    name: "proteinaceous cyst",
    density: 0.95,
    t1_ms: [600.0, 750.0],
    t2_ms: [160.0, 140.0],
    adc: 1.3,
    source: "guess",
    ..STILL
};

/// Fibrous capsule.
pub const CAPSULE: Substance = Substance {
    name: "capsule",
    density: 0.6,
    t1_ms: [950.0, 1200.0],
    t2_ms: [30.0, 28.0],
    adc: 1.0,
    kep_per_min: 0.8,
    ve: 0.3,
    vp: 0.02,
    source: "guess",
    ..STILL
};

/// Every fixed row of the table.
pub const TABLE: &[Substance] = &[
    AIR,
    CORTEX,
    FAT,
    SKIN,
    MUSCLE,
    PAROTID,
    SUBMANDIBULAR,
    NODE,
    MUCOSA,
    ARTERY,
    VEIN,
    CSF,
    WHITE_MATTER,
    GREY_MATTER,
    RED_MARROW,
    CYST,
    THICK_CYST,
    CAPSULE,
];

impl Substance {
    /// T1 at a field, ms.
    pub fn t1_at(&self, field: Field) -> f32 {
        self.t1_ms[field as usize]
    }

    /// T2 at a field, ms.
    pub fn t2_at(&self, field: Field) -> f32 {
        self.t2_ms[field as usize]
    }

    pub(crate) fn kinetics(mut self, kep_per_min: f32, ve: f32) -> Self {
        self.kep_per_min = kep_per_min;
        self.ve = ve;
        self
    }
}

/// Field strengths that the table covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 1.5 T.
    T15 = 0,
    /// 3 T.
    T3 = 1,
}

impl Field {
    /// Tesla.
    pub fn tesla(self) -> f32 {
        match self {
            Field::T15 => 1.5,
            Field::T3 => 3.0,
        }
    }
}
