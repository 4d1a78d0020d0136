//! The learned part: nine small judges over one table, each looking at one view of the message.
//!
//! Three are logistic regressions over byte 4-grams: the weights of the view's n cells added, divided by sqrt(n).
//! Six count words in ham and spam and combine them by Fisher's method both ways. Their sums are weighted and added,
//! in logits. Each regression learns from its own error only, so that a view everybody else finds easy still learns.
//!
//! Invariants  1. scoring never writes   2. a message learned twice counts once; learned with the other label it
//!             is a correction: its counts move over and its weights are pushed until they agree
//!             3. the table never grows
//! Not here    the file (table.rs, store.rs), rules (rules/), cuts (verdict.rs)
//!
//! # Notes
//! Weights are 16-bit fixed point: half the memory of floats, and scoring is integer addition. Steps smaller than
//! the resolution are rounded by chance (a hash), so that they still add up.

use crate::feature::{self, Features};
use crate::math::{exp, ln};
use crate::table::{COUNT_BITS, GRAM_BITS, GRAM_REGIONS, LOG_BITS, Table};
use crate::view::{Kind, Message};

/// Raw weight units in 1.0.
const UNIT: f32 = 1024.0;
/// Learning rate of the regressions.
const RATE: f32 = 10.0;
/// A regression that errs by less learns nothing: fewer writes, and a long run of one kind does not drag it along.
const SETTLED: f64 = 0.1;
/// What each 4-gram view counts for, in the order of [`feature::GRAM_VIEWS`]: header, text, address.
const GRAM_WEIGHTS: [f64; 3] = [0.4, 0.5, 0.3];
/// What each word view counts for, in the order of [`feature::WORD_VIEWS`]: path, subject, address, its pairs, other, visible.
const WORD_WEIGHTS: [f64; 6] = [0.15, 0.15, 0.2, 0.1, 0.1, 0.15];
/// Fisher test: strength and value of the prior for a rare word, and how far from even a word must be to count.
const PRIOR_STRENGTH: f64 = 0.0178;
const PRIOR: f64 = 0.52;
const MIN_DEVIATION: f64 = 0.375;
/// Steps a correction may take.
const CORRECTION_STEPS: usize = 8;
/// Messages of a kind behind the counts before all are halved, so that counters suffice and old mail fades.
const COUNTED_MAX: u64 = 30_000;

/// What was learned about a message, in logits.
#[derive(Debug, Default, Clone, Copy)]
pub struct Learned {
    /// Regressions over 4-grams: header, text, address.
    pub grams: [f64; 3],
    /// Word tests: path, subject, address, its pairs, other, visible.
    pub words: [f64; 6],
}

impl Learned {
    /// Their weighted sum.
    pub fn total(&self) -> f64 {
        let grams = self.grams.iter().zip(GRAM_WEIGHTS).map(|(g, w)| g * w);
        grams.chain(self.words.iter().zip(WORD_WEIGHTS).map(|(g, w)| g * w)).sum()
    }
}

/// Scores a message.
pub fn score<B: AsRef<[u8]>>(table: &Table<B>, features: &Features) -> Learned {
    let mut out = Learned::default();
    for (region, (sum, cells)) in out.grams.iter_mut().zip(&features.grams).enumerate() {
        *sum = linear(cells, |c| table.gram(region, c));
    }
    for (sum, cells) in out.words.iter_mut().zip(&features.words) {
        *sum = fisher(table, cells);
    }
    out
}

fn linear(cells: &[u32], weight: impl Fn(u32) -> i16) -> f64 {
    let sum: i64 = cells.iter().map(|&c| i64::from(weight(c))).sum();
    sum as f64 / f64::from(UNIT) / (cells.len().max(1) as f64).sqrt()
}

/// Robinson's f(w) of a cell; `None` for one never met or too even to count.
pub fn word_probability<B: AsRef<[u8]>>(table: &Table<B>, cell: u32) -> Option<f64> {
    let (ham, spam) = table.count(cell);
    if ham == 0 && spam == 0 {
        return None;
    }
    let (hams, spams) = table.counted();
    let (h, s) = (f64::from(ham), f64::from(spam));
    let (per_ham, per_spam) = (h / hams.max(1) as f64, s / spams.max(1) as f64);
    let p = per_spam / (per_spam + per_ham);
    let f = (PRIOR_STRENGTH * PRIOR + (h + s) * p) / (PRIOR_STRENGTH + h + s);
    ((f - 0.5).abs() >= MIN_DEVIATION).then_some(f)
}

fn fisher<B: AsRef<[u8]>>(table: &Table<B>, cells: &[u32]) -> f64 {
    let (mut ham, mut spam, mut n) = (LnProduct::default(), LnProduct::default(), 0usize);
    for f in cells.iter().filter_map(|&c| word_probability(table, c)) {
        ham.multiply(1.0 - f);
        spam.multiply(f);
        n += 1;
    }
    if n == 0 {
        return 0.0;
    }
    (ln_chi2_tail(-ham.ln(), n) - ln_chi2_tail(-spam.ln(), n)).clamp(-1e4, 1e4) / -(n as f64).sqrt()
}

/// The logarithm of a product of many factors, taken once in a while and not of each.
struct LnProduct {
    product: f64,
    ln: f64,
}

impl Default for LnProduct {
    fn default() -> Self {
        LnProduct { product: 1.0, ln: 0.0 }
    }
}

impl LnProduct {
    fn multiply(&mut self, factor: f64) {
        self.product *= factor;
        if self.product < 1e-200 {
            self.ln += ln(self.product);
            self.product = 1.0;
        }
    }

    fn ln(&self) -> f64 {
        self.ln + ln(self.product)
    }
}

/// ln of the chance that chi-square with 2n degrees of freedom exceeds 2m: exp(-m) * sum of m^i / i!.
fn ln_chi2_tail(m: f64, n: usize) -> f64 {
    const LARGE: f64 = 1e200;
    let (mut term, mut sum, mut scaled) = (1.0f64, 1.0f64, 0.0f64);
    for i in 1..n {
        term *= m / i as f64;
        sum += term;
        if sum > LARGE {
            term /= LARGE;
            sum /= LARGE;
            scaled += ln(LARGE);
        }
    }
    (scaled + ln(sum) - m).min(0.0)
}

/// What learning a message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// First time.
    New,
    /// Learned before with the same label: nothing changed.
    Again,
    /// Learned before with the other label: corrected.
    Corrected,
}

/// Learns one message.
pub fn learn(table: &mut Table<Vec<u8>>, id: u64, features: &Features, spam: bool) -> Outcome {
    let before = log_find(table, id);
    if before == Some(spam) {
        return Outcome::Again;
    }
    log_put(table, id, spam);
    let corrected = before.is_some();
    count(table, features, spam, corrected);
    let steps = if corrected { CORRECTION_STEPS } else { 1 };
    for step in 0..steps {
        let right = (score(table, features).total() > 0.0) == spam;
        if step > 0 && right {
            break;
        }
        descend(table, features, spam);
    }
    if corrected { Outcome::Corrected } else { Outcome::New }
}

/// One step of gradient descent on each regression by itself.
fn descend(table: &mut Table<Vec<u8>>, features: &Features, spam: bool) {
    let learned = score(table, features);
    let target = if spam { 1.0 } else { 0.0 };
    let seed = table.trained().0 as u32 ^ (table.trained().1 as u32) << 16;
    for (region, (cells, sum)) in features.grams.iter().zip(learned.grams).enumerate() {
        let error = target - 1.0 / (1.0 + exp(-sum));
        if error.abs() < SETTLED {
            continue;
        }
        let delta = UNIT * RATE * error as f32 / (cells.len().max(1) as f32).sqrt();
        for &cell in cells {
            let new = table.gram(region, cell).saturating_add(dither(delta, cell, seed));
            table.set_gram(region, cell, new);
        }
    }
}

/// Rounds a step to whole units, up or down with the chance of its fraction.
fn dither(delta: f32, cell: u32, seed: u32) -> i16 {
    let chance = feature::mix(cell ^ seed.wrapping_mul(0x9E37_79B1)) as f32 / 4_294_967_296.0;
    (delta + chance).floor() as i16
}

/// Counts a message's words; a correction moves them from the other side.
fn count(table: &mut Table<Vec<u8>>, features: &Features, spam: bool, corrected: bool) {
    let (mut ham_total, mut spam_total) = table.counted();
    let (mut hams, mut spams) = table.trained();
    bump(&mut ham_total, &mut spam_total, spam, corrected);
    bump(&mut hams, &mut spams, spam, corrected);
    table.set_trained(hams, spams);
    table.set_counted(ham_total, spam_total);
    let chance = feature::mix(hams as u32 ^ (spams as u32) << 16);
    for &cell in features.words.iter().flatten() {
        let (ham, bad) = table.count(cell);
        let (mut ham, mut bad) = (u64::from(ham), u64::from(bad));
        bump(&mut ham, &mut bad, spam, corrected);
        table.set_count(cell, ham as u32, bad as u32, feature::mix(cell ^ chance));
    }
    if ham_total.max(spam_total) >= COUNTED_MAX {
        halve(table);
    }
}

fn bump(ham: &mut u64, bad: &mut u64, spam: bool, corrected: bool) {
    let (to, from) = if spam { (bad, ham) } else { (ham, bad) };
    *to += 1;
    if corrected {
        *from = from.saturating_sub(1);
    }
}

fn halve(table: &mut Table<Vec<u8>>) {
    for cell in 0..1 << COUNT_BITS {
        let (ham, spam) = table.count(cell);
        if ham | spam != 0 {
            // half of the ones stay, so that rare words are not forgotten all at once
            let odd = feature::mix(cell) & 1;
            table.set_count(cell, (ham + odd) / 2, (spam + odd) / 2, feature::mix(cell ^ 1));
        }
    }
    let (ham, spam) = table.counted();
    table.set_counted(ham / 2, spam / 2);
}

/// Identifies a message by what its author wrote, so that fields added on the way do not matter.
pub fn identity(message: &Message<'_>) -> u64 {
    let mut id = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |bytes: &[u8]| {
        for &b in bytes.iter().chain(&[0]) {
            id = (id ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for name in ["message-id", "from", "date", "subject"] {
        eat(message.field(name).unwrap_or(b""));
    }
    for part in &message.parts {
        let limit = if part.kind == Kind::Attachment { 64 } else { 2048 };
        let content = part.content.get(..limit).unwrap_or(&part.content);
        eat(content.trim_ascii());
    }
    (id ^ id >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

const LOG_WAYS: usize = 8;

fn log_set(id: u64) -> usize {
    (id >> 40) as usize % ((1 << LOG_BITS) / LOG_WAYS) * LOG_WAYS
}

/// How a message was learned before, if the log still knows. Entries: identity with the two low bits replaced by
/// 1 (ham) or 2 (spam); a set of eight, newest first.
pub fn log_find<B: AsRef<[u8]>>(table: &Table<B>, id: u64) -> Option<bool> {
    let set = log_set(id);
    (set..set + LOG_WAYS).map(|i| table.log(i)).find(|e| e & !3 == id & !3 && e & 3 != 0).map(|e| e & 3 == 2)
}

fn log_put(table: &mut Table<Vec<u8>>, id: u64, spam: bool) {
    let set = log_set(id);
    let mut carry = id & !3 | if spam { 2 } else { 1 };
    for i in set..set + LOG_WAYS {
        let old = table.log(i);
        table.set_log(i, carry);
        if old & !3 == id & !3 {
            break; // its place in the set is free now
        }
        carry = old;
    }
}

/// Cells in use, for `--stats`: weights and counts.
pub fn fill<B: AsRef<[u8]>>(table: &Table<B>) -> (usize, usize) {
    let weights = (0..GRAM_REGIONS).flat_map(|r| (0..1 << GRAM_BITS).map(move |c| (r, c)));
    (
        weights.filter(|&(r, c)| table.gram(r, c) != 0).count(),
        (0..1 << COUNT_BITS).filter(|&c| table.count(c) != (0, 0)).count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::Extractor;

    fn message(kind: &str, n: usize) -> Vec<u8> {
        format!("From: {kind}{n}@example.org\nSubject: {kind} {n}\nMessage-ID: <{n}@{kind}>\n\nThis is about {kind} number {n}.\n")
            .into_bytes()
    }

    fn teach(table: &mut Table<Vec<u8>>, bytes: &[u8], spam: bool) -> Outcome {
        let m = Message::read(bytes);
        learn(table, identity(&m), &Extractor::default().features(&m), spam)
    }

    fn total(table: &Table<Vec<u8>>, bytes: &[u8]) -> f64 {
        score(table, &Extractor::default().features(&Message::read(bytes))).total()
    }

    #[test]
    fn learns_to_tell_two_kinds_apart() {
        let mut t = Table::empty();
        assert_eq!(total(&t, &message("pills", 1)), 0.0);
        for n in 0..20 {
            teach(&mut t, &message("pills", n), true);
            teach(&mut t, &message("minutes", n), false);
        }
        assert!(total(&t, &message("pills", 99)) > 2.0);
        assert!(total(&t, &message("minutes", 99)) < -2.0);
        assert_eq!(t.trained(), (20, 20));
    }

    #[test]
    fn twice_counts_once_even_with_fields_added_on_the_way() {
        let mut t = Table::empty();
        let m = message("pills", 1);
        assert_eq!(teach(&mut t, &m, true), Outcome::New);
        let bytes = t.bytes().to_vec();
        let mut again = b"Received: from here\nX-Spamcheck: ham\n".to_vec();
        again.extend_from_slice(&m);
        assert_eq!(teach(&mut t, &again, true), Outcome::Again);
        assert!(t.bytes() == bytes);
    }

    #[test]
    fn a_correction_corrects() {
        let mut t = Table::empty();
        for n in 0..20 {
            teach(&mut t, &message("pills", n), true);
            teach(&mut t, &message("minutes", n), false);
        }
        let m = message("pills", 5);
        assert_eq!(teach(&mut t, &m, false), Outcome::Corrected);
        assert_eq!(t.trained(), (21, 19));
        assert!(total(&t, &m) < 0.0);
    }

    #[test]
    fn small_steps_add_up() {
        let sum: i64 = (0..10_000).map(|c| i64::from(dither(-0.25, c, 1))).sum();
        assert!((-2700..-2300).contains(&sum), "{sum}");
    }

    #[test]
    fn chi_square_tail() {
        // Q(2m | 2n) for m = 1, n = 2 is e^-1 * (1 + 1)
        assert!((ln_chi2_tail(1.0, 2).exp() - 2.0 / std::f64::consts::E).abs() < 1e-12);
        assert!(ln_chi2_tail(0.0, 500).abs() < 1e-9);
        assert!(ln_chi2_tail(5000.0, 400).is_finite());
    }

    #[test]
    fn the_log_forgets_the_oldest_first() {
        let mut t = Table::empty();
        let same_set = |k: u64| 1 << 45 | k << 4;
        for k in 0..9 {
            log_put(&mut t, same_set(k), k % 2 == 0);
        }
        assert_eq!(log_find(&t, same_set(0)), None);
        assert_eq!(log_find(&t, same_set(1)), Some(false));
        assert_eq!(log_find(&t, same_set(8)), Some(true));
        log_put(&mut t, same_set(8), false);
        assert_eq!(log_find(&t, same_set(8)), Some(false));
        assert_eq!(log_find(&t, same_set(1)), Some(false));
    }
}
