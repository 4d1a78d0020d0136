//! Writing strings and lines of responses.
//!
//! Standards   RFC 3501 9: quoted, literal, nstring, astring, text
//! Invariants  a value never breaks the framing: what does not fit a quoted string becomes a literal
/// Longest value written as a quoted string.
const QUOTED_MAX: usize = 1000;

/// string: quoted if it fits, else a literal.
pub fn string(out: &mut Vec<u8>, value: &[u8]) {
    let plain = |&b: &u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
    if value.len() > QUOTED_MAX {
        literal(out, value);
    } else if value.iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
    } else if value.iter().all(|b| matches!(b, b' '..=b'~')) {
        quoted(out, value);
    } else {
        literal(out, value);
    }
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for &b in value {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}

/// A literal; NULs, which a literal may not hold (RFC 3501 9), become 0x80 as in Dovecot.
pub fn literal(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", value.len()).as_bytes());
    let from = out.len();
    out.extend_from_slice(value);
    out[from..].iter_mut().filter(|b| **b == 0).for_each(|b| *b = 0x80);
}

/// number
pub fn number(out: &mut Vec<u8>, value: u32) {
    let (mut digits, mut at, mut rest) = ([0; 10], 10, value);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8; // ten digits hold any value
        rest /= 10;
        if rest == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// nstring
pub fn nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// A string that may hold UTF-8 in quotes (RFC 9051 4.3, RFC 6855 3), otherwise as [`string`].
pub fn utf8_string(out: &mut Vec<u8>, value: &str) {
    let fits = value.len() <= QUOTED_MAX && !value.chars().any(char::is_control);
    if fits { quoted(out, value.as_bytes()) } else { literal(out, value.as_bytes()) }
}

/// astring: bare when it is one atom, quoted or a literal otherwise.
pub fn astring(out: &mut Vec<u8>, value: &[u8]) {
    let atom = !value.is_empty()
        && value.iter().all(|&b| crate::parse::is_astring_char(b))
        && !value.eq_ignore_ascii_case(b"NIL");
    if atom { out.extend_from_slice(value) } else { string(out, value) }
}

/// mailbox: an astring, or quoted UTF-8 where the session has switched that on (in modified UTF-7 names are ASCII).
pub fn mailbox(out: &mut Vec<u8>, name: &str) {
    if name.is_ascii() { astring(out, name.as_bytes()) } else { utf8_string(out, name) }
}

/// nstring or literal8, as values of annotations are written: with NUL only a literal8 can hold them (RFC 5464 5).
pub fn value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) if bytes.contains(&0) => {
            out.extend_from_slice(format!("~{{{}}}\r\n", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
        }
        other => nstring(out, other),
    }
}

/// Quoted text for a place where only a quoted string may stand; what does not fit is left out.
pub fn quoted_text(value: &str) -> String {
    let mut out = Vec::new();
    let clean: Vec<u8> = value.bytes().filter(|b| matches!(b, b' '..=b'~')).collect();
    quoted(&mut out, &clean);
    String::from_utf8(out).unwrap_or_default()
}

/// A tagged or untagged status line.
pub fn status(out: &mut Vec<u8>, tag: &str, word: &str, code: Option<&crate::Code>, text: &str) {
    out.extend_from_slice(tag.as_bytes());
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    out.push(b' ');
    if let Some(code) = code {
        out.extend_from_slice(format!("[{code}] ").as_bytes());
    }
    out.extend(text.bytes().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(f: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn strings() {
        assert_eq!(s(|o| string(o, b"a b")), "\"a b\"");
        assert_eq!(s(|o| string(o, b"a\"\\")), "\"a\\\"\\\\\"");
        assert_eq!(s(|o| string(o, b"a\r\nb")), "{4}\r\na\r\nb");
        assert_eq!(s(|o| string(o, "ä".as_bytes())), "{2}\r\nä");
        assert_eq!(s(|o| utf8_string(o, "ä")), "\"ä\"");
        assert_eq!(s(|o| nstring(o, None)), "NIL");
        for n in [0, 9, 10, 123, u32::MAX] {
            assert_eq!(s(|o| number(o, n)), n.to_string());
        }
        assert_eq!(s(|o| mailbox(o, "Entw\u{fc}rfe")), "\"Entw\u{fc}rfe\"");
        assert_eq!(s(|o| mailbox(o, "a&APw-b")), "a&APw-b");
        assert_eq!(s(|o| value(o, Some(b"a\0"))), "~{2}\r\na\0");
        assert_eq!(s(|o| value(o, None)), "NIL");
        assert_eq!(s(|o| astring(o, b"a]")), "a]");
        assert_eq!(s(|o| astring(o, b"nil")), "\"nil\"");
        assert_eq!(s(|o| astring(o, b"")), "\"\"");
        let mut out = Vec::new();
        literal(&mut out, b"a\0");
        assert_eq!(out, b"{2}\r\na\x80");
    }

    #[test]
    fn status_text_cannot_break_the_line() {
        assert_eq!(s(|o| status(o, "a", "NO", Some(&crate::Code::Limit), "x\r\n* OK")), "a NO [LIMIT] x  * OK\r\n");
    }
}
