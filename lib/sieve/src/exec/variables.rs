//! set, and the modifiers extracttext shares.
//!
//! Standards   RFC 5229 4; RFC 5435 6 (:encodeurl); draft regex (:quoteregex)

use super::{Failed, Flow};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5229 4.
pub(crate) fn set(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    let value = modified(call, m.text(call.text(1)), m.settings.limits.variable_size);
    m.set_variable(&name, value);
    Ok(Flow::Next)
}

/// RFC 5229 4.1: in order of precedence, 40 first.
pub(crate) fn modified(call: &Call, value: String, limit: usize) -> String {
    let mut value = crate::machine::truncated(value, limit);
    if call.has("lower") {
        value = value.to_lowercase();
    }
    if call.has("upper") {
        value = value.to_uppercase();
    }
    if call.has("lowerfirst") {
        value = first(&value, char::to_ascii_lowercase);
    }
    if call.has("upperfirst") {
        value = first(&value, char::to_ascii_uppercase);
    }
    if call.has("quotewildcard") {
        value = escaped(&value, "*?\\", limit);
    }
    if call.has("quoteregex") {
        value = escaped(&value, ".^$*+?()[]{}|\\", limit);
    }
    if call.has("encodeurl") {
        value = encode_url(&value, limit);
    }
    if call.has("length") {
        value = value.chars().count().to_string();
    }
    value
}

fn first(value: &str, change: fn(&char) -> char) -> String {
    let mut chars = value.chars();
    match chars.next() {
        Some(c) => std::iter::once(change(&c)).chain(chars).collect(),
        None => String::new(),
    }
}

/// Escapes; never cuts an escape in two at the limit.
fn escaped(value: &str, special: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in value.chars() {
        let need = c.len_utf8() + usize::from(special.contains(c));
        if out.len() + need > limit {
            break;
        }
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// RFC 5435 6: all but unreserved characters of RFC 3986 2.3.
fn encode_url(value: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in value.chars() {
        let plain = c.is_ascii_alphanumeric() || "-._~".contains(c);
        let mut buffer = [0; 4];
        let piece = if plain {
            c.to_string()
        } else {
            c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02X}")).collect()
        };
        if out.len() + piece.len() > limit {
            break;
        }
        out.push_str(&piece);
    }
    out
}
