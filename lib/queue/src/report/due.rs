//! Which reports are owed: RFC 3461 section 5 and 6 as rules over a journal.

use crate::envelope::{Envelope, Recipient};
use crate::journal::{Action, State, Target, Verdict};
use crate::name::Report;

/// What the sender wants to hear about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Failure reports.
    pub failure: bool,
    /// Delay notices.
    pub delay: bool,
    /// Success notices.
    pub success: bool,
}

/// RFC 3461 4.1: without NOTIFY failures are reported, and delays at our choice (yes).
/// The null sender hears nothing (RFC 5321 4.5.5).
pub fn wish(envelope: &Envelope, recipient: &Recipient) -> Wish {
    if envelope.is_null_sender() {
        return Wish { failure: false, delay: false, success: false };
    }
    match recipient.notify() {
        Some(n) => Wish { failure: n.failure, delay: n.delay, success: n.success },
        None => Wish { failure: true, delay: true, success: false },
    }
}

/// Targets that a report of this kind has still to cover.
///
/// A failure of a message with the null sender is owed to the postmaster (a double bounce), so it is listed
/// although the sender wants nothing.
pub fn due(kind: Report, envelope: &Envelope, state: &State) -> Vec<Target> {
    let verdict = match kind {
        Report::Bounce => Verdict::Fail,
        Report::Delay => Verdict::Later,
        Report::Success => Verdict::Done,
    };
    let mut targets = state.unreported(verdict, kind);
    targets.retain(|t| wanted(kind, envelope, state, *t));
    targets
}

fn wanted(kind: Report, envelope: &Envelope, state: &State, target: Target) -> bool {
    let recipient = usize::try_from(target.rcpt).ok().and_then(|i| envelope.recipients.get(i));
    let Some(recipient) = recipient else { return false };
    let wish = wish(envelope, recipient);
    match kind {
        Report::Bounce => wish.failure || envelope.is_null_sender(),
        Report::Delay => wish.delay,
        // RFC 3461 5.2.3: who hands on to a host that takes DSN leaves the report to that host
        Report::Success => wish.success && state.outcomes.get(&target).is_some_and(|o| o.action != Action::Passed),
    }
}
