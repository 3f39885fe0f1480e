//! The lesions as DICOM SEG (PS3.3 A.51): one binary segment each, on the slices of the anchor series.

use std::collections::BTreeSet;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use models::findings::{Lesion, NOTICE, Side};
use models::mr::{Grid, Source};
use models::study::mask_on;

use super::codes;
use super::colour::cie_lab;
use super::content::{Pointer, tracking_uid};
use super::device::MANUFACTURER;
use super::general::{Context, Kind};
use super::measurements::side_code;
use super::set::{Set, ascii};
use crate::dicom::Uid;
use crate::screen::lesion_rgb;

/// Lesions as voxels of the anchor series.
pub(super) struct Segments<'a> {
    /// The anchor series.
    pub source: &'a Source,
    frame_of_reference: &'a str,
    segments: Vec<Segment<'a>>,
}

struct Segment<'a> {
    lesion: &'a Lesion,
    /// Slice, row, column, in order; at least one.
    voxels: Vec<[usize; 3]>,
}

/// The lesions that lie on the slices of the anchor series; none where there is no lesion, or where the images
/// name no frame of reference.
pub(super) fn segments<'a>(context: &Context<'a>) -> Option<Segments<'a>> {
    let source = context.evidence.anchor()?;
    let frame_of_reference = source.frame_of_reference_uid.as_deref()?;
    let on_source = |lesion| Segment {
        lesion,
        voxels: mask_on(&lesion.mask, &source.grid),
    };
    let segments: Vec<Segment> = context
        .findings
        .lesions
        .iter()
        .map(on_source)
        .filter(|segment| !segment.voxels.is_empty())
        .collect();
    (!segments.is_empty()).then_some(Segments {
        source,
        frame_of_reference,
        segments,
    })
}

impl Segments<'_> {
    /// The number of a lesion's segment, from 1.
    pub fn number_of(&self, lesion: u32) -> Option<u16> {
        let at = self
            .segments
            .iter()
            .position(|segment| segment.lesion.number == lesion)?;
        u16::try_from(at + 1).ok()
    }

    /// Segment number and slice of each frame: a frame for every slice that a segment touches.
    fn frames(&self) -> Vec<(u16, usize, &Segment<'_>)> {
        let mut frames = Vec::new();
        for (number, segment) in (1..).zip(&self.segments) {
            let slices: BTreeSet<usize> = segment.voxels.iter().map(|voxel| voxel[0]).collect();
            frames.extend(slices.into_iter().map(|slice| (number, slice, segment)));
        }
        frames
    }
}

/// What a lesion is called in all objects.
pub(super) fn label(lesion: &Lesion) -> String {
    let side = match lesion.side {
        Side::Left => "left",
        Side::Right => "right",
    };
    format!("Lesion {}, {side} parotid gland", lesion.number)
}

/// The object.
pub(super) fn segmentation(context: &Context, segments: &Segments) -> Set {
    let grid = &segments.source.grid;
    let [_, rows, columns] = grid.shape;
    let frames = segments.frames();
    let organization = Uid::derived(&["dimensions", context.study()]);
    let functional = frames
        .iter()
        .map(|(number, slice, _)| per_frame(segments, *number, *slice));
    context
        .general(Kind::Segmentation)
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"])
        .text(tags::FRAME_OF_REFERENCE_UID, VR::UI, segments.frame_of_reference)
        .text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, "")
        .put(tags::SAMPLES_PER_PIXEL, VR::US, 1_u16)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string())
        .side(tags::ROWS, rows)
        .side(tags::COLUMNS, columns)
        .put(tags::BITS_ALLOCATED, VR::US, 1_u16)
        .put(tags::BITS_STORED, VR::US, 1_u16)
        .put(tags::HIGH_BIT, VR::US, 0_u16)
        .put(tags::PIXEL_REPRESENTATION, VR::US, 0_u16)
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY")
        .text(tags::CONTENT_LABEL, VR::CS, "PAROTID_TUMOUR")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, NOTICE)
        .text(tags::CONTENT_CREATOR_NAME, VR::PN, &format!("{MANUFACTURER}^"))
        .items(
            tags::SEGMENT_SEQUENCE,
            (1..)
                .zip(&segments.segments)
                .map(|(number, segment)| described(context, number, segment.lesion)),
        )
        .items(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            [Set::new().text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, organization.as_str())],
        )
        .items(tags::DIMENSION_INDEX_SEQUENCE, dimensions(&organization))
        .items(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            [shared(grid, segments.source.slice_thickness_mm)],
        )
        .items(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            functional.collect::<Vec<_>>(),
        )
        .items(
            tags::REFERENCED_SERIES_SEQUENCE,
            [referenced_series(segments.source)],
        )
        .put(
            tags::PIXEL_DATA,
            VR::OB,
            PrimitiveValue::U8(packed(&frames, rows, columns).into()),
        )
}

/// An item of the Segment Sequence (PS3.3 C.8.20.2, C.8.20.4).
fn described(context: &Context, number: u16, lesion: &Lesion) -> Set {
    let (name, version, parameters) = context.algorithm();
    let algorithm = Set::new()
        .items(
            tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
            [codes::ARTIFICIAL_INTELLIGENCE.item()],
        )
        .text(tags::ALGORITHM_NAME, VR::LO, &ascii(&name))
        .text(tags::ALGORITHM_VERSION, VR::LO, &ascii(&version))
        .text(tags::ALGORITHM_PARAMETERS, VR::LT, &ascii(&parameters));
    let colour = cie_lab(lesion_rgb(lesion.number));
    let side = side_code(lesion.side);
    let region = codes::PAROTID_GLAND
        .item()
        .items(tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, [side.item()]);
    Set::new()
        .put(tags::SEGMENT_NUMBER, VR::US, number)
        .text(tags::SEGMENT_LABEL, VR::LO, &label(lesion))
        .text(tags::SEGMENT_DESCRIPTION, VR::ST, NOTICE)
        .text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC")
        .text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, &ascii(&name))
        .items(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, [algorithm])
        .items(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            [codes::MORPHOLOGICALLY_ALTERED.item()],
        )
        .items(
            tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
            [codes::NEOPLASM.item()],
        )
        .items(tags::ANATOMIC_REGION_SEQUENCE, [region])
        .text(tags::TRACKING_ID, VR::UT, &label(lesion))
        .text(
            tags::TRACKING_UID,
            VR::UI,
            tracking_uid(context.study(), side.meaning, lesion.number).as_str(),
        )
        .put(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            VR::US,
            PrimitiveValue::U16(colour.as_slice().into()),
        )
}

/// Frames are found by segment, then by place.
fn dimensions(organization: &Uid) -> [Set; 2] {
    let index = |pointer, group, label: &str| {
        Set::new()
            .put(
                tags::DIMENSION_INDEX_POINTER,
                VR::AT,
                PrimitiveValue::from(pointer),
            )
            .put(
                tags::FUNCTIONAL_GROUP_POINTER,
                VR::AT,
                PrimitiveValue::from(group),
            )
            .text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, organization.as_str())
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
    };
    [
        index(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Segment",
        ),
        index(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Place",
        ),
    ]
}

fn shared(grid: &Grid, thickness_mm: Option<f64>) -> Set {
    let [between_slices, between_rows, between_columns] = grid.spacing();
    let measures = Set::new()
        .decimals(tags::SLICE_THICKNESS, &[thickness_mm.unwrap_or(between_slices)])
        .decimals(tags::SPACING_BETWEEN_SLICES, &[between_slices])
        .decimals(tags::PIXEL_SPACING, &[between_rows, between_columns]);
    let along_row = grid.column_step.map(|part| part / between_columns);
    let down_column = grid.row_step.map(|part| part / between_rows);
    let orientation = [along_row, down_column].concat();
    let orientation = Set::new().decimals(tags::IMAGE_ORIENTATION_PATIENT, &orientation);
    Set::new()
        .items(tags::PIXEL_MEASURES_SEQUENCE, [measures])
        .items(tags::PLANE_ORIENTATION_SEQUENCE, [orientation])
}

fn per_frame(segments: &Segments, number: u16, slice: usize) -> Set {
    let grid = &segments.source.grid;
    let place = u32::try_from(slice + 1).unwrap_or(u32::MAX);
    let content = Set::new().put(
        tags::DIMENSION_INDEX_VALUES,
        VR::UL,
        PrimitiveValue::U32([u32::from(number), place].into()),
    );
    let position = Set::new().decimals(
        tags::IMAGE_POSITION_PATIENT,
        &grid.position(slice as f64, 0.0, 0.0),
    );
    let segment = Set::new().put(tags::REFERENCED_SEGMENT_NUMBER, VR::US, number);
    let derivation = segments.source.images.get(slice).map(|image| {
        let source = Pointer::from(image).item().items(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            [codes::SOURCE_IMAGE.item()],
        );
        Set::new()
            .items(tags::DERIVATION_CODE_SEQUENCE, [codes::SEGMENTATION.item()])
            .items(tags::SOURCE_IMAGE_SEQUENCE, [source])
    });
    Set::new()
        .items(tags::FRAME_CONTENT_SEQUENCE, [content])
        .items(tags::PLANE_POSITION_SEQUENCE, [position])
        .items(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [segment])
        .items(tags::DERIVATION_IMAGE_SEQUENCE, derivation)
}

/// Common Instance Reference (PS3.3 C.12.2).
fn referenced_series(source: &Source) -> Set {
    let mut known = BTreeSet::new();
    let images = source
        .images
        .iter()
        .filter(|image| known.insert(&image.sop_instance_uid));
    let images = images.map(|image| Pointer::to(&image.sop_class_uid, &image.sop_instance_uid).item());
    Set::new()
        .items(tags::REFERENCED_INSTANCE_SEQUENCE, images.collect::<Vec<_>>())
        .text(tags::SERIES_INSTANCE_UID, VR::UI, &source.series_instance_uid)
}

/// One bit a voxel, the first in the lowest bit, frames without a gap (PS3.5 8.1.1).
fn packed(frames: &[(u16, usize, &Segment)], rows: usize, columns: usize) -> Vec<u8> {
    let bits = frames.len() * rows * columns;
    let mut bytes = vec![0_u8; bits.div_ceil(8).next_multiple_of(2)];
    for (frame, (_, slice, segment)) in frames.iter().enumerate() {
        for [_, row, column] in segment.voxels.iter().filter(|voxel| voxel[0] == *slice) {
            let bit = (frame * rows + row) * columns + column;
            bytes[bit / 8] |= 1 << (bit % 8);
        }
    }
    bytes
}
