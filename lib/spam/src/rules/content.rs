//! Rules about the words of the message.

use super::phrases::{THEMES, Theme};
use super::{Facts, Hit, has_words};

/// Octets of text that phrase rules read.
const PHRASE_TEXT: usize = 6000;

/// Runs them.
pub fn check(f: &mut Facts<'_, '_>) {
    themes(f);
    disguise(f);
    conversation(f);
}

/// One slot of the index: a theme and one of its phrases.
type Slot = (u8, &'static str);

/// Phrases by a hash of their first word; chains are short.
struct Index {
    buckets: Vec<Vec<Slot>>,
}

const BUCKETS: usize = 1024;

fn bucket(word: &[u8]) -> usize {
    word.iter().fold(0x811c_9dc5u32, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193)) as usize % BUCKETS
}

impl Index {
    fn new(themes: &'static [Theme]) -> Index {
        let mut buckets = vec![Vec::new(); BUCKETS];
        for (n, theme) in themes.iter().enumerate() {
            for phrase in theme.phrases.split('|') {
                let first = phrase.split(' ').next().unwrap_or("");
                if let Some(b) = buckets.get_mut(bucket(first.as_bytes())) {
                    b.push((n as u8, phrase));
                }
            }
        }
        Index { buckets }
    }

    /// Every phrase of a folded text, each once.
    fn find(&self, text: &str) -> Vec<Slot> {
        let mut out: Vec<Slot> = Vec::new();
        let bytes = text.as_bytes();
        let starts = bytes.iter().enumerate().filter(|(_, c)| **c == b' ').map(|(i, _)| i + 1);
        for at in starts {
            let rest = bytes.get(at..).unwrap_or(b"");
            let word = rest.split(|&c| c == b' ').next().unwrap_or(b"");
            for slot in self.buckets.get(bucket(word)).into_iter().flatten() {
                let phrase = slot.1.as_bytes();
                if rest.starts_with(phrase) && rest.get(phrase.len()) == Some(&b' ') && !out.contains(slot) {
                    out.push(*slot);
                }
            }
        }
        out
    }
}

fn themes(f: &mut Facts<'_, '_>) {
    let index = Index::new(THEMES);
    let body = f.body.text.get(..PHRASE_TEXT).unwrap_or(&f.body.text);
    let mut found = index.find(&format!("{}{}{body}", f.name.text, f.subject.text));
    found.sort_by_key(|s| s.0);
    for (n, theme) in THEMES.iter().enumerate() {
        let phrases: Vec<&str> = found.iter().filter(|s| usize::from(s.0) == n).map(|s| s.1).collect();
        if phrases.is_empty() {
            continue;
        }
        let more = phrases.len().saturating_sub(1).min(2) as f32;
        let shown = phrases.iter().take(3).copied().collect::<Vec<_>>().join("\", \"");
        f.hits.push(Hit {
            name: theme.name.into(),
            weight: theme.weight * (1.0 + 0.5 * more),
            why: format!("{} (\"{shown}\")", theme.why).into(),
        });
    }
}

/// Words spelled so that filters miss them.
fn disguise(f: &mut Facts<'_, '_>) {
    let (invisible, fancy, mixed) = (f.body.invisible, f.body.fancy, f.body.mixed);
    if invisible > 4 {
        f.hit("INVISIBLE_LETTERS", 1.2, "invisible characters break up its words");
    }
    if mixed > 1 || fancy > 8 {
        f.hit("LOOKALIKE_LETTERS", 1.8, "words mix letters of several alphabets");
    }
    let hidden: usize = f.message.htmls().map(|h| h.hidden).sum();
    if hidden > 120 {
        f.hit("HIDDEN_TEXT", 1.0, "holds much text the reader cannot see");
    }
    let spelled: usize = f.message.htmls().map(|h| h.spelled_letters).sum();
    if spelled > 10 {
        f.hit("SPELLED_LETTERS", 0.6, "spells plain letters as character codes");
    }
}

/// Marks of people writing to each other.
fn conversation(f: &mut Facts<'_, '_>) {
    let text = super::visible(f.message);
    let quoted = text.split(|&c| c == b'\n').filter(|l| l.starts_with(b">")).count();
    if quoted > 1 {
        f.hit("QUOTES", -1.0, "quotes another message");
    }
    let code = ["diff", "patch", "cvs", "perl", "linux", "kernel", "rpm", "compile"];
    if code.iter().filter(|w| has_words(&f.body.text, w)).count() > 1 {
        f.hit("SHOP_TALK", -0.8, "talks about programs");
    }
    if memchr::memmem::find(&text, b"-----BEGIN PGP SIG").is_some() {
        f.hit("PGP_SIGNED", -1.0, "carries a PGP signature");
    }
}
