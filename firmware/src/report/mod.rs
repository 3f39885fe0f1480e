//! Findings as DICOM objects: a structured report, a segmentation, a picture of the result page.
//!
//! | module | owns |
//! |---|---|
//! | `measurements` | the report: Comprehensive 3D SR after TID 1500 |
//! | `segmentation` | the lesions as DICOM SEG on the slices of the anchor series |
//! | `capture` | the result page as Secondary Capture |
//! | `general` | patient, study, series, equipment: what all of them have |
//! | `content` | content items of a report, and references to instances |
//! | `codes` | coded concepts |
//! | `colour` | colours of the screen in CIELab |
//! | `set` | data sets in the making |
//! | `device` | which box made them |
//! | `text` | reports and segmentations as text, for people |
//!
//! Nothing here reads images: patient, study and geometry come from the worker as
//! [`Evidence`], which repeats what stands in the images byte by byte. Sentences of ours are ASCII, so that
//! they are right in whatever character set the study has.
//!
//! The UIDs of the objects follow from study and result: the same result made twice has the same UIDs.

mod capture;
mod codes;
mod colour;
mod content;
mod device;
mod general;
mod measurements;
mod segmentation;
mod set;
pub mod text;

use board::Frame;
use models::findings::{Fault, Findings, Reason};
use models::mr::Evidence;
use models::package::hex_sha256;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dicom::Uid;

pub use codes::{Code, private_codes};
pub use device::Device;
use general::Context;
pub use general::Kind;
pub(crate) use set::Set;

/// A DICOM object as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Which one.
    pub kind: Kind,
    /// (0008,0016).
    pub sop_class: Uid,
    /// (0008,0018).
    pub sop_instance: Uid,
    /// (0020,000E).
    pub series: Uid,
    /// PS3.10 file, Explicit VR Little Endian.
    pub file: Vec<u8>,
}

/// A report that a newer one supersedes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// (0020,000E).
    pub series: Uid,
    /// (0008,0018).
    pub sop_instance: Uid,
}

/// The objects of one result: report, segmentation where there are lesions, page where it was drawn. Nothing
/// where no image of the study could be read, since then nobody can say whose it is.
///
/// # Errors
/// `internal`: an object cannot be written.
pub fn objects(
    findings: &Findings,
    evidence: &Evidence,
    page: Option<&Frame>,
    device: &Device,
    supersedes: Option<&Predecessor>,
    made: OffsetDateTime,
) -> Result<Vec<Object>, Reason> {
    if evidence.attributes.is_empty() {
        return Ok(Vec::new());
    }
    let context = Context {
        findings,
        evidence,
        device,
        made,
        result: digest(findings, device, supersedes)?,
    };
    let segments = segmentation::segments(&context);
    let object = |kind: Kind, set: Set| -> Result<Object, Reason> {
        let sop_instance = context.instance_uid(kind);
        Ok(Object {
            kind,
            sop_class: Uid::parse(kind.sop_class())
                .map_err(|error| Reason::new("internal", Fault::Us, error.to_string()))?,
            file: set.file(kind.sop_class(), &sop_instance)?,
            sop_instance,
            series: context.series_uid(kind),
        })
    };
    let mut objects = vec![object(
        Kind::Report,
        measurements::report(&context, segments.as_ref(), supersedes),
    )?];
    if let Some(segments) = &segments {
        let set = segmentation::segmentation(&context, segments);
        objects.push(object(Kind::Segmentation, set)?);
    }
    if let Some(page) = page {
        let set = capture::capture(&context, page);
        objects.push(object(Kind::Capture, set)?);
    }
    Ok(objects)
}

/// Of all that makes one result differ from another; how long it took does not.
fn digest(findings: &Findings, device: &Device, supersedes: Option<&Predecessor>) -> Result<String, Reason> {
    let timeless = Findings {
        timings: Vec::new(),
        ..findings.clone()
    };
    let before = supersedes.map(|predecessor| predecessor.sop_instance.as_str());
    let all = serde_json::to_vec(&(timeless, &device.serial_number, before));
    let all = all.map_err(|error| Reason::new("json", Fault::Us, error.to_string()))?;
    Ok(hex_sha256(&all))
}
