//! Enhanced MR: many frames in one file, each described by functional groups (PS3.3 A.36, C.7.6.16 and
//! C.8.13).
//!
//! What all frames have in common stands in the shared groups, the rest in one item per frame; a macro
//! stands in one of the two, and where a file writes both, the frame's own counts.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Part;
use super::data_set::DataSet;
use super::diffusion::Diffusion;
use super::header::{Header, contrast_agent, real_world};
use crate::findings::{Fault, Reason};

/// The frames of an enhanced image, each with a header of its own; none when it has no groups per frame.
///
/// # Errors
/// `invalid_frames`.
pub(super) fn frames(whole: &Header, d: &DataSet) -> Option<Result<Vec<Header>, Reason>> {
    let own = d.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?.items();
    let shared = d.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    if own.len() != whole.image.frames {
        let text = format!(
            "It states {} frames and describes {}.",
            whole.image.frames,
            own.len()
        );
        return Some(Err(Reason::new("invalid_frames", Fault::Data, text)));
    }
    let whole = common(whole, d);
    let frame = |(n, own): (usize, &DataSet)| frame(&whole, d, &Groups { shared, own }, n);
    Some(Ok(own.iter().enumerate().map(frame).collect()))
}

struct Groups<'d, 'b> {
    shared: Option<&'d DataSet<'b>>,
    own: &'d DataSet<'b>,
}

impl<'d, 'b> Groups<'d, 'b> {
    /// The first item of a macro's sequence.
    fn item(&self, sequence: Tag) -> Option<&'d DataSet<'b>> {
        self.own.item(sequence).or_else(|| self.shared?.item(sequence))
    }
}

/// What classic images say in other words, from the pulse sequence module (C.8.13.4).
fn common(whole: &Header, d: &DataSet) -> Header {
    let mut header = whole.clone();
    let yes = |tag| d.text(tag).is_some_and(|t| t == "YES");
    let sequence = &mut header.sequence;
    if sequence.scanning_sequence.is_empty() {
        let echo = d.text(tags::ECHO_PULSE_SEQUENCE).unwrap_or_default();
        let kinds = [
            ("SE", matches!(echo.as_str(), "SPIN" | "BOTH")),
            ("GR", matches!(echo.as_str(), "GRADIENT" | "BOTH")),
            ("EP", yes(tags::ECHO_PLANAR_PULSE_SEQUENCE)),
        ];
        sequence.scanning_sequence.extend(
            kinds
                .iter()
                .filter(|(_, is)| *is)
                .map(|(word, _)| (*word).to_owned()),
        );
    }
    if d.text(tags::STEADY_STATE_PULSE_SEQUENCE)
        .is_some_and(|t| t != "NONE")
    {
        sequence.variant.push("SS".to_owned());
    }
    if d.text(tags::SPECTRALLY_SELECTED_SUPPRESSION)
        .is_some_and(|t| t != "NONE")
    {
        sequence.options.push("FS".to_owned());
    }
    sequence.angiography |= yes(tags::TIME_OF_FLIGHT_CONTRAST);
    if sequence.name.is_empty() {
        sequence.name = d.text(tags::PULSE_SEQUENCE_NAME).unwrap_or_default();
    }
    header
}

fn frame(whole: &Header, d: &DataSet, groups: &Groups, n: usize) -> Header {
    let mut header = whole.clone();
    header.part = Part::Frame(n);
    header.image.frames = 1;
    place(&mut header, groups);
    pixel_values(&mut header, groups);
    sequence(&mut header, d, groups);

    let item = groups.item(tags::MR_DIFFUSION_SEQUENCE);
    header.diffusion = match item {
        Some(item) => Diffusion::from_functional_group(item, &header.sequence.image_type),
        None => Diffusion::from_data_set(d, &header.sequence.image_type),
    };
    if header.diffusion.b.is_some() {
        // Each direction is a time of its own here; what it weights for is told by the direction.
        header.sequence.acquisition = header.sequence.acquisition.or(header.sequence.temporal_position);
        header.sequence.temporal_position = None;
    }
    header
}

fn place(header: &mut Header, groups: &Groups) {
    let place = &mut header.place;
    if let Some(item) = groups.item(tags::PLANE_POSITION_SEQUENCE) {
        place.position = item.numbers(tags::IMAGE_POSITION_PATIENT);
    }
    if let Some(item) = groups.item(tags::PLANE_ORIENTATION_SEQUENCE) {
        place.orientation = item.numbers(tags::IMAGE_ORIENTATION_PATIENT);
    }
    if let Some(item) = groups.item(tags::PIXEL_MEASURES_SEQUENCE) {
        place.spacing = item.numbers(tags::PIXEL_SPACING);
        place.thickness = item.positive(tags::SLICE_THICKNESS);
        place.slice_distance = item
            .positive(tags::SPACING_BETWEEN_SLICES)
            .or(place.slice_distance);
    }
}

fn pixel_values(header: &mut Header, groups: &Groups) {
    if let Some(item) = groups.item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE) {
        header.image.slope = item.number(tags::RESCALE_SLOPE).unwrap_or(1.0);
        header.image.intercept = item.number(tags::RESCALE_INTERCEPT).unwrap_or(0.0);
    }
    let mapped = [Some(groups.own), groups.shared];
    let mapped = mapped.into_iter().flatten().find_map(real_world);
    header.image.real_world = mapped.or(header.image.real_world.take());
}

fn sequence(header: &mut Header, d: &DataSet, groups: &Groups) {
    let sequence = &mut header.sequence;
    if let Some(item) = groups.item(tags::MR_IMAGE_FRAME_TYPE_SEQUENCE) {
        let types = item.words(tags::FRAME_TYPE);
        if !types.is_empty() {
            sequence.image_type = types;
        }
        // Phase and the like are left out by the same words as in classic images.
        let component = item.text(tags::COMPLEX_IMAGE_COMPONENT);
        sequence
            .image_type
            .extend(component.filter(|c| matches!(c.as_str(), "PHASE" | "REAL" | "IMAGINARY")));
        sequence.acquisition_contrast = item
            .text(tags::ACQUISITION_CONTRAST)
            .or(sequence.acquisition_contrast.take());
    }
    if let Some(item) = groups.item(tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE) {
        sequence.repetition_time = item.positive(tags::REPETITION_TIME);
        sequence.flip_angle = item.positive(tags::FLIP_ANGLE);
        sequence.echo_train = item
            .positive(tags::RF_ECHO_TRAIN_LENGTH)
            .or_else(|| item.positive(tags::ECHO_TRAIN_LENGTH));
    }
    if let Some(item) = groups.item(tags::MR_ECHO_SEQUENCE) {
        sequence.echo_time = item.positive(tags::EFFECTIVE_ECHO_TIME);
    }
    if let Some(item) = groups.item(tags::MR_MODIFIER_SEQUENCE) {
        let says = |tag, no: &str| item.text(tag).is_some_and(|t| t != no);
        if says(tags::INVERSION_RECOVERY, "NO") {
            sequence.inversion_time = item.positive(tags::INVERSION_TIMES).or(sequence.inversion_time);
            // An inverted gradient echo is what classic images call magnetization-prepared.
            let (list, word) = if sequence.scanning_sequence.iter().any(|s| s == "GR") {
                (&mut sequence.variant, "MP")
            } else {
                (&mut sequence.scanning_sequence, "IR")
            };
            list.push(word.to_owned());
        }
        if says(tags::SPOILING, "NONE") {
            sequence.variant.push("SP".to_owned());
        }
    }
    if let Some(item) = groups.item(tags::FRAME_CONTENT_SEQUENCE) {
        let whole = |tag| item.number(tag).map(|n| n as i64);
        sequence.temporal_position = whole(tags::TEMPORAL_POSITION_INDEX);
        sequence.acquisition = whole(tags::FRAME_ACQUISITION_NUMBER);
    }
    if sequence.contrast_agent.is_none() {
        sequence.contrast_agent = contrast_agent(d);
    }
    // One file may hold frames from before and after the injection (C.7.6.16.2.12).
    if let Some(item) = groups.item(tags::CONTRAST_BOLUS_USAGE_SEQUENCE)
        && item
            .text(tags::CONTRAST_BOLUS_AGENT_ADMINISTERED)
            .is_some_and(|t| t == "NO")
    {
        sequence.contrast_agent = None;
    }
}
