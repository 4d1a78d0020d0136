//! A store that outlives this process: entries by a key, read at the start and saved now and then.
//!
//! Format      a line an entry: `key TAB fields`, escaped as in the protocol; the fields are the owner's
//! Invariants  1. saved at most once a minute, and only after a change   2. memory is bounded for who calls `make_room`
//! Failures    a file or line that cannot be read is no entry; one that cannot be written is a line in the log

use penny_base::log;
use penny_base::services::escape::{escape, split};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two savings.
const PAUSE: Duration = Duration::from_secs(60);

/// The store.
#[derive(Debug)]
pub struct Saved<E> {
    file: PathBuf,
    /// The entries.
    pub map: HashMap<String, E>,
    /// Something has changed that is worth saving.
    pub dirty: bool,
    saved: Instant,
}

impl<E> Saved<E> {
    /// Reads the file; `parse` makes an entry of the fields after the key.
    pub fn open(file: &Path, parse: impl Fn(&[String]) -> Option<E>) -> Saved<E> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let entry = |line: &str| {
            let fields = split(line);
            let (key, rest) = fields.split_first()?;
            Some((key.clone(), parse(rest)?))
        };
        let map = text.lines().filter_map(entry).collect();
        Saved { file: file.to_path_buf(), map, dirty: false, saved: Instant::now() }
    }

    /// Before a key goes in: where that would be more than `max` entries, drops those that are not `live`, and if that is
    /// too little, the half that comes first in `order`.
    pub fn make_room(&mut self, key: &str, max: usize, live: impl Fn(&E) -> bool, order: impl Fn(&E) -> u64) {
        if self.map.len() < max || self.map.contains_key(key) {
            return;
        }
        self.map.retain(|_, e| live(e));
        if self.map.len() >= max {
            let mut all: Vec<u64> = self.map.values().map(&order).collect();
            all.sort_unstable();
            let middle = all.get(all.len() / 2).copied().unwrap_or(0);
            self.map.retain(|_, e| order(e) > middle);
        }
    }

    /// Saves at most once a minute, or now when `force`; an entry of which `fields` makes nothing is left out.
    pub fn save(&mut self, force: bool, fields: impl Fn(&E) -> Option<String>) {
        if !self.dirty || (!force && self.saved.elapsed() < PAUSE) {
            return;
        }
        let line = |(key, e): (&String, &E)| Some(format!("{}\t{}\n", escape(key), fields(e)?));
        let text: String = self.map.iter().filter_map(line).collect();
        if let Err(e) = penny_sys::fs::replace_file(&self.file, text.as_bytes(), 0o600) {
            log::warning("save", None, &[("file", &self.file.display()), ("why", &e)]);
        }
        self.saved = Instant::now();
        self.dirty = false;
    }
}
