//! The REFERENCES algorithm.
//!
//! Standards   RFC 5256 4, steps 1 to 6
use super::Message;
use super::forest::Forest;
use std::collections::HashMap;

pub(super) fn build(messages: &[Message], merge_subjects: bool) -> Forest {
    let mut forest = link(messages);
    prune(&mut forest);
    if merge_subjects {
        let dates = oldest_dates(&forest, messages);
        forest.roots.sort_by_key(|&r| dates[r]); // (4)
        merge(&mut forest, messages);
        sort(&mut forest, messages);
    } else {
        sort(&mut forest, messages);
        by_newest(&mut forest, messages);
    }
    forest
}

/// (1) One node an id; references link them in order.
fn link(messages: &[Message]) -> Forest {
    let mut forest = Forest::default();
    let mut by_id: HashMap<&[u8], usize> = HashMap::new();
    for (index, message) in messages.iter().enumerate() {
        let node = own_node(&mut forest, &mut by_id, message, index);
        let mut previous: Option<usize> = None;
        for id in &message.references {
            let current = *by_id.entry(id).or_insert_with(|| forest.add(None));
            if let Some(p) = previous.filter(|_| forest.parent(current).is_none()) {
                forest.adopt(p, current);
            }
            previous = Some(current);
        }
        // (1.B.2) the last reference is the parent, whatever was guessed before
        if let Some(p) = previous.filter(|&p| forest.parent(node) != Some(p)) {
            // the guess goes even where the new link would make a loop
            forest.orphan(node);
            forest.adopt(p, node);
        }
    }
    // (2)
    forest.roots = (0..forest.len()).filter(|&n| forest.parent(n).is_none()).collect();
    forest
}

/// A second message with an id already taken gets a node of its own (RFC 5256 4 (1) "unique Message ID").
fn own_node<'a>(
    forest: &mut Forest,
    by_id: &mut HashMap<&'a [u8], usize>,
    message: &'a Message,
    index: usize,
) -> usize {
    let Some(id) = message.id.as_deref() else { return forest.add(Some(index)) };
    match by_id.get(id) {
        Some(&node) if forest.message(node).is_some() => forest.add(Some(index)),
        Some(&node) => {
            forest.set_message(node, index);
            node
        }
        None => {
            let node = forest.add(Some(index));
            by_id.insert(id, node);
            node
        }
    }
}

/// (3) Empty nodes go; their children move up, to the top only when there is one.
fn prune(forest: &mut Forest) {
    for node in forest.top_down().into_iter().rev() {
        let children = forest.take_children(node);
        let mut kept = Vec::with_capacity(children.len());
        for child in children {
            if forest.message(child).is_some() {
                kept.push(child);
            } else {
                kept.extend(forest.take_children(child));
            }
        }
        forest.set_children(node, kept);
    }
    let roots = std::mem::take(&mut forest.roots);
    for root in roots {
        match (forest.message(root), forest.children(root).len()) {
            (None, 0) => {}
            (None, 1) => {
                let only = forest.take_children(root);
                forest.roots.extend(only);
            }
            _ => forest.roots.push(root),
        }
    }
}

/// The date of each node: its message's, or its first child's.
fn oldest_dates(forest: &Forest, messages: &[Message]) -> Vec<(i64, u32)> {
    let mut dates = vec![(i64::MAX, u32::MAX); forest.len()];
    for node in forest.top_down().into_iter().rev() {
        dates[node] = match forest.message(node) {
            Some(m) => (messages[m].date, messages[m].number),
            None => forest.children(node).iter().map(|&c| dates[c]).min().unwrap_or((i64::MAX, u32::MAX)),
        };
    }
    dates
}

/// (5) Threads with the same base subject become one.
fn merge(forest: &mut Forest, messages: &[Message]) {
    let info = |forest: &Forest, node: usize| {
        let m = forest.message(node).or_else(|| forest.children(node).first().and_then(|&c| forest.message(c)));
        m.map(|m| (messages[m].subject.clone(), messages[m].is_reply)).unwrap_or_default()
    };
    let mut table: HashMap<String, usize> = HashMap::new();
    for &root in &forest.roots {
        let (subject, is_reply) = info(forest, root);
        if subject.is_empty() {
            continue;
        }
        match table.get(&subject) {
            None => {
                table.insert(subject, root);
            }
            Some(&old) => {
                let (old_dummy, dummy) = (forest.message(old).is_none(), forest.message(root).is_none());
                // (5.B.2) a dummy, or an original where the table holds a reply
                if !old_dummy && (dummy || info(forest, old).1 && !is_reply) {
                    table.insert(subject, root);
                }
            }
        }
    }
    let mut gone = vec![false; forest.len()];
    for root in forest.roots.clone() {
        let (subject, is_reply) = info(forest, root);
        let Some(&top) = table.get(&subject).filter(|&&t| !subject.is_empty() && t != root) else { continue };
        let (top_dummy, dummy) = (forest.message(top).is_none(), forest.message(root).is_none());
        if top_dummy && dummy {
            for child in forest.take_children(root) {
                forest.adopt(top, child);
            }
            gone[root] = true;
        } else if top_dummy || is_reply && !info(forest, top).1 {
            forest.adopt(top, root);
            gone[root] = true;
        } else {
            // both originals or both replies: siblings below a new dummy
            let parent = forest.add(None);
            gone.push(false);
            forest.adopt(parent, top);
            forest.adopt(parent, root);
            gone[root] = true;
            gone[top] = true;
            forest.roots.push(parent);
            table.insert(subject, parent);
        }
    }
    forest.roots.retain(|&r| !gone[r]);
}

/// (6) Brothers by date.
fn sort(forest: &mut Forest, messages: &[Message]) {
    let dates = oldest_dates(forest, messages);
    for node in forest.top_down() {
        let mut children = forest.take_children(node);
        children.sort_by_key(|&c| dates[c]);
        forest.set_children(node, children);
    }
    forest.roots.sort_by_key(|&r| dates[r]);
}

/// REFS: threads in the order of their newest message.
fn by_newest(forest: &mut Forest, messages: &[Message]) {
    let mut newest = vec![(i64::MIN, 0); forest.len()];
    for node in forest.top_down().into_iter().rev() {
        let own = forest.message(node).map_or((i64::MIN, 0), |m| (messages[m].date, messages[m].number));
        newest[node] = forest.children(node).iter().map(|&c| newest[c]).fold(own, Ord::max);
    }
    forest.roots.sort_by_key(|&r| newest[r]);
}
