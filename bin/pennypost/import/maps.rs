//! Postfix's lookup tables, as far as they are text: their entries.
//!
//! Format      `type:name`, also behind `proxy:`; hash, texthash, lmdb, cdb, btree, dbm (the text beside the database),
//!             `inline:{ key=value, ... }`, `static:value` (nothing to list), and of regexp and pcre the patterns that
//!             only spell an address or a domain
//! Failures    `Err(why)`: the map cannot be carried

use super::Import;

/// Types whose source is a text of keys and values.
const TEXT: [&str; 7] = ["hash", "texthash", "lmdb", "cdb", "btree", "dbm", "sdbm"];

/// Parts a list of maps; commas and white space inside braces belong to the map.
pub fn split(value: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0;
    for c in value.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 && (c == ',' || c.is_whitespace()) {
            out.push(String::new());
        } else if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.retain(|m| !m.is_empty());
    out
}

/// Whether a word names a map and not a domain or address.
pub fn is_map(word: &str) -> bool {
    word.split_once(':').is_some_and(|(kind, _)| kind.bytes().all(|b| b.is_ascii_lowercase()))
}

/// Keys and values of every map of a parameter; what cannot be read is told.
pub fn entries(import: &mut Import<'_>, parameter: &str, value: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for map in split(value) {
        match one(import, parameter, &map) {
            Ok(mut entries) => out.append(&mut entries),
            Err(why) => import.lost(format!("{parameter} = {map}{}{why}", if why.is_empty() { "" } else { ": " })),
        }
    }
    out
}

fn one(import: &mut Import<'_>, parameter: &str, map: &str) -> Result<Vec<(String, String)>, String> {
    let map = map.strip_prefix("proxy:").unwrap_or(map);
    let (kind, path) = map.split_once(':').unwrap_or(("hash", map));
    let read = || std::fs::read_to_string(path).map_err(|e| e.to_string());
    match kind {
        kind if TEXT.contains(&kind) => Ok(pairs(&read()?, parameter.starts_with("alias"))),
        "inline" => Ok(inline(path)),
        "cidr" => Ok(pairs(&read()?, false)),
        "regexp" | "pcre" => Ok(patterns(import, parameter, &read()?)),
        "mysql" | "pgsql" | "sqlite" | "ldap" | "socketmap" | "tcp" => {
            Err("a program in place of the table: pennypost-tables(5)".into())
        }
        _ => Err(String::new()),
    }
}

/// `key value`, or `key: value` of aliases.
fn pairs(text: &str, colon: bool) -> Vec<(String, String)> {
    let part = |line: &str| {
        let (key, value) = if colon && !line.starts_with('"') {
            line.split_once(':')?
        } else if colon {
            let (key, rest) = line.get(1..)?.split_once('"')?;
            (key, rest.trim_start().strip_prefix(':')?)
        } else {
            line.split_once(char::is_whitespace).unwrap_or((line, ""))
        };
        Some((key.trim().to_string(), value.trim().to_string()))
    };
    penny_tables::lines::logical(text).iter().filter_map(|l| part(&l.text)).collect()
}

fn inline(text: &str) -> Vec<(String, String)> {
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let parts = inside.split(',').map(|p| p.trim().trim_matches(['{', '}']));
    parts.filter_map(|p| p.split_once('=')).map(|(k, v)| (k.trim().into(), v.trim().into())).collect()
}

/// Patterns that are an address, a domain or a user, spelt as a regular expression.
fn patterns(import: &mut Import<'_>, parameter: &str, text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for line in penny_tables::lines::logical(text) {
        let (pattern, value) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
        match spelt(pattern).filter(|_| !value.contains('$')) {
            Some(key) => out.push((key, value.trim().to_string())),
            None => import.lost(format!("{parameter}: {}", line.text)),
        }
    }
    out
}

/// `/^ann@example\.org$/` is ann@example.org, `/@example\.org$/` is @example.org.
fn spelt(pattern: &str) -> Option<String> {
    let inside = pattern.strip_prefix('/')?;
    let inside = inside.strip_suffix("/i").or_else(|| inside.strip_suffix('/'))?.strip_suffix('$')?;
    let whole = inside.strip_prefix('^');
    let body = match whole {
        Some(rest) => rest.strip_prefix(".*").or_else(|| rest.strip_prefix("(.*)")).map_or(rest, |r| r),
        None => inside,
    };
    let dots = body.replace("\\.", "\u{1}").replace("\\@", "@");
    // an address in full must be anchored, what begins with @ need not be
    let anchored = whole.is_some() || dots.starts_with('@');
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '-' | '_' | '\u{1}');
    (anchored && !dots.is_empty() && dots.contains('@') && dots.chars().all(plain)).then(|| dots.replace('\u{1}', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_maps() {
        assert_eq!(split("hash:/a, inline:{ x=y, z=w } ,cidr:/b"), ["hash:/a", "inline:{ x=y, z=w }", "cidr:/b"]);
        assert!(is_map("hash:/a") && !is_map("example.org") && !is_map("[::1]:25"));
        assert_eq!(inline("{ a@x=b@y, { c = d } }"), [("a@x".into(), "b@y".into()), ("c".into(), "d".into())]);
        let quoted = pairs("\"a b\": c\nd: e: f\n", true);
        assert_eq!(quoted, [("a b".into(), "c".into()), ("d".into(), "e: f".into())]);
    }

    #[test]
    fn patterns_that_spell_an_address() {
        for (pattern, key) in [
            (r"/^ann@example\.org$/", Some("ann@example.org")),
            (r"/^.*@example\.org$/i", Some("@example.org")),
            (r"/@example\.org$/", Some("@example.org")),
            (r"/^ann@example.org$/", None),
            (r"/ann@example\.org$/", None),
            (r"/^(a|b)@example\.org$/", None),
            (r"/^ann/", None),
            (r"!/^ann@x$/", None),
        ] {
            assert_eq!(spelt(pattern).as_deref(), key, "{pattern}");
        }
    }
}
