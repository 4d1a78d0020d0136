//! One header field, leniently.
//!
//! Leniency    spaces before the colon, NUL and other control octets in the name, any letter case

use std::borrow::Cow;

/// A field: name in lower case, raw value with its folds.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Name, lower case, without anything that is not printable.
    pub name: Vec<u8>,
    /// Raw value.
    pub value: &'a [u8],
}

/// Longest value looked at.
const VALUE_MAX: usize = 256 << 10;

impl<'a> Field<'a> {
    /// Takes a field apart; `None` when there is no colon behind a plausible name.
    pub fn parse(raw: &'a [u8]) -> Option<Field<'a>> {
        let name = name_of(raw)?;
        let colon = memchr::memchr(b':', raw)?;
        let value = raw.get(colon + 1..)?;
        Some(Field { name, value: value.get(..VALUE_MAX).unwrap_or(value) })
    }

    /// The value without line ends and NULs.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        if memchr::memchr3(b'\r', b'\n', 0, self.value).is_none() {
            return Cow::Borrowed(self.value);
        }
        Cow::Owned(self.value.iter().copied().filter(|c| !matches!(c, b'\r' | b'\n' | 0)).collect())
    }

    /// Whether the raw value holds a NUL.
    pub fn has_nul(&self) -> bool {
        memchr::memchr(0, self.value).is_some()
    }
}

/// The name in front of the colon of a line.
pub fn name_of(line: &[u8]) -> Option<Vec<u8>> {
    let head = line.get(..200).unwrap_or(line);
    let colon = memchr::memchr(b':', head)?;
    let name = head.get(..colon)?.trim_ascii();
    let clean: Vec<u8> = name.iter().filter(|c| c.is_ascii_graphic()).map(u8::to_ascii_lowercase).collect();
    let blanks = name.iter().filter(|c| matches!(c, b' ' | b'\t')).count();
    (!clean.is_empty() && blanks == 0 && clean.len() <= 76).then_some(clean)
}

/// Names that mail headers have.
pub fn is_known(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"received",
        b"from",
        b"to",
        b"cc",
        b"bcc",
        b"subject",
        b"date",
        b"message-id",
        b"return-path",
        b"reply-to",
        b"sender",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"delivered-to",
        b"envelope-to",
        b"organization",
        b"dkim-signature",
        b"list-id",
        b"precedence",
        b"errors-to",
        b"newsgroups",
        b"path",
    ];
    NAMES.contains(&name) || name.starts_with(b"content-") || name.starts_with(b"x-") || name.starts_with(b"resent-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_names() {
        assert_eq!(name_of(b"Content-Type : x").unwrap(), b"content-type");
        assert_eq!(name_of(b"Con\0tent-Type: x").unwrap(), b"content-type");
        assert!(name_of(b"no colon").is_none() && name_of(b"two words: x").is_none());
    }
}
