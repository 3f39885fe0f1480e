//! The contract between the appliance and the trainer.
//!
//! | module | owns |
//! |---|---|
//! | [`mr`] | DICOM files → series → volumes with geometry; which contrast each one is, and why |
//! | [`study`] | the volumes of one examination brought into one frame |
//! | [`recipe`] | how volumes become tensors; the same code for training and inference |
//! | [`package`] | the model package on disk: manifest, hashes, golden vectors |
//! | [`run`] | tract: load, check, answer |
//! | [`findings`] | the answer and its JSON form |
//! | [`pictures`] | what the answer is shown on |
//! | [`statistics`] | figures about answers, with intervals |
//! | [`limits`] | every limit on size, count and time in this crate |

pub mod findings;
pub mod limits;
pub mod mr;
pub mod package;
pub mod pictures;
pub mod recipe;
pub mod run;
mod share;
pub mod statistics;
pub mod study;
