//! What each command and test does, a file for each RFC.

pub(crate) mod action;
pub(crate) mod body;
pub(crate) mod control;
pub(crate) mod date;
pub(crate) mod duplicate;
pub(crate) mod edit;
pub(crate) mod flags;
pub(crate) mod include;
pub(crate) mod mailbox;
pub(crate) mod mime;
pub(crate) mod notify;
pub(crate) mod program;
pub(crate) mod report;
pub(crate) mod scan;
pub(crate) mod test;
pub(crate) mod vacation;
pub(crate) mod variables;

use crate::check::Call;
use crate::compare::MatchType;
use crate::error::{Error, Pos};
use crate::machine::Machine;
use crate::text::Text;

/// Where a script goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    /// `stop`.
    Stop,
    /// `return` of an included script.
    Return,
    /// `break`, of the loop with that name or the innermost.
    Break(Option<String>),
}

/// A runtime error: the script ends, its actions are undone.
#[derive(Debug, Clone)]
pub(crate) struct Failed(pub Error);

impl Failed {
    pub(crate) fn at(pos: Pos, text: impl Into<String>) -> Self {
        Self(Error::new(pos, text))
    }
}

/// Does any value meet any key? What wildcards catch goes to the match variables.
pub(crate) fn matches(m: &mut Machine<'_>, call: &Call, values: &[String], keys: &[Text]) -> Result<bool, Failed> {
    let found = quiet_match(m, call, values, keys)?;
    let hit = found.is_some();
    m.catch(found.unwrap_or_default());
    Ok(hit)
}

/// The same without match variables: what was caught, `None` for no match.
pub(crate) fn quiet_match(
    m: &mut Machine<'_>,
    call: &Call,
    values: &[String],
    keys: &[Text],
) -> Result<Option<Vec<String>>, Failed> {
    let keys = m.texts(keys);
    if let MatchType::Count(_) = call.matcher.kind {
        let hit = keys.iter().any(|k| call.matcher.count(values.len(), k));
        return Ok(hit.then(Vec::new));
    }
    if call.matcher.kind == MatchType::List {
        let hit = values.iter().find(|v| keys.iter().any(|k| m.host.in_list(k, v) == Some(true)));
        return Ok(hit.map(|v| vec![v.clone()]));
    }
    if call.matcher.kind == MatchType::Regex {
        check_patterns(m, call, &keys);
    }
    Ok(values.iter().find_map(|v| keys.iter().find_map(|k| call.matcher.hit(v, k))))
}

/// A pattern with variables may turn out wrong only now: it matches nothing, and the log says so.
fn check_patterns(m: &mut Machine<'_>, call: &Call, keys: &[String]) {
    for key in keys {
        if let Err(e) = crate::compare::compile_regex(key, call.matcher.comparator) {
            let line = e.lines().last().unwrap_or_default().to_owned();
            m.warn(format!("line {}: invalid regular expression: {line}", call.pos.line));
        }
    }
}

/// Keeps the `:index`th (counted from the end with `:last`), RFC 5260 6.
pub(crate) fn pick<T>(call: &Call, values: Vec<T>) -> Vec<T> {
    let Some(index) = call.number_tag("index") else { return values };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let at = if call.has("last") { values.len().checked_sub(index) } else { index.checked_sub(1) };
    let mut values = values;
    match at {
        Some(at) if at < values.len() => vec![values.swap_remove(at)],
        _ => Vec::new(),
    }
}
