//! IMAP flags.
//!
//! Standards   RFC 5232

use super::{Failed, Flow, matches};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5232 3.1.
pub(crate) fn setflag(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let flags = parse(&m.texts(call.list(1)));
    put(m, call, flags);
    Ok(Flow::Next)
}

/// RFC 5232 3.2.
pub(crate) fn addflag(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let mut flags = current(m, call);
    add(&mut flags, &parse(&m.texts(call.list(1))));
    put(m, call, flags);
    Ok(Flow::Next)
}

/// RFC 5232 3.3.
pub(crate) fn removeflag(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let gone = parse(&m.texts(call.list(1)));
    let mut flags = current(m, call);
    flags.retain(|f| !gone.iter().any(|g| g.eq_ignore_ascii_case(f)));
    put(m, call, flags);
    Ok(Flow::Next)
}

/// RFC 5232 4.
pub(crate) fn hasflag(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let values = if call.given(0) {
        let names = m.texts(call.list(0));
        let mut all = Vec::new();
        for name in names {
            all.extend(parse(&[m.variable(&name.to_ascii_lowercase())]));
        }
        all
    } else {
        m.flags.clone()
    };
    let keys: Vec<_> = parse(&m.texts(call.list(1))).into_iter().map(crate::text::Text::constant).collect();
    let keys = match call.matcher.kind {
        // a number or a pattern is no flag
        crate::compare::MatchType::Count(_) | crate::compare::MatchType::Regex => call.list(1).to_vec(),
        _ => keys,
    };
    matches(m, call, &values, &keys)
}

fn current(m: &Machine<'_>, call: &Call) -> Vec<String> {
    if call.given(0) {
        let name = m.text(call.text(0)).to_ascii_lowercase();
        return parse(&[m.variable(&name)]);
    }
    m.flags.clone()
}

fn put(m: &mut Machine<'_>, call: &Call, flags: Vec<String>) {
    if call.given(0) {
        let name = m.text(call.text(0));
        m.set_variable(&name, flags.join(" "));
    } else {
        m.flags = flags;
    }
}

fn add(flags: &mut Vec<String>, more: &[String]) {
    for flag in more {
        if !flags.iter().any(|f| f.eq_ignore_ascii_case(flag)) {
            flags.push(flag.clone());
        }
    }
}

/// Flags of strings that may each hold several; what is no flag is left out (RFC 5232 2).
pub(crate) fn parse(list: &[String]) -> Vec<String> {
    let mut flags = Vec::new();
    for word in list.iter().flat_map(|s| s.split_ascii_whitespace()) {
        if valid(word) {
            add(&mut flags, &[word.to_owned()]);
        }
    }
    flags
}

/// A settable system flag or a keyword (RFC 3501 9 flag-keyword = atom).
pub(crate) fn valid(flag: &str) -> bool {
    if let Some(system) = flag.strip_prefix('\\') {
        return ["answered", "flagged", "deleted", "seen", "draft"].iter().any(|s| s.eq_ignore_ascii_case(system));
    }
    !flag.is_empty() && flag.len() <= 255 && flag.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
}

/// Flags for a store action: `:flags`, else the internal variable (RFC 5232 5), which an earlier script may have set.
pub(crate) fn for_action(m: &Machine<'_>, call: &Call) -> Option<Vec<String>> {
    match call.list_tag("flags") {
        Some(list) => Some(parse(&m.texts(list))),
        None if !m.flags.is_empty() => Some(m.flags.clone()),
        None => None,
    }
}
