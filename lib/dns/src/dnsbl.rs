//! DNS lists of client addresses, with weights.
//!
//! Standard    RFC 5782 (reversed address below the zone, A records in 127.0.0.0/8)
//! Format      `ZONE`, `ZONE=127.0.0.2`, `ZONE=127.0.0.[2..11]`, each with `*WEIGHT`; a negative weight speaks for a client
//! Invariants  an answer outside 127.0.0.0/8 is no listing (a wildcarded zone lists nobody)

use crate::{Data, Name, reverse_name};
use std::net::{IpAddr, Ipv4Addr};

/// One list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The zone.
    pub zone: String,
    /// First three octets and the range of the last, when only some answers count.
    answers: Option<([u8; 3], u8, u8)>,
    /// What a listing adds to the sum.
    pub weight: i64,
}

impl List {
    /// Parses an entry of smtpd.dnsbl.
    pub fn parse(text: &str) -> Option<List> {
        let (rest, weight) = match text.rsplit_once('*') {
            Some((rest, weight)) => (rest, weight.parse().ok()?),
            None => (text, 1),
        };
        let (zone, answers) = match rest.split_once('=') {
            Some((zone, pattern)) => (zone, Some(range(pattern)?)),
            None => (rest, None),
        };
        (!zone.is_empty()).then(|| List { zone: zone.to_owned(), answers, weight })
    }

    /// The name to ask for.
    pub fn name(&self, ip: IpAddr) -> Option<Name> {
        let reversed = reverse_name(ip).to_string();
        let labels = reversed.trim_end_matches('.');
        let labels = labels.strip_suffix(".in-addr.arpa").or_else(|| labels.strip_suffix(".ip6.arpa"))?;
        Name::parse(&format!("{labels}.{}", self.zone)).ok()
    }

    /// Whether these records list the client.
    pub fn listed(&self, records: &[Data]) -> bool {
        records.iter().any(|data| matches!(data, Data::A(a) if self.counts(*a)))
    }

    fn counts(&self, address: Ipv4Addr) -> bool {
        let [a, b, c, d] = address.octets();
        match self.answers {
            Some((head, low, high)) => head == [a, b, c] && (low..=high).contains(&d),
            None => a == 127,
        }
    }
}

fn range(pattern: &str) -> Option<([u8; 3], u8, u8)> {
    let (head, last) =
        pattern.rsplit_once('.').filter(|(head, _)| !head.contains('[')).or_else(|| pattern.split_once(".["))?;
    let last = last.trim_start_matches('[');
    let mut octets = head.split('.').map(|o| o.parse::<u8>().ok());
    let head = [octets.next()??, octets.next()??, octets.next()??];
    let (low, high) = match last.strip_suffix(']').and_then(|r| r.split_once("..")) {
        Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
        None => (last.parse().ok()?, last.parse().ok()?),
    };
    octets.next().is_none().then_some((head, low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_names_reversed() {
        let list = List::parse("bl.example=127.0.0.[2..11]*-3").unwrap();
        assert_eq!((list.zone.as_str(), list.weight), ("bl.example", -3));
        assert_eq!(list.name("192.0.2.7".parse().unwrap()).unwrap().to_string(), "7.2.0.192.bl.example");
        assert!(list.listed(&[Data::A([127, 0, 0, 9].into())]) && !list.listed(&[Data::A([127, 0, 0, 12].into())]));
        let plain = List::parse("bl.example").unwrap();
        assert!(plain.listed(&[Data::A([127, 9, 9, 9].into())]) && !plain.listed(&[Data::A([203, 0, 113, 1].into())]));
        assert!(List::parse("bl.example*x").is_none() && List::parse("").is_none());
    }
}
