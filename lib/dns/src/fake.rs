//! A zone in memory: answers for tests, and the data behind the test kit's DNS server.
//!
//! Format      text lines `NAME TYPE VALUE`: `mx.example A 192.0.2.1`, `example MX 10 mx.example`, `x TXT any text`,
//!             `x CNAME y`, `x SERVFAIL`, `x TIMEOUT`; a type before the failure word limits it: `x A TIMEOUT`
//! Invariants  a name exists when it or a name below it has an entry (RFC 8020), as in a real zone

use crate::name::Name;
use crate::record::{Answer, Data, Error, Type};
use crate::resolver::Resolve;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Aliases followed before a loop is called one.
const ALIASES_MAX: usize = 10;

/// Records of one name.
#[derive(Debug, Default)]
struct Node {
    data: Vec<Data>,
    failures: HashMap<Option<Type>, Error>,
}

/// A table of records that can also fail on purpose.
#[derive(Debug, Default)]
pub struct Zone {
    nodes: BTreeMap<Name, Node>,
    /// What answers say about validation.
    pub authentic: bool,
    asked: AtomicUsize,
}

impl Zone {
    /// An empty zone: every name is NXDOMAIN.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads lines as described above.
    ///
    /// # Panics
    /// On a line it does not understand: a test's mistake must not pass for an empty zone.
    pub fn parse(text: &str) -> Self {
        let mut zone = Self::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            assert!(zone.line(line).is_some(), "zone line not understood: {line}");
        }
        zone
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let (word, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = Name::parse(name).ok()?;
        if let Some(error) = failure_word(word) {
            self.fail(&name, None, error);
            return Some(());
        }
        let kind = Type::from_word(word)?;
        match failure_word(value.trim()) {
            Some(error) => self.fail(&name, Some(kind), error),
            None => self.add(&name, parse_data(kind, value.trim())?),
        }
        Some(())
    }

    /// Adds a record.
    pub fn add(&mut self, name: &Name, data: Data) {
        self.nodes.entry(name.clone()).or_default().data.push(data);
    }

    /// Adds a TXT record.
    ///
    /// # Panics
    /// When `name` is no domain name.
    pub fn txt(&mut self, name: &str, value: &str) -> &mut Self {
        let name = Name::parse(name).unwrap_or_else(|_| panic!("{name}: not a domain name"));
        self.add(&name, Data::Txt(value.into()));
        self
    }

    /// Makes questions about a name fail: of one type, or of every type it has no record of.
    pub fn fail(&mut self, name: &Name, kind: Option<Type>, error: Error) {
        self.nodes.entry(name.clone()).or_default().failures.insert(kind, error);
    }

    /// How many questions were asked so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn alias(&self, name: &Name) -> Option<Name> {
        match self.direct(name, Type::Cname).ok()?.0.into_iter().next() {
            Some(Data::Cname(target)) => Some(target),
            _ => None,
        }
    }

    /// The records of one name and type, aliases not followed.
    pub fn direct(&self, name: &Name, kind: Type) -> Result<(Vec<Data>, bool), Error> {
        let Some(node) = self.nodes.get(name) else {
            return Ok((Vec::new(), self.nodes.keys().any(|n| n.is_within(name))));
        };
        if let Some(error) = node.failures.get(&Some(kind)) {
            return Err(*error);
        }
        let found: Vec<Data> = node.data.iter().filter(|d| d.kind() == kind).cloned().collect();
        match node.failures.get(&None) {
            Some(error) if found.is_empty() => Err(*error),
            _ => Ok((found, true)),
        }
    }
}

impl Resolve for Zone {
    fn query(&self, name: &Name, kind: Type) -> Result<Answer, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut canonical = name.clone();
        for _ in 0..ALIASES_MAX {
            let (records, exists) = self.direct(&canonical, kind)?;
            let alias = if records.is_empty() && kind != Type::Cname { self.alias(&canonical) } else { None };
            if let Some(target) = alias {
                canonical = target;
                continue;
            }
            return Ok(Answer { records, exists, authentic: self.authentic, canonical, ttl: 60 });
        }
        Err(Error::Malformed)
    }
}

fn failure_word(word: &str) -> Option<Error> {
    match word {
        "TIMEOUT" => Some(Error::Timeout),
        "SERVFAIL" => Some(Error::ServFail),
        "REFUSED" => Some(Error::Rcode(5)),
        _ => None,
    }
}

fn parse_data(kind: Type, value: &str) -> Option<Data> {
    let name = |text: &str| Name::parse(text).ok();
    let words: Vec<&str> = value.split_whitespace().collect();
    let number = |i: usize| words.get(i)?.parse::<u16>().ok();
    Some(match kind {
        Type::A => Data::A(value.parse().ok()?),
        Type::Aaaa => Data::Aaaa(value.parse().ok()?),
        Type::Txt => Data::Txt(value.into()),
        Type::Cname => Data::Cname(name(value)?),
        Type::Ptr => Data::Ptr(name(value)?),
        Type::Ns => Data::Ns(name(value)?),
        Type::Mx => Data::Mx(number(0)?, name(words.get(1)?)?),
        Type::Srv => Data::Srv(number(0)?, number(1)?, number(2)?, name(words.get(3)?)?),
        Type::Tlsa => {
            let octet = |i| u8::try_from(number(i)?).ok();
            Data::Tlsa(octet(0)?, octet(1)?, octet(2)?, unhex(words.get(3)?)?)
        }
        Type::Soa => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibbles: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    nibbles.chunks(2).map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let zone = Zone::parse(
            "a.example A 192.0.2.1\nb.example CNAME a.example\nc.example TIMEOUT\nl.example CNAME l.example",
        );
        let ask = |name: &str, kind| zone.lookup(name, kind);
        assert_eq!(ask("a.example", Type::A).unwrap().records.len(), 1);
        let alias = ask("b.example", Type::A).unwrap();
        assert_eq!((alias.records.len(), alias.canonical.to_string().as_str()), (1, "a.example"));
        let nodata = ask("a.example", Type::Mx).unwrap();
        assert!(nodata.is_empty() && nodata.exists);
        assert!(ask("example", Type::Mx).unwrap().exists, "an empty non-terminal exists");
        assert!(!ask("z.example", Type::A).unwrap().exists);
        assert_eq!(ask("c.example", Type::A), Err(Error::Timeout));
        assert_eq!(ask("l.example", Type::A), Err(Error::Malformed));
        assert_eq!(ask("a..example", Type::A), Err(Error::BadName));
    }

    #[test]
    #[should_panic(expected = "not understood")]
    fn mistakes_in_test_data_are_loud() {
        Zone::parse("a.example A nonsense");
    }
}
