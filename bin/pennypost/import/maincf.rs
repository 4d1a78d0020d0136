//! main.cf, or what `postconf -n` prints: `name = value`, with references to other parameters.
//!
//! Format      postconf(5): `#` lines, continuation by white space; `$name`, `${name}`, `$(name)`,
//!             `${name?value}` (where name is not empty), `${name:value}` (where it is), `${name?{a}:{b}}`, `$$`

use std::collections::BTreeMap;

/// References inside references.
const DEPTH_MAX: usize = 20;

/// What Postfix takes where the file says nothing, as far as other values or we lean on it.
const DEFAULTS: [(&str, &str); 14] = [
    ("mydestination", "$myhostname, localhost.$mydomain, localhost"),
    ("myorigin", "$myhostname"),
    ("config_directory", "/etc/postfix"),
    ("queue_directory", "/var/spool/postfix"),
    ("data_directory", "/var/lib/postfix"),
    ("default_database_type", "hash"),
    ("alias_database", "$alias_maps"),
    ("virtual_alias_domains", "$virtual_alias_maps"),
    ("virtual_mailbox_domains", "$virtual_mailbox_maps"),
    ("virtual_transport", "virtual"),
    ("local_transport", "local:$myhostname"),
    ("default_transport", "smtp"),
    ("inet_interfaces", "all"),
    ("inet_protocols", "all"),
];

/// The parameters.
pub struct MainCf {
    values: BTreeMap<String, String>,
}

impl MainCf {
    /// Reads the text; `hostname` stands where it names none.
    pub fn parse(text: &str, hostname: &str) -> MainCf {
        let lines = penny_tables::lines::logical(text);
        let pairs = lines.iter().filter_map(|l| l.text.split_once('='));
        let mut values: BTreeMap<String, String> = pairs.map(|(k, v)| (k.trim().into(), v.trim().into())).collect();
        if !values.contains_key("mydomain") {
            let host = values.get("myhostname").map_or(hostname, String::as_str);
            let domain = host.split_once('.').map_or("localdomain", |(_, rest)| rest).to_string();
            values.insert("mydomain".into(), domain);
        }
        values.entry("myhostname".into()).or_insert_with(|| hostname.to_string());
        MainCf { values }
    }

    /// The names that are written, with their values expanded.
    pub fn each(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(name, value)| (name.as_str(), self.expand(value)))
    }

    /// Whether the file says something.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A value, or its default.
    pub fn get(&self, name: &str) -> String {
        self.lookup(name, 0)
    }

    /// A text with its references replaced.
    pub fn expand(&self, text: &str) -> String {
        self.within(text, 0)
    }

    fn lookup(&self, name: &str, depth: usize) -> String {
        let default = || DEFAULTS.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let raw = self.values.get(name).map(String::as_str).or_else(default).unwrap_or("");
        if depth > DEPTH_MAX { String::new() } else { self.within(raw, depth + 1) }
    }

    fn within(&self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (value, tail) = self.reference(after, depth);
            out.push_str(&value);
            rest = tail;
        }
        out + rest
    }

    /// What follows a `$`: its value, and what is behind it.
    fn reference<'t>(&self, text: &'t str, depth: usize) -> (String, &'t str) {
        if let Some(tail) = text.strip_prefix('$') {
            return ("$".into(), tail);
        }
        for (open, close) in [('{', '}'), ('(', ')')] {
            if let Some((inside, tail)) = text.strip_prefix(open).and_then(|t| balanced(t, open, close)) {
                return (self.braced(inside, depth), tail);
            }
        }
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (name, tail) = text.split_at(end);
        (self.lookup(name, depth), tail)
    }

    fn braced(&self, inside: &str, depth: usize) -> String {
        let end = inside.find(['?', ':']).unwrap_or(inside.len());
        let (name, rest) = inside.split_at(end);
        let value = self.lookup(name.trim(), depth);
        let own = |text: &str| {
            let text = text.trim();
            text.strip_prefix('{').and_then(|t| balanced(t, '{', '}')).map_or(text, |(i, _)| i).to_string()
        };
        let (then, other) = match (rest.strip_prefix('?'), rest.strip_prefix(':')) {
            (Some(then), _) => {
                let other = then.trim_start().strip_prefix('{').and_then(|t| balanced(t, '{', '}'));
                let other = other.and_then(|(_, tail)| tail.trim_start().strip_prefix(':')).map(own);
                (own(then), other.unwrap_or_default())
            }
            (None, Some(other)) => (value.clone(), own(other)),
            (None, None) => return value,
        };
        self.within(if value.is_empty() { &other } else { &then }, depth + 1)
    }
}

/// The text up to the bracket that closes, and what is behind it.
fn balanced(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == open) - i32::from(c == close);
        if depth == 0 {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let text = "myhostname = mx.a.test\n# c\nx = ${myhostname},\n  $mydomain\ny = $(x) $$1\n\
                    z = ${none?yes}${x?{is {so}}:{not}}${none:no}\nloop = $loop\nown = $mydestination\n";
        let conf = MainCf::parse(text, "h");
        assert_eq!(conf.get("y"), "mx.a.test, a.test $1");
        assert_eq!(conf.get("z"), "is {so}no");
        assert_eq!(conf.get("loop"), "");
        assert_eq!(conf.get("own"), "mx.a.test, localhost.a.test, localhost");
        assert_eq!((conf.get("never"), conf.has("x"), conf.has("never")), (String::new(), true, false));
    }
}
