//! The address of an envelope as text that is safe to carry: one line, balanced quotes.
//!
//! Invariants  1. no control character   2. `>` and spaces only inside a quoted local part
//! Not here    the grammar of RFC 5321 4.1.2 (penny-addr); a queue carries what was accepted

use std::fmt;

/// Longest path carried; RFC 5321 4.5.3.1.3 asks for 256, internationalised ones may be longer.
const PATH_MAX: usize = 1024;

/// An address, or the empty one (null reverse-path).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(String);

impl Address {
    /// Checks text without angle brackets; `None` when it cannot be carried in one path.
    pub fn new(text: impl Into<String>) -> Option<Address> {
        let text = text.into();
        let whole = text.len() <= PATH_MAX && scan(&text) == text.len();
        whole.then_some(Address(text))
    }

    /// The null reverse-path.
    pub fn null() -> Address {
        Address::default()
    }

    /// Splits `<address>` off the front of a line: the address and what follows `>`.
    pub fn split_path(line: &str) -> Option<(Address, &str)> {
        let inside = line.strip_prefix('<')?;
        let end = scan(inside);
        let rest = inside.get(end..)?.strip_prefix('>')?;
        Some((Address::new(inside.get(..end)?)?, rest))
    }

    /// The text without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the null reverse-path.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The part after the last `@` outside quotes, in lower case; empty when there is none.
    pub fn domain(&self) -> String {
        self.split().1.to_lowercase()
    }

    /// The part before the last `@` outside quotes, quotes kept.
    pub fn local_part(&self) -> &str {
        self.split().0
    }

    /// Whether the address needs SMTPUTF8 (RFC 6531).
    pub fn needs_utf8(&self) -> bool {
        !self.0.is_ascii()
    }

    fn split(&self) -> (&str, &str) {
        let start = if self.0.starts_with('"') { scan_quoted(&self.0) } else { 0 };
        match self.0.get(start..).and_then(|rest| rest.rfind('@')) {
            Some(at) => (&self.0[..start + at], &self.0[start + at + 1..]), // '@' is one byte: both cuts are boundaries
            None => (&self.0, ""),
        }
    }
}

/// Length of the leading part that may stand in a path: stops at a control character and at an
/// unquoted space or angle bracket; 0 when a quoted string is left open.
fn scan(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if c.is_control() || (!quoted && matches!(c, ' ' | '<' | '>')) {
            return at;
        }
        (quoted, escaped) = match (quoted, escaped, c) {
            (_, true, _) => (quoted, false),
            (true, false, '\\') => (true, true),
            (_, false, '"') => (!quoted, false),
            _ => (quoted, false),
        };
    }
    if quoted { 0 } else { text.len() }
}

/// End of a leading quoted string, or 0.
fn scan_quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    0
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}
