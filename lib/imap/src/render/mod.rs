//! What FETCH sends of a message, made from its bytes.
//!
//! Standards   RFC 3501 7.4.2, RFC 9051 7.5.2; each file names its own
//! Invariants  1. output has CRLF line ends whatever the file has   2. each is linear in the message
pub mod body_structure;
pub mod envelope;
pub mod preview;
pub mod section;

pub use body_structure::body_structure;
pub use envelope::envelope;
pub use preview::preview;
pub use section::{BinaryError, View};

use memchr::memchr_iter;

/// Appends bytes with every bare LF turned into CRLF.
pub fn crlf(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + bytes.len() / 32);
    let mut from = 0;
    for n in memchr_iter(b'\n', bytes).filter(|&n| n == 0 || bytes[n - 1] != b'\r') {
        out.extend_from_slice(&bytes[from..n]);
        out.extend_from_slice(b"\r\n");
        from = n + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// The length [`crlf`] would add.
pub fn crlf_len(bytes: &[u8]) -> usize {
    let bare = memchr_iter(b'\n', bytes).filter(|&n| n == 0 || bytes[n - 1] != b'\r').count();
    bytes.len() + bare
}

/// Appends the CRLF form of `bytes` from its octet `from`, at most `count` octets.
pub fn crlf_slice(out: &mut Vec<u8>, bytes: &[u8], from: usize, count: usize) {
    let mut whole = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    crlf(&mut whole, bytes);
    let from = from.min(whole.len());
    out.extend_from_slice(&whole[from..from.saturating_add(count).min(whole.len())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        for (input, want) in
            [("a\nb\r\nc", "a\r\nb\r\nc"), ("\n\n", "\r\n\r\n"), ("\r\n", "\r\n"), ("a\r", "a\r"), ("", "")]
        {
            let mut out = Vec::new();
            crlf(&mut out, input.as_bytes());
            assert_eq!(out, want.as_bytes());
            assert_eq!(crlf_len(input.as_bytes()), want.len());
        }
        let mut out = Vec::new();
        crlf_slice(&mut out, b"a\nb", 1, 2);
        assert_eq!(out, b"\r\n");
    }
}
