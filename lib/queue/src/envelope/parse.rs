//! Parser of the header block. Strict: a block it does not understand whole is an error.

use super::{Address, Envelope, Line, Param, Recipient, Sender, VERSION};
use std::fmt;

/// Longest line of a block in bytes: a path of 1024 and parameters beside it.
pub const LINE_MAX: usize = 8192;
/// Most recipients of one entry.
pub const RECIPIENTS_MAX: usize = 100_000;
/// Longest block read in search of its end.
pub const BLOCK_MAX: usize = 64 << 20;

/// What was wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line number, from 1; 0 for the block as a whole.
    pub line: usize,
    /// One phrase.
    pub what: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "envelope line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// Offset of the first byte of the message in `bytes`; `None` when the block's end is not there yet.
pub fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|w| w == b"\n\n").map(|at| at + 2)
}

pub(super) fn parse(block: &[u8]) -> Result<Envelope, ParseError> {
    let text = std::str::from_utf8(block).map_err(|_| ParseError { line: 0, what: "not UTF-8" })?;
    let text = text.strip_suffix("\n\n").map_or_else(|| text.strip_suffix('\n'), Some);
    let text = text.ok_or(ParseError { line: 0, what: "last line is cut" })?;
    let mut reader = Reader::default();
    for (index, line) in text.split('\n').enumerate() {
        reader.line(index, line).map_err(|what| ParseError { line: index + 1, what })?;
    }
    reader.finish().map_err(|what| ParseError { line: 0, what })
}

#[derive(Default)]
struct Reader {
    envelope: Envelope,
    arrival: Option<(u64, u32)>,
    sender: Option<Sender>,
    size: Option<u64>,
    wire_size: Option<u64>,
}

type Step = Result<(), &'static str>;

impl Reader {
    fn line(&mut self, index: usize, line: &str) -> Step {
        if line.len() > LINE_MAX {
            return Err("line too long");
        }
        let (name, value) = line.split_once(':').ok_or("no colon")?;
        let value = value.strip_prefix(' ').ok_or("no space after the colon")?;
        if value.chars().any(char::is_control) {
            return Err("control character");
        }
        if (index == 0) != (name == "pennypost-queue") {
            return Err("the version belongs on the first line and only there");
        }
        self.field(name, value)
    }

    fn field(&mut self, name: &str, value: &str) -> Step {
        let e = &mut self.envelope;
        match name {
            "pennypost-queue" if number::<u32>(value)? == VERSION => Ok(()),
            "pennypost-queue" => Err("unknown version"),
            "arrival" => once(&mut self.arrival, time(value)?),
            "client-uid" => once(&mut e.client_uid, number(value)?),
            "sender" => {
                let (address, params) = path(value)?;
                once(&mut self.sender, Sender { address, params })
            }
            "recipient" => self.recipient(value),
            "size" => once(&mut self.size, number(value)?),
            "wire-size" => once(&mut self.wire_size, number(value)?),
            "pad" => Ok(()),
            _ if name.starts_with("x-") => {
                let line = |text: &str| Line::new(text).ok_or("control character");
                e.extra.push((line(name)?, line(value)?));
                Ok(())
            }
            _ => once(self.slot(name)?, Line::new(value).ok_or("control character")?),
        }
    }

    fn slot(&mut self, name: &str) -> Result<&mut Option<Line>, &'static str> {
        let e = &mut self.envelope;
        Ok(match name {
            "id" => &mut e.id,
            "client-ip" => &mut e.client_ip,
            "client-name" => &mut e.client_name,
            "helo" => &mut e.helo,
            "protocol" => &mut e.protocol,
            "tls" => &mut e.tls,
            "login" => &mut e.login,
            "junk" => &mut e.junk,
            "hold" => &mut e.hold,
            _ => return Err("unknown name"),
        })
    }

    fn recipient(&mut self, value: &str) -> Step {
        let (address, params) = path(value)?;
        if address.is_empty() {
            return Err("empty recipient");
        }
        if self.envelope.recipients.len() >= RECIPIENTS_MAX {
            return Err("too many recipients");
        }
        self.envelope.recipients.push(Recipient { address, params });
        Ok(())
    }

    fn finish(self) -> Result<Envelope, &'static str> {
        let mut e = self.envelope;
        e.arrival = self.arrival.ok_or("no arrival")?;
        e.sender = self.sender.ok_or("no sender")?;
        e.size = self.size.ok_or("no size")?;
        e.wire_size = self.wire_size.ok_or("no wire-size")?;
        if e.recipients.is_empty() { Err("no recipient") } else { Ok(e) }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Step {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("name given twice"),
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, &'static str> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten().ok_or("bad number")
}

fn time(value: &str) -> Result<(u64, u32), &'static str> {
    let (secs, usec) = value.split_once('.').ok_or("bad time")?;
    if usec.len() == 6 { Ok((number(secs)?, number(usec)?)) } else { Err("bad time") }
}

fn path(value: &str) -> Result<(Address, Vec<Param>), &'static str> {
    let (address, rest) = Address::split_path(value).ok_or("bad path")?;
    if rest.is_empty() {
        return Ok((address, Vec::new()));
    }
    let words = rest.strip_prefix(' ').ok_or("no space after the path")?;
    let params = words.split(' ').map(Param::parse).collect::<Option<Vec<_>>>();
    Ok((address, params.ok_or("bad parameter")?))
}
