//! The words that weighed most, for people.

use crate::feature;
use crate::model;
use crate::table::Table;
use crate::view::Message;
use std::collections::HashMap;

/// The `n` words or pairs with most weight in this message, strongest first.
pub fn strongest<B: AsRef<[u8]>>(table: &Table<B>, message: &Message<'_>, n: usize) -> Vec<(String, f64)> {
    let mut seen: HashMap<u32, String> = HashMap::new();
    feature::Extractor::default().each_word(message, &mut |cell, word| {
        seen.entry(cell).or_insert_with(|| String::from_utf8_lossy(word).into_owned());
    });
    let total = seen.len();
    let mut all: Vec<(String, f64)> =
        seen.into_iter().map(|(cell, word)| (word, model::word_weight(table, cell, total))).collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
    all.truncate(n);
    all.retain(|(_, weight)| weight.abs() >= 0.01);
    all
}
