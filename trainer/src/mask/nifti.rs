//! NIfTI-1 in one file (`.nii`), as ITK-SNAP, 3D Slicer and the phantom write it.
//!
//! Positions are those of the sform, else of the qform, else refused: a file without either says nothing about
//! where it lies. Values are labels as they are stored; the scaling (scl_slope, scl_inter) is for measurements and
//! is left alone. NIfTI counts positions to the right, anterior and head (RAS); the patient frame of DICOM is left,
//! posterior, head (LPS), so x and y change sign. Source: nifti1.h of the NIfTI-1.1 standard.

use std::collections::{BTreeMap, BTreeSet};

use models::findings::Reason;
use models::mr::Grid;
use ndarray::ArrayViewMut1;

use super::{Mask, blank, checked, number, refused};

const HEADER_BYTES: usize = 348;

/// A header with the order of its bytes.
struct Header<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Header<'_> {
    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut value: [u8; N] = self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
        if self.big_endian {
            value.reverse();
        }
        Some(value)
    }

    fn i16(&self, at: usize) -> Option<i16> {
        self.take(at).map(i16::from_le_bytes)
    }

    fn f32(&self, at: usize) -> Option<f64> {
        self.take(at).map(f32::from_le_bytes).map(f64::from)
    }
}

/// Reads a mask from the bytes of an uncompressed file.
pub(super) fn parse(bytes: &[u8], wanted: Option<&BTreeSet<u8>>) -> Result<Mask, Reason> {
    let form = |text: &str| refused("mask_form", text);
    let mut header = Header {
        bytes,
        big_endian: false,
    };
    let size = header.take(0).map(u32::from_le_bytes);
    header.big_endian = match size {
        Some(n) if n as usize == HEADER_BYTES => false,
        Some(n) if n.swap_bytes() as usize == HEADER_BYTES => true,
        _ => return Err(form("The mask is no NIfTI-1 file and no DICOM object.")),
    };
    let broken = || form("The NIfTI file ends too early.");
    match bytes.get(344..348) {
        Some(b"n+1\0") => {}
        Some(b"ni1\0") => {
            return Err(form(
                "NIfTI in two files (.hdr, .img) is not read; save one .nii file.",
            ));
        }
        _ => return Err(form("The mask is no NIfTI-1 file in one piece.")),
    }

    let axes = header.i16(40).ok_or_else(broken)?;
    if !(1..=7).contains(&axes) {
        return Err(form("The NIfTI file has an impossible number of axes."));
    }
    let mut extents = [1usize; 7];
    for (axis, extent) in extents.iter_mut().enumerate().take(axes as usize) {
        let stated = header.i16(42 + 2 * axis).ok_or_else(broken)?;
        *extent = usize::try_from(stated).unwrap_or(0);
    }
    let [columns, rows, slices, further @ ..] = extents;
    if further.iter().any(|n| *n != 1) {
        return Err(form("The NIfTI file holds more than one volume."));
    }
    let mut voxels = blank([slices, rows, columns])?;
    let grid = checked(grid(&header, [slices, rows, columns])?)?;

    let start = header.f32(108).ok_or_else(broken)?;
    // An offset of 0 means that the voxels follow the header and its four bytes of extension.
    let start = if start == 0.0 { 352.0 } else { start };
    if !(HEADER_BYTES as f64..1e9).contains(&start) {
        return Err(form("The voxels of the NIfTI file begin at an impossible place."));
    }
    let read = reader(header.i16(70).ok_or_else(broken)?)?;
    let data = bytes.get(start as usize..).ok_or_else(broken)?;
    let needed = voxels.len().checked_mul(read.width).ok_or_else(broken)?;
    let data = data.get(..needed).ok_or_else(broken)?;
    for (lane, mut out) in data.chunks_exact(read.width * columns).zip(voxels.rows_mut()) {
        labels(lane, &read, header.big_endian, wanted, &mut out)?;
    }
    Ok(Mask {
        grid,
        voxels,
        names: BTreeMap::new(),
        frame_of_reference_uid: None,
    })
}

/// How a voxel is stored.
struct Stored {
    width: usize,
    value: fn([u8; 8]) -> f64,
}

/// By the datatype of the header.
fn reader(datatype: i16) -> Result<Stored, Reason> {
    fn first<const N: usize>(bytes: [u8; 8]) -> [u8; N] {
        std::array::from_fn(|i| bytes[i])
    }
    let (width, value): (usize, fn([u8; 8]) -> f64) = match datatype {
        2 => (1, |b| f64::from(b[0])),
        256 => (1, |b| f64::from(i8::from_le_bytes(first(b)))),
        4 => (2, |b| f64::from(i16::from_le_bytes(first(b)))),
        512 => (2, |b| f64::from(u16::from_le_bytes(first(b)))),
        8 => (4, |b| f64::from(i32::from_le_bytes(first(b)))),
        768 => (4, |b| f64::from(u32::from_le_bytes(first(b)))),
        16 => (4, |b| f64::from(f32::from_le_bytes(first(b)))),
        64 => (8, f64::from_le_bytes),
        1024 => (8, |b| i64::from_le_bytes(b) as f64),
        1280 => (8, |b| u64::from_le_bytes(b) as f64),
        other => {
            let text =
                format!("The NIfTI file stores its voxels as type {other}, which is no kind of label.");
            return Err(refused("mask_form", text));
        }
    };
    Ok(Stored { width, value })
}

/// One row of voxels.
fn labels(
    lane: &[u8],
    stored: &Stored,
    big_endian: bool,
    wanted: Option<&BTreeSet<u8>>,
    out: &mut ArrayViewMut1<u8>,
) -> Result<(), Reason> {
    for (bytes, voxel) in lane.chunks_exact(stored.width).zip(out) {
        if bytes.iter().all(|b| *b == 0) {
            continue;
        }
        let mut value = [0u8; 8];
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = *from;
        }
        if big_endian {
            value[..stored.width].reverse();
        }
        let label = (stored.value)(value);
        // Minus zero of a float is zero.
        if label != 0.0 {
            let label = number(label)?;
            if wanted.is_none_or(|w| w.contains(&label)) {
                *voxel = label;
            }
        }
    }
    Ok(())
}

fn grid(header: &Header, shape: [usize; 3]) -> Result<Grid, Reason> {
    let broken = || refused("mask_form", "The NIfTI file ends too early.");
    // RAS: rows x, y, z; columns i, j, k and the origin.
    let mut affine = [[0.0; 4]; 3];
    if header.i16(254).ok_or_else(broken)? > 0 {
        for (r, row) in affine.iter_mut().enumerate() {
            for (c, value) in row.iter_mut().enumerate() {
                *value = header.f32(280 + 16 * r + 4 * c).ok_or_else(broken)?;
            }
        }
    } else if header.i16(252).ok_or_else(broken)? > 0 {
        affine = quaternion(header).ok_or_else(broken)?;
    } else {
        let text = "The NIfTI file states neither an sform nor a qform: where it lies is not known.";
        return Err(refused("mask_geometry", text));
    }
    let lps = |c: usize| [-affine[0][c], -affine[1][c], affine[2][c]];
    Ok(Grid {
        origin: lps(3),
        slice_step: lps(2),
        row_step: lps(1),
        column_step: lps(0),
        shape,
    })
}

/// The qform, method 2 of nifti1.h.
fn quaternion(header: &Header) -> Option<[[f64; 4]; 3]> {
    let at = |n: usize| header.f32(n);
    let (b, c, d) = (at(256)?, at(260)?, at(264)?);
    let rest = 1.0 - (b * b + c * c + d * d);
    // Rounding may leave a little less than nothing; then the others are brought to length 1.
    let (a, b, c, d) = if rest < 1e-7 {
        let length = (b * b + c * c + d * d).sqrt();
        (0.0, b / length, c / length, d / length)
    } else {
        (rest.sqrt(), b, c, d)
    };
    let mirrored = if at(76)? < 0.0 { -1.0 } else { 1.0 };
    let (dx, dy, dz) = (at(80)?, at(84)?, mirrored * at(88)?);
    let turned = [
        [
            a * a + b * b - c * c - d * d,
            2.0 * (b * c - a * d),
            2.0 * (b * d + a * c),
        ],
        [
            2.0 * (b * c + a * d),
            a * a + c * c - b * b - d * d,
            2.0 * (c * d - a * b),
        ],
        [
            2.0 * (b * d - a * c),
            2.0 * (c * d + a * b),
            a * a + d * d - b * b - c * c,
        ],
    ];
    let offset = [at(268)?, at(272)?, at(276)?];
    let row = |r: usize| [turned[r][0] * dx, turned[r][1] * dy, turned[r][2] * dz, offset[r]];
    Some([row(0), row(1), row(2)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 4 × 3 × 2 voxels of a type; one voxel each of lesions 7 and 2.
    fn file(datatype: i16, big_endian: bool, sform: bool) -> Vec<u8> {
        let width = reader(datatype).unwrap().width;
        let mut bytes = vec![0u8; 352 + 24 * width];
        let ordered = |mut value: Vec<u8>| {
            if big_endian {
                value.reverse();
            }
            value
        };
        let mut put = |at: usize, value: Vec<u8>| {
            let value = ordered(value);
            bytes[at..at + value.len()].copy_from_slice(&value);
        };
        put(0, 348u32.to_le_bytes().into());
        for (i, n) in [3i16, 4, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
            put(40 + 2 * i, n.to_le_bytes().into());
        }
        put(70, datatype.to_le_bytes().into());
        put(108, 352f32.to_le_bytes().into());
        // A scaling that would spoil the labels.
        put(112, 0.5f32.to_le_bytes().into());
        put(116, 3f32.to_le_bytes().into());
        put(76, 1f32.to_le_bytes().into());
        for (i, mm) in [2f32, 3.0, 4.0].into_iter().enumerate() {
            put(80 + 4 * i, mm.to_le_bytes().into());
        }
        // Half a turn around z: x and y negated.
        put(264, 1f32.to_le_bytes().into());
        for (i, mm) in [10f32, 20.0, 30.0].into_iter().enumerate() {
            put(268 + 4 * i, mm.to_le_bytes().into());
        }
        put(if sform { 254 } else { 252 }, 1i16.to_le_bytes().into());
        let rows = [
            [-2f32, 0.0, 0.0, 10.0],
            [0.0, -3.0, 0.0, 20.0],
            [0.0, 0.0, 4.0, 30.0],
        ];
        if sform {
            for (i, v) in rows.as_flattened().iter().enumerate() {
                put(280 + 4 * i, v.to_le_bytes().into());
            }
        }
        for (voxel, label) in [(1 + 2 * 4 + 12, 7u8), (3, 2)] {
            let value = match datatype {
                16 => f32::from(label).to_le_bytes().to_vec(),
                64 => f64::from(label).to_le_bytes().to_vec(),
                _ => (0..width).map(|i| if i == 0 { label } else { 0 }).collect(),
            };
            put(352 + voxel * width, value);
        }
        bytes[344..348].copy_from_slice(b"n+1\0");
        bytes
    }

    #[test]
    fn every_type_order_and_form_of_position_gives_the_same_mask() {
        for datatype in [2, 256, 4, 512, 8, 768, 16, 64, 1024, 1280] {
            for (big_endian, sform) in [(false, true), (false, false), (true, true), (true, false)] {
                let mask = parse(&file(datatype, big_endian, sform), None).unwrap();
                assert_eq!(mask.voxels[[1, 2, 1]], 7, "type {datatype}");
                assert_eq!(mask.voxels[[0, 0, 3]], 2);
                assert_eq!(mask.voxels.iter().filter(|v| **v != 0).count(), 2);
                assert_eq!(
                    mask.grid.position(1.0, 2.0, 1.0),
                    [-10.0 + 2.0, -20.0 + 6.0, 34.0]
                );
            }
        }
    }

    #[test]
    fn only_wanted_lesions_are_kept() {
        let mask = parse(&file(2, false, true), Some(&[2].into())).unwrap();
        assert_eq!(mask.extents().keys().copied().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_no_label_or_no_place_is_refused() {
        let code = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = file(16, false, true);
            edit(&mut bytes);
            parse(&bytes, None).unwrap_err().code
        };
        let put = |at: usize, value: &[u8]| {
            let value = value.to_vec();
            move |b: &mut Vec<u8>| b[at..at + value.len()].copy_from_slice(&value)
        };
        assert_eq!(code(&put(352, &0.5f32.to_le_bytes())), "mask_number");
        assert_eq!(code(&put(352, &f32::NAN.to_le_bytes())), "mask_number");
        assert_eq!(code(&put(352, &256f32.to_le_bytes())), "mask_number");
        assert_eq!(code(&put(254, &[0, 0])), "mask_geometry");
        assert_eq!(code(&put(280, &f32::INFINITY.to_le_bytes())), "mask_geometry");
        assert_eq!(code(&put(280, &0f32.to_le_bytes())), "mask_geometry");
        assert_eq!(code(&put(40, &[4, 0, 4, 0, 3, 0, 2, 0, 2, 0])), "mask_form");
        assert_eq!(
            code(&put(42, &[0xFF, 0x7F, 0xFF, 0x7F, 0xFF, 0x7F])),
            "mask_too_large"
        );
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = file(4, false, true);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], None).is_err(), "{length} bytes");
        }
    }

    proptest! {
        /// Whatever bytes are changed, there is an answer, and it is one that fits its own header.
        #[test]
        fn changed_bytes_do_no_harm(changes in prop::collection::vec((0usize..400, any::<u8>()), 1..12), sform: bool) {
            let mut bytes = file(4, false, sform);
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            if let Ok(mask) = parse(&bytes, None) {
                prop_assert_eq!(mask.voxels.shape(), &mask.grid.shape[..]);
                prop_assert!(mask.extents().values().all(|e| e.centroid.iter().all(|c| c.is_finite())));
            }
        }
    }
}
