//! The structured report: Comprehensive 3D SR (PS3.3 A.35.13) after TID 1500 (PS3.16).

use dicom_core::VR;
use dicom_dictionary_std::tags;
use models::findings::{LabelProbability, Lesion, NOTICE, Outcome, Side, TaskAnswer};
use models::mr::Source;

use super::Predecessor;
use super::codes::{self, Code};
use super::content::{As, Item, Pointer, evidence, tracking_uid};
use super::device::{MANUFACTURER, MODEL};
use super::general::{Context, Kind};
use super::segmentation::{self, Segments};
use super::set::Set;

/// The report about a result.
pub(super) fn report(
    context: &Context,
    segments: Option<&Segments>,
    supersedes: Option<&Predecessor>,
) -> Set {
    let study = context.study();
    let predecessor = supersedes.map(|before| {
        let pointer = Pointer::to(Kind::Report.sop_class(), before.sop_instance.as_str());
        (before.series.to_string(), pointer)
    });
    let document = context
        .general(Kind::Report)
        .and(Context::coding_schemes())
        .text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE")
        .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED")
        .text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY")
        .items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, [])
        .items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, [])
        .some_items(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            evidence(study, &referenced(context, segments)),
        )
        .some_items(
            tags::PREDECESSOR_DOCUMENTS_SEQUENCE,
            evidence(study, &predecessor.into_iter().collect::<Vec<_>>()),
        );
    document.and(content(context, segments).into_set())
}

/// Every instance that the document points at, with its series.
fn referenced(context: &Context, segments: Option<&Segments>) -> Vec<(String, Pointer)> {
    let mut all: Vec<(String, Pointer)> = Vec::new();
    for source in &context.evidence.sources {
        for image in source.images.iter().chain(&source.further_images) {
            all.push((source.series_instance_uid.clone(), image.into()));
        }
    }
    if segments.is_some() {
        let uid = context.instance_uid(Kind::Segmentation);
        let pointer = Pointer::to(Kind::Segmentation.sop_class(), uid.as_str());
        all.push((context.series_uid(Kind::Segmentation).to_string(), pointer));
    }
    all
}

fn content(context: &Context, segments: Option<&Segments>) -> Item {
    let findings = context.findings;
    let mut items = vec![
        Item::code(As::Modifier, codes::LANGUAGE, codes::ENGLISH).holding([Item::code(
            As::Modifier,
            codes::COUNTRY,
            codes::UNITED_STATES,
        )]),
    ];
    items.extend(observer(context));
    items.push(Item::code(
        As::Modifier,
        codes::PROCEDURE_REPORTED,
        codes::MULTIPARAMETRIC_MRI,
    ));
    items.push(image_library(context));
    if !findings.lesions.is_empty() {
        let (name, version, parameters) = context.algorithm();
        let algorithm = [
            (codes::ALGORITHM_NAME, name),
            (codes::ALGORITHM_VERSION, version),
            (codes::ALGORITHM_PARAMETERS, parameters),
        ];
        let algorithm = algorithm.map(|(concept, text)| Item::text(As::Modifier, concept, &text));
        let groups = findings
            .lesions
            .iter()
            .map(|lesion| measurement_group(context, lesion, segments));
        items.push(
            Item::container(codes::IMAGING_MEASUREMENTS)
                .holding(algorithm)
                .holding(groups),
        );
    }
    items.push(evaluations(context));
    Item::document(codes::IMAGING_MEASUREMENT_REPORT, "1500").holding(items)
}

/// TID 1002 and 1004: a device observed.
fn observer(context: &Context) -> Vec<Item> {
    let device = context.device;
    let text = |concept, text: &str| Item::text(As::ObservationContext, concept, text);
    vec![
        Item::code(As::ObservationContext, codes::OBSERVER_TYPE, codes::DEVICE),
        Item::uid(As::ObservationContext, codes::DEVICE_UID, device.uid().as_str()),
        text(codes::DEVICE_NAME, &device.station_name),
        text(codes::DEVICE_MANUFACTURER, MANUFACTURER),
        text(codes::DEVICE_MODEL, MODEL),
        text(codes::DEVICE_SERIAL, &device.serial_number),
    ]
}

/// TID 1600: the images that were looked at, a group for each contrast.
fn image_library(context: &Context) -> Item {
    let groups = context.evidence.sources.iter().map(|source| {
        let frame = source.frame_of_reference_uid.iter();
        let frame = frame.map(|uid| Item::uid(As::AcquisitionContext, codes::FRAME_OF_REFERENCE, uid));
        let images = source
            .images
            .iter()
            .map(|image| Item::image(As::Contains, codes::SOURCE, &Pointer::from(image)));
        Item::container(codes::IMAGE_LIBRARY_GROUP)
            .holding([
                Item::code(As::AcquisitionContext, codes::MODALITY, codes::MAGNETIC_RESONANCE),
                Item::code(As::AcquisitionContext, codes::TARGET_REGION, codes::HEAD_AND_NECK),
            ])
            .holding(frame)
            .holding(images)
    });
    Item::container(codes::IMAGE_LIBRARY).holding(groups.collect::<Vec<_>>())
}

/// TID 1411 where the lesion has a segment, else TID 1501.
fn measurement_group(context: &Context, lesion: &Lesion, segments: Option<&Segments>) -> Item {
    let side = side_code(lesion.side);
    let segment = segments.and_then(|segments| Some((segments.number_of(lesion.number)?, segments.source)));
    let mut items = vec![
        Item::text(
            As::ObservationContext,
            codes::TRACKING_IDENTIFIER,
            &segmentation::label(lesion),
        ),
        Item::uid(
            As::ObservationContext,
            codes::TRACKING_UID,
            tracking_uid(context.study(), side.meaning, lesion.number).as_str(),
        ),
        Item::code(As::Contains, codes::FINDING, codes::NEOPLASM),
    ];
    if let Some((number, source)) = segment {
        items.extend(region(context, number, source));
    }
    items.push(
        Item::code(As::Modifier, codes::FINDING_SITE, codes::PAROTID_GLAND).holding([Item::code(
            As::Modifier,
            codes::LATERALITY,
            side,
        )]),
    );
    let number = |concept, value, unit| Item::number(As::Contains, concept, value, unit);
    items.push(number(codes::LONG_AXIS, lesion.long_axis_mm, codes::MILLIMETRE));
    items.push(number(codes::VOLUME, lesion.volume_ml, codes::MILLILITRE));
    items.extend(lesion.mean_adc.map(|adc| {
        number(codes::ADC, adc * 1e-3, codes::SQUARE_MILLIMETRES_PER_SECOND).holding([Item::code(
            As::Modifier,
            codes::DERIVATION,
            codes::MEAN,
        )])
    }));
    items.push(number(codes::DETECTION, 100.0 * lesion.detection, codes::PERCENT));
    items.extend(lesion.tasks.iter().flat_map(probabilities));
    let template = if segment.is_some() { "1411" } else { "1501" };
    Item::container(codes::MEASUREMENT_GROUP)
        .template(template)
        .holding(items)
}

fn region(context: &Context, number: u16, source: &Source) -> [Item; 2] {
    let uid = context.instance_uid(Kind::Segmentation);
    let segment = Pointer {
        segment: Some(number),
        ..Pointer::to(Kind::Segmentation.sop_class(), uid.as_str())
    };
    [
        Item::image(As::Contains, codes::REFERENCED_SEGMENT, &segment),
        Item::uid(
            As::Contains,
            codes::SOURCE_SERIES_FOR_SEGMENTATION,
            &source.series_instance_uid,
        ),
    ]
}

/// Each probability with its 95 % interval. The question after the kind repeats "malignant" of the question
/// before it: it is told once.
fn probabilities(task: &TaskAnswer) -> Vec<Item> {
    let told = |label: &&LabelProbability| !(task.task == "subtype" && label.label == "malignant");
    let items = |label: &LabelProbability| {
        let concepts = codes::probability_of(&label.label)?;
        let percent = |concept, share| Item::number(As::Contains, concept, 100.0 * share, codes::PERCENT);
        let [low, high] = label.interval;
        Some([
            percent(concepts.value, label.probability),
            percent(concepts.low, low),
            percent(concepts.high, high),
        ])
    };
    task.labels
        .iter()
        .filter(told)
        .filter_map(items)
        .flatten()
        .collect()
}

/// Row 12 of TID 1500: what it comes to, in a code and in words.
fn evaluations(context: &Context) -> Item {
    let findings = context.findings;
    let outcome = match (findings.outcome, findings.lesions.is_empty()) {
        (Outcome::CannotAnswer, _) => codes::CANNOT_ANSWER,
        (Outcome::Answered, true) => codes::NO_LESION,
        (Outcome::Answered, false) => codes::LESIONS_FOUND,
    };
    let text = |concept: Code, text: &str| Item::text(As::Contains, concept, text);
    let mut items = vec![
        Item::code(As::Contains, codes::OUTCOME, outcome),
        text(codes::NOTICE, NOTICE),
        text(codes::CONCLUSION, &conclusion(context)),
    ];
    let reasons = findings.reasons.iter();
    items.extend(reasons.map(|reason| text(codes::REASON, &reason.text)));
    let quality = findings.quality.iter();
    items.extend(quality.map(|reason| text(codes::COMMENT, &reason.text)));
    let contrasts = findings.contrasts.iter().map(|used| {
        let number = used.series_number.map_or_else(String::new, |n| format!(" {n}"));
        let part = if used.used_by_model { "used" } else { "shown only" };
        format!("{}: series{number}, {part}. {}", used.contrast, used.reason)
    });
    let missing = findings.missing.iter().map(|missing| {
        let part = if missing.required { "required" } else { "optional" };
        format!("{}: missing, {part}.", missing.contrast)
    });
    items.extend(contrasts.chain(missing).map(|line| text(codes::COMMENT, &line)));
    if let Some(model) = &findings.model {
        let line = format!(
            "Model {} {}, trained on {}.",
            model.name, model.version, model.trained_on
        );
        items.push(text(codes::COMMENT, &line));
    }
    Item::container(codes::QUALITATIVE_EVALUATIONS).holding(items)
}

/// One sentence for people.
fn conclusion(context: &Context) -> String {
    let findings = context.findings;
    match findings.outcome {
        Outcome::CannotAnswer => "No answer could be given about this study.".to_owned(),
        Outcome::Answered if findings.lesions.is_empty() => {
            "No parotid tumour was found. Small tumours may be missed.".to_owned()
        }
        Outcome::Answered => {
            let lesions: Vec<String> = findings.lesions.iter().map(sentence).collect();
            lesions.join(" ")
        }
    }
}

fn sentence(lesion: &Lesion) -> String {
    let likely = |task: &TaskAnswer| {
        let best = task
            .labels
            .iter()
            .max_by(|a, b| a.probability.total_cmp(&b.probability))?;
        let [low, high] = best.interval.map(|share| 100.0 * share);
        let percent = 100.0 * best.probability;
        Some(format!(
            "{} {percent:.0} % (95 % interval {low:.0} to {high:.0} %)",
            best.label
        ))
    };
    let likely: Vec<String> = lesion.tasks.iter().filter_map(likely).collect();
    format!(
        "{}, {:.0} mm: {}.",
        segmentation::label(lesion),
        lesion.long_axis_mm,
        likely.join("; ")
    )
}

pub(super) fn side_code(side: Side) -> Code {
    match side {
        Side::Left => codes::LEFT,
        Side::Right => codes::RIGHT,
    }
}
