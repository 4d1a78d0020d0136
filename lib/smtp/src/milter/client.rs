//! Drives one milter over a stream.
//!
//! Invariants  1. only what was negotiated is sent, and an answer is awaited only where the milter gives one
//!             2. after Accept (or Discard, Reject) nothing more is asked about this message
//! Failures    [`MilterError`]: the connection is of no more use; the caller says 451

use super::{ACTIONS, Answer, CHUNK, Changes, decode, encode, joined};
use penny_mime::header::Fields;
use std::io::{self, Read, Write};

/// Protocol version offered.
const VERSION: u32 = 6;

// Steps a milter may leave out (SMFIP_NO...), and steps it does not answer (SMFIP_NR_...).
const NO_CONNECT: u32 = 0x01;
const NO_HELO: u32 = 0x02;
const NO_MAIL: u32 = 0x04;
const NO_RCPT: u32 = 0x08;
const NO_BODY: u32 = 0x10;
const NO_HEADERS: u32 = 0x20;
const NO_EOH: u32 = 0x40;
const NR_HEADER: u32 = 0x80;
const NO_DATA: u32 = 0x200;
const NR_CONNECT: u32 = 0x1000;
const NR_HELO: u32 = 0x2000;
const NR_MAIL: u32 = 0x4000;
const NR_RCPT: u32 = 0x8000;
const NR_DATA: u32 = 0x1_0000;
const NR_EOH: u32 = 0x4_0000;
const NR_BODY: u32 = 0x8_0000;
const LEADING_SPACE: u32 = 0x10_0000;
/// Not used here, but understood: unknown commands are never shown, SKIP is an answer.
const NO_UNKNOWN: u32 = 0x100;
const SKIP: u32 = 0x400;
const NR_UNKNOWN: u32 = 0x2_0000;
/// All that is understood.
const STEPS: u32 = NO_CONNECT
    | NO_HELO
    | NO_MAIL
    | NO_RCPT
    | NO_BODY
    | NO_HEADERS
    | NO_EOH
    | NO_UNKNOWN
    | NO_DATA
    | SKIP
    | NR_UNKNOWN
    | NR_HEADER
    | NR_CONNECT
    | NR_HELO
    | NR_MAIL
    | NR_RCPT
    | NR_DATA
    | NR_EOH
    | NR_BODY
    | LEADING_SPACE;

/// What went wrong with a milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MilterError {
    /// A packet that is none.
    Packet,
    /// It wants a protocol or an action this server does not have.
    Negotiation,
    /// The stream.
    Io(String),
}

impl std::fmt::Display for MilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packet => f.write_str("malformed packet"),
            Self::Negotiation => f.write_str("negotiation failed"),
            Self::Io(e) => f.write_str(e),
        }
    }
}

impl std::error::Error for MilterError {}

impl From<io::Error> for MilterError {
    fn from(e: io::Error) -> Self {
        Self::Io(e.to_string())
    }
}

/// The SMTP client, for the connect step.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Name, or the address in brackets.
    pub name: String,
    /// Address, or `unknown`.
    pub ip: String,
    /// Port.
    pub port: u16,
}

/// One milter.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    buffer: Vec<u8>,
    steps: u32,
    version: u32,
}

impl<S: Read + Write> Client<S> {
    /// Negotiates over a connected stream.
    pub fn negotiate(stream: S) -> Result<Self, MilterError> {
        let mut client = Self { stream, buffer: Vec::new(), steps: 0, version: 0 };
        let offer = [VERSION, ACTIONS, STEPS].map(u32::to_be_bytes).concat();
        client.stream.write_all(&encode(b'O', &offer))?;
        let packet = client.packet()?;
        let word = |at: usize| packet.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        let (Some(b'O'), Some(version), Some(actions), Some(steps)) =
            (packet.first().copied(), word(1), word(5), word(9))
        else {
            return Err(MilterError::Negotiation);
        };
        if version < 2 || actions & !ACTIONS != 0 || steps & !STEPS != 0 {
            return Err(MilterError::Negotiation);
        }
        client.steps = steps;
        client.version = version;
        Ok(client)
    }

    /// One raw packet, without its length.
    fn packet(&mut self) -> Result<Vec<u8>, MilterError> {
        loop {
            if let Some(head) = self.buffer.get(..4) {
                let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
                if length == 0 || length > super::PACKET_MAX {
                    return Err(MilterError::Packet);
                }
                if self.buffer.len() >= 4 + length {
                    let packet = self.buffer.get(4..4 + length).unwrap_or_default().to_vec();
                    self.buffer.drain(..4 + length);
                    return Ok(packet);
                }
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), MilterError> {
        let mut piece = [0; 8192];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(MilterError::Io("the milter has closed".into())),
            Ok(n) => {
                self.buffer.extend_from_slice(piece.get(..n).unwrap_or_default());
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn answer(&mut self) -> Result<Answer, MilterError> {
        loop {
            match decode(&self.buffer)? {
                Some((used, answer)) => {
                    self.buffer.drain(..used);
                    if answer != Answer::Progress {
                        return Ok(answer);
                    }
                }
                None => self.more()?,
            }
        }
    }

    /// A step: left out when the milter does not want it, not waited for when it does not answer.
    fn step(&mut self, command: u8, data: &[u8], no: u32, silent: u32) -> Result<Answer, MilterError> {
        if no != 0 && self.steps & no != 0 {
            return Ok(Answer::Continue);
        }
        self.stream.write_all(&encode(command, data))?;
        if silent != 0 && self.steps & silent != 0 { Ok(Answer::Continue) } else { self.answer() }
    }

    /// Macros for the step that follows.
    pub fn macros(&mut self, step: u8, pairs: &[(&str, &str)]) -> Result<(), MilterError> {
        let pairs: Vec<&str> = pairs.iter().filter(|(_, v)| !v.is_empty()).flat_map(|(n, v)| [*n, *v]).collect();
        let mut data = vec![step];
        data.extend(joined(pairs));
        Ok(self.stream.write_all(&encode(b'D', &data))?)
    }

    /// The connection.
    pub fn connect(&mut self, peer: &Peer) -> Result<Answer, MilterError> {
        let mut data = joined([&peer.name]);
        let family = match peer.ip.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => b'4',
            Ok(std::net::IpAddr::V6(_)) => b'6',
            Err(_) => b'U',
        };
        data.push(family);
        if family != b'U' {
            data.extend_from_slice(&peer.port.to_be_bytes());
            let address = if family == b'6' { format!("IPv6:{}", peer.ip) } else { peer.ip.clone() };
            data.extend(joined([address]));
        }
        self.step(b'C', &data, NO_CONNECT, NR_CONNECT)
    }

    /// HELO or EHLO.
    pub fn helo(&mut self, name: &str) -> Result<Answer, MilterError> {
        self.step(b'H', &joined([name]), NO_HELO, NR_HELO)
    }

    /// MAIL: path in brackets, then parameters.
    pub fn mail(&mut self, words: &[String]) -> Result<Answer, MilterError> {
        self.step(b'M', &joined(words), NO_MAIL, NR_MAIL)
    }

    /// RCPT: path in brackets, then parameters.
    pub fn rcpt(&mut self, words: &[String]) -> Result<Answer, MilterError> {
        self.step(b'R', &joined(words), NO_RCPT, NR_RCPT)
    }

    /// DATA.
    pub fn data(&mut self) -> Result<Answer, MilterError> {
        self.step(b'T', b"", NO_DATA, NR_DATA)
    }

    /// The header (LF line ends), field by field.
    pub fn header(&mut self, header: &[u8]) -> Result<Answer, MilterError> {
        for field in Fields::new(header) {
            let value = field.raw.get(field.name.len()..).unwrap_or_default();
            let value = value.split_first().map_or(value, |(_, rest)| rest); // the colon
            let value = value.strip_suffix(b"\n").unwrap_or(value);
            let value = if self.steps & LEADING_SPACE == 0 { value.strip_prefix(b" ").unwrap_or(value) } else { value };
            let (name, value) = (String::from_utf8_lossy(field.name), String::from_utf8_lossy(value));
            let answer = self.step(b'L', &joined([name, value]), NO_HEADERS, NR_HEADER)?;
            if answer != Answer::Continue {
                return Ok(answer);
            }
        }
        self.step(b'N', b"", NO_EOH, NR_EOH)
    }

    /// A piece of the body, CRLF line ends.
    pub fn body(&mut self, piece: &[u8]) -> Result<Answer, MilterError> {
        for chunk in piece.chunks(CHUNK) {
            let answer = self.step(b'B', chunk, NO_BODY, NR_BODY)?;
            if answer != Answer::Continue {
                return Ok(answer);
            }
        }
        Ok(Answer::Continue)
    }

    /// The end of the message: the changes, and the verdict.
    pub fn end(&mut self) -> Result<(Changes, Answer), MilterError> {
        self.stream.write_all(&encode(b'E', b""))?;
        let mut changes = Changes::default();
        loop {
            match self.answer()? {
                Answer::Change(change) => changes.push(change),
                answer => return Ok((changes, answer)),
            }
        }
    }

    /// The message is given up; there is no answer.
    pub fn abort(&mut self) -> Result<(), MilterError> {
        Ok(self.stream.write_all(&encode(b'A', b""))?)
    }

    /// The client has become another one: the milter forgets it and waits for the next connect step on this stream.
    /// Milters of a version before 6 cannot (SMFIC_QUIT_NC came with it).
    pub fn start_over(&mut self) -> Result<(), MilterError> {
        if self.version < VERSION {
            return Err(MilterError::Negotiation);
        }
        Ok(self.stream.write_all(&encode(b'K', b""))?)
    }

    /// The connection is over; there is no answer.
    pub fn quit(&mut self) {
        let _ = self.stream.write_all(&encode(b'Q', b""));
    }

    /// Whether body pieces are wanted at all.
    pub fn wants_body(&self) -> bool {
        self.steps & NO_BODY == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that has all its answers already.
    struct Fake {
        input: std::io::Cursor<Vec<u8>>,
        output: Vec<u8>,
    }

    impl Read for Fake {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let few = buffer.len().min(3); // packets come in pieces
            self.input.read(&mut buffer[..few])
        }
    }

    impl Write for Fake {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.output.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn client(steps: u32, answers: &[Vec<u8>]) -> Result<Client<Fake>, MilterError> {
        let hello = encode(b'O', &[6u32, 0x3f, steps].map(u32::to_be_bytes).concat());
        let input = [vec![hello], answers.to_vec()].concat().concat();
        Client::negotiate(Fake { input: std::io::Cursor::new(input), output: Vec::new() })
    }

    #[test]
    fn a_whole_message() {
        let go = || encode(b'c', b"");
        let answers = [
            go(),
            go(),
            encode(b'p', b""),
            go(),
            go(),
            go(),
            go(),
            go(),
            go(),
            encode(b'h', b"X-A\0b\0"),
            encode(b'q', b"why\0"),
            encode(b'a', b""),
        ];
        let mut client = client(0, &answers).unwrap();
        let peer = Peer { name: "x".into(), ip: "192.0.2.1".into(), port: 25 };
        assert_eq!(client.connect(&peer), Ok(Answer::Continue));
        assert_eq!(client.helo("h"), Ok(Answer::Continue));
        assert_eq!(client.mail(&["<a@b>".into()]), Ok(Answer::Continue));
        assert_eq!(client.rcpt(&["<c@d>".into()]), Ok(Answer::Continue));
        assert_eq!(client.data(), Ok(Answer::Continue));
        assert_eq!(client.header(b"Subject: x\n y\n\n"), Ok(Answer::Continue));
        assert_eq!(client.body(b"z\r\n"), Ok(Answer::Continue));
        let (changes, answer) = client.end().unwrap();
        assert_eq!((changes.header.len(), changes.quarantine.as_deref(), answer), (1, Some("why"), Answer::Accept));
        let sent = client.stream.output;
        let has = |packet: Vec<u8>| sent.windows(packet.len()).any(|w| w == packet);
        assert!(has(encode(b'C', b"x\x004\x00\x19192.0.2.1\0")));
        assert!(has(encode(b'L', b"Subject\0x\n y\0")) && has(encode(b'B', b"z\r\n")));
    }

    #[test]
    fn unwanted_steps_are_left_out() {
        let mut client = client(NO_HELO | NR_MAIL, &[]).unwrap();
        assert_eq!(client.helo("h"), Ok(Answer::Continue));
        assert_eq!(client.mail(&["<>".into()]), Ok(Answer::Continue));
        assert!(client.rcpt(&["<c@d>".into()]).is_err()); // the stream is at its end
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        assert_eq!(client(0x8000_0000, &[]).err(), Some(MilterError::Negotiation));
    }
}
