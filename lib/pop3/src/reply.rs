//! Replies.
//!
//! Standards   RFC 1939 3 (status lines up to 512 octets), RFC 2449 5, 6 and 8, RFC 3206
//! Invariants  a reply is exactly one line whatever text goes in

/// `+OK text` CRLF.
pub fn ok(text: &str) -> Vec<u8> {
    line("+OK", None, text)
}

/// `-ERR [code] text` CRLF; the codes in use: IN-USE, LOGIN-DELAY (RFC 2449), SYS/TEMP, SYS/PERM, AUTH (RFC 3206), UTF8 (RFC 6856).
pub fn err(code: Option<&str>, text: &str) -> Vec<u8> {
    line("-ERR", code, text)
}

fn line(status: &str, code: Option<&str>, text: &str) -> Vec<u8> {
    let mut out = String::from(status);
    if let Some(code) = code {
        out += &format!(" [{code}]");
    }
    if !text.is_empty() {
        out.push(' ');
    }
    // RFC 1939 3: 512 octets at most with CRLF
    out.extend(text.chars().map(|c| if c.is_control() { '?' } else { c }).take(400));
    out += "\r\n";
    out.into_bytes()
}

/// A multi-line answer of short lines (LIST, UIDL, CAPA, LANG).
pub fn listing(first: &str, lines: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut out = ok(first);
    for line in lines {
        if line.starts_with('.') {
            out.push(b'.');
        }
        out.extend(line.bytes().filter(|b| !b.is_ascii_control()));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// What the server can do at this point of the conversation.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    /// STLS would work now, RFC 2595 4.
    pub stls: bool,
    /// USER and PASS would be accepted now.
    pub user: bool,
    /// SASL mechanisms offered now, RFC 5034 3.
    pub sasl: Vec<String>,
    /// Seconds between two logins, 0 for none, RFC 2449 6.5.
    pub login_delay: u64,
    /// How long messages stay, where it is known, RFC 2449 6.7.
    pub expire: Option<Expire>,
    /// Name and version, or none, RFC 2449 6.9.
    pub implementation: Option<String>,
}

/// How long the server leaves messages alone, RFC 2449 6.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// Until the client removes them.
    Never,
    /// At least so many days.
    Days(u32),
}

impl Capabilities {
    /// The answer to CAPA, RFC 2449 5 and 6.
    pub fn answer(&self) -> Vec<u8> {
        let mut lines: Vec<String> = Vec::new();
        lines.push("TOP".into());
        lines.push("UIDL".into());
        if self.user {
            lines.push("USER".into());
        }
        if !self.sasl.is_empty() {
            lines.push(format!("SASL {}", self.sasl.join(" ")));
        }
        if self.stls {
            lines.push("STLS".into());
        }
        for fixed in ["PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG"] {
            lines.push(fixed.into());
        }
        match self.expire {
            None => {}
            Some(Expire::Never) => lines.push("EXPIRE NEVER".into()),
            Some(Expire::Days(days)) => lines.push(format!("EXPIRE {days}")),
        }
        if self.login_delay > 0 {
            lines.push(format!("LOGIN-DELAY {}", self.login_delay));
        }
        lines.extend(self.implementation.iter().map(|i| format!("IMPLEMENTATION {i}")));
        listing("capabilities follow", lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_whatever_goes_in() {
        assert_eq!(ok(""), b"+OK\r\n");
        assert_eq!(err(Some("AUTH"), "no\r\n+OK evil"), b"-ERR [AUTH] no??+OK evil\r\n");
        assert!(ok(&"ü".repeat(1000)).len() <= 1000);
        assert_eq!(listing("x", [".a".to_owned(), "b\r\n.\r\n".to_owned()]), b"+OK x\r\n..a\r\nb.\r\n.\r\n");
    }

    #[test]
    fn capabilities_follow_the_state() {
        let caps = Capabilities { stls: true, ..Capabilities::default() };
        let text = String::from_utf8(caps.answer()).unwrap_or_default();
        assert!(text.contains("\r\nSTLS\r\n") && !text.contains("USER\r\nSASL") && !text.contains("SASL"));
        let caps = Capabilities { user: true, sasl: vec!["PLAIN".into()], ..Capabilities::default() };
        let text = String::from_utf8(caps.answer()).unwrap_or_default();
        assert!(text.contains("\r\nUSER\r\nSASL PLAIN\r\n") && !text.contains("STLS"));
        assert!(!text.contains("EXPIRE") && !text.contains("LOGIN-DELAY"));
        let caps = Capabilities { login_delay: 600, expire: Some(Expire::Days(14)), ..Capabilities::default() };
        let text = String::from_utf8(caps.answer()).unwrap_or_default();
        assert!(text.contains("\r\nEXPIRE 14\r\nLOGIN-DELAY 600\r\n"), "{text}");
    }
}
