//! Any charset to UTF-8.
//!
//! Standards   WHATWG Encoding (by the encoding_rs crate: labels, legacy tables), RFC 2152 (UTF-7, here)
//! Failures    none: malformed bytes become U+FFFD; an unknown charset is read as UTF-8 if it is that, else as windows-1252
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// Converts `bytes` in the named charset to UTF-8 text.
pub fn to_utf8<'a>(charset: &[u8], bytes: &'a [u8]) -> Cow<'a, str> {
    if is_utf7(charset) {
        return Cow::Owned(utf7(bytes));
    }
    match find(charset) {
        Some(encoding) => encoding.decode_without_bom_handling(bytes).0,
        None => guess(bytes),
    }
}

/// Text whose charset is not told: UTF-8 if valid, else windows-1252.
pub fn guess(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Tells whether the charset is one we can read by its own rules.
pub fn is_known(charset: &[u8]) -> bool {
    is_utf7(charset) || find(charset).is_some()
}

/// False for charsets that write other letters with ASCII bytes, by whatever name: ISO-2022-JP, UTF-7, UTF-16.
pub fn keeps_ascii(charset: &[u8]) -> bool {
    !is_utf7(charset) && find(charset).is_none_or(Encoding::is_ascii_compatible)
}

fn is_utf7(charset: &[u8]) -> bool {
    charset.eq_ignore_ascii_case(b"utf-7") || charset.eq_ignore_ascii_case(b"unicode-1-1-utf-7")
}

fn find(charset: &[u8]) -> Option<&'static Encoding> {
    // US-ASCII: WHATWG maps it to windows-1252; mail that says so and holds UTF-8 is common and better read as that
    if charset.eq_ignore_ascii_case(b"us-ascii") || charset.eq_ignore_ascii_case(b"ascii") {
        return None;
    }
    let found = Encoding::for_label(charset).or_else(|| alias(charset))?;
    // the "replacement" encoding turns a whole text into one U+FFFD; a guess shows more
    (found != encoding_rs::REPLACEMENT).then_some(found)
}

/// Names seen in mail that WHATWG does not list.
fn alias(charset: &[u8]) -> Option<&'static Encoding> {
    let lower = charset.to_ascii_lowercase();
    let label: &[u8] = match lower.as_slice() {
        b"utf8mb4" | b"utf-8-strict" | b"x-utf-8" => return Some(UTF_8),
        b"cp932" | b"ms932" => b"shift_jis",
        b"cp936" | b"x-gbk" => b"gbk",
        b"cp949" | b"ks_c_5601-1992" => b"euc-kr",
        b"cp950" => b"big5",
        b"latin-1" => b"windows-1252",
        _ => return None,
    };
    Encoding::for_label(label)
}

/// RFC 2152: runs of modified base64 of UTF-16BE between '+' and '-'.
fn utf7(bytes: &[u8]) -> String {
    let (mut out, mut rest) = (String::new(), bytes);
    while let Some((&b, tail)) = rest.split_first() {
        if b != b'+' {
            out.push(if b.is_ascii() { char::from(b) } else { char::REPLACEMENT_CHARACTER });
            rest = tail;
            continue;
        }
        let n = tail.iter().position(|&c| !(c.is_ascii_alphanumeric() || c == b'+' || c == b'/')).unwrap_or(tail.len());
        let dash = tail.get(n) == Some(&b'-');
        if n == 0 && dash {
            out.push('+');
        }
        push_utf16(&crate::base64::decode(&tail[..n]), &mut out);
        rest = &tail[n + usize::from(dash)..];
    }
    out
}

fn push_utf16(bytes: &[u8], out: &mut String) {
    let units = bytes.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
    out.extend(char::decode_utf16(units).map(|r| r.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_charsets() {
        assert_eq!(to_utf8(b"ISO-8859-1", b"\xe4"), "ä");
        assert_eq!(to_utf8(b"koi8-r", b"\xf0\xd2"), "Пр");
        assert_eq!(to_utf8(b"iso-2022-jp", b"\x1b$B$\"\x1b(B"), "あ");
        assert_eq!(to_utf8(b"cp1251", b"\xcf"), "П");
        assert_eq!(to_utf8(b"UTF-8", b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn unknown_or_wrong_charset_is_guessed() {
        assert_eq!(to_utf8(b"x-nonsense", "ä".as_bytes()), "ä");
        assert_eq!(to_utf8(b"x-nonsense", b"\xe4"), "ä");
        assert_eq!(to_utf8(b"us-ascii", "ä".as_bytes()), "ä");
        assert!(!is_known(b"x-nonsense") && is_known(b"utf-7"));
    }

    #[test]
    fn charsets_in_which_ascii_bytes_are_other_letters() {
        for charset in
            ["utf-7", "unicode-1-1-utf-7", "UTF-16", "utf-16be", "unicode", "ucs-2", "iso-2022-jp", "csISO2022JP"]
        {
            assert!(!keeps_ascii(charset.as_bytes()), "{charset}");
        }
        for charset in ["us-ascii", "utf-8", "koi8-r", "shift_jis", "gb18030", "x-nonsense"] {
            assert!(keeps_ascii(charset.as_bytes()), "{charset}");
        }
    }

    #[test]
    fn rfc2152_examples() {
        assert_eq!(to_utf8(b"utf-7", b"A+ImIDkQ."), "A\u{2262}\u{391}.");
        assert_eq!(to_utf8(b"utf-7", b"Hi Mom +Jjo--!"), "Hi Mom \u{263a}-!");
        assert_eq!(to_utf8(b"utf-7", b"1 +- 1"), "1 + 1");
    }
}
