//! The domains table: which domains are ours, and how.
//!
//! Format      `example.org local`, `example.net alias example.org`, `example.com relay`, one a line; behind local and
//!             relay the options of [`crate::policy`]. Domains that logins of the users table have, the host name and
//!             localhost are local without a line.

use crate::behind::Behind;
use crate::key;
use crate::lines::{Mistake, logical};
use crate::policy::Policy;
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
    map: HashMap<String, (Kind, Policy)>,
    behind: Behind,
}

impl Domains {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Domains, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            let (domain, right) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
            match read(right) {
                Ok(read) => drop(map.insert(key::domain(domain), read)),
                Err(text) => mistakes.push(Mistake { line: line.number, text }),
            }
        }
        (Domains { map, behind: Behind::default() }, mistakes)
    }

    /// Adds a local domain that another table implies.
    pub fn imply_local(&mut self, domain: &str) {
        self.map.entry(key::domain(domain)).or_insert((Kind::Local, Policy::default()));
    }

    /// The table a source tells; other tables may still imply domains.
    pub fn behind(behind: Behind) -> Domains {
        Domains { behind, ..Domains::default() }
    }

    /// How a domain (lower-case A-labels) is ours.
    pub fn find(&self, domain: &str) -> Option<Cow<'_, Kind>> {
        self.entry(domain).map(|entry| match entry {
            Cow::Owned((kind, _)) => Cow::Owned(kind),
            Cow::Borrowed((kind, _)) => Cow::Borrowed(kind),
        })
    }

    /// What a domain (lower-case A-labels) has of its own; another name of a domain has what that one has.
    pub fn policy(&self, domain: &str) -> Cow<'_, Policy> {
        let own = self.entry(domain);
        let entry = match own.as_deref() {
            Some((Kind::Alias(real), _)) => self.entry(real),
            _ => own,
        };
        match entry {
            Some(Cow::Owned((_, policy))) => Cow::Owned(policy),
            Some(Cow::Borrowed((_, policy))) => Cow::Borrowed(policy),
            None => Cow::default(),
        }
    }

    fn entry(&self, domain: &str) -> Option<Cow<'_, (Kind, Policy)>> {
        let told = if domain.is_empty() { None } else { self.behind.find(domain, read) };
        told.map(Cow::Owned).or_else(|| self.map.get(domain).map(Cow::Borrowed))
    }
}

/// The right-hand side.
fn read(right: &str) -> Result<(Kind, Policy), String> {
    let words: Vec<&str> = right.split_whitespace().collect();
    match words.as_slice() {
        [] => Ok((Kind::Local, Policy::default())),
        ["local", options @ ..] => Ok((Kind::Local, Policy::parse(options.iter().copied())?)),
        ["alias", other] => Ok((Kind::Alias(key::domain(other)), Policy::default())),
        ["relay", options @ ..] => Ok((Kind::Relay, Policy::parse(options.iter().copied())?)),
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

    #[test]
    fn options() {
        let text =
            "a.example local quota=1M\nb.example alias a.example\nc.example relay max_size=7\nd.example local x=1\n";
        let (d, m) = Domains::parse(text);
        assert_eq!(m.iter().map(|m| m.line).collect::<Vec<_>>(), [4]);
        assert_eq!(d.policy("a.example").quota_kb, Some(1024));
        assert_eq!(d.policy("b.example").quota_kb, Some(1024));
        assert_eq!(d.policy("c.example").max_size, 7);
        assert_eq!(*d.policy("other.example"), Policy::default());
    }
}
