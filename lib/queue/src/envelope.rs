//! The header block of a queue entry: the native envelope form of every program.
//!
//! Standards   RFC 5321 4.1.1.2-3 (paths and parameters), RFC 3461 (DSN parameters), RFC 6531
//! Format      `Name: value` lines ended by LF, an empty line, then the message; pennypost-queue(5)
//! Invariants  1. no value holds a control character, so no value can start a line of its own
//!             2. `parse(encode(e)) == e`   3. parameters are kept as received (xtext not decoded)
//! Failures    [`ParseError`] with the line number; the caller sets the file aside
//! Trust       values come from peers: everything is checked on the way in *and* by type on the way out
//! Not here    reading the file (`entry`), outcomes (`journal`)

mod address;
mod params;
mod parse;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use params::Param;
pub use parse::{BLOCK_MAX, LINE_MAX, ParseError, RECIPIENTS_MAX, find_end};

use std::fmt;

/// Name of the line with which `deliver` says that it passes a message on, and for whom.
pub const FORWARDED_BY: &str = "x-forwarded-by";

/// Version this code writes and reads (the first line of a block).
pub const VERSION: u32 = 1;

/// One line of text without control characters.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Line(String);

impl Line {
    /// Takes text that is known good; `None` when it holds a control character or is too long.
    pub fn new(text: impl Into<String>) -> Option<Line> {
        let text = text.into();
        let good = text.len() <= LINE_MAX && !text.chars().any(char::is_control);
        good.then_some(Line(text))
    }

    /// Makes any peer's text fit: control characters become `?`, the rest is cut at a limit.
    pub fn clean(text: &[u8]) -> Line {
        let text = String::from_utf8_lossy(text);
        let mut out = String::new();
        for c in text.chars().map(|c| if c.is_control() { '?' } else { c }) {
            if out.len() + c.len_utf8() > LINE_MAX / 4 {
                break;
            }
            out.push(c);
        }
        Line(out)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reverse-path with its ESMTP parameters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sender {
    /// Empty for the null reverse-path `<>`.
    pub address: Address,
    /// As received.
    pub params: Vec<Param>,
}

/// One forward-path with its ESMTP parameters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Recipient {
    /// Never empty in a parsed envelope.
    pub address: Address,
    /// As received.
    pub params: Vec<Param>,
}

/// The whole envelope.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    /// When the message was taken: seconds and microseconds since 1970.
    pub arrival: (u64, u32),
    /// The entry's name, in envelopes handed to `deliver`, `remote` and `bounce`; not in the queue file (its name says it).
    pub id: Option<Line>,
    /// Who spoke to `enqueue` (SO_PEERCRED); only `enqueue` writes it.
    pub client_uid: Option<u32>,
    /// Peer's address.
    pub client_ip: Option<Line>,
    /// Peer's verified name.
    pub client_name: Option<Line>,
    /// HELO or EHLO argument.
    pub helo: Option<Line>,
    /// `SMTP`, `ESMTP`, `ESMTPSA`, ... (RFC 3848).
    pub protocol: Option<Line>,
    /// Protocol and cipher.
    pub tls: Option<Line>,
    /// Authenticated user.
    pub login: Option<Line>,
    /// Reverse-path.
    pub sender: Sender,
    /// Forward-paths, in the order given.
    pub recipients: Vec<Recipient>,
    /// The filter that said junk; `deliver` trusts this line, never a header field.
    pub junk: Option<Line>,
    /// Why the entry starts held.
    pub hold: Option<Line>,
    /// Bytes of the message as stored (LF).
    pub size: u64,
    /// Bytes of the message as sent (CRLF).
    pub wire_size: u64,
    /// Lines named `x-...`, kept and passed on.
    pub extra: Vec<(Line, Line)>,
}

impl Envelope {
    /// Parses a block: everything before the empty line, with or without that line.
    pub fn parse(block: &[u8]) -> Result<Envelope, ParseError> {
        parse::parse(block)
    }

    /// The block with the empty line that ends it.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_lines().into_bytes()
    }

    /// The block stretched to exactly `len` bytes by a `pad` line; `None` when it does not fit.
    /// For writers that keep room in front of a message already in the file.
    pub fn encode_padded(&self, len: usize) -> Option<Vec<u8>> {
        let mut text = self.encode_lines();
        let missing = len.checked_sub(text.len())?;
        if missing > 0 {
            text.pop(); // the empty line comes after the padding
            pad_lines(&mut text, missing)?;
            text.push('\n');
        }
        Some(text.into_bytes())
    }

    /// The same envelope for one recipient (what `deliver` gets).
    pub fn for_recipient(&self, recipient: Recipient) -> Envelope {
        Envelope { recipients: vec![recipient], ..self.clone() }
    }

    /// A message without a return address: nothing is ever reported about it to its sender.
    pub fn is_null_sender(&self) -> bool {
        self.sender.address.is_empty()
    }

    /// Whether `deliver` made the entry to pass a message on for a user.
    pub fn is_passed_on(&self) -> bool {
        self.extra.iter().any(|(name, _)| name.as_str() == FORWARDED_BY)
    }

    fn encode_lines(&self) -> String {
        let mut out = format!("pennypost-queue: {VERSION}\n");
        let mut put = |name: &str, value: &dyn fmt::Display| {
            out.push_str(&format!("{name}: {value}\n"));
        };
        put("arrival", &format_args!("{}.{:06}", self.arrival.0, self.arrival.1));
        if let Some(uid) = self.client_uid {
            put("client-uid", &uid);
        }
        for (name, value) in self.optional_lines() {
            if let Some(value) = value {
                put(name, value);
            }
        }
        put("sender", &PathLine(&self.sender.address, &self.sender.params));
        for r in &self.recipients {
            put("recipient", &PathLine(&r.address, &r.params));
        }
        put("size", &self.size);
        put("wire-size", &self.wire_size);
        for (name, value) in &self.extra {
            put(name.as_str(), value);
        }
        out.push('\n');
        out
    }

    fn optional_lines(&self) -> [(&'static str, &Option<Line>); 9] {
        [
            ("id", &self.id),
            ("client-ip", &self.client_ip),
            ("client-name", &self.client_name),
            ("helo", &self.helo),
            ("protocol", &self.protocol),
            ("tls", &self.tls),
            ("login", &self.login),
            ("junk", &self.junk),
            ("hold", &self.hold),
        ]
    }
}

/// Shortest padding line: `pad: ` and LF.
const PAD_MIN: usize = "pad: \n".len();

/// Appends `pad` lines of `missing` bytes in all, none longer than [`LINE_MAX`].
fn pad_lines(out: &mut String, mut missing: usize) -> Option<()> {
    while missing > 0 {
        let mut take = missing.min(LINE_MAX);
        if (1..PAD_MIN).contains(&(missing - take)) {
            take -= PAD_MIN; // leave enough for one more line
        }
        let dashes = take.checked_sub(PAD_MIN)?;
        out.push_str("pad: ");
        out.extend(std::iter::repeat_n('-', dashes));
        out.push('\n');
        missing -= take;
    }
    Some(())
}

/// `<address> PARAM PARAM=value`, the form of the `sender` and `recipient` lines.
struct PathLine<'a>(&'a Address, &'a [Param]);

impl fmt::Display for PathLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)?;
        self.1.iter().try_for_each(|p| write!(f, " {p}"))
    }
}
