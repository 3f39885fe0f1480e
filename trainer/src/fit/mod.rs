//! The loops that fit the networks, one stage after the other.
//!
//! Locator, then one slice encoder per contrast (Liu's first stage), then the members of the reader on
//! the features of the frozen encoders (Liu's second stage).

pub mod encoder;
pub mod locator;
pub mod reader;

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tch::nn::{Adam, Optimizer, OptimizerConfig, VarStore};
use tch::{Tensor, no_grad};

use crate::error::Error;

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the steps.
    pub train: f64,
    /// Loss on all validation patients, without augmentation.
    pub validation: f64,
}

/// Adam on the weights of one store, with a falling rate and a bar that tells the time left.
struct Descent {
    stage: String,
    optimizer: Optimizer,
    start: f64,
    steps: usize,
    done: usize,
    bar: ProgressBar,
}

impl Descent {
    fn new(stage: &str, store: &VarStore, learning_rate: f64, steps: usize) -> Result<Self, Error> {
        let optimizer = Adam::default().build(store, learning_rate)?;
        let bar = progress(steps, stage);
        Ok(Self {
            stage: stage.to_owned(),
            optimizer,
            start: learning_rate,
            steps,
            done: 0,
            bar,
        })
    }

    /// One step down a loss; the loss.
    fn step(&mut self, loss: &Tensor, epoch: usize) -> Result<f64, Error> {
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(Error::Diverged {
                stage: self.stage.clone(),
                epoch: epoch + 1,
                loss: value,
            });
        }
        let turn = std::f64::consts::PI * self.done as f64 / self.steps.max(1) as f64;
        self.optimizer.set_lr(self.start * 0.5 * (1.0 + turn.cos()));
        self.optimizer.backward_step(loss);
        self.done += 1;
        self.bar.inc(1);
        Ok(value)
    }

    fn epoch_done(&self, number: usize, of: usize, epoch: Epoch) {
        let Epoch { train, validation } = epoch;
        self.bar.set_message(format!(
            "epoch {number}/{of} train {train:.4} validation {validation:.4}"
        ));
        tracing::info!(stage = self.stage, epoch = number, of, train, validation, "epoch");
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

/// A copy of all weights and statistics at one moment.
struct Snapshot(HashMap<String, Tensor>);

impl Snapshot {
    fn take(store: &VarStore) -> Self {
        Self(
            store
                .variables()
                .into_iter()
                .map(|(name, t)| (name, t.detach().copy()))
                .collect(),
        )
    }

    fn restore(&self, store: &VarStore) {
        no_grad(|| {
            for (name, mut weight) in store.variables() {
                if let Some(kept) = self.0.get(&name) {
                    weight.copy_(kept);
                }
            }
        });
    }
}

/// The best epoch so far, by validation loss.
struct Best {
    loss: f64,
    epoch: usize,
    weights: Snapshot,
}

impl Best {
    fn new(store: &VarStore) -> Self {
        Self {
            loss: f64::INFINITY,
            epoch: 0,
            weights: Snapshot::take(store),
        }
    }

    fn offer(&mut self, epoch: usize, loss: f64, store: &VarStore) {
        if loss < self.loss {
            *self = Self {
                loss,
                epoch,
                weights: Snapshot::take(store),
            };
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
