//! Lenient decoding for a bounded view: base64, quoted-printable, RFC 2047 words, charsets.
//!
//! Standards   RFC 2045 6.7 and 6.8, RFC 2047 2, RFC 2231 left to the callers
//! Invariants  1. no call returns more than the limit it was given   2. every byte string is accepted
//! Failures    none: what cannot be decoded is passed through as it stands, for spam is malformed on purpose
//! Trust       hostile bytes

/// Decodes base64, skipping what is not in the alphabet, up to `limit` octets.
pub fn base64(input: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(limit.min(input.len() / 4 * 3 + 3));
    let (mut acc, mut bits) = (0u32, 0u32);
    for &c in input {
        let v = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                (acc, bits) = (0, 0); // padding ends a quantum; concatenated runs go on
                continue;
            }
            _ => continue,
        };
        acc = (acc << 6) | u32::from(v);
        bits += 6;
        if bits >= 8 {
            if out.len() >= limit {
                break;
            }
            bits -= 8;
            out.push((acc >> bits) as u8);
            acc &= (1 << bits) - 1;
        }
    }
    out
}

fn hex(c: u8) -> Option<u8> {
    (c as char).to_digit(16).map(|d| d as u8)
}

/// Decodes quoted-printable up to `limit` octets; a stray `=` stays as it is. With `q` the
/// "Q" rules of RFC 2047 4.2 hold (`_` is a space).
pub fn quoted_printable(input: &[u8], limit: usize, q: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(limit.min(input.len()));
    let mut rest = input;
    while let Some((&c, tail)) = rest.split_first() {
        if out.len() >= limit {
            break;
        }
        rest = tail;
        match (c, tail) {
            (b'=', [b'\n', more @ ..]) | (b'=', [b'\r', b'\n', more @ ..]) => rest = more,
            (b'=', [a, b, more @ ..]) => match (hex(*a), hex(*b)) {
                (Some(a), Some(b)) => {
                    out.push(a << 4 | b);
                    rest = more;
                }
                _ => out.push(c),
            },
            (b'_', _) if q => out.push(b' '),
            _ => out.push(c),
        }
    }
    out
}

/// The high half of windows-1252 where it differs from ISO 8859-1.
const CP1252: [u16; 32] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D,
    0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,
    0x017E, 0x0178,
];

fn push_char(out: &mut Vec<u8>, code: u32) {
    let mut buf = [0; 4];
    let c = char::from_u32(code).unwrap_or('\u{FFFD}');
    out.extend_from_slice(c.encode_utf8(&mut buf).as_bytes());
}

fn is_latin1(charset: &[u8]) -> bool {
    let names: [&[u8]; 6] = [b"iso-8859-1", b"iso-8859-15", b"windows-1252", b"latin1", b"us-ascii", b"cp1252"];
    charset.is_empty() || names.iter().any(|n| charset.eq_ignore_ascii_case(n))
}

/// Turns text into UTF-8 where the charset is Latin-1, windows-1252 or UTF-16; anything else (KOI8,
/// GB2312 ...) stays as its bytes, which a learner of bytes can use just as well.
pub fn to_utf8(text: Vec<u8>, charset: &[u8]) -> Vec<u8> {
    if charset.len() >= 6 && charset.get(..6).is_some_and(|c| c.eq_ignore_ascii_case(b"utf-16")) {
        return utf16(&text, charset.to_ascii_lowercase().ends_with(b"le"));
    }
    if text.is_ascii() || !is_latin1(charset) || std::str::from_utf8(&text).is_ok() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() * 2);
    for &b in &text {
        match b {
            0x80..=0x9F => push_char(&mut out, CP1252.get(usize::from(b - 0x80)).copied().unwrap_or(0xFFFD).into()),
            _ => push_char(&mut out, b.into()),
        }
    }
    out
}

fn utf16(text: &[u8], little: bool) -> Vec<u8> {
    let little = match text {
        [0xFF, 0xFE, ..] => true,
        [0xFE, 0xFF, ..] => false,
        _ => little,
    };
    let units = text.chunks_exact(2).map(|c| match *c {
        [a, b] if little => u16::from_le_bytes([a, b]),
        [a, b] => u16::from_be_bytes([a, b]),
        _ => 0,
    });
    let mut out = Vec::with_capacity(text.len());
    for c in char::decode_utf16(units.filter(|&u| u != 0xFEFF)) {
        push_char(&mut out, c.map_or(0xFFFD, u32::from));
    }
    out
}

/// One encoded word `=?charset?enc?text?=` at the start of `s`: the decoded text and what follows.
fn encoded_word(s: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let s = s.strip_prefix(b"=?")?;
    let mut it = s.splitn(3, |&c| c == b'?');
    let (charset, enc, rest) = (it.next()?, it.next()?, it.next()?);
    let end = rest.windows(2).position(|w| w == b"?=")?;
    let (text, tail) = (rest.get(..end)?, rest.get(end + 2..)?);
    let charset = charset.split(|&c| c == b'*').next().unwrap_or(charset); // RFC 2231 5: language tag
    let raw = match enc {
        b"B" | b"b" => base64(text, text.len()),
        b"Q" | b"q" => quoted_printable(text, text.len(), true),
        _ => return None,
    };
    Some((to_utf8(raw, charset), tail))
}

/// Decodes every RFC 2047 encoded word of a header line, dropping white space between two of them.
pub fn words(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    let mut after_word = false;
    while let Some(&c) = rest.first() {
        if let Some((text, tail)) = (c == b'=').then(|| encoded_word(rest)).flatten() {
            if after_word {
                out.truncate(out.trim_ascii_end().len());
            }
            out.extend_from_slice(&text);
            rest = tail;
            after_word = true;
            continue;
        }
        after_word &= c.is_ascii_whitespace();
        out.push(c);
        rest = rest.get(1..).unwrap_or(b"");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_lenient_and_bounded() {
        assert_eq!(base64(b"aGVs bG8*=\n", 100), b"hello");
        assert_eq!(base64(b"aGVsbG8=aGVsbG8=", 100), b"hellohello");
        assert_eq!(base64(b"aGVsbG8=", 3), b"hel");
        assert_eq!(base64(b"\xff\x00", 9), b"");
    }

    #[test]
    fn quoted_printable_keeps_what_it_cannot_decode() {
        assert_eq!(quoted_printable(b"a=3Db=\r\nc=\nd=zz=4", 99, false), b"a=bcd=zz=4");
        assert_eq!(quoted_printable(b"a_b", 99, true), b"a b");
        assert_eq!(quoted_printable(b"aaaa", 2, false), b"aa");
    }

    #[test]
    fn rfc2047_examples() {
        // RFC 2047 section 8
        assert_eq!(words(b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)"), b"(ab)");
        assert_eq!(words(b"(=?ISO-8859-1?Q?a_b?=)"), b"(a b)");
        assert_eq!(words(b"(=?ISO-8859-1?Q?a?= b)"), b"(a b)");
        assert_eq!(words("=?ISO-8859-1?Q?Andr=E9?= Pirard".as_bytes()), "André Pirard".as_bytes());
        assert_eq!(words(b"=?utf-8?B?4oKs?= x =? broken ?="), "€ x =? broken ?=".as_bytes());
    }

    #[test]
    fn charsets() {
        assert_eq!(to_utf8(b"\x93caf\xe9\x94".to_vec(), b"Windows-1252"), "“café”".as_bytes());
        assert_eq!(to_utf8(b"h\0i\0".to_vec(), b"utf-16le"), b"hi");
        assert_eq!(to_utf8(b"\xc1\xd2".to_vec(), b"koi8-r"), b"\xc1\xd2");
    }
}
