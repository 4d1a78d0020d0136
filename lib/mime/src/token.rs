//! Lexer for structured header fields: atoms, quoted strings, comments, domain literals, specials.
//!
//! Standards   RFC 5322 3.2 and 4.1; RFC 2045 5.1 (tspecials are the caller's choice of what is special)
//! Invariants  each byte is looked at once; comments nest to [`COMMENT_DEPTH`], deeper ones are read as closed
//! Failures    an unclosed quote or comment ends with the field
use std::borrow::Cow;

/// How deep comments may nest before we stop counting.
pub const COMMENT_DEPTH: usize = 32;

/// A piece of a structured field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A run of bytes that are neither blank nor special.
    Atom(Cow<'a, [u8]>),
    /// A quoted string, its quotes and backslashes removed.
    Quoted(Cow<'a, [u8]>),
    /// A comment, its outer parentheses and backslashes removed.
    Comment(Vec<u8>),
    /// `[...]` with its brackets.
    Literal(Cow<'a, [u8]>),
    /// One special byte.
    Special(u8),
}

/// Splits a structured field into tokens.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    specials: &'static Specials,
    space_before: bool,
}

/// A set of bytes that come out alone.
#[derive(Debug)]
pub struct Specials {
    alone: [bool; 256],
    /// Those, and all else that ends an atom: quotes, comments, blanks, NUL.
    stop: [bool; 256],
}

impl Specials {
    const fn of(set: &[u8]) -> Specials {
        let (mut alone, mut stop) = ([false; 256], [false; 256]);
        let mut n = 0;
        while n < set.len() {
            alone[set[n] as usize] = true;
            stop[set[n] as usize] = true;
            n += 1;
        }
        let more = b"\"( \t\r\n\0";
        n = 0;
        while n < more.len() {
            stop[more[n] as usize] = true;
            n += 1;
        }
        Specials { alone, stop }
    }
}

/// RFC 5322 3.2.3 specials without the dot, which is left inside atoms.
pub const ADDRESS_SPECIALS: &Specials = &Specials::of(b"<>@,:;");
/// RFC 2045 5.1 tspecials that we need to see apart.
pub const MIME_SPECIALS: &Specials = &Specials::of(b"<>@,;:/=?");

impl<'a> Lexer<'a> {
    /// Reads `bytes`; `specials` come out alone, quotes, comments and literals are always known.
    pub fn new(bytes: &'a [u8], specials: &'static Specials) -> Self {
        Lexer { bytes, at: 0, specials, space_before: false }
    }

    /// Whether blanks or a fold stood before the token returned last.
    pub fn space_before(&self) -> bool {
        self.space_before
    }

    /// The offset after the token returned last.
    pub fn position(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blank(&mut self) {
        let from = self.at;
        while self.peek().is_some_and(|b| crate::header::is_wsp(b) || b == 0) {
            self.at += 1;
        }
        self.space_before = self.at > from;
    }

    fn quoted(&mut self) -> Token<'a> {
        self.at += 1;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\' | b'\r' | b'\n'));
        if let Some(end) = plain.filter(|end| rest[*end] == b'"') {
            self.at += end + 1;
            return Token::Quoted(Cow::Borrowed(&rest[..end]));
        }
        let mut out = Vec::new();
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'"' => break,
                b'\\' => self.escaped(&mut out),
                b'\r' | b'\n' => {}
                _ => out.push(b),
            }
        }
        Token::Quoted(Cow::Owned(out))
    }

    fn escaped(&mut self, out: &mut Vec<u8>) {
        if let Some(b) = self.peek() {
            self.at += 1;
            if b != b'\r' && b != b'\n' {
                out.push(b);
            }
        }
    }

    fn comment(&mut self) -> Token<'a> {
        let (mut out, mut depth) = (Vec::new(), 1usize);
        self.at += 1;
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    out.push(b);
                }
                b'(' => {
                    depth = (depth + 1).min(COMMENT_DEPTH);
                    out.push(b);
                }
                b'\\' => self.escaped(&mut out),
                b'\r' | b'\n' => {}
                _ => out.push(b),
            }
        }
        Token::Comment(out)
    }

    fn literal(&mut self) -> Token<'a> {
        let mut out = Vec::new();
        while let Some(b) = self.peek() {
            self.at += 1;
            if !crate::header::is_wsp(b) {
                out.push(b);
            }
            if b == b']' {
                break;
            }
        }
        Token::Literal(Cow::Owned(out))
    }

    /// The byte here begins an atom, whatever it is.
    fn atom(&mut self) -> Token<'a> {
        let from = self.at;
        self.at += 1;
        while self.peek().is_some_and(|b| !self.specials.stop[usize::from(b)]) {
            self.at += 1;
        }
        Token::Atom(Cow::Borrowed(&self.bytes[from..self.at]))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let b = self.peek()?;
        Some(match b {
            b'"' => self.quoted(),
            b'(' => self.comment(),
            b'[' => self.literal(),
            _ if self.specials.alone[usize::from(b)] => {
                self.at += 1;
                Token::Special(b)
            }
            _ => self.atom(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(s: &str) -> Vec<Token<'_>> {
        Lexer::new(s.as_bytes(), ADDRESS_SPECIALS).collect()
    }

    #[test]
    fn tokens_of_an_address() {
        let t = lex("\"a \\\"q\\\"\" (c (n) \\)) <u.v@[1.2. 3.4]>");
        assert_eq!(t[0], Token::Quoted(b"a \"q\"".to_vec().into()));
        assert_eq!(t[1], Token::Comment(b"c (n) )".to_vec()));
        assert_eq!(t[2..4], [Token::Special(b'<'), Token::Atom(b"u.v".to_vec().into())]);
        assert_eq!(t[5], Token::Literal(b"[1.2.3.4]".to_vec().into()));
    }

    #[test]
    fn unclosed_things_end_with_the_field() {
        assert_eq!(lex("\"abc"), [Token::Quoted(b"abc".to_vec().into())]);
        assert_eq!(lex("(abc\\"), [Token::Comment(b"abc".to_vec())]);
        assert_eq!(lex("[abc"), [Token::Literal(b"[abc".to_vec().into())]);
        assert_eq!(lex(&"(".repeat(1000)).len(), 1);
        assert_eq!(lex("a)b"), [Token::Atom(b"a)b".to_vec().into())]);
    }
}
