//! What fits the networks: one loop ([`course`]), the rules of descent, and the stages of the shipped model.
//!
//! Locator, then one slice encoder per contrast (Liu's first stage), then the members of the reader on
//! the features of the frozen encoders (Liu's second stage).

pub mod course;
pub mod descent;
pub mod encoder;
pub mod locator;
pub mod reader;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use descent::{Fall, Motion, Rule};

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the steps.
    pub train: f64,
    /// Loss on all validation patients, without augmentation.
    pub validation: f64,
}

/// Adam with a rate that falls to zero along a cosine.
fn adam(rate: f64) -> Motion {
    Motion {
        rule: Rule::Adam,
        rate,
        fall: Fall::Cosine,
    }
}

/// A bar with rate and time left; silent where nobody watches.
pub fn progress(steps: usize, name: &str) -> ProgressBar {
    let form = "{prefix:14} {bar:32} {pos}/{len} {per_sec} {eta} left  {msg}";
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64)
        .with_style(style)
        .with_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// 0 of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
