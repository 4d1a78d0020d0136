//! From evidence to a verdict: one logit, one probability, two cuts.
//!
//! Invariants  1. a rule that is certain decides   2. fewer than [`TRAINED_MIN`] messages of each kind learned: never
//!             ham, and spam only by the rules alone   3. the score grows strictly with the evidence as far as a float can tell

use crate::math::exp;
use crate::model::Learned;
use crate::rules::{self, Hit};

/// Messages of each kind to learn before the learned part may decide.
pub const TRAINED_MIN: u64 = 200;
/// Scores from here on are spam.
pub const SPAM_CUT: f64 = 0.9;
/// Scores up to here are ham.
pub const HAM_CUT: f64 = 0.3;
/// Sum of rules from which on they call spam without any training: above all ham of the corpus.
const RULES_ALONE: f64 = 5.0;
/// The sum of evidence becomes a logit by this line, fitted by cross-validation so that scores are chances and the cut
/// of 0.9 loses less than one ham in a thousand.
const SCALE: f64 = 1.2;
const PRIOR: f64 = -0.2;
/// What a rule's logit counts for beside a well trained table, and how many messages it takes to come near that.
const RULES_WEIGHT: f64 = 0.1;
const RULES_FADE: f64 = 400.0;
/// Beyond this the logit grows ever slower, so that a float can still tell scores near 1 apart.
const LINEAR: f64 = 8.0;
const BEYOND: f64 = 20.0;

/// What a message is held to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Junk.
    Spam,
    /// Wanted.
    Ham,
    /// Nobody can tell yet.
    Unsure,
}

impl Class {
    /// The word in JSON and headers.
    pub fn word(self) -> &'static str {
        match self {
            Class::Spam => "spam",
            Class::Ham => "ham",
            Class::Unsure => "unsure",
        }
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Probability of spam, by the calibration.
    pub score: f64,
    /// The decision.
    pub class: Class,
    /// Learned evidence.
    pub learned: Learned,
    /// Rules that hit.
    pub hits: Vec<Hit>,
    /// Ham and spam messages the table has learned.
    pub trained: (u64, u64),
}

/// The cuts in force.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    /// Scores from here on are spam.
    pub spam: f64,
    /// Scores up to here are ham.
    pub ham: f64,
}

impl Default for Cuts {
    fn default() -> Self {
        Cuts { spam: SPAM_CUT, ham: HAM_CUT }
    }
}

/// Weighs the evidence.
pub fn judge(learned: Learned, trained: (u64, u64), hits: Vec<Hit>, cuts: Cuts) -> Verdict {
    let by_rules = rules::total(&hits);
    let ready = trained.0.min(trained.1) >= TRAINED_MIN;
    let score = probability(combine(learned, by_rules, trained));
    let certain = hits.iter().any(|h| h.weight >= rules::CERTAIN);
    let class = match ready {
        _ if certain => Class::Spam,
        true if score >= cuts.spam => Class::Spam,
        true if score <= cuts.ham => Class::Ham,
        // what the table cannot place, very strong rules may
        _ if by_rules >= RULES_ALONE => Class::Spam,
        _ => Class::Unsure,
    };
    Verdict {
        score: if certain { score.max(probability(rules::CERTAIN.into())) } else { score },
        class,
        learned,
        hits,
        trained,
    }
}

/// Rules weigh fully at first and fade as the table learns: they bridge the time it knows too little.
fn combine(learned: Learned, by_rules: f64, trained: (u64, u64)) -> f64 {
    let fade = exp(-((trained.0 + trained.1) as f64) / RULES_FADE);
    let weight = RULES_WEIGHT + (1.0 - RULES_WEIGHT) * fade;
    SCALE * (learned.total() + weight * by_rules) + PRIOR
}

/// The logistic function of a gently bounded logit.
fn probability(logit: f64) -> f64 {
    let beyond = (logit.abs() - LINEAR).max(0.0);
    let bent = logit.abs().min(LINEAR) + BEYOND * (1.0 - exp(-beyond / BEYOND));
    let odds = exp(-bent);
    if logit < 0.0 { odds / (1.0 + odds) } else { 1.0 / (1.0 + odds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(learned: f64, trained: (u64, u64), rule: f32) -> Verdict {
        let hits = vec![Hit { name: "R".into(), weight: rule, why: "".into() }];
        judge(Learned { grams: [learned / 0.4, 0.0, 0.0], ..Learned::default() }, trained, hits, Cuts::default())
    }

    #[test]
    fn untrained_is_unsure_unless_rules_are_sure() {
        assert_eq!(verdict(-9.0, (199, 9999), 0.0).class, Class::Unsure);
        assert_eq!(verdict(9.0, (9999, 199), 0.0).class, Class::Unsure);
        assert_eq!(verdict(0.0, (0, 0), 12.0).class, Class::Spam);
        assert_eq!(verdict(-50.0, (500, 500), rules::CERTAIN).class, Class::Spam);
    }

    #[test]
    fn trained_decides() {
        assert_eq!(verdict(9.0, (200, 200), 0.0).class, Class::Spam);
        assert_eq!(verdict(-9.0, (200, 200), 0.0).class, Class::Ham);
        assert_eq!(verdict(0.5, (200, 200), 0.0).class, Class::Unsure);
    }

    #[test]
    fn scores_keep_their_order_far_out() {
        let mut last = -1.0;
        for i in -120..=60 {
            let p = probability(f64::from(i));
            assert!(p > last && p < 1.0, "{i}");
            last = p;
        }
    }
}
