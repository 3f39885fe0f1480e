//! The volumes of one examination, brought into one frame.
//!
//! [`Study::assemble`] picks one volume per contrast, loads it and keeps only what shares a frame of
//! reference with the anchor (T2 where it is there). [`Study::axial_grid`] and [`Study::resample`]
//! then put every contrast onto one axial grid with the radiological axes: columns run to the
//! patient's left, rows to posterior, slices to the head.

use std::collections::BTreeMap;

use ndarray::Array3;

use crate::findings::{ContrastUse, Fault, Reason, RefusedInput, StudyIdentity};
use crate::limits::{MAX_AXIAL_TILT_DEGREES, PREFERRED_HIGH_B_S_PER_MM2};
use crate::mr::{Contrast, Grid, Scan, Series, Volume, VolumeIndex};

/// One examination, ready to be made into tensors.
#[derive(Debug, Clone)]
pub struct Study {
    /// Whose it is.
    pub identity: StudyIdentity,
    /// One volume per contrast.
    pub volumes: BTreeMap<Contrast, Volume>,
    /// Where each volume came from, in the order of [`Contrast::ALL`].
    pub origins: Vec<ContrastUse>,
    /// What was left out.
    pub refused: Vec<RefusedInput>,
    /// What a reader should know.
    pub quality: Vec<Reason>,
}

/// An examination that cannot be assembled at all.
#[derive(Debug, Clone, Default)]
pub struct Unassembled {
    /// Whose it is, as far as known.
    pub identity: StudyIdentity,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What was left out.
    pub refused: Vec<RefusedInput>,
}

impl Study {
    /// Picks and loads one volume per contrast.
    ///
    /// Among several candidates for one contrast the first by this order is taken: higher
    /// confidence; axial before other orientations; for DWI the b-value nearest 1000 s/mm²
    /// (Liu 2023); more slices; the later series, since a repeated series usually mends motion.
    /// The others are listed in `refused` with the code `not_chosen`.
    ///
    /// # Errors
    /// No usable series, or files of more than one study.
    pub fn assemble(scan: &Scan) -> Result<Study, Box<Unassembled>> {
        let mut refused: Vec<RefusedInput> = scan.refused.clone();
        refused.extend(scan.series.iter().flat_map(|s| s.refused.iter().cloned()));
        let identity = scan.studies.first().cloned().unwrap_or_default();
        let unassembled = |reasons: Vec<Reason>, refused: Vec<RefusedInput>| {
            Box::new(Unassembled {
                identity: identity.clone(),
                reasons,
                refused,
            })
        };
        if scan.studies.len() > 1 {
            let text = format!("the files belong to {} different studies", scan.studies.len());
            return Err(unassembled(
                vec![Reason::new("several_studies", Fault::Data, text)],
                refused,
            ));
        }

        let mut candidates: BTreeMap<Contrast, Vec<(&Series, &VolumeIndex)>> = BTreeMap::new();
        for series in &scan.series {
            for volume in &series.volumes {
                match volume.contrast {
                    Some(contrast) => candidates.entry(contrast).or_default().push((series, volume)),
                    None => {
                        let reason = Reason::new("not_used", Fault::Data, volume.reason.clone());
                        refused.push(RefusedInput {
                            input: series_name(series),
                            reason,
                        });
                    }
                }
            }
        }
        if candidates.is_empty() {
            let text = "no series was recognised as one of T1, T2, CE-T1, DWI or ADC";
            return Err(unassembled(
                vec![Reason::new("no_known_contrast", Fault::Data, text)],
                refused,
            ));
        }

        let anchor_frame = [Contrast::T2, Contrast::CeT1, Contrast::T1, Contrast::Dwi]
            .iter()
            .find_map(|c| {
                candidates
                    .get_mut(c)
                    .map(|list| rank(list)[0].1.frame_of_reference_uid.clone())
            })
            .flatten();

        let mut study = Study {
            identity: identity.clone(),
            volumes: BTreeMap::new(),
            origins: Vec::new(),
            refused,
            quality: Vec::new(),
        };
        for contrast in Contrast::ALL {
            let Some(list) = candidates.get_mut(&contrast) else {
                continue;
            };
            for (series, index) in rank(list).iter().copied() {
                study.take(contrast, series, index, anchor_frame.as_deref());
            }
        }
        if study.volumes.is_empty() {
            let text = "the voxels of no series could be read";
            return Err(unassembled(
                vec![Reason::new("unreadable", Fault::Data, text)],
                study.refused,
            ));
        }
        Ok(study)
    }

    /// Takes one candidate, or writes down why not.
    fn take(&mut self, contrast: Contrast, series: &Series, index: &VolumeIndex, frame: Option<&str>) {
        let mut refuse = |code: &str, text: String| {
            let reason = Reason::new(code, Fault::Data, text);
            self.refused.push(RefusedInput {
                input: series_name(series),
                reason,
            });
        };
        if self.volumes.contains_key(&contrast) {
            return refuse(
                "not_chosen",
                format!("another series was preferred for {contrast}"),
            );
        }
        if let (Some(anchor), Some(own)) = (frame, index.frame_of_reference_uid.as_deref())
            && anchor != own
        {
            let text = format!("{contrast} has another frame of reference than the other contrasts");
            return refuse("other_frame_of_reference", text);
        }
        match index.load() {
            Err(reason) => self.refused.push(RefusedInput {
                input: series_name(series),
                reason,
            }),
            Ok(volume) => {
                self.origins.push(ContrastUse {
                    contrast,
                    b_value: index.b_value,
                    series_instance_uid: series.uid.clone(),
                    series_number: series.number,
                    description: series.description.clone(),
                    reason: index.reason.clone(),
                    confidence: index.confidence,
                    used_by_model: false,
                });
                self.volumes.insert(contrast, volume);
            }
        }
    }

    /// The volume of a contrast.
    pub fn volume(&self, contrast: Contrast) -> Option<&Volume> {
        self.volumes.get(&contrast)
    }

    /// An axial grid on the slices of `anchor`: `size` × `size` pixels of `pixel_mm`, centred on it.
    ///
    /// # Errors
    /// The contrast is missing, or its slices are tilted by more than
    /// [`MAX_AXIAL_TILT_DEGREES`] from axial.
    pub fn axial_grid(&self, anchor: Contrast, pixel_mm: f64, size: usize) -> Result<Grid, Reason> {
        let volume = self.volume(anchor).ok_or_else(|| missing_contrast(anchor))?;
        let source = &volume.grid;
        let [left, posterior, head] = radiological_axes(source).ok_or_else(|| {
            let text = format!("{anchor} is not axial within {MAX_AXIAL_TILT_DEGREES} degrees");
            Reason::new("not_axial", Fault::Data, text)
        })?;
        let last = |n: usize| (n as f64 - 1.0) / 2.0;
        let [slices, rows, columns] = source.shape;
        let middle = source.position(last(slices), last(rows), last(columns));
        let spacing = norm(source.slice_step);
        let steps = [(head, spacing), (posterior, pixel_mm), (left, pixel_mm)];
        let [slice_step, row_step, column_step] = steps.map(|(axis, mm)| axis.map(|v| v * mm));
        let origin = std::array::from_fn(|a| {
            middle[a] - last(slices) * slice_step[a] - last(size) * row_step[a] - last(size) * column_step[a]
        });
        Ok(Grid {
            origin,
            slice_step,
            row_step,
            column_step,
            shape: [slices, size, size],
        })
    }

    /// A contrast on another grid; zero where it has no data.
    ///
    /// Linear in all three directions. Where the target's pixels are larger than the source's, each
    /// is the mean of several points, so that noise is averaged instead of aliased.
    ///
    /// # Errors
    /// The contrast is missing.
    pub fn resample(&self, contrast: Contrast, target: &Grid) -> Result<Array3<f32>, Reason> {
        let volume = self.volume(contrast).ok_or_else(|| missing_contrast(contrast))?;
        Ok(resample(&volume.voxels, &volume.grid, target))
    }
}

/// The reason that names a missing contrast.
pub fn missing_contrast(contrast: Contrast) -> Reason {
    Reason::new(
        "missing_contrast",
        Fault::Data,
        format!("the study has no usable {contrast} series"),
    )
}

/// How a series is named to people: number and description, without patient data.
pub fn series_name(series: &Series) -> String {
    match series.number {
        Some(number) => format!("series {number} “{}”", series.description),
        None => format!("series “{}”", series.description),
    }
}

fn rank<'a, 'b>(list: &'a mut [(&'b Series, &'b VolumeIndex)]) -> &'a [(&'b Series, &'b VolumeIndex)] {
    list.sort_by(|(sa, a), (sb, b)| {
        let b_distance = |v: &VolumeIndex| v.b_value.map_or(0.0, |x| (x - PREFERRED_HIGH_B_S_PER_MM2).abs());
        let axial = |v: &VolumeIndex| radiological_axes(&v.grid).is_some();
        b.confidence
            .cmp(&a.confidence)
            .then_with(|| axial(b).cmp(&axial(a)))
            .then_with(|| b_distance(a).total_cmp(&b_distance(b)))
            .then_with(|| b.grid.shape[0].cmp(&a.grid.shape[0]))
            .then_with(|| sb.number.cmp(&sa.number))
            .then_with(|| sa.uid.cmp(&sb.uid))
    });
    list
}

/// Unit vectors of an axial grid that run to the left, to posterior and to the head.
fn radiological_axes(grid: &Grid) -> Option<[[f64; 3]; 3]> {
    let toward = |step: [f64; 3], axis: usize| {
        let length = norm(step);
        let sign = if step[axis] < 0.0 { -1.0 } else { 1.0 };
        step.map(|v| v / length * sign)
    };
    let head = toward(grid.slice_step, 2);
    if head[2] < MAX_AXIAL_TILT_DEGREES.to_radians().cos() {
        return None;
    }
    let column_runs_left = grid.column_step[0].abs() >= grid.column_step[1].abs();
    let (left, posterior) = if column_runs_left {
        (toward(grid.column_step, 0), toward(grid.row_step, 1))
    } else {
        (toward(grid.row_step, 0), toward(grid.column_step, 1))
    };
    Some([left, posterior, head])
}

fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Linear interpolation of `voxels` on `source` at the points of `target`.
fn resample(voxels: &Array3<f32>, source: &Grid, target: &Grid) -> Array3<f32> {
    let fine = norm(source.row_step).min(norm(source.column_step));
    let samples = (norm(target.row_step) / fine).round().max(1.0) as usize;

    // Source index = base + slice·s + row·r + column·c, since both grids are affine.
    let base = source.index_of(target.position(0.0, 0.0, 0.0));
    let along = |slice: f64, row: f64, column: f64| {
        let end = source.index_of(target.position(slice, row, column));
        std::array::from_fn::<f64, 3, _>(|a| end[a] - base[a])
    };
    let (per_slice, per_row, per_column) = (along(1.0, 0.0, 0.0), along(0.0, 1.0, 0.0), along(0.0, 0.0, 1.0));
    let offsets: Vec<f64> = (0..samples)
        .map(|i| (i as f64 + 0.5) / samples as f64 - 0.5)
        .collect();
    let weight = 1.0 / (samples * samples) as f32;

    Array3::from_shape_fn(target.shape, |(slice, row, column)| {
        let mut sum = 0.0;
        for dr in &offsets {
            for dc in &offsets {
                let (row, column) = (row as f64 + dr, column as f64 + dc);
                let at = std::array::from_fn::<f64, 3, _>(|a| {
                    base[a] + slice as f64 * per_slice[a] + row * per_row[a] + column * per_column[a]
                });
                sum += linear(voxels, at);
            }
        }
        sum * weight
    })
}

/// Trilinear value at a fractional index. The outermost voxels reach half a voxel beyond their
/// centre; further out there is no data and the value is 0.
fn linear(voxels: &Array3<f32>, at: [f64; 3]) -> f32 {
    let shape = voxels.shape();
    let mut low = [0usize; 3];
    let mut high = [0usize; 3];
    let mut fraction = [0f32; 3];
    for axis in 0..3 {
        let last = shape[axis] as f64 - 1.0;
        if !(-0.5..=last + 0.5).contains(&at[axis]) {
            return 0.0;
        }
        let x = at[axis].clamp(0.0, last);
        low[axis] = x as usize;
        high[axis] = (low[axis] + 1).min(shape[axis] - 1);
        fraction[axis] = (x - low[axis] as f64) as f32;
    }
    let mix = |a: f32, b: f32, f: f32| a + (b - a) * f;
    let row = |s: usize, r: usize| mix(voxels[[s, r, low[2]]], voxels[[s, r, high[2]]], fraction[2]);
    let slice = |s: usize| mix(row(s, low[1]), row(s, high[1]), fraction[1]);
    mix(slice(low[0]), slice(high[0]), fraction[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(column_step: [f64; 3], row_step: [f64; 3], slice_step: [f64; 3]) -> Grid {
        Grid {
            origin: [-10.0, -20.0, -30.0],
            slice_step,
            row_step,
            column_step,
            shape: [4, 6, 8],
        }
    }

    fn study_of(grid: Grid) -> Study {
        let [s, r, c] = grid.shape;
        let voxels = Array3::from_shape_fn((s, r, c), |(s, r, c)| {
            let p = grid.position(s as f64, r as f64, c as f64);
            (100.0 + p[0] + 3.0 * p[1] + 7.0 * p[2]) as f32
        });
        let volume = Volume {
            contrast: Contrast::T2,
            b_value: None,
            grid,
            voxels,
        };
        Study {
            identity: StudyIdentity::default(),
            volumes: BTreeMap::from([(Contrast::T2, volume)]),
            origins: Vec::new(),
            refused: Vec::new(),
            quality: Vec::new(),
        }
    }

    /// A linear field must come back exactly, whatever way the source is stored.
    #[test]
    fn a_linear_field_survives_any_storage_order() {
        for (column, row, slice) in [
            ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]),
            ([-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 2.0]),
            ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -2.0]),
        ] {
            let study = study_of(grid(column, row, slice));
            let target = study.axial_grid(Contrast::T2, 0.5, 5).unwrap();
            assert!(target.column_step[0] > 0.0 && target.row_step[1] > 0.0 && target.slice_step[2] > 0.0);
            let out = study.resample(Contrast::T2, &target).unwrap();
            for ((s, r, c), value) in out.indexed_iter() {
                let p = target.position(s as f64, r as f64, c as f64);
                let expected = 100.0 + p[0] + 3.0 * p[1] + 7.0 * p[2];
                assert!(
                    (f64::from(*value) - expected).abs() < 1e-3,
                    "{value} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn a_coronal_anchor_is_refused_by_name() {
        let study = study_of(grid([1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 2.0, 0.0]));
        assert_eq!(
            study.axial_grid(Contrast::T2, 1.0, 8).unwrap_err().code,
            "not_axial"
        );
    }

    #[test]
    fn outside_the_source_there_is_no_data() {
        let study = study_of(grid([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]));
        let mut target = study.axial_grid(Contrast::T2, 1.0, 4).unwrap();
        target.origin[2] += 100.0;
        assert!(
            study
                .resample(Contrast::T2, &target)
                .unwrap()
                .iter()
                .all(|v| *v == 0.0)
        );
    }
}
