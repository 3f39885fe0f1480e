//! What appliance and worker say to each other, one JSON value a line.

use std::path::PathBuf;

use models::findings::{Fault, ModelIdentity, Reason};
use models::mr::Contrast;
use serde::{Deserialize, Serialize};

/// The worker's first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The package that passed its checks.
    pub(super) model: Option<ModelIdentity>,
    /// Or why there is none.
    pub(super) reason: Option<Reason>,
    /// Every contrast that the model reads or shows; empty without a model.
    pub(super) contrasts: Vec<Contrast>,
}

/// A question about the files in a folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Request {
    /// Which contrasts do the headers promise? The reply is a list of them.
    Contrasts(PathBuf),
    /// What is in the study? The replies are the steps that begin, then an [`super::Answer`].
    Answer(PathBuf),
    /// The study that was answered about last, on every slice. The reply is [`models::pictures::Pictures`]; none
    /// where it was another study, or its images could not be read.
    Pictures(PathBuf),
    /// Whose study is it? The reply is [`super::Whose`].
    Identify(PathBuf),
}

/// A reply to [`Request::Answer`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Progress {
    /// A step begins, by its name in [`models::findings::Timing::step`].
    Step(String),
    /// The last reply.
    Answer(Box<super::Answer>),
}

/// A value as one line.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<u8>, Reason> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| {
        Reason::new(
            "worker_wire",
            Fault::Us,
            format!("cannot be written as JSON: {e}"),
        )
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}
