//! An island as an operator of tract.

use std::sync::Arc;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use super::outline::ISLAND;
use super::program::{Kind, Program, Shape};
use super::work::{Buffers, Planes, PlanesMut, Ready, StageTime};

/// Teaches tract's parser what an island is.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(ISLAND, parse);
}

fn parse(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let held = node.attribute.iter().find(|attribute| attribute.name == ISLAND);
    let graph = held
        .and_then(|attribute| attribute.g.clone())
        .context("an island holds a graph")?;
    // For the node alone; its attribute is the graph.
    let node = NodeProto {
        attribute: Vec::new(),
        ..node.clone()
    };
    Ok((expand(Unshaped(Arc::new((node, graph)))), vec![]))
}

/// An island before shapes are known.
#[derive(Debug, Clone)]
struct Unshaped(Arc<(NodeProto, GraphProto)>);

impl Unshaped {
    fn program(&self, kinds: &[DatumType]) -> TractResult<Program> {
        let kinds: TractResult<Vec<Kind>> = kinds.iter().map(|datum_type| kind(*datum_type)).collect();
        let (node, graph) = &*self.0;
        Program::read(node, graph, &kinds?).context("the operations of the island do not fit together")
    }
}

impl Expansion for Unshaped {
    fn name(&self) -> StaticName {
        ISLAND.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.0.0.output.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.0.0.input.len())?;
        check_output_arity(outputs, self.0.0.output.len())?;
        s.given_all(inputs.iter().map(|input| &input.datum_type), move |s, types| {
            let program = self.program(&types)?;
            for (value, output) in program.outputs.iter().zip(outputs) {
                s.equals(&output.datum_type, datum_type(program.kinds[*value]))?;
            }
            s.given_all(inputs.iter().map(|input| &input.shape), move |s, shapes| {
                let images: TractResult<Vec<(usize, Shape)>> =
                    shapes.iter().map(|shape| image(shape)).collect();
                let images = images?;
                let (batch, inputs) = split(&images)?;
                let shapes = program.shapes(&inputs).context("shapes do not fit together")?;
                for (value, output) in program.outputs.iter().zip(outputs) {
                    let [channels, rows, columns] = shapes[*value].context("an output without a maker")?;
                    let shape: TVec<TDim> = [batch, channels, rows, columns]
                        .iter()
                        .map(|d| d.to_dim())
                        .collect();
                    s.equals(&output.shape, shape)?;
                }
                Ok(())
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut kinds = Vec::new();
        let mut images = Vec::new();
        for input in inputs {
            let fact = model.outlet_fact(*input)?;
            kinds.push(fact.datum_type);
            images.push(image(&fact.shape.to_tvec())?);
        }
        let (batch, shapes) = split(&images)?;
        let ready = Ready::new(&self.program(&kinds)?, &shapes).context("shapes do not fit together")?;
        model.wire_node(
            prefix,
            Island {
                ready: Arc::new(ready),
                batch,
            },
            inputs,
        )
    }
}

fn kind(datum_type: DatumType) -> TractResult<Kind> {
    match datum_type {
        DatumType::U8 => Ok(Kind::Steps),
        DatumType::F32 => Ok(Kind::Values),
        other => bail!("{other:?} does not enter an island"),
    }
}

fn datum_type(kind: Kind) -> DatumType {
    match kind {
        Kind::Steps => DatumType::U8,
        Kind::Values => DatumType::F32,
    }
}

/// Images and the shape of one, of a tensor of rank 4 whose shape is known.
fn image(shape: &[TDim]) -> TractResult<(usize, Shape)> {
    let lengths: TractResult<Vec<usize>> = shape.iter().map(|length| Ok(length.to_usize()?)).collect();
    match lengths?[..] {
        [batch, channels, rows, columns] => Ok((batch, [channels, rows, columns])),
        _ => bail!("an island takes tensors of rank 4"),
    }
}

/// The number of images that all inputs have, and the shapes of one.
fn split(images: &[(usize, Shape)]) -> TractResult<(usize, Vec<Shape>)> {
    let batch = images.first().context("an island without inputs")?.0;
    ensure!(
        images.iter().all(|image| image.0 == batch),
        "inputs of different batches"
    );
    Ok((batch, images.iter().map(|image| image.1).collect()))
}

/// An island that runs.
#[derive(Debug, Clone)]
pub(in crate::run) struct Island {
    ready: Arc<Ready>,
    batch: usize,
}

impl Island {
    /// As [`Ready::measure`].
    pub(in crate::run) fn measure(&self, on: bool) {
        self.ready.measure(on);
    }

    /// As [`Ready::timings`].
    pub(in crate::run) fn timings(&self) -> Vec<StageTime> {
        self.ready.timings()
    }

    /// As [`Ready::buffer_bytes`].
    pub(in crate::run) fn buffer_bytes(&self) -> usize {
        self.ready.buffer_bytes()
    }

    fn run(&self, inputs: &[TValue], buffers: &mut Buffers) -> TractResult<TVec<TValue>> {
        let mut outputs = TVec::new();
        while let Some((kind, [channels, rows, columns])) = self.ready.output(outputs.len()) {
            let shape = [self.batch, channels, rows, columns];
            outputs.push(Tensor::zero_dt(datum_type(kind), &shape)?);
        }
        for image in 0..self.batch {
            let part = |len: usize| image * (len / self.batch)..(image + 1) * (len / self.batch);
            let mut planes: TVec<Planes> = TVec::new();
            for input in inputs {
                let (plain, part) = (input.try_as_plain_ram()?, part(input.len()));
                planes.push(match input.datum_type() {
                    DatumType::U8 => Planes::Steps(&plain.as_slice::<u8>()?[part]),
                    _ => Planes::Values(&plain.as_slice::<f32>()?[part]),
                });
            }
            let ran = self.ready.run(&planes, buffers);
            ran.context("an island met with values of another kind")?;
            for (number, output) in outputs.iter_mut().enumerate() {
                let (is_steps, part) = (output.datum_type() == DatumType::U8, part(output.len()));
                let mut plain = output.try_as_plain_ram_mut()?;
                let planes = if is_steps {
                    PlanesMut::Steps(&mut plain.as_slice_mut::<u8>()?[part])
                } else {
                    PlanesMut::Values(&mut plain.as_slice_mut::<f32>()?[part])
                };
                let left = self.ready.leave(number, buffers, planes);
                left.context("an island has an output of another kind")?;
            }
        }
        Ok(outputs.into_iter().map(|output| output.into_tvalue()).collect())
    }
}

/// The buffers of an island in one session.
#[derive(Debug, Clone)]
struct IslandState(Buffers);

impl OpState for IslandState {
    fn eval(&mut self, _: &EvalContext, op: &dyn Op, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let island = op
            .downcast_ref::<Island>()
            .context("the state of an island at another operator")?;
        island.run(&inputs, &mut self.0)
    }

    fn reset_lanes(&mut self, _: &[LaneId]) -> TractResult<()> {
        // Nothing lasts from run to run but the memory itself.
        Ok(())
    }
}

impl EvalOp for Island {
    not_out_of_plan!();

    fn state(&self, _: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(IslandState(self.ready.buffers()))))
    }
}

impl TypedOp for Island {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut facts = TVec::new();
        while let Some((kind, [channels, rows, columns])) = self.ready.output(facts.len()) {
            facts.push(datum_type(kind).fact([self.batch, channels, rows, columns]));
        }
        Ok(facts)
    }

    as_op!();
}

impl PartialEq for Island {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ready, &other.ready)
    }
}

impl Eq for Island {}

impl Op for Island {
    fn name(&self) -> StaticName {
        ISLAND.into()
    }

    op_as_typed_op!();
}
