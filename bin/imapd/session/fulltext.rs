//! The optional full-text index at work: asked by SEARCH, made while the client says nothing.
//!
//! Invariants  1. a search finds the same with it and without   2. a client that speaks is answered within one message's work
use super::Session;
use super::loaded::read_message;
use super::selected::Selected;
use penny_imap::render::View;
use penny_imap::search::texts;
use penny_maildir::fulltext::{Collector, Fulltext};
use penny_maildir::mailbox::Mailbox;

/// Octets of signatures written at once.
const BATCH: usize = 256 * 1024;

/// The index of the selected mailbox.
pub struct Index {
    pub file: Fulltext,
    /// A search has read bodies: what the index does not know is to be added.
    wanted: bool,
}

impl Index {
    pub fn of(mailbox: &Mailbox) -> Index {
        Index { file: Fulltext::new(mailbox.index_dir(), mailbox.status().uidvalidity), wanted: false }
    }

    /// A search that looks into bodies begins.
    pub fn begin_search(&mut self) {
        self.file.refresh();
        self.wanted = true;
    }
}

impl Session {
    /// Whether an index is kept of a mailbox: of one's own, where it is asked for.
    pub(super) fn with_index(&self, mut selected: Selected) -> Selected {
        if self.config.imapd.fulltext && selected.place.is_own() {
            selected.index = Some(Index::of(&selected.mailbox));
        }
        selected
    }

    /// Adds messages to the index until all are in it or the client speaks. The answers have been written.
    pub(super) fn build_index(&mut self) {
        let Some(selected) = &mut self.selected else { return };
        let Some(mut index) = selected.index.take_if(|index| index.wanted) else { return };
        index.wanted = false;
        index.file.refresh();
        index.file.prune(selected.seq.len());
        let missing: Vec<u32> = selected.seq.iter().filter(|&uid| !index.file.knows(uid)).collect();
        if !missing.is_empty() {
            index.wanted = !add(&mut selected.mailbox, &mut index.file, &missing, &mut || self.conn.has_input());
        }
        selected.index = Some(index);
    }
}

/// False when there is more to do.
fn add(mailbox: &mut Mailbox, file: &mut Fulltext, uids: &[u32], interrupted: &mut dyn FnMut() -> bool) -> bool {
    let mut collector = Collector::default();
    let (mut batch, mut octets) = (Vec::new(), 0);
    for &uid in uids {
        if interrupted() {
            file.add(&batch);
            return false;
        }
        let (Some(name), Ok(bytes)) = (mailbox.base_name(uid), read_message(mailbox, uid)) else { continue };
        texts(&View::new(&bytes), &mut |text| collector.add(text));
        let signature = collector.finish();
        octets += signature.len();
        batch.push((uid, name, signature));
        if octets >= BATCH {
            if !file.add(&batch) {
                // somebody else is at it, or the disk is full: the next search asks again
                return true;
            }
            (batch, octets) = (Vec::new(), 0);
        }
    }
    file.add(&batch);
    true
}
