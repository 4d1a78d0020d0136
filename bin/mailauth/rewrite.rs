//! The message with our field on top and without fields that pretend to be ours.
//!
//! Standard    RFC 8601 5: forged fields of our identifier must be removed

use penny_verify::authres::is_forged;
use penny_verify::message::Message;
use std::io::{self, Write};

/// The field, whole, with the line ends of the message it is for.
pub fn as_in(message: &[u8], field: &str) -> String {
    let crlf = message.iter().position(|&b| b == b'\n').is_some_and(|at| at > 0 && message.get(at - 1) == Some(&b'\r'));
    if crlf { field.replace('\n', "\r\n") + "\r\n" } else { format!("{field}\n") }
}

/// Writes the whole message; its line ends stay as they are, the new field takes the message's kind.
pub fn write(out: &mut impl Write, bytes: &[u8], message: &Message<'_>, field: &str, id: &str) -> io::Result<()> {
    out.write_all(as_in(bytes, field).as_bytes())?;
    let mut rest = bytes;
    for forged in message.fields.iter().filter(|f| is_forged(f, id)) {
        // `raw` is a slice of `bytes`: its place follows from the addresses
        let start = forged.raw.as_ptr() as usize - rest.as_ptr() as usize;
        let (before, from) = rest.split_at_checked(start).unwrap_or((rest, &[]));
        out.write_all(before)?;
        let after = from.get(forged.raw.len()..).unwrap_or_default();
        rest = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")).unwrap_or(after);
    }
    out.write_all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(mail: &str) -> String {
        let mut out = Vec::new();
        write(
            &mut out,
            mail.as_bytes(),
            &Message::parse(mail.as_bytes()),
            "Authentication-Results: mx.example;\n\tspf=none",
            "mx.example",
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forged_fields_go_and_others_stay() {
        let mail = "Received: x\nAuthentication-Results: mx.example;\n spf=pass\nauthentication-results : MX.EXAMPLE; x=y\n\
                    Authentication-Results: other.example; spf=pass\n\nAuthentication-Results: mx.example; body\n";
        let want = "Authentication-Results: mx.example;\n\tspf=none\nReceived: x\n\
                    Authentication-Results: other.example; spf=pass\n\nAuthentication-Results: mx.example; body\n";
        assert_eq!(rewritten(mail), want);
        assert_eq!(rewritten(&mail.replace('\n', "\r\n")), want.replace('\n', "\r\n"));
    }
}
