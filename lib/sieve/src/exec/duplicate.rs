//! duplicate.
//!
//! Standards   RFC 7352
//! Invariants  keys are hashes: nothing of a message can shape the store that remembers them

use sha2::{Digest, Sha256};

use super::{Failed, action};
use crate::action::Action;
use crate::check::Call;
use crate::machine::Machine;

/// RFC 7352 3.
pub(crate) fn duplicate(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let id = if let Some(text) = call.text_tag("uniqueid") {
        Some(m.text(text))
    } else {
        let name = call.text_tag("header").map_or_else(|| "Message-ID".to_owned(), |t| m.text(t));
        m.message.value(&name)
    };
    // RFC 7352 3: without an id it is no duplicate
    let Some(id) = id.filter(|i| !i.is_empty()) else { return Ok(false) };
    let handle = call.text_tag("handle").map(|t| m.text(t)).unwrap_or_default();
    let key = hash(&[&handle, &id]);
    let limit = m.settings.duplicate_max;
    let seconds = call.number_tag("seconds").unwrap_or(m.settings.duplicate_default);
    let seconds = if limit > 0 { seconds.min(limit) } else { seconds };
    let seen_now = m.actions.iter().any(|a| matches!(a, Action::Remember { key: k, .. } if *k == key));
    let seen = m.host.duplicate_seen(&key);
    // RFC 7352 3.1: tracked once the script has ended well; with :last also when seen before
    if !seen_now && (!seen || call.has("last")) {
        action::add(m, call, Action::Remember { key, seconds })?;
    }
    Ok(seen)
}

/// Names a key without its content.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
}
