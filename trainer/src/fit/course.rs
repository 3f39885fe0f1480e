//! The one loop that fits a network: epochs, early stopping, checkpoints.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::nn::VarStore;
use tch::{Tensor, no_grad};

use super::descent::{Descent, Motion};
use super::{Epoch, mean, progress};
use crate::error::Error;

/// How a network is fitted.
#[derive(Debug, Clone)]
pub struct Course {
    /// What it is called in messages.
    pub stage: String,
    /// Passes over the patients, at most.
    pub epochs: usize,
    /// Stops after so many epochs without a better validation loss; none for never.
    pub patience: Option<usize>,
    /// How weights move.
    pub motion: Motion,
    /// Which weights are left.
    pub keep: Keep,
    /// Where its random numbers come from.
    pub dice: Dice,
    /// A file that is written after each epoch and from which an interrupted run goes on; none for none.
    pub checkpoint: Option<PathBuf>,
}

/// Which weights a course leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Of the epoch with the lowest validation loss.
    Best,
    /// Of the last epoch.
    Last,
}

/// Random numbers of one stage. Those of an epoch depend on nothing that was drawn before it, so that a run
/// which goes on in the middle draws the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    /// Of the experiment.
    pub seed: u64,
    /// Of the stage.
    pub stream: u64,
}

/// More epochs than any run has.
const EPOCHS_OF_A_STREAM: u64 = 1 << 20;

impl Dice {
    /// For one epoch; libtorch's own numbers (dropout, noise) are set as well.
    pub fn epoch(self, epoch: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.stream * EPOCHS_OF_A_STREAM + epoch as u64);
        let of_torch = rand::Rng::next_u64(&mut rng);
        tch::manual_seed((of_torch >> 1) as i64);
        rng
    }
}

/// Set to stop every course after the step at hand; the checkpoint of the epoch before stays.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Fits the weights of a store.
///
/// `draw` makes the batches of an epoch, `loss` the loss of one of them with the network in training, `validate` the
/// loss on patients that nothing is fitted to.
///
/// # Errors
/// The loss is no number any more, the checkpoint cannot be written, or [`STOP`] was set.
pub fn descend<B>(
    course: &Course,
    store: &VarStore,
    draw: impl Fn(&mut ChaCha8Rng) -> Vec<B>,
    loss: impl Fn(&B, &mut ChaCha8Rng) -> Tensor,
    validate: impl Fn() -> f64,
) -> Result<Vec<Epoch>, Error> {
    let mut way = Way {
        descent: Descent::new(store, course.motion.rule),
        best: Best::new(store),
        curve: Vec::new(),
    };
    if let Some(file) = course.checkpoint.as_deref().filter(|file| file.exists()) {
        way.go_on(file, store)?;
        tracing::info!(
            stage = course.stage,
            epochs = way.curve.len(),
            "goes on from its checkpoint"
        );
    }
    let steps = draw(&mut course.dice.epoch(0)).len();
    let bar = progress(steps * course.epochs, &course.stage);
    bar.set_position(way.descent.steps() as u64);
    for epoch in way.curve.len()..course.epochs {
        if way.is_stale(course.patience) {
            break;
        }
        let rng = &mut course.dice.epoch(epoch);
        let mut losses = Vec::with_capacity(steps);
        for batch in draw(rng) {
            let loss = loss(&batch, rng);
            let value = loss.f_double_value(&[])?;
            if !value.is_finite() {
                return Err(Error::Diverged {
                    stage: course.stage.clone(),
                    epoch: epoch + 1,
                    loss: value,
                });
            }
            let fallen = course
                .motion
                .fall
                .factor(epoch * steps + losses.len(), steps, course.epochs);
            way.descent.step(&loss, course.motion.rate * fallen)?;
            losses.push(value);
            bar.inc(1);
            if STOP.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
        }
        let (train, validation) = (mean(&losses), no_grad(&validate));
        way.best.offer(epoch, validation, store);
        way.curve.push(Epoch { train, validation });
        if let Some(file) = &course.checkpoint {
            way.write(file, store)?;
        }
        bar.set_message(format!("train {train:.4} validation {validation:.4}"));
        let (stage, of) = (&course.stage, course.epochs);
        tracing::debug!(stage, epoch = epoch + 1, of, train, validation, "epoch");
    }
    bar.finish_and_clear();
    if let Some(last) = way.curve.last() {
        let (stage, epochs, best) = (&course.stage, way.curve.len(), way.best.epoch + 1);
        let (train, validation) = (last.train, way.best.loss);
        tracing::info!(stage, epochs, best, train, validation, "fitted");
    }
    if course.keep == Keep::Best {
        way.best.weights.restore(store);
    }
    Ok(way.curve)
}

/// How far a course is.
struct Way {
    descent: Descent,
    best: Best,
    curve: Vec<Epoch>,
}

impl Way {
    fn is_stale(&self, patience: Option<usize>) -> bool {
        let since = self.curve.len().saturating_sub(self.best.epoch + 1);
        patience.is_some_and(|patience| since >= patience)
    }

    /// Everything in one file, so that it is either all there or not at all.
    fn write(&self, file: &Path, store: &VarStore) -> Result<(), Error> {
        let named = |part: &str, name: String, tensor: &Tensor| (format!("{part}.{name}"), on_cpu(tensor));
        let mut all: Vec<(String, Tensor)> = Vec::new();
        all.extend(store.variables().into_iter().map(|(n, t)| named("now", n, &t)));
        let best = &self.best.weights.0;
        all.extend(best.iter().map(|(n, t)| named("best", n.clone(), t)));
        all.extend(
            self.descent
                .memory()
                .into_iter()
                .map(|(n, t)| named("descent", n, &t)),
        );
        let curve: Vec<f64> = self.curve.iter().flat_map(|e| [e.train, e.validation]).collect();
        all.push(("curve".to_owned(), Tensor::from_slice(&curve)));
        all.push(("best epoch".to_owned(), Tensor::from(self.best.epoch as i64)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let partial = file.with_extension("partial");
        Tensor::write_safetensors(&all, &partial)?;
        std::fs::rename(&partial, file).map_err(Error::file(file))
    }

    fn go_on(&mut self, file: &Path, store: &VarStore) -> Result<(), Error> {
        let other = || Error::Form {
            path: file.to_owned(),
            text: "this checkpoint is of another network; move it away to begin anew".to_owned(),
        };
        let all = Tensor::read_safetensors(file)?;
        let part = |part: &str| -> Vec<(String, Tensor)> {
            let prefix = format!("{part}.");
            let of = |(name, t): &(String, Tensor)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), t.shallow_clone()))
            };
            all.iter().filter_map(of).collect()
        };
        let find = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, t)| t);
        let (now, best) = (Snapshot(part("now").into_iter().collect()), part("best"));
        if !now.is_of(store) || !self.descent.recall(&part("descent")) {
            return Err(other());
        }
        let numbers = find("curve")
            .and_then(|t| Vec::<f64>::try_from(t).ok())
            .ok_or_else(other)?;
        let best_epoch = find("best epoch")
            .and_then(|t| usize::try_from(t.int64_value(&[])).ok())
            .ok_or_else(other)?;
        now.restore(store);
        self.curve = numbers
            .chunks_exact(2)
            .map(|e| Epoch {
                train: e[0],
                validation: e[1],
            })
            .collect();
        self.best = Best {
            loss: self.curve.get(best_epoch).ok_or_else(other)?.validation,
            epoch: best_epoch,
            weights: Snapshot(best.into_iter().collect()),
        };
        Ok(())
    }
}

fn on_cpu(tensor: &Tensor) -> Tensor {
    tensor.detach().to_device(tch::Device::Cpu)
}

/// A copy of all weights and statistics at one moment.
struct Snapshot(std::collections::HashMap<String, Tensor>);

impl Snapshot {
    fn take(store: &VarStore) -> Self {
        let copy = |(name, t): (String, Tensor)| (name, t.detach().copy());
        Self(store.variables().into_iter().map(copy).collect())
    }

    fn is_of(&self, store: &VarStore) -> bool {
        let same = |(name, t): (&String, &Tensor)| self.0.get(name).is_some_and(|own| own.size() == t.size());
        let variables = store.variables();
        variables.len() == self.0.len() && variables.iter().all(same)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use tch::nn::{self, Module};
    use tch::{Device, Kind};

    use super::*;
    use crate::fit::descent::{Fall, Rule};

    fn course(checkpoint: Option<PathBuf>) -> Course {
        Course {
            stage: "line".to_owned(),
            epochs: 6,
            patience: Some(4),
            motion: Motion {
                rule: Rule::Adam,
                rate: 0.05,
                fall: Fall::Cosine,
            },
            keep: Keep::Last,
            dice: Dice { seed: 9, stream: 3 },
            checkpoint,
        }
    }

    /// A noisy line, fitted with dropout; weights and curve after the course, or why it ended.
    fn fitted(start: i64, course: &Course, stop_at: Option<usize>) -> Result<(Vec<f32>, Vec<Epoch>), Error> {
        tch::manual_seed(start);
        let store = VarStore::new(Device::Cpu);
        let line = nn::linear(store.root(), 8, 1, Default::default());
        let steps = Cell::new(0);
        let target = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let curve = descend(
            course,
            &store,
            |_| vec![(); 5],
            |(), _| {
                steps.set(steps.get() + 1);
                STOP.store(stop_at == Some(steps.get()), Ordering::Relaxed);
                let x = Tensor::randn([16, 8], (Kind::Float, Device::Cpu));
                (line.forward(&x.dropout(0.2, true)) - target(&x))
                    .square()
                    .mean(Kind::Float)
            },
            || {
                let x = Tensor::eye(8, (Kind::Float, Device::Cpu));
                (line.forward(&x) - target(&x))
                    .square()
                    .mean(Kind::Float)
                    .double_value(&[])
            },
        );
        STOP.store(false, Ordering::Relaxed);
        let weights = Vec::try_from(line.ws.detach().flatten(0, -1)).unwrap();
        Ok((weights, curve?))
    }

    #[test]
    fn a_course_that_was_stopped_goes_on_as_if_it_had_not_been() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.safetensors");
        let whole = fitted(1, &course(None), None).unwrap();
        let kept = course(Some(file.clone()));
        // In the fourth epoch, which is lost.
        let stopped = fitted(1, &kept, Some(18)).unwrap_err();
        assert!(matches!(stopped, Error::Stopped), "{stopped}");
        // From other weights, which the checkpoint replaces.
        let gone_on = fitted(2, &kept, None).unwrap();
        assert_eq!(gone_on, whole, "bit for bit");
        assert_ne!(fitted(2, &course(None), None).unwrap(), whole);
    }

    #[test]
    fn a_checkpoint_of_another_network_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.safetensors");
        let other = VarStore::new(Device::Cpu);
        let _ = other.root().zeros("somebody", &[3]);
        other.save(&file).unwrap();
        let error = fitted(1, &course(Some(file.clone())), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line.safetensors"), "{error}");
        std::fs::write(&file, b"no tensors").unwrap();
        assert!(fitted(1, &course(Some(file)), None).is_err());
    }
}
