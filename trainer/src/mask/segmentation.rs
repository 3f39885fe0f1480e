//! DICOM Segmentation (PS3.3 A.51, C.8.20) and its label maps (Supplement 243) onto one even grid.
//!
//! Frames may come in any order and orientation, and leave out slices without a segment; they must lie on one
//! stack of even distance.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use models::findings::Reason;
use models::limits::{MAX_COSINE_DEVIATION, MAX_FRAMES, MAX_POSITION_MM, MAX_STEP_MM, MIN_SLICE_DISTANCE_MM};
use models::mr::{DataSet, Grid};
use ndarray::Array3;

use super::object::Form;
use super::{Mask, blank, checked, number, paint, refused};

/// Deviation of a frame from its place on the stack, as a share of the step.
const MAX_OFF_STACK: f64 = 0.05;

/// One frame: its segment, none in a label map, and where it lies.
struct Frame {
    segment: Option<f64>,
    position: [f64; 3],
}

/// What all frames share: the unit vectors along a row and down a column, and millimetres.
struct Plane {
    along_row: [f64; 3],
    down_column: [f64; 3],
    spacing: [f64; 2],
    /// As stated, (0018,0088) and (0018,0050).
    distance: Option<f64>,
    thickness: Option<f64>,
}

/// Reads the wanted segments.
pub(super) fn read(set: &DataSet, form: Form, wanted: Option<&BTreeSet<u8>>) -> Result<Mask, Reason> {
    let size = |tag| set.whole(tag).map_or(0, |n| n as usize);
    let (rows, columns) = (size(tags::ROWS), size(tags::COLUMNS));
    let described = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if described.is_empty() || described.len() > MAX_FRAMES {
        let text = format!(
            "The segmentation describes {} frames; 1 to {MAX_FRAMES} are read.",
            described.len()
        );
        return Err(refused("mask_form", text));
    }
    let shared = set.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let (plane, frames) = places(shared, described, form)?;
    let (grid, slices) = stack(&plane, &frames, rows, columns)?;
    let mut voxels = blank(grid.shape)?;
    let pixels = Pixels::of(set, form, rows, columns, frames.len())?;
    for (index, (frame, slice)) in frames.iter().zip(slices).enumerate() {
        pixels.paint(index, frame.segment, wanted, slice, &mut voxels)?;
    }
    let mut names = BTreeMap::new();
    for segment in set.items(tags::SEGMENT_SEQUENCE) {
        let (Some(n), Some(label)) = (
            segment.number(tags::SEGMENT_NUMBER),
            segment.text(tags::SEGMENT_LABEL),
        ) else {
            continue;
        };
        if let Ok(n) = number(n) {
            names.insert(n, label);
        }
    }
    Ok(Mask {
        grid,
        voxels,
        names,
        frame_of_reference_uid: set.text(tags::FRAME_OF_REFERENCE_UID),
    })
}

/// The places of all frames, and what they share.
fn places(
    shared: Option<&DataSet>,
    described: &[DataSet],
    form: Form,
) -> Result<(Plane, Vec<Frame>), Reason> {
    let missing = |what: &str| {
        refused(
            "mask_geometry",
            format!("A frame of the segmentation states no {what}."),
        )
    };
    let mut plane: Option<Plane> = None;
    let mut frames = Vec::with_capacity(described.len());
    for own in described {
        // A functional group stands with the frame or is shared by all (C.7.6.16).
        let group = |tag: Tag| own.item(tag).or_else(|| shared?.item(tag));
        let position: [f64; 3] = group(tags::PLANE_POSITION_SEQUENCE)
            .and_then(|g| g.numbers(tags::IMAGE_POSITION_PATIENT))
            .ok_or_else(|| missing("position (0020,0032)"))?;
        let [a, b, c, d, e, f]: [f64; 6] = group(tags::PLANE_ORIENTATION_SEQUENCE)
            .and_then(|g| g.numbers(tags::IMAGE_ORIENTATION_PATIENT))
            .ok_or_else(|| missing("orientation (0020,0037)"))?;
        let measures =
            group(tags::PIXEL_MEASURES_SEQUENCE).ok_or_else(|| missing("pixel measures (0028,9110)"))?;
        let spacing: [f64; 2] = measures
            .numbers(tags::PIXEL_SPACING)
            .ok_or_else(|| missing("pixel spacing (0028,0030)"))?;
        let own_plane = Plane {
            along_row: [a, b, c],
            down_column: [d, e, f],
            spacing,
            distance: measures.positive(tags::SPACING_BETWEEN_SLICES),
            thickness: measures.positive(tags::SLICE_THICKNESS),
        };
        own_plane.check(position)?;
        let first = plane.get_or_insert(own_plane);
        if !first.same(&[a, b, c], &[d, e, f], spacing) {
            let text = "The frames of the segmentation differ in orientation or pixel spacing.";
            return Err(refused("mask_geometry", text));
        }
        let segment = match form {
            Form::LabelMap => None,
            Form::Binary | Form::Fractional => Some(
                group(tags::SEGMENT_IDENTIFICATION_SEQUENCE)
                    .and_then(|g| g.number(tags::REFERENCED_SEGMENT_NUMBER))
                    .ok_or_else(|| refused("mask_form", "A frame of the segmentation names no segment."))?,
            ),
        };
        frames.push(Frame { segment, position });
    }
    let plane = plane.ok_or_else(|| missing("position (0020,0032)"))?;
    Ok((plane, frames))
}

impl Plane {
    fn check(&self, position: [f64; 3]) -> Result<(), Reason> {
        let near_one = |v: [f64; 3]| (dot(v, v) - 1.0).abs() < 20.0 * MAX_COSINE_DEVIATION;
        let square = dot(self.along_row, self.down_column).abs() < 10.0 * MAX_COSINE_DEVIATION;
        let steps = self.spacing.iter().all(|s| *s > 0.0 && *s <= MAX_STEP_MM);
        let near = position.iter().all(|p| p.abs() <= MAX_POSITION_MM);
        if near_one(self.along_row) && near_one(self.down_column) && square && steps && near {
            return Ok(());
        }
        let text = "The orientation, spacing or position of a frame of the segmentation is impossible.";
        Err(refused("mask_geometry", text))
    }

    fn same(&self, along_row: &[f64; 3], down_column: &[f64; 3], spacing: [f64; 2]) -> bool {
        let near = |a: &[f64], b: &[f64], to: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= to);
        near(&self.along_row, along_row, MAX_COSINE_DEVIATION)
            && near(&self.down_column, down_column, MAX_COSINE_DEVIATION)
            && near(&self.spacing, &spacing, 1e-3 * self.spacing[0])
    }
}

/// The grid that all frames lie on, and the slice of each.
fn stack(plane: &Plane, frames: &[Frame], rows: usize, columns: usize) -> Result<(Grid, Vec<usize>), Reason> {
    let normal = cross(plane.along_row, plane.down_column);
    let heights: Vec<f64> = frames.iter().map(|f| dot(f.position, normal)).collect();
    let lowest = (0..frames.len()).fold(0, |low, i| if heights[i] < heights[low] { i } else { low });
    let bottom = frames[lowest].position;
    let step = step(&heights, plane)?;
    let uneven = || {
        refused(
            "mask_geometry",
            "The frames of the segmentation lie on no even stack.",
        )
    };
    let mut slices = Vec::with_capacity(frames.len());
    for (frame, height) in frames.iter().zip(&heights) {
        let slice = ((height - heights[lowest]) / step).round();
        if !(0.0..=MAX_FRAMES as f64).contains(&slice) {
            return Err(uneven());
        }
        let off: f64 = (0..3)
            .map(|a| (frame.position[a] - bottom[a] - slice * step * normal[a]).powi(2))
            .sum();
        if off.sqrt() > MAX_OFF_STACK * step.max(plane.spacing[0]) {
            return Err(uneven());
        }
        slices.push(slice as usize);
    }
    let count = slices.iter().max().map_or(0, |last| last + 1);
    let grid = Grid {
        origin: bottom,
        slice_step: normal.map(|n| n * step),
        row_step: plane.down_column.map(|c| c * plane.spacing[0]),
        column_step: plane.along_row.map(|c| c * plane.spacing[1]),
        shape: [count, rows, columns],
    };
    Ok((checked(grid)?, slices))
}

/// From one slice to the next: as stated, else the smallest distance between two frames, else, for one slice, its
/// thickness.
fn step(heights: &[f64], plane: &Plane) -> Result<f64, Reason> {
    if let Some(stated) = plane.distance {
        return Ok(stated);
    }
    let mut sorted = heights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).map(|w| w[1] - w[0]);
    let smallest = gaps.filter(|g| *g > MIN_SLICE_DISTANCE_MM).min_by(f64::total_cmp);
    smallest.or(plane.thickness).ok_or_else(|| {
        let text = "The only slice of the segmentation states no thickness (0018,0050).";
        refused("mask_geometry", text)
    })
}

/// The pixel data, checked to hold all frames.
struct Pixels<'b> {
    bytes: &'b [u8],
    form: Form,
    /// Bytes of one pixel of a label map.
    width: usize,
    pixels: usize,
    columns: usize,
    /// A share counts as inside from this value on.
    half: f64,
}

impl<'b> Pixels<'b> {
    fn of(set: &DataSet<'b>, form: Form, rows: usize, columns: usize, frames: usize) -> Result<Self, Reason> {
        let stored = |text: String| refused("mask_form", text);
        let bits = set.whole(tags::BITS_ALLOCATED).unwrap_or(0);
        let fits = match form {
            Form::Binary => bits == 1,
            Form::Fractional => bits == 8,
            Form::LabelMap => bits == 8 || bits == 16,
        };
        let samples = set.whole(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if !fits || samples != 1 {
            return Err(stored(format!(
                "Pixels of {samples} × {bits} bits do not fit its segmentation type."
            )));
        }
        let half = match form {
            Form::Fractional => set
                .positive(tags::MAXIMUM_FRACTIONAL_VALUE)
                .map(|m| m / 2.0)
                .ok_or_else(|| stored("A fractional segmentation without (0062,000E).".to_owned()))?,
            Form::Binary | Form::LabelMap => 0.0,
        };
        let bytes = set.get(tags::PIXEL_DATA).map_or(&[][..], |e| e.bytes());
        let pixels = rows.checked_mul(columns);
        let needed = pixels
            .and_then(|p| p.checked_mul(frames))
            .and_then(|p| p.checked_mul(bits as usize))
            .map(|bits| bits.div_ceil(8));
        match (pixels, needed) {
            (Some(pixels), Some(needed)) if pixels > 0 && bytes.len() >= needed => Ok(Self {
                bytes,
                form,
                width: bits.div_ceil(8) as usize,
                pixels,
                columns,
                half,
            }),
            _ => Err(stored(
                "The pixel data of the segmentation are shorter than its frames.".to_owned(),
            )),
        }
    }

    fn paint(
        &self,
        frame: usize,
        segment: Option<f64>,
        wanted: Option<&BTreeSet<u8>>,
        slice: usize,
        voxels: &mut Array3<u8>,
    ) -> Result<(), Reason> {
        let is_wanted = |n: u8| wanted.is_none_or(|w| w.contains(&n));
        let segment = segment.map(number).transpose()?;
        if segment.is_some_and(|n| !is_wanted(n)) {
            return Ok(());
        }
        for pixel in 0..self.pixels {
            // Frames of bits follow each other without padding (C.8.20.2).
            let at = frame * self.pixels + pixel;
            let value = match self.form {
                Form::Binary => f64::from(self.bytes[at / 8] >> (at % 8) & 1),
                Form::Fractional => f64::from(u8::from(f64::from(self.bytes[at]) >= self.half)),
                Form::LabelMap if self.width == 1 => f64::from(self.bytes[at]),
                Form::LabelMap => f64::from(u16::from_le_bytes([self.bytes[2 * at], self.bytes[2 * at + 1]])),
            };
            if value == 0.0 {
                continue;
            }
            let label = match segment {
                Some(segment) => segment,
                None => number(value)?,
            };
            if is_wanted(label) {
                let voxel = &mut voxels[[slice, pixel / self.columns, pixel % self.columns]];
                paint(voxel, label)?;
            }
        }
        Ok(())
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
