//! Seeded chance. Every purpose draws from its own ChaCha stream, so that a new draw in one
//! purpose never shifts the numbers of another.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What a stream of numbers is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Diagnosis,
    Person,
    Anatomy,
    Lesions,
    Scanner,
    Texture,
    /// The noise of one series.
    Noise(u64),
    /// A DICOM unique identifier.
    Uid(u64),
}

impl Purpose {
    fn stream(self) -> u64 {
        match self {
            Purpose::Diagnosis => 1,
            Purpose::Person => 2,
            Purpose::Anatomy => 3,
            Purpose::Lesions => 4,
            Purpose::Scanner => 5,
            Purpose::Texture => 6,
            Purpose::Noise(series) => (1 << 32) + series,
            Purpose::Uid(object) => (2 << 32) + object,
        }
    }
}

/// Random draws for one patient and one purpose.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose.stream());
        Dice(rng)
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Standard normal.
    pub fn gauss(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Normal, redrawn until it lies within the bounds; the nearer bound if 64 draws miss.
    pub fn normal_within(&mut self, mean: f32, sd: f32, low: f32, high: f32) -> f32 {
        for _ in 0..64 {
            let x = mean + sd * self.gauss();
            if (low..=high).contains(&x) {
                return x;
            }
        }
        mean.clamp(low, high)
    }

    /// Log-normal around a median; `spread` is the standard deviation of the logarithm.
    pub fn about(&mut self, median: f32, spread: f32) -> f32 {
        median * (spread * self.gauss()).exp()
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.0.random::<f32>() < probability
    }

    /// An index below `count`, which must not be 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// One of the choices; there must be at least one.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of the choices by weight; there must be at least one.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, f32)]) -> T {
        let total: f32 = choices.iter().map(|(_, w)| w).sum();
        let mut left = self.uniform(0.0, total);
        for &(choice, weight) in choices {
            if left < weight {
                return choice;
            }
            left -= weight;
        }
        choices[choices.len() - 1].0
    }

    pub fn bits128(&mut self) -> u128 {
        self.0.random()
    }
}
