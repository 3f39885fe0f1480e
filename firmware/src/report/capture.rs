//! The result page as Secondary Capture (PS3.3 A.8.1), for viewers that show nothing else.

use std::collections::BTreeSet;

use board::Frame;
use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use models::findings::NOTICE;

use super::codes;
use super::content::Pointer;
use super::device::{MANUFACTURER, MODEL};
use super::general::{Context, Kind};
use super::set::Set;

/// The object.
pub(super) fn capture(context: &Context, page: &Frame) -> Set {
    let mut pixels = page.rgb().to_vec();
    if pixels.len() % 2 == 1 {
        pixels.push(0);
    }
    context
        .general(Kind::Capture)
        .text(tags::CONVERSION_TYPE, VR::CS, "WSD")
        .text(tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER, VR::LO, MANUFACTURER)
        .text(
            tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER_MODEL_NAME,
            VR::LO,
            MODEL,
        )
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "SECONDARY"])
        .text(tags::DERIVATION_DESCRIPTION, VR::ST, NOTICE)
        .text(tags::IMAGE_COMMENTS, VR::LT, NOTICE)
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES")
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .text(tags::PATIENT_ORIENTATION, VR::CS, "")
        .text(tags::LATERALITY, VR::CS, "")
        .put(tags::SAMPLES_PER_PIXEL, VR::US, 3_u16)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB")
        .put(tags::PLANAR_CONFIGURATION, VR::US, 0_u16)
        .side(tags::ROWS, page.height() as usize)
        .side(tags::COLUMNS, page.width() as usize)
        .put(tags::BITS_ALLOCATED, VR::US, 8_u16)
        .put(tags::BITS_STORED, VR::US, 8_u16)
        .put(tags::HIGH_BIT, VR::US, 7_u16)
        .put(tags::PIXEL_REPRESENTATION, VR::US, 0_u16)
        .some_items(tags::SOURCE_IMAGE_SEQUENCE, sources(context))
        .put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into()))
}

/// The images that the page was made from.
fn sources(context: &Context) -> Vec<Set> {
    let mut known = BTreeSet::new();
    let images = context.evidence.sources.iter().flat_map(|source| &source.images);
    let images = images.filter(|image| known.insert(&image.sop_instance_uid));
    let purpose = [codes::SOURCE_IMAGE.item()];
    images
        .map(|image| {
            Pointer::to(&image.sop_class_uid, &image.sop_instance_uid)
                .item()
                .items(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose.clone())
        })
        .collect()
}
