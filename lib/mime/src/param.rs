//! Parameters of Content-Type and Content-Disposition.
//!
//! Standards   RFC 2045 5.1; RFC 2231 3 (continuations `name*0`), 4 (charset `name*`); RFC 2047 words in values are read too,
//!             though RFC 2047 5 forbids them, because most mailers wrote file names so
//! Invariants  at most [`PARAMS_MAX`] parameters, [`SECTIONS_MAX`] sections each
use crate::token::{Lexer, MIME_SPECIALS, Token};
use crate::{charset, word};

/// Parameters read from one field; the rest are ignored.
pub const PARAMS_MAX: usize = 256;
/// Sections of one continued parameter (RFC 2231 3).
pub const SECTIONS_MAX: usize = 256;

/// One parameter as written, before RFC 2231 is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The name with its `*` marks.
    pub name: Vec<u8>,
    /// The value, quotes removed.
    pub value: Vec<u8>,
}

/// Parameters of one field, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    raw: Vec<Raw>,
}

impl Params {
    /// Reads `; name=value` pairs; a pair that does not parse is skipped to the next `;`.
    pub fn parse(lexer: &mut Lexer<'_>) -> Self {
        let mut raw = Vec::new();
        let mut pair = Pair::default();
        for token in lexer {
            match token {
                Token::Special(b';') => pair.store(&mut raw),
                Token::Special(b'=') if !pair.equals => pair.equals = true,
                Token::Comment(_) => {}
                Token::Special(b) => pair.push(&[b]),
                Token::Atom(text) | Token::Literal(text) => pair.push(&text),
                Token::Quoted(text) => pair.quoted(&text),
            }
        }
        pair.store(&mut raw);
        Params { raw }
    }

    /// The parameters as written (for BODYSTRUCTURE).
    pub fn raw(&self) -> &[Raw] {
        &self.raw
    }

    /// The value of a parameter as written, without RFC 2231 or RFC 2047 decoding.
    pub fn plain(&self, name: &str) -> Option<&[u8]> {
        self.raw.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.value.as_slice())
    }

    /// The value of a parameter as UTF-8, all encodings undone.
    pub fn decoded(&self, name: &str) -> Option<String> {
        self.continued(name).or_else(|| Some(word::decode_header(self.plain(name)?)))
    }

    /// RFC 2231 forms: `name*`, `name*0`, `name*0*`.
    fn continued(&self, name: &str) -> Option<String> {
        let mut sections: Vec<(usize, bool, &[u8])> =
            self.raw.iter().filter_map(|p| section(p, name)).take(SECTIONS_MAX).collect();
        sections.sort_by_key(|s| s.0);
        let (first, rest) = sections.split_first()?;
        if first.0 != 0 {
            return None;
        }
        let (label, text) = if first.1 { split_charset(first.2) } else { (b"".as_slice(), first.2) };
        let mut bytes = if first.1 { percent_decode(text) } else { text.to_vec() };
        for (index, s) in rest.iter().enumerate().take_while(|(i, s)| s.0 == i + 1) {
            debug_assert_eq!(s.0, index + 1);
            bytes.extend_from_slice(&if s.1 { percent_decode(s.2) } else { s.2.to_vec() });
        }
        Some(if label.is_empty() {
            charset::guess(&bytes).into_owned()
        } else {
            charset::to_utf8(label, &bytes).into_owned()
        })
    }
}

#[derive(Default)]
struct Pair {
    name: Vec<u8>,
    value: Vec<u8>,
    equals: bool,
    closed: bool,
}

impl Pair {
    fn push(&mut self, text: &[u8]) {
        if !self.equals {
            self.name.extend_from_slice(text);
        } else if !self.closed {
            self.value.extend_from_slice(text);
        }
    }

    /// A quoted string is a whole value; rubbish behind it is dropped.
    fn quoted(&mut self, text: &[u8]) {
        if self.equals && self.value.is_empty() {
            self.value.extend_from_slice(text);
            self.closed = true;
        }
    }

    fn store(&mut self, raw: &mut Vec<Raw>) {
        let pair = std::mem::take(self);
        if pair.equals && !pair.name.is_empty() && raw.len() < PARAMS_MAX {
            raw.push(Raw { name: pair.name, value: pair.value });
        }
    }
}

/// Splits `name*3*` into number and "percent-encoded" mark.
fn section<'a>(param: &'a Raw, name: &str) -> Option<(usize, bool, &'a [u8])> {
    let (head, tail) = param.name.split_at_checked(name.len())?;
    let tail = tail.strip_prefix(b"*").filter(|_| head.eq_ignore_ascii_case(name.as_bytes()))?;
    if tail.is_empty() {
        return Some((0, true, &param.value));
    }
    let (digits, coded) = tail.strip_suffix(b"*").map_or((tail, false), |d| (d, true));
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, coded, &param.value))
}

/// `charset'language'text`; missing quotes mean there is only text.
fn split_charset(value: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = value.splitn(3, |&b| b == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(label), Some(_), Some(text)) => (label, text),
        _ => (b"", value),
    }
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&b, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match pair.filter(|_| b == b'%') {
            Some(v) => {
                out.push(v);
                rest = &tail[2..];
            }
            None => {
                out.push(b);
                rest = tail;
            }
        }
    }
    out
}

/// Splits off the leading value of a field (up to the first `;`) and reads the parameters behind it.
pub fn value_and_params(field: &[u8]) -> (Vec<u8>, Params) {
    let mut lexer = Lexer::new(field, MIME_SPECIALS);
    let mut value = Vec::new();
    for token in lexer.by_ref() {
        match token {
            Token::Special(b';') => break,
            Token::Special(b) => value.push(b),
            Token::Atom(t) | Token::Quoted(t) | Token::Literal(t) => value.extend_from_slice(&t),
            Token::Comment(_) => {}
        }
    }
    (value, Params::parse(&mut lexer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(s: &str) -> Params {
        value_and_params(s.as_bytes()).1
    }

    #[test]
    fn plain_and_quoted_values() {
        let p = params("text/plain; charset=us-ascii (Plain text); NAME=\"a b;\\\"c\\\"\" ; x");
        assert_eq!(p.plain("charset").unwrap(), b"us-ascii");
        assert_eq!(p.decoded("name").unwrap(), "a b;\"c\"");
        assert_eq!(p.raw().len(), 2);
    }

    #[test]
    fn rfc2231_examples() {
        let p = params("message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/moore\"");
        assert_eq!(p.decoded("url").unwrap(), "ftp://cs.utk.edu/pub/moore");
        let p = params("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A");
        assert_eq!(p.decoded("title").unwrap(), "This is ***fun***");
        let p = params(
            "application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't it!\"",
        );
        assert_eq!(p.decoded("title").unwrap(), "This is even more ***fun*** isn't it!");
    }

    #[test]
    fn words_in_values_are_read_and_broken_forms_survive() {
        assert_eq!(params("a/b; name=\"=?utf-8?B?w6Q=?=.txt\"").decoded("name").unwrap(), "ä.txt");
        assert_eq!(params("a/b; name==?utf-8?Q?=C3=A4?=").decoded("name").unwrap(), "ä");
        assert_eq!(params("a/b; name*1=x").decoded("name"), None);
        assert_eq!(params("a/b; name*=utf-8''%zz%C3%A4").decoded("name").unwrap(), "%zzä");
        assert_eq!(params("a/b; n=\"x\"y; m=1").plain("n").unwrap(), b"x");
        assert_eq!(params(&"a/b;x=y".repeat(1000)).raw().len(), PARAMS_MAX);
    }
}
