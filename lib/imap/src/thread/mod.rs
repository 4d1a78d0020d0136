//! THREAD.
//!
//! Standards   RFC 5256 4: ORDEREDSUBJECT, REFERENCES; REFS as in draft-ietf-morg-inthread (no merging by subject, newest thread last)
//! Invariants  no recursion: threads may be as deep as there are messages
mod forest;
mod references;

use crate::command::search::ThreadAlgorithm;
use forest::Forest;

/// What threading needs of a message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The number to show (sequence number or UID).
    pub number: u32,
    /// Its Message-ID.
    pub id: Option<Vec<u8>>,
    /// Its References, or the first id of In-Reply-To.
    pub references: Vec<Vec<u8>>,
    /// The base subject.
    pub subject: String,
    /// It is a reply or forward by its subject.
    pub is_reply: bool,
    /// The sent date.
    pub date: i64,
}

impl Message {
    /// Reads what is needed from a header.
    pub fn read(number: u32, header: &[u8], internal_date: i64) -> Self {
        use penny_mime::{find_field, msgid};
        let ids = |name| find_field(header, name).map(|f| msgid::parse_ids(f.value)).unwrap_or_default();
        let mut references = ids("References");
        if references.is_empty() {
            references = ids("In-Reply-To").into_iter().take(1).collect();
        }
        let (subject, is_reply) = crate::sort::subject(header);
        let id = ids("Message-ID").into_iter().next();
        Message { number, id, references, subject, is_reply, date: crate::sort::sent_date(header, internal_date) }
    }
}

/// Appends the threads of messages given in mailbox order.
pub fn thread(out: &mut Vec<u8>, algorithm: ThreadAlgorithm, messages: &[Message]) {
    let forest = match algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(messages),
        ThreadAlgorithm::References => references::build(messages, true),
        ThreadAlgorithm::Refs => references::build(messages, false),
    };
    forest.write(out, messages);
}

/// RFC 5256 4 ORDEREDSUBJECT: by subject, in each the oldest message is the parent of all others.
fn ordered_subject(messages: &[Message]) -> Forest {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by(|&a, &b| {
        messages[a].subject.cmp(&messages[b].subject).then(messages[a].date.cmp(&messages[b].date)).then(a.cmp(&b))
    });
    let mut forest = Forest::default();
    let mut roots: Vec<usize> = Vec::new();
    for group in order.chunk_by(|&a, &b| messages[a].subject == messages[b].subject) {
        let root = forest.add(Some(group[0]));
        roots.push(root);
        for &m in &group[1..] {
            let child = forest.add(Some(m));
            forest.adopt(root, child);
        }
    }
    roots.sort_by_key(|&r| forest.message(r).map(|m| (messages[m].date, m)));
    forest.roots = roots;
    forest
}

#[cfg(test)]
mod tests;
