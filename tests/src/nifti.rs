//! What `dcm2niix` writes: NIfTI-1 files with their sidecars, as the peer of our MR reader.

use std::path::Path;

/// One NIfTI file: `frames` volumes of `columns` × `rows` × `slices` values.
#[derive(Debug)]
pub struct Nifti {
    /// Fastest first: columns, rows, slices, frames.
    pub shape: [usize; 4],
    /// Rows of the affine from (column, row, slice) to patient millimetres, RAS.
    pub affine: [[f64; 4]; 3],
    /// Scaled, in the order of `shape`.
    pub values: Vec<f32>,
}

const HEADER: usize = 348;

impl Nifti {
    /// Reads an uncompressed single file; none when it is not one, or of a type that MR does not use.
    pub fn read(path: &Path) -> Option<Nifti> {
        let bytes = std::fs::read(path).ok()?;
        let short = |at: usize| Some(i16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let float = |at: usize| Some(f32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(HEADER - 4..HEADER)? != b"n+1\0" {
            return None;
        }
        let size = |axis: usize| Some(usize::try_from(short(40 + 2 * axis)?).ok()?.max(1));
        let shape = [size(1)?, size(2)?, size(3)?, size(4)?];
        let (slope, intercept) = match (float(112)?, float(116)?) {
            (0.0, _) => (1.0, 0.0),
            scaling => scaling,
        };
        let mut affine = [[0.0; 4]; 3];
        for (r, row) in affine.iter_mut().enumerate() {
            for (c, value) in row.iter_mut().enumerate() {
                *value = f64::from(float(280 + 16 * r + 4 * c)?);
            }
        }
        let data = bytes.get(float(108)? as usize..)?;
        let shorts = || data.as_chunks::<2>().0.iter();
        let raw: Vec<f32> = match short(70)? {
            4 => shorts().map(|b| f32::from(i16::from_le_bytes(*b))).collect(),
            512 => shorts().map(|b| f32::from(u16::from_le_bytes(*b))).collect(),
            16 => data
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            _ => return None,
        };
        let values = raw
            .into_iter()
            .map(|v| v * slope + intercept)
            .collect::<Vec<f32>>();
        (values.len() >= shape.iter().product()).then_some(Nifti {
            shape,
            affine,
            values,
        })
    }

    /// The fractional (column, row, slice) of a point in patient millimetres, LPS.
    pub fn index_of(&self, lps: [f64; 3]) -> [f64; 3] {
        let column = |n: usize| std::array::from_fn::<f64, 3, _>(|row| self.affine[row][n]);
        let (x, y, z, t) = (column(0), column(1), column(2), column(3));
        let p = [-lps[0] - t[0], -lps[1] - t[1], lps[2] - t[2]];
        let cross = |a: [f64; 3], b: [f64; 3]| {
            [
                a[1] * b[2] - a[2] * b[1],
                a[2] * b[0] - a[0] * b[2],
                a[0] * b[1] - a[1] * b[0],
            ]
        };
        let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let whole = dot(x, cross(y, z));
        [
            dot(p, cross(y, z)) / whole,
            dot(x, cross(p, z)) / whole,
            dot(x, cross(y, p)) / whole,
        ]
    }

    /// Millimetres along each axis of one voxel.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|n| (0..3).map(|row| self.affine[row][n].powi(2)).sum::<f64>().sqrt())
    }

    /// A value of one frame.
    pub fn value(&self, [column, row, slice]: [usize; 3], frame: usize) -> f32 {
        let [columns, rows, slices, _] = self.shape;
        self.values[((frame * slices + slice) * rows + row) * columns + column]
    }
}
