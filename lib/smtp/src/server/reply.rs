//! Replies as the server writes them.
//!
//! Standards   RFC 5321 4.2, 4.5.3.1.5 (512 octets a line); RFC 2034 (each line begins with the status); RFC 6531 3.7.4
//! Invariants  no control character and no CR or LF reaches the wire except the line ends written here; text outside
//!             ASCII is replaced by `?` unless the client has said SMTPUTF8

use penny_addr::Charset;

/// Longest text on one line, so that code, status and CRLF fit in 512 octets.
const TEXT_MAX: usize = 480;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<String>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply with an enhanced status and one line of text.
    pub fn new(code: u16, status: &str, text: impl Into<String>) -> Self {
        Self { code, status: Some(status.to_owned()), lines: vec![text.into()] }
    }

    /// A reply that has no enhanced status: greetings, 334 and 354.
    pub fn plain(code: u16, text: impl Into<String>) -> Self {
        Self { code, status: None, lines: vec![text.into()] }
    }

    /// Several lines without status, as EHLO and HELP want.
    pub fn lines(code: u16, lines: Vec<String>) -> Self {
        Self { code, status: None, lines }
    }

    /// From a text that begins with a status (`5.1.1 no such user`); the code follows from its class, `hard` and `soft`
    /// being the codes for 5 and 4. A text without status counts as temporary.
    pub fn from_text(text: &str, hard: u16, soft: u16) -> Self {
        let (status, rest) = text.split_once(' ').unwrap_or((text, ""));
        match crate::client::Enhanced::parse(status) {
            Some(s) if s.class == 5 => Self::new(hard, status, rest),
            Some(s) if s.class == 4 => Self::new(soft, status, rest),
            Some(s) if s.class == 2 => Self::new(250, status, rest),
            _ => Self::new(soft, "4.3.0", text),
        }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// The text of the first line.
    pub fn text(&self) -> &str {
        self.lines.first().map(String::as_str).unwrap_or_default()
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx or 5xx.
    pub fn is_failure(&self) -> bool {
        self.code >= 400
    }

    /// Adds the reply to the output; `charset` is what the client reads.
    pub fn write(&self, out: &mut Vec<u8>, charset: Charset) {
        let pieces: Vec<String> = self.lines.iter().flat_map(|line| fold(line, charset)).collect();
        let last = pieces.len().saturating_sub(1);
        for (at, piece) in pieces.iter().enumerate() {
            let dash = if at == last { ' ' } else { '-' };
            let status = self.status.as_ref().map(|s| format!("{} ", printable(s, Charset::Ascii))).unwrap_or_default();
            out.extend_from_slice(format!("{}{dash}{status}{piece}\r\n", self.code).as_bytes());
        }
    }
}

fn printable(text: &str, charset: Charset) -> String {
    let fits = |c: char| (' '..='~').contains(&c) || (charset == Charset::Utf8 && !c.is_ascii() && !c.is_control());
    text.chars().map(|c| if fits(c) { c } else { '?' }).collect()
}

/// Breaks a long text at spaces where it can, never inside a character.
fn fold(line: &str, charset: Charset) -> Vec<String> {
    let text = printable(line, charset);
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while rest.len() > TEXT_MAX {
        let (head, _) = rest.split_at(rest.floor_char_boundary(TEXT_MAX));
        let cut = head.rfind(' ').filter(|&at| at > 0).unwrap_or(head.len());
        let (head, tail) = rest.split_at(cut);
        pieces.push(head.to_owned());
        rest = tail.trim_start();
    }
    pieces.push(rest.to_owned());
    pieces
}

impl std::fmt::Display for Reply {
    /// One line, for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = &self.status {
            write!(f, " {status}")?;
        }
        write!(f, " {}", self.lines.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        wire_in(reply, Charset::Ascii)
    }

    fn wire_in(reply: &Reply, charset: Charset) -> String {
        let mut out = Vec::new();
        reply.write(&mut out, charset);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_bounded_and_printable() {
        assert_eq!(wire(&Reply::new(550, "5.1.1", "no\r\n250 ok\0ü")), "550 5.1.1 no??250 ok??\r\n");
        let long = wire(&Reply::new(550, "5.1.1", "word ".repeat(300)));
        assert!(long.lines().all(|line| line.len() <= 510));
        assert!(long.starts_with("550-5.1.1 word") && long.lines().last().unwrap().starts_with("550 5.1.1 "));
        assert_eq!(wire(&Reply::lines(250, vec!["a".into(), "b".into()])), "250-a\r\n250 b\r\n");
        assert!(wire(&Reply::plain(250, "x".repeat(2000))).lines().all(|line| line.len() <= 510));
    }

    #[test]
    fn who_says_smtputf8_reads_utf8() {
        let reply = Reply::new(550, "5.1.1", "no such user: jörg\u{85}\r\n250 ok");
        assert_eq!(wire(&reply), "550 5.1.1 no such user: j?rg???250 ok\r\n");
        assert_eq!(wire_in(&reply, Charset::Utf8), "550 5.1.1 no such user: jörg???250 ok\r\n");
        let long = wire_in(&Reply::new(550, "5.1.1", format!("x{}", "ö".repeat(1000))), Charset::Utf8);
        assert!(long.lines().count() == 5 && long.lines().all(|line| line.len() <= 510), "{long}");
    }

    #[test]
    fn texts_with_a_status_choose_the_code() {
        assert_eq!(Reply::from_text("5.1.1 no", 550, 450).to_string(), "550 5.1.1 no");
        assert_eq!(Reply::from_text("4.2.2 full", 550, 452).to_string(), "452 4.2.2 full");
        assert_eq!(Reply::from_text("what", 550, 451).to_string(), "451 4.3.0 what");
    }
}
