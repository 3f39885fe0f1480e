//! An island made ready: layouts, packed weights and buffers for one shape of its inputs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::draft::{Job, Place, Work, drafts, places};
use super::program::{Kind, Program, Shape, Value};
use quantized::layout::{Layout, SLACK};
use quantized::pointwise::{self, Summand};

/// What one thread may need for the values of an island. The largest network of the papers needs a hundredth; a file that
/// asks for more is left to tract.
const MOST_BUFFER_BYTES: usize = 1 << 30;

/// An island for one shape of its inputs.
#[derive(Debug)]
pub(super) struct Ready {
    jobs: Vec<Job>,
    places: Vec<Option<Place>>,
    /// Kind and elements of each buffer.
    slots: Vec<(Kind, usize)>,
    outputs: Vec<Value>,
    /// Elements of the longest row that a pooling reads.
    longest_row: usize,
    measured: AtomicBool,
}

/// How long one step of a network took, over all runs while it was measured.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageTime {
    /// Of the node in the ONNX file.
    pub name: String,
    /// What was done.
    pub operation: String,
    /// Over all runs.
    pub nanoseconds: u64,
    /// Multiplications of one run.
    pub products: u64,
}

/// One image of an island's input, (channel, row, column).
pub(super) enum Planes<'a> {
    Steps(&'a [u8]),
    Values(&'a [f32]),
}

/// The same of an output.
pub(super) enum PlanesMut<'a> {
    Steps(&'a mut [u8]),
    Values(&'a mut [f32]),
}

#[derive(Debug, Clone)]
enum Buffer {
    Steps(Vec<u8>),
    Values(Vec<f32>),
}

/// The buffers of one thread, kept from run to run.
#[derive(Debug, Clone)]
pub(super) struct Buffers {
    slots: Vec<Buffer>,
    step_row: Vec<u8>,
    value_row: Vec<f32>,
}

impl Ready {
    /// None where shapes do not fit together, or a size is beyond reason.
    pub(super) fn new(program: &Program, inputs: &[Shape]) -> Option<Ready> {
        let shapes = program.shapes(inputs)?;
        let mut ready = Ready {
            jobs: Vec::new(),
            places: places(program, &shapes)?,
            slots: Vec::new(),
            outputs: program.outputs.clone(),
            longest_row: 0,
            measured: AtomicBool::new(false),
        };
        for draft in drafts(program) {
            let job = draft.job(|value| ready.layout(value))?;
            ready.jobs.push(job);
        }
        ready.leave_out_the_unused();
        ready.assign_slots(program);
        let rows = ready.jobs.iter().filter_map(|job| match job.work {
            Work::MaxPool(_) => Some(ready.layout(*job.from.first()?)?.width()),
            _ => None,
        });
        ready.longest_row = rows.max().unwrap_or(0);
        (ready.buffer_bytes() <= MOST_BUFFER_BYTES).then_some(ready)
    }

    fn layout(&self, value: Value) -> Option<Layout> {
        self.places[value].map(|place| place.layout)
    }

    fn leave_out_the_unused(&mut self) {
        let mut read: Vec<bool> = vec![false; self.places.len()];
        self.outputs.iter().for_each(|value| read[*value] = true);
        let mut kept = Vec::new();
        while let Some(job) = self.jobs.pop() {
            if job.to.iter().any(|value| read[*value]) {
                job.from.iter().for_each(|value| read[*value] = true);
                kept.push(job);
            }
        }
        kept.reverse();
        self.jobs = kept;
    }

    /// Gives every value a buffer, from its making to its last reading.
    fn assign_slots(&mut self, program: &Program) {
        let mut last = vec![0; self.places.len()];
        for (n, job) in self.jobs.iter().enumerate() {
            job.from.iter().chain(&job.to).for_each(|value| last[*value] = n);
        }
        self.outputs.iter().for_each(|value| last[*value] = usize::MAX);
        let mut free: Vec<usize> = Vec::new();
        for n in 0..self.jobs.len() {
            for &value in &self.jobs[n].to {
                let Some(place) = &mut self.places[value] else {
                    continue;
                };
                let (kind, len) = (program.kinds[value], place.layout.elements() + SLACK);
                // The one that needs to grow least, or else is least too large.
                let misfit = |slot: &usize| (len.saturating_sub(self.slots[*slot].1), self.slots[*slot].1);
                let found = (0..free.len())
                    .filter(|at| self.slots[free[*at]].0 == kind)
                    .min_by_key(|at| misfit(&free[*at]));
                place.slot = match found {
                    Some(at) => free.swap_remove(at),
                    None => {
                        self.slots.push((kind, 0));
                        self.slots.len() - 1
                    }
                };
                let slot = &mut self.slots[place.slot];
                slot.1 = slot.1.max(len);
            }
            let done = |value: &&Value| last[**value] == n;
            let mut ended: Vec<Value> = self.jobs[n]
                .from
                .iter()
                .chain(&self.jobs[n].to)
                .filter(done)
                .copied()
                .collect();
            ended.sort_unstable();
            ended.dedup();
            free.extend(
                ended
                    .iter()
                    .filter_map(|value| self.places[*value].map(|place| place.slot)),
            );
        }
    }

    /// Buffers for one thread.
    pub(super) fn buffers(&self) -> Buffers {
        let slot = |(kind, len): &(Kind, usize)| match kind {
            Kind::Steps => Buffer::Steps(vec![0; *len]),
            Kind::Values => Buffer::Values(vec![0.0; *len]),
        };
        Buffers {
            slots: self.slots.iter().map(slot).collect(),
            step_row: vec![0; self.longest_row],
            value_row: vec![0.0; self.longest_row],
        }
    }

    /// Bytes that a thread needs beside the weights.
    pub(super) fn buffer_bytes(&self) -> usize {
        let bytes = |(kind, len): &(Kind, usize)| if *kind == Kind::Steps { *len } else { 4 * len };
        self.slots.iter().map(bytes).sum()
    }

    /// Shape and kind of each output.
    pub(super) fn output(&self, number: usize) -> Option<(Kind, Shape)> {
        let place = self.places[*self.outputs.get(number)?]?;
        let Layout {
            rows,
            columns,
            channels,
            ..
        } = place.layout;
        Some((self.slots[place.slot].0, [channels, rows, columns]))
    }

    /// One image through the island.
    /// None where values are of other kinds than when it was planned; then nothing of its outputs may be used.
    pub(super) fn run(&self, inputs: &[Planes], buffers: &mut Buffers) -> Option<()> {
        let measured = self.measured.load(Ordering::Relaxed);
        for job in &self.jobs {
            if measured {
                let started = Instant::now();
                self.go(job, inputs, buffers)?;
                let spent = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                job.nanoseconds.fetch_add(spent, Ordering::Relaxed);
            } else {
                self.go(job, inputs, buffers)?;
            }
        }
        Some(())
    }

    /// Writes one output of the last run; none as [`Ready::run`].
    pub(super) fn leave(&self, number: usize, buffers: &Buffers, planes: PlanesMut) -> Option<()> {
        let place = self.places[self.outputs[number]]?;
        match (&buffers.slots[place.slot], planes) {
            (Buffer::Steps(image), PlanesMut::Steps(planes)) => {
                pointwise::separate(image, place.layout, planes)
            }
            (Buffer::Values(image), PlanesMut::Values(planes)) => {
                pointwise::separate(image, place.layout, planes)
            }
            _ => return None,
        }
        Some(())
    }

    fn go(&self, job: &Job, inputs: &[Planes], buffers: &mut Buffers) -> Option<()> {
        // What is written is taken out, so that the rest can be read meanwhile.
        let place = |value: Value| self.places[value];
        let mut out = [None, None];
        for (out, value) in out.iter_mut().zip(&job.to) {
            let place = place(*value)?;
            let empty = Buffer::Steps(Vec::new());
            *out = Some((place, std::mem::replace(&mut buffers.slots[place.slot], empty)));
        }
        let filled = self.fill(job, inputs, buffers, &mut out);
        for (place, mut buffer) in out.into_iter().flatten() {
            match &mut buffer {
                Buffer::Steps(image) => place.layout.fill_border(image, place.edge),
                Buffer::Values(image) => place.layout.fill_border(image, 0.0),
            }
            buffers.slots[place.slot] = buffer;
        }
        filled
    }

    fn fill(
        &self,
        job: &Job,
        inputs: &[Planes],
        buffers: &mut Buffers,
        out: &mut [Option<(Place, Buffer)>; 2],
    ) -> Option<()> {
        let Buffers {
            slots,
            step_row,
            value_row,
        } = buffers;
        let read = |n: usize| {
            let place = self.places[*job.from.get(n)?]?;
            Some((place.layout, &slots[place.slot]))
        };
        if let Work::Add {
            steps,
            relu,
            values,
            to,
        } = &job.work
        {
            let summand = |n: usize| match (read(n)?, steps[n]) {
                ((layout, Buffer::Steps(image)), Some(from)) => Some(Summand::Steps(image, layout, from)),
                ((layout, Buffer::Values(image)), None) => Some(Summand::Values(image, layout)),
                _ => None,
            };
            let (one, other) = (summand(0)?, summand(1)?);
            let (mut value_out, mut step_out) = (None, None);
            for (place, buffer) in out.iter_mut().flatten() {
                match (buffer, to) {
                    (Buffer::Values(image), _) if *values => value_out = Some((&mut image[..], place.layout)),
                    (Buffer::Steps(image), Some(to)) => step_out = Some((&mut image[..], place.layout, *to)),
                    _ => return None,
                }
            }
            pointwise::add([one, other], *relu, value_out, step_out);
            return Some(());
        }
        let (Place { layout: to, .. }, out) = out[0].as_mut()?;
        let to = *to;
        match (&job.work, read(0), out) {
            (Work::Enter { input }, _, out) => match (&inputs[*input], out) {
                (Planes::Steps(planes), Buffer::Steps(out)) => pointwise::interleave(planes, out, to),
                (Planes::Values(planes), Buffer::Values(out)) => pointwise::interleave(planes, out, to),
                _ => return None,
            },
            (
                Work::EnterQuantized {
                    input,
                    to: quantization,
                },
                _,
                Buffer::Steps(out),
            ) => {
                let Planes::Values(planes) = &inputs[*input] else {
                    return None;
                };
                pointwise::interleave_quantized(planes, out, to, *quantization);
            }
            (Work::Quantize(quantization), Some((from, Buffer::Values(image))), Buffer::Steps(out)) => {
                for row in 0..to.rows {
                    pointwise::quantize(&image[from.row(row)], &mut out[to.row(row)], *quantization);
                }
            }
            (Work::Dequantize(quantization), Some((from, Buffer::Steps(image))), Buffer::Values(out)) => {
                for row in 0..to.rows {
                    pointwise::dequantize(&image[from.row(row)], &mut out[to.row(row)], *quantization);
                }
            }
            (Work::Convolve(conv), Some((_, Buffer::Steps(image))), Buffer::Steps(out)) => {
                conv.run(image, out)
            }
            (Work::ConvolveFloats(conv), Some((_, Buffer::Values(image))), Buffer::Values(out)) => {
                conv.run(image, out);
            }
            (Work::MaxPool(window), Some((from, Buffer::Steps(image))), Buffer::Steps(out)) => {
                pointwise::max_pool(*window, image, from, out, to, step_row);
            }
            (Work::MaxPool(window), Some((from, Buffer::Values(image))), Buffer::Values(out)) => {
                pointwise::max_pool(*window, image, from, out, to, value_row);
            }
            (Work::Relu, Some((from, Buffer::Values(image))), Buffer::Values(out)) => {
                for row in 0..to.rows {
                    out[to.row(row)].copy_from_slice(&image[from.row(row)]);
                    pointwise::relu(&mut out[to.row(row)]);
                }
            }
            (Work::Enlarge, Some((from, Buffer::Steps(image))), Buffer::Steps(out)) => {
                pointwise::enlarge(image, from, out, to);
            }
            (Work::Enlarge, Some((from, Buffer::Values(image))), Buffer::Values(out)) => {
                pointwise::enlarge(image, from, out, to);
            }
            (Work::Join(steps), _, out) => {
                let mut before = 0;
                for (n, (from, image)) in (0..job.from.len()).filter_map(read).enumerate() {
                    match (image, &mut *out, steps.get(n).copied().flatten()) {
                        (Buffer::Steps(image), Buffer::Values(out), Some(quantization)) => {
                            pointwise::join_dequantized(image, from, quantization, before, out, to);
                        }
                        (Buffer::Steps(image), Buffer::Steps(out), None) => {
                            pointwise::join(image, from, before, out, to)
                        }
                        (Buffer::Values(image), Buffer::Values(out), None) => {
                            pointwise::join(image, from, before, out, to)
                        }
                        _ => return None,
                    }
                    before += from.channels;
                }
            }
            // Kinds were checked when the program was read. Were it otherwise, the image before would come out.
            _ => return None,
        }
        Some(())
    }

    /// From now on times are kept (`true`), or no longer; they start at 0.
    pub(super) fn measure(&self, on: bool) {
        self.jobs
            .iter()
            .for_each(|job| job.nanoseconds.store(0, Ordering::Relaxed));
        self.measured.store(on, Ordering::Relaxed);
    }

    /// The times since [`Self::measure`].
    pub(super) fn timings(&self) -> Vec<StageTime> {
        let operation = |work: &Work| match work {
            Work::Enter { .. } | Work::EnterQuantized { .. } => "enter",
            Work::Quantize(_) => "quantize",
            Work::Dequantize(_) => "dequantize",
            Work::Convolve(_) => "convolve int8",
            Work::ConvolveFloats(_) => "convolve f32",
            Work::MaxPool(_) => "max pool",
            Work::Relu => "relu",
            Work::Enlarge => "enlarge",
            Work::Join(_) => "join",
            Work::Add { .. } => "add",
        };
        let timing = |job: &Job| StageTime {
            name: job.name.clone(),
            operation: operation(&job.work).to_owned(),
            nanoseconds: job.nanoseconds.load(Ordering::Relaxed),
            products: job.products,
        };
        self.jobs.iter().map(timing).collect()
    }
}
