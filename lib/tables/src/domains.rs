//! The domains table: which domains are ours, and how.
//!
//! Format      `example.org local`, `example.net alias example.org`, `example.com relay`, one a line; domains that
//!             logins of the users table have, the host name and localhost are local without a line.

use crate::behind::Behind;
use crate::key;
use crate::lines::{Mistake, logical};
use std::borrow::Cow;
use std::collections::HashMap;

/// How a domain is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Its mailboxes are here.
    Local,
    /// Another name of a local domain.
    Alias(String),
    /// Mail for it is taken from everybody and passed on (backup MX).
    Relay,
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Domains {
    map: HashMap<String, Kind>,
    behind: Behind,
}

impl Domains {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Domains, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            let (domain, right) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
            match kind(right) {
                Ok(kind) => drop(map.insert(key::domain(domain), kind)),
                Err(text) => mistakes.push(Mistake { line: line.number, text }),
            }
        }
        (Domains { map, behind: Behind::default() }, mistakes)
    }

    /// Adds a local domain that another table implies.
    pub fn imply_local(&mut self, domain: &str) {
        self.map.entry(key::domain(domain)).or_insert(Kind::Local);
    }

    /// The table a source tells; other tables may still imply domains.
    pub fn behind(behind: Behind) -> Domains {
        Domains { behind, ..Domains::default() }
    }

    /// How a domain (lower-case A-labels) is ours.
    pub fn find(&self, domain: &str) -> Option<Cow<'_, Kind>> {
        let told = if domain.is_empty() { None } else { self.behind.find(domain, kind) };
        told.map(Cow::Owned).or_else(|| self.map.get(domain).map(Cow::Borrowed))
    }
}

/// The right-hand side.
fn kind(right: &str) -> Result<Kind, String> {
    match right.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] | ["local"] => Ok(Kind::Local),
        ["alias", other] => Ok(Kind::Alias(key::domain(other))),
        ["relay"] => Ok(Kind::Relay),
        _ => Err("expected local, relay or alias DOMAIN".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let (d, m) = Domains::parse("A.example\nb.example alias a.example\nc.example relay\nd.example what\n");
        assert_eq!(m.len(), 1);
        assert_eq!(d.find("a.example").as_deref(), Some(&Kind::Local));
        assert_eq!(d.find("b.example").as_deref(), Some(&Kind::Alias("a.example".into())));
        assert_eq!(d.find("c.example").as_deref(), Some(&Kind::Relay));
        assert_eq!(d.find("d.example"), None);
    }
}
