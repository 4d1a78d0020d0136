//! Replies.
//!
//! Standards   RFC 5804 1.2, 1.3, 2
//! Invariants  texts go as quoted strings where they fit, else as literals: no text can end a reply early

/// A string in its shortest form.
pub fn string(text: &[u8]) -> Vec<u8> {
    let plain =
        text.len() <= 1000 && !text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) && std::str::from_utf8(text).is_ok();
    if plain { quoted(&String::from_utf8_lossy(text)) } else { literal(text) }
}

/// A quoted string; what cannot stand in one becomes a space.
pub fn quoted(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            c if c.is_control() => out.push(b' '),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
    out
}

/// `{n}` CRLF and the octets.
pub fn literal(text: &[u8]) -> Vec<u8> {
    let mut out = format!("{{{}}}\r\n", text.len()).into_bytes();
    out.extend_from_slice(text);
    out
}

fn status(word: &str, code: Option<&[u8]>, text: &str) -> Vec<u8> {
    let mut out = word.as_bytes().to_vec();
    if let Some(code) = code {
        out.extend_from_slice(b" (");
        out.extend_from_slice(code);
        out.push(b')');
    }
    if !text.is_empty() {
        out.push(b' ');
        out.extend(string(text.as_bytes()));
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// `OK [(code)] [text]`
pub fn ok(code: Option<&[u8]>, text: &str) -> Vec<u8> {
    status("OK", code, text)
}

/// `NO [(code)] [text]`
pub fn no(code: Option<&[u8]>, text: &str) -> Vec<u8> {
    status("NO", code, text)
}

/// `BYE [(code)] [text]`
pub fn bye(code: Option<&[u8]>, text: &str) -> Vec<u8> {
    status("BYE", code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(ok(None, ""), b"OK\r\n");
        assert_eq!(no(Some(b"QUOTA/MAXSIZE"), "a \"b\""), b"NO (QUOTA/MAXSIZE) \"a \\\"b\\\"\"\r\n");
        assert_eq!(no(None, "1\r\n2"), b"NO {4}\r\n1\r\n2\r\n");
        assert_eq!(string(&[0xff]), b"{1}\r\n\xff");
    }
}
