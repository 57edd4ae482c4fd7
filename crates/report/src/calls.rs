//! Functions below those that lead to them, to any depth.

use std::collections::BTreeMap;

/// The number of a node; [`Calls::ROOT`] is the first.
pub(crate) type NodeId = usize;

/// A tree of calls in one list, so that neither filling nor dropping it goes as deep as the
/// stacks do.
#[derive(Debug)]
pub(crate) struct Calls<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug, Default)]
struct Node<T> {
    value: T,
    /// By the number of the function that is called.
    below: BTreeMap<usize, NodeId>,
}

impl<T: Default> Calls<T> {
    /// Above all calls; it stands for no function.
    pub(crate) const ROOT: NodeId = 0;

    pub(crate) fn new() -> Self {
        Calls {
            nodes: vec![Node::default()],
        }
    }

    /// The node of a function below a node, made when it is not there yet.
    pub(crate) fn below(&mut self, node: NodeId, function: usize) -> NodeId {
        let next = self.nodes.len();
        let id = *self.nodes[node].below.entry(function).or_insert(next);
        if id == next {
            self.nodes.push(Node::default());
        }
        id
    }

    /// Adds to all nodes of a path, the root too; the node at its end.
    pub(crate) fn add(
        &mut self,
        path: impl IntoIterator<Item = usize>,
        mut add: impl FnMut(&mut T),
    ) -> NodeId {
        let mut node = Self::ROOT;
        add(&mut self.nodes[node].value);
        for function in path {
            node = self.below(node, function);
            add(&mut self.nodes[node].value);
        }
        node
    }

    pub(crate) fn value(&self, node: NodeId) -> &T {
        &self.nodes[node].value
    }

    pub(crate) fn value_mut(&mut self, node: NodeId) -> &mut T {
        &mut self.nodes[node].value
    }

    /// What is called from a node, in the order of the functions' numbers.
    pub(crate) fn children(
        &self,
        node: NodeId,
    ) -> impl DoubleEndedIterator<Item = (usize, NodeId)> + '_ {
        let below = self.nodes[node].below.iter();
        below.map(|(&function, &node)| (function, node))
    }

    /// Visits the nodes below the root that `enter` lets in, parents first, each with the functions
    /// that lead to it, itself last.
    pub(crate) fn visit(&self, enter: impl Fn(&T) -> bool, mut visit: impl FnMut(&[usize], &T)) {
        let mut path: Vec<usize> = Vec::new();
        let mut open: Vec<(usize, usize, NodeId)> = Vec::new();
        let push = |open: &mut Vec<(usize, usize, NodeId)>, depth: usize, node: NodeId| {
            let children = self.children(node).rev();
            let entered = children.filter(|&(_, child)| enter(self.value(child)));
            open.extend(entered.map(|(function, child)| (depth, function, child)));
        };
        push(&mut open, 0, Self::ROOT);
        while let Some((depth, function, node)) = open.pop() {
            path.truncate(depth);
            path.push(function);
            visit(&path, self.value(node));
            push(&mut open, depth + 1, node);
        }
    }
}
