//! Strings of a script: constants, or templates with variables.
//!
//! Standards   RFC 5229 3 (variables), RFC 5228 2.4.2.4 (encoded-character), RFC 6609 3.4.3 (global.)
//! Invariants  what is not a well-formed `${...}` is literal text

/// A string of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    /// A variable, lower case; a name space stays in front (`global.x`, `env.x`).
    Variable(String),
    /// `${1}`: what the last match caught.
    Match(usize),
}

impl Text {
    /// A string without variables.
    pub(crate) fn constant(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Literal(text.into())] }
    }

    /// Reads variable references, RFC 5229 3.
    pub(crate) fn template(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            match reference(from) {
                Some((piece, length)) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(piece);
                    rest = from.get(length..).unwrap_or_default();
                }
                None => {
                    literal.push('$');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self { pieces }
    }

    /// The string if no variable is in it.
    pub(crate) fn as_constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// The reference `from` begins with, and its length.
fn reference(from: &str) -> Option<(Piece, usize)> {
    let inner = from.strip_prefix("${")?;
    let end = inner.find('}')?;
    let name = inner.get(..end)?;
    let length = end + 3;
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return Some((Piece::Match(name.parse().ok()?), length));
    }
    let mut parts = name.split('.');
    let fits = parts.all(is_identifier);
    fits.then(|| (Piece::Variable(name.to_ascii_lowercase()), length))
}

/// RFC 5228 8.1 identifier.
pub(crate) fn is_identifier(word: &str) -> bool {
    word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Decodes `${hex:...}` and `${unicode:...}`, RFC 5228 2.4.2.4. `None`: a code point that is no character (an error of the script).
pub(crate) fn decode_encoded(text: &str) -> Option<String> {
    let mut out: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        match encoded(from)? {
            Some((bytes, length)) => {
                out.extend_from_slice(&bytes);
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                out.push(b'$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Some(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Outer `None`: bad code point; inner `None`: no encoded-character sequence.
#[allow(clippy::option_option, clippy::type_complexity)]
fn encoded(from: &str) -> Option<Option<(Vec<u8>, usize)>> {
    let Some(end) = from.find('}') else { return Some(None) };
    let Some((kind, list)) = from.get(2..end).and_then(|i| i.split_once(':')) else { return Some(None) };
    let words: Vec<&str> = list.split([' ', '\t', '\r', '\n']).filter(|w| !w.is_empty()).collect();
    if words.is_empty() || !words.iter().all(|w| w.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Some(None);
    }
    let bytes = match kind.to_ascii_lowercase().as_str() {
        "hex" if words.iter().all(|w| w.len() <= 2) => {
            words.iter().filter_map(|w| u8::from_str_radix(w, 16).ok()).collect()
        }
        "unicode" if words.iter().all(|w| w.len() <= 40) => {
            let mut text = String::new();
            for word in words {
                let value = u32::from_str_radix(word.trim_start_matches('0'), 16)
                    .or_else(|e| if word.bytes().all(|b| b == b'0') { Ok(0) } else { Err(e) });
                text.push(char::from_u32(value.ok()?)?);
            }
            text.into_bytes()
        }
        _ => return Some(None),
    };
    Some(Some((bytes, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5229_references() {
        let lit = |s: &str| Piece::Literal(s.into());
        let var = |s: &str| Piece::Variable(s.into());
        assert_eq!(Text::template("a${B}c").pieces(), [lit("a"), var("b"), lit("c")]);
        assert_eq!(Text::template("${1}${12}").pieces(), [Piece::Match(1), Piece::Match(12)]);
        assert_eq!(Text::template("&%${}!").pieces(), [lit("&%${}!")]);
        assert_eq!(Text::template("${doh!}").pieces(), [lit("${doh!}")]);
        assert_eq!(Text::template("${${a}").pieces(), [lit("${"), var("a")]);
        assert_eq!(Text::template("${global.x}").pieces(), [var("global.x")]);
        assert_eq!(Text::template("").as_constant(), Some(""));
    }

    #[test]
    fn rfc5228_encoded_characters() {
        for (text, want) in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UNICODE:40}", "@"),
            ("${UnICoDE:0000040}", "@"),
            ("${Unicode:40}", "@"),
            ("${unicode: 263A }", "\u{263a}"),
        ] {
            assert_eq!(decode_encoded(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(decode_encoded("${unicode:200000}"), None);
        assert_eq!(decode_encoded("${Unicode:DF01}"), None);
    }
}
