//! Signal to noise, from the voxels inside the head.
//!
//! Noise in the air around the head is the usual measure and useless here: parallel imaging makes it
//! differ from place to place, and many scanners set the air to zero. Inside the head the finest
//! diagonal detail of an image is nearly all noise: Donoho and Johnstone, Biometrika 1994;81:425,
//! take its median absolute value over 0.6745. Anatomy in it makes the answer too pessimistic,
//! interpolation by the scanner too optimistic; of two scales the worse one is taken.

use crate::findings::{Fault, Reason};
use crate::limits::{MIN_DIFFUSION_SNR, MIN_SNR};
use crate::mr::{Contrast, Volume};
use crate::study::image::{Reduced, quantile};

/// Blocks that are looked at, at most.
const MAX_BLOCKS: usize = 200_000;

/// Of the tissue, so much is darker than the signal that is compared: the bright tenth is what a reader
/// looks for, and in diffusion-weighted images the rest is hardly more than noise.
const BRIGHT: f64 = 0.9;

/// Signal of bright tissue over the standard deviation of the noise; none without tissue, or where the
/// image has no noise at all.
pub(super) fn snr(volume: &Volume, reduced: &Reduced) -> Option<f64> {
    let tissue = reduced.tissue_level() / 2.0;
    let snr = [1, 2]
        .into_iter()
        .filter_map(|apart| at_scale(volume, tissue, apart))
        .reduce(f64::min);
    tracing::debug!(snr, contrast = volume.contrast.name(), "noise");
    snr
}

fn at_scale(volume: &Volume, tissue: f32, apart: usize) -> Option<f64> {
    let (slices, rows, columns) = volume.voxels.dim();
    let blocks = slices * (rows / (2 * apart)) * (columns / (2 * apart));
    let stride = (blocks / MAX_BLOCKS).max(1);
    let (mut detail, mut level) = (Vec::new(), Vec::new());
    let mut n = 0usize;
    for s in 0..slices {
        for r in (0..rows.saturating_sub(apart)).step_by(2 * apart) {
            for c in (0..columns.saturating_sub(apart)).step_by(2 * apart) {
                n += 1;
                if !n.is_multiple_of(stride) {
                    continue;
                }
                let v = |i: usize, j: usize| volume.voxels[[s, r + i * apart, c + j * apart]];
                let (sum, diagonal) = (
                    v(0, 0) + v(0, 1) + v(1, 0) + v(1, 1),
                    v(0, 0) - v(0, 1) - v(1, 0) + v(1, 1),
                );
                if sum / 4.0 > tissue {
                    detail.push(diagonal.abs() / 2.0);
                    level.push(sum / 4.0);
                }
            }
        }
    }
    let noise = f64::from(quantile(detail, 0.5)) / 0.6745;
    (noise > 0.0).then(|| f64::from(quantile(level, BRIGHT)) / noise)
}

/// A remark when there is too much noise; maps are computed and have none of their own.
pub(super) fn remark(volume: &Volume, reduced: &Reduced) -> Option<Reason> {
    let least = match volume.contrast {
        Contrast::Adc => return None,
        Contrast::Dwi | Contrast::DwiB0 => MIN_DIFFUSION_SNR,
        Contrast::T1 | Contrast::T2 | Contrast::CeT1 => MIN_SNR,
    };
    let snr = snr(volume, reduced).filter(|snr| *snr < least)?;
    let text = format!(
        "The {} is noisy: signal to noise {snr:.1}, at least {least:.0} is expected.",
        volume.contrast
    );
    Some(Reason::new("low_signal_to_noise", Fault::Data, text))
}
