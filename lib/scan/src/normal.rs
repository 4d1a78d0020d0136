//! Normalised text, the form in which ClamAV's HTML and text signatures are written.
//!
//! Rules       letters to lower case; runs of white space to one space; HTML comments dropped, character references for
//!             printable octets decoded; control octets dropped

/// The normalised form.
pub fn normalise(data: &[u8], html: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while let Some(&c) = data.get(at) {
        let rest = data.get(at..).unwrap_or_default();
        let (byte, used) = if html && rest.starts_with(b"<!--") {
            (None, memchr::memmem::find(rest, b"-->").map_or(rest.len(), |n| n + 3))
        } else if html && c == b'&' {
            reference(rest).map_or((Some(c), 1), |(b, n)| (Some(b), n))
        } else {
            (Some(c), 1)
        };
        at += used;
        match byte {
            Some(b' ' | b'\t' | b'\r' | b'\n') if out.last() == Some(&b' ') => {}
            Some(b' ' | b'\t' | b'\r' | b'\n') => out.push(b' '),
            Some(0..=31 | 127) | None => {}
            Some(b) => out.push(b.to_ascii_lowercase()),
        }
    }
    out
}

/// A numeric or named reference to a printable octet, and its length.
fn reference(rest: &[u8]) -> Option<(u8, usize)> {
    let end = rest.iter().take(10).position(|c| *c == b';')?;
    let name = std::str::from_utf8(rest.get(1..end)?).ok()?;
    let byte = match name {
        "lt" => b'<',
        "gt" => b'>',
        "amp" => b'&',
        "quot" => b'"',
        _ => {
            let digits = name.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u8::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            }
        }
    };
    Some((byte, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(normalise(b"<A  HREF>\r\n<!-- x -->&#65;&amp;&#x42;&zz;", true), b"<a href> a&b&zz;");
        assert_eq!(normalise(b"A \t\n B &lt;", false), b"a b &lt;");
    }
}
