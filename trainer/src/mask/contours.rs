//! RT Structure Set (PS3.3 A.19, C.8.8.5, C.8.8.6): closed planar contours, filled on the slices of the series that
//! they were drawn on.
//!
//! A pixel is inside where its centre lies within an odd number of a region's contours on its slice, so that an
//! inner contour cuts a hole.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::tags;
use models::findings::Reason;
use models::mr::{DataSet, Grid, Scan};

use super::{Mask, blank, number, paint, refused};
use crate::limits::{MAX_CONTOUR_POINTS, MAX_OFF_SLICE};

/// Contours of each region, corners in patient millimetres.
type Regions = BTreeMap<u8, Vec<Vec<[f64; 3]>>>;

/// Corners of a contour in fractional rows and columns of one slice.
type Polygon = Vec<[f64; 2]>;

/// Fills the wanted regions.
pub(super) fn read(set: &DataSet, wanted: Option<&BTreeSet<u8>>, study: &Scan) -> Result<Mask, Reason> {
    let regions = regions(set, wanted)?;
    let (grid, polygons) = fitting(&series(set), &regions, study)?;
    let mut voxels = blank(grid.shape)?;
    for ((region, slice), contours) in &polygons {
        for row in 0..grid.shape[1] {
            for (from, to) in spans(contours, row as f64, grid.shape[2]) {
                for column in from..to {
                    paint(&mut voxels[[*slice, row, column]], *region)?;
                }
            }
        }
    }
    let mut names = BTreeMap::new();
    let mut frames = BTreeSet::new();
    for region in set.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        frames.extend(region.text(tags::REFERENCED_FRAME_OF_REFERENCE_UID));
        let n = region.number(tags::ROI_NUMBER).and_then(|n| number(n).ok());
        if let (Some(n), Some(name)) = (n, region.text(tags::ROI_NAME)) {
            names.insert(n, name);
        }
    }
    Ok(Mask {
        grid,
        voxels,
        names,
        frame_of_reference_uid: set
            .text(tags::FRAME_OF_REFERENCE_UID)
            .or_else(|| frames.pop_first()),
    })
}

/// The series that the structure set names (3006,0010).
fn series(set: &DataSet) -> Vec<String> {
    let frames = set.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE).iter();
    let studies = frames.flat_map(|f| f.items(tags::RT_REFERENCED_STUDY_SEQUENCE));
    let series = studies.flat_map(|s| s.items(tags::RT_REFERENCED_SERIES_SEQUENCE));
    series.filter_map(|s| s.text(tags::SERIES_INSTANCE_UID)).collect()
}

/// Contours in patient millimetres by their region.
fn regions(set: &DataSet, wanted: Option<&BTreeSet<u8>>) -> Result<Regions, Reason> {
    let mut found = Regions::new();
    let mut points = 0;
    for region in set.items(tags::ROI_CONTOUR_SEQUENCE) {
        let stated = region.number(tags::REFERENCED_ROI_NUMBER);
        let contours = region.items(tags::CONTOUR_SEQUENCE);
        if contours.is_empty() {
            continue;
        }
        let n = stated.ok_or_else(|| refused("mask_form", "A region of the structure set has no number."))?;
        // A region that nobody wants may have any number.
        if wanted.is_some_and(|w| !w.iter().any(|w| f64::from(*w) == n)) {
            continue;
        }
        let list = found.entry(number(n)?).or_default();
        for contour in contours {
            let kind = contour.words(tags::CONTOUR_GEOMETRIC_TYPE);
            match kind.first().map(String::as_str) {
                Some("CLOSED_PLANAR" | "CLOSEDPLANAR_XOR" | "CLOSED_PLANAR_XOR") => {}
                // A marker has no inside.
                Some("POINT") => continue,
                other => {
                    let text = format!(
                        "A contour is {}, not closed and planar.",
                        other.unwrap_or("of no type")
                    );
                    return Err(refused("mask_form", text));
                }
            }
            let broken = || refused("mask_form", "The corners of a contour are no triples of numbers.");
            let data = contour.get(tags::CONTOUR_DATA).ok_or_else(broken)?;
            let numbers = contour.all_numbers(data).ok_or_else(broken)?;
            let (corners, rest) = numbers.as_chunks::<3>();
            points += corners.len();
            if points > MAX_CONTOUR_POINTS {
                let text = format!("The structure set has more than {MAX_CONTOUR_POINTS} corners.");
                return Err(refused("mask_too_large", text));
            }
            if !rest.is_empty() || !numbers.iter().all(|n| n.is_finite()) {
                return Err(broken());
            }
            if corners.len() >= 3 {
                list.push(corners.to_vec());
            }
        }
    }
    if found.values().all(Vec::is_empty) {
        return Err(refused(
            "mask_form",
            "The structure set holds no closed contour of a wanted region.",
        ));
    }
    Ok(found)
}

type Placed = BTreeMap<(u8, usize), Vec<Polygon>>;

/// The first volume of the named series on whose slices every contour lies.
fn fitting(series: &[String], regions: &Regions, study: &Scan) -> Result<(Grid, Placed), Reason> {
    let named = study.series.iter().filter(|s| series.contains(&s.uid));
    let mut off = None;
    for volume in named.flat_map(|s| &s.volumes) {
        match placed(regions, &volume.grid) {
            Ok(polygons) => return Ok((volume.grid.clone(), polygons)),
            Err(reason) => off = Some(reason),
        }
    }
    Err(off.unwrap_or_else(|| {
        let text = "The series that the contours were drawn on is not in the examination, or not usable.";
        refused("mask_reference", text)
    }))
}

fn placed(regions: &Regions, grid: &Grid) -> Result<Placed, Reason> {
    let mut found: Placed = BTreeMap::new();
    for (region, contours) in regions {
        for contour in contours {
            let corners: Vec<[f64; 3]> = contour.iter().map(|p| grid.index_of(*p)).collect();
            let slice = corners[0][0].round();
            let on_slice = corners.iter().all(|c| (c[0] - slice).abs() <= MAX_OFF_SLICE);
            if !on_slice || !(0.0..grid.shape[0] as f64).contains(&slice) {
                let text = "A contour does not lie on a slice of the series that it was drawn on.";
                return Err(refused("mask_geometry", text));
            }
            let polygon = corners.iter().map(|[_, r, c]| [*r, *c]).collect();
            found.entry((*region, slice as usize)).or_default().push(polygon);
        }
    }
    Ok(found)
}

/// The half-open ranges of columns whose centres lie within the contours on one row.
fn spans(contours: &[Polygon], row: f64, columns: usize) -> Vec<(usize, usize)> {
    let mut crossings: Vec<f64> = Vec::new();
    for polygon in contours {
        let next = polygon.iter().cycle().skip(1);
        for ([r0, c0], [r1, c1]) in polygon.iter().zip(next) {
            // A corner on the row belongs to the edge below it only.
            if (*r0 <= row) != (*r1 <= row) {
                crossings.push(c0 + (row - r0) / (r1 - r0) * (c1 - c0));
            }
        }
    }
    crossings.sort_by(f64::total_cmp);
    let column = |x: f64| x.ceil().clamp(0.0, columns as f64) as usize;
    let pairs = crossings.as_chunks::<2>().0.iter();
    pairs.map(|[from, to]| (column(*from), column(*to))).collect()
}
