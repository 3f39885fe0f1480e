//! Figures about predictions, each with its 95 % interval, and what may be chosen on validation patients.
//!
//! | module | owns |
//! |---|---|
//! | [`prediction`] | the one input: what a model said about each unit, checked once |
//! | [`curve`] | ROC and precision-recall curves |
//! | [`area`] | area under the ROC curve, its interval, two areas compared (DeLong, Obuchowski) |
//! | [`bootstrap`] | resamples of patients |
//! | [`figures`] | accuracy, sensitivity and their kin, by class and overall |
//! | [`operating_point`] | thresholds chosen on validation patients |
//! | [`calibration`] | Brier score, calibration error, reliability |
//! | [`scaling`] | temperature, vector and Dirichlet scaling |
//! | [`decision`] | thresholds and temperature of the appliance's path |

pub mod area;
pub mod bootstrap;
pub mod calibration;
pub mod curve;
pub mod decision;
pub mod figures;
pub mod operating_point;
pub mod prediction;
pub mod scaling;

pub use decision::{keeping, probabilities, temperature, youden};
pub use models::statistics::{Auc, Share, auc};
pub use prediction::{Prediction, Predictions, Rating, Refusal, Validation};
