//! Replies of a server as a client reads them.
//!
//! Standards   RFC 5321 4.2 (reply lines, multi-line replies), RFC 2034 and 3463 (enhanced status)
//! Invariants  1. a reply holds at most [`TEXT_MAX`] octets of text, all printable: it may go into a log, a journal or
//!                a report as it is
//!             2. at most [`LINES_MAX`] lines and [`LINE_MAX`] octets a line are read, then it is an error
//!             3. the bytes after the reply's last line end are never looked at
//! Quirks      `quirk_bare_lf_reply`: a line may end in LF alone; nothing can be smuggled towards a client by it,
//!             and old servers send it. Text that is not UTF-8 is taken byte by byte with `?` for what is not ASCII
//! Failures    [`ReplyError`]: the connection is of no more use

/// Longest reply line in octets. RFC 5321 4.5.3.1.5 says 512; real servers exceed it.
pub const LINE_MAX: usize = 4096;
/// Most lines of one reply.
pub const LINES_MAX: usize = 4096;
/// Most octets of text kept from one reply; later lines are read and dropped.
pub const TEXT_MAX: usize = 8192;

/// An RFC 3463 status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// 2, 4 or 5.
    pub class: u8,
    /// Subject.
    pub subject: u16,
    /// Detail.
    pub detail: u16,
}

impl Enhanced {
    /// Parses the word a text begins with; `None` when it is no status (RFC 2034 section 4 gives the grammar).
    pub fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split('.');
        let class = parts.next()?;
        let number = |part: Option<&str>| -> Option<u16> {
            let part = part.filter(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse().ok()
        };
        let (subject, detail) = (number(parts.next())?, number(parts.next())?);
        let class = match class {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        parts.next().is_none().then_some(Self { class, subject, detail })
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The enhanced status of the first line, if its class agrees with the code.
    pub enhanced: Option<Enhanced>,
    /// Text of each line, without code and enhanced status, printable.
    pub lines: Vec<String>,
}

impl Reply {
    /// 2xx.
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx.
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status, or `x.0.0` made from the code.
    pub fn status(&self) -> Enhanced {
        let class = match self.code / 100 {
            4 => 4,
            5 => 5,
            _ => 2,
        };
        self.enhanced.unwrap_or(Enhanced { class, subject: 0, detail: 0 })
    }

    /// All lines joined by spaces.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }
}

impl std::fmt::Display for Reply {
    /// `550 5.1.1 text text`, one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        let text = self.text();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

/// What a peer sent that is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A line longer than [`LINE_MAX`].
    LineTooLong,
    /// More than [`LINES_MAX`] lines.
    TooManyLines,
    /// A line that does not begin with a code from 200 to 599 and a space, hyphen or nothing.
    NotAReply,
    /// The lines of one reply have different codes.
    CodeChanged,
}

impl std::fmt::Display for ReplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "reply line too long",
            Self::TooManyLines => "reply has too many lines",
            Self::NotAReply => "not an SMTP reply",
            Self::CodeChanged => "reply code changed within one reply",
        })
    }
}

impl std::error::Error for ReplyError {}

/// Incremental parser of replies.
#[derive(Debug, Default)]
pub struct ReplyParser {
    line: Vec<u8>,
    reply: Option<Reply>,
    lines: usize,
    kept: usize,
}

impl ReplyParser {
    /// A parser at the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a part of a reply has been read.
    pub fn is_mid_reply(&self) -> bool {
        self.reply.is_some() || !self.line.is_empty()
    }

    /// Reads from `input` up to the end of one reply; gives the octets used and the reply once it is whole.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        let mut used = 0;
        while let Some(end) = memchr::memchr(b'\n', input.get(used..).unwrap_or_default()) {
            self.push(&input[used..used + end])?;
            used += end + 1;
            if let Some(reply) = self.end_of_line()? {
                return Ok((used, Some(reply)));
            }
        }
        self.push(input.get(used..).unwrap_or_default())?;
        Ok((input.len(), None))
    }

    fn push(&mut self, part: &[u8]) -> Result<(), ReplyError> {
        if self.line.len() + part.len() > LINE_MAX {
            return Err(ReplyError::LineTooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let (code, last, text) = split_line(line).ok_or(ReplyError::NotAReply)?;
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(ReplyError::TooManyLines);
        }
        self.add(code, text)?;
        if !last {
            return Ok(None);
        }
        (self.lines, self.kept) = (0, 0);
        Ok(self.reply.take())
    }

    fn add(&mut self, code: u16, text: &[u8]) -> Result<(), ReplyError> {
        let (enhanced, text) = split_status(code, &printable(text));
        let reply = self.reply.get_or_insert_with(|| Reply { code, enhanced, lines: Vec::new() });
        if reply.code != code {
            return Err(ReplyError::CodeChanged);
        }
        if self.kept + text.len() <= TEXT_MAX {
            self.kept += text.len() + 1;
            reply.lines.push(text);
        }
        Ok(())
    }
}

/// Code, whether it is the last line, and the text.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    if !(200..600).contains(&code) {
        return None;
    }
    match rest.split_first() {
        None => Some((code, true, rest)), // RFC 5321 4.2: a bare code is a last line
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// RFC 2034 section 4: the status comes first in the text of 2xx, 4xx and 5xx replies, with the class of the code.
fn split_status(code: u16, text: &str) -> (Option<Enhanced>, String) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match Enhanced::parse(word) {
        Some(status) if u16::from(status.class) == code / 100 => (Some(status), rest.to_owned()),
        _ => (None, text.to_owned()),
    }
}

/// UTF-8 without control characters, else ASCII with `?`.
fn printable(text: &[u8]) -> String {
    let safe = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '?'
        } else {
            c
        }
    };
    match std::str::from_utf8(text) {
        Ok(text) => text.chars().map(safe).collect(),
        Err(_) => text.iter().map(|&b| if b.is_ascii() { safe(b as char) } else { '?' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], cut: usize) -> Result<Vec<Reply>, ReplyError> {
        let mut parser = ReplyParser::new();
        let mut replies = Vec::new();
        for mut part in input.chunks(cut.max(1)) {
            while !part.is_empty() {
                let (used, reply) = parser.feed(part)?;
                replies.extend(reply);
                part = &part[used..];
            }
        }
        Ok(replies)
    }

    #[test]
    fn multi_line_with_status_wherever_cut() {
        let input = b"250-mx.example\r\n250-SIZE 1000\r\n250 HELP\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n354\r\n";
        let whole = all(input, input.len()).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0].lines, ["mx.example", "SIZE 1000", "HELP"]);
        assert_eq!(whole[1].to_string(), "550 5.1.1 no such user");
        assert_eq!((whole[2].code, whole[2].text()), (354, String::new()));
        for cut in 1..input.len() {
            assert_eq!(all(input, cut).as_ref(), Ok(&whole), "cut {cut}");
        }
    }

    #[test]
    fn status_of_another_class_is_text() {
        let reply = &all(b"550 4.1.1 odd\r\n", 99).unwrap()[0];
        assert_eq!((reply.enhanced, reply.status().to_string()), (None, "5.0.0".into()));
        for word in ["5.1", "5.1.1.1", "3.1.1", "5..1", "5.1.1234", "5.a.1", "+5.1.1"] {
            assert_eq!(Enhanced::parse(word), None, "{word}");
        }
    }

    #[test]
    fn hostile_replies_are_bounded() {
        let long = [b"250 ".as_slice(), &vec![b'x'; LINE_MAX + 1], b"\r\n"].concat();
        assert_eq!(all(&long, 100), Err(ReplyError::LineTooLong));
        let never = b"250-x\r\n".repeat(LINES_MAX + 1);
        assert_eq!(all(&never, 1000), Err(ReplyError::TooManyLines));
        let mut many = b"550-0123456789\r\n".repeat(3000);
        many.extend_from_slice(b"550 end\r\n");
        assert!(all(&many, 999).unwrap()[0].text().len() <= TEXT_MAX + 8);
        for bad in [&b"5\r\n"[..], b"\r\n", b"abc x\r\n", b"25x y\r\n", b"199 x\r\n", b"600 x\r\n", b"250_x\r\n"] {
            assert_eq!(all(bad, 99), Err(ReplyError::NotAReply), "{bad:?}");
        }
        assert_eq!(all(b"250-a\r\n251 b\r\n", 99), Err(ReplyError::CodeChanged));
    }

    #[test]
    fn text_is_printable() {
        let reply = &all(b"550 a\0b\rc\x1b[2J\xffd\n", 99).unwrap()[0];
        assert_eq!(reply.text(), "a?b?c?[2J?d");
        assert_eq!(all("550 Grüße\r\n".as_bytes(), 99).unwrap()[0].text(), "Grüße");
    }

    /// RFC 3207: what follows the go-ahead of STARTTLS stays with the caller, who must refuse it.
    #[test]
    fn bytes_after_the_reply_are_left() {
        let (used, reply) = ReplyParser::new().feed(b"220 go\r\n250-EVIL\r\n").unwrap();
        assert_eq!((used, reply.map(|r| r.code)), (8, Some(220)));
    }
}
