//! Trees of messages in a flat list.
//!
//! Invariants  1. a node has at most one parent; `adopt` never makes a cycle   2. nothing here recurses
use super::Message;

/// How far up `adopt` looks for a cycle; deeper chains than this are not linked further.
const ANCESTORS_MAX: usize = 1000;

#[derive(Clone, Debug, Default)]
struct Node {
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// All nodes; some hold no message.
#[derive(Clone, Debug, Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    /// The tops, in the order to show them.
    pub roots: Vec<usize>,
}

impl Forest {
    pub fn add(&mut self, message: Option<usize>) -> usize {
        self.nodes.push(Node { message, ..Node::default() });
        self.nodes.len() - 1
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn message(&self, node: usize) -> Option<usize> {
        self.nodes[node].message
    }

    pub fn set_message(&mut self, node: usize, message: usize) {
        self.nodes[node].message = Some(message);
    }

    pub fn parent(&self, node: usize) -> Option<usize> {
        self.nodes[node].parent
    }

    pub fn children(&self, node: usize) -> &[usize] {
        &self.nodes[node].children
    }

    pub fn take_children(&mut self, node: usize) -> Vec<usize> {
        let children = std::mem::take(&mut self.nodes[node].children);
        for &c in &children {
            self.nodes[c].parent = None;
        }
        children
    }

    /// Makes `child` a child of `parent` unless that would make a cycle; tells whether it did.
    pub fn adopt(&mut self, parent: usize, child: usize) -> bool {
        let mut at = Some(parent);
        for _ in 0..ANCESTORS_MAX {
            match at {
                None => {
                    self.nodes[child].parent = Some(parent);
                    self.nodes[parent].children.push(child);
                    return true;
                }
                Some(n) if n == child => return false,
                Some(n) => at = self.nodes[n].parent,
            }
        }
        false
    }

    /// Takes a node away from its parent.
    pub fn orphan(&mut self, node: usize) {
        if let Some(parent) = self.nodes[node].parent.take() {
            self.nodes[parent].children.retain(|&c| c != node);
        }
    }

    /// Replaces the children of a node, keeping parents right.
    pub fn set_children(&mut self, node: usize, children: Vec<usize>) {
        for &c in &children {
            self.nodes[c].parent = Some(node);
        }
        self.nodes[node].children = children;
    }

    /// All nodes below the roots, parents before children.
    pub fn top_down(&self) -> Vec<usize> {
        let mut order = self.roots.clone();
        let mut at = 0;
        while at < order.len() {
            order.extend_from_slice(&self.nodes[order[at]].children);
            at += 1;
        }
        order
    }

    /// `(1 2 (3)(4 5))(6)`
    pub fn write(&self, out: &mut Vec<u8>, messages: &[Message]) {
        enum Step {
            Node(usize),
            Open(usize),
            Close,
        }
        let mut stack: Vec<Step> = self.roots.iter().rev().map(|&r| Step::Open(r)).collect();
        while let Some(step) = stack.pop() {
            match step {
                Step::Close => out.push(b')'),
                Step::Open(node) => {
                    out.push(b'(');
                    stack.push(Step::Close);
                    stack.push(Step::Node(node));
                }
                Step::Node(node) => {
                    let children = &self.nodes[node].children;
                    if let Some(m) = self.nodes[node].message {
                        out.extend_from_slice(messages[m].number.to_string().as_bytes());
                        if !children.is_empty() {
                            out.push(b' ');
                        }
                    }
                    match children.as_slice() {
                        [one] => stack.push(Step::Node(*one)),
                        many => stack.extend(many.iter().rev().map(|&c| Step::Open(c))),
                    }
                }
            }
        }
    }
}
