//! What can go wrong while training, and whose fault it is.

use std::path::{Path, PathBuf};

use models::findings::{Fault, Reason};

use crate::export::ExportError;

/// A failure of the trainer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A settings or cohort file has the wrong form.
    #[error("{}: {text}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Line, column and what is wrong.
        text: String,
    },
    /// A patient of the cohort cannot be used.
    #[error("patient {patient}: {reason}")]
    Patient {
        /// Name of the folder.
        patient: String,
        /// Why.
        reason: Reason,
    },
    /// The cohort as a whole cannot be used.
    #[error("the cohort cannot be used: {0}")]
    Cohort(String),
    /// A report's input does not fit together.
    #[error("no report can be made: {0}")]
    Report(String),
    /// The loss is no number any more.
    #[error(
        "{stage}: the loss became {loss} in epoch {epoch}; lower the learning rate or use precision = \"f32\""
    )]
    Diverged {
        /// Which network.
        stage: String,
        /// Counted from 1.
        epoch: usize,
        /// NaN or infinite.
        loss: f64,
    },
    /// A plan asks for what cannot be done.
    #[error("the plan cannot be carried out: {0}")]
    Plan(String),
    /// Somebody asked to stop.
    #[error("stopped; the same command goes on after the last whole epoch")]
    Stopped,
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// What the models crate refuses.
    #[error("{0}")]
    Reason(Reason),
    /// No package could be made.
    #[error("{0}")]
    Export(Box<ExportError>),
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Error::Reason(reason)
    }
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Run(error) => error,
            other => Error::Export(Box::new(other)),
        }
    }
}

impl Error {
    /// For `map_err` on file operations.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::File {
            path: path.to_owned(),
            source,
        }
    }

    /// Whose fault.
    pub fn fault(&self) -> Fault {
        match self {
            Error::File { .. } | Error::Form { .. } => Fault::Configuration,
            Error::Cohort(_) | Error::Report(_) => Fault::Data,
            Error::Patient { reason, .. } | Error::Reason(reason) => reason.fault,
            Error::Plan(_) | Error::Diverged { .. } | Error::Stopped => Fault::Configuration,
            Error::Torch(_) | Error::Export(_) => Fault::Us,
        }
    }
}
