//! Canonical forms of header fields and bodies.
//!
//! Standards   RFC 6376 3.4 (simple and relaxed; the final empty lines of a body)
//! Invariants  1. LF and CRLF line ends give the same octets   2. the body is hashed in one pass and in pieces: a large
//!             message is never copied whole

use crate::crypto::Hasher;
use crate::message::{line_end, trim_eol};

/// How a part is made comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canon {
    /// As it stands.
    Simple,
    /// White space and case evened out.
    Relaxed,
}

impl Canon {
    /// `header/body` of a `c=` tag; the body defaults to simple (3.5).
    pub fn pair(text: &str) -> Option<(Self, Self)> {
        let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
        Some((Self::from_word(header)?, Self::from_word(body)?))
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "simple" => Some(Self::Simple),
            "relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// The word of a `c=` tag.
    pub fn word(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    /// Appends the canonical form of one field, without the final CRLF.
    pub fn field(self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Simple => simple_field(raw, out),
            Self::Relaxed => relaxed_field(raw, out),
        }
    }
}

/// Unchanged, but every line end is CRLF.
fn simple_field(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < raw.len() {
        let next = line_end(raw, at);
        let line = raw.get(at..next).unwrap_or_default();
        out.extend_from_slice(trim_eol(line));
        if line.last() == Some(&b'\n') {
            out.extend_from_slice(b"\r\n");
        }
        at = next;
    }
}

/// Name in lower case, value unfolded, white space reduced (3.4.2).
fn relaxed_field(raw: &[u8], out: &mut Vec<u8>) {
    let colon = raw.iter().position(|&b| b == b':').unwrap_or(raw.len());
    let (name, value) = raw.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut space = false;
    let mut begun = false;
    for (i, &b) in value.iter().enumerate().skip(1) {
        match b {
            // unfolding removes the CRLF only, the white space after it stays
            b'\r' if value.get(i + 1) == Some(&b'\n') => {}
            b'\n' => {}
            b' ' | b'\t' => space = true,
            _ => {
                if space && begun {
                    out.push(b' ');
                }
                (space, begun) = (false, true);
                out.push(b);
            }
        }
    }
}

/// Hash of a body and how much of it the hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyHash {
    /// SHA-256 of the canonical body, cut at the limit; `None` when it could not be computed.
    pub hash: Option<[u8; 32]>,
    /// Octets of the whole canonical body.
    pub length: u64,
}

/// Hashes a body; `limit` is the `l=` tag (3.4.5).
pub fn body_hash(canon: Canon, body: &[u8], limit: Option<u64>) -> BodyHash {
    let mut sink = Sink { hasher: Hasher::new(), left: limit, length: 0, pending: Vec::with_capacity(CHUNK + 1024) };
    let mut empty_lines = 0usize;
    let mut at = 0;
    while at < body.len() {
        let next = line_end(body, at);
        let mut line = trim_eol(body.get(at..next).unwrap_or_default());
        if canon == Canon::Relaxed {
            line = trim_wsp_end(line);
        }
        at = next;
        if line.is_empty() {
            empty_lines += 1; // counts only when something follows
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            sink.put(b"\r\n");
        }
        match canon {
            Canon::Simple => sink.put(line),
            Canon::Relaxed => sink.put_reduced(line),
        }
        sink.put(b"\r\n");
    }
    // 3.4.3: an empty body is one CRLF in the simple form; 3.4.4: nothing in the relaxed one
    if canon == Canon::Simple && sink.length == 0 && sink.pending.is_empty() {
        sink.put(b"\r\n");
    }
    sink.finish()
}

fn trim_wsp_end(line: &[u8]) -> &[u8] {
    let keep = line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |n| n + 1);
    line.get(..keep).unwrap_or_default()
}

/// Octets handed to the hash at once.
const CHUNK: usize = 8192;

struct Sink {
    hasher: Hasher,
    left: Option<u64>,
    length: u64,
    pending: Vec<u8>,
}

impl Sink {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > CHUNK {
            self.flush();
            self.hash(bytes);
            return;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK {
            self.flush();
        }
    }

    /// A line with each run of white space as one space (3.4.4).
    fn put_reduced(&mut self, mut line: &[u8]) {
        while let Some(at) = memchr::memchr2(b' ', b'\t', line) {
            let (word, rest) = line.split_at(at);
            self.put(word);
            self.put(b" ");
            let skip = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
            line = rest.get(skip..).unwrap_or_default();
        }
        self.put(line);
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.hash(&pending);
        self.pending = pending;
        self.pending.clear();
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let Some(left) = self.left else { return self.hasher.update(bytes) };
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.hasher.update(bytes.get(..take).unwrap_or_default());
        self.left = Some(left - take as u64);
    }

    fn finish(mut self) -> BodyHash {
        self.flush();
        BodyHash { hash: self.hasher.finish(), length: self.length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::to_base64;

    fn field(canon: Canon, raw: &str) -> String {
        let mut out = Vec::new();
        canon.field(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn hash(canon: Canon, body: &str) -> (Option<[u8; 32]>, u64) {
        let found = body_hash(canon, body.as_bytes(), None);
        (found.hash, found.length)
    }

    fn plain(text: &str) -> (Option<[u8; 32]>, u64) {
        (Some(openssl::sha::sha256(text.as_bytes())), text.len() as u64)
    }

    /// RFC 6376 3.4.5, both examples.
    #[test]
    fn examples_of_the_rfc() {
        assert_eq!(field(Canon::Relaxed, "A: X"), "a:X");
        assert_eq!(field(Canon::Relaxed, "B : Y\t\r\n\tZ  "), "b:Y Z");
        assert_eq!(field(Canon::Simple, "B : Y\t\r\n\tZ  "), "B : Y\t\r\n\tZ  ");
        let body = " C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(hash(Canon::Relaxed, body), plain(" C\r\nD E\r\n"));
        assert_eq!(hash(Canon::Simple, body), plain(" C \r\nD \t E\r\n"));
    }

    #[test]
    fn empty_bodies() {
        assert_eq!(hash(Canon::Simple, ""), plain("\r\n"));
        assert_eq!(hash(Canon::Simple, "\r\n\r\n"), plain("\r\n"));
        assert_eq!(hash(Canon::Relaxed, ""), plain(""));
        assert_eq!(hash(Canon::Relaxed, " \t\r\n\r\n"), plain(""));
        // 3.4.3 and 3.4.4 print these hashes
        let b64 = |c| to_base64(&hash(c, "").0.unwrap());
        assert_eq!(b64(Canon::Simple), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
        assert_eq!(b64(Canon::Relaxed), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn line_ends_do_not_matter_and_the_last_may_lack() {
        for canon in [Canon::Simple, Canon::Relaxed] {
            let want = hash(canon, "a  b\r\n\r\nc\r\n");
            assert_eq!(hash(canon, "a  b\n\nc\n"), want);
            assert_eq!(hash(canon, "a  b\n\nc"), want);
        }
        assert_eq!(field(Canon::Simple, "A: b\n c"), "A: b\r\n c");
        assert_eq!(field(Canon::Relaxed, "A: b\n c"), "a:b c");
    }

    #[test]
    fn limits_cut_the_canonical_body() {
        let cut = body_hash(Canon::Simple, b"abc\r\ndef\r\n", Some(5));
        assert_eq!((cut.hash, cut.length), (plain("abc\r\n").0, 10));
    }

    /// Whatever the sizes of the pieces, the hash is that of the whole.
    #[test]
    fn large_bodies_are_hashed_in_pieces() {
        let line = format!("{}  {}\r\n", "x".repeat(3000), "y".repeat(9000));
        let body = line.repeat(7);
        assert_eq!(hash(Canon::Simple, &body), plain(&body));
        assert_eq!(hash(Canon::Relaxed, &body), plain(&body.replace("  ", " ")));
    }
}
