//! The words that weighed most, for people.

use crate::feature::{self, WordView};
use crate::table::Table;
use crate::view::Message;
use crate::{math, model};

/// A word, where it stood, and the share of the messages with it that were spam.
pub struct Word {
    /// The word.
    pub word: String,
    /// Where it stood.
    pub place: &'static str,
    /// Chance of spam from this word alone.
    pub spam: f64,
    /// Ham and spam messages that had it there.
    pub met: (u32, u32),
}

fn place(view: WordView) -> &'static str {
    match view {
        WordView::Path => "the way it came",
        WordView::Subject => "the subject",
        WordView::Address | WordView::AddressPairs => "the addresses",
        WordView::Other => "the header",
        WordView::Visible => "the text",
    }
}

/// The `n` words of this message that say most, strongest first.
pub fn strongest<B: AsRef<[u8]>>(table: &Table<B>, message: &Message<'_>, n: usize) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    feature::Extractor::default().each_word(message, &mut |view, cell, word| {
        if let Some(spam) = model::word_probability(table, cell) {
            let word = String::from_utf8_lossy(word).into_owned();
            all.push(Word { word, place: place(view), spam, met: table.count(cell) });
        }
    });
    let weight = |w: &Word| (w.spam - 0.5).abs() * math::ln(1.0 + f64::from(w.met.0.max(w.met.1)));
    all.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    all.truncate(n);
    all
}
