//! Lexer for structured header fields: atoms, quoted strings, comments, domain literals, specials.
//!
//! Standards   RFC 5322 3.2 and 4.1; RFC 2045 5.1 (tspecials are the caller's choice of what is special)
//! Invariants  each byte is looked at once; comments nest to [`COMMENT_DEPTH`], deeper ones are read as closed
//! Failures    an unclosed quote or comment ends with the field
/// How deep comments may nest before we stop counting.
pub const COMMENT_DEPTH: usize = 32;

/// A piece of a structured field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A run of bytes that are neither blank nor special.
    Atom(Vec<u8>),
    /// A quoted string, its quotes and backslashes removed.
    Quoted(Vec<u8>),
    /// A comment, its outer parentheses and backslashes removed.
    Comment(Vec<u8>),
    /// `[...]` with its brackets.
    Literal(Vec<u8>),
    /// One special byte.
    Special(u8),
}

/// Splits a structured field into tokens.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    specials: &'static [u8],
    space_before: bool,
}

/// RFC 5322 3.2.3 specials without the dot, which is left inside atoms.
pub const ADDRESS_SPECIALS: &[u8] = b"<>@,:;";
/// RFC 2045 5.1 tspecials that we need to see apart.
pub const MIME_SPECIALS: &[u8] = b"<>@,;:/=?";

impl<'a> Lexer<'a> {
    /// Reads `bytes`; `specials` come out alone, quotes, comments and literals are always known.
    pub fn new(bytes: &'a [u8], specials: &'static [u8]) -> Self {
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

    fn quoted(&mut self) -> Token {
        let mut out = Vec::new();
        self.at += 1;
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'"' => break,
                b'\\' => self.escaped(&mut out),
                b'\r' | b'\n' => {}
                _ => out.push(b),
            }
        }
        Token::Quoted(out)
    }

    fn escaped(&mut self, out: &mut Vec<u8>) {
        if let Some(b) = self.peek() {
            self.at += 1;
            if b != b'\r' && b != b'\n' {
                out.push(b);
            }
        }
    }

    fn comment(&mut self) -> Token {
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

    fn literal(&mut self) -> Token {
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
        Token::Literal(out)
    }

    fn atom(&mut self) -> Token {
        let from = self.at;
        while let Some(b) = self.peek() {
            let stop = matches!(b, b'"' | b'(' | 0) || crate::header::is_wsp(b) || self.specials.contains(&b);
            if stop && self.at > from {
                break;
            }
            self.at += 1;
        }
        Token::Atom(self.bytes[from..self.at].to_vec())
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let b = self.peek()?;
        Some(match b {
            b'"' => self.quoted(),
            b'(' => self.comment(),
            b'[' => self.literal(),
            _ if self.specials.contains(&b) => {
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

    fn lex(s: &str) -> Vec<Token> {
        Lexer::new(s.as_bytes(), ADDRESS_SPECIALS).collect()
    }

    #[test]
    fn tokens_of_an_address() {
        let t = lex("\"a \\\"q\\\"\" (c (n) \\)) <u.v@[1.2. 3.4]>");
        assert_eq!(t[0], Token::Quoted(b"a \"q\"".to_vec()));
        assert_eq!(t[1], Token::Comment(b"c (n) )".to_vec()));
        assert_eq!(t[2..4], [Token::Special(b'<'), Token::Atom(b"u.v".to_vec())]);
        assert_eq!(t[5], Token::Literal(b"[1.2.3.4]".to_vec()));
    }

    #[test]
    fn unclosed_things_end_with_the_field() {
        assert_eq!(lex("\"abc"), [Token::Quoted(b"abc".to_vec())]);
        assert_eq!(lex("(abc\\"), [Token::Comment(b"abc".to_vec())]);
        assert_eq!(lex("[abc"), [Token::Literal(b"[abc".to_vec())]);
        assert_eq!(lex(&"(".repeat(1000)).len(), 1);
        assert_eq!(lex("a)b"), [Token::Atom(b"a)b".to_vec())]);
    }
}
