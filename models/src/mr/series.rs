//! Images → series → volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::codec;
use super::diffusion::Weighting;
use super::files::{self, Instance};
use super::geometry::{self, DUPLICATE_SLICES, Plane};
use super::header::Header;
use super::recognition::{Recognition, recognise};
use super::{Contrast, Part, Scan, Series, VolumeIndex, evidence};
use crate::findings::{Fault, Reason, RefusedInput, StudyIdentity};
use crate::limits::{MAX_B_DEVIATION, MAX_B0_S_PER_MM2, MAX_DIRECTIONS};

/// MR Image Storage, Enhanced MR, Enhanced MR Color (refused as colour) and Legacy Converted Enhanced MR.
pub const MR_IMAGES: [&str; 4] = [
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.3",
    "1.2.840.10008.5.1.4.1.1.4.4",
];

/// Reads the headers of files and of all files in folders, and says what is there.
///
/// Never fails as a whole: what cannot be used is refused by name. The order of the answer depends
/// on names and headers only.
pub fn scan(paths: &[PathBuf]) -> Scan {
    let (images, refused) = files::read(paths);
    let attributes = images.first().map(|image| evidence::attributes(&image.file));
    let mut studies: Vec<StudyIdentity> = Vec::new();
    let mut groups: BTreeMap<(String, String), Vec<Instance>> = BTreeMap::new();
    for image in images {
        let header = &image.header;
        if !studies
            .iter()
            .any(|s| s.study_instance_uid == header.study.study_instance_uid)
        {
            studies.push(header.study.clone());
        }
        let key = (header.study.study_instance_uid.clone(), header.series_uid.clone());
        groups.entry(key).or_default().push(image);
    }
    let mut series: Vec<Series> = groups.into_values().filter_map(read_series).collect();
    series.sort_by(|a, b| {
        let key = |s: &Series| (s.number.unwrap_or(i64::MAX), s.uid.clone());
        key(a).cmp(&key(b))
    });
    Scan {
        series,
        refused,
        studies,
        attributes: attributes.unwrap_or_default(),
    }
}

fn read_series(mut images: Vec<Instance>) -> Option<Series> {
    share_b_values(&mut images);
    let first = &images.first()?.header;
    let mut series = Series {
        uid: first.series_uid.clone(),
        study_uid: first.study.study_instance_uid.clone(),
        number: first.series_number,
        description: first.description.clone(),
        modality: first.modality.clone(),
        files: images.iter().map(|i| &i.file.path).collect::<BTreeSet<_>>().len(),
        volumes: Vec::new(),
        refused: Vec::new(),
    };
    let weighted = images.iter().any(|i| {
        i.header
            .diffusion
            .b
            .as_ref()
            .is_some_and(|b| b.value >= MAX_B0_S_PER_MM2)
    });
    let count = images.len();
    let mut unusable: BTreeMap<String, (Reason, usize)> = BTreeMap::new();
    let mut slices: Vec<(Instance, Plane)> = Vec::new();
    for image in images {
        match usable(&image) {
            Ok(plane) => slices.push((image, plane)),
            Err(reason) => unusable.entry(reason.code.clone()).or_insert((reason, 0)).1 += 1,
        }
    }
    for (reason, of_these) in unusable.into_values() {
        let text = format!("{} ({of_these} of {count} images)", reason.text);
        series.refuse(Reason { text, ..reason });
    }
    if let Some(reason) = two_orientations(&slices) {
        series.refuse(reason);
        return Some(series);
    }
    let mut groups: BTreeMap<GroupKey, Vec<(Instance, Plane)>> = BTreeMap::new();
    for slice in slices {
        groups
            .entry(GroupKey::of(&slice.0.header))
            .or_default()
            .push(slice);
    }
    let groups: Vec<_> = groups
        .into_iter()
        .map(|(key, group)| {
            let recognition = recognise(&group[0].0.header, weighted);
            (key, group, recognition)
        })
        .collect();
    let traced: Vec<Option<i64>> = groups
        .iter()
        .filter(|(key, _, r)| key.weighting == Kind::Trace && r.contrast == Some(Contrast::Dwi))
        .map(|(key, ..)| key.b_value)
        .collect();
    for (key, group, recognition) in groups {
        if key.weighting == Kind::Direction && traced.contains(&key.b_value) {
            let text = "Single diffusion directions; the trace-weighted volume of the series is used.";
            series.refuse(Reason::new("single_direction", Fault::Data, text));
            continue;
        }
        match volumes(group, &recognition) {
            Ok(volumes) => series.volumes.extend(volumes),
            Err(reason) => {
                let text = format!("{} {}", reason.text, recognition.reason);
                series.refuse(Reason { text, ..reason });
            }
        }
    }
    Some(series)
}

/// Scanners that state the b-value with the share of the imaging gradients (United Imaging) state a slightly
/// different one for each direction; such neighbours become their mean.
fn share_b_values(images: &mut [Instance]) {
    let mut weighted: Vec<&mut f64> = images
        .iter_mut()
        .filter_map(|i| i.header.diffusion.b.as_mut().map(|b| &mut b.value))
        .filter(|b| **b >= MAX_B0_S_PER_MM2)
        .collect();
    weighted.sort_by(|a, b| a.total_cmp(b));
    for alike in weighted.chunk_by_mut(|a, b| **b - **a <= MAX_B_DEVIATION * **b) {
        let (first, last) = (*alike[0], *alike[alike.len() - 1]);
        if first < last {
            let mean = alike.iter().map(|b| **b).sum::<f64>() / alike.len() as f64;
            alike.iter_mut().for_each(|b| **b = mean);
        }
    }
}

/// A series in more than one orientation is a scout, or no volume.
fn two_orientations(slices: &[(Instance, Plane)]) -> Option<Reason> {
    let (first, plane) = slices.first()?;
    if slices.iter().all(|(_, other)| other.same_orientation(plane)) {
        return None;
    }
    let recognition = recognise(&first.header, false);
    Some(if recognition.localizer {
        Reason::new("localizer", Fault::Data, recognition.reason)
    } else {
        Reason::new(
            "mixed_orientation",
            Fault::Data,
            "Its slices lie in more than one orientation.",
        )
    })
}

impl Series {
    fn refuse(&mut self, reason: Reason) {
        let number = self
            .number
            .map_or_else(|| "without number".to_owned(), |n| n.to_string());
        let input = format!("series {number} {}", self.description)
            .trim_end()
            .to_owned();
        self.refused.push(RefusedInput { input, reason });
    }
}

/// Whether one image can be a slice of a volume, and where it lies.
fn usable(image: &Instance) -> Result<Plane, Reason> {
    let header = &image.header;
    let refuse = |code: &str, text: String| Err(Reason::new(code, Fault::Data, text));
    if header.modality != "MR" {
        let modality = if header.modality.is_empty() {
            "unknown"
        } else {
            &header.modality
        };
        return refuse("not_mr", format!("Its modality is {modality}, not MR."));
    }
    if image.file.pixels.is_none() {
        return refuse("no_pixels", "It holds no image.".to_owned());
    }
    if !MR_IMAGES.contains(&header.sop_class_uid.as_str()) {
        return refuse("not_mr", "Its SOP class is no MR image.".to_owned());
    }
    let enhanced = header.sop_class_uid != MR_IMAGES[0];
    if header.image.frames != 1 || (enhanced && header.part == Part::Whole) {
        return refuse(
            "multi_frame",
            "It holds frames and describes none of them.".to_owned(),
        );
    }
    header.image.readable()?;
    codec::readable(&image.file.transfer_syntax)?;
    Plane::new(&header.place, header.image.rows, header.image.columns)
}

/// What tells the volumes of one series apart. Orientation and matrix do not: a series in which
/// they differ is refused, never silently cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    image_type: Vec<String>,
    /// Microseconds.
    echo_time: Option<i64>,
    temporal_position: Option<i64>,
    /// s/mm².
    b_value: Option<i64>,
    weighting: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unstated,
    Trace,
    Direction,
}

impl GroupKey {
    fn of(header: &Header) -> GroupKey {
        GroupKey {
            image_type: header.sequence.image_type.clone(),
            echo_time: header.sequence.echo_time.map(|te| (te * 1000.0).round() as i64),
            temporal_position: header.sequence.temporal_position,
            b_value: header.diffusion.b.as_ref().map(|b| b.value.round() as i64),
            weighting: match header.diffusion.weighting {
                Weighting::Unstated => Kind::Unstated,
                Weighting::Trace => Kind::Trace,
                Weighting::Direction(_) => Kind::Direction,
            },
        }
    }
}

fn volumes(group: Vec<(Instance, Plane)>, recognition: &Recognition) -> Result<Vec<VolumeIndex>, Reason> {
    let mut directions: BTreeMap<Weighting, Vec<(Instance, Plane)>> = BTreeMap::new();
    for slice in group {
        directions
            .entry(slice.0.header.diffusion.weighting.clone())
            .or_default()
            .push(slice);
    }
    if directions.len() > MAX_DIRECTIONS {
        return Err(Reason::new(
            "too_many_directions",
            Fault::Data,
            format!("It has more than {MAX_DIRECTIONS} diffusion directions."),
        ));
    }
    let count = directions.len();
    let directional = directions.keys().any(|w| matches!(w, Weighting::Direction(_)));
    let mut volumes: Vec<VolumeIndex> = Vec::new();
    for slices in directions.into_values() {
        let stacked = match one_volume(&slices, recognition) {
            Err(reason) if reason.code == DUPLICATE_SLICES => repeats(&slices, recognition).ok_or(reason)?,
            one => vec![one?],
        };
        match (volumes.first_mut(), directional) {
            (Some(first), true) => {
                for volume in stacked {
                    if !first.grid.coincides(&volume.grid) {
                        return Err(Reason::new(
                            "mixed_size",
                            Fault::Data,
                            "Its diffusion directions do not cover the same slices.",
                        ));
                    }
                    first.further_directions.push(volume.slices);
                }
            }
            _ => volumes.extend(stacked),
        }
    }
    if directional && let [volume] = &mut volumes[..] {
        volume.reason += &match count {
            1 => " Only one gradient direction was measured: no trace-weighted image.".to_owned(),
            n => format!(" Trace-weighted as the geometric mean of {n} gradient directions."),
        };
        volume.confidence = volume.confidence.min(super::Confidence::Medium);
    }
    Ok(volumes)
}

/// Repeated acquisitions of the same slices as volumes of their own: told apart by their acquisition
/// number, else by their instance number; none where neither yields whole volumes.
fn repeats(slices: &[(Instance, Plane)], recognition: &Recognition) -> Option<Vec<VolumeIndex>> {
    let volumes = |groups: Vec<Vec<(Instance, Plane)>>| -> Option<Vec<VolumeIndex>> {
        let even = groups.iter().all(|g| g.len() * groups.len() == slices.len());
        let read = || groups.iter().map(|g| one_volume(g, recognition).ok()).collect();
        if groups.len() > 1 && even { read() } else { None }
    };
    volumes(by_acquisition(slices)).or_else(|| volumes(by_turn(slices)?))
}

fn by_acquisition(slices: &[(Instance, Plane)]) -> Vec<Vec<(Instance, Plane)>> {
    let mut groups: BTreeMap<Option<i64>, Vec<(Instance, Plane)>> = BTreeMap::new();
    for slice in slices {
        groups
            .entry(slice.0.header.sequence.acquisition)
            .or_default()
            .push(slice.clone());
    }
    groups.into_values().collect()
}

/// The first images of all places, the second ones and so on, in the order of distinct instance numbers.
fn by_turn(slices: &[(Instance, Plane)]) -> Option<Vec<Vec<(Instance, Plane)>>> {
    let numbers: BTreeMap<i64, &(Instance, Plane)> = slices
        .iter()
        .filter_map(|slice| Some((slice.0.header.instance_number?, slice)))
        .collect();
    if numbers.len() < slices.len() {
        return None;
    }
    let mut turns: Vec<Vec<(Instance, Plane)>> = Vec::new();
    let mut seen: BTreeMap<[i64; 3], usize> = BTreeMap::new();
    for slice in numbers.into_values() {
        let turn = seen.entry(slice.1.place()).or_default();
        if turns.len() == *turn {
            turns.push(Vec::new());
        }
        turns[*turn].push(slice.clone());
        *turn += 1;
    }
    Some(turns)
}

fn one_volume(slices: &[(Instance, Plane)], recognition: &Recognition) -> Result<VolumeIndex, Reason> {
    let planes: Vec<Plane> = slices.iter().map(|(_, plane)| plane.clone()).collect();
    let (grid, order) = geometry::stack(&planes)?;
    let first = &slices[order[0]].0.header;
    Ok(VolumeIndex {
        contrast: recognition.contrast,
        b_value: recognition.b_value,
        grid,
        frame_of_reference_uid: first.frame_of_reference_uid.clone(),
        reason: recognition.reason.clone(),
        confidence: recognition.confidence,
        slices: order.iter().map(|&i| slices[i].0.source()).collect(),
        further_directions: Vec::new(),
        slice_thickness_mm: first.place.thickness,
        acquired: slices.iter().filter_map(|(s, _)| s.header.acquired.clone()).min(),
    })
}
