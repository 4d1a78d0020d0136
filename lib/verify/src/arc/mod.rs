//! ARC: what earlier handlers saw, sealed so that it can be believed.
//!
//! Standards   RFC 8617
//! Invariants  1. at most 50 sets (4.2.1)   2. a chain passes only when every set is complete, in order, and every seal
//!             and the newest message signature verify   3. a DNS failure gives `temperror`, and no seal is put on top
//! Trust       a passing chain proves who sealed, not that they told the truth: whom to believe is the administrator's list
//! Files       set.rs: the sets of a message; verify.rs; seal.rs

pub mod seal;
mod set;
pub mod verify;

use std::fmt;

pub use seal::Sealer;
pub use verify::verify;

/// Sets of one message (4.2.1).
pub const SETS_MAX: u32 = 50;

/// What a chain is worth (4.4), and that it could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No sets.
    None,
    /// Valid.
    Pass,
    /// Broken, or sealed as broken.
    Fail,
    /// A key could not be fetched.
    TempError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        })
    }
}

/// The result for a whole chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub outcome: Outcome,
    /// The newest instance, 0 without sets.
    pub instance: u32,
    /// Who sealed, oldest first; only of a chain that passes.
    pub sealers: Vec<String>,
    /// What each sealer said it saw (the ARC-Authentication-Results, instance tag removed), oldest first.
    pub seen: Vec<String>,
    /// Why not `pass`.
    pub reason: String,
}
