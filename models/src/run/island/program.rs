//! An island as a list of operations on numbered values, and how the list is made shorter.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::constants::Constants;
use super::operation::{Operation, read};
use quantized::Window;

/// (channels, rows, columns) of one image.
pub(super) type Shape = [usize; 3];

/// What a value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Steps,
    Values,
}

/// A value, by its number.
pub(super) type Value = usize;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    /// Of the node it comes from.
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) from: Vec<Value>,
    pub(super) to: Value,
}

impl Stage {
    /// Makes `to`, without what is negative, instead of what it made; whether it can.
    fn takes_relu(&mut self, to: Value) -> bool {
        match &mut self.operation {
            Operation::Add { relu } => *relu = true,
            Operation::ConvolveFloats(conv) => conv.relu = true,
            _ => return false,
        }
        self.to = to;
        true
    }
}

/// What an island computes, whatever the shape of its inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program {
    pub(super) inputs: Vec<Value>,
    pub(super) outputs: Vec<Value>,
    /// In an order in which they can be done.
    pub(super) stages: Vec<Stage>,
    /// One for each value.
    pub(super) kinds: Vec<Kind>,
}

impl Program {
    /// Reads an island. `kinds` are those of its inputs. None where a node cannot be read, comes before what it needs,
    /// or gets steps for values.
    pub(super) fn read(island: &NodeProto, graph: &GraphProto, kinds: &[Kind]) -> Option<Program> {
        let constants = Constants::of(graph);
        let mut values: HashMap<&str, Value> = HashMap::new();
        let mut program = Program {
            inputs: (0..island.input.len()).collect(),
            outputs: Vec::new(),
            stages: Vec::new(),
            kinds: kinds.to_vec(),
        };
        if kinds.len() != island.input.len() {
            return None;
        }
        values.extend(
            island
                .input
                .iter()
                .zip(0..)
                .map(|(name, value)| (name.as_str(), value)),
        );
        for node in &graph.node {
            let (operation, inputs) = read(node, &constants)?;
            let from: Option<Vec<Value>> = inputs
                .iter()
                .map(|name| values.get(name.as_str()).copied())
                .collect();
            let from = from?;
            let kind = program.kind_after(&operation, &from)?;
            let to = program.value(kind);
            if values.insert(node.output[0].as_str(), to).is_some() {
                return None;
            }
            program.stages.push(Stage {
                name: if node.name.is_empty() {
                    &node.output[0]
                } else {
                    &node.name
                }
                .clone(),
                operation,
                from,
                to,
            });
        }
        let outputs: Option<Vec<Value>> = island
            .output
            .iter()
            .map(|name| values.get(name.as_str()).copied())
            .collect();
        program.outputs = outputs?;
        program.shorten();
        Some(program)
    }

    fn value(&mut self, kind: Kind) -> Value {
        self.kinds.push(kind);
        self.kinds.len() - 1
    }

    /// What an operation makes, if its inputs are what it takes.
    fn kind_after(&self, operation: &Operation, from: &[Value]) -> Option<Kind> {
        let all = |kind| from.iter().all(|value| self.kinds[*value] == kind);
        let (takes, makes) = match operation {
            Operation::Quantize(_) => (Kind::Values, Kind::Steps),
            Operation::Dequantize(_) => (Kind::Steps, Kind::Values),
            Operation::Convolve(_) => (Kind::Steps, Kind::Steps),
            Operation::ConvolveFloats(_) | Operation::Add { .. } | Operation::Relu => {
                (Kind::Values, Kind::Values)
            }
            Operation::MaxPool(_) | Operation::Enlarge | Operation::Join => {
                let kind = self.kinds[*from.first()?];
                (kind, kind)
            }
        };
        all(takes).then_some(makes)
    }

    /// Same results with less to do.
    fn shorten(&mut self) {
        self.enlarge_steps();
        self.leave_out_round_trips();
        self.fuse_relus();
        self.leave_out_the_unused();
    }

    fn maker(&self, value: Value) -> Option<usize> {
        self.stages.iter().position(|stage| stage.to == value)
    }

    /// How often a value is read, the island's outputs included.
    fn readers(&self, value: Value) -> usize {
        let inside = self.stages.iter().flat_map(|stage| &stage.from);
        inside.chain(&self.outputs).filter(|read| **read == value).count()
    }

    /// Enlarges before it dequantizes: the same values from a quarter of the work, and of a quarter of the size.
    fn enlarge_steps(&mut self) {
        let mut n = 0;
        while n < self.stages.len() {
            let maker = match self.stages[n].operation {
                Operation::Enlarge => self.maker(self.stages[n].from[0]),
                _ => None,
            };
            let Some(maker) = maker else {
                n += 1;
                continue;
            };
            let Operation::Dequantize(quantization) = self.stages[maker].operation else {
                n += 1;
                continue;
            };
            let from = self.stages[maker].from.clone();
            let large = self.value(Kind::Steps);
            let to = std::mem::replace(&mut self.stages[n].to, large);
            self.stages[n].from = from;
            let dequantize = Stage {
                name: format!("{} as values", self.stages[n].name),
                operation: Operation::Dequantize(quantization),
                from: vec![large],
                to,
            };
            self.stages.insert(n + 1, dequantize);
            // Whoever enlarges what was enlarged here stands behind and finds it so.
            n += 2;
        }
    }

    /// Steps that become values and the same steps again: |step − zero point| is at most 255 and each of the two
    /// operations is wrong by at most one part in 2²⁴, so that rounding returns where it came from.
    fn leave_out_round_trips(&mut self) {
        for n in 0..self.stages.len() {
            let Operation::Quantize(to) = self.stages[n].operation else {
                continue;
            };
            let Some(maker) = self.maker(self.stages[n].from[0]) else {
                continue;
            };
            if self.stages[maker].operation == Operation::Dequantize(to) {
                let (old, new) = (self.stages[n].to, self.stages[maker].from[0]);
                let reads = self.stages.iter_mut().flat_map(|stage| &mut stage.from);
                reads
                    .chain(&mut self.outputs)
                    .filter(|read| **read == old)
                    .for_each(|read| *read = new);
            }
        }
    }

    fn fuse_relus(&mut self) {
        let mut n = 0;
        while n < self.stages.len() {
            let (from, to) = (self.stages[n].from[0], self.stages[n].to);
            let alone = self.stages[n].operation == Operation::Relu && self.readers(from) == 1;
            let fused = alone
                && self
                    .maker(from)
                    .is_some_and(|maker| self.stages[maker].takes_relu(to));
            if fused {
                self.stages.remove(n);
            } else {
                n += 1;
            }
        }
    }

    fn leave_out_the_unused(&mut self) {
        while let Some(n) = (0..self.stages.len())
            .rev()
            .find(|n| self.readers(self.stages[*n].to) == 0)
        {
            self.stages.remove(n);
        }
    }

    /// The shape of every value from those of the inputs; none where they do not fit together.
    pub(super) fn shapes(&self, inputs: &[Shape]) -> Option<Vec<Option<Shape>>> {
        let mut shapes: Vec<Option<Shape>> = vec![None; self.kinds.len()];
        if inputs.len() != self.inputs.len() {
            return None;
        }
        for (value, shape) in self.inputs.iter().zip(inputs) {
            shapes[*value] = Some(*shape);
        }
        for stage in &self.stages {
            let from: Option<Vec<Shape>> = stage.from.iter().map(|value| shapes[*value]).collect();
            shapes[stage.to] = Some(shape_after(&stage.operation, &from?)?);
        }
        Some(shapes)
    }
}

fn shape_after(operation: &Operation, from: &[Shape]) -> Option<Shape> {
    let [channels, rows, columns] = *from.first()?;
    let under = |window: Window, takes: usize, makes: usize| {
        let [rows, columns] = window.output(rows, columns)?;
        (takes == channels).then_some([makes, rows, columns])
    };
    match operation {
        Operation::Quantize(_) | Operation::Dequantize(_) | Operation::Relu => Some(from[0]),
        Operation::Convolve(conv) => under(conv.window, conv.channels, conv.filters),
        Operation::ConvolveFloats(conv) => under(conv.window, conv.channels, conv.filters),
        Operation::MaxPool(window) => under(*window, channels, channels),
        Operation::Add { .. } => (from[0] == *from.get(1)?).then_some(from[0]),
        Operation::Enlarge => Some([channels, rows.checked_mul(2)?, columns.checked_mul(2)?]),
        Operation::Join => {
            let fits = from.iter().all(|shape| shape[1..] == from[0][1..]);
            let channels = from
                .iter()
                .try_fold(0usize, |sum, shape| sum.checked_add(shape[0]))?;
            fits.then_some([channels, rows, columns])
        }
    }
}
