//! The tests of the base and of small extensions.
//!
//! Standards   RFC 5228 5, RFC 5183 (environment), RFC 5229 5 (string), RFC 6009 3 (envelope-dsn ...), RFC 6134 2.6, RFC 5703 4

use super::{Failed, matches, pick};
use crate::address::Part;
use crate::check::Call;
use crate::machine::Machine;
use crate::message::Message;

/// The parts of the message a test with `:mime` looks at: this one, and with `:anychild` all below.
pub(crate) fn parts(m: &Machine<'_>, call: &Call) -> Vec<usize> {
    if !call.has("mime") {
        return vec![0];
    }
    let top = m.part.unwrap_or(0);
    if call.has("anychild") { subtree(&m.message, top) } else { vec![top] }
}

/// A part and everything inside, in order.
pub(crate) fn subtree(message: &Message, top: usize) -> Vec<usize> {
    let structure = message.structure();
    let mut out = Vec::new();
    let mut stack = vec![top];
    while let Some(at) = stack.pop() {
        out.push(at);
        if let Some(part) = structure.parts.get(at) {
            stack.extend(part.children.iter().rev());
        }
    }
    out
}

/// RFC 5228 5.1.
pub(crate) fn address(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let which = part_of(call);
    let names = m.texts(call.list(0));
    let mut values = Vec::new();
    for part in parts(m, call) {
        for name in &names {
            for field in pick(call, m.message.raw_values(part, name)) {
                for found in penny_mime::address::mailboxes(&field) {
                    let local = String::from_utf8_lossy(&found.local).into_owned();
                    let domain = String::from_utf8_lossy(&found.domain).into_owned();
                    values.extend(which.of(&local, &domain, &m.settings.separators).map(|v| v.into_owned()));
                }
            }
        }
    }
    matches(m, call, &values, call.list(1))
}

fn part_of(call: &Call) -> Part {
    [("localpart", Part::Local), ("domain", Part::Domain), ("user", Part::User), ("detail", Part::Detail)]
        .into_iter()
        .find(|(tag, _)| call.has(tag))
        .map_or(Part::All, |(_, part)| part)
}

/// RFC 5228 5.4: the null path is the empty string, whatever part is asked for.
pub(crate) fn envelope(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let which = part_of(call);
    let mut values = Vec::new();
    for name in m.texts(call.list(0)) {
        let name = name.to_ascii_lowercase();
        let path = match name.as_str() {
            "from" => m.envelope.from.clone(),
            "to" => m.envelope.to.clone(),
            "orig_to" => m.envelope.original_to.clone().unwrap_or_else(|| m.envelope.to.clone()),
            "auth" => {
                values.extend(m.envelope.auth.clone());
                continue;
            }
            other => {
                values.extend(m.envelope.params.iter().filter(|(n, _)| n == other).map(|(_, v)| v.clone()));
                continue;
            }
        };
        match crate::address::path(&path) {
            Some((local, _)) if local.is_empty() => values.push(String::new()),
            Some((local, domain)) => {
                values.extend(which.of(&local, &domain, &m.settings.separators).map(|v| v.into_owned()));
            }
            // what is no path matches nothing
            None => {}
        }
    }
    matches(m, call, &values, call.list(1))
}

/// RFC 5228 5.5.
pub(crate) fn exists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let parts = parts(m, call);
    let names = m.texts(call.list(0));
    Ok(names.iter().all(|name| parts.iter().any(|part| m.message.has(*part, name))))
}

/// RFC 5228 5.7; RFC 5703 4.1 for the MIME options.
pub(crate) fn header(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let names = m.texts(call.list(0));
    let option = ["type", "subtype", "contenttype"].into_iter().find(|tag| call.has(tag));
    let params = call.list_tag("param").map(|list| m.texts(list));
    let mut values = Vec::new();
    for part in parts(m, call) {
        for name in &names {
            if option.is_none() && params.is_none() {
                values.extend(pick(call, m.message.values(part, name)));
                continue;
            }
            for field in pick(call, m.message.raw_values(part, name)) {
                let (value, all) = penny_mime::param::value_and_params(&field);
                let value = String::from_utf8_lossy(&value).trim().to_owned();
                match (&params, option) {
                    (Some(names), _) => values.extend(names.iter().filter_map(|n| all.decoded(n))),
                    (None, Some(option)) => values.push(content_part(name, &value, option)),
                    (None, None) => {}
                }
            }
        }
    }
    matches(m, call, &values, call.list(1))
}

/// RFC 5703 4.1: type and subtype of Content-Type; the disposition is a type without subtype.
fn content_part(name: &str, value: &str, option: &str) -> String {
    if !name.eq_ignore_ascii_case("content-type") {
        return if option == "subtype" { String::new() } else { value.to_owned() };
    }
    let (kind, sub) = value.split_once('/').unwrap_or((value, ""));
    match option {
        "type" => kind.trim().to_owned(),
        "subtype" => sub.trim().to_owned(),
        _ => value.to_owned(),
    }
}

/// RFC 5228 5.9.
pub(crate) fn size(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let (size, limit) = (m.message.size(), call.number(0));
    Ok(if call.has("over") { size > limit } else { size < limit })
}

/// RFC 5183 4: an unknown item fails whatever the keys are.
pub(crate) fn environment(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let name = m.text(call.text(0));
    let Some(value) = environment_item(m, &name) else { return Ok(false) };
    matches(m, call, &[value], call.list(1))
}

/// RFC 5183 4.1 and vnd.dovecot.environment.
pub(crate) fn environment_item(m: &Machine<'_>, name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if let Some(value) = m.host.environment(&name) {
        return Some(value);
    }
    match name.as_str() {
        "name" => Some("Pennypost Sieve".into()),
        "version" => Some(env!("CARGO_PKG_VERSION").into()),
        "location" => Some("MDA".into()),
        "phase" => Some("during".into()),
        "host" => Some(m.settings.hostname.clone()),
        "domain" => Some(m.settings.hostname.split_once('.').map_or("", |(_, d)| d).to_owned()),
        "vnd.dovecot.default-mailbox" | "vnd.dovecot.default_mailbox" if m.has("vnd.dovecot.environment") => {
            Some("INBOX".into())
        }
        _ => None,
    }
}

/// RFC 5229 5: with `:count`, how many strings are not empty.
pub(crate) fn string(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let mut values = m.texts(call.list(0));
    if matches!(call.matcher.kind, crate::compare::MatchType::Count(_)) {
        values.retain(|v| !v.is_empty());
    }
    matches(m, call, &values, call.list(1))
}

/// RFC 6134 2.6.
pub(crate) fn valid_ext_list(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let names = m.texts(call.list(0));
    Ok(names.iter().all(|n| m.host.in_list(n, "").is_some()))
}
