//! What others say about how many images a study has.

use crate::dicom::Uid;

/// What a performed procedure step says about its study (PS3.4 Annex F): each announcement holds all
/// that the step has said so far and replaces the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The study that the step belongs to.
    pub study: Uid,
    /// Each series that was made, with the number of instances that the step refers to in it.
    pub series: Vec<(Uid, u32)>,
    /// Whether the step is completed or discontinued: no further series will be named.
    pub finished: bool,
}
