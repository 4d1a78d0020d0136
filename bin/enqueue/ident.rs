//! The Message-ID for the log: by it a message is found again when all one has is a copy of it.
//!
//! Trust       hostile bytes: only the first part of the header is looked at, what is found is cut and escaped by the log

use penny_mime::header::find_field;
use penny_queue::Message;
use std::os::unix::fs::FileExt;

/// How much of a message is looked at.
const HEAD_MAX: usize = 32 * 1024;
/// Octets of an id that are kept (RFC 5322 2.1.1 lets a line have 998).
const ID_MAX: usize = 250;

/// Of the added fields, else of the message; `-` where there is none.
pub fn message_id(fields: &[u8], message: &Message<'_>) -> String {
    let mut buffer = Vec::new();
    let head = match message {
        Message::Bytes(bytes) => bytes.get(..HEAD_MAX).unwrap_or(bytes),
        Message::File(file) => {
            buffer.resize(HEAD_MAX, 0);
            let n = file.read_at(&mut buffer, 0).unwrap_or(0);
            buffer.get(..n).unwrap_or_default()
        }
    };
    let found = find_field(fields, "message-id").or_else(|| find_field(head, "message-id"));
    let mut id = found.map(|f| f.unfolded()).unwrap_or_default();
    id.truncate(ID_MAX);
    if id.is_empty() { "-".into() } else { String::from_utf8_lossy(&id).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_fields_then_from_the_message() {
        let message = Message::Bytes(b"From: a\nMESSAGE-ID:\n <m@x>\n\nMessage-ID: <body>\n");
        assert_eq!(message_id(b"", &message), "<m@x>");
        assert_eq!(message_id(b"Message-ID: <f@x>\n", &message), "<f@x>");
        assert_eq!(message_id(b"", &Message::Bytes(b"\nMessage-ID: <body>\n")), "-");
        assert_eq!(
            message_id(b"", &Message::Bytes(format!("Message-ID: {}\n", "x".repeat(900)).as_bytes())).len(),
            250
        );
    }
}
