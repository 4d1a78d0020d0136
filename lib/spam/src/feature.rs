//! From a bounded view to table cells: byte 4-grams, words with pairs, and plain words.
//!
//! Invariants  1. a cell appears once in each list   2. the lists depend on the message only, never on the table
//!             3. the views are bounded: header, part and text octets below
//! Not here    what the cells weigh (model.rs)
//!
//! # Notes
//! Byte 4-grams need no idea of language, charset or spelling tricks and travel best from one kind of mail to
//! another; words with pairs learn faster; plain word counts calm both down. Header fields that carry only keys,
//! signatures or the verdicts of other sites are left out: they would fill the bounded view with noise, or let a
//! sender write his own good marks.

use crate::table;
use crate::view::{Kind, Message};

/// Octets of header looked at.
const HEADER_VIEW: usize = 4000;
/// Octets of decoded text looked at.
const TEXT_VIEW: usize = 4000;
/// Octets of part headers and attachment heads.
const PART_VIEW: usize = 2000;
/// Octets of one part's header and of one attachment's content.
const PART_HEADER: usize = 400;
const PART_HEAD: usize = 24;
/// Octets of a word that count.
const WORD_MAX: usize = 40;

/// The cells of one message.
#[derive(Debug, Default, Clone)]
pub struct Features {
    /// Cells of the 4-gram region.
    pub grams: Vec<u32>,
    /// Cells of the region of words and pairs.
    pub words: Vec<u32>,
    /// Cells of the word-count region.
    pub counts: Vec<u32>,
}

/// Turns messages into features; keeps its scratch memory between messages.
pub struct Extractor {
    grams: Seen,
    words: Seen,
    counts: Seen,
}

/// Which cells were met already.
struct Seen {
    bits: Vec<u64>,
    mask: u32,
}

impl Seen {
    fn new(bits: u32) -> Seen {
        Seen { bits: vec![0; 1 << (bits - 6)], mask: (1 << bits) - 1 }
    }

    fn add(&mut self, hash: u32, out: &mut Vec<u32>) {
        let cell = hash & self.mask;
        // `bits` covers every value below the mask
        if let Some(word) = self.bits.get_mut((cell >> 6) as usize) {
            let bit = 1u64 << (cell & 63);
            if *word & bit == 0 {
                *word |= bit;
                out.push(cell);
            }
        }
    }

    fn clear(&mut self, cells: &[u32]) {
        for cell in cells {
            if let Some(word) = self.bits.get_mut((cell >> 6) as usize) {
                *word = 0;
            }
        }
    }
}

impl Default for Extractor {
    fn default() -> Self {
        Extractor {
            grams: Seen::new(table::GRAM_BITS),
            words: Seen::new(table::WORD_BITS),
            counts: Seen::new(table::COUNT_BITS),
        }
    }
}

impl Extractor {
    /// The features of one message.
    pub fn features(&mut self, message: &Message<'_>) -> Features {
        let mut out = Features {
            grams: Vec::with_capacity(4096),
            words: Vec::with_capacity(2048),
            counts: Vec::with_capacity(512),
        };
        let (header, parts, text) = (header_view(message), part_view(message), text_view(message));
        for view in [&header, &parts, &text] {
            self.grams(view, &mut out.grams);
        }
        for (view, salt) in [(&header, 1), (&parts, 1), (&text, 2)] {
            self.words(view, salt, &mut out);
        }
        self.grams.clear(&out.grams);
        self.words.clear(&out.words);
        self.counts.clear(&out.counts);
        out
    }

    /// Calls `each` with the cell and the text of every word, once a cell.
    pub fn each_word(&mut self, message: &Message<'_>, each: &mut dyn FnMut(u32, &[u8])) {
        let mut met = Vec::new();
        let (header, parts, text) = (header_view(message), part_view(message), text_view(message));
        for (view, salt) in [(&header, 1), (&parts, 1), (&text, 2)] {
            for word in view.split(|&c| !is_word(c)).filter(|w| !w.is_empty()) {
                let before = met.len();
                self.words.add(hash(word.get(..WORD_MAX).unwrap_or(word), salt), &mut met);
                if let Some(&cell) = met.get(before) {
                    each(cell, word);
                }
            }
        }
        self.words.clear(&met);
    }

    fn grams(&mut self, view: &[u8], out: &mut Vec<u32>) {
        let mut gram = 0u32;
        for (i, &b) in view.iter().enumerate() {
            gram = gram << 8 | u32::from(b);
            if i >= 3 {
                self.grams.add(mix(gram), out);
            }
        }
    }

    fn words(&mut self, view: &[u8], salt: u32, out: &mut Features) {
        let (mut last, mut before) = (0u32, 0u32);
        for word in view.split(|&c| !is_word(c)).filter(|w| !w.is_empty()) {
            let hash = hash(word.get(..WORD_MAX).unwrap_or(word), salt);
            self.words.add(hash, &mut out.words);
            self.counts.add(hash, &mut out.counts);
            for (distance, other) in [(7, last), (14, before)] {
                if other != 0 {
                    let pair = hash.wrapping_mul(0x9E37_79B1).wrapping_add(other.rotate_left(distance));
                    self.words.add(mix(pair), &mut out.words);
                }
            }
            (last, before) = (hash, last);
        }
    }
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c >= 128 || matches!(c, b'$' | b'\'' | b'-' | b'.' | b'@' | b'!' | b'_')
}

/// A bijective mixer, so that the low bits depend on all.
pub fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ h >> 16
}

/// FNV-1a, mixed.
pub fn hash(bytes: &[u8], salt: u32) -> u32 {
    mix(bytes.iter().fold(salt ^ 0x811c_9dc5, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193)))
}

/// Fields whose values are keys, signatures or other sites' verdicts.
fn is_noise(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 6] =
        [b"arc-", b"dkim-signature", b"authentication-results", b"x-google-dkim", b"x-ms-exchange-", b"domainkey-sig"];
    PREFIXES.iter().any(|p| name.len() >= p.len() && name.get(..p.len()).is_some_and(|n| n.eq_ignore_ascii_case(p)))
}

fn header_view(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_VIEW + 256);
    for field in message.fields.iter().filter(|f| !is_noise(f.name)) {
        let room = HEADER_VIEW.saturating_sub(out.len());
        if room == 0 {
            break;
        }
        out.extend_from_slice(field.name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value.get(..room).unwrap_or(&field.value));
        out.push(b'\n');
    }
    out.truncate(HEADER_VIEW);
    out
}

fn part_view(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in &message.parts {
        out.extend_from_slice(part.header.get(..PART_HEADER).unwrap_or(part.header));
        if part.kind == Kind::Attachment {
            out.extend_from_slice(part.content.get(..PART_HEAD).unwrap_or(&part.content));
        }
        out.push(b'\n');
        if out.len() > PART_VIEW {
            break;
        }
    }
    out
}

fn text_view(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(TEXT_VIEW);
    for part in message.parts.iter().filter(|p| p.kind != Kind::Attachment) {
        let room = TEXT_VIEW - out.len();
        out.extend_from_slice(part.content.get(..room).unwrap_or(&part.content));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(bytes: &[u8]) -> Features {
        Extractor::default().features(&Message::read(bytes))
    }

    #[test]
    fn cells_are_distinct_and_in_range() {
        let f = features(b"Subject: aaaa aaaa aaaa\n\nviagra viagra viagra\n");
        for (list, bits) in [(&f.grams, table::GRAM_BITS), (&f.words, table::WORD_BITS), (&f.counts, table::COUNT_BITS)]
        {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
            assert!(list.iter().all(|&c| c >> bits == 0));
        }
    }

    #[test]
    fn scratch_memory_does_not_leak_into_the_next_message() {
        let mut e = Extractor::default();
        let m = Message::read(b"Subject: one two three\n\nfour five\n");
        let first = e.features(&m);
        assert_eq!(first.grams, e.features(&m).grams);
        assert_eq!(first.words, e.features(&m).words);
    }

    #[test]
    fn encoding_does_not_change_the_text_seen() {
        let plain = features(b"Content-Type: text/plain\n\nCheap pills here\n");
        let coded =
            features(b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nQ2hlYXAgcGlsbHMgaGVyZQo=\n");
        assert!(plain.grams.iter().all(|g| coded.grams.contains(g)));
    }

    #[test]
    fn own_verdicts_are_not_seen() {
        let a = features(b"X-Spamcheck: ham score=0\nSubject: x\n\nhi\n");
        let b = features(b"Subject: x\n\nhi\n");
        assert_eq!(a.grams, b.grams);
    }
}
