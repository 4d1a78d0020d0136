//! Sieve tokens with their places.
//!
//! Standards   RFC 5228 2 and 8.1
//! Invariants  1. memory is bounded by the script   2. every error has line and column (counted in characters from 1)
//! Trust       script bytes are hostile

use crate::error::{Error, Pos};

/// Longest identifier or tag. No standard word comes near.
const IDENTIFIER_MAX: usize = 32;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Identifier(String),
    Tag(String),
    Number(u64),
    Text(String),
    Semicolon,
    Comma,
    BraceOpen,
    BraceClose,
    ParenOpen,
    ParenClose,
    BracketOpen,
    BracketClose,
    /// A byte that begins no token; the error was reported.
    Garbage,
    End,
}

impl Token {
    /// How an error names it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Identifier(name) => format!("identifier '{name}'"),
            Self::Tag(name) => format!("tag ':{name}'"),
            Self::Number(_) => "a number".into(),
            Self::Text(_) => "a string".into(),
            Self::Semicolon => "';'".into(),
            Self::Comma => "','".into(),
            Self::BraceOpen => "'{'".into(),
            Self::BraceClose => "'}'".into(),
            Self::ParenOpen => "'('".into(),
            Self::ParenClose => "')'".into(),
            Self::BracketOpen => "'['".into(),
            Self::BracketClose => "']'".into(),
            Self::Garbage => "an unexpected character".into(),
            Self::End => "the end of the script".into(),
        }
    }
}

/// Cuts a script into tokens.
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    pos: Pos,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, pos: Pos { line: 1, column: 1 } }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.pos = Pos { line: self.pos.line.saturating_add(1), column: 1 };
        } else {
            self.pos.column = self.pos.column.saturating_add(1);
        }
        Some(c)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&fits) {
            self.bump();
        }
        start.get(..start.len() - self.rest.len()).unwrap_or_default()
    }

    /// White space and both kinds of comment, RFC 5228 2.2 and 2.3.
    fn skip_space(&mut self, errors: &mut Vec<Error>) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if self.rest.starts_with('#') {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.bracket_comment(errors);
            } else {
                return;
            }
        }
    }

    fn bracket_comment(&mut self, errors: &mut Vec<Error>) {
        let start = self.pos;
        self.bump();
        self.bump();
        while !self.rest.starts_with("*/") {
            if self.bump().is_none() {
                errors.push(Error::new(start, "this comment is never closed"));
                return;
            }
        }
        self.bump();
        self.bump();
    }

    /// The next token; errors go to the list and give a token that keeps the parser going.
    pub(crate) fn next(&mut self, errors: &mut Vec<Error>) -> (Token, Pos) {
        self.skip_space(errors);
        let pos = self.pos;
        let Some(c) = self.peek() else { return (Token::End, pos) };
        let token = match c {
            'a'..='z' | 'A'..='Z' | '_' => self.word(errors),
            ':' => self.tag(errors),
            '0'..='9' => self.number(errors),
            '"' => self.quoted(errors),
            _ => self.punctuation(errors),
        };
        (token, pos)
    }

    fn identifier(&mut self, errors: &mut Vec<Error>) -> String {
        let pos = self.pos;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.len() > IDENTIFIER_MAX {
            errors.push(Error::new(pos, format!("identifier longer than {IDENTIFIER_MAX} characters")));
        }
        name.to_ascii_lowercase()
    }

    fn word(&mut self, errors: &mut Vec<Error>) -> Token {
        let name = self.identifier(errors);
        if name == "text" && self.peek() == Some(':') {
            self.bump();
            return self.multi_line(errors);
        }
        Token::Identifier(name)
    }

    fn tag(&mut self, errors: &mut Vec<Error>) -> Token {
        let pos = self.pos;
        self.bump();
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
            errors.push(Error::new(pos, "':' begins no tag here"));
            return Token::Garbage;
        }
        Token::Tag(self.identifier(errors))
    }

    /// RFC 5228 2.4.1: K, M, G are powers of 1024.
    fn number(&mut self, errors: &mut Vec<Error>) -> Token {
        let pos = self.pos;
        let digits = self.take_while(|c| c.is_ascii_digit());
        let shift = match self.peek().map(|c| c.to_ascii_lowercase()) {
            Some('k') => 10,
            Some('m') => 20,
            Some('g') => 30,
            _ => 0,
        };
        if shift > 0 {
            self.bump();
        }
        let value = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
        if value.is_none() {
            errors.push(Error::new(pos, "number too large"));
        }
        Token::Number(value.unwrap_or(u64::MAX))
    }

    /// RFC 5228 2.4.2: backslash takes the next character as it is.
    fn quoted(&mut self, errors: &mut Vec<Error>) -> Token {
        let pos = self.pos;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => break,
                Some('\\') => text.extend(self.bump()),
                Some('\0') => errors.push(Error::new(self.pos, "NUL in a string")),
                // the value has CRLF line ends however the script was stored; RFC 5228 2.2
                Some('\r') if self.peek() == Some('\n') => {}
                Some('\n') => text.push_str("\r\n"),
                Some(c) => text.push(c),
                None => {
                    errors.push(Error::new(pos, "this string is never closed"));
                    return Token::End;
                }
            }
        }
        Token::Text(text)
    }

    /// RFC 5228 2.4.2 multi-line: up to a line that is a single dot; leading dots are doubled.
    fn multi_line(&mut self, errors: &mut Vec<Error>) -> Token {
        let pos = self.pos;
        self.take_while(|c| matches!(c, ' ' | '\t'));
        if self.peek() == Some('#') {
            self.take_while(|c| c != '\n');
        }
        if self.peek() == Some('\r') {
            self.bump();
        }
        if self.peek() != Some('\n') {
            errors.push(Error::new(self.pos, "after 'text:' only a comment may follow on the line"));
            return Token::Garbage;
        }
        self.bump();
        let mut text = String::new();
        loop {
            let line = self.take_while(|c| c != '\n');
            let ended = self.bump().is_some();
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line == "." {
                return Token::Text(text);
            }
            if !ended {
                errors.push(Error::new(pos, "this text: is never ended by a line with a single dot"));
                return Token::End;
            }
            text.push_str(if line.starts_with("..") { line.get(1..).unwrap_or_default() } else { line });
            text.push_str("\r\n");
        }
    }

    fn punctuation(&mut self, errors: &mut Vec<Error>) -> Token {
        let pos = self.pos;
        match self.bump() {
            Some(';') => Token::Semicolon,
            Some(',') => Token::Comma,
            Some('{') => Token::BraceOpen,
            Some('}') => Token::BraceClose,
            Some('(') => Token::ParenOpen,
            Some(')') => Token::ParenClose,
            Some('[') => Token::BracketOpen,
            Some(']') => Token::BracketClose,
            Some(c) => {
                // a run of them is one mistake
                self.take_while(|c| !c.is_ascii_alphanumeric() && !" \t\r\n;,{}()[]\"#:/_".contains(c));
                errors.push(Error::new(pos, format!("unexpected character {:?}", c)));
                Token::Garbage
            }
            None => Token::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> (Vec<Token>, Vec<Error>) {
        let mut errors = Vec::new();
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next(&mut errors).0 {
                Token::End => return (tokens, errors),
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn tokens_of_every_kind() {
        let (tokens, errors) = lex("if :over 10K # c\n /* x */ [\"a\\\"\\b\", text:#c\n..x\ny\n.\n];");
        assert_eq!(errors, []);
        let text = |s: &str| Token::Text(s.into());
        assert_eq!(
            tokens,
            [
                Token::Identifier("if".into()),
                Token::Tag("over".into()),
                Token::Number(10240),
                Token::BracketOpen,
                text("a\"b"),
                Token::Comma,
                text(".x\r\ny\r\n"),
                Token::BracketClose,
                Token::Semicolon
            ]
        );
    }

    #[test]
    fn errors_have_their_place() {
        for (script, line, column) in [
            ("keep $", 1, 6),
            ("\n  18446744073709551616", 2, 3),
            ("34359738368G", 1, 1),
            ("\"open", 1, 1),
            ("/* open", 1, 1),
            ("text: x\n.\n", 1, 7),
            ("text:\nno dot", 1, 6),
            (": x", 1, 1),
        ] {
            let errors = lex(script).1;
            assert_eq!(errors.first().map(|e| (e.pos.line, e.pos.column)), Some((line, column)), "{script:?}");
        }
    }
}
