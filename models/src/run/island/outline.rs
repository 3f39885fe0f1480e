//! Which nodes of a graph make islands, and the graph with the islands in place of them.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::constants::Constants;
use super::operation::{Operation, read};

/// Type of the nodes that stand for islands, and of the attribute that holds one.
pub(super) const ISLAND: &str = "Island";

/// Puts islands in place of the nodes that they consist of; how many there are.
///
/// Nodes are on the same level when the same number of changes from readable nodes to others lie before them. Nodes of
/// one level that hang together make an island if one of them is a QLinearConv: no way out of an island leads back
/// into it, since on that way the level grows.
pub(super) fn outline(graph: &mut GraphProto) -> usize {
    let islands = find(graph);
    let mut inside = vec![false; graph.node.len()];
    islands.iter().flatten().for_each(|node| inside[*node] = true);
    let made: Vec<NodeProto> = islands
        .iter()
        .enumerate()
        .map(|(n, island)| cut(graph, island, n))
        .collect();
    let count = made.len();
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !inside[at - 1]
    });
    graph.node.extend(made);
    count
}

/// The nodes of each island, in the order of the graph.
fn find(graph: &GraphProto) -> Vec<Vec<usize>> {
    let constants = Constants::of(graph);
    let mut makers: HashMap<&str, usize> = HashMap::new();
    let mut readable = vec![false; graph.node.len()];
    let mut level = vec![0; graph.node.len()];
    // Each node's island so far, by its first node.
    let mut island: Vec<usize> = (0..graph.node.len()).collect();
    let mut worth = HashSet::new();
    for (n, node) in graph.node.iter().enumerate() {
        let operation = read(node, &constants);
        readable[n] = operation.is_some();
        let before: Vec<usize> = node
            .input
            .iter()
            .filter_map(|name| makers.get(name.as_str()).copied())
            .collect();
        level[n] = before
            .iter()
            .map(|b| level[*b] + usize::from(readable[*b] && !readable[n]))
            .max()
            .unwrap_or(0);
        for b in before {
            if readable[n] && readable[b] && level[b] == level[n] {
                let (one, other) = (island[b], island[n]);
                let first = one.min(other);
                island
                    .iter_mut()
                    .filter(|i| **i == one || **i == other)
                    .for_each(|i| *i = first);
            }
        }
        if matches!(operation, Some((Operation::Convolve(_), _))) {
            worth.insert(n);
        }
        makers.extend(node.output.iter().map(|name| (name.as_str(), n)));
    }
    let worth: HashSet<usize> = worth.into_iter().map(|n| island[n]).collect();
    let mut firsts: Vec<usize> = worth.into_iter().collect();
    firsts.sort_unstable();
    let members = |first: &usize| {
        (0..graph.node.len())
            .filter(|n| readable[*n] && island[*n] == *first)
            .collect()
    };
    firsts.iter().map(members).collect()
}

/// An island as a node whose attribute holds the nodes and their constants.
fn cut(graph: &GraphProto, island: &[usize], number: usize) -> NodeProto {
    let inside: Vec<&NodeProto> = island.iter().map(|n| &graph.node[*n]).collect();
    let made: HashSet<&str> = inside
        .iter()
        .flat_map(|node| node.output.iter().map(String::as_str))
        .collect();
    let read_inside: HashSet<&str> = inside
        .iter()
        .flat_map(|node| node.input.iter().map(String::as_str))
        .collect();
    let constants = Constants::of(graph);

    let mut input: Vec<String> = Vec::new();
    for name in inside.iter().flat_map(|node| &node.input) {
        let comes_from_outside =
            !name.is_empty() && !made.contains(name.as_str()) && constants.get(name).is_none();
        if comes_from_outside && !input.contains(name) {
            input.push(name.clone());
        }
    }
    let members: HashSet<usize> = island.iter().copied().collect();
    let outside = (0..graph.node.len())
        .filter(|n| !members.contains(n))
        .map(|n| &graph.node[n]);
    let read_outside: HashSet<&str> = outside
        .flat_map(|node| node.input.iter().map(String::as_str))
        .chain(graph.output.iter().map(|output| output.name.as_str()))
        .collect();
    let output = inside.iter().flat_map(|node| &node.output);
    let output: Vec<String> = output
        .filter(|name| read_outside.contains(name.as_str()))
        .cloned()
        .collect();

    let held = GraphProto {
        name: ISLAND.into(),
        node: inside.iter().map(|node| (*node).clone()).collect(),
        initializer: graph
            .initializer
            .iter()
            .filter(|tensor| read_inside.contains(tensor.name.as_str()))
            .cloned()
            .collect(),
        ..GraphProto::default()
    };
    NodeProto {
        name: format!("island{number}"),
        op_type: ISLAND.into(),
        input,
        output,
        attribute: vec![AttributeProto {
            name: ISLAND.into(),
            g: Some(held),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    }
}
