//! The content tree of a structured report (PS3.3 C.17.3).

use dicom_core::VR;
use dicom_dictionary_std::tags;
use models::mr::ImageReference;

use super::codes::Code;
use super::set::{Set, ascii, decimal};
use crate::dicom::Uid;

/// A content item with what hangs below it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    set: Set,
    below: Vec<Item>,
}

/// How an item belongs to the one above it (0040,A010).
#[derive(Debug, Clone, Copy)]
pub(super) enum As {
    Contains,
    ObservationContext,
    AcquisitionContext,
    Modifier,
}

impl As {
    fn term(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::ObservationContext => "HAS OBS CONTEXT",
            Self::AcquisitionContext => "HAS ACQ CONTEXT",
            Self::Modifier => "HAS CONCEPT MOD",
        }
    }
}

/// An instance that an item points at.
#[derive(Debug, Clone)]
pub(super) struct Pointer {
    pub sop_class: String,
    pub sop_instance: String,
    pub frame: Option<u32>,
    pub segment: Option<u16>,
}

impl Pointer {
    pub fn to(sop_class: &str, sop_instance: &str) -> Self {
        Self {
            sop_class: sop_class.to_owned(),
            sop_instance: sop_instance.to_owned(),
            frame: None,
            segment: None,
        }
    }

    /// An item of a sequence of referenced SOP instances (PS3.3 10.8).
    pub fn item(&self) -> Set {
        let set = Set::new()
            .text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, &self.sop_class)
            .text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &self.sop_instance);
        let set = match self.frame {
            Some(frame) => set.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string()),
            None => set,
        };
        match self.segment {
            Some(segment) => set.put(tags::REFERENCED_SEGMENT_NUMBER, VR::US, segment),
            None => set,
        }
    }
}

impl From<&ImageReference> for Pointer {
    fn from(image: &ImageReference) -> Self {
        Self {
            frame: image.frame,
            ..Self::to(&image.sop_class_uid, &image.sop_instance_uid)
        }
    }
}

impl Item {
    fn new(value_type: &str, relation: As, name: Code) -> Self {
        Self::rooted(value_type, name).related(relation)
    }

    fn rooted(value_type: &str, name: Code) -> Self {
        let set = Set::new()
            .text(tags::VALUE_TYPE, VR::CS, value_type)
            .items(tags::CONCEPT_NAME_CODE_SEQUENCE, [name.item()]);
        Self { set, below: vec![] }
    }

    fn related(self, relation: As) -> Self {
        self.with(|set| set.text(tags::RELATIONSHIP_TYPE, VR::CS, relation.term()))
    }

    fn with(mut self, change: impl FnOnce(Set) -> Set) -> Self {
        self.set = change(self.set);
        self
    }

    /// The document itself, after a template of PS3.16.
    pub fn document(name: Code, template: &str) -> Self {
        Self::rooted("CONTAINER", name)
            .with(|set| set.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"))
            .template(template)
    }

    pub fn container(name: Code) -> Self {
        Self::new("CONTAINER", As::Contains, name)
            .with(|set| set.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"))
    }

    /// Says which template of PS3.16 a container follows.
    pub fn template(self, identifier: &str) -> Self {
        let item = Set::new().text(tags::MAPPING_RESOURCE, VR::CS, "DCMR").text(
            tags::TEMPLATE_IDENTIFIER,
            VR::CS,
            identifier,
        );
        self.with(|set| set.items(tags::CONTENT_TEMPLATE_SEQUENCE, [item]))
    }

    pub fn code(relation: As, name: Code, value: Code) -> Self {
        Self::new("CODE", relation, name).with(|set| set.items(tags::CONCEPT_CODE_SEQUENCE, [value.item()]))
    }

    pub fn text(relation: As, name: Code, text: &str) -> Self {
        Self::new("TEXT", relation, name).with(|set| set.text(tags::TEXT_VALUE, VR::UT, &ascii(text)))
    }

    pub fn uid(relation: As, name: Code, uid: &str) -> Self {
        Self::new("UIDREF", relation, name).with(|set| set.text(tags::UID, VR::UI, uid))
    }

    pub fn number(relation: As, name: Code, value: f64, unit: Code) -> Self {
        let text = decimal(value);
        // Where the decimal string is not exact, the number stands beside it (PS3.3 C.18.1).
        let exact = text.parse() == Ok(value);
        let measured = Set::new()
            .items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, [unit.item()])
            .text(tags::NUMERIC_VALUE, VR::DS, &text);
        let measured = if exact {
            measured
        } else {
            measured.put(tags::FLOATING_POINT_VALUE, VR::FD, value)
        };
        Self::new("NUM", relation, name).with(|set| set.items(tags::MEASURED_VALUE_SEQUENCE, [measured]))
    }

    pub fn image(relation: As, name: Code, to: &Pointer) -> Self {
        Self::new("IMAGE", relation, name).with(|set| set.items(tags::REFERENCED_SOP_SEQUENCE, [to.item()]))
    }

    /// With further items below.
    pub fn holding(mut self, items: impl IntoIterator<Item = Item>) -> Self {
        self.below.extend(items);
        self
    }

    /// As data set: of the document, or an item of its content sequence.
    pub fn into_set(self) -> Set {
        let below = self.below.into_iter().map(Item::into_set).collect();
        self.set.some_items(tags::CONTENT_SEQUENCE, below)
    }
}

/// The series and instances that a document refers to (PS3.3 C.17.2.1).
pub(super) fn evidence(study: &str, instances: &[(String, Pointer)]) -> Vec<Set> {
    let mut series: Vec<(&str, Vec<&Pointer>)> = Vec::new();
    for (uid, pointer) in instances {
        let all = match series.iter().position(|(known, _)| known == uid) {
            Some(at) => &mut series[at].1,
            None => {
                series.push((uid, Vec::new()));
                let last = series.len() - 1;
                &mut series[last].1
            }
        };
        // An object is named once, however many of its frames are meant.
        if !all.iter().any(|other| other.sop_instance == pointer.sop_instance) {
            all.push(pointer);
        }
    }
    if series.is_empty() {
        return Vec::new();
    }
    let series = series.into_iter().map(|(uid, all)| {
        let whole = |pointer: &Pointer| Pointer::to(&pointer.sop_class, &pointer.sop_instance).item();
        Set::new()
            .items(tags::REFERENCED_SOP_SEQUENCE, all.into_iter().map(whole))
            .text(tags::SERIES_INSTANCE_UID, VR::UI, uid)
    });
    let item = Set::new()
        .items(tags::REFERENCED_SERIES_SEQUENCE, series.collect::<Vec<_>>())
        .text(tags::STUDY_INSTANCE_UID, VR::UI, study);
    vec![item]
}

/// A UID of this kind of thing about this study: the same input gives the same UID, on every box.
pub(super) fn tracking_uid(study: &str, side: &str, number: u32) -> Uid {
    Uid::derived(&["lesion", study, side, &number.to_string()])
}
