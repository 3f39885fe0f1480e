//! Who is examined, in which scanner; everything follows from the seed.

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Purpose};
use crate::tissue::Field;
use crate::tumour::{DIAGNOSIS_MIX, Diagnosis, Disease};

/// Who built the simulated scanner; decides words, private tags and how volumes share series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Vendor {
    /// Siemens.
    Siemens,
    /// GE.
    #[serde(rename = "GE")]
    Ge,
    /// Philips.
    Philips,
}

/// Sex in (0010,0040).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// F.
    Female,
    /// M.
    Male,
}

/// One simulated patient: everything that [`crate::simulate`] needs.
#[derive(Debug, Clone)]
pub struct Patient {
    /// Decides everything.
    pub seed: u64,
    /// Asked for or drawn from [`DIAGNOSIS_MIX`].
    pub diagnosis: Diagnosis,
    /// What that looks like here.
    pub disease: Disease,
    /// F or M.
    pub sex: Sex,
    /// Years.
    pub age: u32,
    /// kg.
    pub weight_kg: f32,
    /// Linear size of the head, 1 for the average.
    pub size: f32,
    /// Share of fat in the parotid, growing with age and weight.
    pub gland_fat: f32,
    /// Depth of subcutaneous fat at the cheek, mm.
    pub fat_mm: f32,
    /// Where and how the head is scanned.
    pub scan: Scan,
    /// The real head that the anatomy comes from, as [`crate::HeadScan::anatomy`] names it; none when drawn.
    pub anatomy: Option<String>,
}

/// Scanner, prescription and imperfections.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Maker.
    pub vendor: Vendor,
    /// Field strength.
    pub field: Field,
    /// Rotation of the slices about x, y, z, radians.
    pub tilt: [f32; 3],
    /// Centre of the slices in patient coordinates, mm.
    pub centre: [f32; 3],
    /// Rotation of the head about x, y, z, radians.
    pub turn: [f32; 3],
    /// Shift of the head, mm.
    pub shift: [f32; 3],
    /// Movement of the head before T1 and T2, CE-T1, diffusion; mm.
    pub movement: [[f32; 3]; 3],
    /// From injection to CE-T1, minutes.
    pub minutes: f32,
    /// Signal of fat over noise, T1, T2, CE-T1; of parotid over noise, b0.
    pub snr: [f32; 4],
    /// Amplitude of the coil's shading.
    pub shading: f32,
    /// Ghost over image, structural and echo-planar.
    pub ghost: [f32; 2],
    /// Largest echo-planar shift, mm.
    pub distortion_mm: f32,
    /// Fat that escapes suppression: everywhere, and more where the field is poor.
    pub fat_escape: [f32; 2],
    /// Which of the vendor's habits of naming and numbering this site has.
    pub habit: usize,
    /// Whether (0018,9087) is written beside the vendor's own b-value.
    pub standard_b: bool,
    /// Whether slices are numbered from the head down.
    pub head_first: bool,
    /// Brightness units per unit of signal.
    pub gain: f32,
}

impl Patient {
    /// The patient of a seed; the diagnosis is drawn from [`DIAGNOSIS_MIX`] unless given.
    pub fn draw(seed: u64, diagnosis: Option<Diagnosis>) -> Patient {
        let drawn = Dice::new(seed, Purpose::Diagnosis).weighted(&DIAGNOSIS_MIX);
        let diagnosis = diagnosis.unwrap_or(drawn);
        let disease = Disease::draw(diagnosis, &mut Dice::new(seed, Purpose::Lesions));
        let dice = &mut Dice::new(seed, Purpose::Person);
        // Age and sex by diagnosis: guesses near the usual textbook figures.
        let (age, sd, male) = match diagnosis {
            Diagnosis::PleomorphicAdenoma => (46.0, 15.0, 0.4),
            Diagnosis::Warthin => (60.0, 10.0, 0.8),
            Diagnosis::BasalCellAdenoma => (57.0, 12.0, 0.4),
            Diagnosis::Malignant => (57.0, 15.0, 0.52),
            Diagnosis::None => (52.0, 17.0, 0.5),
        };
        let age = dice.normal_within(age, sd, 19.0, 88.0);
        let sex = if dice.chance(male) { Sex::Male } else { Sex::Female };
        let (size, weight) = match sex {
            Sex::Male => (1.02, 82.0),
            Sex::Female => (0.97, 68.0),
        };
        let weight_kg = dice.normal_within(weight, 13.0, 45.0, 130.0);
        let gland_fat = 0.16 + 0.004 * (age - 20.0) + 0.002 * (weight_kg - 70.0) + 0.09 * dice.gauss();
        let fat_mm = 4.0 + 0.05 * (weight_kg - 70.0) + 0.8 * dice.gauss();
        Patient {
            seed,
            diagnosis,
            disease,
            sex,
            age: age as u32,
            weight_kg,
            size: size * dice.normal_within(1.0, 0.03, 0.92, 1.08),
            gland_fat: gland_fat.clamp(0.06, 0.62),
            fat_mm: fat_mm.clamp(2.0, 8.5),
            scan: Scan::draw(&mut Dice::new(seed, Purpose::Scanner)),
            anatomy: None,
        }
    }

    /// (0010,0020): names the seed, and the start of the real head's hash.
    pub fn id(&self) -> String {
        match self.head_word() {
            Some(head) => format!("PHANTOM-{:04}-{head}", self.seed),
            None => format!("PHANTOM-{:04}", self.seed),
        }
    }

    /// (0010,0010): clearly no person.
    pub fn name(&self) -> String {
        match self.head_word() {
            Some(head) => format!("Phantom^Seed {} head {head}", self.seed),
            None => format!("Phantom^Seed {}", self.seed),
        }
    }

    /// A short word for the real head: what fits into an identifier.
    fn head_word(&self) -> Option<String> {
        let word = |a: &String| a.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        self.anatomy.as_ref().map(word)
    }
}

impl Scan {
    fn draw(dice: &mut Dice) -> Self {
        let field = if dice.chance(0.7) { Field::T3 } else { Field::T15 };
        let vendor = dice.weighted(&[
            (Vendor::Siemens, 0.45),
            (Vendor::Ge, 0.25),
            (Vendor::Philips, 0.3),
        ]);
        let oblique = if dice.chance(0.5) { 1.0 } else { 0.0 };
        let tilt = [
            oblique * dice.normal_within(0.0, 0.07, -0.16, 0.16),
            oblique * dice.normal_within(0.0, 0.02, -0.05, 0.05),
            0.0,
        ];
        let still = dice.chance(0.5);
        let mut movement = [[0.0; 3]; 3];
        if !still {
            for step in &mut movement[1..] {
                *step = std::array::from_fn(|_| dice.normal_within(0.0, 0.5, -0.85, 0.85));
            }
        }
        let strong = if field == Field::T3 { 1.0 } else { 0.75 };
        Scan {
            vendor,
            field,
            tilt,
            centre: [
                dice.normal_within(0.0, 3.0, -8.0, 8.0),
                dice.normal_within(0.0, 4.0, -10.0, 10.0),
                dice.normal_within(-2.0, 5.0, -12.0, 10.0),
            ],
            turn: [
                dice.normal_within(0.0, 0.06, -0.14, 0.14),
                dice.normal_within(0.0, 0.035, -0.09, 0.09),
                dice.normal_within(0.0, 0.05, -0.12, 0.12),
            ],
            shift: std::array::from_fn(|_| dice.normal_within(0.0, 4.0, -9.0, 9.0)),
            movement,
            minutes: dice.uniform(1.6, 4.5),
            snr: [
                strong * dice.uniform(35.0, 80.0),
                strong * dice.uniform(28.0, 65.0),
                strong * dice.uniform(25.0, 55.0),
                strong * dice.uniform(16.0, 36.0),
            ],
            shading: dice.uniform(0.08, 0.32),
            ghost: [dice.uniform(0.0, 0.03), dice.uniform(0.0, 0.045)],
            distortion_mm: dice.uniform(0.8, 4.5) * if field == Field::T3 { 1.0 } else { 0.6 },
            fat_escape: [dice.uniform(0.03, 0.14), dice.uniform(0.0, 0.45)],
            habit: dice.below(3),
            standard_b: dice.chance(0.7),
            head_first: dice.chance(0.3),
            gain: dice.about(900.0, 0.25),
        }
    }
}
