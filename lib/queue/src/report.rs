//! Delivery reports as messages: pure text building.
//!
//! Standards   RFC 3462/6522 (multipart/report), RFC 3464 (delivery-status), RFC 3461 (what the sender wished),
//!             RFC 6533 (internationalised reports), RFC 3834 (Auto-Submitted), RFC 2045-2046
//! Invariants  1. a report has the null sender, so nothing is ever reported about it to a sender
//!             2. nothing a peer said can start a line or a field   3. every field line is at most 998 octets
//! Not here    committing it (bin/bounce), deciding that one is due (`due`)

mod compose;
pub mod date;
mod due;
mod fields;
#[cfg(test)]
mod tests;

pub use compose::{Composed, Content, Style};
pub use due::{Wish, due, wish};

use crate::envelope::{Envelope, Recipient};
use crate::journal::{Outcome, Resolved};
use crate::name::{Name, Report as Kind};

/// One recipient a report speaks of.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// As the envelope had it.
    pub recipient: &'a Recipient,
    /// What it turned into; `None` when it never was resolved.
    pub resolved: Option<&'a Resolved>,
    /// What happened last.
    pub outcome: &'a Outcome,
}

/// Everything a report is made of.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The report's own entry name.
    pub name: &'a Name,
    /// Bounce, delay notice or success notice.
    pub kind: Kind,
    /// The entry it is about.
    pub about: &'a Name,
    /// That entry's envelope.
    pub envelope: &'a Envelope,
    /// The recipients.
    pub items: Vec<Item<'a>>,
    /// Who reports.
    pub style: &'a Style,
    /// Seconds since 1970.
    pub now: u64,
    /// When the message will be given up (delay notices).
    pub retry_until: Option<u64>,
}
