//! What an island is going to do, step by step: sums and joins take steps and leave steps where that saves a pass over the
//! image, and every value gets its place.

use std::sync::atomic::AtomicU64;

use super::operation::Operation;
use super::program::{Program, Shape, Stage, Value};
use quantized::convolution::{Floats, Integers};
use quantized::layout::Layout;
use quantized::tile::{FloatKernel, IntegerKernel};
use quantized::{Quantization, Window};

/// What is done in one go.
#[derive(Debug)]
pub(super) enum Work {
    Enter {
        input: usize,
    },
    EnterQuantized {
        input: usize,
        to: Quantization,
    },
    Quantize(Quantization),
    Dequantize(Quantization),
    Convolve(Box<Integers>),
    ConvolveFloats(Box<Floats>),
    MaxPool(Window),
    Relu,
    Enlarge,
    /// Of each input, how its steps become values, if they do.
    Join(Vec<Option<Quantization>>),
    /// The outputs are values, steps, or values and then steps.
    Add {
        /// Of those summands that are steps.
        steps: [Option<Quantization>; 2],
        relu: bool,
        values: bool,
        to: Option<Quantization>,
    },
}

/// One step, ready to run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) work: Work,
    pub(super) from: Vec<Value>,
    pub(super) to: Vec<Value>,
    pub(super) products: u64,
    /// Time spent while somebody measured.
    pub(super) nanoseconds: AtomicU64,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) layout: Layout,
    /// What the border holds, for steps; values have zeros there.
    pub(super) edge: u8,
    pub(super) slot: usize,
}

/// A step before it knows layouts.
pub(super) struct Draft {
    name: String,
    work: Drafted,
    from: Vec<Value>,
    to: Vec<Value>,
}

enum Drafted {
    Done(Work),
    Stage(Operation),
}

impl Draft {
    /// Packs weights. None where layouts do not fit.
    pub(super) fn job(self, layout: impl Fn(Value) -> Option<Layout>) -> Option<Job> {
        let Draft { name, work, from, to } = self;
        let layouts = || Some((layout(*from.first()?)?, layout(*to.first()?)?));
        let multiplications = |to: Layout, depth: usize| (to.rows * to.columns * depth) as u64;
        let mut products = 0;
        let work = match work {
            Drafted::Done(work) => work,
            Drafted::Stage(operation) => match operation {
                Operation::Quantize(to) => Work::Quantize(to),
                Operation::Dequantize(from) => Work::Dequantize(from),
                Operation::Convolve(conv) => {
                    let (from, to) = layouts()?;
                    products = multiplications(to, conv.weights.len());
                    Work::Convolve(Box::new(Integers::new(&conv, from, to, IntegerKernel::best())?))
                }
                Operation::ConvolveFloats(conv) => {
                    let (from, to) = layouts()?;
                    products = multiplications(to, conv.weights.len());
                    Work::ConvolveFloats(Box::new(Floats::new(&conv, from, to, FloatKernel::best())?))
                }
                Operation::MaxPool(window) => Work::MaxPool(window),
                Operation::Relu => Work::Relu,
                Operation::Enlarge => Work::Enlarge,
                // `drafts` has made all of them.
                Operation::Join | Operation::Add { .. } => return None,
            },
        };
        Some(Job {
            name,
            work,
            from,
            to,
            products,
            nanoseconds: AtomicU64::new(0),
        })
    }
}

/// The jobs of a program: sums take steps and leave steps where that saves a pass over the image.
pub(super) fn drafts(program: &Program) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let made_by = |value: Value| program.stages.iter().find(|stage| stage.to == value);
    let mut made = vec![false; program.kinds.len()];
    for (input, value) in program.inputs.iter().enumerate() {
        let readers = program.stages.iter().filter(|stage| stage.from.contains(value));
        for stage in readers {
            if let Operation::Quantize(to) = stage.operation {
                made[stage.to] = true;
                drafts.push(Draft {
                    name: stage.name.clone(),
                    work: Drafted::Done(Work::EnterQuantized { input, to }),
                    from: Vec::new(),
                    to: vec![stage.to],
                });
            }
        }
        drafts.push(Draft {
            name: format!("input {input}"),
            work: Drafted::Done(Work::Enter { input }),
            from: Vec::new(),
            to: vec![*value],
        });
    }
    for stage in &program.stages {
        if made[stage.to] {
            continue;
        }
        let as_steps = |value: Value| match made_by(value) {
            Some(Stage {
                operation: Operation::Dequantize(q),
                from,
                ..
            }) => (from[0], Some(*q)),
            _ => (value, None),
        };
        if stage.operation == Operation::Join {
            let (from, steps) = stage.from.iter().map(|value| as_steps(*value)).unzip();
            drafts.push(Draft {
                name: stage.name.clone(),
                work: Drafted::Done(Work::Join(steps)),
                from,
                to: vec![stage.to],
            });
            continue;
        }
        let Operation::Add { relu } = stage.operation else {
            drafts.push(Draft {
                name: stage.name.clone(),
                work: Drafted::Stage(stage.operation.clone()),
                from: stage.from.clone(),
                to: vec![stage.to],
            });
            continue;
        };
        let mut from = stage.from.clone();
        let mut steps = [None; 2];
        for (value, steps) in from.iter_mut().zip(&mut steps) {
            (*value, *steps) = as_steps(*value);
        }
        let readers = || {
            program
                .stages
                .iter()
                .filter(|reader| reader.from.contains(&stage.to))
        };
        let quantized = readers().find_map(|reader| match reader.operation {
            Operation::Quantize(q) => Some((q, reader.to)),
            _ => None,
        });
        let others = readers()
            .filter(|reader| Some(reader.to) != quantized.map(|q| q.1))
            .count();
        let values = others > 0 || program.outputs.contains(&stage.to);
        let mut to: Vec<Value> = values.then_some(stage.to).into_iter().collect();
        to.extend(quantized.map(|(_, value)| value));
        if let Some((_, value)) = quantized {
            made[value] = true;
        }
        drafts.push(Draft {
            name: stage.name.clone(),
            work: Drafted::Done(Work::Add {
                steps,
                relu,
                values,
                to: quantized.map(|(q, _)| q),
            }),
            from,
            to,
        });
    }
    drafts
}

/// Layout and edge of every value that has a shape. None where one is too large, or two convolutions want different
/// edges.
pub(super) fn places(program: &Program, shapes: &[Option<Shape>]) -> Option<Vec<Option<Place>>> {
    let mut borders = vec![0; shapes.len()];
    let mut edges: Vec<Option<u8>> = vec![None; shapes.len()];
    for stage in &program.stages {
        let (pads, edge) = match &stage.operation {
            Operation::Convolve(conv) => (conv.window.pads, conv.input.zero_point),
            Operation::ConvolveFloats(conv) => (conv.window.pads, 0),
            _ => continue,
        };
        let value = stage.from[0];
        let border = pads.into_iter().max().unwrap_or(0);
        if border > 0 {
            if edges[value].is_some_and(|other| other != edge) {
                return None;
            }
            edges[value] = Some(edge);
            borders[value] = borders[value].max(border);
        }
    }
    let place = |value: usize| {
        let Some([channels, rows, columns]) = shapes[value] else {
            return Some(None);
        };
        let layout = Layout {
            rows,
            columns,
            channels,
            border: borders[value],
        };
        layout.checked_elements()?;
        Some(Some(Place {
            layout,
            edge: edges[value].unwrap_or(0),
            slot: 0,
        }))
    };
    (0..shapes.len()).map(place).collect()
}
