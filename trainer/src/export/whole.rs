//! The last gate: encoders and reader one after the other, as a lesion goes through them. Each
//! network may pass alone and their errors still add up.

use ndarray::{ArrayD, Axis, concatenate};

use super::ExportError;
use super::engine::{Engine, TractSession};
use super::package::Exported;
use super::parity::{Agreement, Answers, Tolerance, compare};
use super::samples::{Samples, reader_input};
use super::torch::Torch;
use crate::statistics::probabilities;

/// Compares the class probabilities of each held-out lesion: int8 encoders and reader in tract
/// against torch.
///
/// # Errors
/// An engine fails, or the answers lie too far apart.
pub fn compare_whole(
    networks: &[Exported],
    held_out: &Samples,
    mut torch: Torch,
    temperature: f64,
) -> Result<Agreement, ExportError> {
    let [_, encoders @ .., reader] = networks else {
        return Err(ExportError::NoMembers);
    };
    let load = |network: &Exported| TractSession::load(&network.verified.int8);
    let mut encoders = encoders.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let mut reader = load(reader)?;

    let mut ours = Answers {
        row: 1,
        values: Vec::new(),
    };
    let mut trained = Answers {
        row: 1,
        values: Vec::new(),
    };
    for (lesion, slices) in held_out.lesions.iter().enumerate() {
        let input = &held_out.reader[lesion];
        let mut features = ArrayD::zeros(input["features"].raw_dim());
        for (row, slice) in slices.clone().enumerate() {
            let mut parts = Vec::with_capacity(encoders.len());
            for (encoder, samples) in encoders.iter_mut().zip(&held_out.encoders) {
                parts.extend(encoder.run(&samples[slice])?.into_values());
            }
            let parts: Vec<_> = parts.iter().map(|part| part.index_axis(Axis(0), 0)).collect();
            let spliced = concatenate(Axis(0), &parts).map_err(|error| ExportError::Engine {
                engine: "tract",
                reason: format!("features cannot be spliced: {error}"),
            })?;
            features.index_axis_mut(Axis(0), row).assign(&spliced);
        }
        let quantized = reader_input(features, input["mask"].clone());
        for (engine, input, answers) in [
            (&mut reader as &mut dyn Engine, &quantized, &mut ours),
            (&mut torch as &mut dyn Engine, input, &mut trained),
        ] {
            let outputs = engine.run(input)?;
            let logits = outputs.values().flat_map(|logits| logits.outer_iter());
            let members: Vec<Vec<f32>> = logits.map(|row| row.iter().copied().collect()).collect();
            let shares = probabilities(&members, temperature);
            answers.row = shares.len();
            answers
                .values
                .extend(shares.into_iter().map(|share| share as f32));
        }
    }
    let (left, right) = (("int8 in tract", &ours), ("torch", &trained));
    Ok(compare(
        "the encoders and the reader together",
        left,
        right,
        Tolerance::PROBABILITIES,
    )?
    .agreement)
}
