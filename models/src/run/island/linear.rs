//! Fully connected layers: a MatMulInteger with the Cast, Mul, Add and Relu behind it as one operator, and what makes
//! steps of reals before it. Any number of rows, any rank; or the layers of several members of an ensemble at once, each
//! with weights of its own.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::model::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use super::constants::{Constants, only};
use super::operation::{integer, quantization};
use quantized::layout::SLACK;
use quantized::product::Products;
use quantized::tile::IntegerKernel;
use quantized::{Quantization, QuantizedProduct, pointwise};

/// Types of the nodes that stand for them.
pub(super) const LINEAR: &str = "SialoscopeLinear";
pub(super) const STEPS: &str = "SialoscopeSteps";

/// Teaches tract's parser what they are.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(LINEAR, |_, node| parse(node));
    onnx.op_register.insert(STEPS, |_, node| parse(node));
}

/// Whether an operator of tract is a fully connected layer of ours.
pub(in crate::run) fn is_layer(op: &dyn TypedOp) -> bool {
    matches!(op.downcast_ref::<Rowwise>(), Some(Rowwise::Linear(_)))
}

/// Puts them in place of the nodes that they do the work of; says how many.
pub(super) fn replace(graph: &mut GraphProto) -> usize {
    let constants = Constants::of(graph);
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (n, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            readers.entry(name).or_default().push(n);
        }
    }
    let leaves = |name: &str| graph.output.iter().any(|output| output.name == name);
    // The only reader of a value that nobody else needs.
    let next = |name: &str, op_type: &str| match readers.get(name).map(Vec::as_slice) {
        Some(&[n]) if !leaves(name) && graph.node[n].op_type == op_type => Some(n),
        _ => None,
    };
    let mut instead: Vec<(Vec<usize>, NodeProto)> = Vec::new();
    for n in 0..graph.node.len() {
        let node = &graph.node[n];
        if !matches!(node.domain.as_str(), "" | "ai.onnx") || node.output.len() != 1 {
            continue;
        }
        let mut chain = vec![n];
        let op_type = match node.op_type.as_str() {
            "MatMulInteger" => {
                let mut last = n;
                for wanted in ["Cast", "Mul", "Add", "Relu"] {
                    let Some(found) = next(&graph.node[last].output[0], wanted) else {
                        break;
                    };
                    if graph.node[found].output.len() != 1 {
                        break;
                    }
                    chain.push(found);
                    last = found;
                }
                LINEAR
            }
            "QuantizeLinear" => STEPS,
            _ => continue,
        };
        let nodes: Vec<NodeProto> = chain.iter().map(|n| graph.node[*n].clone()).collect();
        let read = match op_type {
            LINEAR => layer(&nodes, &constants).is_some(),
            _ => quantization(node, [1, 2], &constants).is_some(),
        };
        if read && constants.get(&node.input[0]).is_none() {
            instead.push((chain, stand_in(op_type, nodes, graph)));
        }
    }
    let count = instead.len();
    let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
    for (chain, node) in instead {
        for n in &chain {
            nodes[*n] = None;
        }
        // Where the last one was: by then everything that it reads is made.
        if let Some(last) = chain.last() {
            nodes[*last] = Some(node);
        }
    }
    graph.node.extend(nodes.into_iter().flatten());
    count
}

/// A node whose attribute holds the nodes that it stands for, and their constants.
fn stand_in(op_type: &str, nodes: Vec<NodeProto>, graph: &GraphProto) -> NodeProto {
    let first_input = nodes[0].input[0].clone();
    let last = &nodes[nodes.len() - 1];
    let (name, output) = (last.name.clone(), last.output.clone());
    let is_read = |name: &str| {
        nodes
            .iter()
            .any(|node| node.input.iter().any(|input| input == name))
    };
    let initializer = graph.initializer.iter().filter(|tensor| is_read(&tensor.name));
    let held = GraphProto {
        initializer: initializer.cloned().collect(),
        node: nodes.clone(),
        ..GraphProto::default()
    };
    NodeProto {
        name,
        op_type: op_type.into(),
        input: vec![first_input],
        output,
        attribute: vec![AttributeProto {
            name: op_type.into(),
            g: Some(held),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    }
}

/// What a MatMulInteger and its followers do together.
struct Layer {
    /// The weights have an axis for members, even if there is one only.
    has_members: bool,
    members: Vec<QuantizedProduct>,
}

/// None for what is not the whole of Cast, Mul and Add.
fn layer(nodes: &[NodeProto], constants: &Constants) -> Option<Layer> {
    let [sums, cast, scaled, shifted, rest @ ..] = nodes else {
        return None;
    };
    let input = |node: &NodeProto, n: usize| node.input.get(n).filter(|name| !name.is_empty()).cloned();
    let weights = input(sums, 1)?;
    let (has_members, count, depth, columns) = match constants.shape(&weights)?[..] {
        [depth, columns] => (false, 1, depth, columns),
        [count, depth, columns] => (true, count, depth, columns),
        _ => return None,
    };
    let weights = constants.i8s(&weights)?;
    let zero_point = match input(sums, 2) {
        Some(name) => only(constants.u8s(&name)?)?,
        None => 0,
    };
    if let Some(name) = input(sums, 3)
        && constants.i8s(&name)?.iter().any(|zero_point| *zero_point != 0)
    {
        return None;
    }
    if integer(cast, "to", 0) != i64::from(DataType::Float as i32) || weights.is_empty() {
        return None;
    }
    // Mul and Add take their two inputs in either order.
    let other = |node: &NodeProto, made: &str| match &node.input[..] {
        [one, two] if one == made => Some(two.clone()),
        [one, two] if two == made => Some(one.clone()),
        _ => None,
    };
    // Numbers for each column of each member, from one for all, one for each column, or all of them.
    let column_wise = |name: &str| -> Option<Vec<Vec<f32>>> {
        let numbers = constants.floats(name)?;
        let all = match (&constants.shape(name)?[..], &numbers[..]) {
            ([] | [1], [one]) => vec![vec![*one; columns]; count],
            ([length], _) if *length == columns => vec![numbers; count],
            ([members, 1, length], _) if has_members && (*members, *length) == (count, columns) => {
                numbers.chunks_exact(columns).map(<[f32]>::to_vec).collect()
            }
            _ => return None,
        };
        Some(all)
    };
    let factors = column_wise(&other(scaled, &cast.output[0])?)?;
    let biases = column_wise(&other(shifted, &scaled.output[0])?)?;
    let size = depth.checked_mul(columns)?;
    let members: Vec<QuantizedProduct> = weights
        .chunks_exact(size)
        .zip(factors.into_iter().zip(biases))
        .map(|(weights, (factor, bias))| QuantizedProduct {
            depth,
            columns,
            weights: weights.to_vec(),
            zero_point,
            factor,
            bias,
            relu: !rest.is_empty(),
        })
        .collect();
    let sound = members.len() == count && members.iter().all(QuantizedProduct::is_sound);
    sound.then_some(Layer { has_members, members })
}

fn parse(node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let held = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == node.op_type);
    let held = held
        .and_then(|attribute| attribute.g.as_ref())
        .context("it holds a graph")?;
    let constants = Constants::of(held);
    let op = if node.op_type == LINEAR {
        let layer = layer(&held.node, &constants).context("no layer")?;
        let packed = layer
            .members
            .iter()
            .map(|member| Products::new(member, IntegerKernel::best()));
        let members: Option<Vec<Products>> = packed.collect();
        Rowwise::Linear(Arc::new(Packed {
            has_members: layer.has_members,
            members: members.context("no sound product")?,
        }))
    } else {
        let node = held.node.first().context("a node")?;
        Rowwise::Steps(quantization(node, [1, 2], &constants).context("no quantization")?)
    };
    Ok((expand(op), vec![]))
}

/// A layer, ready to run.
#[derive(Debug)]
struct Packed {
    has_members: bool,
    /// At least one.
    members: Vec<Products>,
}

impl Packed {
    /// The shape of the output, and how many members the input has rows for. None where the input has another shape.
    fn shape(&self, input: &[TDim]) -> Option<(TVec<TDim>, usize)> {
        let [depth, columns] = self.members.first()?.widths();
        let (last, before) = input.split_last()?;
        if *last != depth.to_dim() {
            return None;
        }
        let mut shape: TVec<TDim> = before.into();
        let mut given = 1;
        if self.has_members {
            // As broadcasting has it: rows for all members, or the same rows for each.
            let all = self.members.len().to_dim();
            match before {
                [_] => shape.insert(0, all),
                [members, _] if *members == all => given = self.members.len(),
                [one, _] if *one == 1.to_dim() => shape[0] = all,
                _ => return None,
            }
        }
        shape.push(columns.to_dim());
        Some((shape, given))
    }

    fn run(&self, steps: &[u8], given: usize, out: &mut [f32]) {
        let mut rows = Vec::with_capacity(steps.len() + SLACK);
        rows.extend_from_slice(steps);
        rows.resize(steps.len() + SLACK, 0);
        let (part, made) = (steps.len() / given, out.len() / self.members.len());
        for (n, member) in self.members.iter().enumerate() {
            let from = if given == 1 { 0 } else { n * part };
            member.run(&rows[from..], &mut out[n * made..(n + 1) * made]);
        }
    }
}

/// What is done to every row alike.
#[derive(Debug, Clone)]
enum Rowwise {
    /// Steps → reals.
    Linear(Arc<Packed>),
    /// Reals → steps.
    Steps(Quantization),
}

impl Rowwise {
    fn kinds(&self) -> [DatumType; 2] {
        match self {
            Rowwise::Linear(_) => [DatumType::U8, DatumType::F32],
            Rowwise::Steps(_) => [DatumType::F32, DatumType::U8],
        }
    }

    /// As [`Packed::shape`].
    fn shape(&self, input: &[TDim]) -> TractResult<(TVec<TDim>, usize)> {
        match self {
            Rowwise::Linear(packed) => packed.shape(input).context("rows of another length or number"),
            Rowwise::Steps(_) => Ok((input.into(), 1)),
        }
    }
}

impl PartialEq for Rowwise {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Rowwise::Linear(one), Rowwise::Linear(other)) => Arc::ptr_eq(one, other),
            (Rowwise::Steps(one), Rowwise::Steps(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Rowwise {}

impl Expansion for Rowwise {
    fn name(&self) -> StaticName {
        Op::name(self)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        let [from, to] = self.kinds();
        s.equals(&inputs[0].datum_type, from)?;
        s.equals(&outputs[0].datum_type, to)?;
        s.given(&inputs[0].shape, move |s, shape| {
            s.equals(&outputs[0].shape, self.shape(&shape)?.0)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Rowwise {
    fn name(&self) -> StaticName {
        match self {
            Rowwise::Linear(_) => LINEAR.into(),
            Rowwise::Steps(_) => STEPS.into(),
        }
    }

    op_as_typed_op!();
}

impl EvalOp for Rowwise {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let dims: TVec<TDim> = input.shape().iter().map(|length| length.to_dim()).collect();
        let (shape, given) = self.shape(&dims)?;
        let shape: TractResult<TVec<usize>> = shape.iter().map(|length| Ok(length.to_usize()?)).collect();
        let mut output = Tensor::zero_dt(self.kinds()[1], &shape?)?;
        let plain = input.try_as_plain_ram()?;
        {
            let mut out = output.try_as_plain_ram_mut()?;
            match self {
                Rowwise::Linear(packed) => {
                    packed.run(plain.as_slice::<u8>()?, given, out.as_slice_mut::<f32>()?);
                }
                Rowwise::Steps(quantization) => {
                    pointwise::quantize(plain.as_slice::<f32>()?, out.as_slice_mut::<u8>()?, *quantization);
                }
            }
        }
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Rowwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (shape, _) = self.shape(&inputs[0].shape.to_tvec())?;
        Ok(tvec!(self.kinds()[1].fact(shape)))
    }

    as_op!();
}
