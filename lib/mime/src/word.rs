//! Encoded words: other charsets inside header fields.
//!
//! Standards   RFC 2047 (with RFC 2231 5: language after `*`), RFC 6532 (raw UTF-8 beside them)
//! Invariants  1. linear time   2. decode(encode(x)) = x for text without CR, LF, NUL   3. every word written is at most 75 long
//! Failures    what is not a well-formed word stays as it is
use crate::{base64, charset};

/// Decodes an unfolded unstructured value (Subject, a display name) to UTF-8.
///
/// Blanks between two encoded words vanish (RFC 2047 6.2); neighbouring words of the same charset and encoding are
/// joined before conversion, because many mailers cut multi-byte characters in two.
pub fn decode_header(value: &[u8]) -> String {
    let mut out = Output::default();
    let mut rest = value;
    while let Some(at) = find(rest, b"=?") {
        match Word::parse(&rest[at..]) {
            Some((word, used)) => {
                out.between(&rest[..at]);
                out.word(word);
                rest = &rest[at + used..];
            }
            None => {
                out.between(&rest[..at]);
                out.text(&rest[at..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out.between(rest);
    out.finish()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[derive(Default)]
struct Output<'a> {
    text: String,
    charset: &'a [u8],
    pending: Vec<u8>,
    after_word: bool,
    /// Blanks after a word, not written until something else than a word follows.
    held: &'a [u8],
}

impl<'a> Output<'a> {
    /// Text between words; only blanks between two words are dropped, which is known when the next word comes.
    fn between(&mut self, raw: &'a [u8]) {
        if self.after_word && raw.iter().all(|&b| crate::header::is_wsp(b)) {
            self.held = raw;
            return;
        }
        self.text(raw);
    }

    fn text(&mut self, raw: &[u8]) {
        if raw.is_empty() {
            return;
        }
        self.flush();
        self.release();
        self.text.push_str(&charset::guess(raw));
        self.after_word = false;
    }

    fn word(&mut self, word: Word<'a>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
        }
        self.charset = word.charset;
        self.held = b"";
        word.decode(&mut self.pending);
        self.after_word = true;
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.text.push_str(&charset::to_utf8(self.charset, &self.pending));
            self.pending.clear();
        }
        self.charset = b"";
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.text.push_str(&charset::guess(held));
    }

    fn finish(mut self) -> String {
        self.flush();
        self.release();
        self.text
    }
}

/// `=?charset?B|Q?text?=`
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

/// RFC 2047 2 says 75; longer ones are common and read up to this.
const WORD_MAX: usize = 4096;

impl<'a> Word<'a> {
    /// Parses at `=?`; gives the word and its length. The search is bounded, so the whole decoder is linear.
    fn parse(input: &'a [u8]) -> Option<(Self, usize)> {
        let input = &input[..input.len().min(WORD_MAX)];
        let body = input.strip_prefix(b"=?")?;
        let q1 = body.iter().take(64).position(|&b| b == b'?')?;
        let charset = body[..q1].split(|&b| b == b'*').next()?;
        let base64 = match body.get(q1 + 1)? {
            b'B' | b'b' => true,
            b'Q' | b'q' => false,
            _ => return None,
        };
        if charset.is_empty() || charset.iter().any(|&b| b <= b' ') || body.get(q1 + 2) != Some(&b'?') {
            return None;
        }
        let coded = &body[q1 + 3..];
        let end = find(coded, b"?=")?;
        // a second "=?" inside means this one was never closed
        if find(&coded[..end], b"=?").is_some_and(|n| coded[n + 2..end].contains(&b'?')) {
            return None;
        }
        Some((Word { charset, base64, text: &coded[..end] }, 2 + q1 + 3 + end + 2))
    }

    fn decode(&self, out: &mut Vec<u8>) {
        if self.base64 {
            out.extend_from_slice(&base64::decode(self.text));
        } else {
            decode_q(self.text, out);
        }
    }
}

/// RFC 2047 4.2: like quoted-printable, and `_` is a space.
fn decode_q(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match (b, hex_pair(tail)) {
            (b'_', _) => out.push(b' '),
            (b'=', Some(v)) => {
                out.push(v);
                rest = &tail[2..];
            }
            _ => out.push(b),
        }
    }
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let high = char::from(*bytes.first()?).to_digit(16)?;
    let low = char::from(*bytes.get(1)?).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

/// Encodes text as UTF-8 words joined by spaces; ASCII text that needs no encoding comes back as it is.
pub fn encode_header(text: &str) -> String {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) && !text.contains("=?");
    if plain { text.to_owned() } else { encode_words(text) }
}

/// Encodes text as UTF-8 words whatever it holds.
pub fn encode_words(text: &str) -> String {
    // 75 - "=?utf-8?B?" - "?=" = 63 characters: 15 groups of 3 bytes
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')) {
        if chunk.len() + c.len_utf8() > 45 {
            words.push(word(&std::mem::take(&mut chunk)));
        }
        chunk.push(c);
    }
    if !chunk.is_empty() {
        words.push(word(&chunk));
    }
    words.join(" ")
}

fn word(chunk: &str) -> String {
    let mostly_ascii = chunk.bytes().filter(u8::is_ascii_alphanumeric).count() * 4 > chunk.len() * 3;
    let q: String = if mostly_ascii { encode_q(chunk) } else { String::new() };
    if mostly_ascii && q.len() <= 63 {
        format!("=?utf-8?Q?{q}?=")
    } else {
        format!("=?utf-8?B?{}?=", base64::encode(chunk.as_bytes()))
    }
}

/// RFC 2047 5 (3): the set that is safe in a phrase too.
fn encode_q(chunk: &str) -> String {
    let mut out = String::new();
    for b in chunk.bytes() {
        match b {
            b' ' => out.push('_'),
            _ if b.is_ascii_alphanumeric() || matches!(b, b'!' | b'*' | b'+' | b'-' | b'/') => out.push(char::from(b)),
            _ => out.push_str(&format!("={b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2047_section_8_examples() {
        for (coded, plain) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            ("=?ISO-8859-1*EN?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= ok", "If you can read this yo ok"),
        ] {
            assert_eq!(decode_header(coded.as_bytes()), plain, "{coded}");
        }
    }

    #[test]
    fn split_characters_are_joined() {
        assert_eq!(decode_header(b"=?utf-8?B?w6Q=?= =?utf-8?B?ww==?= =?utf-8?B?pA==?="), "ää");
        assert_eq!(decode_header(b"=?utf-8?Q?=C3?=\n =?UTF-8?Q?=A4?="), "ä");
    }

    #[test]
    fn malformed_words_stay() {
        for s in ["=?", "=?utf-8?", "=?utf-8?Q?abc", "=?utf-8?X?abc?=", "a =?b c?Q?d?= e", "=??Q?x?="] {
            assert_eq!(decode_header(s.as_bytes()), s);
        }
        assert_eq!(decode_header(b"=?x =?utf-8?Q?y?="), "=?x y");
        assert_eq!(decode_header(b"x=?utf-8?Q?y?=z"), "xyz");
        assert_eq!(decode_header("grün \u{e9}".as_bytes()), "grün é");
        assert_eq!(decode_header(b"=?utf-8?Q?a?= "), "a ");
    }

    #[test]
    fn encoding_round_trips_and_is_short() {
        let long = "Grüße aus Köln, ".repeat(20);
        for text in ["plain", "=?looks?Q?coded?=", "größe", "日本語の件名です", "a\u{1F600}b", long.as_str()]
        {
            let coded = encode_header(text);
            assert_eq!(decode_header(coded.as_bytes()), text);
            assert!(coded.split(' ').filter(|w| w.starts_with("=?")).all(|w| w.len() <= 75));
        }
        assert_eq!(encode_header("plain"), "plain");
    }

    #[test]
    fn linear_on_hostile_input() {
        let evil = b"=?utf-8?Q?".repeat(200_000);
        assert_eq!(decode_header(&evil).len(), evil.len());
    }
}
