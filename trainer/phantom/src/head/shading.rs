//! The coil's shading and the brightness of the tissues, estimated together.
//!
//! The logarithm of the shading is a polynomial of third degree, as smooth as the field of a coil array;
//! classes start from what the template says of each place and then follow the intensities
//! (after Van Leemput et al., IEEE Trans Med Imaging 1999;18:885, with hard classes).

use super::Unfit;
use super::lattice::quantile;
use super::scan::Upright;
use super::tissues::Labels;
use crate::anatomy::Label;
use crate::space::{Point, scale};

/// Terms of a polynomial of third degree in three variables without the constant.
const TERMS: usize = 19;
/// Only every so many millimetres are looked at.
const SAMPLE_MM: usize = 4;
/// Deeper than the skin, mm.
const UNDER_SKIN_MM: f32 = 2.5;
/// Coordinates are divided by this, mm.
const UNIT_MM: f32 = 100.0;
/// Rounds of fitting levels and shading in turn.
const ROUNDS: usize = 12;
/// A sample further from its class than this (natural logarithm) is of another tissue.
const OUTLIER: f32 = 0.4;
/// The shading is between one over this and this.
const MAX_SHADING: f32 = 4.0;
/// Holds the polynomial back where there is no tissue to see it by, as a share of the samples.
const RIDGE: f64 = 1e-2;
/// The median of the layer under the skin over muscle, below which fat is suppressed.
const SUPPRESSED_UNDER: f32 = 0.95;
/// The layer's brightest tenth over muscle: less is no T1. Real and drawn heads reach 2.1 to 2.8.
const FAT_OVER_MUSCLE: f32 = 1.4;
/// In thin people most of the layer is skin or muscle, and only this share of it is darker than fat.
const FAT_QUANTILE: f32 = 0.9;
/// Behind this lie nape and occiput, mm.
const NAPE_MM: f32 = 25.0;
/// So deep there is fat under the skin, mm.
const SUBCUTANEOUS_MM: f32 = 6.0;
/// How bright what is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub muscle: f32,
    /// Of subcutaneous fat; what suppression leaves of it.
    pub fat: f32,
    pub brain: f32,
}

/// What the coil does to the image, and the levels without it.
pub(super) struct Shading {
    terms: [f64; TERMS],
    pub levels: Levels,
    /// Fat is darker than muscle.
    pub suppressed: bool,
}

/// The polynomial's terms at a point.
fn terms(p: Point) -> [f64; TERMS] {
    let [x, y, z] = scale(p, 1.0 / UNIT_MM).map(f64::from);
    [
        x,
        y,
        z,
        x * x,
        x * y,
        x * z,
        y * y,
        y * z,
        z * z,
        x * x * x,
        x * x * y,
        x * x * z,
        x * y * y,
        x * y * z,
        x * z * z,
        y * y * y,
        y * y * z,
        y * z * z,
        z * z * z,
    ]
}

/// Which of the levels a sample belongs to.
const SOFT: usize = 0;
const FAT: usize = 1;
const BRAIN: usize = 2;

struct Sample {
    terms: [f64; TERMS],
    log: f32,
    label: Label,
}

impl Shading {
    pub fn estimate(image: &Upright, labels: &Labels) -> Result<Self, Unfit> {
        let samples = samples(image, labels);
        let median = |wanted: Label| {
            let mut list: Vec<f32> = samples
                .iter()
                .filter(|s| s.label == wanted)
                .map(|s| s.log)
                .collect();
            quantile(&mut list, 0.5)
        };
        let mut levels = [median(Label::Muscle), median(Label::Fat), median(Label::Brain)];
        let mut shading = [0.0; TERMS];
        for _ in 0..ROUNDS {
            let mut system = System::new(samples.len());
            let mut of_class: [Vec<f32>; 3] = Default::default();
            for sample in &samples {
                let log = sample.log - dot(&shading, &sample.terms) as f32;
                let class = match sample.label {
                    Label::Brain => BRAIN,
                    _ if (log - levels[SOFT]).abs() <= (log - levels[FAT]).abs() => SOFT,
                    _ => FAT,
                };
                if (log - levels[class]).abs() < OUTLIER {
                    of_class[class].push(log);
                    system.add(&sample.terms, f64::from(sample.log - levels[class]));
                }
            }
            for (level, mut logs) in levels.iter_mut().zip(of_class) {
                if !logs.is_empty() {
                    *level = quantile(&mut logs, 0.5);
                }
            }
            shading = system.solve();
        }
        let mut result = Shading {
            terms: shading,
            levels: Levels {
                muscle: levels[SOFT].exp(),
                fat: 0.0,
                brain: levels[BRAIN].exp(),
            },
            suppressed: false,
        };
        result.weigh_fat(image, labels)?;
        Ok(result)
    }

    /// By how much the coil brightens a place.
    pub fn at(&self, p: Point) -> f32 {
        (dot(&self.terms, &terms(p)) as f32)
            .exp()
            .clamp(1.0 / MAX_SHADING, MAX_SHADING)
    }

    /// How bright the layer under the skin of nape and occiput is: no muscle of the face, no gland.
    fn weigh_fat(&mut self, image: &Upright, labels: &Labels) -> Result<(), Unfit> {
        let (mut fat, mut muscle) = (Vec::new(), Vec::new());
        each_sample(image, |at, p, depth| {
            let v = image.image.values[at] / self.at(p);
            let label = labels.at(p);
            if p[1] > NAPE_MM && depth < SUBCUTANEOUS_MM {
                fat.push(v);
            } else if label == Label::Muscle && depth > SUBCUTANEOUS_MM + 2.0 {
                muscle.push(v);
            }
        });
        // What the template calls muscle is partly fat in a real head, hardly ever bone.
        self.levels.muscle = quantile(&mut muscle, 0.4);
        let middle = quantile(&mut fat, 0.5);
        let bright = quantile(&mut fat, FAT_QUANTILE);
        let over_muscle = |v: f32| v / self.levels.muscle.max(f32::MIN_POSITIVE);
        self.suppressed = over_muscle(middle) < SUPPRESSED_UNDER;
        if !self.suppressed && over_muscle(bright) < FAT_OVER_MUSCLE {
            return Err(Unfit::NotT1(format!(
                "the layer under the skin is {:.2} times as bright as muscle, neither clearly brighter as in T1 nor suppressed",
                over_muscle(bright)
            )));
        }
        self.levels.fat = if self.suppressed { middle } else { bright };
        Ok(())
    }
}

fn each_sample(image: &Upright, mut each: impl FnMut(usize, Point, f32)) {
    let lattice = &image.image.lattice;
    for at in 0..lattice.len() {
        let node = lattice.node(at);
        let depth = -image.depth.values[at];
        if node.iter().all(|i| i % SAMPLE_MM == 0) && depth > UNDER_SKIN_MM && image.image.values[at] > 0.0 {
            each(at, lattice.place(at), depth);
        }
    }
}

fn samples(image: &Upright, labels: &Labels) -> Vec<Sample> {
    let mut list = Vec::new();
    each_sample(image, |at, p, _| {
        let label = labels.at(p);
        let known = [
            Label::Muscle,
            Label::Loose,
            Label::Fat,
            Label::Gland,
            Label::Mucosa,
            Label::Brain,
        ];
        if known.contains(&label) {
            list.push(Sample {
                terms: terms(p),
                log: image.image.values[at].ln(),
                label,
            });
        }
    });
    list
}

fn dot(a: &[f64; TERMS], b: &[f64; TERMS]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Normal equations of a least-squares fit.
struct System {
    matrix: [[f64; TERMS]; TERMS],
    right: [f64; TERMS],
}

impl System {
    fn new(samples: usize) -> Self {
        let mut matrix = [[0.0; TERMS]; TERMS];
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] = RIDGE * samples as f64 + 1e-9;
        }
        System {
            matrix,
            right: [0.0; TERMS],
        }
    }

    fn add(&mut self, terms: &[f64; TERMS], value: f64) {
        for ((row, right), a) in self.matrix.iter_mut().zip(&mut self.right).zip(terms) {
            *right += a * value;
            for (cell, b) in row.iter_mut().zip(terms) {
                *cell += a * b;
            }
        }
    }

    /// Gauss's elimination; the ridge keeps every pivot above zero.
    fn solve(mut self) -> [f64; TERMS] {
        for i in 0..TERMS {
            let (pivot, right) = (self.matrix[i], self.right[i]);
            for row in i + 1..TERMS {
                let factor = self.matrix[row][i] / pivot[i];
                for (cell, above) in self.matrix[row].iter_mut().zip(pivot) {
                    *cell -= factor * above;
                }
                self.right[row] -= factor * right;
            }
        }
        let mut x = [0.0; TERMS];
        for i in (0..TERMS).rev() {
            let known: f64 = (i + 1..TERMS).map(|j| self.matrix[i][j] * x[j]).sum();
            x[i] = (self.right[i] - known) / self.matrix[i][i];
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_found_again() {
        let drawn: [f64; TERMS] = std::array::from_fn(|i| 0.3 - 0.03 * i as f64);
        let mut system = System::new(0);
        for i in 0..4000usize {
            let at = |k: usize| (i * k % 997) as f32 / 5.0 - 100.0;
            let terms = terms([at(31), at(57), at(101)]);
            system.add(&terms, dot(&drawn, &terms));
        }
        for (a, b) in system.solve().iter().zip(drawn) {
            assert!((a - b).abs() < 1e-3, "{a} instead of {b}");
        }
    }
}
