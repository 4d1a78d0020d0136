//! The access table: who may come in.
//!
//! Format      `client 192.0.2.0/24 reject text`; kinds client (address, CIDR network, host name, `.parent`), helo,
//!             sender and recipient (address, `user@`, domain, `.parent`); actions ok, reject, defer, discard, hold,
//!             dunno with an optional text. The first line that fits decides.

use crate::behind::Behind;
use crate::cidr::Network;
use crate::lines::{Mistake, logical};
use std::borrow::Cow;

#[derive(Debug, Clone)]
struct Rule {
    kind: String,
    pattern: String,
    network: Option<Network>,
    action: String,
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Access {
    rules: Vec<Rule>,
    behind: Behind,
}

impl Access {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Access, Vec<Mistake>) {
        let mut rules = Vec::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            match parse_line(&line.text) {
                Ok(rule) => rules.push(rule),
                Err(text) => mistakes.push(Mistake { line: line.number, text }),
            }
        }
        (Access { rules, behind: Behind::default() }, mistakes)
    }

    /// The table a source tells: it is asked `kind value` and answers the action.
    pub fn behind(behind: Behind) -> Access {
        Access { behind, ..Access::default() }
    }

    /// Number of rules; a source counts as one.
    pub fn len(&self) -> usize {
        self.rules.len() + usize::from(self.behind.is_some())
    }

    /// True when there is no rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The action for a value; `dunno` when nothing fits.
    pub fn find(&self, kind: &str, value: &str) -> Cow<'_, str> {
        let value = value.to_lowercase();
        if self.behind.is_some() {
            let told = self.behind.find(&format!("{kind} {value}"), |right| action(right.split_whitespace()));
            return told.map_or(Cow::Borrowed("dunno"), Cow::Owned);
        }
        let rule = self.rules.iter().find(|r| r.kind == kind && r.fits(&value));
        Cow::Borrowed(rule.map_or("dunno", |r| r.action.as_str()))
    }
}

fn parse_line(line: &str) -> Result<Rule, String> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().unwrap_or("").to_lowercase();
    let (kind, pattern) = (next(), next());
    if !["client", "helo", "sender", "recipient"].contains(&kind.as_str()) {
        return Err(format!("unknown kind {kind}"));
    }
    let action = action(words)?;
    let network = if kind == "client" { Network::parse(&pattern) } else { None };
    Ok(Rule { kind, pattern, network, action })
}

fn action<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<String, String> {
    let verb = words.next().unwrap_or("").to_lowercase();
    if !["ok", "reject", "defer", "discard", "hold", "dunno"].contains(&verb.as_str()) {
        return Err(format!("unknown action {verb}"));
    }
    let text = words.collect::<Vec<_>>().join(" ");
    Ok(if text.is_empty() { verb } else { format!("{verb} {text}") })
}

impl Rule {
    fn fits(&self, value: &str) -> bool {
        if let Some(network) = self.network {
            return value.parse().is_ok_and(|a| network.contains(a));
        }
        if self.pattern == value || self.pattern == "*" {
            return true;
        }
        let (local, domain) = value.rsplit_once('@').unwrap_or(("", value));
        if let Some(parent) = self.pattern.strip_prefix('.') {
            return domain.strip_suffix(parent).is_some_and(|d| d.ends_with('.'));
        }
        match self.pattern.strip_suffix('@') {
            Some(user) => user == local,
            None => !self.pattern.contains('@') && self.pattern == domain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits() {
        let text = "client 192.0.2.7 ok\nclient 192.0.2.0/24 reject go away\nsender spam@ reject\n\
                    recipient .bad.example defer\nsender odd.example hold look at it\nsender *.x nothing\n";
        let (a, m) = Access::parse(text);
        assert_eq!(m.len(), 1);
        assert_eq!(a.find("client", "192.0.2.7"), "ok");
        assert_eq!(a.find("client", "192.0.2.8"), "reject go away");
        assert_eq!(a.find("sender", "Spam@any.where"), "reject");
        assert_eq!(a.find("sender", "x@odd.example"), "hold look at it");
        assert_eq!(a.find("recipient", "u@x.bad.example"), "defer");
        assert_eq!(a.find("recipient", "u@bad.example"), "dunno");
    }
}
