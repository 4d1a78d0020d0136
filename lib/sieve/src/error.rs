//! Errors of a script, with their place.

use std::fmt;

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pos {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

/// What is wrong with a script, or what went wrong running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where.
    pub pos: Pos,
    /// One line of text.
    pub text: String,
}

impl Error {
    /// An error at a place.
    pub fn new(pos: Pos, text: impl Into<String>) -> Self {
        Self { pos, text: text.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.pos.line, self.pos.column, self.text)
    }
}

impl std::error::Error for Error {}
