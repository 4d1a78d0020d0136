//! What to say of a key that does not exist: what took its place, or which one was meant.

use super::{Config, Filter, Listen};

/// The form of the file that this program writes and knows: one more whenever a key gets another meaning.
pub(super) const FORM: u32 = 1;

/// Keys that older forms had, and what to do about them.
const OBSOLETE: [(&str, &str); 1] =
    [("queue.durability", "leave it out: entries of the queue and their names are always synced")];

/// Farthest a wrong name may be from the right one, in letters.
const DISTANCE_MAX: usize = 2;

/// The text for an unknown key (`section.key`, or a key of the top).
pub(super) fn unknown(key: &str) -> String {
    if let Some((_, instead)) = OBSOLETE.iter().find(|(old, _)| *old == key) {
        return format!("obsolete key {key}: {instead}");
    }
    let mut names = Vec::new();
    let mut add = |section: &str, key: &str| {
        names.push(if section.is_empty() { key.to_string() } else { format!("{section}.{key}") });
    };
    Config::default().each(&mut |s| add(s.section, s.key));
    Listen::default().each(&mut |s| add(Listen::SECTION, s.key));
    Filter::default().each(&mut |s| add(Filter::SECTION, s.key));
    let near = names.iter().map(|n| (distance(n, key), n)).min().filter(|(d, _)| *d <= DISTANCE_MAX);
    // right but for its section
    let elsewhere = names.iter().find(|n| last(n) == last(key));
    match near.map(|(_, n)| n).or(elsewhere) {
        Some(meant) => format!("unknown key {key}: is {meant} meant?"),
        None => format!("unknown key {key}"),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Letters to change, add or take away (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// What is wrong with the form a file says it has.
pub(super) fn form(says: u32) -> Result<(), String> {
    match says {
        0 => Err("forms begin with 1".into()),
        n if n > FORM => Err(format!(
            "this file is of form {n}, for a newer pennypost: {} knows forms up to {FORM}",
            env!("CARGO_PKG_VERSION")
        )),
        _ => Ok(()),
    }
}
