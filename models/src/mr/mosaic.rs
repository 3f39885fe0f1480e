//! Mosaics: all slices of a volume as tiles of one image.
//!
//! Siemens lays n slices into a square of ⌈√n⌉ tiles a side, row by row along the slice normal of the CSA
//! header. The stated position is that of the corner a slice of the mosaic's whole size would have if it
//! lay around the first slice's centre. United Imaging leaves out rows of tiles that would be empty and
//! states each slice's position.

use dicom_core::Tag;

use super::Part;
use super::csa;
use super::data_set::{DataSet, Element, Form};
use super::header::Header;
use super::private::Private;
use crate::findings::{Fault, Reason};
use crate::limits::MAX_TILES;

const SIEMENS: Private = Private {
    group: 0x0019,
    creator: "SIEMENS MR HEADER",
    vendor: "SIEMENS",
};
const UNITED_IMAGING: Private = Private {
    group: 0x0065,
    creator: "Image Private Header",
    vendor: "UIH",
};

/// How the tiles of one mosaic lie.
struct Layout {
    count: usize,
    /// Tiles side by side.
    across: usize,
    /// Rows of tiles.
    down: usize,
    /// Of the upper left corner's voxel centre of every tile, LPS millimetres.
    positions: Vec<[f64; 3]>,
}

/// The slices of a mosaic, each with a place of its own; none when the image is no mosaic.
///
/// # Errors
/// `invalid_mosaic`, `mosaic_without_normal`, `missing_geometry`.
pub(super) fn tiles(whole: &Header, d: &DataSet) -> Option<Result<Vec<Header>, Reason>> {
    if let Some(count) = UNITED_IMAGING
        .numbers(d, 0x50, Form::Text)
        .map(|n| n[0])
        .filter(|n| *n > 1.0)
    {
        return Some(united_imaging(d, count).and_then(|layout| cut(whole, &layout)));
    }
    let named = whole.sequence.image_type.iter().any(|t| t == "MOSAIC");
    named.then(|| siemens(whole, d).and_then(|layout| cut(whole, &layout)))
}

fn invalid(text: &str) -> Reason {
    Reason::new("invalid_mosaic", Fault::Data, text)
}

fn checked_count(count: f64) -> Result<usize, Reason> {
    if (1.0..=MAX_TILES as f64).contains(&count) {
        Ok(count as usize)
    } else {
        Err(invalid("It is a mosaic of an impossible number of slices."))
    }
}

fn siemens(whole: &Header, d: &DataSet) -> Result<Layout, Reason> {
    let csa_values = |name| csa::of_image(d, name);
    let csa_number = |name| -> Option<f64> { csa_values(name)?.first()?.parse().ok() };
    let count = SIEMENS
        .numbers(d, 0x0A, Form::U16)
        .map(|n| n[0])
        .or_else(|| csa_number("NumberOfImagesInMosaic"))
        // One acquisition time per slice: XA releases leave out the count itself.
        .or_else(|| Some(SIEMENS.numbers(d, 0x29, Form::F64)?.len() as f64))
        .ok_or_else(|| invalid("It is a mosaic, but no tag says of how many slices."))?;
    let count = checked_count(count)?;
    let across = (1..=count).find(|n| n * n >= count).unwrap_or(count);

    let missing = |what: &str| {
        Reason::new(
            "missing_geometry",
            Fault::Data,
            format!("The mosaic states no {what}."),
        )
    };
    let place = &whole.place;
    let position = place
        .position
        .ok_or_else(|| missing("Image Position (0020,0032)"))?;
    let [a, b, c, d, e, f] = place
        .orientation
        .ok_or_else(|| missing("Image Orientation (0020,0037)"))?;
    let [between_rows, between_columns] = place
        .spacing
        .ok_or_else(|| missing("Pixel Spacing (0028,0030)"))?;
    let distance = place
        .slice_distance
        .or_else(|| csa_number("SpacingBetweenSlices"))
        .ok_or_else(|| missing("Spacing Between Slices (0018,0088)"))?;
    let normal: [f64; 3] = csa_values("SliceNormalVector")
        .and_then(|v| v.iter().map(|n| n.parse().ok()).collect::<Option<Vec<f64>>>())
        .and_then(|v| v.try_into().ok())
        .ok_or_else(|| {
            Reason::new(
                "mosaic_without_normal",
                Fault::Data,
                "The mosaic has lost its CSA header: whether its slices run up or down is unknown.",
            )
        })?;
    let (row, column) = ([a, b, c], [d, e, f]);
    // Half of what the mosaic is larger than one tile.
    let beyond = |pixels: usize| (pixels - pixels / across) as f64 / 2.0;
    let (right, down) = (
        beyond(whole.image.columns) * between_columns,
        beyond(whole.image.rows) * between_rows,
    );
    let positions = (0..count)
        .map(|n| {
            std::array::from_fn(|axis| {
                position[axis] + right * row[axis] + down * column[axis] + n as f64 * distance * normal[axis]
            })
        })
        .collect();
    Ok(Layout {
        count,
        across,
        down: across,
        positions,
    })
}

fn united_imaging(d: &DataSet, count: f64) -> Result<Layout, Reason> {
    let count = checked_count(count)?;
    let across = (1..=count).find(|n| n * n >= count).unwrap_or(count);
    let frames = UNITED_IMAGING
        .element(d, 0x51)
        .map(Element::items)
        .unwrap_or_default();
    let positions: Vec<[f64; 3]> = frames
        .iter()
        .filter_map(|frame| frame.numbers(Tag(0x0020, 0x0032)))
        .collect();
    if positions.len() != count {
        return Err(invalid(
            "It is a mosaic, but does not state the position of each of its slices.",
        ));
    }
    Ok(Layout {
        count,
        across,
        down: count.div_ceil(across),
        positions,
    })
}

fn cut(whole: &Header, layout: &Layout) -> Result<Vec<Header>, Reason> {
    let (rows, columns) = (
        whole.image.rows / layout.down,
        whole.image.columns / layout.across,
    );
    if rows == 0
        || columns == 0
        || rows * layout.down != whole.image.rows
        || columns * layout.across != whole.image.columns
    {
        return Err(invalid(
            "It is a mosaic, but its size is no multiple of its tiles.",
        ));
    }
    let tile = |n: usize| {
        let mut tile = whole.clone();
        tile.part = Part::Tile {
            row: n / layout.across * rows,
            column: n % layout.across * columns,
        };
        tile.image.rows = rows;
        tile.image.columns = columns;
        tile.place.position = Some(layout.positions[n]);
        tile
    };
    Ok((0..layout.count).map(tile).collect())
}
