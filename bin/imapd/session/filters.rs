//! Searches saved under a name.
//!
//! Standards   RFC 5466
//! Format      annotations of the server, /private/filters/values/NAME, then /shared/filters/values/NAME: the text of a search
//! Invariants  saved searches that name others nest to [`DEPTH_MAX`], and one that names itself matches nothing for ever
use super::Session;
use super::answer::Answer;
use penny_imap::Code;
use penny_imap::command::Key;
use penny_imap::command::search::parse_criteria;
use penny_maildir::annotation::Values;

/// How deep saved searches may name others.
const DEPTH_MAX: usize = 5;

impl Session {
    /// The search with the saved ones put in their places.
    pub(super) fn with_filters(&self, key: &Key) -> Result<Key, Answer> {
        if !key.any(|k| matches!(k, Key::Filter(_))) {
            return Ok(key.clone());
        }
        let values = self.spaces.own.server_annotations().all().map_err(|e| Answer::of(&e))?;
        expand(key, &values, 0)
    }
}

fn expand(key: &Key, values: &Values, depth: usize) -> Result<Key, Answer> {
    let boxed = |k: &Key| expand(k, values, depth).map(Box::new);
    Ok(match key {
        Key::Filter(name) => saved(name, values, depth)?,
        Key::And(keys) => Key::And(keys.iter().map(|k| expand(k, values, depth)).collect::<Result<_, _>>()?),
        Key::Or(a, b) => Key::Or(boxed(a)?, boxed(b)?),
        Key::Not(k) => Key::Not(boxed(k)?),
        other => other.clone(),
    })
}

fn saved(name: &str, values: &Values, depth: usize) -> Result<Key, Answer> {
    // RFC 5466 3.1: undefined, or no search
    let undefined = || Answer::no(Code::UndefinedFilter(name.to_owned()), "No such filter");
    let lower = name.to_ascii_lowercase();
    let of = |scope: &str| values.get(&format!("/{scope}/filters/values/{lower}"));
    let text = of("private").or_else(|| of("shared")).ok_or_else(undefined)?;
    let key = parse_criteria(text).map_err(|_| undefined())?;
    if depth < DEPTH_MAX { expand(&key, values, depth + 1) } else { Err(undefined()) }
}
