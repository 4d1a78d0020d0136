//! The milter protocol, seen by the mail server.
//!
//! Standard    the Sendmail 8 milter protocol, version 6 (as the libmilter sources and Postfix MILTER_README describe it)
//! Parts       packets and answers here; [`Client`] drives one milter over any stream; [`apply`] changes a message
//! Invariants  1. a packet is at most [`PACKET_MAX`] octets   2. no text of a milter reaches a header or a reply with a
//!             control character in it
//! Trust       the milter is the administrator's program, but what it says is checked like a peer's

mod apply;
mod client;

pub use apply::{Changes, apply};
pub use client::{Client, MilterError, Peer};

/// Largest packet taken, octets: a body piece of 64 KiB and room.
pub const PACKET_MAX: usize = 1 << 20;
/// Largest body piece sent, octets.
pub const CHUNK: usize = 65_535;

/// Actions this server lets a milter take: add, change header; change body; add, delete recipient; quarantine; change
/// sender; add recipient with parameters; choose macros (which are sent all the same).
const ACTIONS: u32 = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Continue,
    /// No more questions about this message (or connection).
    Accept,
    /// Refuse.
    Reject,
    /// Refuse for now.
    Tempfail,
    /// Accept and drop.
    Discard,
    /// Refuse with this reply: code and text.
    ReplyCode(u16, String),
    /// No more body pieces are wanted.
    Skip,
    /// Still working.
    Progress,
    /// Close the connection.
    Shutdown,
    /// A change of the message, at its end.
    Change(Change),
}

/// A change of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Field at the end of the header.
    Add(String, String),
    /// Field at a position.
    Insert(u32, String, String),
    /// The n-th field of a name gets a new value; an empty one removes it.
    Replace(u32, String, String),
    /// A piece of a new body.
    Body(Vec<u8>),
    /// One more recipient.
    AddRecipient(String),
    /// One recipient less.
    DeleteRecipient(String),
    /// Hold it in the queue.
    Quarantine(String),
    /// Another sender.
    Sender(String),
}

/// Reads the first answer in `bytes`; gives the octets used. `Ok(None)`: more are needed.
pub fn decode(bytes: &[u8]) -> Result<Option<(usize, Answer)>, MilterError> {
    let Some(head) = bytes.get(..4) else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])).unwrap_or(usize::MAX);
    if length == 0 || length > PACKET_MAX {
        return Err(MilterError::Packet);
    }
    let Some(packet) = bytes.get(4..4 + length) else { return Ok(None) };
    let (command, data) = packet.split_first().ok_or(MilterError::Packet)?;
    answer(*command, data).map(|a| Some((4 + length, a))).ok_or(MilterError::Packet)
}

fn answer(command: u8, data: &[u8]) -> Option<Answer> {
    let change = |c| Some(Answer::Change(c));
    match command {
        b'c' => Some(Answer::Continue),
        b'a' => Some(Answer::Accept),
        b'r' => Some(Answer::Reject),
        b't' => Some(Answer::Tempfail),
        b'd' => Some(Answer::Discard),
        b's' => Some(Answer::Skip),
        b'p' => Some(Answer::Progress),
        b'4' | b'f' => Some(Answer::Shutdown),
        b'y' => reply_code(&strings(data)?.concat()),
        b'h' => pair(data).and_then(|(name, value)| change(Change::Add(name, value))),
        b'i' => indexed(data).and_then(|(n, name, value)| change(Change::Insert(n, name, value))),
        b'm' => indexed(data).and_then(|(n, name, value)| change(Change::Replace(n, name, value))),
        b'b' => change(Change::Body(data.to_vec())),
        b'+' | b'2' => change(Change::AddRecipient(path(strings(data)?.first()?))),
        b'-' => change(Change::DeleteRecipient(path(strings(data)?.first()?))),
        b'e' => change(Change::Sender(path(strings(data)?.first()?))),
        b'q' => change(Change::Quarantine(clean(strings(data)?.first()?))),
        _ => None,
    }
}

/// NUL-ended strings.
fn strings(data: &[u8]) -> Option<Vec<String>> {
    let body = data.strip_suffix(&[0]).unwrap_or(data);
    Some(body.split(|&b| b == 0).map(|s| String::from_utf8_lossy(s).into_owned()).collect())
}

fn pair(data: &[u8]) -> Option<(String, String)> {
    let list = strings(data)?;
    let name = list.first().filter(|n| field_name(n))?.clone();
    Some((name, field_value(list.get(1).map(String::as_str).unwrap_or_default())))
}

fn indexed(data: &[u8]) -> Option<(u32, String, String)> {
    let (index, rest) = data.split_at_checked(4)?;
    let (name, value) = pair(rest)?;
    Some((u32::from_be_bytes(index.try_into().ok()?), name, value))
}

/// RFC 5322 3.6.8 ftext.
fn field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (33..127).contains(&b) && b != b':')
}

/// A value with LF folds only: a line that does not begin with a blank gets one, so that it cannot be a field.
fn field_value(value: &str) -> String {
    let lines: Vec<String> = value.split('\n').map(clean).collect();
    let fold = |line: &String| if line.starts_with([' ', '\t']) { line.clone() } else { format!(" {line}") };
    let mut out = lines.first().cloned().unwrap_or_default();
    for line in lines.iter().skip(1).filter(|line| !line.trim().is_empty()) {
        out.push('\n');
        out.push_str(&fold(line));
    }
    out
}

fn clean(text: impl AsRef<str>) -> String {
    text.as_ref().chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

fn path(text: &String) -> String {
    clean(text).trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// `550 5.7.1 text`, lines parted by CRLF.
fn reply_code(text: &str) -> Option<Answer> {
    let first = text.lines().next()?;
    let (code, rest) = first.split_at_checked(3)?;
    let code: u16 = code.parse().ok().filter(|c| (400..600).contains(c))?;
    Some(Answer::ReplyCode(code, clean(rest.trim_start_matches(['-', ' ']))))
}

/// One packet.
pub fn encode(command: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.push(command);
    out.extend_from_slice(data);
    out
}

/// Strings, each ended by NUL; a NUL inside one is left out.
pub fn joined<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in list {
        out.extend(text.as_ref().bytes().filter(|&b| b != 0));
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(command: u8, data: &[u8]) -> Result<Option<(usize, Answer)>, MilterError> {
        decode(&encode(command, data))
    }

    #[test]
    fn answers_are_understood_and_cleaned() {
        assert_eq!(one(b'c', b""), Ok(Some((5, Answer::Continue))));
        assert_eq!(one(b'y', b"550 5.7.1 no\r\n\0").unwrap().unwrap().1, Answer::ReplyCode(550, "5.7.1 no".into()));
        let add = |data: &[u8]| one(b'h', data).map(|a| a.map(|(_, a)| a));
        assert_eq!(add(b"X-A\0b\0"), Ok(Some(Answer::Change(Change::Add("X-A".into(), "b".into())))));
        let folded = Answer::Change(Change::Add("X-A".into(), "b\n\tc\n evil: x".into()));
        assert_eq!(add(b"X-A\0b\r\n\tc\nevil: x\n\n\0"), Ok(Some(folded)));
        assert_eq!(add(b"X A\0b\0"), Err(MilterError::Packet));
        assert_eq!(add(b"X\nY\0b\0"), Err(MilterError::Packet));
        let insert = one(b'i', b"\0\0\0\x01A\0b\0").unwrap().unwrap().1;
        assert_eq!(insert, Answer::Change(Change::Insert(1, "A".into(), "b".into())));
    }

    #[test]
    fn packets_are_bounded_and_may_come_in_pieces() {
        let packet = encode(b'h', b"X-A\0b\0");
        for cut in 0..packet.len() {
            assert_eq!(decode(&packet[..cut]), Ok(None));
        }
        assert_eq!(decode(&[0xff; 8]), Err(MilterError::Packet));
        assert_eq!(decode(&[0; 8]), Err(MilterError::Packet));
        assert_eq!(one(b'?', b""), Err(MilterError::Packet));
        assert_eq!(one(b'y', b"250 ok\0"), Err(MilterError::Packet));
    }
}
