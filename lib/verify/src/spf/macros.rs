//! Macro strings: parsed once, expanded later.
//!
//! Standards   RFC 7208 7 (syntax and processing), 6.2 (the letters c, r, t only in explanations)
//! Invariants  1. a parsed string expands without error   2. `%{...}` is taken apart only here

use super::record::SyntaxError;
use std::net::IpAddr;

/// Longest domain name in text after expansion (7.3).
const NAME_TEXT_MAX: usize = 253;

/// One piece of a macro string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it stands; `%%`, `%_` and `%-` are resolved.
    Literal(String),
    /// `%%`, `%_` or `%-`: a literal that still counts as macro-expand at the end of a domain-spec.
    Escape(&'static str),
    /// `%{...}`.
    Macro(Macro),
}

/// `%{` letter transformers delimiters `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Macro {
    pub letter: char,
    escape: bool,
    parts: usize,
    reverse: bool,
    delimiters: String,
}

/// Where the text stands decides which letters it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Domain,
    Explanation,
}

/// A checked macro string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacroString {
    pub pieces: Vec<Piece>,
}

/// Gives the values of macro letters.
pub(super) trait Values {
    /// The value of a letter in lower case.
    fn value(&mut self, letter: char) -> String;
}

impl MacroString {
    /// Parses `macro-string` (7.1); in an explanation spaces are text too.
    pub fn parse(text: &str, place: Place) -> Result<Self, SyntaxError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, tail) = rest.split_at(rest.find('%').unwrap_or(rest.len()));
            let visible = |c: char| matches!(c, '!'..='~') || (c == ' ' && place == Place::Explanation);
            if !literal.chars().all(visible) {
                return Err(SyntaxError::new("character not allowed", text));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            rest = tail;
            if let Some(tail) = rest.strip_prefix('%') {
                let (piece, after) = percent(tail, place).ok_or_else(|| SyntaxError::new("bad macro", text))?;
                pieces.push(piece);
                rest = after;
            }
        }
        Ok(Self { pieces })
    }

    /// Parses `domain-spec`: a macro string that ends in a macro or in a top label (7.1).
    pub fn domain_spec(text: &str) -> Result<Self, SyntaxError> {
        let parsed = Self::parse(text, Place::Domain)?;
        let ends_well = match parsed.pieces.last() {
            Some(Piece::Macro(_) | Piece::Escape(_)) => true,
            Some(Piece::Literal(tail)) => ends_in_toplabel(tail),
            None => false,
        };
        if ends_well { Ok(parsed) } else { Err(SyntaxError::new("bad domain", text)) }
    }

    /// The text with every macro replaced.
    pub fn expand(&self, values: &mut dyn Values) -> String {
        self.pieces.iter().fold(String::new(), |mut out, piece| {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Escape(text) => out.push_str(text),
                Piece::Macro(m) => out.push_str(&m.transform(&values.value(m.letter))),
            }
            out
        })
    }

    /// The text as a domain name: labels cut from the left until it fits, no final dot (7.3).
    pub fn expand_domain(&self, values: &mut dyn Values) -> String {
        let full = self.expand(values);
        let mut name = full.strip_suffix('.').unwrap_or(&full);
        while name.len() > NAME_TEXT_MAX {
            match name.split_once('.') {
                Some((_, tail)) => name = tail,
                None => break,
            }
        }
        name.to_owned()
    }
}

/// What follows a `%`.
fn percent(tail: &str, place: Place) -> Option<(Piece, &str)> {
    let mut chars = tail.chars();
    let piece = match chars.next()? {
        '%' => Piece::Escape("%"),
        '_' => Piece::Escape(" "),
        '-' => Piece::Escape("%20"),
        '{' => {
            let (inside, after) = chars.as_str().split_once('}')?;
            return Some((Piece::Macro(parse_macro(inside, place)?), after));
        }
        _ => return None,
    };
    Some((piece, chars.as_str()))
}

fn parse_macro(inside: &str, place: Place) -> Option<Macro> {
    let first = inside.chars().next()?;
    let letter = first.to_ascii_lowercase();
    let letters = if place == Place::Explanation { "slodiphcrtv" } else { "slodiphv" };
    if !letters.contains(letter) {
        return None;
    }
    let rest = inside.strip_prefix(first)?;
    let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    // 7.3: a number must not be zero; none, or one too large, means all parts
    let parts = match digits {
        "" => usize::MAX,
        _ if digits.bytes().all(|b| b == b'0') => return None,
        _ => digits.parse().unwrap_or(usize::MAX),
    };
    let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
        return None;
    }
    let delimiters = if delimiters.is_empty() { "." } else { delimiters };
    Some(Macro { letter, escape: first.is_ascii_uppercase(), parts, reverse, delimiters: delimiters.to_owned() })
}

/// `*"text" "." toplabel [ "." ]` (7.1).
fn ends_in_toplabel(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else { return false };
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && edge(label.chars().next())
        && edge(label.chars().next_back())
        && !label.chars().all(|c| c.is_ascii_digit())
}

impl Macro {
    /// Splits, reverses, takes the right-hand parts, joins with dots, escapes (7.3).
    fn transform(&self, value: &str) -> String {
        let mut parts: Vec<&str> = value.split(|c| self.delimiters.contains(c)).collect();
        if self.reverse {
            parts.reverse();
        }
        let skip = parts.len().saturating_sub(self.parts);
        let text = parts.get(skip..).unwrap_or_default().join(".");
        if self.escape { url_escape(&text) } else { text }
    }
}

/// Everything but the unreserved set of RFC 3986 as %XX.
fn url_escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

/// The `i` macro: dotted quad, or the 32 nibbles of an IPv6 address with dots (7.3).
pub(super) fn ip_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|o| [o >> 4, o & 0xf]);
            nibbles.map(|n| format!("{n:X}")).collect::<Vec<_>>().join(".")
        }
    }
}
