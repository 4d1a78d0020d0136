//! From a bounded view to table cells: byte 4-grams of three views, words of six.
//!
//! Invariants  1. a cell appears once in each list   2. the lists depend on the message only, never on the table
//!             3. the views are bounded: header, part and text octets below
//! Not here    what the cells weigh (model.rs)
//!
//! # Notes
//! Byte 4-grams need no idea of language, charset or spelling tricks. Splitting a message into views (who it is
//! between, how it travelled, its subject, the rest of its header, its text), judging each by itself and adding the
//! judgements made a quarter of the errors of one big bag of features: a view full of ham words can no longer
//! outvote the others by its mere length. Fields that carry only keys, signatures or the verdicts of other sites
//! are left out: they would fill the bounded view with noise, or let a sender write his own good marks.

use crate::table;
use crate::view::{Field, Kind, Message};

/// Octets of each header view looked at.
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

/// Views judged by their 4-grams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GramView {
    /// The header and the headers of parts.
    Header,
    /// The text, HTML with its markup.
    Text,
    /// The address fields alone.
    Address,
}

/// All of them, in the order of [`Features::grams`].
pub const GRAM_VIEWS: [GramView; 3] = [GramView::Header, GramView::Text, GramView::Address];

/// Views judged by their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordView {
    /// Received fields.
    Path,
    /// The subject.
    Subject,
    /// Who it is from and to, and message ids.
    Address,
    /// Pairs of words there.
    AddressPairs,
    /// The other fields and the headers of parts.
    Other,
    /// Text as the reader sees it.
    Visible,
}

/// All of them, in the order of [`Features::words`].
pub const WORD_VIEWS: [WordView; 6] =
    [WordView::Path, WordView::Subject, WordView::Address, WordView::AddressPairs, WordView::Other, WordView::Visible];

/// The cells of one message.
#[derive(Debug, Default, Clone)]
pub struct Features {
    /// Cells of each 4-gram region.
    pub grams: [Vec<u32>; GRAM_VIEWS.len()],
    /// Cells of the word counts, by view.
    pub words: [Vec<u32>; WORD_VIEWS.len()],
}

/// Turns messages into features; keeps its scratch memory between messages.
pub struct Extractor {
    seen: Seen,
}

/// Which cells were met already.
struct Seen {
    bits: Vec<u64>,
    mask: u32,
}

/// The bounded texts of one message that cells are made of.
struct Views {
    header: Vec<u8>,
    text: Vec<u8>,
    path: Vec<u8>,
    subject: Vec<u8>,
    address: Vec<u8>,
    other: Vec<u8>,
    visible: Vec<u8>,
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
        Extractor { seen: Seen::new(table::COUNT_BITS.max(table::GRAM_BITS)) }
    }
}

impl Extractor {
    /// The features of one message.
    pub fn features(&mut self, message: &Message<'_>) -> Features {
        let views = Views::of(message);
        let mut out = Features::default();
        for (view, cells) in GRAM_VIEWS.iter().zip(&mut out.grams) {
            let text = match view {
                GramView::Header => &views.header,
                GramView::Text => &views.text,
                GramView::Address => &views.address,
            };
            self.grams(text, cells);
        }
        for (view, cells) in WORD_VIEWS.iter().zip(&mut out.words) {
            let salt = *view as u32;
            match view {
                WordView::AddressPairs => self.pairs(views.words(*view), salt, cells),
                _ => self.each(views.words(*view), salt, cells, &mut |_, _| {}),
            }
            self.seen.clear(cells);
        }
        out
    }

    /// Calls `each` with view, cell and text of every single word, once a cell.
    pub fn each_word(&mut self, message: &Message<'_>, each: &mut dyn FnMut(WordView, u32, &[u8])) {
        let views = Views::of(message);
        for view in WORD_VIEWS.iter().filter(|v| **v != WordView::AddressPairs) {
            let mut cells = Vec::new();
            self.each(views.words(*view), *view as u32, &mut cells, &mut |cell, word| each(*view, cell, word));
            self.seen.clear(&cells);
        }
    }

    fn grams(&mut self, view: &[u8], out: &mut Vec<u32>) {
        out.reserve(view.len());
        let mut gram = 0u32;
        for (i, &b) in view.iter().enumerate() {
            gram = gram << 8 | u32::from(b);
            if i >= 3 {
                self.seen.add(mix(gram) >> (32 - table::GRAM_BITS), out);
            }
        }
        self.seen.clear(out);
    }

    fn each(&mut self, view: &[u8], salt: u32, out: &mut Vec<u32>, each: &mut dyn FnMut(u32, &[u8])) {
        for word in words(view) {
            let cell = hash(word, salt) >> (32 - table::COUNT_BITS);
            let before = out.len();
            self.seen.add(cell, out);
            if out.len() > before {
                each(cell, word);
            }
        }
    }

    /// Words with those one and two before them.
    fn pairs(&mut self, view: &[u8], salt: u32, out: &mut Vec<u32>) {
        let (mut last, mut before) = (0u32, 0u32);
        for word in words(view) {
            let hash = hash(word, salt);
            self.seen.add(hash >> (32 - table::COUNT_BITS), out);
            for (distance, other) in [(7, last), (14, before)] {
                if other != 0 {
                    let pair = hash.wrapping_mul(0x9E37_79B1).wrapping_add(other.rotate_left(distance));
                    self.seen.add(mix(pair) >> (32 - table::COUNT_BITS), out);
                }
            }
            (last, before) = (hash, last);
        }
    }
}

/// The words of a view, the long ones cut.
fn words(view: &[u8]) -> impl Iterator<Item = &[u8]> {
    view.split(|&c| !is_word(c)).filter(|w| !w.is_empty()).map(|w| w.get(..WORD_MAX).unwrap_or(w))
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

/// Which words view a field belongs to.
fn group(name: &[u8]) -> WordView {
    const ADDRESS: [&[u8]; 11] = [
        b"from",
        b"to",
        b"cc",
        b"reply-to",
        b"return-path",
        b"sender",
        b"message-id",
        b"delivered-to",
        b"errors-to",
        b"in-reply-to",
        b"references",
    ];
    match name {
        n if n.eq_ignore_ascii_case(b"received") => WordView::Path,
        n if n.eq_ignore_ascii_case(b"subject") => WordView::Subject,
        n if ADDRESS.iter().any(|a| n.eq_ignore_ascii_case(a)) => WordView::Address,
        _ => WordView::Other,
    }
}

impl Views {
    fn of(message: &Message<'_>) -> Views {
        let mut views = Views {
            header: Vec::with_capacity(HEADER_VIEW + PART_VIEW),
            text: Vec::with_capacity(TEXT_VIEW),
            path: Vec::new(),
            subject: Vec::new(),
            address: Vec::new(),
            other: Vec::new(),
            visible: Vec::with_capacity(TEXT_VIEW),
        };
        for field in message.fields.iter().filter(|f| !is_noise(f.name)) {
            put_field(&mut views.header, field);
            put_field(views.of_group(group(field.name)), field);
        }
        let parts = part_view(message);
        views.header.extend_from_slice(&parts);
        views.other.extend_from_slice(&parts);
        for part in &message.parts {
            let (text, visible) = match (&part.html, part.kind) {
                (Some(html), _) => (&html.lean, &html.visible),
                (None, Kind::Text) => (&part.content, &part.content),
                _ => continue,
            };
            put(&mut views.text, text, TEXT_VIEW);
            put(&mut views.visible, visible, TEXT_VIEW);
        }
        views
    }

    fn of_group(&mut self, group: WordView) -> &mut Vec<u8> {
        match group {
            WordView::Path => &mut self.path,
            WordView::Subject => &mut self.subject,
            WordView::Address | WordView::AddressPairs => &mut self.address,
            WordView::Other => &mut self.other,
            WordView::Visible => &mut self.visible,
        }
    }

    fn words(&self, view: WordView) -> &[u8] {
        match view {
            WordView::Path => &self.path,
            WordView::Subject => &self.subject,
            WordView::Address | WordView::AddressPairs => &self.address,
            WordView::Other => &self.other,
            WordView::Visible => &self.visible,
        }
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(out.len());
    out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

fn put_field(out: &mut Vec<u8>, field: &Field<'_>) {
    for piece in [field.name, b": ", &field.value, b"\n"] {
        put(out, piece, HEADER_VIEW);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn features(bytes: &[u8]) -> Features {
        Extractor::default().features(&Message::read(bytes))
    }

    #[test]
    fn cells_are_distinct_and_in_range() {
        let f = features(b"From: a@b\nSubject: aaaa aaaa aaaa\n\nviagra viagra viagra\n");
        let grams = f.grams.iter().map(|l| (l, table::GRAM_BITS));
        for (list, bits) in grams.chain(f.words.iter().map(|l| (l, table::COUNT_BITS))) {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
            assert!(list.iter().all(|&c| c >> bits == 0));
        }
    }

    #[test]
    fn views_do_not_share_words() {
        let f = features(b"Subject: word\n\nword\n");
        let [subject, visible] = [WordView::Subject, WordView::Visible].map(|v| &f.words[v as usize]);
        assert!(subject.iter().all(|c| !visible.contains(c)));
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
        assert_eq!(plain.grams[1], coded.grams[1]);
    }

    #[test]
    fn own_verdicts_are_not_seen() {
        let a = features(b"X-Spamcheck: ham score=0\nSubject: x\n\nhi\n");
        let b = features(b"Subject: x\n\nhi\n");
        assert_eq!(a.grams, b.grams);
    }
}
