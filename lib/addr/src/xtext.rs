//! xtext: how ESMTP parameter values carry spaces, `+`, `=` and addresses.
//!
//! Standards   RFC 3461 section 4 (xtext), RFC 6533 section 3 (utf-8-addr-xtext: `\x{HEX}`)
//! Invariants  a decoded value holds no control character

use crate::AddrError;

const BAD: AddrError = AddrError::ParamValue("bad xtext in a parameter value");

/// Decodes xtext. A control character, a `+` without two upper-case hex digits or a bare `=` is an error.
pub fn decode(text: &str) -> Result<String, AddrError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => hex(bytes.next())? << 4 | hex(bytes.next())?,
            b'=' | 0..=b' ' | 0x7f => return Err(BAD),
            b => b,
        });
    }
    let decoded = String::from_utf8(out).map_err(|_| BAD)?;
    if decoded.chars().any(char::is_control) { Err(BAD) } else { Ok(decoded) }
}

/// RFC 3461 hexchar uses upper-case digits; lower case is taken too.
fn hex(digit: Option<u8>) -> Result<u8, AddrError> {
    digit.and_then(|d| (d as char).to_digit(16)).and_then(|d| u8::try_from(d).ok()).ok_or(BAD)
}

/// Encodes a value as xtext; octets outside ASCII are written as hexchars too.
pub fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for b in value.bytes() {
        match b {
            b'!'..=b'~' if b != b'+' && b != b'=' => out.push(b as char),
            b => out.push_str(&format!("+{b:02X}")),
        }
    }
    out
}

/// Decodes `\x{HEX}` of RFC 6533 in an already xtext-decoded address of type utf-8.
pub(crate) fn decode_unicode(text: &str) -> Result<String, AddrError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        out.push_str(&rest[..at]);
        let (digits, after) = rest[at + 3..].split_once('}').ok_or(BAD)?;
        if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BAD);
        }
        let code = u32::from_str_radix(digits, 16).map_err(|_| BAD)?;
        out.push(char::from_u32(code).filter(|c| !c.is_control()).ok_or(BAD)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Encodes what is not printable ASCII, and `\ + =`, as `\x{HEX}` (the 7-bit form of RFC 6533).
pub(crate) fn encode_unicode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '!'..='~' if !matches!(c, '\\' | '+' | '=') => out.push(c),
            c => out.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
    }
    out
}
