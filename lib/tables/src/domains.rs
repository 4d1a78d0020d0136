//! The domains table: which domains are ours, and how.
//!
//! Format      `example.org local`, `example.net alias example.org`, `example.com relay`, one a line; domains that
//!             logins of the users table have, the host name and localhost are local without a line.

use crate::lines::{Mistake, logical};
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
pub struct Domains(HashMap<String, Kind>);

impl Domains {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Domains, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            let words: Vec<&str> = line.text.split_whitespace().collect();
            let kind = match words.get(1..).unwrap_or(&[]) {
                [] | ["local"] => Kind::Local,
                ["alias", other] => Kind::Alias(other.to_lowercase()),
                ["relay"] => Kind::Relay,
                _ => {
                    mistakes.push(Mistake { line: line.number, text: "expected local, relay or alias DOMAIN".into() });
                    continue;
                }
            };
            map.insert(words.first().unwrap_or(&"").to_lowercase(), kind);
        }
        (Domains(map), mistakes)
    }

    /// Adds a local domain that another table implies.
    pub fn imply_local(&mut self, domain: &str) {
        self.0.entry(domain.to_lowercase()).or_insert(Kind::Local);
    }

    /// How a domain (lower-case A-labels) is ours.
    pub fn find(&self, domain: &str) -> Option<&Kind> {
        self.0.get(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let (d, m) = Domains::parse("A.example\nb.example alias a.example\nc.example relay\nd.example what\n");
        assert_eq!(m.len(), 1);
        assert_eq!(d.find("a.example"), Some(&Kind::Local));
        assert_eq!(d.find("b.example"), Some(&Kind::Alias("a.example".into())));
        assert_eq!(d.find("c.example"), Some(&Kind::Relay));
        assert_eq!(d.find("d.example"), None);
    }
}
