//! Trains, evaluates and exports Sialoscope model packages.
//!
//! | module | owns |
//! |---|---|
//! | [`anatomy`] | real T1 heads for simulated patients |
//! | [`cohort`] | index of patients in any layout, labels, hashes, splits by patient |
//! | [`mask`] | drawn tumours in any form |
//! | [`dataset`] | examinations as tensors, read once |
//! | [`augment`] | random changes of training images |
//! | [`nets`] | U-Net, truncated ResNet-18, ROI-Align, Transformer |
//! | [`fit`] | the loops |
//! | [`train`] | one run from cohort to figures |
//! | [`evaluate`], [`statistics`] | figures with intervals |
//! | [`readers`] | radiologists' scores beside the model |
//! | [`report`] | all of it on one page |
//! | [`run_folder`], [`experiment`] | what a run is made from and leaves behind |
//! | [`papers`] | the runs of the three papers |
//! | [`export`] | ONNX, quantization, parity, package |

pub mod anatomy;
pub mod augment;
pub mod cohort;
pub mod dataset;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod fit;
pub mod limits;
pub mod mask;
pub mod nets;
pub mod origin;
pub mod papers;
pub mod readers;
pub mod report;
pub mod run_folder;
pub mod statistics;
pub mod train;
