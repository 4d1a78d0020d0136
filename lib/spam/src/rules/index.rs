//! Finding many phrases in one pass: an index by first word, built by the compiler.
//!
//! Invariants  1. a phrase is found only as whole words   2. each phrase is reported once   3. work per word of text is one
//!             hash and the few phrases that share its bucket

/// Buckets of the index, a power of two.
const BUCKETS: usize = 1024;

/// Where one phrase stands: its source, and its place in that source.
#[derive(Clone, Copy)]
struct Slot {
    source: u8,
    length: u8,
    at: u16,
}

/// An index over `N` phrases in sources of the form `one|two words|three`.
pub struct Index<const N: usize> {
    heads: [u16; BUCKETS + 1],
    slots: [Slot; N],
}

/// A phrase found: number of its source, and its text.
pub type Found = (usize, &'static str);

const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

const fn bucket(hash: u32) -> usize {
    (hash ^ hash >> 15) as usize % BUCKETS
}

const SEED: u32 = 0x811c_9dc5;

/// How many phrases the sources hold.
pub const fn count(sources: &[&str]) -> usize {
    let (mut n, mut s) = (0, 0);
    while s < sources.len() {
        let bytes = sources[s].as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            n += (bytes[i] == b'|') as usize;
            i += 1;
        }
        n += 1;
        s += 1;
    }
    n
}

/// One phrase while building: its slot and the bucket of its first word, from `at` on.
const fn phrase(bytes: &[u8], source: usize, at: usize) -> (Slot, usize) {
    let (mut end, mut hash, mut first) = (at, SEED, true);
    while end < bytes.len() && bytes[end] != b'|' {
        first = first && bytes[end] != b' ';
        if first {
            hash = step(hash, bytes[end]);
        }
        end += 1;
    }
    (Slot { source: source as u8, length: (end - at) as u8, at: at as u16 }, bucket(hash))
}

impl<const N: usize> Index<N> {
    /// Builds the index; runs in the compiler, where an index out of range is an error of the build.
    pub const fn new(sources: &[&str]) -> Index<N> {
        let mut index = Index { heads: [0; BUCKETS + 1], slots: [Slot { source: 0, length: 0, at: 0 }; N] };
        let mut ends = [0u16; BUCKETS + 1];
        let mut pass = 0;
        while pass < 2 {
            let mut s = 0;
            while s < sources.len() {
                let bytes = sources[s].as_bytes();
                let mut at = 0;
                while at < bytes.len() {
                    let (slot, bucket) = phrase(bytes, s, at);
                    if pass == 1 {
                        index.slots[ends[bucket] as usize] = slot;
                    }
                    ends[bucket] += 1;
                    at += slot.length as usize + 1;
                }
                s += 1;
            }
            if pass == 0 {
                let (mut b, mut sum) = (0, 0);
                while b <= BUCKETS {
                    index.heads[b] = sum;
                    sum += ends[b];
                    ends[b] = index.heads[b];
                    b += 1;
                }
            }
            pass += 1;
        }
        index
    }

    /// Every phrase of a folded text, each once.
    pub fn find(&self, sources: &[&'static str], text: &str) -> Vec<Found> {
        let mut out: Vec<Found> = Vec::new();
        let bytes = text.as_bytes();
        let (mut start, mut hash) = (0, SEED);
        for (i, &c) in bytes.iter().enumerate() {
            if c != b' ' {
                hash = step(hash, c);
                continue;
            }
            if i > start {
                self.at_word(sources, bytes.get(start..).unwrap_or(b""), hash, &mut out);
            }
            (start, hash) = (i + 1, SEED);
        }
        out
    }

    fn at_word(&self, sources: &[&'static str], rest: &[u8], hash: u32, out: &mut Vec<Found>) {
        let b = bucket(hash);
        let (from, to) = (self.heads.get(b), self.heads.get(b + 1));
        let range = usize::from(*from.unwrap_or(&0))..usize::from(*to.unwrap_or(&0));
        for slot in self.slots.get(range).unwrap_or(&[]) {
            let (at, source) = (usize::from(slot.at), usize::from(slot.source));
            let phrase = sources.get(source).and_then(|s| s.get(at..at + usize::from(slot.length))).unwrap_or("");
            let here = rest.starts_with(phrase.as_bytes()) && rest.get(phrase.len()) == Some(&b' ');
            if here && !phrase.is_empty() && !out.contains(&(source, phrase)) {
                out.push((source, phrase));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: [&str; 2] = ["your account|your|pay now", "your bill|now"];
    static INDEX: Index<{ count(&SOURCES) }> = Index::new(&SOURCES);

    #[test]
    fn whole_words_each_once() {
        let found = INDEX.find(&SOURCES, " pay now your accounts your your bill ");
        let mut names: Vec<_> = found.iter().map(|f| f.1).collect();
        names.sort_unstable();
        assert_eq!(names, ["now", "pay now", "your", "your bill"]);
        assert!(INDEX.find(&SOURCES, "").is_empty() && INDEX.find(&SOURCES, "   ").is_empty());
    }

    #[test]
    fn every_phrase_of_the_real_lists_is_found() {
        for (n, theme) in super::super::phrases::THEMES.iter().enumerate() {
            for phrase in theme.phrases.split('|') {
                let found = super::super::content::INDEX.find(&super::super::content::SOURCES, &format!(" {phrase} "));
                assert!(found.contains(&(n, phrase)), "{phrase}");
            }
        }
    }
}
