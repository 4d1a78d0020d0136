//! A local part, kept in its meaning: quoting is a matter of writing only, so `"a"` and `a` are one value.
//!
//! Standards   RFC 5321 4.1.2 Local-part, Dot-string, Quoted-string; RFC 6531 3.3 (UTF8-non-ascii as atext and qtext)
//! Invariants  no control characters; never empty unless it was written `""`
//! Length      RFC 5321 4.5.3.1.1 asks for 64 octets and for no limit where possible; VERP and SRS need more,
//!             so only the whole path is limited (see [`crate::PATH_MAX`])

use crate::{AddrError, Charset};
use icu_normalizer::ComposingNormalizerBorrowed;

/// A local part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPart(String);

impl LocalPart {
    /// Parses the written form: a dot-string or a quoted string.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        if text.chars().any(char::is_control) {
            return Err(AddrError::BadOctet);
        }
        if charset == Charset::Ascii && !text.is_ascii() {
            return Err(AddrError::NeedsSmtpUtf8);
        }
        match text.strip_prefix('"') {
            Some(rest) => unquote(rest).map(Self),
            None if is_dot_string(text) => Ok(Self(text.to_owned())),
            None => Err(AddrError::LocalSyntax),
        }
    }

    /// Takes the unquoted value itself, for example a login or a table key.
    pub fn from_value(value: &str) -> Result<Self, AddrError> {
        if value.chars().any(char::is_control) { Err(AddrError::BadOctet) } else { Ok(Self(value.to_owned())) }
    }

    /// The meaning, without quotes.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// NFC and lower case: the second form to look for, after the exact one.
    pub fn folded(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        let nfc = ComposingNormalizerBorrowed::new_nfc();
        // lower-casing may break the composition (rarely), so it is normalised again
        nfc.normalize(&nfc.normalize(&self.0).to_lowercase()).into_owned()
    }
}

fn unquote(rest: &str) -> Result<String, AddrError> {
    let body = rest.strip_suffix('"').ok_or(AddrError::LocalSyntax)?;
    let mut out = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err(AddrError::LocalSyntax),
            '\\' => out.push(chars.next().filter(char::is_ascii).ok_or(AddrError::LocalSyntax)?),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 3.2.3 atext, extended by RFC 6531 3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

impl std::fmt::Display for LocalPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}
