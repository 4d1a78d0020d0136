//! Domain names: parsed once, lower case, within the limits of RFC 1035 2.3.4.
//!
//! Format      kept as wire labels (length octet, octets) without the root's zero
//! Invariants  1. each label has 1..=63 octets, the whole at most 255 with the root   2. ASCII letters are lower case,
//!             so `==` is DNS equality (RFC 4343)
//! Trust       text and wire forms are hostile; what can't be a name is [`BadName`]

use std::fmt;

/// Most octets of a name on the wire, the root's zero included (RFC 1035 2.3.4).
const NAME_MAX: usize = 255;
/// Most octets of one label (RFC 1035 2.3.4).
const LABEL_MAX: usize = 63;

/// The text or bytes are no domain name: an empty or overlong label, or too long in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a domain name")
    }
}

impl std::error::Error for BadName {}

/// A domain name, compared without regard to case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    wire: Vec<u8>,
}

impl Name {
    /// The root, written as a single dot.
    pub fn root() -> Self {
        Self { wire: Vec::new() }
    }

    /// Parses dotted text, with or without the final dot; U-labels become A-labels (RFC 5891 4.4).
    ///
    /// A backslash is an ordinary octet here: names come from mail, not from zone files.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text == "." {
            return Ok(Self::root());
        }
        let ascii;
        let text = if text.is_ascii() {
            text
        } else {
            ascii = crate::idna::to_ascii(text).ok_or(BadName)?;
            &ascii
        };
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::from_labels(text.split('.').map(str::as_bytes))
    }

    /// Builds a name from its labels, leftmost first.
    pub fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<Self, BadName> {
        let mut wire = Vec::new();
        for label in labels {
            push_label(&mut wire, label)?;
        }
        Ok(Self { wire })
    }

    /// Puts one more label in front.
    pub fn child(&self, label: &str) -> Result<Self, BadName> {
        let mut wire = Vec::with_capacity(self.wire.len() + label.len() + 1);
        for part in label.split('.') {
            push_label(&mut wire, part.as_bytes())?;
        }
        wire.extend_from_slice(&self.wire);
        if wire.len() >= NAME_MAX { Err(BadName) } else { Ok(Self { wire }) }
    }

    /// The name without its leftmost label; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(*self.wire.first()?);
        Some(Self { wire: self.wire.get(first + 1..)?.to_vec() })
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.wire }
    }

    /// How many labels there are; 0 for the root.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.is_empty()
    }

    /// Whether the name is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let mut here = self.labels();
        loop {
            if here.rest == other.wire {
                return true;
            }
            if here.next().is_none() {
                return false;
            }
        }
    }

    /// The last `count` labels, or the whole name when it has fewer.
    pub fn suffix(&self, count: usize) -> Self {
        let mut labels = self.labels();
        for _ in count..self.label_count() {
            labels.next();
        }
        Self { wire: labels.rest.to_vec() }
    }

    /// The wire form without the final zero.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }
}

/// Appends one label, keeping the limits.
fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), BadName> {
    let len = u8::try_from(label.len()).map_err(|_| BadName)?;
    // `>=`: the root's zero needs one octet more.
    if len == 0 || label.len() > LABEL_MAX || wire.len() + 1 + label.len() >= NAME_MAX {
        return Err(BadName);
    }
    wire.push(len);
    wire.extend(label.iter().map(u8::to_ascii_lowercase));
    Ok(())
}

/// Iterator over the labels of a [`Name`].
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, tail) = self.rest.split_first()?;
        let (label, rest) = tail.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(label)
    }
}

impl fmt::Display for Name {
    /// Writes dotted text without a final dot; odd octets are escaped as in RFC 1035 5.1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl std::str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn case_and_final_dot_do_not_matter() {
        assert_eq!(name("Example.ORG."), name("example.org"));
        assert_eq!(name("Example.ORG.").to_string(), "example.org");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn limits_of_rfc_1035() {
        assert!(Name::parse("").is_err());
        assert!(Name::parse("a..b").is_err());
        assert!(Name::parse(&format!("{}.x", "a".repeat(63))).is_ok());
        assert!(Name::parse(&format!("{}.x", "a".repeat(64))).is_err());
        // four labels: 3 * 64 + 1 + n, plus the root's zero, is 255 at most
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert!(Name::parse(&long).is_ok());
        assert!(Name::parse(&format!("{long}b")).is_err());
        assert!(name(&long).child("c").is_err());
    }

    #[test]
    fn relations() {
        let host = name("mail.sub.example.org");
        assert!(host.is_within(&name("example.org")));
        assert!(host.is_within(&host));
        assert!(host.is_within(&Name::root()));
        assert!(!name("badexample.org").is_within(&name("example.org")));
        assert_eq!(host.parent().unwrap(), name("sub.example.org"));
        assert_eq!(host.suffix(2), name("example.org"));
        assert_eq!(host.suffix(9), host);
        assert_eq!(host.label_count(), 4);
        assert_eq!(name("example.org").child("_dmarc").unwrap(), name("_dmarc.example.org"));
    }

    #[test]
    fn a_dot_inside_a_label_cannot_pass_for_a_border() {
        let odd = Name::from_labels([b"a.b".as_slice(), b"c\x00"].into_iter()).unwrap();
        assert_eq!(odd.to_string(), "a\\.b.c\\000");
        assert_ne!(odd, name("a.b.c"));
    }

    #[test]
    fn u_labels_become_a_labels() {
        assert_eq!(name("bücher.example").to_string(), "xn--bcher-kva.example");
    }
}
