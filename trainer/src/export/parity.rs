//! The gate: torch, ONNX Runtime and tract must give the same answers.
//!
//! Comparing only the two ONNX engines does not catch a mistake in the export itself, and comparing
//! only with torch does not tell a wrong file from a wrong engine; so each file is run on the same
//! held-out inputs in all three.

use std::fmt;
use std::time::Instant;

use super::ExportError;
use super::engine::{Engine, OnnxRuntime, Tensors, TractSession};
use super::network::Network;

/// How far two answers may lie apart, over all held-out inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Largest absolute difference of one value, as a share of the spread of the reference (its
    /// largest magnitude, but at least 1, which is the spread of probabilities).
    pub difference: f64,
    /// Smallest correlation over all values.
    pub correlation: f64,
}

impl Tolerance {
    /// The same f32 arithmetic in another order.
    pub const F32: Self = Self {
        difference: 1e-3,
        correlation: 0.999_999,
    };
    /// The same integers; rounding differs where a value lies between two steps, and one step moves
    /// later ones. Among the six million pixels of the locator's held-out slices a chain of such steps
    /// moved one pixel by 0.054, all of them together correlating to 0.999999: a single pixel is given
    /// room, the whole hardly any.
    pub const SAME_INTEGERS: Self = Self {
        difference: 0.1,
        correlation: 0.999_99,
    };
    /// Integers against reals. Single pixels at the border of a lesion may swing; the whole must not.
    pub const QUANTIZED: Self = Self {
        difference: 0.5,
        correlation: 0.99,
    };
    /// Probabilities of the classes, from images on: what the radiologist reads.
    pub const PROBABILITIES: Self = Self {
        difference: 0.1,
        correlation: 0.99,
    };
}

/// How far two answers lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Largest absolute difference, as [`Tolerance::difference`] counts it.
    pub difference: f64,
    /// Pearson's correlation over all values; 1 when both are constant and equal.
    pub correlation: f64,
    /// Share of the rows (last axis) whose largest value stands in the same place; 1 for rows of one
    /// value.
    pub same_choice: f64,
}

/// One comparison of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// For example `int8 in tract`.
    pub left: String,
    /// For example `torch`.
    pub right: &'static str,
    /// What was measured.
    pub agreement: Agreement,
    /// What was allowed.
    pub tolerance: Tolerance,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            left,
            right,
            agreement,
            ..
        } = self;
        write!(
            f,
            "{left} against {right}: difference {:.2e}, correlation {:.6}",
            agreement.difference, agreement.correlation
        )
    }
}

/// Answers of one engine to all held-out inputs, row-major, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Length of the last axis.
    pub row: usize,
    /// All values.
    pub values: Vec<f32>,
}

impl Answers {
    /// Runs all samples and keeps the output called `output`.
    ///
    /// # Errors
    /// The engine fails or has no such output.
    pub fn of(engine: &mut dyn Engine, samples: &[Tensors], output: &str) -> Result<Self, ExportError> {
        let mut answers = Self {
            row: 1,
            values: Vec::new(),
        };
        for inputs in samples {
            let mut outputs = engine.run(inputs)?;
            let answer = outputs.remove(output).ok_or_else(|| ExportError::Engine {
                engine: engine.name(),
                reason: format!("there is no output {output}"),
            })?;
            answers.row = answer.shape().last().copied().unwrap_or(1);
            answers.values.extend(answer.iter());
        }
        Ok(answers)
    }

    /// How far these answers lie from the reference; the worst possible when shapes differ or a
    /// value is not finite.
    pub fn against(&self, reference: &Self) -> Agreement {
        let comparable = self.row == reference.row
            && self.values.len() == reference.values.len()
            && self
                .values
                .iter()
                .chain(&reference.values)
                .all(|value| value.is_finite());
        if !comparable {
            return Agreement {
                difference: f64::INFINITY,
                correlation: -1.0,
                same_choice: 0.0,
            };
        }
        let pairs = || {
            self.values
                .iter()
                .zip(&reference.values)
                .map(|(a, b)| (f64::from(*a), f64::from(*b)))
        };
        let largest = reference
            .values
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let spread = f64::from(largest).max(1.0);
        let rows = self
            .values
            .chunks(self.row)
            .zip(reference.values.chunks(self.row));
        let same = rows.clone().filter(|(a, b)| choice(a) == choice(b)).count();
        Agreement {
            difference: pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / spread,
            correlation: correlation(pairs()),
            same_choice: same as f64 / rows.count().max(1) as f64,
        }
    }
}

/// Compares, and refuses with the network and the figure when it is too much.
///
/// # Errors
/// [`ExportError::Disagreement`].
pub fn compare(
    network: &str,
    (left, answers): (&str, &Answers),
    (right, reference): (&'static str, &Answers),
    tolerance: Tolerance,
) -> Result<Comparison, ExportError> {
    let agreement = answers.against(reference);
    let comparison = Comparison {
        left: left.to_owned(),
        right,
        agreement,
        tolerance,
    };
    let agrees =
        agreement.difference <= tolerance.difference && agreement.correlation >= tolerance.correlation;
    if agrees {
        Ok(comparison)
    } else {
        Err(ExportError::Disagreement {
            network: network.to_owned(),
            comparison,
        })
    }
}

/// The files of a network and what is known of them.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The int8 file.
    pub int8: Vec<u8>,
    /// Size of the f32 file, bytes.
    pub f32_bytes: usize,
    /// In the order in which they were made.
    pub comparisons: Vec<Comparison>,
    /// Mean wall time of one run of the int8 file in tract on one thread.
    pub tract_milliseconds: f64,
}

/// Runs the f32 and the int8 file of a network in both engines and compares them with torch.
///
/// # Errors
/// An engine fails, there are no samples, or two answers lie too far apart.
pub fn verify(
    network: &Network,
    torch: &mut dyn Engine,
    runtime: &OnnxRuntime,
    (f32_file, int8_file): (Vec<u8>, Vec<u8>),
    samples: &[Tensors],
) -> Result<Verified, ExportError> {
    if samples.is_empty() {
        return Err(ExportError::NoSamples {
            network: network.name.clone(),
        });
    }
    let output = network.output.name;
    let trained = Answers::of(torch, samples, output)?;
    let f32_onnx = Answers::of(&mut runtime.load(&f32_file)?, samples, output)?;
    let f32_tract = Answers::of(&mut TractSession::load(&f32_file)?, samples, output)?;
    let int8_onnx = Answers::of(&mut runtime.load(&int8_file)?, samples, output)?;
    let mut tract = TractSession::load(&int8_file)?;
    let start = Instant::now();
    let int8_tract = Answers::of(&mut tract, samples, output)?;
    let tract_milliseconds = start.elapsed().as_secs_f64() * 1e3 / samples.len() as f64;

    let comparisons = [
        (
            ("f32 in ONNX Runtime", &f32_onnx),
            ("torch", &trained),
            Tolerance::F32,
        ),
        (("f32 in tract", &f32_tract), ("torch", &trained), Tolerance::F32),
        (
            ("int8 in tract", &int8_tract),
            ("int8 in ONNX Runtime", &int8_onnx),
            Tolerance::SAME_INTEGERS,
        ),
        (
            ("int8 in ONNX Runtime", &int8_onnx),
            ("torch", &trained),
            Tolerance::QUANTIZED,
        ),
        (
            ("int8 in tract", &int8_tract),
            ("torch", &trained),
            Tolerance::QUANTIZED,
        ),
    ]
    .into_iter()
    .map(|(left, right, tolerance)| compare(&network.name, left, right, tolerance))
    .collect::<Result<_, _>>()?;
    Ok(Verified {
        f32_bytes: f32_file.len(),
        int8: int8_file,
        comparisons,
        tract_milliseconds,
    })
}

fn choice(row: &[f32]) -> Option<usize> {
    row.iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map(|(index, _)| index)
}

fn correlation(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = pairs.clone().count().max(1) as f64;
    let (sum_a, sum_b) = pairs
        .clone()
        .fold((0.0, 0.0), |(a, b), pair| (a + pair.0, b + pair.1));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (aa, bb, ab) = pairs.clone().fold((0.0, 0.0, 0.0), |(aa, bb, ab), (a, b)| {
        let (a, b) = (a - mean_a, b - mean_b);
        (aa + a * a, bb + b * b, ab + a * b)
    });
    if aa == 0.0 && bb == 0.0 {
        // Two constants: they correlate if they are the same constant; the difference says by how much.
        return 1.0;
    }
    if aa == 0.0 || bb == 0.0 {
        return 0.0;
    }
    ab / (aa * bb).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn answers(row: usize, values: &[f32]) -> Answers {
        Answers {
            row,
            values: values.to_vec(),
        }
    }

    #[test]
    fn agreement_by_hand() {
        let reference = answers(2, &[1.0, 2.0, 4.0, 3.0]);
        let same = reference.against(&reference);
        assert_eq!(same.difference, 0.0);
        assert!((same.correlation - 1.0).abs() < 1e-12);
        assert_eq!(same.same_choice, 1.0);

        // Mirrored about the mean: as wrong as can be.
        let mirrored = answers(2, &[4.0, 3.0, 1.0, 2.0]).against(&reference);
        assert!((mirrored.difference - 0.75).abs() < 1e-12);
        assert!((mirrored.correlation + 1.0).abs() < 1e-12);
        assert_eq!(mirrored.same_choice, 0.0);
    }

    #[test]
    fn what_cannot_be_compared_never_passes() {
        let reference = answers(2, &[0.0, 1.0]);
        for broken in [
            answers(2, &[0.0, f32::NAN]),
            answers(2, &[0.0]),
            answers(1, &[0.0, 1.0]),
        ] {
            let refused = compare("net", ("a", &broken), ("b", &reference), Tolerance::QUANTIZED);
            assert!(
                matches!(refused, Err(ExportError::Disagreement { .. })),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_constant_answer_does_not_correlate_with_a_varied_one() {
        let varied = answers(1, &[0.0, 0.1, 0.2]);
        let refused = compare(
            "net",
            ("a", &answers(1, &[0.1; 3])),
            ("b", &varied),
            Tolerance::QUANTIZED,
        );
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("net: a against b") && error.contains("correlation 0.0"),
            "{error}"
        );
    }
}
