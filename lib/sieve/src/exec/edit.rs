//! addheader and deleteheader.
//!
//! Standards   RFC 5293
//! Invariants  1. Received and Auto-Submitted cannot be deleted (RFC 5293 6), nor what the administrator protects   2. a value makes one field

use super::{Failed, Flow, quiet_match};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5293 4.
pub(crate) fn addheader(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    let value = m.text(call.text(1));
    if !valid_name(&name) {
        return Err(Failed::at(call.pos, format!("field name '{}' is invalid", crate::check::printable(&name))));
    }
    if !valid_value(&value) {
        return Err(Failed::at(call.pos, format!("value '{}' is invalid", crate::check::printable(&value))));
    }
    if is_protected(m, &name, true) {
        m.host.log(&format!("addheader: field '{name}' is protected, nothing was added"));
        return Ok(Flow::Next);
    }
    let limits = &m.settings.limits;
    if value.len() > limits.header_size {
        return Err(Failed::at(call.pos, format!("the value is longer than {} octets", limits.header_size)));
    }
    m.added_headers += 1;
    if m.added_headers > limits.headers {
        return Err(Failed::at(call.pos, format!("more than {} fields added", limits.headers)));
    }
    let one_line = value.replace("\r\n", "\n").split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    let field = penny_mime::build::fold(&name, encode(one_line.trim()).as_bytes(), m.message.eol());
    m.message = m.message.with_field(&field, call.has("last"));
    Ok(Flow::Next)
}

/// RFC 5293 4: what is not ASCII travels as encoded words.
pub(crate) fn encode(value: &str) -> String {
    if value.is_ascii() { value.to_owned() } else { penny_mime::word::encode_header(value) }
}

/// RFC 5322 2.2 ftext.
pub(crate) fn valid_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

pub(crate) fn valid_value(value: &str) -> bool {
    !value.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\n'))
}

fn is_protected(m: &Machine<'_>, name: &str, adding: bool) -> bool {
    // RFC 5293 6: never to be deleted
    if !adding && ["received", "auto-submitted"].iter().any(|p| name.eq_ignore_ascii_case(p)) {
        return true;
    }
    // RFC 5293 6: Subject must stay within reach
    if name.eq_ignore_ascii_case("subject") {
        return false;
    }
    let own = m.settings.protected.iter().find(|(p, _, _)| p.eq_ignore_ascii_case(name));
    own.is_some_and(|(_, add, delete)| if adding { *add } else { *delete })
}

/// RFC 5293 5.
pub(crate) fn deleteheader(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    if !valid_name(&name) {
        return Err(Failed::at(call.pos, format!("field name '{}' is invalid", crate::check::printable(&name))));
    }
    if is_protected(m, &name, false) {
        m.host.log(&format!("deleteheader: field '{name}' is protected, nothing was deleted"));
        return Ok(Flow::Next);
    }
    let candidates = super::pick(call, m.message.positions(&name));
    let mut gone = Vec::new();
    if matches!(call.matcher.kind, crate::compare::MatchType::Count(_)) && call.given(1) {
        // :count looks at how many there are, and takes all or none
        let values: Vec<String> = candidates.iter().map(|(_, v)| v.clone()).collect();
        if quiet_match(m, call, &values, call.list(1))?.is_some() {
            gone.extend(candidates.iter().map(|(at, _)| *at));
        }
    } else {
        for (at, value) in candidates {
            if !call.given(1) || quiet_match(m, call, &[value], call.list(1))?.is_some() {
                gone.push(at);
            }
        }
    }
    if !gone.is_empty() {
        m.message = m.message.without_fields(&gone);
    }
    Ok(Flow::Next)
}
