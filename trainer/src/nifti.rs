//! ROI masks in NIfTI-1 (`.nii`), as ITK-SNAP and the phantom write them.
//!
//! Only what a mask needs: one volume of integers or floats with an sform (code > 0) in millimetres.
//! NIfTI counts positions to the right, anterior and head (RAS); the patient frame of DICOM is left,
//! posterior, head (LPS), so x and y change sign. Source: nifti1.h of the NIfTI-1.1 standard.

use std::path::Path;

use models::findings::{Fault, Reason};
use models::mr::Grid;
use ndarray::Array3;

const HEADER_BYTES: usize = 348;

/// Voxels of a mask, 1 inside and 0 outside, and where they are.
#[derive(Debug, Clone)]
pub struct Mask {
    /// Slices along the third index of the file.
    pub grid: Grid,
    /// (slice, row, column).
    pub voxels: Array3<f32>,
}

/// Reads a mask; every voxel other than zero is inside.
///
/// # Errors
/// Codes `mask_unreadable` and `mask_form`.
pub fn read_mask(path: &Path) -> Result<Mask, Reason> {
    let bytes = std::fs::read(path).map_err(|e| {
        Reason::new(
            "mask_unreadable",
            Fault::Data,
            format!("the mask cannot be read: {e}"),
        )
    })?;
    parse(&bytes).ok_or_else(|| {
        let text = "the mask is no little-endian NIfTI-1 file with one volume and an sform";
        Reason::new("mask_form", Fault::Data, text)
    })
}

fn parse(bytes: &[u8]) -> Option<Mask> {
    let i16_at = |at: usize| Some(i16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let f32_at = |at: usize| Some(f32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let own_size = u32::from_le_bytes(bytes.get(0..4)?.try_into().ok()?);
    let sform_code = i16_at(254)?;
    if own_size as usize != HEADER_BYTES || bytes.get(344..347)? != b"n+1" || sform_code <= 0 {
        return None;
    }

    let extent = |axis: usize| usize::try_from(i16_at(42 + 2 * axis)?).ok().filter(|n| *n > 0);
    let (columns, rows, slices) = (extent(0)?, extent(1)?, extent(2)?);
    let further = i16_at(40)?.clamp(3, 7) as usize;
    if (3..further).any(|axis| i16_at(42 + 2 * axis) != Some(1)) {
        return None;
    }

    let start = f32_at(108)? as usize;
    let data = bytes.get(start.max(HEADER_BYTES)..)?;
    let count = columns.checked_mul(rows)?.checked_mul(slices)?;
    // A voxel is zero in every number format when all its bytes are.
    let width = match i16_at(70)? {
        2 | 256 => 1,
        4 | 512 => 2,
        8 | 768 | 16 => 4,
        64 => 8,
        _ => return None,
    };
    let voxels = data.get(..count.checked_mul(width)?)?;
    let inside = voxels
        .chunks(width)
        .map(|v| if v.iter().any(|b| *b != 0) { 1.0 } else { 0.0 });
    let voxels = Array3::from_shape_vec((slices, rows, columns), inside.collect()).ok()?;

    let affine = |row: usize, column: usize| f32_at(280 + 16 * row + 4 * column).map(f64::from);
    let mut columns_lps = [[0.0; 3]; 4];
    for (column, vector) in columns_lps.iter_mut().enumerate() {
        *vector = [-affine(0, column)?, -affine(1, column)?, affine(2, column)?];
    }
    let [column_step, row_step, slice_step, origin] = columns_lps;
    let grid = Grid {
        origin,
        slice_step,
        row_step,
        column_step,
        shape: [slices, rows, columns],
    };
    Some(Mask { grid, voxels })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = vec![0u8; 352 + 24];
        bytes[0..4].copy_from_slice(&348u32.to_le_bytes());
        for (i, n) in [3i16, 4, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
            bytes[40 + 2 * i..42 + 2 * i].copy_from_slice(&n.to_le_bytes());
        }
        bytes[70..72].copy_from_slice(&2i16.to_le_bytes());
        bytes[108..112].copy_from_slice(&352f32.to_le_bytes());
        bytes[254..256].copy_from_slice(&1i16.to_le_bytes());
        let rows = [
            [-2.0f32, 0.0, 0.0, 10.0],
            [0.0, -3.0, 0.0, 20.0],
            [0.0, 0.0, 4.0, 30.0],
        ];
        for (i, v) in rows.as_flattened().iter().enumerate() {
            bytes[280 + 4 * i..284 + 4 * i].copy_from_slice(&v.to_le_bytes());
        }
        bytes[344..348].copy_from_slice(b"n+1\0");
        // Column 1, row 2, slice 1.
        bytes[352 + 1 + 2 * 4 + 12] = 7;
        bytes
    }

    #[test]
    fn positions_are_in_the_frame_of_dicom() {
        let mask = parse(&file()).unwrap();
        assert_eq!(mask.voxels.sum(), 1.0);
        assert_eq!(mask.voxels[[1, 2, 1]], 1.0);
        assert_eq!(
            mask.grid.position(1.0, 2.0, 1.0),
            [-10.0 + 2.0, -20.0 + 6.0, 34.0]
        );
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = file();
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_none(), "{length} bytes");
        }
    }
}
