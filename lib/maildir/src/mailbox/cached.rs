//! The cache of an open mailbox: values by UID and field, collected and written in one go.
//!
//! Invariants  values belong to base names, so they survive new UIDs; a value is bytes that the caller checks again
//!             only for its own format version (give a changed format another field number)

use super::Mailbox;
use crate::cache::{self, Batch, Cache};

/// Octets of new values collected before they are written; they stay in the processor's cache until then.
const COLLECT: usize = 128 * 1024;
/// More values than so many times the messages: most may be of messages that are gone.
const VALUES: usize = 4;

/// The cache, opened on first use, and what is to be added.
#[derive(Default)]
pub(super) struct Cached {
    cache: Option<Cache>,
    new: Batch,
}

impl Mailbox {
    /// A cached value of a message.
    pub fn cached(&mut self, uid: u32, field: u16) -> Option<&[u8]> {
        let message = cache::message_key(self.index.get(uid)?.base);
        let dir = &self.place.index_dir;
        self.cached.cache.get_or_insert_with(|| Cache::open(dir)).get(message, field)
    }

    /// Gives a value to the cache; written when enough is collected, and by `release`. Values above
    /// `cache::VALUE_MAX` are not kept.
    pub fn cache(&mut self, uid: u32, field: u16, data: &[u8]) {
        let Some(record) = self.index.get(uid) else { return };
        self.cached.new.push(cache::message_key(record.base), field, data);
        if self.cached.new.len() > COLLECT {
            self.save_cache(false);
        }
    }

    /// Writes what was collected; where another process is writing just now it is dropped, being only a cache. The `last`
    /// time of a command leaves the file as the next session likes it.
    pub(super) fn save_cache(&mut self, last: bool) {
        if self.cached.new.is_empty() {
            return;
        }
        let dir = &self.place.index_dir;
        let cache = self.cached.cache.get_or_insert_with(|| Cache::open(dir));
        cache.add(&mut self.cached.new);
        if !cache.wants_table(last) {
            return;
        }
        if cache.len() / VALUES > self.index.meta().messages as usize {
            let live: std::collections::HashSet<u64> = self.index.iter().map(|r| cache::message_key(r.base)).collect();
            cache.rewrite(|message| live.contains(&message));
        } else {
            cache.write_table();
        }
    }

    /// Looks for values that others added (deliver, other sessions): after `refresh` reported new messages.
    pub fn refresh_cache(&mut self) {
        if let Some(cache) = &mut self.cached.cache {
            cache.refresh();
        }
    }
}
