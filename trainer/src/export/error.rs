//! Why an export stops.

use std::path::PathBuf;

use models::findings::Reason;

use super::parity::Comparison;
use crate::error::Error;

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run cannot be opened, or a patient of it.
    #[error(transparent)]
    Run(#[from] Error),
    /// There is something where the package should go.
    #[error("{} exists already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The finished package does not load.
    #[error("the appliance would refuse this package: {0}")]
    Unloadable(Reason),
    /// The package is too large to ship.
    #[error("the package has {bytes} bytes, allowed are {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A file of the run cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What libtorch says.
        source: tch::TchError,
    },
    /// The run lacks a weight.
    #[error("the run has no weight {name}: it was trained with another architecture")]
    MissingWeight {
        /// Which one.
        name: String,
    },
    /// A weight has another shape than the architecture's.
    #[error(
        "weight {name} has shape {found:?} instead of {wanted:?}: the run was trained with another architecture"
    )]
    WrongShape {
        /// Which one.
        name: String,
        /// In the run.
        found: Vec<usize>,
        /// In the architecture.
        wanted: Vec<usize>,
    },
    /// Training diverged.
    #[error("weight {name} holds values that are not finite: the training diverged")]
    NotFinite {
        /// Which one.
        name: String,
    },
    /// The ensemble is empty.
    #[error("the reader has no members")]
    NoMembers,
    /// Nothing to measure ranges or agreement on.
    #[error("there are no inputs for {network}")]
    NoSamples {
        /// Which network.
        network: String,
    },
    /// A tensor has no range; a mistake of ours.
    #[error("tensor {tensor} has no measured range")]
    Unmeasured {
        /// Which one.
        tensor: String,
    },
    /// A bias exceeds 32 bits: the scales before it are far too small.
    #[error("the bias of {layer} does not fit 32 bits")]
    BiasTooLarge {
        /// Which layer.
        layer: String,
    },
    /// A ReLU's output shares its range with a tensor that goes below 0.
    #[error("the ReLU of {layer} cannot be folded: its tensor has no zero point 0")]
    ReluNotFolded {
        /// Which layer.
        layer: String,
    },
    /// ONNX Runtime was not named.
    #[error("ORT_DYLIB_PATH is not set; `trainer/libtorch` fetches the library and prints the path")]
    NoOnnxRuntime,
    /// ONNX Runtime cannot be loaded.
    #[error("{} is not usable as ONNX Runtime: {reason}", path.display())]
    OnnxRuntimeUnusable {
        /// What `ORT_DYLIB_PATH` says.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An engine refuses a file or an input.
    #[error("{engine}: {reason}")]
    Engine {
        /// Which one.
        engine: &'static str,
        /// What it says.
        reason: String,
    },
    /// Two engines give different answers.
    #[error("{network}: {comparison}; allowed is a difference of {} and a correlation of {}",
        comparison.tolerance.difference, comparison.tolerance.correlation)]
    Disagreement {
        /// Which network.
        network: String,
        /// What was compared, and how far apart it was.
        comparison: Comparison,
    },
}
