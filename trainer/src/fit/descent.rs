//! Weights that move down a loss: the rules of the papers, with their state in the open, so that a run that was
//! interrupted goes on as if it had not been.

use serde::{Deserialize, Serialize};
use tch::nn::VarStore;
use tch::{Tensor, no_grad};

use crate::error::Error;

/// How weights move and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    /// Which rule.
    pub rule: Rule,
    /// Learning rate at the start.
    pub rate: f64,
    /// How it falls.
    pub fall: Fall,
}

/// A rule of descent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Rule {
    /// Kingma and Ba 2015, with PyTorch's constants.
    Adam,
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the step before that goes on.
        momentum: f64,
        /// This times the weight is added to its gradient.
        l2: f64,
    },
}

/// How a learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Fall {
    /// It stays.
    Constant,
    /// To zero along a cosine.
    Cosine,
    /// Times `factor` every so many epochs.
    Drop {
        /// Below 1.
        factor: f64,
        /// Epochs.
        every: usize,
    },
}

impl Fall {
    /// What the rate is multiplied with in a step, counted from 0, of `steps` in each of `epochs`.
    pub fn factor(self, step: usize, steps: usize, epochs: usize) -> f64 {
        match self {
            Fall::Constant => 1.0,
            Fall::Cosine => {
                let share = step as f64 / (steps * epochs).max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
            Fall::Drop { factor, every } => {
                let drops = step / steps.max(1) / every.max(1);
                factor.powi(i32::try_from(drops).unwrap_or(i32::MAX))
            }
        }
    }
}

/// Adam's constants (Kingma and Ba 2015, algorithm 1).
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// The weights of one store on their way.
pub struct Descent {
    rule: Rule,
    weights: Vec<Weight>,
    steps: usize,
}

/// A weight with what its rule remembers of it.
struct Weight {
    name: String,
    value: Tensor,
    /// Sgd: the step before. Adam: mean of the gradients, mean of their squares.
    memory: Vec<Tensor>,
}

impl Descent {
    /// All weights of a store that can be fitted, in the order of their names.
    pub fn new(store: &VarStore, rule: Rule) -> Self {
        let memories = match rule {
            Rule::Adam => 2,
            Rule::Sgd { .. } => 1,
        };
        let mut weights: Vec<Weight> = store
            .variables()
            .into_iter()
            .filter(|(_, value)| value.requires_grad())
            .map(|(name, value)| Weight {
                memory: (0..memories).map(|_| value.detach().zeros_like()).collect(),
                name,
                value,
            })
            .collect();
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            rule,
            weights,
            steps: 0,
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// One step against the gradient of a loss.
    ///
    /// # Errors
    /// libtorch refuses, for example for want of memory.
    pub fn step(&mut self, loss: &Tensor, rate: f64) -> Result<(), Error> {
        for weight in &mut self.weights {
            weight.value.zero_grad();
        }
        loss.f_backward()?;
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let [first, second] = BETA.map(|beta| 1.0 - beta.powi(steps));
        let rule = self.rule;
        no_grad(|| {
            for Weight { value, memory, .. } in &mut self.weights {
                let gradient = value.grad();
                // A weight that this loss does not depend on.
                if !gradient.defined() {
                    continue;
                }
                match (rule, memory.as_mut_slice()) {
                    (Rule::Adam, [mean, square]) => {
                        let _ = mean.f_lerp_(&gradient, 1.0 - BETA[0])?;
                        let _ = square.f_mul_scalar_(BETA[1])?;
                        let part = &gradient * (1.0 - BETA[1]).sqrt();
                        let _ = square.f_addcmul_(&part, &part)?;
                        let root = square.sqrt() / second.sqrt() + EPSILON;
                        let _ = value.f_addcdiv_(&(&*mean * (-rate / first)), &root)?;
                    }
                    (Rule::Sgd { momentum, l2 }, [before]) => {
                        let _ = before.f_mul_scalar_(momentum)?;
                        let _ = before.f_add_(&(gradient + &*value * l2))?;
                        let _ = value.f_add_(&(&*before * -rate))?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// What the rule remembers, by name, and the number of steps: all that [`Descent::recall`] needs.
    pub fn memory(&self) -> Vec<(String, Tensor)> {
        let mut all = vec![("steps".to_owned(), Tensor::from(self.steps as i64))];
        for weight in &self.weights {
            for (n, memory) in weight.memory.iter().enumerate() {
                all.push((format!("memory{n}.{}", weight.name), memory.shallow_clone()));
            }
        }
        all
    }

    /// Takes up where [`Descent::memory`] was written; false where it is of other weights.
    pub fn recall(&mut self, written: &[(String, Tensor)]) -> bool {
        let find = |name: &str| written.iter().find(|(n, _)| n == name).map(|(_, t)| t);
        let Some(steps) = find("steps").and_then(|t| usize::try_from(t.int64_value(&[])).ok()) else {
            return false;
        };
        no_grad(|| {
            for weight in &mut self.weights {
                for (n, memory) in weight.memory.iter_mut().enumerate() {
                    match find(&format!("memory{n}.{}", weight.name)) {
                        Some(old) if old.size() == memory.size() => memory.copy_(old),
                        _ => return false,
                    }
                }
            }
            self.steps = steps;
            true
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tch::nn::{self, OptimizerConfig};
    use tch::{Device, Kind};

    use super::*;

    /// The same weights under our rule and under libtorch's, twenty steps on the same losses.
    fn against_libtorch(rule: Rule, theirs: impl Fn(&VarStore) -> nn::Optimizer) {
        tch::manual_seed(11);
        let (ours, other) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
        for store in [&ours, &other] {
            let _ = store.root().zeros("a", &[7, 5]);
            let _ = store.root().ones("b", &[5]);
        }
        let start = Tensor::randn([7, 5], (Kind::Float, Device::Cpu));
        for store in [&ours, &other] {
            no_grad(|| store.variables()["a"].shallow_clone().copy_(&start));
        }
        let loss = |store: &VarStore, x: &Tensor| {
            let variables = store.variables();
            (x.matmul(&variables["a"]) + &variables["b"])
                .tanh()
                .square()
                .sum(Kind::Float)
        };
        let mut descent = Descent::new(&ours, rule);
        let mut optimizer = theirs(&other);
        for _ in 0..20 {
            let x = Tensor::randn([3, 7], (Kind::Float, Device::Cpu));
            descent.step(&loss(&ours, &x), 0.01).unwrap();
            optimizer.backward_step(&loss(&other, &x));
        }
        for (name, weight) in ours.variables() {
            let difference = (weight - &other.variables()[&name]).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{name} differs by {difference}");
        }
    }

    #[test]
    fn adam_is_libtorchs() {
        against_libtorch(Rule::Adam, |store| {
            nn::Adam::default().build(store, 0.01).unwrap()
        });
    }

    #[test]
    fn momentum_is_libtorchs() {
        let rule = Rule::Sgd {
            momentum: 0.9,
            l2: 1e-2,
        };
        against_libtorch(rule, |store| {
            nn::sgd(0.9, 0.0, 1e-2, false).build(store, 0.01).unwrap()
        });
    }

    #[test]
    fn rates_fall_as_the_papers_say() {
        let kaba = Fall::Drop {
            factor: 0.1,
            every: 10,
        };
        let at_epoch = |epoch: usize| kaba.factor(epoch * 7, 7, 30);
        assert!((at_epoch(9) - 1.0).abs() < 1e-12);
        assert!((at_epoch(10) - 0.1).abs() < 1e-12);
        assert!((at_epoch(29) - 0.01).abs() < 1e-12);
        assert_eq!(Fall::Cosine.factor(0, 5, 4), 1.0);
        assert!((Fall::Cosine.factor(10, 5, 4) - 0.5).abs() < 1e-12);
        assert_eq!(Fall::Constant.factor(100, 5, 4), 1.0);
    }
}
