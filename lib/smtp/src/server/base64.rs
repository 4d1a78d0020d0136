//! Whether a text is well-formed base64; decoding belongs to who needs the octets.
//!
//! Standards   RFC 4648 section 4, RFC 4954 section 4 (padding required, no other characters)

/// True for canonical base64 with padding; the empty text counts as none.
pub fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let pad = text.len() - body.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && pad <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
