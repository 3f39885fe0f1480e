//! The ADC map of an examination that brought none, from b = 0 and one high b-value.
//!
//! Mono-exponential (Stejskal and Tanner 1965): S(b) = S(0) · exp(−b · ADC). Magnitude images never fall
//! below their noise, which makes the ADC of dark tissue too small; the noise's share is therefore taken
//! out of both signals first (Gudbjartsson and Patz 1995: A² = S² − 2σ²).

use ndarray::{Array3, Zip};

use crate::mr::{Contrast, Volume};

/// Air is where b = 0 is darker than this share of its bright tissue.
const AIR: f32 = 0.05;
/// Bright tissue: this percentile of b = 0.
const BRIGHT_PERCENT: usize = 99;
/// Fewer air voxels tell nothing about the noise.
const MIN_AIR_VOXELS: usize = 500;
/// A signal at b = 0 below this many σ is noise.
const MIN_SIGNAL_TO_NOISE: f32 = 3.0;

/// The map in 1e-3 mm²/s on the grid of `dwi`, 0 where b = 0 has no signal; none when the two do not lie
/// on one grid or their b-values are not known or not apart.
pub fn compute(b0: &Volume, dwi: &Volume) -> Option<Volume> {
    let apart = dwi.b_value? - b0.b_value?;
    if apart <= 0.0 || !b0.grid.coincides(&dwi.grid) {
        return None;
    }
    let sigma = noise(&b0.voxels, &dwi.voxels);
    let without_noise = |signal: f32| (signal * signal - 2.0 * sigma * sigma).max(0.0).sqrt();
    let mut voxels = Array3::zeros(b0.voxels.raw_dim());
    Zip::from(&mut voxels)
        .and(&b0.voxels)
        .and(&dwi.voxels)
        .for_each(|adc, &b0, &dwi| {
            let (before, after) = (without_noise(b0), without_noise(dwi));
            if before > 0.0 && before >= MIN_SIGNAL_TO_NOISE * sigma {
                // What has sunk into the noise has at least the ADC that brings it there.
                let after = after.max(sigma).max(f32::MIN_POSITIVE);
                *adc = ((before / after).ln() * 1e3 / apart as f32).max(0.0);
            }
        });
    Some(Volume {
        contrast: Contrast::Adc,
        b_value: None,
        grid: dwi.grid.clone(),
        voxels,
    })
}

/// σ of the Gaussian noise in each channel, from the air of the high b-value: its magnitudes are Rayleigh
/// distributed with the median σ·√(2 ln 2). 0 where the scanner has blanked the air.
fn noise(b0: &Array3<f32>, dwi: &Array3<f32>) -> f32 {
    let bright = percentile(b0.iter().copied().collect(), BRIGHT_PERCENT);
    let air: Vec<f32> = b0
        .iter()
        .zip(dwi)
        .filter(|(b0, dwi)| **b0 < AIR * bright && **dwi > 0.0)
        .map(|(_, dwi)| *dwi)
        .collect();
    if air.len() < MIN_AIR_VOXELS {
        return 0.0;
    }
    percentile(air, 50) / (2.0 * std::f32::consts::LN_2).sqrt()
}

fn percentile(mut values: Vec<f32>, percent: usize) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = (values.len() - 1) * percent / 100;
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::mr::Grid;

    const SIDE: usize = 24;
    const SIGMA: f32 = 8.0;

    fn volume(b: f64, voxels: Array3<f32>) -> Volume {
        let grid = Grid {
            origin: [0.0; 3],
            slice_step: [0.0, 0.0, 4.0],
            row_step: [0.0, 2.0, 0.0],
            column_step: [2.0, 0.0, 0.0],
            shape: [SIDE; 3],
        };
        Volume {
            contrast: Contrast::Dwi,
            b_value: Some(b),
            grid,
            voxels,
        }
    }

    /// Slices of tissue with an ADC of their own in a frame of air, with Rician noise.
    fn pair(adc: impl Fn(usize) -> f32) -> (Volume, Volume) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut gauss = || {
            let (u, v) = (rng.next_u32(), rng.next_u32());
            let unit = |n: u32| (f64::from(n) + 0.5) / 4_294_967_296.0;
            ((-2.0 * unit(u).ln()).sqrt() * (std::f64::consts::TAU * unit(v)).cos()) as f32
        };
        let mut signal = |b: f32| {
            Array3::from_shape_fn((SIDE, SIDE, SIDE), |(s, r, c)| {
                let tissue = (6..18).contains(&r) && (6..18).contains(&c);
                let clean = if tissue {
                    400.0 * (-b * adc(s) * 1e-3).exp()
                } else {
                    0.0
                };
                (clean + SIGMA * gauss()).hypot(SIGMA * gauss())
            })
        };
        (volume(0.0, signal(0.0)), volume(1000.0, signal(1000.0)))
    }

    fn mean(adc: &Volume, slice: usize) -> f32 {
        adc.voxels.slice(ndarray::s![slice, 6..18, 6..18]).mean().unwrap()
    }

    #[test]
    fn the_adc_that_was_put_in_comes_out() {
        let (b0, dwi) = pair(|s| 0.6 + 0.1 * s as f32);
        let adc = compute(&b0, &dwi).unwrap();
        assert_eq!(adc.contrast, Contrast::Adc);
        for slice in 0..SIDE {
            let truth = 0.6 + 0.1 * slice as f32;
            // Above 2.4 the tissue lies within 4.5 σ of the noise.
            let tolerance = if truth < 2.4 { 0.06 } else { 0.35 };
            let found = mean(&adc, slice);
            assert!((found - truth).abs() < tolerance, "{slice}: {found} for {truth}");
        }
        assert_eq!(adc.voxels[[0, 0, 0]], 0.0);
    }

    /// With the noise left in, fluid of 3.0 would come out near 2.7.
    #[test]
    fn the_noise_floor_is_found() {
        let (b0, dwi) = pair(|_| 1.0);
        let sigma = noise(&b0.voxels, &dwi.voxels);
        assert!((sigma - SIGMA).abs() < 0.4, "{sigma}");
    }

    #[test]
    fn other_grids_or_unknown_b_values_give_no_map() {
        let (b0, dwi) = pair(|_| 1.0);
        let mut moved = b0.clone();
        moved.grid.origin[0] += 1.0;
        assert!(compute(&moved, &dwi).is_none());
        let mut unknown = b0.clone();
        unknown.b_value = None;
        assert!(compute(&unknown, &dwi).is_none());
        assert!(compute(&dwi, &b0).is_none());
    }
}
