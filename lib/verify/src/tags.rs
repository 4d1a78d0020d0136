//! Tag lists: `name=value; name=value`, the form of DKIM, ARC and DMARC data.
//!
//! Standards   RFC 6376 3.2 (syntax), RFC 8616 4 (UTF-8 in values)
//! Invariants  1. names are unique and case-sensitive   2. values are without white space at both ends
//!             3. anything outside the grammar is [`BadTags`]

use std::fmt;

/// Tags of one list; real ones hold a dozen.
const TAGS_MAX: usize = 100;

/// Text that is no tag list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTags(pub &'static str);

impl fmt::Display for BadTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadTags {}

/// A parsed list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags<'a> {
    list: Vec<(&'a str, &'a str)>,
}

impl<'a> Tags<'a> {
    /// Parses a list; folds may stand wherever the grammar has FWS.
    pub fn parse(text: &'a str) -> Result<Self, BadTags> {
        let mut tags = Self::default();
        let mut specs = text.split(';').peekable();
        while let Some(spec) = specs.next() {
            let spec = trim(spec);
            if spec.is_empty() && specs.peek().is_none() {
                break; // one semicolon may end the list
            }
            tags.push(spec)?;
        }
        Ok(tags)
    }

    fn push(&mut self, spec: &'a str) -> Result<(), BadTags> {
        let (name, value) = spec.split_once('=').ok_or(BadTags("tag without \"=\""))?;
        let (name, value) = (trim(name), trim(value));
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(BadTags("bad tag name"));
        }
        if !value.chars().all(|c| is_fws(c) || ('!'..='~').contains(&c) || !c.is_ascii()) {
            return Err(BadTags("bad octet in tag value"));
        }
        if self.get(name).is_some() {
            return Err(BadTags("tag given twice"));
        }
        if self.list.len() >= TAGS_MAX {
            return Err(BadTags("too many tags"));
        }
        self.list.push((name, value));
        Ok(())
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.list.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// The first tag.
    pub fn first(&self) -> Option<(&'a str, &'a str)> {
        self.list.first().copied()
    }
}

/// White space of FWS.
fn is_fws(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_fws)
}

/// The value without any white space inside, as base64 and lists want it.
pub(crate) fn squeeze(value: &str) -> String {
    value.chars().filter(|c| !is_fws(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let tags = Tags::parse(" a = 1 ; b=x\r\n y;c=;\r\n").unwrap();
        assert_eq!((tags.get("a"), tags.get("b"), tags.get("c")), (Some("1"), Some("x\r\n y"), Some("")));
        assert_eq!(tags.get("A"), None);
        assert_eq!(tags.first(), Some(("a", "1")));
        assert!(Tags::parse("").unwrap().first().is_none());
    }

    #[test]
    fn what_is_no_list() {
        for bad in ["a", "=1", "1a=2", "a=1;;b=2", "a=1;a=2", "a=1; ;", "a=\u{1}", "a-b=1", "a=1;;"] {
            assert!(Tags::parse(bad).is_err(), "{bad:?}");
        }
    }
}
